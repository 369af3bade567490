"""What a model's token ids stand for: text, the tags of a judgement, control, or nothing at all."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stablereward.data.prompts import transcript
from stablereward.types import Preference, parts_of

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
"""What a judgement is written in. To some tokenizers these are special tokens; here they are text."""


class Vocabulary:
    """The ids of a tokenizer in a model with `size` output rows.

    `control_tokens` are the special tokens as text, the `placeholders` of images among them, without the
    tags; `special_tags` are the tags that the tokenizer has as special tokens, and `breaking` are both.
    `textless` are the ids that no token has: rows that pad the model's matrices, and holes. `unsaid` are all
    ids that `text` drops, but for those that end a completion: writing one would be a step that nobody reads.
    """

    def __init__(
        self, tokenizer: Any, size: int, *, placeholders: Sequence[int], stop_ids: Sequence[int]
    ) -> None:
        self.tokenizer = tokenizer
        special = control_tokens_of(tokenizer, placeholders)
        self.control_tokens = [token for token in special if token not in TAGS]
        self.special_tags = [token for token in TAGS if token in special]
        self.breaking = [*self.control_tokens, *self.special_tags]
        self.textless = sorted(set(range(size)) - set(tokenizer.get_vocab().values()))
        self._silent = {*tokenizer.convert_tokens_to_ids(self.control_tokens), *stop_ids, *self.textless}
        self.unsaid = sorted((self._silent - {*stop_ids}) & {*range(size)})

    def text(self, ids: Iterable[int]) -> str:
        """What the ids say, without control tokens and end tokens and with the tags."""
        spoken = [number for number in ids if number not in self._silent]
        decoded: str = self.tokenizer.decode(spoken, skip_special_tokens=False)
        return decoded

    def ids(self, text: str) -> list[int]:
        """The ids of a text that an annotator wrote: tags are tags, a control token in it is only letters."""
        # A tokenizer splits all special tokens or none; where the tags are some, the others are broken.
        split = not self.special_tags
        text = text if split else without_tokens(text, self.control_tokens)
        encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=split)
        ids: list[int] = encoded["input_ids"]
        return ids

    def harmless(self, text: str, preference: Preference | None) -> str:
        """A prompt's text, where nothing in the data acts as a control token. The template's tags stay.

        `preference` is what the prompt was made from.
        """
        if self.special_tags and preference is not None:
            if any(text == part for turn in preference.messages for part in turn.parts):
                return without_tokens(text, self.breaking)
            parts = (part for response in preference.responses for part in parts_of(response))
            pieces = {
                transcript(preference),
                preference.question,
                *(part for part in parts if isinstance(part, str)),
            }
            # The longest first, for a shorter one may be a part of it.
            for piece in sorted(pieces, key=len, reverse=True):
                if any(tag in piece for tag in self.special_tags):
                    text = text.replace(piece, without_tokens(piece, self.special_tags))
        return without_tokens(text, self.control_tokens)


def control_tokens_of(tokenizer: Any, placeholders: Sequence[int]) -> list[str]:
    """Every token that means something else than its letters, as text."""
    special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    named = tokenizer.convert_ids_to_tokens(list(placeholders))
    return sorted({*tokenizer.all_special_tokens, *special, *named})


def without_tokens(text: str, control_tokens: Sequence[str]) -> str:
    """Text from data must not act as a control token, so one written out in it is broken by a space."""
    for token in control_tokens:
        if len(token) > 1:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def value_without_tokens(value: Any, control_tokens: Sequence[str]) -> Any:
    """The same of every text in a value as JSON has them, names of fields among them."""
    if isinstance(value, str):
        return without_tokens(value, control_tokens)
    if isinstance(value, Mapping):
        return {
            value_without_tokens(name, control_tokens): value_without_tokens(one, control_tokens)
            for name, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [value_without_tokens(one, control_tokens) for one in value]
    return value
