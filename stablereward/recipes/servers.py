"""Servers that a recipe asks, for analyses or opinions: their settings, and engines that keep answers."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from stablereward.config import NoResult
from stablereward.engines.cache import Cached
from stablereward.engines.chat import extra_fields
from stablereward.engines.engine import Engine
from stablereward.engines.http import OpenAIServer, is_web_address
from stablereward.errors import ConfigError
from stablereward.ranges import Count, Positive, require_ranges
from stablereward.recipes.sources import Data, toy_annotator


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An OpenAI-compatible server. The key is read from the environment variable `api_key_env`.

    `extra` are fields of each request, written as "top_k=20".
    """

    base_url: Annotated[str, NoResult]
    model: str
    api_key_env: Annotated[str, NoResult] = ""
    extra: tuple[str, ...] = ()
    max_concurrency: Annotated[Count, NoResult] = 8
    timeout: Annotated[Positive, NoResult] = 60.0

    def __post_init__(self) -> None:
        require_ranges(self)
        if not is_web_address(self.base_url):
            raise ConfigError(f"base_url is {self.base_url!r}; it must be like http://localhost:8000/v1")
        try:
            extra_fields(self.extra)
        except ConfigError as error:
            raise ConfigError(f"extra: {error}") from None


def answers_of(server: Server, folder: Path) -> Cached:
    """The server, each of whose answers is kept in `folder`. Raises ConfigError without its key."""
    # What the answers depend on beside the question and the sampling.
    identity = " ".join((server.model, *server.extra))
    return Cached(_opened(server), identity=identity, folder=folder)


def annotator_of(server: Server | None, data: Data, run: Path, seed: int) -> Engine | None:
    """Who writes the analyses: the server, or the noisy reader of the toy world; None without both."""
    if server is not None:
        return answers_of(server, run / "annotator")
    return None if data.toy is None else toy_annotator(data.toy, seed)


def _opened(server: Server) -> OpenAIServer:
    key = os.environ.get(server.api_key_env) if server.api_key_env else None
    if server.api_key_env and key is None:
        raise ConfigError(
            f"the environment variable {server.api_key_env} is not set; it should hold the server's key"
        )
    return OpenAIServer(
        base_url=server.base_url,
        model=server.model,
        api_key=key,
        max_concurrency=server.max_concurrency,
        timeout=server.timeout,
        extra=extra_fields(server.extra),
    )
