"""The search for grids: never worse for the output than round-to-nearest, and better where it can be."""

import math

import pytest
import torch
from byhand.corpora.docstrings import docstrings
from byhand.quantization import clip_search, clipping, dequantize, quantize_groups, record_inputs, round_to_grid
from byhand.quantization.clipping import CUTS


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def correlated(tokens, columns, seed=3):
    """Inputs as layers have them: related to each other, some columns loud, not centred."""
    x = draw(tokens, 6, seed=seed) @ draw(6, columns, seed=9) + 0.3 * draw(tokens, columns, seed=seed + 1)
    x[:, ::7] *= 8
    return x + 0.5


def errors(weight, bits, group_size, activations, searched_with):
    """The squared error of each output of round-to-nearest and of the search."""
    nearest = dequantize(*quantize_groups(weight, bits, group_size), group_size)
    scale, zero = clip_search(weight, bits, group_size, searched_with)
    found = dequantize(round_to_grid(weight, scale, zero, bits, group_size), scale, zero, group_size)
    return [(activations @ (made - weight).T).square().sum(0) for made in (nearest, found)]


@pytest.mark.parametrize(("bits", "group_size"), [(2, 8), (3, 16), (4, 10), (4, 40)])
def test_no_output_is_worse_than_with_round_to_nearest_and_all_together_are_better(bits, group_size):
    weight, x = draw(12, 33) ** 3, correlated(200, 33)
    nearest, found = errors(weight, bits, group_size, x, x)
    assert (found <= nearest * (1 + 1e-5)).all()
    assert found.sum() < 0.8 * nearest.sum()


def test_the_search_holds_on_inputs_it_has_not_seen():
    weight = draw(24, 64) ** 3
    nearest, found = errors(weight, 4, 16, correlated(300, 64, seed=50), correlated(300, 64))
    assert found.sum() < 0.85 * nearest.sum()


def test_knowing_the_inputs_is_better_than_not_knowing_them():
    weight, x = draw(24, 64) ** 3, correlated(300, 64)
    nearest, blind = errors(weight, 4, 16, x, None)
    _, found = errors(weight, 4, 16, x, x)
    assert found.sum() < blind.sum()
    assert blind.sum() < nearest.sum()


def test_without_inputs_it_is_the_error_of_the_weights_that_is_least():
    weight = draw(9, 21) ** 3
    nearest, found = errors(weight, 3, 7, torch.eye(21), None)
    assert (found <= nearest * (1 + 1e-6)).all()
    assert found.sum() < 0.9 * nearest.sum()


def test_one_group_gets_the_best_of_all_pairs_of_ends():
    weight, x = draw(1, 9) ** 3, correlated(40, 9)
    low, high = weight.min(), weight.max()

    def loss(below, above):
        start = low + below * (high - low)
        scale = (high - above * (high - low) - start) / 7
        made = ((weight - start) / scale).round().clamp(0, 7) * scale + start
        return ((made - weight) @ x.T).square().sum().item()

    best = min(loss(below, above) for below in CUTS for above in CUTS)
    _, found = errors(weight, 3, 9, x, x)
    assert math.isclose(found.item(), best, rel_tol=1e-4)


def test_an_outlier_on_either_side_is_cut_off_on_that_side_alone():
    weight = torch.cat([torch.linspace(0, 1, 63), torch.tensor([1.3])]).unsqueeze(0)
    for sign in (1, -1):
        scale, zero = clip_search(sign * weight, 3, 64)
        ends = sorted([sign * zero.item(), sign * (zero + 7 * scale).item()])
        assert ends[1] < 1.2
        assert abs(ends[0]) < 0.1


def test_ragged_constant_and_narrow_groups_come_out_as_scales_above_zero():
    weight = draw(5, 13)
    weight[2] = 4.0
    scale, zero = clip_search(weight.half(), 4, 6, correlated(30, 13))
    assert scale.shape == zero.shape == (5, 3)
    assert scale.dtype == torch.float32
    assert (scale > 0).all()
    codes = round_to_grid(weight, scale, zero, 4, 6)
    assert torch.equal(dequantize(codes, scale, zero, 6)[2], weight[2])


def test_rows_are_searched_in_parts_with_the_same_outcome(monkeypatch):
    weight, x = draw(11, 20), correlated(30, 20)
    whole = clip_search(weight, 4, 8, x)
    monkeypatch.setattr(clipping, "ROWS_AT_ONCE", 4)
    torch.testing.assert_close(clip_search(weight, 4, 8, x), whole)


def test_a_row_does_not_depend_on_the_others_and_nothing_is_changed():
    weight, x = draw(33, 12).T, correlated(50, 33)
    kept, state = (weight.clone(), x.clone()), torch.random.get_rng_state()
    scale, zero = clip_search(weight, 4, 8, x)
    alone = clip_search(weight[5:6], 4, 8, x)
    torch.testing.assert_close(alone, (scale[5:6], zero[5:6]))
    assert torch.equal(weight, kept[0])
    assert torch.equal(x, kept[1])
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("activations", "words"),
    [
        (torch.ones(4, 5), r"activations have shape \(4, 5\), the weights take 6 inputs"),
        (torch.ones(0, 6), "one row a token"),
        (torch.full((2, 6), math.nan), "activations hold NaN"),
    ],
)
def test_inputs_of_another_layer_are_refused(activations, words):
    with pytest.raises(ValueError, match=words):
        clip_search.__wrapped__(torch.ones(2, 6), 4, 3, activations)


def test_no_output_of_a_real_layer_is_worse_and_other_sentences_gain_too():
    from byhand.encoder import load_minilm

    model, tokenizer = load_minilm()
    texts = [entry.first_sentence for entry in docstrings()[200:3000:100]]

    def inputs(some):
        def run(model):
            for text in some:
                model(torch.tensor([tokenizer.encode(text).ids[:64]]))

        return record_inputs(model, run, ["blocks.2.attention.value", "blocks.4.feed_forward.up"])

    seen, other = inputs(texts[::2]), inputs(texts[1::2])
    for name, x in seen.items():
        weight = model.get_submodule(name).weight.detach()
        nearest, found = errors(weight, 4, 32, x, x)
        assert (found <= nearest * (1 + 1e-4)).all()
        nearest, found = errors(weight, 4, 32, other[name], x)
        assert found.sum() < 0.9**2 * nearest.sum()
