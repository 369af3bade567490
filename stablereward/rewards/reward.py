"""What a reward is: a function from a sample to a Reward or a Failure. An error never becomes a number."""

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from stablereward.errors import ConfigError
from stablereward.types import Completion, Failure, Prompt, Reward


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One completion with the prompt it answers: images, and the preference with its label."""

    prompt: Prompt
    completion: Completion


RewardFunction = Callable[[Sample], Reward | Failure | Awaitable[Reward | Failure]]
"""Plain for arithmetic on text; async for whatever waits, so that samples wait side by side.

In training an async function is called in a thread of its own while the policy still writes other
samples, so it must not use that policy. A plain one is called in the caller's thread, afterwards.
"""


def is_async(reward: RewardFunction) -> bool:
    """Whether the function, or the method that makes an object callable, is written with `async def`."""
    return inspect.iscoroutinefunction(reward) or inspect.iscoroutinefunction(type(reward).__call__)


async def apply(reward: RewardFunction, sample: Sample) -> Reward | Failure:
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
    samples: Sequence[Sample], reward: RewardFunction, *, max_concurrency: int = 32
) -> list[Reward | Failure]:
    """The reward of every sample, in the order of the samples.

    At most `max_concurrency` samples are under way at once; a plain function runs one sample at a
    time. A function that raises is Failure("reward_raised") for that sample and no other; a value
    or part that is not finite is Failure("non_finite_reward"). Cancellation passes through.
    """
    one = _bounded(reward, max_concurrency)
    return list(await asyncio.gather(*(one(sample) for sample in samples)))


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
        self._samples: asyncio.Queue[Sample | None] = asyncio.Queue()
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)

    def __enter__(self) -> Self:
        self._loop = self._runner.get_loop()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rewards")
        self._outcomes = self._thread.submit(self._run)
        return self

    def ask(self, sample: Sample) -> None:
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
) -> Callable[[Sample], Coroutine[object, object, Reward | Failure]]:
    """The guarded function, with at most so many calls under way."""
    if max_concurrency < 1:
        raise ConfigError(f"max_concurrency is {max_concurrency}; it must be at least 1")
    slots = asyncio.Semaphore(max_concurrency)

    async def one(sample: Sample) -> Reward | Failure:
        async with slots:
            return await _guarded(reward, sample)

    return one


async def _guarded(reward: RewardFunction, sample: Sample) -> Reward | Failure:
    try:
        outcome = await apply(reward, sample)
        if isinstance(outcome, Failure):
            return outcome
        numbers = {"value": outcome.value, **outcome.parts}
        wrong = [f"{name} is {number}" for name, number in numbers.items() if not math.isfinite(number)]
    except Exception as error:  # noqa: BLE001 - the function is the user's: it may raise anything
        return Failure(reason="reward_raised", detail=f"{type(error).__name__}: {error}")
    return Failure(reason="non_finite_reward", detail=", ".join(wrong)) if wrong else outcome
