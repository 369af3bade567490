"""`stablereward judge`: one question from the command line, or a file of them."""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stablereward.cli.options import (
    ApiKeyEnv,
    Device,
    ImagesRoot,
    MaxCompletionLength,
    Model,
    Server,
    ServerModel,
)
from stablereward.cli.verdict import as_json, as_panel, in_words
from stablereward.errors import ConfigError, DataError, StableRewardError
from stablereward.types import Preference, Vote

if TYPE_CHECKING:
    from stablereward.engines.engine import Engine
    from stablereward.judges.protocol import PreferenceJudge

BATCH = 64
"""Questions of a file that are judged together."""


def judge(
    question: Annotated[str | None, typer.Option(help="The question.")] = None,
    responses: Annotated[
        list[str] | None, typer.Option("--response", help="A response; give two or more.")
    ] = None,
    images: Annotated[
        list[Path] | None, typer.Option("--image", help="An image of the question; may be repeated.")
    ] = None,
    preferences: Annotated[
        Path | None, typer.Option(help="A file of questions in any known format, in place of one question.")
    ] = None,
    images_root: ImagesRoot = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many questions of the file.")] = None,
    model: Model = None,
    device: Device = None,
    server: Server = None,
    server_model: ServerModel = None,
    api_key_env: ApiKeyEnv = None,
    votes: Annotated[int, typer.Option(min=1, help="Opinions for each order shown.")] = 1,
    both_orders: Annotated[
        bool, typer.Option("--both-orders/--one-order", help="Show each response first once.")
    ] = True,
    max_completion_length: MaxCompletionLength = 1024,
    json_wanted: Annotated[bool, typer.Option("--json", help="JSON on a terminal, too.")] = False,
) -> None:
    """Say which response is better, and why. In a pipe, each answer is one line of JSON."""
    asked = _asked(question, responses or [], images or [], preferences, images_root, limit)
    judge = chosen_judge(model, device, server, server_model, api_key_env, votes, max_completion_length)
    verdicts = _verdicts(asked, judge, votes, both_orders)
    if preferences is not None:
        _show_all(verdicts, preferences.name, limit)
        return
    [(preference, vote)] = verdicts
    if json_wanted or not sys.stdout.isatty():
        print(json.dumps(as_json(vote, preference)))
    else:
        Console(highlight=False, markup=False).print(as_panel(vote, preference))
    if not vote.judgements:
        first = vote.failures[0]
        raise StableRewardError(f"every opinion failed: {first.reason}: {first.detail}")


def _asked(
    question: str | None,
    responses: list[str],
    images: list[Path],
    file: Path | None,
    images_root: Path | None,
    limit: int | None,
) -> Iterable[list[Preference]]:
    """The questions, in batches. What can be refused is refused before a model is loaded."""
    if (question is None) == (file is None):
        raise ConfigError("what should be judged? give either --question or --preferences")
    if file is not None:
        from stablereward.data.preferences import read_preferences

        if responses or images:
            raise ConfigError("--response and --image belong to --question; a file has its own")
        return _batches(read_preferences(file, images_root=images_root, limit=limit))
    from stablereward.data.images import load_image

    if len(responses) < 2:
        raise ConfigError(f"{len(responses)} response(s) to compare; give --response two or more times")
    shown = tuple(load_image(path, "--image") for path in images)
    return [[Preference(question=question or "", responses=tuple(responses), images=shown)]]


def _batches(preferences: Iterator[Preference]) -> Iterator[list[Preference]]:
    batch: list[Preference] = []
    try:
        for preference in preferences:
            batch.append(preference)
            if len(batch) == BATCH:
                yield batch
                batch = []
    except DataError:
        yield batch  # what stands before a bad row is still judged
        raise
    yield batch


def chosen_judge(
    model: str | None,
    device: str | None,
    server: str | None,
    server_model: str | None,
    api_key_env: str | None,
    votes: int,
    max_completion_length: int,
    seed: int = 0,
) -> "PreferenceJudge":
    """A scalar judge where the model is a sequence classifier, otherwise one that writes."""
    # Not through the class Judge, which imports torch, for a server needs none.
    from stablereward.judges.generative import Generative, decoding

    if (model is None) == (server is None):
        raise ConfigError("who should judge? give either --model or --server")
    sampling = replace(decoding(votes), seed=seed, max_completion_length=max_completion_length)
    if model is None:
        return Generative(engine=_server(server or "", server_model, api_key_env), sampling=sampling)
    from stablereward.judges.scalar import Scalar
    from stablereward.policies.reward_model import RewardModel, is_reward_model

    if is_reward_model(model):
        return Scalar(model=RewardModel.load(model, device=device))
    from stablereward.engines.hf import load_engine
    from stablereward.training.progress import say

    engine = load_engine(model, device=device)
    if notes := engine.policy.notes():
        say(f"{model}: {'; '.join(notes)}")
    return Generative(engine=engine, sampling=sampling, decode=engine.policy.decode)


def _server(url: str, server_model: str | None, api_key_env: str | None) -> "Engine":
    from stablereward.engines.http import OpenAIServer

    if server_model is None:
        raise ConfigError("--server needs --server-model, the model's name there")
    if api_key_env is not None and api_key_env not in os.environ:
        raise ConfigError(f"the environment variable {api_key_env} is not set; it should hold the key")
    return OpenAIServer(
        base_url=url, model=server_model, api_key=os.environ[api_key_env] if api_key_env else None
    )


def _verdicts(
    asked: Iterable[list[Preference]], judge: "PreferenceJudge", votes: int, both_orders: bool
) -> Iterator[tuple[Preference, Vote]]:
    from stablereward.judges.blocking import blocking
    from stablereward.judges.voting import vote

    for batch in asked:
        opinions = blocking(judge.opinions(batch, votes=votes, both_orders=both_orders))
        for preference, heard in zip(batch, opinions, strict=True):
            yield preference, vote(heard, len(preference.responses))


def _show_all(verdicts: Iterable[tuple[Preference, Vote]], name: str, total: int | None) -> None:
    """One line of JSON a question on stdout; progress and a summary on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True, highlight=False, markup=False)
    # On a terminal the lines themselves show the progress, and redirected they would land on stderr.
    hidden = sys.stdout.isatty() or not console.is_terminal
    bar = Progress(*columns, console=console, transient=True, disable=hidden, redirect_stdout=False)
    counts: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    with bar:
        task = bar.add_task(name, total=total)
        for preference, vote in verdicts:
            print(json.dumps(as_json(vote, preference)), flush=True)
            bar.advance(task)
            counts["questions"] += 1
            counts["opinions"] += len(vote.judgements)
            counts["labelled"] += preference.best is not None
            counts["right"] += preference.best is not None and vote.choice == preference.best
            failures.update(failure.reason for failure in vote.failures)
    label = (
        f", labelled: {counts['labelled']}, of these right: {counts['right']}" if counts["labelled"] else ""
    )
    console.print(f"questions: {counts['questions']}{label}; {in_words(counts['opinions'], failures)}")
    if failures and not counts["opinions"]:
        raise StableRewardError(f"every opinion failed: {', '.join(failures)}")
