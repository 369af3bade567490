"""The command as a user meets it: results on stdout, one clear line for a mistake, a code for its kind."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import torch
from loopback import Loopback, Reply, Request, loopback
from report.sample import write_run

from stablereward import __version__
from stablereward.cli import main
from stablereward.cli.outcome import show_outcome
from stablereward.recipes import toy_base
from stablereward.recipes.found import described

ASK = ("judge", "--question", "What is it?", "--response", "a cat", "--response", "a dog")

Command = Callable[..., tuple[int, str, str]]
Serve = Callable[[Callable[[Request], Reply]], Loopback]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command in this process; gives the exit code, stdout and stderr."""
    for name in ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS", "TRANSFORMERS_VERBOSITY"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # restored afterwards

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        assert isinstance(end.value.code, int)
        return end.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server in a thread of its own, for the command waits for its answers in this one."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    running: list[AbstractAsyncContextManager[Loopback]] = []

    def start(reply: Callable[[Request], Reply]) -> Loopback:
        running.append(loopback(reply))
        return asyncio.run_coroutine_threadsafe(running[-1].__aenter__(), loop).result()

    yield start
    for server in running:
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def one_line(errors: str) -> str:
    """The one line on stderr, without its mark."""
    [line] = errors.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


def test_help_names_every_verb_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom stablereward.cli import main\ntry: main(['--help'])\n"
        "finally: print({'torch', 'transformers', 'numpy', 'httpx'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    for verb in ("demo", "train", "judge", "recipes", "report", "doctor"):
        assert verb in done.stdout
    assert done.stdout.endswith("set()\n") and done.returncode == 0


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stablereward", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"stablereward {__version__}\n"


def test_recipes_are_listed_with_what_they_are(command: Command) -> None:
    assert described().keys() >= {"r1_reward", "toy_base"} and "stages" not in described()
    code, out, _ = command("recipes")
    assert code == 0
    lines = [line.split(None, 1) for line in out.splitlines()]
    assert dict(lines)["r1_reward"].startswith("R1-Reward (https://arxiv.org/abs/2505.02835)")
    assert len({line.index(about) for line, (_, about) in zip(out.splitlines(), lines, strict=True)}) == 1


def test_the_resolved_settings_reproduce_themselves(command: Command, tmp_path: Path) -> None:
    code, out, _ = command("train", "r1_reward", "--tiny", "--set", "rl.num_updates=7", "--dry-run")
    assert code == 0
    assert "model: toy-base" in out and "num_updates: 7" in out
    file = tmp_path / "settings.yaml"
    file.write_text(out)
    assert command("train", "r1_reward", "--config", file, "--dry-run")[1] == out


def test_a_typo_gets_the_nearest_name(command: Command, tmp_path: Path) -> None:
    code, _, errors = command("train", "r1_rewrad")
    assert (code, one_line(errors)) == (2, "there is no recipe 'r1_rewrad'; did you mean r1_reward?")
    code, _, errors = command("train", "toy_base", "--set", "num_update=3")
    assert code == 2 and one_line(errors).endswith("did you mean num_updates?")
    file = tmp_path / "run.yaml"
    file.write_text("seeed: 1\n")
    code, _, errors = command("train", "toy_base", "--config", file)
    assert code == 2 and one_line(errors).startswith(f"{file}: ") and "did you mean seed?" in errors
    code, _, errors = command("jugde")
    assert code == 2 and "judge" in errors


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "toy_base", "--config", "absent.yaml"], "absent.yaml: cannot be read"),
        (["train", "toy_base", "--set", "num_updates=many"], "num_updates should be a valid integer"),
        (["train", "toy_base", "--tiny"], "toy_base has no tiny form"),
        (["train", "r1_reward"], "data.train has no value"),
        (["judge", "--model", "toy"], "give either --question or --preferences"),
        ([*ASK], "give either --model or --server"),
        ([*ASK, "--model", "toy", "--preferences", "rows.jsonl"], "give either --question or --preferences"),
        (["judge", "--question", "q", "--response", "a", "--model", "toy"], "1 response(s) to compare"),
        (["judge", "--preferences", "rows.jsonl", "--response", "a"], "a file has its own"),
        ([*ASK, "--server", "http://127.0.0.1:1/v1"], "needs --server-model"),
        ([*ASK, "--server", "localhost", "--server-model", "m"], "it must be like http://"),
        ([*ASK, "--model", "toy", "--image", ""], "--image is empty"),
        ([*ASK, "--model", "toy", "--question", "caf\udce9"], "--question is not UTF-8 text"),
        ([*ASK, "--model", "toy", "--response", "caf\udce9"], "--response is not UTF-8 text"),
        (
            [*ASK, "--server", "http://x/v1", "--server-model", "m", "--api-key-env", "UNSET"],
            "UNSET is not set",
        ),
    ],
)
def test_a_wrong_setting_is_one_line_and_code_2(
    arguments: list[str], said: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, errors = command(*arguments)
    assert (code, out) == (2, "")
    assert said in one_line(errors.splitlines()[-1])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["jugde"], "judge"),
        (["judge", "--nope"], "--nope"),
        (["judge", "--votes", "many"], "--votes"),
        (["judge", "--votes", "0"], "--votes"),
        (["report"], "RUN"),
        (["train"], "RECIPE"),
    ],
)
def test_a_wrong_use_is_one_plain_line_on_a_narrow_terminal(
    arguments: list[str], said: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    code, out, errors = command(*arguments)
    assert (code, out) == (2, "")
    line = one_line(errors)
    assert said.lower() in line.lower() and "--help` shows" in line


LONG = "n" * 300
FILES = (
    "train",
    "r1_reward",
    "--set",
    "model=toy-base",
    "--set",
    "output=run",
    "--set",
    "data.train=rows.jsonl",
)


@pytest.mark.parametrize(
    "arguments",
    [
        [*ASK, "--model", LONG],
        [*ASK, "--model", "toy", "--image", LONG],
        ["judge", "--model", "toy", "--preferences", LONG],
        ["train", "r1_reward", "--config", LONG],
        ["train", "r1_reward", "--tiny", "--set", f"model={LONG}", "--set", "output=run"],
        ["train", "r1_reward", "--tiny", "--set", f"output={LONG}"],
        ["train", "r1_reward", "--set", "output=run", "--set", f"data.train={LONG}"],
        [*FILES, "--set", f"data.held_out={LONG}"],
        ["train", "base_reward", "--set", f"model={LONG}", "--set", "data.train=rows.jsonl"],
        ["train", "ddpo", "--set", f"model={LONG}", "--set", "output=run"],
        ["demo", "--output", LONG],
        ["report", LONG],
        ["report", "old", "--out", LONG],
        ["doctor", "--plan", "r1_reward", "--set", f"model={LONG}"],
        ["bench", "--benchmark", "toy", "--model", LONG],
        ["bench", "--benchmark", "vl_rewardbench", "--data", LONG, "--model", "toy"],
        ["bench", "--benchmark", "toy", "--model", "toy", "--output", LONG],
        ["compare", LONG, "rows.jsonl"],
        ["score", LONG, "--benchmark", "vl_rewardbench"],
        ["score", "--reproduce", LONG],
        ["lab", "filter", "--output", LONG],
        ["lab", "stability", "--output", LONG],
    ],
)
def test_a_path_that_no_file_can_have_is_one_line(
    arguments: list[str], command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "old")
    (tmp_path / "rows.jsonl").write_text('{"question": "q", "responses": ["a", "b"], "best": 0}\n')
    code, out, errors = command(*arguments)
    assert code in (2, 3, 4, 7) and out == ""
    line = one_line(errors.splitlines()[-1])
    assert "nnn" in line


def test_unreadable_data_is_code_3(command: Command, tmp_path: Path) -> None:
    broken, rows = tmp_path / "broken.png", tmp_path / "rows.jsonl"
    broken.write_bytes(b"\x89PNG no more")
    rows.write_text('{"question": "q", "responses": []}\n')
    server = ("--server", "http://127.0.0.1:1/v1", "--server-model", "m")
    for arguments, said in (
        ((*ASK, "--image", tmp_path / "absent.png"), "absent.png' cannot be read"),
        ((*ASK, "--image", broken), "broken.png': not an image"),
        (("judge", "--preferences", tmp_path / "absent.jsonl"), "absent.jsonl: cannot be read"),
        (("judge", "--preferences", rows), f"{rows}:1: field 'responses'"),
    ):
        code, out, errors = command(*arguments, *server)
        assert (code, out) == (3, "")
        assert said in one_line(errors)
    code, _, errors = command("report", tmp_path / "no-run")
    assert code == 3 and "no-run" in one_line(errors)


def test_a_model_that_cannot_be_loaded_is_code_4(command: Command, tmp_path: Path) -> None:
    code, _, errors = command(*ASK, "--model", tmp_path / "absent")
    assert code == 4 and "no model here" in one_line(errors)
    (tmp_path / "config.json").write_text("{")
    code, _, errors = command(*ASK, "--model", tmp_path)
    assert code == 4 and "cannot be loaded as a model" in one_line(errors)


def test_a_run_is_neither_overwritten_nor_written_where_it_cannot_be(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("model: other\n")
    code, _, errors = command("demo", "--output", tmp_path)
    assert code == 2 and "a run is already here; add --resume" in one_line(errors)
    code, _, errors = command("demo", "--output", tmp_path / "config.yaml" / "run")
    assert code == 7 and "cannot be written" in one_line(errors)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (
            lambda: torch.empty(10**15),
            "out of memory: can't allocate memory: you tried to allocate 4000000000000000 b",
        ),
        (lambda: bytearray(10**15), "out of memory; `stablereward doctor`"),
        (
            lambda: raises(torch.OutOfMemoryError("CUDA out of memory. Tried.\nGPU 0 has …")),
            "CUDA out of memory; `",
        ),
    ],
)
def test_memory_that_is_not_there_is_one_line(
    ask: Callable[[], object], says: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy_base, "run", lambda config: ask())
    code, _, errors = command("train", "toy_base", "--set", f"output={tmp_path}")
    assert code == 4
    assert one_line(errors).startswith(says)


def raises(error: Exception) -> None:
    raise error


def test_another_error_stays_what_it_is(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy_base, "run", lambda config: raises(RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        command("train", "toy_base")


def test_a_report_is_written_and_its_path_said(command: Command, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    code, out, _ = command("report", run)
    assert (code, out) == (0, f"{run / 'report.html'}\n")
    code, out, _ = command("report", run, run, "--out", tmp_path / "both.html")
    assert (code, out) == (0, f"{tmp_path / 'both.html'}\n")
    assert (tmp_path / "both.html").exists()


def test_the_outcome_of_a_run_is_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"judge": "trained", "votes": 1, "n": 400, "accuracy_mean": 0.925, "interval": [0.9, 0.95]}
    shares = {"accuracy_both_orders": 0.9, "order_consistency": None, "parse_failures": 0.0}
    (tmp_path / "results.json").write_text(json.dumps([row | shares]))
    timings = [("sft", 10.4), ("rl", 100.0), ("rl", 20.0)]
    (tmp_path / "timings.jsonl").write_text(
        json.dumps({"stage": "sft", "update": 1, "seconds": 3.0})
        + "\n"
        + "".join(json.dumps({"event": "stage", "stage": s, "seconds": t}) + "\n" for s, t in timings)
    )
    with (tmp_path / "timings.jsonl").open("a") as file:
        file.write(
            '{\n[1]\n{"event": "stage", "stage": "rl"}\n{"event": "stage", "stage": [], "seconds": 3}\n'
        )
    (tmp_path / "report.html").touch()
    show_outcome(tmp_path)
    out = capsys.readouterr().out
    for words in (
        "92.5%",
        "90.0%–95.0%",
        "–",
        "400 held-out pairs",
        "rl            120",
        "together      130",
    ):
        assert words in out
    assert out.endswith(f"report: {tmp_path / 'report.html'}\n")


@pytest.mark.parametrize("recipe", described())
def test_every_recipe_shows_its_settings(command: Command, recipe: str) -> None:
    code, shown, _ = command("train", recipe, "--dry-run")
    assert code == 0 and "output: runs/" in shown
