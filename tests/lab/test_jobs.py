from pathlib import Path

from stablereward.config import dump, resolve
from stablereward.lab.jobs import Job, ablation, is_current, noise_sweep
from stablereward.lab.regimes import CALM, EASY, REGIMES, STRESS, fast


def test_the_ablation_runs_every_arm_under_every_regime_seed_by_seed():
    names = [job.name for job in ablation(["ppo", "grpo"], [CALM, STRESS], 2)]
    first = ["calm/ppo/seed-0", "calm/grpo/seed-0", "stress/ppo/seed-0", "stress/grpo/seed-0"]
    assert names == [*first, *(name.replace("seed-0", "seed-1") for name in first)]


def test_the_sweep_shares_its_clean_runs_with_the_ablation_and_runs_weight_0_once():
    sweep = noise_sweep(CALM, seeds=3)
    assert len(sweep) == len({job.name for job in sweep}) == 3 * (1 + 4 + 4)
    assert [job.name for job in sweep if job.seed == 0 and job.consistency_weight == 0] == [
        "noise/flip-0-weight-0/seed-0"
    ]
    shared = set(sweep) & set(ablation(["stable_reinforce"], [CALM], 5))
    assert {job.seed for job in shared} == {0, 1, 2} and all(job.in_ablation for job in shared)


def test_a_job_is_read_back_from_its_folder_and_other_settings_are_noticed(tmp_path: Path):
    for regime in (*REGIMES.values(), fast(EASY)):
        job = Job(regime=regime, arm="ppo", seed=3, flip=0.1, consistency_weight=1.0)
        (tmp_path / "config.yaml").write_text(dump(job), encoding="utf-8")
        assert resolve(Job, tmp_path / "config.yaml") == job
        assert is_current(tmp_path, job)
        assert not is_current(tmp_path, Job(regime=regime, arm="ppo", seed=4))
    assert not is_current(tmp_path / "nowhere", job)
