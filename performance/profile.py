"""Where the seconds of our rollout and update go, by part and by kind of operation.

python -m performance.profile --shape 482+100
"""

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

from torch.profiler import ProfilerActivity, profile

from performance import options as common
from performance.side_ours import Ours
from performance.work import SHAPES, Job
from stablereward.engines.engine import Sampling
from stablereward.training.policy_gradient import Share, policy_loss

KINDS = {
    "attention": ("scaled_dot_product", "bmm", "softmax"),
    "matrix products": ("mm", "convolution"),
    "copies and gathers": ("copy_", "cat", "index", "gather", "scatter", "fill_", "masked_select", "sort"),
    "element by element": ("",),
}
"""By parts of an operation's name, the first that fits; attention while decoding is made of products."""
ROUNDS = 5


def main(given: list[str] | None = None) -> dict[str, Any]:
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="482+100")
    options = common.read(parser, given)
    shape = common.sized(SHAPES[options.shape], options)
    with common.model_folder(options) as model:
        job = Job(side="ours", shape=shape, model=model, device=options.device, fresh=ROUNDS + 3)
        ours = Ours(job)
    shares = next(ours.collector.batches(ours.prompts, seed=0))
    prompts, sampling = ours.prompts[: shape.prompts], _sampling(ours)
    found = {
        "parts": _parts(ours, shares),
        "rollout": _kinds(lambda: ours.engine.engine.sample(prompts, sampling)),
        "update": _kinds(lambda: _update(ours, shares)),
    }
    print("seconds:", ", ".join(f"{name} {seconds:.3f}" for name, seconds in found["parts"].items()))
    print("\n| share of the time under the profiler | rollout | update |\n| --- | --- | --- |")
    for kind in found["rollout"]:
        print(f"| {kind} | {found['rollout'][kind]:.0%} | {found['update'][kind]:.0%} |")
    return found


def _sampling(ours: Ours) -> Sampling:
    shape = ours.job.shape
    return Sampling(num_generations=shape.group, max_completion_length=shape.completion)


def _parts(ours: Ours, shares: list[Share]) -> dict[str, float]:
    """Medians over fresh prompts: encoding, reading the prompts, writing, and the update's passes."""
    num, engine, sampling = ours.job.shape.prompts, ours.engine.engine, _sampling(ours)
    first = replace(sampling, max_completion_length=1)
    made: dict[str, list[float]] = {"encode": [], "read": [], "write": [], "update": []}
    for start in range(num, num * (ROUNDS + 1), num):
        prompts = ours.prompts[start : start + num]
        made["encode"].append(_seconds(lambda: ours.policy.encode_all(prompts)))  # noqa: B023
        made["read"].append(_seconds(lambda: engine.sample(prompts, first)))  # noqa: B023
        made["write"].append(_seconds(lambda: engine.sample(prompts, sampling)) - made["read"][-1])  # noqa: B023
        made["update"].append(_seconds(lambda: _update(ours, shares)))
    return {name: median(seconds) for name, seconds in made.items()}


def _update(ours: Ours, shares: list[Share]) -> None:
    """Forward and backward of one collection."""
    for share in shares:
        policy_loss(ours.collector.family.score, ours.objective, share).value.backward()  # type: ignore[no-untyped-call]
    ours.policy.zero_grad()


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _kinds(work: Callable[[], Any]) -> dict[str, float]:
    """Shares of the time by kind of operation; what is in no operation is Python and its calls."""
    work()
    start = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        work()
    whole = time.perf_counter() - start
    shares = dict.fromkeys([*KINDS, "Python and calls"], 0.0)
    for event in watched.key_averages():
        if event.key.startswith("aten::"):
            kind = next(k for k, names in KINDS.items() if any(name in event.key for name in names))
            shares[kind] += event.self_cpu_time_total / 1e6 / whole
    shares["Python and calls"] = 1 - sum(shares.values())
    return shares


if __name__ == "__main__":
    main()
