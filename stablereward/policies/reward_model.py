"""Scalar reward models: a sequence classifier with one label, read as a score of one response."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ValidationError
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from stablereward.errors import ModelError
from stablereward.policies.chat_template import find_template
from stablereward.policies.processor import UNREADABLE, cause
from stablereward.policies.shipped import model_folder
from stablereward.policies.token import device_named, number_named
from stablereward.policies.vocabulary import control_tokens_of, without_tokens
from stablereward.types import Failure

Inputs = Mapping[str, list[int]]
"""What a tokenizer makes of a dialogue: `input_ids`, `attention_mask`, perhaps `token_type_ids`, each [T]."""


class _Config(BaseModel):
    architectures: list[str] | None = None


def is_reward_model(path_or_name: str | Path) -> bool:
    """Whether the model's config names a sequence classifier. Raises ModelError where there is no model."""
    try:
        config = _Config.model_validate_json((model_folder(path_or_name) / "config.json").read_bytes())
    except (OSError, ValidationError):
        return False  # whoever loads it says what is wrong with it
    return any(name.endswith("ForSequenceClassification") for name in config.architectures or ())


class RewardModel:
    """A Hugging Face model with a scalar head, and its tokenizer.

    A score is what the model's own forward gives for the one unpadded row of the dialogue: the question as
    the user's turn and the response as the assistant's in the model's chat template, without a generation
    prompt and with nothing added after it. A tokenizer without a template gets question and response as a
    pair of sentences, which is how encoders such as DeBERTa are trained. Rows are scored in batches of
    similar length, padded so that the score stays the same up to rounding. In bfloat16 a score has eight
    binary digits, so close scores become equal ones; load in float32 where that matters.

    Text only. A score head on a vision-language model has no class of its own in transformers for most
    families, and is left for later. `tokens_read` counts the tokens of every dialogue scored so far.
    """

    def __init__(self, model: Any, tokenizer: Any, source: Path, *, max_batch_tokens: int = 2**14) -> None:
        """Raises ModelError for more labels than one, and where it is not known how a dialogue is written."""
        if model.config.num_labels != 1:
            raise ModelError(
                f"{source}: has {model.config.num_labels} labels, a reward model has one; give another model"
            )
        if tokenizer.chat_template is None and tokenizer.sep_token is None:
            raise ModelError(
                f"{source}: has neither a chat template nor a separator token, so how a question and its "
                "response are joined is not known; add chat_template.jinja to its folder"
            )
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.source = source
        self.max_batch_tokens = max_batch_tokens
        self.tokens_read = 0
        self._text_config = model.config.get_text_config()
        self._pad_token_id: int | None = self._text_config.pad_token_id
        self._control_tokens = control_tokens_of(tokenizer, ())

    @classmethod
    def load(
        cls,
        path_or_name: str | Path,
        *,
        device: str | None = None,
        dtype: str | None = None,
        trust_remote_code: bool = False,
    ) -> "RewardModel":
        """Loads a model folder; only safetensors are read.

        `device` and `dtype` are those of `engines.hf.load_engine`. Raises ConfigError for a device or number
        type that is not there, and ModelError with the folder and the cause.
        """
        where = device_named(device)
        number = number_named(dtype, where)
        folder = model_folder(path_or_name)
        trust = {"trust_remote_code": trust_remote_code}
        try:
            model, found = AutoModelForSequenceClassification.from_pretrained(
                folder,
                config=AutoConfig.from_pretrained(folder, **trust),
                dtype=number,
                use_safetensors=True,
                output_loading_info=True,
                **trust,
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, **trust)
            tokenizer.chat_template = find_template(folder, tokenizer)
        except UNREADABLE as error:
            raise ModelError(f"{folder}: cannot be loaded as a reward model: {cause(error)}") from error
        if found["missing_keys"]:
            missing = sorted(found["missing_keys"])
            raise ModelError(f"{folder}: {len(missing)} weights are not in the files, such as {missing[0]}")
        return cls(model.to(where), tokenizer, folder)

    def encode(self, question: str, response: str) -> Inputs:
        """One dialogue as tokens, without padding. Control tokens written out in the texts do not act."""
        question, response = (without_tokens(text, self._control_tokens) for text in (question, response))
        if self.tokenizer.chat_template is None:
            return dict(self.tokenizer(question, response))
        chat = [{"role": "user", "content": question}, {"role": "assistant", "content": response}]
        text = self.tokenizer.apply_chat_template(chat, add_generation_prompt=False, tokenize=False)
        # The template has written the first token already.
        return dict(self.tokenizer(text, add_special_tokens=False))

    @torch.no_grad()
    def scores(self, dialogues: Sequence[tuple[str, str]]) -> list[float | Failure]:
        """The score of each (question, response). Failures: "too_long", "not_finite"."""
        encoded = [self.encode(question, response) for question, response in dialogues]
        scores: list[float | Failure] = [
            Failure(reason="too_long", detail=f"{len(one['input_ids'])} tokens, {self._max_context()} fit")
            for one in encoded
        ]
        for batch in self._batches([len(one["input_ids"]) for one in encoded]):
            inputs = self._padded([encoded[i] for i in batch])
            logits_B1 = self.model(**inputs).logits.float()
            for i, score in zip(batch, logits_B1[:, 0].tolist(), strict=True):
                finite = abs(score) < float("inf")
                scores[i] = score if finite else Failure(reason="not_finite", detail=f"the score is {score}")
                self.tokens_read += len(encoded[i]["input_ids"])
        return scores

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Indices of rows that fit the context, those of similar length together."""
        batch: list[int] = []
        for i in sorted(range(len(lengths)), key=lengths.__getitem__):
            if lengths[i] > self._max_context():
                break
            if batch and lengths[i] * (len(batch) + 1) > self.max_batch_tokens:
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch

    def _padded(self, rows: Sequence[Inputs]) -> dict[str, torch.Tensor]:
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

    def _max_context(self) -> int:
        return int(self._text_config.max_position_embeddings)
