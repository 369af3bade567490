"""MM-RLHF-RewardBench: https://arxiv.org/abs/2502.10391. 170 pairs on 46 images, questions and videos."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from stablereward.data.preferences import read_preferences
from stablereward.evaluation.benchmarks import Benchmark, CategoryMap, Rule
from stablereward.evaluation.files import fields, read_rows, unknown_form
from stablereward.evaluation.records import is_own, own_rows, pair, rewarded
from stablereward.evaluation.rules import by_category, categories, stablereward, strict
from stablereward.evaluation.tables import Figure, share
from stablereward.types import Preference, Row

CATEGORIES = ("mcq", "long", "short", "safety", "video")


def path_category(path: str) -> str:
    """The first of the five names that occurs in an image's or a video's path, as the authors do it."""
    return next((name for name in CATEGORIES if name in path), "")


def load(path: Path, *, images_root: Path | None = None, require_images: bool = True) -> Iterator[Preference]:
    """The authors' file. A video is a folder of frames, which are read in natural order."""
    root = images_root or path.parent
    for preference in read_preferences(path, images_root=images_root, require_images=require_images):
        image = preference.images[0] if preference.images else None
        # The folders above the images are the user's and must not name a category.
        inside = image.relative_to(root) if isinstance(image, Path) and image.is_relative_to(root) else None
        yield replace(preference, category=path_category(str(inside)) if inside else preference.category)


class _Item(BaseModel):
    id: str
    image: str | None = None
    video: str | None = None


def read(path: Path, data: Path | None = None) -> tuple[list[Row], tuple[str, ...]]:
    """This package's rows, or the authors' form: the benchmark's rows with `rewards: [chosen, rejected]`."""
    if is_own(path):
        return own_rows(path), ()
    if not {"id", "rewards"} <= fields(path):
        raise unknown_form(path, "this package's rows and {id, image or video, rewards}")
    items = zip(read_rows(path, _Item), rewarded(path), strict=True)
    return [
        pair(
            [choice],
            id=item.id,
            best=0,
            category=path_category(item.image or item.video or ""),
        )
        for item, choice in items
    ], ()


def acc_plus(name: str, rows: Sequence[Row]) -> Figure:
    """Acc+: the share of questions whose pairs are all right, in every order shown."""
    right: dict[str, bool] = {}
    for row in rows:
        right[row.id] = right.get(row.id, True) and all(strict(row))
    return share(name, [float(all_right) for all_right in right.values()])


def _official(rows: Sequence[Row]) -> tuple[Figure, ...]:
    return (
        *by_category(rows),
        acc_plus("acc+", rows),
        *(acc_plus(f"{name} acc+", some) for name, some in categories(rows).items()),
    )


def _stablereward(rows: Sequence[Row]) -> tuple[Figure, ...]:
    return (*stablereward(rows), acc_plus("acc+", rows))


RULES: Mapping[str, Rule[Row]] = {
    "official": Rule(
        "overall is Acc, the share of pairs; acc+ is that of questions with every pair right; equal is wrong",
        _official,
    ),
    "stablereward": Rule("every order shown counts; unread and tied votes are not right", _stablereward),
}

BENCHMARK = Benchmark[Row](
    name="MM-RLHF-RewardBench",
    data=(
        "170 pairs on 46 questions. Hugging Face dataset yifanzhang114/MM-RLHF-RewardBench, or "
        "mm_reward_bench.jsonl of the repository yfzhang114/r1_reward, folder inference/MM-RLHF-Reward. "
        "Extract the frames of each video into a folder of its own."
    ),
    rules=RULES,
    maps={
        "official": CategoryMap(
            about="the first of mcq, long, short, safety and video in the path",
            sizes={"mcq": 42, "long": 37, "short": 34, "safety": 32, "video": 25},
            apart={"acc+": 46},
        ),
    },
    read=read,
    load=load,
    releases={"6bfb13b4266ea8af": "170 pairs of 2025"},
    ids_repeat=True,
)
