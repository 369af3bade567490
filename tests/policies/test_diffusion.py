"""Pictures as trajectories: what was sampled is what is scored, and gradients go where they are let."""

import os
import subprocess
import sys
from collections.abc import Set
from pathlib import Path

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from torch import Tensor

from stablereward.errors import ConfigError, ModelError
from stablereward.policies import diffusion
from stablereward.policies.diffusion import (
    DiffusionPolicy,
    Painted,
    add_lora,
    denoising,
    describe,
    image_of,
    sampler,
)
from stablereward.policies.tiny_diffusion import stable_diffusion
from stablereward.types import Failure, Group, Prompt

ROOT = Path(__file__).parents[2]
WORDS = ("one", "two", "disc", "cross")
PROMPTS = [Prompt.user(text="one disc"), Prompt.user(text="two cross"), Prompt.user(text="two disc")]
STEPS = 5


def policy(**settings: object) -> DiffusionPolicy:
    """A random tiny one with adapters that change something."""
    made = DiffusionPolicy(stable_diffusion(WORDS), **{"num_steps": STEPS, "guidance": 3.0, **settings})
    add_lora(made)
    with torch.no_grad():
        for number, parameter in enumerate(p for p in made.parameters() if p.requires_grad):
            parameter.add_(
                0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number))
            )
    return made


def painted(made: DiffusionPolicy, num: int = 2, seed: int = 0) -> list[Painted]:
    found = []
    for prompt, paths in zip(PROMPTS, sampler(made, num)(PROMPTS, seed), strict=True):
        assert not isinstance(paths, Failure)
        found.append(Group(prompt=prompt, trajectories=paths))
    return found


def said(groups: list[Painted]) -> Tensor:
    return torch.tensor([path.logprobs for group in groups for path in group.trajectories])


def gradients(made: DiffusionPolicy) -> dict[str, Tensor]:
    found = {n: p.grad.clone() for n, p in made.named_parameters() if p.grad is not None}
    made.zero_grad()
    return found


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor], atol: float) -> None:
    assert ours.keys() == theirs.keys() and ours
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, theirs[name], atol=atol, rtol=1e-4)


@pytest.mark.parametrize("settings", [{}, {"at_once": 4}, {"guidance": 1.0}, {"checkpointing": True}])
def test_replayed_log_probabilities_are_the_sampled_ones_to_the_last_bit(settings: dict[str, int]) -> None:
    made = policy(**settings)
    groups = painted(made)
    scored = made.score(groups).logprobs_BT
    assert torch.equal(scored, said(groups)) and scored.shape == (6, STEPS) and scored.requires_grad


def test_a_step_without_noise_has_no_log_probability() -> None:
    pipeline = stable_diffusion(WORDS)
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, set_alpha_to_one=True)
    made = DiffusionPolicy(pipeline, num_steps=STEPS)
    groups = painted(made)
    path = groups[0].trajectories[0]
    assert made.noisy == (0, 1, 2, 3) and path.num_steps == 4 and len(path.states_SCHW) == STEPS + 1
    assert torch.equal(made.score(groups).logprobs_BT, said(groups))
    still = DiffusionPolicy(stable_diffusion(WORDS), num_steps=STEPS, eta=0.0)
    assert painted(still)[0].trajectories[0].logprobs == ()


def test_a_picture_is_a_function_of_prompt_and_seed_whatever_is_drawn_beside_it() -> None:
    made = policy()
    alone = made.draw(PROMPTS[:1], [5]).outputs[0]
    beside = made.draw(PROMPTS, [5, 6, 7]).outputs
    torch.testing.assert_close(alone, beside[0], atol=1e-5, rtol=0)
    assert not torch.allclose(beside[0], beside[1])
    first, again, other = (said(painted(made, seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_roll_out_is_that_of_the_pipeline() -> None:
    """Without noise, with guidance: diffusers' own call gives the same picture."""
    made = DiffusionPolicy(stable_diffusion(WORDS), num_steps=STEPS, eta=0.0, guidance=3.0)
    drawn = made.draw(PROMPTS[:1], [3])
    made.pipeline.set_progress_bar_config(disable=True)
    theirs = made.pipeline(
        PROMPTS[0].text,
        num_inference_steps=STEPS,
        guidance_scale=3.0,
        latents=drawn.trajectories[0].states_SCHW[:1].clone(),
        output_type="pt",
    ).images
    torch.testing.assert_close((drawn.outputs + 1) / 2, theirs, atol=1e-5, rtol=0)


class Nudged(DiffusionPolicy):
    """Adds a number to the prediction of each step, to see where gradients arrive."""

    def predict(self, states_BCHW: Tensor, step: int, words_2BLD: Tensor) -> Tensor:
        return super().predict(states_BCHW, step, words_2BLD) + self.nudges[step]


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("traced", [set(), {4}, {2, 3, 4}, {1, 3}, {0, 1, 2, 3, 4}])
def test_the_gradient_is_exactly_zero_outside_the_window(traced: Set[int], checkpointing: bool) -> None:
    made = Nudged(stable_diffusion(WORDS), num_steps=STEPS, checkpointing=checkpointing)
    made.requires_grad_(False)
    made.nudges = torch.nn.Parameter(torch.zeros(STEPS))
    outputs = made.draw(PROMPTS, [0, 1, 2], grad_steps=traced).outputs
    assert outputs.requires_grad == bool(traced)
    if traced:
        outputs.sum().backward()
        assert set(made.nudges.grad.nonzero().flatten().tolist()) == traced


@pytest.mark.parametrize("detach_input", [False, True])
def test_checkpointed_gradients_are_the_plain_ones(detach_input: bool) -> None:
    found = []
    for checkpointing in (False, True):
        made = policy(checkpointing=checkpointing)
        drawn = made.draw(PROMPTS, [0, 1, 2], grad_steps=set(range(STEPS)), detach_input=detach_input)
        drawn.outputs.square().sum().backward()
        found.append(gradients(made))
    same(*found, atol=1e-6)


def test_with_a_detached_input_no_gradient_passes_through_a_later_network() -> None:
    """The first step's gradient is then that of the linear chain alone; the last step's is the same."""
    found = []
    for detach_input in (False, True):
        made = Nudged(stable_diffusion(WORDS), num_steps=STEPS)
        made.requires_grad_(False)
        made.nudges = torch.nn.Parameter(torch.zeros(STEPS))
        drawn = made.draw(PROMPTS, [0, 1, 2], grad_steps=set(range(STEPS)), detach_input=detach_input)
        drawn.outputs.sum().backward()
        found.append(made.nudges.grad)
    whole, detached = found
    assert whole[-1] == detached[-1] and not torch.isclose(whole[0], detached[0])


def test_a_path_may_stop_at_a_prediction_of_its_end() -> None:
    """ReFL: no gradient before the step, and at the last step it is where the path would have led."""
    made = Nudged(stable_diffusion(WORDS), num_steps=STEPS)
    made.requires_grad_(False)
    made.nudges = torch.nn.Parameter(torch.zeros(STEPS))
    drawn = made.draw(PROMPTS, [0, 1, 2], grad_steps={3}, stop=3)
    drawn.outputs.sum().backward()
    assert set(made.nudges.grad.nonzero().flatten().tolist()) == {3}
    path = drawn.trajectories[0]
    assert len(path.states_SCHW) == 5 and path.num_steps == 3
    time, state = made.pipeline.scheduler.alphas_cumprod[int(made.schedule.times[3])], path.states_SCHW[3]
    noise = made.predict(state[None], 3, made.read(PROMPTS[:1]))[0]
    clean = (state - (1 - time).sqrt() * noise) / time.sqrt()
    torch.testing.assert_close(path.states_SCHW[4], clean, atol=1e-4, rtol=1e-4)


def test_any_cut_of_paths_and_steps_gives_the_same_gradient() -> None:
    found = []
    for settings in ({}, {"at_once": 2, "checkpointing": True}):
        made = policy(**settings)
        groups = painted(policy())
        weights = torch.linspace(-1, 1, 6 * STEPS).view(6, STEPS)
        (weights * made.score(groups).logprobs_BT).sum().backward()
        found.append(gradients(made))
    same(*found, atol=1e-6)


def test_guidance_is_the_same_in_sampling_and_in_training() -> None:
    """The scored prediction is nothing + g (words - nothing): with another g the log-probabilities differ."""
    made = policy(guidance=3.0)
    groups, words = painted(made), made.read(PROMPTS)
    state = groups[0].trajectories[0].states_SCHW[:1].repeat(3, 1, 1, 1)
    time = torch.tensor(made.schedule.times[0])
    nothing, asked = (made.unet(state, time, encoder_hidden_states=w).sample for w in words[0])
    torch.testing.assert_close(made.predict(state, 0, words), nothing + 3 * (asked - nothing))
    made.guidance = 2.0
    assert not torch.allclose(made.score(groups).logprobs_BT, said(groups))


def test_adapters_go_to_the_named_part_alone_and_begin_as_no_change() -> None:
    plain, adapted = (DiffusionPolicy(stable_diffusion(WORDS), num_steps=STEPS) for _ in range(2))
    add_lora(adapted, parts={"text_encoder": ("q_proj", "v_proj")})
    trained = [name for name, p in adapted.named_parameters() if p.requires_grad]
    assert trained and all(name.startswith("text_encoder.") and "lora" in name for name in trained)
    before, after = (made.draw(PROMPTS, [0, 1, 2]).outputs for made in (plain, adapted))
    torch.testing.assert_close(before, after)
    adapted.draw(PROMPTS, [0, 1, 2], grad_steps={STEPS - 1}).outputs.sum().backward()
    assert any(gradient.abs().sum() > 0 for gradient in gradients(adapted).values())
    with pytest.raises(ConfigError, match="no layer of the model is named nothing"):
        add_lora(plain, parts={"unet": ("nothing",)})


def test_what_is_saved_is_a_pipeline_with_the_adapters_merged(tmp_path: Path) -> None:
    made = policy()
    bits = {name: p.clone() for name, p in made.named_parameters()}
    made.save(tmp_path / "saved")
    assert all(torch.equal(p, bits[name]) for name, p in made.named_parameters())
    StableDiffusionPipeline.from_pretrained(tmp_path / "saved")
    loaded = DiffusionPolicy.load(tmp_path / "saved", device="cpu", num_steps=STEPS, guidance=3.0)
    ours, theirs = (one.draw(PROMPTS, [0, 1, 2]).outputs for one in (made, loaded))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
    assert not list((tmp_path / "saved").rglob("*.bin"))


def test_a_folder_without_a_pipeline_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model_index\.json"):
        DiffusionPolicy.load(tmp_path)
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    with pytest.raises(ModelError, match="cannot be loaded"):
        DiffusionPolicy.load(tmp_path)


def test_without_diffusers_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(diffusion, "import_module", missing)
    with pytest.raises(ConfigError, match=r"pip install 'stablereward\[diffusion\]'"):
        DiffusionPolicy.load("shapes")


def test_the_recipes_can_be_read_without_diffusers() -> None:
    code = "import sys; sys.modules['diffusers'] = None; import stablereward.recipes.diffusion.alignprop"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_training_mode_changes_nothing() -> None:
    made = policy()
    made.train()
    assert not any(module.training for module in made.modules())


def test_the_family_weighs_and_shows_pictures() -> None:
    made = policy()
    groups, family = painted(made), denoising(made)
    assert family.costs(groups) == [2 * STEPS] * 3
    path = groups[0].trajectories[0]
    assert family.describe(path)["pictures/path_length"] >= 1 and describe(path)["pictures/contrast"] >= 0
    [image] = family.show(path)["images"]
    assert image.size == (96, 96) and image.mode == "RGB"
    assert family.show_prompt(PROMPTS[0]) == {"question": "one disc", "images": []}
    assert image_of(torch.zeros(3, 200, 100)).size == (100, 200)
