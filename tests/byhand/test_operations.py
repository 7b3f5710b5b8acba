"""Hidden operations: the best possible prediction, against counting every row; and the parity of bits."""

from fractions import Fraction
from itertools import product

import pytest
from byhand.corpora import operations
from byhand.corpora.operations import (
    OPERANDS,
    OPERATIONS,
    UNSEEN,
    Row,
    bayes_accuracy,
    bayes_probs,
    sample_rows,
    vocabulary,
)
from byhand.corpora.parity import VOCABULARY, Bits, sample_bits


def test_twelve_different_operations_stay_within_the_vocabulary():
    tables = {
        name: tuple(op(a, b) for a, b in product(range(OPERANDS), repeat=2))
        for name, op in (OPERATIONS | UNSEEN).items()
    }
    assert len(OPERATIONS) == 12
    assert len(set(tables.values())) == len(tables) == 12 + len(UNSEEN)
    for table in tables.values():
        assert 0 <= min(table) <= max(table) < 2 * OPERANDS - 1


def test_rows_show_their_operation_and_are_the_same_for_the_same_seed():
    rows = sample_rows(300, shots=3, seed=4)
    assert rows == sample_rows(300, shots=3, seed=4)
    assert rows != sample_rows(300, shots=3, seed=5)
    assert {row.operation for row in rows} == set(OPERATIONS)
    for row in rows:
        assert len(row.demonstrations) == 4
        assert all(OPERATIONS[row.operation](a, b) == result for a, b, result in row.demonstrations)
    assert {row.operation for row in sample_rows(50, shots=0, seed=1, operations=UNSEEN)} == set(UNSEEN)


def test_text_survives_the_vocabulary_and_the_prompt_ends_before_the_answer():
    for row in sample_rows(50, shots=2, seed=2):
        ids = vocabulary().encode(row.text)
        assert vocabulary().decode(ids) == row.text
        assert len(ids) == 6 * 3 - 1
        assert f"{row.prompt} {row.demonstrations[-1][2]}" == row.text
        assert row.prompt.endswith("=")


def count_accuracy(shots, rows):
    """How often the most likely result is right, over given rows."""
    hits = Fraction(0)
    for row in rows:
        *shown, (a, b, result) = row.demonstrations
        probs = bayes_probs(shown, a, b)
        ties = [guess for guess, p in probs.items() if p == max(probs.values())]
        hits += Fraction(result in ties, len(ties))
    return float(hits / len(rows))


def test_the_best_accuracy_without_demonstrations_is_counted_over_every_pair():
    every = [
        Row(name, ((a, b, op(a, b)),)) for name, op in OPERATIONS.items() for a, b in product(range(OPERANDS), repeat=2)
    ]
    assert count_accuracy(0, every) == pytest.approx(float(bayes_accuracy(0)), abs=1e-12)


def test_the_best_accuracy_after_one_demonstration_equals_counting_all_of_them(monkeypatch):
    few = {name: OPERATIONS[name] for name in ("left", "larger", "sum", "sum mod 20")}
    monkeypatch.setattr(operations, "OPERATIONS", few)
    monkeypatch.setattr(operations, "OPERANDS", 4)
    operations._agreement.cache_clear()
    operations._hit_rate.cache_clear()
    pairs = list(product(range(4), repeat=2))
    every = [
        Row(name, ((a, b, op(a, b)), (c, d, op(c, d)))) for name, op in few.items() for a, b in pairs for c, d in pairs
    ]
    assert count_accuracy(1, every) == pytest.approx(float(bayes_accuracy(1)), abs=1e-12)
    operations._agreement.cache_clear()
    operations._hit_rate.cache_clear()


def test_the_best_accuracy_grows_with_shots_and_agrees_with_a_sample():
    curve = [float(bayes_accuracy(shots)) for shots in range(5)]
    assert curve == sorted(curve)
    assert curve[0] < 0.3 < 0.7 < curve[1] < curve[4] < 1
    assert abs(count_accuracy(3, sample_rows(2_000, shots=3, seed=9)) - curve[3]) < 0.02


def test_probabilities_sum_to_one_and_follow_the_demonstrations():
    assert sum(bayes_probs([], 7, 12).values()) == 1
    assert bayes_probs([(19, 18, 37)], 3, 4) == {7: Fraction(1)}
    with pytest.raises(ValueError, match="none of the operations agrees"):
        bayes_probs([(1, 1, 38)], 2, 2)
    with pytest.raises(ValueError, match="shots must not be negative, got -1"):
        sample_rows(1, shots=-1, seed=0)


def test_written_out_parity_is_the_running_parity_and_text_survives():
    for bits in sample_bits(50, seed=3):
        assert bits.parity == bits.question.count("1") % 2
        running, answer = bits.written_out.split(" ", 1)
        assert [int(bit) for bit in running] == [bits.question[: i + 1].count("1") % 2 for i in range(12)]
        assert answer == bits.direct == f"answer {running[-1]}"
        ids = VOCABULARY.encode(f"{bits.question} {bits.written_out}")
        assert VOCABULARY.decode(ids) == f"{bits.question} {bits.written_out}"
    assert sample_bits(4, seed=1) == sample_bits(4, seed=1) != sample_bits(4, seed=2)
    assert {bits.parity for bits in sample_bits(40, seed=1)} == {0, 1}
    assert Bits((1,)).written_out == "1 answer 1"
    with pytest.raises(ValueError, match="length must be at least 1, got 0"):
        sample_bits(1, seed=0, length=0)
