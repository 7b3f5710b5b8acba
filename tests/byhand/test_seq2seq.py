"""Teacher forcing: shifted by exactly one, padding neither seen nor scored."""

import math

import pytest
import torch
from byhand.seq2seq import seq2seq_loss, shift_right
from byhand.t5 import T5, T5Config

BOS, PAD = 1, 0
CONFIG = T5Config(vocab_size=23, d_model=12, d_ff=20, n_layers=1, n_heads=2, head_dim=5, n_buckets=8, max_distance=9)


@pytest.fixture
def model():
    return T5(CONFIG, torch.Generator().manual_seed(0)).eval()


class Recorder:
    """Stands in for a model: keeps what it was called with, gives random logits."""

    def __init__(self, vocab=23):
        self.vocab = vocab

    def __call__(self, src, decoder_input_ids, attention_mask):
        self.called = (src, decoder_input_ids, attention_mask)
        rng = torch.Generator().manual_seed(0)
        self.logits = torch.randn(*decoder_input_ids.shape, self.vocab, generator=rng).requires_grad_()
        return self.logits


SRC = torch.tensor([[5, 6, 7, 8], [9, 3, PAD, PAD]])
TGT = torch.tensor([[11, 12, 2], [13, 2, PAD]])


def test_the_decoder_reads_bos_and_the_targets_before():
    model = Recorder()
    seq2seq_loss(model, SRC, TGT, BOS, PAD)
    src, decoder_input_ids, attention_mask = model.called
    assert torch.equal(src, SRC)
    assert decoder_input_ids.tolist() == [[BOS, 11, 12], [BOS, 13, 2]]
    assert torch.equal(attention_mask, SRC != PAD)


def test_the_loss_is_the_mean_over_the_targets_that_are_not_padding():
    model = Recorder()
    loss = seq2seq_loss(model, SRC, TGT, BOS, PAD)
    log_probs = model.logits.log_softmax(-1)
    picked = [(0, 0, 11), (0, 1, 12), (0, 2, 2), (1, 0, 13), (1, 1, 2)]
    assert math.isclose(loss.item(), -sum(log_probs[at].item() for at in picked) / 5, rel_tol=1e-6)
    loss.backward()
    assert (model.logits.grad[1, 2] == 0).all()
    assert (model.logits.grad[0].abs().sum(-1) > 0).all()


def test_shifting_leaves_its_input_alone_and_makes_ids_of_what_is_ignored():
    targets = torch.tensor([[5, 6, 7], [8, -100, -100]], dtype=torch.int32)
    before = targets.clone()
    shifted = shift_right(targets, BOS, PAD)
    assert shifted.tolist() == [[1, 5, 6], [1, 8, 0]]
    assert shifted.dtype == torch.int32
    assert torch.equal(targets, before)
    assert shift_right(targets[:, :1], BOS, PAD).tolist() == [[1], [1]]
    assert shift_right(targets[:, :0], BOS, PAD).shape == (2, 0)


def test_more_padding_changes_nothing(model):
    loss = seq2seq_loss(model, SRC, TGT, BOS, PAD)
    wider = [torch.nn.functional.pad(ids, (0, 3), value=PAD) for ids in (SRC, TGT)]
    torch.testing.assert_close(seq2seq_loss(model, *wider, BOS, PAD), loss)
    # as in T5, where the padding's id also comes first
    assert torch.isfinite(seq2seq_loss(model, SRC, TGT, PAD, PAD))


def test_a_target_never_changes_the_loss_of_those_up_to_it(model):
    def losses(tgt):
        with torch.no_grad():
            logits = model(SRC[:1], shift_right(tgt, BOS, PAD)).log_softmax(-1)
        return logits[0].clone()

    tgt = torch.tensor([[11, 12, 13, 2]])
    for place in range(4):
        changed = tgt.clone()
        changed[0, place] = 20
        assert torch.equal(losses(changed)[: place + 1], losses(tgt)[: place + 1])
        assert not torch.equal(losses(changed)[place + 1 :], losses(tgt)[place + 1 :]) or place == 3


def test_a_fresh_model_cannot_know_the_answer(model):
    """An unshifted decoder input would let it copy; a random model does not even do that."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    rng = torch.Generator().manual_seed(1)
    for _ in range(60):
        tgt = torch.randint(2, 23, (16, 6), generator=rng)  # independent of the source: nothing can be learned
        loss = seq2seq_loss(model, torch.full((16, 3), 5), tgt, BOS, PAD)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() > math.log(21) - 0.4


def test_bad_batches_are_refused(model):
    with pytest.raises(ValueError, match="every source needs its target, got 2 sources and 1 targets"):
        seq2seq_loss(model, SRC, TGT[:1], BOS, PAD)
    with pytest.raises(ValueError, match=r"all targets are padding \(0\): there is nothing to predict"):
        seq2seq_loss(model, SRC, torch.zeros_like(TGT), BOS, PAD)
