"""Rows that cannot be trained on: refused with their lines, or left out and counted where that is asked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from stablereward.data.preferences import Unreadable
from stablereward.errors import DataError
from stablereward.runs.progress import say
from stablereward.types import Preference

Kind = Literal["unreadable", "unlabelled", "tied", "too_long"]
KINDS: tuple[Kind, ...] = ("unreadable", "unlabelled", "tied", "too_long")
"""No preference or no image can be read; nobody says which response is best; two are; beyond the context."""
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row; `reason` begins with `where`."""

    kind: Kind
    where: str
    reason: str


def sorted_out(rows: Iterable[Preference | Unreadable]) -> tuple[list[Preference], list[Fault]]:
    """The rows with one best response, and what is wrong with the others."""
    sound: list[Preference] = []
    faults: list[Fault] = []
    for row in rows:
        if isinstance(row, Unreadable):
            faults.append(Fault("unreadable", row.where, str(row.error)))
        elif row.ranks is None:
            faults.append(
                Fault("unlabelled", row.where, f"{row.where}: no label says which response is best")
            )
        elif row.best is None:
            faults.append(Fault("tied", row.where, f"{row.where}: two or more responses are best"))
        else:
            sound.append(row)
    return sound, faults


def require_skipped(faults: Sequence[Fault], skip: Sequence[Kind], num: int, what: str = "rows") -> None:
    """Raises DataError where faults, of `num` rows looked at, have kinds not in `skip`; names all."""
    wrong = {kind: found for kind, found in by_kind(faults).items() if kind not in skip}
    if len(wrong) > 1:
        told = "; ".join(
            f"{kind}: {len(f)} of {num} {what}, first {f[0].reason}" for kind, f in wrong.items()
        )
        skips = ",".join((*skip, *wrong))
        raise DataError(f"{told}; mend the file, or leave all of these out with --set data.skip=[{skips}]")
    for kind, found in by_kind(faults).items():
        if kind not in skip:
            more = (
                f" (and {len(found) - 1} more of {num} {what}: {_places(found[1:])})"
                if len(found) > 1
                else ""
            )
            raise DataError(
                f"{found[0].reason}{more}; mend the file, or leave out what is {kind} with "
                f"--set data.skip=[{','.join((*skip, kind))}]"
            )


def tell(faults: Sequence[Fault], num: int, what: str = "rows") -> None:
    """Says how many rows of each kind are left out, and which are the first."""
    for kind, found in by_kind(faults).items():
        say(f"  left out as {kind}, as data.skip says: {len(found)} of {num} {what} ({_places(found)})")


def by_kind(faults: Sequence[Fault]) -> dict[Kind, list[Fault]]:
    """The faults of each kind that there is."""
    found = {kind: [fault for fault in faults if fault.kind == kind] for kind in KINDS}
    return {kind: some for kind, some in found.items() if some}


def _places(found: Sequence[Fault]) -> str:
    return ", ".join(fault.where for fault in found[:SHOWN]) + (", …" if len(found) > SHOWN else "")
