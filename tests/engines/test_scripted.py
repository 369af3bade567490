import asyncio

from stablereward.engines.engine import Engine, Sampling
from stablereward.engines.scripted import Scripted
from stablereward.types import Completion, Failure, Prompt


def test_each_generation_is_what_the_function_writes() -> None:
    engine: Engine = Scripted(lambda prompt, k: f"{prompt.text}{k}")
    answers = asyncio.run(
        engine.generate([Prompt.user(text="a"), Prompt.user(text="b")], Sampling(num_generations=2))
    )
    assert answers == [
        (Completion(text="a0"), Completion(text="a1")),
        (Completion(text="b0"), Completion(text="b1")),
    ]


def test_a_failure_stays_in_its_place() -> None:
    down = Failure(reason="down")
    engine = Scripted(lambda prompt, k: down if prompt.text == "bad" and k == 1 else "fine")
    prompts = [Prompt.user(text="good"), Prompt.user(text="bad"), Prompt.user(text="good")]
    first, second, third = asyncio.run(engine.generate(prompts, Sampling(num_generations=2)))
    assert second == down
    assert first == third == (Completion(text="fine"), Completion(text="fine"))
