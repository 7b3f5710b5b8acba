"""Chapters 9 and 10: sentence embeddings, k-means, and exact vector search."""

import functools

from measure import Contenders, Finding, row

QUESTIONS = 200


@functools.cache
def questions():
    from byhand.corpora.word_problems import sample_problems

    return [problem.question for problem in sample_problems(QUESTIONS, seed=0)]


def encoding(bf16):
    """The library's encoder, sentence-transformers in float32, and the same under bfloat16 autocast."""
    import torch
    from byhand.hub import minilm_folder
    from byhand.retrieval import SentenceEncoder
    from sentence_transformers import SentenceTransformer

    texts = questions()
    encoder = SentenceEncoder.minilm(bf16=bf16)
    peer = SentenceTransformer(str(minilm_folder()), device="cpu")

    def exact():
        return peer.encode(texts, normalize_embeddings=True, show_progress_bar=False)

    def rounded():
        with torch.autocast("cpu", torch.bfloat16):
            return peer.encode(texts, normalize_embeddings=True, show_progress_bar=False)

    reference = torch.tensor(exact())
    cosines = (encoder(texts) * reference).sum(1)
    assert cosines.min() > (0.999 if bf16 else 0.999999), f"the embeddings differ: least cosine {cosines.min():.6f}"
    said = f"cosine to its embeddings: mean {cosines.mean():.5f}, least {cosines.min():.5f}"
    run = {"byhand": lambda: encoder(texts), "sentence-transformers": exact}
    notes = {"sentence-transformers": said}
    if bf16:
        run["sentence-transformers, bf16"] = rounded
        theirs = (torch.tensor(rounded()).float() * reference).sum(1)
        notes["sentence-transformers, bf16"] = f"its cosine to float32: mean {theirs.mean():.5f}"
    return Contenders(run, notes)


@row(f"Auto-CoT encoding, {QUESTIONS} questions, fp32")
def encoding_fp32():
    return encoding(bf16=False)


@row(
    f"Auto-CoT encoding, {QUESTIONS} questions, bf16",
    {"sentence-transformers": 1.9},
    limit="needs bfloat16 in the processor",
)
def encoding_bf16():
    return encoding(bf16=True)


@functools.cache
def planted(n, d, groups, seed=0):
    """Points around planted centres, close enough to one another that a bad start is not mended."""
    import torch

    rng = torch.Generator().manual_seed(seed)
    centres = torch.randn(groups, d, generator=rng)
    return centres[torch.randint(groups, (n,), generator=rng)] + torch.randn(n, d, generator=rng)


def clusters():
    from sklearn.cluster import KMeans

    points = planted(10_000, 384, 64)
    return points, KMeans(64, n_init=10, random_state=0)


@row("k-means, 10,000 x 384, 64 clusters: inertia over scikit-learn's best of 10", {"scikit-learn, n_init=10": 1.001})
def clustering_quality():
    import torch
    from byhand.prompting import cluster

    points, peer = clusters()
    best = peer.fit(points.numpy()).inertia_
    ratios = [cluster(points, 64, torch.Generator().manual_seed(seed)).inertia / best for seed in range(3)]
    return Finding(max(ratios), goal=1.001, note=f"the worst of {len(ratios)} seeds, one start each")


@row("k-means, 10,000 x 384, 64 clusters, one start", rounds=3)
def clustering_time():
    import torch
    from byhand.prompting import cluster
    from sklearn.cluster import KMeans

    points, peer = clusters()
    once = KMeans(64, n_init=1, random_state=0)
    mine = cluster(points, 64, torch.Generator().manual_seed(0)).inertia
    best = peer.fit(points.numpy()).inertia_ / mine
    single = once.fit(points.numpy()).inertia_ / mine
    assert best >= 1 / 1.001
    return Contenders(
        {
            "byhand": lambda: cluster(points, 64, torch.Generator().manual_seed(0)),
            "scikit-learn, n_init=10": lambda: peer.fit(points.numpy()),
            "scikit-learn, n_init=1": lambda: once.fit(points.numpy()),
        },
        {
            "scikit-learn, n_init=10": f"at {best:.3f} times the inertia",
            "scikit-learn, n_init=1": f"at {single:.3f} times the inertia",
        },
    )


def searching(n):
    """The best 10 of n vectors of 384 numbers for 200 queries at once, by the library and its peers."""
    import faiss
    import torch
    from byhand.retrieval import DenseIndex
    from sklearn.neighbors import NearestNeighbors

    faiss.omp_set_num_threads(1)
    points = torch.nn.functional.normalize(planted(n, 384, 500, seed=1), dim=-1)
    noise = torch.randn(200, 384, generator=torch.Generator().manual_seed(2))
    queries = torch.nn.functional.normalize(points[:200] + 0.02 * noise, dim=-1)
    index = DenseIndex()
    index.add(list(range(n)), points)
    flat = faiss.IndexFlatIP(384)
    flat.add(points.numpy())
    peer = NearestNeighbors(n_neighbors=10, metric="cosine", algorithm="brute").fit(points.numpy())
    # By score and not by id: among so many, two neighbours can lie within a rounding of each other.
    found = torch.tensor([[score for _, score in hits] for hits in index.search_many(queries, 10)])
    torch.testing.assert_close(found, torch.tensor(flat.search(queries.numpy(), 10)[0]), rtol=0, atol=1e-5)
    torch.testing.assert_close(found, 1 - torch.tensor(peer.kneighbors(queries.numpy())[0]), rtol=0, atol=1e-5)
    return {
        "byhand": lambda: index.search_many(queries, 10),
        "faiss, IndexFlatIP": lambda: flat.search(queries.numpy(), 10),
        "scikit-learn, NearestNeighbors": lambda: peer.kneighbors(queries.numpy()),
    }


@row("exact search, 200 queries at once in 6,000 x 384", rounds=7)
def searching_6k():
    return searching(6_000)


@row("exact search, 200 queries at once in 100,000 x 384", rounds=5)
def searching_100k():
    return searching(100_000)
