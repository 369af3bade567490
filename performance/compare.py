"""RL step, rollout, update, supervised step and memory, ours beside TRL's and a plain loop's.

python -m performance.compare --device cpu
"""

import argparse
from dataclasses import asdict, replace
from typing import Any

import torch

from performance import options as common
from performance.device import Device, peak_rate
from performance.floor import Rates, count, floors, measure
from performance.picture import bars
from performance.race import (
    Steps,
    available,
    fastest_micro_batch,
    gradient_gaps,
    phases,
    race,
    ratios,
)
from performance.work import SHAPES, Job, Shape

WARMUP, MEMORY_STEPS = 2, 2
GRADIENT_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 3e-2}
"""bfloat16 itself moves a gradient by about a hundredth."""
MICRO_BATCHES = (8, 16, 32, 64, 256)


def main(given: list[str] | None = None) -> dict[str, Any]:
    parser = common.parser(__doc__.splitlines()[0], "ours", "plain", "trl")
    parser.add_argument(
        "--shape", action="append", choices=SHAPES, help="default: three on a CPU, one on a GPU"
    )
    parser.add_argument("--per-turn", type=int, default=2, help="steps of a turn, of which the last counts")
    options = common.read(parser, given)
    device = Device(options.device)
    names = options.shape or (["1400+350"] if device.like_gpu else list(SHAPES)[:3])
    machine = common.machine(options)
    with common.model_folder(options) as model:
        rates = measure(device, model)
        peak = peak_rate(machine["gpu"], rates.large_flops)
        shapes = {
            name: one_shape(common.sized(SHAPES[name], options), model, rates, peak, options)
            for name in names
        }
    result = {"machine": machine, "rates": asdict(rates), "shapes": shapes}
    charts = {
        f"{phase}, {name} tokens": {side: values[phase] for side, values in found["steps"].items()}
        for name, found in shapes.items()
        for phase in ("step", "rollout", "update")
    }
    common.report(options, "compare", result, bars(charts))
    return result


def one_shape(
    shape: Shape, model: str, rates: Rates, peak: float, options: argparse.Namespace
) -> dict[str, Any]:
    """Everything that is measured of one shape. Raises RuntimeError where the work is not the same."""
    job = Job(
        side="ours",
        shape=shape,
        model=model,
        device=options.device,
        checkpointing=options.checkpointing,
        fresh=2 * (WARMUP + options.per_turn * (options.steps + MEMORY_STEPS) + 1),
    )
    device, parameters = Device(options.device), count(model)
    names = available(options.sides)
    others = [replace(job, side=name) for name in names if name != "ours"]
    gaps = gradient_gaps([job, *others])
    _require_equal_gradients(gaps, GRADIENT_TOLERANCE[device.number])
    micro_batches = {other.side: _micro_batch(other, options.micro_batch) for other in others}
    jobs = [job, *(replace(o, micro_batch=micro_batches[o.side]["chosen"]) for o in others)]
    rounds: list[tuple[int, int, dict[str, Any]]] = [
        (options.steps, WARMUP, {"do": "step"}),
        (MEMORY_STEPS, 0, {"do": "step", "memory": True}),
        (options.steps, WARMUP, {"do": "sft"}),
    ]
    steps, memory, sft = race(jobs, rounds, alone=options.alone, per_turn=options.per_turn)
    _require_every_token(shape, steps)
    floor = floors(model, shape, parameters, rates, device)
    return {
        "shape": asdict(shape),
        "parameters": parameters,
        "micro_batch": micro_batches,
        "gradient_gap": gaps,
        "steps": {name: phases(answers) for name, answers in steps.items()},
        "ratios": {other.side: ratios(steps[other.side], steps["ours"]) for other in others},
        "memory": {name: phases(answers) for name, answers in memory.items()},
        "sft": {name: phases(answers) for name, answers in sft.items()},
        "sft_ratio": ratios(sft["plain"], sft["ours"]) if "plain" in sft else {},
        "floor": floor,
        "rates": speeds(shape, steps, floor, peak),
    }


def _micro_batch(job: Job, given: int | None) -> dict[str, Any]:
    """The one that was asked for, or the fastest, with the seconds of those that were tried."""
    if given:
        return {"chosen": given, "seconds": {}}
    seconds = fastest_micro_batch(job, MICRO_BATCHES)
    return {"chosen": int(min(seconds, key=lambda size: seconds[size])), "seconds": seconds}


def speeds(shape: Shape, steps: Steps, floor: dict[str, Any], peak: float) -> dict[str, Any]:
    """Tokens a second of the step; distance to the floor; share of the peak rate (MFU).

    The operations are those that the shape needs, the same for all sides: reading a prompt eight times
    is no achievement.
    """
    made = {}
    for name, answers in steps.items():
        seconds = {phase: values["median"] for phase, values in phases(answers).items()}
        made[name] = {
            "tokens_per_second": shape.samples * shape.completion / seconds["step"],
            "distance": {phase: seconds[phase] / floor[phase]["seconds"] for phase in floor},
            "mfu": {phase: floor[phase]["flops"] / seconds[phase] / peak for phase in floor},
        }
    return made


def _require_equal_gradients(gaps: dict[str, float], tolerance: float) -> None:
    for name, gap in gaps.items():
        if not gap < tolerance:
            raise RuntimeError(f"the gradient of {name} differs from ours by {gap:.2g}")


def _require_every_token(shape: Shape, steps: Steps) -> None:
    for name, answers in steps.items():
        wrong = {answer["tokens"] for answer in answers} - {shape.samples * shape.completion}
        if wrong:
            raise RuntimeError(f"{name} wrote {wrong} tokens, not {shape.samples * shape.completion}")


if __name__ == "__main__":
    main()
