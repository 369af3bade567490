"""The page in a real browser, on a phone and on a desk, with everything opened, clicked and hovered over."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import escape
from pathlib import Path

import pytest

from stablereward.recipes.judges import r1_reward
from stablereward.recipes.sources import Data, Toy
from stablereward.recipes.stages import Difficulty
from stablereward.report.compare import comparison_page
from stablereward.report.page import run_page
from stablereward.report.run import read_run
from stablereward.training.imitation import SFTConfig
from stablereward.training.policy_gradient import RLConfig

from .sample import write_run
from .test_page import hostile_run

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=4000",
    "--dump-dom",
)
PHONE, DESK = 390, 1280
DRIVER = """
const frame = document.querySelector("iframe");
frame.addEventListener("load", () => {
  const page = frame.contentDocument;
  const all = (selector) => [...page.querySelectorAll(selector)];
  const visible = (selector) => all(selector).filter((one) => one.getClientRects().length);
  const shown = () => visible(".cards .card").length;
  const style = page.createElement("style");
  style.textContent = "* { content-visibility: visible !important }";
  page.head.append(style);
  for (const fold of all("details")) fold.open = true;
  const first = shown();
  all(".more")[0]?.click();
  const everything = shown();
  const filtered = {};
  for (const button of all("#judgements .filters button")) {
    button.click();
    filtered[button.textContent] = shown();
  }
  const update = () => page.querySelector(".browse output")?.textContent;
  const updates = [update()];
  all(".browse button")[0]?.click();
  updates.push(update());
  const kinds = {};
  for (const button of all(".kinds button")) {
    button.click();
    const written = visible(".panel details");
    const fitting = written.filter((one) => one.dataset.kinds.split(" ").includes(button.dataset.kind));
    kinds[button.dataset.kind] = [written.length, fitting.length, visible(".panel [open] .writing").length];
  }
  all(".kinds button")[0]?.click();
  for (const fold of all("details")) fold.open = true;
  const hovered = all(".chart").map((chart) => {
    const box = chart.getBoundingClientRect();
    const at = { clientX: box.left + box.width / 2, clientY: box.top + 50 };
    chart.dispatchEvent(new frame.contentWindow.PointerEvent("pointermove", at));
    const values = [...chart.parentElement.querySelectorAll(".value")].map((one) => one.textContent);
    return [chart.parentElement.querySelector("output").textContent, ...values].join("; ");
  });
  const widest = Math.max(...all("body *").filter((one) => !one.closest(".scroll, nav, pre, svg, [hidden]"))
    .map((one) => one.getBoundingClientRect().right));
  const drawn = visible(".chart .line, .chart .band").filter((one) => one.getBBox().width > 0).length;
  const pictures = all("img").every((one) => one.complete && one.naturalWidth);
  const seen = {
    width: page.documentElement.scrollWidth, widest, first, everything, filtered, updates, kinds, hovered,
    drawn, pictures, sections: all("section").map((one) => one.id), marks: visible("mark").length,
    completions: visible(".panel details").length, alerts: visible(".alert").length,
  };
  document.body.textContent = JSON.stringify(seen);
});
"""


WIDTHS = (PHONE, 768, 1024, DESK, 1440)
FONTS = ("inherit", "serif", "monospace")
"""The page's own fonts, and fallbacks: the last is wider than any font for reading."""
MEASURE = """
const frame = document.querySelector("iframe");
frame.addEventListener("load", () => {
  const page = frame.contentDocument;
  const all = (selector) => [...page.querySelectorAll(selector)];
  const style = page.createElement("style");
  page.head.append(style);
  for (const fold of all("details")) fold.open = true;
  all(".more")[0]?.click();
  const range = page.createRange();
  const broken = () => {
    const found = new Set();
    const walker = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode, parent = node.parentElement;
      if (parent.closest("script, style, svg, pre, .prose") || !parent.getClientRects().length) continue;
      for (const { 0: word, index } of node.data.matchAll(/[^ \\n\\t]{2,}/g)) {
        range.setStart(node, index);
        range.setEnd(node, index + word.length);
        if (range.getClientRects().length < 2) continue;
        let before;
        for (let i = 0; i < word.length; i++) {
          range.setStart(node, index + i);
          range.setEnd(node, index + i + 1);
          const box = range.getClientRects()[0];
          if (!box) continue;
          if (before && box.top >= before.bottom - 2 && word[i - 1] !== "-") {
            found.add(`${word.slice(0, i)}/${word.slice(i)}`);
          }
          before = box;
        }
      }
    }
    return [...found];
  };
  const menu = (width) => all("nav a").filter((link) => {
    const box = link.getBoundingClientRect();
    const top = page.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    return box.left < 0 || box.right > width || !link.contains(top);
  }).map((link) => link.textContent);
  const overlaps = () => all(".chart").flatMap((chart) => {
    const feet = [...chart.querySelectorAll(`text[y="${chart.viewBox.baseVal.height - 7}"]`)];
    const boxes = feet.map((one) => one.getBoundingClientRect()).filter((box) => box.width);
    boxes.sort((a, b) => a.left - b.left);
    const touch = boxes.some((box, i) => i && box.left < boxes[i - 1].right);
    return touch ? [chart.getAttribute("aria-label")] : [];
  });
  const units = /^(%|σ|nats|tokens|samples|tokens\\/s)$/;
  const seen = {
    lone: all("figcaption output, th, h2, h3, td b").map((one) => one.textContent.trim())
      .filter((text) => units.test(text)),
    measured: [],
  };
  for (const font of FONTS) {
    for (const width of WIDTHS) {
      frame.width = width;
      style.textContent = "* { content-visibility: visible !important }"
        + (font === "inherit" ? "" : `* { font-family: ${font} !important }`);
      frame.contentWindow.scrollTo(0, 0);
      seen.measured.push({ font, width, scroll: page.documentElement.scrollWidth, broken: broken(),
        hidden: menu(width), overlaps: overlaps() });
    }
  }
  document.body.textContent = JSON.stringify(seen);
});
"""


def visit(page: str, tmp_path: Path, width: int = PHONE, driver: str = DRIVER) -> tuple[dict, list[str]]:
    """What the driver measured, and what the browser's console said."""
    frame = f'<iframe width="{width}" height="800" style="border:0" srcdoc="{escape(page)}"></iframe>'
    harness = tmp_path / "harness.html"
    content = f"<!doctype html><meta charset=utf-8><body>{frame}<script>{driver}</script>"
    harness.write_bytes(content.encode())
    done = subprocess.run(
        [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", harness.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = re.search(r"<body>(\{.*\})</body>", done.stdout, re.DOTALL)
    assert found, done.stdout[-500:] + done.stderr[-2000:]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(found.group(1).replace("&nbsp;", " ").replace("&amp;", "&")), console


@needs_browser
def test_a_run_on_a_phone(run_folder: Path, tmp_path: Path):
    seen, console = visit(run_page(read_run(run_folder)), tmp_path)
    assert console == []
    assert seen["width"] == PHONE
    assert seen["widest"] <= PHONE
    assert (seen["first"], seen["everything"]) == (6, 48)
    assert seen["filtered"] == {
        "All": 6,
        "Wrong": 6,
        "Right": 6,
        "general": 6,
        "hallucination": 6,
        "reasoning": 6,
    }
    assert seen["updates"] == ["Update 157", "Update 149"]
    assert len(seen["hovered"]) == 30
    assert all(re.match(r"(update|confidence) \d+(: .*\d|; .*\d)", text) for text in seen["hovered"])
    assert seen["pictures"] is True


def wrong_in(page: str, tmp_path: Path) -> list[str]:
    """What is wrong with the page's layout at any width in any font."""
    driver = MEASURE.replace("of FONTS", f"of {json.dumps(FONTS)}")
    driver = driver.replace("of WIDTHS", f"of {json.dumps(WIDTHS)}")
    seen, console = visit(page, tmp_path, driver=driver)
    assert console == []
    assert len(seen["measured"]) == len(FONTS) * len(WIDTHS)
    wrong = [f"a heading that is a unit: {text}" for text in seen["lone"]]
    for one in seen["measured"]:
        where = f"{one['font']} at {one['width']}"
        wrong += [f"{where}: broken {word}" for word in one["broken"]]
        wrong += [f"{where}: {link} is cut off the menu" for link in one["hidden"]]
        wrong += [f"{where}: the foot of “{label}” is not readable" for label in one["overlaps"]]
        wrong += [f"{where}: {one['scroll']} pixels wide"] if one["scroll"] > one["width"] else []
    return wrong


@needs_browser
def test_words_and_numbers_stay_whole_in_any_font(run_folder: Path, tmp_path: Path):
    assert wrong_in(run_page(read_run(run_folder)), tmp_path) == []


@needs_browser
def test_words_and_numbers_of_two_runs_stay_whole_in_any_font(run_folder: Path, tmp_path: Path):
    other = write_run(tmp_path / "another", seed=1, num_examples=1, rl_updates=40)
    assert wrong_in(comparison_page([read_run(run_folder), read_run(other)]), tmp_path) == []


@needs_browser
def test_a_damaged_run_without_a_signal_says_so_on_a_phone(run_folder: Path, tmp_path: Path):
    notices = ["metrics.jsonl:41 left out: not JSON", "results.json left out: " + "w" * 140]
    run = replace(read_run(run_folder), notices=notices, events=[{"event": "no_signal", "stage": "rl"}])
    seen, console = visit(run_page(run), tmp_path)
    assert console == [] and seen["alerts"] == 2
    assert (seen["width"], seen["widest"] <= PHONE) == (PHONE, True)


@needs_browser
def test_completions_are_chosen_by_kind(run_folder: Path, tmp_path: Path):
    seen, _ = visit(run_page(read_run(run_folder)), tmp_path)
    assert list(seen["kinds"]) == ["", "right", "wrong", "clipped", "failed"]
    for kind, (shown, fitting, opened) in seen["kinds"].items():
        assert 1 <= opened <= 2, "one completion of each question is open"
        assert shown >= 1
        assert kind == "" or shown == fitting
    assert seen["marks"] >= 4


@needs_browser
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_runs_side_by_side(run_folder: Path, tmp_path: Path, width: int):
    other = write_run(tmp_path / "a-run-with-a-longer-name", seed=1, num_examples=1, rl_updates=40)
    seen, console = visit(comparison_page([read_run(run_folder), read_run(other)]), tmp_path, width)
    assert console == []
    assert (seen["width"], seen["widest"] <= width) == (width, True)
    assert seen["sections"] == ["results", "settings", "learning", "distributions"]
    assert all("toy-judge" in text for text in seen["hovered"] if "median" not in text)


@pytest.fixture(scope="module")
def real_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe itself, as short as it can be: what the report has to show is what this wrote."""
    config = replace(
        r1_reward.tiny(),
        output=tmp_path_factory.mktemp("runs") / "run",
        data=Data(toy=Toy(num_train=16, num_held_out=4)),
        cold_start=SFTConfig(batch_size=4, epochs=2.0),
        difficulty=Difficulty(num_tries=1, min_tries=1),
        rl=RLConfig(
            num_updates=4,
            prompts_per_batch=2,
            num_generations=4,
            updates_per_batch=2,
            max_completion_length=24,
        ),
        votes=(1,),
    )
    return r1_reward.run(config)


@needs_browser
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_real_run_is_shown_whole(real_run: Path, tmp_path: Path, width: int):
    page = (real_run / "report.html").read_bytes()
    assert len(page) < 3_000_000
    seen, console = visit(page.decode(), tmp_path, width)
    assert console == []
    assert (seen["width"], seen["widest"] <= width) == (width, True)
    places = {
        "results.json": "results",
        "metrics.jsonl": "learning",
        "rollouts": "rollouts",
        "config.yaml": "reproduce",
        "judgements": "mistakes",
    }
    places |= {"distributions.jsonl": "distributions", "examples.jsonl": "judgements"}
    expected = {section for name, section in places.items() if (real_run / name).exists()}
    assert expected >= {"results", "mistakes", "learning", "distributions", "rollouts", "reproduce"}
    assert set(seen["sections"]) - {"events"} == expected
    assert len(seen["hovered"]) >= 10 and seen["drawn"] >= len(seen["hovered"])
    assert seen["completions"] >= 2
    assert seen["pictures"] is True
    rollouts = "".join(path.read_text() for path in (real_run / "rollouts").glob("*.jsonl"))
    has_clips = any(
        any(written.get("clipped", {}).values())
        for line in rollouts.splitlines()
        for written in json.loads(line)["completions"]
    )
    assert ("clipped" in seen["kinds"]) == has_clips


@needs_browser
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_hostile_run_neither_runs_nor_widens(tmp_path: Path, width: int):
    folder = hostile_run(tmp_path / "run")
    seen, console = visit(run_page(read_run(folder)), tmp_path, width)
    assert console == []
    assert seen["width"] == width
    assert seen["widest"] <= width
    assert seen["marks"] >= 4


@needs_browser
def test_hostile_runs_side_by_side(tmp_path: Path):
    runs = [read_run(hostile_run(tmp_path / name)) for name in ("a", "w" * 200)]
    seen, console = visit(comparison_page(runs), tmp_path)
    assert console == []
    assert seen["width"] == PHONE
    assert seen["widest"] <= PHONE
