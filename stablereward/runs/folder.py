"""A run is a folder: `config.yaml`, `metrics.jsonl`, `distributions.jsonl`, `timings.jsonl`, `machine.json`,
`rollouts/`, `media/`, `checkpoints/`.

`metrics.jsonl` is the source of truth and holds no clock, nor does `distributions.jsonl`, so that an
interrupted and resumed run ends with the same bytes as an uninterrupted one; what the clock says is in
`timings.jsonl`, and what was computed where in `machine.json`.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from PIL import Image

from stablereward.config import flat
from stablereward.errors import ConfigError, DataError
from stablereward.images import load_image
from stablereward.lock import held
from stablereward.runs.files import to_jsonl, write_atomic, writing
from stablereward.types import ImageSource, Response

WORTHLESS = frozenset({"config.yaml", "machine.json", "timings.jsonl", "data"})
"""What a run has made before it has done any work; the toy world in `data` takes seconds."""
MAX_NAMED = 5
REMOVE = "remove the line and resume"


def read_jsonl(path: Path, remedy: str = REMOVE) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects in a file of a run, each with its place. Raises DataError for a line that is none."""
    return ((where, row) for where, row, _ in _lines(path, remedy))


class RunFolder:
    """Appends to the logs of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def running(self, config: str, *, resume: bool, changeable: Collection[str] = ()) -> Iterator[None]:
        """Holds the folder for this process and opens it, see `open`, for as long as the block runs.

        A start that fails before any work is done leaves the folder as it was. Raises ConfigError where
        another process holds it.
        """
        with held(self.path):
            before = None if (self.path / "config.yaml").exists() else set(self.path.rglob("*"))
            self.open(config, resume=resume, changeable=changeable)
            try:
                yield
            except BaseException:
                if before is not None:
                    with suppress(OSError):
                        self._undo(before)
                raise

    def open(self, config: str, *, resume: bool, changeable: Collection[str] = ()) -> None:
        """Starts the folder, or continues it with `resume`.

        Raises ConfigError where a run is already there without `resume`, or where the resumed run was
        started with other settings, which it names. `output` is none of these, for a folder may be moved,
        nor are those named in `changeable`; `config.yaml` then holds the new ones.
        """
        kept = self.path / "config.yaml"
        if kept.exists():
            if not resume:
                raise ConfigError(
                    f"{self.path}: a run is already here; add --resume or choose another output"
                )
            there = kept.read_text(encoding="utf-8", errors="replace")
            if there != config:
                self._require_equal(flat(there, str(kept)), flat(config, "settings"), {"output", *changeable})
                write_atomic(kept, config)
            self._mend()
        else:
            write_atomic(kept, config)

    def _require_equal(
        self, there: Mapping[str, Any], here: Mapping[str, Any], changeable: Collection[str]
    ) -> None:
        names = dict.fromkeys((*here, *there))
        differing = [
            f"{name} {_value(there, name)} there, {_value(here, name)} here"
            for name in names
            if name not in changeable and (name not in there or name not in here or there[name] != here[name])
        ]
        if differing:
            more = f"; and {len(differing) - MAX_NAMED} more" if len(differing) > MAX_NAMED else ""
            named = "; ".join(differing[:MAX_NAMED]) + more
            raise ConfigError(
                f"{self.path}: the run was started with other settings: {named}. Give the same, or choose "
                "another output"
            )

    def _undo(self, before: set[Path]) -> None:
        """Removes what came since, unless something of it took work."""
        made = [path for path in sorted(self.path.rglob("*")) if path not in before]
        if any(_took_work(path, path.relative_to(self.path).parts) for path in made):
            return
        for path in reversed(made):  # what a folder holds before the folder
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()

    def _mend(self) -> None:
        """Clears what a kill left half-written: files under another name, and the end of a torn last line."""
        for path in sorted(self.path.rglob(".partial-*")):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        for path in self.path.glob("*.jsonl"):
            os.truncate(path, path.read_bytes().rfind(b"\n") + 1)

    def log(
        self,
        stage: str,
        update: int,
        metrics: Mapping[str, float],
        *,
        seconds: float,
        tokens: int = 0,
        learner: str | None = None,
    ) -> None:
        """Adds one update to the metrics and its time to the timings. `learner` is one of several."""
        made_by = {} if learner is None else {"learner": learner}
        self._append("metrics.jsonl", {"stage": stage, "update": update, **made_by, **metrics})
        rate = {"tokens_per_second": round(tokens / seconds, 1)} if tokens and seconds else {}
        self._append(
            "timings.jsonl", {"stage": stage, "update": update, "seconds": round(seconds, 4), **rate}
        )

    def event(self, name: str, **fields: Any) -> None:
        """Adds something that happened."""
        self._append("metrics.jsonl", {"event": name, **fields})

    def record(self, row: Mapping[str, Any]) -> None:
        """Adds an update to the distributions."""
        self._append("distributions.jsonl", row)

    def stage_ended(self, stage: str, seconds: float) -> None:
        """Adds how long a stage took."""
        self._append("timings.jsonl", {"event": "stage", "stage": stage, "seconds": round(seconds, 2)})

    def logged(self, stage: str) -> int:
        """The last update of a stage in the metrics; 0 where there is none."""
        path = self.path / "metrics.jsonl"
        rows = (row for _, row in read_jsonl(path)) if path.exists() else iter(())
        return max(
            (row["update"] for row in rows if row.get("stage") == stage and "event" not in row), default=0
        )

    def rewind(self, stage: str, update: int) -> None:
        """Forgets what was logged of a stage after an update, and everything after that.

        Raises DataError for a line that cannot be read.
        """
        for name in ("metrics.jsonl", "distributions.jsonl", "timings.jsonl"):
            path = self.path / name
            if path.exists():
                kept = list(_before(path, stage, update))
                write_atomic(path, "".join(kept))
        for path in (self.path / "rollouts").glob(f"{stage}-*.jsonl"):
            number = path.stem.rpartition("-")[2]
            if number.isdecimal() and int(number) > update:
                path.unlink()

    def write_rollouts(self, stage: str, update: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes what is shown of the groups of an update; the images among it become files of the folder."""
        kept = [self._kept(row) for row in rows]
        write_atomic(self.path / "rollouts" / f"{stage}-{update:06d}.jsonl", to_jsonl(kept))

    def _kept(self, shown: Mapping[str, Any]) -> dict[str, Any]:
        found = dict(shown)
        if "images" in found:
            found["images"] = [self.keep_image(image) for image in found["images"]]
        if "responses" in found:
            found["responses"] = [self.keep_response(response) for response in found["responses"]]
        if "completions" in found:
            found["completions"] = [self._kept(one) for one in found["completions"]]
        return found

    def keep_response(self, response: Response) -> str | list[str | dict[str, str]]:
        """A text as it is; of pictures and texts each in order, the pictures as `{"image": path}`."""
        if isinstance(response, str):
            return response
        return [
            part if isinstance(part, str) else {"image": self.keep_image(part)} for part in response.parts
        ]

    def keep_image(self, source: ImageSource) -> str:
        """Copies an image into `media/`, named by its content; returns its path in the run folder."""
        image = load_image(source, "rollout")
        name = hashlib.sha256(image.tobytes() + repr(image.size).encode()).hexdigest()[:16]
        path = self.path / "media" / f"{name}.png"
        if not path.exists():
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                partial = path.with_name(f".partial-{path.name}")
                _small(image).save(partial, format="PNG")
                partial.replace(path)
        return f"media/{name}.png"

    def _append(self, name: str, row: Mapping[str, Any]) -> None:
        path = self.path / name
        with writing(path):
            self.path.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(to_jsonl([row]))


def _before(path: Path, stage: str, update: int) -> Iterator[str]:
    """The lines up to the first of `stage` after `update`."""
    for where, row, line in _lines(path):
        number = row.get("update", update + 1)
        if not isinstance(number, int):
            raise DataError(f"{where}: an update is no number; {REMOVE}")
        if row.get("stage") == stage and number > update:
            return
        yield line


def _lines(path: Path, remedy: str = REMOVE) -> Iterator[tuple[str, dict[str, Any], str]]:
    with path.open("rb") as file:
        for number, content in enumerate(file, start=1):
            where = f"{path}:{number}"
            try:
                line = content.decode()
                row = json.loads(line)
            except (ValueError, RecursionError):
                raise DataError(f"{where}: not JSON, which a run writes; {remedy}") from None
            if not isinstance(row, dict):
                raise DataError(f"{where}: not an object of JSON, which a run writes; {remedy}")
            yield where, row, line


def _took_work(path: Path, parts: Sequence[str]) -> bool:
    """Whether what is at `parts` of a run is a file that holds something; what is half-written is nothing."""
    if parts[0] in WORTHLESS or any(part.startswith(".partial-") for part in parts):
        return False
    return path.is_file() and path.stat().st_size > 0


def _value(values: Mapping[str, Any], name: str) -> str:
    return repr(values[name])[:80] if name in values else "not set"


def _small(image: Image.Image, limit: int = 512) -> Image.Image:
    if max(image.size) <= limit:
        return image
    small = image.copy()
    small.thumbnail((limit, limit))
    return small
