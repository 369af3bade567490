import math
from pathlib import Path

from PIL import Image

from stablereward.report.rollouts import MAX_COMPLETIONS, kinds_of, rollouts_section
from stablereward.report.run import MAX_UPDATES, Group, Run, Written, read_run

from .reading import Reader


def section(*groups: Group) -> Reader:
    return Reader(rollouts_section(Run(folder=Path("run"), groups=list(groups))) or "")


def test_a_panel_for_each_update(run_folder: Path):
    read = Reader(rollouts_section(read_run(run_folder)) or "")
    assert len(read.named("div", "panel")) == MAX_UPDATES
    assert len(read.named("article")) == 2 * MAX_UPDATES
    assert len(read.named("details")) == 2 * MAX_UPDATES * 8
    assert [one["max"] for one in read.named("input")] == [str(MAX_UPDATES - 1)]
    assert "format 1result 1consistency 1" in read.text


def test_advantages_grow_from_the_middle():
    completions = [Written(reward=2.0, advantage=1.0), Written(reward=0.0, advantage=-2.0)]
    read = section(Group(update=1, completions=completions))
    assert [one["style"] for one in read.named("i", "plus")] == ["left:50%;width:25%"]
    assert [one["style"] for one in read.named("i", "minus")] == ["right:50%;width:50%"]
    assert "+1.00" in read.text and "−2.00" in read.text
    assert "2 completions, mean reward 1" in read.text and "reward advantage" in read.text.replace(
        "rewardadv", "reward adv"
    )


def test_a_group_without_spread_is_said_to_teach_nothing():
    same = Group(update=1, completions=[Written(reward=1.0, advantage=0.0)] * 4)
    assert "4 completions, mean reward 1, all equal: nothing to learn" in section(same).text


def test_a_failure_is_counted_and_named():
    failed = Written(text="x", failure="referee_timeout")
    text = section(Group(update=1, completions=[Written(reward=1.0), failed])).text
    assert "2 completions, mean reward 1, 1 without a reward" in text
    assert "referee_timeout" in text


def test_values_that_are_not_finite_do_not_break_the_bars():
    broken = [Written(reward=math.nan, advantage=math.inf), Written(reward=1.0, advantage=1.0)]
    read = section(Group(update=1, completions=broken))
    assert [one["style"] for one in read.named("i")] == ["left:50%;width:50%"]


def test_many_completions_are_counted_not_all_shown():
    read = section(Group(update=1, completions=[Written()] * (MAX_COMPLETIONS + 1)))
    assert len(read.named("details")) == MAX_COMPLETIONS
    assert "and 1 more completion" in read.text


def test_a_completion_may_be_a_picture(tmp_path: Path):
    Image.new("L", (16, 16)).save(tmp_path / "drawn.png")
    drawn = Written(images=["drawn.png"], reward=0.5, clipped={"low": [3]})
    group = Group(update=1, question="one disc", completions=[drawn])
    read = Reader(rollouts_section(Run(folder=tmp_path, groups=[group])) or "")
    assert len(read.named("img")) == 1 and "not in the asked form" not in read.text


def test_no_groups_no_section():
    assert rollouts_section(Run(folder=Path("run"))) is None


def test_kinds_a_reader_may_look_for():
    assert kinds_of(Written(parts={"result": 1.0})) == ["right"]
    assert kinds_of(Written(parts={"result": 0.0}, failure="x")) == ["failed"]
    assert kinds_of(Written(parts={"result": 0.0}, tokens=["a"], clipped={"low": [0]})) == [
        "wrong",
        "clipped",
    ]
    assert (
        kinds_of(Written(parts={"result": math.nan, "other": 1.0}, tokens=["a"], clipped={"low": [1]})) == []
    )


def test_a_button_for_each_kind_with_its_count():
    right, wrong = Written(parts={"result": 1.0}), Written(parts={"result": 0.0})
    read = section(Group(update=1, completions=[right, right, wrong]))
    assert [one["data-kind"] for one in read.named("button") if "data-kind" in one] == ["", "right", "wrong"]
    assert "Right 2" in read.text and "Wrong 1" in read.text
    assert [one["data-kinds"] for one in read.named("details")] == ["right", "right", "wrong"]
    assert not section(Group(update=1, completions=[right])).named("div", "kinds")


def test_clipped_tokens_are_marked_and_explained():
    tokens = ["<think>", "Look", " there", "</think>", "<answer>", "1", "</answer>"]
    one = Written(text="".join(tokens), tokens=tokens, clipped={"low": [1], "preclip": [5]})
    page = rollouts_section(Run(folder=Path("run"), groups=[Group(update=1, completions=[one])])) or ""
    read = Reader(page)
    assert ">Look</mark> there" in page and ">1</mark>" in page
    assert "pre-clip 1low 1of 7 tokens" in read.text
    assert "Clipped tokens" in read.text
    plain = section(Group(update=1, completions=[Written(text="".join(tokens), tokens=tokens)]))
    assert not plain.named("mark") and "Look there" in plain.text


def test_the_end_of_the_text_is_shown_only_where_it_is_clipped():
    tokens = ["<think>a</think><answer>1</answer>", "<eos>"]
    for index, shown in ((0, False), (1, True)):
        one = Written(text=tokens[0], tokens=tokens, clipped={"high": [index]})
        assert ("<eos>" in section(Group(update=1, completions=[one])).text) == shown


def test_only_a_reward_for_the_form_asks_for_one():
    plain = Written(text="a ball on the table", reward=2.0)
    assert "not in the asked form" not in section(Group(update=1, completions=[plain])).text
    judged = Written(text="the first", reward=0.0, parts={"format": 0.0})
    assert "not in the asked form" in section(Group(update=1, completions=[judged])).text


def test_equal_rewards_teach_where_advantages_differ():
    differing = [Written(reward=0.0, advantage=0.3), Written(reward=0.0, advantage=-0.3)]
    text = section(Group(update=1, completions=differing)).text
    assert "all equal" in text and "nothing to learn" not in text


def test_without_advantages_there_is_no_word_of_them():
    assert "advantage" not in section(Group(update=1, completions=[Written(text="x", reward=1.0)])).text


def test_pictures_stand_side_by_side_over_what_they_earned(tmp_path: Path):
    Image.new("L", (16, 16)).save(tmp_path / "drawn.png")
    Image.new("RGB", (384, 96)).save(tmp_path / "strip.png")
    drawn = [
        Written(images=[name], reward=reward, parts={"result": reward})
        for name, reward in (("drawn.png", 0.0), ("strip.png", 1.0))
    ]
    group = Group(update=1, question="one disc", completions=drawn)
    read = Reader(rollouts_section(Run(folder=tmp_path, groups=[group])) or "")
    assert "2 pictures, mean reward 0.5" in read.text and not read.named("details")
    assert [one["data-kinds"] for one in read.named("div", "made")] == ["wrong", "right"]
    assert [one["width"] for one in read.named("img")] == ["16", "384"]


def test_a_single_panel_has_no_browser():
    one = Group(update=0, completions=[Written()])
    assert "hidden" in section(one).named("div", "browse")[0]
    assert "hidden" not in section(one, Group(update=1, completions=[Written()])).named("div", "browse")[0]
