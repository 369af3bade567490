"""From opinions to a vote. Pure functions.

Laws: swapping the responses swaps the verdict; failures never count; the order of opinions never matters.
"""

from collections.abc import Callable, Iterable
from fractions import Fraction

from stablereward.errors import DataError
from stablereward.judges.protocol import Opinion
from stablereward.types import Failure, Judgement, Vote

Ballot = Callable[[Judgement, int], tuple[Fraction, ...]]
"""What one opinion gives to each of so many responses; fractions, because a tie must be exact."""


def one_voice(judgement: Judgement, num_responses: int) -> tuple[Fraction, ...]:
    """All opinions count the same: the majority."""
    return tuple(Fraction(i == judgement.choice) for i in range(num_responses))


def by_confidence(judgement: Judgement, num_responses: int) -> tuple[Fraction, ...]:
    """The choice gets the opinion's confidence: a majority that the surer ones weigh more in.

    Raises `DataError` where the opinion has no confidence, as `by_probability` does.
    """
    sure = _confidence(judgement)
    return tuple(sure if i == judgement.choice else Fraction(0) for i in range(num_responses))


def by_probability(judgement: Judgement, num_responses: int) -> tuple[Fraction, ...]:
    """The choice gets its probability p, the others share 1 - p: the mean P(best), for two the mean P(first).

    That the rest of the probability belongs to the other responses is an assumption: the judge may have had
    something else to write in mind.
    """
    sure = _confidence(judgement)
    rest = (1 - sure) / (num_responses - 1)
    return tuple(sure if i == judgement.choice else rest for i in range(num_responses))


def vote(opinions: Iterable[Opinion], num_responses: int, *, ballot: Ballot = one_voice) -> Vote:
    """The majority of the valid opinions, or what another `ballot` makes of them; a tie has no choice.

    The orders shown weigh equally, so that a habit of preferring a position cancels even when more
    opinions failed in one order than in the other: `probabilities[i]` is the mean over the orders of the
    share that `i` got. With one order that is the plain majority (Voting@K of R1-Reward, section 5).
    An order in which every opinion failed has no say.
    """
    opinions = tuple(opinions)
    judgements = tuple(opinion for opinion in opinions if isinstance(opinion, Judgement))
    by_order: dict[tuple[int, ...], list[tuple[Fraction, ...]]] = {}
    for judgement in judgements:
        by_order.setdefault(judgement.order, []).append(ballot(judgement, num_responses))
    sums = [[sum(column, Fraction(0)) for column in zip(*given, strict=True)] for given in by_order.values()]
    heard = [one for one in sums if any(one)]
    shares = [sum((one[i] / sum(one) for one in heard), Fraction(0)) for i in range(num_responses)]
    top = max(shares)
    return Vote(
        choice=shares.index(top) if heard and shares.count(top) == 1 else None,
        probabilities=tuple(float(share / max(len(heard), 1)) for share in shares),
        judgements=judgements,
        failures=tuple(opinion for opinion in opinions if isinstance(opinion, Failure)),
    )


def confidence(vote: Vote) -> float:
    """The share of valid opinions behind the choice, in (0, 1]; 0 without a choice."""
    return 0.0 if vote.choice is None else vote.probabilities[vote.choice]


def _confidence(judgement: Judgement) -> Fraction:
    if judgement.confidence is None:
        raise DataError(
            "an opinion has no confidence, for its judge gives none; count opinions as one voice each"
        )
    # The decimal as it is written, so that 0.4 and 0.6 make 1.
    return Fraction(str(judgement.confidence))
