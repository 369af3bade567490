"""Any file of a run, damaged in any way: a resume and a report go on, or say in one line what is wrong."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers.utils import logging

from stablereward.errors import StableRewardError
from stablereward.recipes.judges.r1_reward import run
from stablereward.report.report import write_report
from tests.e2e.test_folders import small

SEED = 0
PER_FILE = 3


def damages(content: bytes, rng: random.Random, *, within: bool) -> Iterator[bytes]:
    """The content cut, garbled or replaced; `within` also with one byte or one line changed."""
    lines = content.splitlines(keepends=True)
    place, middle = rng.randrange(len(content) + 1), len(lines) // 2
    yield content[:place]
    yield rng.randbytes(200)
    if within:
        yield content[:place] + bytes([rng.randrange(256)]) + content[place + 1 :]
    for instead in (b"", b"{\n", b"{}\n", b"null\n", b"[1]\n", b'{"stage": "rl", "update": null}\n'):
        yield instead
        if within:
            yield b"".join([*lines[:middle], instead, *lines[middle + 1 :]])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(small(tmp_path_factory.mktemp("damage") / "finished", "votes=[1, 2]"))


@pytest.fixture(scope="module")
def interrupted(finished: Path) -> Path:
    """The same run with its last update and its measurement still to do."""
    folder = finished.with_name("interrupted")
    shutil.copytree(finished, folder)
    for name in ("judge", "judgements", "checkpoints/rl-000002"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("results.json", "categories.json", "examples.jsonl", "report.html"):
        (folder / name).unlink()
    assert (folder / "checkpoints" / "rl-000001").exists()
    return folder


def side_files(folder: Path, *beside: str) -> list[Path]:
    """What a run reads again, but for pictures and pages."""
    files = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    return [file for file in files if file.suffix not in (".png", ".html") and file.parts[0] not in beside]


def complaints(folder: Path) -> Iterator[str]:
    """What a resume and then a report say, each empty where it goes on."""
    for act in (lambda: run(small(folder, "votes=[1, 2]"), resume=True), lambda: write_report(folder)):
        try:
            act()
            yield ""
        except StableRewardError as error:
            assert "\n" not in str(error), str(error)
            yield str(error)


@pytest.mark.slow
@pytest.mark.parametrize("state", ["finished", "interrupted"])
def test_a_damaged_file_is_one_line_or_does_not_matter(
    state: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    whole: Path = request.getfixturevalue(state)
    logging.set_verbosity_error()
    rng = random.Random(SEED)
    beside = ("judge", "cold_start", "checkpoints") if state == "finished" else ("data", "rollouts", "media")
    said = set()
    for file in side_files(whole, *beside):
        if file.parts[0] == "checkpoints" and not file.parts[1].startswith("rl"):
            continue
        # Another number in a model's configuration makes another model, and nobody knows that it is wrong.
        within = file.parts[0] != "cold_start"
        for content in rng.sample(list(damages((whole / file).read_bytes(), rng, within=within)), PER_FILE):
            folder = tmp_path / "run"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(whole, folder)
            (folder / file).write_bytes(content)
            try:
                said.update(file for line in complaints(folder) if line)
            except Exception as error:
                error.add_note(f"{file} as {content[:200]!r}")
                raise
    assert len(said) > 5
