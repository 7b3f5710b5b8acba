"""BERT's heads: only the chosen places are projected, and what the loss counts."""

import dataclasses
import math
import random

import pytest
import torch
from byhand.bert import Bert, mlm_logits
from byhand.encoder import EncoderConfig
from byhand.objectives import Drawn, mlm_batch, nsp_batch, nsp_pairs, summed_loss
from byhand.training import TrainingConfig, train

CONFIG = EncoderConfig(vocab_size=37, d_model=12, n_layers=2, n_heads=3, d_ff=20, max_seq=16)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def model():
    model = Bert(CONFIG, seeded(0)).eval()
    with torch.no_grad():  # biases start as zeros
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=seeded(1)) * 0.1)
    return model


def test_logits_at_places_are_the_full_projection_gathered():
    rng = seeded(2)
    hidden = torch.randn(7, 3, 5, generator=rng).double().transpose(0, 1)  # (3, 7, 5), not contiguous
    weight, bias = torch.randn(11, 5, generator=rng).double(), torch.randn(11, generator=rng).double()
    positions = torch.tensor([[6, 0], [2, 2], [5, 0]])
    full = hidden @ weight.T + bias
    expected = torch.stack([full[row, places] for row, places in enumerate(positions)])
    torch.testing.assert_close(mlm_logits(hidden, positions, weight, bias), expected)
    assert mlm_logits(hidden, positions[:, :0], weight, bias).shape == (3, 0, 11)
    assert mlm_logits(hidden.float(), positions.int(), weight.float(), bias.float()).dtype == torch.float32


def test_logits_at_places_pass_gradients_to_those_places_only():
    hidden = torch.randn(2, 6, 5, generator=seeded(3)).requires_grad_()
    mlm_logits(hidden, torch.tensor([[4, 1], [0, 0]]), torch.ones(9, 5), torch.zeros(9)).sum().backward()
    touched = hidden.grad.abs().sum(-1) > 0
    assert touched.nonzero().tolist() == [[0, 1], [0, 4], [1, 0]]


@pytest.mark.parametrize("place", [-1, 6])
def test_places_outside_the_sequence_are_refused(place):
    with pytest.raises(ValueError, match="positions must be from 0 to 5, got"):
        mlm_logits(torch.zeros(1, 6, 5), torch.tensor([[2, place]]), torch.ones(9, 5), torch.zeros(9))


def test_the_loss_is_that_of_all_logits_at_the_labelled_places(model):
    input_ids, rng = torch.randint(37, (3, 9), generator=seeded(4)), seeded(5)
    labels = torch.where(torch.rand(3, 9, generator=rng) < 0.4, input_ids, -100)
    attention_mask = torch.arange(9) < torch.tensor([[9], [7], [8]])
    mlm, nsp = model(input_ids, attention_mask)
    counted = labels != -100
    by_hand = -mlm.log_softmax(-1)[counted].gather(-1, labels[counted].unsqueeze(-1)).mean()
    torch.testing.assert_close(model.loss(input_ids, labels, attention_mask), by_hand)
    is_next = torch.tensor([True, False, False])
    pairs = -nsp.log_softmax(-1)[torch.arange(3), torch.tensor([0, 1, 1])].mean()
    torch.testing.assert_close(model.loss(input_ids, labels, attention_mask, None, is_next), by_hand + pairs)


def test_only_the_labelled_places_go_through_the_head(model):
    seen = []
    model.mlm_head.register_forward_hook(lambda head, arguments, out: seen.append(tuple(out.shape)))
    labels = torch.full((2, 8), -100)
    labels[0, 3] = labels[1, 0] = labels[1, 7] = 5
    model.loss(torch.ones(2, 8, dtype=torch.long), labels)
    assert seen == [(3, 37)]


def test_a_batch_without_labels_costs_nothing_and_breaks_nothing(model):
    labels = torch.full((2, 8), -100)
    loss = model.loss(torch.ones(2, 8, dtype=torch.long), labels)
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


def test_batched_equals_one_by_one(model):
    rows = [torch.randint(1, 37, (1, length), generator=seeded(length)) for length in (9, 4, 6)]
    input_ids = torch.zeros(3, 9, dtype=torch.long)
    for place, row in enumerate(rows):
        input_ids[place, : row.shape[1]] = row[0]
    attention_mask = input_ids > 0
    mlm, nsp = model(input_ids, attention_mask)
    for place, row in enumerate(rows):
        alone, pair = model(row)
        torch.testing.assert_close(mlm[place, : row.shape[1]], alone[0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(nsp[place], pair[0], rtol=1e-5, atol=1e-5)


def test_without_a_pooler_there_is_no_pair_head(model):
    plain = Bert(dataclasses.replace(CONFIG, pooler=False), seeded(0))
    ids = torch.ones(2, 4, dtype=torch.long)
    assert plain(ids)[1] is None
    with pytest.raises(ValueError, match="there is no next-sentence head: leave out is_next"):
        plain.loss(ids, ids, is_next=torch.tensor([True, False]))


def test_the_head_uses_the_embedding_itself(model):
    assert sum(p.numel() == 37 * 12 for p in model.parameters()) == 1
    model(torch.tensor([[3]]))[0][..., 20].sum().backward()
    assert model.encoder.token_embedding.weight.grad[20].abs().sum() > 0


def test_the_same_generator_gives_the_same_weights_and_the_global_one_is_left_alone():
    state = torch.get_rng_state()
    first, second = (Bert(CONFIG, seeded(7)).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.get_rng_state(), state)


WIDER = dataclasses.replace(CONFIG, d_model=32, n_heads=4, d_ff=64)


def test_the_training_loop_pre_trains_on_both_objectives():
    # a document repeats one of six tokens: the masked one, and whether a pair belongs together, can be told
    docs = [[[5 + kind] * (2 + place % 3) for place in range(6)] for kind in range(6)]
    pairs = [pair for seed in range(8) for pair in nsp_pairs(docs, 11, random.Random(seed), cls_id=1, sep_id=2)]
    settings = {"special": {1, 2}, "mask_id": 3, "vocab_size": 37, "p": 0.2}
    source = Drawn(pairs, lambda rows, rng: nsp_batch(rows, rng, **settings))
    config = TrainingConfig(steps=250, batch=16, lr=2e-3, warmup=20)
    history = train(Bert(WIDER, seeded(0)), source, config, loss=summed_loss, show=False)
    assert history.loss[0] > math.log(37)
    # the tokens' frequencies and a coin are worth this much
    assert sum(history.loss[-10:]) / 10 < math.log(6) + math.log(2) - 0.5


def test_the_training_loop_takes_masked_spans_alone():
    rows = [[1, *[5 + kind] * (4 + kind % 3), 2] for kind in range(8)]
    settings = {"special": {1, 2}, "mask_id": 3, "vocab_size": 37, "p": 0.3, "mean_len": 2.0}
    source = Drawn(rows, lambda drawn, rng: mlm_batch(drawn, rng, **settings))
    model = Bert(dataclasses.replace(WIDER, pooler=False), seeded(0))
    config = TrainingConfig(steps=120, batch=16, lr=1e-2, warmup=20)
    history = train(model, source, config, loss=summed_loss, show=False)
    assert sum(history.loss[-10:]) / 10 < math.log(8) - 1
