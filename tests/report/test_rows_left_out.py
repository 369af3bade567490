from pathlib import Path

from report.sample import write_run
from stablereward.report.report import write_report
from stablereward.runs.files import to_jsonl


def test_rows_left_out_are_counted_by_kind_and_escaped(tmp_path: Path) -> None:
    write_run(tmp_path)
    assert 'id="left-out"' not in write_report(tmp_path).read_text()
    rows = [{"kind": "tied", "where": f"f:{n}", "reason": f"f:{n}: <b>two</b> are best"} for n in range(5)]
    (tmp_path / "left_out.jsonl").write_text(to_jsonl([*rows, {"kind": "too_long", "reason": "f:9: long"}]))
    page = write_report(tmp_path).read_text()
    section = page.partition('id="left-out"')[2].partition("</section>")[0]
    assert "too long" in section and "f:9: long" in section and "<td>5</td>" in section
    assert "f:2: &lt;b&gt;two" in section and "f:3:" not in section
