"""What does not fit the model is found by its line before anything is computed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stablereward.cli import main
from stablereward.data.prompts import r1_reward
from stablereward.data.toy.pairs import pairs
from stablereward.errors import ConfigError, DataError, ModelError
from stablereward.policies.token import TokenPolicy
from stablereward.recipes.context import Context, fitting
from stablereward.recipes.judges.r1_reward import Config, Server, run
from stablereward.recipes.sources import Data, load
from stablereward.recipes.stages import Hardware
from stablereward.types import Preference

CONTEXT = 2048
SMALL = (
    "rl.num_updates=1",
    "rl.prompts_per_batch=2",
    "rl.num_generations=2",
    "rl.updates_per_batch=1",
    "votes=[1]",
)


def row(words: int, **more: object) -> dict[str, object]:
    """A row whose second response has so many words."""
    return {"question": "How many?", "responses": ["I count 2.", "red " * words], "best": 0, **more}


def file(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path


def tokens(preference: Preference) -> int:
    return TokenPolicy.load("toy-base", device="cpu").encode(r1_reward(preference)).num_tokens


def test_the_bound_is_exact_and_holds_in_both_orders(tmp_path: Path) -> None:
    rows = load(Data(train=file(tmp_path / "a.jsonl", row(9), row(300))), tmp_path, 0)
    [shown] = [one for one in (*rows.train, *rows.held_out) if len(one.responses[1]) > 100]
    longest = max(tokens(shown), tokens(shown.swapped()))
    assert Context.of("toy-base", CONTEXT - longest).faults([shown]) == []
    [fault] = Context.of("toy-base", CONTEXT - longest + 1).faults([shown])
    assert (fault.kind, fault.where) == ("too_long", f"{tmp_path / 'a.jsonl'}:2")
    assert fault.reason == (
        f"{fault.where}: a prompt of {longest} tokens and a completion of {CONTEXT - longest + 1} "
        f"(rl.max_completion_length) do not fit the model's context of {CONTEXT}"
    )


def test_a_prompt_beyond_the_context_and_a_broken_image_have_their_kinds(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    path = file(tmp_path / "a.jsonl", row(2), row(5000), row(2, images=["broken.png"]))
    rows = load(Data(train=path, held_out=path), tmp_path, 0).train
    long, broken = Context.of("toy-base", 16).faults(rows)
    assert (long.kind, long.where) == ("too_long", f"{path}:2")
    assert (broken.kind, broken.where) == ("unreadable", f"{path}:3")
    assert long.reason.startswith(f"{path}:2: the prompt has ") and "broken.png" in broken.reason
    skipping = Data(train=path, held_out=path, skip=("too_long", "unreadable"))
    found = load(skipping, tmp_path, 0, Context.of("toy-base", 16).faults)
    assert [one.where for one in found.train] == [f"{path}:1"] and len(found.left_out) == 4


def test_a_model_that_is_not_there_is_said_first() -> None:
    with pytest.raises(ModelError, match="no model here"):
        Context.of("gone", 16)


def test_demonstrations_are_measured_with_their_analyses(capsys: pytest.CaptureFixture[str]) -> None:
    policy = TokenPolicy.load("toy-base", device="cpu")
    shown = [
        (r1_reward(replace(pair.preference(), where=f"a:{n}")), "red " * words)
        for n, (pair, words) in enumerate(zip(pairs(4, seed=0), (3, 3000, 5, 4000), strict=True))
    ]
    with pytest.raises(
        DataError, match=r"a:1: prompt and analysis have \d+ tokens, .* 2048 \(and 1 more of 4 d"
    ):
        fitting(policy, shown, ())
    assert fitting(policy, shown, ("too_long",)) == shown[::2]
    assert capsys.readouterr().err.endswith(
        "  left out as too_long, as data.skip says: 2 of 4 demonstrations (a:1, a:3)\n"
    )
    with pytest.raises(DataError, match="no demonstration fits"):
        fitting(policy, shown[1:2], ("too_long",))


def test_a_run_stops_before_its_first_stage_or_leaves_the_row_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row(2, id=str(n)) for n in range(8)]
    path = file(tmp_path / "a.jsonl", *rows[:3], row(5000), *rows[3:])
    settings = ["model=toy-base", f"data.train={path}", f"output={tmp_path / 'run'}", *SMALL]
    settings += ["rl.max_completion_length=8", "difficulty.min_tries=1", "hardware.device=cpu"]
    asked = [word for setting in settings for word in ("--set", setting)]
    for command in (["train", "r1_reward", *asked], ["doctor", "--plan", "r1_reward", *asked]):
        with pytest.raises(SystemExit) as end:
            main(command)
        said = capsys.readouterr().err.replace("\n", "")
        assert end.value.code == 3 and f"error: {path}:4: the prompt has " in said
        assert said.endswith("leave out what is too_long with --set data.skip=[too_long]")
        assert not (tmp_path / "run").exists()
    with pytest.raises(SystemExit) as end:
        main(["train", "r1_reward", *asked, "--set", "data.skip=[too_long]"])
    assert end.value.code == 0
    assert f"left out as too_long, as data.skip says: 1 of 9 rows ({path}:4)" in capsys.readouterr().err
    [left] = (tmp_path / "run" / "left_out.jsonl").read_text().splitlines()
    assert json.loads(left)["where"] == f"{path}:4"
    assert len((tmp_path / "run" / "difficulty.jsonl").read_text().splitlines()) == 7


def test_what_a_late_stage_needs_is_looked_for_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device, a server's key and a model that are not there: nothing is computed, nothing is left."""
    monkeypatch.delenv("NO_KEY", raising=False)
    path = file(tmp_path / "a.jsonl", row(2), row(3))
    config = Config(model="toy-base", data=Data(train=path), output=tmp_path / "run")
    keyed = Server(base_url="http://127.0.0.1:1/v1", model="m", api_key_env="NO_KEY")
    for bad, message in (
        (replace(config, hardware=Hardware(device="cuda:99")), "the device 'cuda:99'"),
        (replace(config, referee=keyed), "NO_KEY is not set"),
        (replace(config, annotator=keyed), "NO_KEY is not set"),
        (replace(config, model="gone"), "no model here"),
    ):
        with pytest.raises((ConfigError, ModelError), match=message):
            run(bad)
        assert not (tmp_path / "run").exists()
