"""Settings: a frozen dataclass, a YAML file and `--set a.b=c` become one checked instance, and back.

A settings class is a frozen keyword-only dataclass whose fields are int, float, bool, str, Path,
Literal, tuples of these, unions with None, or another settings class. A number's range belongs in its type
(see `ranges`), and so does `NoResult`; rules between fields belong in the class's `__post_init__`. Ranges and
rules raise ConfigError with a message that begins with the name of the field, before which `resolve` puts the
names of its groups.
"""

import dataclasses
import difflib
import json
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from stablereward.errors import ConfigError
from stablereward.ranges import ranges

Settings = TypeVar("Settings")


class NoResult:
    """In the type of a field: whatever its value, the results are the same, so a resume may change it.

    timeout: Annotated[float, NoResult]
    """


MAX_FILE_BYTES = 256 * 1024

_FLOAT = r"[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.(?:inf|Inf|INF))"
_PLAIN_SCALARS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]{0,17})", list("-+0123456789")),
    ("float", _FLOAT + r"|\.(?:nan|NaN|NAN)", list("-+.0123456789")),
)


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars: `1e-4` is a number; `no`, `12:30` and `2024-01-01` are text."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own class attribute
    yaml_constructors = {  # noqa: RUF012
        tag: constructor
        for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in {"null", "bool", "int", "float", "str", "seq", "map"}
    }

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):  # a few nested aliases expand to gigabytes
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not accepted", mark)
        return super().compose_node(parent, index)


class _Dumper(yaml.SafeDumper):
    """Quotes exactly the strings that `_Loader` would read as something else."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


for _tag, _pattern, _first in _PLAIN_SCALARS:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


def resolve(
    cls: type[Settings],
    file: Path | None = None,
    overrides: Sequence[str] = (),
    *,
    base: Settings | None = None,
) -> Settings:
    """Defaults of `cls`, or the settings of `base`, then the YAML `file`, then each `a.b=c` in turn.

    Raises ConfigError for an unknown name, a wrong type, a value out of its range, a missing required
    setting or a file that cannot be read.
    """
    values: dict[str, Any] = {}
    if file is not None:
        _update(values, cls, _read(file), str(file), cls)
    for override in overrides:
        _update(values, cls, _override_tree(override), f"--set {_short(override)}", cls)
    return _build(cls, values, dataclasses.MISSING if base is None else base, "")


def dump(config: Any) -> str:
    """The settings as YAML; `resolve` turns it back into an equal instance."""
    return _yaml(_plain(config))


def dump_with_ranges(config: Any) -> str:
    """`dump` with the range of every number in a comment beside it."""
    return "".join(f"{line}\n" for line in _commented(config))


def flat(text: str, where: str) -> dict[str, Any]:
    """The values of a dump by their dotted names. Raises ConfigError where it cannot be read."""

    def leaves(tree: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for key, value in tree.items():
            if isinstance(value, Mapping):
                yield from leaves(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", value

    return dict(leaves(_tree(text.encode(), where), ""))


def without_result(cls: type) -> frozenset[str]:
    """The dotted names of the fields below a class that are marked `NoResult`."""

    def marked(cls: type, prefix: str) -> Iterator[str]:
        full = get_type_hints(cls, include_extras=True)
        for name, hint in _hints(cls).items():
            if NoResult in getattr(full[name], "__metadata__", ()):
                yield f"{prefix}{name}"
            if nested := _nested(hint):
                yield from marked(nested, f"{prefix}{name}.")

    return frozenset(marked(cls, ""))


@dataclasses.dataclass(frozen=True, slots=True)
class _Raw:
    """An override's value as YAML and as typed: `--set name=123` may still mean the text 123."""

    value: Any
    text: str


def _read(file: Path) -> Mapping[Any, Any]:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}); check the path") from None
    return _tree(content, str(file))


def _tree(content: bytes, file: str) -> Mapping[Any, Any]:
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(f"{file}: larger than {MAX_FILE_BYTES // 1024} KiB; this is not a settings file")
    try:
        tree = yaml.load(content, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{file}:{line}: not valid YAML ({error.problem}); correct the line") from None
    except (yaml.YAMLError, RecursionError):
        raise ConfigError(f"{file}: not valid YAML; write one `name: value` per line") from None
    if tree is None:
        return {}
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{file}: not a mapping; write one `name: value` per line")
    return tree


def _override_tree(override: str) -> Mapping[str, Any]:
    name, equals, text = override.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"--set {_short(override)}: no value; write --set name=value")
    value: Any
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError):
        value = text
    tree: Any = value if isinstance(value, Mapping) else _Raw(value, text)
    for part in reversed(name.strip().split(".")):
        tree = {part: tree}
    return dict(tree)


def _update(
    values: dict[str, Any], cls: type, tree: Mapping[Any, Any], where: str, root: type, prefix: str = ""
) -> None:
    """Checks `tree` against the fields of `cls` and lays it over `values`, one dict per nested class."""
    hints = _hints(cls)
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if key not in hints:
            raise ConfigError(f"{where}: there is no setting {_short(name)}; {_suggestion(name, root)}")
        if not isinstance(value, Mapping):
            values[key] = _typed(value, hints[key], name, where)
            continue
        nested = _nested(hints[key])
        if nested is None:
            raise ConfigError(f"{where}: {name} should be one value, not a group of settings")
        if not isinstance(values.get(key), dict):
            values[key] = {}
        _update(values[key], nested, value, where, root, f"{name}.")


def _typed(value: Any, hint: Any, name: str, where: str) -> Any:
    candidates = [value.value, value.text] if isinstance(value, _Raw) else [value]
    problem = ""
    for candidate in candidates:
        if "\\u0000" in json.dumps(candidate):  # no path and no request can hold it
            raise ConfigError(f"{where}: {name} should be without the character NUL")
        blank = isinstance(candidate, str) and not candidate.strip()
        if blank and Path in (hint, *get_args(hint)):  # it would be the folder one is in
            raise ConfigError(f"{where}: {name} should be a path, not {_short(candidate)}")
        try:
            # Strict JSON rules are the wanted ones: no bool for int and no text for numbers, but a list
            # for a tuple and text for a Path.
            return _adapter(hint).validate_json(json.dumps(candidate), strict=True)
        except ValidationError as error:
            expected = [detail["msg"].removeprefix("Input should be ") for detail in error.errors()]
            problem = problem or f"should be {' or '.join(dict.fromkeys(expected))}, not {_short(candidate)}"
    raise ConfigError(f"{where}: {name} {problem}")


def _build(cls: type[Settings], values: Mapping[str, Any], base: Any, prefix: str) -> Settings:
    """An instance from checked values; `base` gives the defaults of a nested class."""
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        default = _default(field) if base is dataclasses.MISSING else getattr(base, field.name)
        value = values.get(field.name, default)
        nested = _nested(_hints(cls)[field.name])
        if nested is not None and isinstance(value, dict):
            defaults = default if dataclasses.is_dataclass(default) else dataclasses.MISSING
            value = _build(nested, value, defaults, f"{prefix}{field.name}.")
        if value is dataclasses.MISSING:
            name = f"{prefix}{field.name}"
            raise ConfigError(f"{name} has no value; add it to the settings file or --set {name}=…")
        arguments[field.name] = value
    try:
        return cls(**arguments)
    except ConfigError as error:
        raise ConfigError(f"{prefix}{error}") from None


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _yaml(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


def _commented(config: Any) -> Iterator[str]:
    stated = ranges(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            first, rest = f"{field.name}:", list(_commented(value))
            rest = [f"  {line}" for line in rest]
        else:
            first, *rest = _yaml({field.name: _plain(value)})[:-1].split("\n")
        yield f"{first}  # {stated[field.name]}" if field.name in stated else first
        yield from rest


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _names(cls: type, prefix: str = "") -> Iterator[str]:
    for name, hint in _hints(cls).items():
        yield f"{prefix}{name}"
        nested = _nested(hint)
        if nested is not None:
            yield from _names(nested, f"{prefix}{name}.")


def _suggestion(name: str, root: type) -> str:
    names = list(_names(root))
    nearest = difflib.get_close_matches(name[:200], names, n=1, cutoff=0.5)
    return f"did you mean {nearest[0]}?" if nearest else f"the settings are {', '.join(names)}"


def _nested(hint: Any) -> type | None:
    """The settings class in a field's type: `Inner` and `Inner | None` give Inner."""
    members = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    classes = (member for member in members if isinstance(member, type))
    return next((member for member in classes if dataclasses.is_dataclass(member)), None)


def _hints(cls: type) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
