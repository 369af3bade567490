"""`stablereward judge` as a user meets it, with real sockets, files and the model in the box."""

import base64
import json
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from io import BytesIO, StringIO
from pathlib import Path

import pytest
import test_cli
from loopback import Reply, Request, says
from PIL import Image
from rich.console import Console
from test_cli import ASK, Command, Serve, one_line

from stablereward.cli import chosen
from stablereward.cli.verdict import as_panel
from stablereward.data.toy.pairs import pairs
from stablereward.policies.tiny import create
from stablereward.types import Failure, Judgement, Preference, Vote

command = test_cli.command
serve = test_cli.serve


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "untrained"
    create(folder)
    return folder


def first_is_a_cat(request: Request) -> Reply:
    """A judge of substance: it chooses the cat, wherever it stands."""
    choice = 1 if request.text.index("a cat") < request.text.index("a dog") else 2
    return says(f"<think>The cat is number {choice}.</think><answer>{choice}</answer>")


def test_a_server_judges_and_the_answer_is_json(command: Command, serve: Serve, tmp_path: Path) -> None:
    server = serve(first_is_a_cat)
    image = tmp_path / "image.png"
    Image.new("RGB", (4, 4)).save(image)
    code, out, errors = command(
        *ASK, "--image", image, "--votes", 2, "--server", server.base_url, "--server-model", "m"
    )
    assert (code, errors) == (0, "")
    verdict = json.loads(out)
    opinions = verdict.pop("judgements")
    assert verdict == {
        "choice": 0,
        "probabilities": [1.0, 0.0],
        "votes": 4,
        "reasoning": "The cat is number 1.",
        "failures": [],
    }
    assert [(o["choice"], o["order"]) for o in opinions] == [(0, [0, 1])] * 2 + [(0, [1, 0])] * 2
    assert opinions[2]["reasoning"] == "The cat is number 2."
    assert "image_url" in json.dumps(server.requests[0].body)
    command(*ASK, "--one-order", "--server", server.base_url, "--server-model", "m")
    assert len(server.requests) == 5


def test_the_key_comes_from_the_environment(
    command: Command, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_KEY", "a-secret")
    server = serve(first_is_a_cat)
    code, out, errors = command(
        *ASK, "--server", server.base_url, "--server-model", "m", "--api-key-env", "JUDGE_KEY"
    )
    assert code == 0 and "a-secret" not in out + errors
    assert server.requests[0].headers["authorization"] == "Bearer a-secret"


def test_a_file_is_judged_up_to_its_bad_row(command: Command, serve: Serve, tmp_path: Path) -> None:
    good = '{"id": "7", "question": "q", "responses": ["a dog", "a cat"], "best": 0}\n'
    rows = tmp_path / "rows.jsonl"
    rows.write_text(good * 2 + '{"question": "q"}\n')
    server = ("--server", serve(first_is_a_cat).base_url, "--server-model", "m")
    code, out, errors = command("judge", "--preferences", rows, *server)
    assert code == 3 and f"{rows}:3: field 'responses'" in errors.splitlines()[-1]
    verdicts = [json.loads(line) for line in out.splitlines()]
    assert [(v["id"], v["choice"], v["best"]) for v in verdicts] == [("7", 1, 0)] * 2
    code, out, errors = command("judge", "--preferences", rows, "--limit", 2, *server)
    assert code == 0 and len(out.splitlines()) == 2
    assert errors == "questions: 2, labelled: 2, of these right: 0; opinions: 4\n"


def test_no_opinion_at_all_is_not_a_success(command: Command, serve: Serve, tmp_path: Path) -> None:
    server = ("--server", serve(lambda request: says("Both are fine.")).base_url, "--server-model", "m")
    code, out, errors = command(*ASK, *server)
    assert code == 1 and one_line(errors).startswith("every opinion failed: 2 no_answer: ")
    verdict = json.loads(out)
    assert (verdict["choice"], verdict["no_choice"]) == (None, "every opinion failed: 2 no_answer")
    assert len(verdict["failures"]) == 2
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": "q", "responses": ["a", "b"]}\n')
    code, _, errors = command("judge", "--preferences", rows, *server)
    assert code == 1 and errors.endswith("error: every opinion failed: no_answer\n")


def test_a_prompt_longer_than_the_context_is_said_and_nothing_else(untrained: Path) -> None:
    long = ["judge", "--question", "why? " * 3000, *ASK[3:], "--model", str(untrained)]
    done = subprocess.run([sys.executable, "-m", "stablereward", *long], capture_output=True, text=True)
    assert done.returncode == 1 and "the model's context is" in one_line(done.stderr)
    assert json.loads(done.stdout)["failures"][0]["reason"] == "bad_prompt"


def test_the_judge_in_the_box_says_what_it_can_see(command: Command, tmp_path: Path) -> None:
    preference = pairs(1, seed=7, held_out=True)[0].preference()
    [picture] = preference.images
    assert isinstance(picture, Image.Image)
    picture.save(tmp_path / "drawn.png")
    picture.resize((200, 120)).save(tmp_path / "other.png")
    ask = ["judge", "--model", "toy", "--question", preference.question]
    for response in preference.responses:
        ask += ["--response", response]
    code, out, errors = command(*ask, "--image", tmp_path / "drawn.png")
    assert code == 0 and json.loads(out)["choice"] == preference.best and "note:" not in errors
    _, _, errors = command(*ask, "--image", tmp_path / "other.png", "--max-completion-length", 8)
    assert "note: toy knows only its own drawn world" in " ".join(errors.split())


def test_the_same_position_in_both_orders_is_said(command: Command, serve: Serve, tmp_path: Path) -> None:
    server = ("--server", serve(lambda _: says("<answer>1</answer>")).base_url, "--server-model", "m")
    code, out, errors = command(*ASK, *server)
    why = "the same position in both orders: always the response shown as number 1"
    assert (code, errors, json.loads(out)["no_choice"]) == (0, "", why)
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": "q", "responses": ["a", "b"]}\n' * 2)
    code, _, errors = command("judge", "--preferences", rows, *server)
    assert code == 0
    assert errors == "questions: 2, the same position in both orders: 2; opinions: 4\n"


def test_a_folder_of_frames_is_shown_in_order(command: Command, serve: Serve, tmp_path: Path) -> None:
    server = serve(first_is_a_cat)
    for number in range(12):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / f"f{number}.png")
    ask = (*ASK, "--one-order", "--server", server.base_url, "--server-model", "m")
    assert command(*ask, "--image", tmp_path)[0] == 0
    *shown, _ = server.requests[0].body["messages"][0]["content"]
    reds = [
        Image.open(BytesIO(base64.b64decode(part["image_url"]["url"].partition(",")[2]))).getpixel((0, 0))
        for part in shown
    ]
    assert reds == [(number, 0, 0) for number in range(12)]


def test_responses_may_be_pictures_and_swap_with_the_order(
    command: Command, serve: Serve, tmp_path: Path
) -> None:
    def red_wins(request: Request) -> Reply:
        [message] = request.body["messages"]
        urls = [part["image_url"]["url"] for part in message["content"] if part["type"] == "image_url"]
        colours = [
            Image.open(BytesIO(base64.b64decode(url.partition(",")[2]))).getpixel((0, 0)) for url in urls
        ]
        return says(f"<think>Red.</think><answer>{1 + colours.index((255, 0, 0))}</answer>")

    for colour in ("blue", "red"):
        Image.new("RGB", (4, 4), colour).save(tmp_path / f"{colour}.png")
    server = serve(red_wins)
    shown = [f"--response-image={tmp_path / name}.png" for name in ("blue", "red")]
    ask = ("judge", "--question", "Redder?", *shown, "--server", server.base_url, "--server-model", "m")
    code, out, _ = command(*ask)
    assert code == 0
    found = json.loads(out)
    assert found["choice"] == 1 and [one["order"] for one in found["judgements"]] == [[0, 1], [1, 0]]
    rows = tmp_path / "rows.jsonl"
    written = [{"image": "blue.png"}, {"image": "red.png"}]
    rows.write_text(json.dumps({"question": "Redder?", "responses": written, "best": 1}) + "\n")
    code, out, _ = command(*ask[:1], "--preferences", rows, *ask[5:])
    assert code == 0 and json.loads(out)["choice"] == json.loads(out)["best"] == 1
    code, _, errors = command(*ask[:3], shown[0], "--server", server.base_url)
    assert code != 0 and "--response-image two or more times" in one_line(errors)


def test_a_video_is_refused_with_what_to_do(command: Command, tmp_path: Path) -> None:
    (tmp_path / "my clip.MP4").write_bytes(b"\0" * 100)
    code, out, errors = command(
        *ASK, "--server", "http://127.0.0.1:1/v1", "--server-model", "m", "--image", tmp_path / "my clip.MP4"
    )
    assert (code, out) == (3, "")
    said = one_line(errors)
    assert "extract its frames into a folder" in said
    assert f"mkdir frames && ffmpeg -i '{tmp_path}/my clip.MP4' -vf fps=1 frames/%04d.png" in said


def test_a_format_can_be_named(command: Command, serve: Serve, tmp_path: Path) -> None:
    server = ("--server", serve(first_is_a_cat).base_url, "--server-model", "m")
    rows = tmp_path / "rows.jsonl"
    # Two formats could read this row; unnamed, it is this package's own and has no label.
    both = {"prompt": "q", "chosen": "a cat", "rejected": "a dog", "question": "r", "responses": ["x", "y"]}
    rows.write_text(json.dumps(both) + "\n")
    ask = ("judge", "--preferences", rows, *server)
    assert json.loads(command(*ask, "--format", "chosen_rejected")[1])["best"] == 0
    code, _, errors = command(*ask, "--format", "chosen")
    assert code == 2 and "did you mean chosen_rejected?" in one_line(errors)
    rows.write_text('{"pick": 1}\n')
    code, _, errors = command("judge", "--preferences", rows, *server)
    assert code == 3 and "--format or data.format" in errors and "chosen_rejected" in errors


def test_more_votes_than_fit_are_refused_before_anything_is_asked(command: Command, serve: Serve) -> None:
    server = serve(first_is_a_cat)
    for verb in (ASK, ("bench", "--benchmark", "toy")):
        code, out, errors = command(
            *verb, "--server", server.base_url, "--server-model", "m", "--votes", 1_000_000
        )
        assert (code, out) == (2, "") and "--votes" in errors and "1000" in errors
    assert not server.requests


def test_extra_fields_go_to_the_server(command: Command, serve: Serve) -> None:
    server = serve(first_is_a_cat)
    ask = (*ASK, "--server", server.base_url, "--server-model", "m")
    assert command(*ask, "--server-extra", "top_k=20", "--server-extra", "min_p=null")[0] == 0
    assert server.requests[0].body["top_k"] == 20 and "min_p" not in server.requests[0].body
    code, _, errors = command(*ask, "--server-extra", "top_k")
    assert code == 2 and "write name=value" in one_line(errors)


def test_a_slow_server_is_said_to_be_waited_for_and_given_up(
    command: Command, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chosen, "SECONDS_A_LINE", 0.2)
    server = serve(lambda _: says("late", delay=30))
    ask = (*ASK, "--one-order", "--server", server.base_url, "--server-model", "m")
    code, out, errors = command(*ask, "--timeout", 0.3)
    assert code == 1 and json.loads(out)["no_choice"] == "every opinion failed: 1 timeout"
    first, *_, last = errors.splitlines()
    assert first == f"{server.base_url}: 0 of 1 answers after 0 s"
    assert "no complete answer within 0.3 s" in last and "--timeout" in last


def test_what_a_server_refuses_is_one_line(serve: Serve) -> None:
    def reply(request: Request) -> Reply:
        if "top_k" in request.body:
            return Reply(b"Unknown parameter: 'top_k'", status=400)
        return first_is_a_cat(request)

    ask = [*ASK, "--server", serve(reply).base_url, "--server-model", "m"]
    # In a process of its own: in this one, pytest takes what is logged.
    done = subprocess.run([sys.executable, "-m", "stablereward", *ask], capture_output=True, text=True)
    assert done.returncode == 0 and json.loads(done.stdout)["choice"] == 0
    [line] = done.stderr.splitlines()
    assert "the server refuses top_k; it is asked without" in line


def test_an_interrupt_ends_without_a_traceback(serve: Serve) -> None:
    arrived = threading.Event()

    def slow(request: Request) -> Reply:
        arrived.set()
        return says("too late", delay=30)

    server = ("--server", serve(slow).base_url, "--server-model", "m")
    # A runner in the background ignores the signal, and children inherit that.
    process = subprocess.Popen(
        [sys.executable, "-m", "stablereward", *ASK, *server],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert arrived.wait(60)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, b"")


def test_the_panel_shows_the_verdict_and_no_control_codes() -> None:
    preference = Preference(question="Which?", responses=("one\x1b[31m", "two"))
    judgement = Judgement(choice=1, reasoning="The\x07 second.", order=(1, 0))
    failure = Failure(reason="truncated")
    vote = Vote(choice=1, probabilities=(0.0, 1.0), judgements=(judgement,), failures=(failure,))
    page = StringIO()
    Console(file=page, width=80).print(as_panel(vote, preference))
    shown = page.getvalue()
    for words in (
        "Response 2 is better",
        "100%",
        "The\N{REPLACEMENT CHARACTER} second.",
        "order 2, 1",
        "1 truncated",
    ):
        assert words in shown
    assert "\x1b" not in shown and "\x07" not in shown
    same = replace(vote, choice=None, judgements=(judgement, replace(judgement, choice=0, order=(0, 1))))
    assert as_panel(same, preference).title == (
        "No choice: the same position in both orders: always the response shown as number 1"
    )
    tie = Vote(choice=None, probabilities=(0.5, 0.5), judgements=(judgement,))
    none = Vote(choice=None, probabilities=(0.0, 0.0), failures=(failure,))
    assert (as_panel(tie, preference).title, as_panel(none, preference).title) == (
        "No choice: a tie", "No choice: every opinion failed: 1 truncated",
    )  # fmt: skip


def test_a_text_of_ten_megabytes_is_a_panel_soon() -> None:
    judgement = Judgement(choice=0, reasoning="a" * 10_000_000)
    preference = Preference(question="q" * 10_000_000, responses=("a" * 10_000_000, "b"))
    vote = Vote(choice=0, probabilities=(1.0, 0.0), judgements=(judgement,))
    started, page = time.process_time(), StringIO()
    Console(file=page, width=80).print(as_panel(vote, preference))
    assert time.process_time() - started < 5
    assert "characters left out" in page.getvalue()
