"""What is known of recorded distributions: title, unit, and what a bad one looks like."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quantity:
    """A recorded distribution, as a `catalogue.Curve` says it."""

    title: str
    says: str
    unit: str = ""
    bad: str = ""


DISTRIBUTIONS = {
    "reward": Quantity("Reward", "Of each sample.", "", "one line: all earn the same."),
    "advantages": Quantity(
        "Advantages", "Of each sample, normalised.", "σ", "ends far beyond ±3: one answer stands alone."
    ),
    "policy/log_ratio": Quantity(
        "Log-ratio",
        "Policy against sampler, each token.",
        "nats",
        "ends beyond ±7, a ratio of a thousand: the models differ.",
    ),
    "policy/entropy": Quantity(
        "Entropy", "Of the policy at each token.", "nats", "all bands near 0 early: it always says the same."
    ),
    "policy/engine_gap": Quantity(
        "Engine gap", "Sampler against trainer, each token.", "nats", "more than rounding: different models."
    ),
    "completions/length": Quantity(
        "Length", "Of each completion.", "tokens", "the upper band at the limit: texts are cut off."
    ),
    "completions/clipped": Quantity("Cut off", "1 where the length limit met the completion."),
    "pictures/path_length": Quantity(
        "Path length", "Of the denoising path, against the straight way.", "", "rising: the sampler wanders."
    ),
    "pictures/level": Quantity(
        "Brightness", "Mean of each picture, 0 black, 1 white.", "", "one line at an end: blank pictures."
    ),
    "pictures/contrast": Quantity(
        "Contrast", "Deviation of each picture's pixels.", "", "falling to 0: blank pictures."
    ),
    "completions/repetition": Quantity(
        "Repetition", "Of each completion.", "", "the upper band rising: texts run in circles."
    ),
}


def quantity(name: str) -> Quantity:
    """What is known of a recorded quantity; an unknown one has its name as title."""
    if name.startswith("reward/"):
        return Quantity(f"Reward: {name.removeprefix('reward/').replace('_', ' ')}", "Of each sample.")
    return DISTRIBUTIONS.get(name, Quantity(name, ""))
