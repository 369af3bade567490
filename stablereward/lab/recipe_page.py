"""The page of a recipe and the table of all, as Markdown made from the code and its evidence."""

import ast
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stablereward.lab.evidence import ArmEvidence, Evidence
from stablereward.lab.experiment import Experiment, Tested
from stablereward.lab.pictures import arm_charts
from stablereward.lab.statistics import Mean, mean_of
from stablereward.report.quantities import number

SOURCE = "<!-- Made by `stablereward lab`; change the recipe or run it again instead of this page. -->\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A recipe as its page needs it. `name` is "family/name"; `docstring` is its module's."""

    name: str
    docstring: str
    source: str
    experiment: Experiment

    @classmethod
    def of(cls, name: str, module: Any) -> "Subject":
        return cls(
            name=name,
            docstring=inspect.getdoc(module) or "",
            source=inspect.getsource(module),
            experiment=module.EXPERIMENT,
        )

    @property
    def short(self) -> str:
        return self.name.rpartition("/")[2]

    @property
    def title(self) -> str:
        return self.docstring.partition("\n")[0]


def page(subject: Subject, evidence: Evidence | None) -> str:
    """The page `docs/recipes/NAME.md`. Without evidence it says what would be tested."""
    first, _, rest = subject.docstring.partition("\n")
    parts = [
        SOURCE,
        f"# {subject.short}\n",
        f"{first}\n",
        f"{rest.rstrip().lstrip(chr(10))}\n",
        "## What the paper says\n",
        f"{subject.experiment.says}\n",
        "## Run it\n",
        f"```sh\nstablereward train {subject.short} --tiny            # minutes on two cores\n"
        f"stablereward train {subject.short} --dry-run         # the paper's settings\n"
        f"stablereward lab {subject.short} --seeds 5           # the evidence below\n```\n",
    ]
    if new := new_names(subject.source):
        parts.append(f"New in code: {', '.join(f'`{name}`' for name in new)}.\n")
    parts += _evidence(subject, evidence) if evidence else [_planned(subject.experiment)]
    if subject.experiment.notes:
        parts += ["## Notes\n", f"{subject.experiment.notes}\n"]
    return "\n".join(parts)


def new_names(source: str) -> list[str]:
    """The functions and classes that a recipe's module defines, without what every recipe has."""
    usual = {"Config", "run", "tiny", "prompts", "works"}
    nodes = ast.parse(source).body
    return [
        node.name
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and node.name not in usual
        and not node.name.startswith("_")
    ]


def _planned(experiment: Experiment) -> str:
    rows = [[claim.says, claim.threshold, claim.control] for claim in experiment.claims]
    return "## Claims, not yet tested\n\n" + table(["claim", "threshold", "control"], rows)


def _evidence(subject: Subject, evidence: Evidence) -> list[str]:
    experiment = subject.experiment
    tested = evidence.tested(experiment)
    seeds = max(len(arm.seeds) for arm in evidence.arms.values())
    versions = ", ".join(f"{name} {version}" for name, version in evidence.versions.items())
    parts = [
        "## Claims\n",
        "Thresholds are older than the runs. An interval is the 95 % interval of Student's t over "
        f"{seeds} seeds; a claim is shown where all of it lies beyond the threshold, refuted where all of it "
        "lies short of it.\n",
        table(
            ["claim", "measured", "threshold", "verdict", "control"],
            [_row(one) for one in tested],
        ),
        "## Arms\n",
        table(
            ["arm", "what it is", *experiment.figures],
            [
                [f"`{name}`", arm.about, *(_figure(arm, figure) for figure in experiment.figures)]
                for name, arm in evidence.arms.items()
            ],
        ),
        "\n".join(f"- **{name}**: {about}" for name, about in experiment.figures.items()) + "\n",
    ]
    parts += [
        f"![{curve.partition(' ')[2]} of every arm]({picture_name(subject.short, number)})\n"
        for number, curve in enumerate(curves(evidence))
    ]
    parts.append(
        f"Made by `{evidence.command}` at {evidence.commit} on {evidence.machine}: "
        f"{evidence.minutes:.1f} process minutes ({versions}). All arms and seeds: "
        f"[{subject.short}.json](../../evidence/{subject.name}.json).\n"
    )
    return parts


def _row(tested: Tested) -> list[str]:
    claim = tested.claim
    unit = f" {claim.unit}" if claim.unit else ""
    measured = "–" if tested.mean is None else interval(tested.mean) + unit
    says = f"{claim.says} *(tests the set-up)*" if claim.positive else claim.says
    return [says, measured, claim.threshold, f"**{tested.verdict}**", claim.control]


def _figure(arm: ArmEvidence, figure: str) -> str:
    values = arm.figures.get(figure)
    return "–" if values is None else interval(mean_of(values))


def interval(mean: Mean) -> str:
    """A mean with its interval."""
    if mean.low is None or mean.high is None:
        return number(mean.value)
    return f"{number(mean.value)} [{number(mean.low)}, {number(mean.high)}]"


def curves(evidence: Evidence) -> list[str]:
    """The names of the curves that any arm has."""
    return list(
        dict.fromkeys(name for arm in evidence.arms.values() for name, curve in arm.curves.items() if curve)
    )


def picture(evidence: Evidence, name: str) -> str:
    """One curve of every arm as an SVG file: means over the seeds."""
    arms = {arm: evidence.arms[arm].curves.get(name, ()) for arm in evidence.arms}
    return arm_charts(
        {arm: dict(curve) for arm, curve in arms.items() if curve}, title=name.partition(" ")[2]
    )


def picture_name(short: str, number: int) -> str:
    """The file of a recipe's curve."""
    return f"{short}.svg" if number == 0 else f"{short}-{number + 1}.svg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the table. `own`: a recipe of no paper of the family; `part`: of a part of one, not counted.

    `study` is a page in place of its own; `lacks` says what is to come of a system of which a part is there.
    """

    name: str
    family: str
    paper: str
    idea: str
    tested: Sequence[Tested] = ()
    there: bool = False
    study: str = ""
    own: bool = False
    part: bool = False
    lacks: str = ""


def catalogue(entries: Sequence[Entry]) -> str:
    """The page `docs/recipes/README.md`: the systems of the family, then recipes of no paper among them."""
    systems = [entry for entry in entries if not entry.own]
    own = [[_linked(one), one.family, one.idea, _said(one)] for one in entries if one.own]
    counted = [entry.there for entry in systems if not entry.part]
    rows = [[_linked(one), one.family, one.paper, one.idea, _said(one)] for one in systems]
    head = ["recipe", "family", "paper", "idea", "claims"]
    text = (
        f"{SOURCE}\n# Recipes\n\n{sum(counted)} of {len(counted)} systems are there. Each is one file; its "
        "page has the claim, the control and the figures.\n\n" + table(head, rows)
    )
    return text + ("\n## Own\n\n" + table(["recipe", "family", "idea", "claims"], own) if own else "")


def _linked(entry: Entry) -> str:
    name = entry.name.rpartition("/")[2]
    return f"[{name}]({entry.study or f'{name}.md'})" if entry.there else name


def _said(entry: Entry) -> str:
    """How many claims have which verdict."""
    if entry.study:
        return f"[a study]({entry.study})"
    verdicts: Mapping[str, int] = {
        verdict: sum(one.verdict == verdict for one in entry.tested)
        for verdict in ("shown", "not shown", "refuted", "unknown")
    }
    said = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items() if count)
    return said or ("no evidence yet" if entry.there else _planned_for(entry))


def _planned_for(entry: Entry) -> str:
    return f"planned: {entry.lacks}" if entry.lacks else "planned"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "".join("| " + " | ".join(line) + " |\n" for line in cells)
