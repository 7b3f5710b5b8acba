"""Prompts, answers and votes: what fits, what stays open, and which number is the answer."""

import pytest
import torch
from byhand.corpora import word_problems
from byhand.prompting import (
    CHAIN_OF_THOUGHT,
    CLOZE,
    QUESTION_ANSWER,
    TRIGGER,
    ScriptedModel,
    Template,
    few_shot_prompt,
    icl_batch,
    parse_answer,
    sample_and_vote,
    self_consistency,
    zero_shot_prompt,
)
from hypothesis import given, settings
from hypothesis import strategies as st

DEMOS = [("2 ~ 3", "gold five"), ("6 ~ 7", "gold thirteen"), ("1 ~ 1", "gold two")]


def words(text):
    return len(text.split())


def test_a_prompt_has_persona_instruction_demonstrations_and_query_in_this_order():
    prompt = few_shot_prompt("Answer.", "You are kind.", DEMOS[:2], "15 ~ 2", budget=99, count=words)
    assert prompt == (
        "You are kind.\n\nAnswer.\n\nQ: 2 ~ 3\nA: gold five\n\nQ: 6 ~ 7\nA: gold thirteen\n\nQ: 15 ~ 2\nA:"
    )


@pytest.mark.parametrize("budget", range(6, 40))
def test_a_prompt_keeps_as_many_of_the_latest_demonstrations_as_fit_and_the_whole_query(budget):
    query = "a query of many words"
    full = [few_shot_prompt("Do.", "", DEMOS[start:], query, 99, words) for start in range(4)]
    if budget < words(full[-1]):
        with pytest.raises(ValueError, match=f"has {words(full[-1])} tokens, the budget is {budget}.*never cut"):
            few_shot_prompt("Do.", "", DEMOS, query, budget, words)
        return
    prompt = few_shot_prompt("Do.", "", DEMOS, query, budget, words)
    assert words(prompt) <= budget
    assert prompt == next(candidate for candidate in full if words(candidate) <= budget)
    assert prompt.endswith(f"Q: {query}\nA:")


def test_a_prompt_uses_one_separator_and_leaves_empty_parts_out():
    template = Template("In: {question} Out: {answer};", separator=" | ")
    assert few_shot_prompt("", "", DEMOS[:1], "x", 99, words, template) == "In: 2 ~ 3 Out: gold five; | In: x Out:"


def test_a_prompt_gives_a_text_with_braces_as_it_stands():
    assert zero_shot_prompt("{answer} or {question}?") == "Q: {answer} or {question}?\nA:"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (QUESTION_ANSWER, "Q: Why?\nA:"),
        (CHAIN_OF_THOUGHT, "Q: Why?\nA: Let's think step by step."),
        (CLOZE, "Why?"),
        (Template("{question} All in all, I'm {answer}!"), "Why? All in all, I'm"),
    ],
)
def test_an_open_template_ends_where_the_answer_begins(template, expected):
    assert template.open("Why?") == expected
    assert template.filled("Why?", "so").startswith(expected)


def test_zero_shot_is_few_shot_without_demonstrations():
    for template in (QUESTION_ANSWER, CHAIN_OF_THOUGHT):
        assert zero_shot_prompt("Why?", "Do.", "You.", template) == few_shot_prompt(
            "Do.", "You.", [], "Why?", 99, words, template
        )


@pytest.mark.parametrize("text", ["{question}", "{answer} {question}", "{question} {answer} {answer}", ""])
def test_a_template_without_its_two_places_is_refused(text):
    with pytest.raises(ValueError, match=r"needs \{question\} and then \{answer\}, once each"):
        Template(text)


def test_the_trigger_is_the_one_the_shipped_models_know():
    assert TRIGGER == word_problems.TRIGGER
    problem = word_problems.sample_problems(1, seed=3)[0]
    template = Template(CHAIN_OF_THOUGHT.text, separator="\n")
    pair = (problem.question, problem.written_out)
    assert few_shot_prompt("", "", [pair], "How many?", 999, words, template) == word_problems.ask(
        "How many?", [problem.demonstrate("trigger")], trigger=True
    )


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Answer: -1,234.50.", "-1234.5"),
        ("5 boxes of 12 are 60 eggs.", "60"),
        ("10-3", "3"),
        ("10 - 3 = 7", "7"),
        ("It fell to −4 degrees.", "-4"),
        ("a list 1,2,3", "3"),
        ("1,2345", "2345"),
        ("12,345,678 people", "12345678"),
        ("costs $.50", "0.5"),
        ("007.0", "7"),
        ("100", "100"),
        ("-0.0", "0"),
        ("x2 is 5", "5"),
        ("12345678901234567890123456789012345", "12345678901234567890123456789012345"),
        ("none", None),
        ("", None),
        ("- .", None),
    ],
)
def test_parse_answer_reads_the_last_number_in_one_spelling(text, number):
    assert parse_answer(text) == number


@given(st.integers(-(10**12), 10**12), st.text(alphabet="abc ,.", max_size=8))
@settings(deadline=None)
def test_parse_answer_finds_any_integer_with_or_without_commas(number, before):
    assert parse_answer(f"{before} so {number:,}.") == parse_answer(f"{before} so {number}") == str(number)


@pytest.mark.parametrize(
    ("answers", "majority"),
    [
        (["9", "2", "2"], "2"),
        ([None, None, None, "4"], "4"),
        (["3", "8 ", " 8", "3 ", "8"], "8"),
        (["7", "5", "5", "7"], "7"),
        ([None], None),
        ([], None),
        (["", "a"], ""),
    ],
)
def test_self_consistency_takes_the_majority_and_of_equals_the_first(answers, majority):
    before = list(answers)
    assert self_consistency(answers) == majority
    assert answers == before


def test_a_vote_reports_the_share_of_all_samples_that_agree():
    vote = sample_and_vote(ScriptedModel(["is 5", "no idea", "5.0", "so 4"]), "?", samples=4)
    assert (vote.answer, vote.agreement, vote.answers) == ("5", 0.5, ("5", None, "5", "4"))


def test_a_vote_without_answers_has_no_agreement():
    vote = sample_and_vote(ScriptedModel(["no idea"]), "?", samples=2)
    assert (vote.answer, vote.agreement) == (None, 0.0)


def test_a_vote_asks_with_seeds_that_differ():
    class Recorder:
        def __init__(self):
            self.seeds = []

        def complete(self, text, *, max_tokens, temperature, stop, seed):
            self.seeds.append(seed)
            return "1"

    model = Recorder()
    sample_and_vote(model, "?", samples=3, seed=10)
    assert model.seeds == [10, 11, 12]


def test_a_vote_refuses_what_cannot_disagree():
    with pytest.raises(ValueError, match="temperature must be above 0 to sample 3 different texts"):
        sample_and_vote(ScriptedModel(["1"]), "?", samples=3, temperature=0)
    with pytest.raises(ValueError, match="samples must be at least 1, got 0"):
        sample_and_vote(ScriptedModel(["1"]), "?", samples=0)


def test_a_scripted_model_needs_a_text():
    with pytest.raises(ValueError, match="at least one text"):
        ScriptedModel([])


def rows(vocab_size=10, n_pairs=6, pool=3, batch=40, seed=0):
    rng = torch.Generator().manual_seed(seed)
    ids, loss_mask = icl_batch(vocab_size, n_pairs, pool, batch, rng)
    return [(row[::2].tolist(), row[1::2].tolist(), mask.tolist()) for row, mask in zip(ids, loss_mask, strict=True)]


def test_icl_rows_pair_keys_of_the_first_half_with_values_of_the_second():
    for keys, values, _ in rows():
        assert max(keys) < 5 <= min(values)
        assert max(values) < 10
        assert len(set(keys)) <= 3
        assert len(set(zip(keys, values, strict=True))) == len(set(keys)), "a key has one value in a row"


def test_icl_loss_counts_values_of_keys_seen_before_and_nothing_else():
    for keys, _, mask in rows():
        assert not any(mask[::2])
        assert mask[1::2] == [key in keys[:place] for place, key in enumerate(keys)]
    assert any(not all(mask[1::2][1:]) for *_, mask in rows()), "some key is new after the first pair"


def test_icl_mappings_are_fresh_in_every_row_and_use_every_key_and_value():
    value_of = {}
    for keys, values, _ in rows(batch=200):
        for key, value in zip(keys, values, strict=True):
            value_of.setdefault(key, set()).add(value)
    assert value_of == {key: set(range(5, 10)) for key in range(5)}


def test_icl_batches_repeat_with_the_generator_and_leave_the_global_state_alone():
    state = torch.random.get_rng_state()
    assert rows(seed=4) == rows(seed=4) != rows(seed=5)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"vocab_size": 7}, "vocab_size must be even"),
        ({"pool": 6}, "pool must lie between 1 and the 5 keys"),
        ({"pool": 0}, "pool must lie between 1"),
        ({"n_pairs": 0}, "n_pairs and batch must be at least 1"),
        ({"batch": 0}, "n_pairs and batch must be at least 1"),
    ],
)
def test_icl_sizes_out_of_range_are_named(changed, words):
    with pytest.raises(ValueError, match=words):
        rows(**changed)
