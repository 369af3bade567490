"""Restraint has numbers: what grows past them is split, or stands here with its reason."""

import ast
from collections.abc import Iterator
from pathlib import Path

from source import ROOT, files, parsed

from stablereward.recipes.found import FOLDER as RECIPES
from stablereward.recipes.found import described

FILE_LINES = 400
FUNCTION_LINES = 60
RECIPE_LINES = 150
CONFIG_FIELDS = 15
VAGUE = {"utils", "util", "helpers", "common", "misc", "core"}

ALLOWED: dict[str, str] = {}
"""What may be larger, as `path` or `path:name`, and why."""

PATHS = files("stablereward", "tests", "examples", "performance")


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def is_dataclass(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(d) for d in node.decorator_list)


def sizes(path: Path) -> Iterator[tuple[str, int, int]]:
    """What a file holds by name: how large it is, and how large it may be."""
    yield relative(path), len(path.read_text(encoding="utf-8").splitlines()), FILE_LINES
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield f"{relative(path)}:{node.name}", node.end_lineno - node.lineno + 1, FUNCTION_LINES
        elif isinstance(node, ast.ClassDef) and is_dataclass(node):
            fields = sum(isinstance(line, ast.AnnAssign) for line in node.body)
            yield f"{relative(path)}:{node.name}", fields, CONFIG_FIELDS


def test_files_functions_and_settings_stay_small() -> None:
    found = [one for path in PATHS for one in sizes(path)]
    assert not [(name, size) for name, size, most in found if size > most and name not in ALLOWED]


def test_recipes_of_a_family_are_a_page_long() -> None:
    paths = (RECIPES / f"{name}.py" for name in described() if "/" in name)
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    assert lengths and not {name: size for name, size in lengths.items() if not 40 <= size <= RECIPE_LINES}


def test_names_say_what_is_inside() -> None:
    assert not [relative(path) for path in PATHS if path.stem in VAGUE]


def test_the_allow_list_is_needed() -> None:
    known = {relative(path) for path in PATHS}
    assert all(name.partition(":")[0] in known and reason for name, reason in ALLOWED.items())
