"""The lab's figures as tables of text, as Markdown and as JSON."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from stablereward.evaluation.tables import grid
from stablereward.lab.arms import about
from stablereward.lab.claims import in_percent, in_points, judged
from stablereward.lab.jobs import Job
from stablereward.lab.outcome import RULE, Outcome
from stablereward.lab.regimes import Regime
from stablereward.lab.study import CALM, Cell, Study
from stablereward.report.quantities import number, percent

INTERVALS = (
    "Accuracy is the mean of both orders, greedy, on the held-out pairs, and its mean over seeds. In "
    "brackets is the 95 % interval of Student's t over seeds, which all start from the same weights: it says "
    "what another order of prompts and other samples would change, not what another cold start would. "
    "Without brackets there is one seed, or all seeds are equal."
)
WORST = (
    "Worst advantage and worst ratio are the largest of all runs: |A| before the filter, and pi / pi_old as "
    "the larger of the ratio and its inverse, before Pre-CLIP."
)


@dataclass(frozen=True, slots=True)
class Table:
    """A caption, a head and rows, all text."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def regime_table(study: Study, regime: str) -> Table:
    """One row an arm."""
    cells = [study.cell(regime, arm) for arm in study.arms(regime)]
    columns: dict[str, Callable[[Cell], str]] = {
        "arm": lambda cell: cell.arm,
        "accuracy": lambda cell: in_percent(cell.accuracy),
        "against its calm result": lambda cell: "–" if cell.change is None else in_points(cell.change),
        "collapsed": lambda cell: f"{cell.collapsed} of {cell.runs}",
        "worst advantage": lambda cell: _number(cell.worst_advantage),
        "largest used": lambda cell: _number(cell.largest_used),
        "worst ratio": lambda cell: _ratio(cell.worst_log_ratio),
        "skipped updates": lambda cell: str(cell.skipped),
        "filtered": lambda cell: percent(cell.filtered),
        "Pre-CLIP": lambda cell: percent(cell.preclip, 2),
        "readable": lambda cell: percent(cell.readable),
    }
    if regime == CALM:
        del columns["against its calm result"]
    pairs = next(iter(study.runs[regime, cells[0].arm].values())).held_out.n
    return Table(
        f"{regime}: {pairs} held-out pairs, the start is at {percent(cells[0].start)}",
        list(columns),
        [[show(cell) for show in columns.values()] for cell in cells],
    )


def contrast_table(study: Study) -> Table | None:
    """StableReinforce minus every other arm, one column a regime."""
    found = {(one.arm, one.regime): one.difference for one in study.contrasts()}
    arms = list(dict.fromkeys(arm for arm, _ in found))
    if not arms:
        return None
    rows = [
        [
            arm,
            *(in_points(found[arm, regime]) if (arm, regime) in found else "–" for regime in study.regimes),
        ]
        for arm in arms
    ]
    return Table(
        "StableReinforce minus the arm, points of accuracy, paired by seed", ["arm", *study.regimes], rows
    )


def noise_table(study: Study) -> Table | None:
    """The referee-noise sweep; None where it was not run."""
    rows = [
        [
            f"{one.consistency_weight:g}",
            "any" if one.consistency_weight == 0 else percent(one.flip, 0),
            str(one.accuracy.n),
            in_percent(one.accuracy),
            "–" if one.consistent is None else in_percent(one.consistent),
        ]
        for one in study.noisy()
    ]
    head = ["consistency weight", "replies exchanged", "seeds", "accuracy", "consistent analyses"]
    return Table("StableReinforce with a referee that errs, calm regime", head, rows) if rows else None


def claims_table(study: Study) -> Table | None:
    """What the runs say of the paper's claims."""
    rows = [[one.claim, one.regime, one.verdict, one.evidence] for one in judged(study)]
    head = ["the claim", "regime", "here", "seen"]
    return Table("The paper's claims", head, rows) if rows else None


def arms_table(study: Study) -> Table:
    """What each arm is."""
    arms = dict.fromkeys(arm for _, arm in study.runs)
    return Table("The arms", ["arm", "what it is"], [[arm, about(arm)] for arm in arms])


def regimes_table(regimes: Sequence[Regime]) -> Table:
    """The settings of each regime."""
    columns: dict[str, Callable[[Regime], object]] = {
        "regime": lambda one: one.name,
        "updates": lambda one: one.rl.num_updates,
        "prompts x samples": lambda one: f"{one.rl.prompts_per_batch} x {one.rl.num_generations}",
        "updates per batch": lambda one: one.rl.updates_per_batch,
        "times each batch": lambda one: one.rl.num_iterations,
        "learning rate": lambda one: f"{one.rl.optim.learning_rate:g}",
        "gradient norm": lambda one: f"{one.rl.optim.max_grad_norm:g}",
        "prompts": lambda one: one.prompts,
        "head start": lambda one: 0 if one.head_start is None else one.head_start.num_updates,
        "what it is": lambda one: one.about,
    }
    rows = [[str(show(one)) for show in columns.values()] for one in regimes]
    return Table("The regimes", list(columns), rows)


def rules(study: Study) -> list[str]:
    """Each claim and the rule that judges it, once."""
    return list(dict.fromkeys(f"{one.claim}. {one.rule}" for one in judged(study)))


def to_markdown(study: Study, regimes: Sequence[Regime]) -> str:
    """All tables, as a page of its own."""
    tables = [regime_table(study, regime) for regime in study.regimes]
    parts = ["# The stability lab: results", INTERVALS, RULE, WORST, *map(_section, tables)]
    contrasts, claims, noise = contrast_table(study), claims_table(study), noise_table(study)
    parts += [_section(one) for one in (contrasts, noise, claims) if one is not None]
    if claims is not None:
        parts.append("\n".join(f"- {rule}" for rule in rules(study)))
    parts += [_section(arms_table(study)), _section(regimes_table(regimes))]
    return "\n\n".join(parts) + "\n"


def to_json(study: Study, found: Mapping[Job, Outcome], regimes: Sequence[Regime]) -> str:
    """The same figures, and every outcome."""
    everything = {
        "regimes": [asdict(regime) for regime in regimes],
        "arms": {arm: about(arm) for arm in dict.fromkeys(arm for _, arm in study.runs)},
        "rule": RULE,
        "cells": [asdict(one) for one in study.cells()],
        "contrasts": [asdict(one) for one in study.contrasts()],
        "noise": [asdict(one) for one in study.noisy()],
        "claims": [asdict(one) for one in judged(study)],
        "runs": [{**asdict(one), "collapsed": one.collapsed} for one in found.values()],
    }
    return json.dumps(everything, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _section(table: Table) -> str:
    return f"## {table.caption}\n\n{grid(table.head, table.rows)}"


def _number(value: float | None) -> str:
    return "–" if value is None else number(value)


def _ratio(log_ratio: float | None) -> str:
    """A ratio from its logarithm; beyond a million as a power of e."""
    if log_ratio is None:
        return "–"
    return number(math.exp(log_ratio)) if log_ratio < math.log(1e6) else f"e^{log_ratio:.1f}"
