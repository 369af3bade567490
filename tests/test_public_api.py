"""`import stablereward`: quick, complete, and the same for Python and for type checkers."""

import ast
import json
import subprocess
import sys
import tomllib
from importlib import import_module

import pytest
from packaging.requirements import Requirement
from source import PACKAGE, ROOT, parsed

import stablereward

HOMES = stablereward._HOMES


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh Python has loaded after the code."""
    report = "import json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("name", sorted(HOMES))
def test_a_public_name_is_the_one_of_its_module(name: str) -> None:
    home = import_module(f"stablereward.{HOMES[name]}")
    assert getattr(stablereward, name) is getattr(home, name)
    assert name in dir(stablereward)


def test_type_checkers_see_the_same_names() -> None:
    [block] = [node for node in parsed(PACKAGE / "__init__.py").body if isinstance(node, ast.If)]
    declared = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert declared == {name: f"stablereward.{home}" for name, home in HOMES.items()}


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Jugde'"):
        stablereward.Jugde  # noqa: B018
    with pytest.raises(ImportError):
        from stablereward import Jugde  # noqa: F401


def test_the_import_loads_no_library() -> None:
    bare = loaded_by("pass")
    assert loaded_by("import stablereward") - bare - {"stablereward"} <= sys.stdlib_module_names


def test_a_record_needs_no_torch() -> None:
    assert "torch" not in loaded_by("from stablereward import Preference, read_preferences, OpenAIServer")


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert stablereward.__version__ == project["version"]


def test_the_oldest_environment_gets_the_floors_of_the_range() -> None:
    """A floor that the Makefile does not find would let the newest releases be tested twice."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    floors = [
        f"{wanted.name}=={spec.version}"
        for wanted in map(Requirement, project["dependencies"])
        for spec in wanted.specifier
        if wanted.name in ("transformers", "peft") and spec.operator == ">="
    ]
    command = ["make", "--dry-run", "--always-make", "test-oldest"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert len(floors) == 2 and f"'.[dev]' {' '.join(floors)}\n" in shown
