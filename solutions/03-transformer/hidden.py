"""The hidden checks of chapter 3: what a right answer must do, and what each wrong one is told.

Expected values are computed here with numpy, in float64. All sizes differ from each other, so that an exchanged axis
or a root of the wrong width shows; masks are ragged; weights are drawn, not zero.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from grader.comparing import close, name_the_mistake
from grader.hidden import Case, HiddenCheck, Verdict, right, wrong

# ----------------------------------------------------------------------------------- 3.1 attention


def softmax64(scores: np.ndarray, axis: int = -1) -> np.ndarray:
    """The softmax in float64; rows that are -inf throughout give nan."""
    with np.errstate(invalid="ignore"):
        weights = np.exp(scores - scores.max(axis=axis, keepdims=True))
        return np.asarray(weights / weights.sum(axis=axis, keepdims=True))


def attended(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: np.ndarray | None = None, width: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Result and weights; `width` other than 0 stands under the root in place of the queries' width."""
    scores = query @ np.swapaxes(key, -1, -2) / math.sqrt(width or query.shape[-1])
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    weights = softmax64(scores)
    return weights @ value, weights


class Attention(HiddenCheck):
    """3.1: lengths and widths all differ; forbidden keys hold huge numbers in one case."""

    exercise = "attention"
    uses = ("attention",)
    criteria = {"values": 1.5, "mask": 1.0, "gradient and inputs": 0.5}
    forbids = dict.fromkeys(
        ("F.scaled_dot_product_attention", "nn.MultiheadAttention", "F.multi_head_attention_forward"),
        "attention is the exercise: two products and a softmax",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Sizes (batch, n_heads, queries, keys, head_dim, value_dim); masks per batch, per head, and shared."""
        for sizes in [(2, 3, 4, 5, 6, 7), (1, 2, 7, 3, 2, 5), (3, 1, 1, 4, 9, 2)]:
            yield Case("values", self._draw(rng, sizes))
        single = {name: array.astype(np.float32) for name, array in self._draw(rng, (2, 2, 3, 6, 4, 5)).items()}
        yield Case("values", single)
        for sizes, shape in [
            ((2, 3, 4, 6, 5, 3), (4, 6)),
            ((2, 2, 5, 4, 3, 7), (2, 1, 5, 4)),
            ((2, 3, 2, 5, 4, 6), (2, 3, 1, 5)),
        ]:
            mask = rng.random(shape) < 0.55
            mask[..., 0] |= ~mask.any(axis=-1)
            yield Case("mask", {**self._draw(rng, sizes), "mask": mask})
        far = self._draw(rng, (1, 2, 3, 5, 4, 3))
        mask = np.array([True, False, True, True, False])
        far["key"][:, :, ~mask] *= 1e4
        far["value"][:, :, ~mask] = 1e30
        yield Case("mask", {**far, "mask": np.broadcast_to(mask, (3, 5)).copy()})
        low = self._draw(rng, (1, 2, 3, 5, 4, 3))
        low["query"], low["key"] = np.abs(low["query"]) * 1e6, -np.abs(low["key"]) * 1e6
        yield Case("mask", {**low, "mask": np.broadcast_to(mask, (3, 5)).copy()})
        drawn = self._draw(rng, (2, 2, 3, 4, 5, 6))
        yield Case(
            "gradient and inputs",
            {**drawn, "mask": np.tril(np.ones((3, 4), dtype=bool), 1), "weights": rng.normal(size=(2, 2, 3, 6))},
        )

    @staticmethod
    def _draw(rng: np.random.Generator, sizes: Sequence[int]) -> dict[str, Any]:
        batch, heads, queries, keys, head_dim, value_dim = sizes
        return {
            "query": rng.normal(size=(batch, heads, queries, head_dim)) * 1.5,
            "key": rng.normal(size=(batch, heads, keys, head_dim)) * 1.5,
            "value": rng.normal(size=(batch, heads, keys, value_dim)),
        }

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Result, weights, the inputs afterwards, and the gradients where they are asked for."""
        import torch

        names = ("query", "key", "value")
        given = [torch.tensor(inputs[name], requires_grad="weights" in inputs) for name in names]
        mask = torch.tensor(inputs["mask"]) if "mask" in inputs else None
        out, weights = student.attention(*given, mask) if mask is not None else student.attention(*given)
        pairs = zip(names, given, strict=True)
        intact = all(bool((tensor == torch.tensor(inputs[name])).all()) for name, tensor in pairs)
        intact = intact and (mask is None or bool((mask == torch.tensor(inputs["mask"])).all()))
        answer = {"out": out, "weights": weights, "intact": intact, "gradients": None}
        if "weights" in inputs and out.requires_grad:
            (out * torch.tensor(inputs["weights"])).sum().backward()
            answer["gradients"] = [tensor.grad for tensor in given]
        return answer

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Inputs, shapes, weights, result, gradient."""
        query, key, value = (case.inputs[name] for name in ("query", "key", "value"))
        mask = case.inputs.get("mask")
        given = f"query {query.shape}, key {key.shape}, value {value.shape}" + (
            f", mask {mask.shape}" if mask is not None else ""
        )
        double = [array.astype(np.float64) for array in (query, key, value)]
        want, weights = attended(*double, mask)
        tolerance = {"rtol": 1e-5, "atol": 1e-6} if query.dtype == np.float32 else {}
        if not answer["intact"]:
            return wrong(f"an input was changed by the call: mask a new tensor; {given}")
        for name, got, expected in (("weights", answer["weights"], weights), ("result", answer["out"], want)):
            if getattr(got, "shape", None) != expected.shape:
                return wrong(f"the {name} have shape {getattr(got, 'shape', None)}, not {expected.shape}; {given}")
        if not close(answer["weights"], weights, **tolerance):
            return name_the_mistake(
                answer["weights"],
                self._suspects(double, mask, given),
                f"the weights are not those of the formula; {given}",
                **tolerance,
            )
        if mask is not None and np.any(answer["weights"][~np.broadcast_to(mask, weights.shape)] != 0):
            return wrong(f"a forbidden key has a small weight where it must have exactly 0: fill with -inf; {given}")
        if not close(answer["out"], want, **tolerance):
            return wrong(f"the weights are right, but the result is not weights times values; {given}")
        if answer["out"].dtype != query.dtype:
            return wrong(f"the dtype changed from {query.dtype} to {answer['out'].dtype}; {given}")
        if "weights" not in case.inputs:
            return right()
        if answer["gradients"] is None:
            return wrong(f"no gradient reaches the inputs: the graph was cut; {given}")
        for got, expected in zip(answer["gradients"], _gradients(double, weights, case.inputs["weights"]), strict=True):
            if got is None or not close(got, expected):
                return wrong(f"the gradient of one input is not that of attention; {given}")
        return right()

    @staticmethod
    def _suspects(arrays: Sequence[np.ndarray], mask: np.ndarray | None, given: str) -> Iterable[tuple[Any, str]]:
        query, key, value = arrays
        yield (
            attended(query, key, value, mask, width=1)[1],
            f"the scores are not divided by the root of head_dim; {given}",
        )
        for width, words in (
            (value.shape[-1], "the root is that of the values' width; queries and keys decide"),
            (query.shape[-1] ** 2, "divided by head_dim, not by its root"),
            (key.shape[-2], "the root is that of the number of keys; the width decides"),
            (query.shape[1] * query.shape[-1], "the root is that of all heads together; one head's width decides"),
        ):
            yield attended(query, key, value, mask, width)[1], f"{words}; {given}"
        if mask is None:
            return
        plain = query @ np.swapaxes(key, -1, -2) / math.sqrt(query.shape[-1])
        yield softmax64(plain), f"the mask has no effect; {given}"
        yield (
            np.where(mask, softmax64(plain), 0.0),
            f"masked after the softmax: the weights no longer sum to 1; {given}",
        )
        for low in (-1e9, -1e4, -1e12, -1e30, -10.0):
            words = "forbidden scores got a low number; where allowed scores are lower, it wins: use -inf"
            yield softmax64(np.where(mask, plain, low)), f"{words}; {given}"
        yield (
            softmax64(np.where(mask, plain, 0.0)),
            f"forbidden scores were set to 0, which is a score like any other; {given}",
        )
        yield (
            softmax64(np.where(mask, -np.inf, plain)),
            f"the mask is inverted: True means that a query may look; {given}",
        )


def _gradients(arrays: Sequence[np.ndarray], weights: np.ndarray, upstream: np.ndarray) -> list[np.ndarray]:
    query, key, value = arrays
    at_weights = upstream @ np.swapaxes(value, -1, -2)
    at_scores = weights * (at_weights - (at_weights * weights).sum(-1, keepdims=True)) / math.sqrt(query.shape[-1])
    return [at_scores @ key, np.swapaxes(at_scores, -1, -2) @ query, np.swapaxes(weights, -1, -2) @ upstream]


# ---------------------------------------------------------------------------------- 3.2 causal mask


class CausalMask(HiddenCheck):
    """3.2: square and rectangular."""

    exercise = "causal-mask"
    uses = ("causal_mask",)
    criteria = {"square": 0.5, "with a past": 0.5}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Sizes from one up; the number of keys given or not."""
        for seq in (1, 2, int(rng.integers(3, 9))):
            yield Case("square", {"sizes": [seq]})
        yield Case("square", {"sizes": [5, 5]})
        for seq, past in ((1, 4), (3, int(rng.integers(1, 6))), (4, 1)):
            yield Case("with a past", {"sizes": [seq, seq + past]})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The mask as it comes."""
        return student.causal_mask(*inputs["sizes"])

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Type, shape, then the three usual misplacements."""
        seq, total = case.inputs["sizes"][0], case.inputs["sizes"][-1]
        given = f"causal_mask({', '.join(map(str, case.inputs['sizes']))})"
        want = np.tri(seq, total, total - seq, dtype=bool)
        if getattr(answer, "shape", None) != want.shape:
            return wrong(f"the shape is {getattr(answer, 'shape', None)}, not {want.shape}; {given}")
        if answer.dtype != np.bool_:
            return wrong(f"the mask is boolean, this is {answer.dtype}; {given}")
        if np.array_equal(answer, want):
            return right()
        for other, words in (
            (~want, "inverted: True means that a query may look"),
            (
                np.tri(seq, total, 0, dtype=bool),
                "aligned at the top left: the last query belongs to the last key, so it sees the whole past",
            ),
            (np.tri(seq, total, total - seq - 1, dtype=bool), "a token does not see itself"),
            (np.tri(seq, total, total - seq + 1, dtype=bool), "a token sees the next one"),
            (want[::-1, ::-1], "the past is hidden and the future is seen"),
        ):
            if np.array_equal(answer, other):
                return wrong(f"{words}; {given}")
        return wrong(f"these are not the pairs of a causal mask; {given}")


# ------------------------------------------------------------------------------------ 3.3 several heads


class MultiHead(HiddenCheck):
    """3.3: with drawn weights, against numpy; the past must be equal to the last bit."""

    exercise = "multi-head"
    uses = ("MultiHeadAttention",)
    criteria = {"heads": 2.0, "causal": 1.0, "mask": 0.5, "sizes that do not fit": 0.5}
    forbids = dict.fromkeys(
        ("nn.MultiheadAttention", "F.multi_head_attention_forward", "TorchsMultiHead", "torchs_layer"),
        "torch's layer is what you are compared with: project, cut, attend, join",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """(batch, seq, d_model, n_heads), all different; one head; one token."""
        for batch, seq, d_model, n_heads in [(2, 5, 12, 3), (3, 4, 10, 5), (1, 1, 6, 2), (2, 3, 7, 1)]:
            inputs = self._draw(rng, batch, seq, d_model, n_heads)
            yield Case("heads", inputs)
            yield Case("causal", {**inputs, "causal": True})
        for shape in ((2, 1, 1, 5), (5, 5)):
            mask = rng.random(shape) < 0.5
            mask[..., 0] = True
            for causal in (False, True):
                yield Case("mask", {**self._draw(rng, 2, 5, 12, 3), "mask": mask, "causal": causal})
        yield Case("sizes that do not fit", {**self._draw(rng, 1, 2, 10, 4), "refuse": True})
        yield Case("sizes that do not fit", {**self._draw(rng, 1, 3, 9, 3)})

    @staticmethod
    def _draw(rng: np.random.Generator, batch: int, seq: int, d_model: int, n_heads: int) -> dict[str, Any]:
        layers = {
            f"{name}.{kind}": rng.normal(size=(d_model, d_model) if kind == "weight" else d_model) * 0.5
            for name in ("query", "key", "value", "output")
            for kind in ("weight", "bias")
        }
        return {"x": rng.normal(size=(batch, seq, d_model)), "n_heads": n_heads, "layers": layers, "causal": False}

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The result with the drawn weights; names of parameters; and the result after a change of the last token."""
        import torch

        x = torch.tensor(inputs["x"])
        try:
            layer = student.MultiHeadAttention(x.shape[-1], inputs["n_heads"]).double()
        except ValueError as error:
            return {"refused": str(error)[:200]}
        own = dict(layer.named_parameters())
        if set(own) != set(inputs["layers"]):
            return {"refused": None, "names": sorted(own)}
        with torch.no_grad():
            for name, array in inputs["layers"].items():
                own[name].copy_(torch.tensor(array))
        mask = torch.tensor(inputs["mask"]) if "mask" in inputs else None
        settings = {"causal": inputs["causal"]} if mask is None else {"causal": inputs["causal"], "mask": mask}
        if not inputs["causal"] and mask is None:
            settings = {}
        out = layer(x, **settings)
        changed = x.clone()
        changed[:, -1] += 3.0
        after = layer(changed, **settings)
        return {
            "refused": None,
            "out": out,
            "past": out[:, :-1],
            "past_after": after[:, :-1],
            "follows": out.requires_grad,
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Refusal, names, the past, then the values against those of each mistake."""
        x, n_heads = case.inputs["x"], case.inputs["n_heads"]
        given = f"x {x.shape}, n_heads={n_heads}, causal={case.inputs['causal']}" + (
            f", mask {case.inputs['mask'].shape}" if "mask" in case.inputs else ""
        )
        if answer["refused"] is not None or case.inputs.get("refuse"):
            if answer["refused"] is not None and case.inputs.get("refuse"):
                return right()
            if case.inputs.get("refuse"):
                return wrong(f"d_model={x.shape[-1]} cannot be cut into {n_heads} heads: a ValueError was asked")
            return wrong(f"a ValueError although the width can be cut: {answer['refused']}; {given}")
        if "names" in answer:
            return wrong(
                f"the parameters are called {', '.join(answer['names'][:5])}...; four linear layers query, key, "
                f"value, output were asked; {given}"
            )
        if answer["out"].shape != x.shape:
            return wrong(f"the result has shape {answer['out'].shape}, not that of x; {given}")
        want = multi_head(case.inputs)
        if close(answer["out"], want):
            if not answer["follows"]:
                return wrong(f"the graph is cut: the weights could not be trained; {given}")
            if case.inputs["causal"] and not np.array_equal(answer["past"], answer["past_after"]):
                return wrong(
                    "a change of the last token changed earlier ones, if only in the last digits: masked weights "
                    f"must be exactly 0; {given}"
                )
            return right()
        suspects = [(multi_head(case.inputs, slip), f"{words}; {given}") for slip, words in SLIPS.items()]
        return name_the_mistake(
            answer["out"], suspects, f"these are not the results of attention in {n_heads} heads; {given}"
        )


SLIPS = {
    "mixed": "heads and places are mixed up: cut the last axis first, then exchange places and heads",
    "joined": "the heads were joined without bringing the places back in front",
    "width": "scaled by the root of d_model; a head's own width decides",
    "no output": "the last projection, output, is missing",
    "strided": "a head takes every n-th column; it takes head_dim columns in a row",
    "not causal": "causal has no effect",
    "mask replaced": "with causal, the given mask is forgotten; both must allow",
    "mask ignored": "the mask has no effect",
    "one head": "attention was computed once over the whole width, not in heads",
}


def multi_head(inputs: dict[str, Any], slip: str = "") -> np.ndarray:
    """The layer in numpy; with the name of a slip, as that mistake computes it."""
    x, layers, n_heads = inputs["x"], inputs["layers"], inputs["n_heads"]
    batch, seq, d_model = x.shape
    n_heads = 1 if slip == "one head" else n_heads
    head_dim = d_model // n_heads

    def split(name: str) -> np.ndarray:
        projected = x @ layers[f"{name}.weight"].T + layers[f"{name}.bias"]
        if slip == "mixed":
            return np.asarray(projected.reshape(batch, n_heads, seq, head_dim))
        if slip == "strided":
            return np.asarray(projected.reshape(batch, seq, head_dim, n_heads).transpose(0, 3, 1, 2))
        return np.asarray(projected.reshape(batch, seq, n_heads, head_dim).transpose(0, 2, 1, 3))

    mask = None if slip == "mask ignored" else inputs.get("mask")
    if inputs["causal"] and slip != "not causal":
        past = np.tri(seq, dtype=bool)
        mask = past if mask is None or slip == "mask replaced" else mask & past
    gathered, _ = attended(split("query"), split("key"), split("value"), mask, d_model if slip == "width" else 0)
    if slip == "strided":
        joined = gathered.transpose(0, 2, 3, 1).reshape(batch, seq, d_model)
    elif slip in ("mixed", "joined"):
        joined = gathered.reshape(batch, seq, d_model)
    else:
        joined = gathered.transpose(0, 2, 1, 3).reshape(batch, seq, d_model)
    return joined if slip == "no output" else np.asarray(joined @ layers["output.weight"].T + layers["output.bias"])


# ------------------------------------------------------------------------------------- 3.4 layer norm


class LayerNorm(HiddenCheck):
    """3.4: small variances, where eps counts; width 1; half precision with large numbers."""

    exercise = "layer-norm"
    uses = ("layer_norm",)
    criteria = {"values": 1.0, "eps and width 1": 0.5, "half precision and gradient": 0.5}
    forbids = dict.fromkeys(
        ("F.layer_norm", "nn.LayerNorm", "torch.layer_norm", ".native_layer_norm"),
        "the norm is the exercise: means and a root",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Different shapes, rows of unlike size, gain and bias away from 1 and 0."""
        for shape in [(3, 5), (2, 4, 6), (7,), (2, 1, 3, 4)]:
            yield Case("values", self._draw(rng, shape, 10.0 ** rng.integers(-1, 3, size=(*shape[:-1], 1))))
        for eps in (1e-12, 0.3):
            yield Case(
                "eps and width 1", {**self._draw(rng, (4, 6), np.array([[1e-3], [0.1], [1.0], [10.0]])), "eps": eps}
            )
        yield Case("eps and width 1", {**self._draw(rng, (3, 1), np.ones((3, 1))), "eps": 0.01})
        yield Case("eps and width 1", self._draw(rng, (2, 3, 5), np.full((2, 3, 1), 0.02)))
        large = self._draw(rng, (3, 8), np.full((3, 1), 700.0))
        yield Case("half precision and gradient", {**large, "half": True})
        yield Case(
            "half precision and gradient",
            {**self._draw(rng, (2, 3, 4), np.ones((2, 3, 1))), "weights": rng.normal(size=(2, 3, 4))},
        )

    @staticmethod
    def _draw(rng: np.random.Generator, shape: tuple[int, ...], size: np.ndarray) -> dict[str, Any]:
        d_model = shape[-1]
        return {
            "x": (rng.normal(size=shape) + 0.7) * size,
            "gain": rng.normal(size=d_model),
            "bias": rng.normal(size=d_model),
        }

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The result, its dtype, the input afterwards, and the gradient."""
        import torch

        x, gain, bias = (torch.tensor(inputs[name]) for name in ("x", "gain", "bias"))
        if inputs.get("half"):
            x, gain, bias = x.half(), gain.float(), bias.float()
        before = x.clone()
        x.requires_grad_("weights" in inputs)
        settings = {"eps": inputs["eps"]} if "eps" in inputs else {}
        out = student.layer_norm(x, gain, bias, **settings)
        gradient = None
        if "weights" in inputs and out.requires_grad:
            (out * torch.tensor(inputs["weights"])).sum().backward()
            gradient = x.grad
        return {
            "out": out.detach().double(),
            "dtype": str(out.dtype),
            "intact": bool((x == before).all()),
            "gradient": gradient,
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Input, shape, dtype, values, gradient."""
        x, gain, bias = (case.inputs[name].astype(np.float64) for name in ("x", "gain", "bias"))
        half, eps = bool(case.inputs.get("half")), case.inputs.get("eps", 1e-5)
        given = f"x of shape {x.shape}, eps={eps:g}" + (", float16" if half else "")
        if half:
            x = x.astype(np.float16).astype(np.float64)
            gain, bias = gain.astype(np.float32).astype(np.float64), bias.astype(np.float32).astype(np.float64)
        if not answer["intact"]:
            return wrong(f"x was changed by the call; {given}")
        if answer["out"].shape != x.shape:
            return wrong(f"the result has shape {answer['out'].shape}, not that of x; {given}")
        if half and answer["dtype"] != "torch.float16":
            return wrong(f"float16 came in and {answer['dtype']} came out; {given}")
        tolerance = {"rtol": 4e-3, "atol": 4e-3} if half else {"rtol": 1e-9, "atol": 1e-10}
        if half and not np.isfinite(answer["out"]).all():
            return wrong(f"squares of numbers beyond 256 overflow in float16: compute in float32; {given}")
        if half and close(answer["out"], np.broadcast_to(bias, x.shape), **tolerance):
            return wrong(f"squares of numbers beyond 256 overflow in float16, so all is divided by infinity; {given}")
        if not close(answer["out"], normed(x, gain, bias, eps), **tolerance):
            with np.errstate(all="ignore"):
                return name_the_mistake(
                    answer["out"],
                    self._suspects(x, gain, bias, eps, given),
                    f"this is not (x - mean) / sqrt(variance + eps) * gain + bias; {given}",
                    **tolerance,
                )
        if "weights" not in case.inputs:
            return right()
        if answer["gradient"] is None:
            return wrong(f"no gradient reaches x: the graph was cut; {given}")
        return (
            right()
            if close(answer["gradient"], _norm_gradient(x, gain, eps, case.inputs["weights"]))
            else wrong(f"the gradient is not that of layer norm: mean and variance depend on x, too; {given}")
        )

    @staticmethod
    def _suspects(
        x: np.ndarray, gain: np.ndarray, bias: np.ndarray, eps: float, given: str
    ) -> Iterable[tuple[Any, str]]:
        if x.shape[-1] > 1:
            yield normed(x, gain, bias, eps, correction=1), f"the variance is divided by D - 1; D is asked; {given}"
        yield (
            normed(x, gain, bias, eps, outside=True),
            f"eps stands outside the root; it belongs to the variance; {given}",
        )
        yield normed(x, gain, bias, eps**2, outside=True), f"eps stands outside the root; {given}"
        yield normed(x, gain, bias, 0.0), f"eps has no effect; {given}"
        yield normed(x, gain, bias, 1e-5), f"eps is fixed at 1e-5 whatever is given; {given}"
        for axis in range(x.ndim - 1):
            yield (
                normed(x, gain, bias, eps, axis=axis),
                f"normalised along axis {axis}; each token by itself, along the last one; {given}",
            )
        every = (x - x.mean()) / np.sqrt(x.var() + eps) * gain + bias
        yield every, f"one mean for the whole tensor; each token has its own; {given}"
        yield (
            (x - x.mean(-1, keepdims=True)) / (x.var(-1, keepdims=True) + eps) * gain + bias,
            f"divided by the variance, not by its root; {given}",
        )
        yield x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * gain + bias, f"the mean was not taken off; {given}"
        yield normed(x, gain, np.zeros_like(bias), eps), f"the bias is missing; {given}"
        yield normed(x, np.ones_like(gain), bias, eps), f"the gain is missing; {given}"


def normed(
    x: np.ndarray,
    gain: np.ndarray,
    bias: np.ndarray,
    eps: float,
    axis: int = -1,
    correction: int = 0,
    outside: bool = False,
) -> np.ndarray:
    """Layer norm in float64, with the knobs of common mistakes."""
    centred = x - x.mean(axis, keepdims=True)
    size = x.shape[axis] - correction
    variance = (centred**2).sum(axis, keepdims=True) / size
    root = np.sqrt(variance) + eps if outside else np.sqrt(variance + eps)
    return np.asarray(centred / root * gain + bias)


def _norm_gradient(x: np.ndarray, gain: np.ndarray, eps: float, upstream: np.ndarray) -> np.ndarray:
    root = np.sqrt(x.var(-1, keepdims=True) + eps)
    unit, weighted = (x - x.mean(-1, keepdims=True)) / root, upstream * gain
    inner = weighted - weighted.mean(-1, keepdims=True) - unit * (weighted * unit).mean(-1, keepdims=True)
    return np.asarray(inner / root)


# -------------------------------------------------------------------------------------- 3.5 positions


class Sinusoidal(HiddenCheck):
    """3.5: values to far positions, and the rotation by which places move."""

    exercise = "sinusoidal"
    uses = ("sinusoidal",)
    criteria = {"values": 1.0, "far positions": 0.5, "moving is a rotation": 0.5}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Widths 2 and up; the rotation is tried for five steps."""
        for seq, d_model in ((9, 12), (1, 4), (30, 2), (int(rng.integers(11, 20)), 10)):
            yield Case("values", {"seq": seq, "d_model": d_model})
        yield Case("far positions", {"seq": 10_001, "d_model": 6})
        for step in rng.choice(np.arange(1, 40), size=5, replace=False).tolist():
            yield Case("moving is a rotation", {"seq": 60, "d_model": 8, "step": step})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The table; of a long one the last rows."""
        table = student.sinusoidal(inputs["seq"], inputs["d_model"])
        return {"shape": list(table.shape), "rows": table[-60:].double()}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Shape, then values or the rotation."""
        seq, d_model = case.inputs["seq"], case.inputs["d_model"]
        given = f"sinusoidal({seq}, {d_model})"
        if answer["shape"] != [seq, d_model]:
            return wrong(f"the shape is {tuple(answer['shape'])}, not {(seq, d_model)}; {given}")
        rows, first = answer["rows"], max(0, seq - 60)
        if close(rows, clocks(first, seq, d_model), rtol=0, atol=1e-5):
            return right()
        if case.criterion == "moving is a rotation":
            step, worst = case.inputs["step"], 0.0
            for pair in range(d_model // 2):
                angle = step * 10000.0 ** (-2 * pair / d_model)
                turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
                columns = rows[:, 2 * pair : 2 * pair + 2]
                worst = max(worst, float(np.abs(columns[:-step] @ turn.T - columns[step:]).max()))
            return (
                right()
                if worst < 1e-4
                else wrong(
                    f"moving on by {step} places is not the rotation of each pair of columns by a fixed angle; {given}"
                )
            )
        if case.criterion == "far positions" and close(rows, clocks(first, seq, d_model), rtol=0, atol=0.02):
            return wrong(f"at position {seq - 1} the angles are off by rounding: compute them in float64; {given}")
        suspects = [
            (
                clocks(first, seq, d_model, halved=True),
                f"the exponent counts columns, not pairs: it is 2i / D for the pair i; {given}",
            ),
            (
                clocks(first, seq, d_model, swapped=True),
                f"sine and cosine are exchanged: sines in the even columns; {given}",
            ),
            (clocks(first + 1, seq + 1, d_model), f"positions begin at 0, here at 1; {given}"),
            (clocks(first, seq, d_model, blocks=True), f"first all sines, then all cosines; they take turns; {given}"),
            (clocks(first, seq, d_model, base=1000.0), f"the base is 10000; {given}"),
        ]
        return name_the_mistake(
            rows, suspects, f"these are not the sines and cosines of the formula; {given}", rtol=0, atol=1e-5
        )


def clocks(
    first: int,
    last: int,
    d_model: int,
    halved: bool = False,
    swapped: bool = False,
    blocks: bool = False,
    base: float = 10000.0,
) -> np.ndarray:
    """Rows `first` to `last` of the table, with the knobs of common mistakes."""
    out = np.zeros((last - first, d_model))
    for column in range(d_model):
        pair = column // 2
        exponent = column / d_model if halved else 2 * pair / d_model
        turn = math.cos if (column % 2 == 1) != swapped else math.sin
        if blocks:
            exponent = 2 * (column % (d_model // 2)) / d_model
            turn = math.sin if column < d_model // 2 else math.cos
        for row in range(first, last):
            out[row - first, column] = turn(row / base**exponent)
    return out


# ------------------------------------------------------------------------------------------ 3.6 block


class PreNormBlock(HiddenCheck):
    """3.6: the parts are replaced by known linear maps, so that the wiring alone decides the result."""

    exercise = "block"
    uses = ("Block",)
    criteria = {"wiring": 1.0, "parts": 0.5, "mask and causal": 0.5}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Maps that do not commute, different for each part."""
        for batch, seq, d_model in ((2, 3, 4), (1, 5, 6)):
            maps = {
                name: rng.normal(size=(d_model, d_model)) * 0.7
                for name in ("attention_norm", "attention", "feed_forward_norm", "feed_forward")
            }
            yield Case("wiring", {"x": rng.normal(size=(batch, seq, d_model)), "maps": maps})
        yield Case("parts", {"x": rng.normal(size=(2, 4, 6)), "d_ff": 10})
        yield Case(
            "mask and causal", {"x": rng.normal(size=(2, 5, 4)), "mask": rng.random((2, 1, 1, 5)) < 0.7, "causal": True}
        )
        yield Case("mask and causal", {"x": rng.normal(size=(1, 3, 4)), "causal": False})
        yield Case("mask and causal", {"x": rng.normal(size=(2, 2, 4)), "default": True})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The result with replaced parts; what attention was called with; sizes of the real parts."""
        import torch

        class Map(torch.nn.Module):
            def __init__(self, matrix):
                super().__init__()
                self.matrix, self.calls = matrix, []

            def forward(self, x, *arguments, **keywords):
                self.calls.append([*arguments, *keywords.values()])
                return x @ self.matrix

        x = torch.tensor(inputs["x"])
        d_model = x.shape[-1]
        block = student.Block(d_model, 2, inputs.get("d_ff", 8)).double()
        names = ("attention_norm", "attention", "feed_forward_norm", "feed_forward")
        absent = [name for name in names if not isinstance(getattr(block, name, None), torch.nn.Module)]
        if absent:
            return {"absent": absent}
        before = x.clone()
        if "maps" in inputs:
            for name, matrix in inputs["maps"].items():
                setattr(block, name, Map(torch.tensor(matrix)))
            return {"absent": [], "out": block(x), "intact": bool((x == before).all())}
        if "d_ff" in inputs:
            block.eval()
            shapes = sorted(list(parameter.shape) for parameter in block.feed_forward.parameters())
            norms = [
                sorted(list(parameter.shape) for parameter in getattr(block, name).parameters()) for name in names[::2]
            ]
            inner = block.feed_forward(block.feed_forward_norm(x))
            same = block.attention_norm is block.feed_forward_norm
            weights = [parameter for parameter in block.feed_forward.parameters() if parameter.ndim == 2]
            biases = [parameter for parameter in block.feed_forward.parameters() if parameter.ndim == 1]
            return {
                "absent": [],
                "shapes": shapes,
                "norms": norms,
                "same": same,
                "intact": bool((x == before).all()),
                "inner": inner,
                "normed": block.feed_forward_norm(x),
                "weights": weights,
                "biases": biases,
            }
        spy = Map(torch.eye(d_model, dtype=torch.float64))
        block.attention = spy
        mask = torch.tensor(inputs["mask"]) if "mask" in inputs else None
        settings = {} if inputs.get("default") else {"causal": inputs["causal"]}
        block(x, **settings) if mask is None else block(x, mask=mask, **settings)
        got = spy.calls[0] if len(spy.calls) == 1 else []
        return {
            "absent": [],
            "calls": len(spy.calls),
            "mask": any(item is mask for item in got) if mask is not None else True,
            "causal": any(item is True for item in got) is bool(inputs.get("causal")),
            "intact": bool((x == before).all()),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Names, then what the criterion asks for."""
        x = case.inputs["x"]
        given = f"x of shape {x.shape}"
        if answer["absent"]:
            return wrong(f"the block has no submodule {answer['absent'][0]!r}: four were asked by name; {given}")
        if not answer["intact"]:
            return wrong(f"x was changed by the call: write x = x + ..., not x += ...; {given}")
        if case.criterion == "mask and causal":
            if answer["calls"] != 1:
                return wrong(f"attention was called {answer['calls']} times; {given}")
            if not answer["mask"]:
                return wrong(f"the mask does not reach the attention; {given}")
            return (
                right() if answer["causal"] else wrong(f"causal does not reach the attention as it was given; {given}")
            )
        if case.criterion == "parts":
            return self._parts(case, answer, given)
        maps = case.inputs["maps"]
        first, attention, second, feed_forward = (
            maps[name] for name in ("attention_norm", "attention", "feed_forward_norm", "feed_forward")
        )
        middle = x + x @ first @ attention
        want = middle + middle @ second @ feed_forward
        post = (x + x @ attention) @ first
        suspects = [
            ((post + post @ feed_forward) @ second, "this is post-norm: normalise what goes into a part, not the sum"),
            (
                x + middle @ second @ feed_forward,
                "the second sum starts from the block's input, not from what the first one made",
            ),
            (
                middle + x @ second @ feed_forward,
                "the feed-forward part reads the block's input, not what attention made of it",
            ),
            (middle + middle @ first @ feed_forward, "both parts use one norm; each has its own"),
            (middle @ second @ feed_forward, "the second sum is missing"),
            (x @ first @ attention + x @ first @ attention @ second @ feed_forward, "the first sum is missing"),
            (x @ first @ attention @ second @ feed_forward, "both sums are missing: nothing of x is kept"),
            (
                x @ first + x @ first @ attention + (x @ first + x @ first @ attention) @ second @ feed_forward,
                "the normalised copy was added; the sum starts from x itself",
            ),
            (x + x @ attention + (x + x @ attention) @ feed_forward, "the norms are not used"),
        ]
        if close(answer["out"], want):
            return right()
        return name_the_mistake(
            answer["out"],
            [(value, f"{words}; {given}") for value, words in suspects],
            f"the parts are not joined as x + part(norm(x)), twice; {given}",
        )

    @staticmethod
    def _parts(case: Case, answer: Any, given: str) -> Verdict:
        d_model, d_ff = case.inputs["x"].shape[-1], case.inputs["d_ff"]
        if answer["same"]:
            return wrong(
                f"attention_norm and feed_forward_norm are one and the same norm; each part has its own; {given}"
            )
        if answer["shapes"] != sorted([[d_ff, d_model], [d_ff], [d_model, d_ff], [d_model]]):
            return wrong(
                f"feed_forward has parameters of shapes {answer['shapes']}; two linear layers, to d_ff={d_ff} and "
                f"back, were asked; {given}"
            )
        if any(norm != [[d_model], [d_model]] for norm in answer["norms"]):
            return wrong(
                f"the norms have parameters of shapes {answer['norms'][0]}, not a gain and a bias of d_model; {given}"
            )
        up, down = answer["weights"]
        inner = answer["normed"] @ up.T + answer["biases"][0]
        exact = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        tanh = 0.5 * inner * (1 + np.tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)))
        values = [hidden @ down.T + answer["biases"][1] for hidden in (exact, tanh, np.maximum(inner, 0), inner)]
        if close(answer["inner"], values[0]) or close(answer["inner"], values[1]):
            return right()
        if close(answer["inner"], values[2]):
            return wrong(f"the nonlinearity is a ReLU; a GELU was asked; {given}")
        return wrong(f"there is no GELU between the two linear layers; {given}")


# ------------------------------------------------------------------------------- 3.7 cross-attention


class CrossAttention(HiddenCheck):
    """3.7: two lengths, ragged padding that holds huge numbers."""

    exercise = "cross-attention"
    uses = ("cross_attention",)
    criteria = {"who asks whom": 1.0, "padding": 1.0}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """(batch, seq, total, d_model, head_dim), all different, and once equal lengths."""
        for sizes in ((2, 3, 5, 6, 4), (1, 6, 2, 3, 5), (2, 4, 4, 5, 3), (1, 1, 3, 4, 2)):
            yield Case("who asks whom", self._draw(rng, *sizes, padded=False))
            yield Case("padding", self._draw(rng, *sizes, padded=True))

    @staticmethod
    def _draw(
        rng: np.random.Generator, batch: int, seq: int, total: int, d_model: int, head_dim: int, padded: bool
    ) -> dict[str, Any]:
        mask = np.ones((batch, total), dtype=bool)
        encoder = rng.normal(size=(batch, total, d_model))
        if padded:
            for row in range(batch):
                mask[row, int(rng.integers(1, total)) :] = False
            encoder[~mask] *= 50.0
        shapes = {
            "query": (d_model, head_dim),
            "key": (d_model, head_dim),
            "value": (d_model, head_dim),
            "output": (head_dim, d_model),
        }
        return {
            "decoder": rng.normal(size=(batch, seq, d_model)),
            "encoder": encoder,
            "mask": mask,
            "weights": {name: rng.normal(size=shape) for name, shape in shapes.items()},
        }

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The result, and whether the inputs are as they were."""
        import torch

        decoder, encoder, mask = (torch.tensor(inputs[name]) for name in ("decoder", "encoder", "mask"))
        weights = {name: torch.tensor(array) for name, array in inputs["weights"].items()}
        out = student.cross_attention(decoder, encoder, weights, mask)
        intact = bool(
            (decoder == torch.tensor(inputs["decoder"])).all() and (encoder == torch.tensor(inputs["encoder"])).all()
        )
        return {"out": out, "intact": intact}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Inputs, shape, values."""
        decoder, encoder, mask, weights = (case.inputs[name] for name in ("decoder", "encoder", "mask", "weights"))
        given = f"decoder {decoder.shape}, encoder {encoder.shape}, padding {(~mask).sum()}"
        if not answer["intact"]:
            return wrong(f"an input was changed by the call; {given}")
        if getattr(answer["out"], "shape", None) != decoder.shape:
            return wrong(
                f"the result has shape {getattr(answer['out'], 'shape', None)}, that of the decoder is asked: its "
                f"places ask; {given}"
            )

        def result(asks: np.ndarray, told: np.ndarray, allowed: np.ndarray | None, width: int = 0) -> np.ndarray:
            gathered, _ = attended(
                asks @ weights["query"], told @ weights["key"], told @ weights["value"], allowed, width
            )
            return np.asarray(gathered @ weights["output"])

        hidden = mask[:, None, :]
        if close(answer["out"], result(decoder, encoder, hidden)):
            return right()
        seq, total = decoder.shape[1], encoder.shape[1]
        suspects = [
            (result(decoder, encoder, None), "the padding of the encoder takes part"),
            (result(decoder, decoder, None), "keys and values come from the decoder; what is looked at is the encoder"),
            (
                result(decoder, encoder, hidden & np.tri(seq, total, total - seq, dtype=bool)),
                "a causal mask hides part of the source; nothing is causal here",
            ),
            (
                result(decoder, encoder, hidden & np.tri(seq, total, dtype=bool)),
                "a causal mask hides part of the source; nothing is causal here",
            ),
            (result(decoder, encoder, hidden, 1), "the scores are not scaled"),
            (
                result(decoder, encoder, hidden, decoder.shape[-1]),
                "scaled by the root of d_model; the width of the queries decides",
            ),
        ]
        if seq == total:
            suspects.append(
                (result(encoder, decoder, None), "the encoder asks and the decoder answers; it is the other way round")
            )
            suspects.append((result(encoder, encoder, hidden), "queries come from the encoder; the decoder asks"))
        with np.errstate(invalid="ignore"):
            return name_the_mistake(
                answer["out"],
                [(value, f"{words}; {given}") for value, words in suspects],
                f"this is not attention of the decoder's queries over the encoder; {given}",
            )


# -------------------------------------------------------------------------------- 3.8 sparse patterns


class Sparse(HiddenCheck):
    """3.8: the patterns pair by pair; the field against what powers of the mask reach."""

    exercise = "sparse"
    uses = ("sparse_mask", "receptive_field")
    criteria = {"windows": 0.75, "global tokens": 0.5, "receptive field": 0.75}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Encoder and decoder, with and without holes; windows longer than the sequence; two global tokens."""
        for seq, window, dilation, causal in (
            (9, 5, 1, False),
            (11, 3, 3, False),
            (10, 4, 2, True),
            (7, 3, 1, True),
            (5, 9, 1, False),
            (6, 1, 1, True),
        ):
            yield Case("windows", {"mask": [seq, window, dilation, 0, causal]})
        yield Case("windows", {"mask": [8, 3]})
        for seq, window, dilation, n_global, causal in (
            (9, 3, 1, 2, False),
            (9, 3, 2, 1, True),
            (6, 1, 1, 1, False),
            (5, 1, 1, 5, True),
        ):
            yield Case("global tokens", {"mask": [seq, window, dilation, n_global, causal]})
        for n_layers, window, dilation in ((1, 5, 1), (int(rng.integers(2, 7)), 3, 2), (4, 7, 3), (3, 1, 4), (0, 5, 1)):
            yield Case("receptive field", {"field": [n_layers, window, dilation]})
        yield Case("receptive field", {"field": [5, 9]})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """A mask, or a number."""
        if "mask" in inputs:
            return student.sparse_mask(*inputs["mask"])
        return student.receptive_field(*inputs["field"])

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The mask against each misreading; the field against counted reach."""
        if "field" in case.inputs:
            n_layers, window, dilation = (*case.inputs["field"], 1)[:3]
            given = f"receptive_field({', '.join(map(str, case.inputs['field']))})"
            if isinstance(answer, bool) or not isinstance(answer, int):
                return wrong(f"the field is a whole number, this is {type(answer).__name__}; {given}")
            if answer == _reached(n_layers, window, dilation):
                return right()
            for value, words in (
                (
                    n_layers * window * dilation,
                    "windows of successive layers overlap in one place: each layer adds (window - 1) * dilation",
                ),
                (n_layers * window, "windows overlap, and dilation makes them longer"),
                (1 + n_layers * (window - 1), "dilation makes the window longer"),
                (
                    1 + 2 * n_layers * (window - 1) * dilation,
                    "the window has two sides already; it is not to be doubled",
                ),
                (n_layers * (window - 1) * dilation, "the place itself counts as well"),
                (1 + (window - 1) * dilation, "several layers reach further than one"),
                (window**n_layers, "layers add to the reach, they do not multiply it"),
            ):
                if answer == value:
                    return wrong(f"{words}; {given}")
            return wrong(f"that is not how far {n_layers} such layers reach; {given}")
        seq, window, dilation, n_global, causal = (*case.inputs["mask"], *(1, 0, False)[len(case.inputs["mask"]) - 2 :])
        given = f"sparse_mask(seq={seq}, window={window}, dilation={dilation}, n_global={n_global}, causal={causal})"
        want = pattern(seq, window, dilation, n_global, causal)
        if getattr(answer, "shape", None) != want.shape:
            return wrong(f"the shape is {getattr(answer, 'shape', None)}, not {want.shape}; {given}")
        if answer.dtype != np.bool_:
            return wrong(f"the mask is boolean, this is {answer.dtype}; {given}")
        if np.array_equal(answer, want):
            return right()
        rows, columns = pattern(seq, window, dilation, 0, causal), pattern(seq, window, dilation, 0, causal)
        rows[:n_global], columns[:, :n_global] = True, True
        triangle = np.tri(seq, dtype=bool)
        for other, words in (
            (pattern(seq, window, 1, n_global, causal), "dilation has no effect"),
            (pattern(seq, (window - 1) * dilation + 1, 1, n_global, causal), "the window got longer but has no holes"),
            (pattern(seq, window, dilation, n_global, True), "an encoder's window is centred: it has two sides"),
            (
                pattern(seq, window, dilation, n_global, not causal) if window % 2 else None,
                "causal is turned round or ignored",
            ),
            (
                pattern(seq, 2 * window - 1, dilation, n_global, causal) if not causal else None,
                "window counts all keys, not those on one side",
            ),
            (
                pattern(seq, window + 1, dilation, n_global, causal) if causal else None,
                "the token itself is one of the window's keys",
            ),
            (pattern(seq, window, dilation, 0, causal), "the global tokens are missing"),
            (
                columns & triangle if causal else columns,
                "a global token is seen by all, but it must also see all: its row",
            ),
            (
                rows & triangle if causal else rows,
                "a global token sees all, but it must also be seen by all: its column",
            ),
            (
                pattern(seq, window, dilation, 0, causal) | rows | columns,
                "the global tokens see the future; with causal nobody does",
            ),
            (~want, "inverted: True means that a query may look"),
        ):
            if other is not None and np.array_equal(answer, other):
                return wrong(f"{words}; {given}")
        return wrong(f"{int((answer != want).sum())} of {seq * seq} pairs are not as asked; {given}")


def pattern(seq: int, window: int, dilation: int, n_global: int, causal: bool) -> np.ndarray:
    """The mask, pair by pair."""
    steps = range(-(window - 1), 1) if causal else range(-(window // 2), window // 2 + 1)
    offsets = {step * dilation for step in steps}
    out = np.zeros((seq, seq), dtype=bool)
    for query in range(seq):
        for key in range(seq):
            near = key - query in offsets or query < n_global or key < n_global
            out[query, key] = near and not (causal and key > query)
    return out


def _reached(n_layers: int, window: int, dilation: int) -> int:
    """How many places a chain of steps spans, walked outwards layer by layer."""
    low = high = 0
    for _ in range(n_layers):
        low -= (window - 1) * dilation
    return high - low + 1


# ------------------------------------------------------------------------------------- 3.9 parameters


class Parameters(HiddenCheck):
    """3.9: three real models and a drawn one; exact."""

    exercise = "parameters"
    uses = ("count_parameters",)
    criteria = {"real models": 1.0, "any sizes": 1.0}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """MiniLM, BERT-base and BERT-large; sizes that are all different."""
        for d_model, n_layers, d_ff in ((384, 6, 1536), (768, 12, 3072), (1024, 24, 4096)):
            yield Case("real models", {"sizes": [30522, d_model, n_layers, d_ff, 512, 2]})
        for _ in range(3):
            yield Case("any sizes", {"sizes": rng.integers(2, 90, size=6).tolist()})
        yield Case("any sizes", {"sizes": [11, 5, 0, 7, 3, 1]})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The number as it comes."""
        return student.count_parameters(*inputs["sizes"])

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Exactly, and if not: what is missing?"""
        vocab_size, d_model, n_layers, d_ff, max_seq, n_segments = case.inputs["sizes"]
        names = ("vocab_size", "d_model", "n_layers", "d_ff", "max_seq", "n_segments")
        given = ", ".join(f"{name}={size}" for name, size in zip(names, case.inputs["sizes"], strict=True))
        if isinstance(answer, bool) or not isinstance(answer, int):
            return wrong(f"a count is an int, this is {type(answer).__name__}; {given}")
        tables = (vocab_size + max_seq + n_segments) * d_model
        norms = 2 * d_model * (1 + 2 * n_layers)
        matrices = n_layers * (4 * d_model**2 + 2 * d_model * d_ff) + d_model**2
        biases = n_layers * (5 * d_model + d_ff) + d_model
        pooler = d_model**2 + d_model
        want = tables + norms + matrices + biases
        if answer == want:
            return right()
        for missing, words in (
            (pooler, "the pooler is missing"),
            (biases, "the linear layers' biases are missing"),
            (norms, "the layer norms are missing"),
            (norms // 2, "a layer norm has a gain and a bias"),
            (2 * d_model, "the layer norm behind the tables is missing"),
            (norms - 2 * d_model, "the blocks' layer norms are missing"),
            (2 * d_model * n_layers, "each block has two layer norms"),
            (max_seq * d_model, "the table of positions is missing"),
            (n_segments * d_model, "the table of segments is missing"),
            ((max_seq + n_segments) * d_model, "the tables of positions and segments are missing"),
            (norms + biases, "biases and layer norms are missing"),
            (pooler + biases - d_model + norms, "biases, layer norms and pooler are missing"),
            (n_layers * (d_model**2 + d_model), "attention has four linear layers: query, key, value and output"),
            (n_layers * (d_ff - d_model), "the first feed-forward layer has d_ff biases, the second d_model"),
            (n_layers * (d_model - d_ff), "the first feed-forward layer has d_ff biases, the second d_model"),
        ):
            if missing and answer == want - missing:
                return wrong(f"{words}; {given}")
        return wrong(
            f"the count is {'too large' if answer > want else 'too small'}; heads, by the way, change nothing; {given}"
        )
