"""Answers from passages: budgets, citations, abstaining, and the whole way from a question to a cited answer."""

import pytest
import torch
from byhand.corpora.tokenizer import load_tokenizer
from byhand.prompting import ScriptedModel
from byhand.retrieval import (
    DenseIndex,
    PassageIndex,
    SentenceEncoder,
    answer_from_passages,
    answer_or_abstain,
    rag_prompt,
    retrieval_metrics,
    topic_passages,
)

PASSAGES = ["alpha beta gamma", "one two three four five six seven eight", " alpha  beta\ngamma", "", "short"]


def words(text):
    return len(text.split())


EMPTY = words(rag_prompt("Who is it?", [], 99, words)[0])


@pytest.mark.parametrize("budget", range(EMPTY, EMPTY + 20))
def test_a_prompt_fits_its_budget_and_cites_what_it_holds(budget):
    prompt, used = rag_prompt("Who is it?", PASSAGES, budget, words)
    assert words(prompt) <= budget
    assert prompt.endswith("Question: Who is it?\nAnswer:")
    assert used == sorted(used)
    for number, place in enumerate(used, start=1):
        assert f"[{number}] {' '.join(PASSAGES[place].split())}\n" in prompt
    assert f"[{len(used) + 1}]" not in prompt
    for place in set(range(5)) - set(used):
        assert not PASSAGES[place].strip() or PASSAGES[place] not in prompt


def test_a_passage_that_does_not_fit_gives_way_to_a_shorter_one():
    assert rag_prompt("Who is it?", PASSAGES, EMPTY + 6, words)[1] == [0, 4]


def test_repeated_and_empty_passages_are_left_out():
    assert rag_prompt("Who is it?", PASSAGES, 999, words)[1] == [0, 1, 4]


def test_a_question_is_never_cut():
    with pytest.raises(ValueError, match=f"has {EMPTY} tokens, the budget is {EMPTY - 1}.*never cut"):
        rag_prompt("Who is it?", PASSAGES, EMPTY - 1, words)


def shared(question, sentence):
    return float(len(set(question.lower().split()) & set(sentence.lower().rstrip(".").split())))


TEXTS = ["It rained all day. Bo ate the red apple. So it was.", "Ann ate a green pear. Then she left town."]


def test_the_answer_is_the_best_sentence_of_all_passages():
    assert answer_or_abstain("who ate a pear", TEXTS, shared, 2) == "Ann ate a green pear."
    assert answer_or_abstain("the red apple", TEXTS, shared, 2) == "Bo ate the red apple."


def test_below_the_threshold_there_is_no_answer_and_at_it_there_is():
    assert answer_or_abstain("who ate a pear", TEXTS, shared, 3) == "Ann ate a green pear."
    assert answer_or_abstain("who ate a pear", TEXTS, shared, 3.01) is None
    assert answer_or_abstain("unrelated", TEXTS, shared, 1) is None


def test_of_equal_sentences_the_first_wins_and_without_passages_there_is_none():
    assert answer_or_abstain("ate", TEXTS, shared, 1) == "Bo ate the red apple."
    assert answer_or_abstain("ate", [], shared, 0) is None
    assert answer_or_abstain("ate", ["", "  "], shared, 0) is None


NAMED = {"a": "alpha beta", "b": "beta gamma", "c": "gamma delta"}


def ranked(question, k):
    return [("b", 0.9), ("c", 0.5), ("a", 0.2)][:k]


def test_an_answer_names_the_passages_it_cites_and_nothing_else():
    model = ScriptedModel(["It is gamma [2], or beta [1]; see [2], [7] and [0].\nQuestion: and?"])
    answer = answer_from_passages(model, "Which?", ranked, NAMED, k=2)
    assert answer.text == "It is gamma [2], or beta [1]; see [2], [7] and [0]."
    assert answer.used == ["b", "c"]
    assert answer.cited == ["c", "b"]
    assert model.prompts == [answer.prompt]
    assert "[1] beta gamma\n[2] gamma delta\n" in answer.prompt


def test_citations_point_at_passages_that_fitted():
    long = NAMED | {"b": "beta " * 50}
    answer = answer_from_passages(ScriptedModel(["So [1]."]), "Which?", ranked, long, k=3, budget=40)
    assert answer.used == ["c", "a"]
    assert answer.cited == ["c"]


def test_only_passages_that_score_enough_are_read_and_without_one_no_model_is_asked():
    model = ScriptedModel(["So."])
    assert answer_from_passages(model, "Which?", ranked, NAMED, threshold=0.5).used == ["b", "c"]
    answer = answer_from_passages(model, "Which?", ranked, NAMED, threshold=0.95)
    assert (answer.text, answer.cited, answer.used, answer.prompt) == (None, [], [], "")
    assert len(model.prompts) == 1


def test_an_edited_document_changes_the_answer_without_training():
    class Reader:
        """Answers with the first passage it reads."""

        def complete(self, text, **settings):
            return text.split("[1] ")[1].splitlines()[0]

    def embed(texts):
        return torch.tensor([[text.count(letter) + 0.1 for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts])

    facts = {"limit": "the limit is ten", "colour": "grass is green"}
    index = PassageIndex(facts, embed)
    assert answer_from_passages(Reader(), "what is the limit", index.search, facts, k=1).text == "the limit is ten"
    facts["limit"] = "the limit is twelve"
    index.dense.add(["limit"], embed([facts["limit"]]))
    assert answer_from_passages(Reader(), "what is the limit", index.search, facts, k=1).text == "the limit is twelve"


@pytest.fixture(scope="module")
def minilm():
    return SentenceEncoder.minilm()


def test_pythons_documentation_answers_questions_with_a_real_encoder(minilm, tmp_path):
    wanted = ("while", "del", "assert", "lambda", "with", "pass", "return")
    every = topic_passages(load_tokenizer(), size=120, overlap=30)
    passages = {name: text for name, text in every.items() if name.split(":")[0] in wanted}
    index = PassageIndex(passages, minilm)
    index.dense.save(tmp_path)
    again = PassageIndex(passages, minilm, DenseIndex.load(tmp_path))
    asked = {
        "How do I make a function without a name?": {"lambda:0"},
        "Which statement does nothing?": {"pass:0"},
    }
    for question, relevant in asked.items():
        hits = index.search(question, 5)
        assert hits == again.search(question, 5)
        assert retrieval_metrics([name for name, _ in hits], relevant, 5)["mrr"] > 0
        answer = answer_from_passages(ScriptedModel(["See [1]."]), question, index.search, passages, threshold=0.3)
        assert answer.cited == [hits[0][0]]
    model = ScriptedModel(["never asked"])
    answer = answer_from_passages(model, "Who won the football cup?", index.search, passages, threshold=0.3)
    assert answer.text is None


def test_the_real_encoder_picks_the_sentence_or_abstains(minilm):
    def score(question, sentence):
        return float(minilm([question])[0] @ minilm([sentence])[0])

    found = answer_or_abstain(
        "Where did the cat sleep?", ["It rained. The cat slept on the sofa. So what?"], score, 0.5
    )
    assert found == "The cat slept on the sofa."
    assert answer_or_abstain("What is the capital of France?", ["It rained. The cat slept."], score, 0.5) is None
