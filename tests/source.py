"""The package's source, read without importing it."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "stablereward"


def files(*folders: str) -> list[Path]:
    """The Python files of these folders of the repository, as far as they exist."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def name_of(path: Path) -> str:
    """`stablereward/images.py` is the module `stablereward.images`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in files("stablereward")}


def imports(path: Path, *, lazy: bool = True) -> Iterator[str]:
    """The modules a file imports, in full; without `lazy` only those imported with the file itself.

    `from package import name` counts as the module `package.name` where there is one.
    """
    tree = parsed(path)
    for node in ast.walk(tree) if lazy else _at_import(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module is not None, f"{path}: imports are absolute"
            yield from _targets(node.module, [alias.name for alias in node.names])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            [argument] = node.args
            if isinstance(argument, ast.Constant):
                yield str(argument.value)


def _targets(module: str, names: list[str]) -> set[str]:
    return {f"{module}.{name}" if f"{module}.{name}" in MODULES else module for name in names}


def _at_import(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when the file is imported: not the bodies of functions, nor what is for type checkers."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _at_import(child)
