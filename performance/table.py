"""Stored results as Markdown, so that no figure is typed by hand: `python -m performance.table`."""

import json
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
SIDES = ("ours", "plain", "trl")
MIB = 2**20


def markdown(result: dict[str, Any]) -> str:
    """The tables of one result, after a line on where it was measured."""
    machine = result["machine"]
    where = machine.get("gpu") or f"{machine['cores']} cores of {machine['cpu']}"
    kinds = {"compare": _compare, "growth": _growth, "judging": _judging, "reward_model": _reward_model}
    made = kinds[result["kind"]](result)
    versions = ", ".join(f"{name} {number}" for name, number in machine.get("trl", machine["ours"]).items())
    if result.get("fast"):
        where = "a fast run, which is no measurement, on " + where
    if result.get("device") == "rehearsal":
        where = "a CPU to rehearse a GPU's run with a shrunk model: " + where
    return f"Measured on {where}, {machine['threads']} threads; model {result['size']}; {versions}.\n\n{made}"


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _times(values: dict[str, float]) -> str:
    return f"{values['median']:.3g} ({values['min']:.3g}–{values['max']:.3g})"


def _compare(result: dict[str, Any]) -> str:
    times, more = [], []
    for name, shape in result["shapes"].items():
        supervised = {side: {"sft": found["step"]} for side, found in shape["sft"].items()}
        against_supervised = {"plain": {"sft": shape["sft_ratio"]["step"]}} if shape["sft_ratio"] else {}
        for phase in ("step", "rollout", "update", "sft"):
            found = supervised if phase == "sft" else shape["steps"]
            against = against_supervised if phase == "sft" else shape["ratios"]
            row = [name, phase, *(_times(found[s][phase]) if s in found else "" for s in SIDES)]
            row += [_times(against[s][phase]) + " ×" if s in against else "" for s in SIDES[1:]]
            times.append(row)
        for side, rates in shape["rates"].items():
            memory = (shape["memory"][side][key]["median"] / MIB for key in ("bytes_growth", "bytes_peak"))
            more.append(
                [
                    name,
                    side,
                    *(f"{size:.0f}" for size in memory),
                    f"{rates['tokens_per_second']:.0f}",
                    *(f"{rates['distance'][phase]:.1f} ×" for phase in ("rollout", "update")),
                    *(f"{100 * rates['mfu'][phase]:.1f} %" for phase in ("rollout", "update")),
                    f"{shape['gradient_gap'].get(side, 0):.1g}",
                ]
            )
    times_header = ("tokens", "seconds of", "ours", "plain", "TRL", "ours against plain", "against TRL")
    more_header = (
        "tokens", "side", "memory growth, MiB", "peak, MiB", "tokens/s", "rollout over floor",
        "update over floor", "rollout MFU", "update MFU", "gradient gap",
    )  # fmt: skip
    return _rows(times_header, times) + "\n" + _rows(more_header, more)


def _growth(result: dict[str, Any]) -> str:
    rows, falls = [], []
    for axis, points in result["axes"].items():
        for side in SIDES:
            per_sample: dict[int, float] = {}
            for point in (point for point in points if side in point["steps"]):
                step = point["steps"][side]["step"]
                per_sample[point["value"]] = step["median"] / point["samples"]
                over = [f"{_times(ratio)} × {base}" for base, ratio in point["over"][side].items()]
                shown = f"{1000 * per_sample[point['value']]:.3g}"
                rows.append([axis, str(point["value"]), side, _times(step), shown, "; ".join(over)])
            rises = [f"{a} to {b}" for a, b in pairwise(per_sample) if per_sample[b] >= per_sample[a]]
            if len(per_sample) > 1:
                verdict = f"does not fall from {', '.join(rises)}" if rises else "falls at every value"
                falls.append(f"- Time per sample along {axis}, {side}: {verdict}.\n")
    return _rows(("axis", "value", "side", "s", "ms per sample", "times"), rows) + "\n" + "".join(falls)


def _judging(result: dict[str, Any]) -> str:
    rows = [
        [
            name,
            *(_times(result[key]["steps"][side]["step"]) for side in ("ours", "plain")),
            _times(result[key]["ratio"]["step"]) + " ×",
        ]
        for key, name in (("demo", "the demo's shape"), ("long", "482+100 tokens"))
    ]
    header = (f"{result['votes']} votes, {result['pairs']} pairs", "ours, s", "generate, s", "ratio")
    shared = result["shared"]
    return _rows(header, rows) + (
        f"\nTime of {result['votes']} votes over one, at {result['shared_shape']['prompt']} prompt and "
        f"{result['shared_shape']['completion']} written tokens: ours {shared['ours']:.2f}, "
        f"a loop that asks again {shared['plain']:.2f}.\n"
    )


def _reward_model(result: dict[str, Any]) -> str:
    rows = []
    for name, found in result["shapes"].items():
        sides = [side for side in ("ours", "alone", "trl") if side in found["steps"]]
        times = {side: _times(found["steps"][side]["step"]) for side in sides}
        over = {side: f"{_times(found['ratios'][side]['step'])} ×" for side in sides[1:]}
        gaps = "; ".join(f"{side} {gap['loss']:.1g}" for side, gap in found["same"].items())
        row = [name, *(times.get(side, "") for side in ("ours", "alone", "trl"))]
        rows.append([*row, *(over.get(side, "") for side in ("alone", "trl")), gaps])
    header = (
        "480 + 30 tokens", "ours, s", "each response alone, s", "TRL, s", "ours against alone",
        "ours against TRL", "loss gap",
    )  # fmt: skip
    return _rows(header, rows)


if __name__ == "__main__":
    chosen = [Path(name) for name in sys.argv[1:]] or sorted(RESULTS.glob("*.json"))
    for path in chosen:
        print(markdown(json.loads(path.read_text())))
