"""Stored results as Markdown, so that no figure is typed by hand: `python -m performance.table`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
MIB = 2**20


def markdown(result: dict[str, Any]) -> str:
    """The tables of one result, after a line on where it was measured."""
    machine = result["machine"]
    where = machine.get("gpu") or f"{machine['cores']} cores of {machine['cpu']}"
    made = {"compare": _compare, "growth": _growth, "judging": _judging}[result["kind"]](result)
    versions = ", ".join(f"{name} {number}" for name, number in machine.get("trl", machine["ours"]).items())
    if result.get("fast"):
        where = "a fast run, which is no measurement, on " + where
    return f"Measured on {where}, {machine['threads']} threads; model {result['size']}; {versions}.\n\n{made}"


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _times(values: dict[str, float]) -> str:
    return f"{values['median']:.3g} ({values['min']:.3g}–{values['max']:.3g})"


def _compare(result: dict[str, Any]) -> str:
    times, more = [], []
    for name, shape in result["shapes"].items():
        for phase in ("step", "rollout", "update", "sft"):
            found = shape["sft"] if phase == "sft" else shape["steps"]
            key = "step" if phase == "sft" else phase
            against = {"plain": shape["sft_ratio"]} if phase == "sft" else shape["ratios"]
            row = [
                name,
                phase,
                *(_times(found[s][key]) if s in found else "" for s in ("ours", "plain", "trl")),
            ]
            row += [_times(against[s][key]) + " ×" if against.get(s) else "" for s in ("plain", "trl")]
            times.append(row)
        for side, rates in shape["rates"].items():
            memory = shape["memory"][side]
            more.append(
                [
                    name,
                    side,
                    f"{memory['bytes_growth']['median'] / MIB:.0f}",
                    f"{memory['bytes_peak']['median'] / MIB:.0f}",
                    f"{rates['tokens_per_second']:.0f}",
                    *(f"{rates['distance'][phase]:.1f} ×" for phase in ("rollout", "update")),
                    *(f"{100 * rates['mfu'][phase]:.1f} %" for phase in ("rollout", "update")),
                    f"{shape['gradient_gap'].get(side, 0):.1g}" if shape["gradient_gap"] else "",
                ]
            )
    times_header = ("tokens", "seconds of", "ours", "plain", "TRL", "ours against plain", "against TRL")
    more_header = (
        "tokens", "side", "memory growth, MiB", "peak, MiB", "tokens/s", "rollout over floor",
        "update over floor", "rollout MFU", "update MFU", "gradient gap",
    )  # fmt: skip
    return _rows(times_header, times) + "\n" + _rows(more_header, more)


def _growth(result: dict[str, Any]) -> str:
    rows = []
    for axis, points in result["axes"].items():
        for point in points:
            steps = point["steps"]
            per_sample = steps["ours"]["step"]["median"] / point["samples"]
            row = [axis, str(point["value"]), f"{1000 * per_sample:.3g}"]
            row += [_times(steps[s]["step"]) if s in steps else "" for s in ("ours", "trl")]
            first = points[0]["steps"]["ours"]["step"]["median"]
            rows.append([*row, f"{steps['ours']['step']['median'] / first:.2f}"])
    header = ("axis", "value", "ours, ms per sample", "ours, s", "TRL, s", "ours over its first")
    return _rows(header, rows)


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


if __name__ == "__main__":
    chosen = [Path(name) for name in sys.argv[1:]] or sorted(RESULTS.glob("*.json"))
    for path in chosen:
        print(markdown(json.loads(path.read_text())))
