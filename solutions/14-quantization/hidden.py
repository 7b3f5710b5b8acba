"""The hidden checks of chapter 14: what a right answer must do, and what each wrong one is told.

Expected values are computed here with numpy or plain Python, by other routes than the page's. Codes are held to what
a grid promises (the nearest point), so that a number midway between two points may go to either.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from grader.comparing import close, name_the_mistake
from grader.hidden import Case, HiddenCheck, Verdict, right, wrong

# --------------------------------------------------------------------------------- 14.1 distillation


class KdLoss(HiddenCheck):
    """14.1: temperatures that are not 1, padding that holds nan, logits that overflow."""

    exercise = "kd-loss"
    uses = ("kd_loss",)
    criteria = {"soft part": 1.0, "labels and padding": 1.0, "gradient and large logits": 1.0}
    forbids = dict.fromkeys(
        ("F.kl_div", ".kl_div", "torch.kl_div", "nn.KLDivLoss", "torch.nn.KLDivLoss", "KLDivLoss"),
        "the divergence is the exercise: a mean of differences of log-probabilities",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Batches and vocabularies of unlike size; alpha at its ends and between."""
        for batch, vocab, temperature, alpha in [(5, 7, 2.5, 1.0), (3, 11, 4.0, 1.0), (6, 4, 0.6, 1.0), (4, 6, 3, 0.3)]:
            yield self._case("soft part", rng, batch, vocab, temperature, alpha)
        for batch, vocab, temperature, alpha in [(6, 5, 2.0, 0.0), (7, 5, 2.0, 0.4), (9, 3, 0.5, 0.7), (5, 8, 3.0, 1)]:
            yield self._case("labels and padding", rng, batch, vocab, temperature, alpha, padded=batch // 2)
        for batch, vocab, temperature, alpha, size in [(5, 6, 2.0, 0.6, 1), (4, 7, 3.0, 1.0, 1), (4, 5, 1.5, 0.5, 1e4)]:
            yield self._case("gradient and large logits", rng, batch, vocab, temperature, alpha, size=size)

    @staticmethod
    def _case(
        criterion: str,
        rng: np.random.Generator,
        batch: int,
        vocab: int,
        temperature: float,
        alpha: float,
        padded: int = 0,
        size: float = 1,
    ) -> Case:
        scale = np.linspace(1, size, batch)[:, None]
        student, teacher = (rng.normal(size=(batch, vocab)) * 1.5 * scale for _ in range(2))
        labels = rng.integers(0, vocab, size=batch)
        empty = rng.permutation(batch)[:padded]
        labels[empty] = -100
        student[empty], teacher[empty] = np.nan, np.nan
        return Case(
            criterion,
            {"student": student, "teacher": teacher, "labels": labels, "temperature": temperature, "alpha": alpha},
        )

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The loss, what flows back to either side, and the inputs afterwards."""
        import torch

        learner = torch.tensor(inputs["student"], dtype=torch.float64, requires_grad=True)
        teacher = torch.tensor(inputs["teacher"], dtype=torch.float64, requires_grad=True)
        labels = torch.tensor(inputs["labels"])
        loss = student.kd_loss(learner, teacher, labels, inputs["temperature"], inputs["alpha"])
        if not isinstance(loss, torch.Tensor):
            return {"loss": float(loss), "shape": [], "flows": False}
        flows = loss.requires_grad
        if flows and loss.numel() == 1:
            loss.sum().backward()
        kept = [
            bool(torch.equal(torch.nan_to_num(now.detach()), torch.nan_to_num(torch.tensor(inputs[name]))))
            for now, name in ((learner, "student"), (teacher, "teacher"), (labels, "labels"))
        ]
        return {
            "loss": loss.detach(),
            "shape": list(loss.shape),
            "flows": flows,
            "gradient": None if learner.grad is None else learner.grad,
            "teacher": teacher.grad is not None and bool((teacher.grad != 0).any()),
            "intact": all(kept),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The loss, then where its gradient goes."""
        inputs = case.inputs
        temperature, alpha, labels = inputs["temperature"], inputs["alpha"], inputs["labels"]
        counted = labels != -100
        batch, vocab = inputs["student"].shape
        given = f"{batch} rows, {int((~counted).sum())} of them padding, temperature={temperature}, alpha={alpha}"
        if answer["shape"] not in ([], [1]):
            return wrong(f"the loss is one number, yours has the shape {answer['shape']}; {given}")
        if not answer.get("intact", True):
            return wrong(f"an input was changed by the call; {given}")
        got = float(np.asarray(answer["loss"]).reshape(()))
        s, t, y = inputs["student"][counted], inputs["teacher"][counted], labels[counted]
        log_q, log_p = _log_softmax(s / temperature), _log_softmax(t / temperature)
        p = np.exp(log_p)
        hard = -_log_softmax(s)[np.arange(len(y)), y].mean()
        soft = (p * (log_p - log_q)).sum(1).mean()
        want = alpha * temperature**2 * soft + (1 - alpha) * hard
        if not close(got, want):
            if not math.isfinite(got):
                return wrong(f"the loss is {got}: does padding enter, or is a logarithm taken of a 0? {given}")
            crossed = -(p * log_q).sum(1).mean()
            q = np.exp(log_q)
            back = (q * (log_q - log_p)).sum(1).mean()
            warm_hard = -log_q[np.arange(len(y)), y].mean()
            square, share = temperature**2, len(y) / batch
            hot = _log_softmax(t * temperature)
            suspects = [
                (alpha * soft + (1 - alpha) * hard, "the factor temperature² is missing"),
                (alpha * temperature * soft + (1 - alpha) * hard, "the factor is temperature², not temperature"),
                (
                    alpha * square * crossed + (1 - alpha) * hard,
                    "a cross-entropy with the teacher: it is not 0 when the student is right, KL is",
                ),
                (alpha * crossed + (1 - alpha) * hard, "a cross-entropy without the factor temperature²"),
                (alpha * square * back + (1 - alpha) * hard, "KL(student || teacher): the teacher's part comes first"),
                (
                    alpha * square * soft / vocab + (1 - alpha) * hard,
                    "the soft part is a mean over rows and tokens: sum over the vocabulary",
                ),
                (alpha * square * soft * len(y) + (1 - alpha) * hard, "the soft part is summed over the rows"),
                (alpha * square * soft + (1 - alpha) * warm_hard, "the labels' part has no temperature"),
                ((1 - alpha) * square * soft + alpha * hard, "alpha is the teacher's share, you gave it to the labels"),
                (alpha * square * soft + hard, "the labels' part has the weight 1 - alpha"),
                (square * (alpha * soft + (1 - alpha) * hard), "temperature² belongs to the soft part alone"),
                (
                    alpha * square * (np.exp(hot) * (hot - _log_softmax(s * temperature))).sum(1).mean()
                    + (1 - alpha) * hard,
                    "logits are divided by the temperature, you multiply",
                ),
            ]
            if share < 1:
                suspects += [
                    (alpha * square * soft * share + (1 - alpha) * hard, "the soft part is divided by all rows"),
                    (share * want, "both parts are divided by all rows, padding included"),
                ]
            return name_the_mistake(got, [(v, f"{w}; {given}") for v, w in suspects], f"not the loss; {given}")
        if not answer["flows"] or answer["gradient"] is None:
            return wrong(f"no gradient reaches the student's logits; {given}")
        if answer["teacher"]:
            return wrong(f"a gradient flows to the teacher: its logits are to be detached; {given}")
        slope = np.zeros((batch, vocab))
        one_hot = np.eye(vocab)[y]
        slope[counted] = alpha * temperature * (np.exp(log_q) - p) + (1 - alpha) * (np.exp(_log_softmax(s)) - one_hot)
        if not close(answer["gradient"], slope / len(y), atol=1e-9):
            return wrong(f"the value is right, the gradient of the student's logits is not; {given}")
        return right()


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


# --------------------------------------------------------------------------------- 14.2 a grid a row


class QuantizeAffine(HiddenCheck):
    """14.2: rows of unlike range and place, every number of bits, rows without a range."""

    exercise = "quantize-affine"
    uses = ("quantize_affine",)
    criteria = {"grid": 1.0, "rows without a range": 1.0, "what comes back": 1.0}
    forbids = dict.fromkeys(
        (
            *(".searchsorted", "torch.searchsorted", "np.searchsorted", ".bucketize", "torch.bucketize", "np.digitize"),
            *("torch.quantize_per_channel", "torch.quantize_per_tensor", "torch.fake_quantize_per_channel_affine"),
        ),
        "the grid is the exercise: subtract, divide, round",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """All sizes unlike; some matrices lie transposed in memory."""
        for rows, columns, bits in [(5, 7, 2), (3, 9, 4), (6, 4, 1), (4, 30, 8), (2, 11, 3), (3, 8, 6)]:
            yield Case("grid", {"weight": _draw_rows(rng, rows, columns), "bits": bits, "kind": "plain"})
        for rows, columns, bits in [(4, 6, 3), (5, 1, 4), (3, 2, 8)]:
            weight = _draw_rows(rng, rows, columns)
            weight[1], weight[2] = rng.normal(), 0.0
            yield Case("rows without a range", {"weight": weight, "bits": bits, "kind": "plain"})
        for kind in ("parameter", "float32", "transposed"):
            yield Case("what comes back", {"weight": _draw_rows(rng, 4, 6), "bits": 4, "kind": kind})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Codes and grids, their dtypes, and the weights afterwards."""
        import torch

        weight = torch.tensor(inputs["weight"], dtype=torch.float64)
        if inputs["kind"] == "parameter":
            weight = torch.nn.Parameter(weight)
        elif inputs["kind"] == "float32":
            weight = weight.float()
        elif inputs["kind"] == "transposed":
            weight = weight.T.contiguous().T
        before = weight.detach().clone()
        parts = student.quantize_affine(weight, inputs["bits"])
        return {
            "parts": [part.detach() for part in parts],
            "dtypes": [str(part.dtype) for part in parts],
            "gradient": any(part.requires_grad for part in parts),
            "intact": bool(torch.equal(weight.detach(), before)),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Form, then each row's grid, then codes."""
        weight, bits = case.inputs["weight"], case.inputs["bits"]
        single = case.inputs["kind"] == "float32"
        weight = weight.astype(np.float32).astype(np.float64) if single else weight
        given = f"{weight.shape[0]} x {weight.shape[1]} weights, {bits} bits"
        verdict = _form(answer, weight.shape, 1, "torch.float32" if single else "torch.float64", given)
        if verdict is not None:
            return verdict
        codes, scale, zero = (np.asarray(part, dtype=np.float64) for part in answer["parts"])
        low, high = weight.min(1, keepdims=True), weight.max(1, keepdims=True)
        return _judge_grid(weight, codes, scale, zero, low, high, bits, given, 1e-6 if single else 1e-9)


def _draw_rows(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Rows of very unlike range, most of them not around zero."""
    scale = np.exp(rng.uniform(-4, 3, size=(rows, 1)))
    return np.asarray((rng.normal(size=(rows, columns)) + rng.normal(size=(rows, 1))) * scale)


def _form(answer: Any, shape: tuple[int, ...], groups: int, dtype: str, given: str) -> Verdict | None:
    """What is wrong with shapes, types, gradients and inputs."""
    if not answer["intact"]:
        return wrong(f"the weights were changed by the call; {given}")
    if answer["gradient"]:
        return wrong(f"what comes back carries a gradient: detach the weights first; {given}")
    if len(answer["parts"]) != 3:
        return wrong(f"codes, scale and zero were asked, {len(answer['parts'])} things came back; {given}")
    codes, scale, zero = answer["parts"]
    if tuple(codes.shape) != shape:
        return wrong(f"the codes have shape {tuple(codes.shape)}, one for each weight was asked; {given}")
    for name, part in (("scale", scale), ("zero", zero)):
        if tuple(part.shape) != (shape[0], groups):
            return wrong(f"{name} has shape {tuple(part.shape)}, {(shape[0], groups)} was asked; {given}")
    if answer["dtypes"][0] != "torch.uint8":
        return wrong(f"codes are torch.uint8, yours are {answer['dtypes'][0]}; {given}")
    if answer["dtypes"][1:] != [dtype, dtype]:
        return wrong(f"scale and zero have the dtype of the weights, {dtype}; yours: {answer['dtypes'][1:]}; {given}")
    return None


def _judge_grid(
    weight: np.ndarray,
    codes: np.ndarray,
    scale: np.ndarray,
    zero: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    bits: int,
    given: str,
    tolerance: float,
) -> Verdict:
    """Grids and codes against the ends; all with one column for each column of the weights, or one."""
    if not (np.isfinite(scale).all() and np.isfinite(zero).all()):
        return wrong(f"a scale or a zero is not finite: is a range of 0 divided by? {given}")
    if (scale <= 0).any():
        return wrong(f"a scale is not above 0: weights that are all equal have no range, any step will do; {given}")
    flat = np.broadcast_to(high == low, weight.shape)
    off = np.abs(codes * scale + zero - weight)
    size = np.abs(weight).max() * tolerance
    if (off[flat] > size).any():
        return wrong(f"weights that are all equal came back changed: code 0 should stand for them; {given}")
    ranged = high > low
    step = np.where(ranged, (high - low) / (2**bits - 1), scale)
    loose = {"rtol": tolerance, "atol": 0.0}
    if not close(scale, step, **loose):
        most = np.maximum(np.abs(low), np.abs(high))
        whole = np.where(ranged, (weight.max() - weight.min()) / (2**bits - 1), scale)
        suspects = [
            (np.where(ranged, (high - low) / 2**bits, scale), "2^bits points have 2^bits - 1 steps between them"),
            (np.where(ranged, 2 * most / (2**bits - 1), scale), "a symmetric grid: it wastes codes on one side"),
            (whole, "one range for the whole matrix: each has its own"),
        ]
        for guess, words in suspects:
            if close(scale, guess, **loose):
                return wrong(f"{words}; {given}")
        return wrong(f"the scale is not the range divided by its steps; {given}")
    if not close(zero, low, rtol=tolerance, atol=size):
        return wrong(f"zero is what code 0 stands for, the smallest weight of those that share the grid; {given}")
    if (off > step * (0.5 + 1e-4 if tolerance > 1e-8 else 0.5 + 1e-9) + size).any():
        down = np.floor((weight - low) / step + 1e-9)
        if np.array_equal(np.where(flat, 0, codes), np.where(flat, 0, down)):
            return wrong(f"codes are cut off, not rounded: weights move by up to a whole step; {given}")
        return wrong(f"a weight moved by more than half a step: take the nearest code; {given}")
    return right()


# --------------------------------------------------------------------------------- 14.3 groups


class QuantizeGroups(HiddenCheck):
    """14.3: group sizes that divide the columns and do not, groups of one, and the price."""

    exercise = "quantize-groups"
    uses = ("quantize_groups", "effective_bits")
    criteria = {"groups": 1.0, "the last group": 1.0, "equal weights": 0.5, "price": 0.5}
    forbids = dict.fromkeys(
        ("np.minimum.reduceat", "np.maximum.reduceat", "numpy.minimum.reduceat", ".reduceat", "torch.searchsorted"),
        "the groups are the exercise: cut the columns into blocks",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Rows, columns and groups of unlike number."""
        for rows, columns, bits, size in [(5, 12, 2, 4), (3, 18, 4, 6), (4, 10, 3, 5)]:
            yield self._case("groups", _draw_rows(rng, rows, columns), bits, size)
        for rows, columns, bits, size in [(4, 11, 3, 4), (3, 7, 4, 6), (5, 9, 2, 5), (2, 6, 4, 50), (3, 5, 3, 5)]:
            weight = _draw_rows(rng, rows, columns) + np.where(rng.random((rows, 1)) < 0.5, 1, -1) * 9.0
            yield self._case("the last group", weight, bits, size)
        for rows, columns, bits, size in [(3, 10, 3, 3), (4, 5, 8, 1), (3, 8, 4, 4)]:
            weight = _draw_rows(rng, rows, columns)
            weight[0, :size], weight[1, -1] = 0.0, 0.0
            weight[2, -size:] = rng.normal()
            yield self._case("equal weights", weight, bits, size)
        for bits, size, meta in [(4, 32, 32), (3, 128, 16), (8, 64, 64), (2, 16, 32), (4, 32, 0)]:
            yield Case("price", {"bits": bits, "size": size, "meta": meta})

    @staticmethod
    def _case(criterion: str, weight: np.ndarray, bits: int, size: int) -> Case:
        return Case(criterion, {"weight": weight, "bits": bits, "size": size})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Codes and grids, or the price."""
        import torch

        if "weight" not in inputs:
            return float(student.effective_bits(inputs["bits"], inputs["size"], inputs["meta"]))
        weight = torch.tensor(inputs["weight"], dtype=torch.float64)
        parts = student.quantize_groups(weight, inputs["bits"], inputs["size"])
        return {
            "parts": [part.detach() for part in parts],
            "dtypes": [str(part.dtype) for part in parts],
            "gradient": False,
            "intact": bool(torch.equal(weight, torch.tensor(inputs["weight"], dtype=torch.float64))),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The price, or form, grids of the wrong groups, grids, codes."""
        bits, size = case.inputs["bits"], case.inputs["size"]
        if case.criterion == "price":
            return self._judge_price(answer, bits, size, case.inputs["meta"])
        weight = case.inputs["weight"]
        rows, columns = weight.shape
        count = math.ceil(columns / size)
        given = f"{rows} x {columns} weights, {bits} bits, groups of {size}"
        full = (rows, columns // size * size)
        if columns % size and len(answer["parts"]) == 3 and tuple(answer["parts"][0].shape) == full:
            return wrong(f"the rest of each row is lost: a shorter last group holds it; {given}")
        verdict = _form(answer, weight.shape, count, "torch.float64", given)
        if verdict is not None:
            return verdict
        codes, scale, zero = (np.asarray(part, dtype=np.float64) for part in answer["parts"])
        group_of = np.arange(columns) // size
        low = np.stack([weight[:, group_of == group].min(1) for group in range(count)], axis=1)
        high = np.stack([weight[:, group_of == group].max(1) for group in range(count)], axis=1)
        for guess, words in self._suspects(weight, size, count):
            if close(zero, guess, atol=1e-9) and not close(zero, low, atol=1e-9):
                return wrong(f"{words}; {given}")
        last = np.concatenate([np.zeros((rows, 1)), weight[:, group_of == count - 1]], axis=1)
        filled = (last.max(1) - last.min(1)) / (2**bits - 1)
        own = (high[:, -1] - low[:, -1]) / (2**bits - 1)
        if columns % size and close(scale[:, -1], filled, atol=1e-9) and not close(own, filled):
            return wrong(f"the zeros that fill up the last group are in its range; {given}")
        spread = (part[:, group_of] for part in (scale, zero, low, high))
        return _judge_grid(weight, codes, *spread, bits, given, 1e-9)

    @staticmethod
    def _suspects(weight: np.ndarray, size: int, count: int) -> list[tuple[np.ndarray, str]]:
        rows, columns = weight.shape
        row_low = np.repeat(weight.min(1, keepdims=True), count, axis=1)
        suspects = [(row_low, "one grid for the row: each group has its own")] if count > 1 else []
        numbers = weight.reshape(-1)
        if count > 1:
            filled = np.pad(numbers, (0, rows * count * size - numbers.size), mode="edge")
            flat = filled.reshape(rows, count, size).min(2)
            suspects.append((flat, "groups reach from one row into the next: they begin anew in each row"))
        if columns > size and columns % size:
            filled = np.concatenate([weight, np.zeros((rows, -columns % size))], axis=1)
            padded = filled.reshape(rows, count, size).min(2)
            suspects.append((padded, "the zeros that fill up the last group are in its range"))
            starts = [*range(0, (count - 1) * size, size), columns - size]
            moved = np.stack([weight[:, start : start + size].min(1) for start in starts], axis=1)
            suspects.append((moved, "the last group was moved back to be full: it is shorter"))
        apart = np.stack([weight[:, at::count].min(1) for at in range(count)], axis=1)
        suspects.append((apart, "a group is made of neighbours; yours takes every few columns one"))
        return suspects

    @staticmethod
    def _judge_price(got: Any, bits: int, size: int, meta: int) -> Verdict:
        given = f"{bits} bits, groups of {size}, {meta} bits for each group"
        if close(got, (bits * size + meta) / size):
            return right()
        return name_the_mistake(
            got,
            [
                (bits, f"scale and zero of the group cost nothing in this count; {given}"),
                (32 / bits, f"that is a factor, and without the scales; {given}"),
                (32 * size / (bits * size + meta), f"that is how much smaller than fp32; bits were asked; {given}"),
                (bits + meta, f"a group shares its scale and zero: each weight has its part of them; {given}"),
                (bits * size + meta, f"bits of a whole group; those of one weight were asked; {given}"),
                (bits + 2 * meta / size, f"meta_bits are scale and zero together; you count them twice; {given}"),
            ],
            f"not the bits of a weight with its share of the group's; {given}",
        )


# --------------------------------------------------------------------------------- 14.4 packing


class Pack4(HiddenCheck):
    """14.4: codes above 7, odd lengths, one and three axes, and codes that do not fit."""

    exercise = "pack4"
    uses = ("pack4", "unpack4")
    criteria = {"halves": 1.0, "odd rows and axes": 0.5, "codes that do not fit": 0.5}
    forbids = dict.fromkeys((".fromhex", "bytes.fromhex", "bytearray.fromhex"), "shift by four bits instead")

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Every dtype of integers; all sixteen codes."""
        for shape, dtype in [((3, 8), "uint8"), ((2, 16), "int64"), ((5, 4), "int32"), ((4, 6), "int8")]:
            yield self._case("halves", rng, shape, dtype)
        for shape, dtype in [
            ((7,), "uint8"),
            ((1,), "int64"),
            ((2, 3, 5), "uint8"),
            ((3, 2, 4), "int16"),
            ((4, 9), "int8"),
        ]:
            yield self._case("odd rows and axes", rng, shape, dtype)
        for bad in (16, -1, 200, 255):
            codes = rng.integers(0, 16, size=(2, 5))
            codes[1, int(rng.integers(0, 5))] = bad
            yield Case("codes that do not fit", {"codes": codes, "dtype": "int64"})
        codes = rng.integers(0, 16, size=(2, 5))
        codes[0, :2] = 0, 15
        yield Case("codes that do not fit", {"codes": codes, "dtype": "int64"})

    @staticmethod
    def _case(criterion: str, rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Case:
        codes = rng.integers(0, 16, size=shape)
        codes.reshape(-1)[0] = 9
        codes.reshape(-1)[-1] = 14
        return Case(criterion, {"codes": codes, "dtype": dtype})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Bytes, or the refusal; and codes back from bytes that are right."""
        import torch

        codes = torch.tensor(inputs["codes"]).to(getattr(torch, inputs["dtype"]))
        before = codes.clone()
        try:
            packed = student.pack4(codes)
        except ValueError as error:
            return {"refused": str(error)[:100]}
        n = codes.shape[-1]
        filled = torch.cat([before.long(), torch.zeros(*codes.shape[:-1], n % 2, dtype=torch.long)], dim=-1)
        good = (filled[..., 0::2] + 16 * filled[..., 1::2]).clamp(0, 255).to(torch.uint8)
        kept = good.clone()
        back = student.unpack4(good, n)
        return {
            "packed": packed,
            "back": back,
            "dtypes": [str(packed.dtype), str(back.dtype)],
            "intact": bool(torch.equal(codes, before)) and bool(torch.equal(good, kept)),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Refusal, bytes, codes back."""
        codes = case.inputs["codes"]
        n = codes.shape[-1]
        given = f"codes of shape {codes.shape}, {case.inputs['dtype']}"
        fits = codes.min() >= 0 and codes.max() <= 15
        if not fits:
            if "refused" in answer:
                return right()
            return wrong(f"a ValueError was asked: a code of {codes.min()} or {codes.max()} spills over; {given}")
        if "refused" in answer:
            return wrong(f"a ValueError although all codes are 0 to 15: {answer['refused']}; {given}")
        if not answer["intact"]:
            return wrong(f"an input was changed by the call; {given}")
        if answer["dtypes"] != ["torch.uint8", "torch.uint8"]:
            return wrong(f"bytes and codes are torch.uint8, yours are {answer['dtypes']}; {given}")
        want = self._bytes(codes, 0, 1)
        packed = np.asarray(answer["packed"], dtype=np.int64)
        if packed.shape != want.shape:
            if n % 2 and packed.shape == (*want.shape[:-1], n // 2):
                return wrong(f"the last code of an odd row is lost; {given}")
            return wrong(f"bytes of shape {packed.shape}, {want.shape} were asked; {given}")
        if not np.array_equal(packed, want):
            if np.array_equal(packed, self._bytes(codes, 1, 0)):
                return wrong(f"the halves are exchanged: the even place belongs into the low half; {given}")
            half = n // 2
            if n % 2 == 0 and np.array_equal(packed, codes[..., :half] + 16 * codes[..., half:]):
                return wrong(f"neighbours share a byte; you put the second half of the row on the first; {given}")
            return wrong(f"the bytes are not low + 16 · high; {given}")
        back = np.asarray(answer["back"], dtype=np.int64)
        if back.shape != codes.shape:
            return wrong(f"unpack4 gave the shape {back.shape} back: the first n codes of each row; {given}")
        if np.array_equal(back, codes):
            return right()
        if n % 2 == 0 and np.array_equal(back, np.stack([codes[..., 1::2], codes[..., 0::2]], -1).reshape(codes.shape)):
            return wrong(f"unpack4 exchanges the halves: the low half comes first; {given}")
        if np.array_equal(back & 15, codes):
            return wrong(f"unpack4 keeps the sign of a byte when it shifts: codes above 7 come out wrong; {given}")
        if np.array_equal(back, np.concatenate([want & 15, want >> 4], axis=-1)[..., :n]):
            return wrong(f"unpack4 gives all low halves, then all high ones: neighbours belong together; {given}")
        return wrong(f"unpack4 does not give the codes back; {given}")

    @staticmethod
    def _bytes(codes: np.ndarray, low: int, high: int) -> np.ndarray:
        padding = [(0, 0)] * (codes.ndim - 1) + [(0, codes.shape[-1] % 2)]
        filled = np.pad(codes, padding)
        return np.asarray(filled[..., low::2] + 16 * filled[..., high::2])


# --------------------------------------------------------------------------------- 14.5 integers


class Int8Linear(HiddenCheck):
    """14.5: loud and quiet tokens, codes above 127, sums that overflow or cancel exactly."""

    exercise = "int8-linear"
    uses = ("int8_linear",)
    criteria = {"product": 1.0, "exact sums": 1.0, "shapes, dtype and inputs": 1.0}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Batch, rows and columns of unlike number; then the square ones."""
        for batch, columns, rows in [(3, 7, 5), (2, 12, 4), (6, 5, 3)]:
            yield Case("product", self._draw(rng, batch, columns, rows))
        long = self._draw(rng, 2, 6000, 5)
        long["x"] = np.abs(long["x"]) + 0.1
        yield Case("exact sums", long)
        for _ in range(2):
            yield Case("exact sums", self._cancelling(rng))
        for batch, columns, rows, dtype in [
            *((4, 6, 4, "float64"), (1, 5, 3, "float64")),
            *((5, 4, 1, "float32"), (3, 9, 4, "float32")),
        ]:
            drawn = self._draw(rng, batch, columns, rows)
            if batch > 3:
                drawn["x"][2] = 0.0
            yield Case("shapes, dtype and inputs", {**drawn, "dtype": dtype})

    @staticmethod
    def _draw(rng: np.random.Generator, batch: int, columns: int, rows: int) -> dict[str, Any]:
        loudness = np.exp(rng.uniform(-3, 3, size=(batch, 1)))
        return {
            "x": (rng.normal(size=(batch, columns)) + 0.3) * loudness,
            "codes": rng.integers(0, 256, size=(rows, columns)),
            "scale": np.exp(rng.uniform(-3, 1, size=(rows, 1))),
            "zero": rng.normal(size=(rows, 1)) * 3 - 1,
            "dtype": "float64",
        }

    @staticmethod
    def _cancelling(rng: np.random.Generator) -> dict[str, Any]:
        """One token whose integer products sum to exactly 0 in every row, with zeros of 0."""
        a = np.concatenate([rng.integers(-127, 128, size=200), [127], np.tile([100, -100], 60), np.tile([1, -1], 2)])
        codes = []
        for _ in range(4):
            row = rng.integers(0, 256, size=len(a))
            row[201:] = 0
            left = -int(a @ row)
            for place in range(201, len(a)):
                if left and (a[place] > 0) == (left > 0):
                    row[place] = min(255, left // int(a[place]))
                    left -= int(a[place]) * int(row[place])
            assert int(a @ row) == 0, "the last codes make up for the others"
            codes.append(row)
        return {
            "x": 0.37 * a[None].astype(np.float64),
            "codes": np.array(codes),
            "scale": np.exp(rng.uniform(-3, 1, size=(4, 1))),
            "zero": np.zeros((4, 1)),
            "dtype": "float64",
        }

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The output, its dtype, and the inputs afterwards."""
        import torch

        dtype = getattr(torch, inputs["dtype"])
        x, scale, zero = (torch.tensor(inputs[name]).to(dtype) for name in ("x", "scale", "zero"))
        codes = torch.tensor(inputs["codes"]).to(torch.uint8)
        before = [part.clone() for part in (x, codes, scale, zero)]
        out = student.int8_linear(x, codes, scale, zero)
        return {
            "out": out.detach(),
            "dtype": str(out.dtype),
            "intact": all(bool(torch.equal(a, b)) for a, b in zip((x, codes, scale, zero), before, strict=True)),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Shape and dtype, then the value with and without each of its parts."""
        inputs = case.inputs
        number = np.dtype(inputs["dtype"])
        x, scale, zero = (inputs[name].astype(number) for name in ("x", "scale", "zero"))
        codes = inputs["codes"]
        given = f"{len(x)} tokens, {x.shape[1]} columns, {len(codes)} outputs, {number}"
        if not answer["intact"]:
            return wrong(f"an input was changed by the call; {given}")
        got = np.asarray(answer["out"])
        if got.shape != (len(x), len(codes)):
            return wrong(f"the shape is {got.shape}, (batch, rows) was asked: {(len(x), len(codes))}; {given}")
        if answer["dtype"] != f"torch.{number}":
            return wrong(f"the result has the dtype of x, yours has {answer['dtype']}; {given}")
        s = np.maximum(np.abs(x).max(1, keepdims=True) / number.type(127), np.finfo(number).tiny)
        a = np.rint(x / s).astype(np.int64)
        s, scale, zero = (part.astype(np.float64) for part in (s, scale, zero))
        products, sums = a @ codes.T, a.sum(1, keepdims=True)

        def result(products: Any, sums: Any) -> np.ndarray:
            return np.asarray(s * (scale.T * products + zero.T * sums))

        want = result(products, sums)
        floor = float((s * (scale.T * (np.abs(a) @ codes.T) + np.abs(zero.T) * np.abs(a).sum(1, keepdims=True))).max())
        loose = {"rtol": 1e-5, "atol": 1e-6 * floor} if number == np.float32 else {"rtol": 1e-10, "atol": 1e-13 * floor}
        if case.criterion == "exact sums" and not zero.any():
            loose = {"rtol": 0.0, "atol": 0.0}
        if close(got, want, **loose):
            return right()
        q = codes.astype(np.float64)
        real = x.astype(np.float64) @ (q * scale + zero).T
        rounded = (s * a) @ (q * scale + zero).T
        one = np.abs(x).max() / 127
        whole = np.rint(x / one)
        exact = "the sums are not exact: they are sums of integers of 32 bits, scaled at the end"
        suspects = [
            (result(products, 0), "the zeros of the weights are missing: zero times the sum of the token's codes"),
            (result(products, sums) / s, "the activations' own scale is missing"),
            (
                result(products, codes.sum(1)[None]),
                "zero goes with the sum of the activations' codes, not of the weights'",
            ),
            (s * scale.T * products + zero.T * sums, "the zero's term is scaled by the activations' scale, too"),
            (
                s * scale.T * (products + zero.T * sums),
                "zero is a number in the units of the weights: scale is not applied to it",
            ),
            (result(_wrapped(products, 8), _wrapped(sums, 8)), "the products wrap around in 8 bits"),
            (result(_wrapped(a @ _wrapped(codes, 8).T, 8), sums), "the products wrap around in 8 bits"),
            (result(a @ _wrapped(codes, 8).T, sums), "codes above 127 do not fit int8: they turned negative"),
            (result(_wrapped(products, 16), sums), "the sums wrap around in 16 bits"),
            (result(_wrapped(products, 16), _wrapped(sums, 16)), "the sums wrap around in 16 bits"),
            (one * (scale.T * (whole @ codes.T) + zero.T * whole.sum(1, keepdims=True)), "one scale for all tokens"),
        ]
        for value, words in suspects:
            if close(got, value, rtol=1e-6, atol=1e-9 * floor) and not close(got, want, rtol=1e-6, atol=1e-9 * floor):
                return wrong(f"{words}; {given}")
        if close(got, rounded, rtol=1e-5, atol=1e-6 * floor):
            return wrong(f"{exact}; {given}")
        if close(got, real, rtol=1e-6, atol=1e-7 * floor):
            return wrong(f"the activations are not rounded: quantize_tokens comes first; {given}")
        return wrong(f"not s · (scale · Σ a q + zero · Σ a); {given}")


def _wrapped(values: Any, bits: int) -> np.ndarray:
    """What is left of integers in so many bits, with a sign."""
    half = 1 << (bits - 1)
    return np.asarray((np.asarray(values) + half) % (1 << bits) - half)


# --------------------------------------------------------------------------------- 14.6 clipping

CUTS = np.linspace(0, 0.27, 10).astype(np.float32).astype(np.float64)
PAIRS = list(itertools.product(CUTS, CUTS))


class ClipSearch(HiddenCheck):
    """14.6: inputs of unlike loudness, groups whose inputs are alike, rests and equal weights."""

    exercise = "clip-search"
    uses = ("clip_search",)
    criteria = {"cuts": 1.5, "never worse": 1.5, "rests and equal weights": 1.0}
    forbids = dict.fromkeys((".quantile", "torch.quantile", "np.quantile"), "try the pairs of CUTS")

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Rows whose chosen grids are worse together are among those of "never worse"."""
        for rows, groups, size, bits in [(7, 1, 9, 2), (5, 1, 14, 3), (6, 1, 8, 1)]:
            yield self._case("cuts", rng, rows, groups * size, size, bits, alike=False)
        for rows, groups, size, bits in [(9, 2, 8, 2), (8, 3, 7, 3)]:
            yield self._case("never worse", rng, rows, groups * size, size, bits, alike=True)
        for rows, columns, size, bits in [(6, 13, 5, 2), (4, 6, 20, 2), (5, 9, 3, 2)]:
            case = self._case("rests and equal weights", rng, rows, columns, size, bits, alike=False)
            case.inputs["weight"][1, :size] = 0.25
            case.inputs["weight"][2] = 0.0
            yield case
        silent = self._case("rests and equal weights", rng, 5, 12, 4, 2, alike=False)
        silent.inputs["inputs"][:, 4:8] = 0.0  # every pair of cuts is as good as the first
        yield silent

    @staticmethod
    def _case(
        criterion: str, rng: np.random.Generator, rows: int, columns: int, size: int, bits: int, alike: bool
    ) -> Case:
        while True:
            weight = rng.normal(size=(rows, columns)) ** 3 + rng.normal(size=(rows, 1))
            loud = np.exp(rng.uniform(-1.5, 1.5, size=columns))
            inputs = rng.normal(size=(11, columns)) * loud + 0.5 * loud
            if alike:
                inputs = np.repeat(rng.normal(size=(11, columns // size)), size, axis=1)
                inputs = inputs[:, :1] + 0.05 * rng.normal(size=(11, columns))
            case = Case(criterion, {"weight": weight, "inputs": inputs, "bits": bits, "size": size})
            if not alike:
                return case
            found = _search(case.inputs)
            worse = found["total"] > found["plain total"] * 1.001
            better = found["total"] < found["plain total"] * 0.999
            if worse.sum() >= 2 and better.sum() >= 2:
                return case

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The grids, and the inputs afterwards."""
        import torch

        weight, x = (torch.tensor(inputs[name], dtype=torch.float64) for name in ("weight", "inputs"))
        before = weight.clone(), x.clone()
        scale, zero = student.clip_search(weight, inputs["bits"], inputs["size"], x)
        return {
            "scale": scale.detach(),
            "zero": zero.detach(),
            "intact": bool(torch.equal(weight, before[0])) and bool(torch.equal(x, before[1])),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Form; then whether each group's error is the least; then the whole rows."""
        inputs = case.inputs
        weight, bits, size = (inputs[name] for name in ("weight", "bits", "size"))
        rows, columns = weight.shape
        count = math.ceil(columns / size)
        given = f"{rows} x {columns} weights, {bits} bits, groups of {size}"
        if not answer["intact"]:
            return wrong(f"an input was changed by the call; {given}")
        scale, zero = (np.asarray(answer[name], dtype=np.float64) for name in ("scale", "zero"))
        if scale.shape != (rows, count) or zero.shape != (rows, count):
            return wrong(
                f"scale and zero have shape {scale.shape} and {zero.shape}, {(rows, count)} was asked; {given}"
            )
        if not (np.isfinite(scale).all() and np.isfinite(zero).all() and (scale > 0).all()):
            return wrong(f"a scale is not a number above 0: a group of equal weights has no range; {given}")
        found = _search(inputs)
        if self._least(found, scale, zero):
            return right()
        plain = found["plain scale"], found["plain zero"]
        if self._same(found, scale, zero, *plain):
            return wrong(f"these are the ends of the range: no cut was taken, or none was better; {given}")
        if self._same(found, scale, zero, found["best scale"], found["best zero"]):
            return wrong(f"some rows are worse than uncut: best for each group may be bad for the whole row; {given}")
        for way, words in [
            ("weights", "the least error of the weights; that of the output was asked, loud inputs count more"),
            ("symmetric", "the same cut at both ends: all pairs of CUTS were asked"),
            ("first inputs", "each group has its own columns of the inputs; you take those of the first"),
            ("absolute", "the squared change of the output is to be least; you add up its size"),
            ("one pair", "each row of a group has its own pair: yours share one"),
            ("levels", "2^bits points have 2^bits - 1 steps between them"),
            ("clipless", "weights beyond a cut go to the end of the grid: limit the codes to 0 ... 2^bits - 1"),
        ]:
            guess = _search(inputs, way)
            for kind in ("", "best "):
                if self._same(found, scale, zero, guess[f"{kind}scale"], guess[f"{kind}zero"]):
                    return wrong(f"{words}; {given}")
        total = _changes(inputs, scale, zero)
        if (total > found["plain total"] * (1 + 1e-9) + 1e-12).any():
            return wrong(f"some rows' outputs are worse than with uncut grids; {given}")
        return wrong(f"some groups have a pair of cuts with a smaller change of the output; {given}")

    @staticmethod
    def _least(found: Mapping[str, Any], scale: np.ndarray, zero: np.ndarray) -> bool:
        """Whether each group has a pair with the least error, or the uncut one where the row fell back."""
        for (row, at), flat in np.ndenumerate(found["flat"]):
            losses, steps, zeros = (part[:, row] for part in found["tables"][at])
            good = np.flatnonzero(losses <= losses.min() * (1 + 1e-6))
            if found["worse"][row] or losses.min() == 0:
                good = np.array([0])  # of pairs that are all without error, the first
            near = np.isclose(zero[row, at], zeros[good], rtol=0, atol=1e-6 * steps[0])
            if not (near & (flat | np.isclose(scale[row, at], steps[good], rtol=1e-6, atol=0))).any():
                return False
        return True

    @staticmethod
    def _same(
        found: Mapping[str, Any], scale: np.ndarray, zero: np.ndarray, want: np.ndarray, want_zero: np.ndarray
    ) -> bool:
        flat = found["flat"]  # any step will do where there is no range
        return close(np.where(flat, 1, scale), np.where(flat, 1, want), rtol=1e-6) and close(
            zero, want_zero, rtol=0, atol=1e-6 * float(scale.max())
        )


def _search(inputs: Mapping[str, Any], way: str = "") -> dict[str, Any]:
    """The grids that were asked for, or those of a slip; row by row and pair by pair."""
    weight, x, bits, size = (inputs[name] for name in ("weight", "inputs", "bits", "size"))
    rows, columns = weight.shape
    starts = range(0, columns, size)
    names = ("scale", "zero", "plain scale", "plain zero", "flat")
    found: dict[str, Any] = {name: np.zeros((rows, len(starts))) for name in names}
    found["tables"] = []
    top = 2**bits - 1
    for at, start in enumerate(starts):
        part, seen = weight[:, start : start + size], x[:, start : start + size]
        if way == "first inputs":
            seen = x[:, : part.shape[1]]
        low, high = part.min(1), part.max(1)
        losses, grids = [], []
        for below, above in PAIRS:
            if way == "symmetric" and below != above:
                continue
            zero = low + below * (high - low)
            step = (high - above * (high - low) - zero) / (top + 1 if way == "levels" else top)
            step = np.where(step > 0, step, 1.0)
            codes = np.rint((part - zero[:, None]) / step[:, None])
            if way != "clipless":
                codes = np.clip(codes, 0, top)
            change = codes * step[:, None] + zero[:, None] - part
            out = change if way == "weights" else change @ seen.T
            losses.append((np.abs(out) if way == "absolute" else out**2).sum(1))
            grids.append((step, zero))
        table = np.array(losses)
        found["tables"].append((table, *(np.array(part) for part in zip(*grids, strict=True))))
        if way == "one pair":
            table = np.repeat(table.sum(1, keepdims=True), rows, axis=1)
        # Of equal losses the first; rounding errors are no difference.
        least = (table <= table.min(0) * (1 + 1e-12) + 1e-15 * np.abs(part).max()).argmax(0)
        every = np.arange(rows)
        found["scale"][:, at] = np.array([step for step, _ in grids])[least, every]
        found["zero"][:, at] = np.array([zero for _, zero in grids])[least, every]
        found["plain scale"][:, at], found["plain zero"][:, at] = grids[0]
        found["flat"][:, at] = low == high
    found["flat"] = found["flat"] > 0
    found["best scale"], found["best zero"] = found["scale"].copy(), found["zero"].copy()
    found["total"] = _changes(inputs, found["scale"], found["zero"])
    found["plain total"] = _changes(inputs, found["plain scale"], found["plain zero"])
    found["worse"] = worse = found["total"] > found["plain total"]
    for name in ("scale", "zero"):
        found[name][worse] = found[f"plain {name}"][worse]
    return found


def _changes(inputs: Mapping[str, Any], scale: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """The squared change of each row's whole output."""
    weight, size = inputs["weight"], inputs["size"]
    group_of = np.arange(weight.shape[1]) // size
    scale, zero = scale[:, group_of], zero[:, group_of]
    codes = np.clip(np.rint((weight - zero) / scale), 0, 2 ** inputs["bits"] - 1)
    return np.asarray((((codes * scale + zero - weight) @ inputs["inputs"].T) ** 2).sum(1))


# --------------------------------------------------------------------------------- 14.7 bytes


class QuantizedBytes(HiddenCheck):
    """14.7: columns that fill no byte and no group, half precision, convolutions, a shared matrix."""

    exercise = "quantized-bytes"
    uses = ("quantized_bytes",)
    criteria = {"matrices": 1.0, "everything else": 1.0}
    forbids = dict.fromkeys((".state_dict", "model.state_dict"), "go through the parameters")

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Layers as lists: a kind and sizes."""
        d, e, f = (int(n) for n in rng.permutation(np.arange(17, 32, 2))[:3])
        for layers, bits, size in [
            ([["plain", d, e]], 3, 4),
            ([["plain", 2 * d, f], ["plain", e, d]], 4, 4),
            ([["embedding", f, e]], 2, 4),
            ([["embedding", e, d], ["plain", d, 7]], 8, 6),
            ([["conv", 4, 3, 5]], 3, 4),
            ([["plain", d, f]], 5, 64),
        ]:
            yield Case("matrices", {"layers": layers, "bits": bits, "size": size, "half": False, "tied": False})
        for layers, bits, size, half, tied in [
            ([["linear", d, e], ["norm", e]], 4, 4, False, False),
            ([["linear", d, e], ["norm", e]], 5, 6, True, False),
            ([["embedding", f, d], ["norm", d], ["plain", d, f]], 4, 4, False, True),
            ([["norm", f]], 4, 8, False, False),
        ]:
            yield Case("everything else", {"layers": layers, "bits": bits, "size": size, "half": half, "tied": tied})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The count, and whether the model is as it was."""
        import torch
        from torch import nn

        make = {
            "plain": lambda a, b: nn.Linear(a, b, bias=False),
            "linear": nn.Linear,
            "embedding": nn.Embedding,
            "norm": nn.LayerNorm,
            "conv": lambda out, into, width: nn.Conv1d(into, out, width, bias=False),
        }
        model = nn.Sequential(*(make[kind](*sizes) for kind, *sizes in inputs["layers"]))
        if inputs["tied"]:
            model[2].weight = model[0].weight
        if inputs["half"]:
            model = model.half()
        before = [(p.dtype, p.detach().clone()) for p in model.parameters()]
        count = student.quantized_bytes(model, inputs["bits"], inputs["size"])
        after = list(model.parameters())
        intact = len(after) == len(before) and all(
            p.dtype == dtype and bool(torch.equal(p.detach(), kept))
            for p, (dtype, kept) in zip(after, before, strict=True)
        )
        return {"count": float(count), "kind": type(count).__name__, "intact": intact}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The count against those of each slip."""
        inputs = case.inputs
        bits, size, own = inputs["bits"], inputs["size"], 2 if inputs["half"] else 4
        given = f"{inputs['layers']}{', tied' if inputs['tied'] else ''}, {bits} bits, groups of {size}"
        if not answer["intact"]:
            return wrong(f"the model was changed by the call; {given}")
        matrices, vectors = self._sizes(inputs["layers"])
        stored = matrices[:-1] if inputs["tied"] else matrices
        rest = sum(n for n, _ in vectors) * own

        def total(codes: Any, groups: Any, each: int = 4, rest: int = rest, over: Sequence[Any] = stored) -> float:
            return float(sum(codes(r, c) + each * groups(r, c) for r, c, _ in over) + rest)

        def row_codes(r: int, c: int) -> int:
            return r * math.ceil(c * bits / 8)

        def row_groups(r: int, c: int) -> int:
            return r * math.ceil(c / size)

        want = total(row_codes, row_groups)
        got = answer["count"]
        if got == want:
            if answer["kind"] not in ("int", "int64"):
                return wrong(f"a number of bytes is a whole number, an int; yours is a {answer['kind']}; {given}")
            return right()
        packed_rest = sum(n for n, _ in vectors)
        only_linear = [m for m in stored if m[2] != "embedding"]
        embedded = sum(r * c * own for r, c, kind in stored if kind == "embedding")
        suspects = [
            (total(row_codes, row_groups, over=matrices), "a shared matrix is stored once, you count it twice"),
            (total(row_codes, row_groups, 0), "scales and zeros are missing"),
            (total(row_codes, row_groups, 2), "each group has a scale and a zero, 2 bytes each: you count one of them"),
            (total(row_codes, row_groups, 8), "scale and zero take 2 bytes each, you count 4 each"),
            (total(row_codes, lambda r, c: r), "each group has a scale and a zero, you count one pair a row"),
            (total(row_codes, lambda r, c: 1), "each group has a scale and a zero, you count one pair a matrix"),
            (total(row_codes, lambda r, c: r * (c // size)), "the shorter last group has a scale and a zero, too"),
            (total(row_codes, row_groups, over=only_linear, rest=rest + embedded), "embeddings are matrices, too"),
            (total(row_codes, row_groups, over=only_linear), "the embeddings are missing"),
            (total(row_codes, row_groups, rest=0), "biases and gains are missing"),
            (total(row_codes, row_groups, rest=packed_rest * 4), "biases and gains have the bytes of their own dtype"),
            (
                total(
                    row_codes,
                    row_groups,
                    rest=sum(math.ceil(n * bits / 8) + 4 * math.ceil(n / size) for n, _ in vectors),
                ),
                "biases and gains stay as they are, you pack them",
            ),
            (total(lambda r, c: r * (c * bits // 8), row_groups), "a byte that is not full is a byte: round up"),
            (total(lambda r, c: math.ceil(r * c * bits / 8), row_groups), "each row starts with a byte of its own"),
            (
                total(lambda r, c: math.ceil(r * c * bits / 8), lambda r, c: math.ceil(r * c / size)),
                "groups and bytes begin anew in each row",
            ),
            (total(row_codes, lambda r, c: math.ceil(r * c / size)), "groups begin anew in each row"),
            (
                total(lambda r, c: r * c * bits / 8, lambda r, c: r * c / size),
                "bytes and groups that are not full are rounded up, row by row",
            ),
            (total(lambda r, c: r * c, row_groups), "a code takes its bits, not a byte"),
            (sum(r * c * own for r, c, _ in stored) * bits / 32 + rest * bits / 32, "that is the size times bits / 32"),
        ]
        conv = [(r, c) for r, c, kind in stored if kind == "conv"]
        if conv:
            suspects.append((float(rest + sum(r * c * own for r, c in conv)), "two or more axes make a matrix"))
        return name_the_mistake(got, [(v, f"{w}; {given}") for v, w in suspects], f"not the bytes stored; {given}")

    @staticmethod
    def _sizes(layers: Sequence[Sequence[Any]]) -> tuple[list[tuple[int, int, str]], list[tuple[int, str]]]:
        matrices, vectors = [], []
        for kind, *sizes in layers:
            if kind in ("plain", "linear"):
                matrices.append((sizes[1], sizes[0], kind))
            elif kind == "embedding":
                matrices.append((sizes[0], sizes[1], kind))
            elif kind == "conv":
                matrices.append((sizes[0], sizes[1] * sizes[2], kind))
            if kind == "linear":
                vectors.append((sizes[1], kind))
            elif kind == "norm":
                vectors.append((2 * sizes[0], kind))
        return matrices, vectors
