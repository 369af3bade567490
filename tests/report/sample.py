"""A run folder with plausible, seeded content: what a finished demo leaves behind."""

import json
import math
import random
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from .recording import EVENTS, MACHINE, clipped, distributions, judged

COLOURS = {"red": (214, 48, 49), "blue": (42, 98, 214), "green": (39, 158, 76), "yellow": (240, 200, 30)}
SHAPES = ("circle", "square", "triangle")
PLACES = ("top left", "top", "top right", "left", "middle", "right", "bottom left", "bottom", "bottom right")
CATEGORIES = ("general", "hallucination", "reasoning")
MEASURED = ("cold start", "trained judge", "always first")
CLOCK = ("seconds", "tokens_per_second")
CONFIG = """\
# Written by the run; reproduces it.
seed: 0
model: toy-base
cold_start:
  num_updates: 240
  learning_rate: 0.0005
rl:
  num_updates: 160
  num_generations: 8
  epsilon: 0.2
  beta: 0.0
  sigma: 3.0
"""


def write_run(folder: Path, *, seed: int = 0, num_examples: int = 60, rl_updates: int = 160) -> Path:
    """A whole run in `folder`, which is made."""
    rng = random.Random(seed)
    (folder / "media").mkdir(parents=True)
    (folder / "rollouts").mkdir()
    (folder / "config.yaml").write_text(CONFIG.replace("seed: 0", f"seed: {seed}"))
    updates = [*_cold_start(rng), *_reinforcement(rng, rl_updates)]
    _lines(folder / "metrics.jsonl", [_without_clock(row) for row in [*updates, *_happened()]])
    _lines(folder / "timings.jsonl", [*(_clock(row) for row in updates if "event" not in row), *_endings()])
    (folder / "machine.json").write_text(json.dumps([MACHINE]))
    (folder / "results.json").write_text(json.dumps(_results(rng), indent=1))
    (folder / "categories.json").write_text(json.dumps(_categories(rng)))
    _lines(folder / "examples.jsonl", [_example(rng, folder, i) for i in range(num_examples)])
    groups = [_group(rng, folder, update) for update in range(1, rl_updates + 1, 4) for _ in range(2)]
    _lines(folder / "rollouts" / "rl.jsonl", groups)
    _lines(folder / "distributions.jsonl", distributions(random.Random(seed), rl_updates))
    (folder / "judgements").mkdir()
    for row in _results(random.Random(seed)):
        if row["judge"] in MEASURED:
            name = f"{row['judge']}-{row['votes']}.jsonl".replace(" ", "-").replace(",", "")
            _lines(folder / "judgements" / name, judged(random.Random(seed), row, CATEGORIES))
    return folder


def pair(rng: random.Random, folder: Path, category: str) -> dict[str, Any]:
    """A question about a drawn scene with a right and a wrong response."""
    places = rng.sample(range(9), 4)
    things = [(place, rng.choice(list(COLOURS)), rng.choice(SHAPES)) for place in sorted(places)]
    place, colour, shape = rng.choice(things)
    listing = ", ".join(f"{c} {s} {PLACES[p]}" for p, c, s in things)
    count = sum(one[2] == shape for one in things)
    asked = {
        "general": (
            "Describe the picture.",
            f"There are {len(things)} things: {listing}.",
            "It is an empty page.",
        ),
        "hallucination": (
            f"What is at the {PLACES[place]}?",
            f"A {colour} {shape}.",
            "A purple star, shining.",
        ),
        "reasoning": (f"How many {shape}s are there?", f"There are {count}.", f"There are {count + 1}."),
    }[category]
    best = rng.randrange(2)
    wrong = asked[2] + rng.choice(("", " I looked at the whole picture before I answered."))
    responses = [asked[1], wrong] if best == 0 else [wrong, asked[1]]
    name = f"media/{rng.getrandbits(48):012x}.png"
    _draw(things).save(folder / name)
    return {"question": asked[0], "responses": responses, "images": [name], "best": best, "listing": listing}


def analysis(rng: random.Random, listing: str, says: int, looks: bool) -> str:
    """A judge's text that ends in the answer `says` (1 or 2)."""
    if not looks:
        return f"<think>Response {says} is longer and more detailed.</think><answer>{says}</answer>"
    other = 3 - says
    think = f"Look: {listing}. Response {says} agrees with it: right. Response {other} does not: wrong."
    return f"<think>{think}</think><answer>{says}</answer>"


def _draw(things: list[tuple[int, str, str]]) -> Image.Image:
    image = Image.new("RGB", (84, 84), (246, 246, 242))
    pen = ImageDraw.Draw(image)
    for place, colour, shape in things:
        x, y = 28 * (place % 3) + 4, 28 * (place // 3) + 4
        if shape == "circle":
            pen.ellipse((x, y, x + 20, y + 20), COLOURS[colour])
        elif shape == "square":
            pen.rectangle((x + 1, y + 1, x + 19, y + 19), COLOURS[colour])
        else:
            pen.polygon(((x + 10, y), (x + 20, y + 19), (x, y + 19)), COLOURS[colour])
    return image


def _cold_start(rng: random.Random) -> list[dict[str, Any]]:
    rows = []
    for update in range(1, 241):
        row = {
            "stage": "cold_start",
            "update": update,
            "seconds": 0.31 + rng.random() / 20,
            "loss": 2.9 * math.exp(-update / 45) + 0.31 + rng.gauss(0, 0.03),
            "learning_rate": 5e-4 * min(1, update / 20) * (1 - update / 300),
            "grad_norm": 0.6 + 3 * math.exp(-update / 30) + abs(rng.gauss(0, 0.1)),
            "tokens_per_second": 11_500 + rng.gauss(0, 300),
        }
        if update % 60 == 0:
            row["evaluation/accuracy"] = 0.5 + 0.26 * (1 - math.exp(-update / 90))
            row["toy/looks"] = 0.9 * (1 - math.exp(-update / 90))
        rows.append(row)
    return rows


def _reinforcement(rng: random.Random, updates: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for update in range(1, updates + 1):
        done = 1 - math.exp(-update / 50)
        right = min(1.0, 0.74 + 0.19 * done + rng.gauss(0, 0.03))
        row = {
            "stage": "rl",
            "update": update,
            "seconds": 1.9 + rng.random() / 5,
            "loss": rng.gauss(0, 0.02),
            "learning_rate": 2e-4,
            "grad_norm": 0.4 + abs(rng.gauss(0, 0.12)),
            "reward/mean": 0.5 + right * 1.4 + rng.gauss(0, 0.02),
            "reward/std": 0.75 - 0.4 * done,
            "reward/format": min(1.0, 0.95 + 0.05 * done),
            "reward/result": right,
            "reward/consistency": min(1.0, 0.8 + 0.15 * done + rng.gauss(0, 0.02)),
            "failures/count": float(rng.random() < 0.03),
            "policy/ratio_clip_low": max(0.0, 0.012 + rng.gauss(0, 0.003)),
            "policy/ratio_clip_high": max(0.0, 0.018 + rng.gauss(0, 0.004)),
            "policy/preclip": max(0.0, rng.gauss(0.001, 0.001)),
            "policy/dual_clip": max(0.0, rng.gauss(0.002, 0.001)),
            "policy/approx_kl": abs(rng.gauss(0.004, 0.001)),
            "policy/entropy": 0.21 - 0.12 * done + rng.gauss(0, 0.006),
            "policy/engine_gap": 2e-7 + abs(rng.gauss(0, 5e-8)),
            "advantages/std": 1.0,
            "advantages/filtered": max(0.0, rng.gauss(0.01, 0.004)),
            "advantages/max_abs": 3 + rng.random(),
            "advantages/zero_spread": min(1.0, 0.2 + 0.5 * done + rng.gauss(0, 0.04)),
            "completions/length": 46 + 16 * done + rng.gauss(0, 1.2),
            "completions/clipped": max(0.0, rng.gauss(0.004, 0.004)),
            "toy/looks": min(1.0, 0.84 + 0.15 * done + rng.gauss(0, 0.01)),
            "update/skipped": float(update == 71),
        }
        if update % 20 == 0:
            row["evaluation/accuracy"] = 0.755 + 0.19 * done + rng.gauss(0, 0.006)
        rows.append(row)
        if update == 71:
            rows.append(
                {"event": "gradient_not_finite", "stage": "rl", "update": 71, "detail": "update skipped"}
            )
    return rows


def _happened() -> list[dict[str, Any]]:
    return [*EVENTS, {"event": "failures", "stage": "rl", "update": 131, "reasons": {"no_verdict": 2}}]


def _endings() -> list[dict[str, Any]]:
    seconds = {"cold_start": 84.2, "rl": 318.0, "evaluation": 41.7}
    return [{"event": "stage", "stage": stage, "seconds": spent} for stage, spent in seconds.items()]


def _without_clock(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in CLOCK}


def _clock(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key in ("stage", "update", *CLOCK)}


def _results(rng: random.Random) -> list[dict[str, Any]]:
    table = (
        ("untrained model", 1, 0.507, 0.31),
        ("cold start", 1, 0.758, 0.004),
        ("trained judge", 1, 0.941, 0.0),
        ("trained judge", 5, 0.956, 0.0),
        ("trained judge, image hidden", 1, 0.523, 0.0),
        ("longer response", 1, 0.5, 0.0),
        ("always first", 1, 0.5, 0.0),
    )
    rows = []
    for judge, votes, accuracy, failures in table:
        given = 1.0 if judge == "always first" else accuracy + rng.uniform(-0.01, 0.01)
        half = 1.96 * math.sqrt(accuracy * (1 - accuracy) / 600)
        rows.append(
            {
                "judge": judge,
                "votes": votes,
                "n": 600,
                "accuracy": given,
                "accuracy_swapped": 2 * accuracy - given,
                "accuracy_both_orders": 0.0 if judge == "always first" else accuracy - 0.03,
                "order_consistency": 0.0 if judge == "always first" else 0.5 + accuracy / 2.1,
                "parse_failures": failures,
                "interval": [accuracy - half, accuracy + half],
            }
        )
    return rows


def _categories(rng: random.Random) -> dict[str, dict[str, float]]:
    means = {"cold start": 0.75, "trained judge": 0.94}
    return {
        judge: {category: mean + rng.uniform(-0.05, 0.05) for category in CATEGORIES}
        for judge, mean in means.items()
    }


def _example(rng: random.Random, folder: Path, index: int) -> dict[str, Any]:
    category = CATEGORIES[index % 3]
    item = pair(rng, folder, category)
    listing, best = item.pop("listing"), item["best"]
    choice = best if index % 9 else 1 - best
    judgements = []
    for judge, picked, looks in (("trained judge", choice, True), ("cold start", rng.randrange(2), False)):
        order = rng.choice(([0, 1], [1, 0]))
        text = analysis(rng, listing, order.index(picked) + 1, looks)
        judgements.append({"judge": judge, "choice": picked, "text": text, "order": order, "failure": None})
    if index == 4:
        judgements[1] |= {"choice": None, "text": "Response 1 Response 1 Response", "failure": "no_verdict"}
    share = rng.choice((0.8, 1.0)) if choice == best else 0.6
    probabilities = [share, 1 - share] if choice == 0 else [1 - share, share]
    vote = {"choice": choice, "probabilities": probabilities, "votes": 5}
    return {**item, "category": category, "judgements": judgements, "vote": vote}


def _group(rng: random.Random, folder: Path, update: int) -> dict[str, Any]:
    item = pair(rng, folder, rng.choice(CATEGORIES))
    listing, best = item.pop("listing"), item["best"]
    chance = 0.55 + 0.4 * (1 - math.exp(-update / 50))
    right = [rng.random() < chance for _ in range(8)]
    mean = sum(right) / 8
    spread = math.sqrt(mean * (1 - mean)) or 1.0
    completions: list[dict[str, Any]] = []
    for is_right in right:
        text = analysis(rng, listing, (best if is_right else 1 - best) + 1, rng.random() < chance)
        completions.append(
            {
                "text": text,
                "reward": 2.0 if is_right else 0.5,
                "parts": {"format": 1.0, "result": float(is_right), "consistency": float(is_right)},
                "failure": None,
                "advantage": (is_right - mean) / spread,
                "num_tokens": len(text) // 4,
            }
        )
        if update % 8 == 1:
            completions[-1] |= clipped(rng, text)
    if update == 1:
        completions[6] |= {"reward": None, "parts": {}, "advantage": None, "failure": "referee_timeout"}
    return {"update": update, **item, "completions": completions}


def _lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
