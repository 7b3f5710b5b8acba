"""Splits that do not leak: nothing lost but repeats, nothing shared, the same every time."""

import random

import pytest
from byhand.corpora.python_docs import topics
from byhand.splitting import overlap, split_without_leak, unique_paragraphs, word_ngrams


@pytest.fixture(scope="module")
def parts():
    return split_without_leak(topics(), frac=0.1, seed=3)


@pytest.fixture
def documents():
    rng = random.Random(5)
    words = [f"w{i}" for i in range(400)]
    paragraphs = [" ".join(rng.choices(words, k=rng.randint(3, 40))) for _ in range(120)]
    shared = paragraphs[:30]
    return {f"doc {i}": "\n\n".join(rng.sample(shared, 8) + paragraphs[30 + 9 * i : 39 + 9 * i]) for i in range(10)}


def test_a_split_loses_nothing_but_repeats(documents):
    train, heldout = split_without_leak(documents, frac=0.25, seed=0)
    assert sorted(train + heldout) == sorted(unique_paragraphs(documents))
    assert len(set(train + heldout)) == len(train + heldout)


@pytest.mark.parametrize("frac", [0.05, 0.25, 0.5, 0.9])
def test_a_split_holds_out_the_share_asked_for(documents, frac):
    train, heldout = split_without_leak(documents, frac, seed=1)
    size = sum(map(len, heldout))
    assert abs(size / (size + sum(map(len, train))) - frac) < 0.03


def test_a_split_is_drawn_by_its_seed_alone(documents):
    first = split_without_leak(documents, 0.2, seed=4)
    assert split_without_leak(documents, 0.2, seed=4) == first
    assert split_without_leak(documents, 0.2, seed=5) != first


def test_paragraphs_that_share_a_run_of_words_go_to_one_side():
    tail = " ".join(f"t{i}" for i in range(20))
    docs = {str(i): f"opening {i} {tail} closing {i}" for i in range(4)} | {"x": "alone " * 60}
    for seed in range(6):
        train, heldout = split_without_leak(docs, 0.5, seed)
        assert overlap(train, heldout) == 0.0


def test_repeats_differing_in_white_space_are_one_paragraph():
    assert unique_paragraphs({"a": "x  y\nz", "b": "  x y z  \n\nother"}) == ["x  y\nz", "other"]


def test_held_out_documentation_shares_no_run_of_13_words_with_training(parts):
    train, heldout = parts
    assert overlap(train, heldout) == 0.0
    assert overlap(["\n\n".join(train)], ["\n\n".join(heldout)]) < 0.01


def test_held_out_documentation_shares_almost_no_lines_with_training(parts):
    train, heldout = parts
    known = {line.strip() for part in train for line in part.splitlines()}
    lines = [line.strip() for part in heldout for line in part.splitlines() if line.strip()]
    assert sum(len(line) for line in lines if line in known) < 0.08 * sum(map(len, lines))
    long = [line for line in lines if len(line) > 50]
    assert sum(line in known for line in long) < 0.02 * len(long)


def test_splitting_the_documentation_by_topic_leaks_by_far_more(parts):
    names = sorted(topics())
    random.Random(0).shuffle(names)
    cut = len(names) // 5
    assert overlap([topics()[n] for n in names[cut:]], [topics()[n] for n in names[:cut]]) > 0.1


def test_overlap_counts_runs_and_is_zero_for_texts_too_short():
    assert overlap(["a b c d e"], ["b c d x", "c d e"], w=3) == 2 / 3
    assert overlap(["a b"], ["a b"], w=3) == 0.0
    assert list(word_ngrams("one two", 3)) == []


@pytest.mark.parametrize(("arguments", "words"), [({"frac": 1.0}, "frac must lie"), ({"w": 0}, "w must be at least")])
def test_a_split_refuses_an_impossible_request(arguments, words):
    with pytest.raises(ValueError, match=words):
        split_without_leak({"a": "b"}, **{"frac": 0.5, "seed": 0, **arguments})
