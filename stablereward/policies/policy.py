"""What training asks of a policy, whatever its steps are: each capability is one callable.

A family of policies (tokens, denoising steps, actions) is one file beside this one. It says how its
trajectories are scored and shown; nothing in `training/` knows more of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from stablereward.types import Failure, Group, P, T


class Scored(NamedTuple):
    """What a policy says of B trajectories of up to T steps, float32; padding holds zeros.

    `entropy_BT` is there where the family has one, `values_BT` (of the state before each step) where the
    policy has a value head.
    """

    logprobs_BT: Tensor
    entropy_BT: Tensor | None = None
    values_BT: Tensor | None = None


Score = Callable[[Sequence[Group[Any, Any]]], Scored]
"""Scores the groups' trajectories, in their order, with gradient where it is switched on."""


class Drawn(NamedTuple, Generic[T]):
    """What a policy made of B prompts at once: outputs [B, …] with their gradient, and the trajectories."""

    outputs: Tensor
    trajectories: tuple[T, ...]


class Sampler(Protocol):
    """Draws trajectories from a policy as it now is."""

    def __call__(self, prompts: Sequence[Any], seed: int) -> list[tuple[Any, ...] | Failure]:
        """The trajectories of every prompt, in the order of the prompts; a function of policy and seed.

        A prompt that cannot be answered is a Failure in its place; the others are not affected.
        """
        ...


Finished = Callable[[int, int, Any], None]
"""Told of a trajectory: the place of its prompt, its number among the prompt's (both from 0), and itself."""


@runtime_checkable
class StreamingSampler(Sampler, Protocol):
    """A sampler that says what has ended before all has. No sampler has to be one."""

    def stream(
        self, prompts: Sequence[Any], seed: int, finished: Finished
    ) -> list[tuple[Any, ...] | Failure]:
        """Samples in the caller's thread; returns what a call returns.

        `finished` is called there, in any order, once for each trajectory that is returned. What it
        raises ends the sampling and is raised.
        """
        ...


class Savable(Protocol):
    """A module that training can save and put back."""

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...

    def train(self) -> Any: ...

    def zero_grad(self, set_to_none: bool = True) -> None: ...

    def save(self, folder: Path) -> None:
        """Writes what others can load. What training needs to go on is written beside it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Family(Generic[P, T]):
    """How one kind of trajectory is scored, weighed and shown.

    costs: of each group, what it takes of the budget of a micro-batch (tokens of a row, for tokens).
    describe: figures of one trajectory by name; means are logged, spreads are recorded.
    show: one trajectory as JSON for people, images under "images".
    show_prompt: the same of a prompt.
    """

    score: Score
    costs: Callable[[Sequence[Group[P, T]]], list[int]]
    describe: Callable[[T], Mapping[str, float]]
    show: Callable[[T], Mapping[str, Any]]
    show_prompt: Callable[[P], Mapping[str, Any]]
