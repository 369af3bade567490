"""`stablereward compare`: judges side by side on the same pairs, as a table and as a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stablereward.cli.printing import printable
from stablereward.errors import ConfigError
from stablereward.types import Preference

if TYPE_CHECKING:
    from stablereward.evaluation.comparison import Comparison, Results

TOY_TITLE = "toy world"
"""How `bench` begins the title of the toy world's pairs."""


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the pairs themselves are: a benchmark's name, its data and its images."""

    benchmark: str | None
    data: Path | None
    images_root: Path | None


def compare(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULTS...", help="Folders that `bench` wrote, or files.")
    ],
    benchmark: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of files that do not say it themselves.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="The benchmark's own file, to show questions and images.")
    ] = None,
    images_root: Annotated[Path | None, typer.Option(help="Where image paths in the file start.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures here.")] = None,
    markdown_file: Annotated[Path | None, typer.Option("--markdown", help="Write the tables here.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="The page or its folder; without it, comparison.html beside the first."),
    ] = None,
) -> None:
    """Hold judges against each other on the pairs that all of them judged, and write a page of it."""
    from stablereward.evaluation import comparison as compared
    from stablereward.evaluation.bench import write
    from stablereward.evaluation.side_by_side import to_json, to_markdown

    settings = [compared.read_settings(path) for path in results]
    names = _names(results, settings)
    own = {
        name: compared.read(path, name)
        for path, name in zip(results, names, strict=True)
        if compared.knows_pairs(path)
    }
    source = _Source(benchmark, data, images_root)
    preferences = _preferences(source, settings, max((len(one.rows) for one in own.values()), default=0))
    found = [
        own[name] if name in own else _read_elsewhere(path, name, source, preferences)
        for path, name in zip(results, names, strict=True)
    ]
    comparison = compared.compare(found)
    print(printable(to_markdown(comparison)) + "\n")
    if json_file is not None:
        write(json_file, to_json(comparison) + "\n")
    if markdown_file is not None:
        write(markdown_file, to_markdown(comparison) + "\n")
    page, missing = _page(comparison, preferences)
    target = _target(results[0], output)
    write(target, page)
    if missing:
        print(missing)
    print(f"page: {target}")


def _names(paths: Sequence[Path], settings: Sequence[Mapping[str, object]]) -> list[str]:
    """What tells the results apart with fewest words: models, folders, or the paths as they were given."""
    models = [str(one.get("model") or one.get("server_model") or "") for one in settings]
    folders = [path.resolve() if path.is_dir() else path.resolve().with_suffix("") for path in paths]
    choices = (
        [Path(model).name for model in models],
        [folder.name for folder in folders],
        [str(path) for path in paths],
    )
    for names in choices:
        if all(names) and len(set(names)) == len(names):
            return [printable(name) for name in names]
    raise ConfigError("the same results are named twice; compare two or more different results")


def _preferences(
    source: _Source, settings: Sequence[Mapping[str, object]], num_rows: int
) -> list[Preference]:
    """The pairs themselves, as the first judge was shown them; none where nobody says where they are."""
    from stablereward.evaluation.benchmarks import find
    from stablereward.evaluation.content import with_stand_ins

    title = next((str(one["benchmark"]) for one in settings if one.get("benchmark")), source.benchmark)
    if title is not None and title.startswith(TOY_TITLE):
        from stablereward.cli.bench import TOY_PAIRS
        from stablereward.data.toy.pairs import pairs

        seed = settings[0].get("seed", 0)
        made = pairs(max(TOY_PAIRS, num_rows), seed=seed if isinstance(seed, int) else 0, held_out=True)
        return [pair.preference() for pair in made]
    if source.data is None:
        return []
    if title is None:
        raise ConfigError(f"of which benchmark is {source.data}? give --benchmark NAME")
    found = find(title)
    if found.load is None:
        raise ConfigError(f"{found.name} has no pairs to show; leave --data out")
    loaded = found.load(source.data, images_root=source.images_root, require_images=False)
    labelled = [preference for preference in loaded if preference.best is not None]
    return with_stand_ins(labelled)[0] if settings[0].get("stand_in_images") else labelled


def _read_elsewhere(path: Path, name: str, source: _Source, preferences: Sequence[Preference]) -> "Results":
    from stablereward.evaluation.benchmarks import find
    from stablereward.evaluation.comparison import read_elsewhere

    if source.benchmark is None or source.data is None:
        raise ConfigError(
            f"{path}: does not say which pairs were judged; give --benchmark NAME and --data, the "
            "benchmark's own file, whose pairs the rows are about in its order"
        )
    return read_elsewhere(path, name, find(source.benchmark), preferences, source.data)


def _page(comparison: "Comparison", preferences: Sequence[Preference]) -> tuple[str, str]:
    """The page, and what it lacks."""
    from dataclasses import asdict

    from stablereward.evaluation.comparison import differing
    from stablereward.evaluation.content import content_keys
    from stablereward.evaluation.side_by_side import (
        EXPLAINED,
        categories_table,
        contrasts_table,
        headline,
        judges_table,
        shared_line,
        versus,
    )
    from stablereward.report.disagreements import Disagreement
    from stablereward.report.judges_page import judges_page
    from stablereward.report.run import Result

    by_key = dict(zip(content_keys(preferences), preferences, strict=True))
    names = list(comparison.rows)
    keys = [row.pair for row in comparison.rows[names[0]]]
    pairs = [
        Disagreement(
            rows={name: rows[i] for name, rows in comparison.rows.items()},
            right=right,
            preference=by_key.get(keys[i]),
        )
        for i, right in differing(comparison)
    ]
    unknown = sum(pair.preference is None for pair in pairs)
    missing = f"question, responses and images of {unknown} pairs are missing: " + (
        "they are not in the data given" if preferences else "results do not hold them; give --data FILE"
    )
    notes = [f"{shared_line(comparison)}.", *comparison.notes, *([missing] if unknown else [])]
    tables = [("", contrasts_table(comparison))]
    tables += [(versus(one), categories_table(one)) for one in comparison.contrasts if one.categories]
    page = judges_page(
        f"{', '.join(names)}: {comparison.benchmark or 'judges compared'}",
        headline(comparison),
        notes,
        results=[
            Result.model_validate({**asdict(one), "role": "other"}) for one in comparison.summaries.values()
        ],
        categories={
            name: {category: some.accuracy_mean for category, some in found.items()}
            for name, found in comparison.categories.items()
        },
        measures=judges_table(comparison),
        differences=tables,
        about_differences=EXPLAINED,
        pairs=pairs,
        num_pairs=len(keys),
    )
    return page, missing if unknown else ""


def _target(first: Path, output: Path | None) -> Path:
    """A name that ends in .html is the page's own; another is its folder."""
    folder = first.resolve().parent if output is None else output
    return folder if folder.suffix.lower() in (".html", ".htm") else folder / "comparison.html"
