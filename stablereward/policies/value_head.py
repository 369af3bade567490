"""A critic on the policy's own states: what reward is to be expected before each token is written."""

import torch
from torch import Tensor, nn

from stablereward.policies.token import TokenPolicy


class ValueHead(nn.Module):
    """Two layers from a state [N, D] to a value [N]; starts at 0 for every state.

    With `detach` the policy's states are left alone by the critic's loss.
    """

    def __init__(self, width: int, *, detach: bool = False) -> None:
        super().__init__()
        self.detach = detach
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, 2 * width)
        self.out = nn.Linear(2 * width, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, states_ND: Tensor) -> Tensor:
        states_ND = states_ND.detach() if self.detach else states_ND
        values_N1: Tensor = self.out(nn.functional.gelu(self.hidden(self.norm(states_ND))))
        return values_N1[:, 0]


def add_value_head(policy: TokenPolicy, seed: int = 0, *, detach: bool = False) -> None:
    """Gives the policy a value head of its own, trained and checkpointed with it, not saved in the judge."""
    width = policy.model.get_output_embeddings().weight.shape[1]
    generator_state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    policy.value_head = ValueHead(width, detach=detach).to(policy.device)
    torch.random.set_rng_state(generator_state)
