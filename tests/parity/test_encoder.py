"""The encoder is transformers' BERT, gradients included; with MiniLM's weights, sentence-transformers' model."""

import builtins

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from byhand import hub
from byhand.corpora.docstrings import split_first_sentence
from byhand.encoder import Encoder, EncoderConfig, load_minilm

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
CONFIGS = [
    # vocab_size, d_model, n_layers, n_heads, d_ff, max_seq, n_segments, norm_eps, pooler
    (50, 24, 1, 4, 40, 12, 2, 1e-12, True),
    (33, 30, 3, 5, 17, 20, 3, 1e-5, False),
    (97, 16, 2, 1, 64, 9, 1, 1e-3, True),
]


def build_both(sizes):
    """The same random weights in transformers' model and in ours."""
    from transformers import BertConfig, BertModel

    vocab_size, d_model, n_layers, n_heads, d_ff, max_seq, n_segments, norm_eps, pooler = sizes
    reference = BertModel(
        BertConfig(
            vocab_size=vocab_size,
            hidden_size=d_model,
            num_hidden_layers=n_layers,
            num_attention_heads=n_heads,
            intermediate_size=d_ff,
            max_position_embeddings=max_seq,
            type_vocab_size=n_segments,
            layer_norm_eps=norm_eps,
        ),
        add_pooling_layer=pooler,
    ).eval()
    rng = torch.Generator().manual_seed(vocab_size)
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=rng) / 4)
    ours = Encoder(EncoderConfig(*sizes[:8], pooler=pooler)).eval()
    hub.load_renamed(ours, reference.state_dict(), hub.BERT)
    return reference, ours


def draw_batch(sizes, seed=3):
    vocab_size, max_seq, n_segments = sizes[0], sizes[5], sizes[6]
    rng = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, vocab_size, (3, max_seq), generator=rng)  # transformers gives id 0 no gradient
    segments = torch.randint(n_segments, (3, max_seq), generator=rng)
    mask = torch.arange(max_seq) < torch.tensor([max_seq, 1, max_seq // 2 + 1])[:, None]
    return ids, mask, segments


@pytest.mark.parametrize("sizes", CONFIGS)
@pytest.mark.parametrize("plain", [True, False])
def test_hidden_states_and_the_pooled_vector_are_berts(sizes, plain):
    reference, ours = build_both(sizes)
    ids, mask, segments = draw_batch(sizes)
    if plain:
        theirs, hidden = reference(ids), ours(ids)
        mask = torch.ones_like(mask)
    else:
        theirs = reference(ids, attention_mask=mask.long(), token_type_ids=segments)
        hidden = ours(ids, mask, segments)
    torch.testing.assert_close(hidden[mask], theirs.last_hidden_state[mask], **CLOSE)
    if sizes[-1]:
        torch.testing.assert_close(ours.pool(hidden), theirs.pooler_output, **CLOSE)


@pytest.mark.parametrize("sizes", CONFIGS)
def test_gradients_of_every_weight_are_berts(sizes):
    reference, ours = build_both(sizes)
    ids, mask, segments = draw_batch(sizes)
    passed = torch.randn(3, sizes[5], sizes[1], generator=torch.Generator().manual_seed(9)) * mask.unsqueeze(-1)
    theirs = reference(ids, attention_mask=mask.long(), token_type_ids=segments)
    hidden = ours(ids, mask, segments)
    loss, expected = (hidden * passed).sum(), (theirs.last_hidden_state * passed).sum()
    if sizes[-1]:
        loss, expected = loss + ours.pool(hidden).square().sum(), expected + theirs.pooler_output.square().sum()
    loss.backward()
    expected.backward()
    gradients, unknown = hub.rename({name: p.grad for name, p in reference.named_parameters()}, hub.BERT)
    assert unknown == []
    found = {name: parameter.grad for name, parameter in ours.named_parameters()}
    assert found.keys() == gradients.keys()
    for name, gradient in found.items():
        size = gradients[name].abs().max().clamp(min=1)  # sums over a batch: 1e-5 of the largest entry
        torch.testing.assert_close(gradient / size, gradients[name] / size, **CLOSE)


@pytest.fixture(scope="module")
def sentences():
    """The first sentences of what Python's builtins say of themselves, and a few that are hard to cut."""
    said = {split_first_sentence(thing.__doc__)[0] for thing in vars(builtins).values() if thing.__doc__}
    return [*sorted(said, key=lambda text: (len(text), text))[::4], "", "naïve café, 東京 🙂!", "word " * 300]


@pytest.mark.slow
def test_minilm_gives_the_vectors_of_sentence_transformers(sentences):
    from sentence_transformers import SentenceTransformer

    assert len(sentences) >= 20
    reference = SentenceTransformer(str(hub.minilm_folder()), device="cpu")
    expected = reference.encode(sentences, convert_to_tensor=True, normalize_embeddings=True)
    encoder, tokenizer = load_minilm()
    tokenizer.enable_truncation(reference.max_seq_length)
    tokenizer.enable_padding()
    for batch, vectors in ((sentences[:-1], expected[:-1]), (sentences[-1:], expected[-1:])):
        encoded = tokenizer.encode_batch(batch)
        ids = torch.tensor([row.ids for row in encoded])
        mask = torch.tensor([row.attention_mask for row in encoded]).bool()
        with torch.no_grad():
            states = encoder(ids, mask) * mask.unsqueeze(-1)
        ours = F.normalize(states.sum(1) / mask.sum(1, keepdim=True), dim=-1)
        torch.testing.assert_close(ours, vectors, rtol=0, atol=1e-5)
