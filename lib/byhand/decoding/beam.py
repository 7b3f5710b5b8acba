"""Beam search: keep the few best beginnings, and finish the best of them.

Holds the search twice: over tuples, as one would write it down, and for models, in batches of rows and beams
with tensors. Leaves out sampling beams and groups of beams that must differ. Built in chapter 8.

Both follow the same rules, those of transformers. A hypothesis is finished when it ends in `eos` or cannot grow;
it is then never extended, and competes by log-probability / length ** alpha, where its length counts the new
tokens, `eos` included (Wu et al. 2016, section 7, use ((5 + length) / 6) ** alpha instead). Of each step's
candidates only the best `n_beams` may finish, and the best `n_beams` that go on do. The best `n_beams` finished
ones are kept. `early_stopping` says when to end before `max_len`, once so many are finished:

- False: when the best running hypothesis, scored at its present length, is no better than the worst finished
  one. With alpha above 0 a longer one might still have won.
- "never": when no continuation can be better: as False for alpha of 0 or less, else scored at `max_len`.
- True: at once.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from byhand.decoding.generation import Step, require_logits, require_prefix
from byhand.decoding.processors import Processor, chain

EarlyStopping = bool | Literal["never"]


def beam_search(
    logp: Callable[[tuple[int, ...]], Float[Tensor, " vocab"]],
    n_beams: int,
    max_len: int,
    eos: int | None,
    alpha: float,
    early_stopping: EarlyStopping = False,
) -> tuple[tuple[int, ...], float]:
    """The best sequence found and its score, log-probability / length ** alpha, in nats.

    One beam is greedy search; enough beams for every beginning find the best of all sequences. Of equally good
    candidates the one from the better beam goes first, then the one with the lower id.

    Args:
        logp: from the tokens so far, at first none, to the log-probabilities of the next.
        max_len: the most tokens a sequence may have, `eos` included.
        eos: the token that ends a sequence; None: all have `max_len` tokens.
        alpha: 0 compares sums, and so favours short sequences; 1 compares means; more favours long ones.

    Raises:
        ValueError: when `n_beams` or `max_len` is below 1, or no sequence is possible.

    >>> table = {(): [0.6, 0.4, 0.0], (0,): [0.0, 0.4, 0.6], (1,): [0.1, 0.0, 0.9]}
    >>> logp = lambda ids: torch.tensor(table[ids]).log()
    >>> ids, score = beam_search(logp, n_beams=2, max_len=2, eos=2, alpha=1.0)
    >>> ids, round(score, 4) == round(math.log(0.6 * 0.6) / 2, 4)
    ((0, 2), True)
    """
    _require_beams(n_beams, max_len)
    running: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    finished: list[tuple[float, tuple[int, ...]]] = []
    for length in range(1, max_len + 1):
        candidates = [
            (score + value, (*ids, token)) for score, ids in running for token, value in enumerate(logp(ids).tolist())
        ]
        candidates.sort(key=lambda candidate: -candidate[0])
        running = []
        for rank, (score, ids) in enumerate(candidates):
            if score == -math.inf:
                break
            if ids[-1] != eos and length < max_len:
                running.append((score, ids))
            elif rank < n_beams:
                finished.append((score / length**alpha, ids))
        running = running[:n_beams]
        finished = sorted(finished, key=lambda hypothesis: -hypothesis[0])[:n_beams]
        if not running:
            break
        if len(finished) == n_beams:
            hope = running[0][0] / _hopeful_length(length, max_len, alpha, early_stopping) ** alpha
            if early_stopping is True or hope <= finished[-1][0]:
                break
    if not finished:
        raise ValueError("no sequence is possible: logp gave minus infinity to every token")
    score, ids = finished[0]
    return ids, score


def beam_generate(
    step: Step,
    prefix: Int[Tensor, "batch seq"],
    n_beams: int,
    max_new: int,
    eos: int | None = None,
    pad: int = 0,
    alpha: float = 1.0,
    *,
    early_stopping: EarlyStopping = False,
    attention_mask: Bool[Tensor, "batch seq"] | None = None,
    processors: Sequence[Processor] = (),
    reorder: Callable[[Int[Tensor, " rows"]], None] | None = None,
) -> tuple[Int[Tensor, "batch seq_new"], Float[Tensor, " batch"]]:
    """`beam_search` behind each row of `prefix`: the rows with their best continuation, and its score.

    All rows and beams go through the model together: first `batch` rows, then `batch` times the number of beams,
    the beams of a row side by side. The result is filled up with `pad`, and as long as its longest row.

    Args:
        step: gives the next token's logits (rows, vocab) for ids (rows, seq).
        max_new: the most tokens that a row may grow by, `eos` included.
        attention_mask: True at the prefix' real tokens, as `pad_left` gives it. Where it is given, `step` is
            called with ids and mask.
        processors: applied to the log-probabilities, which are not normalised again.
        reorder: called before `step`, from the second call on, with the row of the last call that each row of the
            next one continues: this is where a cache moves its rows.

    Raises:
        ValueError: when the prefix is empty, `n_beams` or `max_new` is below 1, a mask's row ends in padding,
            no continuation is possible, or `step` returns anything but one row of logits for each row of ids.

    >>> count_up = lambda ids: torch.nn.functional.one_hot((ids[:, -1] + 1) % 6, 6).float()
    >>> ids, scores = beam_generate(count_up, torch.tensor([[0], [3]]), n_beams=2, max_new=9, eos=5)
    >>> ids
    tensor([[0, 1, 2, 3, 4, 5],
            [3, 4, 5, 0, 0, 0]])
    """
    _require_beams(n_beams, max_new)
    require_prefix(prefix, attention_mask)
    batch, start = prefix.shape
    process = chain(processors) if processors else None
    row = torch.arange(batch, device=prefix.device).unsqueeze(-1)
    running = prefix.unsqueeze(1)  # (batch, beams, seq), one beam at first
    scores = torch.zeros(batch, 1, device=prefix.device)
    finished = prefix.new_full((batch, n_beams, start + max_new), pad)
    finished_scores = scores.new_full((batch, n_beams), -math.inf)
    lengths = prefix.new_zeros(batch, n_beams)
    done = torch.zeros(batch, dtype=torch.bool, device=prefix.device)
    for length in range(1, max_new + 1):
        beams = running.shape[1]
        ids = running.flatten(0, 1)
        inputs = [ids]
        if attention_mask is not None:
            grown_mask = torch.cat([attention_mask, attention_mask.new_ones(batch, length - 1)], dim=-1)
            inputs.append(grown_mask.repeat_interleave(beams, dim=0))
        with torch.no_grad():
            logits = require_logits(step(*inputs), len(ids))
            values, tokens = _best_tokens(logits, 2 * n_beams, ids, process)  # (batch * beams, m)
        per_beam = values.shape[-1]
        totals = (scores.unsqueeze(-1) + values.view(batch, beams, per_beam)).flatten(1)
        totals, places = (part[:, : 2 * n_beams] for part in totals.sort(dim=-1, descending=True, stable=True))
        parents = places // per_beam
        tokens = tokens.view(batch, beams * per_beam).gather(1, places).to(prefix)
        grown = torch.cat([running[row, parents], tokens.unsqueeze(-1)], dim=-1)

        ends = torch.full_like(tokens, length == max_new, dtype=torch.bool)
        if eos is not None:
            ends = ends | (tokens == eos)
        may_finish = ends & ~done.unsqueeze(-1)
        may_finish[:, n_beams:] = False
        if bool(may_finish.any()):
            finishing = (totals / length**alpha).masked_fill(~may_finish, -math.inf)
            ranked = torch.cat([finished_scores, finishing], dim=1).sort(dim=-1, descending=True, stable=True)
            finished_scores, kept = (part[:, :n_beams] for part in ranked)
            filling = prefix.new_full((*tokens.shape, max_new - length), pad)
            finished = torch.cat([finished, torch.cat([grown, filling], dim=-1)], dim=1)[row, kept]
            lengths = torch.cat([lengths, torch.full_like(tokens, length)], dim=1)[row, kept]

        alive = min(n_beams, beams * (logits.shape[-1] - (eos is not None)))
        if length == max_new or alive == 0:
            break
        going = ends.long().argsort(dim=-1, stable=True)[:, :alive]
        running, scores = grown[row, going], totals[row, going]
        hope = scores[:, 0] / _hopeful_length(length, max_new, alpha, early_stopping) ** alpha
        worst = finished_scores[:, -1]
        done = done | (hope <= worst) | ((worst > -math.inf) & (early_stopping is True))
        if bool(done.all()):
            break
        if reorder is not None:
            reorder((row * beams + parents[row, going]).flatten())
    best = finished_scores[:, 0]
    hopeless = ~(best > -math.inf)
    if bool(hopeless.any()):
        raise ValueError(
            f"row {int(hopeless.nonzero()[0])} has no continuation: its logits are NaN or all minus infinity; "
            "a processor forbids every token, or the model overflowed"
        )
    longest = int(lengths[:, 0].max()) if batch else 0
    return finished[:, 0, : start + longest], best


def _best_tokens(
    logits: Float[Tensor, "rows vocab"], count: int, ids: Int[Tensor, "rows seq"], processor: Processor | None
) -> tuple[Float[Tensor, "rows m"], Int[Tensor, "rows m"]]:
    """The largest log-probabilities of each row, and their tokens."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    count = min(count, logits.shape[-1])
    total = logits.logsumexp(dim=-1, keepdim=True)
    if processor is None:
        values, tokens = logits.topk(count, dim=-1)
        return values - total, tokens  # the few that are needed are normalised, not the whole vocabulary
    values, tokens = processor(ids, logits - total).topk(count, dim=-1)
    return values, tokens


def _hopeful_length(length: int, max_len: int, alpha: float, early_stopping: EarlyStopping) -> int:
    """The length at which a running hypothesis is scored when it is asked whether it can still win."""
    return max_len if early_stopping == "never" and alpha > 0 else length


def _require_beams(n_beams: int, max_len: int) -> None:
    if n_beams < 1 or max_len < 1:
        raise ValueError(f"need at least one beam and one new token, got {n_beams} beams and {max_len} tokens")
