"""The family of denoising steps: a diffusers pipeline as what is sampled, scored and trained.

Any folder of a Stable Diffusion pipeline takes this one path, the tiny ones and the published alike. A
picture is a trajectory: each step's next state is drawn from a Gaussian around what the network predicts.
"""

import pathlib
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import CLIPTextConfig, CLIPTextModel

from stablereward.errors import ConfigError, ModelError
from stablereward.policies.adapters import inject
from stablereward.policies.denoising import logprob, noise_of
from stablereward.policies.merging import merged_weights
from stablereward.policies.pipelines import Words, kind_of
from stablereward.policies.policy import Drawn, Family, Sampler, Scored
from stablereward.policies.published import SD1_UNET, SD1_VAE, SD1_WORDS
from stablereward.policies.shipped import pipeline_source
from stablereward.policies.token import device_named
from stablereward.types import Failure, Group, Prompt

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
"""The linear layers of attention in a UNet or a transformer of pictures."""
SHOWN_SIZE = 96
"""Smaller pictures are shown larger, each pixel a block."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Path:
    """A `Trajectory` of denoising steps: the states, noise first, on the device where they were made.

    `logprobs` are those of the policy's `noisy` steps; a step that adds no noise has none and is no step of
    the trajectory. `picture_CHW` is what the last state decodes to, in [-1, 1].
    """

    states_SCHW: Tensor
    picture_CHW: Tensor
    logprobs: tuple[float, ...]

    @property
    def num_steps(self) -> int:
        """How many steps have a log-probability."""
        return len(self.logprobs)

    @property
    def finished(self) -> bool:
        """A path always comes to its picture."""
        return True


Painted = Group[Prompt, Path]
"""A prompt with its pictures."""


class DiffusionPolicy(nn.Module):
    """A pipeline's network, text encoders and decoder, and how pictures are drawn with them.

    eta: the level of the steps' noise, 0 for none: of DDIM, or of a flow made an SDE.
    guidance: the weight of classifier-free guidance, the same in sampling and in training: what is trained
        is the guided prediction. 1 asks the network once.
    at_once: paths that pass through the network together. Sampling and scoring cut a batch alike; where a
        micro-batch is a multiple of it, the same numbers come out to the last bit.
    checkpointing: a step's activations are computed again for its gradient, so that memory does not grow
        with the number of steps. Another forward pass of each step is its price.

    The network is trained, text encoders and decoder are not; see `add_lora`. All stay in evaluation mode.
    """

    def __init__(
        self,
        pipeline: Any,
        *,
        num_steps: int = 50,
        eta: float = 1.0,
        guidance: float = 5.0,
        at_once: int = 16,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.pipeline, self.guidance = pipeline, guidance
        self.at_once, self.checkpointing = at_once, checkpointing
        self.kind = kind_of(type(pipeline).__name__, _diffusers())
        for part in (self.kind.network, *self.kind.readers, "vae"):
            self.add_module(part, getattr(pipeline, part))
            getattr(self, part).requires_grad_(part == self.kind.network)
        self.schedule = self.kind.schedule(pipeline.scheduler, num_steps, eta)
        self.noisy = tuple(n for n, std in enumerate(self.schedule.stds) if std > 0)
        self._read: dict[str, Words] = {}
        self.train()

    @classmethod
    def load(cls, path_or_name: str | pathlib.Path, *, device: str | None = None, **settings: Any) -> Self:
        """Loads a folder of a Stable Diffusion pipeline, a shipped one by name or OWNER/NAME of the hub.

        Only safetensors are read; a safety checker is left out. `settings` are those of the class. Raises
        ConfigError without diffusers or the device, ModelError with the folder and the cause.
        """
        where, source = device_named(device), pipeline_source(path_or_name)
        diffusers = _diffusers()
        diffusers.utils.logging.disable_progress_bar()
        try:
            name = str(diffusers.DiffusionPipeline.load_config(source)["_class_name"])
            extras = kind_of(name, diffusers).extras
            pipeline = getattr(diffusers, name).from_pretrained(source, use_safetensors=True, **extras)
        except (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError, AttributeError) as error:
            cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ModelError(f"{source}: cannot be loaded as a Stable Diffusion pipeline: {cause}") from error
        policy = cls(pipeline.to(where), **settings)
        return policy.float()

    def train(self, mode: bool = True) -> Self:
        """Stays in evaluation mode: what is trained is the function that was sampled from."""
        return super().train(False)

    def save(self, folder: pathlib.Path) -> None:
        """Writes a pipeline that its class's `from_pretrained` loads, adapters merged."""
        whole = {}
        for name in (self.kind.network, *self.kind.readers):
            own = getattr(self, name)
            with torch.device("meta"):
                made = type(own).from_config(own.config) if name == self.kind.network else None
                plain = type(own)(own.config) if made is None else made
            plain.load_state_dict(merged_weights(own), assign=True)
            whole[name] = plain.eval()
        saved = type(self.pipeline)(**{**self.pipeline.components, **whole, **self.kind.extras})
        saved.save_pretrained(folder, safe_serialization=True)

    @property
    def device(self) -> torch.device:
        device: torch.device = next(self.parameters()).device
        return device

    @property
    def num_steps(self) -> int:
        """Steps from noise to picture, those without noise included."""
        return len(self.schedule.times)

    @property
    def state_shape(self) -> tuple[int, int, int]:
        """Of one state: channels, height, width."""
        config = getattr(self, self.kind.network).config
        return config.in_channels, config.sample_size, config.sample_size

    def read(self, prompts: Sequence[Prompt]) -> Words:
        """The words as the network takes them, tensors [2, B, …], those of the empty prompt first; [1, B, …]
        without guidance. Frozen words are read once, each alone, so that no batch changes their bits."""
        texts = [prompt.text for prompt in prompts]
        rows = [[""] * len(texts), texts] if self.guidance != 1.0 else [texts]
        readers = [getattr(self, name) for name in self.kind.readers]
        if any(p.requires_grad for reader in readers for p in reader.parameters()):
            said = [self.kind.read(self.pipeline, row) for row in rows]
        else:
            said = [tuple(map(torch.cat, zip(*map(self._read_once, row), strict=True))) for row in rows]
        return tuple(map(torch.stack, zip(*said, strict=True)))

    @torch.no_grad()
    def _read_once(self, text: str) -> Words:
        if text not in self._read:
            self._read[text] = self.kind.read(self.pipeline, [text])
        return self._read[text]

    def predict(self, states_BCHW: Tensor, step: int, words: Words) -> Tensor:
        """The guided prediction: p(nothing) + guidance · (p(words) - p(nothing))."""
        num = len(words[0])
        times = torch.full((num * len(states_BCHW),), self.schedule.times[step], device=states_BCHW.device)
        together, network = states_BCHW.repeat(num, 1, 1, 1), getattr(self, self.kind.network)
        on_gpu = states_BCHW.device.type == "cuda"
        with torch.autocast(states_BCHW.device.type, torch.bfloat16, enabled=on_gpu):
            found = self.kind.predict(network, together, times, tuple(w.flatten(0, 1) for w in words))
        if num == 1:
            return found.float()
        without, with_words = found.float().chunk(2)
        return without + self.guidance * (with_words - without)

    def decode(self, states_BCHW: Tensor) -> Tensor:
        """Pictures in [-1, 1]."""
        config = self.pipeline.vae.config
        latents = states_BCHW / config.scaling_factor + (config.shift_factor or 0.0)
        pictures: Tensor = self.pipeline.vae.decode(latents).sample
        return pictures.clamp(-1, 1)

    def draw(
        self,
        prompts: Sequence[Prompt],
        seeds: Sequence[int],
        *,
        grad_steps: Set[int] = frozenset(),
        detach_input: bool = False,
        stop: int | None = None,
    ) -> Drawn[Path]:
        """A picture of each prompt, with a gradient through the predictions of `grad_steps` and no others.

        The last K steps are DRaFT-K and a random last part is AlignProp. With `stop` the path ends at this
        step, whose prediction is taken to the picture at once: ReFL is a random `stop` with a gradient at it
        alone. With `detach_input` the network's input carries none, so that no step's gradient passes through
        the network of a later one. Each picture is a function of prompt, seed and weights.
        """
        words = self.read(prompts)
        noise = torch.stack([noise_of(seed, self.num_steps, self.state_shape) for seed in seeds], 1)
        noise_SBCHW = noise.to(self.device)
        state = noise_SBCHW[0]
        states, logprobs = [state], []
        for step, std in enumerate(self.schedule.stds):
            traced = step in grad_steps
            with torch.set_grad_enabled(traced and torch.is_grad_enabled()):
                seen = state.detach() if detach_input or not traced else state
                prediction = self._kept_small(self.predict, seen, step, words)
            if step == stop:
                state = self.schedule.clean(step, prediction, state)
                states.append(state.detach())
                break
            mean = self.schedule.mean(step, prediction, state)
            state = mean + std * noise_SBCHW[step + 1] if std > 0 else mean
            states.append(state.detach())
            if std > 0:
                logprobs.append(logprob(state.detach(), mean.detach(), std))
        pictures = self._kept_small(self.decode, state)
        said_BT = torch.stack(logprobs, 1).tolist() if logprobs else [[] for _ in prompts]
        paths = tuple(
            Path(states_SCHW=own, picture_CHW=picture, logprobs=tuple(said))
            for own, picture, said in zip(torch.stack(states, 1), pictures.detach(), said_BT, strict=True)
        )
        return Drawn(pictures, paths)

    def score(self, groups: Sequence[Painted]) -> Scored:
        """The log-probabilities of the paths' noisy steps as the policy now is."""
        prompts = [group.prompt for group in groups for _ in group.trajectories]
        paths = [path for group in groups for path in group.trajectories]
        parts = []
        for rows in _cut(len(paths), self.at_once):
            words = self.read([prompts[row] for row in rows])
            states = torch.stack([paths[row].states_SCHW for row in rows], 1).to(self.device)
            own = [self._kept_small(self._step_logprob, states, step, words) for step in self.noisy]
            parts.append(torch.stack(own, 1))
        return Scored(torch.cat(parts))

    def _step_logprob(self, states_SBCHW: Tensor, step: int, words: Words) -> Tensor:
        state, after = states_SBCHW[step], states_SBCHW[step + 1]
        mean = self.schedule.mean(step, self.predict(state, step, words), state)
        return logprob(after, mean, self.schedule.stds[step])

    def _kept_small(self, function: Any, *arguments: Any) -> Tensor:
        """The function, whose insides are forgotten and computed again where memory is to be small."""
        if not (self.checkpointing and torch.is_grad_enabled()):
            plain: Tensor = function(*arguments)
            return plain
        found: Tensor = checkpoint(function, *arguments, use_reentrant=False)
        return found


def add_lora(
    policy: DiffusionPolicy,
    *,
    rank: int = 4,
    alpha: int = 4,
    parts: Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
) -> None:
    """Freezes the policy and puts trainable adapters into named parts, in place: the network's attention.

    `parts` are names of layers by part ("unet", "transformer", "text_encoder"). Raises ConfigError where
    none has the name.
    """
    policy.requires_grad_(False)
    for part, targets in (parts or {policy.kind.network: ATTENTION}).items():
        inject(getattr(policy, part), rank=rank, alpha=alpha, targets=targets, seed=seed)


def denoising(policy: DiffusionPolicy) -> Family[Prompt, Path]:
    """How training sees what `policy` drew. A group costs its pictures' steps."""
    return Family(
        score=policy.score,
        costs=lambda groups: [len(group.trajectories) * policy.num_steps for group in groups],
        describe=describe,
        show=lambda path: {"text": "", "images": [image_of(path.picture_CHW)]},
        show_prompt=lambda prompt: {"question": prompt.text, "images": []},
    )


def sampler(policy: DiffusionPolicy, num_generations: int) -> Sampler:
    """Draws pictures without gradient."""

    @torch.no_grad()
    def sample(prompts: Sequence[Prompt], seed: int) -> list[tuple[Path, ...] | Failure]:
        rows = [(place, number) for place in range(len(prompts)) for number in range(num_generations)]
        paths: list[Path] = []
        for chosen in _cut(len(rows), policy.at_once):
            asked = [prompts[rows[row][0]] for row in chosen]
            paths += policy.draw(asked, [hash((seed, *rows[row])) for row in chosen]).trajectories
        return [tuple(paths[n : n + num_generations]) for n in range(0, len(paths), num_generations)]

    return sample


def describe(path: Path) -> dict[str, float]:
    """How far the path went, in straight lines; level (0 to 1) and contrast of the picture."""
    states = path.states_SCHW.flatten(1)
    steps = (states[1:] - states[:-1]).norm(dim=1).sum()
    straight = (states[-1] - states[0]).norm()
    return {
        "pictures/path_length": float(steps / straight),
        "pictures/level": float((path.picture_CHW.mean() + 1) / 2),
        "pictures/contrast": float(path.picture_CHW.std()),
    }


def image_of(picture_CHW: Tensor) -> Image.Image:
    """A picture in [-1, 1] for people."""
    levels = ((picture_CHW.detach().float().cpu() + 1) * 127.5).round().clamp(0, 255).byte()
    array: Any = np.asarray(levels.permute(1, 2, 0))
    image = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array).convert("RGB")
    larger = SHOWN_SIZE // max(image.size)
    if larger < 2:
        return image
    return image.resize((image.width * larger, image.height * larger), Image.Resampling.NEAREST)


def _cut(num: int, size: int) -> Iterator[range]:
    yield from (range(low, min(low + size, num)) for low in range(0, num, size))


class Parts(NamedTuple):
    """Of a pipeline on the meta device, which has shapes and no numbers."""

    network: Any
    words: Any
    decoder: Any
    source: str


def without_weights(model: str) -> Parts:
    """A pipeline to plan with: a folder as its configs say, a name of the hub as version 1.5 is.

    Raises ModelError for a folder that is not of version 1 or 2, of which there is no plan yet.
    """
    diffusers, folder = _diffusers(), pathlib.Path(str(pipeline_source(model)))
    unets, decoders = diffusers.UNet2DConditionModel, diffusers.AutoencoderKL
    with torch.device("meta"):
        if folder.is_dir():
            try:
                unet = unets.from_config(unets.load_config(folder, subfolder="unet"))
                decoder = decoders.from_config(decoders.load_config(folder, subfolder="vae"))
                words = CLIPTextModel(CLIPTextConfig.from_pretrained(folder / "text_encoder"))
            except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
                cause = str(error).strip().partition("\n")[0][:120]
                raise ModelError(
                    f"{folder}: no UNet, decoder and text encoder to plan with; give a folder of Stable "
                    f"Diffusion 1 or 2: {cause}"
                ) from error
            return Parts(unet, words, decoder, model)
        return Parts(
            unets(**SD1_UNET),
            CLIPTextModel(CLIPTextConfig(**SD1_WORDS)),
            decoders(**SD1_VAE),
            f"{model}, with the shapes of Stable Diffusion 1.5",
        )


def _diffusers() -> Any:
    try:
        return import_module("diffusers")
    except ModuleNotFoundError:
        raise ConfigError("pictures need diffusers; pip install 'stablereward[diffusion]'") from None
