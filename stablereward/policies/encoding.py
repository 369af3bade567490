"""Prompts as a model takes them: tokens, positions and preprocessed images, each prepared once."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from PIL import Image
from torch import Tensor

from stablereward.errors import DataError, ModelError, TooLongError
from stablereward.images import load_image
from stablereward.policies.chat_template import opened_by
from stablereward.policies.pixels import AS_BYTES, PIXELS, ByteTable, Media, PackedMedia
from stablereward.policies.tree import EncodedGroup, EncodedPrompt
from stablereward.policies.vision import PACKING
from stablereward.policies.vocabulary import Vocabulary, without_tokens
from stablereward.types import Prompt

BYTES_KEPT = 2**29
TOGETHER = 16
"""Prompts prepared in one call of the processor."""


class Encoder:
    """Encodes the prompts of one model and keeps the newest."""

    def __init__(self, model: Any, processor: Any, source: Path, vocabulary: Vocabulary) -> None:
        self.model, self.processor, self.source = model, processor, source
        self.tokenizer = getattr(processor, "tokenizer", processor)
        self.vocabulary = vocabulary
        self.reads_text_only = processor is self.tokenizer
        self.table = ByteTable.of(processor)
        self._kept: OrderedDict[int, tuple[Prompt, EncodedPrompt]] = OrderedDict()
        self._bytes = 0

    @property
    def max_context(self) -> int:
        return int(self.model.config.get_text_config().max_position_embeddings)

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """See `TokenPolicy.encode`."""
        kept = self._kept.get(id(prompt))
        if kept is not None:
            return kept[1]
        [encoded] = self._encode([prompt])
        self._keep(prompt, encoded)
        return encoded

    def encode_all(self, prompts: Sequence[Prompt]) -> list[EncodedPrompt | DataError]:
        """See `TokenPolicy.encode_all`."""
        fresh = [p for p in {id(p): p for p in prompts}.values() if id(p) not in self._kept]
        done: dict[int, EncodedPrompt] = {}
        if self.reads_text_only or self.model.config.model_type in PACKING:
            for start in range(0, len(fresh), TOGETHER):
                some = fresh[start : start + TOGETHER]
                try:
                    done.update({id(p): e for p, e in zip(some, self._encode(some), strict=True)})
                except DataError:  # one by one then, which also says whose it is
                    break
        for prompt in fresh:
            if id(prompt) in done:
                self._keep(prompt, done[id(prompt)])
        return [done.get(id(prompt)) or self._outcome(prompt) for prompt in prompts]

    def answered(self, prompt: Prompt, responses: Sequence[str]) -> EncodedGroup:
        """The prompt with each response as the assistant's turn that follows it.

        Tokens are those of the dialogue as a whole, in the model's chat template and with no turn opened
        after it. The prompt ends where the dialogues part: where a response's first letters join the
        template's last token, that token is a response's. Raises what `encode` does.
        """
        encoded, num_images = self.encode(prompt), len(prompt.images)
        texts = [self._rendered(prompt, num_images, response) for response in (None, *responses)]
        opened, *rows = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
        shared = min(_shared(opened, row) for row in rows)
        left = len(opened) - shared
        if left:
            if encoded.input_ids_P[-left:].tolist() != opened[shared:]:
                raise ModelError(
                    f"{self.source}: its chat template writes the question otherwise once it is answered, so "
                    "that responses cannot share it"
                )
            encoded = replace(
                encoded,
                input_ids_P=encoded.input_ids_P[:-left],
                positions_AP=encoded.positions_AP[:, :-left],
            )
        return EncodedGroup(prompt=encoded, completions=tuple(tuple(row[shared:]) for row in rows))

    def _outcome(self, prompt: Prompt) -> EncodedPrompt | DataError:
        try:
            return self.encode(prompt)
        except DataError as error:
            return error

    def _keep(self, prompt: Prompt, encoded: EncodedPrompt) -> None:
        self._kept[id(prompt)] = (prompt, encoded)
        self._bytes += encoded.num_bytes
        while self._bytes > BYTES_KEPT and len(self._kept) > 1:
            _, (_, oldest) = self._kept.popitem(last=False)
            self._bytes -= oldest.num_bytes

    def _encode(self, prompts: Sequence[Prompt]) -> list[EncodedPrompt]:
        """Raises DataError, which names the prompt where there is one."""
        where = _where(prompts[0]) if len(prompts) == 1 else f"{len(prompts)} prompts"
        images = [[load_image(image, _where(prompt)) for image in prompt.images] for prompt in prompts]
        texts = [self._rendered(p, len(shown)) for p, shown in zip(prompts, images, strict=True)]
        inputs = self._processed(texts, [image for shown in images for image in shown], where)
        rows, mask = inputs.pop("input_ids"), inputs.pop("attention_mask").bool()
        for name in ("mm_token_type_ids", "token_type_ids"):
            inputs.pop(name, None)
        media: list[Media] = (
            [inputs] if len(prompts) == 1 else _split(inputs, [len(shown) for shown in images])
        )
        if self.table is not None:
            media = [PackedMedia(self.table, one) for one in media]
        encoded = []
        for prompt, text, ids_P, pixels in zip(
            prompts, texts, (r[m] for r, m in zip(rows, mask, strict=True)), media, strict=True
        ):
            if len(ids_P) >= self.max_context:
                raise TooLongError(
                    f"{_where(prompt)}: the prompt has {len(ids_P)} tokens, the model's context is "
                    f"{self.max_context}; shorten it or lower the image size"
                )
            positions_AP = self._positions(ids_P[None], pixels)
            encoded.append(
                EncodedPrompt(
                    input_ids_P=ids_P, positions_AP=positions_AP, media=pixels, opened=opened_by(text)
                )
            )
        return encoded

    def _rendered(self, prompt: Prompt, num_images: int, response: str | None = None) -> str:
        """The prompt in the model's chat template, the assistant's turn opened or with a response closed."""
        if self.reads_text_only and num_images:
            raise ModelError(f"{_where(prompt)}: {num_images} image(s), but the model reads text only")
        if self.processor.chat_template is None:
            raise ModelError(
                f"{self.source}: the model has no chat template; add chat_template.jinja to its folder"
            )
        chat = [self._turn("user", self.vocabulary.harmless(prompt), num_images)]
        if response is not None:
            special = [*self.vocabulary.control_tokens, *self.vocabulary.special_tags]
            chat.append(self._turn("assistant", without_tokens(response, special)))
        try:
            rendered: str = self.processor.apply_chat_template(
                chat, add_generation_prompt=response is None, tokenize=False
            )
        except TemplateError as error:
            raise ModelError(
                f"{self.source}: the chat template does not take one turn of a user: {error}"
            ) from error
        return rendered

    def _turn(self, role: str, text: str, num_images: int = 0) -> dict[str, Any]:
        content = [*({"type": "image"} for _ in range(num_images)), {"type": "text", "text": text}]
        return {"role": role, "content": text if self.reads_text_only else content}

    def _processed(self, texts: list[str], images: list[Image.Image], where: str) -> dict[str, Tensor]:
        asked = {
            "text": texts,
            "return_tensors": "pt",
            "add_special_tokens": False,
            "padding": len(texts) > 1,
        }
        if not self.reads_text_only:
            asked["images"] = images or None
        if self.table is not None:
            asked |= AS_BYTES
        try:
            made = dict(self.processor(**asked))
        except ValueError as error:  # such as an image 200 times as wide as high
            raise DataError(f"{where}: the model's processor refuses it: {error}") from error
        if self.table is not None and PIXELS in made:
            made[PIXELS] = self.table.pack(made[PIXELS])
        return made

    def _positions(self, input_ids: Tensor, media: Media) -> Tensor:
        """[A, P]: one axis, or three where the family places image tokens on a grid (M-RoPE)."""
        inner = self.model.model
        if not hasattr(inner, "get_rope_index"):
            return torch.arange(input_ids.shape[1])[None]
        is_image = (input_ids == self.model.config.image_token_id).int()
        positions, _ = inner.get_rope_index(
            input_ids, mm_token_type_ids=is_image, image_grid_thw=media.get("image_grid_thw")
        )
        one_row_AP: Tensor = positions[:, 0]
        return one_row_AP


def _split(inputs: Media, num_images: Sequence[int]) -> list[Media]:
    """Packed patches, and their grids, of each prompt. Copies, so that no prompt keeps the others'."""
    if not inputs:
        return [{} for _ in num_images]
    grids = torch.split(inputs["image_grid_thw"], list(num_images))
    pixels = torch.split(inputs[PIXELS], [int(grid.prod(-1).sum()) for grid in grids])
    return [
        {PIXELS: of_prompt.clone(), "image_grid_thw": grid.clone()} if len(grid) else {}
        for of_prompt, grid in zip(pixels, grids, strict=True)
    ]


def _shared(opened: list[int], row: list[int]) -> int:
    """How many tokens of the prompt a dialogue begins with, leaving it one of its own."""
    if row[: len(opened)] == opened and len(row) > len(opened):
        return len(opened)
    same = sum(1 for _ in takewhile(lambda two: two[0] == two[1], zip(opened, row, strict=False)))
    return min(same, len(row) - 1)


def _where(prompt: Prompt) -> str:
    preference = prompt.preference
    return preference.name if preference is not None and (preference.where or preference.id) else "prompt"
