"""Several completions of one prompt laid out as one row, so that the prompt is read once.

A row is the prompt followed by its completions end to end. A completion sees the prompt and itself;
its positions continue from the prompt. One ordinary forward pass over the row gives every sample the
log-probabilities it would have alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPrompt:
    """A prompt as a model takes it. A is 3 for families with three rotary axes, else 1.

    `media` holds the tensors of its images by the names the model's forward uses.
    """

    input_ids_P: Tensor
    positions_AP: Tensor
    media: dict[str, Tensor]

    @property
    def num_tokens(self) -> int:
        return self.input_ids_P.shape[0]

    @property
    def num_bytes(self) -> int:
        """The memory of its tensors."""
        return sum(value.nbytes for value in (self.input_ids_P, self.positions_AP, *self.media.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One encoded prompt and the token ids of its completions (each at least one token)."""

    prompt: EncodedPrompt
    completions: tuple[tuple[int, ...], ...]

    @property
    def num_tokens(self) -> int:
        """The length of the row; a completion's last token is a target only."""
        return self.prompt.num_tokens + sum(len(ids) - 1 for ids in self.completions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """R rows of length L holding B samples of up to T tokens.

    `segments_RL` is 0 on prompts, 1, 2, … on the completions of a row and -1 on padding.
    `sources_BT` is where in the flattened rows the state lies that predicts each target.
    """

    input_ids_RL: Tensor
    positions_ARL: Tensor
    segments_RL: Tensor
    media: dict[str, Tensor]
    sources_BT: Tensor
    targets_BT: Tensor
    mask_BT: Tensor

    @classmethod
    def build(cls, groups: Sequence[Group], pad_token_id: int) -> Self:
        """Lays the groups out. Samples keep the order of the groups and of their completions."""
        length = max(group.num_tokens for group in groups)
        longest = max(len(ids) for group in groups for ids in group.completions)
        rows: list[list[int]] = []
        positions = torch.zeros((len(groups[0].prompt.positions_AP), len(groups), length), dtype=torch.long)
        segments: list[list[int]] = []
        sources: list[list[int]] = []
        targets: list[list[int]] = []
        lengths: list[int] = []
        for number, group in enumerate(groups):
            ids, own = group.prompt.input_ids_P.tolist(), [0] * group.prompt.num_tokens
            after = torch.arange(longest - 1) + int(group.prompt.positions_AP.max()) + 1
            positions[:, number, : len(ids)] = group.prompt.positions_AP
            last_of_prompt = number * length + len(ids) - 1
            for segment, completion in enumerate(group.completions, start=1):
                size, start = len(completion) - 1, number * length + len(ids)
                positions[:, number, len(ids) : len(ids) + size] = after[:size]
                ids += completion[:-1]
                own += [segment] * size
                sources.append([last_of_prompt, *range(start, start + size)] + [0] * (longest - size - 1))
                targets.append([*completion, *[pad_token_id] * (longest - size - 1)])
                lengths.append(len(completion))
            rows.append(ids + [pad_token_id] * (length - len(ids)))
            segments.append(own + [-1] * (length - len(own)))
        input_ids, sources_BT, targets_BT = (torch.tensor(x) for x in (rows, sources, targets))
        mask_BT = torch.arange(longest) < torch.tensor(lengths)[:, None]
        return cls(
            input_ids_RL=input_ids,
            positions_ARL=positions,
            segments_RL=torch.tensor(segments),
            media=join_media([group.prompt for group in groups]),
            sources_BT=sources_BT,
            targets_BT=targets_BT,
            mask_BT=mask_BT,
        )

    def to(self, device: torch.device) -> Self:
        """The same tree on another device."""
        return replace(
            self,
            input_ids_RL=self.input_ids_RL.to(device),
            positions_ARL=self.positions_ARL.to(device),
            segments_RL=self.segments_RL.to(device),
            media={name: value.to(device) for name, value in self.media.items()},
            sources_BT=self.sources_BT.to(device),
            targets_BT=self.targets_BT.to(device),
            mask_BT=self.mask_BT.to(device),
        )


def join_media(prompts: Sequence[EncodedPrompt]) -> dict[str, Tensor]:
    """The images of several prompts one after the other; prompts without images add nothing."""
    names = {name: None for prompt in prompts for name in prompt.media}
    return {name: torch.cat([p.media[name] for p in prompts if name in p.media]) for name in names}


def tree_attention(segments_RL: Tensor, dtype: torch.dtype) -> Tensor:
    """The additive mask [R, 1, L, L] under which a token sees its prompt and its own completion."""
    length = segments_RL.shape[1]
    causal = torch.ones((length, length), dtype=torch.bool, device=segments_RL.device).tril()
    query, key = segments_RL[:, :, None], segments_RL[:, None, :]
    # Padding sees the prompt and padding, so that no row of the mask is empty; nothing sees padding.
    visible = causal & ((key == 0) | (key == query))
    mask = torch.zeros(visible.shape, dtype=dtype, device=segments_RL.device)
    return mask.masked_fill(~visible, torch.finfo(dtype).min)[:, None]
