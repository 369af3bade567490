"""The toy world as files: what is written reads back, and the same seed gives the same bytes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stablereward.data.preferences import read_preferences
from stablereward.data.toy.files import write_toy
from stablereward.data.toy.pairs import pairs
from stablereward.data.toy.scenes import draw
from stablereward.errors import StorageError
from stablereward.images import load_image
from tests.training.tmpfs import small_disk


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    train, held_out = write_toy(tmp_path, num_train=24, num_held_out=12, seed=3)
    for path, made in ((train, pairs(24, seed=3)), (held_out, pairs(12, seed=3, held_out=True))):
        found = list(read_preferences(path))
        assert len(found) == len(made)
        for preference, pair in zip(found, made, strict=True):
            wanted = pair.preference()
            for name in ("question", "responses", "ranks", "id", "category", "extra"):
                assert getattr(preference, name) == getattr(wanted, name)
            (image,) = preference.images
            assert load_image(image, "test").tobytes() == draw(pair.scene).tobytes()
    listings = [{p.extra["listing"] for p in read_preferences(path)} for path in (train, held_out)]
    assert not listings[0] & listings[1]


def test_the_same_seed_gives_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    write_toy(tmp_path / "a", num_train=24, num_held_out=12, seed=3)
    code = (
        "import sys\nfrom pathlib import Path\nfrom stablereward.data.toy.files import write_toy\n"
        "write_toy(Path(sys.argv[1]), num_train=24, num_held_out=12, seed=3)\n"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "b")]
    subprocess.run(arguments, check=True, env={**os.environ, "PYTHONHASHSEED": "7"})
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    write_toy(tmp_path / "c", num_train=24, num_held_out=12, seed=4)
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


@pytest.mark.parametrize("kilobytes", [8, 40])
def test_a_full_disk_leaves_no_half_file(kilobytes: int, tmp_path: Path) -> None:
    with small_disk(tmp_path / "toy", kilobytes) as folder:
        with pytest.raises(StorageError, match="free space or choose another folder") as full:
            write_toy(folder, num_train=48, num_held_out=12, seed=0)
        assert "\n" not in str(full.value)
        left = [path for path in folder.rglob("*") if path.is_file()]
        assert left and all(path.parent.name == "images" for path in left)
        for path in left:
            assert load_image(path, "test").size == (84, 84)
