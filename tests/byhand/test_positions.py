"""Positions: rotations that know distances only, values by hand, and T5's buckets."""

import math

import pytest
import torch
from byhand.positions import RelativeBias, RotaryPositions, relative_buckets, sinusoidal


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_sinusoidal_values_are_the_papers():
    table = sinusoidal(50, 6)
    for position in (0, 1, 49):
        for pair in range(3):
            angle = position / 10000 ** (2 * pair / 6)
            assert math.isclose(table[position, 2 * pair], math.sin(angle), abs_tol=1e-6)
            assert math.isclose(table[position, 2 * pair + 1], math.cos(angle), abs_tol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 7, 20, 39])
def test_moving_by_some_places_is_one_rotation_wherever_one_starts(steps):
    table = sinusoidal(60, 8).double()
    for pair in range(4):
        angle = steps / 10000 ** (2 * pair / 8)
        turn = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]).double()
        here, there = table[: 60 - steps, 2 * pair : 2 * pair + 2], table[steps:, 2 * pair : 2 * pair + 2]
        torch.testing.assert_close(here @ turn.T, there, rtol=0, atol=1e-6)


def test_sinusoidal_of_nothing_is_empty_and_an_odd_width_is_refused():
    assert sinusoidal(0, 4).shape == (0, 4)
    for seq, d_model in ((3, 5), (-1, 4)):
        with pytest.raises(ValueError, match="even d_model"):
            sinusoidal(seq, d_model)


def test_rotation_keeps_lengths_and_leaves_position_zero_alone():
    rotary = RotaryPositions(head_dim=6)
    x = draw(2, 5, 3, 6).transpose(1, 2)  # (batch 2, heads 3, seq 5), not contiguous
    turned = rotary(x, torch.arange(5))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    torch.testing.assert_close(turned[:, :, 0], x[:, :, 0])
    assert not torch.allclose(turned[:, :, 1:], x[:, :, 1:])


def test_rotated_products_depend_on_the_distance_only():
    rotary = RotaryPositions(head_dim=8, base=500.0)
    query, key = draw(1, 1, 1, 8, seed=1).expand(1, 1, 30, 8), draw(1, 1, 1, 8, seed=2).expand(1, 1, 30, 8)
    scores = (rotary(query, torch.arange(30)) @ rotary(key, torch.arange(30)).transpose(-2, -1))[0, 0]
    for distance in (-5, 0, 1, 12):
        along = scores.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), rtol=0, atol=1e-5)
    assert not math.isclose(scores[0, 1], scores[1, 0], abs_tol=1e-3)


def test_positions_may_differ_from_row_to_row():
    rotary, x = RotaryPositions(head_dim=4), draw(2, 3, 5, 4)
    positions = torch.tensor([[0, 1, 2, 3, 4], [9, 7, 0, 0, 1]])
    turned = rotary(x, positions)
    for row in range(2):
        torch.testing.assert_close(turned[row : row + 1], rotary(x[row : row + 1], positions[row]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_rotation_keeps_the_dtype_and_turns_by_exact_angles_far_out(dtype):
    x = torch.ones(1, 1, 1, 2, dtype=dtype)
    turned = RotaryPositions(head_dim=2)(x, torch.tensor([5001]))
    assert turned.dtype == dtype
    expected = [math.cos(5001) - math.sin(5001), math.cos(5001) + math.sin(5001)]
    torch.testing.assert_close(turned.flatten().tolist(), expected, rtol=0.01, atol=0.01)


def test_rotary_positions_refuse_an_odd_head():
    with pytest.raises(ValueError, match="head_dim must be even, its columns turn in pairs; got 5"):
        RotaryPositions(head_dim=5)


def test_near_distances_have_buckets_of_their_own_and_far_ones_share_the_last():
    distance = torch.arange(-300, 301)
    both = relative_buckets(distance, 32, 128, bidirectional=True)
    assert both[(distance <= 0) & (distance > -8)].tolist() == [7, 6, 5, 4, 3, 2, 1, 0]
    assert both[(distance > 0) & (distance < 8)].tolist() == [17, 18, 19, 20, 21, 22, 23]
    assert set(both[distance <= -128].tolist()) == {15}
    assert set(both[distance >= 128].tolist()) == {31}
    past = relative_buckets(distance, 32, 128, bidirectional=False)
    assert set(past[distance >= 0].tolist()) == {0}
    assert set(past[distance <= -128].tolist()) == {31}
    assert (past[distance <= 0].diff() <= 0).all()
    assert past.unique().tolist() == list(range(32))


def test_the_bias_of_the_last_queries_is_the_end_of_the_whole():
    bias = RelativeBias(n_buckets=12, max_distance=20, n_heads=3, bidirectional=False)
    whole = bias(9, 9)
    assert whole.shape == (1, 3, 9, 9)
    assert torch.equal(bias(2, 9), whole[:, :, 7:])
    assert torch.equal(whole[0, :, 5, 5], bias.embedding.weight[0])
    assert torch.equal(whole[0, :, 5, 2], bias.embedding.weight[3])


@pytest.mark.parametrize(("n_buckets", "max_distance"), [(3, 20), (32, 8)])
def test_buckets_that_do_not_fit_the_distances_are_refused(n_buckets, max_distance):
    with pytest.raises(ValueError, match="leaves no room: need at least 4 buckets"):
        RelativeBias(n_buckets, max_distance, n_heads=2, bidirectional=True)
