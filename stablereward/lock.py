"""One process at a time in a folder, by a lock of the operating system, which a dead process cannot keep."""

import errno
import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stablereward.errors import ConfigError, StorageError

FILE = ".lock"
TRIES = 100
"""How often the holder before may be in the way by leaving."""
MAX_SHOWN = 200
_UNKNOWN = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Holds a folder, made where it is missing, until the block ends; a folder still empty then goes again.

    Who holds it stands in `.lock`. Where the file system has no locks, nothing is held. Raises ConfigError,
    naming process and machine, where the folder is held already, and StorageError where it cannot be written.
    """
    file = folder / FILE
    try:
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        handle = _locked(file)
    except OSError as error:
        raise StorageError(f"{_short(folder)}: cannot be written: {_cause(error, folder)}") from None
    try:
        yield
    finally:
        # While it is still held, so that nobody can lock a file that is about to go.
        with suppress(OSError):
            file.unlink(missing_ok=True)
        os.close(handle)
        for path in made:
            with suppress(OSError):
                path.rmdir()


def _cause(error: OSError, folder: Path) -> str:
    """Why a folder cannot be written, and what to do."""
    if error.errno == errno.ENAMETOOLONG:
        return f"{error.strerror}; choose a shorter output"
    for path in (folder, *folder.parents):
        if path.is_symlink() and not path.exists():
            return f"{path} is a link to what is not there; remove the link or choose another output"
        if path.exists() and not path.is_dir():
            return f"{path} is a file, not a folder; choose another output"
    return f"{error.strerror}; check the folder's permissions"


def _short(folder: Path) -> str:
    text = str(folder)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _locked(file: Path) -> int:
    """The open file, locked and naming this process."""
    for again in reversed(range(TRIES)):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # the holder before has just removed the folder
            if not again:
                raise
            continue
        try:
            _lock(handle, file)
            # The holder before may have removed the file between its opening here and its lock.
            if file.exists() and os.path.samestat(os.fstat(handle), file.stat()):
                os.ftruncate(handle, 0)
                os.write(handle, f"process {os.getpid()} on {platform.node()}".encode())
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def _lock(handle: int, file: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(handle, 200).decode(errors="replace") or "another process"
        raise ConfigError(
            f"{file.parent}: {holder} is at work here; wait until it ends or choose another output"
        ) from None
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise
