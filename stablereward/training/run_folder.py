"""A run is a folder: `config.yaml`, `metrics.jsonl`, `distributions.jsonl`, `timings.jsonl`, `machine.json`,
`rollouts/`, `media/`, `checkpoints/`.

`metrics.jsonl` is the source of truth and holds no clock, nor does `distributions.jsonl`, so that an
interrupted and resumed run ends with the same bytes as an uninterrupted one; what the clock says is in
`timings.jsonl`, and what was computed where in `machine.json`.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from stablereward.data.images import load_image
from stablereward.errors import ConfigError, StorageError
from stablereward.training.collect import Collected
from stablereward.types import Failure, ImageSource, Reward, Rollouts

Place = tuple[int, int]
"""The number of a prompt in its collection and of one of its completions."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the system's refusal to write (full disk, no permission) into StorageError."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "free some space" if full else "check the folder's permissions"
        cause = error.strerror or str(error)
        raise StorageError(f"{path}: cannot be written: {cause}; {advice}, then resume the run") from error


def write_atomic(path: Path, text: str) -> None:
    """Writes a whole file or leaves what was there."""
    partial = path.with_name(f".partial-{path.name}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)


def to_jsonl(rows: Sequence[Mapping[str, Any]]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


class RunFolder:
    """Appends to the logs of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, config: str, *, resume: bool) -> None:
        """Starts the folder, or continues it with `resume`.

        Raises ConfigError where a run is already there without `resume`, or where the resumed run was
        started with another configuration.
        """
        kept = self.path / "config.yaml"
        if kept.exists():
            if not resume:
                raise ConfigError(
                    f"{self.path}: a run is already here; add --resume or choose another output"
                )
            if kept.read_text(encoding="utf-8") != config:
                raise ConfigError(
                    f"{self.path}: the run was started with other settings; compare {kept} with yours"
                )
            self._mend()
        else:
            write_atomic(kept, config)

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
        self, stage: str, update: int, metrics: Mapping[str, float], *, seconds: float, tokens: int = 0
    ) -> None:
        """Adds one update to the metrics and its time to the timings."""
        self._append("metrics.jsonl", {"stage": stage, "update": update, **metrics})
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

    def rewind(self, stage: str, update: int) -> None:
        """Forgets what was logged of a stage after an update, and everything after that."""
        for name in ("metrics.jsonl", "distributions.jsonl", "timings.jsonl"):
            path = self.path / name
            if path.exists():
                kept = list(_before(path, stage, update))
                write_atomic(path, "".join(kept))
        for path in (self.path / "rollouts").glob(f"{stage}-*.jsonl"):
            if int(path.stem.rpartition("-")[2]) > update:
                path.unlink()

    def keep_rollouts(
        self,
        stage: str,
        update: int,
        collected: Collected,
        num_prompts: int,
        *,
        chosen: Sequence[int] | None = None,
        pieces: Callable[[Sequence[int]], list[str]] | None = None,
        flags: Mapping[Place, Mapping[str, Sequence[int]]] | None = None,
    ) -> None:
        """Writes the first prompts of a collection, with images, rewards by part and advantages.

        With `chosen` the first of these prompts. `pieces` gives the texts of token ids; `flags` are, for a
        prompt's and a completion's number, the tokens that each kind of bound decided.
        """
        rows = []
        numbers = range(len(collected.rollouts)) if chosen is None else chosen
        for prompt in numbers[:num_prompts]:
            rollouts = collected.rollouts[prompt]
            completions = []
            for number, advantage in enumerate(collected.advantages[prompt]):
                completion = rollouts.completions[number]
                row = {
                    "text": completion.text,
                    **_earned(rollouts.rewards[number]),
                    "advantage": advantage,
                    "num_tokens": len(completion.token_ids),
                }
                if pieces is not None:
                    row["tokens"] = pieces(completion.token_ids)
                clipped = (flags or {}).get((prompt, number))
                completions.append({**row, "clipped": clipped} if clipped else row)
            images = [self.keep_image(image) for image in rollouts.prompt.images]
            rows.append({"update": update, **_shown(rollouts), "images": images, "completions": completions})
        write_atomic(self.path / "rollouts" / f"{stage}-{update:06d}.jsonl", to_jsonl(rows))

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


def _shown(rollouts: Rollouts) -> dict[str, Any]:
    preference = rollouts.prompt.preference
    if preference is None:
        return {}
    return {
        "question": preference.question,
        "responses": list(preference.responses),
        "best": preference.best,
    }


def _earned(reward: Reward | Failure) -> dict[str, Any]:
    if isinstance(reward, Failure):
        return {"reward": None, "parts": {}, "failure": f"{reward.reason}: {reward.detail}"}
    return {"reward": reward.value, "parts": dict(reward.parts), "failure": None}


def _before(path: Path, stage: str, update: int) -> Iterator[str]:
    """The lines up to the first of `stage` after `update`."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if row.get("stage") == stage and (row.get("update", update + 1) > update):
                return
            yield line


def _small(image: Image.Image, limit: int = 512) -> Image.Image:
    if max(image.size) <= limit:
        return image
    small = image.copy()
    small.thumbnail((limit, limit))
    return small
