"""Perplexity and bits per byte: what padding, batches and tokenizers must not change."""

import math

import numpy as np
import pytest
import torch
from byhand.metrics import bits_per_byte, perplexity


def test_perplexity_of_a_uniform_model_is_the_size_of_its_vocabulary():
    assert math.isclose(perplexity([(torch.full((9,), math.log(32), dtype=torch.float64), torch.ones(9))]), 32)


def test_perplexity_weighs_tokens_not_batches_and_does_not_see_padding():
    long = (torch.tensor([1.0, 2.0, 3.0, math.nan]), torch.tensor([True, True, True, False]))
    short = (torch.tensor([10.0, math.inf]), torch.tensor([True, False]))
    assert math.isclose(perplexity([long, short]), math.exp(16 / 4))
    assert perplexity([short, long]) == perplexity([long, short])


def test_perplexity_takes_arrays_zero_one_masks_and_batches_of_rows():
    rows = (np.array([[1.0, 2.0], [3.0, 9.0]]), np.array([[1, 1], [1, 0]]))
    assert math.isclose(perplexity([rows]), math.exp(2))


def test_perplexity_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no token counts"):
        perplexity([(torch.tensor([1.0]), torch.tensor([False]))])


def test_perplexity_refuses_a_mask_of_another_shape():
    with pytest.raises((ValueError, TypeError), match=r"the mask has shape|mean_nll"):
        perplexity([(torch.tensor([1.0, 2.0]), torch.tensor([True]))])


def test_bits_per_byte_counts_bytes_not_characters():
    assert math.isclose(bits_per_byte(12 * math.log(2), "naïve €"), 12 / 10)


def test_bits_per_byte_of_an_empty_text_is_refused():
    with pytest.raises(ValueError, match="the text is empty"):
        bits_per_byte(1.0, "")
