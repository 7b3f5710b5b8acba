"""The table of training runs: how it is made, and that the shipped one is whole."""

from collections import defaultdict
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from byhand.corpora.scaling_runs import ScalingRun, scaling_runs
from byhand.scaling import matmul_parameters, sweep, train_flops

BLANK = ScalingRun(0, 2, 1, 1, 1.0, 0.0, 0, 0.0, 0.0, (0.0,) * 6)


def test_every_size_keeps_its_own_best_rate_for_the_longer_runs():
    def start(width, steps, lr, seed):
        return replace(BLANK, d_model=width, tokens=steps, lr=lr, seed=seed, loss=abs(lr - width / 1000) + 1)

    rows = list(sweep.sweep(start, widths=(8, 32), rates=(0.008, 0.016, 0.032), lengths=(1, 512, 9)))
    made = [(row.d_model, row.tokens, row.lr, row.seed) for row in rows]
    for width, best in ((8, 0.008), (32, 0.032)):
        tried = [(width, 1, lr, 0) for lr in (0.008, 0.016, 0.032)]
        longer = [(width, 512, best, 0), (width, 512, best, 1), (width, 9, best, 0)]
        assert [row for row in made if row[0] == width] == tried + longer


def test_right_tokens_in_a_row_never_cross_a_window_and_count_the_same_places(monkeypatch):
    monkeypatch.setattr(sweep, "SEQ", 8)
    monkeypatch.setattr(sweep, "IN_A_ROW", 3)
    ids = torch.arange(17)

    class Next(torch.nn.Module):
        def forward(self, x):  # right but for the token after 3
            return torch.nn.functional.one_hot(torch.where(x == 3, 0, x + 1), 20).float()

    # Places 0 to 5 of each of two windows can begin a row of three; 1, 2 and 3 of the first reach the error.
    assert sweep.right_in_a_row(Next(), ids) == tuple(round(n / 12, 5) for n in (11, 10, 9))


def test_a_docstring_that_shares_thirteen_words_with_the_held_out_text_is_not_read(monkeypatch):
    held = " ".join(f"word{n}" for n in range(15))
    texts = [held[:70], f"before {held} after", "something else"]
    monkeypatch.setattr(sweep, "ready_split", lambda: ("training text", held))
    monkeypatch.setattr(sweep, "docstrings", lambda: [SimpleNamespace(text=text) for text in texts])
    stream, heldout = sweep.sweep_ids()
    tokenizer = sweep.load_tokenizer()
    ends = (stream == tokenizer.token_to_id("<|endoftext|>")).nonzero().flatten().tolist()
    assert len(ends) == 3
    assert tokenizer.decode(stream[ends[1] + 1 : ends[2]].tolist()) == "something else"
    assert tokenizer.decode(heldout.tolist()) == held


def test_a_run_says_what_it_was_and_is_made_again_by_its_settings():
    stream = torch.randint(1024, (500,), generator=torch.Generator().manual_seed(0))
    first, again = (sweep.run(8, 2, 0.01, 3, stream, stream[:200]) for _ in range(2))
    assert first == again
    assert (first.d_model, first.lr, first.seed, first.tokens) == (8, 0.01, 3, 2 * 16 * 64)
    assert 6 < first.loss < 8


def test_the_shipped_table_is_that_of_its_recipe():
    table = scaling_runs()
    assert tuple(sorted({run.d_model for run in table})) == sweep.WIDTHS
    cells = defaultdict(list)
    for run in table:
        config = sweep.config_of(run.d_model)
        assert run.parameters == matmul_parameters(config)
        assert run.flops == train_flops(config, run.tokens, exact=True)
        assert run.accuracy == run.right_in_a_row[0]
        assert list(run.right_in_a_row) == sorted(run.right_in_a_row, reverse=True)
        cells[run.d_model, run.tokens // (sweep.BATCH * sweep.SEQ)].append(run)
    for width in sweep.WIDTHS:
        tried = cells[width, sweep.LENGTHS[0]]
        assert tuple(run.lr for run in tried) == sweep.RATES
        best = min(tried, key=lambda run: run.loss)
        losses = [best.loss]
        for steps in sweep.LENGTHS[1:]:
            runs = cells[width, steps]
            assert {run.lr for run in runs} == {best.lr}
            assert tuple(run.seed for run in runs) == (sweep.SEEDS if steps == sweep.REPEATED else sweep.SEEDS[:1])
            losses.append(runs[0].loss)
        assert losses == sorted(losses, reverse=True), f"width {width}: more tokens, lower loss"
    longest = [cells[width, sweep.LENGTHS[-1]][0].loss for width in sweep.WIDTHS]
    assert longest == sorted(longest, reverse=True)


@pytest.mark.parametrize("width", sweep.WIDTHS)
def test_every_width_divides_into_its_heads(width):
    assert sweep.config_of(width).d_model % sweep.config_of(width).n_heads == 0
