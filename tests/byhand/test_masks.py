"""Masks: counted by hand, symmetric where they must be, and their reach through layers."""

import inspect

import pytest
import torch
from byhand.masks import causal_mask, padding_mask, receptive_field, sparse_mask


def rows(mask):
    return ["".join("x" if allowed else "." for allowed in row) for row in mask.tolist()]


def test_causal_mask_lets_every_query_see_itself_and_its_past():
    assert rows(causal_mask(3)) == ["x..", "xx.", "xxx"]
    assert causal_mask(0).shape == (0, 0)
    assert causal_mask(1).all()


def test_causal_mask_of_a_longer_past_is_aligned_at_the_bottom_right():
    assert rows(causal_mask(2, 5)) == ["xxxx.", "xxxxx"]
    assert torch.equal(causal_mask(3, 7), causal_mask(7)[4:])


@pytest.mark.parametrize(("seq", "total"), [(3, 2), (-1, 2)])
def test_causal_mask_refuses_more_queries_than_keys(seq, total):
    with pytest.raises(ValueError, match="total counts the past and the queries"):
        causal_mask(seq, total)


def test_padding_mask_hides_the_same_keys_from_every_head_and_query():
    attention_mask = torch.tensor([[True, True, False], [True, False, False]])
    mask = padding_mask(attention_mask)
    assert mask.shape == (2, 1, 1, 3)
    assert torch.equal(mask.expand(2, 4, 3, 3)[:, 2, 1], attention_mask)


@pytest.mark.parametrize(
    ("settings", "picture"),
    [
        ({"window": 13}, ["xxxxxxx"] * 7),
        ({"window": 7, "causal": True}, rows(causal_mask(7))),
        ({"window": 3}, ["xx.....", "xxx....", ".xxx...", "..xxx..", "...xxx.", "....xxx", ".....xx"]),
        ({"window": 3, "causal": True}, ["x......", "xx.....", "xxx....", ".xxx...", "..xxx..", "...xxx.", "....xxx"]),
        (
            {"window": 3, "dilation": 2, "causal": True},
            ["x......", ".x.....", "x.x....", ".x.x...", "x.x.x..", ".x.x.x.", "..x.x.x"],
        ),
        (
            {"window": 2, "dilation": 3, "causal": True},
            ["x......", ".x.....", "..x....", "x..x...", ".x..x..", "..x..x.", "...x..x"],
        ),
        (
            {"window": 2, "causal": True, "selected": [3]},
            ["x......", "xx.....", ".xx....", "xxxx...", "...xx..", "...xxx.", "...x.xx"],
        ),
        (
            {"window": 3, "n_global": 2},
            ["xxxxxxx", "xxxxxxx", "xxxx...", "xxxxx..", "xx.xxx.", "xx..xxx", "xx...xx"],
        ),
    ],
    ids=["encoder", "decoder", "local", "local causal", "dilated 2", "dilated 3", "selected causal", "global"],
)
def test_sparse_masks_are_the_eight_patterns(settings, picture):
    assert rows(sparse_mask(7, **settings)) == picture


def test_sparse_masks_of_an_encoder_are_symmetric_and_of_a_decoder_its_lower_half():
    settings = {"dilation": 3, "n_global": 1, "selected": [8, 13]}
    encoder = sparse_mask(17, window=5, **settings)
    assert torch.equal(encoder, encoder.T)
    assert torch.equal(sparse_mask(17, window=3, causal=True, **settings), encoder.tril())


def test_interactions_grow_with_the_length_and_no_longer_with_its_square():
    counts = [int(sparse_mask(seq, window=5).sum()) for seq in (50, 100, 200)]
    assert counts == [5 * seq - 6 for seq in (50, 100, 200)]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("n_layers", "window", "dilation"), [(0, 3, 2), (1, 5, 1), (3, 3, 2), (4, 5, 3)])
def test_receptive_field_is_the_span_of_what_reaches_a_token_through_the_layers(n_layers, window, dilation, causal):
    seq = 121
    mask = sparse_mask(seq, window, dilation, causal=causal).double()
    reached = torch.linalg.matrix_power(mask, n_layers)[seq - 1 if causal else seq // 2].nonzero().flatten()
    assert receptive_field(n_layers, window, dilation) == reached[-1] - reached[0] + 1


def test_global_tokens_join_all_places_within_two_layers():
    mask = sparse_mask(64, window=3, n_global=1).double()
    assert (mask @ mask > 0).all()


def test_masks_say_what_is_wrong():
    with pytest.raises(ValueError, match="must be odd, got 4; use 5"):
        sparse_mask(9, window=4)
    with pytest.raises(ValueError, match=r"must lie in 0\.\.8, got n_global=10"):
        sparse_mask(9, window=3, n_global=10)
    with pytest.raises(ValueError, match=r"selected=\[9\]"):
        sparse_mask(9, window=3, selected=[9])
    for settings in ({"window": 0}, {"window": 3, "dilation": 0}):
        with pytest.raises(ValueError, match="at least 1"):
            sparse_mask(9, **settings)
        with pytest.raises(ValueError, match="at least 1"):
            receptive_field(2, **settings)
    with pytest.raises(ValueError, match="n_layers must be 0 or more"):
        receptive_field(-1, 3)


def test_padding_mask_asks_for_a_boolean_mask():
    with pytest.raises(TypeError, match=r"must be bool \(True = may be attended to\), got torch.int64"):
        inspect.unwrap(padding_mask)(torch.ones(2, 3, dtype=torch.int64))
