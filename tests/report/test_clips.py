from stablereward.report.clips import MAX_MARKS, Clip, clips_of, legend, marked, summary
from stablereward.report.markup import el

from .reading import Reader


def test_places_and_kinds_by_hand():
    clips = clips_of(["ab", "", "cde", "f"], {"low": [2, 0], "preclip": [2], "high": [1, 7, -1]})
    assert clips == [Clip(0, 2, 0, ("low",)), Clip(2, 5, 2, ("preclip", "low"))]


def test_unknown_kinds_are_passed_over_and_marks_bounded():
    assert clips_of(["a"], {"made_up": [0]}) == []
    assert len(clips_of(["a"] * 1000, {"low": range(1000)})) == MAX_MARKS


def test_the_marked_text_is_the_text():
    text = "<b>one</b> two three"
    clips = [Clip(0, 3, 0, ("low",)), Clip(8, 13, 2, ("high", "dual"))]
    for start, end in ((0, len(text)), (2, 10), (4, 6)):
        assert Reader(el("p", marked(text, clips, start, end))).text == " ".join(text[start:end].split())
    page = marked(text, clips, 0, len(text))
    assert "<b>" not in page
    assert [one["class"] for one in Reader(page).named("mark")] == ["low", "high"]
    assert Reader(page).named("mark")[1]["title"].startswith("token 3, high: ")


def test_overlapping_clips_do_not_repeat_text():
    clips = [Clip(0, 3, 0, ("low",)), Clip(1, 4, 1, ("low",))]
    assert Reader(el("p", marked("abcd", clips, 0, 4))).text == "abcd"


def test_counts_and_legend():
    clips = clips_of(["a", "b"], {"dual": [1]})
    assert Reader(summary(clips, ["a", "b"]) or "").text == "dual clip 1of 2 tokens"
    assert summary([], ["a"]) is None
    assert len(Reader(legend()).named("mark")) == 4
