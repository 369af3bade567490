"""GradeSQL (https://arxiv.org/abs/2509.01308): a model that says yes to right queries picks among candidates.

    question, schema → N candidates → each run on sqlite → right where its rows are the gold query's
    training: "Question: … SQL: … Is the SQL correct?" → Yes or No, the answer's tokens alone
    choosing: first what ran and returned something, then the highest P(Yes) / (P(Yes) + P(No))

Kept of a question are its right candidates, and as wrong ones those that ran; a question without both is left
out. `balanced` keeps as many of one as of the other, as the first of the released trainers does; the second
keeps all. Candidates are those of the file: sample them with any generator, 32 at temperature 0.8.

Traps of the released code, none of them the default here. It writes up to five tokens and takes P(Yes) of the
whole vocabulary, 0 for a No and ½ for neither, so that rejected candidates cannot be told apart (`generated`
measures that beside ours). It compares rows as lists, so that their order matters (`ordered`). It cuts at 512
tokens, and the answer stands at the end, so a long schema loses it (here such a row ends the run); its loss
is of the whole sequence, padding included.

Status: toy-verified (docs/recipes/grade_sql.md); the full scale is untested.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

from stablereward.config import dump
from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.errors import ConfigError, DataError
from stablereward.judges.selection import Score, best_of, tiered, voted
from stablereward.judges.yes_no import YesNo
from stablereward.lab.experiment import Arm, Claim, Experiment, difference, level
from stablereward.policies.token import TokenPolicy
from stablereward.ranges import Count, Number, Positive, require_ranges
from stablereward.recipes.stages import Hardware, Lora, cold_start, load_policy, stage
from stablereward.report.report import write_report
from stablereward.rewards.sql import Database, Rows, execution_score, same_rows
from stablereward.runs.figures import Figure, write
from stablereward.runs.folder import RunFolder, read_jsonl
from stablereward.runs.machine import keep_machine
from stablereward.runs.progress import say
from stablereward.training.imitation import SFTConfig
from stablereward.training.optim import OptimConfig
from stablereward.training.planning import Update, Work
from stablereward.types import Completion, Failure, Prompt
from stablereward.worlds.queries.base import blank
from stablereward.worlds.queries.questions import candidates, database, questions

YES, NO = "Yes", "No"


class Task(NamedTuple):
    """A question on a database, with what was written to answer it and the query that does."""

    question: str
    schema: str
    database: Database
    gold: str
    candidates: tuple[str, ...]


class Tried(NamedTuple):
    """A task with what each candidate returned, how far it got (0, ½, 1), and whether it is right."""

    task: Task
    outcomes: tuple[Rows | Failure, ...]
    ran: tuple[float, ...]
    right: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The released settings of the 7B model: 50 epochs of batches of 5, adapters of rank 16.

    `data` has rows of "question", "schema", "database" (a sqlite file beside it), "sql" and "candidates", of
    which a tenth is held out. With `shop` all is the world's, a blank model too: that many questions.
    """

    model: str = "seeklhy/OmniSQL-7B"
    data: Path | None = None
    shop: Count | None = None
    output: Path = Path("runs/grade_sql")
    balanced: bool = True
    ordered: bool = False
    shuffled: bool = False
    seconds: Positive = 30.0
    training: SFTConfig = field(
        default_factory=lambda: SFTConfig(
            epochs=50.0, batch_size=5, optim=OptimConfig(learning_rate=7e-5, weight_decay=0.01)
        )
    )
    lora: Lora | None = field(default_factory=lambda: Lora(rank=16, alpha=64))
    hardware: Hardware = field(default_factory=Hardware)
    seed: Number = 0

    def __post_init__(self) -> None:
        require_ranges(self)


def asked(question: str, schema: str, query: str) -> Prompt:
    """What the judge is asked of a candidate, in the released words."""
    told = "\n".join((question, schema, question)) if schema else question
    return Prompt.user(f"Question: {told}\nSQL: {query}\nIs the SQL correct?")


def tasks(config: Config, *, held_out: bool = False) -> list[Task]:
    """Those to train on, or those to measure on. Raises DataError for a row that is not one."""
    if config.shop is not None:
        shop, num = database(config.seed), max(1, config.shop // 10) if held_out else config.shop
        made = questions(num, seed=config.seed, held_out=held_out)
        return [Task(q.question, "", shop, q.sql, tuple(candidates(q, 32, seed=config.seed))) for q in made]
    if config.data is None:
        return []
    found = [_task(row, where, config) for where, row in read_jsonl(config.data)]
    random.Random(config.seed).shuffle(found)
    apart = max(1, len(found) // 10)
    return found[:apart] if held_out else found[apart:]


def prompts(config: Config) -> list[Prompt]:
    """What is trained on; none where no file is named."""
    return [asked(task.question, task.schema, text) for task in tasks(config) for text in task.candidates]


def _task(row: object, where: object, config: Config) -> Task:
    assert config.data is not None
    if not isinstance(row, dict):
        raise DataError(f"{where}: not an object; write one a row")
    texts = [row.get(name) for name in ("question", "schema", "database", "sql")]
    written = row.get("candidates")
    listed = isinstance(written, list) and all(isinstance(text, str) for text in written)
    if not all(isinstance(text, str) for text in texts) or not listed or not written:
        raise DataError(
            f"{where}: needs the texts question, schema, database and sql, and a list of candidates"
        )
    question, schema, path, gold = map(str, texts)
    return Task(question, schema, _opened(config.data.parent / path, config.seconds), gold, tuple(written))


@cache
def _opened(path: Path, seconds: float) -> Database:
    return Database.open(path, seconds=seconds)


def tried(found: Sequence[Task], *, ordered: bool = False) -> list[Tried]:
    """Every candidate run; without the tasks whose gold query returns nothing.

    Raises DataError for a gold query that fails.
    """
    made = []
    for task in found:
        wanted = task.database.run(task.gold)
        if isinstance(wanted, Failure):
            raise DataError(f"the gold query {task.gold[:80]!r} fails: {wanted.detail}; mend it or its time")
        known = {text: task.database.run(text) for text in dict.fromkeys(task.candidates)}
        outcomes = tuple(known[text] for text in task.candidates)
        ran = tuple(map(execution_score, outcomes))
        right = tuple(
            e == 1 and same_rows(outcome, wanted, ordered=ordered)
            for e, outcome in zip(ran, outcomes, strict=True)
        )
        if execution_score(wanted) == 1:
            made.append(Tried(task, outcomes, ran, right))
    return made


def labelled(shown: Sequence[Tried], config: Config) -> list[tuple[Prompt, str]]:
    """Each question's candidates with the word to say, every text once."""
    rng = random.Random(config.seed)
    found: list[tuple[Prompt, str]] = []
    for task, _, ran, right in shown:
        verdicts = {text: fine for text, e, fine in zip(task.candidates, ran, right, strict=True) if e >= 0.5}
        sides = [[text for text, fine in verdicts.items() if fine is side] for side in (True, False)]
        if not all(sides):
            continue
        least = min(map(len, sides)) if config.balanced else None
        found += [
            (asked(task.question, task.schema, text), word)
            for side, word in zip(sides, (YES, NO), strict=True)
            for text in rng.sample(side, len(side))[:least]
        ]
    if config.shuffled:
        words = [word for _, word in found]
        rng.shuffle(words)
        found = [(prompt, word) for (prompt, _), word in zip(found, words, strict=True)]
    return found


def generated(policy: TokenPolicy, shown: Sequence[Prompt]) -> list[Score]:
    """The released score: of the first Yes or No of five greedy tokens P(Yes) or 0; ½ where none is."""
    words = {policy.vocabulary.ids(word)[0]: word for word in (YES, NO, f" {YES}", f" {NO}")}
    outputs = HFEngine(policy).sample(shown, Sampling(temperature=0.0, max_completion_length=5))
    return [one if isinstance(one, Failure) else _first_word(one[0], words) for one in outputs]


def _first_word(written: Completion, words: Mapping[int, str]) -> float:
    for number, logprob in zip(written.token_ids, written.logprobs, strict=True):
        if number in words:
            return math.exp(logprob) if words[number].strip() == YES else 0.0
    return 0.5


def measured(policy: TokenPolicy, held_out: Sequence[Tried]) -> list[Figure]:
    """The share of questions for which each way of choosing takes a right candidate, among the first N."""
    shown = {(t.task.question, c): asked(t.task.question, t.task.schema, c)
             for t in held_out for c in t.task.candidates}  # fmt: skip
    shares = YesNo(policy=policy, prompt=lambda one, text: asked(one.question, "", str(text))).shares(
        list(shown.values())
    )
    scores = dict(zip(shown, shares, strict=True))
    released = dict(zip(shown, generated(policy, list(shown.values())), strict=True))
    largest = max(len(t.task.candidates) for t in held_out)
    found = []
    for num in (2**power for power in range(largest.bit_length())):
        counts = dict.fromkeys(ABOUT, 0)
        for one in held_out:
            for way, place in _choices(one, num, scores, released).items():
                counts[way] += place is not None and one.right[place]
            counts["pass"] += any(one.right[:num])
        found += [
            Figure(name=f"{way}_{num}", value=count / len(held_out), about=f"{ABOUT[way]} of {num}",
                   n=len(held_out))
            for way, count in counts.items()
        ]  # fmt: skip
    return [*found, _told_apart(held_out, scores)]


ABOUT = {
    "orm": "share of questions answered rightly: by the judge, among what ran,",
    "orm_alone": "the same by the judge, whatever ran,",
    "released": "the same by the released score, among what ran,",
    "first": "the same by the first that ran,",
    "majority": "the same by a vote of the rows returned,",
    "pass": "the same where any counts,",
}

Key = tuple[str, str]


def _choices(
    one: Tried, num: int, scores: Mapping[Key, Score], released: Mapping[Key, Score]
) -> dict[str, int | None]:
    """The candidate that each way takes of the first `num`."""
    keys = [(one.task.question, text) for text in one.task.candidates[:num]]
    ran, own = one.ran[:num], [scores[key] for key in keys]
    answers = [o if e == 1 else None for o, e in zip(one.outcomes, ran, strict=False)]
    return {
        "orm": tiered(ran, own),
        "orm_alone": best_of(own),
        "released": tiered(ran, [released[key] for key in keys]),
        "first": tiered(ran, [0.0] * len(ran)),
        "majority": voted([None if isinstance(o, Failure) else o for o in answers]),
    }


def _told_apart(held_out: Sequence[Tried], scores: Mapping[Key, Score]) -> Figure:
    """Of all pairs of a right and a wrong candidate to a question, those that the judge has in order."""
    right = pairs = 0.0
    for one in held_out:
        verdicts = {text: fine for text, fine in zip(one.task.candidates, one.right, strict=True)}
        known = {text: scores[one.task.question, text] for text in verdicts}
        for a, good in verdicts.items():
            for b, bad in verdicts.items():
                x, y = known[a], known[b]
                if good and not bad and isinstance(x, float) and isinstance(y, float):
                    right += (x > y) + 0.5 * (x == y)
                    pairs += 1
    about = "share of pairs of a right and a wrong candidate that the judge has in order"
    return Figure(name="told_apart", value=right / max(pairs, 1), about=about, n=int(pairs))


def run(config: Config, *, resume: bool = False) -> Path:
    """Trains and measures; returns the run folder, in which `cold_start/` is the judge."""
    if config.shop is None and config.data is None:
        raise ConfigError("data has no value; give a file of questions with queries with --set data=FILE")
    folder = RunFolder(config.output)
    with folder.running(dump(config), resume=resume):
        keep_machine(folder.path, "grade_sql")
        model = config.model if config.shop is None else blank(folder.path / "blank", seed=config.seed)
        with stage(folder, "data"):
            shown = labelled(tried(tasks(config), ordered=config.ordered), config)
            held_out = tried(tasks(config, held_out=True), ordered=config.ordered)
            if not shown or not held_out:
                raise DataError("no question has both a right candidate and a wrong one that ran")
            say(f"  {len(shown)} candidates to learn from, {len(held_out)} questions held out")
        with stage(folder, "cold_start"):
            judge = cold_start(
                folder, model, shown, config.training, config.hardware, config.lora, config.seed
            )
        with stage(folder, "measurement"):
            write(folder.path, measured(load_policy(judge, config.hardware, None), held_out))
        say(f"report: {write_report(folder.path, tell=say)}")
    return folder.path


def works(config: Config) -> list[Work]:
    """Training as a planner of memory sees it."""
    update = Update(
        prompts=config.training.batch_size, group=1, completion=2, token_budget=config.training.token_budget
    )
    rank = None if config.lora is None else config.lora.rank
    checkpointing = config.hardware.gradient_checkpointing
    return [Work(name="cold_start", update=update, rank=rank, checkpointing=checkpointing)]


def tiny() -> Config:
    """The shop, from a blank model: half a minute on one core."""
    return Config(
        model="sums",
        shop=2500,
        lora=None,
        training=SFTConfig(
            epochs=6.0,
            batch_size=32,
            optim=OptimConfig(learning_rate=3e-3, warmup=0.05, final=0.05),
        ),
        hardware=Hardware(device="cpu", save_every=500),
    )


EXPERIMENT = Experiment(
    says="With 32 candidates of OmniSQL-7B the judge answers 4.33 more of BIRD and 2.10 more of Spider than "
    "the first candidate that runs, and 2.91 and 0.93 more than a vote of the rows returned.",
    arms={
        "orm": Arm(about="the judge"),
        "shuffled": Arm(about="a judge taught with labels dealt at random", changes=("shuffled=true",)),
    },
    figures={
        "told_apart": "share of pairs of a right and a wrong candidate that the judge has in order",
        "orm_32": "share of held-out questions answered rightly by the judge, among what ran of 32",
        "orm_alone_32": "the same, whatever ran",
        "released_32": "the same by the released score, among what ran",
        "orm_4": "the same by ours, of 4 candidates",
        "first_32": "the first that ran",
        "majority_32": "a vote of the rows returned",
        "pass_32": "any of 32",
    },
    claims=(
        Claim(says="The set-up can tell: there is more to have than the first that runs has", above=0.1,
              measure=lambda arms: arms["orm"]["pass_32"] - arms["orm"]["first_32"], positive=True,
              control="the first that runs"),
        Claim(says="The judge learns: it tells right from wrong on other questions", above=0.6,
              measure=level("told_apart", "orm"), positive=True, control="chance, 0.5"),
        Claim(says="It beats the first that runs", above=0.0, control="the first that runs",
              measure=lambda arms: arms["orm"]["orm_32"] - arms["orm"]["first_32"]),
        Claim(says="It beats a vote of the rows", above=0.0, control="the vote",
              measure=lambda arms: arms["orm"]["orm_32"] - arms["orm"]["majority_32"]),
        Claim(says="More candidates help", above=0.0, control="4 candidates",
              measure=lambda arms: arms["orm"]["orm_32"] - arms["orm"]["orm_4"]),
        Claim(says="Taught with shuffled labels it is no better than the first that runs", below=0.05,
              measure=lambda arms: arms["shuffled"]["orm_32"] - arms["shuffled"]["first_32"],
              control="labels dealt at random"),
        Claim(says="The labels are what helps", above=0.0, measure=difference("orm_32", "orm", "shuffled"),
              control="labels dealt at random"),
        Claim(says="To look first at what ran helps", above=0.0, control="the judge alone",
              measure=lambda arms: arms["orm"]["orm_32"] - arms["orm"]["orm_alone_32"]),
        Claim(says="The share of a yes chooses better than the released score", above=0.0,
              measure=lambda arms: arms["orm"]["orm_32"] - arms["orm"]["released_32"],
              control="the released score, by the same judge"),
    ),
    watched=(("cold_start", "loss"),),
    notes="Candidates are the writer's of the world; to half of the questions he has a favourite mistake. "
    "Two wrong queries may return the same rows, and a wrong one the right rows: then it counts as right. "
    "The judge has half a minute. In a larger world, before these runs and on another seed, 2,500 updates "
    "in place of 776 brought pairs in order from .72 to .85 and 32 candidates from .23 to .51, where the "
    "first that ran had .42 and the vote .66: best-of-N finds what a judge has not learnt.",
)  # fmt: skip
