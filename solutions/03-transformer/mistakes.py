"""Wrong answers that people really give in chapter 3, each with the words that must catch it.

The `belief` of each is what the page lists under "Common mistakes". For every exercise at least one of them
passes the visible checks: those are examples, and an example cannot show everything.
"""

from grader.hidden import Mistake

ATTENTION = """\
def attention(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / {divisor}
    if mask is not None:
        scores = scores.masked_fill({hidden}, {fill})
    weights = torch.softmax(scores, dim=-1)
    return weights @ value, weights
"""


def attention(divisor: str = "math.sqrt(query.shape[-1])", hidden: str = "~mask", fill: str = "-math.inf") -> str:
    """The reference with one expression replaced."""
    return ATTENTION.format(divisor=divisor, hidden=hidden, fill=fill)


HEADS = """\
class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, n_heads):
        super().__init__()
        if d_model % n_heads:
            raise ValueError("n_heads must divide d_model")
        self.n_heads, self.head_dim = n_heads, d_model // n_heads
        self.query, self.key, self.value, self.output = (nn.Linear(d_model, d_model) for _ in range(4))

    def forward(self, x, mask=None, causal=False):
        batch, seq, d_model = x.shape
        query, key, value = ({split} for layer in (self.query, self.key, self.value))
        scores = query @ key.transpose(-2, -1) / math.sqrt({width})
        if causal:
            past = torch.ones(seq, seq, dtype=torch.bool).tril({diagonal})
            mask = {both}
        if mask is not None:
            scores = scores.masked_fill(~mask, {fill})
        gathered = scores.softmax(-1) @ value
        return {joined}
"""


def heads(
    split: str = "layer(x).view(batch, seq, self.n_heads, self.head_dim).transpose(1, 2)",
    width: str = "self.head_dim",
    diagonal: str = "",
    both: str = "past if mask is None else past & mask",
    fill: str = "-math.inf",
    joined: str = "self.output(gathered.transpose(1, 2).reshape(batch, seq, d_model))",
) -> str:
    """The reference with one expression replaced."""
    return HEADS.format(split=split, width=width, diagonal=diagonal, both=both, fill=fill, joined=joined)


NORM = """\
def layer_norm(x, gain, bias, eps=1e-5):
    wide = {wide}
    centred = wide - wide.mean(dim={axis}, keepdim=True)
    return (centred / {root} * gain + bias).to(x.dtype)
"""


def norm(
    wide: str = "x.float() if x.dtype in (torch.float16, torch.bfloat16) else x",
    axis: str = "-1",
    root: str = "torch.sqrt((centred**2).mean(-1, keepdim=True) + eps)",
) -> str:
    """The reference with one expression replaced."""
    return NORM.format(wide=wide, axis=axis, root=root)


SINES = """\
def sinusoidal(seq, d_model):
    speeds = 10000.0 ** (-{exponent} / d_model)
    angles = torch.arange({positions}, dtype={dtype})[:, None] * speeds
    return torch.stack([angles.{even}(), angles.{odd}()], dim=-1).flatten(1).float()
"""


def sines(
    exponent: str = "torch.arange(0, d_model, 2, dtype=torch.float64)",
    positions: str = "seq",
    dtype: str = "torch.float64",
    even: str = "sin",
    odd: str = "cos",
) -> str:
    """The reference with one expression replaced."""
    return SINES.format(exponent=exponent, positions=positions, dtype=dtype, even=even, odd=odd)


BLOCK = """\
class Block(nn.Module):
    def __init__(self, d_model, n_heads, d_ff):
        super().__init__()
        self.attention_norm = nn.LayerNorm(d_model)
        self.attention = HeadsLayer(d_model, n_heads)
        self.feed_forward_norm = {second}
        self.feed_forward = nn.Sequential(nn.Linear(d_model, d_ff), {activation}nn.Linear(d_ff, d_model))

    def forward(self, x, mask=None, causal=False):
{body}
"""
STEPS = """\
        x = x + self.attention(self.attention_norm(x), mask=mask, causal=causal)
        return x + self.feed_forward(self.feed_forward_norm(x))"""


def block(body: str = STEPS, second: str = "nn.LayerNorm(d_model)", activation: str = "nn.GELU(), ") -> str:
    """The reference with one piece replaced."""
    return BLOCK.format(body=body, second=second, activation=activation)


CROSS = """\
def cross_attention(decoder_states, encoder_states, weights, encoder_mask):
    query = ({asks} @ weights["query"])[:, None]
    key, value = (({told} @ weights[name])[:, None] for name in ("key", "value"))
    gathered, _ = attend(query, key, value, {mask})
    return gathered[:, 0] @ weights["output"]
"""


def cross(
    asks: str = "decoder_states", told: str = "encoder_states", mask: str = "encoder_mask[:, None, None, :]"
) -> str:
    """The reference with one expression replaced."""
    return CROSS.format(asks=asks, told=told, mask=mask)


SPARSE = """\
def sparse_mask(seq, window, dilation=1, n_global=0, causal=False):
    places = torch.arange(seq)
    back = places[:, None] - places[None, :]
    reach = {reach}
    allowed = {allowed}
{globals}
    return allowed.tril() if causal else allowed


def receptive_field(n_layers, window, dilation=1):
    return {field}
"""
GLOBALS = "    allowed[:n_global, :] = True\n    allowed[:, :n_global] = True"


def sparse(
    reach: str = "dilation * (window - 1 if causal else window // 2)",
    allowed: str = "(back.abs() <= reach) & (back % dilation == 0)",
    globals_: str = GLOBALS,
    field: str = "1 + n_layers * (window - 1) * dilation",
) -> str:
    """The reference with one expression replaced."""
    return SPARSE.format(reach=reach, allowed=allowed, globals=globals_, field=field)


COUNT = """\
def count_parameters(vocab_size, d_model, n_layers, d_ff, max_seq, n_segments):
    norm = {norm}
    linear = {linear}
    feed_forward = {feed_forward}
    embeddings = (vocab_size + max_seq + n_segments) * d_model + norm
    return embeddings + n_layers * (4 * linear + {norms} * norm + feed_forward) + {pooler}
"""


def count(
    norm: str = "2 * d_model",
    linear: str = "d_model * d_model + d_model",
    feed_forward: str = "2 * d_model * d_ff + d_ff + d_model",
    norms: str = "2",
    pooler: str = "linear",
) -> str:
    """The reference with one expression replaced."""
    return COUNT.format(norm=norm, linear=linear, feed_forward=feed_forward, norms=norms, pooler=pooler)


MISTAKES = [
    # ------------------------------------------------------------------------------- 3.1 attention
    Mistake(
        "attention",
        "no scale",
        "The softmax normalises anyway, so the scale does not matter.",
        "not divided by the root of head_dim",
        attention(divisor="1"),
    ),
    Mistake(
        "attention",
        "scale of the values",
        "d is the width of the vectors that come out.",
        "the root is that of the values' width",
        attention(divisor="math.sqrt(value.shape[-1])"),
    ),
    Mistake(
        "attention",
        "divides by d",
        "The scores are sums of d products, so their mean divides by d.",
        "divided by head_dim, not by its root",
        attention(divisor="query.shape[-1]"),
    ),
    Mistake(
        "attention",
        "masks the weights",
        "A forbidden key gets weight 0, so set it to 0.",
        "masked after the softmax",
        """\
def attention(query, key, value, mask=None):
    weights = torch.softmax(query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1]), dim=-1)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0.0)
    return weights @ value, weights
""",
    ),
    Mistake(
        "attention",
        "fills with zero",
        "A score of 0 means no interest.",
        "a score like any other",
        attention(fill="0.0"),
    ),
    Mistake(
        "attention",
        "inverted mask",
        "True means that a place is masked.",
        "the mask is inverted",
        attention(hidden="mask"),
    ),
    Mistake(
        "attention",
        "a large negative number",
        "−1,000,000,000 is low enough to hide a score.",
        "where allowed scores are lower, it wins",
        attention(fill="-1e9"),
    ),
    Mistake(
        "attention",
        "masks in place",
        "The mask is mine to change: I need its opposite.",
        "an input was changed",
        """\
def attention(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        mask.logical_not_()
        scores = scores.masked_fill(mask, -math.inf)
    weights = torch.softmax(scores, dim=-1)
    return weights @ value, weights
""",
    ),
    # ----------------------------------------------------------------------------- 3.2 causal mask
    Mistake(
        "causal-mask",
        "sees the next token",
        "A token may look at what it predicts.",
        "a token sees the next one",
        """\
def causal_mask(seq, total=None):
    total = total or seq
    return torch.ones(seq, total, dtype=torch.bool).tril(total - seq + 1)
""",
    ),
    Mistake(
        "causal-mask",
        "does not see itself",
        "Only what was before may be seen.",
        "a token does not see itself",
        """\
def causal_mask(seq, total=None):
    total = total or seq
    return torch.ones(seq, total, dtype=torch.bool).tril(total - seq - 1)
""",
    ),
    Mistake(
        "causal-mask",
        "inverted",
        "The mask marks what is hidden.",
        "inverted: True means that a query may look",
        """\
def causal_mask(seq, total=None):
    total = total or seq
    return torch.ones(seq, total, dtype=torch.bool).triu(total - seq + 1)
""",
    ),
    Mistake(
        "causal-mask",
        "aligned at the top left",
        "Query i looks at keys 0 to i.",
        "aligned at the top left",
        """\
def causal_mask(seq, total=None):
    return torch.ones(seq, total or seq, dtype=torch.bool).tril()
""",
    ),
    # ----------------------------------------------------------------------------- 3.3 several heads
    Mistake(
        "multi-head",
        "a view without a transpose",
        "view gives the shape that attention needs.",
        "heads and places are mixed up",
        heads(
            split="layer(x).view(batch, self.n_heads, seq, self.head_dim)",
            joined="self.output(gathered.reshape(batch, seq, d_model))",
        ),
    ),
    Mistake(
        "multi-head",
        "joins without a transpose",
        "reshape brings the heads back together.",
        "the heads were joined without bringing the places back",
        heads(joined="self.output(gathered.reshape(batch, seq, d_model))"),
    ),
    Mistake(
        "multi-head",
        "scale of the whole width",
        "The formula has the root of d, and the model's width is d.",
        "scaled by the root of d_model",
        heads(width="d_model"),
    ),
    Mistake(
        "multi-head",
        "no output projection",
        "The heads lie side by side: that is the result.",
        "the last projection, output, is missing",
        heads(joined="gathered.transpose(1, 2).reshape(batch, seq, d_model)"),
    ),
    Mistake(
        "multi-head",
        "ignores causal",
        "Whoever wants a causal layer passes a mask.",
        "causal has no effect",
        heads(both="mask"),
    ),
    Mistake(
        "multi-head",
        "forgets the mask when causal",
        "With causal, the mask is the causal one.",
        "the given mask is forgotten",
        heads(both="past"),
    ),
    Mistake(
        "multi-head",
        "never refuses",
        "The width is cut as far as it goes.",
        "a ValueError was asked",
        heads().replace('            raise ValueError("n_heads must divide d_model")\n', "            n_heads = 1\n"),
    ),
    # -------------------------------------------------------------------------------- 3.4 layer norm
    Mistake(
        "layer-norm",
        "unbiased variance",
        "The variance divides by D − 1.",
        "the variance is divided by D - 1",
        norm(root="torch.sqrt((centred**2).sum(-1, keepdim=True) / max(x.shape[-1] - 1, 1) + eps)"),
    ),
    Mistake(
        "layer-norm",
        "eps outside the root",
        "eps keeps the division from failing, so it is added to what is divided by.",
        "eps stands outside the root",
        norm(root="(torch.sqrt((centred**2).mean(-1, keepdim=True)) + eps)"),
    ),
    Mistake(
        "layer-norm",
        "over the places",
        "Each feature is normalised over the sequence.",
        "each token by itself, along the last one",
        """\
def layer_norm(x, gain, bias, eps=1e-5):
    axis = max(x.ndim - 2, 0)
    centred = x - x.mean(dim=axis, keepdim=True)
    return centred / torch.sqrt((centred**2).mean(axis, keepdim=True) + eps) * gain + bias
""",
    ),
    Mistake(
        "layer-norm",
        "half precision throughout",
        "The dtype of the input is good enough to compute in.",
        "overflow in float16",
        norm(wide="x"),
    ),
    Mistake(
        "layer-norm",
        "comes back as float32",
        "Once computed in float32, it stays so.",
        "float16 came in and torch.float32 came out",
        norm().replace(".to(x.dtype)", ""),
    ),
    Mistake(
        "layer-norm",
        "constants of the moment",
        "Mean and variance are statistics, no part of the graph.",
        "mean and variance depend on x, too",
        """\
def layer_norm(x, gain, bias, eps=1e-5):
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    with torch.no_grad():
        mean = wide.mean(-1, keepdim=True)
        root = torch.sqrt(((wide - mean) ** 2).mean(-1, keepdim=True) + eps)
    return ((wide - mean) / root * gain + bias).to(x.dtype)
""",
    ),
    # --------------------------------------------------------------------------------- 3.5 positions
    Mistake(
        "sinusoidal",
        "exponent of the pair, not of the column",
        "Pair i turns with the exponent i / D.",
        "these are not the sines and cosines",
        sines(exponent="torch.arange(d_model // 2, dtype=torch.float64)"),
    ),
    Mistake(
        "sinusoidal",
        "every column its own speed",
        "Column c turns with the exponent c / D.",
        "the exponent counts columns, not pairs",
        """\
def sinusoidal(seq, d_model):
    speeds = 10000.0 ** (-torch.arange(d_model, dtype=torch.float64) / d_model)
    angles = torch.arange(seq, dtype=torch.float64)[:, None] * speeds
    even = torch.arange(d_model) % 2 == 0
    return torch.where(even, angles.sin(), angles.cos()).float()
""",
    ),
    Mistake(
        "sinusoidal",
        "cosines first",
        "cos 0 = 1 comes first, as with complex numbers.",
        "sine and cosine are exchanged",
        sines(even="cos", odd="sin"),
    ),
    Mistake(
        "sinusoidal",
        "positions from one",
        "The first position is number 1.",
        "positions begin at 0, here at 1",
        sines(positions="1, seq + 1"),
    ),
    Mistake(
        "sinusoidal",
        "half sines, half cosines",
        "First all sines, then all cosines.",
        "they take turns",
        """\
def sinusoidal(seq, d_model):
    speeds = 10000.0 ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    angles = torch.arange(seq, dtype=torch.float64)[:, None] * speeds
    return torch.cat([angles.sin(), angles.cos()], dim=-1).float()
""",
    ),
    Mistake(
        "sinusoidal",
        "angles in float32",
        "float32 is what comes out, so it is enough inside.",
        "compute them in float64",
        sines(exponent="torch.arange(0, d_model, 2)", dtype="torch.float32"),
    ),
    # ------------------------------------------------------------------------------------- 3.6 block
    Mistake(
        "block",
        "post-norm",
        "Normalise after each sum, as the first paper drew it.",
        "this is post-norm",
        block(
            body="""\
        x = self.attention_norm(x + self.attention(x, mask=mask, causal=causal))
        return self.feed_forward_norm(x + self.feed_forward(x))"""
        ),
    ),
    Mistake(
        "block",
        "second sum from the input",
        "The residual path leads from the input to the output.",
        "the second sum starts from the block's input",
        block(
            body="""\
        middle = x + self.attention(self.attention_norm(x), mask=mask, causal=causal)
        return x + self.feed_forward(self.feed_forward_norm(middle))"""
        ),
    ),
    Mistake(
        "block",
        "adds the normalised copy",
        "What is normalised is what goes on.",
        "the normalised copy was added",
        block(
            body="""\
        x = self.attention_norm(x)
        x = x + self.attention(x, mask=mask, causal=causal)
        return x + self.feed_forward(self.feed_forward_norm(x))"""
        ),
    ),
    Mistake(
        "block",
        "one norm for both",
        "A norm has nothing to learn, so one is enough.",
        "one and the same norm",
        block(second="self.attention_norm"),
    ),
    Mistake(
        "block",
        "parts in parallel",
        "Both parts read the same input, and both results are added.",
        "the feed-forward part reads the block's input",
        block(
            body="""\
        gathered = self.attention(self.attention_norm(x), mask=mask, causal=causal)
        return x + gathered + self.feed_forward(self.feed_forward_norm(x))"""
        ),
    ),
    Mistake(
        "block",
        "no nonlinearity",
        "Two linear layers are a network.",
        "there is no GELU",
        block(activation=""),
    ),
    Mistake(
        "block",
        "drops the mask",
        "The block has nothing to do with masks.",
        "the mask does not reach the attention",
        block(
            body="""\
        x = x + self.attention(self.attention_norm(x), causal=causal)
        return x + self.feed_forward(self.feed_forward_norm(x))"""
        ),
    ),
    # --------------------------------------------------------------------------- 3.7 cross-attention
    Mistake(
        "cross-attention",
        "the encoder asks",
        "The encoder's tokens look for their translation.",
        "that of the decoder is asked",
        cross(asks="encoder_states", told="decoder_states", mask="None"),
    ),
    Mistake(
        "cross-attention",
        "the decoder looks at itself",
        "It is attention over what was written so far.",
        "keys and values come from the decoder",
        cross(told="decoder_states", mask="None"),
    ),
    Mistake(
        "cross-attention",
        "causal",
        "A decoder is causal, so its cross-attention is.",
        "a causal mask hides part of the source",
        cross(
            mask="encoder_mask[:, None, None, :] & torch.ones(decoder_states.shape[1], encoder_states.shape[1])"
            ".tril(max(0, encoder_states.shape[1] - decoder_states.shape[1])).bool()"
        ),
    ),
    Mistake(
        "cross-attention",
        "ignores the padding",
        "Padding is a token like any other, the model will learn to ignore it.",
        "the padding of the encoder takes part",
        cross(mask="None"),
    ),
    Mistake(
        "cross-attention",
        "zeroes the padding",
        "Padding whose values are zero adds nothing.",
        "this is not attention of the decoder's queries",
        """\
def cross_attention(decoder_states, encoder_states, weights, encoder_mask):
    encoder_states = encoder_states * encoder_mask[..., None]
    query = (decoder_states @ weights["query"])[:, None]
    key, value = ((encoder_states @ weights[name])[:, None] for name in ("key", "value"))
    gathered, _ = attend(query, key, value)
    return gathered[:, 0] @ weights["output"]
""",
    ),
    # --------------------------------------------------------------------------- 3.8 sparse patterns
    Mistake(
        "sparse",
        "columns without rows",
        "A global token is one that everybody sees.",
        "it must also see all: its row",
        sparse(globals_="    allowed[:, :n_global] = True"),
    ),
    Mistake(
        "sparse",
        "ignores dilation",
        "Dilation makes the window longer; its holes do not matter.",
        "the window got longer but has no holes",
        sparse(allowed="back.abs() <= reach"),
    ),
    Mistake(
        "sparse",
        "one-sided window",
        "A window is the keys before a token.",
        "an encoder's window is centred",
        sparse(
            reach="dilation * (window - 1)",
            allowed="(back >= 0) & (back <= reach) & (back % dilation == 0)",
        ),
    ),
    Mistake(
        "sparse",
        "half the window of a decoder",
        "With causal, half of the window is cut off.",
        "pairs are not as asked",
        sparse(reach="dilation * (window // 2)"),
    ),
    Mistake(
        "sparse",
        "global tokens see the future",
        "Global means everything.",
        "the global tokens see the future",
        sparse(
            allowed="(back.abs() <= reach) & (back % dilation == 0) & ((back >= 0) | (not causal))",
        ).replace("    return allowed.tril() if causal else allowed", "    return allowed"),
    ),
    Mistake(
        "sparse",
        "windows in a row",
        "Layers of window w see w places each.",
        "windows of successive layers overlap",
        sparse(field="n_layers * window * dilation"),
    ),
    Mistake(
        "sparse",
        "dilation does not reach",
        "Holes do not count as places.",
        "dilation makes the window longer",
        sparse(field="1 + n_layers * (window - 1)"),
    ),
    # --------------------------------------------------------------------------------- 3.9 parameters
    Mistake(
        "parameters",
        "no biases",
        "A linear layer is a matrix.",
        "the linear layers' biases are missing",
        count(linear="d_model * d_model", feed_forward="2 * d_model * d_ff"),
    ),
    Mistake(
        "parameters",
        "no pooler",
        "After the last block the model ends.",
        "the pooler is missing",
        count(pooler="0"),
    ),
    Mistake(
        "parameters",
        "one norm for each block",
        "A block has a norm.",
        "each block has two layer norms",
        count(norms="1"),
    ),
    Mistake(
        "parameters",
        "a norm without a bias",
        "A norm has one gain for each column.",
        "a layer norm has a gain and a bias",
        count(norm="d_model"),
    ),
    Mistake(
        "parameters",
        "two biases of the same size",
        "Both feed-forward layers have a bias of d_model.",
        "the first feed-forward layer has d_ff biases",
        count(feed_forward="2 * d_model * d_ff + 2 * d_model"),
    ),
    Mistake(
        "parameters",
        "counts in floats",
        "Millions are best computed in floating point.",
        "a count is an int",
        count(norm="2.0 * d_model"),
    ),
]
