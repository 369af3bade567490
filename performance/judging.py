"""Judging with K votes, ours beside `generate(num_return_sequences=K)`.

python -m performance.judging --device cpu
"""

import json
from dataclasses import asdict
from typing import Any

from performance import options as common
from performance.picture import Bars, bars
from performance.race import phases, race_all, ratios
from performance.table import markdown
from performance.work import SHAPES, Job, Shape
from stablereward.policies.shipped import model_folder

VOTES = 15
DEMO_LENGTH = 96
"""Tokens that the demo's judge may write, `recipes.r1_reward.tiny`."""
SHARED = Shape(prompt=482, completion=60, prompts=1, image=256)


def main(given: list[str] | None = None) -> dict[str, Any]:
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=200)
    parser.set_defaults(steps=1)
    options = common.read(parser, given)
    votes, num = (3, 4) if options.fast else (VOTES, options.pairs)
    long = common.small(SHAPES["482+100"]) if options.fast else SHAPES["482+100"]
    shared = common.small(SHARED) if options.fast else SHARED
    result: dict[str, Any] = {
        "machine": common.machine(options),
        "votes": votes,
        "pairs": num,
        "shape": asdict(long),
        "shared_shape": asdict(shared),
    }
    # The toy's prompts have their own length; the shape only bounds what is written.
    demo = Shape(prompt=30, completion=6 if options.fast else DEMO_LENGTH, prompts=1)
    toy: dict[str, Any] = {"pairs": num, "seed": 1, "toy": True, "one_by_one": False}
    asked = {**toy, "toy": False}
    with common.model_folder(options) as model:
        result["demo"] = _race(demo, str(model_folder("toy")), options, votes=votes, **toy)
        result["long"] = _race(long, model, options, votes=votes, **asked)
        few = {**asked, "pairs": min(num, 8), "one_by_one": True}
        jobs = _jobs(shared, model, options)
        rounds = [(max(3, options.steps), 1, {"do": "judge", **few, "votes": k}) for k in (votes, 1)]
        many, one = race_all(jobs, rounds, alone=False)
    result["shared"] = {
        side: phases(many[side])["step"]["median"] / phases(one[side])["step"]["median"] for side in many
    }
    charts = [
        Bars(
            title=f"{votes} votes on {num} pairs, {name}",
            unit="s",
            values={side: found["step"] for side, found in result[key]["steps"].items()},
        )
        for key, name in (("demo", "the demo's shape"), ("long", "482+100 tokens"))
    ]
    path = common.write(options, "judging", result, bars(charts))
    print(markdown(json.loads(path.read_text())), path, sep="\n")
    return result


def _jobs(shape: Shape, model: str, options: Any) -> list[Job]:
    sides = ("ours", "plain")
    return [Job(side=s, shape=shape, model=model, device=options.device, fresh=1) for s in sides]


def _race(shape: Shape, model: str, options: Any, **request: Any) -> dict[str, Any]:
    asked = {"do": "judge", **request}
    warm_up = (1, 0, {**asked, "pairs": min(asked["pairs"], 8)})
    _, answers = race_all(_jobs(shape, model, options), [warm_up, (options.steps, 0, asked)], alone=False)
    return {
        "steps": {name: phases(found) for name, found in answers.items()},
        "ratio": ratios(answers["plain"], answers["ours"]),
    }


if __name__ == "__main__":
    main()
