import torch

from stablereward.policies.tree import EncodedGroup, EncodedPrompt, Tree, tree_attention


def encoded(ids: list[int], positions: list[list[int]], **media: torch.Tensor) -> EncodedPrompt:
    return EncodedPrompt(
        input_ids_P=torch.tensor(ids), positions_AP=torch.tensor(positions), media=dict(media)
    )


# Three rotary axes: two image tokens side by side, then one word.
SEEN = encoded([90, 90, 11], [[0, 0, 2], [0, 0, 2], [0, 1, 2]], pixel_values=torch.ones(2, 4))
READ = encoded([12], [[0]] * 3)
GROUPS = [
    EncodedGroup(prompt=SEEN, completions=((21, 22, 23), (31,), (41, 42))),
    EncodedGroup(prompt=READ, completions=((51, 52),)),
]
NONE, PAD = -1, 0


def test_a_layout_by_hand() -> None:
    tree = Tree.build(GROUPS, pad_token_id=PAD)
    # The last token of a completion is only ever predicted, so it is not in the row.
    assert tree.input_ids_RL.tolist() == [[90, 90, 11, 21, 22, 41], [12, 51, PAD, PAD, PAD, PAD]]
    assert tree.segments_RL.tolist() == [[0, 0, 0, 1, 1, 3], [0, 1, NONE, NONE, NONE, NONE]]
    assert tree.positions_ARL[:, 0].tolist() == [
        [0, 0, 2, 3, 4, 3],
        [0, 0, 2, 3, 4, 3],
        [0, 1, 2, 3, 4, 3],
    ]
    assert tree.positions_ARL[0, 1].tolist() == [0, 1, 0, 0, 0, 0]
    assert tree.targets_BT.tolist() == [[21, 22, 23], [31, PAD, PAD], [41, 42, PAD], [51, 52, PAD]]
    assert tree.mask_BT.tolist() == [
        [True, True, True],
        [True, False, False],
        [True, True, False],
        [True, True, False],
    ]
    # A first token is predicted by the prompt's last; the others by the token before them.
    assert tree.sources_BT[tree.mask_BT].tolist() == [2, 3, 4, 2, 2, 5, 6, 7]
    assert tree.media["pixel_values"].tolist() == [[1.0] * 4] * 2


def test_positions_go_on_after_the_largest_of_any_axis() -> None:
    wide = encoded([90, 90, 90], [[0, 0, 0], [0, 0, 0], [0, 1, 7]])
    tree = Tree.build([EncodedGroup(prompt=wide, completions=((1, 2),))], pad_token_id=PAD)
    assert tree.positions_ARL[:, 0, 3].tolist() == [8, 8, 8]


def test_a_groups_length_is_its_row() -> None:
    assert [group.num_tokens for group in GROUPS] == [6, 2]
    assert SEEN.num_bytes == 3 * 8 + 9 * 8 + 8 * 4


def test_who_sees_whom() -> None:
    mask_RLL = tree_attention(torch.tensor([[0, 0, 1, 1, 2, NONE]]), torch.float32)[:, 0]
    assert mask_RLL.shape == (1, 6, 6)
    assert set(mask_RLL.unique().tolist()) == {0.0, torch.finfo(torch.float32).min}
    assert (mask_RLL[0] == 0).int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [1, 1, 0, 0, 0, 1],
    ]


def test_a_tree_moves_as_a_whole() -> None:
    moved = Tree.build(GROUPS, pad_token_id=PAD).to(torch.device("meta"))
    tensors = [
        moved.input_ids_RL,
        moved.positions_ARL,
        moved.segments_RL,
        moved.sources_BT,
        moved.targets_BT,
        moved.mask_BT,
        moved.media["pixel_values"],
    ]
    assert all(tensor.device.type == "meta" for tensor in tensors)
