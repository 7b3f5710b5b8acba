"""Fine-tuning: padding changes nothing, only what should learns, and every metric is defined at its edges."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from byhand.encoder import Encoder, EncoderConfig
from byhand.finetuning import (
    LastTokenClassifier,
    NextWordClassifier,
    SpanPredictor,
    TextClassifier,
    TokenClassifier,
    align_labels,
    best_span,
    encode_once,
    format_choices,
    format_nli,
    format_similarity,
    freeze,
    glue_metric,
    last_token,
    mean_pool,
    rehearsal,
)
from byhand.gpt import GPT, GPTConfig
from byhand.objectives import summed_loss
from byhand.training import TrainingConfig, train

IDS = {"start": 0, "delimiter": 1, "extract": 2}


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mask_of(*rows):
    return torch.tensor([[place == "x" for place in row] for row in rows])


@pytest.fixture
def encoder():
    config = EncoderConfig.tiny(vocab_size=50, d_model=16, d_ff=32, max_seq=12)
    return Encoder(config, torch.Generator().manual_seed(0)).eval()


@pytest.fixture
def gpt():
    config = GPTConfig(vocab_size=40, max_seq=12, d_model=16, n_layers=2, n_heads=2)
    return GPT(config, torch.Generator().manual_seed(0)).eval()


def test_the_mean_is_of_the_tokens_alone_whatever_padding_holds():
    hidden = drawn(3, 5, 4)
    mask = mask_of("xxx..", "..xx.", ".....")
    spoilt = hidden.masked_fill(~mask.unsqueeze(-1), torch.nan)
    pooled = mean_pool(spoilt, mask)
    assert torch.allclose(pooled[0], hidden[0, :3].mean(0))
    assert torch.allclose(pooled[1], hidden[1, 2:4].mean(0))
    assert torch.equal(pooled[2], torch.zeros(4, dtype=torch.float64))
    assert torch.equal(mean_pool(spoilt[:1], mask[:1])[0], pooled[0]), "a row does not depend on its batch"
    assert mean_pool(hidden.half(), mask).dtype == torch.float16


def test_the_last_token_is_found_under_any_padding():
    hidden = drawn(4, 5, 3)
    found = last_token(hidden, mask_of("xxx..", "..xxx", "x.x..", "x...."))
    assert torch.equal(found, hidden[torch.arange(4), torch.tensor([2, 4, 2, 0])])


@pytest.mark.parametrize("pooling", ["mean", "first", "pooler"])
def test_a_texts_class_does_not_depend_on_padding_or_batch(encoder, pooling):
    model = TextClassifier(encoder, 3, pooling)
    ids = torch.tensor([[3, 4, 5, 0, 0], [9, 8, 7, 6, 5]])
    logits = model(ids, mask_of("xxx..", "xxxxx"))
    assert torch.allclose(logits[0], model(torch.tensor([[3, 4, 5]]))[0], atol=1e-6)
    assert model.loss(ids, torch.tensor([2, 0]), mask_of("xxx..", "xxxxx")).item() == pytest.approx(
        F.cross_entropy(logits, torch.tensor([2, 0])).item()
    )


def test_token_labels_that_do_not_count_move_nothing(encoder):
    model = TokenClassifier(encoder, 4)
    ids = torch.tensor([[3, 4, 5, 6]])
    labels = torch.tensor([[-100, 1, -100, 3]])
    expected = F.cross_entropy(model(ids)[0, [1, 3]], torch.tensor([1, 3]))
    assert model.loss(ids, labels).item() == pytest.approx(expected.item())


def test_a_span_is_never_predicted_in_padding(encoder):
    model = SpanPredictor(encoder)
    mask = mask_of("xxx..")
    start, end = model(torch.tensor([[3, 4, 5, 0, 0]]), mask)
    assert torch.isinf(start[0, 3:]).all()
    assert best_span(start[0].detach(), end[0].detach(), 5, mask[0])[1] < 3
    loss = model.loss(torch.tensor([[3, 4, 5, 0, 0]]), torch.tensor([[0, 2]]), mask)
    places = F.cross_entropy(start, torch.tensor([0])) + F.cross_entropy(end, torch.tensor([2]))
    assert loss.item() == pytest.approx(places.item() / 2)


def test_a_decoders_class_is_read_at_its_last_token_on_either_side_of_padding(gpt):
    model = LastTokenClassifier(gpt, 3)
    alone = model(torch.tensor([[3, 4, 5]]))
    right = model(torch.tensor([[3, 4, 5, 9, 9]]), mask_of("xxx.."))
    left = model(torch.tensor([[9, 9, 3, 4, 5]]), mask_of("..xxx"))
    assert torch.allclose(right, alone, atol=1e-6)
    assert torch.allclose(left, alone, atol=1e-6)


def test_a_class_named_by_the_next_word_uses_the_models_own_head(gpt):
    model = NextWordClassifier(gpt, [7, 11, 3])
    ids = torch.tensor([[3, 4, 5]])
    assert torch.allclose(model(ids), gpt(ids)[:, -1, [7, 11, 3]], atol=1e-6)
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in gpt.parameters())
    assert "words" in model.state_dict()


def test_only_matching_parameters_learn_and_decay(encoder):
    model = TextClassifier(encoder, 3)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    count = freeze(model, [r"^head\.", r"blocks\.1\.attention\.(query|value)\.weight$"])
    assert count == 16 * 3 + 3 + 2 * 16 * 16
    assert count == sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.5)
    model.loss(torch.tensor([[3, 4, 5]]), torch.tensor([1])).backward()
    optimizer.step()
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == {
        "head.weight",
        "head.bias",
        "encoder.blocks.1.attention.query.weight",
        "encoder.blocks.1.attention.value.weight",
    }


def test_a_frozen_body_and_its_features_computed_once_give_the_same_head(encoder):
    model = TextClassifier(encoder, 2).eval()
    assert freeze(model, ["^head"]) == 34
    rows = [torch.randint(50, (6,), generator=torch.Generator().manual_seed(seed)) for seed in range(7)]

    def encode(names):
        return encoder(torch.stack([rows[int(name)] for name in names])).mean(1)

    features = encode_once(encode, list("0123456"), batch=3)
    assert features.shape == (7, 16)
    assert not features.requires_grad
    assert torch.allclose(model.head(features), model(torch.stack(rows)), atol=1e-6)


def test_the_training_loop_tunes_a_classifier(encoder):
    model = TextClassifier(encoder, 2)
    rng = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 50, (32, 6), generator=rng)
    labels = (ids == 7).any(1).long()
    ids[::2, 3], labels[::2] = 7, 1

    def batches(step, batch, rng):
        places = torch.randint(32, (batch,), generator=rng)
        return ids[places], labels[places]

    config = TrainingConfig(steps=60, batch=16, lr=3e-3, weight_decay=0.0)
    history = train(model, batches, config, loss=summed_loss, show=False)
    assert sum(history.loss[-5:]) < 0.6 * sum(history.loss[:5])


def test_the_first_piece_of_a_word_carries_its_label():
    word_ids = [None, 0, 0, 1, 2, 2, 2, None, 0, None]
    assert align_labels(word_ids, [5, 0, 9]) == [-100, 5, -100, 0, 9, -100, -100, -100, 5, -100]
    assert align_labels(word_ids, [5, 0, 9], all_subwords=True) == [-100, 5, 5, 0, 9, 9, 9, -100, 5, -100]
    assert align_labels([], []) == []


def slow_best_span(start, end, max_len, allowed):
    best = None
    for first in range(len(start)):
        for last in range(first, min(first + max_len, len(start))):
            if all(allowed[first : last + 1]) and (best is None or start[first] + end[last] > best[0]):
                best = (start[first] + end[last], first, last)
    return best[1:]


def test_the_best_span_is_that_of_trying_all():
    rng = random.Random(0)
    for _ in range(200):
        seq = rng.randrange(1, 9)
        start, end = ([float(rng.randrange(5)) for _ in range(seq)] for _ in range(2))
        allowed = [rng.random() < 0.7 for _ in range(seq)]
        allowed[rng.randrange(seq)] = True
        max_len = rng.randrange(1, 5)
        found = best_span(torch.tensor(start), torch.tensor(end), max_len, torch.tensor(allowed))
        assert found == slow_best_span(start, end, max_len, allowed)


def test_decoder_inputs_name_their_last_place():
    tokens, place = format_nli([7, 8], [9], IDS)
    assert tokens == [0, 7, 8, 1, 9, 2]
    assert tokens[place] == 2
    assert [tokens for tokens, _ in format_similarity([7], [9], IDS)] == [[0, 7, 1, 9, 2], [0, 9, 1, 7, 2]]
    assert [tokens[-2] for tokens, _ in format_choices([7], [[8], [9], [5]], IDS)] == [8, 9, 5]


def test_rehearsal_shows_every_new_example_once_and_old_ones_in_their_share():
    new, old = [f"n{number}" for number in range(30)], [f"o{number}" for number in range(4)]
    batches = rehearsal(new, old, 0.25, batch=8, rng=random.Random(0))
    flat = [example for batch in batches for example in batch]
    assert [len(batch) for batch in batches] == [8] * 5
    assert sorted(example for example in flat if example[0] == "n") == sorted(new)
    counts = [flat.count(example) for example in old]
    assert sum(counts) == 10
    assert max(counts) - min(counts) <= 1, "without repetition until all were drawn"
    assert any(example[0] == "o" for example in batches[0] + batches[1]), "shuffled in, not put at the end"
    assert (new[0], old[0]) == ("n0", "o0"), "the examples are left as they were"
    assert rehearsal(new, [], 0.0, 7, random.Random(1)) != rehearsal(new, [], 0.0, 7, random.Random(2))


def test_metrics_equal_the_reference_libraries():
    from scipy.stats import spearmanr
    from sklearn.metrics import f1_score, matthews_corrcoef

    rng = np.random.default_rng(0)
    for _ in range(30):
        gold, predicted = rng.integers(0, 3, 17), rng.integers(0, 3, 17)
        assert glue_metric("matthews", predicted.tolist(), gold.tolist()) == pytest.approx(
            matthews_corrcoef(gold, predicted)
        )
        assert glue_metric("mrpc", (predicted % 2).tolist(), (gold % 2).tolist()) == pytest.approx(
            f1_score(gold % 2, predicted % 2, zero_division=0.0)
        )
        assert glue_metric("stsb", (predicted / 2).tolist(), gold.tolist()) == pytest.approx(
            spearmanr(predicted, gold).statistic
        )
        assert glue_metric("mnli", predicted.tolist(), gold.tolist()) == (predicted == gold).mean()


def test_metrics_are_defined_where_a_class_is_missing():
    assert glue_metric("cola", [1, 1], [1, 1]) == 0.0
    assert glue_metric("cola", [1, 1, 1], [0, 1, 0]) == 0.0
    assert glue_metric("mrpc", [0, 0], [0, 0]) == 0.0
    assert glue_metric("stsb", [1.0, 1.0], [0.0, 3.0]) == 0.0
    assert glue_metric("stsb", [1.0, 8.0, 9.0], [0.1, 0.2, 30.0]) == pytest.approx(1.0), "ranks, not values"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mean_pool(drawn(1, 2, 3), torch.ones(1, 2)), "must be bool|Bool"),
        (lambda: last_token(drawn(2, 2, 3), mask_of("x.", "..")), r"rows \[1\] have no token"),
        (lambda: freeze(torch.nn.Linear(2, 2), ["head"]), "matches 'head'; they are weight, bias"),
        (lambda: encode_once(lambda texts: drawn(len(texts), 2), []), "no texts"),
        (lambda: align_labels([0, 1, 2], [4, 4]), "piece 2 belongs to word 2, but there are labels for 2"),
        (lambda: best_span(drawn(3), drawn(3), 2, mask_of("...")[0]), "no place is allowed"),
        (lambda: best_span(drawn(3), drawn(3), 0, mask_of("xxx")[0]), "max_len must be at least 1"),
        (lambda: best_span(drawn(3) - torch.inf, drawn(3), 2, mask_of("xxx")[0]), "no allowed span"),
        (lambda: format_nli([1], [5], IDS), "holds the special token 1"),
        (lambda: format_nli([7], [5], {"start": 0, "extract": 1}), "lacks delimiter"),
        (lambda: format_nli([7], [5], {**IDS, "extract": 0}), "must be three tokens"),
        (lambda: format_choices([7], [[5]], IDS), "at least 2 answers"),
        (lambda: rehearsal([1], [2], 1.0, 2, random.Random(0)), "below 1, got 1.0"),
        (lambda: rehearsal([1, 2], [], 0.5, 2, random.Random(0)), "there are none"),
        (lambda: rehearsal([], [2], 0.5, 2, random.Random(0)), "no new example"),
        (lambda: rehearsal([1], [2], 0.5, 0, random.Random(0)), "batch must be at least 1"),
        (lambda: glue_metric("squad", [1], [1]), "no task 'squad'; there are cola"),
        (lambda: glue_metric("cola", [1], [1, 0]), "got 1 and 2"),
        (lambda: glue_metric("cola", [], []), "got 0 and 0"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises((ValueError, TypeError), match=words):
        call()


def test_a_head_that_cannot_be_is_named(encoder, gpt):
    bare = Encoder(EncoderConfig.tiny(vocab_size=50, d_model=16, d_ff=32, pooler=False))
    for make, words in (
        (lambda: TextClassifier(encoder, 3, "max"), "pooling is 'max'; choose one of mean"),
        (lambda: TextClassifier(bare, 3, "pooler"), "has no pooler"),
        (lambda: TextClassifier(encoder, 0), "at least 1 output"),
        (lambda: NextWordClassifier(gpt, [3, 3]), "a word each"),
        (lambda: NextWordClassifier(gpt, [3, 40]), "vocabulary of 40"),
    ):
        with pytest.raises(ValueError, match=words):
            make()
