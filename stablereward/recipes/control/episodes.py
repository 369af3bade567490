"""Environments under way: experience for a replay, episodes for figures and for people to look at."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stablereward.errors import TrainingError
from stablereward.evaluation.intervals import share_interval
from stablereward.policies.control import ChunkPolicy, Plans, Residual, combined
from stablereward.recipes.control.base import Task
from stablereward.runs.figures import Figure
from stablereward.runs.folder import RunFolder
from stablereward.training.fit import Update
from stablereward.training.replay import Replay, Step
from stablereward.worlds.environments import make

Act = Callable[[Tensor, Tensor], Tensor]
"""From observations and the base's actions to what is done, all [E, …]."""

AT_ONCE = 64
"""Environments that are measured together."""
NUM_SHOWN = 4
ENOUGH = 0.9
NUM_RECENT = 50
FIRST_SEED = 2**20
"""Seeds below are those of measured episodes; experience is gathered from others."""


class Experience:
    """E environments whose steps go to a replay. A `Memory`.

    An episode is its seed and its actions, so that is all that is saved of an environment: a resumed run
    plays the episodes that were under way again, from the actions in the replay. What an environment does
    must be a function of these.
    """

    def __init__(
        self, envs: Any, plans: Plans, replay: Replay, seed: int, *, terminal_timeouts: bool = False
    ) -> None:
        self.envs, self.plans, self.replay, self.seed = envs, plans, replay, seed
        self.terminal_timeouts = terminal_timeouts
        self.number_E = torch.zeros(envs.num_envs, dtype=torch.long)
        self.age_E = torch.zeros(envs.num_envs, dtype=torch.long)
        self.earned_E = torch.zeros(envs.num_envs)
        self.recent_R3 = torch.zeros(0, 3)
        self.observation, self.base = self._began(torch.ones(envs.num_envs, dtype=torch.bool))

    @property
    def num_steps(self) -> int:
        """Steps made so far, of all environments together."""
        return self.replay.written * self.replay.num_envs

    def step(self, action_EA: Tensor) -> None:
        """Acts in every environment, keeps the step, and begins anew where an episode is over."""
        observed, reward, terminated, truncated, _ = self.envs.step(action_EA.numpy())
        next_observation, earned = torch.from_numpy(observed).float(), torch.from_numpy(reward).float()
        ended_E = torch.from_numpy(terminated)
        over_E = ended_E | torch.from_numpy(truncated)
        self.plans.advance()
        next_base = self.plans.now(next_observation)
        last_E = over_E if self.terminal_timeouts else ended_E
        self.replay.add(
            Step(self.observation, self.base, action_EA, earned, last_E, over_E, next_observation, next_base)
        )
        self.age_E, self.earned_E = self.age_E + 1, self.earned_E + earned
        self.observation, self.base = next_observation, next_base
        if over_E.any():
            columns = ((self.earned_E > 0).float(), self.earned_E, self.age_E.float())
            told = torch.stack(columns, 1)[over_E]
            self.recent_R3 = torch.cat([self.recent_R3, told])[-NUM_RECENT:]
            self.number_E = self.number_E + over_E
            self.age_E = torch.where(over_E, 0, self.age_E)
            self.earned_E = torch.where(over_E, 0.0, self.earned_E)
            self.observation, self.base = self._began(over_E)

    def figures(self) -> dict[str, float]:
        """Of the newest episodes that are over, and how many steps there have been."""
        found = {"env_steps": float(self.num_steps)}
        if len(self.recent_R3):
            success, reward, steps = self.recent_R3.mean(0).tolist()
            found |= {"episodes/success": success, "episodes/reward": reward, "episodes/steps": steps}
        return found

    def state_dict(self) -> Mapping[str, Tensor]:
        """What a resumed run must know beside the replay."""
        own = {
            "number": self.number_E,
            "age": self.age_E,
            "earned": self.earned_E,
            "recent": self.recent_R3,
            "observation": self.observation,
            "base": self.base,
        }
        return own | {f"plans.{name}": tensor for name, tensor in self.plans.state_dict().items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Puts it back; the replay must have its own state already."""
        self.number_E, self.age_E = state["number"].clone(), state["age"].clone()
        self.earned_E, self.recent_R3 = state["earned"].clone(), state["recent"].clone()
        self._play_again()
        self.observation, self.base = state["observation"].clone(), state["base"].clone()
        self.plans.load_state_dict({n.removeprefix("plans."): t for n, t in state.items()})

    def _began(self, mask_E: Tensor) -> tuple[Tensor, Tensor]:
        observed = reset(self.envs, self._seeds(), mask_E.numpy())
        self.plans.forget(mask_E)
        observation = torch.from_numpy(observed).float()
        return observation, self.plans.now(observation)

    def _seeds(self) -> list[int]:
        names = (f"{self.seed}/{env}/{number}" for env, number in enumerate(self.number_E.tolist()))
        return [random.Random(name).randrange(FIRST_SEED, 2**31) for name in names]

    def _play_again(self) -> None:
        """Every environment begins when as many steps are left as its episode is old; before, it idles."""
        ages, seeds = self.age_E.numpy(), self._seeds()
        oldest = int(ages.max())
        if oldest > self.replay.num_rows:
            raise TrainingError(
                f"an episode of {oldest} steps is under way, of which the replay has {self.replay.num_rows}, "
                "so that it cannot be gone on with; begin anew with a larger learning.capacity"
            )
        actions = self.replay.latest_actions(oldest).numpy() if oldest else ()
        reset(self.envs, seeds, np.ones_like(ages, dtype=np.bool_))
        for left, action in zip(range(oldest, 0, -1), actions, strict=True):
            begins = ages == left
            if begins.any():
                reset(self.envs, seeds, begins)
            under_way = (ages >= left)[:, None]
            _, _, terminated, truncated, _ = self.envs.step(
                np.where(under_way, action, 0.0).astype(np.float32)
            )
            idle = (terminated | truncated) & (ages < left)
            if idle.any():
                reset(self.envs, seeds, idle)
        if (ages == 0).any():
            reset(self.envs, seeds, ages == 0)


def reset(envs: Any, seeds: Sequence[int], mask: Any) -> Any:
    """The observations of all after those of the mask began anew from their seeds."""
    # The mask in a dictionary of its own each time: gymnasium takes it out.
    observed, _ = envs.reset(seed=list(seeds), options={"reset_mask": mask})
    return observed


class Played(NamedTuple):
    """A measured episode. `residual` is how far what was done was from the base, on average; `frames` are
    pictures of its course where they were asked for.
    """

    seed: int
    success: bool
    reward: float
    steps: int
    residual: float
    frames: tuple[Any, ...] = ()


@torch.no_grad()
def play(envs: Any, policy: ChunkPolicy, act: Act, num: int, *, frames: bool = False) -> list[Played]:
    """Episodes of the seeds 0, 1, …, without noise; `policy` is the base."""
    plans = Plans(policy, envs.num_envs)
    found: list[Played] = []
    for first in range(0, num, envs.num_envs):
        found += _round(envs, plans, act, list(range(first, first + envs.num_envs)), frames=frames)
    return found[:num]


def _round(envs: Any, plans: Plans, act: Act, seeds: list[int], *, frames: bool) -> list[Played]:
    everywhere = np.ones(len(seeds), dtype=np.bool_)
    observation = torch.from_numpy(reset(envs, seeds, everywhere)).float()
    plans.forget(torch.from_numpy(everywhere))
    reward, steps, residual = np.zeros(len(seeds)), np.zeros(len(seeds), dtype=int), np.zeros(len(seeds))
    open_E, shown = everywhere, [envs.render()] if frames else []
    while open_E.any():
        base = plans.now(observation)
        action = act(observation, base)
        observed, earned, terminated, truncated, _ = envs.step(action.numpy())
        plans.advance()
        reward, steps = reward + earned * open_E, steps + open_E
        residual += (action - base).abs().mean(1).numpy() * open_E
        if frames:
            shown.append(envs.render())
        over = terminated | truncated
        open_E = open_E & ~over
        observation = torch.from_numpy(observed).float()
        if over.any() and open_E.any():
            observation = torch.from_numpy(reset(envs, seeds, over)).float()
            plans.forget(torch.from_numpy(over))
    own = [tuple(frame[env] for frame in shown[: steps[env] + 1]) for env in range(len(seeds))]
    columns = (
        seeds,
        (reward > 0).tolist(),
        reward.tolist(),
        steps.tolist(),
        (residual / steps).tolist(),
        own,
    )
    return [Played(*row) for row in zip(*columns, strict=True)]


def measurement(
    run: RunFolder, task: Task, policy: ChunkPolicy, act: Act
) -> Callable[[Update], Mapping[str, float]]:
    """Measures what acts every so many updates, and keeps a few of its episodes to look at."""
    envs = make(task.environment, min(task.measured_often, AT_ONCE))
    shown = make(task.environment, NUM_SHOWN, render=task.render)

    def measured(update: Update) -> Mapping[str, float]:
        if update.number % task.measure_every:
            return {}
        looked_at = play(shown, policy, act, NUM_SHOWN, frames=task.render)
        run.write_rollouts("residual", update.number, rollout_rows(update.number, looked_at))
        return {"evaluation/success": success(play(envs, policy, act, task.measured_often))}

    return measured


def success(played: Sequence[Played]) -> float:
    """The share of episodes with a reward."""
    return sum(one.success for one in played) / len(played)


def figures(run: Path, task: Task, policy: ChunkPolicy, actor: Residual) -> list[Figure]:
    """The policy and its base on the same seeds, and how the policy got there."""
    envs = make(task.environment, min(task.measured, AT_ONCE))
    trained = play(envs, policy, lambda seen, base: combined(base, actor(seen, base)), task.measured)
    start = play(envs, policy, lambda _, base: base, task.measured)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    course = [(row["env_steps"], row["evaluation/success"]) for row in rows if "evaluation/success" in row]
    count = len(trained)
    at_last, at_first = success(trained), success(start)
    found = [
        _share("success", trained, "share of measured episodes that succeed"),
        _share("success_base", start, "the same of the base alone"),
        Figure(name="gain", value=at_last - at_first, about="success, less that of the base alone"),
        Figure(
            name="residual",
            value=sum(one.residual for one in trained) / count,
            about="mean distance of an action from the base's, of a range of 2",
        ),
        Figure(
            name="steps",
            value=sum(one.steps for one in trained) / count,
            about="mean length of a measured episode",
        ),
    ]
    if course:
        mean = sum(value for _, value in course) / len(course)
        enough = [steps for steps, value in course if value >= ENOUGH]
        found += [
            Figure(name="success_mean", value=mean, about="mean success over the measurements on the way"),
            Figure(name="env_steps", value=course[-1][0], about="steps of all environments"),
            Figure(
                name="steps_needed",
                value=enough[0] if enough else course[-1][0],
                about=f"steps until a measurement was at least {ENOUGH:g}; all of them where none was",
            ),
        ]
    return found


def _share(name: str, played: Sequence[Played], about: str) -> Figure:
    succeeded = np.array([one.success for one in played], dtype=np.float64)
    low, high = share_interval(succeeded, [""] * len(played))
    return Figure(name=name, value=success(played), about=about, low=low, high=high, n=len(played))


def strip(frames: Sequence[Any], count: int = 4) -> Image.Image:
    """Frames from the first to the last beside each other."""
    numbers = sorted({round(k * (len(frames) - 1) / (count - 1)) for k in range(count)})
    pictures = [Image.fromarray(np.asarray(frames[number])) for number in numbers]
    whole = Image.new("RGB", (sum(one.width for one in pictures), pictures[0].height))
    left = 0
    for one in pictures:
        whole.paste(one, (left, 0))
        left += one.width
    return whole


def rollout_rows(update: int, played: Sequence[Played]) -> list[dict[str, Any]]:
    """Episodes for people, for `RunFolder.write_rollouts`."""
    return [
        {
            "update": update,
            "question": f"Episode of seed {one.seed}",
            "completions": [
                {
                    "images": [strip(one.frames)] if one.frames else [],
                    "reward": one.reward,
                    "parts": {
                        "result": float(one.success),
                        "steps": one.steps,
                        "residual": one.residual,
                    },
                }
            ],
        }
        for one in played
    ]
