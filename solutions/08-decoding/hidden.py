"""The hidden checks of chapter 8: what a right answer must do, and what each wrong one is told.

Expected values are computed here with numpy and plain loops, by other routes than the solutions take. Rows are
unsorted, hold ties and minus infinity; models are tables drawn anew, whose exact distributions are known. What is
random is decided by chi-square tests at one in a million, with so many draws that every mistake named here is seen.
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from scipy.stats import chisquare

from grader.comparing import close
from grader.hidden import Case, HiddenCheck, Verdict, right, wrong

ALARM = 1e-6
"""The probability with which a right answer may be refused by one test."""


def shown(values: Sequence[Any], most: int = 12) -> str:
    """A list for a message, cut where it gets long."""
    text = ", ".join(f"{value:.3g}" if isinstance(value, float) else str(value) for value in values[:most])
    return f"[{text}{', ...' if len(values) > most else ''}]"


def chance(counts: np.ndarray, probs: np.ndarray) -> float:
    """The p-value of counts under a distribution; 0 where something impossible came out. Rare cells are joined."""
    total = counts.sum()
    if counts[probs <= 1e-15].any():
        return 0.0
    often = probs * total >= 5
    observed = np.append(counts[often], counts[~often].sum())
    expected = np.append(probs[often], probs[~often].sum()) * total
    kept = expected > 0
    if kept.sum() < 2:
        return 1.0
    return float(chisquare(observed[kept], expected[kept] * total / expected[kept].sum()).pvalue)


def softmax64(logits: np.ndarray) -> np.ndarray:
    """The softmax in double precision."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


# --------------------------------------------------------------------------------- 8.1 the loop


def written(
    table: np.ndarray,
    prefix: Sequence[Sequence[int]],
    max_new: int,
    eos: int | None,
    pad: int,
    max_seq: int | None,
    *,
    after_eos: bool = False,
    first_end: bool = False,
    old_end: bool = False,
    no_stop: bool = False,
    last_only: bool = False,
    whole: bool = False,
) -> tuple[list[list[int]], list[int]]:
    """The greedy rows and the lengths that the model saw, row by row; the keywords turn on a mistake."""
    rows = [list(row) for row in prefix]
    ended = [old_end and eos in row for row in rows]
    seen: list[int] = []
    for _ in range(max_new):
        if not no_stop and (all(ended) or (first_end and any(ended))):
            break
        seen.append(1 if last_only else len(rows[0]) if whole or max_seq is None else min(max_seq, len(rows[0])))
        for at, row in enumerate(rows):
            token = best_of(table, row[-seen[-1] :])
            row.append(pad if ended[at] and not after_eos else token)
            ended[at] = ended[at] or token == eos
    return rows, seen


def best_of(table: np.ndarray, ids: Sequence[int]) -> int:
    """What the table's model wants next: a number that depends on every id it sees, and on their order."""
    state = 0
    for token in ids:
        state = (3 * state + token + 1) % len(table)
    return int(table[state].argmax())


class Generate(HiddenCheck):
    """8.1: rows that end at different times, a model that depends on all it sees, and a count of its calls."""

    exercise = "generate"
    uses = ("generate",)
    criteria = {"ends of rows": 1.0, "context and calls": 0.5, "prefix and gradient": 0.5}
    forbids = dict.fromkeys(
        ("torch.hstack", ".hstack"), "writing on and wiping out later is the page's stand-in: stop when all have ended"
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Tables are drawn until rows end early, at different times, and not all of them."""
        for eos, pad in ((2, 0), (0, 0), (4, 7)):
            yield Case("ends of rows", self._draw(rng, {"eos": eos, "pad": pad}, lambda ends: len(set(ends)) > 2))
        drawn = self._draw(rng, {"eos": 6}, lambda ends: len(set(ends)) > 1)
        yield Case("ends of rows", {**drawn, "defaults": True})
        yield Case("ends of rows", self._draw(rng, {}, lambda ends: True))
        while True:
            drawn = self._draw(rng, {"eos": 3, "pad": 1}, lambda ends: len(set(ends)) > 1)
            if any(3 in row for row in drawn["prefix"]):
                break
        yield Case("ends of rows", drawn)
        for max_seq in (3, 6, 40):
            yield Case(
                "context and calls", self._draw(rng, {"eos": None, "pad": 0, "max_seq": max_seq}, lambda ends: True)
            )
        yield Case(
            "context and calls",
            self._draw(rng, {"eos": 5, "pad": 0}, lambda ends: len(set(ends)) > 1 and max(ends) < 12),
        )
        yield Case("context and calls", {**self._draw(rng, {"eos": 5, "pad": 0}, lambda ends: True), "max_new": 0})
        yield Case("prefix and gradient", self._draw(rng, {"eos": 5, "pad": 2}, lambda ends: True))

    def _draw(self, rng: np.random.Generator, settings: dict[str, Any], good: Callable[[list[int]], bool]) -> Any:
        for _ in range(10_000):
            table = rng.normal(size=(31, 9))
            prefix = rng.integers(0, 9, size=(4, 4)).tolist()
            inputs = {"table": table, "prefix": prefix, "max_new": 14, "max_seq": None, "eos": None, "pad": 0}
            inputs |= settings
            rows, _ = written(table, prefix, 14, inputs["eos"], -1, inputs["max_seq"])
            if good([row.index(-1) - 4 if -1 in row else len(row) - 4 for row in rows]):
                return inputs
        raise AssertionError("no table was good")

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The rows, what the model saw, and the state of prefix and gradient."""
        import torch

        table = torch.tensor(inputs["table"], requires_grad=True)
        prefix = torch.tensor(inputs["prefix"])
        before = prefix.clone()
        seen = []
        recorded = []

        def step(ids):  # type: ignore[no-untyped-def]
            seen.append(list(ids.shape))
            state = torch.zeros(len(ids), dtype=torch.long)
            for column in ids.T:
                state = (3 * state + column + 1) % len(table)
            return table[state]

        def pick(logits):  # type: ignore[no-untyped-def]
            recorded.append(logits.requires_grad)
            return logits.argmax(-1)

        if inputs.get("defaults"):
            out = student.generate(step, prefix, inputs["max_new"], pick, eos=inputs["eos"])
        else:
            out = student.generate(
                step, prefix, inputs["max_new"], pick, eos=inputs["eos"], pad=inputs["pad"], max_seq=inputs["max_seq"]
            )
        return {
            "out": out.tolist(),
            "seen": seen,
            "recorded": any(recorded),
            "intact": bool(prefix.shape == before.shape and (prefix == before).all()),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Prefix and gradient, then the rows against those of each misconception, then the calls."""
        inputs = case.inputs
        args = [inputs[name] for name in ("table", "prefix", "max_new", "eos", "pad", "max_seq")]
        rows, seen = written(*args)
        given = (
            f"4 rows of 4 ids, max_new={inputs['max_new']}, eos={inputs['eos']}, pad={inputs['pad']}, "
            f"max_seq={inputs['max_seq']}"
        )
        if not answer["intact"]:
            return wrong(f"the prefix was changed by the call; {given}")
        if answer["recorded"] and case.criterion == "prefix and gradient":
            return wrong(f"the model was asked while gradients were recorded: use torch.no_grad(); {given}")
        out = answer["out"]
        if out != rows:
            for flags, words in (
                ({"first_end": True}, "the batch stopped when its first row had ended"),
                ({"after_eos": True}, "a row went on behind its eos: it should have been filled with pad"),
                ({"old_end": True}, "a row whose prefix holds an eos was not continued: only new tokens end a row"),
                ({"last_only": True}, "the model was shown the last token only: it needs all that stands before"),
                ({"whole": True}, "the model saw more than max_seq tokens: show it the last max_seq"),
                ({"no_stop": True}, "the result is longer than its longest row: stop when all rows have ended"),
            ):
                if out == written(*args, **flags)[0]:
                    return wrong(f"{words}; {given}")
            if [row[:4] for row in out] != [row[:4] for row in inputs["prefix"]]:
                return wrong(f"the rows do not begin with the prefix; {given}")
            if inputs["eos"] is not None and [row.count(inputs["eos"]) for row in out] != [
                row.count(inputs["eos"]) for row in rows
            ]:
                return wrong(f"the end tokens are not all there: each row keeps its own eos; {given}")
            return wrong(f"{sum(a != b for a, b in zip(out, rows, strict=False))} of 4 rows are not right; {given}")
        lengths = [shape[1] for shape in answer["seen"]]
        if len(lengths) > len(seen):
            return wrong(f"the model was called {len(lengths)} times for {len(seen)} new places; {given}")
        if lengths != seen:
            return wrong(f"the model saw {shown(lengths)} tokens, not the last max_seq each time; {given}")
        if any(shape[0] != 4 for shape in answer["seen"]):
            return wrong(f"the model was called with {answer['seen'][0][0]} rows, not with all 4 together; {given}")
        return right()


# --------------------------------------------------------------------------- 8.2 and 8.3: filters


def hygiene(inputs: dict[str, Any], answer: Any, given: str) -> Verdict | None:
    """What holds whatever a filter keeps: input, shape, dtype. None where all is well."""
    logits, out = inputs["logits"], answer["out"]
    if not answer["intact"]:
        return wrong(f"the logits were changed by the call: fill a new tensor; {given}")
    if getattr(out, "shape", None) != logits.shape:
        return wrong(f"the shape is {getattr(out, 'shape', None)}, not {logits.shape}: keep places; {given}")
    if out.dtype != logits.dtype:
        return wrong(f"the dtype changed from {logits.dtype} to {out.dtype}; {given}")
    return None


def order_of(row: np.ndarray) -> list[int]:
    """The places of a row by falling value; of equal ones the lowest first."""
    return sorted(range(len(row)), key=lambda at: (-row[at], at))


class TopK(HiddenCheck):
    """8.2: ties across the border, several leading axes, k at and above the vocabulary."""

    exercise = "top-k"
    uses = ("top_k_filter",)
    criteria = {"values": 1.0, "ties": 0.5, "k and shapes": 0.5}
    forbids = {
        **dict.fromkeys(("np.partition", "numpy.partition"), "the threshold is the page's stand-in: find the places"),
        **dict.fromkeys(
            ("transformers.TopKLogitsWarper", "TopKLogitsWarper"), "a ready-made filter: find the places yourself"
        ),
    }

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Normal rows; rows of few values, where the k-th is tied; every axis count; rows with minus infinity."""
        for shape, k in (((3, 8), 3), ((5, 6), 1), ((2, 9), 5)):
            yield Case("values", {"logits": rng.normal(size=shape) * 3, "k": k})
        yield Case("values", {"logits": (rng.normal(size=(3, 7)) - 20).astype(np.float32), "k": 4})
        for k in (2, 3, 5):
            yield Case("ties", {"logits": rng.integers(0, 3, size=(6, 9)).astype(np.float64), "k": k})
        yield Case("ties", {"logits": np.zeros((2, 5)), "k": 2})
        yield Case("ties", {"logits": np.tile([1.0, 2.0], (2, 40)), "k": 17})
        yield Case("k and shapes", {"logits": rng.normal(size=7), "k": 2})
        yield Case("k and shapes", {"logits": rng.normal(size=(2, 3, 4)), "k": 3})
        for k in (4, 5, 100):
            yield Case("k and shapes", {"logits": rng.normal(size=(2, 4)), "k": k})
        gone = rng.normal(size=(3, 6))
        gone[:, [1, 4]] = -np.inf
        yield Case("k and shapes", {"logits": gone, "k": 5})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The filtered logits, of a view that is not contiguous; are the inputs intact?"""
        import torch

        given = torch.tensor(inputs["logits"])
        view = torch.stack([given, given], dim=-1)[..., 0]
        out = student.top_k_filter(view, inputs["k"])
        return {"out": out, "intact": bool((view == given).all())}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Hygiene, then the number that stays, then which."""
        logits, k = case.inputs["logits"], case.inputs["k"]
        given = f"top_k={k} of {logits.shape[-1]}, a row was {shown(logits.reshape(-1, logits.shape[-1])[0].tolist())}"
        bad = hygiene(case.inputs, answer, given)
        if bad is not None:
            return bad
        rows, outs = logits.reshape(-1, logits.shape[-1]), answer["out"].reshape(-1, logits.shape[-1])
        for row, out in zip(rows, outs, strict=True):
            want = np.full(len(row), -np.inf)
            want[order_of(row)[:k]] = row[order_of(row)[:k]]
            if np.array_equal(out, want):
                continue
            if np.array_equal(out, np.sort(row)[::-1]) or np.array_equal(out, np.sort(want)[::-1]):
                return wrong(f"the logits came back sorted: each must stay at its token's place; {given}")
            if np.isin(out, (0.0, -1e9, -1e4)).sum() > np.isin(row, (0.0,)).sum():
                return wrong(f"what is not kept must become minus infinity, which a softmax turns into 0; {given}")
            kept, asked = int((out > -np.inf).sum()), int((want > -np.inf).sum())
            if kept > asked and np.array_equal(out > -np.inf, row >= np.sort(row)[::-1][min(k, len(row)) - 1]):
                return wrong(f"{kept} logits stay: a threshold keeps all that are tied with the k-th; {given}")
            if kept != asked:
                return wrong(f"{kept} logits of a row stay, not {asked}; {given}")
            if np.array_equal(np.sort(out), np.sort(want)):
                return wrong(f"of tied logits others stay than those with the lowest ids; {given}")
            return wrong(f"other logits stay than the largest, or they changed their values; {given}")
        return right()


def kept_by_mass(row: np.ndarray, p: float, slack: float = 1e-9) -> set[int]:
    """The smallest set of likeliest tokens that reaches a mass, token by token."""
    if p == 1:
        return set(range(len(row)))
    probs = softmax64(row)
    kept, masses = set[int](), [0.0]
    for at in order_of(row):
        if kept and math.fsum(masses) >= p - slack:
            break
        kept.add(at)
        masses.append(float(probs[at]))
    return kept


class TopP(HiddenCheck):
    """8.3: unsorted rows; masses that meet p; flat rows; p tiny, 0 and 1; a large flat row in float32."""

    exercise = "top-p"
    uses = ("top_p_filter",)
    criteria = {"values": 1.5, "at the border": 1.0, "ends": 0.5}
    forbids = dict.fromkeys(
        ("transformers.TopPLogitsWarper", "TopPLogitsWarper"), "a ready-made filter: sort and add up yourself"
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Rows of very different sharpness in one tensor."""
        for p, shape in ((0.3, (5, 7)), (0.7, (4, 9)), (0.92, (2, 3, 8))):
            scale = rng.uniform(0.2, 4, size=(*shape[:-1], 1))
            yield Case("values", {"logits": rng.normal(size=shape) * scale, "p": p})
        yield Case("values", {"logits": (rng.normal(size=(3, 6)) * 2 + 30).astype(np.float32), "p": 0.8})
        gone = rng.normal(size=(3, 6))
        gone[:, [0, 4]] = -np.inf
        yield Case("values", {"logits": gone, "p": 0.85})
        for size, p in ((10, 0.3), (10, 0.7), (5, 0.6), (8, 0.25)):
            yield Case("at the border", {"logits": np.full((2, size), float(rng.normal())), "p": p})
        halves = np.log([0.0625, 0.5, 0.125, 0.25, 0.0625])
        for p in (0.5, 0.75, 0.875, 0.76):
            yield Case("at the border", {"logits": np.stack([halves, rng.permutation(halves)]), "p": p})
        for p in (0.2, 0.35, 0.6, 0.7, 0.9):  # in float32 some of these sums fall short
            yield Case("at the border", {"logits": np.zeros((1, 5000), dtype=np.float32), "p": p})
        yield Case("ends", {"logits": rng.normal(size=(3, 5)) * 2, "p": 0.0})
        yield Case("ends", {"logits": rng.normal(size=(3, 5)) * 2, "p": 1e-12})
        far = rng.normal(size=(2, 6))
        far[:, 2] -= 60
        yield Case("ends", {"logits": far, "p": 1.0})
        yield Case("ends", {"logits": np.array([0.3, 5.0, -1.0]), "p": 1})
        yield Case("ends", {"logits": rng.normal(size=6), "p": 0.5})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The filtered logits, of a view that is not contiguous; are the inputs intact?"""
        import torch

        given = torch.tensor(inputs["logits"])
        view = torch.stack([given, given], dim=-1)[..., 0]
        out = student.top_p_filter(view, inputs["p"])
        return {"out": out, "intact": bool((view == given).all())}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Hygiene, then the set of each row against those of each misconception."""
        logits, p = case.inputs["logits"], case.inputs["p"]
        rows = logits.reshape(-1, logits.shape[-1])
        bad = hygiene(case.inputs, answer, f"top_p={p}, shape {logits.shape}")
        if bad is not None:
            return bad
        for row, out in zip(rows, answer["out"].reshape(rows.shape), strict=True):
            given = f"top_p={p}, the probabilities were {shown(softmax64(row.astype(np.float64)).round(4).tolist())}"
            want, possible = kept_by_mass(row.astype(np.float64), p), set(np.flatnonzero(row > -np.inf).tolist())
            got = set(np.flatnonzero(out > -np.inf).tolist())
            if got == want & possible:
                if not np.array_equal(out[sorted(got)], row[sorted(got)]):
                    return wrong(f"the logits that stay must keep their values; {given}")
                continue
            order = order_of(row)
            if not got:
                return wrong(f"nothing is left: the likeliest token always stays; {given}")
            if len(want) > 1 and got == set(order[: len(want) - 1]) & possible:
                return wrong(f"the token that crosses the threshold was dropped: the mass is not reached; {given}")
            if got == set(order[: len(want) + 1]) & possible:
                return wrong(f"one token more than needed is kept: the mass meets p without it; {given}")
            if got == set(range(len(got))) or got == {at for at in range(len(row)) if at < len(want)}:
                return wrong(f"kept by place, not by probability: put the decisions back to their tokens; {given}")
            if p == 1:
                return wrong(f"p = 1 keeps everything, however unlikely; {given}")
            if got == {at for at in range(len(row)) if softmax64(row)[at] >= p}:
                return wrong(f"p is compared with single probabilities; it is the mass of the set; {given}")
            if len(got) == len(want):
                return wrong(f"of tied tokens others stay than those with the lowest ids; {given}")
            return wrong(f"{len(got)} tokens stay, not the smallest set that reaches the mass; {given}")
        return right()


# ------------------------------------------------------------------------------------ 8.4 drawing


def allowed(logits: np.ndarray, temperature: float, k: int | None, p: float | None, order: str = "tkp") -> np.ndarray:
    """The distribution behind one row, for any `order` of the steps."""
    row = logits.astype(np.float64)
    for step in order:
        if step == "t":
            row = row / temperature
        elif step == "k" and k is not None:
            kept = order_of(row)[:k]
            row = np.where(np.isin(np.arange(len(row)), kept), row, -np.inf)
        elif step == "p" and p is not None:
            kept = sorted(kept_by_mass(row, p))
            row = np.where(np.isin(np.arange(len(row)), kept), row, -np.inf)
    return softmax64(row)


class Sample(HiddenCheck):
    """8.4: settings under which every other order, and every lost step, has another distribution."""

    exercise = "sample"
    uses = ("sample",)
    criteria = {"distribution": 1.0, "greedy": 0.5, "generator": 0.5}
    forbids = dict.fromkeys(
        (
            "transformers.LogitsProcessorList",
            "LogitsProcessorList",
            "transformers.TopPLogitsWarper",
            "TopPLogitsWarper",
            "TopKLogitsWarper",
            "TemperatureLogitsWarper",
        ),
        "the ready-made steps are the page's stand-in: put yours in order",
    )
    wrong_ways = (
        ({"order": "kpt"}, "the temperature must come before the filters: it decides how large a mass is"),
        (
            {"order": "tpk"},
            "top-p saw the whole distribution, or is missing: it must look at what top-k left, normalised again",
        ),
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Rows are drawn until the orders differ by a tenth of the probability at least."""
        for temperature, k, p in ((2.2, None, 0.75), (0.6, 4, 0.7), (1.7, 5, 0.8), (0.7, 3, None), (1.8, None, None)):
            yield Case("distribution", self._draw(rng, temperature, k, p))
        rows = np.array([[0.5, 3.0, 3.0, -1.0], [2.0, 0.0, 1.0, 1.5], [-3.0, -2.0, -9.0, -2.0]])
        for temperature in (0, 0.0):
            yield Case("greedy", {"logits": rows, "temperature": temperature, "k": None, "p": None, "n": 1})
        yield Case("greedy", {"logits": rows, "temperature": 0, "k": 2, "p": 0.5, "n": 1})
        yield Case("greedy", {"logits": rows[[1, 1, 1]], "temperature": 5.0, "k": 1, "p": None, "n": 20})
        yield Case("greedy", {"logits": rows[[1, 1]], "temperature": 4.0, "k": None, "p": 0.0, "n": 20})
        yield Case("generator", {"logits": rng.normal(size=(9, 12)), "temperature": 1.3, "k": 8, "p": 0.95, "n": 1})

    def _draw(self, rng: np.random.Generator, temperature: float, k: int | None, p: float | None) -> dict[str, Any]:
        for _ in range(20_000):
            row = rng.normal(size=7) * 1.6
            want = allowed(row, temperature, k, p)
            others = [allowed(row, temperature, k, p, **flags) for flags, _ in self.wrong_ways]
            others += [allowed(row, 1.0, k, p), allowed(row, 1 / temperature, k, p)]
            others += [allowed(row, temperature, None, p)] * (k is not None)
            others += [allowed(row, temperature, k, None)] * (p is not None)
            asked = [p is not None, k is not None and p is not None]  # else the orders are the same
            said = [other for other, ask in zip(others, [*asked, *[True] * (len(others) - 2)], strict=True) if ask]
            # top-p before top-k is always the same as one of the two alone
            told_apart = [other for other in said if other is not others[1]]
            distinct = all(np.abs(a - b).sum() / 2 > 0.03 for a, b in itertools.combinations(told_apart, 2))
            if distinct and all(np.abs(other - want).sum() / 2 > 0.08 for other in said):
                return {"logits": np.tile(row, (4000, 1)), "temperature": temperature, "k": k, "p": p, "n": 1}
        raise AssertionError("no row was good")

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The tokens; the same again from the same state; the global states before and after."""
        import random

        import numpy
        import torch

        logits = torch.tensor(inputs["logits"])
        before = torch.get_rng_state(), numpy.random.get_state()[1].copy(), random.getstate()
        settings = inputs["temperature"], inputs["k"], inputs["p"]
        rng = torch.Generator().manual_seed(11)
        tokens = [student.sample(logits, *settings, rng) for _ in range(inputs["n"])]
        torch_same = bool((torch.get_rng_state() == before[0]).all())
        numpy_same = bool((numpy.random.get_state()[1] == before[1]).all())
        torch.manual_seed(12345)
        again = student.sample(logits, *settings, torch.Generator().manual_seed(11))
        other = [student.sample(logits, *settings, torch.Generator().manual_seed(seed)).tolist() for seed in range(3)]
        return {
            "tokens": [row.tolist() for row in tokens],
            "shape": list(tokens[0].shape),
            "same": again.tolist() == tokens[0].tolist(),
            "varies": len({tuple(row) for row in other}) > 1,
            "states": torch_same and numpy_same and random.getstate() == before[2],
            "intact": bool((logits == torch.tensor(inputs["logits"])).all()),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Hygiene, then counts against the distributions of each misconception."""
        logits, temperature, k, p = (case.inputs[name] for name in ("logits", "temperature", "k", "p"))
        given = f"temperature={temperature}, top_k={k}, top_p={p}, a row was {shown(logits[-1].tolist())}"
        if answer["shape"] != [len(logits)]:
            return wrong(f"{len(logits)} rows gave the shape {tuple(answer['shape'])}, not ({len(logits)},); {given}")
        if not answer["intact"]:
            return wrong(f"the logits were changed by the call; {given}")
        if case.criterion == "generator":
            if not answer["states"]:
                return wrong(f"a global random state was used or changed: draw from rng alone; {given}")
            if not answer["same"]:
                return wrong(f"the same state of rng gave other tokens: draw from rng alone; {given}")
            if not answer["varies"]:
                return wrong(f"other states of rng gave the same tokens: nothing is drawn from it; {given}")
            return right()
        if case.criterion == "greedy":
            want = [order_of(row)[0] for row in logits]
            if any(tokens != want for tokens in answer["tokens"]):
                rule = "temperature 0 takes" if temperature == 0 else "one token is left, and that is"
                return wrong(f"{rule} the likeliest, of tied ones the lowest id; got {answer['tokens'][0]}; {given}")
            return right()
        row = logits[0]
        counts = np.bincount(answer["tokens"][0], minlength=row.size)
        if counts.size == row.size and chance(counts, allowed(row, temperature, k, p)) > ALARM:
            return right()
        orders = self.wrong_ways if p is not None else ()
        suspects = [(allowed(row, temperature, k, p, **flags), words) for flags, words in orders]
        suspects += [
            (allowed(row, 1.0, k, p), "the temperature has no effect"),
            (allowed(row, 1 / temperature, k, p), "the logits were multiplied by the temperature: it divides"),
            (allowed(row, temperature, None, p), "top-k has no effect"),
            (allowed(row, temperature, k, None), "top-p has no effect"),
        ]
        for probs, words in suspects:
            if counts.size == row.size and chance(counts, probs) > ALARM:
                return wrong(f"{words}; {given}")
        if np.count_nonzero(counts) == 1:
            return wrong(f"all 4,000 draws are the same token: the likeliest was taken, not a draw; {given}")
        return wrong(f"4,000 draws are not distributed as they should be: {counts.tolist()}; {given}")


# ------------------------------------------------------------------------------------ 8.5 beam search

Hypothesis = tuple[tuple[int, ...], float]


def beams(
    logp: Callable[[tuple[int, ...]], np.ndarray],
    n_beams: int,
    max_len: int,
    eos: int | None,
    alpha: float,
    *,
    stop: bool = False,
    no_sum: bool = False,
    extend_ended: bool = False,
    first_end: bool = False,
    lost_ends: bool = False,
    any_rank: bool = False,
    short: bool = False,
    narrow: bool = False,
) -> Hypothesis:
    """The search of the card, on numpy arrays; keywords turn on the permitted early stop, or a mistake."""
    running: list[Hypothesis] = [((), 0.0)]
    finished: list[Hypothesis] = []
    for length in range(1, max_len + 1):
        grown = []
        for ids, total in running:
            for token, gain in enumerate(logp(ids).tolist()):
                if gain > -math.inf:
                    grown.append(((*ids, token), gain if no_sum else total + gain))
        grown.sort(key=lambda found: -found[1])
        ends = [
            (rank, found)
            for rank, found in enumerate(grown)
            if length == max_len or (found[0][-1] == eos and not extend_ended)
        ]
        places = {rank for rank, _ in ends}
        for rank, (ids, total) in ends:
            if (rank < n_beams or any_rank) and not (lost_ends and length < max_len):
                counted = max(1, length - 1) if short and ids[-1] == eos else length
                finished.append((ids, total / counted**alpha))
        if narrow:
            running = [found for rank, found in enumerate(grown[:n_beams]) if rank not in places]
        else:
            running = [found for rank, found in enumerate(grown) if rank not in places][:n_beams]
        if not running or (first_end and finished):
            break
        best = sorted(finished, key=lambda found: -found[1])[:n_beams]
        if stop and len(best) == n_beams and running[0][1] / length**alpha <= best[-1][1]:
            break
    if not finished:
        return (), -math.inf
    return max(finished, key=lambda found: found[1])


def table_logp(table: np.ndarray) -> Callable[[tuple[int, ...]], np.ndarray]:
    """A model that looks up its row by all tokens and their order."""

    def logp(ids: tuple[int, ...]) -> np.ndarray:
        state = 0
        for token in ids:
            state = (5 * state + token + 1) % len(table)
        return np.asarray(table[state])

    return logp


class Beam(HiddenCheck):
    """8.5: tables in which every mistake finds another text, and in which the permitted early stop finds the same."""

    exercise = "beam"
    uses = ("beam_search",)
    criteria = {"search": 1.0, "ends": 1.0, "length": 0.5, "all texts": 0.5}
    forbids = dict.fromkeys(
        ("itertools.product", "product"), "counting all texts is the page's stand-in: keep n_beams beginnings"
    )
    ways = {
        "search": [({"no_sum": True}, "the last token alone is compared: log-probabilities add up along a text")],
        "ends": [
            ({"extend_ended": True}, "a finished hypothesis was extended behind its eos"),
            ({"first_end": True}, "the search stopped at the first text that ended: others may still win"),
            ({"lost_ends": True}, "texts that ended early were thrown away: they stay in the race"),
            ({"narrow": True}, "a text that ends took the place of one that goes on: n_beams run on"),
            ({"any_rank": True}, "a candidate that ends must be among the step's first n_beams to be finished"),
        ],
        "length": [({"short": True}, "the length is one short: it counts every token, eos too")],
    }

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Each table is drawn until the mistakes of its criterion show, one table for each."""
        for n_beams, eos in ((1, None), (1, 1), (2, None), (3, 0)):
            yield self._draw(rng, "search", n_beams, 5, eos, 0.0, lambda *found: True)
        for flags, _ in [*self.ways["search"], *self.ways["ends"]]:
            criterion = "search" if "no_sum" in flags else "ends"
            for alpha in (0.0, 0.7):
                if "narrow" in flags and alpha == 0.0:
                    continue  # a text that ended and was no winner then cannot have cost the winner its place
                yield self._draw(rng, criterion, 2, 5, 2, alpha, self._differs(flags))
        yield self._draw(rng, "length", 3, 6, 1, 1.0, self._flips(0.0))
        yield self._draw(rng, "length", 3, 6, 1, 2.0, self._flips(1.0))
        yield self._draw(rng, "length", 3, 6, 1, 0.6, lambda *found: 1 < len(found[-1][0]) < 6)
        yield self._draw(rng, "length", 2, 6, 3, 1.0, self._flips(2.0))
        yield self._draw(rng, "all texts", 300, 4, 2, 0.0, lambda *found: True)
        yield self._draw(rng, "all texts", 300, 4, 2, 1.0, lambda *found: True)
        yield self._draw(rng, "all texts", 300, 4, None, 1.0, lambda *found: True)
        yield Case(
            "all texts",
            {"table": np.log(np.full((3, 4), 0.25)), "n_beams": 2, "max_len": 3, "eos": None, "alpha": 1.0},
        )

    @staticmethod
    def _differs(flags: dict[str, bool]) -> Callable[..., bool]:
        def different(logp: Any, settings: Sequence[Any], found: Hypothesis) -> bool:
            if beams(logp, *settings, **flags)[0] == found[0]:  # type: ignore[arg-type]
                return False
            every = [other for ways in Beam.ways.values() for other, _ in ways]
            others = [beams(logp, *settings, **other) for other in every]  # type: ignore[arg-type]
            others = [other for other in others if other != found]
            return len(set(others)) == len(others)

        return different

    @staticmethod
    def _flips(other: float) -> Callable[..., bool]:
        def flipped(logp: Any, settings: Sequence[Any], found: Hypothesis) -> bool:
            return beams(logp, *settings[:3], other)[0] != found[0] and len(found[0]) < settings[1]

        return flipped

    def _draw(
        self,
        rng: np.random.Generator,
        criterion: str,
        n_beams: int,
        max_len: int,
        eos: int | None,
        alpha: float,
        good: Callable[..., bool],
    ) -> Case:
        for _ in range(20_000):
            probs = rng.dirichlet(np.full(4, 0.7), size=23)
            probs[rng.random(probs.shape) < 0.08] = 0.0
            probs[:, 0] += 1e-3
            with np.errstate(divide="ignore"):
                table = np.log(probs / probs.sum(axis=1, keepdims=True))
            logp, settings = table_logp(table), (n_beams, max_len, eos, alpha)
            found = beams(logp, *settings)
            if n_beams < 100 and beams(logp, *settings, stop=True) != found:
                continue
            if found[0] and good(logp, settings, found):
                inputs = {"table": table, "n_beams": n_beams, "max_len": max_len, "eos": eos, "alpha": alpha}
                return Case(criterion, inputs)
        raise AssertionError(f"no table was good: {criterion}, alpha={alpha}")

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Ids, score, and the contexts that were asked for."""
        import torch

        table = torch.tensor(inputs["table"])
        asked = []

        def logp(ids):  # type: ignore[no-untyped-def]
            asked.append([int(token) for token in ids])
            state = 0
            for token in ids:
                state = (5 * state + int(token) + 1) % len(table)
            return table[state].clone()

        ids, score = student.beam_search(logp, inputs["n_beams"], inputs["max_len"], inputs["eos"], inputs["alpha"])
        return {"ids": [int(token) for token in ids], "score": float(score), "asked": asked}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The contexts, then ids and score against those of each misconception."""
        inputs = case.inputs
        logp = table_logp(inputs["table"])
        settings = tuple(inputs[name] for name in ("n_beams", "max_len", "eos", "alpha"))
        given = "n_beams={}, max_len={}, eos={}, alpha={}".format(*settings)
        n_beams, max_len, eos, alpha = settings
        ids, score = tuple(answer["ids"]), answer["score"]
        want = self._all_texts(logp, max_len, eos, alpha) if n_beams >= 100 else beams(logp, *settings)
        if eos is not None and any(eos in context for context in answer["asked"]):
            return wrong(f"a finished hypothesis was extended behind its eos; {given}")
        if any(
            logp(tuple(context[:at]))[token] == -np.inf
            for context in answer["asked"]
            for at, token in enumerate(context)
        ):
            return wrong(f"a hypothesis that is impossible was extended: its log-probability is -inf; {given}")
        if len(answer["asked"]) > 1 + n_beams * (max_len - 1):
            return wrong(
                f"{len(answer['asked'])} contexts were asked for: each step extends at most n_beams hypotheses; {given}"
            )
        if ids == want[0] and close(score, want[1]):
            return right()
        total = sum(float(logp(ids[:at])[token]) for at, token in enumerate(ids)) if ids else 0.0
        if ids and alpha and close(score, total):
            return wrong(f"the sum of log-probabilities is not divided by length ** alpha; {given}")
        if ids and alpha and len(ids) > 1 and close(score, total / (len(ids) - 1) ** alpha):
            return wrong(f"the length is one short: it counts every token, eos too; {given}")
        if ids and alpha and close(score, total * len(ids) ** alpha):
            return wrong(f"the sum was multiplied by length ** alpha; it is divided; {given}")
        if ids and alpha and alpha != 1 and close(score, total / len(ids)):
            return wrong(f"the sum was divided by the length itself: alpha is its power; {given}")
        for flags, words in [way for ways in self.ways.values() for way in ways]:
            other = beams(logp, *settings, **flags)  # type: ignore[arg-type]
            if ids == other[0] and close(score, other[1]):
                return wrong(f"{words}; {given}")
        if ids == want[0]:
            return wrong(f"the text is the best one, its score is not sum / length ** alpha; {given}")
        return wrong(f"another text was found than the search of the card finds: {list(ids)}; {given}")

    @staticmethod
    def _all_texts(logp: Any, max_len: int, eos: int | None, alpha: float) -> Hypothesis:
        best: Hypothesis = ((), -math.inf)
        for length in range(1, max_len + 1):
            for ids in itertools.product(range(4), repeat=length):
                if eos in ids[:-1] or (length < max_len and ids[-1] != eos):
                    continue
                total = sum(float(logp(ids[:at])[token]) for at, token in enumerate(ids))
                if total / length**alpha > best[1]:
                    best = ids, total / length**alpha
        return best


# --------------------------------------------------------------------------------- 8.6 no n-gram twice


def banned_tokens(ids: Sequence[int], n: int) -> set[int]:
    """All tokens that complete a seen n-gram, from the set of n-grams."""
    grams = {tuple(ids[at : at + n]) for at in range(len(ids) - n + 1)}
    ending = tuple(ids[len(ids) - n + 1 :]) if n > 1 else ()
    return {gram[-1] for gram in grams if len(ids) >= n and gram[:-1] == ending}


class BanRepeats(HiddenCheck):
    """8.6: overlapping occurrences, several completions, n of 1, and texts that are too short."""

    exercise = "ban-repeats"
    uses = ("ban_repeats",)
    criteria = {"n-grams": 0.5, "ends and inputs": 0.5}
    forbids = dict.fromkeys(
        ("transformers.NoRepeatNGramLogitsProcessor", "NoRepeatNGramLogitsProcessor"),
        "a ready-made rule: compare the beginnings yourself",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Texts over few tokens, so that n-grams come again."""
        for n, size in ((2, 15), (3, 40), (2, 9), (4, 90)):
            while True:
                ids = rng.integers(0, 3, size=size).tolist()
                if 0 < len(banned_tokens(ids, n)) < 3 and banned_tokens(ids, n) != banned_tokens(ids[:-1], n):
                    break
            yield Case("n-grams", {"ids": ids, "logits": rng.normal(size=5), "n": n})
        for ids, n in (([2, 2, 2, 2], 3), ([1, 4, 1, 4, 1], 3), ([3, 0, 1, 3, 0, 2, 3, 0], 3), ([0, 1, 0], 2)):
            yield Case("n-grams", {"ids": ids, "logits": rng.normal(size=6), "n": n})
        for ids, n in (([4, 1, 1, 2], 1), ([3], 1), ([3, 3], 2), ([3, 3], 3), ([3], 4), ([1, 2], 2), ([5, 5, 5], 3)):
            yield Case("ends and inputs", {"ids": ids, "logits": rng.normal(size=7), "n": n})
        yield Case("ends and inputs", {"ids": [], "logits": rng.normal(size=3), "n": 2})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The logits, and the inputs afterwards."""
        import torch

        ids, logits = torch.tensor(inputs["ids"], dtype=torch.long), torch.tensor(inputs["logits"])
        out = student.ban_repeats(ids, logits, inputs["n"])
        intact = ids.tolist() == inputs["ids"] and bool((logits == torch.tensor(inputs["logits"])).all())
        return {"out": out, "intact": intact}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Inputs, then the set of forbidden tokens."""
        ids, logits, n = (case.inputs[name] for name in ("ids", "logits", "n"))
        given = f"n={n}, ids {shown(ids, 20)}"
        out = answer["out"]
        if not answer["intact"]:
            return wrong(f"an input was changed by the call: forbid in a copy; {given}")
        if getattr(out, "shape", None) != logits.shape:
            return wrong(f"the shape is {getattr(out, 'shape', None)}, not {logits.shape}; {given}")
        got = set(np.flatnonzero(out == -np.inf).tolist())
        want = banned_tokens(ids, n)
        others = sorted(set(range(len(logits))) - got)
        if got == want and np.array_equal(out[others], logits[others]):
            return right()
        if got == want:
            return wrong(f"a token that is allowed lost its logit, or one that is not got a finite one; {given}")
        prefixes = {tuple(ids[at : at + n - 1]) for at in range(len(ids) - n + 1)}
        suspects = [
            (set(ids), "every token of the text is forbidden: only those that complete a seen n-gram are"),
            (banned_tokens(ids, n + 1), "n + 1 tokens are compared: the last n - 1 and the new one are n"),
            (banned_tokens(ids, n - 1) if n > 1 else set(), "n - 1 tokens are compared: an n-gram has n with the new"),
            (
                {ids[at] for gram in prefixes for at in range(len(ids)) if n > 1 and ids[at] in gram},
                "members of the seen n-grams are forbidden: only what completes one again is",
            ),
        ]
        for suspect, words in suspects if got else []:
            if got == suspect:
                return wrong(f"{words}; {given}")
        if got < want:
            return wrong(f"{len(want - got)} completion of a seen n-gram is still allowed; {given}")
        return wrong(f"the token {min(got - want)} is forbidden and completes no n-gram that was there; {given}")


# ----------------------------------------------------------------------------- 8.7 one speculative step


class SpeculativeStep(HiddenCheck):
    """8.7: token and acceptance together, so that no draw from p with a coin beside it passes."""

    exercise = "speculative-step"
    uses = ("speculative_step",)
    criteria = {"distribution": 1.5, "acceptance": 1.0, "limits and generator": 0.5}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Pairs are drawn until the notes' rule is off by a tenth; zeros in both; equal and disjoint pairs."""
        for criterion in ("distribution", "acceptance"):
            for zeros in (False, True):
                yield Case(criterion, {**self._draw(rng, zeros), "n": 4000})
        same = rng.dirichlet(np.ones(5))
        yield Case("limits and generator", {"p": same, "q": same, "n": 300})
        p, q = np.zeros(6), np.zeros(6)
        p[[1, 4]], q[[0, 3, 5]] = (0.3, 0.7), (0.2, 0.5, 0.3)
        yield Case("limits and generator", {"p": p, "q": q, "n": 300})
        single = np.array([0.0, 0.0, 1.0])
        yield Case("limits and generator", {"p": single, "q": np.array([0.5, 0.25, 0.25]), "n": 200})

    @staticmethod
    def _draw(rng: np.random.Generator, zeros: bool) -> dict[str, Any]:
        while True:
            p, q = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5))
            if zeros:
                p[1], q[3] = 0.0, 0.0
                p, q = p / p.sum(), q / q.sum()
            a = np.minimum(p, q).sum()
            off = np.abs(np.minimum(p, q) - a * p).sum() / 2
            apart = np.abs(p - q) / np.abs(p - q).sum()
            doubled = np.abs(np.minimum(p, q) + (1 - a) * apart - p).sum() / 2
            if off > 0.12 and doubled > 0.12 and 0.35 < a < 0.7:
                return {"p": p, "q": q}

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """How often each token came, kept and not kept; types, generator, global states, inputs."""
        import torch

        p, q = torch.tensor(inputs["p"]), torch.tensor(inputs["q"])
        before = torch.get_rng_state()
        rng = torch.Generator().manual_seed(17)
        kept, replaced, kinds = [0] * len(p), [0] * len(p), set()
        first = []
        for at in range(inputs["n"]):
            token, accepted = student.speculative_step(p, q, rng)
            kinds.add((type(token).__name__, type(accepted).__name__))
            (kept if accepted else replaced)[int(token)] += 1
            if at < 40:
                first.append(int(token))
        untouched = bool((torch.get_rng_state() == before).all())
        rng = torch.Generator().manual_seed(17)
        torch.manual_seed(99)
        again = [int(student.speculative_step(p, q, rng)[0]) for _ in range(len(first))]
        return {
            "kept": kept,
            "replaced": replaced,
            "kinds": sorted(kinds),
            "rng": untouched and again == first,
            "intact": bool((p == torch.tensor(inputs["p"])).all() and (q == torch.tensor(inputs["q"])).all()),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Hygiene, then token and acceptance, each misconception by its exact distribution."""
        p, q = case.inputs["p"], case.inputs["q"]
        both = np.minimum(p, q)
        a = both.sum()
        given = f"p {shown(p.round(3).tolist())}, q {shown(q.round(3).tolist())}"
        kept, replaced = np.array(answer["kept"]), np.array(answer["replaced"])
        tokens, total = kept + replaced, kept.sum() + replaced.sum()
        if any(list(kind) != ["int", "bool"] for kind in answer["kinds"]):
            return wrong(f"an int and a bool were asked, not {answer['kinds'][0]}; {given}")
        if not answer["intact"]:
            return wrong(f"p or q was changed by the call; {given}")
        missing = np.maximum(p - q, 0)
        if case.criterion == "limits and generator":
            if not answer["rng"]:
                return wrong(f"randomness came from elsewhere than rng: same state, same tokens; {given}")
            if a > 1 - 1e-9 and replaced.any():
                return wrong(f"p and q are equal, and {replaced.sum()} of {total} guesses were rejected; {given}")
            if tokens[p == 0].any():
                return wrong(f"a token came out that p excludes; {given}")
            if kept[both == 0].any():
                return wrong(f"a guess was kept that p or q excludes; {given}")
        if case.criterion != "acceptance" and chance(tokens, p) <= ALARM:
            apart = np.abs(p - q)
            swapped = np.where(p > 0, np.minimum(1, np.divide(q, p, out=np.ones_like(p), where=p > 0)), 1) * q
            swapped_rest = (1 - swapped.sum()) * missing / max(missing.sum(), 1e-12)
            matched = q * p
            other = np.maximum(q - p, 0)
            if not replaced.any():
                return wrong(f"no guess was ever replaced: guesses must be checked; {given}")
            for probs, words in (
                (swapped + swapped_rest, "the ratio is upside down: a guess is kept with p / q, not q / p"),
                (both + (1 - a) * p, "a rejected guess was replaced by a draw from p; draw from max(0, p - q)"),
                (both + (1 - a) * apart / max(apart.sum(), 1e-12), "the residual is max(0, p - q), not |p - q|"),
                (both + (1 - a) * q, "a rejected guess was replaced by another guess; draw from max(0, p - q)"),
                (both + (1 - a) * other / max(other.sum(), 1e-12), "the residual is max(0, p - q), not q - p"),
                (
                    matched + (1 - matched.sum()) * missing / max(missing.sum(), 1e-12),
                    "a guess was kept with p(x) alone: divide by q(x), with which it was drawn",
                ),
            ):
                if chance(tokens, probs) > ALARM:
                    return wrong(f"{words}; {given}")
            return wrong(f"{total} tokens came as {tokens.tolist()}: that is not p; {given}")
        if case.criterion == "acceptance":
            share = kept.sum() / total
            if chance(np.array([kept.sum(), replaced.sum()]), np.array([a, 1 - a])) <= ALARM:
                if chance(np.array([kept.sum(), replaced.sum()]), np.array([p @ q, 1 - p @ q])) > ALARM:
                    return wrong(
                        f"a guess is kept only where a draw from p says the same: too seldom ({share:.2f}); {given}"
                    )
                if abs(1 - share - a) < 0.03 and abs(share - a) > 0.03:
                    return wrong(f"the flag is upside down: True means that the guess was kept; {given}")
                return wrong(f"{share:.2f} of the guesses were kept; it should be the sum of min(p, q); {given}")
            if chance(kept, both / a) <= ALARM:
                return wrong(f"the kept tokens are not those of guesses from q, kept with min(1, p / q); {given}")
            if chance(replaced, missing / missing.sum()) <= ALARM:
                return wrong(f"what replaces a guess is not distributed as max(0, p - q), normalised; {given}")
        return right()


# ----------------------------------------------------------------------------- 8.8 the speculative loop


def rows_of(table: np.ndarray, ids: Sequence[int]) -> np.ndarray:
    """The distribution behind each id: depends on all ids up to it, and on their order."""
    state, found = 0, []
    for token in ids:
        state = (3 * state + token + 1) % len(table)
        found.append(table[state])
    return np.array(found)


class SpeculativeLoop(HiddenCheck):
    """8.8: the joint distribution of the new tokens, exact counts of calls, and what each call is shown."""

    exercise = "speculative-loop"
    uses = ("speculative_decode",)
    criteria = {"distribution": 1.5, "rounds and calls": 1.0, "greedy and ends": 0.5}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Tables of three tokens for the joint distribution; sure ones for the rest."""
        for gamma, max_new in ((2, 2), (3, 3)):
            yield Case("distribution", {**self._tables(rng, 3), "gamma": gamma, "max_new": max_new, "n": 2500})
        table = rng.dirichlet(np.ones(5), size=29)
        for gamma, max_new in ((3, 16), (1, 5), (4, 11), (6, 4)):
            yield Case(
                "rounds and calls",
                {"target": table, "draft": table, "prefix": [1, 4, 0], "gamma": gamma, "max_new": max_new, "n": 1},
            )
        # target and draft never agree: every round ends with its first guess
        sure = np.eye(6)[rng.integers(0, 3, size=31)]
        yield Case(
            "rounds and calls",
            {
                "target": sure,
                "draft": np.roll(sure, 3, axis=1),
                "prefix": [2, 5],
                "gamma": 3,
                "max_new": 7,
                "n": 1,
            },
        )
        for gamma, max_new in ((3, 20), (5, 13)):
            target = np.eye(6)[rng.integers(0, 6, size=31)]
            draft = np.where(rng.random((31, 1)) < 0.7, target, np.roll(target, 1, axis=1))
            yield Case(
                "greedy and ends",
                {
                    "target": target,
                    "draft": draft,
                    "prefix": rng.integers(0, 6, size=4).tolist(),
                    "gamma": gamma,
                    "max_new": max_new,
                    "n": 1,
                },
            )
        yield Case(
            "greedy and ends",
            {"target": table, "draft": table, "prefix": [3, 2], "gamma": 2, "max_new": 0, "n": 1},
        )
        yield Case(
            "greedy and ends",
            {"target": table, "draft": table[::-1].copy(), "prefix": [3, 2], "gamma": 2, "max_new": 1, "n": 1},
        )

    @staticmethod
    def _tables(rng: np.random.Generator, vocab: int) -> dict[str, Any]:
        while True:
            target, draft = rng.dirichlet(np.ones(vocab), size=13), rng.dirichlet(np.ones(vocab), size=13)
            prefix = rng.integers(0, vocab, size=2).tolist()
            p, q = rows_of(target, prefix)[-1], rows_of(draft, prefix)[-1]
            both = np.minimum(p, q)
            if np.abs(both - both.sum() * p).sum() / 2 > 0.12 and 0.35 < both.sum() < 0.7:
                return {"target": target, "draft": draft, "prefix": prefix}

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The new tokens of every run; for the last run all calls with what they were shown."""
        import torch

        tables = {name: torch.tensor(inputs[name]) for name in ("target", "draft")}
        calls = {"target": [], "draft": []}
        known = {}

        def model(name):  # type: ignore[no-untyped-def]
            table = tables[name]

            def distributions(ids):  # type: ignore[no-untyped-def]
                key = tuple(ids.tolist())
                calls[name].append(list(key))
                if (name, key) not in known:
                    state, states = 0, []
                    for token in key:
                        state = (3 * state + token + 1) % len(table)
                        states.append(state)
                    known[name, key] = table[torch.tensor(states)]
                return known[name, key].clone()

            return distributions

        prefix = torch.tensor(inputs["prefix"])
        before = torch.get_rng_state()
        rng = torch.Generator().manual_seed(23)
        runs, counted = [], []
        for _ in range(inputs["n"]):
            calls["target"].clear()
            calls["draft"].clear()
            ids, n_calls = student.speculative_decode(
                model("target"), model("draft"), prefix, inputs["gamma"], inputs["max_new"], rng
            )
            runs.append(ids.tolist())
            counted.append(int(n_calls))
        untouched = bool((torch.get_rng_state() == before).all())
        shown_to = {name: [list(context) for context in contexts] for name, contexts in calls.items()}
        again = student.speculative_decode(
            model("target"),
            model("draft"),
            prefix,
            inputs["gamma"],
            inputs["max_new"],
            torch.Generator().manual_seed(23),
        )[0].tolist()
        return {
            "runs": runs,
            "counted": counted,
            "calls": shown_to,
            "rng": untouched and again == runs[0],
            "intact": prefix.tolist() == inputs["prefix"],
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Lengths and prefix, the joint distribution, calls, contexts."""
        inputs = case.inputs
        prefix, gamma, max_new = inputs["prefix"], inputs["gamma"], inputs["max_new"]
        given = f"gamma={gamma}, max_new={max_new}, a prefix of {len(prefix)}"
        if not answer["intact"]:
            return wrong(f"the prefix was changed by the call; {given}")
        if not answer["rng"]:
            return wrong(f"randomness came from elsewhere than rng: same state, same text; {given}")
        size = len(prefix)
        for run in answer["runs"]:
            if run[:size] != prefix:
                return wrong(f"the text does not begin with the prefix; {given}")
            if len(run) != size + max_new:
                return wrong(f"{len(run) - size} new tokens came, {max_new} were asked; {given}")
        if case.criterion == "distribution":
            return self._joint(inputs, [tuple(run[size:]) for run in answer["runs"]], given)
        run = answer["runs"][0]
        if (inputs["target"].max(axis=1) == 1).all():
            want = list(prefix)
            while len(want) < size + max_new:
                want.append(int(rows_of(inputs["target"], want)[-1].argmax()))
            if run != want:
                at = next(at for at in range(len(want)) if run[at] != want[at])
                return wrong(
                    f"the target is sure of every token, and token {at - size + 1} is another one: "
                    f"was something kept that was guessed behind a rejected token, or the wrong row read? {given}"
                )
        return self._calls(inputs, answer, given)

    def _calls(self, inputs: dict[str, Any], answer: Any, given: str) -> Verdict:
        """What an exact replay of the rounds says about the number of calls and their contexts."""
        prefix, gamma, max_new = inputs["prefix"], inputs["gamma"], inputs["max_new"]
        run, size = answer["runs"][0], len(prefix)
        target, draft = answer["calls"]["target"], answer["calls"]["draft"]
        if answer["counted"][0] != len(target):
            return wrong(f"{answer['counted'][0]} calls were reported, the target had {len(target)}; {given}")
        if any(context == before for before, context in itertools.pairwise(draft)):
            return wrong(f"the draft saw the same ids twice in a row: a guess follows the guesses before it; {given}")
        same = inputs["target"].shape == inputs["draft"].shape and np.array_equal(inputs["target"], inputs["draft"])
        sure = (inputs["target"].max(axis=1) == 1).all()
        at, rounds, guesses = size, [], 0
        while at < size + max_new:
            limit = min(gamma, size + max_new - at - 1)
            kept = limit if same else 0
            if not same and sure:
                q = [rows_of(inputs["draft"], run[: at + i])[-1].argmax() == run[at + i] for i in range(limit)]
                kept = next((i for i, agrees in enumerate(q) if not agrees), limit)
            rounds.append(at + limit)
            guesses += limit
            at += kept + 1
        if not same and not sure:
            rounds, guesses = [size + max_new - 1], 0
        if len(target) > len(rounds):
            limit = -(-max_new // gamma)
            if same and len(target) == limit and limit != len(rounds):
                return wrong(
                    f"{len(target)} calls: when all guesses are kept, the last row gives a bonus token; {given}"
                )
            return wrong(f"the target was called {len(target)} times; one call a round is {len(rounds)}; {given}")
        if len(target) < len(rounds):
            return wrong(f"{len(target)} calls of the target are too few to check all guesses; {given}")
        if [len(context) for context in target] != rounds:
            return wrong(
                f"the target was shown {shown([len(context) for context in target])} ids: all ids and guesses, "
                f"and never more guesses than tokens are still to be written less one; {given}"
            )
        if len(draft) != guesses:
            return wrong(f"the draft was called {len(draft)} times for {guesses} guesses; {given}")
        return right()

    @staticmethod
    def _joint(inputs: dict[str, Any], runs: list[tuple[int, ...]], given: str) -> Verdict:
        """The joint distribution of all new tokens; then, for a name, the first token alone."""
        target, draft, prefix = inputs["target"], inputs["draft"], inputs["prefix"]
        vocab, max_new = target.shape[1], inputs["max_new"]
        texts = list(itertools.product(range(vocab), repeat=max_new))
        joint = np.array(
            [math.prod(rows_of(target, [*prefix, *text[:at]])[-1][text[at]] for at in range(max_new)) for text in texts]
        )
        seen = Counter(runs)
        if chance(np.array([seen[text] for text in texts]), joint) > ALARM:
            return right()
        first = np.bincount([run[0] for run in runs], minlength=vocab)
        p, q = rows_of(target, prefix)[-1], rows_of(draft, prefix)[-1]
        both = np.minimum(p, q)
        apart = np.abs(p - q) / np.abs(p - q).sum()
        for probs, words in (
            (q, "the first token is distributed as the draft's: guesses must be checked"),
            (both + (1 - both.sum()) * p, "a rejected guess was replaced by a draw from p; draw from max(0, p - q)"),
            (both + (1 - both.sum()) * apart, "the residual is max(0, p - q), not |p - q|"),
        ):
            if chance(first, probs) > ALARM:
                return wrong(f"{words}; {given}")
        if chance(first, p) > ALARM:
            return wrong(
                f"the first token is right, what follows is not: is what stands behind a rejected guess thrown away, "
                f"and is each guess judged by the row before it? {given}"
            )
        return wrong(f"the texts are not distributed as the target's; {given}")


# ------------------------------------------------------------------------------------ 8.9 diversity


class Diversity(HiddenCheck):
    """8.9: texts of uneven length, too short ones, none; windows longer than the text."""

    exercise = "diversity"
    uses = ("distinct_n", "repetition_rate")
    criteria = {"distinct": 0.5, "repetition": 0.5}
    forbids = dict.fromkeys(
        (".sliding_window_view", "sliding_window_view"), "sliding windows are the page's stand-in: walk over the texts"
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Few tokens, so that much repeats."""
        sets = [[rng.integers(0, 4, size=size).tolist() for size in sizes] for sizes in ((7, 3, 12), (1, 5, 0, 2, 9))]
        sets += [[[1, 1, 1, 1]], [[3]], [[]], [], [[1, 2], [1, 2]], [[1, 2, 3, 4, 5, 6, 7]], [[5], [5], [5, 6]]]
        for samples in sets:
            for n in (1, 2, 3):
                yield Case("distinct", {"samples": samples, "n": n})
            for window in (1, 3, 50):
                yield Case("repetition", {"samples": samples, "n": window})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Both numbers, and the samples afterwards."""
        samples = [list(sample) for sample in inputs["samples"]]
        return {
            "distinct": float(student.distinct_n(samples, inputs["n"])),
            "repetition": float(student.repetition_rate(samples, inputs["n"])),
            "intact": samples == inputs["samples"],
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The number against those of each misconception."""
        samples, n = case.inputs["samples"], case.inputs["n"]
        given = f"{'n' if case.criterion == 'distinct' else 'window'}={n}, samples {shown(samples, 5)}"
        if not answer["intact"]:
            return wrong(f"the samples were changed by the call; {given}")
        got = answer[case.criterion]
        if not math.isfinite(got):
            return wrong(f"{got} came out where there is nothing to count: 0.0 was asked; {given}")
        joined = [token for sample in samples for token in sample]
        suspects: list[tuple[float, str]]
        if case.criterion == "distinct":
            want = self._distinct(samples, n)
            tokens = max(len(joined), 1)
            each = [self._distinct([sample], n) for sample in samples]
            suspects = [
                (self._distinct([joined], n), "an n-gram reached from one text into the next"),
                (len(self._grams(samples, n)) / tokens, "divided by the number of tokens; the n-grams are asked"),
                (sum(each) / max(len(each), 1), "a mean over texts: collect the n-grams of all texts first"),
                (1 - want, "that is the share that repeats; the share that differs is asked"),
            ]
        else:
            want = self._repetition(samples, n)
            repeats = self._repeats(samples, n)
            negative = sum(sample[at] in sample[at - n : at] for sample in samples for at in range(1, len(sample)))
            total = sum(max(0, len(sample) - 1) for sample in samples)
            suspects = [
                (negative / max(total, 1), "a negative start of a slice counts from the end: begin at 0"),
                (self._repetition([joined], n), "the window reached from one text into the next"),
                (repeats / max(len(joined), 1), "the first token of a text counts: it has nothing before it"),
                (self._repetition(samples, n - 1), "the window is one short"),
                (self._repetition(samples, n + 1), "the window is one too long"),
                (self._repetition(samples, 10**6), "the window has no effect"),
            ]
        if close(got, want):
            return right()
        for value, words in suspects:
            if close(got, value):
                return wrong(f"{words}; {given}")
        return wrong(f"{got:.4f} is not the share that was asked; {given}")

    @staticmethod
    def _grams(samples: Sequence[Sequence[int]], n: int) -> Counter[tuple[int, ...]]:
        found = Counter[tuple[int, ...]]()
        for sample in samples:
            found.update(zip(*(sample[shift:] for shift in range(n)), strict=False))
        return found

    @classmethod
    def _distinct(cls, samples: Sequence[Sequence[int]], n: int) -> float:
        grams = cls._grams(samples, n)
        return len(grams) / grams.total() if grams else 0.0

    @staticmethod
    def _repeats(samples: Sequence[Sequence[int]], window: int) -> int:
        repeats = 0
        for sample in samples:
            for at, token in enumerate(sample):
                back = [at - before for before in range(at) if sample[before] == token]
                repeats += bool(back) and min(back) <= window
        return repeats

    @classmethod
    def _repetition(cls, samples: Sequence[Sequence[int]], window: int) -> float:
        total = sum(max(0, len(sample) - 1) for sample in samples)
        return cls._repeats(samples, window) / total if total else 0.0
