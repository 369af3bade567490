"""The page of judges on the same pairs, read back and in a real browser."""

from pathlib import Path

import pytest
from PIL import Image

from stablereward.judges.voting import vote
from stablereward.report import disagreements
from stablereward.report.disagreements import Disagreement, disagreements_section
from stablereward.report.judges_page import judges_page
from stablereward.report.run import Result
from stablereward.types import Failure, ImageSource, Judgement, Preference, Row

from . import test_browser
from .reading import Reader
from .test_page import HOSTILE

THOUGHT = "<think>I see it.</think><answer>1</answer>"


def row(*choices: int | None, category: str = "general", text: str = THOUGHT) -> Row:
    """The right response is the first; one opinion an order."""
    votes = tuple(
        vote(
            [
                Failure(reason="no_answer", detail=text)
                if choice is None
                else Judgement(choice=choice, order=order, text=text)
            ],
            2,
        )
        for choice, order in zip(choices, ((0, 1), (1, 0)), strict=False)
    )
    return Row(id="id", category=category, best=0, votes=votes)


def preference(*images: ImageSource, question: str = "What is it?", response: str = "A cat.") -> Preference:
    return Preference(question=question, responses=(response, "A dog."), ranks=(0, 1), images=images)


def pair(a: Row, b: Row, shown: Preference | None = None) -> Disagreement:
    rows = {"judge a": a, "judge b": b}
    right = frozenset(name for name, one in rows.items() if all(v.choice == 0 for v in one.votes))
    return Disagreement(rows=rows, right=right, preference=shown)


PAIRS = [
    pair(row(0, 0), row(1, 1), preference(Image.new("RGB", (64, 64), "red"))),
    pair(row(0, 1), row(0, 0), preference()),
    pair(row(0, None, category="reasoning"), row(1, 1, category="reasoning"), None),
]


def whole(pairs: list[Disagreement]) -> str:
    judges = [
        Result(judge=f"judge {name}", n=9, accuracy=0.5, interval=(0.4, 0.6), role="other") for name in "ab"
    ]
    return judges_page(
        "a and b",
        "No clear difference.",
        ["9 pairs judged by all."],
        results=judges,
        categories={"judge a": {"general": 0.5}},
        measures=(("", "judge a", "judge b"), [("ties", "0 %", "1 %")]),
        differences=[("a − b", (("category", "points"), [("general", "+1.0")]))],
        about_differences="What they are of.",
        pairs=pairs,
        num_pairs=9,
    )


def test_the_page_has_its_parts() -> None:
    read = Reader(whole(PAIRS))
    assert [one["id"] for one in read.named("section")] == ["judges", "differences", "pairs"]
    for piece in (
        "No clear difference.",
        "9 pairs judged by all.",
        "ties0 %1 %",
        "a − b",
        "general+1.0",
        "chose differently on 3 of 9 pairs.",
        "What is it?",
        "I see it.",
        "response 2 shown first",
        "no verdict: no_answer",
    ):
        assert piece in read.text
    assert not [one for _, one in read.elements if one.get("src", "data:").partition(":")[0] != "data"]
    assert not [one for name, one in read.elements if name == "link" and one["href"] != "data:,"]


def test_a_card_says_who_is_right_and_carries_its_kind() -> None:
    read = Reader(disagreements_section(PAIRS, 9))
    cards = [one["class"].split() for one in read.named("article")]
    assert cards == [
        ["card", "who-0", "category-0"],
        ["card", "who-1", "category-0"],
        ["card", "who-2", "category-1"],
    ]
    for piece in ("judge a: right", "judge b: wrong", "judge a: right in 1 of 2 orders", "neither 1"):
        assert piece in read.text
    assert len(read.named("div", "best")) == 2  # the right response is marked
    assert "Pair id: response 1 is better." in read.text  # where the pair itself is not at hand
    [image] = read.named("img")
    assert image["src"].startswith("data:image/png;base64,") and image["width"] == "64"


def test_photographs_shrink_and_missing_images_are_named(tmp_path: Path) -> None:
    Image.new("RGB", (1200, 800)).save(tmp_path / "big.jpg")
    shown = preference(tmp_path / "big.jpg", tmp_path / "absent.jpg")
    read = Reader(disagreements_section([pair(row(0, 0), row(1, 1), shown)], 1))
    [image] = read.named("img", "photograph")
    assert (image["width"], image["height"]) == ("320", "213")
    assert "no image: absent.jpg" in read.text


def test_judges_without_words_say_so() -> None:
    read = Reader(disagreements_section([pair(row(0, 0, text=""), row(1, 1, text=""))], 1))
    assert read.text.count("It wrote no reasons.") == 4


def test_scores_stand_as_they_are_with_the_confidence() -> None:
    opinion = Judgement(choice=0, order=(1, 0), text="scores: 2, 1", confidence=0.731)
    scored = Row(id="id", category="", best=0, votes=(vote([opinion], 2),))
    read = Reader(disagreements_section([pair(scored, row(1, text=""))], 1))
    assert "scores: 2, 1confidence 73.1 %" in read.text
    assert "asked form" not in read.text and "The text counts" not in read.text


def test_a_thought_about_turned_responses_says_so() -> None:
    read = Reader(disagreements_section([pair(row(0, 0), row(1, 1))], 1))
    assert read.text.count("The text counts in the order 2, 1.") == 2


def test_many_pairs_are_bounded_and_no_kind_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [pair(row(0, 0), row(1, 1)) for _ in range(300)] + PAIRS
    read = Reader(disagreements_section(many, 400))
    assert len(read.named("article")) == disagreements.MAX_PAIRS
    assert {one["class"] for one in read.named("article")} >= {"card who-2 category-1"}
    assert "303 of 400 pairs; 100 of them are here, some of every kind" in read.text
    monkeypatch.setattr(disagreements, "BUDGET", 20_000)
    assert 0 < len(Reader(disagreements_section(many, 400)).named("article")) < 20


def test_judges_that_agree() -> None:
    assert "chose alike on all 9 pairs" in Reader(disagreements_section([], 9)).text


def hostile() -> Disagreement:
    bad = row(0, None, category=HOSTILE, text=HOSTILE)
    shown = preference(question=HOSTILE, response=HOSTILE)
    rows = {HOSTILE: bad, "b": row(1, 1, category=HOSTILE, text=HOSTILE)}
    return Disagreement(rows=rows, right=frozenset(), preference=shown)


def test_what_others_wrote_is_escaped() -> None:
    read = Reader(whole([hostile()]))
    assert len(read.named("script")) == 1
    assert not read.named("img") and not [one for _, one in read.elements if "onerror" in one]


DRIVER = """
const frame = document.querySelector("iframe");
frame.addEventListener("load", () => {
  const page = frame.contentDocument;
  const all = (selector) => [...page.querySelectorAll(selector)];
  const seen = (one) => frame.contentWindow.getComputedStyle(one).display !== "none";
  const style = page.createElement("style");
  style.textContent = "* { content-visibility: visible !important }";
  page.head.append(style);
  for (const fold of all("details")) fold.open = true;
  const pick = (name, value) => page.getElementById(`${name}-${value}`)?.click();
  const shown = (who, category) => {
    pick("who", who); pick("category", category);
    return [all(".pairs .card").filter(seen).length, all(".pairs .nothing").filter(seen).length];
  };
  const values = ["all", 0, 1, 2];
  const filtered = values.map((who) => ["all", 0, 1].map((category) => shown(who, category)));
  shown("all", "all");
  const widest = Math.max(...all("body *").filter((one) => !one.closest(".scroll, nav, pre, svg, [hidden]"))
    .map((one) => one.getBoundingClientRect().right));
  const width = page.documentElement.scrollWidth;
  document.body.textContent = JSON.stringify({ width, widest, filtered });
});
"""


@test_browser.needs_browser
@pytest.mark.parametrize("width", [390, 1280])
def test_the_choices_work_together_in_a_browser(width: int, tmp_path: Path) -> None:
    seen, console = test_browser.visit(whole(PAIRS), tmp_path, width, DRIVER)
    assert console == []
    assert seen["width"] == width and seen["widest"] <= width
    # By who is right (all, a, b, neither), then by category (all, general, reasoning): cards and the line.
    assert seen["filtered"] == [
        [[3, 0], [2, 0], [1, 0]],
        [[1, 0], [1, 0], [0, 1]],
        [[1, 0], [1, 0], [0, 1]],
        [[1, 0], [0, 1], [1, 0]],
    ]


@test_browser.needs_browser
def test_words_and_numbers_stay_whole_in_any_font(tmp_path: Path) -> None:
    assert test_browser.wrong_in(whole(PAIRS), tmp_path) == []


@test_browser.needs_browser
def test_a_hostile_page_neither_runs_nor_widens(tmp_path: Path) -> None:
    seen, console = test_browser.visit(whole([hostile(), *PAIRS[:0]]), tmp_path, driver=DRIVER)
    assert console == []
    assert seen["width"] == 390 and seen["widest"] <= 390
