"""Recipes by name: the modules of `stablereward.recipes` that define `Config` and `run`.

A recipe of a family lies in its folder and is called "family/name", or "name" for short.
"""

import ast
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from stablereward.errors import ConfigError

FOLDER = Path(__file__).parent
PACKAGE = "stablereward.recipes"


def described() -> dict[str, str]:
    """The first line of each recipe's docstring by the recipe's name; nothing is imported."""
    found = {}
    for path in sorted(FOLDER.rglob("*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.name for node in module.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        if {"Config", "run"} <= names:
            name = path.relative_to(FOLDER).with_suffix("").as_posix()
            found[name] = (ast.get_docstring(module) or "").partition("\n")[0]
    return found


def load(name: str) -> Any:
    """The recipe's module. Raises ConfigError, with the nearest name, where there is none."""
    known = list(described())
    short = {full.rpartition("/")[2]: full for full in known}
    full = name if name in known else short.get(name)
    if full is None:
        nearest = get_close_matches(name, [*known, *short], n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}"
        raise ConfigError(f"there is no recipe {name[:80]!r}; {hint}")
    return import_module(f"{PACKAGE}.{full.replace('/', '.')}")
