"""Grammars that remember: exact probabilities and entropy, against enumeration and Monte Carlo."""

import math
import random
from fractions import Fraction
from itertools import product

import pytest
from byhand.corpora.grammar import END, Grammar
from byhand.corpora.notation import read_rules
from byhand.corpora.stories import sample_stories, story_grammar, story_ids

SMALL = """
S: 3 the <HERO=who> <ACT> | 1 a <HERO=who> saw <HERO=whom> , {who} not {whom.1}
HERO: 2 cat / it | 1 girl / she her
ACT: 2 slept . | 1 ran and {who.1} <ACT>
"""


def every_text(grammar, least):
    """All texts of probability above `least`, by breadth-first enumeration of next tokens."""
    found, open_texts = {}, [((), Fraction(1))]
    while open_texts:
        prefix, p = open_texts.pop()
        for token, step in grammar.next_token_probs(prefix).items():
            if token == END:
                found[prefix] = p * step
            elif p * step > least:
                open_texts.append(((*prefix, token), p * step))
    return found


def test_entropy_and_length_are_those_of_the_enumerated_texts():
    grammar = Grammar(read_rules(SMALL))
    texts = every_text(grammar, Fraction(1, 10**12))
    assert math.isclose(sum(texts.values()), 1, abs_tol=1e-9)
    entropy = -sum(float(p) * math.log(p) for p in texts.values())
    assert math.isclose(entropy, grammar.entropy(), abs_tol=1e-8)
    tokens = sum(float(p) * (len(text) + 1) for text, p in texts.items())
    assert math.isclose(tokens, grammar.expected_tokens(), abs_tol=1e-8)
    assert math.isclose(grammar.entropy_per_token(), entropy / tokens, abs_tol=1e-8)


def test_what_is_remembered_comes_back_with_its_companions():
    grammar = Grammar(read_rules(SMALL))
    assert grammar.next_token_probs(["the", "girl", "ran", "and"]) == {"she": 1}
    assert grammar.next_token_probs(["a", "cat", "saw", "girl", ",", "cat", "not"]) == {"she": 1}
    assert grammar.logprob(["the", "girl", "ran", "and", "it", "slept", "."]) == -math.inf


def test_the_probability_of_a_text_is_the_product_of_its_choices():
    grammar = Grammar(read_rules(SMALL))
    text = ["the", "girl", "ran", "and", "she", "slept", "."]
    assert math.isclose(grammar.logprob(text), math.log(3 / 4 * 1 / 3 * 1 / 3 * 2 / 3))
    assert len(grammar.log_probs(text)) == len(text) + 1
    assert grammar.logprob(text[:-1]) == -math.inf
    assert grammar.logprob([*text, "slept"]) == -math.inf


def test_samples_occur_as_often_as_their_probability_says():
    grammar = Grammar(read_rules(SMALL))
    rng = random.Random(2)
    draws = 20_000
    counted = {}
    for _ in range(draws):
        text = tuple(grammar.sample(rng))
        counted[text] = counted.get(text, 0) + 1
    for text, p in every_text(grammar, Fraction(1, 50)).items():
        spread = math.sqrt(draws * p * (1 - p))
        assert abs(counted[text] - draws * p) < 5 * spread


@pytest.fixture(scope="module")
def scored_stories():
    """Stories, and the surprise of each in nats."""
    stories = sample_stories(1_500, seed=1)
    return stories, [-story_grammar().logprob(story) for story in stories]


def test_the_entropy_of_stories_agrees_with_monte_carlo(scored_stories):
    _, surprises = scored_stories
    mean = sum(surprises) / len(surprises)
    spread = math.sqrt(sum((x - mean) ** 2 for x in surprises) / len(surprises) ** 2)
    assert abs(mean - story_grammar().entropy()) < 4 * spread
    assert spread < 0.15


def test_the_entropy_per_token_of_stories_agrees_with_a_stream_of_them(scored_stories):
    stories, surprises = scored_stories
    tokens = sum(len(story) + 1 for story in stories)
    assert abs(sum(surprises) / tokens - story_grammar().entropy_per_token()) < 0.006


def test_next_token_probabilities_of_a_story_always_sum_to_one():
    for story in sample_stories(5, seed=3):
        for cut in range(len(story) + 1):
            choices = story_grammar().next_token_probs(story[:cut])
            assert sum(choices.values()) == 1
            assert cut == len(story) or story[cut] in choices


def test_the_impossible_prefix_is_named_with_what_could_stand_there():
    with pytest.raises(ValueError, match=r"token 1, 'dog', cannot stand there; one of \['cat', 'girl'\] can"):
        Grammar(read_rules(SMALL)).next_token_probs(["the", "dog"])


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("S: 1 a b | 1 a c", "can begin with 'a'"),
        ("S: 1 <A> | 1 <B>\nA: 1 x\nB: 1 x y", "can begin with 'x'"),
        ("S: 1 <N=n> <T>\nN: 1 u | 1 v\nT: 1 {n} | 1 v v", "can begin with 'v'"),
        ("S: 1 <S> a | 1 b", "S can begin with itself"),
        ("S: 1 a <S>", "never ends"),
        ("S: 1 a <T>", "<T> names no rule"),
        ("S: 1 a <T>\nT: 1 b | 1", "at least one token"),
        ("S: 1 <N=n>\nN: 1 two words", "must be one token"),
        ("S: 1 a {n}", "repeats what nothing remembers"),
    ],
)
def test_a_grammar_that_is_not_exact_is_refused(source, words):
    with pytest.raises(ValueError, match=words):
        Grammar(read_rules(source)).entropy()


def test_stories_are_the_same_for_the_same_seed():
    assert sample_stories(3, seed=5) == sample_stories(3, seed=5)
    assert sample_stories(3, seed=5) != sample_stories(3, seed=6)


def test_story_ids_open_and_close_every_story_with_the_end_token():
    vocabulary = story_grammar().vocabulary
    stories = sample_stories(20, seed=2)
    ids = story_ids(stories)
    assert len(ids) == 1 + sum(len(story) + 1 for story in stories)
    text = " ".join(vocabulary[i] for i in ids)
    assert text == " ".join([END, *(word for story in stories for word in [*story, END])])
    assert len(set(vocabulary)) == len(vocabulary)
    assert vocabulary[0] == END


def test_counting_n_grams_stays_above_the_true_entropy():
    from byhand.ngram import NGramLM

    train, heldout = (story_ids(sample_stories(count, seed)) for count, seed in ((3_000, 10), (300, 11)))
    size = len(story_grammar().vocabulary)
    for n, gap in product((2, 3, 4), (0.05,)):
        model = NGramLM(n, size, smoothing="kneser_ney").fit(train)
        per_token = -model.log_probs(heldout)[1:].mean()
        assert per_token > story_grammar().entropy_per_token() + gap


def test_a_slot_filled_again_repeats_the_new_token():
    grammar = Grammar(read_rules("S: 1 <N=n> {n} <N=n> {n}\nN: 1 u | 1 v"))
    assert grammar.logprob(["u", "u", "v", "v"]) == 2 * math.log(1 / 2)
    assert grammar.logprob(["u", "u", "v", "u"]) == -math.inf
