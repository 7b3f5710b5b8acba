"""Labels as words: lengths, calibration, and what must not count."""

import math

import pytest
import torch
from byhand.gpt import GPT, GPTConfig
from byhand.prompting import verbalize

VOCAB = 7


def markov(seed=0):
    """A causal model in which each token depends on the one before."""
    table = torch.randn(VOCAB, VOCAB, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2
    return lambda ids: table[ids]


def by_definition(lm, prompt, labels):
    scores = {}
    for name, ids in labels.items():
        whole = [*prompt, *ids]
        logprobs = torch.log_softmax(lm(torch.tensor([whole]))[0], -1)
        scores[name] = sum(logprobs[place - 1, whole[place]].item() for place in range(len(prompt), len(whole))) / len(
            ids
        )
    return scores


LABELS = {"short": [4], "long": [2, 5, 1], "same start": [2, 6], "again": [4, 4]}


def test_a_score_is_the_mean_log_probability_of_the_labels_own_tokens():
    scores = by_definition(markov(), [3, 0, 3], LABELS)
    total = sum(math.exp(score) for score in scores.values())
    probs = verbalize(markov(), [3, 0, 3], LABELS)
    assert list(probs) == list(LABELS)
    for name, score in scores.items():
        assert math.isclose(probs[name], math.exp(score) / total, rel_tol=1e-9)
    assert math.isclose(sum(probs.values()), 1, rel_tol=1e-9)


def test_calibration_subtracts_what_the_model_says_after_a_prompt_without_content():
    scores = by_definition(markov(), [3, 0, 3], LABELS)
    null = by_definition(markov(), [3, 6], LABELS)
    total = sum(math.exp(scores[name] - null[name]) for name in LABELS)
    for name, prob in verbalize(markov(), [3, 0, 3], LABELS, null_prompt=[3, 6]).items():
        assert math.isclose(prob, math.exp(scores[name] - null[name]) / total, rel_tol=1e-9)


def test_calibration_against_the_prompt_itself_leaves_no_preference():
    for prob in verbalize(markov(), [3, 0], LABELS, null_prompt=[3, 0]).values():
        assert math.isclose(prob, 1 / len(LABELS), rel_tol=1e-9)


def test_a_label_scores_the_same_whatever_labels_stand_beside_it():
    alone = verbalize(markov(), [1], {"a": [4], "b": [2, 5]})
    beside = verbalize(markov(), [1], {"b": [2, 5], "long": [3, 3, 3, 3, 3], "a": [4]})
    assert math.isclose(alone["a"] / alone["b"], beside["a"] / beside["b"], rel_tol=1e-9)


def test_a_gpt_can_be_asked_and_keeps_no_gradient():
    model = GPT(GPTConfig.tiny(vocab_size=VOCAB)).eval()
    probs = verbalize(model, [3, 0, 3], LABELS)
    scores = by_definition(model, [3, 0, 3], LABELS)
    total = sum(math.exp(score) for score in scores.values())
    assert math.isclose(probs["long"], math.exp(scores["long"]) / total, rel_tol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([], LABELS), "^prompt is empty"),
        (([1], LABELS, []), "null_prompt is empty"),
        (([1], {}), "no labels to choose from"),
        (([1], {"a": [1], "b": []}), "label 'b' has no tokens"),
    ],
)
def test_nothing_to_score_is_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        verbalize(markov(), *arguments)
