"""What a reward is: a function from a sample, or from a prompt's whole group, to rewards or failures.

An error never becomes a number.
"""

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self

from stablereward.errors import ConfigError
from stablereward.types import Completion, Failure, Group, P, Prompt, Reward, T, Trajectory


@dataclass(frozen=True, kw_only=True)  # slots and a call of the alias below exclude each other
class SampleOf(Generic[P, T]):
    """One trajectory with the prompt it answers."""

    prompt: P
    completion: T


Sample = SampleOf[Prompt, Completion]
"""One completion with the prompt it answers: images, and the preference with its label."""

RewardFunction = Callable[[SampleOf[Any, Any]], Reward | Failure | Awaitable[Reward | Failure]]
"""Plain for arithmetic on text; async for whatever waits, so that samples wait side by side.

In training an async function is called in a thread of its own while the policy still writes other
samples, so it must not use that policy. A plain one is called in the caller's thread, afterwards.
"""


GroupReward = Callable[[Group[Any, Any]], Sequence[Reward | Failure] | Awaitable[Sequence[Reward | Failure]]]
"""From a prompt's trajectories to one reward for each, in their order: for rewards that compare siblings
or ask a model for all of them at once. `each` makes one of a reward function of one sample."""


class Each:
    """A reward function of one sample as one of a group. Its samples need not wait for each other."""

    def __init__(self, reward: RewardFunction) -> None:
        self.reward = reward

    async def __call__(self, group: Group[Any, Any]) -> Sequence[Reward | Failure]:
        return await score(samples_of(group), self.reward)


def each(reward: RewardFunction) -> GroupReward:
    """Rewards every sample of a group on its own."""
    return Each(reward)


def samples_of(group: Group[P, T]) -> list[SampleOf[P, T]]:
    """The group's trajectories, each with the prompt."""
    return [SampleOf(prompt=group.prompt, completion=t) for t in group.trajectories]


def is_async(reward: RewardFunction) -> bool:
    """Whether the function, or the method that makes an object callable, is written with `async def`."""
    return inspect.iscoroutinefunction(reward) or inspect.iscoroutinefunction(type(reward).__call__)


async def apply(reward: RewardFunction, sample: SampleOf[Any, Any]) -> Reward | Failure:
    """What one reward function says of one sample, whether it is plain or async.

    Raises whatever the function raises, and TypeError where it returns something else.
    """
    outcome = reward(sample)
    if inspect.isawaitable(outcome):
        outcome = await outcome
    if not isinstance(outcome, Reward | Failure):
        raise TypeError(f"a reward function returns a Reward or a Failure, not {type(outcome).__name__}")
    return outcome


async def score(
    samples: Sequence[SampleOf[Any, Any]], reward: RewardFunction, *, max_concurrency: int = 32
) -> list[Reward | Failure]:
    """The reward of every sample, in the order of the samples.

    At most `max_concurrency` samples are under way at once; a plain function runs one sample at a
    time. A function that raises is Failure("reward_raised") for that sample and no other; a value
    or part that is not finite is Failure("non_finite_reward"). Cancellation passes through.
    """
    one = _bounded(reward, max_concurrency)
    return list(await asyncio.gather(*(one(sample) for sample in samples)))


async def score_groups(
    groups: Sequence[Group[Any, Any]], reward: GroupReward, *, max_concurrency: int = 32
) -> list[tuple[Reward | Failure, ...]]:
    """The rewards of every group's trajectories, in the order of the groups. Guards as `score` does.

    At most `max_concurrency` calls are under way at once. A function of groups that raises, or gives
    another number of rewards than there are trajectories, is a Failure for that group and no other.
    """
    if isinstance(reward, Each):
        samples = [sample for group in groups for sample in samples_of(group)]
        rewards = iter(await score(samples, reward.reward, max_concurrency=max_concurrency))
        return [tuple(next(rewards) for _ in group.trajectories) for group in groups]
    slots = _slots(max_concurrency)

    async def one(group: Group[Any, Any]) -> tuple[Reward | Failure, ...]:
        if not group.trajectories:
            return ()
        async with slots:
            return await _guarded_group(reward, group)

    return list(await asyncio.gather(*(one(group) for group in groups)))


class Scoring:
    """`score` for samples that come one after another, in a thread of its own while the caller goes on.

        with Scoring(reward) as scoring:
            scoring.ask(sample)
            rewards = scoring.outcomes()

    Leaving the block cancels what is under way and waits for the thread: after an error or an interrupt
    nothing runs on.
    """

    def __init__(self, reward: RewardFunction, *, max_concurrency: int = 32) -> None:
        self._one = _bounded(reward, max_concurrency)
        self._samples: asyncio.Queue[SampleOf[Any, Any] | None] = asyncio.Queue()
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)

    def __enter__(self) -> Self:
        self._loop = self._runner.get_loop()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rewards")
        self._outcomes = self._thread.submit(self._run)
        return self

    def ask(self, sample: SampleOf[Any, Any]) -> None:
        """Has the sample's reward asked for, and returns at once."""
        self._tell(self._samples.put_nowait, sample)

    def outcomes(self) -> list[Reward | Failure]:
        """Waits; the rewards in the order in which they were asked for. Nothing can be asked afterwards."""
        self._tell(self._samples.put_nowait, None)
        return self._outcomes.result()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._tell(self._cancel)
        self._thread.shutdown()

    def _run(self) -> list[Reward | Failure]:
        with self._runner as runner:
            return runner.run(self._answer())

    async def _answer(self) -> list[Reward | Failure]:
        tasks = []
        while (sample := await self._samples.get()) is not None:
            tasks.append(asyncio.create_task(self._one(sample)))
        return list(await asyncio.gather(*tasks))

    def _cancel(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    def _tell(self, call: Callable[..., object], *arguments: object) -> None:
        # A loop that has ended cannot be told anything; `outcomes` then returns or raises what ended it.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *arguments)


def _bounded(
    reward: RewardFunction, max_concurrency: int
) -> Callable[[SampleOf[Any, Any]], Coroutine[object, object, Reward | Failure]]:
    """The guarded function, with at most so many calls under way."""
    slots = _slots(max_concurrency)

    async def one(sample: SampleOf[Any, Any]) -> Reward | Failure:
        async with slots:
            return await _guarded(reward, sample)

    return one


def _slots(max_concurrency: int) -> asyncio.Semaphore:
    if max_concurrency < 1:
        raise ConfigError(f"max_concurrency is {max_concurrency}; it must be at least 1")
    return asyncio.Semaphore(max_concurrency)


async def _guarded(reward: RewardFunction, sample: SampleOf[Any, Any]) -> Reward | Failure:
    try:
        return _checked(await apply(reward, sample), sample.completion)
    except Exception as error:  # noqa: BLE001 - the function is the user's: it may raise anything
        return _raised(error)


async def _guarded_group(reward: GroupReward, group: Group[Any, Any]) -> tuple[Reward | Failure, ...]:
    try:
        made = reward(group)
        outcomes = list(await made if inspect.isawaitable(made) else made)
        if len(outcomes) != len(group.trajectories):
            raise ValueError(f"{len(outcomes)} rewards for {len(group.trajectories)} trajectories")
        for outcome in outcomes:
            if not isinstance(outcome, Reward | Failure):
                raise TypeError(f"a reward is a Reward or a Failure, not {type(outcome).__name__}")
        return tuple(_checked(o, t) for o, t in zip(outcomes, group.trajectories, strict=True))
    except Exception as error:  # noqa: BLE001 - the function is the user's: it may raise anything
        return (_raised(error),) * len(group.trajectories)


def _checked(outcome: Reward | Failure, trajectory: Trajectory) -> Reward | Failure:
    """What is not finite, or has steps that are not the trajectory's, is a Failure."""
    if isinstance(outcome, Failure):
        return outcome
    numbers = {"value": outcome.value, **outcome.parts}
    numbers |= {f"step {n}": score for n, score in enumerate(outcome.steps, start=1) if score is not None}
    wrong = [f"{name} is {number}" for name, number in numbers.items() if not math.isfinite(number)]
    if wrong:
        return Failure(reason="non_finite_reward", detail=", ".join(wrong[:8]))
    if outcome.steps and len(outcome.steps) != trajectory.num_steps:
        detail = f"{len(outcome.steps)} rewards for {trajectory.num_steps} steps"
        return Failure(reason="wrong_steps", detail=detail)
    return outcome


def _raised(error: Exception) -> Failure:
    return Failure(reason="reward_raised", detail=f"{type(error).__name__}: {error}")
