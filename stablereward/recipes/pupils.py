"""Policies as rounds of learning take them: of texts, or of the world of menus."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.engines.sampler import sampler
from stablereward.policies.completions import completions
from stablereward.policies.copies import frozen_copy
from stablereward.policies.policy import Family, Sampler, Savable
from stablereward.policies.token import TokenPolicy
from stablereward.types import Completion
from stablereward.worlds import menu
from stablereward.worlds.menu import Picker


@dataclass(frozen=True, kw_only=True)
class Pupil:
    """What is trained, how it is scored and sampled, and how what it did is kept.

    `row` makes JSON of a trajectory, `trajectory` what is learnt from that JSON. `frozen` makes a copy with
    weights of its own that nothing trains, and `family_of` says how a copy is scored.
    """

    module: Savable
    family: Family[Any, Any]
    sample: Sampler
    num_generations: int
    row: Callable[[Any], dict[str, Any]]
    trajectory: Callable[[Mapping[str, Any]], Any]
    frozen: Callable[[], Any]
    family_of: Callable[[Any], Family[Any, Any]]


def writer(policy: TokenPolicy, sampling: Sampling) -> Pupil:
    """A policy of texts, which are kept as tokens."""
    return Pupil(
        module=policy,
        family=completions(policy),
        sample=sampler(HFEngine(policy), sampling),
        num_generations=sampling.num_generations,
        row=lambda one: {"token_ids": list(one.token_ids), "text": one.text, "finished": one.finished},
        trajectory=lambda row: Completion(
            text=row["text"], token_ids=tuple(row["token_ids"]), finished=row["finished"]
        ),
        frozen=lambda: frozen_copy(policy),
        family_of=completions,
    )


def picker(policy: Picker, num: int) -> Pupil:
    """A policy that picks `num` answers a prompt from a menu."""
    return Pupil(
        module=policy,
        family=policy.family(),
        sample=partial(policy.sample, num=num),
        num_generations=num,
        row=menu.row,
        trajectory=menu.pick,
        frozen=lambda: copy.deepcopy(policy).requires_grad_(False),
        family_of=lambda one: one.family(),
    )
