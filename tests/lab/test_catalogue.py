"""The table of all systems: a part stands behind its whole and is not one of them."""

from types import ModuleType

from stablereward.lab.catalogue import PARTS, STUDIES, SYSTEMS, entries
from stablereward.lab.recipe import with_experiments
from stablereward.lab.recipe_page import catalogue


def test_a_part_is_told_of_and_not_counted() -> None:
    part, (whole, _, lacks) = next(iter(PARTS.items()))
    there = [(part, ModuleType(part)), ("tokens/raft", ModuleType("raft"))]
    found = entries(there, {})
    names = [one.name for one in found]
    assert names.index(part) == names.index(whole) + 1
    lines = catalogue(found).splitlines()
    assert f"{1 + len(STUDIES)} of {len(SYSTEMS)} systems" in lines[4]
    [row] = [line for line in lines if line.startswith(f"| {whole.partition('/')[2]} |")]
    assert f"planned: {lacks}" in row and part.partition("/")[2] in row


def test_a_part_that_is_not_there_changes_nothing() -> None:
    found = entries([], {})
    assert [one.name for one in found] == list(SYSTEMS)
    assert not any(one.lacks for one in found)
    assert {one.name for one in found if one.there} == STUDIES.keys()


def test_every_recipe_is_a_system_or_a_part_of_one() -> None:
    assert len(SYSTEMS) == 51
    assert all(name in SYSTEMS or name in PARTS for name, _ in with_experiments())
    assert all(whole in SYSTEMS and part not in SYSTEMS for part, (whole, *_) in PARTS.items())
