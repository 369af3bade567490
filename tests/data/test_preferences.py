"""Preference files: read what others wrote, write what reads back, and say where a bad row is."""

import json
import resource
from pathlib import Path

import pytest
from PIL import Image

from stablereward.data import preferences as module
from stablereward.data.preferences import read_preferences, write_preferences
from stablereward.errors import ConfigError, DataError, StorageError
from stablereward.images import load_image
from stablereward.types import Message, Preference, ToolCall, pictured

DATA = Path(__file__).parents[3] / "shared" / "data"
ROW = {"question": "Q?", "responses": ["x", "y"], "best": 0}
PREFERENCES = [
    Preference(question="Q?", responses=("x", "y"), ranks=(0, 1), id="1", category="c", extra={"k": "v"}),
    Preference(question="", responses=("é\n\t ", "日本🎨", "\\n\u2028"), ranks=(1, 0, 1)),
    Preference(question="no label", responses=("x", "y")),
    Preference(question="tie", responses=("x", "y"), ranks=(0, 0)),
    Preference(
        question="And?",
        responses=("x", "y"),
        history=(
            Message("system", ("Be brief.",)),
            Message("user", ("Who", "", "?")),
            Message("assistant", (), (ToolCall("find", {"name": "日本", "most": [1, None]}, "1"),)),
            Message("tool", ("Nobody.",), tool_call_id="1"),
            Message("bot", ("Nobody.",)),
        ),
    ),
]


def test_responses_of_pictures_are_written_and_read_back(tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (2, 2)).save(tmp_path / name)
    a, b = tmp_path / "a.png", tmp_path / "b.png"
    forms = [{"image": "a.png"}, {"frames": ["a.png", "b.png"]}, ["See", {"image": "b.png"}, "?"], "text"]
    path = lines(tmp_path / "in.jsonl", {"question": "Q?", "responses": forms, "ranks": [0, 1, 2, 3]})
    [read] = read_preferences(path)
    assert read.responses == (pictured(a), pictured(a, b), pictured("See", b, "?"), "text")
    write_preferences(tmp_path / "out.jsonl", [read])
    assert list(read_preferences(tmp_path / "out.jsonl")) == [read]
    red = Image.new("RGB", (2, 2), "red")
    before = (Message("user", ("Like", red)),)
    memory = Preference(question="Q?", responses=(pictured(red), "text"), history=before)
    write_preferences(tmp_path / "memory.jsonl", [memory])
    [read] = read_preferences(tmp_path / "memory.jsonl")
    assert [load_image(one, "").getpixel((0, 0)) for one in read.all_images] == [(255, 0, 0)] * 2
    b.unlink()
    assert "b.png' does not exist" in refusal(path)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"picture": "a.png"}, "holds what is neither text nor picture"),
        ({"image": ""}, "names no picture"),
        ([], "is an empty response"),
        ([" "], "is an empty response"),
        ({"image": "https://a.b/c.png"}, "is remote and is not fetched"),
        ({"image": "a.mp4"}, "is not decoded"),
    ],
)
def test_a_response_that_is_neither_text_nor_picture_is_refused(tmp_path, form, said):
    path = lines(tmp_path / "in.jsonl", {"question": "Q?", "responses": ["x", form]})
    found = refusal(path)
    assert "responses[1]" in found and said in found


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        list(read_preferences(path, **options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_jsonl_json_and_parquet_hold_the_same(tmp_path):
    expected = [Preference(question="Q?", responses=("x", "y"), ranks=(0, 1))] * 3
    jsonl = lines(tmp_path / "a.jsonl", ROW, ROW, ROW)
    array = tmp_path / "a.json"
    array.write_text(json.dumps([ROW] * 3, indent=1))
    loose = lines(tmp_path / "b.json", ROW, ROW, ROW)
    for path in (jsonl, array, loose):
        assert list(read_preferences(path)) == expected
        assert list(read_preferences(path, limit=2)) == expected[:2]


def test_parquet_with_an_image_inside(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet needs the extra 'data'")
    parquet = pytest.importorskip("pyarrow.parquet")
    Image.new("RGB", (4, 4), "red").save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    row = {"prompt": "Q?", "chosen": "x", "rejected": "y", "image": {"bytes": content, "path": "gone.png"}}
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.Table.from_pylist([row] * 40), path)
    read = list(read_preferences(path))
    assert len(read) == 40
    assert read[39].images[0].getpixel((0, 0)) == (255, 0, 0)
    path.write_bytes(path.read_bytes()[:-9])
    assert "not a readable Parquet file" in refusal(path)


def test_blank_lines_and_a_byte_order_mark_are_no_rows(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(ROW).encode() + b"\r\n\n  \n" + json.dumps(ROW).encode())
    assert len(list(read_preferences(path))) == 2


def test_the_format_can_be_named(tmp_path):
    row = {"question": "Q?", "responses": ["x", "y"], "best": 0, "chosen": "good", "rejected": "bad"}
    path = lines(tmp_path / "a.jsonl", row)
    assert next(read_preferences(path)).responses == ("x", "y")
    assert next(read_preferences(path, format="chosen_rejected")).responses == ("good", "bad")
    with pytest.raises(ConfigError, match="did you mean sharegpt"):
        read_preferences(path, format="share_gpt")
    with pytest.raises(ConfigError, match=r"^there is no format 'fo' \(stablereward, "):
        read_preferences(path, format="fo")


def test_image_paths_start_at_the_file_or_at_images_root(tmp_path):
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (2, 2)).save(tmp_path / "pictures" / "a.png")
    beside = lines(tmp_path / "a.jsonl", {**ROW, "images": ["pictures/a.png"]})
    rooted = lines(tmp_path / "b.jsonl", {**ROW, "images": ["a.png"]})
    assert next(read_preferences(beside)).images == (tmp_path / "pictures/a.png",)
    assert next(read_preferences(rooted, images_root=tmp_path / "pictures")).images == (
        tmp_path / "pictures/a.png",
    )
    assert "b.jsonl:1: image" in (message := refusal(rooted)) and "images_root" in message
    assert next(read_preferences(rooted, require_images=False)).images == (tmp_path / "a.png",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"question": "Q?"', "a.jsonl:2: not JSON (Expecting"),
        (b"[1]", "a.jsonl:2: a row is list"),
        (b"\xff", "a.jsonl:2: not UTF-8"),
        (b"[" * 100_000, "a.jsonl:2: JSON that cannot be read"),
        (b'{"question": "Q?", "responses": ["x"]}', "a.jsonl:2: field 'responses'"),
        (
            b'{"question": "Q?", "responses": ["x", ""]}',
            "a.jsonl:2: field 'responses[1]' is an empty response",
        ),
        (b'{"question": "\\ud800", "responses": ["x", "y"]}', "a.jsonl:2: field 'question' holds half"),
        (b'{"question": "Q?", "responses": ["x", "y"], "images": ["http://a/b.png"]}', "a.jsonl:2: image"),
        (
            b'{"question": "Q?", "responses": ["x", "y"], "images": ["data:,"]}',
            "a.jsonl:2: not an image data",
        ),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path, content, message):
    path = tmp_path / "a.jsonl"
    path.write_bytes(json.dumps(ROW).encode() + b"\n" + content + b"\n")
    assert message in refusal(path)


def test_a_deeply_nested_image_field_is_refused(tmp_path):
    nested = json.dumps({**ROW, "images": 0}).replace('"images": 0', '"images": ' + "[" * 900 + "]" * 900)
    path = tmp_path / "a.jsonl"
    path.write_text(nested)
    assert "nested too deeply" in refusal(path)


def test_files_that_are_no_preference_files(tmp_path):
    assert "no known format has the fields a, b" in refusal(lines(tmp_path / "a.jsonl", {"a": 1, "b": 2}))
    assert "convert it" in refusal(lines(tmp_path / "a.csv", ROW))
    assert "cannot be read" in refusal(tmp_path / "absent.jsonl")
    (tmp_path / "folder.jsonl").mkdir()
    assert "cannot be read" in refusal(tmp_path / "folder.jsonl")
    (tmp_path / "bad.json").write_text("[1,")
    assert "bad.json: not JSON" in refusal(tmp_path / "bad.json")
    assert list(read_preferences(lines(tmp_path / "empty.jsonl"))) == []


def test_rows_and_arrays_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_ROW_BYTES", 100)
    monkeypatch.setattr(module, "MAX_ARRAY_BYTES", 100)
    long = {**ROW, "question": "Q" * 100}
    assert "a.jsonl:2: row longer than" in refusal(lines(tmp_path / "a.jsonl", ROW, long))
    assert "larger than" in refusal(lines(tmp_path / "a.json", [long]))
    with pytest.raises(DataError, match="row longer than"):
        write_preferences(tmp_path / "b.jsonl", [Preference(question="Q" * 100, responses=("x", "y"))])


def test_jsonl_is_streamed(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(ROW) + "\nnot JSON\n")
    stream = read_preferences(path)
    assert next(stream).best == 0
    with pytest.raises(DataError, match=r"a\.jsonl:2"):
        next(stream)


def test_law_what_is_written_reads_back(tmp_path):
    path = tmp_path / "new" / "a.jsonl"
    write_preferences(path, PREFERENCES)
    assert list(read_preferences(path)) == PREFERENCES
    write_preferences(path, read_preferences(path))
    assert list(read_preferences(path)) == PREFERENCES


def test_images_are_written_once_and_read_back(tmp_path):
    picture = Image.effect_noise((8, 8), 50).convert("RGBA")
    outside = tmp_path / "outside.png"
    picture.save(outside)
    path = tmp_path / "out" / "a.jsonl"
    write_preferences(
        path,
        [
            Preference(question="1", responses=("x", "y"), images=(picture, outside)),
            Preference(question="2", responses=("x", "y"), images=(picture,)),
        ],
    )
    first, second = read_preferences(path)
    assert first.images[0] == second.images[0] and first.images[1] == outside
    assert load_image(first.images[0], "row").tobytes() == picture.convert("RGB").tobytes()
    (png,) = (tmp_path / "out" / "images").iterdir()
    assert json.loads(path.read_text().splitlines()[0])["images"] == [f"images/{png.name}", str(outside)]
    (tmp_path / "out").rename(tmp_path / "moved")
    assert len(list(read_preferences(tmp_path / "moved" / "a.jsonl"))) == 2


@pytest.mark.parametrize(
    ("preference", "message"),
    [
        (Preference(question="Q?", responses=("x",)), "a.jsonl:1: field 'responses'"),
        (Preference(question="Q?", responses=("x", "")), "empty response"),
        (Preference(question="\ud800", responses=("x", "y")), "lone surrogate"),
        (Preference(question="Q?", responses=("x", "y"), ranks=(0,)), "'ranks'"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(tmp_path, preference, message):
    path = tmp_path / "a.jsonl"
    write_preferences(path, PREFERENCES)
    with pytest.raises(DataError, match=message):
        write_preferences(path, [preference])
    assert list(read_preferences(path)) == PREFERENCES
    assert [file.name for file in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_full_disk_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "a.jsonl"
    write_preferences(path, PREFERENCES)
    long = [Preference(question="Q" * 1000, responses=("x", "y"))] * 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(StorageError, match=r"a\.jsonl: cannot be written"):
            write_preferences(path, long)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(read_preferences(path)) == PREFERENCES
    assert [file.name for file in tmp_path.iterdir()] == ["a.jsonl"]


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        write_preferences(tmp_path / "file" / "a.jsonl", PREFERENCES)
    with pytest.raises(DataError, match=r"end the name with \.jsonl"):
        write_preferences(tmp_path / "a.json", PREFERENCES)


@pytest.mark.parametrize(
    ("name", "num", "best"),
    [
        ("llama_factory_demo/dpo_en_demo.json", 300, 0),
        ("llama_factory_demo/v1_dpo_demo.jsonl", 10, 0),
        ("r1_reward/VL-RewardBench/data.jsonl", 1250, 0),
        ("r1_reward/MM-RLHF-RewardBench/mm_reward_bench.jsonl", 170, 0),
    ],
)
def test_published_files(name, num, best):
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"shared data file {name} is not here")
    read = list(read_preferences(path, require_images=False))
    assert len(read) == num
    assert {preference.best for preference in read} == {best}


def test_two_publications_of_vl_rewardbench_agree():
    ours, theirs = (
        DATA / "r1_reward/VL-RewardBench/data.jsonl",
        DATA / "unified_reward/VL-RewardBench/data.json",
    )
    if not (ours.is_file() and theirs.is_file()):
        pytest.skip("the two shared copies of VL-RewardBench are not here")

    def labels(path: Path) -> list[tuple[str, str, str]]:
        read = read_preferences(path, require_images=False)
        return sorted((p.id, p.question, p.responses[p.best]) for p in read)

    assert labels(ours) == labels(theirs)
