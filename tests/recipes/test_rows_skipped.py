import pytest

from stablereward.errors import DataError
from stablereward.recipes.rows import Fault, require_skipped

FAULTS = [
    Fault("unreadable", "f:1", "f:1: not JSON"),
    Fault("tied", "f:3", "f:3: two or more responses are best"),
    Fault("tied", "f:4", "f:4: two or more responses are best"),
    Fault("too_long", "f:9", "f:9: a prompt of 99 tokens"),
]


def test_all_kinds_are_told_at_once_with_their_first_lines() -> None:
    with pytest.raises(DataError) as refused:
        require_skipped(FAULTS, ("unlabelled",), 10)
    said = str(refused.value)
    for part in (
        "unreadable: 1 of 10 rows, first f:1: not JSON",
        "tied: 2 of 10 rows, first f:3:",
        "first f:9:",
    ):
        assert part in said
    assert said.endswith("--set data.skip=[unlabelled,unreadable,tied,too_long]")
    require_skipped(FAULTS, ("unreadable", "tied", "too_long"), 10)
