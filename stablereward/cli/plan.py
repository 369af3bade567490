"""`stablereward doctor --plan`: whether a run fits before it starts, and what to change where it does not."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from stablereward.cli.devices import GIB, ROOM, Device, device_of
from stablereward.config import resolve
from stablereward.errors import ConfigError, StableRewardError
from stablereward.recipes.found import load
from stablereward.training.outline import read_config
from stablereward.training.planning import Length, Needs, Shapes, longest, needs, without_weights

LOOKED_AT = 64
"""Preferences whose prompts are encoded to find the longest."""
ASSUMED = 1024
"""Tokens of a prompt where no data can be read; three quarters of them are of images."""
BUDGETS = (8192, 4096, 2048, 1024)
ROWS = (
    ("weights", "weights"),
    ("frozen reference", "reference"),
    ("AdamW's moments", "moments"),
    ("bfloat16 copy of weights", "copy"),
    ("sampling: keys and values", "cache"),
    ("sampling: the rest", "scratch"),
    ("backward: gradients", "gradients"),
    ("backward: activations", "activations"),
    ("optimiser's step", "step"),
)


class Plan(NamedTuple):
    """What each stage of a run needs."""

    stages: tuple[Needs, ...]

    @property
    def worst(self) -> Needs:
        return max(self.stages, key=lambda stage: stage.peak)


class Planner:
    """Plans a recipe's run with any settings, on one device. Raises ConfigError, DataError and ModelError."""

    def __init__(self, recipe: str, config: Path | None, settings: Sequence[str], gpu: float | None) -> None:
        self.module, self.file, self.settings = load(recipe), config, tuple(settings)
        if not hasattr(self.module, "works"):
            raise ConfigError(f"{recipe} says nothing of its stages, so that it cannot be planned")
        resolved = self.resolved()
        self.model = str(resolved.model)
        folder, self.config = read_config(resolved.model)
        self.shapes = Shapes(self.config)
        self.prompt, self.source = _prompt(self.module, resolved, folder, self.config)
        self.device = _device(resolved, gpu)

    def resolved(self, changes: Sequence[str] = ()) -> Any:
        return resolve(self.module.Config, self.file, [*self.settings, *changes])

    def plan(self, changes: Sequence[str] = (), shapes: Shapes | None = None) -> Plan:
        """The needs with more settings, or with another model in place of the run's."""
        works = self.module.works(self.resolved(changes))
        gpu = self.device.gpu
        return Plan(tuple(needs(shapes or self.shapes, work, self.prompt, gpu=gpu) for work in works))


def show_plan(recipe: str, config: Path | None, settings: Sequence[str], gpu: float | None) -> None:
    """Prints what every stage needs. Raises StableRewardError where one does not fit."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    module = load(recipe)
    if hasattr(module, "plan"):  # there is no language model in it, and it says itself what it needs
        resolved = resolve(module.Config, config, settings)
        device = _device(resolved, gpu)
        stated = module.plan(resolved, gpu=device.gpu)
        console.print(f"{recipe}: {stated.words}")
        share = _share(recipe, stated.peak, device)
        if not device.fits(stated.peak):
            raise StableRewardError(f"does not fit: {share}; change the settings or the device")
        console.print(f"fits: {share}")
        return
    planner = Planner(recipe, config, settings, gpu)
    plan, device = planner.plan(), planner.device
    images = f", {planner.prompt.patches} image patches among them" if planner.prompt.patches else ""
    console.print(f"{recipe} with {planner.model} on {device.name}, {_size(device.memory)}")
    console.print(f"prompts of {planner.prompt.tokens} tokens{images} ({planner.source})\n")
    console.print(_table(plan), "")
    turns = "Sampling, the backward pass and the optimiser's step take turns; the largest is in the peak."
    kept = "Sampling, the backward pass and the optimiser's step take turns; a process on a CPU keeps what\n"
    kept += "each of them freed, so the peak has their sum."
    console.print(turns if device.gpu else kept)
    need = plan.worst
    share = _share(need.name, need.peak, device)
    if device.fits(need.peak):
        console.print(f"fits: {share}")
        return
    console.print("\nWhat would help, each on top of those before it:")
    for change, stage in remedies(planner, plan):
        verdict = "fits" if device.fits(stage.peak) else "still too much"
        console.print(f"  {change:<66} {_size(stage.peak):>10}  {verdict}")
    raise StableRewardError(f"does not fit: {share}; change the settings or the device")


def _device(config: Any, gpu: float | None) -> Device:
    """A GPU of so many GiB, or what a run would use; main memory where hardware is not to be chosen."""
    if not hasattr(config, "hardware"):
        return device_of("cpu")
    return device_of(config.hardware.device) if gpu is None else Device("a GPU", int(gpu * GIB), gpu=True)


def _share(name: str, peak: int, device: Device) -> str:
    return f"{name} needs {_size(peak)} of {_size(device.memory)} ({ROOM:.0%} may be used)"


def warning(recipe: str, config: Any) -> str | None:
    """One line where a stage seems to need more than the device has; None where it fits or cannot be said."""
    module = load(recipe)
    if not (hasattr(module, "works") or hasattr(module, "plan")):
        return None
    try:
        device = _device(config, None)
        if hasattr(module, "plan"):
            name, peak = recipe, module.plan(config, gpu=device.gpu).peak
        else:
            folder, model = read_config(config.model)
            prompt, _ = _prompt(module, config, folder, model)
            shapes = Shapes(model)
            plan = Plan(tuple(needs(shapes, work, prompt, gpu=device.gpu) for work in module.works(config)))
            name, peak = plan.worst.name, plan.worst.peak
    except StableRewardError:  # the run itself says it better
        return None
    if peak <= device.memory:
        return None
    needed, there = _size(peak), _size(device.memory)
    return (
        f"warning: {name} seems to need {needed}, and {device.name} has {there}; "
        f"`stablereward doctor --plan {recipe}` with the same settings says what would help"
    )


def remedies(planner: Planner, plan: Plan) -> Iterator[tuple[str, Needs]]:
    """Changes of settings, cheapest first and each on top of those before, with the stage that then needs
    most; ends with the first that fits. What makes nothing smaller is left out."""
    changes: list[str] = []
    worst = plan.worst

    def better(more: Sequence[str]) -> Needs | None:
        found = planner.plan([*changes, *more]).worst
        return found if found.peak < worst.peak else None

    for more in _candidates(planner.resolved()):
        found = better(more)
        if found is None:
            continue
        changes, worst = [*(c for c in changes if c.partition("=")[0] not in _names(more)), *more], found
        yield " ".join(f"--set {change}" for change in more), worst
        if planner.device.fits(worst.peak):
            return
    from stablereward.cli.memory import PUBLISHED

    for name, shapes in reversed(PUBLISHED.items()):
        found = planner.plan(changes, shapes()).worst
        if found.peak < worst.peak:
            yield f"a smaller model, such as {name}", found
            if planner.device.fits(found.peak):
                return


def _names(changes: Sequence[str]) -> set[str]:
    return {change.partition("=")[0] for change in changes}


def _candidates(config: Any) -> Iterator[list[str]]:
    if not config.hardware.gradient_checkpointing:
        yield ["hardware.gradient_checkpointing=true"]
    named = {field.name: getattr(config, field.name) for field in fields(config)}
    parts = {name: part.token_budget for name, part in named.items() if hasattr(part, "token_budget")}
    for budget in BUDGETS:
        smaller = [f"{name}.token_budget={budget}" for name, now in parts.items() if budget < now]
        if smaller:
            yield smaller
    if named.get("lora", ()) is None:
        yield ["lora.rank=16"]


def _prompt(recipe: Any, config: Any, folder: Path, model: Any) -> tuple[Length, str]:
    """The longest prompt of the run's data, or an assumed one, and where it is from.

    A recipe that is not about preferences says with `prompts` what it shows, none where nothing is named; one
    that shows a preference in another way than R1-Reward says so with `asked`.
    """
    from stablereward.data.prompts import r1_reward
    from stablereward.recipes.context import Context
    from stablereward.recipes.sources import first

    if not folder.exists():
        return _assumed(model), "assumed: the model is not here, and its shapes are those published"
    if not (folder / "tokenizer_config.json").exists():
        return _assumed(model), "assumed: the model's folder has no tokenizer"
    policy = without_weights(folder, model)
    if hasattr(recipe, "prompts"):
        prompts = recipe.prompts(config)[:LOOKED_AT]
        if not prompts:
            return _assumed(model), "assumed: no data is named"
        return longest(policy, prompts), f"the longest of the first {len(prompts)}"
    data = config.data
    if data.toy is None and data.train is None:
        return _assumed(model), "assumed: no data is named"
    policy = without_weights(folder, model)
    ask, look = getattr(recipe, "asked", r1_reward), None
    if ask is r1_reward:
        look = Context(policy, config.rl.max_completion_length).faults
    prompts = [ask(preference) for preference in first(data, LOOKED_AT, config.seed, look)]
    return longest(policy, prompts), f"the longest of the first {len(prompts)}"


def _assumed(model: Any) -> Length:
    vision = getattr(model, "vision_config", None)
    merged = getattr(vision, "spatial_merge_size", 1) ** 2
    return Length(ASSUMED, 0 if vision is None else ASSUMED * 3 // 4 * merged)


def _table(plan: Plan) -> Table:
    table = Table("", box=None, pad_edge=False)
    for stage in plan.stages:
        table.add_column(stage.name, justify="right")
    for title, part in ROWS:
        values = [getattr(stage, part) for stage in plan.stages]
        if any(values):
            table.add_row(title, *(_size(value) if value else "–" for value in values))
    table.add_section()
    table.add_row("peak", *(_size(stage.peak) for stage in plan.stages), style="bold")
    return table


def _size(num_bytes: float) -> str:
    small = num_bytes < 0.1 * GIB
    return f"{num_bytes / 2**20:.1f} MiB" if small else f"{num_bytes / GIB:.1f} GiB"
