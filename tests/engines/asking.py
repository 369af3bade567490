"""A server's answers to an engine, as tests of both ask for them."""

import asyncio
from collections.abc import Callable, Sequence

from stablereward.engines.engine import Sampling
from stablereward.engines.http import OpenAIServer
from stablereward.types import Completion, Failure, Prompt
from tests.loopback import Loopback, Reply, Request, loopback

ONE = Sampling(max_completion_length=16)


def generate(
    reply: Callable[[Request], Reply],
    prompts: Sequence[Prompt] = (Prompt.user(text="hello"),),
    sampling: Sampling = ONE,
    **settings: object,
) -> tuple[list[tuple[Completion, ...] | Failure], Loopback]:
    """The answers of a server that replies so, and what the server saw."""

    async def run() -> tuple[list[tuple[Completion, ...] | Failure], Loopback]:
        async with loopback(reply) as server:
            engine = OpenAIServer(base_url=server.base_url, model="judge", **settings)  # type: ignore[arg-type]
            answers = await engine.generate(prompts, sampling)
            await asyncio.sleep(0.05)
            assert server.num_open == 0, "a connection was left open"
            return answers, server

    return asyncio.run(run())


def failure(answers: Sequence[tuple[Completion, ...] | Failure]) -> Failure:
    [answer] = answers
    assert isinstance(answer, Failure)
    return answer
