"""The hidden checks of chapter 12: what a right answer must do, and what each wrong one is told.

Expected values come by other routes than the page's: sizes of matrices added one by one, the planted law itself as
the rival of a fit, slopes on both sides of an optimum, parabolas that were planted.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from grader.comparing import close, name_the_mistake
from grader.hidden import Case, HiddenCheck, Verdict, right, wrong

# --------------------------------------------------------------------------------- 12.1 operations


class TrainFlops(HiddenCheck):
    """12.1: every size different, d_ff not four times d_model; long sequences, where attention is most of it."""

    exercise = "train-flops"
    uses = ("train_flops",)
    criteria = {"operations": 1.0, "what counts": 1.0, "attention": 1.0}
    forbids = {
        **dict.fromkeys(("GPT", "byhand.gpt.GPT"), "count on paper: a large model does not fit in order to be counted"),
        **dict.fromkeys(
            ("FlopCounterMode", "torch.utils.flop_counter.FlopCounterMode"), "torch's counter is the page's witness"
        ),
    }

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Sizes without relation to one another; tokens from none to more than 32 bits hold."""
        for criterion, exact in (("operations", False), ("what counts", False), ("attention", True)):
            for tokens in (1, 7, int(rng.integers(10**11, 10**12))):
                heads = int(rng.integers(2, 6))
                d_model = heads * int(rng.integers(3, 12))
                sizes = {
                    "vocab_size": int(rng.integers(300, 900)) if criterion == "what counts" else d_model * 2 + 1,
                    "max_seq": int(rng.integers(500, 5000)) if exact else int(rng.integers(50, 90)),
                    "d_model": d_model,
                    "n_layers": int(rng.integers(2, 9)),
                    "n_heads": heads,
                    "d_ff": 4 * d_model if criterion == "operations" else int(d_model * 2.5) + 1,
                }
                yield Case(criterion, {"sizes": sizes, "tokens": tokens, "exact": exact})
        yield Case("operations", {"sizes": sizes, "tokens": 0, "exact": False})
        yield Case("attention", {"sizes": sizes, "tokens": 0, "exact": True})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The number, asked with the default where that is meant."""
        from byhand.gpt import GPTConfig

        config = GPTConfig(**inputs["sizes"])
        if inputs["exact"]:
            return float(student.train_flops(config, inputs["tokens"], exact=True))
        return float(student.train_flops(config, inputs["tokens"]))

    def judge(self, case: Case, answer: Any) -> Verdict:
        """All matrices one by one, and what is left when one sort is forgotten."""
        sizes, tokens, exact = case.inputs["sizes"], case.inputs["tokens"], case.inputs["exact"]
        vocab, seq, d, layers, heads, ff = (
            sizes[name] for name in ("vocab_size", "max_seq", "d_model", "n_layers", "n_heads", "d_ff")
        )
        given = ", ".join(f"{name} {value}" for name, value in sizes.items()) + f", {tokens} tokens, exact={exact}"
        matrices = sum((d * d, d * d, d * d, d * d, d * ff, ff * d)[part] for _ in range(layers) for part in range(6))
        head = vocab * d
        products = layers * heads * 2 * (seq * (d // heads))  # multiplications of attention for one token

        def cost(weights: float, attention: float = 0.0, each: float = 6.0) -> float:
            return float((each * weights + attention) * tokens)

        want = cost(matrices + head, 6.0 * products * exact)
        if close(answer, want, rtol=1e-12):
            return right()
        if not tokens:
            return wrong(f"no tokens, no operations; {given}")
        kept = 6.0 * products * exact
        suspects = [
            (cost(matrices + head, kept / 3, 2.0), "the forward pass alone: the backward pass costs twice as much"),
            (cost(matrices + head, kept / 2, 3.0), "a multiplication and its addition are two operations, not one"),
            (cost(matrices + head, kept * 4 / 6, 4.0), "the backward pass takes two products for each one forward"),
            (cost(matrices + head, kept / 6, 1.0), "parameters times tokens: each weight takes six operations"),
            (cost(matrices, kept), "the head is a product, too"),
            (cost(matrices + 2 * head, kept), "the token table is looked up, not multiplied: only the head counts"),
            (cost(matrices + head + seq * d, kept), "the position table is looked up, not multiplied"),
            (
                cost(matrices + 2 * head + seq * d, kept),
                "the tables of tokens and positions are looked up, not multiplied",
            ),
            (cost(layers * 12 * d * d + head, kept), "d_ff is not always four times d_model"),
            (cost(layers * (3 * d * d + 2 * d * ff) + head, kept), "attention has four projections, the output too"),
            (cost(layers * (4 * d * d + d * ff) + head, kept), "the feed-forward part has two matrices"),
            (cost(matrices / layers + head, kept), "only one block was counted"),
        ]
        if exact:
            suspects += [
                (cost(matrices + head), "the products of attention are missing"),
                (cost(matrices + head, kept / 3), "attention's products have a backward pass, too"),
                (cost(matrices + head, kept / 2), "attention has two products over all places, both counted in full"),
                (cost(matrices + head, kept / layers), "the products of attention are made in every layer"),
                (cost(matrices + head, kept * heads), "the heads share d_model between them: their number cancels"),
                (cost(matrices + head, kept / heads), "all heads attend: together they are d_model wide"),
                (cost(matrices + head, kept * seq), "for one token attention meets max_seq places, not their square"),
                (cost(matrices + head, kept / 6), "a product of attention is forward and backward, add and multiply"),
            ]
        plain = [
            (cost(matrices + head + layers * (9 * d + ff) + 2 * d), "biases and norms are not matrices"),
            (
                cost(matrices + head + layers * (9 * d + ff) + 2 * d + seq * d),
                "all parameters were counted: only those in a product of matrices are asked",
            ),
        ]
        return name_the_mistake(
            answer,
            [(value, f"{words}; {given}") for value, words in suspects + plain],
            f"this is not the number of operations; {given}",
            rtol=1e-12,
        )


# --------------------------------------------------------------------------------- 12.2 the fit


class FitScaling(HiddenCheck):
    """12.2: planted laws; a fit must have as small a sum of Huber's losses as the best there is."""

    exercise = "fit-scaling"
    uses = ("fit_scaling",)
    criteria = {"planted law": 1.0, "logarithms": 1.0, "a run gone wrong": 1.0, "any order and unit": 1.0}
    forbids = dict.fromkeys(
        ("curve_fit", "scipy.optimize.curve_fit", "optimize.curve_fit"),
        "curve_fit is the stand-in's way: write the residuals and minimise them",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Exponents small and large, floors high, low and none, sizes far from one."""
        for floor, height, alpha in [(1.7, 2.2, 0.34), (0.6, 5.0, 0.7), (3.0, 1.5, 0.15), (0.02, 3.0, 1.1)]:
            yield self._case("planted law", rng, floor, height, alpha, 9, 4.5, 0.0)
        for floor, height, alpha in [(0.4, 60.0, 0.6), (0.8, 30.0, 0.9), (1.5, 90.0, 0.5)]:
            yield self._case("logarithms", rng, floor, height, alpha, 12, 5.0, 0.01)
        yield self._case("logarithms", rng, 1e-6, 6.0, 0.35, 10, 4.0, 0.01)  # a power law with next to no floor
        for sign, place in ((1.3, 5), (0.75, 2), (1.5, 7)):
            yield self._case("a run gone wrong", rng, 1.6, 3.0, 0.4, 11, 4.0, 0.002, {place: sign})
        for middle in (30.0, 1e5, 1e11):
            yield self._case("any order and unit", rng, 1.2, 4.0, 0.45, 8, 2.5, 0.005, middle=middle)
        yield self._case("any order and unit", rng, 0.03, 0.05, 0.5, 7, 4.0, 0.005, middle=1e6)
        yield self._case("any order and unit", rng, 1.5, 3.0, 0.5, 5, 4.0, 0.0, middle=1e6)

    @staticmethod
    def _case(
        criterion: str,
        rng: np.random.Generator,
        floor: float,
        height: float,
        alpha: float,
        count: int,
        decades: float,
        noise: float,
        gone: dict[int, float] | None = None,
        middle: float = 1e6,
    ) -> Case:
        """Runs of a law whose falling part is `height` at the first size."""
        sizes = middle * 10 ** (np.linspace(-decades / 2, decades / 2, count) + 0.1 * rng.uniform(-1, 1, count))
        factor = height * sizes.min() ** alpha
        losses = (floor + factor * sizes**-alpha) * np.exp(noise * rng.normal(size=count))
        for place, sign in (gone or {}).items():
            losses[place] *= sign
        order = rng.permutation(count) if criterion == "any order and unit" else np.arange(count)
        lists = criterion == "any order and unit" and not noise
        inputs = {"sizes": sizes[order].tolist(), "losses": losses[order].tolist(), "lists": lists}
        least = _huber(FitScaling._best(sizes, losses, (floor, factor, alpha)), sizes, losses)
        return Case(criterion, inputs, {"least": least})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The three numbers, from arrays and, where that is asked, from lists; whether the arrays stayed."""
        import numpy as np

        sizes, losses = np.array(inputs["sizes"]), np.array(inputs["losses"])
        found = [float(value) for value in student.fit_scaling(sizes, losses)]
        intact = sizes.tolist() == inputs["sizes"] and losses.tolist() == inputs["losses"]
        if not inputs["lists"]:
            return {"found": found, "again": found, "intact": intact}
        again = [float(value) for value in student.fit_scaling(list(inputs["sizes"]), list(inputs["losses"]))]
        return {"found": found, "again": again, "intact": intact}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The sum of Huber's losses against that of the planted law and of the best fit there is."""
        sizes, losses = np.array(case.inputs["sizes"]), np.array(case.inputs["losses"])
        given = f"{len(sizes)} sizes from {sizes.min():.2g} to {sizes.max():.2g}, losses from {losses.min():.3g} "
        given += f"to {losses.max():.3g}"
        if not answer["intact"]:
            return wrong(f"the arrays that were given were changed; {given}")
        found = answer["found"]
        if len(found) != 3 or not np.isfinite(found).all():
            return wrong(f"three finite numbers were asked: E, A, alpha; {given}")
        floor, factor, alpha = found
        if floor < 0 or factor <= 0 or alpha <= 0:
            return wrong(f"E is at least 0, A and alpha are above 0: search for their logarithms; {given}")
        least = case.secret["least"]
        got = _huber(found, sizes, losses)
        if got <= 1.001 * least + 1e-9:
            if not close(answer["again"], found, rtol=1e-6):
                return wrong(f"lists give another fit than arrays; {given}")
            return right()
        return wrong(f"{self._reason(found, sizes, losses)}; {given}")

    @staticmethod
    def _best(sizes: np.ndarray, losses: np.ndarray, law: Sequence[float]) -> list[float]:
        """From the planted law downhill by Nelder and Mead, twice: the truth is near the bottom."""
        from scipy.optimize import minimize

        middle = math.exp(np.log(sizes).mean())

        def cost(free: np.ndarray) -> float:
            floor, height, alpha = free
            with np.errstate(over="ignore"):
                laid = np.logaddexp(floor, height - alpha * np.log(sizes / middle))
            return _huber_sum(laid - np.log(losses)) * 1e4

        free = np.array([math.log(law[0]), math.log(law[1]) - law[2] * math.log(middle), law[2]])
        for _ in range(3):
            free = minimize(cost, free, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12}).x
        return [math.exp(free[0]), math.exp(free[1] + free[2] * math.log(middle)), float(free[2])]

    @staticmethod
    def _reason(found: Sequence[float], sizes: np.ndarray, losses: np.ndarray) -> str:
        floor, factor, alpha = found
        slope = np.polyfit(np.log(sizes), np.log(losses), 1)[0]
        if floor < 1e-3 * losses.min() and close(alpha, -slope, rtol=0.02):
            return "this is a straight line through the logarithms: it has no floor E"
        off = np.log(floor + factor * sizes**-alpha) - np.log(losses)
        for wrong_alpha, words in ((alpha / math.log(10), "alpha"), (alpha * math.log(10), "alpha")):
            other = np.log(np.maximum(floor + factor * sizes**-wrong_alpha, 1e-300)) - np.log(losses)
            if np.abs(other).max() < 0.1 < np.abs(off).max():
                return f"log10 and ln are mixed: {words} is off by a factor of 2.3"
        for height in (math.log(factor), math.log10(factor)):
            for base in (math.e, 10.0):
                try:
                    other = np.log(floor + base**height * sizes**-alpha) - np.log(losses)
                except OverflowError:
                    continue
                if np.abs(other).max() < 0.1 < np.abs(off).max():
                    return "log10 and ln are mixed: A is not the number that the fit found"
        if np.abs(off).min() > 0.05 or np.abs(off).max() > 3:
            middle = math.exp(np.log(sizes).mean())
            shifted = np.log(floor + factor * (sizes / middle) ** -alpha) - np.log(losses)
            if np.abs(shifted).max() < 0.1:
                return "A belongs to sizes divided by their mean: bring it back to the unit of the sizes"
        residues = np.sort(np.abs(off))
        if residues[-2] < 0.02 or np.median(residues) < 0.011:
            squares = float((off**2).sum())
            return (
                "the fit is near, but another curve has a smaller sum of Huber's losses of the logarithms "
                f"(the squares of its residues add up to {squares:.2g}): is it their Huber loss, with delta 0.01, that "
                "is minimised, and to the end?"
            )
        if floor > 0.98 * losses.min():
            return "another curve has a smaller sum of Huber's losses: the floor need not lie at the lowest loss seen"
        small, large = np.abs(off)[losses < np.median(losses)].mean(), np.abs(off)[losses >= np.median(losses)].mean()
        if small > 1.5 * large:
            return "the small losses are fitted worse than the large ones: compare logarithms, not losses"
        if residues[-1] > 0.2:
            return "one run that went wrong drags the curve along: use Huber's loss, not squares"
        return "another curve has a smaller sum of Huber's losses: try several starts and keep the best"


def _huber_sum(off: np.ndarray) -> float:
    size = np.abs(off)
    return float(np.where(size <= 0.01, size**2 / 2, 0.01 * (size - 0.005)).sum())


def _huber(law: Sequence[float], sizes: np.ndarray, losses: np.ndarray) -> float:
    floor, factor, alpha = law
    with np.errstate(all="ignore"):
        cost = _huber_sum(np.log(floor + factor * sizes**-alpha) - np.log(losses))
    return cost if math.isfinite(cost) else math.inf


# --------------------------------------------------------------------------------- 12.3 the split


class ComputeOptimal(HiddenCheck):
    """12.3: exponents far apart, factors far apart, budgets from tiny to 10^27; the slope on the constraint is zero."""

    exercise = "compute-optimal"
    uses = ("compute_optimal",)
    criteria = {"on the budget": 1.0, "the lowest loss": 2.0, "large and small budgets": 1.0}
    forbids = dict.fromkeys(
        ("minimize_scalar", "scipy.optimize.minimize_scalar", "optimize.minimize_scalar"),
        "the search is the stand-in's way: set the derivative to zero",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """No two of the constants equal."""
        for budget in (3e12, 7e18, 2e21):
            yield self._case("on the budget", budget, rng)
        for budget in (5e11, 1e17, 4e20, 6e23):
            yield self._case("the lowest loss", budget, rng)
        for budget in (1e9, 3.3e26, 1e27):
            yield self._case("large and small budgets", budget, rng)

    @staticmethod
    def _case(criterion: str, budget: float, rng: np.random.Generator) -> Case:
        A, B = (float(value) for value in np.exp(rng.uniform(math.log(50), math.log(3000), 2)))
        a, b = float(rng.uniform(0.22, 0.3)), float(rng.uniform(0.38, 0.55))
        if rng.integers(2):
            a, b = b, a
        return Case(criterion, {"flops": budget, "A": A, "B": B, "a": a, "b": b})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Both numbers."""
        return [float(value) for value in student.compute_optimal(**inputs)]

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The budget first; then the root of the slope, by halving an interval."""
        flops, A, B, a, b = (case.inputs[name] for name in ("flops", "A", "B", "a", "b"))
        given = f"flops={flops:.3g}, A={A:.4g}, B={B:.4g}, a={a:.3f}, b={b:.3f}"
        if len(answer) != 2 or not np.isfinite(answer).all() or min(answer) <= 0:
            return wrong(f"two finite numbers above 0 were asked: N and D; {given}")
        N, D = answer
        if close(N * D, flops, rtol=1e-7):
            return wrong(f"N times D is the budget; each weight and token takes six operations; {given}")
        if close(2 * N * D, flops, rtol=1e-7):
            return wrong(f"2 N D is the forward pass alone; training takes 6 N D; {given}")
        if not close(6 * N * D, flops, rtol=1e-7):
            return wrong(f"6 N D is {6 * N * D / flops:.3g} times the budget; {given}")
        if case.criterion == "on the budget":
            return right()
        best = self._root(flops, A, B, a, b)
        if close(N, best, rtol=1e-8):
            return right()
        guesses = [
            (self._root(flops, A, B, b, a), "the exponents are exchanged: a belongs to N"),
            (self._root(flops, B, A, a, b), "the factors are exchanged: A belongs to N"),
            (self._root(flops, B, A, b, a), "N and D are exchanged"),
            (flops / 6 / best, "N and D are exchanged"),
            (math.sqrt(flops / 6), "half each is best only where both terms fall alike"),
            (math.sqrt(flops / 120), "twenty tokens a parameter is what one law gives, not every law"),
            (
                self._root(flops, A / a, B / b, a, b),
                "the two terms are made equal; their slopes must be, in logarithms",
            ),
            (self._root(6 * flops, A, B, a, b), "N is the best of another budget: six operations a weight and token"),
            (flops / 6 / self._root(6 * flops, A, B, a, b), "the budget is divided by six in one place only"),
        ]
        for value, words in guesses:
            if close(N, value, rtol=1e-6):
                return wrong(f"{words}; {given}")
        if close(N, best, rtol=0.2):
            return wrong(
                f"near the bottom of the valley, but not at it: a grid is too coarse for eight digits; {given}"
            )
        side = "larger" if best > N else "smaller"
        return wrong(f"a {side} model with the same budget has a lower loss; {given}")

    @staticmethod
    def _root(flops: float, A: float, B: float, a: float, b: float) -> float:
        low, high = -80.0, 160.0
        for _ in range(200):
            x = (low + high) / 2
            rising = math.log(b * B) + b * (x - math.log(flops / 6)) > math.log(a * A) - a * x
            low, high = (low, x) if rising else (x, high)
        return math.exp((low + high) / 2)


# --------------------------------------------------------------------------------- 12.4 isoFLOP


class IsoflopMinima(HiddenCheck):
    """12.4: planted parabolas, budgets shuffled together, vertices off the runs and beyond them; hills refused."""

    exercise = "isoflop-minima"
    uses = ("isoflop_minima",)
    criteria = {"vertices": 1.0, "budgets apart": 1.0, "no lowest point": 1.0}
    forbids = dict.fromkeys(
        ("Polynomial.fit", "np.polynomial.Polynomial.fit", "numpy.polynomial.Polynomial.fit"),
        "Polynomial.fit is the stand-in's way: np.polyfit, or equations of your own",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Uneven steps between sizes, sizes of any unit, one budget or many; noise where the fit must be the best."""
        for best, count, noise in [(3e6, 5, 0.0), (2e10, 7, 0.02), (40.0, 6, 0.02), (7e7, 3, 0.0), (5e5, 9, 0.03)]:
            yield Case("vertices", {"runs": self._valley(rng, float(rng.uniform(1e12, 1e20)), best, count, noise)})
        yield Case("vertices", {"runs": self._valley(rng, 1e17, 9e6, 4, 0.0, beyond=True)})
        twice = self._valley(rng, 1e16, 4e6, 5, 0.02)
        yield Case("vertices", {"runs": twice + [[budget, N, loss + 0.01] for budget, N, loss in twice[:2]]})
        for count in (2, 4):
            runs = [
                run
                for number in range(count)
                for run in self._valley(rng, 10.0 ** (15 + number), 1e6 * 3**number, 4 + number, 0.01)
            ]
            order = rng.permutation(len(runs))
            yield Case("budgets apart", {"runs": [runs[at] for at in order]})
        yield Case("budgets apart", {"runs": []})
        hill = [[budget, N, 9 - loss] for budget, N, loss in self._valley(rng, 1e18, 2e6, 5, 0.01)]
        few = self._valley(rng, 1e18, 2e6, 3, 0.0)
        good = self._valley(rng, 1e16, 4e6, 4, 0.0)
        yield Case("no lowest point", {"runs": few})
        for runs in ([few[0], few[1], few[0], few[1]], few[:2], few[:1], hill, good + hill, [*few[:2], *good]):
            yield Case("no lowest point", {"runs": runs})
        yield Case("no lowest point", {"runs": [[1e18, N, 0.0] for N in (1e5, 1e6, 1e7)]})

    @staticmethod
    def _valley(
        rng: np.random.Generator, budget: float, best: float, count: int, noise: float, beyond: bool = False
    ) -> list[list[float]]:
        places = np.cumsum(rng.uniform(0.4, 1.6, count))
        places += -places[-1] - 0.7 if beyond else -places.mean() + float(rng.uniform(0.2, 0.5))
        bend, level = float(rng.uniform(0.1, 0.3)), float(rng.uniform(2, 4))
        losses = level + bend * places**2 + noise * rng.normal(size=count)
        return [[budget, best * math.exp(x), loss] for x, loss in zip(places.tolist(), losses.tolist(), strict=True)]

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Budgets and sizes, or the refusal."""
        runs = [tuple(run) for run in inputs["runs"]]
        try:
            found = student.isoflop_minima(runs)
        except ValueError as error:
            return {"refused": str(error)[:200]}
        intact = runs == [tuple(run) for run in inputs["runs"]]
        return {"found": [[float(budget), float(N)] for budget, N in found.items()], "intact": intact}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Refusals, then each vertex by the normal equations, against those of each slip."""
        runs = case.inputs["runs"]
        budgets = sorted({run[0] for run in runs})
        groups = {budget: [(N, loss) for other, N, loss in runs if other == budget] for budget in budgets}
        given = "; ".join(
            f"budget {budget:.2g}: {', '.join(f'{loss:.3f} at {N:.3g}' for N, loss in group)}"
            for budget, group in groups.items()
        )
        given = given if len(given) < 300 else f"{len(runs)} runs of {len(budgets)} budgets"
        few = [budget for budget, group in groups.items() if len({N for N, _ in group}) < 3]
        curves = {budget: _parabola(group) for budget, group in groups.items() if budget not in few}
        if few or any(bend <= 0 for _, bend in curves.values()):
            if "refused" in answer:
                return right()
            words = "fewer than three sizes give no parabola" if few else "a hill has no lowest point"
            if not any(loss for _, _, loss in runs):
                words = "equal losses have no lowest point"
            return wrong(f"{words}: a ValueError was asked; {given}")
        if "refused" in answer:
            return wrong(f"a ValueError although every budget has a lowest point: {answer['refused']}; {given}")
        if not answer["intact"]:
            return wrong(f"the list of runs was changed; {given}")
        found = dict(answer["found"])
        if sorted(found) != budgets:
            return wrong(f"one entry for each budget was asked, there are {len(found)} for {len(budgets)}; {given}")
        for budget, group in groups.items():
            want, got = curves[budget][0], found[budget]
            if close(got, want, rtol=1e-6):
                continue
            everything = [(N, loss) for _, N, loss in runs]
            sizes = [N for N, _ in group]
            if not min(sizes) <= want <= max(sizes) and close(got, min(max(want, min(sizes)), max(sizes)), rtol=1e-6):
                return wrong(f"a vertex beyond the sizes tried is allowed; {given}")
            if close(got, min(group, key=lambda pair: pair[1])[0]):
                return wrong(f"the best of the runs: the vertex of the parabola was asked; {given}")
            linear = _parabola([(math.exp(N / want), loss) for N, loss in group], scale=want)
            if math.isfinite(linear) and close(got, linear, rtol=1e-4):
                return wrong(f"the parabola is in N: sizes are tried in ratios, so fit in ln N; {given}")
            if len(budgets) > 1 and close(got, _parabola(everything)[0], rtol=1e-5):
                return wrong(f"runs of other budgets are mixed in: each budget has its own parabola; {given}")
            if close(got, math.log(want), rtol=1e-6):
                return wrong(f"this is ln N of the vertex, not N; {given}")
            middle = math.exp(np.mean([math.log(N) for N, _ in group]))
            if close(got, want / middle, rtol=1e-6):
                return wrong(f"the shift by the mean was not added back; {given}")
            if close(got, middle**2 / want, rtol=1e-6):
                return wrong(f"the vertex is on the other side: its sign is minus; {given}")
            if close(got, middle * (want / middle) ** 2, rtol=1e-6):
                return wrong(f"the vertex is at minus the slope over twice the curvature; {given}")
            return wrong(f"this is not the vertex of the best parabola in ln N; {given}")
        return right()


def _parabola(group: Sequence[tuple[float, float]], scale: float | None = None) -> Any:
    """Vertex and curvature by least squares over ln N; with a scale, the vertex of the parabola in N itself."""
    x = np.array([math.log(N) for N, _ in group])
    y = np.array([loss for _, loss in group])
    middle, spread = x.mean(), x.std()
    columns = np.stack([np.ones_like(x), (x - middle) / spread, ((x - middle) / spread) ** 2], axis=1)
    _, slope, bend = np.linalg.lstsq(columns, y, rcond=None)[0]
    if scale is not None:
        return float((middle - spread * slope / (2 * bend)) * scale)
    return math.exp(middle - spread * slope / (2 * bend)) if abs(bend) > 1e-12 else math.inf, float(bend)


# --------------------------------------------------------------------------------- 12.5 tokens and epochs


class TokensAndEpochs(HiddenCheck):
    """12.5: numpy's 32-bit integers whose product does not fit; words that are not tokens; corpora of nothing."""

    exercise = "tokens-and-epochs"
    uses = ("tokens_seen", "epochs")
    criteria = {"tokens": 1.0, "large runs": 1.0, "epochs": 1.0}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Numbers without common factors; runs beyond 2^31 and beyond 2^53."""
        for _ in range(3):
            yield Case("tokens", {"run": [int(value) for value in rng.integers(3, 99, 3)], "kind": "int"})
        yield Case("tokens", {"run": [5, 7, 0], "kind": "int"})
        for kind in ("int32", "int64", "int"):
            run = [int(rng.integers(200, 300)), int(rng.integers(500, 600)), int(rng.integers(900_001, 999_999))]
            yield Case("large runs", {"run": run, "kind": kind})
        yield Case("large runs", {"run": [3_200_001, 4097, 1_500_001], "kind": "int"})
        yield Case("large runs", {"run": [3_200_001, 4097, 1_500_001], "kind": "int32"})
        for ratio in (None, 1.4, 0.7, 2.0):
            tokens, words = int(rng.integers(10**6, 10**12)), int(rng.integers(10**4, 10**9))
            yield Case("epochs", {"tokens": tokens, "words": words, "ratio": ratio})
        yield Case("epochs", {"tokens": 100, "words": 1, "ratio": 0.25})
        for words, ratio in ((-5, 1.3), (40, -1.0), (0, 1.3), (40, 0.0), (0, None)):
            yield Case("epochs", {"tokens": 100, "words": words, "ratio": ratio})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The number, its type, or the refusal."""
        import warnings

        import numpy as np

        if "run" in inputs:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if inputs["kind"] == "int":
                    got = student.tokens_seen(*inputs["run"])
                else:
                    got = student.tokens_seen(*(getattr(np, inputs["kind"])(value) for value in inputs["run"]))
            return {"got": str(int(got)), "type": type(got).__name__}
        ratio = [] if inputs["ratio"] is None else [inputs["ratio"]]
        try:
            return {"got": float(student.epochs(inputs["tokens"], inputs["words"], *ratio))}
        except ValueError as error:
            return {"refused": str(error)[:200]}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Exact integers; then quotients against those of each slip."""
        if "run" in case.inputs:
            batch, seq, steps = case.inputs["run"]
            given = f"batch {batch}, seq {seq}, steps {steps}, given as {case.inputs['kind']}"
            want, got = (
                sum(batch * seq for _ in range(steps % 7)) + batch * seq * (steps - steps % 7),
                int(answer["got"]),
            )
            if got == want:
                if answer["type"] != "int":
                    return wrong(f"the result is a Python int, this is {answer['type']}; {given}")
                return right()
            for value, words in (
                (batch * steps, "a sequence has many tokens: seq is missing"),
                (seq * steps, "an update has many sequences: batch is missing"),
                (batch * seq, "the tokens of one update: steps is missing"),
            ):
                if got == value:
                    return wrong(f"{words}; {given}")
            if got == (want + 2**31) % 2**32 - 2**31 or got == (want + 2**63) % 2**64 - 2**63 or got < 0:
                return wrong(f"the product does not fit the integer's width and wrapped around; {given}")
            if abs(got - want) <= want * 1e-6:
                return wrong(f"nearly: a float holds 53 bits, an int all of them; {given}")
            return wrong(f"this is not the number of tokens; {given}")
        tokens, words, ratio = (case.inputs[name] for name in ("tokens", "words", "ratio"))
        given = f"{tokens} tokens, {words} words, {ratio if ratio is not None else 'no'} tokens a word"
        each = 1.0 if ratio is None else ratio
        if words <= 0 or each <= 0:
            if "refused" in answer:
                return right()
            return wrong(f"a ValueError was asked: such a corpus has no tokens; {given}")
        if "refused" in answer:
            return wrong(f"a ValueError although all is above 0: {answer['refused']}; {given}")
        got = answer["got"]
        if close(got, tokens / words / each):
            return right()
        return name_the_mistake(
            got,
            [
                (tokens / words, f"tokens were divided by words: bring the corpus to tokens first; {given}"),
                (tokens * each / words, f"the ratio is on the wrong side: words times ratio are tokens; {given}"),
                (float(tokens // (words * each)), f"an epoch that was begun counts with its share; {given}"),
                (float(round(tokens / words / each)), f"an epoch that was begun counts with its share; {given}"),
                (words * each / tokens, f"the fraction is upside down; {given}"),
            ],
            f"this is not how often the corpus was read; {given}",
        )


# --------------------------------------------------------------------------------- 12.6 memory


class TrainingMemory(HiddenCheck):
    """12.6: every dtype with every optimizer; sizes without relation, so that no two parts are equal by chance."""

    exercise = "training-memory"
    uses = ("training_memory",)
    criteria = {"full precision": 1.0, "half precision": 1.0, "optimizers and refusals": 1.0}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Defaults once; batch and seq differ."""
        yield self._case("full precision", rng, [])
        yield self._case("full precision", rng, ["fp32", "adamw"])
        for dtype in ("fp16", "bf16"):
            yield self._case("half precision", rng, [dtype])
            yield self._case("half precision", rng, [dtype, "adamw"])
        for dtype in ("fp32", "bf16"):
            for optimizer in ("sgd", "momentum"):
                yield self._case("optimizers and refusals", rng, [dtype, optimizer])
        for names in (["fp8"], ["fp32", "lion"], ["float32", "adamw"]):
            yield self._case("optimizers and refusals", rng, names)

    @staticmethod
    def _case(criterion: str, rng: np.random.Generator, names: list[str]) -> Case:
        heads = int(rng.integers(2, 5))
        d_model = heads * int(rng.integers(4, 9))
        sizes = {
            "vocab_size": int(rng.integers(60, 200)),
            "max_seq": int(rng.integers(20, 40)),
            "d_model": d_model,
            "n_layers": int(rng.integers(2, 5)),
            "n_heads": heads,
            "d_ff": 3 * d_model + 1,
        }
        batch, seq = int(rng.integers(2, 7)), int(rng.integers(8, 19))
        return Case(criterion, {"sizes": sizes, "batch": batch, "seq": seq, "names": names})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The dictionary, or the refusal."""
        from byhand.gpt import GPTConfig

        config = GPTConfig(**inputs["sizes"])
        try:
            found = student.training_memory(config, inputs["batch"], inputs["seq"], *inputs["names"])
        except ValueError as error:
            return {"refused": str(error)[:200]}
        whole = all(float(value) == int(value) for value in found.values())
        return {"found": {str(key): float(value) for key, value in found.items()}, "whole": whole}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Part by part, each against its own slips."""
        sizes, batch, seq, names = (case.inputs[name] for name in ("sizes", "batch", "seq", "names"))
        dtype, optimizer = (names[0] if names else "fp32"), (names[1] if len(names) > 1 else "adamw")
        given = f"dtype {dtype}, optimizer {optimizer}, d_model {sizes['d_model']}, batch {batch}, seq {seq}"
        if dtype not in ("fp32", "fp16", "bf16") or optimizer not in ("adamw", "momentum", "sgd"):
            if "refused" in answer:
                return right()
            return wrong(f"a ValueError was asked for a name that is not known; {given}")
        if "refused" in answer:
            return wrong(f"a ValueError although both names are known: {answer['refused']}; {given}")
        found = answer["found"]
        parts = ("parameters", "gradients", "optimizer", "master", "activations")
        if set(found) != {*parts, "total"}:
            return wrong(f"the keys are {', '.join(sorted(found))}; {', '.join(parts)} and total were asked; {given}")
        if not answer["whole"]:
            return wrong(f"bytes are whole numbers; {given}")
        count, narrow, wide = self._sizes(sizes, batch, seq)
        half = dtype != "fp32"
        width = 2 if half else 4
        states = {"adamw": 2, "momentum": 1, "sgd": 0}[optimizer]
        want = {
            "parameters": width * count,
            "gradients": width * count,
            "optimizer": 4 * states * count,
            "master": 4 * count * half,
            "activations": width * narrow + 4 * wide,
        }
        slips = {
            "parameters": [
                (8 * width * count, "these are bits; a byte has eight"),
                (4 * count, "a number in half precision takes 2 bytes"),
                (count, "the numbers were counted, their bytes were asked"),
            ],
            "gradients": [
                (8 * width * count, "these are bits; a byte has eight"),
                (4 * count, "in half precision a gradient takes 2 bytes, too"),
                (0, "there is a gradient for each parameter"),
            ],
            "optimizer": [
                (8 * 4 * states * count, "these are bits; a byte has eight"),
                (4 * count, "AdamW remembers two numbers a parameter; momentum one, SGD none"),
                (8 * count, "only AdamW remembers two numbers a parameter; momentum one, SGD none"),
                (width * states * count, "the optimizer's state is float32 in any precision"),
            ],
            "master": [
                (0, "half precision needs a float32 copy of the parameters"),
                (4 * count, "in fp32 the parameters are their own master copy"),
                (2 * count, "the master copy is float32: 4 bytes a parameter"),
            ],
            "activations": [
                (8 * want["activations"], "these are bits; a byte has eight"),
                (width * (narrow + wide), "the second kept values are float32 in any precision"),
                (4 * (narrow + wide), "in half precision the first kept values take 2 bytes each"),
                (width * narrow, "the second kept values are missing: they take 4 bytes each"),
                (4 * wide, "the first kept values are missing"),
                (2 * want["activations"], "activations have no gradient that is kept"),
            ],
        }
        for part in parts:
            if found[part] != want[part]:
                words = next(
                    (said for value, said in slips[part] if found[part] == value), f"{part} has not these bytes"
                )
                return wrong(f"{words}; {given}")
        if found["total"] != sum(want.values()):
            return wrong(f"the total is the sum of the five parts; {given}")
        return right()

    @staticmethod
    def _sizes(sizes: Any, batch: int, seq: int) -> tuple[int, int, int]:
        """Parameters added up table by table, and what a step keeps, token by token."""
        vocab, longest, d, layers, heads, ff = (
            sizes[name] for name in ("vocab_size", "max_seq", "d_model", "n_layers", "n_heads", "d_ff")
        )
        shapes = [(vocab, d), (longest, d), (d,), (d,)]
        for _ in range(layers):
            shapes += [(d, d), (d,)] * 4 + [(d, ff), (ff,), (ff, d), (d,)] + [(d,)] * 4
        count = sum(math.prod(shape) for shape in shapes)
        kept = sum(8 * d + 2 * ff + heads + 4 for _ in range(layers)) + 2 * d + 2
        return count, batch * seq * kept, batch * seq * vocab
