"""`stablereward score`: judgements and figures that others published, under a rule that is named."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from stablereward.cli.printing import printable
from stablereward.errors import ConfigError, DataError, StableRewardError


def score(
    file: Annotated[
        Path | None,
        typer.Argument(help="Judgements, this package's rows or the benchmark's own form; or a folder."),
    ] = None,
    benchmark: Annotated[
        str | None, typer.Option(metavar="NAME", help="As its authors write it, or as docs/benchmarks.md.")
    ] = None,
    rule: Annotated[str | None, typer.Option(help="A scoring rule; without it, the authors'.")] = None,
    category_map: Annotated[
        str | None, typer.Option("--map", help="A category map; without it, the authors'.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="The benchmark's own file, for judgements without labels.")
    ] = None,
    audit: Annotated[
        str | None, typer.Option(metavar="FIGURES", help='Can these stand together? As "71.92 63.84 …".')
    ] = None,
    reproduce: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Compute published figures again from their files.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json/--markdown", help="The form of the table.")] = False,
) -> None:
    """Score judgements made elsewhere, audit published figures, or compute them again."""
    if sum(given is not None for given in (file, audit, reproduce)) != 1:
        raise ConfigError("what should be scored? give one of a FILE, --audit FIGURES and --reproduce FOLDER")
    used = {"--benchmark": benchmark, "--rule": rule, "--map": category_map, "--data": data}
    allowed = set(used) if file is not None else {"--benchmark"} if audit is not None else set()
    unused = [name for name, value in used.items() if value is not None and name not in allowed]
    if unused:
        raise ConfigError(f"{', '.join(unused)} has no meaning here; leave it out")
    if reproduce is not None:
        _reproduce(reproduce, as_json)
    elif benchmark is None:
        raise ConfigError("which benchmark? give --benchmark NAME")
    elif audit is not None:
        print(_audit(benchmark, audit, as_json))
    elif file is not None:
        from stablereward.evaluation.score import score_file
        from stablereward.evaluation.tables import to_json, to_markdown

        if file.is_dir():
            print(_folder(file, benchmark, rule, category_map, data, as_json))
        else:
            table = score_file(file, benchmark, rule, category_map, data=data)
            print(to_json(table) if as_json else printable(to_markdown(table)))


def _folder(
    folder: Path, benchmark: str, rule: str | None, category_map: str | None, data: Path | None, as_json: bool
) -> str:
    """A table for each file in it, then what was left out; as JSON one object of both."""
    from stablereward.evaluation.score import score_folder
    from stablereward.evaluation.tables import to_markdown

    tables, left_out = score_folder(folder, benchmark, rule, category_map, data=data)
    if as_json:
        whole = {"tables": [asdict(table) for table in tables], "left_out": left_out}
        return json.dumps(whole, ensure_ascii=False, indent=2)
    parts = [to_markdown(table) for table in tables] + [f"Left out: {reason}" for reason in left_out]
    return printable("\n\n".join(parts))


def _audit(benchmark: str, figures: str, as_json: bool) -> str:
    from stablereward.evaluation.audit import audit, to_json, to_markdown

    findings = audit(benchmark, figures)
    if not findings:
        raise ConfigError("no category map has all of these figures; audit those of one map at a time")
    return to_json(findings) if as_json else printable(to_markdown(findings))


def _reproduce(folder: Path, as_json: bool) -> None:
    """Raises StableRewardError where a figure differs, so that a script can tell."""
    from stablereward.evaluation.published import reproduce, to_json, to_markdown

    found = reproduce(folder)
    if not found.figures:
        raise DataError(f"{folder}: no files of published figures in it; docs/benchmarks.md shows the layout")
    print(to_json(found) if as_json else printable(to_markdown(found)))
    differing = sum(not one.agree for one in found.figures)
    if differing:
        raise StableRewardError(
            f"{differing} of {len(found.figures)} published figures do not agree with their files"
        )
