"""BERT with its heads is that of `transformers`: logits, loss and gradients, from a saved checkpoint."""

import pytest
import torch
from byhand import hub
from byhand.bert import Bert
from byhand.objectives import mlm_corrupt
from safetensors.torch import load_file, save_file
from scipy.stats import chi2_contingency

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
SIZES = [
    {"vocab_size": 97, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40},
    {"vocab_size": 61, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 8, "intermediate_size": 17},
    {"vocab_size": 130, "hidden_size": 20, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 80},
]


def make_reference(folder, seed, kind="BertForPreTraining"):
    import transformers

    config = transformers.BertConfig(
        **SIZES[seed],
        max_position_embeddings=23 + seed,
        type_vocab_size=2 + seed,
        layer_norm_eps=[1e-12, 1e-5, 1e-3][seed],
        hidden_dropout_prob=0.3,
        attention_probs_dropout_prob=0.3,
    )
    reference = getattr(transformers, kind)(config).eval()
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in reference.parameters():  # norms and biases too, which start as ones and zeros
            parameter.add_(torch.randn(parameter.shape, generator=rng) * 0.1)
    reference.save_pretrained(folder)
    return reference


@pytest.fixture(params=range(len(SIZES)))
def pair(request, tmp_path):
    """The reference, ours loaded from its folder, and a ragged batch."""
    reference = make_reference(tmp_path, request.param)
    mine = Bert.from_pretrained(tmp_path)
    rng = torch.Generator().manual_seed(10 + request.param)
    # from 1 on: the reference's embedding passes no gradient at its padding id, 0
    input_ids = torch.randint(1, mine.config.vocab_size, (4, 21), generator=rng)
    attention_mask = torch.arange(21) < torch.tensor([21, 5, 1, 14]).unsqueeze(1)
    segment_ids = torch.randint(mine.config.n_segments, (4, 21), generator=rng)
    labels = torch.where(torch.rand(4, 21, generator=rng) < 0.4, input_ids, -100)
    return reference, mine, (input_ids, attention_mask, segment_ids), labels


def ask(reference, batch, **labels):
    input_ids, attention_mask, segment_ids = batch
    return reference(input_ids, attention_mask=attention_mask.long(), token_type_ids=segment_ids, **labels)


def test_logits_are_the_references(pair):
    reference, mine, batch, _ = pair
    with torch.no_grad():
        expected = ask(reference, batch)
        mlm, nsp = mine(*batch)
        torch.testing.assert_close(mlm, expected.prediction_logits, **CLOSE)
        torch.testing.assert_close(nsp, expected.seq_relationship_logits, **CLOSE)
        plain, _ = mine(batch[0])
        torch.testing.assert_close(plain, reference(batch[0]).prediction_logits, **CLOSE)
        places = torch.tensor([[3, 0, 3], [20, 1, 7], [0, 0, 0], [2, 19, 4]])
        some, _ = mine(*batch, positions=places)
        torch.testing.assert_close(some, mlm[torch.arange(4).unsqueeze(1), places], **CLOSE)


def test_loss_and_gradients_are_the_references(pair):
    reference, mine, (input_ids, attention_mask, segment_ids), labels = pair
    is_next = torch.tensor([True, False, False, True])
    # the reference's class 0 is "follows"
    expected = ask(
        reference, (input_ids, attention_mask, segment_ids), labels=labels, next_sentence_label=(~is_next).long()
    )
    loss = mine.loss(input_ids, labels, attention_mask, segment_ids, is_next)
    torch.testing.assert_close(loss, expected.loss, **CLOSE)
    loss.backward()
    expected.loss.backward()
    gradients = {name: parameter.grad for name, parameter in reference.named_parameters()}
    renamed, unknown = hub.rename(gradients, hub.BERT_WITH_HEADS)
    assert unknown == []
    own = dict(mine.named_parameters())
    assert renamed.keys() == own.keys()
    for name, gradient in renamed.items():
        torch.testing.assert_close(own[name].grad, gradient, **CLOSE, msg=lambda text, name=name: f"{name}: {text}")


def test_a_checkpoint_without_pair_head_gives_a_model_without_one(tmp_path):
    reference = make_reference(tmp_path, 0, "BertForMaskedLM")
    mine = Bert.from_pretrained(tmp_path)
    input_ids = torch.arange(40).view(2, 20)
    mlm, nsp = mine(input_ids)
    torch.testing.assert_close(mlm, reference(input_ids).logits, **CLOSE)
    assert nsp is None
    assert not mine.training
    path = tmp_path / "model.safetensors"  # a pooler without that head is of no use here
    save_file({**load_file(path), "bert.pooler.dense.weight": torch.zeros(24, 24)}, path)
    torch.testing.assert_close(Bert.from_pretrained(tmp_path)(input_ids)[0], mlm)


def test_missing_and_extra_weights_are_named(tmp_path):
    make_reference(tmp_path, 0)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    without = {name: weight for name, weight in weights.items() if name != "cls.predictions.transform.dense.bias"}
    save_file(without, path)
    with pytest.raises(ValueError, match=r"the checkpoint lacks: mlm_head\.transform\.bias"):
        Bert.from_pretrained(tmp_path)
    save_file({**weights, "cls.third_head.weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match=r"the model has no place for: cls\.third_head\.weight"):
        Bert.from_pretrained(tmp_path)


def test_masking_has_the_rates_of_the_references_collator():
    import transformers
    from tokenizers import Tokenizer, models

    words = {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[MASK]": 3} | {f"w{i}": i for i in range(4, 24)}
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words)),
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )
    collate = transformers.DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.3, seed=3)
    ids = torch.randint(4, 24, (400, 60), generator=torch.Generator().manual_seed(0))
    ids[:, 0], ids[:, -1] = 1, 2
    theirs = collate([{"input_ids": row.tolist()} for row in ids])
    mine = mlm_corrupt(ids, 0.3, {0, 1, 2}, 3, 24, torch.Generator().manual_seed(1))
    table = []  # left alone, masked, kept, replaced; the collator's random tokens may be special, which is rare
    for spoiled, labels in (mine, (theirs["input_ids"], theirs["labels"])):
        chosen = labels != -100
        assert torch.equal(labels[chosen], ids[chosen])
        masked = int((spoiled[chosen] == 3).sum())
        kept = int((spoiled[chosen] == ids[chosen]).sum())
        table.append([int((~chosen).sum()), masked, kept, int(chosen.sum()) - masked - kept])
    assert chi2_contingency(table).pvalue > 1e-6
