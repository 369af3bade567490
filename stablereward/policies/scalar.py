"""Scalar reward models: a head that scores, on any text or vision-language model that reads.

All responses to one question share one reading of it, images included, in training and in judging. Responses
that hold pictures are read each with the question.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
)

from stablereward.errors import DataError, ModelError, TooLongError
from stablereward.policies.classifier import (
    MAX_BATCH_TOKENS,
    Classifier,
    Scores,
    finite,
    in_batches,
    read_classifier,
    too_long,
)
from stablereward.policies.config_file import read_config
from stablereward.policies.processor import UNREADABLE
from stablereward.policies.scalar_head import HeadConfig, every_token, last_where, pooling_of, scalar_head
from stablereward.policies.shipped import model_folder
from stablereward.policies.token import TokenPolicy, device_named, number_named
from stablereward.policies.tree import EncodedGroup, EncodedPrompt, Tree
from stablereward.types import Completion, Failure, Group, Preference, Prompt, Response, Reward

SETTINGS, WEIGHTS = "reward_head.json", "reward_head.safetensors"
LINEAR = HeadConfig(layers=1, activation="none")


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as a trajectory: it was given, and nobody knows how."""

    response: Response
    logprobs: tuple[float, ...] = ()
    num_steps: int = 0
    finished: bool = True


Dialogue = Group[Prompt, Answer]
"""A question and its responses; where they are ranked, the rewards say so."""
EncodedDialogue = Group[tuple[EncodedPrompt, ...], Completion]
"""The same as tokens: a completion's are those after its prompt, to the end of the turn. There is one prompt
that all share, or one for each where they hold pictures."""


def dialogue(preference: Preference) -> Dialogue:
    """The history and the question as turns, each response as one that follows; a better rank earns more."""
    return Group(
        prompt=Prompt(messages=preference.messages, preference=preference),
        trajectories=tuple(Answer(response) for response in preference.responses),
        rewards=tuple(Reward(value=-float(rank)) for rank in preference.ranks or ()),
    )


def encoded_dialogue(policy: TokenPolicy, one: Dialogue) -> EncodedDialogue:
    """The dialogue as tokens of the policy. Raises DataError, of which TooLongError is for the context."""
    rows = policy.encode_answered(one.prompt, [t.response for t in one.trajectories])
    longest = max(row.prompt.num_tokens + max(map(len, row.completions)) for row in rows)
    if longest > policy.max_context:
        where = one.prompt.preference.name if one.prompt.preference else "a question"
        raise TooLongError(
            f"{where}: question and response have {longest} tokens, the model's context is "
            f"{policy.max_context}; shorten them or leave them out"
        )
    return Group(
        prompt=tuple(row.prompt for row in rows),
        trajectories=tuple(completion for row in rows for completion in _completions(row)),
        rewards=one.rewards,
    )


class ScalarModel(nn.Module):
    """A token policy that reads, and a head that makes scores of its states.

    A score is that of the one dialogue, unpadded and alone, up to rounding: the history and the question as
    their turns and the response as the assistant's in the model's chat template, with no turn opened after
    it; of pictures see `Encoder.answered`. The head computes in float32. `tokens_read` counts what `scores`
    has read, a question once for all responses that share it.
    """

    def __init__(self, policy: TokenPolicy, head: nn.Module, config: HeadConfig) -> None:
        """The head is the policy's own where it is a sequence classifier."""
        super().__init__()
        self.policy, self.config = policy, config
        self.head = head.to(policy.device, torch.float32)
        self.is_classifier = head is getattr(policy.model, "score", None)
        self.pooling = pooling_of(config, policy.stop_ids)
        pad = policy.model.config.get_text_config().pad_token_id
        if self.is_classifier and pad is not None:  # as transformers finds the end of a row
            self.pooling = last_where(lambda ids: ids != pad)
        self.max_batch_tokens, self.tokens_read = MAX_BATCH_TOKENS, 0
        words = policy.model.get_output_embeddings()
        if words is not None and words.weight is not policy.model.get_input_embeddings().weight:
            words.requires_grad_(False)  # nothing is written, so that it never has a gradient

    @classmethod
    def start(
        cls,
        path_or_name: str | Path,
        config: HeadConfig | None = None,
        *,
        seed: int = 0,
        device: str | None = None,
    ) -> "ScalarModel":
        """A new head on a model, weights in float32. The folder of a reward model goes on with its own head.

        A linear head on the last token is that of transformers' sequence classifier where the family has
        one. Raises ConfigError and ModelError.
        """
        config, folder = config or HeadConfig(), model_folder(path_or_name)
        if is_reward_model(folder):
            found = load_scorer(folder, device=device, dtype="float32")
            if isinstance(found, Classifier):
                raise ModelError(f"{folder}: can be read by its own forward only; train another model")
            return found
        policy = None
        if config.layers == config.outputs == 1 and config.pooling == "last" and _has_class(folder):
            policy = _shared(*read_classifier(folder, device=device, dtype="float32", new_head=True), folder)
        if policy is None:
            policy = TokenPolicy.load(folder, device=device)
            return cls(policy, _new_head(policy, config, seed), config)
        text = policy.model.config.get_text_config()
        if text.pad_token_id is None:
            text.pad_token_id = policy.pad_token_id  # without it transformers reads one row at a time
        [new] = _new_head(policy, LINEAR, seed).children()
        policy.model.score.load_state_dict(new.state_dict())
        return cls(policy, policy.model.score, LINEAR)

    @classmethod
    def load(
        cls,
        path_or_name: str | Path,
        *,
        device: str | None = None,
        dtype: str | None = None,
        trust_remote_code: bool = False,
    ) -> "ScalarModel":
        """A model with a head of ours beside it. Raises ConfigError, and ModelError with the cause."""
        folder = model_folder(path_or_name)
        number = number_named(dtype, device_named(device))
        policy = TokenPolicy.load(folder, device=device, dtype=number, trust_remote_code=trust_remote_code)
        try:
            config = TypeAdapter(HeadConfig).validate_json((folder / SETTINGS).read_bytes())
            head = _new_head(policy, config, 0)
            head.load_state_dict(load_file(folder / WEIGHTS))
        except (OSError, ValidationError, SafetensorError, RuntimeError) as error:
            cause = str(error).strip().splitlines()[0]
            raise ModelError(f"{folder}: its score head cannot be loaded: {cause}") from error
        return cls(policy, head, config)

    def save(self, folder: Path) -> None:
        """Writes the model as an ordinary Hugging Face folder; a head that has no place in it lies beside."""
        self.policy.save(folder)
        if not self.is_classifier:
            save_file(self.head.state_dict(), folder / WEIGHTS)
            (folder / SETTINGS).write_text(json.dumps(asdict(self.config)) + "\n", encoding="utf-8")

    @torch.no_grad()
    def take_head(self, folder: str | Path) -> None:
        """Begins with the head of another reward model; of more outputs the first are taken.

        Raises ModelError where its layers have other sizes.
        """
        other = load_scorer(folder, device="cpu", dtype="float32")
        given = list(other.head.parameters()) if isinstance(other, ScalarModel) else []
        own = list(self.head.parameters())
        taken = [*given[:-1], *(last[: self.config.outputs] for last in given[-1:])]
        if [p.shape for p in taken] != [p.shape for p in own]:
            raise ModelError(
                f"{folder}: its head has layers {_sizes(given)}, this one {_sizes(own)}; give one that fits"
            )
        for mine, theirs in zip(own, taken, strict=True):
            mine.copy_(theirs)

    def encoded(self, dialogues: Sequence[Dialogue]) -> list[EncodedDialogue]:
        """The dialogues as tokens, of which a training batch is made.

        Raises DataError for one that cannot be read or is longer than the context.
        """
        self.policy.encode_all([one.prompt for one in dialogues])  # costs less together
        return [encoded_dialogue(self.policy, one) for one in dialogues]

    def costs(self, dialogues: Sequence[EncodedDialogue]) -> list[int]:
        """The tokens of each one's rows: the question once where it is shared, and every response."""
        return [sum(row.num_tokens for row in self._rows(one)) for one in dialogues]

    def measure(self, dialogues: Sequence[EncodedDialogue]) -> Tensor:
        """The first score of every response, [B], with gradient where it is switched on."""
        return self.outputs(dialogues)[:, 0]

    def outputs(self, dialogues: Sequence[EncodedDialogue]) -> Tensor:
        """All scores of every response, [B, O]."""
        scores_BO: Tensor = self(self._tree(dialogues))
        return scores_BO

    def token_outputs(self, dialogues: Sequence[EncodedDialogue]) -> Tensor:
        """The head on every token of every response, [B, T, O], as for classes of tokens.

        Responses are padded on the right; what stands beyond one's own tokens means nothing.
        """
        tree = self._tree(dialogues)
        return self._head(every_token(self.policy.states(tree), tree))

    def _tree(self, dialogues: Sequence[EncodedDialogue]) -> Tree:
        return self.policy.tree([row for one in dialogues for row in self._rows(one)])

    def _rows(self, one: EncodedDialogue) -> list[EncodedGroup]:
        """A tree takes a completion's last token as a target only, and so one more is put after it."""
        read = [(*t.token_ids, self.policy.pad_token_id) for t in one.trajectories]
        if len(one.prompt) == 1:
            return [EncodedGroup(prompt=one.prompt[0], completions=tuple(read))]
        return [
            EncodedGroup(prompt=prompt, completions=(ids,))
            for prompt, ids in zip(one.prompt, read, strict=True)
        ]

    def forward(self, tree: Tree) -> Tensor:
        """Scores [B, outputs] in float32, of completions that are responses and one token more."""
        return self._head(self.pooling(self.policy.states(tree), tree))

    def _head(self, states: Tensor) -> Tensor:
        with torch.autocast(self.policy.device.type, enabled=False):
            scores: Tensor = self.head(states.float())
        return scores

    @torch.no_grad()
    def scores(self, preferences: Sequence[Preference]) -> list[Scores]:
        """The score of every response, or why there is none: "bad_prompt", "too_long", "not_finite".

        Rows have at most `max_batch_tokens`, so that many responses to a question take several. Raises
        ModelError for images that the model cannot see.
        """
        asked = [dialogue(preference) for preference in preferences]
        found: list[list[float | Failure]] = []
        rows: list[tuple[int, list[int], EncodedDialogue]] = []
        for place, outcome in enumerate(self.policy.encode_all([one.prompt for one in asked])):
            made = self._made(asked[place]) if isinstance(outcome, EncodedPrompt) else outcome
            if isinstance(made, DataError):
                reason = "too_long" if isinstance(made, TooLongError) else "bad_prompt"
                failure = Failure(reason=reason, detail=str(made))
                found.append([failure] * len(asked[place].trajectories))
                continue
            found.append([])
            for row in made:
                first = len(found[place])
                lengths = [row.prompt.num_tokens + len(ids) for ids in row.completions]
                found[place] += [too_long(length, self.policy.max_context) for length in lengths]
                for numbers in _fitting(row, self.policy.max_context, self.max_batch_tokens):
                    some: EncodedDialogue = Group(
                        prompt=(row.prompt,), trajectories=_completions(row, numbers)
                    )
                    rows.append((place, [first + number for number in numbers], some))
        costs = self.costs([own for *_, own in rows])
        self.tokens_read += sum(costs)
        was_training = self.training
        self.eval()
        for batch in in_batches(costs, self.max_batch_tokens):
            measured = iter(self.measure([rows[n][2] for n in batch]).tolist())
            for place, numbers, _ in (rows[n] for n in batch):
                for number in numbers:
                    found[place][number] = finite(next(measured))
        self.train(was_training)
        return [tuple(scores) for scores in found]

    def _made(self, one: Dialogue) -> list[EncodedGroup] | DataError:
        try:
            return self.policy.encode_answered(one.prompt, [t.response for t in one.trajectories])
        except DataError as error:
            return error


class _Config(BaseModel):
    architectures: list[str] | None = None


def is_reward_model(path_or_name: str | Path) -> bool:
    """Whether a head of ours lies in the folder, or its config names a sequence classifier.

    Raises ModelError where there is no model.
    """
    folder = model_folder(path_or_name)
    if (folder / SETTINGS).is_file():
        return True
    try:
        config = _Config.model_validate_json((folder / "config.json").read_bytes())
    except (OSError, ValidationError):
        return False  # whoever loads it says what is wrong with it
    return any(name.endswith("ForSequenceClassification") for name in config.architectures or ())


def load_scorer(
    path_or_name: str | Path,
    *,
    device: str | None = None,
    dtype: str | None = None,
    trust_remote_code: bool = False,
) -> ScalarModel | Classifier:
    """A reward model by its folder: one of ours, or a published sequence classifier with one label.

    `device` and `dtype` are those of `engines.hf.load_engine`. Only safetensors are read. Raises ConfigError
    for a device or number type that is not there, and ModelError with the folder and the cause.
    """
    folder = model_folder(path_or_name)
    if (folder / SETTINGS).is_file():
        return ScalarModel.load(folder, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
    model, tokenizer = read_classifier(
        folder, device=device, dtype=dtype, trust_remote_code=trust_remote_code
    )
    policy = _shared(model, tokenizer, folder)
    if policy is None:
        return Classifier(model, tokenizer, folder)
    return ScalarModel(policy, model.score, LINEAR)


def _shared(model: nn.Module, tokenizer: object, folder: Path) -> TokenPolicy | None:
    """The classifier as a policy that shares a question among its responses; None where that is not exact."""
    ordinary = hasattr(model, "model") and isinstance(getattr(model, "score", None), nn.Linear)
    if not ordinary or getattr(tokenizer, "chat_template", None) is None:
        return None
    try:
        return TokenPolicy(model, tokenizer, folder)
    except ModelError:
        return None


def _has_class(folder: Path) -> bool:
    """Whether transformers has a sequence classifier of the family, which reads text alone."""
    try:
        kind = type(read_config(folder))
    except UNREADABLE:
        return False  # whoever loads it says what is wrong with it
    sees = kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
    return not sees and kind in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING


def _new_head(policy: TokenPolicy, config: HeadConfig, seed: int) -> nn.Module:
    return scalar_head(policy.model.config.get_text_config().hidden_size, config, seed)


def _sizes(weights: Sequence[Tensor]) -> str:
    return ", ".join("×".join(map(str, weight.shape)) for weight in weights) or "of its own"


def _completions(made: EncodedGroup, numbers: Sequence[int] | None = None) -> tuple[Completion, ...]:
    chosen = range(len(made.completions)) if numbers is None else numbers
    return tuple(Completion(text="", token_ids=made.completions[n]) for n in chosen)


def _fitting(made: EncodedGroup, most: int, budget: int) -> Iterator[list[int]]:
    """The responses that fit the context, as rows that fit the budget, each of one response at least."""
    row: list[int] = []
    length = made.prompt.num_tokens
    for number, ids in enumerate(made.completions):
        if made.prompt.num_tokens + len(ids) > most:
            continue
        if row and length + len(ids) > budget:
            yield row
            row, length = [], made.prompt.num_tokens
        row.append(number)
        length += len(ids)
    if row:
        yield row
