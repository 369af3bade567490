import asyncio

import pytest

from stablereward.engines.engine import Sampling
from stablereward.engines.scripted import Scripted
from stablereward.lab.noise import Flipped, lot
from stablereward.types import Failure, Prompt

PROMPTS = [Prompt.user(text=f"analysis {i}") for i in range(2000)]


def replies(flip: float, reply: str | Failure = "1") -> list[str | Failure]:
    engine = Flipped(Scripted(lambda prompt, index: reply), flip)
    outputs = asyncio.run(engine.generate(PROMPTS, Sampling()))
    return [output if isinstance(output, Failure) else output[0].text for output in outputs]


@pytest.mark.parametrize("flip", [0.1, 0.2, 0.4])
def test_so_many_replies_are_exchanged(flip):
    # Four standard deviations of a share of 2000.
    assert replies(flip).count("0") / 2000 == pytest.approx(flip, abs=4 * (flip * (1 - flip) / 2000) ** 0.5)
    assert replies(flip, "0").count("1") == replies(flip).count("0")


def test_the_text_decides_and_more_noise_exchanges_the_same_and_others():
    assert replies(0.2) == replies(0.2)
    few, many = ({i for i, r in enumerate(replies(flip)) if r == "0"} for flip in (0.1, 0.4))
    assert few < many
    assert min(lot(p.text) for p in PROMPTS) >= 0 and max(lot(p.text) for p in PROMPTS) < 1


def test_without_noise_nothing_changes():
    assert set(replies(0.0)) == {"1"}


def test_what_is_no_opinion_passes():
    assert set(replies(1.0, "maybe")) == {"maybe"}
    assert {r.reason for r in replies(1.0, Failure(reason="unreachable")) if isinstance(r, Failure)} == {
        "unreachable"
    }
