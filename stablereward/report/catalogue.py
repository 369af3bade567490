"""Which curves are drawn, in which group, and what a bad one looks like.

The remarks on bad values follow `docs/metrics.md`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Curve:
    """A chart: what it shows, its metrics, their names where there are several, its unit, a bad value.

    The unit "%" is for shares of 1. Where spikes are usual the axis bends for them (`bends`).
    """

    title: str
    says: str
    metrics: tuple[str, ...]
    unit: str = ""
    bad: str = ""
    reference: tuple[float, str] | None = None
    names: tuple[str, ...] = ()
    bends: bool = False


CHANCE = (50.0, "chance")
FIRST = (
    Curve(
        "Held-out accuracy",
        "Right choices on pairs never trained on.",
        ("evaluation/accuracy",),
        "%",
        "no higher than the controls.",
        CHANCE,
    ),
    Curve("Reward", "Mean reward of all samples.", ("reward/mean",), "", "not rising: look at its parts."),
    Curve(
        "Measured reward",
        "Of the same prompts and noise each time.",
        ("evaluation/reward",),
        "",
        "rising while the pictures look worse: the reward is being cheated.",
    ),
    Curve(
        "Right answers",
        "Solutions whose answer is right, in training.",
        ("steps/right",),
        "%",
        "falling while the reward rises: the process model is being cheated.",
    ),
    Curve(
        "Success",
        "Episodes that succeed.",
        ("evaluation/success", "episodes/success"),
        "%",
        "below where it began for long: the critics are wrong about what the base does.",
        names=("measured", "with noise"),
    ),
    Curve(
        "Result reward",
        "How often the choice is right, in training.",
        ("reward/result",),
        "",
        "about 0.5 is chance; rising here and not on held-out pairs is memorising.",
    ),
    Curve(
        "Pairs in order",
        "How often the better response scores higher, in training.",
        ("pairs/accuracy",),
        "%",
        "far above the held-out figure: the pairs are learnt by heart.",
        CHANCE,
    ),
    Curve(
        "Lead of the better response",
        "Mean difference of the scores of a pair.",
        ("pairs/margin",),
        "",
        "rising while the pairs in order do not: train for less long.",
    ),
    Curve(
        "Looks at the image",
        "Analyses that rest on what is seen.",
        ("toy/looks",),
        "%",
        "falling: a habit wins over looking.",
    ),
    Curve(
        "Entropy",
        "How undecided the policy is.",
        ("policy/entropy",),
        "nats",
        "near 0 early: it always says the same. Rising without end: the rate is too high.",
    ),
    Curve(
        "Clipped tokens",
        "Tokens whose ratio was held back.",
        ("policy/ratio_clip_low", "policy/ratio_clip_high", "policy/preclip", "policy/dual_clip"),
        "%",
        "low or high above a fifth: updates go too far. Any pre-clip: sampler and trainer differ.",
        names=("low", "high", "pre-clip", "dual clip"),
    ),
    Curve(
        "Length",
        "Mean length of a completion.",
        ("completions/length",),
        "tokens",
        "at the limit: longer, not better. A few tokens: it has stopped reasoning.",
    ),
)
GROUPS = {
    "Pictures": (
        Curve(
            "Rule",
            "Pictures as asked for, by a judge never trained on.",
            ("evaluation/rule",),
            "%",
            "falling while the reward rises: the reward is being cheated.",
        ),
        Curve(
            "Diversity",
            "How much pictures of one prompt differ.",
            ("evaluation/diversity",),
            "",
            "falling to 0: every picture is the same.",
        ),
    ),
    "Solutions": (
        Curve("Steps", "Of a solution.", ("steps/count",), "steps", "rising or falling without end."),
        Curve(
            "Steps gone wrong",
            "Steps, solutions and tokens that say nothing.",
            ("steps/repeated", "steps/empty", "steps/separators"),
            "%",
            "rising: the reward pays for form.",
            names=("repeated", "empty", "separators"),
        ),
    ),
    "Rewards and texts": (
        Curve(
            "Consistency reward",
            "Reasoning and answer agree, among right ones.",
            ("reward/consistency",),
            "",
            "low: verdicts do not follow from the analyses, or the referee is poor.",
        ),
        Curve(
            "Format reward",
            "Thinks and answers in the asked form.",
            ("reward/format",),
            "",
            "below 0.9 for long: the cold start was too short, or texts are cut off.",
        ),
        Curve(
            "Reward spread",
            "Standard deviation of the rewards.",
            ("reward/std",),
            "",
            "0: all earn the same and nothing is learnt.",
        ),
        Curve(
            "Cut off",
            "Completions that met the length limit.",
            ("completions/clipped",),
            "%",
            "above a tenth: raise the limit.",
        ),
        Curve(
            "Repetition",
            "How much of a text says again what it said.",
            ("completions/repetition",),
            "",
            "rising: texts run in circles.",
        ),
        Curve(
            "Failures",
            "Samples without a reward.",
            ("failures/count",),
            "samples",
            "any that stay: mend the commonest reason.",
        ),
    ),
    "The step of the policy": (
        Curve(
            "Divergence (k3)",
            "From the sampling policy; never negative.",
            ("policy/approx_kl",),
            "nats",
            "above about 0.1: lower the rate or the updates of a batch.",
            bends=True,
        ),
        Curve(
            "Divergence (k1)",
            "From the sampling policy; unbiased, noisy.",
            ("policy/kl_k1",),
            "nats",
            "far from k3: a few tokens moved very far.",
            bends=True,
        ),
        Curve(
            "Largest ratio",
            "Of all tokens, policy over sampler.",
            ("policy/ratio_max",),
            "",
            "thousands: one token can carry the update.",
            bends=True,
        ),
        Curve(
            "Largest log-ratio",
            "Of all tokens, either way.",
            ("policy/log_ratio_max",),
            "nats",
            "above 7, a ratio of a thousand: the pre-clip holds it.",
            bends=True,
        ),
        Curve(
            "Engine gap",
            "Sampler against trainer log-probabilities.",
            ("policy/engine_gap",),
            "nats",
            "more than rounding at the first update of a batch: they compute different models.",
            bends=True,
        ),
        Curve(
            "Distance from the start",
            "KL from the frozen reference.",
            ("policy/kl_reference",),
            "nats",
            "rising steadily while texts get worse: raise beta.",
        ),
    ),
    "Advantages": (
        Curve(
            "Largest advantage",
            "After normalising, before the filter.",
            ("advantages/max_abs",),
            "σ",
            "far above 3: one answer stands alone.",
            bends=True,
        ),
        Curve(
            "Filtered advantages",
            "Outliers that the sigma filter changed.",
            ("advantages/filtered",),
            "%",
            "above 5 %: with nearly all right it deletes every wrong answer.",
        ),
        Curve(
            "Spread of advantages",
            "Before they are divided by it.",
            ("advantages/std",),
            "",
            "near 0: what is left is noise made large.",
        ),
        Curve(
            "No spread",
            "Prompts whose rewards are all equal.",
            ("advantages/zero_spread",),
            "%",
            "near 100 %: too hard where all are wrong, too easy where all are right.",
        ),
    ),
    "The critic": (
        Curve(
            "Value loss",
            "Of the critic's guess of the return.",
            ("value/loss",),
            "",
            "not falling: the critic learns nothing.",
            bends=True,
        ),
        Curve(
            "Explained variance",
            "Of the returns, by the critic.",
            ("value/explained_variance",),
            "",
            "0 or less: a constant would guess as well.",
            (0.0, "no better than a constant"),
        ),
        Curve(
            "Clipped values",
            "Guesses that moved further than allowed.",
            ("value/clip",),
            "%",
            "above a fifth: the critic's steps are too long.",
        ),
    ),
    "Episodes": (
        Curve("Reward of an episode", "Of the newest fifty.", ("episodes/reward",)),
        Curve(
            "Length of an episode",
            "Of the newest fifty.",
            ("episodes/steps",),
            "steps",
            "at the limit: none succeeds.",
        ),
        Curve(
            "Values",
            "What actions are worth, said and aimed at.",
            ("critic/value", "critic/target"),
            "",
            "above what an episode can earn: the critics deceive themselves.",
            names=("said", "aimed at"),
        ),
        Curve(
            "Residual",
            "Mean size of what is added to the base.",
            ("residual/size",),
            "",
            "at its bound: a larger one is wanted, or the critics mislead it.",
        ),
    ),
    "The optimiser": (
        Curve(
            "Gradient norm",
            "Of all that is trained, before clipping.",
            ("grad_norm",),
            "",
            "far above the limit in every update: rate or batch is wrong. 0: nothing to learn.",
            bends=True,
        ),
        Curve(
            "Gradient norm by part",
            "Of the parts of the model.",
            (
                "grad_norm/vision",
                "grad_norm/projector",
                "grad_norm/language",
                "grad_norm/value",
                "grad_norm/head",
            ),
            "",
            "one part far above the others: it alone is trained, and the clip slows the rest.",
            names=("vision", "projector", "language", "value", "head"),
            bends=True,
        ),
        Curve("Learning rate", "Of the schedule.", ("learning_rate",)),
        Curve(
            "Learning rate factor",
            "What rollbacks have left of the rate.",
            ("learning_rate/factor",),
            "",
            "falling again and again: the run is unstable at any rate.",
        ),
        Curve(
            "Skipped updates",
            "1 where the gradient was not finite.",
            ("update/skipped",),
            "",
            "more than a few: lower the rate.",
        ),
        Curve(
            "Dropped samples",
            "Left out because they were not finite.",
            ("update/dropped",),
            "samples",
            "any: the events name the sample.",
        ),
        Curve("Speed", "Tokens that pass through training.", ("tokens_per_second",), "tokens/s"),
    ),
}
