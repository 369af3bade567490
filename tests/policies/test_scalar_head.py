"""What of a response's states is read, by hand, and the layers of a head."""

import pytest
import torch
from torch import nn

from stablereward.policies.scalar_head import HeadConfig, last_token, last_where, mean_token, scalar_head
from stablereward.policies.tree import EncodedGroup, EncodedPrompt, Tree

PAD, END = 9, 5


def tree() -> Tree:
    """Two tokens of a prompt with responses of three and one; a prompt of one token with one of two."""

    def prompt(*ids: int) -> EncodedPrompt:
        return EncodedPrompt(
            input_ids_P=torch.tensor(ids), positions_AP=torch.arange(len(ids))[None], media={}
        )

    return Tree.build(
        [
            EncodedGroup(prompt=prompt(1, 2), completions=((3, END, 4, PAD), (3, PAD))),
            EncodedGroup(prompt=prompt(1), completions=((END, END, PAD),)),
        ],
        PAD,
    )


STATES_RLD = torch.tensor(
    [[[1.0], [2.0], [10.0], [20.0], [30.0], [100.0]], [[7.0], [8.0], [9.0], [0.0], [0.0], [0.0]]]
)


def test_the_last_token_has_the_state() -> None:
    assert last_token(STATES_RLD, tree()).tolist() == [[30.0], [100.0], [9.0]]


def test_the_last_that_is_chosen_and_where_none_is_the_last() -> None:
    ends = last_where(lambda ids: ids == END)
    assert ends(STATES_RLD, tree()).tolist() == [[20.0], [100.0], [9.0]]
    others = last_where(lambda ids: ids != 4)
    assert others(STATES_RLD, tree()).tolist() == [[20.0], [100.0], [9.0]]


def test_the_mean_is_over_the_dialogue_and_not_over_the_others() -> None:
    expected = [[(1 + 2 + 10 + 20 + 30) / 5], [(1 + 2 + 100) / 3], [(7 + 8 + 9) / 3]]
    assert mean_token(STATES_RLD, tree()).tolist() == [pytest.approx(one) for one in expected]


def test_a_head_by_its_settings() -> None:
    linear = scalar_head(4, HeadConfig(layers=1, outputs=3), 0)
    assert [type(layer) for layer in linear.children()] == [nn.Linear]
    assert linear(torch.zeros(2, 4)).tolist() == [[0.0] * 3] * 2
    deep = scalar_head(4, HeadConfig(layers=3, activation="tanh"), 0)
    kinds = [nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear]
    assert [type(layer) for layer in deep.children()] == kinds
    flat = scalar_head(4, HeadConfig(activation="none"), 0)
    with torch.no_grad():
        zero, x, y = flat(torch.zeros(1, 4)), flat(torch.ones(1, 4)), flat(2 * torch.ones(1, 4))
    assert torch.allclose(y - x, x - zero)  # layers without an activation are one map


def test_a_seed_leaves_other_randomness_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    first, same = (scalar_head(4, HeadConfig(), 3).state_dict() for _ in range(2))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(first[name], same[name]) for name in first)
