"""From states to scores: what of a response's states is read, and the layers that make numbers of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from stablereward.policies.tree import Tree
from stablereward.ranges import Range, Size, require_ranges

Pooling = Callable[[Tensor, Tree], Tensor]
"""What is read of each response, [B, D], from the states [R, L, D] of a tree's rows.

Completions of the tree have one token more than the responses, for its last is a target only.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadConfig:
    """BaseReward's head: two layers with SiLU between them, on the state at the last token.

    One layer is a linear map without a constant, as sequence classifiers have it. "end" reads the state at
    the response's end-of-turn token, "mean" the mean over all tokens of the dialogue, images included.
    `outputs` above 1 give several scores a response; the first is the one that is judged by.
    """

    layers: Annotated[int, Range(1, 100)] = 2
    activation: Literal["silu", "tanh", "gelu", "relu", "none"] = "silu"
    pooling: Literal["last", "mean", "end"] = "last"
    outputs: Size = 1

    def __post_init__(self) -> None:
        require_ranges(self)


def last_token(states_RLD: Tensor, tree: Tree) -> Tensor:
    """The state at the response's last token, which has seen all of it."""
    return _at(states_RLD, tree, tree.mask_BT.sum(1) - 1)


def last_where(chosen: Callable[[Tensor], Tensor]) -> Pooling:
    """The state at the response's last token that is `chosen` by its id; at its last where none is."""

    def pooling(states_RLD: Tensor, tree: Tree) -> Tensor:
        found_BT = chosen(tree.targets_BT[:, :-1]) & tree.mask_BT[:, 1:]
        steps_T = torch.arange(1, tree.mask_BT.shape[1], device=found_BT.device)
        found_B = (found_BT * steps_T).amax(1)
        return _at(states_RLD, tree, torch.where(found_B > 0, found_B, tree.mask_BT.sum(1) - 1))

    return pooling


def mean_token(states_RLD: Tensor, tree: Tree) -> Tensor:
    """The mean of the states at all tokens of the dialogue, prompt and images included.

    https://arxiv.org/abs/2501.12368
    """
    prompts_RL, own_BT = tree.segments_RL == 0, tree.mask_BT[:, 1:]
    rows_B = tree.sources_BT[:, 0] // states_RLD.shape[1]
    of_prompts_RD = (states_RLD.float() * prompts_RL[..., None]).sum(1)
    own_BTD = states_RLD.flatten(0, 1)[tree.sources_BT[:, 1:]].float() * own_BT[..., None]
    count_B = prompts_RL.sum(1)[rows_B] + own_BT.sum(1)
    return (of_prompts_RD[rows_B] + own_BTD.sum(1)) / count_B[:, None]


def every_token(states_RLD: Tensor, tree: Tree) -> Tensor:
    """The states at all tokens of each response, [B, T, D]; what is beyond its end is of no use."""
    return states_RLD.flatten(0, 1)[tree.sources_BT[:, 1:]]


def pooling_of(config: HeadConfig, stop_ids: Sequence[int]) -> Pooling:
    """The one that is named; "end" is the last of `stop_ids` (https://arxiv.org/abs/2410.01257)."""
    if config.pooling == "end":
        return last_where(lambda ids: torch.isin(ids, torch.tensor(stop_ids, device=ids.device)))
    return {"last": last_token, "mean": mean_token}[config.pooling]


def _at(states_RLD: Tensor, tree: Tree, steps_B: Tensor) -> Tensor:
    """The state from which each sample's target number `steps_B` is predicted."""
    return states_RLD.flatten(0, 1)[tree.sources_BT.gather(1, steps_B[:, None])[:, 0]]


ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "relu": nn.ReLU,
    "none": nn.Identity,
}


def scalar_head(width: int, config: HeadConfig, seed: int) -> nn.Module:
    """The layers [B, width] to [B, outputs], all but the last as wide as the states.

    The last starts at about unit scores for states of unit size, and adds no constant, which no comparison
    would notice.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        hidden = [
            layer
            for _ in range(config.layers - 1)
            for layer in (nn.Linear(width, width), ACTIVATIONS[config.activation]())
        ]
        last = nn.Linear(width, config.outputs, bias=False)
        nn.init.normal_(last.weight, std=(width + 1) ** -0.5)
        return nn.Sequential(*hidden, last)
