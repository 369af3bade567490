"""Dependencies point one way, so that the package can be read from the bottom up."""

import graphlib
from pathlib import Path

import pytest
from source import MODULES, PACKAGE, imports

LAYERS = (
    {"types", "errors", "ranges", "config", "lock", "blocking", "images"},
    {"objectives", "runs"},
    {"data", "policies", "engines"},
    {"judges", "rewards"},
    {"training", "evaluation"},
    {"report", "worlds"},
    {"recipes"},
    {"lab"},
    {"cli"},
)
EXPERIMENT = "stablereward.lab.experiment"
"""Every recipe states its experiment, and so imports this from above."""
INTERTWINED = {"data", "policies", "engines"}
"""These may import each other, though never in a circle of modules."""

OWNERS = {
    "accelerate": set(),
    "av": set(),
    "datasets": set(),
    "diffusers": {"policies/diffusion.py", "policies/tiny_diffusion.py"},
    "gymnasium": {"worlds/environments.py", "worlds/push/environment.py"},
    "peft": {"policies/adapters.py", "policies/merging.py"},
    "pyarrow": {"data/preferences.py"},
    "vllm": {"engines/vllm.py"},
}
"""Third parties that some users do without, or that may be replaced, each with the files that use it."""

FRONT = {"stablereward", "stablereward.__main__"}
"""The lazy front door and the command's entry stand outside the layers."""


def layer(module: str) -> tuple[int, str]:
    part = module.split(".")[1]
    [level] = [level for level, parts in enumerate(LAYERS) if part in parts]
    return level, part


def test_every_part_has_its_layer() -> None:
    for module in MODULES.keys() - FRONT:
        layer(module)


@pytest.mark.parametrize("module", sorted(MODULES.keys() - FRONT))
def test_imports_go_left_only(module: str) -> None:
    level, part = layer(module)
    for imported in imports(MODULES[module]):
        if not imported.startswith("stablereward.") or (part == "recipes" and imported == EXPERIMENT):
            continue
        other_level, other_part = layer(imported)
        beside = part == other_part or {part, other_part} <= INTERTWINED or level == other_level == 0
        assert other_level < level or beside, f"{module} imports {imported}, which is not left of it"


def test_no_circle_of_modules() -> None:
    graph = {
        module: {other for other in imports(path) if other in MODULES} - FRONT - {module}
        for module, path in MODULES.items()
    }
    graphlib.TopologicalSorter(graph).prepare()


def test_objectives_are_mathematics_only() -> None:
    standard = {"collections", "dataclasses", "typing", "math", "functools", "itertools", "enum"}
    for module, path in MODULES.items():
        if not module.startswith("stablereward.objectives"):
            continue
        for imported in imports(path):
            allowed = imported.startswith(("stablereward.objectives", "stablereward.types"))
            assert allowed or imported.split(".")[0] in {"torch", *standard}, f"{module} imports {imported}"


def test_training_knows_no_kind_of_policy() -> None:
    """Tokens, denoising steps and actions reach it through `policies.policy` alone."""
    known = {"stablereward.policies.policy", "stablereward.policies.parts"}
    planning = {f"stablereward.training.{name}" for name in ("footprint", "outline", "planning")}
    for module, path in MODULES.items():
        if module.startswith("stablereward.training.") and module not in planning:
            found = {name for name in imports(path) if name.startswith("stablereward.policies.")}
            assert found <= known, f"{module} imports {sorted(found - known)}"


@pytest.mark.parametrize("library", sorted(OWNERS))
def test_an_optional_library_is_imported_by_its_owner_only(library: str) -> None:
    importing = {
        str(path.relative_to(PACKAGE))
        for path in MODULES.values()
        if any(imported.split(".")[0] == library for imported in imports(path))
    }
    assert importing <= OWNERS[library]


def test_imports_hide_in_functions_only_where_a_command_must_start_fast() -> None:
    for module in MODULES.keys() - FRONT:
        path = MODULES[module]
        if module.startswith("stablereward.cli"):
            continue
        hidden = set(imports(path)) - set(imports(path, lazy=False))
        assert {name.split(".")[0] for name in hidden} <= OWNERS.keys(), f"{module} hides {hidden}"


def test_a_forbidden_import_is_seen(tmp_path: Path) -> None:
    source = tmp_path / "bad.py"
    source.write_text("def f():\n    import vllm.engine\n    from stablereward import images\n")
    assert set(imports(source)) == {"vllm.engine", "stablereward.images"}
    assert set(imports(source, lazy=False)) == set()
