"""Whether there is anything to learn from: rewards that differ from those they are held against."""

from collections.abc import Mapping
from typing import Any

from stablereward.runs.folder import RunFolder
from stablereward.runs.progress import say

FLAT_COLLECTIONS = 10
"""So many collections in a row whose rewards do not vary are said once."""


class Signal:
    """Whether rewards still vary: without that nothing is learnt, and no rule is broken.

    Says so once after `FLAT_COLLECTIONS` in a row, and at the end of a stage that ends like this or had no
    other collection. `whole` updates share a collection.
    """

    def __init__(self, run: RunFolder, stage: str, whole: int = 1) -> None:
        self.run, self.stage, self.whole = run, stage, whole
        self.flat, self.varied, self.told = 0, False, False

    def notes(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {"flat": self.flat, "varied": self.varied, "told": self.told}

    def recall(self, notes: Mapping[str, Any]) -> None:
        """Goes on from the notes of a checkpoint; from none where it has none."""
        self.flat, self.varied = notes.get("flat", 0), notes.get("varied", False)
        self.told = notes.get("told", False)

    def watch(self, update: int, metrics: Mapping[str, float]) -> None:
        """Counts a collection at the first of its updates; stages without collections have no such metric."""
        flat = metrics.get("advantages/flat")
        if flat is None or (update - 1) % self.whole:
            return
        self.flat = self.flat + 1 if flat else 0
        self.varied = self.varied or not flat
        if self.flat >= FLAT_COLLECTIONS and not self.told:
            self._event(update)
            self._say()

    def ended(self, update: int) -> None:
        """The stage is over after this update."""
        if self.flat == 0 or (self.varied and self.flat < FLAT_COLLECTIONS):
            return
        if not self.told:
            self._event(update)
        self._say()

    def _event(self, update: int) -> None:
        self.told = True
        self.run.event("no_signal", stage=self.stage, update=update, collections=self.flat)

    def _say(self) -> None:
        say(
            f"  {self.stage}: in the last {self.flat} collections no reward differed from those it is held "
            "against, so nothing was learnt from them; look at rollouts/ and the parts of the reward"
        )
