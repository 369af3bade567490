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

from stablereward.policies.pixels import Media, joined, moved, num_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPrompt:
    """A prompt as a model takes it. A is 3 for families with three rotary axes, else 1.

    `media` holds the tensors of its images by the names that the model's forward takes. `opened` is the
    start of the completion where the chat template writes that itself, such as `<think>`.
    """

    input_ids_P: Tensor
    positions_AP: Tensor
    media: Media
    opened: str = ""

    @property
    def num_tokens(self) -> int:
        return self.input_ids_P.shape[0]

    @property
    def num_bytes(self) -> int:
        """The memory of its tensors."""
        return self.input_ids_P.nbytes + self.positions_AP.nbytes + num_bytes(self.media)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedGroup:
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
    media: Media
    sources_BT: Tensor
    targets_BT: Tensor
    mask_BT: Tensor

    @classmethod
    def build(cls, groups: Sequence[EncodedGroup], pad_token_id: int) -> Self:
        """Lays the groups out. Samples keep the order of the groups and of their completions."""
        prompts = [group.prompt for group in groups]
        completions = [ids for group in groups for ids in group.completions]
        shape = (len(groups), max(group.num_tokens for group in groups))
        input_ids_RL, segments_RL = torch.full(shape, pad_token_id), torch.full(shape, -1)
        positions_ARL = torch.zeros((len(prompts[0].positions_AP), *shape), dtype=torch.long)
        for row, prompt in enumerate(prompts):
            input_ids_RL[row, : prompt.num_tokens] = prompt.input_ids_P
            segments_RL[row, : prompt.num_tokens] = 0
            positions_ARL[:, row, : prompt.num_tokens] = prompt.positions_AP

        sizes_B = torch.tensor([len(ids) for ids in completions])
        steps_T = torch.arange(int(sizes_B.max()))
        mask_BT = steps_T < sizes_B[:, None]
        targets_BT = torch.full(mask_BT.shape, pad_token_id)
        targets_BT[mask_BT] = torch.tensor([token for ids in completions for token in ids])

        copies_R = torch.tensor([len(group.completions) for group in groups])
        rows_B = torch.arange(len(groups)).repeat_interleave(copies_R)
        numbers_B = torch.arange(len(completions)) - _before(copies_R)[rows_B]
        lengths_R = torch.tensor([prompt.num_tokens for prompt in prompts])
        own_R = torch.tensor([group.num_tokens for group in groups]) - lengths_R
        before_B = _before(sizes_B - 1) - _before(own_R)[rows_B]
        last_of_prompt_B1 = (rows_B * shape[1] + lengths_R[rows_B] - 1)[:, None]
        written_BT = last_of_prompt_B1 + before_B[:, None] + steps_T
        sources_BT = torch.where(steps_T == 0, last_of_prompt_B1, written_BT).masked_fill_(~mask_BT, 0)

        # The last token of a completion is a target only.
        read = mask_BT[:, 1:]
        places_N = sources_BT[:, 1:][read]
        next_R = positions_ARL.amax(dim=(0, 2)) + 1
        input_ids_RL.view(-1)[places_N] = targets_BT[:, :-1][read]
        segments_RL.view(-1)[places_N] = (numbers_B[:, None] + 1).expand(read.shape)[read]
        positions_ARL.flatten(1)[:, places_N] = (next_R[rows_B][:, None] + steps_T[:-1])[read]
        return cls(
            input_ids_RL=input_ids_RL,
            positions_ARL=positions_ARL,
            segments_RL=segments_RL,
            media=joined([prompt.media for prompt in prompts]),
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
            media=moved(self.media, device),
            sources_BT=self.sources_BT.to(device),
            targets_BT=self.targets_BT.to(device),
            mask_BT=self.mask_BT.to(device),
        )


def _before(sizes_N: Tensor) -> Tensor:
    """How many there are in all those before each."""
    return sizes_N.cumsum(0) - sizes_N


def tree_attention(segments_RL: Tensor, dtype: torch.dtype) -> Tensor:
    """The additive mask [R, 1, L, L] under which a token sees its prompt and its own completion."""
    length = segments_RL.shape[1]
    causal = torch.ones((length, length), dtype=torch.bool, device=segments_RL.device).tril()
    query, key = segments_RL[:, :, None], segments_RL[:, None, :]
    # Padding sees the prompt and padding, so that no row of the mask is empty; nothing sees padding.
    visible = causal & ((key == 0) | (key == query))
    mask = torch.zeros(visible.shape, dtype=dtype, device=segments_RL.device)
    return mask.masked_fill(~visible, torch.finfo(dtype).min)[:, None]
