"""A collection of rollouts whose referee takes its time, asked while others are written or afterwards.

python -m performance.referee --latency 0.3 --at-once 32
"""

import argparse
import asyncio
import json
import threading
import time
from collections.abc import Sequence
from statistics import median

from stablereward.data.prompts import r1_reward
from stablereward.data.toy.pairs import pairs
from stablereward.engines.engine import Engine, Sampling
from stablereward.engines.hf import HFEngine
from stablereward.engines.http import OpenAIServer
from stablereward.objectives.named import stable_reinforce
from stablereward.policies.token import TokenPolicy
from stablereward.recipes.completions import completion_collector
from stablereward.rewards.reward import Sample
from stablereward.training.policy_gradient import RLConfig
from stablereward.types import Completion, Failure, Prompt, Reward

PROMPTS, SAMPLES, LENGTH = 32, 8, 96
ANSWER = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "1"}, "finish_reason": "stop"}]
}


class Afterwards:
    """An engine that says nothing before all is written."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> list[tuple[Completion, ...] | Failure]:
        return await self.engine.generate(prompts, sampling)


def start_referee(latency: float) -> str:
    """A server on the loopback that answers every request after `latency` seconds; its address."""
    loop, body = asyncio.new_event_loop(), json.dumps(ANSWER).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
                await asyncio.sleep(latency)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", 0))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--latency", type=float, default=0.3, help="seconds of one answer")
    parser.add_argument("--at-once", type=int, default=32, help="requests under way")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    policy = TokenPolicy.load("toy", device="cpu")
    referee = OpenAIServer(
        base_url=start_referee(options.latency), model="referee", max_concurrency=options.at_once, timeout=60
    )

    async def reward(sample: Sample) -> Reward | Failure:
        [said] = await referee.generate([Prompt.user(text=sample.completion.text)], Sampling())
        return said if isinstance(said, Failure) else Reward(value=float(said[0].text))

    config = RLConfig(
        num_updates=options.rounds + 1,
        prompts_per_batch=PROMPTS,
        num_generations=SAMPLES,
        updates_per_batch=1,
        max_completion_length=LENGTH,
        max_concurrency=PROMPTS * SAMPLES,
    )
    asked = [r1_reward(pair.preference()) for pair in pairs(PROMPTS, seed=3)]
    engines: dict[str, Engine] = {
        "while others are written": HFEngine(policy),
        "afterwards": Afterwards(HFEngine(policy)),
    }
    collections = {
        name: completion_collector(policy, engine, reward, stable_reinforce(), config).batches(asked, seed=0)
        for name, engine in engines.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(options.rounds + 1):
        for name, batches in collections.items():
            start = time.perf_counter()
            next(batches)
            seconds[name].append(time.perf_counter() - start)
    for name, found in seconds.items():
        warm = found[1:]
        print(f"{name}: {median(warm):.2f} s ({min(warm):.2f}-{max(warm):.2f})")


if __name__ == "__main__":
    main()
