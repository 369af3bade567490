"""`stablereward bench`: a judge on a benchmark, beside judges that look at nothing."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stablereward.cli.chosen import TIMEOUT, ServerChoice, chosen_judge, sampling
from stablereward.cli.options import (
    ApiKeyEnv,
    Device,
    ImagesRoot,
    MaxCompletionLength,
    Model,
    Server,
    ServerExtra,
    ServerModel,
    Timeout,
    Votes,
)
from stablereward.cli.printing import printable
from stablereward.errors import ConfigError, DataError, StableRewardError
from stablereward.types import Preference, Row

if TYPE_CHECKING:
    from stablereward.evaluation.bench import JudgedPair
    from stablereward.evaluation.standings import Curves, Standing
    from stablereward.judges.protocol import PreferenceJudge

TOY = "toy"
TOY_PAIRS = 480
SECONDS_A_LINE = 20.0
"""Between two lines of progress where stderr is no terminal."""


class Orders(StrEnum):
    """In which order the responses of a pair are shown."""

    both = "both"
    given = "given"
    random = "random"


@dataclass(frozen=True, slots=True)
class _Pairs:
    """What is judged, its title, and findings that bear on every figure."""

    title: str
    preferences: list[Preference]
    notes: tuple[str, ...] = ()


def bench(
    benchmark: Annotated[str, typer.Option(metavar="NAME", help="A benchmark, or `toy`, the toy world.")],
    data: Annotated[Path | None, typer.Option(help="The benchmark's own file or folder.")] = None,
    images_root: ImagesRoot = None,
    stand_in_images: Annotated[
        bool, typer.Option("--stand-in-images", help="Show drawn pictures where images are missing.")
    ] = False,
    model: Model = None,
    device: Device = None,
    server: Server = None,
    server_model: ServerModel = None,
    server_extra: ServerExtra = None,
    api_key_env: ApiKeyEnv = None,
    timeout: Timeout = TIMEOUT,
    votes: Votes = 1,
    orders: Annotated[Orders, typer.Option(help="Show both, the stored one, or one drawn by lot.")] = (
        Orders.both
    ),
    subset: Annotated[int | None, typer.Option(min=1, help="So many pairs, drawn by the seed.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of sampling, of drawn orders and of the subset.")] = 0,
    max_completion_length: MaxCompletionLength = 1024,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the results; without it, runs/bench/ and the names.")
    ] = None,
) -> None:
    """Measure a judge, with the controls beside it. The same command goes on where it was interrupted."""
    from stablereward.evaluation.bench import keep_settings
    from stablereward.lock import held

    if (model is None) == (server is None):
        raise ConfigError("who should judge? give either --model or --server")
    pairs = _pairs(benchmark, data, images_root, stand_in_images, subset, seed)
    name = model or server_model or ""
    folder = output or Path("runs/bench") / f"{_in_a_path(benchmark)}-{_in_a_path(name)}"
    settings = {
        "benchmark": pairs.title, "model": model, "server": server, "server_model": server_model,
        "server_extra": server_extra or None, "votes": votes, "orders": orders.value, "seed": seed,
        "stand_in_images": stand_in_images, "max_completion_length": max_completion_length,
    }  # fmt: skip
    choice = ServerChoice(
        url=server, model=server_model, api_key_env=api_key_env, extra=server_extra, timeout=timeout
    )
    with held(folder):
        keep_settings(folder / "rows.jsonl", settings)
        judge = chosen_judge(model, device, choice, sampling(votes, max_completion_length, seed))
        _measure(judge, name, pairs, folder, votes, orders, seed)


def _measure(
    judge: "PreferenceJudge", name: str, pairs: _Pairs, folder: Path, votes: int, orders: Orders, seed: int
) -> None:
    """Judges what is not judged yet, writes the results and prints them."""
    from stablereward.cli.bench_page import to_html
    from stablereward.evaluation.bench import write
    from stablereward.evaluation.cost import read
    from stablereward.evaluation.standings import standing, to_json, to_markdown

    rows_file, cost_file = folder / "rows.jsonl", folder / "cost.jsonl"
    if not rows_file.exists():
        cost_file.unlink(missing_ok=True)
    rows = _rows(_metered(judge, cost_file), name, pairs, rows_file, votes, orders, seed)
    own = standing(rows, name, in_given_order=orders is not Orders.random, cost=read(cost_file))
    standings = [own, *_controls(pairs, orders, seed)]
    curves = _curves(rows, own.confidence is not None, seed)
    notes = [*pairs.notes, *_failure_notes(standings), *_measuring_notes(own)]
    result = (pairs.title, standings, notes, curves)
    write(folder / "table.md", to_markdown(*result) + "\n")
    write(folder / "table.json", to_json(*result) + "\n")
    write(folder / "table.html", to_html(*result))
    print(printable(to_markdown(*result)))
    print(f"\nwritten to {folder}")
    if own.summary.parse_failures == 1:
        raise StableRewardError(f"every opinion failed: {', '.join(own.failures)}; no figure says anything")


def _pairs(
    name: str,
    data: Path | None,
    images_root: Path | None,
    stand_ins: bool,
    num: int | None,
    seed: int,
) -> _Pairs:
    """The labelled pairs. What can be wrong with the data is said before a model is loaded."""
    from stablereward.evaluation.content import subset, with_stand_ins

    if name == TOY:
        from stablereward.data.toy.pairs import pairs

        made = pairs(num or TOY_PAIRS, seed=seed, held_out=True)
        return _Pairs("toy world, held-out pairs", [pair.preference() for pair in made])
    from stablereward.evaluation.benchmarks import find

    found = find(name)
    if found.load is None:
        raise ConfigError(
            f"{found.name} has no pairs that a judge can be right on; `score` reads its verdicts"
        )
    if data is None:
        raise ConfigError(f"where is {found.name}? give --data FILE. {found.data}")
    loaded = list(found.load(data, images_root=images_root, require_images=not stand_ins))
    labelled = [preference for preference in loaded if preference.best is not None]
    if not labelled:
        raise DataError(f"{data}: no pairs with a best response in it; check that it is {found.name}'s file")
    notes = [*found.problems(loaded)]
    if len(labelled) < len(loaded):
        notes.append(f"{len(loaded) - len(labelled)} items without a single best response are left out")
    if num is not None and num < len(labelled):
        notes.append(f"{num} of {len(labelled)} pairs, drawn by seed {seed}")
        labelled = subset(labelled, num, seed=seed)
    if stand_ins:
        labelled, missing = with_stand_ins(labelled)
        notes.append(
            f"{missing} images were missing; generated stand-in pictures were shown in their place, so the "
            "figures say nothing about the judge's eyes"
        )
    return _Pairs(found.name, labelled, tuple(notes))


def _metered(judge: "PreferenceJudge", path: Path) -> "PreferenceJudge":
    """The judge, its costs written to the file: time always, tokens where it runs in this process."""
    from stablereward.evaluation.cost import Counting, Metered, Tokens
    from stablereward.judges.generative import Generative
    from stablereward.judges.scalar import Scalar

    if isinstance(judge, Scalar):
        scorer = judge.model
        return Metered(judge, path, lambda: Tokens(prompt=scorer.tokens_read))
    if isinstance(judge, Generative) and judge.decode is not None:
        from stablereward.engines.hf import HFEngine

        if isinstance(judge.engine, HFEngine):
            policy = judge.engine.policy
            counting = Counting(judge.engine, lambda prompt: policy.encode(prompt).num_tokens)
            return Metered(replace(judge, engine=counting), path, lambda: counting.tokens)
    return Metered(judge, path)


def _rows(
    judge: "PreferenceJudge", name: str, pairs: _Pairs, rows_file: Path, votes: int, orders: Orders, seed: int
) -> list["JudgedPair"]:
    from stablereward.evaluation.bench import judge_all

    both = orders is Orders.both
    with _progress(name, len(pairs.preferences)) as progress:
        return judge_all(
            _shown(judge, orders, seed),
            pairs.preferences,
            rows_file,
            votes=votes,
            both_orders=both,
            progress=progress,
        )


def _shown(judge: "PreferenceJudge", orders: Orders, seed: int) -> "PreferenceJudge":
    from stablereward.evaluation.bench import Drawn

    return Drawn(judge, seed) if orders is Orders.random else judge


def _controls(pairs: _Pairs, orders: Orders, seed: int) -> list["Standing"]:
    """Judges that look at nothing, in the same orders."""
    from stablereward.evaluation.evaluate import evaluate
    from stablereward.evaluation.standings import standing
    from stablereward.judges.controls import always_first, longer_wins, random_choice

    controls = {"always first": always_first, "longer wins": longer_wins, "random": random_choice(seed)}
    return [
        standing(
            evaluate(_shown(one, orders, seed), pairs.preferences, both_orders=orders is Orders.both),
            name,
            in_given_order=orders is not Orders.random,
        )
        for name, one in controls.items()
    ]


def _curves(rows: Sequence[Row], confident: bool, seed: int) -> "Curves":
    """Accuracy by votes; none for one vote, or for more responses than two."""
    from stablereward.evaluation.curves import voting_curve, weighted_curve
    from stablereward.judges.voting import by_confidence, by_probability

    several = any(len(one.judgements) + len(one.failures) > 1 for row in rows for one in row.votes)
    if not several or any(len(one.probabilities) != 2 for row in rows for one in row.votes):
        return {}
    curves = {"majority": voting_curve(rows)}
    if confident:
        curves["by confidence"] = weighted_curve(rows, by_confidence, seed=seed)
        curves["mean P(first)"] = weighted_curve(rows, by_probability, seed=seed)
    return curves


@contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar with time left on a terminal; in a log, a line now and then."""
    from stablereward.runs.progress import bar, console, say

    began = time.monotonic()
    marks: list[tuple[float, int]] = []

    def advance(done: int) -> None:
        now = time.monotonic()
        show(done, "")
        if not console.is_terminal and (not marks or now - marks[-1][0] >= SECONDS_A_LINE or done == total):
            first = marks[0][1] if marks else 0
            pace = (now - (marks[0][0] if marks else began)) / max(done - first, 1)
            marks.append((now, done))
            say(f"{title}: {done} of {total} pairs, {pace * (total - done):.0f} s left")

    with bar(title, total) as show:
        yield advance


def _failure_notes(standings: Sequence["Standing"]) -> list[str]:
    """Why opinions are missing, with the commonest reason first."""
    return [
        f"{one.summary.judge}: opinions without a verdict: "
        + ", ".join(
            f"{count} {reason}" for reason, count in sorted(one.failures.items(), key=lambda f: -f[1])
        )
        for one in standings
        if one.failures
    ]


def _measuring_notes(own: "Standing") -> list[str]:
    """What is missing, and what the costs are costs of."""
    notes = []
    if own.confidence is None and own.summary.parse_failures < 1:
        notes.append(
            "no confidence, and so no weighted votes: the judge's opinions come without log-probabilities of "
            "their tokens, or not all of them do"
        )
    if own.cost is not None:
        notes.append(
            f"seconds and tokens are means over {own.cost.judgements} judgements, failed ones included; "
            "seconds are those of whole batches on the machine that judged"
        )
    return notes


def _in_a_path(name: str) -> str:
    """A name of a model or a benchmark as a part of a folder's name."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).strip("-.")
