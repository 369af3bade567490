"""Policies of control: a frozen one that plans chunks of actions, a residual on it, critics of what both do.

Observations are [B, O], actions [B, A] in [-1, 1]. All are small perceptrons, saved as safetensors and JSON.
"""

import json
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stablereward.errors import ModelError

CONFIG, WEIGHTS = "config.json", "model.safetensors"


class Saved(nn.Module):
    """A module made of `settings`, which lie beside its weights."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = settings

    def save(self, folder: Path) -> None:
        """Writes `config.json` and `model.safetensors`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).write_text(json.dumps(self.settings) + "\n", encoding="utf-8")
        state = {name: t.detach().cpu().contiguous() for name, t in self.state_dict().items()}
        save_file(state, folder / WEIGHTS)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote. Raises ModelError."""
        try:
            found = cls(**json.loads((folder / CONFIG).read_text(encoding="utf-8")))
            found.load_state_dict(load_file(folder / WEIGHTS))
        except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
            cause = str(error).strip().splitlines()[0]
            raise ModelError(f"{folder}: cannot be loaded as {cls.__name__}: {cause}") from error
        return found


class Perceptrons(nn.Module):
    """N networks side by side: Linear, LayerNorm and ReLU twice, then Linear; [B, I] to [N, B, outputs]."""

    def __init__(
        self, inputs: int, outputs: int, *, hidden: int, heads: int = 1, layer_norm: bool = True
    ) -> None:
        super().__init__()
        self.heads = heads
        sizes = (inputs, hidden, hidden, outputs)
        pairs = list(pairwise(sizes))
        # As nn.Linear begins, each head from its own numbers.
        self.weights = nn.ParameterList((2 * torch.rand(heads, a, b) - 1) / a**0.5 for a, b in pairs)
        self.biases = nn.ParameterList((2 * torch.rand(heads, 1, b) - 1) / a**0.5 for a, b in pairs)
        norms = 2 if layer_norm else 0
        self.scales = nn.ParameterList(torch.ones(heads, 1, hidden) for _ in range(norms))
        self.shifts = nn.ParameterList(torch.zeros(heads, 1, hidden) for _ in range(norms))

    def forward(self, inputs_BI: Tensor) -> Tensor:
        state_NBH = inputs_BI.expand(self.heads, -1, -1)
        for layer in range(2):
            state_NBH = torch.baddbmm(self.biases[layer], state_NBH, self.weights[layer])
            if len(self.scales):
                state_NBH = nn.functional.layer_norm(state_NBH, state_NBH.shape[-1:])
                state_NBH = torch.addcmul(self.shifts[layer], state_NBH, self.scales[layer])
            state_NBH = state_NBH.relu()
        return torch.baddbmm(self.biases[2], state_NBH, self.weights[2])

    def silence(self) -> None:
        """Zeroes the last layer: the networks then say exactly 0."""
        nn.init.zeros_(self.weights[-1])
        nn.init.zeros_(self.biases[-1])


class Standard(nn.Module):
    """Observations with mean 0 and deviation 1 over those it was shown; what never varied is only centred."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    def see(self, observations_BO: Tensor) -> None:
        """Takes their mean and deviation."""
        std = observations_BO.std(0)
        self.mean.copy_(observations_BO.mean(0))
        self.std.copy_(torch.where(std > 1e-6, std, 1.0))

    def forward(self, observations_BO: Tensor) -> Tensor:
        return (observations_BO - self.mean) / self.std


class ChunkPolicy(Saved):
    """From an observation to the next `chunk` actions, [B, C, A]."""

    def __init__(self, *, observation: int, action: int, chunk: int, hidden: int) -> None:
        super().__init__(observation=observation, action=action, chunk=chunk, hidden=hidden)
        self.chunk, self.action = chunk, action
        self.standard = Standard(observation)
        self.net = Perceptrons(observation, chunk * action, hidden=hidden)

    def forward(self, observations_BO: Tensor) -> Tensor:
        said: Tensor = self.net(self.standard(observations_BO))[0]
        return said.view(len(said), self.chunk, self.action)


class Residual(Saved):
    """From an observation and the base's action to scale · tanh(…), [B, A]; at first exactly 0."""

    def __init__(
        self, *, observation: int, action: int, scale: float, hidden: int, layer_norm: bool = True
    ) -> None:
        super().__init__(
            observation=observation, action=action, scale=scale, hidden=hidden, layer_norm=layer_norm
        )
        self.scale = scale
        self.standard = Standard(observation)
        self.net = Perceptrons(observation + action, action, hidden=hidden, layer_norm=layer_norm)
        self.net.silence()

    def forward(self, observations_BO: Tensor, base_BA: Tensor) -> Tensor:
        said: Tensor = self.net(torch.cat([self.standard(observations_BO), base_BA], -1))[0]
        return self.scale * said.tanh()


class Critics(Saved):
    """N opinions of what an action is worth, [N, B]."""

    def __init__(
        self, *, observation: int, action: int, heads: int, hidden: int, layer_norm: bool = True
    ) -> None:
        super().__init__(
            observation=observation, action=action, heads=heads, hidden=hidden, layer_norm=layer_norm
        )
        self.standard = Standard(observation)
        self.net = Perceptrons(observation + action, 1, hidden=hidden, heads=heads, layer_norm=layer_norm)

    def forward(self, observations_BO: Tensor, actions_BA: Tensor) -> Tensor:
        said: Tensor = self.net(torch.cat([self.standard(observations_BO), actions_BA], -1))
        return said[..., 0]


def combined(base_BA: Tensor, residual_BA: Tensor) -> Tensor:
    """What is done: the base's action and the residual, in [-1, 1]."""
    return (base_BA + residual_BA).clamp(-1, 1)


def untouched(module: nn.Module, *inputs: Tensor) -> Tensor:
    """What the module says, with a gradient to the inputs and none to its parameters."""
    frozen = {name: parameter.detach() for name, parameter in module.named_parameters()}
    said: Tensor = torch.func.functional_call(module, frozen, inputs)
    return said


@torch.no_grad()
def follow(targets: Iterable[nn.Module], leaders: Iterable[nn.Module], tau: float) -> None:
    """Polyak's average: every target moves to its leader by the share `tau`."""
    for target, leader in zip(targets, leaders, strict=True):
        pairs = zip(target.parameters(), leader.parameters(), strict=True)
        for own, other in pairs:
            own.lerp_(other, tau)


class Plans:
    """The chunk that each of E environments is in, and how far: a policy that plans, asked step by step."""

    def __init__(self, policy: ChunkPolicy, num_envs: int) -> None:
        self.policy = policy
        self.chunks_ECA = torch.zeros(num_envs, policy.chunk, policy.action)
        self.place_E = torch.full((num_envs,), policy.chunk)

    @torch.no_grad()
    def now(self, observations_EO: Tensor) -> Tensor:
        """The action of this step; a chunk that is used up is planned anew."""
        spent_E = self.place_E == self.policy.chunk
        if spent_E.any():
            planned_ECA = self.policy(observations_EO).clamp(-1, 1)
            self.chunks_ECA = torch.where(spent_E[:, None, None], planned_ECA, self.chunks_ECA)
            self.place_E = torch.where(spent_E, 0, self.place_E)
        return self.chunks_ECA[torch.arange(len(self.place_E)), self.place_E]

    def advance(self) -> None:
        """The step is made."""
        self.place_E = self.place_E + 1

    def forget(self, mask_E: Tensor) -> None:
        """These environments begin anew."""
        self.place_E = torch.where(mask_E, self.policy.chunk, self.place_E)

    def state_dict(self) -> Mapping[str, Tensor]:
        """Chunks and places."""
        return {"chunks": self.chunks_ECA, "place": self.place_E}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Puts them back."""
        self.chunks_ECA, self.place_E = state["chunks"].clone(), state["place"].clone()
