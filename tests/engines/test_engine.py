"""What an engine that streams owes its caller."""

from collections import Counter
from pathlib import Path

import pytest

from stablereward.engines.engine import Sampling, StreamingEngine
from stablereward.engines.hf import HFEngine
from stablereward.engines.scripted import Scripted
from stablereward.types import Completion, Failure, Prompt
from tests.policies.families import make

ASKED = [
    Prompt.user(text="A B"),
    Prompt.user(text="a b c d " * 600),
    Prompt.user(text="A"),
    Prompt.user(text="A B C"),
]
SAMPLING = Sampling(num_generations=3, temperature=2.0, max_completion_length=12, seed=5)


@pytest.mark.parametrize("max_batch_tokens", [1, 2**16])
def test_each_completion_is_told_once_and_as_it_is_returned(max_batch_tokens: int, tmp_path: Path) -> None:
    engine = HFEngine(make("llama", tmp_path), max_batch_tokens=max_batch_tokens)
    told: list[tuple[tuple[int, int], Completion]] = []
    returned = engine.stream(ASKED, SAMPLING, lambda place, number, c: told.append(((place, number), c)))
    assert isinstance(engine, StreamingEngine) and returned == engine.sample(ASKED, SAMPLING)
    assert isinstance(returned[1], Failure)
    assert Counter(where for where, _ in told) == Counter((p, k) for p in (0, 2, 3) for k in range(3))
    for (place, number), completion in told:
        group = returned[place]
        assert not isinstance(group, Failure) and group[number] is completion


def test_an_engine_need_not_stream() -> None:
    assert not isinstance(Scripted(lambda prompt, number: "x"), StreamingEngine)
