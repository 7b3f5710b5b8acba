"""Figures of a model that writes: what filters leave of a distribution, which beams go on, which guesses are kept.

The model is whatever the page has; these functions ask it, note what happens step by step, and lay it out. Leaves out
everything that is asked for in chapter 8 itself: a page compares. Belongs to no chapter.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from byhand.widgets.widget import Widget, table, visible

if TYPE_CHECKING:
    import torch

MOST = 4096
"""Tokens of a vocabulary that a page can carry."""

FATES = {(False, True): "goes on", (False, False): "cut", (True, True): "ends", (True, False): "lost"}
"""What becomes of a candidate, by whether it ends and whether there is room for it."""


def sampling(names: Sequence[str], logits: Float[np.ndarray, " vocab"], shown: int = 12) -> Widget:
    """What temperature, top-k and top-p, in this order, leave of one next-token distribution.

    Args:
        names: of all tokens, by id.
        logits: of the next token; minus infinity where it is impossible.
        shown: how many of the likeliest tokens have a row; all of them count.

    Raises:
        ValueError: when names and logits differ in number, nothing is possible, or a page cannot hold them.

    >>> sampling(["a", "b", "c"], np.log([0.25, 0.5, 0.25]))
    The next of 3 tokens: b 50.0 %, a 25.0 %, c 25.0 %.
    """
    if len(names) != len(logits):
        raise ValueError(f"{len(names)} names for {len(logits)} logits: pass the name of every token, by id")
    order = np.argsort(-logits, kind="stable")
    order = order[np.isfinite(logits[order])]
    if not 0 < len(order) <= MOST:
        raise ValueError(f"{len(order)} tokens are possible: a figure holds 1 to {MOST}; mask the others with -inf")
    kept = np.round((logits[order] - logits[order[0]]).astype(np.float64), 3)
    shown = min(shown, len(order))
    labels = [visible(names[at]) for at in order[:shown]]
    columns = [np.exp(kept / t) / np.exp(kept / t).sum() for t in (1.0, 0.5, 2.0)]
    rows = [[label, *(f"{100 * column[at]:.1f} %" for column in columns)] for at, label in enumerate(labels)]
    return Widget(
        "sampling",
        {"names": labels, "logits": kept.tolist()},
        table(f"The likeliest of {len(order)} next tokens", ["Token", "Temperature 1", "0.5", "2"], rows),
        f"The next of {len(order)} tokens: {', '.join(f'{row[0]} {row[1]}' for row in rows)}.",
    )


def beam_tree(
    logp: "Callable[[tuple[int, ...]], torch.Tensor]",
    names: Sequence[str],
    max_len: int,
    eos: int | None = None,
    alpha: float = 0.0,
    n_beams: Sequence[int] = (1, 2, 3),
) -> Widget:
    """Beam search as a tree that grows: which beginnings go on, end, or are cut, for several numbers of beams.

    Ties, ends and scores are those of chapter 8: score is the sum of log-probabilities / length ** alpha.

    Args:
        logp: from the tokens so far, at first none, to the log-probabilities of the next.
        names: of all tokens, by id.

    Raises:
        ValueError: when there is no beam or no step.

    >>> import torch
    >>> rows = {(): [0.6, 0.4], (0,): [0.5, 0.5], (1,): [0.9, 0.1]}
    >>> beam_tree(lambda ids: torch.tensor(rows[ids]).log(), ["a", "b"], max_len=2, n_beams=[1, 2])
    1 beam finds: a a, probability 0.3; 2 beams find: b a, probability 0.36.
    """
    if not n_beams or min(n_beams) < 1 or max_len < 1:
        raise ValueError(f"a search needs beams and steps, got n_beams={list(n_beams)} and max_len={max_len}")
    labels = [visible(name) for name in names]
    runs = [_search(logp, labels, beams, max_len, eos, alpha) for beams in n_beams]
    rows, spoken = [], []
    for run in runs:
        path, score, chance = run["best"], run["score"], math.exp(run["nodes"][run["best"][-1]]["sum"])
        text = " ".join(run["nodes"][at]["token"] for at in path)
        rows.append([run["beams"], text, f"{chance:.2g}", f"{score:.2f}"])
        spoken.append(
            f"{run['beams']} beam{'s find' if run['beams'] > 1 else ' finds'}: {text}, probability {chance:.2g}"
        )
    return Widget(
        "beam-tree",
        {"runs": runs, "steps": max_len},
        table("What each number of beams finds", ["Beams", "Text", "Probability", "Score"], rows),
        f"{'; '.join(spoken)}.",
    )


def _search(logp: Any, labels: list[str], beams: int, max_len: int, eos: int | None, alpha: float) -> dict[str, Any]:
    """The nodes of one search: all that were kept or ended, and of each step the best few that were cut."""
    nodes: list[dict[str, Any]] = []
    running: list[tuple[float, tuple[int, ...], int]] = [(0.0, (), -1)]
    finished: list[tuple[float, int]] = []
    for step in range(1, max_len + 1):
        found = [
            (total + value, (*ids, token), parent)
            for total, ids, parent in running
            for token, value in enumerate(logp(ids).tolist())
            if value > -math.inf
        ]
        found.sort(key=lambda candidate: -candidate[0])
        before = {parent: total for total, _, parent in running}
        running, cut = [], 0
        for rank, (total, ids, parent) in enumerate(found):
            ends = ids[-1] == eos or step == max_len
            taken = rank < beams if ends else len(running) < beams
            cut += not taken
            if cut > beams and not taken:
                continue
            fate = FATES[ends, taken]
            share = round(100 * math.exp(total - before[parent]), 1)
            node = {"step": step, "parent": parent, "token": labels[ids[-1]], "share": share, "sum": round(total, 4)}
            nodes.append({**node, "fate": fate})
            if fate == "ends":
                finished.append((total / step**alpha, len(nodes) - 1))
            elif fate == "goes on":
                running.append((total, ids, len(nodes) - 1))
    score, last = max(finished, key=lambda each: each[0])
    path = [last]
    while (parent := nodes[path[0]]["parent"]) >= 0:
        path.insert(0, parent)
    return {"beams": beams, "nodes": nodes, "best": path, "score": round(score, 4)}


def speculative_steps(
    target: "Callable[[torch.Tensor], torch.Tensor]",
    draft: "Callable[[torch.Tensor], torch.Tensor]",
    prefix: "torch.Tensor",
    names: Sequence[str],
    gamma: int,
    max_new: int,
    rng: "torch.Generator",
) -> Widget:
    """Speculative decoding, decision by decision: the guess, both probabilities, the coin, and what is written.

    Draws as `byhand.decoding` does: a round's guesses, then a coin for each, then the replacement or the bonus.

    Args:
        target: from ids to probabilities, `(seq)` to `(seq, vocab)`; row t is that of the token behind `ids[: t + 1]`.
        draft: the same of the small model.
        prefix: ids, `(seq,)`, one at least.
        names: of all tokens, by id.
        gamma: guesses in a round.

    Raises:
        ValueError: when there is no prefix, no guess or no token to write.

    >>> import torch
    >>> sure = lambda ids: torch.eye(3)[(ids + 1) % 3]
    >>> rng = torch.Generator().manual_seed(0)
    >>> speculative_steps(sure, sure, torch.tensor([0]), ["a", "b", "c"], 2, 3, rng)
    Behind a: guess b kept, guess c kept, bonus a; 1 call of the target for 3 tokens.
    """
    import torch

    if not len(prefix) or gamma < 1 or max_new < 1:
        raise ValueError(f"needs a prefix, a guess and a token to write: {len(prefix)=}, {gamma=}, {max_new=}")
    events: list[dict[str, Any]] = []
    ids, end, calls = prefix, len(prefix) + max_new, 0
    while len(ids) < end:
        start, sources = len(ids), []
        for _ in range(min(gamma, end - start - 1)):
            sources.append(draft(ids)[-1])
            ids = torch.cat([ids, torch.multinomial(sources[-1], 1, generator=rng)])
        guesses, rows, calls = ids[start:].tolist(), target(ids)[start - 1 :], calls + 1
        guessed = [visible(names[guess]) for guess in guesses]
        for place, (q, guess) in enumerate(zip(sources, guesses, strict=True)):
            p, coin = rows[place], float(torch.rand((), generator=rng, dtype=torch.float64))
            # four digits that count, not four places: a rare guess has a q above 0
            pair = {"p": float(f"{p[guess]:.4g}"), "q": float(f"{q[guess]:.4g}"), "coin": round(coin, 4)}
            event = {"round": calls, "guesses": guessed, "place": place, "guess": guessed[place], **pair}
            if coin * float(q[guess]) < float(p[guess]):
                events.append({**event, "kind": "kept", "token": guessed[place]})
                continue
            rest = (p - q).clamp(min=0)
            rest = rest if bool(rest.any()) else p  # where they differ by rounding alone, p is as good
            ids = torch.cat([ids[: start + place], torch.multinomial(rest, 1, generator=rng)])
            likely = torch.topk(rest / rest.sum(), min(4, int((rest > 0).sum())))
            shares = [
                [visible(names[token]), round(100 * share, 1)]
                for share, token in zip(likely.values.tolist(), likely.indices.tolist(), strict=True)
            ]
            events.append({**event, "kind": "replaced", "token": visible(names[int(ids[-1])]), "rest": shares})
            break
        else:
            ids = torch.cat([ids, torch.multinomial(rows[-1], 1, generator=rng)])
            name = visible(names[int(ids[-1])])
            events.append({"round": calls, "guesses": guessed, "place": len(guesses), "kind": "bonus", "token": name})
    begin = [visible(names[each]) for each in prefix.tolist()]
    lines = [
        [at, each["round"], each.get("guess", ""), *(_number(each.get(key)) for key in ("q", "p", "coin")), _fate(each)]
        for at, each in enumerate(events, start=1)
    ]
    spoken = ", ".join(f"{'guess ' + each['guess'] + ' ' if 'guess' in each else ''}{_fate(each)}" for each in events)
    return Widget(
        "speculative-steps",
        {"prefix": begin, "events": events},
        table(f"Behind “{' '.join(begin)}”", ["Step", "Round", "Guess", "q", "p", "Coin", "What happens"], lines),
        f"Behind {' '.join(begin)}: {spoken}; {calls} call{'s' * (calls > 1)} of the target for {max_new} tokens.",
    )


def _number(value: float | None) -> str:
    return "" if value is None else "< 0.001" if 0 < value < 0.0005 else f"{value:.3f}"


def _fate(event: dict[str, Any]) -> str:
    return (
        "kept"
        if event["kind"] == "kept"
        else f"{event['kind']}{' by' * (event['kind'] == 'replaced')} {event['token']}"
    )
