"""Rewards asked while others are still written change when they are asked, and nothing else."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest
import torch

from stablereward.data.prompts import r1_reward
from stablereward.data.toy.pairs import pairs
from stablereward.engines.engine import Engine, Finished, Sampling
from stablereward.engines.hf import HFEngine
from stablereward.engines.http import OpenAIServer
from stablereward.errors import TrainingError
from stablereward.objectives.named import remax, stable_reinforce
from stablereward.policies.token import TokenPolicy
from stablereward.recipes.completions import completion_collector
from stablereward.rewards.reward import RewardFunction, Sample
from stablereward.training.collect import Collected
from stablereward.training.policy_gradient import RLConfig
from stablereward.types import Completion, Failure, Prompt, Reward
from tests.loopback import Reply, Request, loopback, says

CONFIG = RLConfig(
    temperature=3.0,
    num_updates=1,
    prompts_per_batch=4,
    num_generations=3,
    updates_per_batch=1,
    max_completion_length=12,
    max_failure_rate=0.5,
)
PATIENCE_S = 20.0
"""How long a test waits for what has to happen before it fails."""


@pytest.fixture(scope="module")
def policy() -> TokenPolicy:
    return TokenPolicy.load("toy-base", device="cpu")


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    return [r1_reward(pair.preference()) for pair in pairs(4, seed=3)]


def in_batches(policy: TokenPolicy) -> HFEngine:
    """One prompt a batch."""
    return HFEngine(policy, max_batch_tokens=1)


@dataclass
class OnlyGenerate:
    """What any engine has."""

    engine: HFEngine

    async def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> list[tuple[Completion, ...] | Failure]:
        return await self.engine.generate(prompts, sampling)


@dataclass
class Watched(OnlyGenerate):
    """Calls `after` with the number of completions written, each time there is another."""

    after: Callable[[int], None]
    written: list[Completion] = field(default_factory=list)

    def stream(
        self, prompts: Sequence[Prompt], sampling: Sampling, finished: Finished
    ) -> list[tuple[Completion, ...] | Failure]:
        def told(place: int, number: int, completion: Completion) -> None:
            self.written.append(completion)
            finished(place, number, completion)
            self.after(len(self.written))

        return self.engine.stream(prompts, sampling, told)


def plain(sample: Sample) -> Reward:
    text = sample.completion.text
    return Reward(value=sum(text.count(v) for v in "aeiou") / (1 + len(text)), parts={"vowels": 1.0})


async def waiting(sample: Sample) -> Reward:
    """Longer texts are rewarded sooner: never in the order in which they were asked for."""
    await asyncio.sleep(0.02 / (1 + len(sample.completion.text)))
    return plain(sample)


def collected(
    policy: TokenPolicy, engine: Engine, reward: RewardFunction, prompts: Sequence[Prompt]
) -> Collected:
    collector = completion_collector(policy, engine, reward, stable_reinforce(), CONFIG)
    next(collector.batches(prompts, seed=0))
    assert collector.last is not None
    return collector.last


@contextmanager
def served(reply: Callable[[Request], Reply]) -> Iterator[str]:
    """The address of a server in a thread of its own, so that it answers while the test computes."""
    address: list[str] = []
    up, down = threading.Event(), threading.Event()

    async def serve() -> None:
        async with loopback(reply) as server:
            address.append(server.base_url)
            up.set()
            await asyncio.to_thread(down.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert up.wait(PATIENCE_S)
        yield address[0]
    finally:
        down.set()
        thread.join()


def asking(address: str) -> RewardFunction:
    """The number that the server says of a completion."""
    referee = OpenAIServer(base_url=address, model="referee", retries=0)

    async def reward(sample: Sample) -> Reward | Failure:
        [answer] = await referee.generate([Prompt.user(text=sample.completion.text)], Sampling())
        return answer if isinstance(answer, Failure) else Reward(value=float(answer[0].text))

    return reward


@pytest.fixture(autouse=True)
def nothing_runs_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def test_when_a_reward_is_asked_changes_nothing(policy: TokenPolicy, prompts: list[Prompt]) -> None:
    expected = collected(policy, OnlyGenerate(in_batches(policy)), plain, prompts)
    assert len({r.value for g in expected.groups for r in g.rewards if isinstance(r, Reward)}) > 6
    streaming: list[HFEngine] = [in_batches(policy), HFEngine(policy, max_batch_tokens=600), HFEngine(policy)]
    for engine in (*streaming, OnlyGenerate(streaming[0])):
        for reward in (plain, waiting):
            found = collected(policy, engine, reward, prompts)
            assert [g.prompt for g in found.groups] == prompts
            assert [[c.token_ids for c in g.trajectories] for g in found.groups] == [
                [c.token_ids for c in g.trajectories] for g in expected.groups
            ]
            assert [g.rewards for g in found.groups] == [g.rewards for g in expected.groups]
            assert found.advantages == expected.advantages
    assert policy.training


def test_the_greedy_answer_is_rewarded_too(policy: TokenPolicy, prompts: list[Prompt]) -> None:
    spreads = []
    for reward in (plain, waiting):
        collector = completion_collector(policy, in_batches(policy), reward, remax(), CONFIG)
        next(collector.batches(prompts, seed=0))
        assert collector.last is not None
        spreads.append(collector.last.advantages)
    assert spreads[0] == spreads[1]


def test_the_greedy_answer_is_what_each_sample_is_held_against(
    policy: TokenPolicy, prompts: list[Prompt]
) -> None:
    collector = completion_collector(policy, HFEngine(policy), plain, remax(), CONFIG)
    next(collector.batches(prompts, seed=0))
    assert collector.last is not None
    greedy = HFEngine(policy).sample(prompts, Sampling(temperature=0.0, max_completion_length=12))
    for prompt, answer, group, advantages in zip(
        prompts, greedy, collector.last.groups, collector.last.advantages, strict=True
    ):
        assert not isinstance(answer, Failure)
        baseline = plain(Sample(prompt=prompt, completion=answer[0])).value
        earned = [r.value for r in group.rewards if isinstance(r, Reward)]
        assert advantages == pytest.approx([value - baseline for value in earned], abs=1e-6)


@dataclass
class Cutting(OnlyGenerate):
    """The first completion of each prompt meets the length limit, and no other."""

    async def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> list[tuple[Completion, ...] | Failure]:
        answers = await self.engine.generate(prompts, sampling)
        return [
            tuple(replace(c, finished=n > 0) for n, c in enumerate(answer))  # type: ignore[arg-type]
            for answer in answers
        ]


def test_figures_by_hand(policy: TokenPolicy, prompts: list[Prompt]) -> None:
    found = collected(policy, Cutting(in_batches(policy)), plain, prompts)
    completions = [c for group in found.groups for c in group.trajectories]
    values = [r.value for group in found.groups for r in group.rewards if isinstance(r, Reward)]
    mean = sum(values) / 12
    expected = {
        "reward/mean": mean,
        "reward/std": (sum((value - mean) ** 2 for value in values) / 12) ** 0.5,
        "reward/vowels": 1.0,
        "completions/clipped": 1 / 3,
        "completions/length": sum(len(c.token_ids) for c in completions) / 12,
        "failures/count": 0.0,
    }
    assert {name: found.metrics[name] for name in expected} == pytest.approx(expected, rel=1e-5)


def test_a_resumed_run_goes_on_with_the_next_collection(policy: TokenPolicy, prompts: list[Prompt]) -> None:
    config = replace(CONFIG, num_updates=6, prompts_per_batch=3, updates_per_batch=2)

    def written(start: int) -> list[list[tuple[int, ...]]]:
        collector = completion_collector(policy, HFEngine(policy), plain, stable_reinforce(), config)
        found = []
        for _ in collector.batches(prompts, 0, start):
            assert collector.last is not None
            found.append([c.token_ids for group in collector.last.groups for c in group.trajectories])
        return found

    whole = written(0)
    # Two updates a collection, and no collection like another.
    assert [whole[n] == whole[n + 1] for n in range(5)] == [True, False] * 2 + [True]
    assert written(2) == whole[2:] and written(4) == whole[4:]


def test_the_referee_is_asked_before_all_is_written(policy: TokenPolicy, prompts: list[Prompt]) -> None:
    """The engine writes its second completion only once a slow referee's server was asked of the first."""
    asked = threading.Event()
    before: list[bool] = []

    def reply(request: Request) -> Reply:
        asked.set()
        return says(str(len(request.text)), delay=0.1)

    def after(number: int) -> None:
        if number == 1:
            before.append(asked.wait(PATIENCE_S))

    with served(reply) as address:
        engine = Watched(in_batches(policy), after)
        found = collected(policy, engine, asking(address), prompts)
    assert before == [True] and len(engine.written) == 12
    for group in found.groups:
        assert group.rewards == tuple(Reward(value=float(len(c.text))) for c in group.trajectories)


def test_a_plain_reward_is_asked_in_the_callers_thread(policy: TokenPolicy, prompts: list[Prompt]) -> None:
    """It may hold what belongs to one thread: a timer by signals, a connection to a database."""
    threads = set()

    def reward(sample: Sample) -> Reward:
        threads.add(threading.current_thread())
        return plain(sample)

    collected(policy, in_batches(policy), reward, prompts)
    assert threads == {threading.current_thread()}


def test_a_failed_reward_stays_isolated(policy: TokenPolicy, prompts: list[Prompt]) -> None:
    whole = collected(policy, in_batches(policy), waiting, prompts)
    culprit = whole.groups[1].trajectories[2].token_ids

    async def fragile(sample: Sample) -> Reward:
        if sample.completion.token_ids == culprit:
            raise RuntimeError("boom")
        return await waiting(sample)

    found = collected(policy, in_batches(policy), fragile, prompts)
    failure = Failure(reason="reward_raised", detail="RuntimeError: boom")
    expected = [list(group.rewards) for group in whole.groups]
    expected[1][2] = failure
    assert [list(group.rewards) for group in found.groups] == expected
    assert found.metrics["failures/reward_raised"] == 1.0


def test_a_prompt_that_cannot_be_read_stays_isolated(policy: TokenPolicy, prompts: list[Prompt]) -> None:
    whole = collected(policy, in_batches(policy), waiting, prompts)
    bad = Prompt.user("a b c d " * 600, whole.groups[2].prompt.images, whole.groups[2].prompt.preference)
    mixed = [bad if prompt is whole.groups[2].prompt else prompt for prompt in prompts]
    found = collected(policy, in_batches(policy), waiting, mixed)
    assert [type(r) for r in found.groups[2].rewards] == [Failure] * 3
    for place in (0, 1, 3):
        assert found.groups[place] == whole.groups[place]


@pytest.mark.parametrize("lost", [{"token_ids": (), "logprobs": ()}, {"logprobs": ()}])
def test_what_has_no_tokens_is_not_trained_on(
    lost: dict[str, tuple[()]], policy: TokenPolicy, prompts: list[Prompt]
) -> None:
    """As engines do that return text only."""

    @dataclass
    class Losing(OnlyGenerate):
        prompts: int

        async def generate(
            self, prompts: Sequence[Prompt], sampling: Sampling
        ) -> list[tuple[Completion, ...] | Failure]:
            answers = await self.engine.generate(prompts, sampling)
            return [
                tuple(replace(c, **lost) for c in answer) if n < self.prompts else answer  # type: ignore[arg-type, union-attr]
                for n, answer in enumerate(answers)
            ]

    found = collected(policy, Losing(in_batches(policy), prompts=2), plain, prompts)
    assert [{type(r) for r in group.rewards} for group in found.groups] == [{Failure}] * 2 + [{Reward}] * 2
    assert found.metrics["failures/no_tokens"] == 6.0
    with pytest.raises(TrainingError, match=r"12 of 12 .* \(12 no_tokens: the sampler gave"):
        collected(policy, Losing(in_batches(policy), prompts=4), plain, prompts)


def test_a_dead_referee_ends_the_run(policy: TokenPolicy, prompts: list[Prompt]) -> None:
    with (
        served(lambda request: Reply(b"gone", status=404)) as address,
        pytest.raises(TrainingError, match=r"12 of 12 samples have no reward .12 http_404"),
    ):
        collected(policy, in_batches(policy), asking(address), prompts)


class Outstanding:
    """A reward that never comes; `asked` once there is a call, `cancelled` counts those that were ended."""

    def __init__(self, on_call: Callable[[], None] = lambda: None) -> None:
        self.asked, self.on_call, self.cancelled = threading.Event(), on_call, 0

    async def __call__(self, sample: Sample) -> Reward:
        self.asked.set()
        self.on_call()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return plain(sample)


def test_an_engine_that_raises_ends_what_was_asked(policy: TokenPolicy, prompts: list[Prompt]) -> None:
    reward = Outstanding()

    def broken(number: int) -> None:
        if number == 4:
            assert reward.asked.wait(PATIENCE_S)
            raise torch.OutOfMemoryError("no room")

    with pytest.raises(torch.OutOfMemoryError, match="no room"):
        collected(policy, Watched(in_batches(policy), broken), reward, prompts)
    assert reward.cancelled >= 1


def test_an_interrupt_ends_the_writing_and_the_calls(policy: TokenPolicy, prompts: list[Prompt]) -> None:
    reward = Outstanding()

    def interrupted(number: int) -> None:
        assert reward.asked.wait(PATIENCE_S)
        signal.raise_signal(signal.SIGINT)

    engine = Watched(in_batches(policy), interrupted)
    with pytest.raises(KeyboardInterrupt):
        collected(policy, engine, reward, prompts)
    assert len(engine.written) == 1 and reward.cancelled == 1


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals cannot be sent to a thread here")
def test_an_interrupt_ends_the_waiting(policy: TokenPolicy, prompts: list[Prompt]) -> None:
    here = threading.get_ident()
    num_calls = 0

    def interrupt() -> None:
        nonlocal num_calls
        num_calls += 1
        if num_calls == 12:
            signal.pthread_kill(here, signal.SIGINT)

    reward = Outstanding(interrupt)
    with pytest.raises(KeyboardInterrupt):
        collected(policy, in_batches(policy), reward, prompts)
    assert reward.cancelled == 12
