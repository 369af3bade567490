"""Every number of every setting has a range, and what lies outside it is refused everywhere alike."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import pytest
import yaml

from stablereward.cli import main
from stablereward.config import dump, resolve
from stablereward.errors import ConfigError
from stablereward.lab.jobs import Job
from stablereward.lab.start import Setup
from stablereward.ranges import LARGE, Count, Positive, Proportion, Range, ranges, require_ranges
from stablereward.recipes.found import described, load
from stablereward.recipes.judges import r1_reward
from stablereward.recipes.judges.r1_reward import Server

ROOTS = [load(name).Config for name in described()] + [Job, Setup]
VALUES = (-1, 0, 10**17, math.nan, math.inf, -math.inf, 1e308, 0.5)


def kinds(hint: Any) -> Iterator[type]:
    """The plain types in a field's type."""
    members = get_args(hint)
    yield from (kind for member in members for kind in kinds(member)) if members else (hint,)


def numeric(cls: type, prefix: str = "") -> Iterator[tuple[str, type, str, Any]]:
    """Every numeric field below a class: its dotted name, its own class, its name there, its type."""
    for name, hint in get_type_hints(cls).items():
        found = set(kinds(hint))
        nested = [kind for kind in found if is_dataclass(kind)]
        if nested:
            yield from numeric(nested[0], f"{prefix}{name}.")
        elif found & {int, float}:
            yield f"{prefix}{name}", cls, name, hint


SETTINGS = [(root, *found) for root in ROOTS for found in numeric(root)]


def written(value: float, hint: Any) -> str:
    """The value as `--set` takes it, as every item where the field is a tuple."""
    text = str(yaml.safe_dump(value)).split("\n")[0]
    tuples = [kind for kind in (hint, *get_args(hint)) if get_args(kind) and "tuple" in str(kind)]
    if not tuples:
        return text
    items = get_args(tuples[0])
    return f"[{text}]" if items[-1] is Ellipsis else f"[{', '.join([text] * len(items))}]"


@pytest.mark.parametrize(("root", "dotted", "cls", "name", "hint"), SETTINGS)
def test_law_a_number_is_within_its_stated_range_or_refused_by_its_name(
    root: type, dotted: str, cls: type, name: str, hint: Any
) -> None:
    allowed = ranges(cls).get(name)
    assert allowed is not None, f"{cls.__name__}.{name} states no range"
    base = ["arm=grpo", "seed=0", "regime={name: a, about: b, rl: {}}"] if root is Job else []
    base += ["recipe={}"] if root is Setup else []
    if cls is Server:
        base.append(f"{dotted.rpartition('.')[0]}={{base_url: 'http://a', model: b}}")
    whole = float not in set(kinds(hint))
    for value in VALUES:
        setting = f"{dotted}={written(value, hint)}"
        fits = not allowed.broken(value) and not (whole and not isinstance(value, int))
        try:
            made = resolve(root, None, [*base, setting])
        except ConfigError as error:
            message = str(error)
            assert "\n" not in message and dotted.partition(".")[0] in message and name in message
            # What is in its range may still not fit what it stands beside, such as more tries than there are.
            if message.startswith(f"{dotted} must be "):
                shown = value if whole else float(value)
                assert not fits and message == f"{dotted} must be {allowed.broken(value)}, not {shown}"
        else:
            assert fits
            assert dump(made)


@pytest.mark.parametrize(("root", "dotted", "cls", "name", "hint"), SETTINGS)
def test_law_a_number_with_a_point_is_one_that_float32_holds(
    root: type, dotted: str, cls: type, name: str, hint: Any
) -> None:
    if float in set(kinds(hint)):
        allowed = ranges(cls)[name]
        assert allowed.low >= -LARGE and allowed.high <= LARGE, dotted


REFUSED = [
    ("rl.num_generations=0", "rl.num_generations must be at least 1, not 0"),
    ("rl.updates_per_batch=0", "rl.updates_per_batch must be at least 1, not 0"),
    ("rl.prompts_per_batch=0", "rl.prompts_per_batch must be at least 1, not 0"),
    ("rl.token_budget=0", "rl.token_budget must be at least 1, not 0"),
    ("rl.temperature=0", "rl.temperature must be at least 0.001, not 0.0"),
    ("rl.temperature=1e-300", "rl.temperature must be at least 0.001, not 1e-300"),
    ("rl.optim.learning_rate=1e300", "rl.optim.learning_rate must be at most 10, not 1e+300"),
    ("cold_start.optim.learning_rate=1e300", "cold_start.optim.learning_rate must be at most 10, not 1e+300"),
    ("stable.sigmas=1e308", "stable.sigmas must be at most 1000000000, not 1e+308"),
    ("stable.epsilon=1e300", "stable.epsilon must be at most 1000000000, not 1e+300"),
    ("rl.temperature=.inf", "rl.temperature must be a finite number, not inf"),
    ("rl.top_p=1.5", "rl.top_p must be at most 1, not 1.5"),
    ("rl.optim.betas=[1.5, 2]", "rl.optim.betas must be below 1, not 1.5"),
    ("rl.optim.learning_rate=-1e-6", "rl.optim.learning_rate must be above 0, not -1e-06"),
    ("rl.max_failure_rate=2", "rl.max_failure_rate must be at most 1, not 2.0"),
    ("difficulty.num_tries=0", "difficulty.num_tries must be at least 1, not 0"),
    ("difficulty.min_tries=5", "difficulty.min_tries is 5; with 3 tries none needs more than 4"),
    ("difficulty.easy_share=-0.1", "difficulty.easy_share must be at least 0, not -0.1"),
    ("cold_start.batch_size=-4", "cold_start.batch_size must be at least 1, not -4"),
    ("stable.delta_min=10", "stable.delta_min must be at most 1, not 10.0"),
    ("stable.dual_clip=1.1", "stable.dual_clip is 1.1; it must be above 1 + epsilon = 1.2"),
    ("lora.alpha=-1", "lora.alpha must be at least 1, not -1"),
    ("lora.rank=999999", "lora.rank must be at most 1024, not 999999"),
    ("votes=[]", "votes must have at least one number"),
    ("votes=[1, 0]", "votes must be at least 1, not 0"),
    ("hardware.save_every=0", "hardware.save_every must be at least 1, not 0"),
    ("rl.updates_per_batch=3", "hardware.save_every is 20; it must be a multiple of"),
    ("protection.min_entropy=9", "protection.min_entropy is 9.0; it must be below max_entropy, which is 4.0"),
    ("data.toy.num_train=-1", "data.toy.num_train must be at least 1, not -1"),
    ("referee={base_url: x, model: y, timeout: -1}", "referee.timeout must be above 0, not -1.0"),
    ("seed=-1", "seed must be at least 0, not -1"),
    ("annotator={base_url: x, model: y}", "annotator.base_url is 'x'; it must be like http"),
    (
        "annotator={base_url: 'http://x', model: y, extra: [foo]}",
        "annotator.extra: the extra field 'foo' has no",
    ),
    ("hardware.device=tpu", "hardware.device is 'tpu'; it must be cpu, mps, cuda or cuda:NUMBER"),
    ("data.format=foo", "data.format is 'foo'; it must be one of stablereward, r1_reward"),
    ("model='  '", "model must be a folder or a name, not empty"),
    ("output=' '", "--set \"output=' '\": output should be a path, not ' '"),
    ("model=", "model must be a folder or a name, not empty"),
    ("output=", "--set 'output=': output should be a path, not ''"),
]


@pytest.mark.parametrize(("setting", "message"), REFUSED)
def test_start_dry_run_and_plan_refuse_the_same(
    setting: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = tmp_path / "run"
    # The setting comes last, over the output too.
    settings = ["--set", f"output={run}", "--set", setting]
    monkeypatch.chdir(tmp_path)
    said = set()
    for command in (
        ["train", "r1_reward", "--tiny", *settings],
        ["train", "r1_reward", "--tiny", "--dry-run", *settings],
        ["doctor", "--plan", "r1_reward", "--set", "data.toy={}", *settings],
    ):
        with pytest.raises(SystemExit) as end:
            main(command)
        printed = capsys.readouterr()
        assert end.value.code == 2 and printed.out == ""
        said.add(printed.err.replace("\n", ""))
    [line] = said
    assert line.startswith(f"error: {message}") and not list(tmp_path.iterdir())


@dataclass(frozen=True, kw_only=True)
class Made:
    count: Count = 1
    share: Proportion | None = None
    several: tuple[Count, ...] = (1, 2)
    pair: tuple[Proportion, Positive] = (0.5, 3.0)
    odd: Annotated[int, Range(2, 9, above=True, below=True)] = 3
    name: str = ""

    def __post_init__(self) -> None:
        require_ranges(self)


def refusal(make: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as caught:
        make()
    return str(caught.value)


def test_a_range_holds_in_python_too_and_for_every_number_of_a_tuple() -> None:
    assert Made(share=1.0, several=(), odd=8).share == 1.0
    assert refusal(lambda: Made(count=0)) == "count must be at least 1, not 0"
    assert refusal(lambda: Made(share=1.5)) == "share must be at most 1, not 1.5"
    assert refusal(lambda: Made(several=(3, 0))) == "several must be at least 1, not 0"
    assert refusal(lambda: Made(pair=(1.0, 0.0))) == "pair must be above 0, not 0.0"
    assert refusal(lambda: Made(share=math.nan)) == "share must be a finite number, not nan"
    assert refusal(lambda: Made(odd=2)) == "odd must be above 2, not 2"
    assert refusal(lambda: Made(odd=9)) == "odd must be below 9, not 9"
    assert Made(count=10**400).count == 10**400
    assert {name: str(one) for name, one in ranges(Made).items()} == {
        "count": "at least 1",
        "share": "at least 0 and at most 1",
        "several": "at least 1",
        "pair": "at least 0 and at most 1",
        "odd": "above 2 and below 9",
    }
    assert str(Range()) == "a finite number"


def test_the_settings_of_a_recipe_are_shown_with_their_ranges(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "r1_reward", "--tiny", "--dry-run"])
    shown = capsys.readouterr().out
    assert "  num_generations: 8  # at least 1 and at most 1000000\n" in shown
    assert "    learning_rate: 0.001  # above 0 and at most 10\n" in shown
    assert "votes:  # at least 1 and at most 1000000\n" in shown
    assert yaml.safe_load(shown) == yaml.safe_load(dump(r1_reward.tiny()))
    assert len(fields(r1_reward.Config)) == len(yaml.safe_load(shown))
