"""Right answers of chapter 1 written in other ways; each must get full marks."""

from grader.hidden import Alternative

ALTERNATIVES = [
    Alternative(
        "sequence-logprob",
        "recursion from the last token",
        """\
def sequence_logprob(cond, ids, bos):
    total = 0.0
    stack = list(ids)
    while stack:
        token = stack.pop()
        p = float(cond((bos, *stack))[token])
        if p == 0:
            total = -math.inf
        else:
            total += math.log(p)
    return total
""",
    ),
    Alternative(
        "sequence-logprob",
        "numpy, and an exact sum",
        """\
def sequence_logprob(cond, ids, bos):
    contexts = [tuple([bos] + list(ids[:t])) for t in range(len(ids))]
    factors = np.array([cond(context)[token] for context, token in zip(contexts, ids)], dtype=np.float64)
    with np.errstate(divide="ignore"):
        return math.fsum(np.log(factors))
""",
    ),
    Alternative(
        "sequence-logprob",
        "torch, BOS in front, windows that grow",
        """\
def sequence_logprob(cond, ids, bos):
    padded = (bos,) + tuple(ids)
    rows = [torch.as_tensor(cond(padded[:t]), dtype=torch.float64) for t in range(1, len(padded))]
    factors = [row[token] for row, token in zip(rows, ids)]
    return torch.stack(factors).log().sum().item() if factors else 0.0
""",
    ),
    Alternative(
        "table-parameters",
        "adds up the tables of the chain",
        """\
def table_parameters(vocab_size, seq, n):
    free = vocab_size - 1
    chain = sum(vocab_size**t * free for t in range(seq))
    return {"joint": chain, "chain": chain, "ngram": vocab_size ** (n - 1) * free}
""",
    ),
    Alternative(
        "table-parameters",
        "multiplies step by step",
        """\
def table_parameters(vocab_size, seq, n):
    def contexts(length):
        return 1 if length == 0 else vocab_size * contexts(length - 1)

    chain = 0
    for t in range(seq):
        chain += contexts(t) * (vocab_size - 1)
    return {"ngram": contexts(n) - contexts(n - 1), "joint": contexts(seq) - 1, "chain": chain}
""",
    ),
    Alternative(
        "softmax",
        "through logsumexp",
        """\
def softmax(logits, temperature=1.0):
    scores = logits / temperature
    return torch.exp(scores - torch.logsumexp(scores, dim=-1, keepdim=True))
""",
    ),
    Alternative(
        "softmax",
        "row by row",
        """\
def softmax(logits, temperature=1.0):
    if logits.dim() > 1:
        return torch.stack([softmax(row, temperature) for row in logits])
    shifted = (logits - max(logits.tolist())) / temperature
    weights = shifted.exp()
    return weights * (1 / weights.sum())
""",
    ),
    Alternative(
        "softmax",
        "one over a sum of ratios",
        """\
def softmax(logits, temperature=1.0):
    ratios = ((logits[..., None, :] - logits[..., :, None]) / temperature).exp()
    ratios = torch.where(torch.isinf(logits)[..., :, None], torch.inf, ratios)
    return 1 / ratios.sum(dim=-1)
""",
    ),
    Alternative(
        "cross-entropy",
        "one-hot inner product",
        """\
def cross_entropy(logits, targets, ignore_index=-100):
    scored = targets != ignore_index
    rows, labels = logits[scored], targets[scored]
    one_hot = torch.eye(logits.shape[-1], dtype=logits.dtype)[labels]
    return (torch.logsumexp(rows, dim=-1) - (one_hot * rows).sum(dim=-1)).mean()
""",
    ),
    Alternative(
        "cross-entropy",
        "a loop over positions",
        """\
def cross_entropy(logits, targets, ignore_index=-100):
    losses = []
    for row, label_row in zip(logits, targets):
        for scores, label in zip(row, label_row):
            if label != ignore_index:
                shifted = scores - scores.max()
                losses.append(shifted.exp().sum().log() - shifted[label])
    return sum(losses) / len(losses)
""",
    ),
    Alternative(
        "cross-entropy",
        "log_softmax and gather",
        """\
def cross_entropy(logits, targets, ignore_index=-100):
    log_probs = torch.log_softmax(logits, dim=-1).flatten(0, 1)
    flat = targets.flatten()
    keep = (flat != ignore_index).nonzero()[:, 0]
    return -log_probs[keep, flat[keep]].sum() / len(keep)
""",
    ),
    Alternative(
        "ngram",
        "scans the text for every question",
        """\
class NGramLM:
    def __init__(self, n, vocab_size, k=0.0, smoothing="addk"):
        self.n, self.vocab_size, self.k, self.smoothing = n, vocab_size, k, smoothing

    def fit(self, ids):
        self.ids = list(ids)
        return self

    def followers(self, context):
        size = len(context)
        row = torch.zeros(self.vocab_size, dtype=torch.float64)
        for at in range(size, len(self.ids)):
            if self.ids[at - size : at] == context:
                row[self.ids[at]] += 1
        return row

    def probs(self, context):
        context = list(context)[max(len(context) - self.n + 1, 0) :]
        row = self.followers(context)
        uniform = torch.full((self.vocab_size,), 1 / self.vocab_size, dtype=torch.float64)
        if self.smoothing == "addk":
            total = row.sum() + self.k * self.vocab_size
            return (row + self.k) / total if total > 0 else uniform
        shorter = self.probs(context[1:]) if context else uniform
        share = (row > 0).sum() / max(row.sum() + (row > 0).sum(), 1)
        return (1 - share) * row / row.sum() + share * shorter if row.sum() > 0 else shorter
""",
    ),
    Alternative(
        "ngram",
        "nested Counters and plain lists",
        """\
class NGramLM:
    def __init__(self, n, vocab_size, k=0.0, smoothing="addk"):
        self.order, self.size, self.k = n, vocab_size, k
        self.smooth = {"addk": self.add_k, "witten_bell": self.witten_bell}[smoothing]

    def fit(self, ids):
        self.after = defaultdict(Counter)
        for at, token in enumerate(ids):
            for length in range(min(self.order - 1, at) + 1):
                self.after[tuple(ids[at - length : at])][token] += 1

    def probs(self, context):
        kept = tuple(context)[::-1][: self.order - 1][::-1]
        return self.smooth(kept)

    def add_k(self, kept):
        row = self.after.get(kept, Counter())
        total = sum(row.values()) + self.k * self.size
        return [(row[token] + self.k) / total if total else 1 / self.size for token in range(self.size)]

    def witten_bell(self, kept):
        shorter = self.witten_bell(kept[1:]) if kept else [1 / self.size] * self.size
        row = self.after.get(kept, Counter())
        total, types = sum(row.values()), len(row)
        if not types:
            return shorter
        return [(row[token] + types * p) / (total + types) for token, p in enumerate(shorter)]
""",
    ),
    Alternative(
        "perplexity",
        "one long tensor",
        """\
def perplexity(batches):
    scored = torch.cat([nll[mask] for nll, mask in batches]).double()
    return torch.exp(scored.mean()).item()
""",
    ),
    Alternative(
        "perplexity",
        "a running mean in plain Python",
        """\
def perplexity(batches):
    mean, seen = 0.0, 0
    for nll, mask in batches:
        for value, is_token in zip(nll.tolist(), mask.tolist()):
            if is_token:
                seen += 1
                mean += (value - mean) / seen
    return math.exp(mean)
""",
    ),
    Alternative(
        "perplexity",
        "where instead of selection",
        """\
def perplexity(batches):
    total = sum(torch.where(mask, nll, 0.0).sum() for nll, mask in batches)
    return float((total / sum(mask.sum() for _, mask in batches)).exp())
""",
    ),
    Alternative(
        "bits-per-byte",
        "log2 of e",
        """\
def bits_per_byte(total_nll_nats, text):
    return total_nll_nats * math.log2(math.e) / len(bytes(text, "utf-8"))
""",
    ),
    Alternative(
        "bits-per-byte",
        "against a model that knows nothing",
        """\
def bits_per_byte(total_nll_nats, text):
    uniform = sum(math.log(256) for _ in text.encode())
    return 8 * total_nll_nats / uniform
""",
    ),
    Alternative(
        "split",
        "components of a sparse graph",
        """\
def split_without_leak(docs, frac, seed, w=13):
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    parts = list({" ".join(p.split()): p for text in docs.values() for p in paragraphs(text)}.values())
    first, links = {}, [(at, at) for at in range(len(parts))]
    for at, part in enumerate(parts):
        words = part.split()
        for start in range(len(words) - w + 1):
            links.append((first.setdefault(" ".join(words[start : start + w]), at), at))
    rows, columns = np.array(links).T
    graph = coo_array((np.ones(len(links)), (rows, columns)), shape=(len(parts), len(parts)))
    count, label = connected_components(graph, directed=False)
    sizes = np.bincount(label, weights=[len(part) for part in parts])
    heldout, budget = set(), frac * sizes.sum()
    for group in np.random.default_rng(seed).permutation(count):
        if sizes[group] <= budget:
            heldout.add(group)
            budget -= sizes[group]
    train = [part for part, group in zip(parts, label) if group not in heldout]
    return train, [part for part, group in zip(parts, label) if group in heldout]
""",
    ),
    Alternative(
        "split",
        "grow the held-out part until it is closed",
        """\
def split_without_leak(docs, frac, seed, w=13):
    parts, seen, owners = [], set(), defaultdict(set)
    for text in docs.values():
        for part in paragraphs(text):
            words = part.split()
            if tuple(words) in seen:
                continue
            seen.add(tuple(words))
            for start in range(len(words) - w + 1):
                owners[tuple(words[start : start + w])].add(len(parts))
            parts.append(part)
    neighbours = defaultdict(set)
    for members in owners.values():
        for member in members:
            neighbours[member] |= members
    heldout, size, total = set(), 0, sum(map(len, parts))
    for start in random.Random(seed).sample(range(len(parts)), len(parts)):
        if start in heldout or size >= frac * total:
            continue
        group, frontier = {start}, [start]
        while frontier:
            for other in neighbours[frontier.pop()] - group:
                group.add(other)
                frontier.append(other)
        weight = sum(len(parts[at]) for at in group)
        if size + weight <= (frac + 0.02) * total:
            heldout |= group
            size += weight
    return [parts[at] for at in range(len(parts)) if at not in heldout], [parts[at] for at in sorted(heldout)]
""",
    ),
]

LIBRARY = {
    "sequence-logprob": "byhand.probability:sequence_logprob",
    "table-parameters": "byhand.probability:table_parameters",
    "softmax": "byhand.probability:softmax",
    "cross-entropy": "byhand.probability:cross_entropy",
    "ngram": "byhand.ngram:NGramLM",
    "perplexity": "byhand.metrics:perplexity",
    "bits-per-byte": "byhand.metrics:bits_per_byte",
    "split": "byhand.splitting:split_without_leak",
}
"""Where the library answers each exercise: its own functions must get full marks too."""
