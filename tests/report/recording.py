"""What the flight recorder leaves in a run, made up: for pages that need more than a tiny real run has."""

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
