"""Experience that is kept and drawn again: steps of E environments, as returns of n steps."""

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from stablereward.objectives.td import n_step
from stablereward.training.checkpoint import Memory


class Step(NamedTuple):
    """One step of each of E environments. `base` is what the frozen policy would have done there, `next_base`
    where it led; `over` is the end of an episode, by itself (`terminated`) or by the clock.
    """

    observation: Tensor
    base: Tensor
    action: Tensor
    reward: Tensor
    terminated: Tensor
    over: Tensor
    next_observation: Tensor
    next_base: Tensor


class Transitions(NamedTuple):
    """B steps drawn: what was earned in the next n of them and what the value after these is worth."""

    observation: Tensor
    base: Tensor
    action: Tensor
    returns: Tensor
    worth: Tensor
    next_observation: Tensor
    next_base: Tensor


class Replay:
    """The newest `capacity` steps, in rows of E. A `Memory`: its state goes with a learner's checkpoint."""

    def __init__(self, capacity: int, num_envs: int, *, n: int, gamma: float) -> None:
        self.num_rows, self.num_envs, self.n, self.gamma = max(1, capacity // num_envs), num_envs, n, gamma
        self.rows: Step | None = None
        self.written = 0

    def __len__(self) -> int:
        return min(self.written, self.num_rows) * self.num_envs

    def add(self, step: Step) -> None:
        """Keeps a row; the oldest goes where there is no room."""
        if self.rows is None:
            self.rows = self._empty(Step(*(column[None] for column in step)))
        for kept, new in zip(self.rows, step, strict=True):
            kept[self.written % self.num_rows] = new
        self.written += 1

    def latest_actions(self, count: int) -> Tensor:
        """Those of the newest `count` rows, oldest first, [count, E, A]."""
        assert self.rows is not None
        places = torch.arange(self.written - count, self.written) % self.num_rows
        return self.rows.action[places]

    def draw(self, count: int, generator: torch.Generator) -> Transitions:
        """Steps drawn with replacement. A window ends at an episode's end and at the newest row."""
        assert self.rows is not None
        chosen_B = torch.randint(len(self), (count,), generator=generator)
        first_B, env_B = chosen_B // self.num_envs, chosen_B % self.num_envs
        oldest = max(0, self.written - self.num_rows)
        steps_KB = oldest + first_B + torch.arange(self.n)[:, None]
        place_KB = steps_KB % self.num_rows
        ends_KB = self.rows.over[place_KB, env_B] | (steps_KB >= self.written - 1)
        returns_B, worth_B, last_B = n_step(
            self.rows.reward[place_KB, env_B], ends_KB, self.rows.terminated[place_KB, env_B], self.gamma
        )
        here, there = (place_KB[0], env_B), (place_KB.gather(0, last_B[None])[0], env_B)
        return Transitions(
            self.rows.observation[here],
            self.rows.base[here],
            self.rows.action[here],
            returns_B,
            worth_B,
            self.rows.next_observation[there],
            self.rows.next_base[there],
        )

    def state_dict(self) -> Mapping[str, Tensor]:
        """All that is kept."""
        if self.rows is None:
            return {"written": torch.tensor(self.written)}
        used = min(self.written, self.num_rows)
        kept = {name: rows[:used] for name, rows in self.rows._asdict().items()}
        return {"written": torch.tensor(self.written), **kept}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Puts it back. Raises KeyError or RuntimeError for a state that does not fit."""
        self.written = int(state["written"])
        self.rows = None
        if self.written:
            kept = Step(*(state[name] for name in Step._fields))
            self.rows = self._empty(kept)
            for rows, own in zip(self.rows, kept, strict=True):
                rows[: len(own)] = own

    def _empty(self, like: Step) -> Step:
        return Step(*(torch.zeros(self.num_rows, *t.shape[1:], dtype=t.dtype) for t in like))


def mixed(parts: Sequence[tuple[Replay, int]], generator: torch.Generator) -> Transitions:
    """So many drawn of each, together; of an empty one nothing."""
    drawn = [replay.draw(count, generator) for replay, count in parts if count and len(replay)]
    return Transitions(*(torch.cat(columns) for columns in zip(*drawn, strict=True)))


class Memories:
    """Several memories as one, each under its name; put back in their order."""

    def __init__(self, **parts: Memory) -> None:
        self.parts = parts

    def state_dict(self) -> Mapping[str, Tensor]:
        """Of all of them."""
        found = {name: part.state_dict() for name, part in self.parts.items()}
        return {f"{name}/{key}": t for name, state in found.items() for key, t in state.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Gives each its own."""
        for name, part in self.parts.items():
            own = {key: t for key, t in state.items() if key.startswith(f"{name}/")}
            part.load_state_dict({key.removeprefix(f"{name}/"): t for key, t in own.items()})


def generator(seed: int, stream: str, number: int) -> torch.Generator:
    """Random numbers that are a function of the seed, what they are for and the number of the update."""
    return torch.Generator().manual_seed(random.Random(f"{seed}/{stream}/{number}").getrandbits(63))
