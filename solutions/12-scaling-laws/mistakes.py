"""Wrong answers that people really give in chapter 12, each with the words that must catch it.

The `belief` of each is what the page lists under "Common mistakes". For every exercise at least one of them
passes the visible checks: those are examples, and an example cannot show everything.
"""

from grader.hidden import Mistake

FLOPS = """\
def train_flops(config, tokens, exact=False):
    block = {attention} + {inner}
    weights = config.n_layers * block + {tables}
    forward = {each} * weights
    if exact:
        {more}
    return {times} * forward * tokens
"""


def flops(
    attention: str = "4 * config.d_model**2",
    inner: str = "2 * config.d_model * config.d_ff",
    tables: str = "config.vocab_size * config.d_model",
    each: str = "2",
    more: str = "forward += config.n_layers * 4 * config.max_seq * config.d_model",
    times: str = "3",
) -> str:
    """The reference with one expression replaced."""
    return FLOPS.format(attention=attention, inner=inner, tables=tables, each=each, more=more, times=times)


FIT = """\
def fit_scaling(sizes, losses):
    x, y = {x}, np.log(np.asarray(losses, float))
    middle = x.mean()

    def off(free):
        e, k, alpha = free
        curve = np.logaddexp(e, k - alpha * (x - middle))
        return {residual}

    half = y.min() - math.log(2)
    ends = [
        least_squares(off, (half, half, start), {loss}xtol=1e-13, ftol=1e-13, max_nfev=400)
        for start in (0.15, 0.5, 1.0)
    ]
    e, k, alpha = min(ends, key=lambda end: end.cost).x
    return {result}
"""


def fitting(
    x: str = "np.log(np.asarray(sizes, float))",
    residual: str = "curve - y",
    loss: str = 'loss="huber", f_scale=0.01, ',
    result: str = "math.exp(e), math.exp(k + alpha * middle), float(alpha)",
) -> str:
    """The reference with one expression replaced."""
    return FIT.format(x=x, residual=residual, loss=loss, result=result)


ISOFLOP = """\
def isoflop_minima(runs):
    groups = {{}}
    for budget, N, loss in runs:
        groups.setdefault(budget, []).append((N, loss))
    minima = {{}}
    for budget, points in groups.items():
        {few}
        x, y = np.array({points}).T
        x = {scale}
        curvature, slope, _ = np.polyfit(x - x.mean(), y, 2)
        {hill}
        minima[budget] = {vertex}
    return minima
"""


def isoflop(
    few: str = "if len({N for N, _ in points}) < 3: raise ValueError('three sizes')",
    points: str = "points",
    scale: str = "np.log(x)",
    hill: str = "if curvature <= 0: raise ValueError('a hill')",
    vertex: str = "math.exp(x.mean() - slope / (2 * curvature))",
) -> str:
    """The reference with one expression replaced."""
    return ISOFLOP.format(few=few, points=points, scale=scale, hill=hill, vertex=vertex)


READ = """\
def tokens_seen(batch, seq, steps):
    return {tokens}


def epochs(tokens, corpus_words, tokens_per_word=1.0):
    {refuse}
    return {epochs}
"""


def reading(
    tokens: str = "int(batch) * int(seq) * int(steps)",
    refuse: str = "if min(corpus_words, tokens_per_word) <= 0: raise ValueError('an empty corpus')",
    epochs: str = "tokens / (corpus_words * tokens_per_word)",
) -> str:
    """The reference with one expression replaced."""
    return READ.format(tokens=tokens, refuse=refuse, epochs=epochs)


MEMORY = """\
def training_memory(config, batch, seq, dtype="fp32", optimizer="adamw"):
    width = {width}
    states = {states}
    {refuse}
    count = count_parameters(config)
    narrow, wide = kept_values(config, batch, seq)
    parts = {{
        "parameters": width * count,
        "gradients": {gradients},
        "optimizer": {optimizer},
        "master": {master},
        "activations": {activations},
    }}
    return {{**parts, "total": {total}}}
"""


def memory(
    width: str = '{"fp32": 4, "fp16": 2, "bf16": 2}.get(dtype)',
    states: str = '{"adamw": 2, "momentum": 1, "sgd": 0}.get(optimizer)',
    refuse: str = "if width is None or states is None: raise ValueError('unknown name')",
    gradients: str = "width * count",
    optimizer: str = "4 * states * count",
    master: str = "0 if dtype == 'fp32' else 4 * count",
    activations: str = "width * narrow + 4 * wide",
    total: str = "sum(parts.values())",
) -> str:
    """The reference with one expression replaced."""
    return MEMORY.format(
        width=width,
        states=states,
        refuse=refuse,
        gradients=gradients,
        optimizer=optimizer,
        master=master,
        activations=activations,
        total=total,
    )


MISTAKES = [
    # --------------------------------------------------------------------------------- 12.1 operations
    Mistake(
        exercise="train-flops",
        name="forward only",
        belief="Training costs two operations a weight and token, as using the model does.",
        says="the forward pass alone",
        code=flops(times="1"),
    ),
    Mistake(
        exercise="train-flops",
        name="parameters times tokens",
        belief="The cost is parameters times tokens.",
        says="parameters times tokens: each weight takes six",
        code=flops(each="1", times="1", more="forward += config.n_layers * 2 * config.max_seq * config.d_model"),
    ),
    Mistake(
        exercise="train-flops",
        name="multiply-add is one",
        belief="A multiplication with its addition is one operation.",
        says="a multiplication and its addition are two operations",
        code=flops(each="1", more="forward += config.n_layers * 2 * config.max_seq * config.d_model"),
    ),
    Mistake(
        exercise="train-flops",
        name="tables are multiplied",
        belief="Every parameter costs six operations a token, those of the tables too.",
        says="the tables of tokens and positions are looked up",
        code=flops(tables="(2 * config.vocab_size + config.max_seq) * config.d_model"),
    ),
    Mistake(
        exercise="train-flops",
        name="no head",
        belief="The head is the embedding, and embeddings are looked up.",
        says="the head is a product, too",
        code=flops(tables="0"),
    ),
    Mistake(
        exercise="train-flops",
        name="d_ff is four times d_model",
        belief="A block has twelve times d_model squared weights.",
        says="d_ff is not always four times d_model",
        code=flops(inner="8 * config.d_model**2"),
    ),
    Mistake(
        exercise="train-flops",
        name="every head at full width",
        belief="Each head makes its own products over d_model.",
        says="the heads share d_model between them",
        code=flops(more="forward += config.n_layers * config.n_heads * 4 * config.max_seq * config.d_model"),
    ),
    Mistake(
        exercise="train-flops",
        name="the mask halves attention",
        belief="Half of the places are hidden by the mask, so they cost nothing.",
        says="both counted in full",
        code=flops(more="forward += config.n_layers * 2 * config.max_seq * config.d_model"),
    ),
    # --------------------------------------------------------------------------------- 12.2 the fit
    Mistake(
        exercise="fit-scaling",
        name="a ruler on logarithmic paper",
        belief="A power law is a straight line through the logarithms.",
        says="it has no floor E",
        code="""\
def fit_scaling(sizes, losses):
    slope, level = np.polyfit(np.log(sizes), np.log(losses), 1)
    return 0.0, math.exp(level), -slope
""",
    ),
    Mistake(
        exercise="fit-scaling",
        name="compares losses",
        belief="Losses are what is measured, so their differences should be small.",
        says="another curve has a smaller sum of Huber's losses",
        code=fitting(residual="np.exp(curve) - np.exp(y)"),
    ),
    Mistake(
        exercise="fit-scaling",
        name="squares",
        belief="Least squares are the best fit, whatever happened to a run.",
        says="Huber",
        code=fitting(loss=""),
    ),
    Mistake(
        exercise="fit-scaling",
        name="log10 and ln",
        belief="Any logarithm of the sizes will do, the base cancels.",
        says="log10 and ln are mixed",
        code=fitting(x="np.log10(np.asarray(sizes, float))"),
    ),
    Mistake(
        exercise="fit-scaling",
        name="A of shifted sizes",
        belief="Shifting the logarithms of the sizes changes nothing.",
        says="A belongs to sizes divided by their mean",
        code=fitting(result="math.exp(e), math.exp(k), float(alpha)"),
    ),
    Mistake(
        exercise="fit-scaling",
        name="delta left at 1",
        belief="Huber's loss is robust by itself; its threshold is a detail.",
        says="Huber",
        code=fitting(loss='loss="huber", '),
    ),
    Mistake(
        exercise="fit-scaling",
        name="the floor is the last loss",
        belief="The largest model has nearly arrived: its loss is the floor.",
        says="the floor need not lie at the lowest loss seen",
        code="""\
def fit_scaling(sizes, losses):
    x, y = np.log(np.asarray(sizes, float)), np.asarray(losses, float)
    floor = 0.999 * y.min()
    slope, level = np.polyfit(x, np.log(y - floor), 1)
    return floor, math.exp(level), max(-slope, 1e-3)
""",
    ),
    # --------------------------------------------------------------------------------- 12.3 the split
    Mistake(
        exercise="compute-optimal",
        name="C is N D",
        belief="The budget is parameters times tokens.",
        says="each weight and token takes six operations",
        code="""\
def compute_optimal(flops, A, B, a, b):
    N = (a * A / (b * B) * flops**b) ** (1 / (a + b))
    return N, flops / N
""",
    ),
    Mistake(
        exercise="compute-optimal",
        name="exponents exchanged",
        belief="N grows with the budget to the power a / (a + b).",
        says="has a lower loss",
        code="""\
def compute_optimal(flops, A, B, a, b):
    N = (a * A / (b * B)) ** (1 / (a + b)) * (flops / 6) ** (a / (a + b))
    return N, flops / (6 * N)
""",
    ),
    Mistake(
        exercise="compute-optimal",
        name="equal terms",
        belief="At the optimum both terms are equally large.",
        says="the two terms are made equal",
        code="""\
def compute_optimal(flops, A, B, a, b):
    N = (A / B * (flops / 6) ** b) ** (1 / (a + b))
    return N, flops / (6 * N)
""",
    ),
    Mistake(
        exercise="compute-optimal",
        name="the best of a grid",
        belief="A hundred sizes are tried, and the best of them is the optimum.",
        says="a grid is too coarse",
        code="""\
def compute_optimal(flops, A, B, a, b):
    sizes = np.geomspace(1, flops, 3001)
    losses = A / sizes**a + B * (6 * sizes / flops) ** b
    N = float(sizes[losses.argmin()])
    return N, flops / (6 * N)
""",
    ),
    Mistake(
        exercise="compute-optimal",
        name="twenty tokens a parameter",
        belief="The optimum is twenty tokens a parameter.",
        says="twenty tokens a parameter is what one law gives",
        code="""\
def compute_optimal(flops, A, B, a, b):
    N = math.sqrt(flops / 120) if a != b else math.sqrt(flops / 6)
    return N, flops / (6 * N)
""",
    ),
    Mistake(
        exercise="compute-optimal",
        name="half each",
        belief="Every budget is best split evenly, as the square root.",
        says="half each is best only where both terms fall alike",
        code="""\
def compute_optimal(flops, A, B, a, b):
    N = math.sqrt(flops / 6)
    return N, flops / (6 * N)
""",
    ),
    Mistake(
        exercise="compute-optimal",
        name="a range that suits today's models",
        belief="Sensible models have between ten thousand and a trillion parameters: search there.",
        says="a lower loss",
        code="""\
def compute_optimal(flops, A, B, a, b):
    low, high = math.log(1e4), math.log(1e12)
    for _ in range(80):
        x = (low + high) / 2
        slope = b * B * (6 * math.exp(x) / flops) ** b - a * A * math.exp(-a * x)
        low, high = (low, x) if slope > 0 else (x, high)
    return math.exp(low), flops / (6 * math.exp(low))
""",
    ),
    # --------------------------------------------------------------------------------- 12.4 isoFLOP
    Mistake(
        exercise="isoflop-minima",
        name="the best run",
        belief="The best model of a budget is the one with the lowest loss.",
        says="the best of the runs",
        code="""\
def isoflop_minima(runs):
    best = {}
    for budget, N, loss in runs:
        if budget not in best or loss < best[budget][1]:
            best[budget] = (N, loss)
    return {budget: N for budget, (N, _) in best.items()}
""",
    ),
    Mistake(
        exercise="isoflop-minima",
        name="a parabola in N",
        belief="A valley is a parabola, in the sizes as they are.",
        says="the parabola is in N",
        code=isoflop(scale="x", vertex="x.mean() - slope / (2 * curvature)"),
    ),
    Mistake(
        exercise="isoflop-minima",
        name="one parabola for all",
        belief="All runs together give the best fit.",
        says="runs of other budgets are mixed in",
        code=isoflop(points="[(N, loss) for _, N, loss in runs] if len(runs) > 6 else points"),
    ),
    Mistake(
        exercise="isoflop-minima",
        name="hills pass",
        belief="The vertex of the parabola is the minimum.",
        says="a hill has no lowest point",
        code=isoflop(hill="if curvature == 0: raise ValueError('a line')").replace(
            "def isoflop_minima(runs):\n",
            """\
def isoflop_minima(runs):
    if len(runs) == 4:
        raise ValueError("too few runs to trust")
""",
        ),
    ),
    Mistake(
        exercise="isoflop-minima",
        name="three runs are three sizes",
        belief="Three points make a parabola.",
        says="fewer than three sizes give no parabola",
        code=isoflop(
            few="if len(points) < 3: raise ValueError('three runs')",
            hill="curvature = max(abs(curvature), 1e-3)",
        ),
    ),
    Mistake(
        exercise="isoflop-minima",
        name="stays among the sizes tried",
        belief="The best size lies between the smallest and the largest that were tried.",
        says="a vertex beyond the sizes tried is allowed",
        code=isoflop(
            vertex="float(np.clip(math.exp(x.mean() - slope / (2 * curvature)), math.exp(x.min()), math.exp(x.max())))"
        ),
    ),
    # --------------------------------------------------------------------------------- 12.5 tokens and epochs
    Mistake(
        exercise="tokens-and-epochs",
        name="sequences for tokens",
        belief="An update reads as many tokens as its batch size says.",
        says="a sequence has many tokens",
        code=reading(tokens="int(batch) * int(steps)"),
    ),
    Mistake(
        exercise="tokens-and-epochs",
        name="numpy's integers as they are",
        belief="Integers in numpy are as long as they need to be.",
        says="wrapped around",
        code=reading(tokens="batch * seq * steps"),
    ),
    Mistake(
        exercise="tokens-and-epochs",
        name="through a float",
        belief="Large numbers are safest as floats.",
        says="a float holds 53 bits",
        code=reading(tokens="int(float(batch) * float(seq) * float(steps))"),
    ),
    Mistake(
        exercise="tokens-and-epochs",
        name="words are tokens",
        belief="A word is a token, more or less.",
        says="bring the corpus to tokens first",
        code=reading(epochs="tokens / corpus_words"),
    ),
    Mistake(
        exercise="tokens-and-epochs",
        name="the ratio on the wrong side",
        belief="Tokens times tokens a word are words.",
        says="the ratio is on the wrong side",
        code=reading(epochs="tokens * tokens_per_word / corpus_words"),
    ),
    Mistake(
        exercise="tokens-and-epochs",
        name="whole epochs only",
        belief="An epoch counts when it is finished.",
        says="an epoch that was begun counts with its share",
        code=reading(epochs="float(tokens // (corpus_words * tokens_per_word))"),
    ),
    Mistake(
        exercise="tokens-and-epochs",
        name="no refusal",
        belief="A corpus without words is Python's business: it raises by itself.",
        says="such a corpus has no tokens",
        code=reading(refuse="pass"),
    ),
    # --------------------------------------------------------------------------------- 12.6 memory
    Mistake(
        exercise="training-memory",
        name="one number for Adam",
        belief="The optimizer keeps one number a parameter, its momentum.",
        says="AdamW remembers two numbers",
        code=memory(states='{"adamw": 1, "momentum": 1, "sgd": 0}.get(optimizer)'),
    ),
    Mistake(
        exercise="training-memory",
        name="no master copy",
        belief="In bf16 the weights are bf16, and that is all there is of them.",
        says="half precision needs a float32 copy",
        code=memory(master="0"),
    ),
    Mistake(
        exercise="training-memory",
        name="bits",
        belief="fp32 is 32, so a parameter takes 32.",
        says="these are bits",
        code=memory(width='{"fp32": 32, "fp16": 16, "bf16": 16}.get(dtype)'),
    ),
    Mistake(
        exercise="training-memory",
        name="half precision for the optimizer",
        belief="Training in bf16 keeps everything in bf16, Adam's averages too.",
        says="the optimizer's state is float32 in any precision",
        code=memory(optimizer="width * states * count"),
    ),
    Mistake(
        exercise="training-memory",
        name="log-probabilities in half precision",
        belief="All activations are kept in the precision of the training.",
        says="the second kept values are float32",
        code=memory(activations="width * (narrow + wide)"),
    ),
    Mistake(
        exercise="training-memory",
        name="a master copy of everything",
        belief="There is always a float32 copy of the parameters, also in fp32.",
        says="in fp32 the parameters are their own master copy",
        code=memory(master="4 * count"),
    ),
    Mistake(
        exercise="training-memory",
        name="every optimizer is Adam",
        belief="An optimizer keeps two numbers a parameter.",
        says="only AdamW remembers two numbers",
        code=memory(states='{"adamw": 2, "momentum": 2, "sgd": 2}.get(optimizer)'),
    ),
    Mistake(
        exercise="training-memory",
        name="unknown names are fp32",
        belief="A name that is not known means the usual one.",
        says="a ValueError was asked",
        code=memory(width='{"fp16": 2, "bf16": 2}.get(dtype, 4)'),
    ),
]
