"""MM-DPO (https://arxiv.org/abs/2502.10391): DPO that pulls harder at pairs of which a reward model is sure.

    a question's ranked answers → all pairs of different rank → δ = r(y_w) - r(y_l) of a reward model
    β(δ) = β (1 + w (1 - exp(-k δ))), between β and (1 + w) β    loss: DPO at β(δ), and α times the likelihood

The factor is at most 1 + w, so that with the defaults β(1) is .1197. It is the policy's half of MM-RLHF; the
half that judges by a critique is another recipe's.

`scale` says what β follows. "exponential" is the paper's; "linear" is β (1 + w δ), which has no bound, the
form of the released trainer, whose default (`implicit_beta`) overwrites even that by a factor of the policy's
own margins, which the paper reports as worse; "matched" is the mean β(δ) of all pairs for every pair, and
"shuffled" is β(δ) of another pair: the controls. "fixed" is plain DPO.

Status: toy-verified (docs/recipes/mm_dpo.md); the full scale is untested.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, Literal

import torch

from stablereward.config import dump
from stablereward.data.preferences import read_preferences
from stablereward.errors import ConfigError, DataError
from stablereward.lab.experiment import Arm, Claim, Experiment, difference
from stablereward.objectives.pairwise import margin_beta
from stablereward.policies.completions import completions
from stablereward.policies.forcing import forced
from stablereward.policies.policy import Family, Savable
from stablereward.policies.scalar import load_scorer
from stablereward.ranges import NotNegative, Number, Positive, Proportion, Size, require_ranges
from stablereward.recipes.stages import Hardware, Lora, load_policy, stage
from stablereward.report.report import write_report
from stablereward.runs.figures import Figure, write
from stablereward.runs.folder import RunFolder, read_jsonl
from stablereward.runs.machine import keep_machine
from stablereward.runs.progress import say
from stablereward.training.checkpoint import write_folder
from stablereward.training.direct import Beta, DPOConfig, Held, dpo_batches, dpo_loss, with_reference
from stablereward.training.learner import Learner, train
from stablereward.training.optim import OptimConfig
from stablereward.training.planning import Update, Work
from stablereward.types import Completion, Group, Preference, Prompt, Reward
from stablereward.worlds.menu import Menu, Pick, Shop, Taste

STAGE = "dpo"
AnyGroup = Group[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """What the world's pairs are: each prompt's `answers`, of which every pair is labelled by Bradley-Terry
    from `sharpness` times the utilities; the reward model errs by `noise`. Figures are read at `kl` nats."""

    menu: Menu = field(default_factory=Menu)
    answers: Size = 5
    sharpness: Positive = 1.0
    noise: NotNegative = 0.5
    kl: Positive = 0.5

    def __post_init__(self) -> None:
        require_ranges(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The paper's w and k of ½ and β of .1; the released script's rate and weight of the likelihood.

    `data` has ranked answers (docs/data.md), scored by `reward_model`. With `ranked` all is the world's.
    """

    model: str = "lmms-lab/llava-onevision-qwen2-7b-ov"
    reward_model: str = "yifanzhang114/MM-RLHF-Reward-7B-llava-ov-qwen"
    data: Path | None = None
    ranked: Ranked | None = None
    output: Path = Path("runs/mm_dpo")
    scale: Literal["exponential", "linear", "matched", "shuffled", "fixed"] = "exponential"
    weight: Proportion = 0.5
    sharpness: Positive = 0.5
    dpo: DPOConfig = field(default_factory=lambda: DPOConfig(sft=0.25))
    lora: Lora | None = None
    hardware: Hardware = field(default_factory=Hardware)
    seed: Number = 0

    def __post_init__(self) -> None:
        require_ranges(self)


def beta_of(config: Config, leads: Sequence[float]) -> Beta:
    """β of every pair, from how much more its better answer scores; `leads` are those of all pairs."""
    told = {"beta": config.dpo.beta, "weight": config.weight, "sharpness": config.sharpness}
    matched = margin_beta(torch.tensor(leads), **told).mean()

    def linear(held: Held) -> torch.Tensor:
        return config.dpo.beta * (1 + config.weight * held.lead_C.clamp(min=0.0))

    forms: dict[str, Beta] = {
        "exponential": lambda held: margin_beta(held.lead_C, **told),
        "shuffled": lambda held: margin_beta(held.lead_C, **told),
        "linear": linear,
        "matched": lambda held: matched.to(held.lead_C),
        "fixed": lambda held: config.dpo.beta,
    }
    return forms[config.scale]


def dealt(pairs: Sequence[AnyGroup], config: Config) -> list[AnyGroup]:
    """The pairs; where that is the control each with the lead of another."""
    if config.scale != "shuffled":
        return list(pairs)
    leads = list(map(lead, pairs))
    random.Random(config.seed).shuffle(leads)
    return [_led(pair, (by, 0.0)) for pair, by in zip(pairs, leads, strict=True)]


def lead(pair: AnyGroup) -> float:
    """δ: how much more the better one scores, which may be less than nothing."""
    better, worse = pair.rewards
    assert isinstance(better, Reward) and isinstance(worse, Reward)
    return better.value - worse.value


def _led(pair: AnyGroup, scores: tuple[float, float]) -> AnyGroup:
    told = zip(pair.rewards, scores, strict=True)
    return replace(pair, rewards=tuple(replace(r, value=v) for r, v in told if isinstance(r, Reward)))


def world_pairs(shop: Shop, config: Ranked, seed: int) -> list[AnyGroup]:
    """Pairs of the world, the one that was preferred first."""
    rng = random.Random(seed)
    found: list[AnyGroup] = []
    for prompt in shop.prompts:
        utilities = shop.utilities_PN[prompt.number].tolist()
        scores = [one + rng.gauss(0, config.noise) for one in utilities]
        for a, b in combinations(rng.sample(range(len(utilities)), config.answers), 2):
            won = rng.random() < 1 / (1 + math.exp(config.sharpness * (utilities[b] - utilities[a])))
            order = (a, b) if won else (b, a)
            found.append(
                Group(
                    prompt=prompt,
                    trajectories=tuple(Pick(answer=one) for one in order),
                    rewards=tuple(Reward(value=scores[one]) for one in order),
                )
            )
    return found


def text_pairs(policy: Any, config: Config) -> list[AnyGroup]:
    """All pairs of different rank, each answer scored once. Raises DataError for one without a score."""
    preferences = _ranked(config)
    scorer = load_scorer(config.reward_model, device=config.hardware.device)
    found: list[AnyGroup] = []
    for preference, scores in zip(preferences, scorer.scores(preferences), strict=True):
        prompt = shown(preference)
        encoded = policy.encode(prompt)
        texts = [one for one in preference.responses if isinstance(one, str)]
        if len(texts) < len(preference.responses):
            raise DataError(f"{preference.name}: a response with a picture cannot be learnt; leave it out")
        done = [Completion(text=t, token_ids=policy.completion(encoded, t)) for t in texts]
        ranks = preference.ranks or ()
        for a, b in combinations(range(len(ranks)), 2):
            if ranks[a] == ranks[b]:
                continue
            order = (a, b) if ranks[a] < ranks[b] else (b, a)
            told = [scores[n] for n in order]
            values = [score for score in told if isinstance(score, float)]
            if len(values) < 2:
                raise DataError(f"{preference.name}: a response has no score ({told}); leave it out")
            found.append(
                Group(
                    prompt=prompt,
                    trajectories=tuple(done[n] for n in order),
                    rewards=tuple(Reward(value=value) for value in values),
                )
            )
    if not found:
        raise DataError(f"{config.data}: no question has two responses of different rank")
    return found


def _ranked(config: Config) -> list[Preference]:
    return [] if config.data is None else list(read_preferences(config.data))


def shown(preference: Preference) -> Prompt:
    """The question as a user's turn."""
    return Prompt.user(preference.question, preference.images)


def prompts(config: Config) -> list[Prompt]:
    """What is trained on; none where no file is named."""
    return [shown(one) for one in _ranked(config)]


def learner(
    module: Savable, family: Family[Any, Any], pairs: Sequence[AnyGroup], figures: Any, config: Config
) -> Learner:
    """DPO on pairs whose reference was asked."""
    shown = dealt(pairs, config)
    beta = beta_of(config, [lead(pair) for pair in pairs])
    return Learner(
        name="policy",
        module=module,
        batches=lambda done: dpo_batches(shown, family.costs, config.dpo, config.seed, done),
        loss=partial(dpo_loss, family.score, beta=beta, sft=config.dpo.sft),
        num_updates=config.dpo.num_updates(len(shown)),
        optim=config.dpo.optim,
        cost=lambda share: share.cost,
        figures=figures,
    )


def run(config: Config, *, resume: bool = False) -> Path:
    """Trains and measures; returns the run folder, with the policy in `policy/`."""
    if config.ranked is None and config.data is None:
        raise ConfigError("data has no value; give a file of ranked answers with --set data=FILE")
    folder = RunFolder(config.output)
    with folder.running(dump(config), resume=resume):
        keep_machine(folder.path, "mm_dpo")
        with stage(folder, STAGE):
            module, family, pairs, figures = _started(config)
            pairs = with_reference(pairs, partial(forced, family))
            say(f"  {len(pairs)} pairs")
            train(
                folder,
                STAGE,
                learner(module, family, pairs, figures, config),
                save_every=config.hardware.save_every,
            )
        write_folder(folder.path / "policy", module.save)
        write(folder.path, _measured(folder, config))
        say(f"report: {write_report(folder.path, tell=say)}")
    return folder.path


def _started(config: Config) -> tuple[Any, Family[Any, Any], list[AnyGroup], Any]:
    """The policy, its family, its pairs and what is measured after each update."""
    if config.ranked is None:
        policy = load_policy(config.model, config.hardware, config.lora)
        return policy, completions(policy), text_pairs(policy, config), None
    shop = Shop(config.ranked.menu, config.seed)
    taste = Taste(shop)
    start_PN = taste.logprobs().detach()

    def figures(update: object) -> dict[str, float]:
        with torch.no_grad():
            now_PN = taste.logprobs()
            kl = float((now_PN.exp() * (now_PN - start_PN)).sum(-1).mean())
        return {"world/gold": taste.utility(), "world/kl": kl}

    return taste, taste.family(), world_pairs(shop, config.ranked, config.seed), figures


def _measured(folder: RunFolder, config: Config) -> list[Figure]:
    """Of the world the utility at the end and where the KL to the start first reached its mark; of texts how
    many pairs the policy has in order."""
    rows = [row for _, row in read_jsonl(folder.path / "metrics.jsonl") if "pairs/accuracy" in row]
    about = "share of the last update's pairs whose better side gained"
    found = [Figure(name="pairs_accuracy", value=rows[-1]["pairs/accuracy"], about=about)]
    if config.ranked is None:
        return found
    path = [(row["world/kl"], row["world/gold"]) for row in rows]
    marked = at(path, config.ranked.kl)
    if marked is not None:
        found.append(Figure(name="gold_at_kl", value=marked, about="the utility at equal KL"))
    return [
        *found,
        Figure(name="gold", value=path[-1][1], about="mean hidden utility of an answer at the end"),
        Figure(name="gold_first", value=path[0][1], about="the same after one update"),
        Figure(name="kl", value=path[-1][0], about="KL to the start at the end, in nats"),
    ]


def at(path: Sequence[tuple[float, float]], mark: float) -> float | None:
    """The second of a path's pairs where its first, between two of them, reaches the mark; None if never."""
    for (x, a), (y, b) in pairwise(path):
        if x <= mark <= y:
            return a if x == y else a + (b - a) * (mark - x) / (y - x)
    return None


def works(config: Config) -> list[Work]:
    """Training as a planner of memory sees it, answers of 512 tokens."""
    update = Update(
        prompts=config.dpo.batch_size, group=2, completion=512, token_budget=config.dpo.token_budget
    )
    rank = None if config.lora is None else config.lora.rank
    return [Work(name=STAGE, update=update, rank=rank, checkpointing=config.hardware.gradient_checkpointing)]


def tiny() -> Config:
    """The world of menus: a second on one core."""
    return Config(
        ranked=Ranked(menu=Menu(num_prompts=60)),
        dpo=DPOConfig(
            epochs=20.0,
            batch_size=60,
            optim=OptimConfig(learning_rate=0.02, schedule="constant", warmup=0.0),
        ),
        hardware=Hardware(device="cpu", save_every=100),
    )


EXPERIMENT = Experiment(
    says="Policies gain 19.5 % in conversation and 60 % in safety from the data with MM-DPO; a β that "
    "follows the policy's own margins is reported as worse. The factor of β is at most 1.5.",
    arms={
        "exponential": Arm(about="the paper's β(δ)"),
        "matched": Arm(about="the mean β(δ) for every pair", changes=("scale=matched",)),
        "shuffled": Arm(about="the β(δ) of another pair", changes=("scale=shuffled",)),
        "linear": Arm(about="β (1 + w δ), as in the released trainer", changes=("scale=linear",)),
        "fixed": Arm(about="plain DPO", changes=("scale=fixed",)),
        "strong": Arm(about="the paper's form with a weight of 1", changes=("weight=1",)),
    },
    figures={
        "gold_at_kl": "mean hidden utility of an answer where the KL to the start is half a nat",
        "gold": "the same at the end",
        "kl": "the KL there",
    },
    claims=(
        Claim(says="The set-up can be learnt: DPO raises the utility", above=0.1, positive=True,
              measure=lambda arms: arms["fixed"]["gold"] - arms["fixed"]["gold_first"],
              control="the policy after one update"),
        Claim(says="At equal KL β(δ) is worth more than its mean for all", above=0.0,
              measure=difference("gold_at_kl", "exponential", "matched"), control="equal mean β"),
        Claim(says="It is worth more than that of another pair", above=0.0,
              measure=difference("gold_at_kl", "exponential", "shuffled"), control="β of another pair"),
        Claim(says="It is worth more than plain DPO", above=0.0, control="β fixed",
              measure=difference("gold_at_kl", "exponential", "fixed")),
        Claim(says="It is worth more than the released linear form", above=0.0, control="β without a bound",
              measure=difference("gold_at_kl", "exponential", "linear")),
        Claim(says="A larger weight is worth more", above=0.0, control="a weight of a half",
              measure=difference("gold_at_kl", "strong", "exponential")),
    ),
    watched=((STAGE, "world/gold"), (STAGE, "world/kl")),
    notes="60 prompts with 5 ranked answers each, 600 pairs, labels drawn by Bradley-Terry from the hidden "
    "utilities, a reward model that errs by half a unit.",
)  # fmt: skip
