import asyncio
import math
import random
import threading
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from stablereward.engines.engine import Sampling
from stablereward.engines.http import OpenAIServer
from stablereward.errors import ConfigError
from stablereward.rewards.reward import RewardFunction, Sample, Scoring, apply, is_async, score
from stablereward.types import Completion, Failure, Prompt, Reward
from tests.loopback import Request, loopback, says


def samples(*texts: str) -> list[Sample]:
    return [Sample(prompt=Prompt.user(text="q"), completion=Completion(text=text)) for text in texts]


def scored(reward: RewardFunction, *texts: str, max_concurrency: int = 32) -> list[Reward | Failure]:
    return asyncio.run(score(samples(*texts), reward, max_concurrency=max_concurrency))


def one_by_one(reward: RewardFunction, *texts: str, max_concurrency: int = 32) -> list[Reward | Failure]:
    with Scoring(reward, max_concurrency=max_concurrency) as scoring:
        for sample in samples(*texts):
            scoring.ask(sample)
        return scoring.outcomes()


both_ways = pytest.mark.parametrize("scored", [scored, one_by_one])

Scored = Callable[..., list[Reward | Failure]]


@both_ways
def test_plain_and_async_functions_score_alike(scored: Scored) -> None:
    def length(sample: Sample) -> Reward:
        return Reward(value=len(sample.completion.text), parts={"length": len(sample.completion.text)})

    async def slow_length(sample: Sample) -> Reward:
        await asyncio.sleep(0)
        return length(sample)

    expected = [Reward(value=n, parts={"length": n}) for n in (1, 3, 0)]
    assert scored(length, "a", "bbb", "") == scored(slow_length, "a", "bbb", "") == expected


@both_ways
def test_an_exception_fails_its_sample_alone_and_is_never_a_value(scored: Scored) -> None:
    def fragile(sample: Sample) -> Reward:
        return Reward(value=1 / len(sample.completion.text))

    async def fragile_later(sample: Sample) -> Reward:
        await asyncio.sleep(0)
        return fragile(sample)

    for reward in (fragile, fragile_later):
        first, second, third = scored(reward, "ab", "", "abcd")
        assert (first, third) == (Reward(value=0.5), Reward(value=0.25))
        assert second == Failure(reason="reward_raised", detail="ZeroDivisionError: division by zero")


def test_a_failure_passes_unchanged() -> None:
    failure = Failure(reason="mine", detail="why")
    assert scored(lambda _: failure, "a") == [failure]


@pytest.mark.parametrize(
    "reward", [Reward(value=math.nan), Reward(value=math.inf), Reward(value=0.0, parts={"x": -math.inf})]
)
def test_a_number_that_is_not_finite_is_a_failure(reward: Reward) -> None:
    [outcome] = scored(lambda _: reward, "a")
    assert isinstance(outcome, Failure)
    assert outcome.reason == "non_finite_reward"


def test_a_bare_number_is_not_a_reward() -> None:
    [outcome] = scored(lambda _: 1.0, "a")  # type: ignore[arg-type, return-value]
    assert isinstance(outcome, Failure)
    assert outcome.reason == "reward_raised"
    assert "float" in outcome.detail


def test_cancellation_is_not_a_failure() -> None:
    async def forever(_: Sample) -> Reward:
        await asyncio.sleep(60)
        return Reward(value=0.0)

    async def run() -> None:
        async with asyncio.timeout(0.05):
            await score(samples("a"), forever)

    with pytest.raises(TimeoutError):
        asyncio.run(run())


@both_ways
def test_an_interrupt_is_not_a_failure(scored: Scored) -> None:
    def interrupted(_: Sample) -> Reward:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scored(interrupted, "a")


@both_ways
@pytest.mark.parametrize("limit", [1, 3])
def test_concurrency_is_bounded(limit: int, scored: Scored) -> None:
    under_way, most = 0, 0

    async def reward(_: Sample) -> Reward:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.005)
        under_way -= 1
        return Reward(value=0.0)

    scored(reward, *"abcdefg", max_concurrency=limit)
    assert most == limit


@both_ways
def test_no_room_at_all_is_refused(scored: Scored) -> None:
    with pytest.raises(ConfigError, match="max_concurrency"):
        scored(lambda _: Reward(value=0.0), "a", max_concurrency=0)


def test_concurrent_samples_never_receive_each_others_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    delays = random.Random(0)

    def doubled(request: Request) -> object:
        return says(str(2 * int(request.text)), delay=delays.uniform(0.0, 0.03))

    async def run() -> list[Reward | Failure]:
        async with loopback(doubled) as server:  # type: ignore[arg-type]
            engine = OpenAIServer(base_url=server.base_url, model="m", max_concurrency=16)

            async def asked(sample: Sample) -> Reward | Failure:
                [answer] = await engine.generate([Prompt.user(text=sample.completion.text)], Sampling())
                return answer if isinstance(answer, Failure) else Reward(value=float(answer[0].text))

            return await score(samples(*map(str, range(60))), asked, max_concurrency=16)

    assert asyncio.run(run()) == [Reward(value=2.0 * i) for i in range(60)]


def test_apply_raises_what_the_function_raises() -> None:
    def broken(_: Sample) -> Reward | Awaitable[Reward]:
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        asyncio.run(apply(broken, samples("a")[0]))  # type: ignore[arg-type]


def test_what_is_asked_is_under_way_before_the_rest_is_there() -> None:
    called = threading.Event()

    async def reward(sample: Sample) -> Reward:
        called.set()
        # The later, the sooner it answers.
        await asyncio.sleep(0.02 / len(sample.completion.text))
        return Reward(value=float(len(sample.completion.text)))

    with Scoring(reward) as scoring:
        scoring.ask(samples("a")[0])
        assert called.wait(10)
        for sample in samples("bb", "ccc"):
            scoring.ask(sample)
        assert scoring.outcomes() == [Reward(value=1.0), Reward(value=2.0), Reward(value=3.0)]


def test_leaving_early_cancels_what_is_under_way() -> None:
    called, ended = threading.Event(), []

    async def reward(sample: Sample) -> Reward:
        called.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(sample.completion.text)
        return Reward(value=0.0)

    before = set(threading.enumerate())
    with pytest.raises(LookupError), Scoring(reward) as scoring:
        scoring.ask(samples("a")[0])
        assert called.wait(10)
        raise LookupError
    assert ended == ["a"]
    assert set(threading.enumerate()) <= before


def test_scoring_needs_no_loop_and_disturbs_none() -> None:
    async def run() -> list[Reward | Failure]:
        return one_by_one(lambda _: Reward(value=1.0), "a")

    assert asyncio.run(run()) == [Reward(value=1.0)]


def test_what_is_asked_after_an_interrupt_is_not_lost_in_silence() -> None:
    raised = threading.Event()

    async def interrupted(_: Sample) -> Reward:
        raised.set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Scoring(interrupted) as scoring:
        for sample in samples("a", "b", "c"):
            scoring.ask(sample)
            assert raised.wait(10)
        scoring.outcomes()


def test_what_is_async() -> None:
    class Asked:
        async def __call__(self, _: Sample) -> Reward:
            return Reward(value=0.0)

    async def written(_: Sample, weight: float = 1.0) -> Reward:
        return Reward(value=weight)

    assert is_async(written) and is_async(partial(written, weight=2.0)) and is_async(Asked())
    assert not is_async(lambda _: Reward(value=0.0))
