"""Published reward models that are read by their own forward: sequence classifiers with one label."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from stablereward.data.prompts import in_turn, transcript
from stablereward.errors import ModelError
from stablereward.policies.chat_template import find_template
from stablereward.policies.config_file import read_config
from stablereward.policies.processor import UNREADABLE, cause
from stablereward.policies.token import device_named, number_named
from stablereward.policies.vocabulary import control_tokens_of, without_tokens
from stablereward.types import Failure, Preference, Response

MAX_BATCH_TOKENS = 2**14
Scores = tuple[float | Failure, ...]
"""Of the responses to one question."""


class Classifier:
    """A sequence classifier and its tokenizer, for what cannot share a question among its responses.

    That are encoders such as DeBERTa, which take question and response as a pair of sentences where the
    tokenizer has no chat template, and models that attend through a window; all others are read by
    `scalar.ScalarModel`. A score is what the model's own forward gives for the one unpadded row of the
    dialogue. Rows are scored in batches of similar length, padded so that the score stays the same up to
    rounding. In bfloat16 a score has eight binary digits, so close scores become equal ones; load in float32
    where that matters. Text only. `tokens_read` counts the tokens of every dialogue scored so far.
    """

    def __init__(self, model: Any, tokenizer: Any, source: Path) -> None:
        """Raises ModelError where it is not known how a dialogue is written."""
        if tokenizer.chat_template is None and tokenizer.sep_token is None:
            raise ModelError(
                f"{source}: has neither a chat template nor a separator token, so how a question and its "
                "response are joined is not known; add chat_template.jinja to its folder"
            )
        self.model, self.tokenizer, self.source = model.eval(), tokenizer, source
        self.max_batch_tokens, self.tokens_read = MAX_BATCH_TOKENS, 0
        self._text_config = model.config.get_text_config()
        self._pad_token_id: int | None = self._text_config.pad_token_id
        self._control_tokens = control_tokens_of(tokenizer, ())

    def encode(self, preference: Preference, response: Response) -> Mapping[str, list[int]]:
        """One dialogue as tokens, without padding. Control tokens written out in the texts do not act.

        A pair of sentences has the `transcript` of history and question as its first, and calls of tools are
        text in both. Raises ModelError where the template refuses the turns.
        """
        said = response if isinstance(response, str) else in_turn(response)
        said = without_tokens(said, self._control_tokens)
        if self.tokenizer.chat_template is None:
            return dict(self.tokenizer(without_tokens(transcript(preference), self._control_tokens), said))
        said_before = ((turn.role, in_turn(turn)) for turn in preference.messages)
        asked = ([without_tokens(text, self._control_tokens) for text in turn] for turn in said_before)
        chat = [{"role": role, "content": text} for role, text in (*asked, ("assistant", said))]
        try:
            text = self.tokenizer.apply_chat_template(chat, add_generation_prompt=False, tokenize=False)
        except TemplateError as error:
            roles = ", ".join(one["role"] for one in chat)
            raise ModelError(
                f"{self.source}: the chat template does not take the turns {roles} of {preference.name}: "
                f"{cause(error)}; leave out what it does not know, or give the folder another template"
            ) from error
        # The template has written the first token already.
        return dict(self.tokenizer(text, add_special_tokens=False))

    @torch.no_grad()
    def scores(self, preferences: Sequence[Preference]) -> list[Scores]:
        """The score of every response, or why there is none: "too_long", "not_finite".

        Raises ModelError for images.
        """
        for preference in preferences:
            if preference.all_images:
                raise ModelError(
                    f"preference {preference.id!r}: has images, but the reward model reads text only; give a "
                    "model that sees"
                )
        rows = [self.encode(p, response) for p in preferences for response in p.responses]
        most = int(self._text_config.max_position_embeddings)
        lengths = [len(row["input_ids"]) for row in rows]
        found: list[float | Failure] = [too_long(length, most) for length in lengths]
        fitting = [n for n, length in enumerate(lengths) if length <= most]
        for batch in in_batches([lengths[n] for n in fitting], self.max_batch_tokens):
            numbers = [fitting[n] for n in batch]
            logits_B1 = self.model(**self._padded([rows[n] for n in numbers])).logits.float()
            for number, score in zip(numbers, logits_B1[:, 0].tolist(), strict=True):
                found[number] = finite(score)
                self.tokens_read += lengths[number]
        scores = iter(found)
        return [tuple(next(scores) for _ in p.responses) for p in preferences]

    def _padded(self, rows: Sequence[Mapping[str, list[int]]]) -> dict[str, Tensor]:
        """Rows [T] as tensors [B, T], padded on the right.

        Classifiers find the end of a row as the last token that is not padding, and treat every token that
        looks like padding so. A model that names no padding token gets one that ends none of these rows.
        """
        pad = self._pad_token_id
        if pad is None:
            ends = {row["input_ids"][-1] for row in rows}
            pad = next(token for token in range(len(ends) + 1) if token not in ends)
            self._text_config.pad_token_id = pad
        longest = max(len(row["input_ids"]) for row in rows)
        filling = {"input_ids": pad}
        return {
            name: torch.tensor(
                [row[name] + [filling.get(name, 0)] * (longest - len(row[name])) for row in rows],
                device=self.model.device,
            )
            for name in rows[0]
        }


def read_classifier(
    folder: Path,
    *,
    device: str | None = None,
    dtype: str | None = None,
    trust_remote_code: bool = False,
    new_head: bool = False,
) -> tuple[Any, Any]:
    """The model and the tokenizer of a folder; only safetensors are read.

    With `new_head` the folder may be that of a language model, whose head is left out and a scalar one made.
    Raises ConfigError for a device or number type that is not there, and ModelError with the folder and the
    cause, more labels than one among them.
    """
    where = device_named(device)
    number = number_named(dtype, where)
    trust = {"trust_remote_code": trust_remote_code}
    try:
        config = read_config(folder, **trust)
        if new_head:
            config.num_labels = 1
        model, found = AutoModelForSequenceClassification.from_pretrained(
            folder, config=config, dtype=number, use_safetensors=True, output_loading_info=True, **trust
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, **trust)
        tokenizer.chat_template = find_template(folder, tokenizer)
    except UNREADABLE as error:
        raise ModelError(f"{folder}: cannot be loaded as a reward model: {cause(error)}") from error
    missing = sorted(set(found["missing_keys"]) - ({"score.weight"} if new_head else set()))
    if missing:
        raise ModelError(f"{folder}: {len(missing)} weights are not in the files, such as {missing[0]}")
    if model.config.num_labels != 1:
        raise ModelError(
            f"{folder}: has {model.config.num_labels} labels, a reward model has one; give another model"
        )
    return model.to(where), tokenizer


def in_batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Places of rows, those of similar length together; padded, a batch has at most `budget` tokens."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[place] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def finite(score: float) -> float | Failure:
    """The score, or the failure that it is none."""
    known = abs(score) < float("inf")
    return score if known else Failure(reason="not_finite", detail=f"the score is {score}")


def too_long(length: int, most: int) -> Failure:
    """Why a dialogue has no score."""
    return Failure(reason="too_long", detail=f"{length} tokens, {most} fit")
