"""Version 3 takes the same path as version 1.5: a rectified flow whose steps are trajectories, too."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusion3Pipeline

from stablereward.errors import ModelError
from stablereward.policies.diffusion import DiffusionPolicy, add_lora, sampler
from stablereward.policies.pipelines import kind_of
from stablereward.policies.tiny_diffusion import stable_diffusion, stable_diffusion_3
from stablereward.types import Failure, Group, Prompt

WORDS = ("one", "two", "disc", "cross")
PROMPTS = [Prompt.user(text="one disc"), Prompt.user(text="two cross")]
STEPS = 5


def policy(**settings: Any) -> DiffusionPolicy:
    pipeline = stable_diffusion_3(WORDS, stable_diffusion(WORDS).vae)
    return DiffusionPolicy(pipeline, **{"num_steps": STEPS, "eta": 0.7, "guidance": 3.0, **settings})


def test_replayed_log_probabilities_are_the_sampled_ones_and_the_last_step_has_none() -> None:
    made = policy()
    add_lora(made)
    groups = []
    for prompt, paths in zip(PROMPTS, sampler(made, 2)(PROMPTS, 0), strict=True):
        assert not isinstance(paths, Failure)
        groups.append(Group(prompt=prompt, trajectories=paths))
    said = torch.tensor([path.logprobs for group in groups for path in group.trajectories])
    scored = made.score(groups).logprobs_BT
    assert torch.equal(scored, said) and scored.shape == (4, STEPS - 1)
    scored.sum().backward()
    trained = [(name, p) for name, p in made.named_parameters() if p.requires_grad]
    assert all(name.startswith("transformer.") for name, _ in trained)
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for _, p in trained)


def test_without_noise_a_roll_out_is_that_of_the_pipeline() -> None:
    made = policy(eta=0.0)
    made.vae.register_to_config(shift_factor=0.1)
    drawn = made.draw(PROMPTS[:1], [3])
    made.pipeline.set_progress_bar_config(disable=True)
    theirs = made.pipeline(
        PROMPTS[0].text,
        num_inference_steps=STEPS,
        guidance_scale=3.0,
        latents=drawn.trajectories[0].states_SCHW[:1].clone(),
        output_type="pt",
        max_sequence_length=8,
    ).images
    torch.testing.assert_close((drawn.outputs + 1) / 2, theirs, atol=1e-5, rtol=0)


def test_what_is_saved_is_loaded_by_diffusers_and_here(tmp_path: Path) -> None:
    made = policy()
    made.save(tmp_path)
    # Without the third encoder diffusers wants to be told so, though the folder says it.
    theirs = DiffusionPipeline.from_pretrained(tmp_path, text_encoder_3=None, tokenizer_3=None)
    assert isinstance(theirs, StableDiffusion3Pipeline)
    again = DiffusionPolicy.load(tmp_path, device="cpu", num_steps=STEPS, eta=0.7, guidance=3.0)
    ours, loaded = (one.draw(PROMPTS, [0, 1]).outputs for one in (made, again))
    torch.testing.assert_close(ours, loaded)


def test_a_stop_is_at_the_velocitys_end() -> None:
    made = policy()
    path = made.draw(PROMPTS[:1], [0], stop=2).trajectories[0]
    velocity = made.predict(path.states_SCHW[2:3], 2, made.read(PROMPTS[:1]))[0]
    share = made.schedule.times[2] / 1000
    torch.testing.assert_close(
        path.states_SCHW[3], path.states_SCHW[2] - share * velocity, atol=1e-4, rtol=1e-4
    )


def test_another_pipeline_is_refused() -> None:
    with pytest.raises(ModelError, match="FluxPipeline is not used here"):
        kind_of("FluxPipeline", None)
