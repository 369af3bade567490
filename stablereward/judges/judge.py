"""`Judge`: compare and rank responses in one line, without async."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from PIL.Image import Image

from stablereward.blocking import blocking
from stablereward.data.formats.fields import as_text, sources
from stablereward.data.prompts import r1_reward
from stablereward.engines.engine import Engine, Sampling
from stablereward.engines.hf import load_engine
from stablereward.errors import DataError
from stablereward.judges.confidence import Decode
from stablereward.judges.generative import Generative
from stablereward.judges.protocol import Opinion, PreferenceJudge
from stablereward.judges.ranking import Ranking, rank
from stablereward.judges.scalar import Scalar
from stablereward.judges.voting import vote
from stablereward.policies.scalar import is_reward_model, load_scorer
from stablereward.types import ImageSource, Message, Preference, Prompt, Response, Vote, pictured

ImageLike = Image | Path | str
"""An image in memory, or the path of a file or of a folder with the frames of a video."""
ResponseLike = Response | Image | Path
"""A text; a picture in memory, the path of an image file or of a folder with the frames of a video; or what
`types.pictured` makes of texts and pictures."""


class Judge:
    """A judge with methods that wait for their result: one that writes on an engine, or any other (`of`).

    Everything else in the library takes the async protocol `PreferenceJudge`, which this class obeys
    through `opinions`, so a `Judge` can be evaluated and served as it is.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        prompt: Callable[[Preference], Prompt] = r1_reward,
        sampling: Sampling | None = None,
        decode: Decode | None = None,
    ) -> None:
        """The arguments are those of `Generative`."""
        self._judge: PreferenceJudge = Generative(
            engine=engine, prompt=prompt, sampling=sampling, decode=decode
        )

    @classmethod
    def of(cls, judge: PreferenceJudge) -> Self:
        """These methods for any judge."""
        made = cls.__new__(cls)
        made._judge = judge
        return made

    @classmethod
    def load(
        cls,
        path_or_name: str | Path,
        *,
        device: str | None = None,
        dtype: str | None = None,
        trust_remote_code: bool = False,
        prompt: Callable[[Preference], Prompt] = r1_reward,
        sampling: Sampling | None = None,
    ) -> Self:
        """A judge on a model folder or a shipped model (by name), run in this process.

        A model with a score head scores, see `Scalar`, and has no use for `prompt` and `sampling`; any
        other model writes. `device`, `dtype` and `trust_remote_code` are those of `engines.hf.load_engine`.
        Raises `ModelError` where the model cannot be loaded.
        """
        if is_reward_model(path_or_name):
            model = load_scorer(path_or_name, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
            return cls.of(Scalar(model=model))
        engine = load_engine(path_or_name, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
        return cls(engine, prompt=prompt, sampling=sampling, decode=engine.policy.decode)

    async def opinions(
        self, preferences: Sequence[Preference], *, votes: int = 1, both_orders: bool = False
    ) -> list[tuple[Opinion, ...]]:
        """See `PreferenceJudge.opinions`."""
        return await self._judge.opinions(preferences, votes=votes, both_orders=both_orders)

    def judge(self, preference: Preference) -> Opinion:
        """One greedy opinion with its reasoning, in the given order; a Failure says why there is none."""
        [[opinion]] = blocking(self.opinions([preference]))
        return opinion

    def vote(
        self, preferences: Sequence[Preference], *, votes: int = 1, both_orders: bool = True
    ) -> list[Vote]:
        """A vote on each preference, all in one batch; `votes` opinions per order shown."""
        opinions = blocking(self.opinions(preferences, votes=votes, both_orders=both_orders))
        return [vote(heard, len(p.responses)) for p, heard in zip(preferences, opinions, strict=True)]

    def compare(
        self,
        question: str,
        *,
        responses: Sequence[ResponseLike],
        image: ImageLike | Sequence[ImageLike] | None = None,
        history: Sequence[Message] = (),
        votes: int = 1,
        both_orders: bool = True,
    ) -> Vote:
        """Which response is better? `votes` opinions per order shown.

        `choice` is None on a tie (for example when each order gives another answer) or when all
        opinions failed, which `Vote.failures` tells apart. A list of images is shown in its order, of a
        folder at most 32 frames, evenly spaced in the order of their names. A response that is a str is
        always a text; a picture is an image in memory or a `Path`. `history` is what was said before.
        Raises `DataError` for fewer than two responses, a missing image file or a video.
        """
        asked = _preference(question, responses, image, history)
        [result] = self.vote([asked], votes=votes, both_orders=both_orders)
        return result

    def rank(
        self,
        question: str,
        *,
        responses: Sequence[ResponseLike],
        image: ImageLike | Sequence[ImageLike] | None = None,
        history: Sequence[Message] = (),
        votes: int = 1,
    ) -> Ranking:
        """All responses from best to worst: each meets each in both orders.

        N responses cost N(N-1) prompts, `votes` completions each, all in one batch.
        Raises `DataError` as `compare` does.
        """
        [result] = blocking(rank(self, [_preference(question, responses, image, history)], votes=votes))
        return result


def _preference(
    question: str,
    responses: Sequence[ResponseLike],
    image: ImageLike | Sequence[ImageLike] | None,
    history: Sequence[Message],
) -> Preference:
    if isinstance(responses, str) or len(responses) < 2:
        raise DataError("a comparison needs a list of at least two responses")
    as_text(question, "question", "comparison")
    given = () if image is None else (image,) if isinstance(image, Image | Path | str) else image
    shown = tuple(source for item in given for source in _sources(item))
    return Preference(
        question=question, responses=tuple(map(_response, responses)), images=shown, history=tuple(history)
    )


def _response(given: ResponseLike) -> Response:
    if isinstance(given, Image | Path):
        return pictured(*_sources(given))
    return given if isinstance(given, Message) else as_text(given, "response", "comparison")


def _sources(image: ImageLike) -> tuple[ImageSource, ...]:
    if isinstance(image, Image):
        return (image,)
    found = sources(str(image), "image", Path())
    if not found:
        raise DataError("image '' is empty; give the path of an image, or None for no image")
    for source in found:
        if isinstance(source, Path) and not source.is_file():
            raise DataError(f"image {source}: no such file; give the path of an image file or a PIL image")
    return found
