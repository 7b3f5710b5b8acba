"""From documents to batches: nothing is lost, nothing runs together, and each step draws the same again."""

import pytest
import torch
from byhand.packing import IGNORED, Rows, Windows, chunk, document_mask, get_batch, pack


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_chunks_are_one_stream_with_the_end_between_documents():
    docs = [[1, 2, 3, 4], [5], [6, 7, 8, 9, 10]]
    stream = [1, 2, 3, 4, 0, 5, 0, 6, 7, 8, 9, 10]
    for seq in range(1, 14):
        rows = chunk(docs, 0, seq)
        assert rows.shape == ((len(stream) - 1) // seq, seq + 1)
        assert rows.dtype == torch.long
        for number, row in enumerate(rows.tolist()):
            assert row == stream[number * seq : number * seq + seq + 1]


def test_every_token_but_the_first_is_a_target_once():
    rows = chunk([list(range(1, 8)), list(range(8, 15))], 0, 2)
    assert rows[:, 1:].flatten().tolist() == [2, 3, 4, 5, 6, 7, 0, 8, 9, 10, 11, 12, 13, 14]


def test_no_documents_and_empty_ones_give_what_there_is():
    assert chunk([], 0, 3).shape == (0, 4)
    assert chunk([[], [1], []], 9, 1).tolist() == [[9, 1], [1, 9]]
    with pytest.raises(ValueError, match="seq must be at least 1, got 0"):
        chunk([[1, 2]], 0, 0)


def test_targets_are_the_inputs_moved_by_one():
    ids = torch.arange(23) * 3
    x, y = get_batch(ids, 50, 7, generator())
    assert x.shape == y.shape == (50, 7)
    assert torch.equal(x[:, 1:], y[:, :-1])
    assert torch.equal(y, x + 3)


def test_every_start_is_as_likely_the_last_one_included():
    draws, starts = 40_000, 8
    x, _ = get_batch(torch.arange(12), draws, 4, generator(3))
    counts = torch.bincount(x[:, 0], minlength=starts)
    assert len(counts) == starts
    chi_square = ((counts - draws / starts).square() / (draws / starts)).sum().item()
    assert chi_square < 40.5  # p = 1e-6 with 7 degrees of freedom


def test_a_stream_that_just_fits_has_one_window():
    x, y = get_batch(torch.tensor([4, 5, 6]), 3, 2, generator())
    assert x.tolist() == [[4, 5]] * 3
    assert y.tolist() == [[5, 6]] * 3


def test_the_generator_decides_and_the_global_one_stays():
    before = torch.get_rng_state()
    ids = torch.arange(1000)
    first, again, other = (get_batch(ids, 5, 8, generator(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())
    rng = generator(1)
    assert not torch.equal(get_batch(ids, 5, 8, rng)[0], get_batch(ids, 5, 8, rng)[0])


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((torch.arange(4), 1, 4), "needs 5 tokens, the stream has 4: take a shorter seq or more text"),
        ((torch.arange(9), 0, 4), "must be at least 1, got batch=0, seq=4"),
        ((torch.arange(9), 2, 0), "must be at least 1, got batch=2, seq=0"),
    ],
)
def test_impossible_windows_are_named(args, words):
    with pytest.raises(ValueError, match=words):
        get_batch(*args)


def test_packing_loses_no_document_and_predicts_nothing_across_a_border():
    docs = [[number * 100 + place for place in range(length)] for number, length in enumerate([3, 9, 1, 4, 4, 2, 6, 5])]
    packed = pack(docs, 10)
    assert len(packed.input_ids) == 4  # 34 tokens in rows of 10
    found = []
    for ids, targets, numbers, positions in zip(
        packed.input_ids, packed.targets, packed.documents, packed.positions, strict=True
    ):
        for number in range(int(numbers.max()) + 1):
            own = numbers == number
            found.append(ids[own].tolist())
            assert targets[own].tolist() == [*ids[own].tolist()[1:], IGNORED]
            assert positions[own].tolist() == list(range(int(own.sum())))
        padding = numbers == -1
        assert (targets[padding] == IGNORED).all()
    assert sorted(found) == sorted(docs)


@pytest.mark.parametrize(("docs", "words"), [([[1], []], "document 1 has 0"), ([[1, 2, 3, 4]], "document 0 has 4")])
def test_documents_that_do_not_fit_are_named(docs, words):
    with pytest.raises(ValueError, match=f"{words} tokens, but a row holds 1 to 3: leave it out, or cut it"):
        pack(docs, 3)


def test_nothing_to_pack_gives_no_rows():
    assert pack([], 5).input_ids.shape == (0, 5)


def test_a_document_mask_keeps_documents_apart():
    packed = pack([[1, 2], [3, 4, 5]], 6)
    mask = document_mask(packed.documents)[0]
    assert mask.tolist() == [[first == second for second in [0, 0, 0, 1, 1, -1]] for first in [0, 0, 0, 1, 1, -1]]


def test_an_epoch_of_rows_leaves_none_out_and_the_next_is_shuffled_anew():
    rows, labels = torch.arange(10).unsqueeze(1) * torch.ones(1, 3, dtype=torch.long), torch.arange(10)
    source = Rows(rows, labels, seed=4)
    drawn = [source(step, 4, generator()) for step in range(5)]  # two epochs, one batch across the border
    order = torch.cat([batch[1] for batch in drawn]).tolist()
    assert sorted(order[:10]) == sorted(order[10:]) == list(range(10))
    assert order[:10] != order[10:]
    assert all(torch.equal(batch[0][:, 0], batch[1]) for batch in drawn)
    again = Rows(rows, labels, seed=4)(3, 4, generator(99))
    assert torch.equal(again[1], drawn[3][1])
    assert Rows(rows, labels, seed=5)(0, 10, generator())[1].tolist() != order[:10]


@pytest.mark.parametrize("tensors", [(torch.zeros(2, 3), torch.zeros(3)), (torch.zeros(0, 2),), ()])
def test_rows_need_tensors_of_one_length(tensors):
    with pytest.raises(ValueError, match="need tensors of one length above 0, got lengths"):
        Rows(*tensors)


def test_windows_draw_by_the_steps_generator():
    source = Windows(torch.arange(100), 5)
    assert torch.equal(source(0, 3, generator(8))[0], get_batch(torch.arange(100), 3, 5, generator(8))[0])
