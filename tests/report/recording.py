"""What a run leaves beside its metrics, made up: for pages that need more than a tiny real run has."""

import math
import random
from collections.abc import Sequence
from typing import Any

SHARES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


def spread_of(values: Sequence[float]) -> dict[str, Any]:
    """A quantity of one update as a line of `distributions.jsonl` has it."""
    ordered = sorted(values)
    mean = sum(ordered) / len(ordered)
    return {
        "count": len(ordered),
        "mean": mean,
        "std": math.sqrt(sum((value - mean) ** 2 for value in ordered) / len(ordered)),
        "quantiles": [ordered[round(share * (len(ordered) - 1))] for share in SHARES],
    }


def distributions(rng: random.Random, updates: int) -> list[dict[str, Any]]:
    """One line an update. Log-ratios have outliers near update 70; the consistency is always 1."""
    rows = []
    for update in range(1, updates + 1):
        wild = [1e3, -2e2] if abs(update - 70) < 4 else []
        quantities = {
            "policy/log_ratio": [rng.gauss(0, 0.02) for _ in range(40)] + wild,
            "reward": [rng.choice((0.0, 0.5, 2.0)) for _ in range(40)],
            "reward/consistency": [1.0] * 40,
            "advantages": [rng.gauss(0, 1) for _ in range(40)],
            "policy/entropy": [rng.expovariate(8) for _ in range(40)],
            "completions/length": [round(rng.gauss(46, 6)) for _ in range(40)],
        }
        spreads = {name: spread_of(values) for name, values in quantities.items()}
        rows.append({"stage": "rl", "update": update, "quantities": spreads})
    return rows


def clipped(rng: random.Random, text: str) -> dict[str, Any]:
    """The text cut into tokens, and some of them clipped."""
    tokens = [text[i : i + 5] for i in range(0, len(text), 5)]
    kinds = {kind: sorted(rng.sample(range(len(tokens)), 2)) for kind in ("low", "high", "preclip", "dual")}
    return {"tokens": tokens, "clipped": kinds}


def judged(rng: random.Random, result: dict[str, Any], categories: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of a judge that likes the response shown first and is wrong most often in the last category."""
    rows = []
    for i in range(240):
        category, best = categories[i % len(categories)], rng.randrange(2)
        right = (result["accuracy"] + result["accuracy_swapped"]) / 2 - 0.08 * (category == categories[-1])
        votes = [_vote(rng, result, order, best, right) for order in ([0, 1], [1, 0])]
        rows.append({"id": f"pair {i}", "category": category, "best": best, "votes": votes})
    return rows


def _vote(
    rng: random.Random, result: dict[str, Any], order: list[int], best: int, right: float
) -> dict[str, Any]:
    chance = right + (0.06 if order[0] == best else -0.06)
    if result["judge"] == "always first":
        chance = float(order[0] == best)
    sure = min(max(rng.gauss(chance, 0.15), 0.0), 1.0) if result["votes"] > 1 else chance
    judgements, failures = [], []
    for _ in range(result["votes"]):
        if rng.random() < result["parse_failures"]:
            failures.append({"reason": "no_verdict", "detail": ""})
        else:
            choice = best if rng.random() < sure else 1 - best
            judgements.append({"choice": choice, "text": f"<answer>{choice}</answer>", "order": order})
    counts = [sum(one["choice"] == i for one in judgements) for i in range(2)]
    shares = [count / len(judgements) if judgements else 0.0 for count in counts]
    choice = None if counts[0] == counts[1] else int(counts[1] > counts[0])
    return {"choice": choice, "probabilities": shares, "judgements": judgements, "failures": failures}


MACHINE: dict[str, Any] = {
    "recipe": "r1_reward",
    "system": "Linux-6.1.0-x86_64-with-glibc2.36",
    "cpu": "AMD EPYC 7B13",
    "cores": 2,
    "threads": 2,
    "memory_gib": 7.8,
    "gpus": [],
    "versions": {"stablereward": "0.1.0", "python": "3.11.2", "torch": "2.13.0", "transformers": "5.24.0"},
}
EVENTS: list[dict[str, Any]] = [
    {"event": "dropped_sample", "stage": "rl", "update": 30, "sample": "prompt 2, completion 1"},
    {"event": "non_finite", "stage": "rl", "update": 70, "tensor": "loss", "action": "update skipped"},
    {
        "event": "collapse",
        "stage": "rl",
        "update": 71,
        "rule": "max_entropy",
        "value": 1234.5,
        "bound": 1000.0,
    },
    {"event": "rollback", "stage": "rl", "update": 71, "to_update": 60, "learning_rate_factor": 0.5},
]
