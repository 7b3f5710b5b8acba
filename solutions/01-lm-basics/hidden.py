"""The hidden checks of chapter 1: what a right answer must do, and what each wrong one is told.

Every expected value is computed here, in float64, from the inputs alone. Where a common mistake has a
value of its own, the judge computes that too and names the mistake when the answer equals it. Data are
drawn so that one can tell mistakes apart: all sizes differ, rows are unsorted, masks are ragged,
contexts are seen, unseen, short and long.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from grader.comparing import close, name_the_mistake
from grader.hidden import Case, HiddenCheck, Verdict, right, wrong

# ---------------------------------------------------------------------------------- 1.1 the chain rule


class SequenceLogprob(HiddenCheck):
    """1.1: contexts are judged before values, because they show which conditional was asked for."""

    exercise = "sequence-logprob"
    uses = ("sequence_logprob",)
    criteria = {"conditionals": 1.5, "long text": 1.0, "impossible and empty text": 0.5}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Random Markov tables over vocab_size tokens, the last of which is BOS."""
        for criterion, vocab_size, seq in [
            ("conditionals", 6, 9),
            ("conditionals", 4, 1),
            ("long text", 40, 500),
        ]:
            ids = rng.integers(0, vocab_size - 1, size=seq).tolist()
            yield Case(criterion, _markov(rng, vocab_size) | {"ids": ids})
        blocked = _markov(rng, 5)
        ids = [0, 2, 1, 3, 3]
        blocked["table"][2, 1] = 0.0
        blocked["table"][2] /= blocked["table"][2].sum()
        yield Case("impossible and empty text", blocked | {"ids": ids})
        yield Case("impossible and empty text", _markov(rng, 5) | {"ids": []})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Record every context that the student asks for."""
        table, ids, contexts, kinds = inputs["table"], list(inputs["ids"]), [], set()

        def cond(context):  # travels as text: no annotations inside a probe
            contexts.append([int(token) for token in context])
            kinds.add(type(context).__name__)
            return table[contexts[-1][-1]].copy()

        value = float(student.sequence_logprob(cond, ids, inputs["bos"]))
        return {"value": value, "contexts": contexts[:2000], "kinds": sorted(kinds), "ids": ids}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Contexts, then hygiene, then the value."""
        table, ids, bos = case.inputs["table"], list(case.inputs["ids"]), case.inputs["bos"]
        shown = f"ids were {ids}" if len(ids) < 12 else f"there were {len(ids)} ids"
        asked = {tuple(context) for context in answer["contexts"]}
        needed = {(bos, *ids[:t]) for t in range(len(ids))}
        peeked = {(bos, *ids[: t + 1]) for t in range(len(ids))}
        if answer["ids"] != ids:
            return wrong(f"the list of ids was changed: it came back with {len(answer['ids'])} ids; {shown}")
        if asked - needed and asked <= peeked | needed:
            return wrong(
                "a context contains the very token that it predicts: the factor at position t is given "
                f"the tokens before t only, else the task is to copy; {shown}"
            )
        if asked and not any(context[:1] == (bos,) for context in asked):
            return wrong(f"the contexts do not begin with BOS ({bos}): the first token has nothing before it; {shown}")
        if (missing := needed - asked) and len(ids):
            if missing == {(bos,)}:
                return wrong(f"the first token is never scored: no call of cond with ({bos},) alone; {shown}")
            if asked == {(bos, *ids[:t])[-1:] for t in range(len(ids))}:
                return wrong(f"cond was given the last token alone; the chain rule conditions on all before; {shown}")
            return wrong(f"{len(missing)} of {len(needed)} contexts (bos, x_1, ..., x_t-1) were never asked; {shown}")
        if asked - needed:
            return wrong(f"cond was asked for a context that no factor of the chain rule has; {shown}")
        if set(answer["kinds"]) - {"tuple"}:
            return wrong(f"cond takes a tuple of ids (a {answer['kinds'][0]} cannot be a key of a table of counts)")
        factors = [float(table[(bos, *ids)[t]][token]) for t, token in enumerate(ids)]
        if any(factor == 0 for factor in factors):
            impossible = answer["value"] == -math.inf
            return (
                right() if impossible else wrong(f"a text with an impossible token has log-probability -inf; {shown}")
            )
        expected = math.fsum(math.log(factor) for factor in factors)
        if close(answer["value"], expected):
            return right()
        if answer["value"] == -math.inf:
            return wrong(f"-inf for a text of {len(ids)} possible tokens: the product of small numbers underflows to 0")
        return name_the_mistake(
            answer["value"],
            [
                (-expected, f"the sign: a log-probability is never positive; {shown}"),
                (expected / math.log(2), f"the logarithm has base 2; the course counts in nats; {shown}"),
                (expected / max(len(ids), 1), f"a sum, not a mean: longer texts are less probable; {shown}"),
                (math.exp(expected), f"this is the probability; its logarithm was asked; {shown}"),
            ],
            f"the sum of the log-factors does not match although the contexts are right; {shown}",
        )


def _markov(rng: np.random.Generator, vocab_size: int) -> dict[str, Any]:
    return {"table": rng.dirichlet(np.ones(vocab_size), size=vocab_size), "bos": vocab_size - 1}


# ------------------------------------------------------------------------------ 1.2 what a table costs


class TableParameters(HiddenCheck):
    """1.2: three counts, each a criterion, exact however large."""

    exercise = "table-parameters"
    uses = ("table_parameters",)
    criteria = {"joint": 0.5, "chain": 0.75, "ngram": 0.75}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Small, one-token and huge tables; sizes all different."""
        small = sorted(rng.choice(np.arange(3, 12), size=3, replace=False).tolist())
        sizes = [(small[2], small[1], small[0] - 1), (int(rng.integers(5, 50)), 1, 1), (50257, 300, 5)]
        for criterion in self.criteria:
            for vocab_size, seq, n in sizes:
                yield Case(criterion, {"vocab_size": vocab_size, "seq": seq, "n": n})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The dictionary as it comes."""
        return student.table_parameters(inputs["vocab_size"], inputs["seq"], inputs["n"])

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Compare one entry, exactly."""
        vocab_size, seq, n = (case.inputs[key] for key in ("vocab_size", "seq", "n"))
        shown = f"vocab_size={vocab_size}, seq={seq}, n={n}"
        if not isinstance(answer, dict) or case.criterion not in answer:
            return wrong(f"the answer has no entry {case.criterion!r}: return a dict with joint, chain and ngram")
        got = answer[case.criterion]
        joint = vocab_size**seq - 1
        if got == {"joint": joint, "chain": joint, "ngram": vocab_size ** (n - 1) * (vocab_size - 1)}[case.criterion]:
            if isinstance(got, int) and not isinstance(got, bool):
                return right()
            return wrong(f"{case.criterion} is a {type(got).__name__}; a count is an int; {shown}")
        if isinstance(got, float):
            return wrong(f"{case.criterion} is a float, which keeps 16 digits of a count that has more; {shown}")
        suspects = {
            "joint": [
                (
                    vocab_size**seq,
                    "a distribution sums to 1, so one entry of the table follows from the others",
                ),
                (seq * vocab_size, "seq times vocab_size counts the words that fit, not the texts"),
            ],
            "chain": [
                (
                    seq * vocab_size,
                    "this has one row per position; the factor at t needs a row for each context",
                ),
                (
                    seq * (vocab_size - 1),
                    "this has one row per position; the factor at t needs a row for each context",
                ),
                (
                    sum(vocab_size**t for t in range(1, seq + 1)),
                    "each row sums to 1, so one entry of every row follows from the others",
                ),
                (vocab_size**seq, "each row sums to 1, so one entry of every row follows from the others"),
                (
                    vocab_size ** (seq - 1) * (vocab_size - 1),
                    "this is the table of the last position alone; add those of the positions before it",
                ),
            ],
            "ngram": [
                (vocab_size**n, "each row sums to 1, so one entry of every row follows from the others"),
                (vocab_size**n - 1, "one entry less per row, not one less in all: every row sums to 1"),
                (vocab_size**n * (vocab_size - 1), "an n-gram has n - 1 tokens of context, not n"),
                (seq * vocab_size ** (n - 1) * (vocab_size - 1), "one table is shared by all positions"),
            ],
        }
        for value, words in suspects[case.criterion]:
            if got == value:
                return wrong(f"{case.criterion}: {words}; {shown}")
        if seq == 300 and isinstance(got, int):
            return wrong(f"{case.criterion}: digits are lost; use exact integers, no float on the way; {shown}")
        return wrong(f"{case.criterion} does not count the free numbers of that table; {shown}")


# ------------------------------------------------------------------------ 1.3 softmax with temperature


def softmax64(logits: Any, temperature: float, axis: int = -1) -> np.ndarray:
    """The softmax in float64, shifted by each row's own maximum."""
    scores = np.asarray(logits, dtype=np.float64)
    weights = np.exp((scores - scores.max(axis=axis, keepdims=True)) / temperature)
    return weights / weights.sum(axis=axis, keepdims=True)


class Softmax(HiddenCheck):
    """1.3: values on many shapes, extreme logits, and what the call leaves behind."""

    exercise = "softmax"
    uses = ("softmax",)
    criteria = {"values": 1.0, "large logits": 0.5, "gradient and inputs": 0.5}
    forbids = dict.fromkeys(
        (
            ".softmax",
            ".log_softmax",
            ".Softmax",
            ".Softmin",
            "F.softmax",
            "F.log_softmax",
            "scipy.special.softmax",
        ),
        "the softmax is the exercise: build it from exp and a sum",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Unsorted rows, different sizes, temperatures away from 1, masked entries, rows of unlike scale."""
        for shape, temperature in [((5,), 0.7), ((3, 6), 2.5), ((2, 3, 4), 0.3), ((2, 1, 3, 5), 1.6)]:
            yield Case("values", {"logits": rng.normal(size=shape) * 2, "temperature": temperature})
        masked = rng.normal(size=(4, 7))
        masked[np.arange(4), rng.integers(0, 7, size=4)] = -np.inf
        yield Case("values", {"logits": masked, "temperature": 1.4})
        yield Case("values", {"logits": rng.permutation(6.0 * np.arange(8.0)), "temperature": 0.05})
        yield Case("values", {"logits": rng.normal(size=(3, 5)).astype(np.float32), "temperature": 0.8})
        yield Case("values", {"logits": rng.normal(size=(2, 4)), "temperature": 1.0, "default": True})
        for spread, temperature in [(1e4, 0.9), (1e4, 3.0), (1.0, 2.0)]:
            rows = rng.normal(size=(3, 6)) * spread + np.array([[1e4], [0.0], [-1e4]])
            yield Case("large logits", {"logits": rows, "temperature": temperature})
        for temperature in (0.6, 1.9):
            inputs = {
                "logits": rng.normal(size=(2, 5)),
                "temperature": temperature,
                "weights": rng.normal(size=(2, 5)),
            }
            yield Case("gradient and inputs", inputs)
        yield Case("gradient and inputs", {"logits": rng.normal(size=(3, 4)) + 5.0, "temperature": 0.7})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Probabilities, the logits as the call left them, and the gradient where weights are given."""
        import torch

        logits = torch.tensor(inputs["logits"])
        if "weights" not in inputs:
            settings = () if inputs.get("default") else (inputs["temperature"],)
            return {"probs": student.softmax(logits, *settings), "after": logits}
        logits.requires_grad_(True)
        probs = student.softmax(logits, inputs["temperature"])
        if not isinstance(probs, torch.Tensor) or not probs.requires_grad:
            return {"probs": probs, "after": logits, "gradient": None}
        (probs * torch.tensor(inputs["weights"])).sum().backward()
        return {"probs": probs, "after": logits, "gradient": logits.grad}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Inputs intact, dtype kept, values, gradient."""
        logits, temperature = case.inputs["logits"], case.inputs["temperature"]
        given = "no temperature given" if case.inputs.get("default") else f"temperature={temperature}"
        shown = f"logits of shape {logits.shape}, {given}"
        probs, expected = answer["probs"], softmax64(logits, temperature)
        single = logits.dtype == np.float32
        tolerance = {"rtol": 1e-5, "atol": 1e-7} if single else {"rtol": 1e-9, "atol": 1e-12}
        if not np.array_equal(answer["after"], logits):
            return wrong(f"the call changed the logits it was given: work on a new tensor, not in place; {shown}")
        if getattr(probs, "shape", None) != logits.shape:
            return wrong(f"the result has not the shape of the logits, {logits.shape}; {shown}")
        if np.isnan(probs).any():
            where = (
                "logits of 1e4 overflow and of -1e4 underflow" if case.criterion == "large logits" else "0/0 or inf/inf"
            )
            return wrong(f"nan: {where}; subtract each row's own maximum before exp; {shown}")
        if not close(probs, expected, **tolerance):
            with np.errstate(over="ignore", invalid="ignore"):
                return name_the_mistake(
                    probs, self._suspects(logits, temperature, shown), self._else(shown), **tolerance
                )
        if probs.dtype != logits.dtype:
            return wrong(f"the dtype changed from {logits.dtype} to {probs.dtype}; {shown}")
        if "weights" not in case.inputs:
            return right()
        if answer["gradient"] is None:
            return wrong(f"no gradient reaches the logits: the graph was cut (detach, numpy, item or no_grad); {shown}")
        weights = case.inputs["weights"]
        slope = expected * (weights - (expected * weights).sum(-1, keepdims=True)) / temperature
        return (
            right()
            if close(answer["gradient"], slope)
            else wrong(f"the gradient at the logits is not that of a softmax; {shown}")
        )

    @staticmethod
    def _suspects(logits: np.ndarray, temperature: float, shown: str) -> Iterable[tuple[Any, str]]:
        yield (
            softmax64(logits, 1 / temperature),
            f"the temperature multiplies the logits; it must divide them; {shown}",
        )
        yield softmax64(logits, 1.0), f"the temperature has no effect; {shown}"
        yield (
            softmax64(logits, 1.0) / temperature,
            f"divided after the softmax, so rows do not sum to 1; {shown}",
        )
        for axis in range(logits.ndim - 1):
            if np.isfinite(logits).all():
                words = f"normalised along axis {axis}: the vocabulary is the last axis; {shown}"
                yield softmax64(logits, temperature, axis), words
        scores = np.exp(logits / temperature)
        yield scores / scores.sum(), f"normalised over the whole tensor, not each row; {shown}"

    @staticmethod
    def _else(shown: str) -> str:
        return f"these are not exp(logits / temperature), normalised over the last axis; {shown}"


# ----------------------------------------------------------------------------------- 1.4 cross-entropy


class CrossEntropy(HiddenCheck):
    """1.4: the mean over scored positions, its gradient, and nothing left changed."""

    exercise = "cross-entropy"
    uses = ("cross_entropy",)
    criteria = {"values": 1.0, "ignored positions": 1.0, "large logits": 0.5, "gradient and inputs": 0.5}
    forbids = dict.fromkeys(
        (".cross_entropy", ".nll_loss", ".CrossEntropyLoss", ".NLLLoss", "F.cross_entropy", "F.nll_loss"),
        "torch's own loss is what your function is compared with: build it from the logits",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Ragged rows of ignored positions; ignore_index outside and inside the vocabulary."""
        for batch, seq, vocab_size in [(2, 3, 5), (1, 7, 4)]:
            yield Case("values", _scored(rng, batch, seq, vocab_size, -100, []))
        yield Case("ignored positions", _scored(rng, 3, 5, 7, -100, [0, 2, 4]))
        yield Case("ignored positions", _scored(rng, 2, 6, 4, -1, [1, 5]))
        yield Case("ignored positions", _scored(rng, 3, 4, 6, 0, [2, 0, 3]))
        large = _scored(rng, 2, 3, 5, -100, [0, 1])
        large["logits"] = rng.permuted(np.tile([1e4, -1e4, 0.0, 5e3, 20.0], (2, 3, 1)), axis=-1)
        yield Case("large logits", large)
        far = _scored(rng, 2, 4, 3, -100, [1, 0])
        far["logits"] = far["logits"] + np.array([[[1e4]], [[-1e4]]])
        yield Case("large logits", far)
        yield Case("gradient and inputs", _scored(rng, 2, 4, 5, -100, [0, 3]))
        yield Case("gradient and inputs", _scored(rng, 3, 2, 4, 0, [1, 0, 0]))

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The loss, its gradient, and the inputs as the call left them."""
        import torch

        logits = torch.tensor(inputs["logits"], requires_grad=True)
        targets = torch.tensor(inputs["targets"])
        if inputs["ignore_index"] == -100:
            loss = student.cross_entropy(logits, targets)
        else:
            loss = student.cross_entropy(logits, targets, ignore_index=inputs["ignore_index"])
        gradient = None
        if isinstance(loss, torch.Tensor) and loss.requires_grad and loss.dim() == 0:
            loss.backward()
            gradient = logits.grad
        return {"loss": loss, "gradient": gradient, "after": logits, "targets": targets}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Value first, then gradient and hygiene in the criterion that is about them."""
        logits, targets, ignored = (case.inputs[key] for key in ("logits", "targets", "ignore_index"))
        shown = f"logits of shape {logits.shape}, ignore_index={ignored}, targets {targets.tolist()}"
        nll = -np.log(np.maximum(softmax64(logits, 1.0), 1e-300))
        shifted = logits - logits.max(-1, keepdims=True)
        nll = np.log(np.exp(shifted).sum(-1, keepdims=True)) - shifted
        scored = targets != ignored
        at_target = np.take_along_axis(nll, np.where(scored, targets, 0)[..., None], -1)[..., 0]
        total, count = float(at_target[scored].sum()), int(scored.sum())
        loss = np.asarray(answer["loss"])
        if loss.shape != ():
            return wrong(f"the loss is one number, a tensor without axes; this has shape {loss.shape}; {shown}")
        if not close(loss, total / count):
            if not np.isfinite(loss):
                return wrong(f"{float(loss)}: log(softmax) is log(0) once p is tiny: use logits - logsumexp; {shown}")
            rows = [float(row[keep].mean()) for row, keep in zip(at_target, scored, strict=True) if keep.any()]
            suspects = [
                (total / targets.size, "divided by batch * seq: ignored positions are no part of the mean"),
                (float(at_target.mean()), "ignored positions are scored as if their target were class 0"),
                (
                    float(at_target.sum()) / count,
                    "ignored positions are scored as if their target were class 0",
                ),
                (total, "this is the sum; the loss is a mean per scored position"),
                (
                    float(np.mean(rows)),
                    "a mean of row means weighs a token in a short row more than one in a long row",
                ),
                (total / count / math.log(2), "the logarithm has base 2; the loss is in nats"),
                (-total / count, "the sign: a negative log-likelihood is not negative"),
            ]
            if ignored != -100:
                kept = targets != -100
                everything = np.take_along_axis(nll, targets.clip(0)[..., None], -1)[..., 0]
                words = "ignore_index is a parameter, and here it was not -100"
                suspects.insert(0, (float(everything[kept].mean()), words))
            otherwise = "this is not the mean of -log softmax(logits)[target] over the scored positions"
            named = [(value, f"{words}; {shown}") for value, words in suspects]
            return name_the_mistake(loss, named, f"{otherwise}; {shown}")
        if case.criterion != "gradient and inputs":
            return right()
        if not np.array_equal(answer["targets"], targets):
            return wrong(f"the call changed the targets it was given: make a new tensor; {shown}")
        if not np.array_equal(answer["after"], logits):
            return wrong(f"the call changed the logits it was given; {shown}")
        if answer["gradient"] is None:
            return wrong(f"no gradient reaches the logits: the graph was cut (detach, numpy, item or no_grad); {shown}")
        onehot = np.eye(logits.shape[-1])[np.where(scored, targets, 0)]
        slope = (softmax64(logits, 1.0) - onehot) * scored[..., None] / count
        if np.any(answer["gradient"][~scored] != 0):
            return wrong(f"an ignored position has a gradient; it must be exactly zero there; {shown}")
        return (
            right()
            if close(answer["gradient"], slope)
            else wrong(f"the gradient is not (softmax - one-hot) / count; {shown}")
        )


def _scored(
    rng: np.random.Generator, batch: int, seq: int, vocab_size: int, ignored: int, tails: list[int]
) -> dict[str, Any]:
    """Random logits and targets; row i has its last tails[i] positions ignored."""
    low = 1 if ignored == 0 else 0
    targets = rng.integers(low, vocab_size, size=(batch, seq))
    if not low and vocab_size > 1:
        targets[0, 0] = 1
    for row, tail in enumerate(tails):
        targets[row, seq - tail :] = ignored
    return {
        "logits": rng.normal(size=(batch, seq, vocab_size)) * 2,
        "targets": targets,
        "ignore_index": ignored,
    }


# ----------------------------------------------------------------------------------- 1.5 n-gram models


class NGram(HiddenCheck):
    """1.5: probabilities against counts taken by another route, a scan of the text for every context."""

    exercise = "ngram"
    uses = ("NGramLM",)
    criteria = {"add-k": 1.5, "any context": 1.0, "Witten-Bell": 1.5}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """A vocabulary with a token that never occurs; a last context that ends the text."""
        ids = rng.integers(0, 5, size=70).tolist()
        ids = [*ids, 5, 1, 5, 2, *ids[3:6], 4, 5, 0, 1, 5]  # ends as it went on elsewhere: 1 5 2, 1 5 <end>
        seen = [ids[7:9], ids[20:22], [0, 1], [1, 5]]
        for n, k in [(3, 0.5), (2, 1.0), (3, 0.0)]:
            yield self._case("add-k", ids, n, k, "addk", [context[-(n - 1) :] for context in seen])
        yield self._case("add-k", ids, 1, 0.3, "addk", [[]])
        plain = self._case("add-k", ids, 2, 0.0, "addk", [[1], [5]])
        yield Case("add-k", plain.inputs | {"default": True})
        rare = [[5, 5], [6, 0]]
        for n, k in [(3, 0.5), (3, 0.0), (4, 0.1)]:
            yield self._case("any context", ids, n, k, "addk", [*rare, [], [2], ids[-3:], ids[11:18], seen[0]])
        yield self._case("any context", ids, 1, 0.2, "addk", [[], [3], ids[4:9]])
        yield self._case("any context", ids, 2, 0.0, "addk", [[6], [2, 3, 1], []])
        for n in (1, 2, 3, 4):
            yield self._case("Witten-Bell", ids, n, 0.0, "witten_bell", [*seen, *rare, [], [4], ids[-3:], ids[11:18]])

    @staticmethod
    def _case(criterion: str, ids: list[int], n: int, k: float, smoothing: str, contexts: list[list[int]]) -> Case:
        inputs = {"ids": ids, "n": n, "k": k, "smoothing": smoothing, "contexts": contexts, "vocab_size": 7}
        return Case(criterion, inputs)

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Each distribution twice, because asking must not change the counts."""
        ids = list(inputs["ids"])
        settings = {} if inputs.get("default") else {"k": inputs["k"], "smoothing": inputs["smoothing"]}
        model = student.NGramLM(inputs["n"], inputs["vocab_size"], **settings)
        model.fit(ids)
        first = [[float(p) for p in model.probs(tuple(context))] for context in inputs["contexts"]]
        again = [[float(p) for p in model.probs(list(context))] for context in inputs["contexts"]]
        return {"probs": first, "again": again, "ids": ids}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Shape and sum first, then values, context by context."""
        ids, n, k, smoothing, vocab_size = (case.inputs[key] for key in ("ids", "n", "k", "smoothing", "vocab_size"))
        if answer["ids"] != ids:
            return wrong("fit changed the list of ids that it was given")
        for context, probs, again in zip(case.inputs["contexts"], answer["probs"], answer["again"], strict=True):
            shown = f"n={n}, k={k}, smoothing={smoothing!r}, vocab_size={vocab_size}, context {context}"
            verdict = self._one(ids, n, k, smoothing, vocab_size, context, probs, shown)
            if not verdict.passed:
                return verdict
            if not close(again, probs):
                return wrong(f"asking a second time (with a list instead of a tuple) gives another answer; {shown}")
        return right()

    @staticmethod
    def _one(
        ids: list[int],
        n: int,
        k: float,
        smoothing: str,
        vocab_size: int,
        context: list[int],
        probs: Any,
        shown: str,
    ) -> Verdict:
        used = context[max(len(context) - (n - 1), 0) :]
        expected = (
            _witten_bell(ids, used, vocab_size) if smoothing == "witten_bell" else _addk(ids, used, k, vocab_size)
        )
        if close(probs, expected):
            return right()
        if len(probs) != vocab_size:
            return wrong(f"probs has {len(probs)} entries; every token of the vocabulary needs one; {shown}")
        first = context[: n - 1]
        unseen = _followers(ids, used).sum() == 0
        if not np.isfinite(probs).all() or sum(probs) == 0:
            return wrong(f"zeros or nan: this context is never followed by anything in the text; {shown}")
        if unseen and smoothing == "addk":
            return wrong(f"a context that nothing follows says nothing: every token must be equally probable; {shown}")
        if len(context) > n - 1 > 0:
            wrong_end = (
                _witten_bell(ids, first, vocab_size) if smoothing == "witten_bell" else _addk(ids, first, k, vocab_size)
            )
            if close(probs, wrong_end):
                return wrong(f"a long context keeps its first n-1 tokens; the last n-1 are beside the gap; {shown}")
        uniform = np.full(vocab_size, 1 / vocab_size)
        whole = [uniform, _addk(ids, context, k, vocab_size), _witten_bell(ids, context, vocab_size)]
        if n == 1 and context and any(close(probs, wrong_end) for wrong_end in whole):
            return wrong(f"n=1 uses no context at all, whatever is passed (context[-0:] is everything); {shown}")
        if len(context) < n - 1:
            return wrong(f"a context shorter than n-1 is counted as it is, wherever it occurs in the text; {shown}")
        if abs(sum(probs) - 1) > 1e-9:
            return wrong(_sum_words(ids, used, k, smoothing, probs, shown))
        if smoothing == "witten_bell":
            counts, types = _followers(ids, used), np.count_nonzero(_followers(ids, used))
            flat = (counts + types / vocab_size) / max(counts.sum() + types, 1)
            relative = counts / max(counts.sum(), 1)
            suspects = [
                (
                    flat,
                    f"Witten-Bell recurses: it mixes in the shorter context, not 1/vocab_size; {shown}",
                ),
                (
                    relative,
                    f"nothing is mixed in: the shorter context always has a share; {shown}",
                ),
            ]
            otherwise = "the shorter context's share is types / (count + types), down to 1/vocab_size at the end"
            return name_the_mistake(probs, suspects, f"{otherwise}; {shown}")
        return wrong(f"these are not (count + k) / (total + k * vocab_size) for the tokens after this context; {shown}")


def _sum_words(ids: list[int], used: list[int], k: float, smoothing: str, probs: Any, shown: str) -> str:
    counts = _followers(ids, used)
    seen, relative = counts > 0, counts / max(counts.sum(), 1)
    if smoothing == "addk" and k and close(probs, (counts + k) / (counts.sum() + k)):
        return f"the sum is above 1: k goes to every token, so the total grows by k * vocab_size; {shown}"
    if smoothing == "witten_bell" and close(np.asarray(probs)[seen], relative[seen]):
        return f"the sum is above 1: the seen tokens keep everything, the rest comes on top; {shown}"
    if used and ids[len(ids) - len(used) :] == used:
        return f"the sum is not 1: this context ends the text, and nothing follows it there; {shown}"
    return f"the probabilities after this context do not sum to 1; {shown}"


def _followers(ids: list[int], context: Sequence[int]) -> np.ndarray:
    """How often each token comes right after `context` in `ids`, by looking at every place."""
    size = len(context)
    after = [ids[at + size] for at in range(len(ids) - size) if ids[at : at + size] == list(context)]
    return np.bincount(np.asarray(after, dtype=np.int64), minlength=7).astype(np.float64)


def _addk(ids: list[int], context: Sequence[int], k: float, vocab_size: int) -> np.ndarray:
    counts = _followers(ids, context) + k
    return counts / counts.sum() if counts.sum() else np.full(vocab_size, 1 / vocab_size)


def _witten_bell(ids: list[int], context: Sequence[int], vocab_size: int) -> np.ndarray:
    """From the longest suffix down is the textbook's order; from the uniform distribution up is the same."""
    probs = np.full(vocab_size, 1 / vocab_size)
    for size in range(len(context) + 1):
        counts = _followers(ids, context[len(context) - size :])
        if (types := np.count_nonzero(counts)) > 0:
            probs = (counts + types * probs) / (counts.sum() + types)
    return probs


# -------------------------------------------------------------------------------------- 1.6 perplexity


class Perplexity(HiddenCheck):
    """1.6: ragged masks, so that each way of averaging gives another number."""

    exercise = "perplexity"
    uses = ("perplexity",)
    criteria = {"token average": 1.0, "uniform model": 0.5, "padding": 0.5}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Batches of different length; a batch of padding alone; padding that holds nan and infinity."""
        for lengths, width in [((7, 2, 4), 7), ((3,), 5)]:
            yield Case("token average", _batches(rng, lengths, width, fill=1.0))
        vocab_size = int(rng.integers(3, 900))
        uniform = _batches(rng, (4, 1, 6), 6, fill=0.0)
        uniform["nlls"] = [np.where(mask, math.log(vocab_size), 0.0) for mask in uniform["masks"]]
        yield Case("uniform model", uniform, {"vocab_size": vocab_size})
        yield Case("padding", _batches(rng, (5, 0, 2), 6, fill=3.0))
        yield Case("padding", _batches(rng, (2, 4), 6, fill=np.nan))
        yield Case("padding", _batches(rng, (3, 1), 4, fill=np.inf))
        holes = _batches(rng, (6, 6), 6, fill=2.0)
        holes["masks"] = [
            np.array([1, 0, 1, 1, 0, 1], dtype=bool),
            np.array([0, 0, 1, 0, 0, 0, 0], dtype=bool),
        ]
        yield Case("padding", holes)

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """One number, and the tensors as the call left them."""
        import torch

        pairs = zip(inputs["nlls"], inputs["masks"], strict=True)
        batches = [(torch.tensor(nll), torch.tensor(mask)) for nll, mask in pairs]
        value = float(student.perplexity(batches))
        return {"value": value, "after": [nll for nll, _ in batches], "count": len(batches)}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The exponential of the mean over all scored tokens."""
        nlls, masks = case.inputs["nlls"], case.inputs["masks"]
        kept = [nll[mask] for nll, mask in zip(nlls, masks, strict=True)]
        sizes = [f"{len(part)} of {len(nll)}" for part, nll in zip(kept, nlls, strict=True)]
        shown = f"{len(nlls)} batches with these tokens scored: {', '.join(sizes)}"
        every = np.concatenate(kept)
        if len(answer["after"]) != len(nlls) or any(
            not np.array_equal(after, nll, equal_nan=True) for after, nll in zip(answer["after"], nlls, strict=True)
        ):
            return wrong(f"the call changed the batches it was given; {shown}")
        if close(answer["value"], np.exp(every.mean())):
            return right()
        if math.isnan(answer["value"]) or math.isinf(answer["value"]):
            held = "nan or inf sits in the padding: 0 * nan is nan, so select the tokens, do not multiply"
            empty = "a batch of padding alone has no mean of its own"
            why = empty if np.isfinite(np.concatenate(nlls)).all() else held
            return wrong(f"{answer['value']}: {why}; {shown}")
        means = [part.mean() for part in kept if len(part)]
        with np.errstate(all="ignore"):
            padded = np.concatenate(nlls)
            suspects = [
                (np.exp(every).mean(), "a mean of exponentials; take the exponential of the mean"),
                (np.exp(np.mean(means)), "a mean of batch means: a token in a short batch would weigh more"),
                (
                    np.mean(np.exp(means)),
                    "a mean of perplexities, one for each batch; average over tokens first",
                ),
                (
                    np.exp(np.mean([part.sum() / len(nlls) for part in kept])),
                    "the sums are divided by the number of batches",
                ),
                (np.exp(padded.mean()), "padding is counted: only positions whose mask is True are tokens"),
                (np.exp(every.sum() / len(padded)), "padding is counted in the number of tokens"),
                (2.0 ** every.mean(), "nats need exp; 2 ** is for bits"),
                (every.mean(), "this is the mean loss; perplexity is its exponential"),
                (np.exp(every.sum()), "the exponential of the sum: divide by the number of tokens first"),
            ]
        named = [(value, f"{words}; {shown}") for value, words in suspects]
        return name_the_mistake(
            answer["value"], named, f"this is not exp(sum of nll / number of scored tokens); {shown}"
        )


def _batches(rng: np.random.Generator, lengths: Sequence[int], width: int, fill: float) -> dict[str, Any]:
    """Batches of length width, width + 1, ... whose first lengths[i] positions are tokens."""
    nlls, masks = [], []
    for index, length in enumerate(lengths):
        mask = np.arange(width + index) < length
        nlls.append(np.where(mask, rng.gamma(2.0, 1.3, size=width + index), fill))
        masks.append(mask)
    return {"nlls": nlls, "masks": masks}


# ----------------------------------------------------------------------------------- 1.7 bits per byte


class BitsPerByte(HiddenCheck):
    """1.7: the unit, then what is counted."""

    exercise = "bits-per-byte"
    uses = ("bits_per_byte",)
    criteria = {"bits": 0.5, "bytes": 0.5}
    forbids = {".cross_entropy": "that is the stand-in's way round: the definition needs no loss function"}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """ASCII decides the unit; accents, another script and an emoji decide what is counted."""
        words = ["tables", "of", "counts", "remember", "what", "they", "saw"]
        plain = " ".join(rng.choice(words, size=int(rng.integers(4, 9))))
        yield Case("bits", {"nats": float(rng.uniform(20, 90)), "text": plain})
        yield Case("bits", {"nats": 0.0, "text": "certain"})
        for text in (f"{plain} naïve façade", "語言模型 📚", "e\u0301\n\u00e9"):
            yield Case("bytes", {"nats": float(rng.uniform(20, 90)), "text": text})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """One number."""
        return float(student.bits_per_byte(inputs["nats"], inputs["text"]))

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Compare with bits over UTF-8 bytes and name the other quotients."""
        nats, text = case.inputs["nats"], case.inputs["text"]
        bits, size = nats / math.log(2), len(text.encode("utf-8"))
        if close(answer, bits / size):
            return right()
        shown = f"total_nll_nats={nats:.4f}, text={text!r}"
        units = [
            (bits, ""),
            (nats, "nats, not bits: divide by ln 2; "),
            (nats * math.log(2), "multiplied by ln 2; "),
        ]
        lengths = [
            (size, ""),
            (len(text), "divided by characters: é is one character and two bytes in UTF-8"),
            (len(text.split()), "divided by words: another tokenizer would give another number"),
            (len(text.encode("utf-16")), "divided by UTF-16 units; the bytes are those of UTF-8"),
            (1, "not divided by anything"),
        ]
        suspects = [
            (total / length, f"{unit}{per}; {shown}") for total, unit in units for length, per in lengths if unit or per
        ]
        suspects.append((size / bits if bits else math.nan, f"upside down: these are bytes per bit; {shown}"))
        return name_the_mistake(answer, suspects, f"this is not bits over UTF-8 bytes; {shown}")


# ------------------------------------------------------------------------ 1.8 splitting without a leak


class Split(HiddenCheck):
    """1.8: a small library of documents that repeat one another, exactly, in part, and in chains."""

    exercise = "split"
    uses = ("split_without_leak",)
    criteria = {"nothing lost": 1.0, "no leak": 1.0, "fraction and seed": 1.0}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Windows, fractions and seeds differ; once w is not passed, and some paragraphs all end alike."""
        for criterion in self.criteria:
            for w, frac in [(6, 0.2), (9, 0.35)]:
                inputs = {"docs": _library(rng, w), "frac": frac, "seed": int(rng.integers(1000)), "w": w}
                yield Case(criterion, inputs)
        for criterion in ("no leak", "fraction and seed"):
            docs = _library(rng, 13, alike="" if criterion == "no leak" else "begin")
            yield Case(criterion, {"docs": docs, "frac": 0.25, "seed": 3, "w": 13, "default": True})
        docs = _library(rng, 7, alike="end")
        yield Case("fraction and seed", {"docs": docs, "frac": 0.3, "seed": int(rng.integers(1000)), "w": 7})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The split, the same again, one with another seed, and what the calls left behind."""
        import random

        import numpy as np
        import torch

        def split(seed):  # travels as text: no annotations inside a probe
            window = {} if inputs.get("default") else {"w": inputs["w"]}
            train, heldout = student.split_without_leak(docs, inputs["frac"], seed, **window)
            return {"train": list(train), "heldout": list(heldout)}

        docs = dict(inputs["docs"])
        random.seed(7)
        np.random.seed(7)
        torch.manual_seed(7)
        answer = {
            "split": split(inputs["seed"]),
            "again": split(inputs["seed"]),
            "other": split(inputs["seed"] + 1),
        }
        drawn = [random.random(), float(np.random.rand()), float(torch.rand(()))]
        random.seed(7)
        np.random.seed(7)
        torch.manual_seed(7)
        fresh = [random.random(), float(np.random.rand()), float(torch.rand(()))]
        return answer | {"kept": drawn == fresh, "docs": docs}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """One property for each criterion."""
        docs, frac, w = (case.inputs[key] for key in ("docs", "frac", "w"))
        train, heldout = ([" ".join(part.split()) for part in answer["split"][side]] for side in ("train", "heldout"))
        parts = [part for text in docs.values() for part in text.split("\n\n") if part]
        written, originals = set(parts), [" ".join(part.split()) for part in parts]
        shown = f"{len(docs)} documents with {len(originals)} paragraphs, frac={frac}, w={w}"
        if answer["docs"] != docs:
            return wrong(f"the documents were changed by the call; {shown}")
        if sum(map(len, train + heldout)) > 2 * sum(map(len, originals)):
            return wrong(f"far more text comes back than the documents hold; {shown}")
        if case.criterion == "nothing lost":
            returned = answer["split"]["train"] + answer["split"]["heldout"]
            changed = [part for part in returned if part not in written and " ".join(part.split()) in originals]
            if changed:
                return wrong(f"{len(changed)} paragraphs lost their line breaks: return them as they are; {shown}")
            return self._nothing_lost(Counter(originals), Counter(train) + Counter(heldout), shown)
        if case.criterion == "no leak":
            verdict = self._no_leak(train, heldout, w, shown)
            return self._of_these(set(train + heldout), set(originals), shown) if verdict.passed else verdict
        size = sum(map(len, heldout)) / max(sum(map(len, train + heldout)), 1)
        if answer["again"] != answer["split"]:
            return wrong(f"the same seed gives another split the second time; {shown}")
        if not answer["kept"]:
            return wrong(f"the call seeded or used a global random generator: make one of your own from seed; {shown}")
        if answer["other"] == answer["split"]:
            return wrong(f"another seed gives the same split: the draw does not depend on seed; {shown}")
        if abs(size - (1 - frac)) < 0.03 and abs(size - frac) > 0.03:
            return wrong(f"train and held-out part are swapped, or frac is taken as the share to train on; {shown}")
        if abs(size - frac) > 0.03:
            held = f"{size:.0%} of the characters left after removing repeats are held out"
            return wrong(f"{held} (are paragraphs tied that share fewer than w words?); {shown}")
        return self._of_these(set(train + heldout), set(originals), shown)

    @staticmethod
    def _of_these(returned: set[str], originals: set[str], shown: str) -> Verdict:
        """Two texts of one's own, or two paragraphs of hundreds, leak nothing and show nothing."""
        if returned - originals:
            return wrong(
                f"{len(returned - originals)} of the returned texts are no paragraphs of the documents; {shown}"
            )
        if 2 * len(returned) < len(originals):
            return wrong(f"only {len(returned)} of {len(originals)} different paragraphs come back; {shown}")
        return right()

    @staticmethod
    def _nothing_lost(originals: Counter, kept: Counter, shown: str) -> Verdict:
        lost, invented = set(originals) - set(kept), set(kept) - set(originals)
        twice = [part for part, count in kept.items() if count > 1]
        if invented:
            return wrong(f"{len(invented)} of the returned texts are no paragraphs of the documents; {shown}")
        if lost and all(originals[part] > 1 for part in lost):
            return wrong(f"{len(lost)} repeated paragraphs are gone altogether: keep one copy of each; {shown}")
        if lost:
            return wrong(f"{len(lost)} paragraphs are in neither part, though nothing repeats them; {shown}")
        if twice:
            return wrong(f"{len(twice)} paragraphs come back more than once (repeats may differ in spaces); {shown}")
        return right()

    @staticmethod
    def _no_leak(train: list[str], heldout: list[str], w: int, shown: str) -> Verdict:
        if not train or not heldout:
            return wrong(f"one of the two parts is empty; {shown}")
        both = set(train) & set(heldout)
        if both:
            return wrong(f"{len(both)} paragraphs are in both parts, word for word: documents repeat others; {shown}")
        known = {tuple(run) for part in train for run in _runs(part, w)}
        copied = sum(any(tuple(run) in known for run in _runs(part, w)) for part in heldout)
        if copied:
            words = f"{copied} held-out paragraphs share a run of {w} words with the training part"
            return wrong(f"{words}: near copies must go to the same side, chains of them too; {shown}")
        return right()


def _runs(text: str, w: int) -> list[list[str]]:
    words = text.split()
    return [words[at : at + w] for at in range(len(words) - w + 1)]


_SYLLABLES = [first + second for first in "bdfgklmnprstv" for second in "aeiou"]
_POOL = [first + second for first in _SYLLABLES for second in _SYLLABLES]


def _library(rng: np.random.Generator, w: int, alike: str = "") -> dict[str, str]:
    """Thirty documents, the last one empty: fresh paragraphs, copies (some respaced), quotations in chains.

    Quotations are exactly w words long; some stand at the very end. With `alike` three paragraphs of four
    "begin" or "end" with the same w - 1 words, which is no reason to keep them together.
    """
    # one draw for all words: every submission has nine libraries of its own
    stream = map(_POOL.__getitem__, rng.integers(len(_POOL), size=15_000).tolist())

    def words(count: int) -> list[str]:
        return list(itertools.islice(stream, count))

    fresh = [words(count) for count in rng.integers(3, 40, size=260).tolist()]
    long = [part for part in fresh if len(part) > w + 4]
    quotes = [words(4) + part[2 : 2 + w] + words(5) for part in long[:25]]
    quotes += [words(6) + part[-w:] for part in long[25:45]]
    chains = [words(3) + quote[1 : 1 + w] + words(2) for quote in quotes[:10]]
    same = {"begin": (words(w - 1), []), "end": ([], words(w - 1)), "": ([], [])}[alike]
    every = [[*same[0], *part, *same[1]] if rng.random() < 0.75 else part for part in fresh + quotes + chains]
    gaps = [" \n"[wide] for wide in rng.integers(2, size=len(every)).tolist()]
    parts = [(" ".join(part[:3]) + gap + " ".join(part[3:])).strip() for part, gap in zip(every, gaps, strict=True)]
    copies = [parts[at] for at in rng.choice(len(parts), size=70, replace=False)]
    respaced = [part.replace(" ", "\n    ", 2) for part in copies[:20]]
    shuffled = rng.permutation(np.array(parts + copies + respaced, dtype=object)).tolist()
    size = math.ceil(len(shuffled) / 30)
    return {f"doc-{at}": "\n\n".join(shuffled[at * size : (at + 1) * size]) for at in range(30)}
