"""Beam search: greedy with one beam, exact with enough, finished hypotheses kept, batches equal to single rows."""

import itertools
import math

import pytest
import torch
from byhand.decoding import Bias, beam_generate, beam_search, generate

INF = math.inf
EOS = 0
STATES = 97
TABLE = 2 * torch.randn(STATES, 5, generator=torch.Generator().manual_seed(8), dtype=torch.float64)


def step(ids):
    """Logits that depend on every token and its place."""
    places = torch.arange(1, ids.shape[1] + 1)
    return TABLE[(ids * places * places).sum(-1) % STATES]


def logp_after(prompt):
    return lambda ids: step(torch.tensor([[*prompt, *ids]]))[0].log_softmax(-1)


def score_of(logp, ids, alpha):
    return sum(logp(ids[:place])[token].item() for place, token in enumerate(ids)) / len(ids) ** alpha


def every_sequence(vocab, max_len, eos):
    for length in range(1, max_len + 1):
        for ids in itertools.product(range(vocab), repeat=length):
            if eos not in ids[:-1] and (ids[-1] == eos or length == max_len):
                yield ids


def table(probs):
    """Log-probabilities from a table; asking for anything that is not in it is an error."""
    return lambda ids: torch.tensor(probs[ids]).log()


GARDEN = {
    (): [0.0, 0.6, 0.4],
    (1,): [0.4, 0.3, 0.3],
    (2,): [0.9, 0.05, 0.05],
}


def test_two_beams_leave_the_garden_path_that_greedy_search_takes():
    for n_beams, ids, prob in ((1, (1, 0), 0.6 * 0.4), (2, (2, 0), 0.4 * 0.9)):
        found, score = beam_search(table(GARDEN), n_beams, 2, EOS, alpha=0.0)
        assert found == ids
        assert math.isclose(score, math.log(prob), rel_tol=1e-6)


def test_every_token_may_begin_a_beam_where_none_ends_the_text():
    probs = {(): [0.6, 0.4], (0,): [0.5, 0.5], (1,): [0.1, 0.9]}

    def step_of_table(ids):
        return torch.tensor([probs[tuple(row[1:])] for row in ids.tolist()]).log()

    ids, _ = beam_generate(step_of_table, torch.tensor([[0]]), n_beams=2, max_new=2, eos=None)
    assert ids.tolist() == [[0, 1, 1]]
    assert beam_search(table(probs), 2, 2, None, 1.0)[0] == (1, 1)


def test_one_beam_is_greedy_search():
    for prompt in ([1], [2, 4], [3, 3, 1], [4]):
        for eos in (EOS, 3, None):
            greedy = generate(step, torch.tensor([prompt]), 7, eos=eos)[0, len(prompt) :].tolist()
            for alpha in (0.0, 1.0):
                assert list(beam_search(logp_after(prompt), 1, 7, eos, alpha)[0]) == greedy


@pytest.mark.parametrize("alpha", [-1.0, 0.0, 0.6, 1.0, 3.0])
@pytest.mark.parametrize("early_stopping", [False, "never"])
def test_enough_beams_find_the_best_of_all_sequences(alpha, early_stopping):
    lengths = set()
    for prompt in ([1], [2, 4], [3, 3, 1], [2]):
        logp = logp_after(prompt)
        for eos in (EOS, None):
            best = max(every_sequence(5, 3, eos), key=lambda ids: score_of(logp, ids, alpha))
            found, score = beam_search(logp, 5**3, 3, eos, alpha, early_stopping)
            assert found == best
            assert math.isclose(score, score_of(logp, best, alpha), rel_tol=1e-9)
            lengths.add(len(found))
    assert 3 in lengths


def test_more_beams_never_find_a_worse_sequence_in_a_search_that_does_not_stop_early():
    for prompt in ([1], [2, 4], [3, 3, 1]):
        scores = [beam_search(logp_after(prompt), n, 4, EOS, 1.0, "never")[1] for n in (1, 30, 625)]
        assert scores[0] <= scores[2] + 1e-12
        assert scores[1] <= scores[2] + 1e-12


def test_a_finished_hypothesis_is_kept_though_longer_ones_follow_and_is_never_extended():
    asked = []

    def logp(ids):
        asked.append(ids)
        return torch.tensor([0.3, 0.4, 0.3]).log()

    assert beam_search(logp, 3, 4, EOS, alpha=0.0)[0] == (EOS,)
    assert asked
    assert all(EOS not in ids for ids in asked)


def test_the_length_penalty_flips_the_winner():
    probs = {(): [0.4, 0.6, 0.0], (1,): [0.3, 0.7, 0.0], (1, 1): [0.6, 0.4, 0.0]}
    assert beam_search(table(probs), 4, 3, EOS, alpha=0.0)[0] == (0,)
    assert beam_search(table(probs), 4, 3, EOS, alpha=1.0)[0] == (1, 1, 0)
    assert beam_search(table(probs), 4, 3, EOS, alpha=-2.0)[0] == (0,)


def test_the_score_counts_eos_as_a_token():
    for alpha in (0.0, 0.5, 1.0, 2.0):
        ids, score = beam_search(table({(): [0.0, 1.0], (1,): [0.25, 0.0]}), 1, 5, EOS, alpha)
        assert ids == (1, 0)
        assert math.isclose(score, math.log(0.25) / 2**alpha, rel_tol=1e-6)


@pytest.mark.parametrize(
    ("goes_on", "winners"),
    [
        # (1, 0) finishes second. Whether (1, 1) is better at the length it has decides between True and False.
        (0.50, {True: (0,), False: (1,) * 6, "never": (1,) * 6}),
        (0.45, {True: (0,), False: (0,), "never": (1,) * 6}),
    ],
)
def test_the_three_rules_of_early_stopping_differ_where_a_longer_text_gets_better(goes_on, winners):
    def probs(ids):
        if ids == ():
            return [0.5, 0.3, 0.2]
        if ids == (1,):
            return [0.95 - goes_on, goes_on, 0.05]
        return [0.0, 1.0, 0.0] if set(ids) == {1} else [0.2, 0.4, 0.4]

    def step_of_table(ids):
        return torch.tensor([probs(tuple(row[1:])) for row in ids.tolist()]).log()

    for early_stopping, winner in winners.items():
        found, score = beam_search(lambda ids: torch.tensor(probs(ids)).log(), 2, 6, EOS, 1.0, early_stopping)
        assert found == winner
        ids, scores = beam_generate(
            step_of_table, torch.tensor([[2]]), 2, 6, EOS, 2, 1.0, early_stopping=early_stopping
        )
        assert ids.tolist() == [[2, *winner]]
        assert math.isclose(scores.item(), score, rel_tol=1e-6)
    _, score = beam_search(lambda ids: torch.tensor(probs(ids)).log(), 2, 6, EOS, 0.0, "never")
    assert math.isclose(score, math.log(0.5), rel_tol=1e-6)  # with alpha 0 no longer text can win, and none did


@pytest.mark.parametrize(("early_stopping", "winner"), [(True, (0,)), (False, (1, 1, 0)), ("never", (1, 1, 0))])
def test_where_length_is_punished_a_running_text_is_not_judged_by_the_longest_it_could_be(early_stopping, winner):
    probs = {(): [0.05, 0.94, 0.01], (1,): [0.15, 0.84, 0.01], (1, 1): [1.0, 0.0, 0.0]}
    found, _ = beam_search(
        lambda ids: torch.tensor(probs.get(ids, [0.2, 0.4, 0.4])).log(), 2, 20, EOS, -1.0, early_stopping
    )
    assert found == winner


@pytest.mark.parametrize("alpha", [-0.5, 0.0, 1.0, 2.0])
@pytest.mark.parametrize("early_stopping", [False, True, "never"])
def test_a_batch_of_beams_is_the_search_for_each_row_alone(alpha, early_stopping):
    prefix = torch.tensor([[1, 2, 3, 3], [2, 4, 1, 4], [4, 1, 1, 2]]).T
    before = prefix.clone()
    lengths = set()
    for n_beams in (1, 2, 3, 5, 40):
        for eos, max_new in ((EOS, 6), (3, 5), (None, 3), (EOS, 1)):
            ids, scores = beam_generate(step, prefix, n_beams, max_new, eos, -1, alpha, early_stopping=early_stopping)
            expected = [
                beam_search(logp_after(p), n_beams, max_new, eos, alpha, early_stopping) for p in prefix.tolist()
            ]
            longest = max(len(found) for found, _ in expected)
            for row, start, (found, _) in zip(ids.tolist(), prefix.tolist(), expected, strict=True):
                assert row == [*start, *found] + [-1] * (longest - len(found))
                lengths.add(len(found))
            torch.testing.assert_close(scores, torch.tensor([score for _, score in expected], dtype=scores.dtype))
    assert len(lengths) > 2
    assert torch.equal(prefix, before)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_the_ids_keep_their_dtype_and_the_scores_at_least_single_precision(dtype):
    for scores_dtype, precision in ((torch.float64, torch.float64), (torch.bfloat16, torch.float32)):
        ids, scores = beam_generate(
            lambda ids: step(ids).to(scores_dtype),  # noqa: B023
            torch.tensor([[1], [2]], dtype=dtype),
            3,
            4,
            EOS,
        )
        assert ids.dtype == dtype
        assert scores.dtype == precision


def test_reorder_names_the_row_that_each_row_continues():
    """A step that keeps its own rows, as a cache does, and sees the newest token only."""
    kept = torch.empty(0)
    sizes = []

    def reorder(rows):
        nonlocal kept
        kept = kept[rows]

    def cached(ids):
        nonlocal kept
        kept = ids if len(sizes) == 0 else torch.cat([kept, ids[:, -1:]], dim=1)
        sizes.append(len(ids))
        assert torch.equal(kept, ids)
        return step(kept)

    prefix = torch.tensor([[1, 2], [3, 4], [2, 2]])
    plain, _ = beam_generate(step, prefix, 4, 7, EOS)
    ids, _ = beam_generate(cached, prefix, 4, 7, EOS, reorder=reorder)
    assert torch.equal(ids, plain)
    assert sizes[:3] == [3, 12, 12]


def test_processors_see_the_beam_they_change():
    prefix = torch.tensor([[1], [2]])
    ids, _ = beam_generate(step, prefix, 3, 6, EOS, processors=[Bias({EOS: -INF})])
    assert ids.shape == (2, 7)
    assert (ids != EOS).all()

    def end_after_a_two(ids, logits):
        allowed = torch.where((ids[:, -1:] == 2), torch.arange(5) == EOS, torch.arange(5) != EOS)
        return logits.masked_fill(~allowed, -INF)

    ids, _ = beam_generate(step, prefix[:1], 4, 6, EOS, -1, alpha=0.0, processors=[end_after_a_two])
    assert ids[0].tolist().index(EOS) == ids[0].tolist().index(2) + 1


def test_tokens_without_probability_are_never_written_however_many_beams_there_are():
    only = {(): [0.0, 0.3, 0.7], (1,): [0.0, 1.0, 0.0], (2,): [0.0, 1.0, 0.0]}
    assert beam_search(table(only), 50, 2, EOS, 1.0)[0] == (2, 1)
    narrow = torch.tensor([-INF, 1.0, -INF])
    ids, scores = beam_generate(lambda ids: narrow.expand(len(ids), -1), torch.tensor([[1], [2]]), 5, 3, EOS)
    assert ids.tolist() == [[1, 1, 1, 1], [2, 1, 1, 1]]
    assert scores.tolist() == [0.0, 0.0]


def test_a_vocabulary_of_eos_alone_ends_at_once():
    ids, _ = beam_generate(lambda ids: torch.zeros(len(ids), 1), torch.tensor([[0]]), 2, 3, EOS)
    assert ids.tolist() == [[0, 0]]
    assert beam_search(lambda ids: torch.zeros(1), 2, 3, EOS, 1.0) == ((0,), 0.0)


def test_no_rows_give_no_rows():
    ids, scores = beam_generate(step, torch.zeros(0, 3, dtype=torch.long), 2, 4, EOS)
    assert ids.shape == (0, 3)
    assert scores.shape == (0,)


def nothing(ids):
    return torch.full((len(ids), 3), -INF)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: beam_search(table(GARDEN), 0, 2, EOS, 1.0), "at least one beam and one new token, got 0 beams"),
        (lambda: beam_search(table(GARDEN), 1, 0, EOS, 1.0), "got 1 beams and 0 tokens"),
        (lambda: beam_search(lambda ids: torch.full((3,), -INF), 2, 2, EOS, 1.0), "no sequence is possible"),
        (lambda: beam_generate(step, torch.tensor([[1]]), 0, 2), "at least one beam"),
        (lambda: beam_generate(step, torch.tensor([[1]]), 1, 0), "got 1 beams and 0 tokens"),
        (lambda: beam_generate(step, torch.zeros(1, 0, dtype=torch.long), 1, 2), "begin it with one for BOS"),
        (lambda: beam_generate(nothing, torch.tensor([[1]]), 2, 2), "row 0 has no continuation"),
        (lambda: beam_generate(lambda ids: step(ids)[:, None], torch.tensor([[1]]), 2, 2), "last position only"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
