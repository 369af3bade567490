"""Pairs learnt by DPO: mined in rounds from what the policy did, or given beforehand."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from stablereward.policies.forcing import forced
from stablereward.policies.policy import Family, Savable
from stablereward.recipes.pupils import Pupil
from stablereward.recipes.rounds import AnyGroup, Choose, Rounds, preferred
from stablereward.recipes.snapshots import Snapshots
from stablereward.rewards.reward import GroupReward
from stablereward.runs.folder import RunFolder
from stablereward.runs.progress import say
from stablereward.training.collect import Monitor
from stablereward.training.direct import Beta, DPOConfig, dpo_batches, dpo_loss, with_reference
from stablereward.training.fit import Update
from stablereward.training.learner import Learner


def mined(
    run: RunFolder,
    stage: str,
    pupil: Pupil,
    prompts: Sequence[Any],
    reward: GroupReward,
    mine: Choose,
    dpo: DPOConfig,
    *,
    num_rounds: int,
    prompts_per_round: int,
    pairs_per_prompt: int = 1,
    reference: Family[Any, Any] | None = None,
    seed: int,
    monitors: Mapping[str, Monitor] | None = None,
    snapshots: Snapshots | None = None,
) -> Learner:
    """Rounds of sampling, rewarding, mining pairs (see `training.mining`) and DPO on them.

    The `reference` is the pupil as it is when a round begins where no other is given. A round makes as many
    updates as `pairs_per_prompt` pairs of every prompt take, however many were mined.
    """
    held_to = reference or pupil.family
    return Rounds(
        run=run,
        stage=stage,
        pupil=pupil,
        prompts=prompts,
        prompts_per_round=prompts_per_round,
        reward=reward,
        choose=lambda groups, seed: with_reference(mine(groups, seed), partial(forced, held_to)),
        lesson=preferred(pupil, dpo),
        num_rounds=num_rounds,
        updates=dpo.num_updates(prompts_per_round * pairs_per_prompt),
        seed=seed,
        monitors=monitors or {},
        snapshots=snapshots,
    ).learner()


def given(
    module: Savable,
    family: Family[Any, Any],
    pairs: Sequence[AnyGroup],
    dpo: DPOConfig,
    seed: int,
    *,
    beta: Beta | None = None,
    figures: Callable[[Update], dict[str, float]] | None = None,
) -> Learner:
    """DPO on pairs, against the policy as it now is; `figures` are measured after every update."""
    held = with_reference(pairs, partial(forced, family))
    say(f"  {len(held)} pairs")
    return Learner(
        name="policy",
        module=module,
        batches=lambda done: dpo_batches(held, family.costs, dpo, seed, done),
        loss=partial(dpo_loss, family.score, beta=beta or dpo.beta, sft=dpo.sft),
        num_updates=dpo.num_updates(len(held)),
        optim=dpo.optim,
        cost=lambda share: share.cost,
        figures=figures,
    )
