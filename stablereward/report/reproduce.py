"""How to make the run again: the command, the machine, the settings, and the figures to take away."""

import base64
import gzip
import re
import shlex
from pathlib import Path

from stablereward.report.files import content
from stablereward.report.markup import Html, el, join
from stablereward.report.quantities import plural
from stablereward.report.run import Origin, Run

CONFIG_LINE = re.compile(r"(\s*(?:- )?)([^\s#:][^:]*)(:.*)")
DOWNLOADS = {
    "config.yaml": "application/yaml",
    "metrics.jsonl": "application/jsonl",
    "results.json": "application/json",
    "categories.json": "application/json",
}
PLAIN = 100_000
"""Up to this many bytes a file is in the page as it is; a larger one is packed."""
PACKED = 450_000
"""Up to this many bytes a packed file is in the page."""


def reproduce_section(run: Run) -> Html | None:
    """The command, the machine, downloads and the settings; None where the run has none of them."""
    parts = [_command(run), _downloads(run.folder), _machines(run.origins), _config(run)]
    found = [part for part in parts if part is not None]
    return join(found) if found else None


def _command(run: Run) -> Html | None:
    """The command that trains by these settings again, into a folder of its own."""
    if not run.config.strip():
        return None
    recipe = next((one.recipe for one in run.origins if one.recipe), "")
    again = shlex.quote(f"runs/{run.name}-again")
    command = f"stablereward train {shlex.quote(recipe) if recipe else 'RECIPE'} --config config.yaml"
    unknown = "" if recipe else "The folder does not say its recipe: put its name in place of RECIPE. "
    return join(
        [
            el("p", f"{unknown}Download config.yaml below, then:", cls="muted"),
            el("pre", f"{command} --set output={again}", cls="command", tabindex=0),
        ]
    )


def _downloads(folder: Path) -> Html | None:
    """Links that hold the files themselves, byte for byte."""
    links = [link for name, kind in DOWNLOADS.items() if (link := _download(folder / name, kind))]
    return el("p", el("span", "Download", cls="label"), *links, cls="downloads") if links else None


def _download(path: Path, kind: str) -> Html | None:
    found = content(path, [])
    if not found:
        return None
    name, size = path.name, _size(len(found))
    if len(found) > PLAIN:
        name, kind, found = f"{name}.gz", "application/gzip", gzip.compress(found, mtime=0)
        if len(found) > PACKED:
            return el("span", f"{path.name} ({size}) lies in the run folder", cls="muted")
    address = f"data:{kind};base64,{base64.b64encode(found).decode()}"
    return el("a", name, " ", el("small", size), href=address, download=name)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(count / 1e3, 0.1):.1f} kB"


def _machines(origins: list[Origin]) -> Html | None:
    """One row for each machine that worked on the run, the first one first."""
    if not origins:
        return None
    rows = [
        el("tr", el("th", title, scope="row"), *(el("td", text or "–") for text in texts))
        for title, texts in (
            ("Processor", [_processor(one) for one in origins]),
            ("Memory", ["" if one.memory_gib is None else f"{one.memory_gib:.1f} GiB" for one in origins]),
            ("GPU", [", ".join(one.gpus)[:200] or "none" for one in origins]),
            ("System", [one.system[:200] for one in origins]),
            ("Software", [_software(one) for one in origins]),
        )
    ]
    note = (
        f"{plural(len(origins), 'machine')} worked on this run, in this order." if len(origins) > 1 else None
    )
    table = el("table", el("tbody", *rows), cls="machine")
    return join(
        [
            el("h3", "Machine", cls="quantity"),
            el("p", note, cls="muted") if note else None,
            el("div", table, cls="scroll"),
        ]
    )


def _processor(origin: Origin) -> str:
    cores = "" if origin.cores is None else plural(origin.cores, "core")
    threads = "" if origin.threads is None else plural(origin.threads, "torch thread")
    return ", ".join(filter(None, (origin.cpu[:200], cores, threads)))


def _software(origin: Origin) -> str:
    return ", ".join(f"{name} {version}" for name, version in list(origin.versions.items())[:20])[:400]


def _config(run: Run) -> Html | None:
    if not run.config.strip():
        return None
    lines = join(_config_line(line) for line in run.config.rstrip().splitlines())
    return el(
        "details", el("summary", "config.yaml: every setting of this run"), el("pre", lines), cls="fold"
    )


def _config_line(line: str) -> Html:
    found = CONFIG_LINE.fullmatch(line)
    if found is None:
        return join([line, "\n"])
    indent, key, rest = found.groups()
    return join([indent, el("b", key), rest, "\n"])
