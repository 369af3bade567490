"""Published figures, computed again from the files that were published with them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from statistics import fmean

from stablereward.evaluation import leaderboards as printed
from stablereward.evaluation.benchmarks import genai_bench, mj_bench, rewardbench, rm_bench, rmb
from stablereward.evaluation.files import read_document
from stablereward.evaluation.printed import Printed
from stablereward.evaluation.score import score_file
from stablereward.evaluation.tables import Figure, count, grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """A published figure, as printed, and ours; they agree where ours has the printed digits."""

    benchmark: str
    source: str
    figure: str
    published: str
    ours: float

    @property
    def agree(self) -> bool:
        """Whether ours is rounded to what was printed."""
        return Printed.read(self.published).agrees(self.ours)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A file or folder that is there, or a figure of it, and why nothing was compared."""

    source: str
    reason: str


Found = Reproduction | LeftOut

_NO_ROW = "no published row of it is known here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was computed again, and what was not."""

    figures: tuple[Reproduction, ...]
    left_out: tuple[LeftOut, ...]


def reproduce(data_root: Path) -> Outcome:
    """Every published figure whose file lies under the root, in the layout that `docs/benchmarks.md` shows.

    What lies there and cannot be compared is named with the reason.
    Raises `DataError` for a file that should be compared and cannot be read.
    """
    readers = {
        "genai_bench": _genai_bench,
        "judgebench": _judgebench,
        "llmbar": _llmbar,
        "mj_bench": _mj_bench,
        "mmrb2": _mmrb2,
        "pandalm": _pandalm,
        "rm_r1_scores": _rm_r1,
        "wildvision_bench": _wildvision,
    }
    found: list[Found] = [one for name, read in readers.items() for one in read(data_root / name)]
    if data_root.is_dir():
        unknown = sorted(p.name for p in data_root.iterdir() if p.is_dir() and p.name not in readers)
        found += [LeftOut(source=name, reason="no published figures are known here") for name in unknown]
    return Outcome(
        figures=tuple(one for one in found if isinstance(one, Reproduction)),
        left_out=tuple(one for one in found if isinstance(one, LeftOut)),
    )


def to_markdown(outcome: Outcome) -> str:
    """The table of published against ours, with the count of agreements, and what was left out."""
    agreed = sum(one.agree for one in outcome.figures)
    rows = [
        (
            one.benchmark,
            one.source,
            one.figure,
            one.published,
            f"{one.ours:.10g}",
            "yes" if one.agree else "NO",
        )
        for one in outcome.figures
    ]
    head = ("benchmark", "file", "figure", "published", "ours", "agree")
    parts = [f"{agreed} of {len(outcome.figures)} published figures agree.", grid(head, rows)]
    parts += [f"Left out: {one.source}: {one.reason}" for one in outcome.left_out]
    return "\n\n".join(parts)


def to_json(outcome: Outcome) -> str:
    """The same as a JSON object, `figures` and `left_out`."""
    whole = {
        "figures": [{**asdict(one), "agree": one.agree} for one in outcome.figures],
        "left_out": [asdict(one) for one in outcome.left_out],
    }
    return json.dumps(whole, ensure_ascii=False, indent=2)


def _genai_bench(root: Path) -> Iterator[Found]:
    judged: dict[str, dict[str, Path]] = {}
    for path in sorted(root.glob("results/*/*/pairwise.jsonl")):
        judged.setdefault(path.parent.name, {})[path.parents[1].name] = path
    for model, paths in judged.items():
        if model not in printed.GENAI_BENCH:
            yield LeftOut(source=f"GenAI-Bench, {model}", reason=_NO_ROW)
            continue
        figures: list[Figure] = []
        for task in genai_bench.TASKS:
            if task in paths:
                figures += score_file(paths[task], "genai_bench").figures
        published = printed.GENAI_BENCH[model]
        named = dict(zip((*genai_bench.TASKS, "average"), published, strict=True))
        if len(figures) == len(genai_bench.TASKS):
            figures.append(genai_bench.average(figures))
        yield from _compared("GenAI-Bench", model, figures, named)


def _llmbar(root: Path) -> Iterator[Found]:
    """`statistics.json` beside each evaluator's results holds "18 / 46 = 39.1…%", percentages and kappas."""
    for path in sorted(root.glob("**/evaluators/*/*/result.json")):
        statistics, source = path.with_name("statistics.json"), str(path.parent.relative_to(root))
        if not statistics.is_file():
            yield LeftOut(source=f"LLMBar, {source}", reason="no statistics.json beside the results")
            continue
        stored = read_document(statistics, dict[str, str | float])
        named = {
            name: _digits(value) if isinstance(value, float) else value.partition(" / ")[0].rstrip("%")
            for name, value in stored.items()
        }
        yield from _compared("LLMBar", source, score_file(path, "llmbar").figures, named)


def _judgebench(root: Path) -> Iterator[Found]:
    for path in sorted(root.glob("outputs/*.jsonl")):
        parts = dict(part.partition("=")[::2] for part in path.stem.split(","))
        judge, model = parts.get("judge_name"), parts.get("judge_model", path.stem)
        by_gpt_4o = parts.get("response_model", "").startswith("gpt-4o-")
        if by_gpt_4o and judge == "reward_model" and model in printed.JUDGEBENCH:
            named = dict(zip(printed.JUDGEBENCH_COLUMNS, printed.JUDGEBENCH[model], strict=True))
        elif by_gpt_4o and judge == "arena_hard" and model in printed.JUDGEBENCH_PROMPTED:
            named = {"overall": printed.JUDGEBENCH_PROMPTED[model]}
        else:
            yield LeftOut(source=f"JudgeBench, {path.name}", reason=_NO_ROW)
            continue
        yield from _compared("JudgeBench", model, score_file(path, "judgebench").figures, named)


def _wildvision(root: Path) -> Iterator[Found]:
    for path in sorted(root.glob("judgements/*.jsonl")):
        model = path.stem
        if model not in printed.WILDVISION:
            yield LeftOut(source=f"WildVision-Bench, {model}", reason=_NO_ROW)
            continue
        named = dict(zip(printed.WILDVISION_COLUMNS, printed.WILDVISION[model], strict=True))
        if model == printed.WILDVISION_BASELINE:
            del named["score"]
            reason = "the baseline's score is set to 50, not computed from its verdicts"
            yield LeftOut(source=f"WildVision-Bench, {model}, score", reason=reason)
        yield from _compared("WildVision-Bench", model, score_file(path, "wildvision_bench").figures, named)


def _mj_bench(root: Path) -> Iterator[Found]:
    """Files of two scores a row, with the verdicts that follow at the threshold in the file's name."""
    for path in sorted(root.glob("**/*.json")):
        source = str(path.relative_to(root))
        threshold = re.search(r"(\d\.\d+)\.json$", path.name)
        if not threshold:
            reason = "no threshold in its name, so no stored verdicts can be computed again"
            yield LeftOut(source=f"MJ-Bench, {source}", reason=reason)
            continue
        stored_records, _ = mj_bench.read(path)
        records = [record for record in stored_records if len(record.scores) == 2]
        if len(records) < len(stored_records):
            reason = f"{len(stored_records) - len(records)} rows have no two scores"
            yield LeftOut(source=f"MJ-Bench, {source}", reason=reason)
        called = [mj_bench.called(record.scores, float(threshold[1])) for record in records]
        stored = [record.verdict for record in records]
        same = sum(a == b for a, b in zip(called, stored, strict=True))
        figures = [
            count("verdicts", same, len(records)),
            count("ties", called.count(mj_bench.TIE), len(records)),
        ]
        named = {"verdicts": str(len(records)), "ties": str(stored.count(mj_bench.TIE))}
        yield from _compared("MJ-Bench", source, figures, named)


def _mmrb2(root: Path) -> Iterator[Found]:
    for path in sorted(root.glob("sample_task*.json")):
        part = path.stem.removeprefix("sample_task")
        task, published = printed.MMRB2.get(part, ("", ""))
        data = root / f"{task}_response_only.json"
        if not published:
            yield LeftOut(source=f"MMRB2, {path.name}", reason=_NO_ROW)
        elif not data.is_file():
            yield LeftOut(source=f"MMRB2, {path.name}", reason=f"its labels, {data.name}, are not beside it")
        else:
            table = score_file(path, "mmrb2", data=data)
            yield from _compared("MMRB2", path.name, table.figures, {task: published})


def _pandalm(root: Path) -> Iterator[Found]:
    for path in sorted(root.glob("*-testset-v1.json")):
        yield LeftOut(source=f"PandaLM, {path.name}", reason=_NO_ROW)


def _rm_r1(root: Path) -> Iterator[Found]:
    """RM-R1's score files: sections from subsets, totals from domains, means from sections."""
    for folder in sorted(path for path in root.glob("*") if path.is_dir()):
        yield from _rm_r1_rewardbench(folder / "reward_bench/score_result", folder.name)
        yield from _rm_r1_rm_bench(folder / "RM-Bench/final_result.json", folder.name)
        yield from _rm_r1_rmb(folder / "RMB", folder.name)


def _rm_r1_rewardbench(folder: Path, model: str) -> Iterator[Found]:
    subsets, published = folder / "each_small_section_score.json", folder / "main_score.json"
    if not (subsets.is_file() and published.is_file()):
        yield LeftOut(
            source=f"RewardBench, {model}", reason=f"{subsets.name} and {published.name} are not there"
        )
        return
    stored = read_document(published, dict[str, float])
    ours = {f.name: f for f in score_file(subsets, "rewardbench", "scalar").figures}
    others = {"average": "avg_Result_each_section", "micro": "absoluate_Result"}
    for name in (*rewardbench.SECTIONS, *others):
        yield _one(
            "RewardBench", model, name, stored, others.get(name, name), (ours[name].value or 0.0) / 100
        )


def _rm_r1_rm_bench(path: Path, model: str) -> Iterator[Found]:
    if not path.is_file():
        yield LeftOut(source=f"RM-Bench, {model}", reason=f"{path.name} is not there")
        return
    stored = read_document(path, dict[str, float])
    total = score_file(path, "rm_bench").value("total") or 0.0
    yield _one("RM-Bench", model, "total of domains", stored, "total_avg_acc", total / 100)
    difficulties = [stored[part] for part in rm_bench.DIFFICULTIES if part in stored]
    yield _one(
        "RM-Bench", model, "total of difficulties", stored, "total_avg_acc", fmean(difficulties or [0])
    )


def _rm_r1_rmb(folder: Path, model: str) -> Iterator[Found]:
    """RMB: sections from scenarios, and the mean of the four."""
    path = folder / "META_RESULT.json"
    if not path.is_file():
        yield LeftOut(source=f"RMB, {model}", reason=f"{path.name} is not there")
        return
    stored = read_document(path, dict[str, float])
    ours: list[float] = []
    for start, section in rmb.SECTIONS.items():
        scores = folder / f"{start.replace('/', '_')}/score_result/Final_score.json"
        if scores.is_file():
            ours.append((score_file(scores, "rmb").value(section) or 0.0) / 100)
            yield _one("RMB", model, section, stored, section, ours[-1])
        else:
            yield LeftOut(source=f"RMB, {model}, {section}", reason=f"{scores.parent} has no {scores.name}")
    if len(ours) == len(rmb.SECTIONS):
        yield _one("RMB", model, "average", stored, "Accuracy Averaged from Four Sections", fmean(ours))


def _compared(
    benchmark: str, source: str, figures: Sequence[Figure], published: Mapping[str, str]
) -> Iterator[Found]:
    """Our figures beside the published ones of the same names."""
    ours = {figure.name: figure.value for figure in figures}
    for name, text in published.items():
        value = ours.get(name)
        if value is None:
            reason = "published, but nothing here to compute it from"
            yield LeftOut(source=f"{benchmark}, {source}, {name}", reason=reason)
        else:
            yield Reproduction(benchmark=benchmark, source=source, figure=name, published=text, ours=value)


def _one(
    benchmark: str, source: str, figure: str, stored: Mapping[str, float], key: str, ours: float
) -> Found:
    if key not in stored:
        return LeftOut(source=f"{benchmark}, {source}, {figure}", reason=f"the file of totals has no {key!r}")
    text = _digits(stored[key])
    return Reproduction(benchmark=benchmark, source=source, figure=figure, published=text, ours=ours)


def _digits(value: float) -> str:
    """All digits of a float that was stored in full, never with an exponent."""
    return f"{Decimal(repr(value)):f}"
