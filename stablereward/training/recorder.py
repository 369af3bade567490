"""The flight recorder: how every quantity of an update was spread, which tokens a bound decided, which
sample failed first.

`distributions.jsonl` has one line an update and, like `metrics.jsonl`, no clock in it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from stablereward.objectives.objective import Objective
from stablereward.runs.folder import RunFolder
from stablereward.training.collect import Collected
from stablereward.training.collection import NOT_FINITE
from stablereward.training.policy_gradient import Observed
from stablereward.training.samples import sample_name
from stablereward.types import Failure, Group, Reward

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
DIGITS = 6
"""Significant digits of what is written."""
MAX_DETAIL = 300

Flags = dict[str, list[int]]
"""For each kind of bound the steps of a trajectory that it decided; kinds without any are left out."""

Describe = Callable[[Any], Mapping[str, float]]
"""`Family.describe`."""


class Recorder:
    """Hears what the forward passes of an update say, and writes it down when the update is made."""

    def __init__(self, run: RunFolder, stage: str, describe: Describe) -> None:
        self.run, self.stage, self.describe = run, stage, describe
        self._heard: list[Observed] = []
        self._samples: tuple[Collected | None, dict[str, Tensor]] = (None, {})

    def observe(self, said: Observed) -> None:
        """Takes a micro-batch; for `policy_loss`. Tensors stay where they are until the update is made."""
        self._heard.append(said)

    def forget(self) -> None:
        """The update is made again: what was heard of it does not count."""
        self._heard.clear()

    def record(self, update: int, collected: Collected) -> dict[str, float]:
        """Writes the update's line; returns its extremes, for `metrics.jsonl`."""
        if self._samples[0] is not collected:
            self._samples = (collected, _of_samples(collected, self.describe))
            self._tell_failures(update, collected.groups)
        tokens = self._tokens()
        self._heard.clear()
        quantities = {**self._samples[1], **tokens}
        spreads = {name: spread(values) for name, values in quantities.items()}
        self.run.record({"stage": self.stage, "update": update, "quantities": spreads})
        figures = {}
        log_ratio = tokens.get("policy/log_ratio", torch.empty(0))
        if len(log_ratio):
            figures["policy/ratio_max"] = float(log_ratio.max().double().exp())
            figures["policy/log_ratio_max"] = float(log_ratio.abs().max())
        return figures

    def flags(self, objective: Objective) -> dict[int, Flags]:
        """For each row of the update the places of the tokens in the loss that a bound decided."""
        found: dict[int, Flags] = {}
        for said in self._heard:
            log_ratio_BT = torch.where(said.share.mask_BT, said.logprobs_BT - said.old_logprobs_BT, 0.0)
            ratio_BT = objective.ratio(log_ratio_BT, said.share.mask_BT)
            clipped = objective.surrogate.clipped(ratio_BT, said.share.advantages_BT)
            kinds = {
                "low": clipped.low_BT,
                "high": clipped.high_BT,
                "preclip": objective.ratio.clipped(log_ratio_BT, said.share.mask_BT),
                "dual": clipped.dual_BT,
            }
            rows = said.share.rows_B.tolist()
            for kind, decided_BT in kinds.items():
                for place, token in (decided_BT & (said.share.weights_BT > 0)).nonzero().tolist():
                    found.setdefault(rows[place], {}).setdefault(kind, []).append(token)
        return found

    def _tokens(self) -> dict[str, Tensor]:
        """Of every token of the update, on the CPU."""
        if not self._heard:
            return {}
        log_ratio, entropy, gap = [], [], []
        for said in self._heard:
            mask_BT = said.share.mask_BT
            log_ratio.append((said.logprobs_BT - said.old_logprobs_BT)[mask_BT])
            if said.entropy_BT is not None:
                entropy.append(said.entropy_BT[mask_BT])
            gap.append((said.logprobs_BT - said.share.engine_logprobs_BT)[mask_BT])
        together = {"policy/log_ratio": log_ratio, "policy/entropy": entropy, "policy/engine_gap": gap}
        return {name: torch.cat(values).float().cpu() for name, values in together.items() if values}

    def _tell_failures(self, update: int, groups: Sequence[Group[Any, Any]]) -> None:
        """An event for the first failed sample of each reason; metrics have the counts."""
        told = {NOT_FINITE.reason}
        for prompt, group in enumerate(groups):
            for number, outcome in enumerate(group.rewards):
                if isinstance(outcome, Failure) and outcome.reason not in told:
                    told.add(outcome.reason)
                    self.run.event(
                        "failed_sample",
                        stage=self.stage,
                        update=update,
                        sample=sample_name(groups, (prompt, number)),
                        reason=outcome.reason,
                        detail=outcome.detail[:MAX_DETAIL],
                    )


def spread(values: Tensor) -> dict[str, Any]:
    """Count, mean, population deviation and quantiles of the finite values; how many others there are.

    Quantiles are interpolated between the values around them, as NumPy does by default.
    """
    finite = values[values.isfinite()].double()
    count = len(finite)
    rest: dict[str, Any] = {"not_finite": len(values) - count} if count < len(values) else {}
    if count == 0:
        return {"count": 0, **rest}
    ordered = finite.sort().values
    places = torch.tensor(QUANTILES, dtype=torch.float64) * (count - 1)
    below, above = places.floor().long(), places.ceil().long()
    quantiles = torch.lerp(ordered[below], ordered[above], places - below)
    mean, std = float(finite.mean()), float(finite.std(correction=0))
    shown = [_short(value) for value in quantiles.tolist()]
    return {"count": count, "mean": _short(mean), "std": _short(std), "quantiles": shown, **rest}


def _of_samples(collected: Collected, describe: Describe) -> dict[str, Tensor]:
    rewards = [r for group in collected.groups for r in group.rewards if isinstance(r, Reward)]
    described = [describe(t) for group in collected.groups for t in group.trajectories]
    lists: Mapping[str, Sequence[float]] = {
        "reward": [reward.value for reward in rewards],
        **{
            f"reward/{part}": [reward.parts[part] for reward in rewards if part in reward.parts]
            for part in sorted({part for reward in rewards for part in reward.parts})
        },
        "advantages": [a for group in collected.advantages for a in group if a is not None],
        **{name: [one[name] for one in described] for name in (described[0] if described else {})},
    }
    return {name: torch.tensor(values, dtype=torch.float32) for name, values in lists.items()}


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
