"""A model that many async rewards ask one by one, answering all who wait in one forward pass."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Together(Generic[Question, Answer]):
    """Collects the questions that are asked while the event loop is busy, and answers at most
    `max_batch` of them with one call.

        together = Together(scores_of)          # list of texts → list of scores
        async def reward(sample): return Reward(value=await together(sample.completion.text))

    `answer` gives one answer a question, in their order; what it raises is raised to all who asked.
    """

    def __init__(self, answer: Callable[[Sequence[Question]], Sequence[Answer]], max_batch: int = 64) -> None:
        self.answer, self.max_batch = answer, max_batch
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []

    async def __call__(self, question: Question) -> Answer:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((question, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._flush)
        return await future

    def _flush(self) -> None:
        asked, self._waiting = self._waiting, []
        for start in range(0, len(asked), self.max_batch):
            some = [(q, f) for q, f in asked[start : start + self.max_batch] if not f.done()]
            if not some:
                continue
            try:
                answers = self.answer([question for question, _ in some])
                if len(answers) != len(some):
                    raise ValueError(f"{len(answers)} answers to {len(some)} questions")
            except Exception as error:  # noqa: BLE001 - it is raised where the question was asked
                for _, future in some:
                    future.set_exception(error)
                continue
            for (_, future), answer in zip(some, answers, strict=True):
                future.set_result(answer)
