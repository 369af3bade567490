"""The base generators of the world of shapes and the classifier that rewards them, trained from nothing.

    python -m stablereward.worlds.shapes.base FOLDER

writes `FOLDER/shapes`, a Stable Diffusion pipeline of a third of a million parameters, `FOLDER/shapes-flow`,
one of version 3, and `FOLDER/shapes-classifier`: about eight minutes on one core. They are shipped in
`stablereward/models`. The generators have hardly seen crosses and triangles below and threes, and briefly, so
that rewards have head-room.
"""

import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from stablereward.objectives.objective import Loss
from stablereward.policies.pipelines import StableDiffusion3
from stablereward.policies.tiny_diffusion import stable_diffusion, stable_diffusion_3
from stablereward.runs.progress import say
from stablereward.training.fit import fit
from stablereward.training.optim import OptimConfig, adamw, learning_rate
from stablereward.types import Prompt
from stablereward.worlds.shapes.drawings import KINDS, SCENES, WORDS, draw, scene_of
from stablereward.worlds.shapes.rewards import Classifier

Batch = tuple[list[Prompt], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How long each part is trained. A rare scene comes `rare` times as often as another."""

    vae_updates: int = 1500
    unet_updates: int = 1200
    flow_updates: int = 1200
    classifier_updates: int = 1000
    batch_size: int = 64
    num_pictures: int = 6144
    rare: float = 0.03
    without_words: float = 0.1
    kl: float = 1e-4
    seed: int = 0


def run(folder: Path, config: Config) -> None:
    """Trains and saves all."""
    drawn = drawings(config, rare=config.rare)
    pipe = stable_diffusion(WORDS, seed=config.seed)
    train_vae(pipe.vae, drawn, config)
    train_unet(pipe, drawn, config)
    pipe.save_pretrained(folder / "shapes", safe_serialization=True)
    pipe.vae.register_to_config(shift_factor=0.0)  # version 3 wants one
    flow = stable_diffusion_3(WORDS, pipe.vae, seed=config.seed)
    train_flow(flow, drawn, config)
    flow.save_pretrained(folder / "shapes-flow", safe_serialization=True)
    torch.manual_seed(config.seed)
    classifier = Classifier()
    train_classifier(classifier, drawings(config, rare=1.0), config)
    (folder / "shapes-classifier").mkdir(parents=True, exist_ok=True)
    save_file(classifier.state_dict(), folder / "shapes-classifier" / "model.safetensors")


def drawings(config: Config, *, rare: float) -> Batch:
    """Prompts and pictures [N, 1, 16, 16]."""
    rng = random.Random(config.seed)
    weights = [rare if scene.is_rare else 1.0 for scene in SCENES]
    scenes = rng.choices(SCENES, weights, k=config.num_pictures)
    return [scene.prompt for scene in scenes], torch.stack([draw(scene, rng) for scene in scenes])


def batches(drawn: Batch, num: int, config: Config) -> Iterator[list[Batch]]:
    """Random ones of the drawings."""
    rng = random.Random(config.seed)
    prompts, pictures = drawn
    for _ in range(num):
        chosen = rng.sample(range(len(prompts)), config.batch_size)
        yield [([prompts[n] for n in chosen], pictures[chosen])]


def train_vae(vae: Any, drawn: Batch, config: Config) -> None:
    """Squared error and a little KL; then latents are scaled to unit size, as in Stable Diffusion."""
    torch.manual_seed(config.seed)

    def loss(batch: Batch) -> Loss:
        posterior = vae.encode(batch[1]).latent_dist
        error = (vae.decode(posterior.sample()).sample - batch[1]).square().mean()
        return Loss(error + config.kl * posterior.kl().mean() / batch[1][0].numel(), {})

    _train("vae", vae, batches(drawn, config.vae_updates, config), loss, config.vae_updates)
    with torch.no_grad():
        latents = vae.encode(drawn[1][:1024]).latent_dist.mean
    vae.register_to_config(scaling_factor=1 / float(latents.std()))
    vae.requires_grad_(False)


def train_unet(pipe: Any, drawn: Batch, config: Config) -> None:
    """Noise prediction, with the text encoder."""
    torch.manual_seed(config.seed)
    noise_levels = pipe.scheduler.config.num_train_timesteps

    def loss(batch: Batch) -> Loss:
        latents, words = _seen(pipe, batch, config)
        ids = pipe.tokenizer(words, padding="max_length", return_tensors="pt").input_ids
        noise, times = torch.randn_like(latents), torch.randint(noise_levels, (len(words),))
        noisy = pipe.scheduler.add_noise(latents, noise, times)
        guess = pipe.unet(noisy, times, pipe.text_encoder(ids)[0]).sample
        return Loss((guess - noise).square().mean(), {})

    parts = nn.ModuleList([pipe.unet, pipe.text_encoder])
    _train("unet", parts, batches(drawn, config.unet_updates, config), loss, config.unet_updates)


def train_flow(pipe: Any, drawn: Batch, config: Config) -> None:
    """The velocity from picture to noise on the straight line between them, with the text encoders."""
    torch.manual_seed(config.seed)

    def loss(batch: Batch) -> Loss:
        latents, words = _seen(pipe, batch, config)
        said = StableDiffusion3().read(pipe, words)
        noise, share = torch.randn_like(latents), torch.rand(len(words))[:, None, None, None]
        between = (1 - share) * latents + share * noise
        guess = StableDiffusion3().predict(pipe.transformer, between, 1000 * share.flatten(), said)
        return Loss((guess - (noise - latents)).square().mean(), {})

    parts = nn.ModuleList([pipe.transformer, pipe.text_encoder, pipe.text_encoder_2])
    _train("flow", parts, batches(drawn, config.flow_updates, config), loss, config.flow_updates)


def _seen(pipe: Any, batch: Batch, config: Config) -> tuple[Tensor, list[str]]:
    """Latents and words of a batch; a tenth of the words are left out, for guidance."""
    prompts, pictures = batch
    with torch.no_grad():
        latents = pipe.vae.encode(pictures).latent_dist.sample() * pipe.vae.config.scaling_factor
    left_out = torch.rand(len(prompts)) < config.without_words
    return latents, ["" if out else prompt.text for prompt, out in zip(prompts, left_out, strict=True)]


def train_classifier(classifier: Classifier, drawn: Batch, config: Config) -> None:
    """Cross-entropy on clean drawings."""

    def loss(batch: Batch) -> Loss:
        kinds = torch.tensor([KINDS.index(scene_of(prompt).kind) for prompt in batch[0]])
        return Loss(nn.functional.cross_entropy(classifier(batch[1]), kinds), {})

    shown = batches(drawn, config.classifier_updates, config)
    _train("classifier", classifier, shown, loss, config.classifier_updates)


def _train(
    name: str,
    module: nn.Module,
    shown: Iterator[list[Batch]],
    loss: Callable[[Batch], Loss],
    num_updates: int,
) -> None:
    optim = OptimConfig(learning_rate=2e-3, warmup=0.02, final=0.02, betas=(0.9, 0.99), weight_decay=0.01)
    updates = fit(
        module.parameters(),
        shown,
        loss,
        optimizer=adamw(module.parameters(), optim),
        learning_rate=lambda update: learning_rate(optim, update, num_updates),
        max_grad_norm=optim.max_grad_norm,
    )
    module.train()
    for update in updates:
        if update.number % 100 == 0:
            say(f"{name} {update.number}: loss {update.metrics['loss']:.4f}")
    module.eval()


if __name__ == "__main__":
    run(Path(sys.argv[1]), Config())
