"""The noisy reader errs as often as it is told to, and is right about everything else."""

import asyncio
import os
import random
import re
import subprocess
import sys

import pytest

from stablereward.data.parsing import Verdict, verdict
from stablereward.data.prompts import r1_reward
from stablereward.data.toy.analyses import Analysis, careful, habitual, looks
from stablereward.data.toy.annotator import NoisyReader, ToyAnnotator
from stablereward.data.toy.pairs import Pair, pairs
from stablereward.engines.engine import Sampling
from stablereward.types import Completion, Failure, Preference, Prompt
from tests.data.toy_oracle import cells, listed

PAIRS = pairs(2400, seed=8)
SCRIPT = """
import asyncio
from stablereward.data.prompts import r1_reward
from stablereward.data.toy.annotator import NoisyReader, ToyAnnotator
from stablereward.data.toy.pairs import pairs
from stablereward.engines.engine import Sampling

preference = (pair := pairs(2400, seed=8)[0]).preference()
annotator = ToyAnnotator(NoisyReader(), {preference.id: pair})
for seed in range(20):
    [[answer]] = asyncio.run(annotator.generate([r1_reward(preference)], Sampling(seed=seed)))
    print(answer.text)
"""


def read(reader: NoisyReader, seed: int = 0) -> list[tuple[Pair, Analysis]]:
    rng = random.Random(seed)
    return [(pair, reader.annotate(pair, rng)) for pair in PAIRS]


def close(count: int, total: int, probability: float) -> bool:
    """Within four standard deviations."""
    return abs(count - total * probability) < 4 * (total * probability * (1 - probability)) ** 0.5


def listing(analysis: Analysis) -> str:
    """What was seen when it looked last."""
    looks_made = re.findall(r"(?:Look|Wait, look again): ([^.]+)\.", analysis.reasoning)
    return str(looks_made[-1])


@pytest.mark.parametrize(
    "reader", [NoisyReader(), NoisyReader(habit=0.2, misreading=0.2, mistake=0.3, self_correction=0.5)]
)
def test_shares_come_out_near_their_probabilities(reader: NoisyReader) -> None:
    made = read(reader)
    careful_ones = [(pair, analysis) for pair, analysis in made if looks(analysis.text)]
    assert close(len(made) - len(careful_ones), len(made), reader.habit)
    mistaken = sum(analysis.choice != pair.right_index for pair, analysis in careful_ones)
    assert close(mistaken, len(careful_ones), reader.mistake)
    corrected = sum("Wait, look again" in analysis.text for _, analysis in careful_ones)
    assert close(corrected, len(careful_ones), reader.self_correction)
    things = misread = 0
    for pair, analysis in careful_ones:
        truth, seen = cells(pair.scene), listed(listing(analysis))
        assert seen.keys() == truth.keys()
        things += len(truth)
        misread += sum(seen[cell] != truth[cell] for cell in truth)
    # Of 24 names, one misreads into the truth.
    assert close(misread, things, reader.misreading * 23 / 24)


def test_without_noise_it_tells_the_truth() -> None:
    sober = NoisyReader(habit=0, misreading=0, mistake=0, self_correction=0)
    for pair, analysis in read(sober)[:100]:
        assert analysis == careful(pair.scene, pair.question, pair.right_index, pair.right_index)
    for pair, analysis in read(NoisyReader(habit=1))[:100]:
        assert analysis == habitual(pair.responses)


def ask(annotator: ToyAnnotator, prompt: Prompt, seed: int, num_generations: int = 1) -> object:
    sampling = Sampling(seed=seed, num_generations=num_generations)
    [answer] = asyncio.run(annotator.generate([prompt], sampling))
    return answer


def test_as_an_engine_it_answers_the_pairs_it_knows() -> None:
    known = {pair.preference().id: pair for pair in PAIRS[:20]}
    annotator = ToyAnnotator(NoisyReader(), known)
    prompts = [r1_reward(pair.preference()) for pair in PAIRS[:20]]
    answers = [ask(annotator, prompt, seed=1, num_generations=3) for prompt in prompts]
    assert answers == [ask(annotator, prompt, seed=1, num_generations=3) for prompt in prompts]
    assert answers != [ask(annotator, prompt, seed=2, num_generations=3) for prompt in prompts]
    assert answers == asyncio.run(annotator.generate(prompts, Sampling(seed=1, num_generations=3)))
    for answer in answers:
        assert isinstance(answer, tuple) and len(answer) == 3
        assert all(isinstance(verdict(completion.text, 2), Verdict) for completion in answer)
    stranger = r1_reward(Preference(question="?", responses=("a", "b"), id="another"))
    for unknown in (stranger, Prompt.user(text="?")):
        failed = ask(annotator, unknown, seed=1)
        assert isinstance(failed, Failure) and failed.reason == "not_a_toy_pair"


def test_what_it_writes_does_not_depend_on_the_process() -> None:
    pair = PAIRS[0]
    annotator = ToyAnnotator(NoisyReader(), {pair.preference().id: pair})
    texts = []
    for seed in range(20):
        answer = ask(annotator, r1_reward(pair.preference()), seed)
        assert isinstance(answer, tuple) and isinstance(answer[0], Completion)
        texts.append(answer[0].text)
    assert len(set(texts)) > 1
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert done.stdout.splitlines() == texts
