"""A model that always gives its verdict, a file in R1-Reward's published form, a referee that can be dead."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from zlib import crc32

import pytest
import torch

from stablereward.data.prompts import r1_reward
from stablereward.data.toy.pairs import pairs
from stablereward.policies.completions import Demonstrations, completions
from stablereward.policies.token import TokenPolicy
from stablereward.training.fit import fit
from stablereward.training.imitation import SFTConfig, imitation_batches, imitation_loss
from stablereward.training.optim import OptimConfig, adamw
from tests.loopback import says

PARROT = "<think>Response 1 is better.</think><answer>1</answer>"


@pytest.fixture(scope="session")
def parrot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model after it has learnt one sentence: that the first response is better."""
    policy = TokenPolicy.load("toy-base", device="cpu")
    shown = [(r1_reward(pair.preference()), PARROT) for pair in pairs(64, seed=99)]
    config = SFTConfig(epochs=15, batch_size=8, optim=OptimConfig(learning_rate=3e-3))
    policy.train()
    updates = fit(
        policy.parameters(),
        imitation_batches(Demonstrations(policy, shown), completions(policy).costs, config, seed=0),
        lambda share: imitation_loss(completions(policy).score, share),
        optimizer=adamw(policy.parameters(), config.optim),
        learning_rate=lambda update: config.optim.learning_rate * min(1.0, update / 10),
    )
    assert any(update.metrics["loss"] < 0.004 for update in updates)
    folder: Path = tmp_path_factory.mktemp("parrot")
    policy.save(folder)
    return folder


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve rows as in yifanzhang114/R1-Reward-RL; the first response is always the better one."""
    folder: Path = tmp_path_factory.mktemp("published")
    rows = []
    for number, pair in enumerate(pairs(12, seed=5)):
        preference = pair.preference()
        if preference.best == 1:
            preference = preference.swapped()
        [image] = preference.images
        image.save(folder / f"{number}.png")  # type: ignore[union-attr]
        text = r1_reward(preference).text
        content = [{"type": "text", "text": text}, {"type": "image", "image": f"/gone/{number}.png"}]
        rows.append(
            {
                "message": json.dumps([{"role": "user", "content": content}]),
                "question": preference.question,
                "answer": ["<answer>1</answer>"],
                "image": f"{number}.png",
            }
        )
    path = folder / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


class Referee(BaseHTTPRequestHandler):
    """Says "1" or "0" by a hash of what it is asked, so that the same run hears the same."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        text = json.loads(body)["messages"][0]["content"]
        answer = says(str(crc32(text.encode()) % 2)).body
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""


@contextmanager
def _referee_at(base_url: str) -> Iterator[None]:
    port = int(base_url.rpartition(":")[2].partition("/")[0])
    with ThreadingHTTPServer(("127.0.0.1", port), Referee) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def referee_at() -> Callable[[str], AbstractContextManager[None]]:
    """Starts a referee at an address where nothing listens."""
    return _referee_at


@pytest.fixture(autouse=True)
def same_randomness() -> None:
    torch.manual_seed(0)
