"""Learning from a reward's gradient: worked steps, and no cut changes an update."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from stablereward.policies.policy import Drawn, Family, Scored
from stablereward.runs.folder import RunFolder
from stablereward.training.learner import train
from stablereward.training.optim import OptimConfig
from stablereward.training.reward_gradient import Piece, RewardGradientConfig, pieces, reward_gradient

CONFIG = RewardGradientConfig(
    num_updates=3,
    prompts_per_batch=3,
    num_generations=2,
    at_once=4,
    optim=OptimConfig(learning_rate=0.1, schedule="constant", warmup=0.0),
)


class Made:
    """A number as a trajectory."""

    logprobs = ()
    num_steps = 0

    def __init__(self, value: float) -> None:
        self.value = value


class Numbers(nn.Module):
    """Writes shift + prompt + noise."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(()))

    def draw(self, piece: Piece) -> Drawn[Made]:
        noise = [torch.randn((), generator=torch.Generator().manual_seed(seed)) for seed in piece.seeds]
        made = self.shift + torch.tensor(piece.prompts) + torch.stack(noise)
        return Drawn(made, tuple(map(Made, made.detach().tolist())))

    def save(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)


FAMILY = Family(
    score=lambda groups: Scored(torch.zeros(1, 1)),
    costs=lambda groups: [1 for _ in groups],
    describe=lambda made: {"numbers/value": made.value},
    show=lambda made: {"text": str(made.value)},
    show_prompt=lambda prompt: {"question": str(prompt)},
)


def reward(prompts: list[float], made_B: Tensor) -> Tensor:
    return -((made_B - 5) ** 2)


def trained(folder: Path, config: RewardGradientConfig = CONFIG, **settings: object) -> Numbers:
    module, run = Numbers(), RunFolder(folder)
    learner = reward_gradient(
        run, "rl", module, FAMILY, module.draw, reward, [0.0, 1.0, 2.0, 3.0], config, 0, **settings
    )
    train(run, "rl", learner, save_every=100)
    return module


def shift(module: Numbers) -> float:
    return float(module.shift.detach())


def test_an_update_goes_up_the_reward(tmp_path: Path) -> None:
    """AdamW moves a lone parameter by the rate at first; the price's scale does not matter."""
    assert shift(trained(tmp_path / "a", replace(CONFIG, num_updates=1))) == pytest.approx(0.1, abs=1e-4)
    down = trained(tmp_path / "b", replace(CONFIG, num_updates=1), price=lambda rewards_B: rewards_B)
    assert shift(down) == pytest.approx(-0.1, abs=1e-4)


def test_no_cut_changes_what_is_drawn_or_learnt(tmp_path: Path) -> None:
    found = [shift(trained(tmp_path / str(n), replace(CONFIG, at_once=n))) for n in (1, 4, 6)]
    assert found == pytest.approx([found[0]] * 3, abs=1e-6)


def test_prompts_are_taken_in_order_and_every_sample_has_its_own_seed() -> None:
    first, second, third = pieces("abcd", CONFIG, 0)
    assert [list(piece.prompts) for piece in first] == [["a", "a", "b", "b"], ["c", "c"]]
    assert [list(piece.prompts) for piece in second] == [["d", "d", "a", "a"], ["b", "b"]]
    seeds = [seed for update in (first, second, third) for piece in update for seed in piece.seeds]
    assert len(set(seeds)) == 18
    assert list(pieces("abcd", CONFIG, 0, start=2)) == [third]
    assert first[0].weight == pytest.approx(1 / 6)


def test_rewards_figures_and_rollouts_are_kept(tmp_path: Path) -> None:
    trained(tmp_path)
    rows = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert len(rows) == 3 and all('"reward/mean"' in row and '"numbers/value"' in row for row in rows)
    spreads = (tmp_path / "distributions.jsonl").read_text().splitlines()
    assert len(spreads) == 3 and '"reward": {"count": 6' in spreads[0]
    [kept] = (tmp_path / "rollouts").glob("rl-000001.jsonl")
    assert len(kept.read_text().splitlines()) == 3
