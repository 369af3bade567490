"""`stablereward bench` as a user meets it, with a judge behind a real socket."""

import json
from pathlib import Path

import pytest
import test_cli
from loopback import Reply, Request, says
from PIL import Image
from test_cli import ASK, Command, Serve, one_line

from stablereward.engines.chat import messages_of
from stablereward.types import Prompt
from tests.policies.test_classifier import make

command = test_cli.command
serve = test_cli.serve

SHARED = Path(__file__).parents[2] / "shared/data/r1_reward"
CONTROLS = ["always first", "longer wins", "random"]


def second(request: Request) -> Reply:
    """A judge that always names the response shown second."""
    return says("<think>The last word stays.</think><answer>2</answer>")


def figures(folder: Path) -> dict[str, dict[str, float]]:
    judges = json.loads((folder / "table.json").read_text())["judges"]
    return {one["summary"]["judge"]: one["summary"] for one in judges}


def test_the_toy_world_is_judged_beside_the_controls_and_not_twice(
    command: Command, serve: Serve, tmp_path: Path
) -> None:
    server = serve(second)
    ask = ("bench", "--benchmark", "toy", "--server", server.base_url, "--server-model", "m/1")
    options = ("--subset", 24, "--votes", 3, "--output", tmp_path)
    code, out, errors = command(*ask, *options)
    assert code == 0 and "m/1: 24 of 24 pairs" in errors.splitlines()[-1]
    assert (tmp_path / "table.md").read_text() in out
    found = figures(tmp_path)
    assert list(found) == ["m/1", *CONTROLS]
    assert (found["m/1"]["accuracy_mean"], found["m/1"]["first_shown"], found["m/1"]["votes"]) == (0.5, 0, 3)
    assert found["always first"]["accuracy_mean"] == 0.5
    curves = json.loads((tmp_path / "table.json").read_text())["curves"]
    assert list(curves) == ["majority"]
    assert [(point["votes"], point["accuracy"]) for point in curves["majority"]] == [
        (1, 0.5), (2, 0.5), (3, 0.5),
    ]  # fmt: skip
    assert "no confidence, and so no weighted votes" in out
    said = "3 votes minus 1 vote: +0.0 points (95 % interval "
    page = (tmp_path / "table.html").read_text()
    assert said in out and said in page and "<svg" in page and "right in both orders" in page
    judges = json.loads((tmp_path / "table.json").read_text())["judges"]
    assert judges[0]["cost"]["judgements"] == 144 and judges[0]["cost"]["prompt_tokens"] is None
    asked, kept = len(server.requests), (tmp_path / "rows.jsonl").read_bytes()
    assert asked == 24 * 3 * 2
    assert command(*ask, *options)[:2] == (0, out)
    assert len(server.requests) == asked and (tmp_path / "rows.jsonl").read_bytes() == kept


def test_the_judge_in_the_box_gives_curves_confidence_and_costs(command: Command, tmp_path: Path) -> None:
    ask = ("bench", "--benchmark", "toy", "--model", "toy", "--device", "cpu", "--subset", 16, "--votes", 5)
    code, out, _ = command(*ask, "--output", tmp_path)
    assert code == 0 and "| votes an order | majority |" in out and "5 votes minus 1 vote: " in out
    whole = json.loads((tmp_path / "table.json").read_text())
    assert list(whole["curves"]) == ["majority", "by confidence", "mean P(first)"]
    assert 0.5 < whole["judges"][0]["confidence"] <= 1 and whole["judges"][1]["confidence"] is None
    cost = whole["judges"][0]["cost"]
    assert cost["judgements"] == 160 and cost["seconds"] > 0
    assert cost["prompt_tokens"] > 20 and cost["completion_tokens"] > 10
    page = (tmp_path / "table.html").read_text()
    assert "Ways of voting" in page and "Reliability" in page
    # Costs are those of the rows: with the rows gone they are counted anew.
    rows = (tmp_path / "rows.jsonl").read_bytes()
    (tmp_path / "rows.jsonl").unlink()
    assert command(*ask, "--output", tmp_path)[0] == 0
    assert (tmp_path / "rows.jsonl").read_bytes() == rows
    assert json.loads((tmp_path / "table.json").read_text())["judges"][0]["cost"]["judgements"] == 160


def text_pairs(path: Path, num: int) -> Path:
    """LLMBar's form: pairs without images, the better one first or second."""
    items = [
        {"input": f"Name {i} animals", "output_1": f"cat {i}", "output_2": f"a dog {i}", "label": 1 + i % 2}
        for i in range(num)
    ]
    path.write_text(json.dumps(items))
    return path


def test_a_reward_model_is_known_by_its_folder(command: Command, tmp_path: Path) -> None:
    model = make(tmp_path / "model", pad=None)
    data = text_pairs(tmp_path / "Natural.json", 8)
    ask = ("bench", "--benchmark", "llmbar", "--data", data, "--model", model, "--device", "cpu")
    assert command(*ask, "--output", tmp_path / "run")[0] == 0
    own = figures(tmp_path / "run")[str(model)]
    # It scores each response alone, so both orders have one verdict.
    assert (own["n"], own["order_consistency"], own["parse_failures"]) == (8, 1.0, 0)
    assert own["accuracy"] == own["accuracy_swapped"] == own["accuracy_both_orders"]
    whole = json.loads((tmp_path / "run/table.json").read_text())["judges"][0]
    assert whole["cost"]["completion_tokens"] == 0 and whole["cost"]["prompt_tokens"] > 5
    code, _, errors = command("bench", "--benchmark", "toy", "--model", model, "--output", tmp_path / "toy")
    assert code == 4 and "reads text only" in errors.splitlines()[-1]
    answer = command("judge", *ASK[1:], "--model", model, "--device", "cpu")
    assert answer[0] == 0 and json.loads(answer[1])["choice"] in (0, 1)


def test_no_opinion_at_all_is_not_a_success(command: Command, serve: Serve, tmp_path: Path) -> None:
    server = ("--server", serve(lambda _: says("Both are fine.")).base_url, "--server-model", "m")
    code, out, errors = command("bench", "--benchmark", "toy", "--subset", 2, *server, "--output", tmp_path)
    assert code == 1 and "no_answer" in out
    assert errors.splitlines()[-1].startswith("error: every opinion failed: no_answer")
    assert figures(tmp_path)["m"]["parse_failures"] == 1


def test_extra_fields_are_part_of_the_measurement(command: Command, serve: Serve, tmp_path: Path) -> None:
    server = serve(second)
    ask = ("bench", "--benchmark", "toy", "--subset", 2, "--server", server.base_url, "--server-model", "m")
    assert command(*ask, "--server-extra", "top_k=20", "--output", tmp_path)[0] == 0
    assert {request.body["top_k"] for request in server.requests} == {20}
    code, _, errors = command(*ask, "--output", tmp_path)
    assert code == 2 and "server_extra ['top_k=20'] there, None now" in one_line(errors)


def test_another_measurement_in_the_folder_is_refused(command: Command, serve: Serve, tmp_path: Path) -> None:
    server = serve(second)
    ask = ("bench", "--benchmark", "toy", "--server", server.base_url, "--server-model", "m")
    options = ("--subset", 3, "--output", tmp_path)
    assert command(*ask, *options, "--orders", "random")[0] == 0
    assert "swapped" not in (tmp_path / "table.md").read_text()
    code, _, errors = command(*ask, *options)
    assert code == 2
    assert "orders 'random' there, 'both' now" in one_line(errors)


@pytest.mark.skipif(not SHARED.exists(), reason="the real benchmarks are not beside this checkout")
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("VL-RewardBench", "VL-RewardBench/data.jsonl"),
        ("MM-RLHF-RewardBench", "MM-RLHF-RewardBench/mm_reward_bench.jsonl"),
    ],
)
def test_real_rows_with_stand_in_images_which_the_output_names(
    name: str, file: str, command: Command, serve: Serve, tmp_path: Path
) -> None:
    server = ("--server", serve(second).base_url, "--server-model", "m", "--output", tmp_path)
    ask = ("bench", "--benchmark", name, "--data", SHARED / file, "--subset", 10)
    code, _, errors = command(*ask, *server)
    assert code == 3 and "does not exist" in one_line(errors)
    code, out, _ = command(*ask, *server, "--stand-in-images")
    assert code == 0 and "generated stand-in pictures" in out and "drawn by seed 0" in out
    assert figures(tmp_path)["m"]["n"] == 10
    # The chosen answer is stored first in both files.
    assert figures(tmp_path)["always first"]["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["toy"], 2, "give either --model or --server"),
        (["VL-RewardBnch", "--model", "toy"], 2, "did you mean vl_rewardbench?"),
        (["vl_rewardbench", "--model", "toy"], 2, "where is VL-RewardBench? give --data FILE"),
        (["wildvision_bench", "--model", "toy"], 2, "has no pairs that a judge can be right on"),
        (["vl_rewardbench", "--model", "toy", "--data", "absent.jsonl"], 3, "absent.jsonl: cannot be read"),
        (["vl_rewardbench", "--model", "toy", "--data", "."], 3, ".: cannot be read"),
        (["toy", "--model", "absent"], 4, "no model here"),
        (["toy", "--model", "absent", "--output", "file/run"], 7, "cannot be written"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    code: int,
    said: str,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    ended, out, errors = command("bench", "--benchmark", *arguments)
    assert (ended, out) == (code, "") and said in one_line(errors)


def pictures(folder: Path) -> Path:
    """Two votes on generated images, in MJ-Bench's form, with their images."""
    rows = [
        {"id": i, "caption": f"a cat {i}", "image0": "a.png", "image1": "b.png", "label": i} for i in range(2)
    ]
    for name, colour in (("a.png", "red"), ("b.png", "blue")):
        Image.new("RGB", (32, 32), colour).save(folder / name)
    data = folder / "pairs.json"
    data.write_text(json.dumps(rows))
    return data


def first_sent(request: Request) -> str:
    """The first picture of a request, as its data URL."""
    [message] = request.body["messages"]
    return next(p["image_url"]["url"] for p in message["content"] if p["type"] == "image_url")


def test_both_orders_move_pictures_so_that_a_judge_of_places_is_found_out(
    command: Command, serve: Serve, tmp_path: Path
) -> None:
    """One that likes a picture is consistent; one that likes a place is at chance, and never consistent."""
    data = pictures(tmp_path)
    liked = messages_of(Prompt.user("", [tmp_path / "b.png"]))[0]["content"][0]["image_url"]["url"]

    def likes(request: Request) -> Reply:
        return says(f"<think>This one.</think><answer>{1 if first_sent(request) == liked else 2}</answer>")

    folders = {}
    for name, judge in (("place", second), ("picture", likes)):
        folders[name] = tmp_path / name
        server = serve(judge).base_url
        ask = ("--data", data, "--server", server, "--server-model", name, "--output", folders[name])
        code, out, _ = command("bench", "--benchmark", "mj_bench", *ask)
        assert code == 0 and "balanced" not in out
    assert figures(folders["place"])["place"]["order_consistency"] == 0.0
    assert figures(folders["place"])["place"]["accuracy_mean"] == 0.5
    assert figures(folders["picture"])["picture"]["order_consistency"] == 1.0
    rows = [json.loads(line) for line in (folders["picture"] / "rows.jsonl").read_text().splitlines()]
    assert [[vote["choice"] for vote in row["votes"]] for row in rows] == [[1, 1], [1, 1]]
    code, out, _ = command("compare", *folders.values(), "--data", data)
    assert code == 0 and "balanced" not in out
    page = (tmp_path / "comparison.html").read_text()
    assert page.count("<img") == 4
