"""Kinds of diffusers pipelines as the policy of pictures uses them: what reads, predicts and decodes."""

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from stablereward.errors import ModelError
from stablereward.policies.denoising import Ddim, FlowSde, Schedule

Words = tuple[Tensor, ...]
"""What the network is told of B prompts: tensors [B, …]."""


class Kind(Protocol):
    """How one class of pipelines is used. `network` predicts and `readers` read words: names of parts."""

    network: str
    readers: tuple[str, ...]
    extras: dict[str, Any]
    """What loading is told beside the folder."""

    def schedule(self, scheduler: Any, num_steps: int, eta: float) -> Schedule:
        """The steps; `eta` is the level of their noise."""
        ...

    def read(self, pipeline: Any, texts: Sequence[str]) -> Words: ...

    def predict(self, network: Any, states: Tensor, times: Tensor, words: Words) -> Tensor: ...


class StableDiffusion:
    """Versions 1 and 2: a UNet and one text encoder; sampled by DDIM, whatever scheduler the folder names."""

    network = "unet"
    readers: tuple[str, ...] = ("text_encoder",)
    extras: dict[str, Any] = {"safety_checker": None, "requires_safety_checker": False}  # noqa: RUF012

    def __init__(self, ddim: Any) -> None:
        self.ddim = ddim

    def schedule(self, scheduler: Any, num_steps: int, eta: float) -> Schedule:
        return Ddim(self.ddim.from_config(scheduler.config), num_steps, eta)

    def read(self, pipeline: Any, texts: Sequence[str]) -> Words:
        return (pipeline.encode_prompt(list(texts), pipeline.device, 1, False)[0],)

    def predict(self, network: Any, states: Tensor, times: Tensor, words: Words) -> Tensor:
        found: Tensor = network(states, times, encoder_hidden_states=words[0]).sample
        return found


class StableDiffusion3:
    """Versions 3 and 3.5: a transformer that predicts the velocity of a rectified flow, sampled with noise
    by Flow-GRPO's rule. T5 is left out, as the pipeline allows; its place is filled with zeros."""

    network = "transformer"
    readers: tuple[str, ...] = ("text_encoder", "text_encoder_2")
    extras: dict[str, Any] = {"text_encoder_3": None, "tokenizer_3": None}  # noqa: RUF012

    def schedule(self, scheduler: Any, num_steps: int, eta: float) -> Schedule:
        return FlowSde(type(scheduler).from_config(scheduler.config), num_steps, eta)

    def read(self, pipeline: Any, texts: Sequence[str]) -> Words:
        said, _, pooled, _ = pipeline.encode_prompt(
            list(texts),
            None,
            None,
            device=pipeline.device,
            do_classifier_free_guidance=False,
            max_sequence_length=pipeline.tokenizer.model_max_length,
        )
        return said, pooled

    def predict(self, network: Any, states: Tensor, times: Tensor, words: Words) -> Tensor:
        said, pooled = words
        found: Tensor = network(
            hidden_states=states, timestep=times, encoder_hidden_states=said, pooled_projections=pooled
        ).sample
        return found


def kind_of(name: str, diffusers: Any) -> Kind:
    """By the name of the pipeline's class. Raises ModelError for another."""
    if name == "StableDiffusionPipeline":
        return StableDiffusion(diffusers.DDIMScheduler)
    if name == "StableDiffusion3Pipeline":
        return StableDiffusion3()
    raise ModelError(f"{name} is not used here; give a StableDiffusionPipeline or StableDiffusion3Pipeline")
