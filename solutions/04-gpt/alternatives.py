"""Right answers of chapter 4 written in other ways; each must get full marks."""

from grader.hidden import Alternative

ALTERNATIVES = [
    Alternative(
        "chunk",
        "unfolded from one tensor",
        """\
def chunk(docs, eos, seq):
    stream = torch.tensor([token for doc in docs for token in (eos, *doc)][1:], dtype=torch.long)
    if len(stream) <= seq:
        return torch.zeros(0, seq + 1, dtype=torch.long)
    return stream.unfold(0, seq + 1, seq)
""",
    ),
    Alternative(
        "chunk",
        "by the number of rows",
        """\
def chunk(docs, eos, seq):
    stream = list(docs[0]) if docs else []
    for doc in docs[1:]:
        stream.append(eos)
        stream.extend(doc)
    count = max(0, len(stream) - 1) // seq
    out = torch.empty(count, seq + 1, dtype=torch.int64)
    for row in range(count):
        out[row] = torch.tensor(stream[row * seq : (row + 1) * seq + 1])
    return out
""",
    ),
    Alternative(
        "get-batch",
        "a list of slices",
        """\
def get_batch(ids, batch, seq, rng):
    last = len(ids) - seq - 1
    if last < 0:
        raise ValueError("too few tokens")
    starts = [int(torch.randint(0, last + 1, (1,), generator=rng)) for _ in range(batch)]
    x = torch.stack([ids[start : start + seq].long() for start in starts])
    y = torch.stack([ids[start + 1 : start + 1 + seq].long() for start in starts])
    return x, y
""",
    ),
    Alternative(
        "get-batch",
        "from uniform numbers",
        """\
def get_batch(ids, batch, seq, rng):
    if ids.numel() <= seq:
        raise ValueError(f"{ids.numel()} tokens for a window of {seq} and a target")
    windows = ids.to(torch.long).unfold(0, seq + 1, 1)
    picked = windows[(torch.rand(batch, generator=rng, dtype=torch.float64) * len(windows)).long()]
    return picked[..., :seq], picked[..., 1:]
""",
    ),
    Alternative(
        "gpt",
        "functional head, weights drawn by apply",
        """\
class GPT(nn.Module):
    def __init__(self, vocab_size, max_seq, d_model, n_layers, n_heads, tied=True):
        super().__init__()
        self.max_seq = max_seq
        self.position_embedding = nn.Embedding(max_seq, d_model)
        self.token_embedding = nn.Embedding(vocab_size, d_model)
        self.blocks = nn.ModuleList()
        for _ in range(n_layers):
            self.blocks.append(Block(d_model, n_heads, 4 * d_model, activation="gelu_tanh"))
        self.final_norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(d_model, vocab_size, bias=False)
        self.apply(self._draw)
        if tied:
            self.token_embedding.weight = self.head.weight

    @staticmethod
    def _draw(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            with torch.no_grad():
                module.weight.copy_(0.02 * torch.randn(module.weight.shape))
                if getattr(module, "bias", None) is not None:
                    module.bias.zero_()

    def forward(self, input_ids):
        if input_ids.size(-1) > self.max_seq:
            raise ValueError("more tokens than places")
        places = torch.arange(input_ids.size(-1)).unsqueeze(0)
        hidden = torch.add(self.token_embedding(input_ids), self.position_embedding(places))
        for layer in self.blocks:
            hidden = layer(hidden, None, None, True)
        return F.linear(self.final_norm(hidden), self.head.weight)
""",
    ),
    Alternative(
        "gpt",
        "smaller residual projections, an explicit mask",
        """\
class GPT(nn.Module):
    def __init__(self, vocab_size, max_seq, d_model, n_layers, n_heads, tied=True):
        super().__init__()
        self.head = nn.Linear(d_model, vocab_size, bias=False)
        self.token_embedding = nn.Embedding(vocab_size, d_model)
        if tied:
            self.token_embedding.weight = self.head.weight
        self.position_embedding = nn.Embedding(max_seq, d_model)
        sizes = d_model, n_heads, 4 * d_model
        self.blocks = nn.ModuleList([Block(*sizes, activation="gelu_tanh") for _ in range(n_layers)])
        self.final_norm = LayerNorm(d_model)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                torch.nn.init.normal_(weight, mean=0.0, std=0.02)

    def forward(self, input_ids):
        batch, seq = input_ids.shape
        if not seq <= self.position_embedding.weight.shape[0]:
            raise ValueError("too long")
        past = torch.ones(seq, seq, dtype=torch.bool).tril()
        x = self.token_embedding(input_ids) + self.position_embedding(torch.arange(seq).expand(batch, seq))
        for block in self.blocks:
            x = block(x, mask=past, causal=True)
        return self.final_norm(x) @ self.head.weight.T
""",
    ),
    # The library's GPT takes one GPTConfig where the exercise takes sizes: an adapter in place of a LIBRARY entry.
    Alternative(
        "gpt",
        "the library's, behind an adapter",
        """\
from byhand.gpt import GPT as LibraryGPT
from byhand.gpt import GPTConfig


class GPT(LibraryGPT):
    def __init__(self, vocab_size, max_seq, d_model, n_layers, n_heads, tied=True):
        super().__init__(GPTConfig(vocab_size, max_seq, d_model, n_layers, n_heads, tied=tied))
""",
    ),
    Alternative(
        "train-step",
        "clipped by hand",
        """\
def train_step(model, x, y, optimizer, clip):
    for group in optimizer.param_groups:
        for weight in group["params"]:
            weight.grad = None
    logits = model(x)
    loss = F.cross_entropy(logits.transpose(1, 2), y)
    loss.backward()
    grads = [weight.grad for weight in model.parameters() if weight.grad is not None]
    norm = math.sqrt(sum(float(grad.pow(2).sum()) for grad in grads))
    if norm > clip:
        for grad in grads:
            grad.mul_(clip / norm)
    optimizer.step()
    return dict(grad_norm=norm, loss=float(loss))
""",
    ),
    Alternative(
        "train-step",
        "selected log-probabilities",
        """\
def train_step(model, x, y, optimizer, clip):
    model.zero_grad(set_to_none=True)
    scored = y != -100
    chosen = model(x).log_softmax(-1)[scored]
    loss = -chosen.gather(1, y[scored].unsqueeze(1)).mean()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_([w for w in model.parameters() if w.grad is not None], max_norm=clip)
    optimizer.step()
    return {"loss": float(loss.detach()), "grad_norm": float(norm)}
""",
    ),
    Alternative(
        "schedule",
        "clamped shares",
        """\
def lr_at(step, warmup, total, lr, lr_min):
    if warmup > 0 and step < warmup:
        return step / warmup * lr
    done = max(0.0, min(1.0, (step - warmup) / (total - warmup)))
    return 0.5 * (lr + lr_min) + 0.5 * (lr - lr_min) * math.cos(done * math.pi)
""",
    ),
    Alternative(
        "schedule",
        "squared sine of half the angle",
        """\
def lr_at(step, warmup, total, lr, lr_min):
    if step >= total:
        return float(lr_min)
    if step < warmup:
        return lr * (step / warmup)
    down = math.sin(math.pi / 2 * (step - warmup) / (total - warmup)) ** 2
    return lr - (lr - lr_min) * down
""",
    ),
    Alternative(
        "evaluate",
        "full windows in one batch, then the rest",
        """\
def evaluate(model, ids, seq):
    mode = model.training
    model.train(False)
    whole = (len(ids) - 1) // seq
    parts = []
    if whole:
        parts.append(ids[: whole * seq + 1].unfold(0, seq + 1, seq))
    if whole * seq < len(ids) - 1:
        parts.append(ids[whole * seq :].unsqueeze(0))
    total, count = 0.0, 0
    with torch.inference_mode():
        for rows in parts:
            logp = model(rows[:, :-1]).log_softmax(-1)
            total -= logp.gather(-1, rows[:, 1:].unsqueeze(-1)).double().sum().item()
            count += rows[:, 1:].numel()
    model.train(mode)
    return total, count
""",
    ),
    Alternative(
        "evaluate",
        "a decorator and a padded batch",
        """\
@torch.no_grad()
def evaluate(model, ids, seq):
    was = model.training
    model.eval()
    count = len(ids) - 1
    rows = -(-count // seq)
    inputs = torch.zeros(rows * seq, dtype=torch.long)
    targets = torch.full((rows * seq,), -100)
    inputs[:count], targets[:count] = ids[:-1], ids[1:]
    logits = model(inputs.view(rows, seq)).flatten(0, 1)
    total = F.cross_entropy(logits, targets, reduction="sum").item()
    if was:
        model.train()
    return total, count
""",
    ),
    Alternative(
        "cloze",
        "one padded batch",
        """\
def cloze_rank(model, left, candidates, right):
    texts = [[*left, *candidate, *right] for candidate in candidates]
    longest = max(map(len, texts))
    ids = torch.tensor([text + [0] * (longest - len(text)) for text in texts])
    with torch.no_grad():
        logp = model(ids[:, :-1]).log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    scores = [float(row[len(left) - 1 : len(text) - 1].sum()) for row, text in zip(logp, texts)]
    return [number for _, number in sorted((-score, number) for number, score in enumerate(scores))]
""",
    ),
    Alternative(
        "cloze",
        "the chain rule, one prefix at a time",
        """\
def cloze_rank(model, left, candidates, right):
    def logp(candidate):
        text, total = [*left, *candidate, *right], 0.0
        for place in range(len(left), len(text)):
            with torch.no_grad():
                total += F.log_softmax(model(torch.tensor([text[:place]]))[0, -1], dim=-1)[text[place]].item()
        return total

    scores = [logp(candidate) for candidate in candidates]
    return np.argsort(-np.array(scores), kind="stable").tolist()
""",
    ),
    Alternative(
        "exposure",
        "a loop in plain Python",
        """\
def exposure(logp_canary, logp_random):
    ahead = 0
    for value in logp_random.tolist():
        if not value < logp_canary:
            ahead += 1
    return math.log(len(logp_random) / (ahead + 1), 2)
""",
    ),
    Alternative(
        "exposure",
        "the place in the sorted list",
        """\
def exposure(logp_canary, logp_random):
    values = sorted(logp_random.tolist(), reverse=True)
    rank = 1
    while rank <= len(values) and values[rank - 1] >= logp_canary:
        rank += 1
    return float(np.log2(len(values)) - np.log2(rank))
""",
    ),
]

LIBRARY = {
    "chunk": "byhand.packing:chunk",
    "get-batch": "byhand.packing:get_batch",
    "train-step": "byhand.training:train_step",
    "schedule": "byhand.training:lr_at",
    "evaluate": "byhand.training:evaluate",
    "cloze": "byhand.probing:cloze_rank",
    "exposure": "byhand.memorisation:exposure",
}
"""Where the library answers each exercise: its own functions must get full marks too. For GPT see the adapter above."""
