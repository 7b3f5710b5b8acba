"""Embedding as a product, analogies on tables where mistakes show, and ids that no row stands for."""

import pytest
import torch
from byhand.embedding import analogy, check_ids, embed_onehot


@pytest.fixture
def weight():
    return torch.randn(3, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_embedding_is_the_column_of_each_id(weight):
    ids = torch.tensor([[6, 0, 2, 2], [1, 6, 6, 3]])
    out = embed_onehot(ids, weight)
    assert out.shape == (2, 4, 3)
    assert torch.equal(out, weight.T[ids])
    assert embed_onehot(ids[:, :0], weight).shape == (2, 0, 3)


def test_the_gradient_of_a_repeated_token_is_the_sum_over_its_places(weight):
    ids = torch.tensor([[6, 0, 2, 2], [1, 6, 6, 3]])
    passed = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    weight.requires_grad_()
    embed_onehot(ids, weight).backward(passed)
    expected = torch.zeros(7, 3, dtype=torch.float64).index_add_(0, ids.flatten(), passed.flatten(0, 1))
    torch.testing.assert_close(weight.grad, expected.T)
    assert (weight.grad[:, [4, 5]] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_embedding_keeps_the_weights_dtype(weight, dtype):
    assert embed_onehot(torch.tensor([[1]]), weight.to(dtype)).dtype == dtype


@pytest.mark.parametrize("bad", [-1, 7])
def test_an_id_outside_the_vocabulary_is_refused(weight, bad):
    with pytest.raises(ValueError, match="the vocabulary from 0 to 6: was the text encoded by this model's tokenizer"):
        embed_onehot(torch.tensor([[2, bad]]), weight)


def test_analogy_goes_by_direction_and_not_by_length():
    table = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0.1, 0.1], [0, 40, 12], [-3, 3, 3], [0, 0, 0]])
    assert analogy(table, a=0, b=1, c=2, k=2) == [3, 5]  # by products 4, the longest, would win
    assert analogy(10 * table, a=0, b=1, c=2, k=2) == [3, 5]


def test_analogy_answers_with_its_own_words_only_when_asked():
    table = torch.tensor([[1.0, 0.0], [0.9, 0.2], [1.0, 0.1], [0.0, 1.0], [0.5, 0.9]])
    assert not {0, 1, 2} & set(analogy(table, 0, 1, 2))
    assert analogy(table, 0, 1, 2, exclude=False)[0] in (1, 2)
    assert analogy(table, 0, 1, 2, k=100) == sorted(analogy(table, 0, 1, 2, k=2), key=[4, 3].index)


def test_ties_go_to_the_smaller_id_and_nothing_is_changed():
    table = torch.cat([torch.eye(2), torch.eye(2)[:1], torch.tensor([[0.0, 1.0], [0.0, 2.0]]).repeat(200, 1)])
    before = table.clone()
    assert analogy(table, 0, 1, 2, k=300) == list(range(3, 303))
    assert torch.equal(table, before)


def test_analogy_says_what_is_wrong():
    table = torch.eye(4)
    with pytest.raises(ValueError, match="ids run from 0 to 9, the vocabulary from 0 to 3"):
        analogy(table, 0, 9, 1)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        analogy(table, 0, 1, 2, k=0)


def test_check_ids_names_the_length_that_does_not_fit():
    check_ids(torch.tensor([[0, 4]]), 5, max_seq=2)
    check_ids(torch.zeros(0, 3, dtype=torch.long), 5)
    with pytest.raises(ValueError, match="has 3 tokens, the model takes 1 to 2: cut it"):
        check_ids(torch.zeros(2, 3, dtype=torch.long), 5, max_seq=2)
    with pytest.raises(ValueError, match="has 0 tokens, the model takes 1 to 2: start it with a token"):
        check_ids(torch.zeros(2, 0, dtype=torch.long), 5, max_seq=2)
