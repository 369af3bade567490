"""A recipe's stages as a planner of memory sees them, from the settings that the recipes have anyhow."""

from typing import Protocol

from stablereward.recipes.stages import Hardware, Lora
from stablereward.training.direct import DPOConfig
from stablereward.training.imitation import SFTConfig
from stablereward.training.pairwise import RewardConfig
from stablereward.training.planning import Drawing, Update, Work
from stablereward.training.policy_gradient import RLConfig


class Trained(Protocol):
    """The settings that say how a model is trained."""

    @property
    def hardware(self) -> Hardware: ...

    @property
    def lora(self) -> Lora | None: ...


def training(
    name: str, config: Trained, update: Update, drawing: Drawing | None = None, *, reference: bool = False
) -> Work:
    """A stage that trains. `reference` is a frozen copy of the model beside it."""
    return Work(
        name=name,
        update=update,
        drawing=drawing,
        reference=reference,
        rank=None if config.lora is None else config.lora.rank,
        checkpointing=config.hardware.gradient_checkpointing,
    )


def reinforcing(name: str, config: Trained, rl: RLConfig, *, reference: bool) -> Work:
    """Collections of completions, and their updates."""
    length = rl.max_completion_length
    update = Update(
        prompts=-(-rl.prompts_per_batch // rl.updates_per_batch),
        group=rl.num_generations,
        completion=length,
        token_budget=rl.token_budget,
    )
    drawing = Drawing(group=rl.num_generations, completion=length, prompts=rl.prompts_per_batch)
    return training(name, config, update, drawing, reference=reference)


def imitating(
    name: str, config: Trained, sft: SFTConfig, completion: int, drawing: Drawing | None = None
) -> Work:
    """Demonstrations of `completion` tokens, one a prompt; `drawing` where the policy made them itself."""
    update = Update(prompts=sft.batch_size, group=1, completion=completion, token_budget=sft.token_budget)
    return training(name, config, update, drawing)


def preferring(
    name: str,
    config: Trained,
    dpo: DPOConfig,
    completion: int,
    drawing: Drawing | None = None,
    *,
    reference: bool = False,
) -> Work:
    """Pairs of completions; `drawing` where the policy made them itself. No `reference` stays beside a model
    that was its own, asked beforehand."""
    update = Update(prompts=dpo.batch_size, group=2, completion=completion, token_budget=dpo.token_budget)
    return training(name, config, update, drawing, reference=reference)


def comparing(name: str, config: Trained, reward: RewardConfig, *, responses: int, completion: int) -> Work:
    """Questions whose responses get a score each, of which no token's probability is asked for."""
    update = Update(
        prompts=reward.batch_size,
        group=responses,
        completion=completion,
        token_budget=reward.token_budget,
        words=False,
    )
    return training(name, config, update)


def writing(name: str, completion: int, num: int = 4) -> Work:
    """A measurement of `num` completions a prompt."""
    return Work(name=name, drawing=Drawing(group=num, completion=completion))
