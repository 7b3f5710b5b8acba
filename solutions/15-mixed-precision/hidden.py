"""The hidden checks of chapter 15: what a right answer must do, and what each wrong one is told.

Expected values are computed here in float64, from the bits of the formats, by a simulation in plain Python, or from
lists of sizes. Gradients lie on both sides of every limit and on it; histories hold overflows first, last and in a
row; the toy models of the probes compute logits that bfloat16 holds exactly, so that a loss can be compared closely.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from grader.comparing import close, name_the_mistake
from grader.hidden import Case, HiddenCheck, Verdict, right, wrong

# ----------------------------------------------------------------------------------- 15.1 formats

SMALLEST = {"float16": 2.0**-24, "bfloat16": 2.0**-133, "float32": 2.0**-149}
"""The smallest subnormal number of each format."""

LIMITS = {
    "float16": {"max": 65504.0, "tiny": 2.0**-14, "eps": 2.0**-10},
    "bfloat16": {"max": (2**8 - 1) * 2.0**120, "tiny": 2.0**-126, "eps": 2.0**-7},
    "float32": {"max": (2**24 - 1) * 2.0**104, "tiny": 2.0**-126, "eps": 2.0**-23},
}


class Formats(HiddenCheck):
    """15.1: limits as exact numbers; gradients below, on and above what a format takes for zero."""

    exercise = "formats"
    uses = ("representable", "underflow_share")
    criteria = {"limits": 1.0, "share": 1.0, "zeros and subnormals": 1.0}
    forbids = dict.fromkeys(
        ("torch.finfo", ".finfo", "np.finfo", "finfo"), "the limits are the exercise: work them out from the bits"
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Every format; random sizes with both signs; then ties, zeros, infinities and nothing at all."""
        for name in LIMITS:
            yield Case("limits", {"dtype": name})
        for low, high, scale in [(-34, -10, 1.0), (-40, -16, 2.0**10), (-30, -4, 2.0**-9), (-38, -20, 3000.0)]:
            yield self._case("share", rng, low, high, scale, "float16")
        yield self._case("share", rng, -125, -100, 2.0**-20, "bfloat16")
        yield self._case("share", rng, -38, -10, 1.0, "bfloat16")
        step = SMALLEST["float16"]
        edges = [step / 2, -step / 2, step * 0.51, -step, 3e-6, 0.0, 0.0, 1.0, 2.0**-60, -(2.0**-15)]
        for scale in (1.0, 2.0, 0.5):
            yield Case(
                "zeros and subnormals", {"grads": np.array(edges).reshape(2, 5), "scale": scale, "dtype": "float16"}
            )
        for grads in (np.zeros(4), np.zeros((0, 3)), np.array([1e-12]), np.array([100.0, -9e4, 8e4, 1e-5, 1e-9, 0.0])):
            yield Case("zeros and subnormals", {"grads": grads, "scale": 64.0, "dtype": "float16"})

    @staticmethod
    def _case(
        criterion: str, rng: np.random.Generator, low: int, high: int, scale: float, dtype: str, shape: Any = (7, 3, 5)
    ) -> Case:
        sizes = 2.0 ** rng.uniform(low, high, size=shape) * rng.choice([-1, 1], size=shape)
        sizes[rng.random(shape) < 0.2] = 0.0
        grads = sizes.astype(np.float32).astype(np.float64)
        return Case(criterion, {"grads": grads, "scale": scale, "dtype": dtype})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The limits, or the share with its type, and the gradients afterwards."""
        import torch

        dtype = getattr(torch, inputs["dtype"])
        if "grads" not in inputs:
            limits = student.representable(dtype)
            return {str(name): float(value) for name, value in limits.items()}
        grads = torch.tensor(inputs["grads"], dtype=torch.float32)
        before = grads.clone()
        share = student.underflow_share(grads, inputs["scale"], dtype)
        return {"share": float(share), "kind": type(share).__name__, "intact": torch.equal(grads, before)}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Limits one by one, then the share against those of each slip."""
        name = case.inputs["dtype"]
        if "grads" not in case.inputs:
            return self._judge_limits(name, answer)
        grads, scale = case.inputs["grads"].ravel(), case.inputs["scale"]
        given = f"{grads.size} gradients, scale={scale:g}, {name}"
        if not answer["intact"]:
            return wrong(f"the gradients were changed: work on a copy; {given}")
        if answer["kind"] == "Tensor":
            return wrong(f"a plain number was asked, this is a tensor: item() makes one of it; {given}")
        sizes, zero = np.abs(grads), SMALLEST[name] / 2
        alive = sizes[sizes > 0]
        count = max(alive.size, 1)

        def share(lost: Any) -> float:
            return float(np.sum(lost)) / count

        got, want = answer["share"], share(alive * scale <= zero)
        if close(got, want):
            return right()
        infinite = alive * scale > LIMITS[name]["max"]
        return name_the_mistake(
            got,
            [
                (
                    share(alive / scale <= zero),
                    f"the scale divides; it multiplies the loss, and so the gradients; {given}",
                ),
                (
                    share(alive <= zero),
                    f"the cast came first (or there is no scale), and what is lost no scale brings back; {given}",
                ),
                (
                    share(alive * scale < LIMITS[name]["tiny"]),
                    f"subnormal numbers are counted as lost: below tiny come numbers that are not zero yet; {given}",
                ),
                (
                    float(np.sum(sizes * scale <= zero)) / max(sizes.size, 1),
                    f"gradients that were zero before are counted, and nothing of them can be lost; {given}",
                ),
                (
                    share(alive * scale <= zero) * alive.size / max(sizes.size, 1),
                    f"the share is of the gradients that are not zero: divide by their number; {given}",
                ),
                (1 - want, f"this is the share that is kept; {given}"),
                (share((alive * scale <= zero) | infinite), f"infinite is not zero: that is an overflow; {given}"),
            ],
            f"this is not the share of the gradients that become zero; {given}",
        )

    @staticmethod
    def _judge_limits(name: str, answer: Mapping[str, float]) -> Verdict:
        want = LIMITS[name]
        if set(answer) != set(want):
            return wrong(f"the keys are max, tiny and eps, these are {', '.join(sorted(answer))}; {name}")
        if answer == want:
            return right()
        other = {"float16": "bfloat16", "bfloat16": "float16"}.get(name)
        if other and answer == LIMITS[other]:
            return wrong(f"these are the limits of {other}: the two 16-bit formats are exchanged; {name}")
        if answer["eps"] == want["eps"] / 2:
            return wrong(f"eps is the step after 1, the last bit of the fraction; yours is half of it; {name}")
        if answer["tiny"] == SMALLEST[name]:
            return wrong(f"tiny is the smallest number with all its digits, this is the smallest subnormal one; {name}")
        if answer["tiny"] in (want["tiny"] / 2, want["tiny"] * 2):
            return wrong(f"tiny is off by a factor of two: the lowest exponent means subnormal; {name}")
        if answer["max"] != want["max"]:
            return wrong(f"max is not the largest number: highest exponent, all bits of the fraction set; {name}")
        return wrong(f"these are not the limits of the format; {name}")


# -------------------------------------------------------------------------- 15.2 a scaled step


class ScaledStep(HiddenCheck):
    """15.2: true gradients that fp16 cannot hold, overflows of each kind, and updates that fp16 weights would miss."""

    exercise = "scaled-step"
    uses = ("scaled_sgd_step",)
    criteria = {"true gradients": 1.0, "overflow": 1.0, "small steps": 1.0}
    forbids = dict.fromkeys(
        ("torch.optim.SGD", "optim.SGD", "SGD", "torch.optim.Adam", "torch.optim.AdamW"),
        "the step is one line of arithmetic: write it yourself",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Gradients as numbers that fp16 holds; weights of size one, and zero where the gradient is tiny."""
        for shape, k, lr in [((3, 4), 48.0, 0.3), ((5,), 2.0**10, 0.07), ((2, 1, 3), 1.0, 1.5)]:
            yield self._case("true gradients", rng.normal(size=shape), rng.normal(size=shape), k, lr)
        tiny = rng.uniform(0.5, 4.0, size=(2, 6)) * 2.0**-12
        yield self._case("true gradients", np.zeros((2, 6)), tiny, 2.0**16, 0.9)
        yield self._case("true gradients", np.zeros((2, 6)), tiny, 2.0**15, 3e-4)
        for broken in (math.inf, -math.inf, math.nan):
            g = rng.normal(size=(4, 3))
            g[2, 1] = broken
            yield self._case("overflow", rng.normal(size=(4, 3)), g, 24.0, 0.1)
        yield self._case("overflow", rng.normal(size=3), np.full(3, math.inf), 1.0, 0.1)
        yield self._case("overflow", rng.normal(size=3), np.array([6e4, -6e4, 1.0]), 2.0, 0.1)
        for k, lr in [(1.0, 1e-4), (2.0**12, 3e-5)]:
            yield self._case("small steps", np.ones(2), np.array([k, -k]), k, lr, 150)

    @staticmethod
    def _case(criterion: str, w: np.ndarray, g: np.ndarray, k: float, lr: float, times: int = 1) -> Case:
        wide = w.astype(np.float32).astype(np.float64)
        narrow = g.astype(np.float16).astype(np.float64)
        return Case(criterion, {"w": wide, "g": narrow, "k": k, "lr": lr, "times": times})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The weights after so many steps, what was said, and the inputs afterwards."""
        import torch

        w = torch.tensor(inputs["w"], dtype=torch.float32)
        g = torch.tensor(inputs["g"], dtype=torch.float16)
        kept_w, kept_g, k = w.clone(), g.clone(), inputs["k"]
        new = w
        for _ in range(inputs["times"]):
            new, stepped, k = student.scaled_sgd_step(new, g, k, inputs["lr"])
        same_g = torch.equal(torch.nan_to_num(g), torch.nan_to_num(kept_g))
        return {
            "w": new.detach().double(),
            "dtype": str(new.dtype),
            "stepped": stepped if isinstance(stepped, bool) else str(stepped),
            "k": float(k),
            "intact": torch.equal(w, kept_w) and same_g,
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Inputs, then the decision, then the weights."""
        w, g, k, lr, times = (case.inputs[name] for name in ("w", "g", "k", "lr", "times"))
        given = f"k={k:g}, lr={lr:g}, gradients from {np.nanmin(g):.3g} to {np.nanmax(g):.3g}"
        given += f", {times} steps" if times > 1 else ""
        if not answer["intact"]:
            return wrong(f"the weights or the gradient that were given are changed: make new ones; {given}")
        finite = bool(np.isfinite(g).all())
        if answer["stepped"] is not finite and not finite:
            return wrong(f"a step was made although a gradient is not finite (nan counts, too); {given}")
        if answer["stepped"] is not finite:
            return wrong(f"a step was left out although all gradients are finite, or not answered by a bool; {given}")
        if not finite:
            if not close(answer["w"], w):
                return wrong(f"the weights changed although the step is left out; {given}")
            if answer["k"] == k:
                return wrong(f"k stayed after an overflow: the next loss would overflow again; {given}")
            return right() if answer["k"] == k / 2 else wrong(f"k is halved after an overflow; {given}")
        if answer["k"] != k:
            return wrong(f"k changed although all gradients are finite; {given}")
        if answer["dtype"] != "torch.float32":
            return wrong(f"the new weights are {answer['dtype']}: master weights stay float32; {given}")
        want = w - times * lr * g / k
        tolerance = {"rtol": 3e-6 * times**0.5, "atol": 0.0}
        if close(answer["w"], want, **tolerance):
            return right()
        half = np.float16
        in_half = (g.astype(half) / half(k)).astype(np.float64)
        return name_the_mistake(
            answer["w"],
            [
                (
                    w - lr * in_half,
                    f"the gradient was divided in fp16, where it is lost: make it float32 first; {given}",
                ),
                (
                    w - lr * (g.astype(half) * half(1 / k)).astype(np.float64),
                    f"the gradient was divided in fp16, where it is lost: make it float32 first; {given}",
                ),
                (w - times * lr * g, f"the gradient is still k times too large; {given}"),
                (w - times * lr * g * k, f"the gradient was multiplied by k once more; {given}"),
                (w + times * lr * g / k, f"the weights went up the gradient: subtract; {given}"),
                (w.astype(half).astype(np.float64), f"the weights were fp16 on the way: small steps are lost; {given}"),
            ],
            (
                f"the steps do not add up as in float32: is something fp16 on the way? {given}"
                if times > 1
                else f"not the weights minus lr times the true gradient; is something fp16 on the way? {given}"
            ),
            **tolerance,
        )


# ------------------------------------------------------------------------------ 15.3 the scaler


class LossScaler(HiddenCheck):
    """15.3: histories of good and broken gradients, two groups, a parameter without a gradient, momentum."""

    exercise = "loss-scaler"
    uses = ("DynamicLossScaler",)
    criteria = {"scales": 1.5, "steps left out": 1.5, "true gradients": 1.0}
    forbids = dict.fromkeys(
        ("torch.amp.GradScaler", "torch.cuda.amp.GradScaler", "GradScaler", "amp.GradScaler"),
        "torch's scaler is what you build: keep the scale and the count yourself",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """ "g" is a good step, "i" one with an infinite gradient, "n" one with nan."""
        for settings, history in [
            ((8.0, 4.0, 0.5, 2), "gigggginngggg"),
            ((1024.0, 2.0, 0.25, 3), "gggggggigggiggggggg"),
            ((2.0**40, 3.0, 0.5, 1), "iiigggigg"),
            ((96.0, 1.5, 0.75, 4), "ggggggiggggiggg"),
            ((None, None, None, None), "gggnggg"),
            ((32.0, None, None, 2), "gggigg"),
        ]:
            yield self._case("scales", rng, settings, history)
        for where in (0, 1, 2):
            yield self._case("steps left out", rng, (64.0, 2.0, 0.5, 3), "gginggigg", where=where)
        yield self._case("steps left out", rng, (64.0, 2.0, 0.5, 2), "gignnggg", where=2, momentum=0.9)
        yield self._case("true gradients", rng, (256.0, 2.0, 0.5, 3), "ggggigg", unscale="all")
        yield self._case("true gradients", rng, (2048.0, 4.0, 0.5, 2), "ggnggggg", unscale="some")
        yield self._case("true gradients", rng, (48.0, 2.0, 0.5, 3), "gggg", momentum=0.5)

    @staticmethod
    def _case(
        criterion: str,
        rng: np.random.Generator,
        settings: Any,
        history: str,
        where: int = 0,
        momentum: float = 0.0,
        unscale: str = "never",
    ) -> Case:
        grads = rng.normal(size=(len(history), 3)).astype(np.float32).astype(np.float64)
        for step, kind in enumerate(history):
            if kind != "g":
                grads[step, where] = math.nan if kind == "n" else math.inf
        inputs = {"settings": list(settings), "grads": grads, "momentum": momentum, "unscale": unscale}
        return Case(criterion, inputs, {"history": history})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """After each step: the answer, the scale, the weights, the optimizer's steps, the gradients after unscaling."""
        import torch

        class Counting(torch.optim.SGD):
            calls = 0

            def step(self, closure=None):
                Counting.calls += 1
                return super().step(closure)

        names = ("init", "growth", "backoff", "interval")
        given = {name: value for name, value in zip(names, inputs["settings"], strict=True) if value is not None}
        scaler = student.DynamicLossScaler(**given)
        weights = [torch.zeros(2, requires_grad=True) for _ in range(3)]
        idle = torch.ones(2, requires_grad=True)
        groups = [{"params": [weights[0], idle]}, {"params": [weights[1], weights[2]]}]
        optimizer = Counting(groups, lr=1.0, momentum=inputs["momentum"])
        first = scaler.get_scale()
        seen = []
        for number, row in enumerate(inputs["grads"].tolist()):
            for weight in weights:
                weight.grad = None
            loss = sum((weight * torch.tensor([value, 0.5])).sum() for weight, value in zip(weights, row, strict=True))
            kept = loss.detach().clone()
            scaler.scale(loss).backward()
            same = bool(torch.equal(torch.nan_to_num(loss.detach()), torch.nan_to_num(kept)))
            true = None
            if inputs["unscale"] == "all" or (inputs["unscale"] == "some" and number % 2):
                scaler.unscale_(optimizer)
                true = [weight.grad.double() for weight in weights]
                if all(bool(grad.isfinite().all()) for grad in true):
                    for weight in weights:
                        weight.grad *= 0.25  # as a clipping would
            stepped = scaler.step(optimizer)
            seen.append(
                {
                    "stepped": stepped if isinstance(stepped, bool) else str(stepped),
                    "scale": float(scaler.get_scale()),
                    "weights": [weight.detach().double().tolist() for weight in weights],
                    "calls": Counting.calls,
                    "true": true,
                    "loss": same,
                }
            )
        return {"first": float(first), "seen": seen}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Step by step beside a simulation in plain Python."""
        inputs, history = case.inputs, case.secret["history"]
        defaults = (65536.0, 2.0, 0.5, 2000)
        init, growth, backoff, interval = (
            default if value is None else value for value, default in zip(inputs["settings"], defaults, strict=True)
        )
        told = f"init={init:g}, growth={growth:g}, backoff={backoff:g}, interval={interval}"
        if answer["first"] != init:
            return wrong(f"the first scale is not init; {told}")
        scale, good, calls = float(init), 0, 0
        position, speed = np.zeros((3, 2)), np.zeros((3, 2))
        for number, (kind, row, got) in enumerate(zip(history, inputs["grads"], answer["seen"], strict=True)):
            given = f"{told}, steps so far: {history[: number + 1]} (g good, i infinite, n nan)"
            grads = np.stack([row, np.full(3, 0.5)], axis=1)
            if not got["loss"]:
                return wrong(f"scale changed the loss it was given: make a new one; {given}")
            if got["true"] is not None and kind == "g":
                if close(got["true"], grads, rtol=2e-6, atol=1e-6):
                    grads = grads * 0.25
                elif close(got["true"], grads * scale, rtol=2e-6):
                    return wrong(f"after unscale_ the gradients are as scaled as before: divide in place; {given}")
                elif close(got["true"][0], grads[0], rtol=2e-6):
                    return wrong(f"unscale_ left some gradients scaled: go through all groups; {given}")
                else:
                    return wrong(f"after unscale_ the gradients are not the true ones; {given}")
            if got["stepped"] is not (kind == "g"):
                if kind == "g":
                    return wrong(f"step did not answer True to a good step; {given}")
                return wrong(f"a step with a gradient that is {_kind(kind)} was not left out (or not False); {given}")
            calls += kind == "g"
            if got["calls"] != calls and kind != "g":
                return wrong(f"the optimizer was asked to step although the step is left out; {given}")
            if got["calls"] != calls:
                return wrong(f"the optimizer stepped {got['calls']} times, {calls} were right; {given}")
            before = position
            if kind == "g":
                speed = inputs["momentum"] * speed + grads
                position = position - speed
            if not close(got["weights"], position, rtol=1e-5, atol=1e-5):
                return self._weights(got["weights"], before, speed, grads, scale, got["true"], given)
            old, good = scale, good + 1
            if kind != "g":
                scale, good = scale * backoff, 0
            elif good == interval:
                scale, good = scale * growth, 0
            if not close(got["scale"], scale, rtol=1e-6):
                return self._scale(got["scale"], old, growth, backoff, kind, good, given)
        return right()

    @staticmethod
    def _weights(
        got: Any, before: np.ndarray, speed: np.ndarray, grads: np.ndarray, scale: float, true: Any, given: str
    ) -> Verdict:
        moved = before - np.asarray(got)
        if scale != 1 and close(moved[0], speed[0], rtol=1e-4) and not close(moved[2], speed[2], rtol=1e-4):
            return wrong(f"only the first parameters had their gradients unscaled: go through all groups; {given}")
        if close(moved, speed + grads * (scale - 1), rtol=1e-3):
            return wrong(f"the optimizer got the scaled gradients: unscale before the step; {given}")
        if true is not None and close(moved, grads / scale, rtol=1e-3, atol=1e-4):
            return wrong(f"the gradients were unscaled twice: step must not do it again after unscale_; {given}")
        return wrong(f"the weights are not where the true gradients lead; {given}")

    @staticmethod
    def _scale(got: float, old: float, growth: float, backoff: float, kind: str, good: int, given: str) -> Verdict:
        if kind != "g":
            return wrong(
                f"after an overflow the scale is multiplied by backoff, it went from {old:g} to {got:g}; {given}"
            )
        if good == 0:
            return wrong(f"that was the interval-th good step since the last change: the scale must grow; {given}")
        if got > old:
            return wrong(
                f"the scale grew too early: only good steps in a row count, from the last change of the scale; {given}"
            )
        return wrong(f"the scale changed from {old:g} to {got:g} after a good step; {given}")


def _kind(letter: str) -> str:
    return "nan" if letter == "n" else "infinite"


# ----------------------------------------------------------------------------- 15.4 autocast

FAMILIES = {
    "product": ("matmul", "mm", "bmm", "linear", "einsum", "conv1d", "conv2d"),
    "loss": ("cross_entropy", "nll_loss", "mse_loss", "kl_div"),
    "reduction": ("softmax", "log_softmax", "layer_norm", "sum", "cumsum", "norm", "exp", "log", "pow"),
    "rest": ("add", "mul", "relu", "gelu", "tanh", "dropout", "embedding", "mean", "amax"),
}


class AutocastRules(HiddenCheck):
    """15.4: every operation with every dtype, and traces of models with odd parts."""

    exercise = "autocast-rules"
    uses = ("dtype_policy", "autocast_trace")
    criteria = {"policy": 1.0, "on a GPU": 0.5, "trace": 1.0, "afterwards": 0.5}
    forbids = dict.fromkeys(
        (
            "nn.modules.module.register_module_forward_hook",
            "torch.nn.modules.module.register_module_forward_hook",
            ".register_module_forward_hook",
            "register_module_forward_hook",
        ),
        "hooks on all modules of the program are the stand-in's way: hook the parts of this model",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """All operations in one question, in a random order; models by name, the probe builds them."""
        ops = [op for family in FAMILIES.values() for op in family]
        for device, criterion in (("cpu", "policy"), ("cuda", "on a GPU")):
            for dtype in ("float32", "bfloat16", "float16", "float64"):
                asked = [ops[place] for place in rng.permutation(len(ops))]
                yield Case(criterion, {"ops": asked, "inputs": dtype, "device": device})
        yield Case(
            "policy", {"ops": [*FAMILIES["product"], "softmax", "mse_loss", "add"], "inputs": None, "device": None}
        )
        yield Case("policy", {"ops": ["fft"], "inputs": "float32", "device": "cpu"})
        for model in ("nested", "residual", "odd parts", "double"):
            yield Case("trace", {"model": model})
        for model in ("modes", "failing"):
            yield Case("afterwards", {"model": model})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Dtypes as words; for a trace also how the model was called and how it is left."""
        import torch
        from torch import nn

        if "ops" in inputs:
            told = []
            for op in inputs["ops"]:
                try:
                    if inputs["inputs"] is None:
                        dtype = student.dtype_policy(op)
                    else:
                        dtype = student.dtype_policy(op, getattr(torch, inputs["inputs"]), inputs["device"])
                    told.append(str(dtype).removeprefix("torch."))
                except ValueError:
                    told.append("ValueError")
            return told

        calls = []

        class Residual(nn.Module):
            def __init__(self):
                super().__init__()
                self.norm, self.up = nn.LayerNorm(6), nn.Linear(6, 6)

            def forward(self, x):
                return x + self.up(self.norm(x))

        class Pair(nn.Module):
            def forward(self, x):
                return x, x.sum()

        class Model(nn.Module):
            def __init__(self, **parts):
                super().__init__()
                for name, part in parts.items():
                    self.add_module(name, part)

            def forward(self, x):
                calls.append([self.training, torch.is_grad_enabled()])
                for name, part in self.named_children():
                    if name == "unused":
                        continue
                    x = part(x)
                    x = x[0] if isinstance(x, tuple) else x
                    if name == "broken":
                        raise KeyError("broken on purpose")
                return x

        x = torch.ones(4, 6)
        kind = inputs["model"]
        if kind == "nested":
            inner = nn.Sequential(nn.Linear(6, 6), nn.GELU(), nn.LayerNorm(6))
            model = Model(first=nn.LayerNorm(6), inner=inner, drop=nn.Dropout(0.5), last=nn.Softmax(-1))
        elif kind == "residual":
            model = Model(a=Residual(), b=Residual(), norm=nn.LayerNorm(6), head=nn.Linear(6, 3))
        elif kind == "odd parts":
            model = Model(pair=Pair(), unused=nn.Linear(6, 6), out=nn.Linear(6, 2))
        elif kind == "double":
            model, x = Model(a=Residual(), out=nn.Linear(6, 2)).double(), x.double()
        elif kind == "modes":
            model = Model(a=Residual(), drop=nn.Dropout(0.5), out=nn.Linear(6, 2))
            model.a.eval()
        else:
            model = Model(a=Residual(), broken=nn.Linear(6, 6))
        own = model.register_forward_hook(lambda part, given, out: None)
        modes = [part.training for part in model.modules()]
        failed = ""
        try:
            trace = student.autocast_trace(model, x)
        except KeyError as error:
            trace, failed = {}, str(error)
        hooks = [hook for part in model.modules() for hook in part._forward_hooks]
        return {
            "trace": {str(name): str(dtype).removeprefix("torch.") for name, dtype in trace.items()},
            "calls": calls,
            "failed": failed,
            "hooks": len(hooks),
            "own": own.id in model._forward_hooks,
            "modes": [part.training for part in model.modules()] == modes,
            "after": str(model(x).dtype) if kind != "failing" else "",
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The policy word by word; of a trace the names, then the dtypes; then the traces it left."""
        if "ops" in case.inputs:
            return self._judge_policy(case.inputs, answer)
        kind = case.inputs["model"]
        given = f"the model with {kind}" if kind != "failing" else "a model whose forward pass fails"
        if kind == "failing" and "on purpose" not in answer["failed"]:
            return wrong(f"the model's own error was swallowed: let it through; {given}")
        if answer["hooks"] != 1 or not answer["own"]:
            if answer["hooks"] > 1:
                return wrong(f"{answer['hooks'] - 1} hooks are left on the model: remove them in any case; {given}")
            return wrong(f"a hook that was there before is gone: remove your own only; {given}")
        if not answer["modes"]:
            return wrong(f"a part is in another mode than before: restore each part's own; {given}")
        if kind == "failing":
            return right()
        if len(answer["calls"]) < 2:  # the probe itself calls the model once, afterwards
            return wrong(f"the model was not called; {given}")
        if len(answer["calls"]) > 2:
            return wrong(f"the model was called {len(answer['calls']) - 1} times, once was asked; {given}")
        if answer["calls"][0][0]:
            return wrong(f"the model was called in training mode; {given}")
        if answer["calls"][0][1]:
            return wrong(f"the model was called with gradients; {given}")
        if kind == "modes":
            return right()
        narrow, wide = "bfloat16", "float32"
        want = {
            "nested": {
                **dict.fromkeys(("inner.0", "inner.1", "inner.2", "inner", "drop", "last", ""), narrow),
                "first": wide,
            },
            "residual": {
                **dict.fromkeys(("a.norm", "a", "b.norm", "b", "norm"), wide),
                **dict.fromkeys(("a.up", "b.up", "head", ""), narrow),
            },
            "odd parts": {"out": narrow, "": narrow},
            "double": {"a.norm": "float64", "a.up": "float64", "a": "float64", "out": "float64", "": "float64"},
        }[kind]
        got = answer["trace"]
        if got == want:
            return right()
        if set(got) != set(want):
            more, less = sorted(set(got) - set(want)), sorted(set(want) - set(got))
            words = f"too many: {', '.join(map(repr, more))}" if more else f"missing: {', '.join(map(repr, less))}"
            return wrong(f"the names are those of named_modules whose output is a tensor; {words}; {given}")
        if kind != "double" and set(got.values()) == {wide}:
            return wrong(f"everything came out in float32: call the model inside torch.autocast; {given}")
        if len(set(got.values())) == 1 and kind != "odd parts":
            return wrong(f"all parts have the dtype of the last one: a hook must remember its own name; {given}")
        if "float16" in got.values():
            return wrong(f"on a CPU the narrow dtype is bfloat16; {given}")
        odd = [name for name in want if got[name] != want[name]]
        return wrong(f"the dtype of {odd[0]!r} is {got[odd[0]]}: note what each part puts out; {given}")

    @staticmethod
    def _judge_policy(inputs: Mapping[str, Any], answer: Sequence[str]) -> Verdict:
        dtype, device = inputs["inputs"] or "float32", inputs["device"] or "cpu"
        narrow = "float16" if device == "cuda" else "bfloat16"
        for op, got in zip(inputs["ops"], answer, strict=True):
            family = next((name for name, ops in FAMILIES.items() if op in ops), None)
            given = f"{op} of {dtype} on {device}" + ("" if inputs["inputs"] else ", by default")
            if family is None:
                if got != "ValueError":
                    return wrong(f"an operation that is in no family needs a ValueError; {op!r}")
                continue
            want = {
                "product": narrow,
                "loss": "float32",
                "reduction": "float32" if device == "cuda" else dtype,
                "rest": dtype,
            }[family]
            want = "float64" if dtype == "float64" else want
            if got == want:
                continue
            if dtype == "float64":
                return wrong(f"float64 is never cast; you say {got} for {given}")
            if family == "product" and got in ("float16", "bfloat16"):
                return wrong(
                    f"the narrow dtype is that of the device, not that of the input; you say {got} for {given}"
                )
            if family == "reduction" and device == "cuda":
                return wrong(f"on a GPU an exp in fp16 overflows at 12: float32; you say {got} for {given}")
            if family == "reduction":
                return wrong(f"on a CPU a {op} takes what comes, narrow or wide; you say {got} for {given}")
            if family == "loss":
                return wrong(f"a loss is float32 everywhere; you say {got} for {given}")
            return wrong(f"this operation is of the family {family!r}; you say {got} for {given}")
        return right()


# --------------------------------------------------------------------------------- 15.5 a step


class AmpStep(HiddenCheck):
    """15.5: a recording scaler and optimizer; logits that bfloat16 holds exactly; devices that are only asked for."""

    exercise = "amp-step"
    uses = ("amp_step",)
    criteria = {"order": 1.0, "precision": 1.0, "overflow": 1.0, "device": 1.0}
    forbids = dict.fromkeys(("train_step", "byhand.training.train_step"), "the step is the exercise: write it out")

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Limits above and below the norm, and 0; scales far from 1; masked targets; broken gradients."""
        for scale, clip in [(2.0**12, 0.05), (2.0**-3, 0.02), (2.0**9, 100.0), (512.0, 0.0)]:
            yield self._case("order", rng, scale, clip)
        for scale in (1.0, 2.0**10):
            yield self._case("precision", rng, scale, 0.5)
        yield self._case("precision", rng, 4.0, 0.0, bias=5.0)
        for broken in ("inf", "nan"):
            yield self._case("overflow", rng, 64.0, 0.1, broken=broken)
        yield self._case("overflow", rng, 64.0, 0.1)
        for device in ("cpu", "cuda", "cuda:0"):
            for as_object in (False, True):
                yield self._case("device", rng, 8.0, 1.0, device=device, as_object=as_object)

    @staticmethod
    def _case(
        criterion: str,
        rng: np.random.Generator,
        scale: float,
        clip: float,
        broken: str = "",
        device: str = "cpu",
        as_object: bool = False,
        bias: float = 0.0,
    ) -> Case:
        x = rng.integers(-2, 3, size=(3, 5, 4)).astype(float)
        weight = rng.integers(-1, 2, size=(7, 4)) / 2
        weight[0, 0] = 0.5
        y = rng.integers(0, 7, size=(3, 5))
        y[0, 3:] = -100
        y[2, 0] = -100
        inputs = {
            "x": x,
            "y": y,
            "weight": weight,
            "bias": np.linspace(0, bias, 7).round(),
            "scale": scale,
            "clip": clip,
            "broken": broken,
            "device": device,
            "as_object": as_object,
        }
        return Case(criterion, inputs)

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """What happened in which order, in which dtype, and what was said."""
        import warnings

        import torch
        from torch import nn

        events, forward, entered, moved = [], {}, [], []

        class Model(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(4, 7)

            def forward(self, x):
                forward["weight"] = str(self.layer.weight.dtype)
                forward["left"] = self.layer.weight.grad is not None and bool(self.layer.weight.grad.any())
                out = self.layer(x)
                forward["logits"] = str(out.dtype)
                return out

        class Optimizer(torch.optim.SGD):
            def step(self, closure=None):
                events.append("optimizer")
                return super().step(closure)

        model = Model()
        with torch.no_grad():
            model.layer.weight.copy_(torch.tensor(inputs["weight"]))
            model.layer.bias.copy_(torch.tensor(inputs["bias"]))
        before = [weight.detach().clone() for weight in model.parameters()]
        for weight in model.parameters():
            weight.grad = torch.full_like(weight, 1000.0 * inputs["scale"])
        if inputs["broken"]:
            model.layer.bias.register_hook(lambda grad: grad * float(inputs["broken"]))
        optimizer = Optimizer(model.parameters(), lr=1.0)

        def grads():
            return [weight.grad.detach().clone() for weight in model.parameters()]

        def norm(parts):
            return float(sum(part.double().square().sum() for part in parts).sqrt())

        class Scaler:
            current = inputs["scale"]
            seen = {}

            def get_scale(self):
                return self.current

            def scale(self, loss):
                events.append("scale")
                self.seen["loss"], self.seen["dtype"] = float(loss.detach()), str(loss.dtype)
                return loss * self.current

            def unscale_(self, optimizer):
                events.append("unscale")
                for weight in model.parameters():
                    weight.grad /= self.current
                self.seen["true"] = norm(grads())

            def step(self, optimizer):
                events.append("step")
                if "unscale" not in events:
                    self.unscale_(optimizer)
                self.seen["used"] = norm(grads())
                finite = all(bool(part.isfinite().all()) for part in grads())
                if finite:
                    optimizer.step()
                self.current = self.current * (2 if finite else 0.5)
                return finite

        class There(torch.Tensor):
            def to(self, *args, **kwargs):
                moved.append(str(args[0] if args else kwargs.get("device")))
                return self.as_subclass(torch.Tensor)

        x = torch.tensor(inputs["x"], dtype=torch.float32)
        y = torch.tensor(inputs["y"], dtype=torch.long)
        if inputs["device"] != "cpu":
            x, y = x.as_subclass(There), y.as_subclass(There)
        enter = torch.autocast.__enter__

        def noted(self):
            entered.append([self.device, str(self.fast_dtype)])
            return enter(self)

        scaler = Scaler()
        device = torch.device(inputs["device"]) if inputs["as_object"] else inputs["device"]
        torch.autocast.__enter__ = noted
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                told = student.amp_step(model, x, y, optimizer, scaler, inputs["clip"], device)
        finally:
            torch.autocast.__enter__ = enter
        return {
            "events": events,
            "forward": forward,
            "entered": entered,
            "moved": moved,
            "seen": scaler.seen,
            "told": {
                key: value if isinstance(value, (bool, int, float)) else str(value) for key, value in told.items()
            },
            "weights": sorted({str(weight.dtype) for weight in model.parameters()}),
            "changed": norm([new.detach() - old for new, old in zip(model.parameters(), before, strict=True)]),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Form, then what the criterion is about; the rest is looked at last."""
        inputs = case.inputs
        given = f"scale={inputs['scale']:g}, clip={inputs['clip']:g}, device={inputs['device']!r}"
        told, seen = answer["told"], answer["seen"]
        if set(told) != {"loss", "grad_norm", "stepped", "scale"}:
            return wrong(
                f"the keys are loss, grad_norm, stepped and scale, these are {', '.join(sorted(told))}; {given}"
            )
        odd = [key for key, value in told.items() if isinstance(value, str)]
        if odd:
            return wrong(f"{odd[0]} is no plain number: item() makes one of a tensor; {given}")
        if not isinstance(told["stepped"], bool):
            return wrong(f"stepped is True or False, yours is {told['stepped']!r}; {given}")
        look = {
            "order": self._order,
            "precision": self._precision,
            "overflow": self._overflow,
            "device": self._device,
        }[case.criterion]
        return look(inputs, answer, told, seen, given)

    @staticmethod
    def _order(inputs: Mapping[str, Any], answer: Any, told: Any, seen: Any, given: str) -> Verdict:
        events, clip = answer["events"], inputs["clip"]
        if "scale" not in events:
            return wrong(f"the loss was not scaled: backward belongs to scaler.scale(loss); {given}")
        if "step" not in events:
            return wrong(f"scaler.step was not asked: it decides whether the optimizer steps; {given}")
        if events.count("optimizer") > 1 or events.index("optimizer") < events.index("step"):
            return wrong(f"the optimizer stepped by itself: scaler.step does that; {given}")
        true, _ = _exact(inputs)
        if seen["true"] > 100 * true:
            return wrong(f"old gradients are still in the sum: forget them first; {given}")
        late = "unscale" not in events or events.index("unscale") > events.index("step")
        if clip and (late or seen["true"] <= 1.001 * clip / inputs["scale"] < 0.9 * true):
            return wrong(f"the gradients were clipped while they were scaled: unscale_ first; {given}")
        if not 0.9 * true < seen["true"] < 1.1 * true:
            return wrong(f"after unscaling the gradients are not the true ones (clipped too early?); {given}")
        if clip and seen["used"] > clip * 1.001:
            return wrong(f"the gradients that the step used are longer than the limit: clip them; {given}")
        limit = min(clip, seen["true"]) if clip else seen["true"]
        if not close(seen["used"], limit, rtol=1e-4):
            return wrong(f"the gradients that the step used are not the clipped ones; {given}")
        if not close(told["grad_norm"], seen["true"], rtol=1e-4):
            return name_the_mistake(
                told["grad_norm"],
                [
                    (seen["true"] * inputs["scale"], f"grad_norm is that of the scaled gradients; {given}"),
                    (limit, f"grad_norm was measured after clipping: before it was asked; {given}"),
                ],
                f"grad_norm is not the norm of the true gradients before clipping; {given}",
                rtol=1e-3,
            )
        return right()

    @staticmethod
    def _precision(inputs: Mapping[str, Any], answer: Any, told: Any, seen: Any, given: str) -> Verdict:
        forward = answer["forward"]
        if forward["weight"] != "torch.float32" or answer["weights"] != ["torch.float32"]:
            return wrong(
                f"the model's weights are {forward['weight']}: they stay float32, autocast casts copies; {given}"
            )
        if forward["logits"] != "torch.bfloat16":
            return wrong(f"the logits came out as {forward['logits']}: call the model inside torch.autocast; {given}")
        if seen["dtype"] != "torch.float32":
            return wrong(f"the loss is {seen['dtype']}: make the logits float32 before it; {given}")
        _, loss = _exact(inputs)
        for value, words in [(seen["loss"], "the loss that was scaled"), (told["loss"], "the loss in the answer")]:
            if not close(value, loss, rtol=3e-6):
                logits, y = _logits(inputs), inputs["y"].ravel()
                everything = _nll(logits, np.where(y < 0, 0, y)).mean()
                return name_the_mistake(
                    value,
                    [
                        (loss * inputs["scale"], f"{words} is still scaled; {given}"),
                        (float(everything), f"{words} counts targets of -100; {given}"),
                        (float(_nll(logits, y)[y >= 0].sum() / y.size), f"{words} is divided by all places; {given}"),
                    ],
                    f"{words} is not that of float32 logits, in nats; {given}",
                    rtol=3e-6,
                )
        return right()

    @staticmethod
    def _overflow(inputs: Mapping[str, Any], answer: Any, told: Any, seen: Any, given: str) -> Verdict:
        finite = not inputs["broken"]
        given += f", gradients {'finite' if finite else inputs['broken']}"
        if not finite and (answer["changed"] != 0 or "optimizer" in answer["events"]):
            return wrong(
                f"weights changed although a gradient is not finite: scaler.step leaves that step out; {given}"
            )
        if told["stepped"] is not finite:
            return wrong(f"stepped is {told['stepped']}: it is what scaler.step says; {given}")
        if told["scale"] != inputs["scale"]:
            return wrong(f"scale is the factor of this loss, yours was read after the step had changed it; {given}")
        if finite and not answer["changed"]:
            return wrong(f"no weight changed in a good step; {given}")
        return right()

    @staticmethod
    def _device(inputs: Mapping[str, Any], answer: Any, told: Any, seen: Any, given: str) -> Verdict:
        kind = inputs["device"].partition(":")[0]
        narrow = "torch.float16" if kind == "cuda" else "torch.bfloat16"
        if not answer["entered"]:
            return wrong(f"the model was not called inside torch.autocast; {given}")
        if answer["entered"][0][0] != kind:
            return wrong(f"autocast was asked for {answer['entered'][0][0]!r}: take the device's type; {given}")
        if answer["entered"][0][1] != narrow:
            return wrong(f"the narrow dtype is {answer['entered'][0][1]}; bfloat16 on a CPU, float16 on a GPU; {given}")
        if kind == "cuda" and len([place for place in answer["moved"] if place.startswith("cuda")]) < 2:
            return wrong(f"x and y must both be moved to the device; {given}")
        return right()


def _logits(inputs: Mapping[str, Any]) -> np.ndarray:
    return np.asarray(inputs["x"].reshape(-1, 4) @ inputs["weight"].T + inputs["bias"])


def _nll(logits: np.ndarray, y: np.ndarray) -> np.ndarray:
    high = logits.max(-1, keepdims=True)
    total = np.log(np.exp(logits - high).sum(-1)) + high[:, 0]
    return np.asarray(total - logits[np.arange(len(y)), y.clip(0)])


def _exact(inputs: Mapping[str, Any]) -> tuple[float, float]:
    """Norm of the gradients and loss, in float64."""
    logits, y, x = _logits(inputs), inputs["y"].ravel(), inputs["x"].reshape(-1, 4)
    scored = y >= 0
    probs = np.exp(logits - logits.max(-1, keepdims=True))
    probs /= probs.sum(-1, keepdims=True)
    slope = (probs - np.eye(7)[y.clip(0)]) * scored[:, None] / scored.sum()
    norm = math.sqrt(float((slope.T @ x).__pow__(2).sum() + (slope.sum(0) ** 2).sum()))
    return norm, float(_nll(logits, y)[scored].mean())


# ------------------------------------------------------------------------------- 15.6 memory

PRESETS = ("plain", "untied", "rotary", "gated", "no bias", "large")


class MixedMemory(HiddenCheck):
    """15.6: models of every kind that a configuration can describe, counted here from lists of shapes."""

    exercise = "mixed-memory"
    uses = ("train_memory_mixed",)
    criteria = {"states": 1.0, "activations": 1.0, "total": 1.0}
    forbids = dict.fromkeys(
        ("training_memory", "byhand.scaling.training_memory"), "chapter 12's account is the stand-in: make your own"
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Sizes all different; batch and length, too."""
        for criterion in self.criteria:
            for preset in PRESETS:
                heads, layers = int(rng.integers(2, 5)), int(rng.integers(1, 5))
                settings: dict[str, Any] = {
                    "vocab_size": int(rng.integers(50, 90)),
                    "max_seq": int(rng.integers(20, 40)),
                    "d_model": heads * 2 * int(rng.integers(3, 7)),
                    "n_layers": layers,
                    "n_heads": heads,
                    "d_ff": int(rng.integers(30, 60)),
                }
                settings.update(
                    {
                        "untied": {"tied": False},
                        "rotary": {"positions": "rotary"},
                        "gated": {"activation": "gated_gelu"},
                        "no bias": {"bias": False},
                        "large": {"vocab_size": 50257, "d_model": 64 * heads, "d_ff": 256 * heads, "n_layers": 90},
                    }.get(preset, {})
                )
                batch, seq = int(rng.integers(2, 9)), int(rng.integers(9, 20))
                yield Case(
                    criterion, {"config": settings, "batch": 999 * batch if preset == "large" else batch, "seq": seq}
                )

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The table, each number with its type."""
        from byhand.gpt import GPTConfig

        table = student.train_memory_mixed(GPTConfig(**inputs["config"]), inputs["batch"], inputs["seq"])
        return {
            str(setting): {
                str(part): [value if isinstance(value, (int, float)) else str(value), type(value).__name__]
                for part, value in row.items()
            }
            for setting, row in table.items()
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Settings and parts, then each number of the criterion."""
        config, batch, seq = case.inputs["config"], case.inputs["batch"], case.inputs["seq"]
        given = f"{batch} x {seq} tokens, d_model={config['d_model']}, n_layers={config['n_layers']}"
        names = ("weights", "master", "gradients", "moments", "activations", "total")
        if set(answer) != {"fp32", "fp16+master", "bf16"}:
            return wrong(f"the settings are fp32, fp16+master and bf16, these are {', '.join(sorted(answer))}; {given}")
        n = _gpt_size(config)
        for setting, row in answer.items():
            place = f"{setting}, {given}"
            if set(row) != set(names):
                return wrong(f"the parts are {', '.join(names)}, these are {', '.join(row)}; {place}")
            kinds = {kind for _, kind in row.values()} - {"int"}
            if kinds:
                return wrong(f"bytes are whole numbers, there is a {kinds.pop()}; {place}")
            got = {part: value for part, (value, _) in row.items()}
            if case.criterion == "states":
                verdict = self._states(setting, got, n, place)
            elif case.criterion == "activations":
                verdict = self._activations(setting, got, config, batch * seq, place)
            else:
                parts = sum(got[part] for part in names[:-1])
                verdict = (
                    right() if got["total"] == parts else wrong(f"total is not the sum of the five parts; {place}")
                )
            if not verdict.passed:
                return verdict
        return right()

    @staticmethod
    def _states(setting: str, got: Mapping[str, int], n: int, place: str) -> Verdict:
        weights, master, moments = {"fp32": (4, 0, 8), "fp16+master": (2, 4, 8), "bf16": (2, 0, 4)}[setting]
        if got["weights"] != weights * n:
            return wrong(f"the weights take {weights} bytes each here, all parameters counted; {place}")
        if got["master"] != master * n:
            if not master:
                return wrong(f"there are no master weights in this setting; {place}")
            words = "no master weights are counted" if not got["master"] else "master weights are float32, 4 bytes each"
            return wrong(f"{words}: the optimizer changes wide copies; {place}")
        if got["gradients"] != weights * n:
            return wrong(f"a gradient takes as many bytes as the weight it belongs to; {place}")
        if got["moments"] * 2 == moments * n and setting != "fp16+master":
            return wrong(f"Adam keeps two moments for each weight; {place}")
        if got["moments"] * 2 == moments * n:
            return wrong(f"both moments are float32 beside master weights: 8 bytes a parameter; {place}")
        if got["moments"] != moments * n:
            return wrong(f"the two moments are of the dtype that the table says; {place}")
        return right()

    @staticmethod
    def _activations(
        setting: str, got: Mapping[str, int], config: Mapping[str, Any], tokens: int, place: str
    ) -> Verdict:
        inner = (4 if config.get("activation") == "gated_gelu" else 2) * config["d_ff"]
        block = 8 * config["d_model"] + inner + config["n_heads"] + 4
        values = config["n_layers"] * block + 2 * config["d_model"] + 2
        wide = 4 * config["vocab_size"]  # the log-probabilities, float32 in every setting
        width = 4 if setting == "fp32" else 2
        if got["activations"] == tokens * (width * values + wide):
            return right()
        if got["activations"] * 2 in range(tokens * (width * values + wide) - 1, tokens * (width * values + wide) + 2):
            return wrong(f"the activations are halved twice: the function counts for the width it is given; {place}")
        if got["activations"] * 2 == tokens * (4 * values + wide):
            return wrong(f"half of the float32 activations is too little: the loss stays in float32; {place}")
        if got["activations"] == tokens * (4 * values + wide):
            return wrong(f"the activations are counted in float32; here they are narrow; {place}")
        return wrong(f"these are not the bytes that a forward pass keeps at {width} bytes a number; {place}")


def _gpt_size(config: Mapping[str, Any]) -> int:
    """Parameters of a GPT, from a list of shapes."""
    d, ff, bias = config["d_model"], config["d_ff"], config.get("bias", True)
    gated = config.get("activation") == "gated_gelu"
    linears = [(d, d)] * 4 + [(d, ff)] * (2 if gated else 1) + [(ff, d)]
    block = sum(rows * columns + (columns if bias else 0) for rows, columns in linears) + 4 * d
    tables = config["vocab_size"] * d * (1 if config.get("tied", True) else 2)
    places = 0 if config.get("positions") == "rotary" else config["max_seq"] * d
    return tables + places + config["n_layers"] * block + 2 * d
