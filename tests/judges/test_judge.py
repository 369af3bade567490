"""`Judge` as users see it."""

import asyncio
from pathlib import Path

import pytest
from PIL import Image

from stablereward.data.toy.pairs import pairs
from stablereward.engines.engine import Sampling
from stablereward.engines.scripted import Scripted
from stablereward.errors import DataError, ModelError
from stablereward.evaluation.evaluate import evaluate
from stablereward.evaluation.metrics import summarise
from stablereward.judges.judge import Judge
from stablereward.policies.tiny import create
from stablereward.types import Failure, Judgement, Message, Preference, Prompt
from tests.policies.test_classifier import make


def prefers_longer(prompt: Prompt, k: int) -> str | Failure:
    assert prompt.preference is not None
    lengths = [len(response) for response in prompt.preference.responses]
    return f"<think>{lengths}</think><answer>{lengths.index(max(lengths)) + 1}</answer>"


JUDGE = Judge(Scripted(prefers_longer))


def test_judge_gives_one_opinion() -> None:
    opinion = JUDGE.judge(Preference(question="q", responses=("a", "aa")))
    assert isinstance(opinion, Judgement)
    assert (opinion.choice, opinion.reasoning) == (1, "[1, 2]")


def test_compare_votes_in_both_orders() -> None:
    result = JUDGE.compare("q", responses=["a", "aa"], votes=3)
    assert (result.choice, result.probabilities, len(result.judgements)) == (1, (0.0, 1.0), 6)
    assert len(JUDGE.compare("q", responses=["a", "aa"], votes=3, both_orders=False).judgements) == 3


def test_what_was_said_before_reaches_the_judge() -> None:
    seen = []

    def looks(prompt: Prompt, k: int) -> str:
        seen.append(prompt.text)
        return "<answer>1</answer>"

    before = [Message("system", ("Be brief.",)), Message("user", ("Hi",)), Message("assistant", ("Yes?",))]
    judge = Judge(Scripted(looks))
    judge.compare("q", responses=["a", "b"], history=before)
    judge.rank("q", responses=["a", "b"], history=before)
    said = "[Question]:\nSystem: Be brief.\n\nUser: Hi\n\nAssistant: Yes?\n\nUser: q  \n"
    assert len(seen) == 4 and all(said in text for text in seen)


def test_rank_orders_all_responses() -> None:
    ranking = JUDGE.rank("q", responses=["aa", "a", "aaa"])
    assert (ranking.order, ranking.scores) == ((2, 0, 1), (0.5, 0.0, 1.0))


def test_vote_takes_many_preferences() -> None:
    items = [
        Preference(question="q", responses=("a", "aa")),
        Preference(question="q", responses=("aaa", "aa")),
    ]
    assert [result.choice for result in JUDGE.vote(items)] == [1, 0]


def test_images_reach_the_engine_in_order(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    image = Image.new("RGB", (2, 2))
    image.save(path)
    seen = []

    def reply(prompt: Prompt, k: int) -> str | Failure:
        seen.append(prompt.images)
        return "<think>t</think><answer>1</answer>"

    judge = Judge(Scripted(reply))
    for given in (None, str(path), path, image, [image, str(path)]):
        judge.compare("q", responses=["a", "b"], image=given, both_orders=False)
    assert seen == [(), (path,), (path,), (image,), (image, path)]


def test_a_folder_is_the_frames_of_a_video(tmp_path: Path) -> None:
    seen = []

    def reply(prompt: Prompt, k: int) -> str | Failure:
        seen.append(prompt.images)
        return "<think>t</think><answer>1</answer>"

    for number in range(40):
        Image.new("RGB", (2, 2)).save(tmp_path / f"f{number}.png")
    judge = Judge(Scripted(reply))
    judge.compare("q", responses=["a", "b"], image=tmp_path, both_orders=False)
    judge.rank("q", responses=["a", "b"], image=str(tmp_path))
    [frames, *others] = seen
    assert [others, len(frames)] == [[frames, frames], 32]
    assert (frames[0], frames[-1]) == (tmp_path / "f0.png", tmp_path / "f39.png")
    with pytest.raises(DataError, match=r"ffmpeg -i clip\.mp4 -vf fps=1"):
        judge.compare("q", responses=["a", "b"], image="clip.mp4")
    with pytest.raises(DataError, match="image '' is empty"):
        judge.compare("q", responses=["a", "b"], image="")


@pytest.mark.parametrize(("question", "response"), [("\ud800", "b"), ("q", "\ud800")])
def test_half_a_character_is_refused(question: str, response: str) -> None:
    judge = Judge(Scripted(lambda prompt, k: "<answer>1</answer>"))
    with pytest.raises(DataError, match="lone surrogate"):
        judge.compare(question, responses=["a", response])


def test_a_model_folder_is_loaded_and_judges(tmp_path: Path) -> None:
    create(tmp_path)
    judge = Judge.load(tmp_path, device="cpu", sampling=Sampling(max_completion_length=8))
    result = judge.compare("q", responses=["a", "b"], image=Image.new("RGB", (56, 56)), votes=2)
    # Untrained, it has nothing to say, and eight tokens to say it in.
    assert (result.choice, len(result.failures)) == (None, 4)
    with pytest.raises(ModelError, match="no model here"):
        Judge.load(tmp_path / "absent")


def test_a_reward_model_folder_is_loaded_as_a_scalar_judge(tmp_path: Path) -> None:
    judge = Judge.load(make(tmp_path, pad=None), device="cpu")
    opinion = judge.judge(Preference(question="q", responses=("a cat", "a dog")))
    assert isinstance(opinion, Judgement) and opinion.text.startswith("scores: ")
    swapped = judge.judge(Preference(question="q", responses=("a dog", "a cat")))
    assert isinstance(swapped, Judgement)
    assert (swapped.choice, swapped.confidence) == (1 - opinion.choice, opinion.confidence)
    result = judge.compare("q", responses=["a cat", "a dog"])
    assert (result.choice, result.probabilities[opinion.choice]) == (opinion.choice, 1.0)


def test_the_shipped_judge_says_how_sure_it_is() -> None:
    item = pairs(1, seed=0, held_out=True)[0].preference()
    opinions = Judge.load("toy", device="cpu").vote([item], votes=4)[0].judgements
    assert opinions
    assert all(one.confidence is not None and 0.5 < one.confidence <= 1 for one in opinions)


def test_mistakes_are_named() -> None:
    with pytest.raises(DataError, match="at least two responses"):
        JUDGE.compare("q", responses=["one"])
    with pytest.raises(DataError, match="at least two responses"):
        JUDGE.rank("q", responses="ab")
    with pytest.raises(DataError, match=r"image absent\.png: no such file"):
        JUDGE.compare("q", responses=["a", "b"], image="absent.png")


def test_all_methods_work_inside_a_running_loop() -> None:
    async def notebook_cell() -> None:
        assert JUDGE.compare("q", responses=["a", "aa"]).choice == 1
        assert JUDGE.rank("q", responses=["a", "aa"]).best == 1
        assert isinstance(JUDGE.judge(Preference(question="q", responses=("a", "aa"))), Judgement)

    asyncio.run(notebook_cell())


def test_a_judge_can_be_evaluated_as_it_is() -> None:
    items = [Preference(question="q", responses=("a", "aa"), ranks=(1, 0))]
    assert summarise(evaluate(JUDGE, items)).accuracy_both_orders == 1.0
