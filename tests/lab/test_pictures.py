"""The curves of many arms: told apart without colours, none flattened by another's scale."""

import xml.etree.ElementTree as ET

from stablereward.lab.pictures import arm_charts

SVG = "{http://www.w3.org/2000/svg}"


def panels(drawn: str) -> dict[str, ET.Element]:
    root = ET.fromstring(drawn)
    return {str(group.findtext(f"{SVG}text")): group for group in root.findall(f"{SVG}g")}


def paths(panel: ET.Element, cls: str) -> list[str]:
    return [one.attrib["d"] for one in panel.iter(f"{SVG}path") if one.attrib["class"].split()[0] == cls]


def test_an_arm_a_panel_with_the_others_behind_it() -> None:
    curves = {f"arm {n}": {1.0: 0.0, 2.0: float(n + 1)} for n in range(14)}
    found = panels(arm_charts({**curves, "arm 0": {1.0: 3.0, 2.0: 14.0}}, title="reward"))
    assert len(found) == 14 and "arm 3: 4" in found
    assert all(len(paths(one, "line")) == 1 and len(paths(one, "other")) == 13 for one in found.values())
    assert paths(found["arm 3: 4"], "line")[0] in paths(found["arm 5: 6"], "other")


def test_an_arm_of_another_scale_has_its_own_axis_and_says_so() -> None:
    curves = {"plain": {1.0: 1.0, 2.0: 2.0}, "less": {1.0: 1.0, 2.0: 1.5}, "exp": {1.0: 30.0, 2.0: 60.0}}
    with_it, without = (
        panels(arm_charts(one, title="reward")) for one in (curves, {**curves, "exp": {1.0: 1.0}})
    )
    assert list(with_it) == ["plain: 2", "less: 1.5", "exp (own axis): 60"]
    assert paths(with_it["plain: 2"], "line") == paths(without["plain: 2"], "line")
    assert not paths(with_it["exp (own axis): 60"], "other")


def test_names_and_titles_are_text() -> None:
    assert "<b>" not in arm_charts({"<b>": {1.0: 1.0}}, title="<b>")
