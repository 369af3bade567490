"""What is kept of a collection to look at."""

import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from stablereward.policies.completions import describe, show_prompt
from stablereward.policies.policy import Family, Scored
from stablereward.runs.folder import RunFolder
from stablereward.training.collect import Collected
from stablereward.training.rollouts import rollout_rows
from stablereward.types import Completion, Failure, Group, Preference, Prompt, Reward


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def keep(folder: Path, update: int, **given: Any) -> None:
    RunFolder(folder).write_rollouts("rl", update, rollout_rows(update, collected(), FAMILY, **given))


FAMILY: Family[Prompt, Completion] = Family(
    score=lambda groups: Scored(torch.zeros(0, 0)),
    costs=lambda groups: [1] * len(groups),
    describe=describe,
    show=lambda c: {
        "text": c.text,
        "num_tokens": len(c.token_ids),
        "tokens": [f"<{i}>" for i in c.token_ids],
    },
    show_prompt=show_prompt,
)


def collected() -> Collected:
    preference = Preference(question="Which?", responses=("red", "blue"), ranks=(1, 0))
    image = Image.new("RGB", (1024, 512), "red")
    rollouts = Group(
        prompt=Prompt.user(text="…", images=(image,), preference=preference),
        trajectories=(Completion(text="2", token_ids=(7, 2)), Completion(text="?", token_ids=(9,))),
        rewards=(Reward(value=1.5, parts={"result": 1.0}), Failure(reason="referee", detail="down")),
    )
    lost = Group(prompt=Prompt.user(text="x"), trajectories=(), rewards=(Failure(reason="bad_prompt"),))
    return Collected(groups=(rollouts, lost), advantages=((0.5, None), ()), metrics={})


def test_rollouts_are_kept_with_their_image(tmp_path: Path) -> None:
    keep(tmp_path, 20, num_prompts=5)
    first, second = lines(tmp_path / "rollouts" / "rl-000020.jsonl")
    (image,) = first.pop("images")
    with Image.open(tmp_path / image) as kept:
        assert kept.size == (512, 256)
    assert first == {
        "update": 20,
        "question": "Which?",
        "responses": ["red", "blue"],
        "best": 1,
        "completions": [
            {
                "text": "2",
                "reward": 1.5,
                "parts": {"result": 1.0},
                "failure": None,
                "advantage": 0.5,
                "num_tokens": 2,
                "tokens": ["<7>", "<2>"],
            },
            {
                "text": "?",
                "reward": None,
                "parts": {},
                "failure": "referee: down",
                "advantage": None,
                "num_tokens": 1,
                "tokens": ["<9>"],
            },
        ],
    }
    assert second == {"update": 20, "question": "x", "images": [], "completions": []}


def test_rollouts_are_kept_with_their_tokens_and_the_clipped_ones(tmp_path: Path) -> None:
    flags = {(0, 1): {"low": [0]}, (7, 0): {"high": [3]}}
    keep(tmp_path, 1, num_prompts=5, flags=flags)
    first, _ = lines(tmp_path / "rollouts" / "rl-000001.jsonl")
    right, failed = first["completions"]
    assert right["tokens"] == ["<7>", "<2>"] and "clipped" not in right
    assert failed["tokens"] == ["<9>"] and failed["clipped"] == {"low": [0]}


def test_only_the_first_prompts_are_kept(tmp_path: Path) -> None:
    keep(tmp_path, 1, num_prompts=1)
    assert len(lines(tmp_path / "rollouts" / "rl-000001.jsonl")) == 1


def test_prompts_can_be_chosen(tmp_path: Path) -> None:
    keep(tmp_path, 1, num_prompts=1, chosen=[1, 0])
    [row] = lines(tmp_path / "rollouts" / "rl-000001.jsonl")
    assert row == {"update": 1, "question": "x", "images": [], "completions": []}
