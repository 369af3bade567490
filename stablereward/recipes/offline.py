"""Policies that learn by DPO from ranked answers which a reward model has scored: what such recipes share.

`judges/mm_dpo.py` is one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from stablereward.config import dump
from stablereward.data.preferences import read_preferences
from stablereward.errors import ConfigError, DataError
from stablereward.judges.likelihood import shown_alone
from stablereward.judges.scalar import Scorer
from stablereward.policies.completions import completions
from stablereward.policies.scalar import load_scorer
from stablereward.policies.token import TokenPolicy
from stablereward.ranges import Number, require_ranges
from stablereward.recipes import works as stages
from stablereward.recipes.pairs import given
from stablereward.recipes.rounds import AnyGroup
from stablereward.recipes.stages import Hardware, Lora, load_policy, stage
from stablereward.report.report import write_report
from stablereward.runs.figures import Figure, write
from stablereward.runs.folder import RunFolder, read_jsonl
from stablereward.runs.machine import keep_machine
from stablereward.runs.progress import say
from stablereward.training.checkpoint import write_folder
from stablereward.training.direct import Beta, DPOConfig
from stablereward.training.learner import Learner, train
from stablereward.training.planning import Work
from stablereward.types import Completion, Group, Preference, Prompt, Reward
from stablereward.worlds.menu import Shop, Taste
from stablereward.worlds.ranked import Ranked, course, ranked_pairs, watched

STAGE = "dpo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offline:
    """What such a recipe sets: `data` has ranked answers (docs/data.md), scored by `reward_model`. With
    `ranked` all is the world's."""

    model: str
    reward_model: str
    data: Path | None = None
    ranked: Ranked | None = None
    output: Path
    dpo: DPOConfig = field(default_factory=DPOConfig)
    lora: Lora | None = None
    hardware: Hardware = field(default_factory=Hardware)
    seed: Number = 0

    def __post_init__(self) -> None:
        require_ranges(self)


Weighed = Callable[[Sequence[AnyGroup]], tuple[Sequence[AnyGroup], Beta]]
"""From all pairs to those that are learnt, and β of each."""


def preferences(config: Offline) -> list[Preference]:
    """The ranked answers; none where no file is named. Raises DataError."""
    return [] if config.data is None else list(read_preferences(config.data))


def prompts(config: Offline) -> list[Prompt]:
    """What is trained on; none where no file is named."""
    return list(map(shown_alone, preferences(config)))


def text_pairs(policy: TokenPolicy, scorer: Scorer, ranked: Sequence[Preference]) -> list[AnyGroup]:
    """All pairs of different rank, the better first, each answer scored once.

    Raises DataError for an answer that cannot be learnt or has no score.
    """
    scored = zip(ranked, scorer.scores(ranked), strict=True)
    return [pair for one, scores in scored for pair in _pairs(policy, one, scores)]


def _pairs(policy: TokenPolicy, one: Preference, scores: Sequence[object]) -> list[AnyGroup]:
    prompt = shown_alone(one)
    encoded = policy.encode(prompt)
    texts = [text for text in one.responses if isinstance(text, str)]
    if len(texts) < len(one.responses):
        raise DataError(f"{one.name}: a response with a picture cannot be learnt; leave it out")
    done = [Completion(text=text, token_ids=policy.completion(encoded, text)) for text in texts]
    ranks = one.ranks or ()
    found: list[AnyGroup] = []
    for a, b in combinations(range(len(ranks)), 2):
        if ranks[a] == ranks[b]:
            continue
        order = (a, b) if ranks[a] < ranks[b] else (b, a)
        told = [scores[n] for n in order]
        rewards = tuple(Reward(value=score) for score in told if isinstance(score, float))
        if len(rewards) < 2:
            raise DataError(f"{one.name}: a response has no score ({told}); leave it out")
        found.append(Group(prompt=prompt, trajectories=tuple(done[n] for n in order), rewards=rewards))
    return found


def learner(config: Offline, weighed: Weighed) -> Learner:
    """DPO on the world's pairs, or on those of the file. Raises DataError where there is none."""
    if config.ranked is None:
        policy = load_policy(config.model, config.hardware, config.lora)
        scorer = load_scorer(config.reward_model, device=config.hardware.device)
        found = text_pairs(policy, scorer, preferences(config))
        if not found:
            raise DataError(f"{config.data}: no question has two responses of different rank")
        pairs, beta = weighed(found)
        return given(policy, completions(policy), pairs, config.dpo, config.seed, beta=beta)
    shop = Shop(config.ranked.menu, config.seed)
    taste = Taste(shop)
    pairs, beta = weighed(ranked_pairs(shop, config.ranked, config.seed))
    figures = watched(taste)
    return given(taste, taste.family(), pairs, config.dpo, config.seed, beta=beta, figures=figures)


def run(name: str, config: Offline, weighed: Weighed, *, resume: bool) -> Path:
    """Trains and measures; returns the run folder, with the policy in `policy/`."""
    if config.ranked is None and config.data is None:
        raise ConfigError("data has no value; give a file of ranked answers with --set data=FILE")
    folder = RunFolder(config.output)
    with folder.running(dump(config), resume=resume):
        keep_machine(folder.path, name)
        with stage(folder, STAGE):
            made = learner(config, weighed)
            train(folder, STAGE, made, save_every=config.hardware.save_every)
        write_folder(folder.path / "policy", made.module.save)
        write(folder.path, _measured(folder, config))
        say(f"report: {write_report(folder.path, tell=say)}")
    return folder.path


def _measured(folder: RunFolder, config: Offline) -> list[Figure]:
    """How many pairs the policy has in order, and what the world knows besides."""
    rows = [row for _, row in read_jsonl(folder.path / "metrics.jsonl") if "pairs/accuracy" in row]
    about = "share of the last update's pairs whose better side gained"
    found = [Figure(name="pairs_accuracy", value=rows[-1]["pairs/accuracy"], about=about)]
    return found if config.ranked is None else [*found, *course(rows, config.ranked)]


def works(config: Offline) -> list[Work]:
    """Training as a planner of memory sees it, answers of 512 tokens."""
    return [stages.preferring(STAGE, config, config.dpo, 512)]
