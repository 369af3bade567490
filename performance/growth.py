"""How a step's time grows with one dimension of a shape, ours beside TRL's.

python -m performance.growth --device cpu
"""

import json
from dataclasses import asdict, replace
from typing import Any

from performance import options as common
from performance.picture import Curves, curves
from performance.race import available, phases, race, sides
from performance.table import markdown
from performance.work import SHAPES, Job, Shape

BASE = SHAPES["482+100"]
AXES: dict[str, tuple[int, ...]] = {
    "group": (1, 2, 4, 8, 16, 32),
    "prompt": (120, 240, 482, 964),
    "image": (16, 64, 256, 400),
    "completion": (25, 50, 100, 200),
    "prompts": (1, 2, 4, 8, 16),
}
NAMES = {
    "group": "samples of a prompt",
    "prompt": "prompt tokens",
    "image": "image tokens of the prompt",
    "completion": "completion tokens",
    "prompts": "prompts of a step",
}
SMALLEST = {"trl": 2}
"""TRL's groups have at least two samples."""


def varied(base: Shape, axis: str, value: int) -> Shape:
    """The base with one dimension changed; prompts of other lengths keep a small image."""
    shape = replace(base, **{axis: value})
    return replace(shape, image=min(base.image, 64)) if axis == "prompt" else shape


def main(given: list[str] | None = None) -> dict[str, Any]:
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--axis", action="append", choices=AXES)
    parser.add_argument("--sides", nargs="+", default=["ours", "trl"])
    parser.add_argument("--micro-batch", type=int, default=16, help="of the others")
    parser.add_argument("--limit", type=float, default=60.0, help="a side leaves where a step takes longer")
    parser.set_defaults(steps=3)
    options = common.read(parser, given)
    base = common.small(BASE) if options.fast else BASE
    result: dict[str, Any] = {"machine": common.machine(options), "base": asdict(base), "axes": {}}
    with common.model_folder(options) as model:
        job = Job(side="", shape=base, model=model, device=options.device, fresh=options.steps + 3)
        job = replace(job, checkpointing=options.checkpointing)
        for axis in options.axis or AXES:
            values = (2,) if options.fast and axis in {"group", "prompts"} else AXES[axis]
            if not options.fast or axis in {"group", "prompts"}:
                result["axes"][axis] = _along(axis, values, job, options)
    path = common.write(options, "growth", result, curves(_curves(result)))
    print(markdown(json.loads(path.read_text())), path, sep="\n")
    return result


def _along(axis: str, values: tuple[int, ...], job: Job, options: Any) -> list[dict[str, Any]]:
    racing = available(options.sides)
    points = []
    for value in values:
        shape = varied(job.shape, axis, value)
        micro_batch = min(options.micro_batch, shape.samples)
        names = [n for n in racing if shape.group >= SMALLEST.get(n, 1)]
        jobs = [replace(job, side=name, shape=shape, micro_batch=micro_batch) for name in names]
        with sides(jobs) as running:
            steps = {
                name: phases(found) for name, found in race(running, options.steps, 1, do="step").items()
            }
        points.append({"value": value, "samples": shape.samples, "steps": steps})
        slow = {name for name, found in steps.items() if found["step"]["median"] > options.limit}
        racing = [name for name in racing if name not in slow]
        print(
            axis,
            value,
            {name: round(found["step"]["median"], 3) for name, found in steps.items()},
            flush=True,
        )
    return points


def _curves(result: dict[str, Any]) -> list[Curves]:
    charts = []
    for axis, points in result["axes"].items():
        sides_seen = dict.fromkeys(name for point in points for name in point["steps"])
        lines = {
            side: [
                (float(p["value"]), p["steps"][side]["step"]["median"] / p["samples"])
                for p in points
                if side in p["steps"]
            ]
            for side in sides_seen
        }
        title = f"A step's time per sample by {NAMES[axis]}"
        charts.append(Curves(title=title, x_label=NAMES[axis], y_label="s per sample", points=lines))
    return charts


if __name__ == "__main__":
    main()
