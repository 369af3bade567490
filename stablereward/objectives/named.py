"""The published methods, each one composition and one link. Arguments tune; parts are never switched.

Defaults are those of the paper or of its authors' code; `docs/objectives.md` has them in one table.
`beta` is the pull to the reference policy: a term of the loss where a divergence is named, a part of
the reward elsewhere.
"""

import math
from collections.abc import Callable

from stablereward.objectives import advantages, divergences, ratios, reductions, surrogates
from stablereward.objectives.advantages import Filter
from stablereward.objectives.estimators import (
    compose,
    critic_advantages,
    greedy_baseline_returns,
    token_returns,
    trajectory_return,
)
from stablereward.objectives.objective import Objective


def reinforce(*, gamma: float = 1.0, beta: float = 0.0) -> Objective:
    """The policy gradient with nothing added."""
    return Objective(
        name="reinforce",
        link="https://doi.org/10.1007/BF00992696",
        advantage=compose(token_returns(gamma=gamma, beta=beta)),
        ratio=ratios.token_ratio,
        surrogate=surrogates.reinforce,
        reduction=reductions.sequence_mean_token_sum,
        beta=beta,
    )


def reinforce_plus_plus(*, epsilon: float = 0.2, beta: float = 0.0) -> Objective:
    """Returns whitened over the tokens of the batch, under PPO's clip; no critic, no groups."""
    return Objective(
        name="reinforce_plus_plus",
        link="https://arxiv.org/abs/2501.03262",
        advantage=compose(token_returns(beta=beta), normalise=advantages.whiten),
        ratio=ratios.token_ratio,
        surrogate=surrogates.ppo_clip(epsilon_low=epsilon, epsilon_high=epsilon),
        reduction=reductions.token_mean,
        beta=beta,
        invariant_to="batch_constant",
    )


def reinforce_plus_plus_baseline(*, epsilon: float = 0.2, beta: float = 0.0) -> Objective:
    """REINFORCE++ on rewards from which the mean of their group is taken first."""
    return Objective(
        name="reinforce_plus_plus_baseline",
        link="https://arxiv.org/abs/2501.03262",
        advantage=compose(token_returns(advantages.group_centre, beta=beta), normalise=advantages.whiten),
        ratio=ratios.token_ratio,
        surrogate=surrogates.ppo_clip(epsilon_low=epsilon, epsilon_high=epsilon),
        reduction=reductions.token_mean,
        beta=beta,
        min_group=2,
        invariant_to="prompt_constant",
    )


PAPER_FILTER = advantages.sigma_filter(3.0)
PAPER_RATIO = ratios.pre_clipped_ratio(1e-3, 1e3)


def stable_reinforce(
    *,
    ratio: ratios.Ratio = PAPER_RATIO,
    keep: Filter | None = PAPER_FILTER,
    epsilon: float = 0.2,
    dual_clip: float = math.inf,
    beta: float = 0.0,
) -> Objective:
    """REINFORCE++ with outlying advantages zeroed and the log-ratio clipped before exp (R1-Reward).

    Its parts come off one by one: `ratio` is Pre-CLIP (`ratios.token_ratio` is none), `keep` the filter
    (None, `advantages.winsorise`, `advantages.released_filter`). The paper gives no epsilon; 0.2 and the
    reduction are its code's. `dual_clip` bounds the loss of a bad token at that multiple of its
    advantage; the paper has no such bound.
    """
    return Objective(
        name="stable_reinforce",
        link="https://arxiv.org/abs/2505.02835",
        advantage=compose(token_returns(beta=beta), normalise=advantages.whiten, keep=keep),
        ratio=ratio,
        surrogate=surrogates.dual_clip(epsilon_low=epsilon, epsilon_high=epsilon, c=dual_clip),
        reduction=reductions.sequence_mean_token_mean,
        beta=beta,
        invariant_to="batch_constant",
    )


def grpo(*, epsilon: float = 0.2, beta: float = 0.04) -> Objective:
    """z-scores within each prompt's group, k3 in the loss. A group without spread gets the KL term only."""
    return Objective(
        name="grpo",
        link="https://arxiv.org/abs/2402.03300",
        advantage=compose(trajectory_return(advantages.group_normalise)),
        ratio=ratios.token_ratio,
        surrogate=surrogates.ppo_clip(epsilon_low=epsilon, epsilon_high=epsilon),
        reduction=reductions.sequence_mean_token_mean,
        divergence=divergences.k3,
        beta=beta,
        min_group=2,
        invariant_to="prompt_constant",
    )


def dr_grpo(*, epsilon: float = 0.2, length: int = 3000) -> Objective:
    """GRPO without its two biases: no division by the group's std, none by the answer's length.

    `length` is the token limit of a completion (3000 in the authors' runs); it only scales the loss.
    """
    return Objective(
        name="dr_grpo",
        link="https://arxiv.org/abs/2503.20783",
        advantage=compose(trajectory_return(advantages.group_centre)),
        ratio=ratios.token_ratio,
        surrogate=surrogates.ppo_clip(epsilon_low=epsilon, epsilon_high=epsilon),
        reduction=reductions.fixed_length(length),
        min_group=2,
        invariant_to="prompt_constant",
    )


def dapo(*, epsilon_low: float = 0.2, epsilon_high: float = 0.28) -> Objective:
    """GRPO with a higher upper bound, a mean over all tokens and no KL.

    The method also replaces groups without spread by freshly sampled ones; that is the sampler's part.
    """
    return Objective(
        name="dapo",
        link="https://arxiv.org/abs/2503.14476",
        advantage=compose(trajectory_return(advantages.group_normalise)),
        ratio=ratios.token_ratio,
        surrogate=surrogates.ppo_clip(epsilon_low=epsilon_low, epsilon_high=epsilon_high),
        reduction=reductions.token_mean,
        min_group=2,
        invariant_to="prompt_constant",
    )


def gspo(*, epsilon_low: float = 3e-4, epsilon_high: float = 4e-4) -> Objective:
    """GRPO whose ratio, and so whose clip, is the whole sequence's."""
    return Objective(
        name="gspo",
        link="https://arxiv.org/abs/2507.18071",
        advantage=compose(trajectory_return(advantages.group_normalise)),
        ratio=ratios.sequence_ratio,
        surrogate=surrogates.ppo_clip(epsilon_low=epsilon_low, epsilon_high=epsilon_high),
        reduction=reductions.sequence_mean_token_mean,
        min_group=2,
        invariant_to="prompt_constant",
    )


def cispo(*, ratio_max: float = 5.0) -> Objective:
    """Bounded importance weights on the policy gradient: no token is ever dropped.

    The paper tunes the upper bound without giving it; 5 is a common choice of later work.
    """
    return Objective(
        name="cispo",
        link="https://arxiv.org/abs/2506.13585",
        advantage=compose(trajectory_return(advantages.group_normalise)),
        ratio=ratios.token_ratio,
        surrogate=surrogates.cispo(ratio_max=ratio_max),
        reduction=reductions.token_mean,
        min_group=2,
        invariant_to="prompt_constant",
    )


def rloo(*, beta: float = 0.0) -> Objective:
    """REINFORCE with the mean of a prompt's other answers as baseline; a sequence is one action.

    The KL, where asked for, is part of the sequence's reward and of its baseline.
    """
    return Objective(
        name="rloo",
        link="https://arxiv.org/abs/2402.14740",
        advantage=compose(trajectory_return(advantages.leave_one_out, beta=beta)),
        ratio=ratios.token_ratio,
        surrogate=surrogates.reinforce,
        reduction=reductions.sequence_mean_token_sum,
        beta=beta,
        min_group=2,
        invariant_to="prompt_constant",
    )


def remax(*, beta: float = 0.0) -> Objective:
    """REINFORCE with the reward of the prompt's greedy answer as baseline; nothing is normalised."""
    return Objective(
        name="remax",
        link="https://arxiv.org/abs/2310.10505",
        advantage=compose(greedy_baseline_returns(beta=beta)),
        ratio=ratios.token_ratio,
        surrogate=surrogates.reinforce,
        reduction=reductions.sequence_mean_token_sum,
        beta=beta,
        greedy_answer=True,
    )


def ddpo(*, epsilon: float = 1e-4, limit: float = 5.0) -> Objective:
    """z-scores within each prompt's group, at most `limit`, for denoising steps whose log-probabilities are
    means over their numbers: hence the narrow clip.

    The authors' code keeps a prompt's statistics over epochs; here they are those of the batch.
    """
    return Objective(
        name="ddpo",
        link="https://arxiv.org/abs/2305.13301",
        advantage=compose(trajectory_return(advantages.group_normalise), keep=advantages.winsorise(limit)),
        ratio=ratios.token_ratio,
        surrogate=surrogates.ppo_clip(epsilon_low=epsilon, epsilon_high=epsilon),
        reduction=reductions.sequence_mean_token_mean,
        min_group=2,
        invariant_to="prompt_constant",
    )


def ppo(*, epsilon: float = 0.2, gamma: float = 1.0, lam: float = 0.95, beta: float = 0.0) -> Objective:
    """Generalised advantages from a critic, whitened, under the clip. gamma is 1, as usual for text."""
    return Objective(
        name="ppo",
        link="https://arxiv.org/abs/1707.06347",
        advantage=compose(critic_advantages(gamma=gamma, lam=lam, beta=beta), normalise=advantages.whiten),
        ratio=ratios.token_ratio,
        surrogate=surrogates.ppo_clip(epsilon_low=epsilon, epsilon_high=epsilon),
        reduction=reductions.token_mean,
        beta=beta,
        critic=True,
    )


ALL: tuple[Callable[..., Objective], ...] = (
    reinforce,
    reinforce_plus_plus,
    reinforce_plus_plus_baseline,
    stable_reinforce,
    grpo,
    dr_grpo,
    dapo,
    gspo,
    cispo,
    rloo,
    remax,
    ddpo,
    ppo,
)
"""Every named objective; each can be called without arguments. The law tests run over all of them."""
