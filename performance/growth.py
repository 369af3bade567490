"""How a step's time grows with one dimension of a shape, ours beside TRL's.

python -m performance.growth --device cpu
"""

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import Any

from performance import options as common
from performance.picture import curves
from performance.race import Answers, Side, available, phases, ratios, turns
from performance.work import SHAPES, Job, Shape

BASE = SHAPES["482+100"]
AXES: dict[str, tuple[str, tuple[int, ...]]] = {
    "group": ("samples of a prompt", (1, 2, 4, 8, 16, 32)),
    "prompt": ("prompt tokens", (120, 240, 482, 964)),
    "image": ("image tokens of the prompt", (16, 64, 256, 400)),
    "completion": ("completion tokens", (25, 50, 100, 200)),
    "prompts": ("prompts of a step", (1, 2, 4, 8, 16)),
}
"""By field of a shape its name and values."""
SMALLEST_GROUP = {"ours": 1, "plain": 1, "trl": 2}
"""TRL's groups have at least two samples."""
PER_TURN = 2
FAST_AXES = ("group", "prompts")
Point = tuple[int, str]
"""A value of the axis and a side."""


def main(given: list[str] | None = None) -> dict[str, Any]:
    parser = common.parser(__doc__.splitlines()[0], "ours", "trl")
    parser.add_argument("--axis", action="append", choices=AXES)
    parser.add_argument("--values", nargs="+", type=int, help="of the axis, rising; default: all of it")
    parser.add_argument("--limit", type=float, default=60.0, help="a side leaves where a step takes longer")
    parser.set_defaults(steps=3, micro_batch=16)
    options = common.read(parser, given)
    base = common.sized(BASE, options)
    axes = options.axis or (FAST_AXES if options.fast else AXES)
    result: dict[str, Any] = {"machine": common.machine(options), "base": asdict(base), "axes": {}}
    with common.model_folder(options) as model:
        job = Job(
            side="",
            shape=base,
            model=model,
            device=options.device,
            fresh=PER_TURN * options.steps + 3,
            checkpointing=options.checkpointing,
        )
        for axis in axes:
            values = options.values or AXES[axis][1][: 2 if options.fast else None]
            result["axes"][axis] = _along(axis, values, job, options)
    common.report(options, "growth", result, curves(_curves(result["axes"])))
    return result


def varied(base: Shape, axis: str, value: int) -> Shape:
    """The base with one dimension changed; prompts of other lengths keep a small image."""
    shape = replace(base, **{axis: value})
    return replace(shape, image=min(base.image, 64)) if axis == "prompt" else shape


def _along(axis: str, values: Sequence[int], job: Job, options: argparse.Namespace) -> list[dict[str, Any]]:
    """All values and sides take turns, so that a slow minute of the machine is slow for all of them."""
    jobs: dict[Point, Job] = {}
    sides = available(options.sides)
    for value in values:
        shape = varied(job.shape, axis, value)
        size = min(options.micro_batch, shape.samples)
        for name in sides:
            if shape.group >= SMALLEST_GROUP[name]:
                jobs[value, name] = replace(job, side=name, shape=shape, micro_batch=size)
    found: dict[Point, Answers] = {}
    slow: set[str] = set()
    for together in [[point] for point in jobs] if options.alone else [list(jobs)]:
        with ExitStack() as started:
            running: dict[Point, Side] = {}
            for point in together:
                if point[1] not in slow:
                    running[point] = started.enter_context(Side(jobs[point]))
                    if running[point].ask(do="step")["step"] > options.limit:
                        slow.add(point[1])
            found |= turns(running, options.steps, per_turn=PER_TURN, do="step")
    points = []
    for value in dict.fromkeys(value for value, _ in found):
        here = {name: answers for (at, name), answers in found.items() if at == value}
        points.append(
            {
                "value": value,
                "samples": varied(job.shape, axis, value).samples,
                "steps": {name: phases(answers) for name, answers in here.items()},
                "over": {name: over_first(name, answers, found) for name, answers in here.items()},
            }
        )
    return points


def over_first(name: str, answers: Answers, found: dict[Point, Answers]) -> dict[str, dict[str, float]]:
    """A later step over the side's own at its first value, round by round. A side that cannot begin where
    the plain loop does (TRL with a group of one) is also held against the plain loop there."""
    first = next(point for point in found if point[1] == name)
    compared = {f"its own at {first[0]}": found[first]}
    start = (next(iter(found))[0], "plain")
    if start[0] != first[0] and start in found:
        compared[f"the plain loop's at {start[0]}"] = found[start]
    return {label: ratios(answers, base)["step"] for label, base in compared.items() if base is not answers}


def _curves(axes: dict[str, Any]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    charts: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for axis, points in axes.items():
        lines = charts[f"seconds per sample by {AXES[axis][0]}"] = {}
        for point in points:
            for side, steps in point["steps"].items():
                per_sample = steps["step"]["median"] / point["samples"]
                lines.setdefault(side, []).append((point["value"], per_sample))
    return charts


if __name__ == "__main__":
    main()
