"""What holds for every benchmark."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stablereward.errors import ConfigError, DataError
from stablereward.evaluation.benchmarks import CategoryMap, find, fingerprint, names, size_notes
from stablereward.evaluation.records import pair
from stablereward.evaluation.rows import append
from stablereward.types import Preference

ALL = (
    "genai_bench",
    "judgebench",
    "llmbar",
    "mj_bench",
    "mm_rlhf_rewardbench",
    "mmrb2",
    "mt_bench",
    "multimodal_rewardbench",
    "pandalm",
    "rewardbench",
    "rewardbench_2",
    "rm_bench",
    "rmb",
    "videoalign",
    "vl_rewardbench",
    "wildvision_bench",
)

REAL = [
    ("vl_rewardbench", "r1_reward/VL-RewardBench/data.jsonl", 1250),
    ("vl_rewardbench", "unified_reward/VL-RewardBench/data.json", 1250),
    ("mm_rlhf_rewardbench", "r1_reward/MM-RLHF-RewardBench/mm_reward_bench.jsonl", 170),
    ("judgebench", "judgebench/data/dataset=judgebench,response_model=gpt-4o-2024-05-13.jsonl", 350),
    ("judgebench", "judgebench/data/dataset=judgebench,response_model=claude-3-5-sonnet-20240620.jsonl", 270),
    ("llmbar", "llmbar", 419),
    ("pandalm", "pandalm/testset-v1.json", 999),
    ("rm_bench", "rm_bench/chat_filtered.json", 9 * 129),
    ("mj_bench", "mj_bench/alignment/actions_test.json", 117),
    ("genai_bench", "unified_reward/GenAI-Bench-Video/data.json", 1889),
    ("videoalign", "videoalign/example.csv", 3 * 12),
]


def test_every_benchmark_is_found_by_its_module() -> None:
    assert names() == ALL


@pytest.mark.parametrize("name", ALL)
def test_every_benchmark_says_what_it_is(name: str) -> None:
    benchmark = find(name)
    assert find(benchmark.name) is benchmark
    assert benchmark.rules and benchmark.maps
    assert all(rule.about for rule in benchmark.rules.values())
    assert all(one.about for one in benchmark.maps.values())
    assert "://" not in benchmark.data


def test_names_are_read_as_people_write_them() -> None:
    assert find("VL RewardBench") is find("vl-rewardbench") is find("vl_rewardbench")
    with pytest.raises(ConfigError, match="did you mean wildvision_bench"):
        find("wildvision")


def test_without_a_name_the_map_of_the_release_that_fits_is_taken(tmp_path: Path) -> None:
    sizes = {"mmlu-pro": 154, "livebench-reasoning": 51, "livebench-math": 34, "livecodebench": 31}
    path = tmp_path / "rows.jsonl"
    append([pair([0], id=f"{c}{i}", best=0, category=c) for c, n in sizes.items() for i in range(n)], path)
    table = find("judgebench").score(path)
    assert (table.category_map, table.notes) == ("claude-3.5-sonnet", ())
    assert find("judgebench").score(path, map="gpt-4o").notes
    append([pair([0], id="more", best=0, category="livecodebench")], path)
    table = find("judgebench").score(path)
    assert table.category_map == "gpt-4o" and table.notes


def test_an_id_that_comes_again_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    row = {"pair_id": "a", "source": "livecodebench", "label": "A>B", "judgments": [{"decision": "A>B"}]}
    path.write_text(2 * (json.dumps(row) + "\n"))
    said = "1 judgements repeat the id of an earlier one, 'a' first, and count again"
    assert said in find("judgebench").score(path).notes
    path.write_text(json.dumps(row) + "\n")
    assert said not in find("judgebench").score(path).notes
    # Where one question has several pairs, ids repeat by design.
    path.write_text(2 * '{"id": "q", "image": "mcq/1.png", "rewards": [1, 0]}\n')
    assert not any("repeat" in note for note in find("mm_rlhf_rewardbench").score(path).notes)


@pytest.mark.parametrize(("name", "file", "size"), REAL)
def test_real_files_load_and_are_recognised(
    name: str, file: str, size: int, shared: Callable[[str], Path]
) -> None:
    benchmark = find(name)
    assert benchmark.load is not None
    preferences = list(benchmark.load(shared(file), require_images=False))
    assert len(preferences) == size
    assert all(p.ranks is not None and len(p.ranks) == len(p.responses) for p in preferences)
    if benchmark.releases:
        assert fingerprint(preferences) in benchmark.releases
        assert () in {benchmark.problems(preferences, map=one) for one in benchmark.maps}


def test_a_missing_pair_and_a_changed_answer_are_noticed(shared: Callable[[str], Path]) -> None:
    benchmark = find("mm_rlhf_rewardbench")
    assert benchmark.load is not None
    path = shared("r1_reward/MM-RLHF-RewardBench/mm_reward_bench.jsonl")
    preferences = list(benchmark.load(path, require_images=False))
    assert benchmark.problems(preferences) == ()
    assert benchmark.problems(preferences[1:]) == ("not the whole benchmark as known here: 41 of 42 mcq",)
    other = replace(preferences[0], responses=("something else", preferences[0].responses[1]))
    assert "differs from the release" in benchmark.problems([other, *preferences[1:]])[0]


def test_a_fingerprint_is_of_the_content_and_not_of_any_order() -> None:
    a = Preference(question="q", responses=("x", "y"), ranks=(0, 1), id="1")
    b = Preference(question="p", responses=("x", "z"), ranks=(1, 0))
    assert fingerprint([a, b]) == fingerprint([replace(b, id="2"), a.swapped()])
    assert fingerprint([a, b]) != fingerprint([a, replace(b, ranks=(0, 1))])
    assert fingerprint([a, a]) != fingerprint([a])


def test_sizes_that_differ_are_named() -> None:
    used = CategoryMap(about="", sizes={"a": 2, "b": 3})
    assert size_notes({"a": 2, "b": 3}, used) == ()
    [note] = size_notes({"a": 1, "x": 4}, used)
    assert note.endswith("known here: 1 of 2 a; 4 in 'x', a category it has not; nothing of b")
    assert size_notes({"x": 4}, CategoryMap(about="")) == ()


@pytest.mark.parametrize("name", ALL)
def test_a_file_of_another_kind_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text('{"nothing": "known"}\n')
    with pytest.raises(DataError, match=r"other\.jsonl") as raised:
        find(name).score(path)
    assert "\n" not in str(raised.value)
