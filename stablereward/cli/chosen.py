"""The judge that the options name: a model in this process, or one on a server."""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stablereward.errors import ConfigError
from stablereward.types import Preference

if TYPE_CHECKING:
    from stablereward.engines.engine import Sampling
    from stablereward.engines.http import OpenAIServer
    from stablereward.judges.protocol import Opinion, PreferenceJudge

SECONDS_A_LINE = 15.0
"""Between two lines that say how long a server has been waited for."""
TIMEOUT = 300.0
"""Seconds for one answer: a thousand tokens take a small machine minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerChoice:
    """What the options say of a server."""

    url: str | None
    model: str | None
    api_key_env: str | None
    extra: Sequence[str] | None
    timeout: float

    def engine(self) -> "OpenAIServer":
        from stablereward.engines.chat import extra_fields
        from stablereward.engines.http import OpenAIServer

        if self.model is None:
            raise ConfigError("--server needs --server-model, the model's name there")
        if self.api_key_env is not None and self.api_key_env not in os.environ:
            raise ConfigError(
                f"the environment variable {self.api_key_env} is not set; it should hold the key"
            )
        return OpenAIServer(
            base_url=self.url or "",
            model=self.model,
            api_key=os.environ[self.api_key_env] if self.api_key_env else None,
            timeout=self.timeout,
            extra=extra_fields(self.extra or ()),
        )


def chosen_judge(
    model: str | None, device: str | None, server: ServerChoice, sampling: "Sampling"
) -> "PreferenceJudge":
    """A scalar judge where the model has a score head, otherwise one that writes."""
    # Not through the class Judge, which imports torch, for a server needs none.
    from stablereward.judges.generative import Generative

    if (model is None) == (server.url is None):
        raise ConfigError("who should judge? give either --model or --server")
    if model is None:
        engine = server.engine()
        return Awaited(Generative(engine=engine, sampling=sampling), engine)
    from stablereward.judges.scalar import Scalar
    from stablereward.policies.scalar import is_reward_model, load_scorer

    if is_reward_model(model):
        return Scalar(model=load_scorer(model, device=device))
    from stablereward.engines.hf import load_engine
    from stablereward.runs.progress import say

    loaded = load_engine(model, device=device)
    if notes := loaded.policy.notes():
        say(f"{model}: {'; '.join(notes)}")
    return Generative(engine=loaded, sampling=sampling, decode=loaded.policy.decode)


def sampling(votes: int, max_completion_length: int, seed: int = 0) -> "Sampling":
    """How the paper samples, with these limits."""
    from stablereward.judges.generative import decoding

    return replace(decoding(votes), seed=seed, max_completion_length=max_completion_length)


@dataclass(frozen=True, slots=True)
class Awaited:
    """A judge on a server; while it is waited for, a line now and then says so."""

    judge: "PreferenceJudge"
    server: "OpenAIServer"

    async def opinions(
        self, preferences: Sequence[Preference], *, votes: int = 1, both_orders: bool = False
    ) -> list[tuple["Opinion", ...]]:
        """See `PreferenceJudge.opinions`."""
        from stablereward.runs.progress import say

        asked = self.judge.opinions(preferences, votes=votes, both_orders=both_orders)
        began, task = time.monotonic(), asyncio.ensure_future(asked)
        while True:
            await asyncio.wait({task}, timeout=SECONDS_A_LINE)
            if task.done():
                return task.result()
            answered, total = self.server.progress
            waited = time.monotonic() - began
            say(f"{self.server.base_url}: {answered} of {total} answers after {waited:.0f} s")
