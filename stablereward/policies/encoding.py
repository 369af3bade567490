"""Prompts as a model takes them: tokens, positions and preprocessed images, each prepared once."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jinja2 import TemplateError
from PIL import Image
from torch import Tensor

from stablereward.errors import DataError, ModelError, TooLongError
from stablereward.images import load_image
from stablereward.policies.chat_template import keeps_places, opened_by, shows_answers
from stablereward.policies.pixels import AS_BYTES, PIXELS, ByteTable, Media, PackedMedia
from stablereward.policies.processor import cause
from stablereward.policies.tree import EncodedGroup, EncodedPrompt
from stablereward.policies.vision import PACKING
from stablereward.policies.vocabulary import Vocabulary, value_without_tokens, without_tokens
from stablereward.types import Message, Prompt, Response, ToolCall, images_of

BYTES_KEPT = 2**29
TOGETHER = 16
"""Prompts prepared in one call of the processor."""
RESPONSE = "\n\nResponse:\n"
"""What stands between a question and its response where the template has no pictures in an answer."""


class _Chat(NamedTuple):
    """Turns whose texts hold no control tokens; `where` is what a message calls them."""

    messages: tuple[Message, ...]
    where: str
    opened: bool = True


class Encoder:
    """Encodes the prompts of one model and keeps the newest."""

    def __init__(self, model: Any, processor: Any, source: Path, vocabulary: Vocabulary) -> None:
        self.model, self.processor, self.source = model, processor, source
        self.tokenizer = getattr(processor, "tokenizer", processor)
        self.vocabulary = vocabulary
        self.reads_text_only = processor is self.tokenizer
        self.table = ByteTable.of(processor)
        self._kept: OrderedDict[Hashable, tuple[object, EncodedPrompt]] = OrderedDict()
        self._bytes = 0

    @property
    def max_context(self) -> int:
        return int(self.model.config.get_text_config().max_position_embeddings)

    @cached_property
    def _keeps_places(self) -> bool:
        return keeps_places(self.processor)

    @cached_property
    def _shows_answers(self) -> bool:
        return shows_answers(self.processor)

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """See `TokenPolicy.encode`."""
        kept = self._kept.get(id(prompt))
        if kept is not None:
            return kept[1]
        [encoded] = self._encode([self._chat(prompt)])
        self._keep(id(prompt), prompt, encoded)
        return encoded

    def encode_all(self, prompts: Sequence[Prompt]) -> list[EncodedPrompt | DataError]:
        """See `TokenPolicy.encode_all`."""
        fresh = [p for p in {id(p): p for p in prompts}.values() if id(p) not in self._kept]
        done: dict[int, EncodedPrompt] = {}
        if self.reads_text_only or self.model.config.model_type in PACKING:
            for start in range(0, len(fresh), TOGETHER):
                some = fresh[start : start + TOGETHER]
                try:
                    encoded = self._encode([self._chat(prompt) for prompt in some])
                    done.update({id(p): e for p, e in zip(some, encoded, strict=True)})
                except DataError:  # one by one then, which also says whose it is
                    break
        for prompt in fresh:
            if id(prompt) in done:
                self._keep(id(prompt), prompt, done[id(prompt)])
        return [done.get(id(prompt)) or self._outcome(prompt) for prompt in prompts]

    def answered(self, prompt: Prompt, responses: Sequence[Response]) -> list[EncodedGroup]:
        """The prompt with each response as the assistant's turn that follows it, as rows.

        Tokens are those of the dialogue as a whole, in the model's chat template and with no turn opened
        after it. Texts share the prompt in one row. It ends where the dialogues part: where a response's
        first letters join the template's last token, that token is a response's.

        Where a response holds pictures each is a row of its own, of which all up to the last image is the
        prompt. A template that writes no picture into an assistant's turn gets all of them as the end of the
        user's turn, after `RESPONSE`. Raises what `encode` does.
        """
        if any(images_of(response) for response in responses):
            return [self._alone(prompt, response) for response in responses]
        encoded, asked = self.encode(prompt), self._chat(prompt)
        chats = [asked, *(self._answered(asked, response) for response in responses)]
        opened, *rows = self.tokenizer([self._rendered(c) for c in chats], add_special_tokens=False)[
            "input_ids"
        ]
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
        return [EncodedGroup(prompt=encoded, completions=tuple(tuple(row[shared:]) for row in rows))]

    def _alone(self, prompt: Prompt, response: Response) -> EncodedGroup:
        """The whole dialogue, of which what follows the last image is the completion."""
        key = (id(prompt), id(response))
        if key not in self._kept:
            asked = self._chat(prompt)
            if self._shows_answers or not asked.messages or asked.messages[-1].role != "user":
                chat = self._answered(asked, response)
            else:
                *before, last = asked.messages
                answer = self._answered(asked, response).messages[-1]
                both = Message("user", (*last.parts, RESPONSE, *answer.parts))
                chat = _Chat((*before, both), asked.where, opened=False)
            [encoded] = self._encode([chat])
            self._keep(key, (prompt, response), encoded)
        whole = self._kept[key][1]
        shown = (whole.input_ids_P == self.model.config.image_token_id).nonzero()
        cut = min(int(shown.max()) + 1 if len(shown) else 1, whole.num_tokens - 1)
        start = replace(whole, input_ids_P=whole.input_ids_P[:cut], positions_AP=whole.positions_AP[:, :cut])
        return EncodedGroup(prompt=start, completions=(tuple(whole.input_ids_P[cut:].tolist()),))

    def _chat(self, prompt: Prompt) -> _Chat:
        def harmless(message: Message) -> Message:
            said = (
                self.vocabulary.harmless(part, prompt.preference) if isinstance(part, str) else part
                for part in message.parts
            )
            return self._unable_to_act(replace(message, parts=tuple(said)))

        return _Chat(tuple(map(harmless, prompt.messages)), _where(prompt))

    def _answered(self, asked: _Chat, response: Response) -> _Chat:
        turn = Message("assistant", (response,)) if isinstance(response, str) else response
        said = (
            without_tokens(part, self.vocabulary.breaking) if isinstance(part, str) else part
            for part in turn.parts
        )
        turn = self._unable_to_act(replace(turn, role="assistant", parts=tuple(said)))
        return _Chat((*asked.messages, turn), asked.where, opened=False)

    def _unable_to_act(self, message: Message) -> Message:
        """The turn, with role, calls and id, which files give, unable to act as a control token or a tag."""
        breaking = self.vocabulary.breaking
        calls = (
            ToolCall(*value_without_tokens((call.name, call.arguments, call.id), breaking))
            for call in message.tool_calls
        )
        role, answered = (without_tokens(text, breaking) for text in (message.role, message.tool_call_id))
        return replace(message, role=role, tool_calls=tuple(calls), tool_call_id=answered)

    def _outcome(self, prompt: Prompt) -> EncodedPrompt | DataError:
        try:
            return self.encode(prompt)
        except DataError as error:
            return error

    def _keep(self, key: Hashable, owner: object, encoded: EncodedPrompt) -> None:
        """`owner` stays alive as long, so that no other object has its id."""
        self._kept[key] = (owner, encoded)
        self._bytes += encoded.num_bytes
        while self._bytes > BYTES_KEPT and len(self._kept) > 1:
            _, (_, oldest) = self._kept.popitem(last=False)
            self._bytes -= oldest.num_bytes

    def _encode(self, chats: Sequence[_Chat]) -> list[EncodedPrompt]:
        """Raises DataError, which names the prompt where there is one."""
        where = chats[0].where if len(chats) == 1 else f"{len(chats)} prompts"
        images = [
            [load_image(i, chat.where) for turn in chat.messages for i in turn.images] for chat in chats
        ]
        texts = [self._rendered(chat) for chat in chats]
        inputs = self._processed(texts, [image for shown in images for image in shown], where)
        rows, mask = inputs.pop("input_ids"), inputs.pop("attention_mask").bool()
        for name in ("mm_token_type_ids", "token_type_ids"):
            inputs.pop(name, None)
        media: list[Media] = [inputs] if len(chats) == 1 else _split(inputs, [len(shown) for shown in images])
        if self.table is not None:
            media = [PackedMedia(self.table, one) for one in media]
        encoded = []
        for chat, text, ids_P, pixels in zip(
            chats, texts, (r[m] for r, m in zip(rows, mask, strict=True)), media, strict=True
        ):
            if len(ids_P) >= self.max_context:
                raise TooLongError(
                    f"{chat.where}: the prompt has {len(ids_P)} tokens, the model's context is "
                    f"{self.max_context}; shorten it or lower the image size"
                )
            positions_AP = self._positions(ids_P[None], pixels)
            encoded.append(
                EncodedPrompt(
                    input_ids_P=ids_P, positions_AP=positions_AP, media=pixels, opened=opened_by(text)
                )
            )
        return encoded

    def _rendered(self, chat: _Chat) -> str:
        """The turns in the model's chat template, that of the assistant opened where the chat says so."""
        num_images = sum(len(turn.images) for turn in chat.messages)
        if self.reads_text_only and num_images:
            raise ModelError(f"{chat.where}: {num_images} image(s), but the model reads text only")
        if self.processor.chat_template is None:
            raise ModelError(
                f"{self.source}: the model has no chat template; add chat_template.jinja to its folder"
            )
        try:
            rendered: str = self.processor.apply_chat_template(
                [self._turn(message) for message in chat.messages],
                add_generation_prompt=chat.opened,
                tokenize=False,
            )
        except TemplateError as error:
            roles = ", ".join(message.role for message in chat.messages)
            raise ModelError(
                f"{self.source}: the chat template does not take the turns {roles} of {chat.where}: "
                f"{cause(error)}; leave out what it does not know, or give the folder another template"
            ) from error
        called = (call.name for turn in chat.messages for call in turn.tool_calls)
        if lost := next((name for name in called if name not in rendered), None):
            raise ModelError(
                f"{self.source}: the chat template writes no calls of tools, such as that of {lost!r} in "
                f"{chat.where}; give the folder a template that does"
            )
        return rendered

    def _turn(self, message: Message) -> dict[str, Any]:
        """As templates take it; a call's arguments are a mapping."""
        turn: dict[str, Any] = {"role": message.role, "content": self._content(message)}
        if message.tool_calls:
            turn["tool_calls"] = [call.in_chat(dict(call.arguments)) for call in message.tool_calls]
        return turn | ({"tool_call_id": message.tool_call_id} if message.tool_call_id else {})

    def _content(self, message: Message) -> str | list[dict[str, str]]:
        if self.reads_text_only:
            return message.text
        parts = message.parts
        first = len(message.images)
        if any(not isinstance(part, str) for part in parts[first:]) and not self._keeps_places:
            # A template that would show all images before the text gets them as the text they stand for.
            token: str = self.processor.image_token
            parts = ("".join(part if isinstance(part, str) else token for part in parts),)
        return [
            {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"} for part in parts
        ]

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
