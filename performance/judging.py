"""Judging with K votes, ours beside `generate(num_return_sequences=K)`.

python -m performance.judging --device cpu
"""

from dataclasses import asdict
from typing import Any

from performance import options as common
from performance.picture import bars
from performance.race import phases, race, ratios
from performance.work import SHAPES, Job, Shape
from stablereward.policies.shipped import model_folder

VOTES = 15
DEMO = Shape(prompt=30, completion=96, prompts=1)
"""The toy's prompts have their own length; its judge may write 96 tokens, as in the recipe's `tiny`."""
SHARED = Shape(prompt=482, completion=60, prompts=1, image=256)


def main(given: list[str] | None = None) -> dict[str, Any]:
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=200)
    parser.set_defaults(steps=1)
    options = common.read(parser, given)
    votes, num = (3, 4) if options.fast else (VOTES, options.pairs)
    long, shared = common.sized(SHAPES["482+100"], options), common.sized(SHARED, options)
    result: dict[str, Any] = {
        "machine": common.machine(options),
        "votes": votes,
        "pairs": num,
        "shape": asdict(long),
        "shared_shape": asdict(shared),
    }
    request = {"do": "judge", "pairs": num, "votes": votes, "seed": 1, "toy": False, "one_by_one": False}
    with common.model_folder(options) as model:
        demo = _jobs(common.sized(DEMO, options), str(model_folder("toy")), options)
        result["demo"] = _race(demo, request | {"toy": True}, options.steps)
        result["long"] = _race(_jobs(long, model, options), request, options.steps)
        few = {**request, "pairs": min(num, 8), "one_by_one": True}
        rounds = [(max(3, options.steps), 1, few | {"votes": k}) for k in (votes, 1)]
        many, one = race(_jobs(shared, model, options), rounds)
    result["shared"] = {
        side: phases(many[side])["step"]["median"] / phases(one[side])["step"]["median"] for side in many
    }
    charts = {
        f"{votes} votes on {num} pairs, {name}": {
            side: found["step"] for side, found in result[key]["steps"].items()
        }
        for key, name in (("demo", "the demo's shape"), ("long", "482+100 tokens"))
    }
    common.report(options, "judging", result, bars(charts))
    return result


def _jobs(shape: Shape, model: str, options: Any) -> list[Job]:
    sides = ("ours", "plain")
    return [Job(side=s, shape=shape, model=model, device=options.device, fresh=1) for s in sides]


def _race(jobs: list[Job], request: dict[str, Any], steps: int) -> dict[str, Any]:
    warm_up = (1, 0, request | {"pairs": min(request["pairs"], 8)})
    _, answers = race(jobs, [warm_up, (steps, 0, request)])
    return {
        "steps": {name: phases(found) for name, found in answers.items()},
        "ratio": ratios(answers["plain"], answers["ours"]),
    }


if __name__ == "__main__":
    main()
