"""Vector search: equal to looking at every vector, whatever was added, replaced, removed, saved or loaded."""

import json

import pytest
import torch
from byhand.encoder import Encoder, EncoderConfig
from byhand.retrieval import DenseIndex, InvertedFileIndex, SentenceEncoder, encode, unit_mean
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors


def vectors(n=50, d=6, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * 5


def index_of(points, ids=None):
    index = DenseIndex()
    index.add(list(range(len(points))) if ids is None else ids, points)
    return index


def by_definition(points, ids, query, k):
    cosines = torch.nn.functional.cosine_similarity(points.double(), query.double()[None])
    return sorted(zip(ids, cosines.tolist(), strict=True), key=lambda hit: (-round(hit[1], 9), hit[0]))[:k]


@given(n=st.integers(1, 40), k=st.integers(1, 50), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=40)
def test_a_search_is_the_cosine_with_every_vector_sorted(n, k, seed):
    points, query = vectors(n, 4, seed), vectors(1, 4, seed + 1)[0]
    ids = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()
    hits = index_of(points, ids).search(query, k)
    expected = by_definition(points, ids, query, k)
    assert [name for name, _ in hits] == [name for name, _ in expected]
    assert [score for _, score in hits] == pytest.approx([score for _, score in expected], abs=1e-6)


def test_ids_are_those_given_and_not_row_numbers():
    assert [name for name, _ in index_of(vectors(3), ["c", "a", "b"]).search(vectors(3)[1], 1)] == ["a"]


def test_equal_vectors_are_tied_wherever_they_stand_and_ordered_by_id():
    points = vectors(101, 17)
    twins = [3, 40, 77, 100]
    points[twins] = points[3].clone()
    names = [f"{1000 - number}" for number in range(101)]
    hits = index_of(points, names).search(points[3], 3)
    assert [name for name, _ in hits] == ["900", "923", "960"]
    assert len({score for _, score in hits}) == 1


def test_the_length_of_a_vector_does_not_count():
    points = torch.tensor([[1.0, 0.1], [100.0, 90.0], [0.01, 0.0]])
    assert [name for name, _ in index_of(points).search(torch.tensor([7.0, 0.0]), 3)] == [2, 0, 1]


def test_more_than_there_are_gives_all_and_an_empty_index_nothing():
    assert len(index_of(vectors(4)).search(vectors(1)[0], 99)) == 4
    assert DenseIndex().search(torch.zeros(3), 5) == []


def test_a_zero_vector_is_like_nothing():
    hits = index_of(torch.tensor([[0.0, 0.0], [-1.0, 0.0]])).search(torch.tensor([1.0, 0.0]), 2)
    assert hits == [(0, 0.0), (1, -1.0)]


def test_adding_in_parts_is_adding_at_once_and_queries_together_are_queries_one_by_one():
    points = vectors(50)
    parts = DenseIndex()
    for start, stop in ((0, 1), (1, 2), (2, 30), (30, 30), (30, 50)):
        parts.add(list(range(start, stop)), points[start:stop])
    queries = vectors(7, seed=3)
    assert parts.search_many(queries, 5) == index_of(points).search_many(queries, 5)
    assert parts.search_many(queries, 5) == [parts.search(query, 5) for query in queries]


def test_adding_nothing_changes_nothing_and_settles_no_width():
    index = DenseIndex()
    index.add([], torch.zeros(0, 3))
    assert (len(index), index.search(torch.zeros(3), 2)) == (0, [])
    index.add([1], vectors(1, 6))
    assert len(index) == 1


def test_a_known_id_gets_the_new_vector_and_a_removed_one_is_gone():
    points = vectors(20)
    index = index_of(points)
    index.add([99, 4], vectors(2, seed=9))
    index.remove([0, 19, 7])
    index.add([18, 99], vectors(2, seed=12))  # both had moved into the rows that became free
    kept = [name for name in range(20) if name not in (0, 19, 7)] + [99]
    changed = points.clone()
    changed[4] = vectors(2, seed=9)[1]
    changed[18] = vectors(2, seed=12)[0]
    stored = torch.stack([vectors(2, seed=12)[1] if name == 99 else changed[name] for name in kept])
    assert len(index) == 18
    assert sorted(index.ids) == kept
    for query in vectors(5, seed=4):
        assert [n for n, _ in index.search(query, 6)] == [n for n, _ in by_definition(stored, kept, query, 6)]
    with pytest.raises(KeyError):
        index.remove([7])


def test_the_caller_may_change_its_tensor_afterwards():
    points = vectors(5)
    index = index_of(points)
    before = index.search(vectors(1)[0], 5)
    points.zero_()
    assert index.search(vectors(1)[0], 5) == before


@pytest.mark.parametrize(
    ("ids", "points", "words"),
    [
        ([1, 2], vectors(3), "2 ids .2 different. for 3 vectors"),
        ([1, 1], vectors(2), "2 ids .1 different. for 2 vectors"),
        ([7], vectors(1, d=5), "holds vectors of 6 numbers, got 5"),
        ([7], torch.full((1, 6), torch.nan), "must be finite"),
    ],
)
def test_vectors_that_do_not_fit_are_named_and_nothing_is_stored(ids, points, words):
    index = index_of(vectors(4))
    with pytest.raises(ValueError, match=words):
        index.add(ids, points)
    assert sorted(index.ids) == [0, 1, 2, 3]


def test_ids_of_two_kinds_are_refused():
    with pytest.raises(TypeError, match=r"all be int or all be str, got \['int', 'str'\]"):
        index_of(vectors(2)).add(["a"], vectors(1))


def test_queries_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="query has 5 numbers, the vectors have 6"):
        index_of(vectors(3)).search(torch.zeros(5), 1)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        index_of(vectors(3)).search(torch.zeros(6), 0)


@pytest.mark.parametrize("ids", [list(range(10)), [f"näme {number}" for number in range(10)]])
def test_a_saved_index_is_loaded_as_it_was(tmp_path, ids):
    index = index_of(vectors(10), ids)
    index.remove(ids[2:4])
    index.save(tmp_path / "new" / "folder")
    loaded = DenseIndex.load(tmp_path / "new" / "folder")
    for query in vectors(4, seed=5):
        assert loaded.search(query, 8) == index.search(query, 8)
    loaded.add([ids[2]], vectors(1))
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [
        "index.json",
        "vectors.safetensors",
    ]


def test_an_empty_index_can_be_saved(tmp_path):
    DenseIndex().save(tmp_path)
    assert len(DenseIndex.load(tmp_path)) == 0


def test_damaged_and_foreign_files_are_refused(tmp_path):
    index_of(vectors(10)).save(tmp_path)
    listed = json.loads((tmp_path / "index.json").read_text())
    content = (tmp_path / "vectors.safetensors").read_bytes()

    def refused(words, error=ValueError):
        with pytest.raises(error, match=words):
            DenseIndex.load(tmp_path)

    (tmp_path / "vectors.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused("is not what index.json describes .its sha256 differs.: build the index again")
    (tmp_path / "vectors.safetensors").write_bytes(content)
    for name, value, words in (
        ("version", 2, "version 2, this reads .* version 1: build the index again"),
        ("format", "faiss", "holds faiss version 1"),
        ("ids", [1], "1 ids .* for 10 vectors"),
    ):
        (tmp_path / "index.json").write_text(json.dumps({**listed, name: value}))
        refused(words)
    for damage in ("", "[1]", "{}", json.dumps(listed)[:-9]):
        (tmp_path / "index.json").write_text(damage)
        refused("index.json is damaged: build the index again")
    (tmp_path / "index.json").unlink()
    refused("index.json", FileNotFoundError)


def inverted(points, n_lists=6):
    index = InvertedFileIndex(points, n_lists, torch.Generator().manual_seed(0))
    index.add(list(range(len(points))), points)
    return index


def test_probing_every_list_is_the_exact_search():
    points = vectors(200)
    index, exact = inverted(points), index_of(points)
    assert len(index) == 200
    for query in vectors(9, seed=1):
        assert index.search(query, 12, n_probe=6) == exact.search(query, 12)


def test_recall_rises_with_the_lists_that_are_probed_and_few_are_enough_for_most():
    points, exact = vectors(600, d=8), index_of(vectors(600, d=8))
    index = inverted(points, n_lists=20)
    queries = vectors(40, d=8, seed=2)

    def recall(n_probe):
        pairs = [({n for n, _ in index.search(q, 10, n_probe)}, {n for n, _ in exact.search(q, 10)}) for q in queries]
        return sum(len(found & wanted) for found, wanted in pairs) / (10 * len(pairs))

    found = [recall(n_probe) for n_probe in (1, 3, 8, 20)]
    assert found == sorted(found)
    assert found[0] < 0.7 < 0.9 < found[2]
    assert found[3] == 1


def test_an_inverted_index_replaces_and_removes():
    points = vectors(50)
    index = inverted(points)
    index.add([3, 50], torch.stack([-points[3], points[7]]))
    assert len(index) == 51
    assert [name for name, _ in index.search(points[7], 2, n_probe=6)] == [7, 50]
    assert index.search(-points[3], 1, n_probe=1)[0][0] == 3
    assert index.search(points[3], 1, n_probe=6)[0][0] != 3, "the old vector is gone from its list"
    index.remove([7])
    assert [name for name, _ in index.search(points[7], 1, n_probe=6)] == [50]


@pytest.mark.parametrize("n_probe", [0, 7])
def test_a_number_of_lists_to_probe_out_of_range_is_named(n_probe):
    with pytest.raises(ValueError, match="n_probe must lie between 1 and the 6 lists"):
        inverted(vectors(50)).search(vectors(1)[0], 1, n_probe)


TEXTS = [
    "the cat sat on a mat and the dog barked at the moon",
    "sea",
    "",
    "the dog",
    "a cat sat",
    "the dog and the sea",
]


@pytest.fixture(scope="module")
def tokenizer():
    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", *sorted(set(" ".join(TEXTS).split()))]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return tokenizer


@pytest.fixture(scope="module")
def encoder():
    return Encoder(EncoderConfig.tiny(vocab_size=16), rng=torch.Generator().manual_seed(0)).eval()


def one_by_one(encoder, tokenizer, texts):
    rows = [torch.tensor([tokenizer.encode(text).ids]) for text in texts]
    means = torch.cat([encoder(ids).mean(1) for ids in rows])
    return (means / means.norm(dim=1, keepdim=True)).detach()


@pytest.mark.parametrize("batch_size", [1, 2, 5, 99])
def test_an_embedding_is_the_same_in_any_batch_and_in_its_place(encoder, tokenizer, batch_size):
    found = encode(TEXTS, tokenizer, encoder, batch_size)
    torch.testing.assert_close(found, one_by_one(encoder, tokenizer, TEXTS), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(6))


@pytest.mark.parametrize("batch_tokens", [16, 17, 40, 1024])
def test_batches_by_tokens_give_the_same_embeddings(encoder, tokenizer, batch_tokens):
    found = SentenceEncoder(encoder, tokenizer, longest=16, batch_tokens=batch_tokens)(TEXTS)
    torch.testing.assert_close(found, one_by_one(encoder, tokenizer, TEXTS), rtol=1e-5, atol=1e-5)


def test_a_batch_holds_no_more_tokens_than_allowed_and_no_text_twice(encoder, tokenizer):
    seen = []

    class Counting(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = encoder

        def forward(self, ids, mask):
            seen.append((tuple(ids.shape), int(mask.sum())))
            return self.encoder(ids, mask)

    texts = [" ".join(["cat"] * length) for length in (1, 9, 2, 2, 8, 1, 1, 3)]
    SentenceEncoder(Counting(), tokenizer, longest=12, batch_tokens=24)(texts)
    assert all(rows * longest <= 24 for (rows, longest), _ in seen)
    assert sum(real for _, real in seen) == sum((1, 9, 2, 2, 8, 1, 1, 3)) + 2 * 8
    assert sum(rows for (rows, _), _ in seen) == 8
    assert len(seen) < 8


def test_a_long_text_is_cut_and_ends_with_its_closing_token(encoder, tokenizer):
    short = SentenceEncoder(encoder, tokenizer, longest=5)
    assert torch.allclose(short(["the cat sat on a mat"]), one_by_one(encoder, tokenizer, ["the cat sat"]), atol=1e-5)
    assert tokenizer.truncation is None, "the caller's tokenizer is not changed"


def test_a_tokenizer_that_pads_gives_the_same_embeddings(encoder, tokenizer):
    padding = Tokenizer.from_str(tokenizer.to_str())
    padding.enable_padding(length=20)
    expected = one_by_one(encoder, tokenizer, TEXTS)
    torch.testing.assert_close(encode(TEXTS, padding, encoder, 3), expected, rtol=1e-5, atol=1e-5)
    found = SentenceEncoder(encoder, padding, longest=16)(TEXTS)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_bfloat16_points_the_same_way_gives_float32_and_leaves_the_model_alone(encoder, tokenizer):
    found = SentenceEncoder(encoder, tokenizer, bf16=True)(TEXTS)
    assert {weight.dtype for weight in encoder.parameters()} == {torch.float32}
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.norm(dim=1), torch.ones(6))
    assert (found * one_by_one(encoder, tokenizer, TEXTS)).sum(1).min() > 0.999


def test_dropout_is_off_and_the_models_mode_is_restored(encoder, tokenizer):
    dropping = Encoder(EncoderConfig.tiny(vocab_size=16, dropout=0.5), rng=torch.Generator().manual_seed(0))
    for mode in (True, False):
        dropping.train(mode)
        assert torch.equal(encode(TEXTS, tokenizer, dropping, 2), encode(TEXTS, tokenizer, dropping, 2))
        assert dropping.training is mode
    assert not encode(TEXTS, tokenizer, dropping, 2).requires_grad


def test_no_texts_give_no_rows(encoder, tokenizer):
    assert len(encode([], tokenizer, encoder, 4)) == 0
    assert len(SentenceEncoder(encoder, tokenizer)([])) == 0


def test_settings_that_cannot_work_are_named(encoder, tokenizer):
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        encode(TEXTS, tokenizer, encoder, 0)
    for longest, batch_tokens in ((2, 99), (30, 29)):
        with pytest.raises(ValueError, match=f"got longest={longest}, batch_tokens={batch_tokens}"):
            SentenceEncoder(encoder, tokenizer, longest=longest, batch_tokens=batch_tokens)


def test_padding_has_no_part_in_the_mean():
    states = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [torch.inf, 7.0]]]).nan_to_num(posinf=9e9)
    torch.testing.assert_close(unit_mean(states, torch.tensor([[True, True, False]])), torch.tensor([[0.5**0.5] * 2]))
