"""Right answers of chapter 12 written in other ways; each must get full marks."""

from grader.hidden import Alternative

ALTERNATIVES = [
    Alternative(
        "train-flops",
        "every product with its three sizes",
        """\
def train_flops(config, tokens, exact=False):
    d = config.d_model
    shapes = [(d, d)] * 4 + [(d, config.d_ff), (config.d_ff, d)]
    products = [shape for _ in range(config.n_layers) for shape in shapes] + [(d, config.vocab_size)]
    if exact:
        head = d // config.n_heads
        both = [(head, config.max_seq), (config.max_seq, head)]
        products += [size for _ in range(config.n_layers * config.n_heads) for size in both]
    multiplications = sum(rows * columns for rows, columns in products)
    forward = 2 * multiplications
    backward = 2 * forward
    return (forward + backward) * tokens
""",
    ),
    Alternative(
        "train-flops",
        "floats, six at once",
        """\
def train_flops(config, tokens, exact=False):
    L, d, ff, V = config.n_layers, config.d_model, config.d_ff, config.vocab_size
    total = 6.0 * d * (L * (4 * d + 2 * ff) + V)
    total = total + (12.0 * L * d * config.max_seq if exact else 0.0)
    return float(tokens) * total
""",
    ),
    Alternative(
        "fit-scaling",
        "Nelder and Mead from many starts, in plain sums",
        """\
def fit_scaling(sizes, losses):
    x = np.log(np.array(sizes, dtype=float))
    y = np.log(np.array(losses, dtype=float))
    shift = x.mean()
    x = x - shift

    def cost(free):
        e, k, alpha = free
        r = np.abs(np.logaddexp(e, k - alpha * x) - y)
        return 1e4 * np.sum(np.where(r <= 0.01, r * r / 2, 0.01 * (r - 0.005)))

    ends = []
    for alpha in (0.15, 0.4, 0.9):
        for part in (0.15, 0.8):
            start = np.array([y.min() + math.log(part), np.log(max(np.exp(y).mean() * (1 - part), 1e-3)), alpha])
            for _ in range(4):
                end = minimize(cost, start, method="Nelder-Mead",
                               options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 900, "maxfev": 900})
                start = end.x
            ends.append(end)
    e, k, alpha = min(ends, key=lambda end: end.fun).x
    return float(np.exp(e)), float(np.exp(k + alpha * shift)), float(alpha)
""",
    ),
    Alternative(
        "fit-scaling",
        "weighted least squares again and again",
        """\
def fit_scaling(sizes, losses):
    x, y = np.log(np.asarray(sizes, float)), np.log(np.asarray(losses, float))
    middle = x.mean()
    best = None
    for alpha in (0.12, 0.35, 0.7, 1.1):
        free = np.array([y.min() - 0.7, y.min() - 0.7, alpha])
        damping = 1e-3
        old = None
        for _ in range(3000):
            a, b = free[0], free[1] - free[2] * (x - middle)
            curve = np.logaddexp(a, b)
            r = curve - y
            size = np.abs(r)
            cost = np.where(size <= 0.01, size**2 / 2, 0.01 * (size - 0.005)).sum()
            w = np.minimum(1, 0.01 / np.maximum(size, 1e-300))
            share = np.exp(b - curve)
            J = np.stack([1 - share, share, -share * (x - middle)], 1)
            H = J.T @ (w[:, None] * J)
            step = -np.linalg.lstsq(H + damping * np.diag(np.diag(H) + 1e-12), J.T @ (w * r), rcond=None)[0]
            new = free + np.clip(step, -1, 1)
            c2 = np.logaddexp(new[0], new[1] - new[2] * (x - middle)) - y
            n2 = np.abs(c2)
            cost2 = np.where(n2 <= 0.01, n2**2 / 2, 0.01 * (n2 - 0.005)).sum()
            if cost2 <= cost:
                free, damping = new, max(damping / 3, 1e-14)
                if np.abs(step).max() < 1e-12:
                    break
            else:
                damping = damping * 4
                if damping > 1e12:
                    break
        if best is None or min(cost, cost2) < best[0]:
            best = (min(cost, cost2), free)
    e, k, alpha = best[1]
    return math.exp(e), math.exp(k + alpha * middle), float(alpha)
""",
    ),
    Alternative(
        "compute-optimal",
        "halving an interval of ln N",
        """\
def compute_optimal(flops, A, B, a, b):
    def slope(x):
        return math.log(b * B) + b * (x + math.log(6) - math.log(flops)) - math.log(a * A) + a * x

    low, high = -200.0, 200.0
    for _ in range(120):
        middle = (low + high) / 2
        if slope(middle) > 0:
            high = middle
        else:
            low = middle
    N = math.exp(middle)
    return N, flops / 6 / N
""",
    ),
    Alternative(
        "compute-optimal",
        "the paper's G and the two powers",
        """\
def compute_optimal(flops, A, B, a, b):
    G = (a * A / (b * B)) ** (1 / (a + b))
    per = flops / 6
    return np.float64(G * per ** (b / (a + b))), np.float64(per ** (a / (a + b)) / G)
""",
    ),
    Alternative(
        "isoflop-minima",
        "normal equations with weights of torch",
        """\
def isoflop_minima(runs):
    budgets = sorted({budget for budget, _, _ in runs})
    found = {}
    for budget in budgets:
        x = torch.tensor([math.log(N) for other, N, _ in runs if other == budget], dtype=torch.float64)
        y = torch.tensor([loss for other, _, loss in runs if other == budget], dtype=torch.float64)
        if len(x.unique()) < 3:
            raise ValueError("too few sizes")
        shift = x.mean()
        columns = torch.stack([(x - shift) ** 2, x - shift, torch.ones_like(x)], dim=1)
        c2, c1, _ = torch.linalg.lstsq(columns, y[:, None]).solution[:, 0].tolist()
        if not c2 > 0:
            raise ValueError("no valley")
        found[budget] = math.exp(float(shift) - c1 / c2 / 2)
    return found
""",
    ),
    Alternative(
        "isoflop-minima",
        "np.roots of the derivative",
        """\
def isoflop_minima(runs):
    groups = {}
    for run in runs:
        groups.setdefault(run[0], []).append(run[1:])
    answer = {}
    for budget in groups:
        sizes, losses = zip(*groups[budget])
        if len(set(sizes)) < 3:
            raise ValueError(f"{len(set(sizes))} sizes for {budget}")
        unit = min(sizes)
        curve = np.poly1d(np.polyfit(np.log(np.array(sizes) / unit), losses, 2))
        if curve.coeffs[0] <= 0 or len(curve.coeffs) < 3:
            raise ValueError("it bends down")
        answer[budget] = float(unit * np.exp(np.roots(curve.deriv())[0]))
    return answer
""",
    ),
    Alternative(
        "tokens-and-epochs",
        "math.prod, and the ratio first",
        """\
def tokens_seen(batch, seq, steps):
    return math.prod(map(int, (batch, seq, steps)))


def epochs(tokens, corpus_words, tokens_per_word=1.0):
    if not (corpus_words > 0 and tokens_per_word > 0):
        raise ValueError("an empty corpus")
    return float(tokens / tokens_per_word / corpus_words)
""",
    ),
    Alternative(
        "tokens-and-epochs",
        "numpy's objects",
        """\
def tokens_seen(batch, seq, steps):
    a_step = int(seq) * int(batch)
    return a_step * int(steps)


def epochs(tokens, corpus_words, tokens_per_word=1.0):
    corpus = corpus_words * tokens_per_word
    for name, value in (("words", corpus_words), ("tokens a word", tokens_per_word)):
        if value <= 0:
            raise ValueError(f"{name} must be above 0")
    return np.float64(tokens) / corpus
""",
    ),
    Alternative(
        "training-memory",
        "branches",
        """\
def training_memory(config, batch, seq, dtype="fp32", optimizer="adamw"):
    if dtype not in ("fp32", "fp16", "bf16"):
        raise ValueError(dtype)
    if optimizer not in ("sgd", "momentum", "adamw"):
        raise ValueError(optimizer)
    n = count_parameters(config)
    a, b = kept_values(config, batch, seq)
    if dtype == "fp32":
        out = dict(parameters=4 * n, gradients=4 * n, master=0, activations=4 * (a + b))
    else:
        out = dict(parameters=2 * n, gradients=2 * n, master=4 * n, activations=2 * a + 4 * b)
    out["optimizer"] = 4 * n * ["sgd", "momentum", "adamw"].index(optimizer)
    out["total"] = out["parameters"] + out["gradients"] + out["optimizer"] + out["master"] + out["activations"]
    return out
""",
    ),
    Alternative(
        "training-memory",
        "sizes from torch's dtypes",
        """\
def training_memory(config, batch, seq, dtype="fp32", optimizer="adamw"):
    kinds = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    if dtype not in kinds or optimizer not in {"adamw", "momentum", "sgd"}:
        raise ValueError(f"{dtype}, {optimizer}")
    each, full = kinds[dtype].itemsize, torch.float32.itemsize
    count, kept = count_parameters(config), kept_values(config, batch, seq)
    states = {"adamw": ("mean", "square"), "momentum": ("mean",), "sgd": ()}[optimizer]
    parts = Counter(parameters=each * count, gradients=each * count)
    parts["optimizer"] = sum(full * count for _ in states)
    parts["master"] = full * count if each < full else 0
    parts["activations"] = each * kept[0] + full * kept[1]
    return {**parts, "total": parts.total()}
""",
    ),
    Alternative(
        "tokens-and-epochs",
        "the library's two",
        """\
from byhand import scaling


def tokens_seen(batch, seq, steps):
    return scaling.tokens_seen(int(batch), int(seq), int(steps))


def epochs(tokens, corpus_words, tokens_per_word=1.0):
    return scaling.epochs(tokens, corpus_words, tokens_per_word)
""",
    ),
    Alternative(
        "fit-scaling",
        "the library's",
        """\
from byhand import scaling


def fit_scaling(sizes, losses):
    fit = scaling.fit_scaling(sizes, losses)
    return fit.E, fit.A, fit.alpha
""",
    ),
]

LIBRARY = {
    "train-flops": "byhand.scaling:train_flops",
    "compute-optimal": "byhand.scaling:compute_optimal",
    "isoflop-minima": "byhand.scaling:isoflop_minima",
    "training-memory": "byhand.scaling:training_memory",
}
"""Where the library answers an exercise; 12.2 and 12.5 are adapted above: one gives an object, the other is two."""
