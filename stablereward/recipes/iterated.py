"""Iterations of sampling, choosing and imitating on rewarded prompts: what such recipes share."""

from dataclasses import dataclass, field, replace

from stablereward.engines.engine import Sampling
from stablereward.objectives.objective import Objective
from stablereward.policies.token import TokenPolicy
from stablereward.ranges import Count
from stablereward.recipes import works as stages
from stablereward.recipes.completions import reinforced
from stablereward.recipes.prompted import Prompted, monitors, prompts
from stablereward.recipes.pupils import writer
from stablereward.recipes.rounds import Choose, Rounds, imitated
from stablereward.recipes.writers import STAGE
from stablereward.rewards.reward import GroupReward
from stablereward.runs.folder import RunFolder
from stablereward.training.imitation import SFTConfig
from stablereward.training.learner import Learner
from stablereward.training.planning import Drawing, Work
from stablereward.training.policy_gradient import RLConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Iterated(Prompted):
    """`iterations` times `sampling` for `prompts_per_iteration` prompts, and `imitation`."""

    iterations: Count = 20
    prompts_per_iteration: Count = 128
    sampling: Sampling = field(default_factory=Sampling)
    imitation: SFTConfig = field(default_factory=SFTConfig)

    @property
    def updates(self) -> int:
        """Updates of an iteration."""
        return self.imitation.num_updates(self.prompts_per_iteration)


def iterations(
    config: Iterated,
    folder: RunFolder,
    policy: TokenPolicy,
    reward: GroupReward,
    choose: Choose,
    *,
    num_generations: int | None = None,
) -> Learner:
    """Imitates what `choose` takes. With another `num_generations` there are so many more prompts."""
    num = num_generations or config.sampling.num_generations
    pupil = writer(policy, replace(config.sampling, num_generations=num))
    return Rounds(
        run=folder,
        stage=STAGE,
        pupil=pupil,
        prompts=prompts(config),
        prompts_per_round=config.prompts_per_iteration * config.sampling.num_generations // num,
        reward=reward,
        choose=choose,
        lesson=imitated(pupil, config.imitation),
        num_rounds=config.iterations,
        updates=config.updates,
        seed=config.seed,
        monitors=monitors(config),
    ).learner()


def equal_effort(
    config: Iterated, folder: RunFolder, policy: TokenPolicy, reward: GroupReward, objective: Objective
) -> Learner:
    """The control: as many samples and updates, at the same rates, by a policy gradient."""
    settings = RLConfig(
        num_updates=config.iterations * config.updates,
        prompts_per_batch=max(1, config.prompts_per_iteration // config.updates),
        num_generations=config.sampling.num_generations,
        updates_per_batch=1,
        temperature=config.sampling.temperature,
        max_completion_length=config.sampling.max_completion_length,
        token_budget=config.imitation.token_budget,
        optim=config.imitation.optim,
    )
    shown, watched = prompts(config), monitors(config)
    return reinforced(
        folder, STAGE, policy, reward, objective, settings, shown, config.seed, monitors=watched
    )


def works(config: Iterated) -> list[Work]:
    """Training and measurement as a planner of memory sees them."""
    length, num = config.sampling.max_completion_length, config.sampling.num_generations
    drawing = Drawing(group=num, completion=length, prompts=config.prompts_per_iteration)
    training = stages.imitating(STAGE, config, config.imitation, length, drawing)
    return [training, stages.writing("measurement", length)]
