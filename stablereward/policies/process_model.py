"""Process reward models: a token classifier of two labels that judges every step of a solution."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

from stablereward.errors import ModelError
from stablereward.policies.chat_template import find_template
from stablereward.policies.config_file import read_config
from stablereward.policies.processor import UNREADABLE, cause
from stablereward.policies.shipped import model_folder
from stablereward.policies.token import device_named, number_named
from stablereward.types import Failure, Prompt

BETWEEN = "\n"
"""The token after every step, at which it is judged."""


class ProcessModel:
    """A Hugging Face token classifier: a step's score is p(good), the second label's, at the token after it.

    The question is the user's turn in the model's chat template; the steps follow, each with one line break.
    That is how PURE asks its model, https://github.com/CJReinforce/PURE.
    """

    def __init__(self, model: Any, tokenizer: Any, source: Path) -> None:
        """Raises ModelError where there are other than two labels, or no chat template."""
        if model.config.num_labels != 2:
            raise ModelError(f"{source}: has {model.config.num_labels} labels, a process model has two")
        if tokenizer.chat_template is None:
            raise ModelError(f"{source}: has no chat template; add chat_template.jinja to its folder")
        between = tokenizer(BETWEEN, add_special_tokens=False)["input_ids"]
        if len(between) != 1:
            raise ModelError(f"{source}: a line break is {len(between)} tokens; steps are judged at one")
        self.model, self.tokenizer, self.between = model.eval(), tokenizer, between[0]

    @classmethod
    def load(cls, path_or_name: str | Path, *, device: str | None = None) -> "ProcessModel":
        """Loads a model folder; only safetensors are read. Raises ConfigError and ModelError."""
        where, folder = device_named(device), model_folder(path_or_name)
        try:
            read_config(folder)
            model, found = AutoModelForTokenClassification.from_pretrained(
                folder, dtype=number_named(None, where), use_safetensors=True, output_loading_info=True
            )
            tokenizer = AutoTokenizer.from_pretrained(folder)
            tokenizer.chat_template = find_template(folder, tokenizer)
        except UNREADABLE as error:
            raise ModelError(f"{folder}: cannot be loaded as a process model: {cause(error)}") from error
        if found["missing_keys"]:
            missing = sorted(found["missing_keys"])
            raise ModelError(f"{folder}: {len(missing)} weights are not in the files, such as {missing[0]}")
        return cls(model.to(where), tokenizer, folder)

    @torch.no_grad()
    def __call__(self, prompt: Prompt, steps: Sequence[str]) -> list[float] | Failure:
        """The score of every step. Failure: "too_long"."""
        chat = [{"role": "user", "content": prompt.text}]
        rendered = self.tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        ids: list[int] = self.tokenizer(rendered, add_special_tokens=False)["input_ids"]
        ends = []
        for step in steps:
            ids = [*ids, *self.tokenizer(step, add_special_tokens=False)["input_ids"], self.between]
            ends.append(len(ids) - 1)
        most = self.model.config.get_text_config().max_position_embeddings
        if len(ids) > most:
            return Failure(reason="too_long", detail=f"{len(ids)} tokens, {most} fit")
        logits_TL = self.model(torch.tensor([ids], device=self.model.device)).logits[0, ends].float()
        scores: list[float] = logits_TL.softmax(-1)[:, 1].tolist()
        return scores
