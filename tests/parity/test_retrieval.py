"""Retrieval beside its references: embeddings, exact search, and what a ranking is worth."""

import math

import numpy as np
import pytest
import torch
from byhand.corpora.python_docs import paragraphs, topics
from byhand.retrieval import DenseIndex, SentenceEncoder, bm25, encode, retrieval_metrics


@pytest.fixture(scope="module")
def sentences():
    found = [" ".join(part.split()) for part in paragraphs(topics()["class"] + "\n\n" + topics()["strings"])]
    return [*found[:24], " ".join(found), "", "naïve café, 北京 🙂", "a"]


@pytest.fixture(scope="module")
def reference(sentences):
    from byhand.hub import minilm_folder
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(minilm_folder()), device="cpu")
    return torch.tensor(model.encode(sentences, batch_size=4, normalize_embeddings=True))


def test_embeddings_are_those_of_sentence_transformers_on_real_sentences(sentences, reference):
    encoder = SentenceEncoder.minilm()
    torch.testing.assert_close(encoder(sentences), reference, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(encode(sentences, encoder.tokenizer, encoder.model, 3), reference, rtol=1e-5, atol=1e-5)


def test_bfloat16_embeddings_point_where_the_exact_ones_do(sentences, reference):
    cosines = (SentenceEncoder.minilm(bf16=True)(sentences) * reference).sum(1)
    assert cosines.min() > 0.9995
    assert cosines.mean() > 0.9999


@pytest.fixture(scope="module")
def points():
    found = torch.randn(700, 32, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(found, dim=-1)


def test_exact_search_is_that_of_faiss(points):
    import faiss

    flat = faiss.IndexFlatIP(32)
    flat.add(points[:600].numpy())
    scores, rows = flat.search(points[600:].numpy(), 10)
    index = DenseIndex()
    index.add(list(range(600)), points[:600])
    for hits, wanted, values in zip(index.search_many(points[600:], 10), rows, scores, strict=True):
        assert [name for name, _ in hits] == wanted.tolist()
        np.testing.assert_allclose([score for _, score in hits], values, rtol=1e-5, atol=1e-6)


def test_exact_search_is_that_of_scikit_learn(points):
    from sklearn.neighbors import NearestNeighbors

    peer = NearestNeighbors(n_neighbors=10, metric="cosine", algorithm="brute").fit(points[:600].numpy())
    distances, rows = peer.kneighbors(points[600:].numpy())
    index = DenseIndex()
    index.add(list(range(600)), points[:600] * torch.arange(1, 601)[:, None])
    for hits, wanted, values in zip(index.search_many(points[600:], 10), rows, distances, strict=True):
        assert [name for name, _ in hits] == wanted.tolist()
        np.testing.assert_allclose([1 - score for _, score in hits], values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("k", [1, 3, 7, 10])
def test_ndcg_is_that_of_scikit_learn(k):
    from sklearn.metrics import ndcg_score

    rng = np.random.default_rng(k)
    for _ in range(20):
        ranked = rng.permutation(10)
        relevant = set(rng.choice(10, size=int(rng.integers(1, 6)), replace=False).tolist())
        gains = np.array([[name in relevant for name in range(10)]], dtype=float)
        scores = np.empty((1, 10))
        scores[0, ranked] = -np.arange(10)
        found = retrieval_metrics(ranked.tolist(), relevant, k)["ndcg"]
        assert math.isclose(found, ndcg_score(gains, scores, k=k), rel_tol=1e-9, abs_tol=1e-12)


def test_bm25_is_the_formula_written_out_over_a_table_of_counts():
    rng = np.random.default_rng(0)
    docs = [[f"w{word}" for word in rng.integers(0, 30, size=length)] for length in rng.integers(0, 60, size=40)]
    words = [f"w{word}" for word in range(31)]
    counts = np.array([[doc.count(word) for word in words] for doc in docs], dtype=float)
    holding = (counts > 0).sum(0)
    idf = np.log(1 + (40 - holding + 0.5) / (holding + 0.5))
    lengths = counts.sum(1, keepdims=True)
    table = idf * counts * (1.5 + 1) / (counts + 1.5 * (1 - 0.4 + 0.4 * lengths / lengths.mean()))
    query = ["w3", "w30", "w7", "w3"]
    expected = table[:, [words.index(word) for word in query]].sum(1)
    np.testing.assert_allclose(bm25(query, docs, k1=1.5, b=0.4).numpy(), expected, rtol=1e-12)
