"""`stablereward judge`: one question from the command line, or a file of them."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stablereward.cli.chosen import TIMEOUT, ServerChoice, chosen_judge, sampling
from stablereward.cli.options import (
    ApiKeyEnv,
    Device,
    ImagesRoot,
    MaxCompletionLength,
    Model,
    ResponseImages,
    Server,
    ServerExtra,
    ServerModel,
    Timeout,
    Votes,
)
from stablereward.cli.verdict import as_json, as_panel, in_words, why_no_choice
from stablereward.errors import ConfigError, DataError, StableRewardError
from stablereward.types import Preference, Vote, pictured

if TYPE_CHECKING:
    from PIL.Image import Image

    from stablereward.judges.protocol import PreferenceJudge

TOY = "toy"
BATCH = 64
"""Questions of a file that are judged together."""


def judge(
    question: Annotated[str | None, typer.Option(help="The question.")] = None,
    responses: Annotated[
        list[str] | None, typer.Option("--response", help="A response; give two or more.")
    ] = None,
    response_images: ResponseImages = None,
    images: Annotated[
        list[str] | None,
        typer.Option(
            "--image",
            metavar="PATH",
            help="An image of the question, or a folder of frames; may be repeated.",
        ),
    ] = None,
    preferences: Annotated[
        Path | None, typer.Option(help="A file of questions in any known format, in place of one question.")
    ] = None,
    file_format: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="Of that file, where its rows do not say.")
    ] = None,
    images_root: ImagesRoot = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many questions of the file.")] = None,
    model: Model = None,
    device: Device = None,
    server: Server = None,
    server_model: ServerModel = None,
    server_extra: ServerExtra = None,
    api_key_env: ApiKeyEnv = None,
    timeout: Timeout = TIMEOUT,
    votes: Votes = 1,
    both_orders: Annotated[
        bool, typer.Option("--both-orders/--one-order", help="Show each response first once.")
    ] = True,
    max_completion_length: MaxCompletionLength = 1024,
    json_wanted: Annotated[bool, typer.Option("--json", help="JSON on a terminal, too.")] = False,
) -> None:
    """Say which response is better, and why. In a pipe, each answer is one line of JSON."""
    if (question is None) == (preferences is None):
        raise ConfigError("what should be judged? give either --question or --preferences")
    if question is None and (responses or response_images or images):
        raise ConfigError("--response, --response-image and --image belong to --question; a file has its own")
    if preferences is None:
        one = _question(question or "", responses or [], response_images or [], images or [])
        asked: Iterable[list[Preference]] = [[one]]
    else:
        asked = _rows(preferences, file_format, images_root, limit)
    choice = ServerChoice(
        url=server, model=server_model, api_key_env=api_key_env, extra=server_extra, timeout=timeout
    )
    judge = chosen_judge(model, device, choice, sampling(votes, max_completion_length))
    verdicts = _verdicts(asked, judge, votes, both_orders)
    if preferences is not None:
        _show_all(verdicts, preferences.name, limit)
        return
    for preference, vote in verdicts:
        if model == TOY:
            _say_what_toy_sees(preference)
        _show(preference, vote, json_wanted or not sys.stdout.isatty())


def _show(preference: Preference, vote: Vote, in_json: bool) -> None:
    if in_json:
        print(json.dumps(as_json(vote, preference)))
    else:
        Console(highlight=False, markup=False).print(as_panel(vote, preference))
    if not vote.judgements:
        first = vote.failures[0]
        longer = "; --timeout gives longer" if first.reason == "timeout" else ""
        raise StableRewardError(f"{why_no_choice(vote)}: {first.detail}{longer}")


def _question(question: str, responses: list[str], pictures: list[str], images: list[str]) -> Preference:
    """The one question of the command line. What can be refused is refused before a model is loaded."""
    from stablereward.data.formats.fields import sources
    from stablereward.images import load_image

    if len(responses) + len(pictures) < 2:
        raise ConfigError(
            f"{len(responses) + len(pictures)} response(s) to compare; give --response or --response-image "
            "two or more times"
        )
    for name, text in (("--question", question), *(("--response", response) for response in responses)):
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise ConfigError(f"{name} is not UTF-8 text; repair it, or give it in a file (--preferences)")

    def loaded(paths: list[str], option: str) -> list["Image"]:
        if "" in paths:
            raise ConfigError(f"{option} is empty; give the path of an image (is a variable not set?)")
        return [load_image(source, option) for source in sources(paths, option, Path())]

    shown = [pictured(*loaded([path], "--response-image")) for path in pictures]
    return Preference(
        question=question, responses=(*responses, *shown), images=tuple(loaded(images, "--image"))
    )


def _rows(
    file: Path, file_format: str | None, images_root: Path | None, limit: int | None
) -> Iterator[list[Preference]]:
    from stablereward.data.preferences import read_preferences

    return _batches(read_preferences(file, format=file_format, images_root=images_root, limit=limit))


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


def _verdicts(
    asked: Iterable[list[Preference]], judge: "PreferenceJudge", votes: int, both_orders: bool
) -> Iterator[tuple[Preference, Vote]]:
    from stablereward.blocking import blocking
    from stablereward.judges.voting import vote

    for batch in asked:
        opinions = blocking(judge.opinions(batch, votes=votes, both_orders=both_orders))
        for preference, heard in zip(batch, opinions, strict=True):
            yield preference, vote(heard, len(preference.responses))


def _say_what_toy_sees(preference: Preference) -> None:
    from PIL.Image import Image

    from stablereward.data.toy.scenes import SIDE_PIXELS as SIDE
    from stablereward.runs.progress import say

    if not any(isinstance(image, Image) and image.size == (SIDE, SIDE) for image in preference.images):
        say(
            f"note: toy knows only its own drawn world, pictures of {SIDE} × {SIDE} pixels; of all else it "
            "writes nonsense. For a real judge give --server URL or --model FOLDER (docs/judging.md)"
        )


def _show_all(verdicts: Iterable[tuple[Preference, Vote]], name: str, total: int | None) -> None:
    """One line of JSON a question on stdout; progress and a summary on stderr."""
    from stablereward.runs.progress import console

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # On a terminal the lines themselves show the progress, and redirected they would land on stderr.
    hidden = sys.stdout.isatty() or not console.is_terminal
    bar = Progress(*columns, console=console, transient=True, disable=hidden, redirect_stdout=False)
    counts: Counter[str] = Counter()
    undecided: Counter[str] = Counter()
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
            if vote.choice is None:
                undecided[why_no_choice(vote).partition(":")[0]] += 1
    label = (
        f", labelled: {counts['labelled']}, of these right: {counts['right']}" if counts["labelled"] else ""
    )
    silent = "".join(f", {why}: {count}" for why, count in undecided.most_common())
    heard = in_words(counts["opinions"], failures)
    console.out(f"questions: {counts['questions']}{label}{silent}; {heard}", highlight=False)
    if failures and not counts["opinions"]:
        raise StableRewardError(f"every opinion failed: {', '.join(failures)}")
