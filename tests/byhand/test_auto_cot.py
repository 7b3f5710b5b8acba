"""Auto-CoT: one demonstration a cluster, nearest first, short ones only, and its place in a prompt."""

import pytest
import torch
from byhand.prompting import (
    Demo,
    ScriptedModel,
    auto_cot,
    auto_cot_prompt,
    construct_demos,
    count_steps,
    sort_by_cluster,
    zero_shot_cot,
)
from hypothesis import given, settings
from hypothesis import strategies as st

# Three kinds of question, far apart; the number is the distance to the middle of its kind.
PLACES = {
    "apples 0": [0.0, 0.0],
    "apples 3": [0.3, 0.0],
    "apples 3 too": [-0.3, 0.0],
    "trains 0": [10.0, 0.0],
    "trains 1": [10.0, 0.1],
    "trains 1 too": [10.0, -0.1],
    "coins 0": [0.0, 10.0],
    "coins 2": [0.2, 10.0],
    "coins 2 too": [-0.2, 10.0],
}
QUESTIONS = sorted(PLACES, key=lambda question: question[::-1])


def embed(texts):
    return torch.tensor([PLACES[text] for text in texts])


def rng():
    return torch.Generator().manual_seed(0)


def solve(question):
    return f"I look at {question}.\nThen I count.", "The answer is 7."


def count_words(text):
    return len(text.split())


def demos_by_kind(demos):
    return {demo.question.split()[0]: demo.question for demo in demos}


def test_clusters_hold_every_question_once_nearest_to_the_centre_first():
    clusters = sort_by_cluster(QUESTIONS, embed, 3, rng())
    assert sorted(question for cluster in clusters for question in cluster) == sorted(QUESTIONS)
    assert sorted(cluster[0] for cluster in clusters) == ["apples 0", "coins 0", "trains 0"]
    for cluster in clusters:
        assert len({question.split()[0] for question in cluster}) == 1
        places = torch.tensor([PLACES[question] for question in cluster])
        distances = (places - places.mean(0)).norm(dim=1)
        assert (distances.diff() >= -1e-6).all()


def test_each_cluster_gives_the_demonstration_nearest_to_its_centre():
    demos = auto_cot(QUESTIONS, embed, 3, solve, count_words, rng())
    assert demos_by_kind(demos) == {"apples": "apples 0", "trains": "trains 0", "coins": "coins 0"}
    assert [demo.cluster for demo in demos] == [0, 1, 2]


def test_a_demonstration_is_written_as_the_paper_writes_it():
    demo = auto_cot(["apples 0"], embed, 1, solve, count_words, rng())[0]
    assert demo.text == (
        "Q: apples 0\nA: Let's think step by step. I look at apples 0.\nThen I count. The answer is 7."
    )


def test_a_question_that_is_too_long_gives_way_to_the_next_of_its_cluster():
    long = {"apples 0": 61, "trains 0": 60}
    demos = auto_cot(QUESTIONS, embed, 3, solve, lambda text: long.get(text, 5), rng())
    found = demos_by_kind(demos)
    assert found.pop("apples") in ("apples 3", "apples 3 too")
    assert found == {"trains": "trains 0", "coins": "coins 0"}


def test_a_rationale_with_too_many_steps_gives_way_and_no_cluster_is_lost():
    steps = {"apples 0": 6, "apples 3": 6, "trains 0": 5}

    def solve(question):
        return "step\n" * steps.get(question, 1), "The answer is 7."

    found = demos_by_kind(auto_cot(QUESTIONS, embed, 3, solve, count_words, rng()))
    assert found == {"apples": "apples 3 too", "trains": "trains 0", "coins": "coins 0"}


def test_a_question_without_an_answer_makes_no_demonstration():
    def solve(question):
        return "I wonder.", None if question.endswith("0") else "The answer is 1."

    assert all(not demo.question.endswith("0") for demo in auto_cot(QUESTIONS, embed, 3, solve, count_words, rng()))


def test_a_cluster_in_which_nothing_fits_gives_no_demonstration():
    demos = construct_demos([["too long here"], [], ["ok"]], solve, count_words, max_tokens=2)
    assert [(demo.question, demo.cluster) for demo in demos] == [("ok", 2)]


def test_the_model_is_asked_once_for_each_candidate_and_never_about_long_ones():
    asked = []

    def solve(question):
        asked.append(question)
        return "step\n" * (6 if question == "b" else 1), "The answer is 7."

    construct_demos([["too long here", "b", "c", "d"], ["e"]], solve, count_words, max_tokens=2)
    assert asked == ["b", "c", "e"]


def test_tokens_are_counted_by_the_tokenizer_that_is_given():
    question = "a" * 100
    assert len(construct_demos([[question]], solve, count_words)) == 1
    assert construct_demos([[question]], solve, len) == []


@given(k=st.integers(1, 8), n=st.integers(8, 30), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_different_questions_always_give_k_clusters(k, n, seed):
    points = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))
    names = [str(index) for index in range(n)]
    clusters = sort_by_cluster(names, lambda texts: points[[int(text) for text in texts]], k, rng())
    assert sorted((name for cluster in clusters for name in cluster), key=int) == names
    assert all(clusters)


@pytest.mark.parametrize("k", [0, 10])
def test_a_number_of_clusters_out_of_range_is_named(k):
    with pytest.raises(ValueError, match="k must lie between 1 and the number of questions, 9"):
        auto_cot(QUESTIONS, embed, k, solve, count_words, rng())


@pytest.mark.parametrize(
    ("rationale", "steps"),
    [("", 0), ("  \n ", 0), ("one", 1), ("One. Two! Three?", 3), ("a\n\nb. c.\n", 2), ("2 + 2.5 = 4.5. So.", 2)],
)
def test_steps_are_lines_and_on_a_single_line_sentences(rationale, steps):
    assert count_steps(rationale) == steps


def test_zero_shot_cot_asks_with_the_trigger_and_splits_off_the_answer():
    model = ScriptedModel([" 2 + 3 = 5. The answer is 5.\nQ: next"])
    assert zero_shot_cot(model, "How many?") == ("2 + 3 = 5.", "The answer is 5.")
    assert model.prompts == ["Q: How many?\nA: Let's think step by step."]


def test_zero_shot_cot_asks_again_where_the_model_names_no_answer():
    model = ScriptedModel(["Two and three.\nThat is more.", " 1,005 apples. Or 7."])
    assert zero_shot_cot(model, "How many?") == ("Two and three.\nThat is more.", "The answer is 1005.")
    assert model.prompts[1].endswith("That is more. The answer is")


def test_zero_shot_cot_says_so_where_no_number_follows():
    assert zero_shot_cot(ScriptedModel(["Hm.", "unclear.\n5"]), "How many?") == ("Hm.", None)


def test_a_fraction_is_not_cut_at_its_point():
    assert zero_shot_cot(ScriptedModel(["Half. The answer is 2.5."]), "?")[1] == "The answer is 2.5."


def test_the_prompt_drops_old_demonstrations_to_fit():
    demos = [Demo("q one", "r.", "The answer is 1.", 0), Demo("q two", "r.", "The answer is 2.", 1)]
    prompt = auto_cot_prompt(demos, "q three", budget=25, count=count_words)
    assert prompt == demos[1].text + "\n\nQ: q three\nA: Let's think step by step."
