"""Pairs by content."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image

from stablereward.evaluation.benchmarks import find
from stablereward.evaluation.benchmarks.vl_rewardbench import load
from stablereward.evaluation.content import content_keys, question_keys, subset, with_stand_ins
from stablereward.types import Message, Preference, pictured

PAIRS = [Preference(question=f"q{i}", responses=("a", "b"), ranks=(0, 1), id="same") for i in range(30)]


def test_every_pair_has_a_key_of_its_own_and_rows_beside_it_change_nothing() -> None:
    keys = content_keys(PAIRS)
    assert len(set(keys)) == 30
    assert content_keys(PAIRS[::-1]) == keys[::-1]
    twice = content_keys([PAIRS[0], PAIRS[0]])
    assert twice[0] == keys[0] != twice[1]


def test_question_responses_and_images_make_the_key_and_nothing_else() -> None:
    pair = replace(PAIRS[0], images=(Path("a/1.png"),))
    [key] = content_keys([pair])
    for other in (
        replace(pair, question="other"),
        replace(pair, responses=("b", "a")),
        replace(pair, images=(Path("a/2.png"),)),
        replace(pair, images=(Image.new("RGB", (2, 2)),)),
        replace(pair, history=(Message("system", ("Be brief.",)),)),
        replace(pair, history=(Message("user", (Path("a/2.png"),)),)),
    ):
        assert content_keys([other]) != [key]
    moved = replace(pair, images=(Path("elsewhere/1.png"),), id="new", category="c", ranks=(1, 0))
    assert content_keys([moved]) == [key]


def test_pairs_share_a_key_where_they_share_question_and_images() -> None:
    pair = replace(PAIRS[0], images=(Path("root/clip 1/1.png"),))
    same = replace(pair, responses=("c", "d", "e"), id="new", category="c", ranks=None)
    assert question_keys([same]) == question_keys([pair])
    for other in (
        replace(pair, question="other"),
        replace(pair, images=(Path("root/clip 2/1.png"),)),
        replace(pair, images=(Path("elsewhere/clip 1/1.png"),)),
        replace(pair, images=(Image.new("RGB", (2, 2)),)),
    ):
        assert question_keys([other]) != question_keys([pair])
    # Without question and image nobody knows what they are about.
    assert question_keys([replace(PAIRS[0], question=" ")]) == [""]


def test_a_question_is_known_by_what_its_image_files_hold(tmp_path: Path) -> None:
    pairs = []
    for i in range(8):
        image = tmp_path / f"sample_{i}" / "images" / "0.png"
        image.parent.mkdir(parents=True)
        Image.new("RGB", (4, 4), (i // 2, 0, 0)).save(image)
        pairs.append(replace(PAIRS[0], images=(image,)))
    keys = question_keys(pairs)
    assert keys[::2] == keys[1::2] and len(set(keys)) == 4
    # The same name with other bytes is another question, whatever was there before.
    Image.new("RGB", (4, 4), (200, 0, 0)).save(tmp_path / "sample_0/images/0.png", compress_level=0)
    assert question_keys(pairs[:2])[0] not in keys and question_keys(pairs)[1:] == keys[1:]
    # A folder is no file and cannot be read.
    assert question_keys([replace(pairs[0], images=(tmp_path,))]) != question_keys(
        [replace(pairs[0], images=(tmp_path / "sample_0",))]
    )


def test_images_in_memory_are_known_by_their_pixels_and_shape() -> None:
    wide, again, high = Image.new("RGB", (4, 2)), Image.new("RGB", (4, 2)), Image.new("RGB", (2, 4))
    keys = question_keys([replace(PAIRS[0], images=(image,)) for image in (wide, again, high)])
    assert keys[0] == keys[1] != keys[2]


def test_pairs_of_a_real_benchmark_share_46_questions(shared: Callable[[str], Path]) -> None:
    data = shared("r1_reward/MM-RLHF-RewardBench/mm_reward_bench.jsonl")
    preferences = list(find("mm_rlhf_rewardbench").load(data, require_images=False))
    keys = question_keys(preferences)
    assert (len(keys), len(set(keys))) == (170, 46)
    ids = {preference.id: key for preference, key in zip(preferences, keys, strict=True)}
    assert [ids[preference.id] for preference in preferences] == keys


def test_a_smaller_subset_is_part_of_a_larger_one_in_file_order() -> None:
    ten, twenty = subset(PAIRS, 10, seed=1), subset(PAIRS, 20, seed=1)
    assert len(ten) == 10 and [p for p in twenty if p in ten] == ten
    assert [p for p in PAIRS if p in ten] == ten
    assert subset(PAIRS, 10, seed=2) != ten
    assert {p.question for p in subset(PAIRS[::-1], 10, seed=1)} == {p.question for p in ten}


def test_only_missing_images_are_stood_in_for(tmp_path: Path) -> None:
    there = tmp_path / "there.png"
    Image.new("RGB", (2, 2)).save(there)
    pair = replace(PAIRS[0], images=(there, tmp_path / "missing.png"))
    [filled], missing = with_stand_ins([pair])
    assert missing == 1 and filled.images[0] == there
    [[again], _] = with_stand_ins([pair])
    drawn, same = filled.images[1], again.images[1]
    assert isinstance(drawn, Image.Image) and isinstance(same, Image.Image)
    assert drawn.tobytes() == same.tobytes()


def test_missing_pictures_of_responses_are_stood_in_for(tmp_path: Path) -> None:
    pair = replace(PAIRS[0], responses=(pictured(tmp_path / "a.png"), pictured("See", tmp_path / "b.png")))
    pair = replace(pair, history=(Message("user", (tmp_path / "c.png", "this")),))
    [filled], missing = with_stand_ins([pair])
    assert missing == 3 and all(isinstance(image, Image.Image) for image in filled.all_images)
    assert filled.swapped().all_images[1:] == filled.all_images[:0:-1]


def test_no_pair_of_vl_rewardbench_is_lost_though_ids_repeat(shared: Callable[[str], Path]) -> None:
    preferences = list(load(shared("r1_reward/VL-RewardBench/data.jsonl"), require_images=False))
    assert len({p.id for p in preferences}) == 1225
    assert len(set(content_keys(preferences))) == 1250
