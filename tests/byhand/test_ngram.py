"""N-gram models: distributions for any context, agreement with counting by hand, fast equals slow."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from byhand.ngram import NGramLM

SETTINGS = [("addk", 0.0), ("addk", 0.3), ("witten_bell", 0.0), ("kneser_ney", 0.0)]
VOCAB = 7
RNG = np.random.default_rng(11)
STREAM = RNG.choice(VOCAB - 1, size=400, p=[0.4, 0.25, 0.15, 0.1, 0.06, 0.04])  # token 6 never occurs


def literal(stream, n, smoothing, k=0.0, vocab=VOCAB):
    """The model again, by dictionaries and recursion, from the papers' formulas."""
    grams = [Counter(tuple(stream[i : i + m]) for i in range(len(stream) - m + 1)) for m in range(1, n + 1)]
    if smoothing == "kneser_ney":
        for m in range(n - 1):
            longer = Counter(gram[1:] for gram in grams[m + 1])
            grams[m] = Counter({gram: longer[gram] for gram in grams[m]})
    after = [defaultdict(dict) for _ in grams]
    for m, counted in enumerate(grams):
        for gram, count in counted.items():
            after[m][gram[:-1]][gram[-1]] = count

    def discount(m, count):
        if count == 0:
            return 0.0
        n1, n2, n3, n4 = (sum(c == i for c in grams[m].values()) for i in (1, 2, 3, 4))
        i = min(count, 3)
        later, here = ((n2, n1), (n3, n2), (n4, n3))[i - 1]
        if n1 == 0 or here == 0:
            return i / 2
        estimate = i - (i + 1) * (n1 / (n1 + 2 * n2)) * (later / here)
        return estimate if estimate > 0 else i / 2

    def probability(context, token):
        counts = after[len(context)].get(context, {})
        total, count = sum(counts.values()), counts.get(token, 0)
        if smoothing == "addk":
            return (count + k) / (total + k * vocab) if total + k * vocab else 1 / vocab
        shorter = probability(context[1:], token) if context else 1 / vocab
        if total == 0:
            return shorter
        if smoothing == "witten_bell":
            return (count + len(counts) * shorter) / (total + len(counts))
        taken = {other: discount(len(context), c) for other, c in counts.items()}
        return (count - taken.get(token, 0.0) + sum(taken.values()) * shorter) / total

    return lambda context: np.array([probability(tuple(context), token) for token in range(vocab)])


def contexts(n):
    """Empty, short, seen, unseen and over-long ones."""
    longest = [tuple(STREAM[i : i + length]) for length in range(n + 3) for i in (0, 17, 301)]
    return [*longest, (6,), (6, 6, 6), (0, 6), (6, 0), (5, 5, 5, 5), (0, 1, 6, 2)]


@pytest.mark.parametrize(("smoothing", "k"), SETTINGS)
@pytest.mark.parametrize("n", [1, 2, 4])
def test_every_context_has_a_distribution(smoothing, k, n):
    model = NGramLM(n, VOCAB, k=k, smoothing=smoothing).fit(STREAM)
    for context in contexts(n):
        probs = model.probs(context)
        assert probs.shape == (VOCAB,)
        assert (probs >= 0).all()
        assert math.isclose(probs.sum(), 1, abs_tol=1e-12)


@pytest.mark.parametrize(("smoothing", "k"), SETTINGS)
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_the_model_is_what_the_formulas_say(smoothing, k, n):
    model = NGramLM(n, VOCAB, k=k, smoothing=smoothing).fit(STREAM)
    expected = literal(STREAM.tolist(), n, smoothing, k)
    for context in contexts(n):
        used = tuple(context)[max(0, len(context) - n + 1) :]
        np.testing.assert_allclose(model.probs(context), expected(used), atol=1e-12)


@pytest.mark.parametrize(("smoothing", "k"), SETTINGS)
@pytest.mark.parametrize("n", [1, 2, 4])
def test_scoring_a_stream_at_once_equals_one_token_at_a_time(smoothing, k, n):
    model = NGramLM(n, VOCAB, k=k, smoothing=smoothing).fit(STREAM)
    stream = np.concatenate([STREAM[40:60], [6, 6, 0, 1, 6], STREAM[:9]])
    slow = [model.probs(stream[:t])[token] for t, token in enumerate(stream)]
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(model.log_probs(stream), np.log(slow), atol=1e-12)
    assert model.nll(stream) == -model.log_probs(stream).sum()


def test_add_k_matches_counts_by_hand():
    model = NGramLM(3, 4, k=0.5).fit([0, 1, 2, 0, 1, 3, 0, 1, 2])
    np.testing.assert_allclose(model.probs([0, 1]), [0.5 / 5, 0.5 / 5, 2.5 / 5, 1.5 / 5])
    assert model.probs([3, 2, 0, 1]).tolist() == model.probs([0, 1]).tolist()


def test_add_zero_gives_the_unseen_context_a_uniform_answer_and_the_unseen_token_zero():
    model = NGramLM(2, 3).fit([0, 1, 0, 1])
    assert model.probs([2]).tolist() == [1 / 3] * 3
    assert model.probs([0]).tolist() == [0.0, 1.0, 0.0]
    assert model.nll([0, 2]) == math.inf


def test_witten_bell_ends_in_the_uniform_distribution():
    assert NGramLM(3, 5, smoothing="witten_bell").fit([]).probs([1, 2]).tolist() == [0.2] * 5
    unigram = NGramLM(1, 4, smoothing="witten_bell").fit([0, 0, 1])
    np.testing.assert_allclose(unigram.probs([]), [2.5 / 5, 1.5 / 5, 0.5 / 5, 0.5 / 5])


def test_kneser_ney_asks_how_many_neighbours_a_word_has():
    # "francisco" (1) is frequent but follows one word only; 2 is rarer and follows many
    stream = [0, 1] * 20 + [3, 2, 4, 2, 5, 2, 0, 2]
    model = NGramLM(2, 7, smoothing="kneser_ney").fit(stream)
    unseen = model.probs([6])
    assert unseen[2] > unseen[1]


@pytest.mark.parametrize("stream", [[0, 1, 2] * 40, [0, 1] * 4 + [2, 3] * 4, [3], [0, 0, 1, 1, 2, 2, 0, 1, 2, 0]])
@pytest.mark.parametrize("n", [2, 4])
def test_kneser_ney_leaves_something_for_everything_even_in_very_regular_texts(stream, n):
    model = NGramLM(n, VOCAB, smoothing="kneser_ney").fit(stream)
    for context in ([], [0], [0, 1], [2, 0, 1], [6]):
        assert (model.probs(context) > 0).all()


def test_fitting_again_forgets_what_was_counted_before():
    model = NGramLM(2, VOCAB, smoothing="witten_bell").fit(STREAM)
    again = model.fit(STREAM[:50])
    assert again is model
    fresh = NGramLM(2, VOCAB, smoothing="witten_bell").fit(STREAM[:50])
    assert again.probs([1]).tolist() == fresh.probs([1]).tolist()


@pytest.mark.parametrize("stream", [[], [3], [3, 3], [0, 1, 2]])
@pytest.mark.parametrize(("smoothing", "k"), SETTINGS)
def test_a_stream_shorter_than_n_still_gives_distributions(stream, smoothing, k):
    model = NGramLM(4, VOCAB, k=k, smoothing=smoothing).fit(stream)
    for context in ([], [3], [3, 3, 3], [0, 1, 2, 3, 4]):
        assert math.isclose(model.probs(context).sum(), 1, abs_tol=1e-12)
    assert len(model.log_probs([3, 0])) == 2


def test_ids_outside_the_vocabulary_are_refused():
    model = NGramLM(2, 3, k=1.0)
    with pytest.raises(ValueError, match="ids run from 0 to 3, but the model was made for 0 to 2"):
        model.fit([0, 3])
    with pytest.raises(ValueError, match="ids run from -1"):
        model.fit([0, 1]).probs([-1])


def test_a_model_that_counted_nothing_yet_says_so():
    with pytest.raises(ValueError, match="call fit"):
        NGramLM(2, 3).probs([0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"n": 0}, "n=0"), ({"k": -1.0}, "k=-1.0"), ({"vocab_size": 0}, "vocab_size=0")],
)
def test_impossible_settings_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        NGramLM(**{"n": 2, "vocab_size": 3, **arguments})


def test_longer_contexts_hurt_add_k_and_do_not_hurt_kneser_ney(documentation_tokens):
    train, heldout = documentation_tokens
    added = [NGramLM(n, 1024, k=0.1).fit(train).nll(heldout) for n in range(1, 6)]
    assert int(np.argmin(added)) == 1
    assert added[1] < added[2] < added[3] < added[4]
    kneser_ney = [NGramLM(n, 1024, smoothing="kneser_ney").fit(train).nll(heldout) for n in range(1, 6)]
    witten_bell = [NGramLM(n, 1024, smoothing="witten_bell").fit(train).nll(heldout) for n in range(1, 6)]
    assert int(np.argmin(witten_bell)) == 2
    assert min(kneser_ney) < min(witten_bell) < min(added)


@pytest.fixture(scope="module")
def documentation_tokens():
    from byhand.corpora.python_docs import ready_split
    from byhand.corpora.tokenizer import load_tokenizer

    tokenizer = load_tokenizer()
    return tuple(np.array(tokenizer.encode(text).ids) for text in ready_split())
