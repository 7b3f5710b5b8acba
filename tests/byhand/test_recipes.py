"""Recipes: what the shipped models are trained on, how they are marked, and that a recipe can be repeated."""

from dataclasses import replace

import pytest
import torch
from byhand import checkpoints
from byhand.corpora import word_problems
from byhand.corpora.operations import OPERATIONS, sample_rows
from byhand.corpora.stories import sample_stories, story_grammar
from byhand.corpora.word_problems import TRIGGER, sample_problems
from byhand.gpt import GPT, GPTConfig
from byhand.packing import IGNORED
from byhand.training.recipes import batches, describe, follow, lengthen, recipes, results

TRIGGER_IDS = word_problems.vocabulary().encode(TRIGGER)


def generator(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("draw", [batches.story_rows, batches.operation_rows, batches.word_problem_lines])
def test_the_generator_alone_decides_a_batch(draw):
    first, again, other = draw(3, 2, generator(5)), draw(3, 2, generator(5)), draw(3, 2, generator(6))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert first[0].shape != other[0].shape or not torch.equal(first[0], other[0])
    assert [len(part) for part in first] == [2, 2]


@pytest.mark.parametrize("step", [0, batches.STREAM_EVERY - 1])
def test_rows_of_stories_are_whole_from_their_beginning(step):
    x, y = batches.story_rows(step, 3, generator(1), seq=200)
    words = story_grammar().vocabulary
    for ids, targets in zip(x.tolist(), y.tolist(), strict=True):
        learned = [target for target in targets if target != IGNORED]
        assert ids[: len(learned)] == [0, *learned[:-1]]
        story = [words[i] for i in learned[: learned.index(0)]]
        assert story_grammar().logprob(story) > -100
        assert (len(learned) > len(story) + 1) == (step > 0)
    assert (len(x[0]) == 200) == (step > 0)


def test_targets_of_operations_are_the_results_and_nothing_else():
    x, y = batches.operation_rows(0, 5, generator(2))
    words = batches.operation_vocabulary()
    for ids, targets in zip(x.tolist(), y.tolist(), strict=True):
        text = words.decode(ids)
        shown = [target for target in targets if target != IGNORED]
        results_shown = [int(part.split("=")[1]) for part in f"{text} {words.tokens[targets[-1]]}".split(";")]
        assert [int(words.tokens[i]) for i in shown] == results_shown
        assert len(results_shown) == batches.SHOTS + 1


def test_single_problems_train_the_answer_and_never_the_trigger():
    words = word_problems.vocabulary()
    x, y = batches.word_problem_lines(0, 4, generator(3))
    assert x.shape[:2] == (4, batches.LINES)
    triggered = 0
    for ids, targets in zip(x.flatten(0, 1).tolist(), y.flatten(0, 1).tolist(), strict=True):
        learned = [target for target in targets if target != IGNORED]
        text, answer = words.decode(ids), words.decode(learned)
        assert learned[-1] == 0
        assert text.endswith(answer)
        assert answer.endswith(".\n")
        triggered += TRIGGER in text
        assert text.removesuffix(answer).endswith(f"{TRIGGER} " if TRIGGER in text else "\nA: ")
        assert (" = " in answer) == (TRIGGER in text)
        assert len(targets) == len(ids)
    assert 16 < triggered < 32


def test_few_shot_texts_come_at_their_turn_and_train_everything():
    words = word_problems.vocabulary()
    x, y = batches.word_problem_lines(batches.FEW_SHOT_EVERY - 1, 6, generator(4))
    assert x.shape[:2] == (6, 1)
    for ids, targets in zip(x[:, 0].tolist(), y[:, 0].tolist(), strict=True):
        learned = [target for target in targets if target != IGNORED]
        text = words.decode(ids)
        assert learned == [*words.encode(text), 0]
        styles = {("=" in line, TRIGGER in line) for line in text.splitlines() if line.startswith("A:")}
        assert len(styles) == 1
        assert 2 <= text.count("Q:") <= 8


def test_the_loss_of_lines_is_that_of_all_lines_one_by_one():
    model = GPT(GPTConfig(len(word_problems.vocabulary()), 1024, 16, 1, 2, positions="rotary"), generator(0))
    x, y = batches.word_problem_lines(0, 2, generator(5))
    total, count = batches.lines_loss(model, x, y)
    each = [
        batches.next_token_loss(model, *(part[row, line][None] for part in (x, y)))
        for row in (0, 1)
        for line in range(8)
    ]
    assert count == sum(one for _, one in each) == (y != IGNORED).sum()
    torch.testing.assert_close(total, sum(loss for loss, _ in each))


class Scripted(GPT):
    """Its next token depends on the place alone."""

    def __init__(self, script):
        super().__init__(GPTConfig(10, 64, 10, 1, 1))
        self.script = torch.tensor(script)
        self.head = torch.nn.Identity()

    def hidden(self, input_ids, attention_mask=None, positions=None):
        return torch.eye(10)[self.script[: input_ids.shape[1]]].expand(len(input_ids), -1, -1)


def test_writing_goes_on_from_each_rows_own_end_and_stops_at_the_stop_token():
    model = Scripted([1, 2, 3, 4, 9, 5, 6, 9, 7])
    assert results.write_all(model, [[0, 0, 0], [0], [0] * 6], max_new=3, stop=9) == [[3, 4], [1, 2, 3], [5, 6]]


def test_many_at_once_are_written_as_one_by_one():
    model = GPT(GPTConfig(30, 64, 16, 2, 2, positions="rotary"), generator(1))
    for weight in model.parameters():
        weight.data.mul_(5)  # far from even, so that greedy choices are clear
    prompts = [[0, *range(1, n)] for n in (7, 3, 12, 4, 9)]
    together = results.write_all(model, prompts, 10, stop=29, batch=3)
    assert together == [results.write_all(model, [prompt], 10, stop=29)[0] for prompt in prompts]
    assert model.training


def test_marking_counts_right_answers_only():
    problems = sample_problems(4, seed=2)
    right = [problem.answer for problem in problems]
    assert results.exact_match(problems, right) == 1
    assert results.exact_match(problems, [right[0], None, right[2] + 1, right[3]]) == 0.5


def test_a_model_accepts_itself_and_another_less():
    one, other = (GPT(GPTConfig(len(story_grammar().vocabulary), 256, 16, 1, 2), generator(seed)) for seed in (1, 2))
    for weight in (*one.parameters(), *other.parameters()):
        weight.data.mul_(9)
    assert results.acceptance(one, one, count=3) == pytest.approx(1, abs=1e-4)
    assert results.acceptance(one, other, count=3) < 0.9


def tiny(name, steps):
    """The recipe with a model of a few thousand parameters."""
    recipe = recipes()[name]
    sizes = {"d_model": 16, "n_layers": 1, "n_heads": 2, "d_ff": 32}
    training = replace(lengthen(recipe, steps).training, batch=2, save_every=2)
    changes = {"training": training, "measure": lambda model: {"fine": 1.0}, "start": None}
    return replace(recipe, model=replace(recipe.model, **sizes), **changes)


@pytest.mark.parametrize("name", list(recipes()))
def test_a_recipe_makes_a_model_that_can_be_read_with_a_whole_card(name, tmp_path):
    follow(name, tiny(name, 3), runs=tmp_path / "runs", folder=tmp_path, show=False)
    found = checkpoints.read(name, tmp_path)
    model = GPT(GPTConfig(**found.config)).load_weights(found.weights)
    card = found.card
    assert card["parameters"] == sum(weight.numel() for weight in model.parameters())
    assert card["results"] == {"fine": 1.0}
    assert card["recipe"]["steps"] == card["cost"]["updates"] == 3
    assert card["cost"]["targets"] > 0
    assert card["made"]["by"] == f"python -m byhand.training.recipes {name} --steps 3"
    assert len(card["loss"]) == 3
    assert found.config["vocab_size"] == len(list(recipes()[name].tokens()))
    assert not any((tmp_path / "runs").iterdir())


def test_the_same_recipe_gives_the_same_bytes_even_when_it_was_stopped(tmp_path):
    recipe = tiny("operations", 5)
    whole = follow("x", recipe, runs=tmp_path / "runs", folder=tmp_path / "whole", show=False).read_bytes()

    def stopping(step, batch, rng):
        if step == 3:
            raise KeyboardInterrupt
        return batches.operation_rows(step, batch, rng)

    with pytest.raises(KeyboardInterrupt):
        follow(
            "x", replace(recipe, draw=lambda: stopping), runs=tmp_path / "runs", folder=tmp_path / "part", show=False
        )
    assert not (tmp_path / "part").exists()
    path = follow("x", recipe, runs=tmp_path / "runs", folder=tmp_path / "part", show=False)
    assert path.read_bytes() == whole
    assert "cpu_minutes" not in checkpoints.read_card("x", tmp_path / "part")["cost"]


def test_a_recipe_with_a_start_begins_with_its_weights(tmp_path):
    first = tiny("operations", 2)
    still = replace(first, start="x", training=replace(first.training, lr=1e-12, seed=9, weight_decay=0.0))
    for name, recipe in (("x", first), ("y", still)):
        follow(name, recipe, runs=tmp_path / "runs", folder=tmp_path, show=False)
    before, after = (checkpoints.read(name, tmp_path) for name in "xy")
    assert after.card["start"] == "x"
    for key, weight in after.weights.items():
        torch.testing.assert_close(weight, before.weights[key])
    with pytest.raises(ValueError, match="no checkpoint 'z'; there are: x, y"):
        follow("w", replace(first, start="z"), runs=tmp_path / "runs", folder=tmp_path, show=False)


@pytest.mark.parametrize("name", checkpoints.names())
def test_a_shipped_model_is_that_of_its_recipe_and_of_todays_corpora(name):
    found = checkpoints.read(name)
    model = GPT.from_checkpoint(name)
    assert found.card["parameters"] == sum(weight.numel() for weight in model.parameters())
    described = describe(lengthen(recipes()[name], found.card["recipe"]["steps"]))
    described["data"].pop("first_batch")  # of the documentation, which differs between versions of Python
    assert {key: found.card[key] for key in ("what", "config", "recipe", "start")} == {
        key: described[key] for key in ("what", "config", "recipe", "start")
    }
    assert found.card["data"]["tokens"] == described["data"]["tokens"]


def near(measured, stated, count):
    """Within four standard errors of an accuracy counted on `count` problems."""
    return abs(measured - stated) < 4 * (max(stated * (1 - stated), 0.02) / count) ** 0.5


def test_the_shipped_stories_models_reach_their_cards():
    for name, model in ((name, GPT.from_checkpoint(name)) for name in ("stories", "stories-draft")):
        found, stated = results.story_results(model, count=40), checkpoints.read_card(name)["results"]
        assert 0 < found["excess"] < stated["excess"] + 0.03
    assert 0.8 < results.acceptance(GPT.from_checkpoint("stories"), model, count=10) < 0.99


def test_the_shipped_operations_model_reaches_its_card():
    stated = checkpoints.read_card("operations")["results"]
    found = results.operation_results(GPT.from_checkpoint("operations"), count=150)
    for shots in (0, 1, 2, 4, 8):
        assert near(found["accuracy"][shots], stated["accuracy"][shots], 150)
    assert max(found["unseen_operations"][4:]) < 0.5 < min(found["accuracy"][2:])


def test_the_shipped_documentation_model_reaches_its_card():
    stated = checkpoints.read_card("python-docs")["results"]["bits_per_byte"]
    assert abs(results.docs_results(GPT.from_checkpoint("python-docs"))["bits_per_byte"] - stated) < 0.1


@pytest.mark.parametrize("name", ["arithmetic-5", "arithmetic-10", "arithmetic-20"])
def test_the_shipped_arithmetic_models_need_steps(name):
    stated, model = checkpoints.read_card(name)["results"], GPT.from_checkpoint(name)
    problems = sample_problems(24, seed=77, heldout=True, steps=[2])
    assert near(
        results.exact_match(problems, results.answer_problems(model, problems)), stated["steps_by_number"]["2"], 40
    )
    direct = results.exact_match(problems, results.answer_problems(model, problems, trigger=False))
    assert direct < stated["steps_by_number"]["2"] - 0.2


def test_rows_for_marking_are_of_the_operations_asked_for():
    assert {row.operation for row in sample_rows(60, 1, results.HELD_OUT_SEED)} <= set(OPERATIONS)
    assert sample_stories(1, results.HELD_OUT_SEED) != sample_stories(1, results.HELD_OUT_SEED + 1)
