"""RL step, rollout, update, supervised step and memory, ours beside TRL's and a plain loop's.

python -m performance.compare --device cpu
"""

import argparse
import json
from dataclasses import asdict, replace
from typing import Any

from performance import options as common
from performance.floor import Rates, count, floors, measure
from performance.picture import Bars, bars
from performance.race import (
    MEMORY_STEPS,
    Steps,
    available,
    fastest_micro_batch,
    gradient_gaps,
    phases,
    race_all,
    ratios,
)
from performance.table import markdown
from performance.work import SHAPES, Job, Shape

WARMUP = 2
GRADIENT_TOLERANCE = 1e-3
MICRO_BATCHES = (8, 16, 32, 64, 256)
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}
"""Dense bfloat16 operations a second by the makers' data sheets; elsewhere the measured rate is used."""


def main(given: list[str] | None = None) -> dict[str, Any]:
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument(
        "--shape", action="append", choices=SHAPES, help="default: three on a CPU, one on a GPU"
    )
    parser.add_argument("--sides", nargs="+", default=["ours", "plain", "trl"])
    parser.add_argument(
        "--micro-batch", type=int, default=0, help="of the others; 0 tries and takes the fastest"
    )
    parser.add_argument("--alone", action="store_true", help="one side after the other, not in turn")
    options = common.read(parser, given)
    names = options.shape or (["1400+350"] if options.device != "cpu" else list(SHAPES)[:3])
    with common.model_folder(options) as model:
        rates = measure(options.device, model)
        result: dict[str, Any] = {"machine": common.machine(options), "rates": asdict(rates), "shapes": {}}
        for name in names:
            shape = common.small(SHAPES[name]) if options.fast else SHAPES[name]
            result["shapes"][name] = one_shape(shape, model, rates, result["machine"], options)
    path = common.write(options, "compare", result, bars(_bars(result)))
    print(markdown(json.loads(path.read_text())), path, sep="\n")
    return result


def one_shape(
    shape: Shape, model: str, rates: Rates, machine: dict[str, Any], options: argparse.Namespace
) -> dict[str, Any]:
    """Everything that is measured of one shape. Raises RuntimeError where the work is not the same."""
    job = Job(
        side="ours",
        shape=shape,
        model=model,
        device=options.device,
        checkpointing=options.checkpointing,
        fresh=2 * (WARMUP + options.steps + MEMORY_STEPS + 1),
    )
    names = available(options.sides)
    tried = {
        name: {str(options.micro_batch): 0.0}
        if options.micro_batch
        else fastest_micro_batch(replace(job, side=name), MICRO_BATCHES)
        for name in names
        if name != "ours"
    }
    chosen = {name: int(min(seconds, key=lambda size: seconds[size])) for name, seconds in tried.items()}
    jobs = [replace(job, side=name, micro_batch=chosen.get(name, 0)) for name in names]
    gaps = gradient_gaps(jobs) if options.size == "tiny" else {}
    step: dict[str, Any] = {"do": "step"}
    rounds = [
        (options.steps, WARMUP, step),
        (MEMORY_STEPS, 0, step | {"memory": True}),
        (options.steps, WARMUP, {"do": "sft"}),
    ]
    steps, memory, sft = race_all(jobs, rounds, alone=options.alone)
    parameters = count(model)
    _require_same_work(shape, steps, gaps)
    width = 2 if options.device != "cpu" else 4
    floor = floors(model, shape, parameters, rates, width)
    return {
        "shape": asdict(shape),
        "parameters": parameters,
        "micro_batch": {name: {"chosen": chosen[name], "seconds": tried[name]} for name in chosen},
        "gradient_gap": gaps,
        "steps": {name: phases(answers) for name, answers in steps.items()},
        "ratios": {name: ratios(steps[name], steps["ours"]) for name in names if name != "ours"},
        "memory": {name: phases(answers) for name, answers in memory.items()},
        "sft": {name: phases(answers) for name, answers in sft.items()},
        "sft_ratio": ratios(sft["plain"], sft["ours"]) if "plain" in sft else {},
        "floor": floor,
        "rates": speeds(shape, steps, floor, _peak(machine, rates)),
    }


def _peak(machine: dict[str, Any], rates: Rates) -> float:
    known = [peak for name, peak in PEAKS.items() if name in machine.get("gpu", "")]
    return known[0] if known else rates.large_flops


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


def _require_same_work(shape: Shape, steps: Steps, gaps: dict[str, float]) -> None:
    for name, answers in steps.items():
        wrong = {answer["tokens"] for answer in answers} - {shape.samples * shape.completion}
        if wrong:
            raise RuntimeError(f"{name} wrote {wrong} tokens, not {shape.samples * shape.completion}")
    for name, gap in gaps.items():
        if not gap < GRADIENT_TOLERANCE:
            raise RuntimeError(f"the gradient of {name} differs from ours by {gap:.2g}")


def _bars(result: dict[str, Any]) -> list[Bars]:
    return [
        Bars(
            title=f"{phase}, {name} tokens",
            unit="s",
            values={side: values[phase] for side, values in found["steps"].items()},
        )
        for name, found in result["shapes"].items()
        for phase in ("step", "rollout", "update")
    ]


if __name__ == "__main__":
    main()
