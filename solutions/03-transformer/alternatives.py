"""Right answers of chapter 3 written in other ways; each must get full marks."""

from grader.hidden import Alternative

ALTERNATIVES = [
    Alternative(
        "attention",
        "einsum, scaled queries, a bias of -inf",
        """\
def attention(query, key, value, mask=None):
    scores = torch.einsum("bhqd,bhkd->bhqk", query * query.shape[-1] ** -0.5, key)
    if mask is not None:
        hidden = torch.zeros(mask.shape, dtype=scores.dtype)
        scores = scores + hidden.masked_fill(~mask, float("-inf"))
    weights = F.softmax(scores, dim=-1)
    return torch.einsum("bhqk,bhkv->bhqv", weights, value), weights
""",
    ),
    Alternative(
        "attention",
        "exp and a sum over the allowed keys",
        """\
def attention(query, key, value, mask=None):
    scores = torch.matmul(query, key.mT) / query.size(-1) ** 0.5
    allowed = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask.expand_as(scores)
    top = torch.where(allowed, scores, torch.full_like(scores, -torch.inf)).amax(-1, keepdim=True).detach()
    powers = torch.where(allowed, (torch.where(allowed, scores, top) - top).exp(), torch.zeros_like(scores))
    weights = powers / powers.sum(-1, keepdim=True)
    return weights.matmul(value), weights
""",
    ),
    Alternative(
        "causal-mask",
        "by comparing places",
        """\
def causal_mask(seq, total=None):
    if total is None:
        total = seq
    queries = torch.arange(total - seq, total).unsqueeze(1)
    return torch.arange(total).unsqueeze(0) <= queries
""",
    ),
    Alternative(
        "causal-mask",
        "the future, inverted",
        """\
def causal_mask(seq, total=None):
    past = 0 if total is None else total - seq
    return ~torch.triu(torch.ones(seq, seq + past), diagonal=past + 1).bool()
""",
    ),
    Alternative(
        "multi-head",
        "a loop over the heads",
        """\
class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, n_heads):
        super().__init__()
        self.head_dim, rest = divmod(d_model, n_heads)
        if rest:
            raise ValueError("n_heads must divide d_model")
        for name in ("query", "key", "value", "output"):
            setattr(self, name, nn.Linear(d_model, d_model))

    def forward(self, x, mask=None, causal=False):
        seq = x.shape[1]
        allowed = torch.ones(1, 1, seq, seq, dtype=torch.bool)
        if causal:
            allowed = allowed & (torch.arange(seq)[:, None] >= torch.arange(seq))
        if mask is not None:
            allowed = allowed & mask
        parts = []
        query, key, value = self.query(x), self.key(x), self.value(x)
        for head in range(x.shape[2] // self.head_dim):
            columns = slice(head * self.head_dim, (head + 1) * self.head_dim)
            own = allowed[:, head] if allowed.shape[1] > 1 else allowed[:, 0]
            scores = query[..., columns] @ key[..., columns].mT / math.sqrt(self.head_dim)
            parts.append(scores.masked_fill(~own, -math.inf).softmax(-1) @ value[..., columns])
        return self.output(torch.cat(parts, dim=-1))
""",
    ),
    Alternative(
        "multi-head",
        "unflatten and einsum",
        """\
class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, n_heads):
        super().__init__()
        if d_model % n_heads != 0:
            raise ValueError("no whole number of columns for a head")
        self.n_heads = n_heads
        self.query, self.key, self.value, self.output = (nn.Linear(d_model, d_model) for _ in range(4))

    def forward(self, x, mask=None, causal=False):
        q, k, v = (layer(x).unflatten(-1, (self.n_heads, -1)) for layer in (self.query, self.key, self.value))
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) * q.shape[-1] ** -0.5
        if mask is not None:
            scores = scores.masked_fill(mask.logical_not(), -torch.inf)
        if causal:
            future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
            scores = scores.masked_fill(future, -torch.inf)
        return self.output(torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), v).flatten(-2))
""",
    ),
    Alternative(
        "layer-norm",
        "var_mean and rsqrt",
        """\
def layer_norm(x, gain, bias, eps=1e-5):
    y = x.to(torch.float32) if x.element_size() < 4 else x
    variance, mean = torch.var_mean(y, dim=-1, correction=0, keepdim=True)
    return torch.addcmul(bias, (y - mean) * torch.rsqrt(variance + eps), gain).to(x.dtype)
""",
    ),
    Alternative(
        "layer-norm",
        "sums, always in float64",
        """\
def layer_norm(x, gain, bias, eps=1e-5):
    wide, width = x.double(), x.shape[-1]
    mean = wide.sum(-1, keepdim=True) / width
    variance = ((wide - mean) ** 2).sum(-1, keepdim=True) / width
    unit = (wide - mean) / (variance + eps) ** 0.5
    return (unit * gain.double() + bias.double()).type(x.dtype)
""",
    ),
    Alternative(
        "sinusoidal",
        "assigned to even and odd columns",
        """\
def sinusoidal(seq, d_model):
    table = torch.empty(seq, d_model, dtype=torch.float64)
    place = torch.arange(seq).double().unsqueeze(1)
    speed = torch.exp(torch.arange(0, d_model, 2).double() * (-math.log(10000.0) / d_model))
    table[:, 0::2] = torch.sin(place * speed)
    table[:, 1::2] = torch.cos(place * speed)
    return table
""",
    ),
    Alternative(
        "sinusoidal",
        "number by number",
        """\
def sinusoidal(seq, d_model):
    def entry(t, column):
        angle = t / 10000 ** ((column - column % 2) / d_model)
        return math.cos(angle) if column % 2 else math.sin(angle)

    return torch.tensor([[entry(t, column) for column in range(d_model)] for t in range(seq)])
""",
    ),
    Alternative(
        "block",
        "a class for the feed-forward part",
        """\
class Mlp(nn.Module):
    def __init__(self, d_model, d_ff):
        super().__init__()
        self.up, self.down = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)

    def forward(self, x):
        return self.down(F.gelu(self.up(x)))


class Block(nn.Module):
    def __init__(self, d_model, n_heads, d_ff):
        super().__init__()
        self.feed_forward, self.attention = Mlp(d_model, d_ff), HeadsLayer(d_model, n_heads)
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(d_model), nn.LayerNorm(d_model)

    def forward(self, x, mask=None, causal=False):
        gathered = self.attention(self.attention_norm(x), mask, causal)
        middle = torch.add(x, gathered)
        return torch.add(middle, self.feed_forward(self.feed_forward_norm(middle)))
""",
    ),
    Alternative(
        "block",
        "a loop over the two parts",
        """\
class Block(nn.Module):
    def __init__(self, d_model, n_heads, d_ff):
        super().__init__()
        self.attention = HeadsLayer(d_model, n_heads)
        self.feed_forward = nn.Sequential(nn.Linear(d_model, d_ff), nn.GELU("tanh"), nn.Linear(d_ff, d_model))
        self.attention_norm = nn.LayerNorm(d_model)
        self.feed_forward_norm = nn.LayerNorm(d_model)

    def forward(self, x, mask=None, causal=False):
        def look(y):
            return self.attention(y, mask=mask, causal=causal)

        for norm_, part in ((self.attention_norm, look), (self.feed_forward_norm, self.feed_forward)):
            x = x + part(norm_(x))
        return x
""",
    ),
    Alternative(
        "cross-attention",
        "einsum, no axis for the head",
        """\
def cross_attention(decoder_states, encoder_states, weights, encoder_mask):
    q = torch.einsum("btd,dk->btk", decoder_states, weights["query"])
    k = torch.einsum("bsd,dk->bsk", encoder_states, weights["key"])
    v = torch.einsum("bsd,dk->bsk", encoder_states, weights["value"])
    scores = torch.bmm(q, k.transpose(1, 2)) / math.sqrt(k.shape[2])
    scores = scores.masked_fill(~encoder_mask.unsqueeze(1), -math.inf)
    return torch.bmm(torch.softmax(scores, dim=2), v) @ weights["output"]
""",
    ),
    Alternative(
        "cross-attention",
        "row by row, padding cut off",
        """\
def cross_attention(decoder_states, encoder_states, weights, encoder_mask):
    rows = []
    for asks, told, real in zip(decoder_states, encoder_states, encoder_mask):
        told = told[real]
        scores = (asks @ weights["query"]) @ (told @ weights["key"]).T / weights["query"].shape[1] ** 0.5
        rows.append(scores.softmax(dim=1) @ (told @ weights["value"]) @ weights["output"])
    return torch.stack(rows)
""",
    ),
    Alternative(
        "sparse",
        "sets of offsets",
        """\
def sparse_mask(seq, window, dilation=1, n_global=0, causal=False):
    side = window - 1 if causal else (window - 1) // 2
    mask = torch.zeros(seq, seq, dtype=torch.bool)
    for step in range(-side, side + 1):
        if abs(step * dilation) < seq:
            mask = mask | torch.diag(torch.ones(seq - abs(step * dilation)), step * dilation).bool()
    chosen = torch.arange(seq) < n_global
    mask = mask | chosen[:, None] | chosen[None, :]
    return torch.tril(mask) if causal else mask


def receptive_field(n_layers, window, dilation=1):
    seen = 1
    for _ in range(n_layers):
        seen += dilation * (window - 1)
    return seen
""",
    ),
    Alternative(
        "sparse",
        "pair by pair",
        """\
def sparse_mask(seq, window, dilation=1, n_global=0, causal=False):
    def may_look(q, k):
        if causal and k > q:
            return False
        if q < n_global or k < n_global:
            return True
        steps, rest = divmod(abs(q - k), dilation)
        return rest == 0 and steps <= (window - 1 if causal else window // 2)

    return torch.tensor([[may_look(q, k) for k in range(seq)] for q in range(seq)])


def receptive_field(n_layers, window, dilation=1):
    return n_layers * (dilation * window - dilation) + 1
""",
    ),
    Alternative(
        "parameters",
        "a list of shapes",
        """\
def count_parameters(vocab_size, d_model, n_layers, d_ff, max_seq, n_segments):
    def linear(n_in, n_out):
        return (n_in + 1) * n_out

    block = 4 * linear(d_model, d_model) + linear(d_model, d_ff) + linear(d_ff, d_model) + 2 * (d_model + d_model)
    tables = sum(rows * d_model for rows in (vocab_size, max_seq, n_segments))
    return tables + 2 * d_model + sum(block for _ in range(n_layers)) + linear(d_model, d_model)
""",
    ),
    Alternative(
        "parameters",
        "built without memory",
        """\
def count_parameters(vocab_size, d_model, n_layers, d_ff, max_seq, n_segments):
    with torch.device("meta"):
        parts = [nn.Embedding(n, d_model) for n in (vocab_size, max_seq, n_segments)]
        parts += [nn.LayerNorm(d_model), nn.Linear(d_model, d_model)]
        block = [nn.Linear(d_model, d_model) for _ in range(4)] + [nn.LayerNorm(d_model) for _ in range(2)]
        block += [nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)]
    size = lambda modules: sum(p.numel() for module in modules for p in module.parameters())
    return size(parts) + n_layers * size(block)
""",
    ),
]

LIBRARY = {
    "attention": "byhand.attention:attention",
    "causal-mask": "byhand.masks:causal_mask",
    "multi-head": "byhand.attention:MultiHeadAttention",
    "layer-norm": "byhand.blocks:layer_norm",
    "sinusoidal": "byhand.positions:sinusoidal",
    "block": "byhand.blocks:Block",
    "cross-attention": "byhand.attention:cross_attention",
    "sparse": "byhand.masks:sparse_mask, receptive_field",
    "parameters": "byhand.encoder:count_parameters",
}
"""Where the library answers each exercise: its own functions must get full marks too."""
