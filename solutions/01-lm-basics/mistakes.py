"""Wrong answers that people really give in chapter 1, each with the words that must catch it.

The `belief` of each is what the page lists under "Common mistakes". For every exercise at least one of them
passes the visible checks: those are examples, and an example cannot show everything.
"""

from grader.hidden import Mistake

MISTAKES = [
    # ------------------------------------------------------------------------------ 1.1 the chain rule
    Mistake(
        exercise="sequence-logprob",
        name="peeks at the target",
        belief="The factor at position t is conditioned on x_1, ..., x_t.",
        says="contains the very token that it predicts",
        code="""\
def sequence_logprob(cond, ids, bos):
    total = 0.0
    for t, token in enumerate(ids):
        p = cond((bos, *ids[: t + 1]))[token]
        total += math.log(p) if p > 0 else -math.inf
    return total
""",
    ),
    Mistake(
        exercise="sequence-logprob",
        name="multiplies first",
        belief="Multiply the probabilities and take one logarithm at the end.",
        says="underflows to 0",
        code="""\
def sequence_logprob(cond, ids, bos):
    product = 1.0
    for t, token in enumerate(ids):
        product *= cond((bos, *ids[:t]))[token]
    return math.log(product) if product > 0 else -math.inf
""",
    ),
    Mistake(
        exercise="sequence-logprob",
        name="skips the first token",
        belief="The first token has no context, so it cannot be scored.",
        says="the first token is never scored",
        code="""\
def sequence_logprob(cond, ids, bos):
    total = 0.0
    for t in range(1, len(ids)):
        p = cond((bos, *ids[:t]))[ids[t]]
        total += math.log(p) if p > 0 else -math.inf
    return total
""",
    ),
    Mistake(
        exercise="sequence-logprob",
        name="forgets BOS",
        belief="The context is the tokens so far; BOS is only a label.",
        says="do not begin with BOS",
        code="""\
def sequence_logprob(cond, ids, bos):
    total = 0.0
    for t, token in enumerate(ids):
        p = cond(tuple(ids[:t]) or (bos,))[token] if t else cond((ids[0],))[token]
        total += math.log(p) if p > 0 else -math.inf
    return total
""",
    ),
    Mistake(
        exercise="sequence-logprob",
        name="one token of context",
        belief="The next token depends on the last one alone.",
        says="the last token alone",
        code="""\
def sequence_logprob(cond, ids, bos):
    total, last = 0.0, bos
    for token in ids:
        p = cond((last,))[token]
        total += math.log(p) if p > 0 else -math.inf
        last = token
    return total
""",
    ),
    Mistake(
        exercise="sequence-logprob",
        name="inserts BOS in place",
        belief="Putting BOS into the list is harmless.",
        says="the list of ids was changed",
        code="""\
def sequence_logprob(cond, ids, bos):
    ids.insert(0, bos)
    total = 0.0
    for t in range(1, len(ids)):
        p = cond(tuple(ids[:t]))[ids[t]]
        total += math.log(p) if p > 0 else -math.inf
    return total
""",
    ),
    Mistake(
        exercise="sequence-logprob",
        name="log of zero raises",
        belief="A probability is never zero.",
        says="ValueError",
        code="""\
def sequence_logprob(cond, ids, bos):
    return sum(math.log(cond((bos, *ids[:t]))[token]) for t, token in enumerate(ids)) + 0.0
""",
    ),
    # -------------------------------------------------------------------------- 1.2 what a table costs
    Mistake(
        exercise="table-parameters",
        name="one row per position",
        belief="After the chain rule, seq conditionals with vocab_size numbers each are enough.",
        says="the factor at t needs a row for each context",
        code="""\
def table_parameters(vocab_size, seq, n):
    return {
        "joint": vocab_size**seq - 1,
        "chain": seq * vocab_size,
        "ngram": vocab_size ** (n - 1) * (vocab_size - 1),
    }
""",
    ),
    Mistake(
        exercise="table-parameters",
        name="forgets that a row sums to 1",
        belief="A table has as many parameters as it has entries.",
        says="sums to 1",
        code="""\
def table_parameters(vocab_size, seq, n):
    return {
        "joint": vocab_size**seq,
        "chain": sum(vocab_size**t for t in range(1, seq + 1)),
        "ngram": vocab_size**n,
    }
""",
    ),
    Mistake(
        exercise="table-parameters",
        name="n tokens of context",
        belief="An n-gram model looks back n tokens.",
        says="n - 1 tokens of context",
        code="""\
def table_parameters(vocab_size, seq, n):
    joint = vocab_size**seq - 1
    return {"joint": joint, "chain": joint, "ngram": vocab_size**n * (vocab_size - 1)}
""",
    ),
    Mistake(
        exercise="table-parameters",
        name="rounds through a float",
        belief="A float holds any number; int() makes it exact again.",
        says="exact integers",
        code="""\
def table_parameters(vocab_size, seq, n):
    def power(exponent):
        return int(float(vocab_size) ** min(exponent, 60)) * vocab_size ** max(exponent - 60, 0)

    return {"joint": power(seq) - 1, "chain": power(seq) - 1, "ngram": power(n - 1) * (vocab_size - 1)}
""",
    ),
    Mistake(
        exercise="table-parameters",
        name="last position only",
        belief="The largest table is the whole cost of the chain.",
        says="the last position alone",
        code="""\
def table_parameters(vocab_size, seq, n):
    return {
        "joint": vocab_size**seq - 1,
        "chain": vocab_size ** (seq - 1) * (vocab_size - 1),
        "ngram": vocab_size ** (n - 1) * (vocab_size - 1),
    }
""",
    ),
    # ------------------------------------------------------------------------------------- 1.3 softmax
    Mistake(
        exercise="softmax",
        name="naive exp",
        belief="exp of any logit is a number, so the formula can be typed as it stands.",
        says="subtract each row's own maximum",
        code="""\
def softmax(logits, temperature=1.0):
    weights = torch.exp(logits / temperature)
    return weights / weights.sum(dim=-1, keepdim=True)
""",
    ),
    Mistake(
        exercise="softmax",
        name="multiplies by the temperature",
        belief="A higher temperature makes the scores larger.",
        says="the temperature multiplies the logits",
        code="""\
def softmax(logits, temperature=1.0):
    scores = logits * temperature
    weights = torch.exp(scores - scores.amax(dim=-1, keepdim=True))
    return weights / weights.sum(dim=-1, keepdim=True)
""",
    ),
    Mistake(
        exercise="softmax",
        name="divides after the softmax",
        belief="The temperature divides the probabilities.",
        says="rows do not sum to 1",
        code="""\
def softmax(logits, temperature=1.0):
    weights = torch.exp(logits - logits.amax(dim=-1, keepdim=True))
    return weights / weights.sum(dim=-1, keepdim=True) / temperature
""",
    ),
    Mistake(
        exercise="softmax",
        name="normalises the first axis",
        belief="dim=0 is the axis of the vocabulary.",
        says="the vocabulary is the last axis",
        code="""\
def softmax(logits, temperature=1.0):
    scores = logits / temperature
    weights = torch.exp(scores - scores.amax(dim=0, keepdim=True))
    return weights / weights.sum(dim=0, keepdim=True)
""",
    ),
    Mistake(
        exercise="softmax",
        name="one maximum for all rows",
        belief="Subtracting the largest logit of the whole tensor is enough to be stable.",
        says="subtract each row's own maximum",
        code="""\
def softmax(logits, temperature=1.0):
    weights = torch.exp((logits - logits.max()) / temperature)
    return weights / weights.sum(dim=-1, keepdim=True)
""",
    ),
    Mistake(
        exercise="softmax",
        name="works in place",
        belief="Nobody needs the logits afterwards, so overwrite them.",
        says="not in place",
        code="""\
def softmax(logits, temperature=1.0):
    scores = logits.detach() if logits.requires_grad else logits
    scores -= scores.amax(dim=-1, keepdim=True)
    scores /= temperature
    weights = torch.exp(scores)
    return weights / weights.sum(dim=-1, keepdim=True)
""",
    ),
    Mistake(
        exercise="softmax",
        name="cuts the gradient",
        belief="Probabilities are a result, so they can leave the graph.",
        says="the graph was cut",
        code="""\
def softmax(logits, temperature=1.0):
    with torch.no_grad():
        scores = (logits - logits.amax(dim=-1, keepdim=True)) / temperature
        weights = torch.exp(scores)
        return weights / weights.sum(dim=-1, keepdim=True)
""",
    ),
    # ------------------------------------------------------------------------------- 1.4 cross-entropy
    Mistake(
        exercise="cross-entropy",
        name="divides by batch times seq",
        belief="The mean is over all positions of the batch.",
        says="divided by batch * seq",
        code="""\
def cross_entropy(logits, targets, ignore_index=-100):
    log_probs = logits - torch.logsumexp(logits, dim=-1, keepdim=True)
    scored = targets != ignore_index
    picked = log_probs.gather(-1, torch.where(scored, targets, 0)[..., None])[..., 0]
    return -(picked * scored).sum() / targets.numel()
""",
    ),
    Mistake(
        exercise="cross-entropy",
        name="log of the softmax",
        belief="First the probabilities, then their logarithm: the formula says so.",
        says="log(softmax) is log(0)",
        code="""\
def cross_entropy(logits, targets, ignore_index=-100):
    weights = torch.exp(logits - logits.amax(dim=-1, keepdim=True))
    probs = weights / weights.sum(dim=-1, keepdim=True)
    scored = targets != ignore_index
    picked = probs.gather(-1, torch.where(scored, targets, 0)[..., None])[..., 0]
    return -torch.log(picked)[scored].mean()
""",
    ),
    Mistake(
        exercise="cross-entropy",
        name="scores ignored positions",
        belief="Replacing the ignored targets by 0 is enough to ignore them.",
        says="as if their target were class 0",
        code="""\
def cross_entropy(logits, targets, ignore_index=-100):
    log_probs = logits - torch.logsumexp(logits, dim=-1, keepdim=True)
    safe = torch.where(targets == ignore_index, 0, targets)
    return -log_probs.gather(-1, safe[..., None]).mean()
""",
    ),
    Mistake(
        exercise="cross-entropy",
        name="mean of row means",
        belief="First the loss of each sequence, then the mean over the batch.",
        says="a mean of row means",
        code="""\
def cross_entropy(logits, targets, ignore_index=-100):
    log_probs = logits - torch.logsumexp(logits, dim=-1, keepdim=True)
    scored = targets != ignore_index
    picked = log_probs.gather(-1, torch.where(scored, targets, 0)[..., None])[..., 0]
    return torch.stack([-row[keep].mean() for row, keep in zip(picked, scored)]).mean()
""",
    ),
    Mistake(
        exercise="cross-entropy",
        name="only knows -100",
        belief="Ignored targets are always -100.",
        says="ignore_index is a parameter",
        code="""\
def cross_entropy(logits, targets, ignore_index=-100):
    log_probs = logits - torch.logsumexp(logits, dim=-1, keepdim=True)
    scored = targets != -100
    picked = log_probs.gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    return -picked[scored].mean()
""",
    ),
    Mistake(
        exercise="cross-entropy",
        name="overwrites the targets",
        belief="Writing 0 over the ignored targets saves a copy.",
        says="changed the targets",
        code="""\
def cross_entropy(logits, targets, ignore_index=-100):
    log_probs = logits - torch.logsumexp(logits, dim=-1, keepdim=True)
    scored = targets != ignore_index
    targets[~scored] = 0
    return -log_probs.gather(-1, targets[..., None])[..., 0][scored].mean()
""",
    ),
    # ------------------------------------------------------------------------------- 1.5 n-gram models
    Mistake(
        exercise="ngram",
        name="adds k above the line only",
        belief="Add k to each count and divide by the old total.",
        says="the total grows by k * vocab_size",
        code="""\
class NGramLM:
    def __init__(self, n, vocab_size, k=0.0, smoothing="addk"):
        self.n, self.vocab_size, self.k, self.smoothing = n, vocab_size, k, smoothing
        self.counts = [{} for _ in range(n)]

    def fit(self, ids):
        for size, table in enumerate(self.counts):
            for at in range(size, len(ids)):
                table.setdefault(tuple(ids[at - size : at]), Counter())[ids[at]] += 1

    def row(self, table, context):
        row, seen = np.zeros(self.vocab_size), table.get(context, {})
        row[list(seen)] = list(seen.values())
        return row

    def probs(self, context):
        size = min(len(context), self.n - 1)
        context = tuple(context[len(context) - size :])
        if self.smoothing == "addk":
            row = self.row(self.counts[size], context)
            total = row.sum() + self.k
            return (row + self.k) / total if total else np.full(self.vocab_size, 1 / self.vocab_size)
        probs = np.full(self.vocab_size, 1 / self.vocab_size)
        for length in range(size + 1):
            row = self.row(self.counts[length], context[size - length :])
            types = np.count_nonzero(row)
            if types:
                probs = (row + types * probs) / (row.sum() + types)
        return probs
""",
    ),
    Mistake(
        exercise="ngram",
        name="keeps the wrong end of a long context",
        belief="A context that is too long is cut at n-1 tokens.",
        says="the last n-1 are beside the gap",
        code="""\
class NGramLM:
    def __init__(self, n, vocab_size, k=0.0, smoothing="addk"):
        self.n, self.vocab_size, self.k, self.smoothing = n, vocab_size, k, smoothing
        self.counts = [{} for _ in range(n)]

    def fit(self, ids):
        for size, table in enumerate(self.counts):
            for at in range(size, len(ids)):
                table.setdefault(tuple(ids[at - size : at]), Counter())[ids[at]] += 1

    def row(self, table, context):
        row, seen = np.zeros(self.vocab_size), table.get(context, {})
        row[list(seen)] = list(seen.values())
        return row

    def probs(self, context):
        context = tuple(context[: self.n - 1])
        size = len(context)
        if self.smoothing == "addk":
            row = self.row(self.counts[size], context) + self.k
            return row / row.sum() if row.sum() else np.full(self.vocab_size, 1 / self.vocab_size)
        probs = np.full(self.vocab_size, 1 / self.vocab_size)
        for length in range(size + 1):
            row = self.row(self.counts[length], context[size - length :])
            types = np.count_nonzero(row)
            if types:
                probs = (row + types * probs) / (row.sum() + types)
        return probs
""",
    ),
    Mistake(
        exercise="ngram",
        name="nothing for an unseen context",
        belief="A context that never occurred gives every token probability 0.",
        says="this context is never followed by anything",
        code="""\
class NGramLM:
    def __init__(self, n, vocab_size, k=0.0, smoothing="addk"):
        self.n, self.vocab_size, self.k, self.smoothing = n, vocab_size, k, smoothing
        self.counts = [{} for _ in range(n)]

    def fit(self, ids):
        for size, table in enumerate(self.counts):
            for at in range(size, len(ids)):
                table.setdefault(tuple(ids[at - size : at]), Counter())[ids[at]] += 1

    def row(self, table, context):
        row, seen = np.zeros(self.vocab_size), table.get(context, {})
        row[list(seen)] = list(seen.values())
        return row

    def probs(self, context):
        size = min(len(context), self.n - 1)
        context = tuple(context[len(context) - size :])
        if self.smoothing == "addk":
            if context not in self.counts[size]:
                return np.zeros(self.vocab_size)
            row = self.row(self.counts[size], context) + self.k
            return row / row.sum()
        probs = np.full(self.vocab_size, 1 / self.vocab_size)
        for length in range(size + 1):
            row = self.row(self.counts[length], context[size - length :])
            types = np.count_nonzero(row)
            if types:
                probs = (row + types * probs) / (row.sum() + types)
        return probs
""",
    ),
    Mistake(
        exercise="ngram",
        name="slices with minus zero",
        belief="context[-(n-1):] keeps the last n-1 tokens for every n.",
        says="n=1 uses no context at all",
        code="""\
class NGramLM:
    def __init__(self, n, vocab_size, k=0.0, smoothing="addk"):
        self.n, self.vocab_size, self.k, self.smoothing = n, vocab_size, k, smoothing
        self.counts = {}

    def fit(self, ids):
        for size in range(self.n):
            for at in range(size, len(ids)):
                self.counts.setdefault(tuple(ids[at - size : at]), Counter())[ids[at]] += 1

    def row(self, context):
        row, seen = np.zeros(self.vocab_size), self.counts.get(context, {})
        row[list(seen)] = list(seen.values())
        return row

    def probs(self, context):
        context = tuple(context)[-(self.n - 1) :]
        if self.smoothing == "addk":
            row = self.row(context) + self.k
            return row / row.sum() if row.sum() else np.full(self.vocab_size, 1 / self.vocab_size)
        probs = np.full(self.vocab_size, 1 / self.vocab_size)
        for length in range(len(context) + 1):
            row = self.row(context[len(context) - length :])
            types = np.count_nonzero(row)
            if types:
                probs = (row + types * probs) / (row.sum() + types)
        return probs
""",
    ),
    Mistake(
        exercise="ngram",
        name="counts contexts, not what follows them",
        belief="The denominator is how often the context occurs, the end of the text included.",
        says="this context ends the text",
        code="""\
class NGramLM:
    def __init__(self, n, vocab_size, k=0.0, smoothing="addk"):
        self.n, self.vocab_size, self.k, self.smoothing = n, vocab_size, k, smoothing
        self.runs = Counter()

    def fit(self, ids):
        self.length = len(ids)
        for size in range(1, self.n + 1):
            self.runs.update(tuple(ids[at : at + size]) for at in range(len(ids) - size + 1))

    def probs(self, context):
        size = min(len(context), self.n - 1)
        context = tuple(context[len(context) - size :])
        row = np.array([self.runs[(*context, token)] for token in range(self.vocab_size)], dtype=float)
        total = self.runs[context] if context else self.length
        if self.smoothing == "addk":
            total += self.k * self.vocab_size
            return (row + self.k) / total if total else np.full(self.vocab_size, 1 / self.vocab_size)
        types = np.count_nonzero(row)
        shorter = self.probs_below(context)
        return (row + types * shorter) / (total + types) if types else shorter

    def probs_below(self, context):
        if not context:
            return np.full(self.vocab_size, 1 / self.vocab_size)
        return self.probs(context[1:])
""",
    ),
    Mistake(
        exercise="ngram",
        name="mixes with the uniform distribution",
        belief="Witten-Bell mixes the counts with 1/vocab_size.",
        says="Witten-Bell recurses",
        code="""\
class NGramLM:
    def __init__(self, n, vocab_size, k=0.0, smoothing="addk"):
        self.n, self.vocab_size, self.k, self.smoothing = n, vocab_size, k, smoothing
        self.counts = [{} for _ in range(n)]

    def fit(self, ids):
        for size, table in enumerate(self.counts):
            for at in range(size, len(ids)):
                table.setdefault(tuple(ids[at - size : at]), Counter())[ids[at]] += 1

    def row(self, table, context):
        row, seen = np.zeros(self.vocab_size), table.get(context, {})
        row[list(seen)] = list(seen.values())
        return row

    def probs(self, context):
        size = min(len(context), self.n - 1)
        context = tuple(context[len(context) - size :])
        row = self.row(self.counts[size], context)
        uniform = np.full(self.vocab_size, 1 / self.vocab_size)
        if self.smoothing == "addk":
            row = row + self.k
            return row / row.sum() if row.sum() else uniform
        types = np.count_nonzero(row)
        return (row + types * uniform) / (row.sum() + types) if types else uniform
""",
    ),
    Mistake(
        exercise="ngram",
        name="backs off only for unseen tokens",
        belief="Seen tokens keep their relative frequency; the shorter context fills in the others.",
        says="the seen tokens keep everything",
        code="""\
class NGramLM:
    def __init__(self, n, vocab_size, k=0.0, smoothing="addk"):
        self.n, self.vocab_size, self.k, self.smoothing = n, vocab_size, k, smoothing
        self.counts = [{} for _ in range(n)]

    def fit(self, ids):
        for size, table in enumerate(self.counts):
            for at in range(size, len(ids)):
                table.setdefault(tuple(ids[at - size : at]), Counter())[ids[at]] += 1

    def row(self, table, context):
        row, seen = np.zeros(self.vocab_size), table.get(context, {})
        row[list(seen)] = list(seen.values())
        return row

    def probs(self, context):
        size = min(len(context), self.n - 1)
        context = tuple(context[len(context) - size :])
        row = self.row(self.counts[size], context)
        uniform = np.full(self.vocab_size, 1 / self.vocab_size)
        if self.smoothing == "addk":
            row = row + self.k
            return row / row.sum() if row.sum() else uniform
        shorter = self.probs(context[1:]) if context else uniform
        return np.where(row > 0, row / max(row.sum(), 1), shorter)
""",
    ),
    # ---------------------------------------------------------------------------------- 1.6 perplexity
    Mistake(
        exercise="perplexity",
        name="mean of exponentials",
        belief="Perplexity is the mean of 1/p.",
        says="a mean of exponentials",
        code="""\
def perplexity(batches):
    return torch.cat([torch.exp(nll[mask]) for nll, mask in batches]).mean().item()
""",
    ),
    Mistake(
        exercise="perplexity",
        name="mean of batch means",
        belief="Average the losses of the batches.",
        says="a mean of batch means",
        code="""\
def perplexity(batches):
    means = [nll[mask].mean() for nll, mask in batches if mask.any()]
    return torch.exp(torch.stack(means).mean()).item()
""",
    ),
    Mistake(
        exercise="perplexity",
        name="counts padding",
        belief="Every position of a batch counts.",
        says="padding is counted",
        code="""\
def perplexity(batches):
    total = sum(nll.sum().item() for nll, mask in batches)
    return math.exp(total / sum(len(nll) for nll, mask in batches))
""",
    ),
    Mistake(
        exercise="perplexity",
        name="multiplies by the mask",
        belief="Zero times whatever sits in the padding is zero.",
        says="0 * nan is nan",
        code="""\
def perplexity(batches):
    total = sum((nll * mask).sum().item() for nll, mask in batches)
    return math.exp(total / sum(mask.sum().item() for nll, mask in batches))
""",
    ),
    Mistake(
        exercise="perplexity",
        name="base two",
        belief="Perplexity is two to the power of the loss.",
        says="nats need exp",
        code="""\
def perplexity(batches):
    total = sum(nll[mask].sum().item() for nll, mask in batches)
    return 2 ** (total / sum(mask.sum().item() for nll, mask in batches))
""",
    ),
    Mistake(
        exercise="perplexity",
        name="mean of perplexities",
        belief="The perplexity of a corpus is the mean of its batches' perplexities.",
        says="a mean of perplexities",
        code="""\
def perplexity(batches):
    return float(np.mean([math.exp(nll[mask].mean()) for nll, mask in batches if mask.any()]))
""",
    ),
    # ------------------------------------------------------------------------------- 1.7 bits per byte
    Mistake(
        exercise="bits-per-byte",
        name="characters",
        belief="A character is a byte.",
        says="divided by characters",
        code="""\
def bits_per_byte(total_nll_nats, text):
    return total_nll_nats / math.log(2) / len(text)
""",
    ),
    Mistake(
        exercise="bits-per-byte",
        name="words",
        belief="The loss is per token, so divide by the tokens.",
        says="divided by words",
        code="""\
def bits_per_byte(total_nll_nats, text):
    return total_nll_nats / math.log(2) / len(text.split())
""",
    ),
    Mistake(
        exercise="bits-per-byte",
        name="nats",
        belief="The loss is in bits already.",
        says="nats, not bits",
        code="""\
def bits_per_byte(total_nll_nats, text):
    return total_nll_nats / len(text.encode("utf-8"))
""",
    ),
    Mistake(
        exercise="bits-per-byte",
        name="multiplies by ln 2",
        belief="A nat is ln 2 bits.",
        says="multiplied by ln 2",
        code="""\
def bits_per_byte(total_nll_nats, text):
    return total_nll_nats * math.log(2) / len(text.encode("utf-8"))
""",
    ),
    # ----------------------------------------------------------------------------------- 1.8 the split
    Mistake(
        exercise="split",
        name="splits by document",
        belief="Different documents are different texts, so hold out whole documents.",
        says="in both parts, word for word",
        code="""\
def split_without_leak(docs, frac, seed, w=13):
    names = sorted(docs)
    random.Random(seed).shuffle(names)
    total = sum(len(text) for text in docs.values())
    train, heldout, size = [], [], 0
    for name in names:
        side = heldout if size < frac * total else train
        side.extend(paragraphs(docs[name]))
        size += len(docs[name])
    return train, heldout
""",
    ),
    Mistake(
        exercise="split",
        name="removes repeats inside documents only",
        belief="A document repeats itself; two documents do not repeat each other.",
        says="come back more than once",
        code="""\
def split_without_leak(docs, frac, seed, w=13):
    parts = []
    for text in docs.values():
        seen = set()
        for part in paragraphs(text):
            if " ".join(part.split()) not in seen:
                seen.add(" ".join(part.split()))
                parts.append(part)
    random.Random(seed).shuffle(parts)
    total, size, train, heldout = sum(map(len, parts)), 0, [], []
    for part in parts:
        (heldout if size < frac * total else train).append(part)
        size += len(part)
    return train, heldout
""",
    ),
    Mistake(
        exercise="split",
        name="drops every copy",
        belief="A paragraph that occurs twice is dangerous, so remove it.",
        says="are gone altogether",
        code="""\
def split_without_leak(docs, frac, seed, w=13):
    every = [part for text in docs.values() for part in paragraphs(text)]
    counts = Counter(" ".join(part.split()) for part in every)
    parts = [part for part in every if counts[" ".join(part.split())] == 1]
    random.Random(seed).shuffle(parts)
    total, size, train, heldout = sum(map(len, parts)), 0, [], []
    for part in parts:
        (heldout if size < frac * total else train).append(part)
        size += len(part)
    return train, heldout
""",
    ),
    Mistake(
        exercise="split",
        name="only exact copies",
        belief="Once exact copies are gone, any split of the paragraphs is clean.",
        says="near copies must go to the same side",
        code="""\
def split_without_leak(docs, frac, seed, w=13):
    unique = {}
    for text in docs.values():
        for part in paragraphs(text):
            unique.setdefault(" ".join(part.split()), part)
    parts = list(unique.values())
    random.Random(seed).shuffle(parts)
    total, size, train, heldout = sum(map(len, parts)), 0, [], []
    for part in parts:
        (heldout if size < frac * total else train).append(part)
        size += len(part)
    return train, heldout
""",
    ),
    Mistake(
        exercise="split",
        name="deletes what overlaps from the training part",
        belief="Whatever the held-out part shares with the training part is cut out of the training part.",
        says="are in neither part",
        code="""\
def split_without_leak(docs, frac, seed, w=13):
    def runs(part):
        words = part.split()
        return {tuple(words[at : at + w]) for at in range(len(words) - w + 1)}

    unique = {}
    for text in docs.values():
        for part in paragraphs(text):
            unique.setdefault(" ".join(part.split()), part)
    parts = list(unique.values())
    random.Random(seed).shuffle(parts)
    total, size, train, heldout = sum(map(len, parts)), 0, [], []
    for part in parts:
        (heldout if size < frac * total else train).append(part)
        size += len(part)
    held = set().union(*map(runs, heldout))
    return [part for part in train if not runs(part) & held], heldout
""",
    ),
    Mistake(
        exercise="split",
        name="seeds the global generator",
        belief="random.seed(seed) is how a draw is made repeatable.",
        says="global random generator",
        code="""\
def split_without_leak(docs, frac, seed, w=13):
    random.seed(seed)
    unique = {}
    for text in docs.values():
        for part in paragraphs(text):
            unique.setdefault(" ".join(part.split()), part)
    parts = list(unique.values())
    random.shuffle(parts)
    total, size, train, heldout = sum(map(len, parts)), 0, [], []
    for part in parts:
        (heldout if size < frac * total else train).append(part)
        size += len(part)
    return train, heldout
""",
    ),
]
