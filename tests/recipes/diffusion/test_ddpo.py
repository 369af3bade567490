"""DDPO: before an update nothing has moved, and the full scale's settings run on real classes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stablereward.errors import ConfigError
from stablereward.recipes.diffusion.ddpo import Config, run
from stablereward.recipes.stages import Hardware


@pytest.mark.slow
def test_the_full_scale_settings_train_real_classes(
    tmp_path: Path, generator: Path, clip: Path, prompts: Path
) -> None:
    """Four updates a batch: the first is made at ratio 1 to the last bit, with nothing clipped."""
    config = Config(output=tmp_path)
    drawing = replace(config.task.drawing, at_once=2)
    task = replace(config.task, model=str(generator), reward=str(clip), prompts=str(prompts), measured=2)
    task = replace(task, drawing=drawing)
    rl = replace(config.ddpo.rl, num_updates=2, prompts_per_batch=4, num_generations=2)
    hardware = replace(config.hardware, device="cpu")
    folder = run(replace(config, task=task, ddpo=replace(config.ddpo, rl=rl), hardware=hardware))
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["update"] for row in rows] == [1, 2]
    assert rows[0]["policy/engine_gap"] == rows[0]["policy/kl_k1"] == rows[0]["policy/log_ratio_max"] == 0
    assert rows[0]["policy/ratio_clip_low"] == rows[0]["policy/ratio_clip_high"] == 0
    assert rows[1]["policy/log_ratio_max"] > 0 and all(row["grad_norm"] > 0 for row in rows)


def test_a_checkpoint_within_a_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="save_every"):
        run(Config(output=tmp_path, hardware=Hardware(save_every=6)))
