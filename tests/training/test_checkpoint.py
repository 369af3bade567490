import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from stablereward.errors import ModelError, StorageError
from stablereward.policies.adapters import add_lora
from stablereward.policies.token import TokenPolicy
from stablereward.training.checkpoint import find, restore, restore_newest, save, write_folder
from stablereward.training.optim import OptimConfig, adamw
from tests.policies.families import groups, make
from tests.training.tmpfs import small_disk

OPTIM = OptimConfig(learning_rate=1e-2, weight_decay=0.1)
Prepare = Callable[[TokenPolicy], None]


def plain(policy: TokenPolicy) -> None:
    """All weights are trained."""


@dataclass(frozen=True)
class Learning:
    """One learner of a stage."""

    module: TokenPolicy
    optimizer: torch.optim.Optimizer
    name: str = "policy"
    memory: None = None


def one(policy: TokenPolicy, optimizer: torch.optim.Optimizer) -> list[Learning]:
    return [Learning(policy, optimizer)]


def step(policy: TokenPolicy, optimizer: torch.optim.Optimizer, times: int = 1) -> None:
    for _ in range(times):
        policy(policy.tree(groups(policy))).logprobs_BT.sum().neg().backward()
        optimizer.step()
        optimizer.zero_grad()


def weights(policy: TokenPolicy) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in policy.named_parameters()}


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)


@pytest.mark.parametrize("prepare", [plain, add_lora])
@pytest.mark.parametrize("family", ["qwen2_5_vl", "llama"])
def test_a_resumed_training_has_the_same_bits(family: str, prepare: Prepare, tmp_path: Path) -> None:
    policy = make(family, tmp_path / "model")
    prepare(policy)
    optimizer = adamw(policy.parameters(), OPTIM)
    step(policy, optimizer, 2)
    save(tmp_path, "rl", 2, one(policy, optimizer))
    at_save = weights(policy)
    step(policy, optimizer, 2)

    resumed = make(family, tmp_path / "model")
    prepare(resumed)
    continued = adamw(resumed.parameters(), OPTIM)
    (found,) = find(tmp_path, "rl")
    assert (found.stage, found.update) == ("rl", 2)
    restore(found, one(resumed, continued))
    assert same(weights(resumed), at_save)
    step(resumed, continued, 2)
    assert same(weights(resumed), weights(policy))
    for parameter, other in zip(policy.parameters(), resumed.parameters(), strict=True):
        ours, theirs = optimizer.state.get(parameter), continued.state.get(other)
        assert (ours is None) == (theirs is None) == (not parameter.requires_grad)
        assert ours is None or theirs is None or all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("prepare", [plain, add_lora])
def test_a_checkpoint_is_a_model_folder(prepare: Prepare, tmp_path: Path) -> None:
    policy = make("llava", tmp_path / "model")
    prepare(policy)
    optimizer = adamw(policy.parameters(), OPTIM)
    step(policy, optimizer)
    save(tmp_path, "cold_start", 1, one(policy, optimizer))
    loaded = TokenPolicy.load(tmp_path / "checkpoints" / "cold_start-000001", device="cpu")
    with torch.no_grad():
        ours, theirs = (p(p.tree(groups(p))).logprobs_BT for p in (policy, loaded))
    torch.testing.assert_close(theirs, ours, atol=1e-6, rtol=1e-6)


def test_an_optimiser_that_has_not_stepped_can_be_saved(tmp_path: Path) -> None:
    policy = make("llama", tmp_path / "model")
    optimizer = adamw(policy.parameters(), OPTIM)
    save(tmp_path, "rl", 0, one(policy, optimizer))
    restore(find(tmp_path, "rl")[0], one(policy, optimizer))
    assert not optimizer.state


def test_the_newest_are_kept_stage_by_stage(tmp_path: Path) -> None:
    policy = make("llama", tmp_path / "model")
    optimizer = adamw(policy.parameters(), OPTIM)
    save(tmp_path, "cold_start", 7, one(policy, optimizer))
    for update in (5, 10, 15):
        save(tmp_path, "rl", update, one(policy, optimizer), keep=2)
    assert [c.update for c in find(tmp_path, "rl")] == [10, 15]
    assert [c.update for c in find(tmp_path, "cold_start")] == [7]
    assert find(tmp_path, "other") == []
    assert find(tmp_path / "nowhere", "rl") == []


def test_what_is_not_whole_is_not_found(tmp_path: Path) -> None:
    policy = make("llama", tmp_path / "model")
    optimizer = adamw(policy.parameters(), OPTIM)
    save(tmp_path, "rl", 5, one(policy, optimizer))
    for name in ("rl-000006", ".partial-rl-000007", "rl-last"):
        (tmp_path / "checkpoints" / name).mkdir()
    (tmp_path / "checkpoints" / "rl-000006" / "model.safetensors").write_bytes(b"")
    assert [c.update for c in find(tmp_path, "rl")] == [5]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("there", [False, True])
def test_a_kill_while_writing_leaves_what_was_there(there: bool, tmp_path: Path) -> None:
    target = tmp_path / "model"
    if there:
        write_folder(target, lambda folder: (folder / "a").write_text("old") and None)

    def killed(folder: Path) -> None:
        (folder / "a").write_text("new")
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        write_folder(target, killed)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert target.exists() == there
    assert not there or (target / "a").read_text() == "old"
    write_folder(target, lambda folder: (folder / "b").write_text("again") and None)
    assert [path.name for path in target.iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_full_disk_is_one_clear_line_and_no_checkpoint(tmp_path: Path) -> None:
    policy = make("llama", tmp_path / "model")
    optimizer = adamw(policy.parameters(), OPTIM)
    step(policy, optimizer)
    before = weights(policy)
    # Room for one checkpoint of 0.5 MB of weights, twice, and 1 MB of moments; not for two.
    with small_disk(tmp_path / "run", 3000) as run:
        save(run, "rl", 1, one(policy, optimizer))
        with pytest.raises(
            StorageError, match=r"No space left on device.*free some space, then resume"
        ) as full:
            save(run, "rl", 2, one(policy, optimizer))
        assert "\n" not in str(full.value) and "rl-000002" in str(full.value)
        (found,) = find(run, "rl")
        assert found.update == 1
        restore(found, one(policy, optimizer))
    assert same(weights(policy), before)


@pytest.mark.parametrize("kilobytes", [8, 600, 1100, 1700])
def test_a_disk_may_fill_at_any_file(kilobytes: int, tmp_path: Path) -> None:
    policy = make("llama", tmp_path / "model")
    optimizer = adamw(policy.parameters(), OPTIM)
    step(policy, optimizer)
    with small_disk(tmp_path / "run", kilobytes) as run:
        with pytest.raises(StorageError, match="No space left on device"):
            save(run, "rl", 1, one(policy, optimizer))
        assert find(run, "rl") == []


def test_a_folder_that_may_not_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="check the folder's permissions"):
        write_folder(tmp_path / "checkpoints" / "rl-000001", lambda folder: None)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("state.json", "{"),
        ("state.json", '{"stage": "rl"}'),
        ("state.json", "[1]"),
        ("state.json", '{"stage": "rl", "update": "three"}'),
        ("state.json", '{"stage": "rl", "update": 3, "notes": []}'),
        ("trained.safetensors", "rubbish"),
        ("optimizer.safetensors", ""),
        ("trained.safetensors", None),
    ],
)
def test_a_damaged_checkpoint_names_itself(name: str, content: str | None, tmp_path: Path) -> None:
    policy = make("llama", tmp_path / "model")
    optimizer = adamw(policy.parameters(), OPTIM)
    step(policy, optimizer)
    save(tmp_path, "rl", 1, one(policy, optimizer))
    (found,) = find(tmp_path, "rl")
    damaged = found.path / "trainer" / name
    if content is None:
        damaged.unlink()
    else:
        damaged.write_text(content)
    with pytest.raises(ModelError, match=r"rl-000001: does not fit the run: "):
        restore(found, one(policy, optimizer))


def test_the_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    small, adapted = make("llama", tmp_path / "model"), make("llama", tmp_path / "model")
    add_lora(adapted)
    save(tmp_path, "rl", 1, one(small, adamw(small.parameters(), OPTIM)))
    with pytest.raises(ModelError, match="lora_"):
        restore(find(tmp_path, "rl")[0], one(adapted, adamw(adapted.parameters(), OPTIM)))


def test_the_state_is_readable(tmp_path: Path) -> None:
    policy = make("llama", tmp_path / "model")
    optimizer = adamw(policy.parameters(), OPTIM)
    step(policy, optimizer, 3)
    save(tmp_path, "rl", 3, one(policy, optimizer))
    state = json.loads((tmp_path / "checkpoints/rl-000003/trainer/state.json").read_text())
    assert state == {"stage": "rl", "update": 3, "notes": {}}
    moments = load_file(tmp_path / "checkpoints/rl-000003/trainer/optimizer.safetensors")
    steps = [float(tensor) for name, tensor in moments.items() if name.endswith("/step")]
    assert len(steps) == len(list(policy.parameters())) and set(steps) == {3.0}


def test_notes_come_back_and_a_spared_checkpoint_stays(tmp_path: Path) -> None:
    policy = make("llama", tmp_path / "model")
    optimizer = adamw(policy.parameters(), OPTIM)
    for update in (1, 2, 3, 4):
        save(tmp_path, "rl", update, one(policy, optimizer), notes={"factor": update / 8}, spare=1)
    assert [c.update for c in find(tmp_path, "rl")] == [1, 3, 4]
    assert restore(find(tmp_path, "rl")[-1], one(policy, optimizer)) == {"factor": 0.5}


def test_restoring_forgets_moments_that_are_not_in_the_checkpoint(tmp_path: Path) -> None:
    policy = make("llama", tmp_path / "model")
    optimizer = adamw(policy.parameters(), OPTIM)
    save(tmp_path, "rl", 0, one(policy, optimizer))
    step(policy, optimizer)
    restore(find(tmp_path, "rl")[0], one(policy, optimizer))
    assert not optimizer.state


def test_the_newest_that_can_be_read_is_restored(tmp_path: Path) -> None:
    policy = make("llama", tmp_path / "model")
    optimizer = adamw(policy.parameters(), OPTIM)
    assert restore_newest(tmp_path, "rl", one(policy, optimizer)) == (None, {}, [])
    save(tmp_path, "rl", 1, one(policy, optimizer), notes={"good": 1})
    before = weights(policy)
    step(policy, optimizer)
    save(tmp_path, "rl", 2, one(policy, optimizer))
    torn = tmp_path / "checkpoints/rl-000002/trainer/optimizer.safetensors"
    torn.write_bytes(torn.read_bytes()[:-100])
    found, notes, wrong = restore_newest(tmp_path, "rl", one(policy, optimizer))
    assert found is not None and found.update == 1 and notes == {"good": 1}
    assert same(weights(policy), before)
    assert len(wrong) == 1 and "rl-000002: does not fit the run" in wrong[0] and "\n" not in wrong[0]
    (tmp_path / "checkpoints/rl-000001/trainer/trained.safetensors").write_bytes(b"")
    with pytest.raises(
        ModelError, match=r"rl-000002: .*no older one can be read either: remove them"
    ) as none:
        restore_newest(tmp_path, "rl", one(policy, optimizer))
    assert "\n" not in str(none.value)
