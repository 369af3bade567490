"""What judging costs."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from stablereward.engines.engine import Sampling
from stablereward.errors import DataError, StorageError
from stablereward.evaluation.cost import Counting, Metered, read
from stablereward.judges.controls import always_first
from stablereward.judges.generative import Generative
from stablereward.types import Completion, Failure, Preference, Prompt

PAIRS = [Preference(question=q, responses=("a", "b"), ranks=(0, 1)) for q in ("long", "odd", "bad")]


class Writer:
    """Two tokens without a verdict; nothing at all where the question is bad."""

    async def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> list[tuple[Completion, ...] | Failure]:
        written = (Completion(text="no", token_ids=(1, 2), finished=False),) * sampling.num_generations
        return [Failure(reason="bad_prompt") if p.text == "bad" else written for p in prompts]


def shown(preference: Preference) -> Prompt:
    return Prompt.user(text=preference.question)


def test_tokens_count_for_every_judgement_and_time_is_shared(tmp_path: Path) -> None:
    path = tmp_path / "cost.jsonl"
    counting = Counting(Writer(), length=lambda prompt: len(prompt.text))
    judge = Metered(Generative(engine=counting, prompt=shown), path, lambda: counting.tokens)
    for part in (PAIRS[:1], PAIRS[1:]):
        asyncio.run(judge.opinions(part, votes=3, both_orders=True))
    # Eighteen judgements, six of them on no prompt: 6 x 4 + 6 x 3 tokens read, 12 x 2 written.
    cost = read(path)
    assert cost is not None and cost.judgements == 18 and 0 <= cost.seconds < 1
    assert (cost.prompt_tokens, cost.completion_tokens) == pytest.approx((42 / 18, 24 / 18))


def test_a_judge_that_tells_no_tokens_has_its_time_alone(tmp_path: Path) -> None:
    path = tmp_path / "cost.jsonl"
    asyncio.run(Metered(always_first, path).opinions(PAIRS))
    cost = read(path)
    assert cost is not None and (cost.judgements, cost.prompt_tokens, cost.completion_tokens) == (
        3,
        None,
        None,
    )


def test_a_torn_line_is_left_out_and_another_file_refused(tmp_path: Path) -> None:
    path = tmp_path / "cost.jsonl"
    assert read(path) is None
    path.write_text('{"judgements":2,"seconds":3.0}\n{"judgem')
    cost = read(path)
    assert cost is not None and (cost.judgements, cost.seconds) == (2, 1.5)
    for line in ("{}", '{"judgements":2,"seconds":-1}', '{"judgements":-2,"seconds":1}', "\xff"):
        path.write_text('{"judgements":2,"seconds":3.0}\n' + line + "\n", encoding="latin-1")
        with pytest.raises(DataError, match=r"cost\.jsonl:2: not costs of a measurement"):
            read(path)
    with pytest.raises(StorageError, match="cannot be written"):
        asyncio.run(Metered(always_first, tmp_path).opinions(PAIRS))
