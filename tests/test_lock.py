"""One process at a time in a folder: real processes, one of them killed."""

import errno
import fcntl
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stablereward.cli import main
from stablereward.errors import ConfigError, StorageError
from stablereward.lock import held

HOLD = "import sys, pathlib; from stablereward.lock import held\nwith held(pathlib.Path(sys.argv[1])):\n"
WAIT = HOLD + "    print('held', flush=True); sys.stdin.read()"


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the folder until its stdin ends."""
    command = [sys.executable, "-c", WAIT, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()


def test_a_second_process_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with holder(folder) as process:
        named = re.escape(f"{folder}: process {process.pid} on {platform.node()} is at work here; wait")
        with pytest.raises(ConfigError, match=named), held(folder):
            raise AssertionError
        assert (folder / ".lock").exists()
    assert process.returncode == 0 and not folder.exists()
    with held(folder):
        pass


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (tmp_path / ".lock").read_text().startswith(f"process {process.pid} ")
        with held(tmp_path):
            assert (tmp_path / ".lock").read_text() == f"process {os.getpid()} on {platform.node()}"
    assert not list(tmp_path.iterdir())


def test_the_same_process_is_refused_too_and_a_failure_lets_go(tmp_path: Path) -> None:
    with pytest.raises(KeyError), held(tmp_path):
        with pytest.raises(ConfigError, match=f"process {os.getpid()} "), held(tmp_path):
            raise AssertionError
        raise KeyError
    with held(tmp_path / "a"), held(tmp_path / "b"):
        (tmp_path / "a" / "kept").write_text("")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_of_many_at_once_one_at_a_time_is_in(tmp_path: Path) -> None:
    """Each that gets in writes its number, waits, and finds it unchanged."""
    code = HOLD + (
        "    file = pathlib.Path(sys.argv[1]).parent / 'inside'; file.write_text(sys.argv[2])\n"
        "    import time; time.sleep(0.02); assert file.read_text() == sys.argv[2]"
    )
    loop = "import sys\nfrom stablereward.errors import ConfigError\n"
    loop += f"for _ in range(40):\n    try: exec({code!r})\n"
    loop += "    except ConfigError: pass"
    running = [
        subprocess.Popen([sys.executable, "-c", loop, str(tmp_path / "run"), str(number)])
        for number in range(4)
    ]
    deadline = time.monotonic() + 60
    assert [process.wait(deadline - time.monotonic()) for process in running] == [0] * 4
    assert not (tmp_path / "run" / ".lock").exists()


@pytest.mark.parametrize(
    ("command", "folder"),
    [
        (["train", "r1_reward", "--tiny", "--set", "output=OUT"], ""),
        (["train", "r1_reward", "--tiny", "--resume", "--set", "output=OUT"], ""),
        (["train", "toy_base", "--set", "output=OUT"], ""),
        (["demo", "--output", "OUT"], ""),
        (["bench", "--benchmark", "toy", "--subset", "1", "--model", "toy", "--output", "OUT"], ""),
        (["lab", "stability", "--fast", "--output", "OUT"], "stability"),
    ],
)
def test_every_command_that_fills_a_folder_holds_it(
    command: list[str], folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with held(tmp_path / folder), pytest.raises(SystemExit) as end:
        main([word.replace("OUT", str(tmp_path)) for word in command])
    assert end.value.code == 2
    assert "is at work here; wait until it ends or choose another output" in " ".join(
        capsys.readouterr().err.split()
    )
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.parametrize(
    ("place", "cause"),
    [
        ("file", "file is a file, not a folder; choose another output"),
        ("file/run", "file is a file, not a folder; choose another output"),
        ("link", "link is a link to what is not there; remove the link or choose another output"),
        ("link/run", "link is a link to what is not there; remove the link or choose another output"),
        ("x" * 300, "File name too long; choose a shorter output"),
        ("x" * 300 + "/run", "File name too long; choose a shorter output"),
    ],
)
def test_a_place_that_cannot_be_written_is_a_storage_error(place: str, cause: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(StorageError, match="cannot be written") as refused, held(tmp_path / place):
        raise AssertionError
    assert str(refused.value).endswith(cause) and "\n" not in str(refused.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


def test_a_folder_without_permission_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", refuse)
    with (
        pytest.raises(StorageError, match="Permission denied; check the folder's permissions"),
        held(tmp_path),
    ):
        raise AssertionError


def test_a_lock_on_a_file_that_was_made_anew_since_it_was_opened_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder before removes the file after it was opened here, and the next one makes another."""
    tried, system_flock = [], fcntl.flock

    def flock(handle: int, how: int) -> None:
        if not tried:
            (tmp_path / ".lock").unlink()
            (tmp_path / ".lock").write_text("the next one")
        tried.append(os.fstat(handle).st_ino)
        system_flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with held(tmp_path):
        assert (tmp_path / ".lock").stat().st_ino == tried[-1] and len(tried) == 2
