"""What a reader must know before the first figure: what the page lacks, and a run that had no signal."""

from collections.abc import Sequence

from stablereward.report.curves import stage_name, values_of
from stablereward.report.markup import UNSEEN, Html, el
from stablereward.report.quantities import plural
from stablereward.report.run import Run

MAX_NAMED = 4
MAX_LENGTH = 160
FLAT = 1e-9
"""A standard deviation of rewards below this is none."""


def left_out(run: Run) -> str:
    """What the page of a run leaves out, in one line; empty where nothing is."""
    if not run.notices:
        return ""
    named = [
        UNSEEN.sub("\N{REPLACEMENT CHARACTER}", " ".join(one.split())) for one in run.notices[:MAX_NAMED]
    ]
    more = len(run.notices) - len(named)
    rest = f"; and {plural(more, 'more notice')}, see Events" if more else ""
    return f"Not all of this run could be read: {'; '.join(one[:MAX_LENGTH] for one in named)}{rest}."


def no_signal(run: Run) -> str:
    """That the rewards of a stage never varied, from its event or from its figures; empty where they did."""
    for event in run.events:
        if event["event"] == "no_signal":
            return _told(str(event.get("stage", "")), f"by update {str(event.get('update', '?'))[:20]}")
    for track, spreads in values_of(run, "reward/std").items():
        if all(abs(spread) < FLAT for _, spread in spreads):
            return _told(track.stage, f"in all of {plural(len(spreads), 'update')}")
    return ""


def _told(stage: str, when: str) -> str:
    where = f"{stage_name(stage)[:60]}: " if stage else ""
    return (
        f"{where}the rewards did not vary {when}, so there was nothing to learn from. Look at the rollouts: "
        "are all completions unreadable, all wrong, or all right?"
    )


def alerts(runs: Sequence[Run]) -> Html | None:
    """The warnings of all runs, each with its run's name where there are several."""
    told = [
        el("p", el("b", f"{run.name}: ") if len(runs) > 1 else None, text, cls="alert")
        for run in runs
        for text in (no_signal(run), left_out(run))
        if text
    ]
    return el("div", *told, role="note", aria_label="Warnings", cls="alerts") if told else None
