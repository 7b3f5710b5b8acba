"""Right answers of chapter 8 written in other ways; each must get full marks."""

from grader.hidden import Alternative

ALTERNATIVES = [
    Alternative(
        "generate",
        "into a tensor made beforehand, cut at the end",
        """\
@torch.no_grad()
def generate(step, prefix, max_new, pick, eos=None, pad=0, max_seq=None):
    batch, start = prefix.shape
    ids = torch.full((batch, start + max_new), pad, dtype=prefix.dtype)
    ids[:, :start] = prefix
    alive, end = torch.ones(batch, dtype=torch.bool), start
    while end < start + max_new and alive.any():
        first = 0 if max_seq is None else max(0, end - max_seq)
        tokens = pick(step(ids[:, first:end]))
        ids[alive, end] = tokens[alive]
        if eos is not None:
            alive &= tokens != eos
        end += 1
    return ids[:, :end]
""",
    ),
    Alternative(
        "generate",
        "rows as lists",
        """\
def generate(step, prefix, max_new, pick, eos=None, pad=0, max_seq=None):
    rows = prefix.tolist()
    ended = [False] * len(rows)
    for _ in range(max_new):
        if False not in ended:
            break
        seen = torch.tensor([row if max_seq is None else row[-max_seq:] for row in rows])
        with torch.inference_mode():
            tokens = pick(step(seen)).tolist()
        for at, token in enumerate(tokens):
            rows[at].append(pad if ended[at] else token)
            ended[at] = ended[at] or (eos is not None and token == eos)
    return torch.tensor(rows)
""",
    ),
    Alternative(
        "top-k",
        "ranks by two sorts",
        """\
def top_k_filter(logits, top_k):
    rank = logits.sort(dim=-1, descending=True, stable=True).indices.argsort(dim=-1)
    return logits.masked_fill(rank >= top_k, float("-inf"))
""",
    ),
    Alternative(
        "top-k",
        "everything above the k-th, then ties from the left",
        """\
def top_k_filter(logits, top_k):
    if top_k >= logits.shape[-1]:
        return logits.clone()
    kth = logits.kthvalue(logits.shape[-1] - top_k + 1, dim=-1, keepdim=True).values
    above, tied = logits > kth, logits == kth
    room = top_k - above.sum(-1, keepdim=True)
    return torch.where(above | (tied & (tied.cumsum(-1) <= room)), logits, torch.full_like(logits, -math.inf))
""",
    ),
    Alternative(
        "top-p",
        "numpy, row by row",
        """\
def top_p_filter(logits, top_p):
    if top_p >= 1:
        return logits.clone()
    flat = logits.reshape(-1, logits.shape[-1])
    out = torch.full_like(flat, -math.inf)
    for row, kept in zip(flat, out):
        values = row.double().numpy()
        probs = np.exp(values - values.max())
        probs /= probs.sum()
        mass = 0.0
        for at in np.argsort(-values, kind="stable"):
            kept[at] = row[at]
            mass += probs[at]
            if mass >= top_p - 1e-9:
                break
    return out.reshape(logits.shape)
""",
    ),
    Alternative(
        "top-p",
        "counts what is needed, then ranks",
        """\
def top_p_filter(logits, top_p):
    order = logits.argsort(dim=-1, descending=True, stable=True)
    mass = torch.softmax(logits.double(), -1).gather(-1, order).cumsum(-1)
    needed = (mass < top_p - 1e-9).sum(-1, keepdim=True) + 1
    if top_p == 1:
        needed = torch.full_like(needed, logits.shape[-1])
    return logits.masked_fill(order.argsort(dim=-1) >= needed, -torch.inf)
""",
    ),
    Alternative(
        "sample",
        "the largest of logits plus Gumbel noise",
        """\
def sample(logits, temperature, top_k, top_p, rng):
    if not temperature:
        return torch.argmax(logits, dim=1)
    scaled = logits.double() / temperature
    scaled = scaled if top_k is None else keep_k(scaled, top_k)
    scaled = scaled if top_p is None else keep_p(scaled, top_p)
    noise = -torch.log(-torch.log(torch.rand(logits.shape, generator=rng, dtype=torch.float64)))
    return (scaled + noise).argmax(-1)
""",
    ),
    Alternative(
        "sample",
        "a random height in the running sum, filters by hand",
        """\
def sample(logits, temperature, top_k, top_p, rng):
    order = logits.argsort(dim=-1, descending=True, stable=True)
    if temperature == 0:
        return order[:, 0]
    probs = (logits.double() / temperature).softmax(-1).gather(-1, order)
    if top_k is not None:
        probs[:, top_k:] = 0
        probs = probs / probs.sum(-1, keepdim=True)
    if top_p is not None and top_p < 1:
        late = probs.cumsum(-1) - probs >= top_p - 1e-9
        late[:, 0] = False
        probs = probs.masked_fill(late, 0)
    heights = probs.cumsum(-1)
    height = torch.rand(len(logits), 1, generator=rng, dtype=torch.float64) * heights[:, -1:]
    return order.gather(-1, (heights <= height).sum(-1, keepdim=True))[:, 0]
""",
    ),
    Alternative(
        "beam",
        "one tensor of sums each step",
        """\
def beam_search(logp, n_beams, max_len, eos, alpha):
    beams, sums = [()], torch.zeros(1, dtype=torch.float64)
    best, best_score = None, -math.inf
    for length in range(1, max_len + 1):
        table = torch.stack([logp(beam) for beam in beams]).double() + sums[:, None]
        vocab = table.shape[1]
        values, places = table.flatten().sort(descending=True, stable=True)
        following, kept = [], []
        for rank, (value, place) in enumerate(zip(values.tolist(), places.tolist())):
            if value == -math.inf:
                break
            ids = beams[place // vocab] + (place % vocab,)
            if length == max_len or place % vocab == eos:
                if rank < n_beams and value / length**alpha > best_score:
                    best, best_score = ids, value / length**alpha
            elif len(following) < n_beams:
                following.append(ids)
                kept.append(value)
        if not following:
            break
        beams, sums = following, torch.tensor(kept, dtype=torch.float64)
    return best, best_score
""",
    ),
    Alternative(
        "beam",
        "stops when nothing better seems to come",
        """\
def beam_search(logp, n_beams, max_len, eos, alpha):
    running, finished = {(): 0.0}, []
    length = 0
    while running:
        length += 1
        grown = []
        for ids, total in running.items():
            gains = logp(ids)
            grown += [(total + float(gain), ids + (token,)) for token, gain in enumerate(gains) if gain != -math.inf]
        grown.sort(key=lambda pair: pair[0], reverse=True)
        over = [length == max_len or (eos is not None and ids[-1] == eos) for _, ids in grown]
        for (total, ids), ends in list(zip(grown, over))[:n_beams]:
            if ends:
                finished.append((total / length**alpha, ids))
        finished = sorted(finished, key=lambda pair: pair[0], reverse=True)[:n_beams]
        alive = [pair for pair, ends in zip(grown, over) if not ends][:n_beams]
        running = {ids: total for total, ids in alive}
        if alive and len(finished) == n_beams and alive[0][0] / length**alpha <= finished[-1][0]:
            break
    score, ids = finished[0]
    return ids, score
""",
    ),
    Alternative(
        "ban-repeats",
        "unfolded, compared at once",
        """\
def ban_repeats(ids, logits, n):
    out = logits.clone()
    if len(ids) < n:
        return out
    grams = ids.unfold(0, n, 1)
    match = (grams[:, :-1] == ids[len(ids) - n + 1:]).all(-1)
    out[grams[match, -1]] = -torch.inf
    return out
""",
    ),
    Alternative(
        "ban-repeats",
        "a dictionary of what followed",
        """\
def ban_repeats(ids, logits, n):
    tokens, followed = ids.tolist(), {}
    for end in range(n - 1, len(tokens)):
        followed.setdefault(tuple(tokens[end - n + 1:end]), set()).add(tokens[end])
    last = tuple(tokens[len(tokens) - n + 1:]) if len(tokens) >= n - 1 else None
    hidden = followed.get(last, set())
    return torch.tensor([-math.inf if token in hidden else value for token, value in enumerate(logits.tolist())],
                        dtype=logits.dtype)
""",
    ),
    Alternative(
        "speculative-step",
        "numpy's arithmetic, heights in running sums",
        """\
def speculative_step(p, q, rng):
    def draw(weights):
        heights = weights.double().cumsum(0)
        height = torch.rand(1, generator=rng, dtype=torch.float64) * heights[-1]
        return int((heights <= height).sum())

    x = draw(q)
    if float(torch.rand(1, generator=rng, dtype=torch.float64)) < min(1.0, float(p[x]) / float(q[x])):
        return x, True
    rest = torch.maximum(p - q, torch.zeros_like(p))
    return draw(rest / rest.sum()), False
""",
    ),
    Alternative(
        "speculative-step",
        "p less what was accepted already",
        """\
def speculative_step(p, q, rng):
    shared = torch.minimum(p, q)
    guess = torch.multinomial(q, 1, generator=rng).item()
    kept = bool(torch.bernoulli(shared[guess] / q[guess], generator=rng))
    if kept:
        return guess, kept
    return torch.multinomial(p - shared, 1, generator=rng).item(), kept
""",
    ),
    Alternative(
        "speculative-loop",
        "lists, and a flag",
        """\
def speculative_decode(target, draft, prefix, gamma, max_new, rng):
    def draw(weights):
        return int(torch.multinomial(weights, 1, generator=rng))

    text, calls = prefix.tolist(), 0
    while (missing := len(prefix) + max_new - len(text)) > 0:
        guesses, seen = [], []
        while len(guesses) < gamma and len(guesses) < missing - 1:
            q = draft(torch.tensor(text + guesses))[-1]
            seen.append(q)
            guesses.append(draw(q))
        p = target(torch.tensor(text + guesses))[len(text) - 1:]
        calls += 1
        kept = []
        for guess, ours, theirs in zip(guesses, p, seen):
            if float(torch.rand(1, generator=rng)) < float(ours[guess] / theirs[guess]):
                kept.append(guess)
            else:
                kept.append(draw((ours - theirs).relu()))
                break
        else:
            kept.append(draw(p[-1]))
        text += kept
    return torch.tensor(text), calls
""",
    ),
    Alternative(
        "speculative-loop",
        "all comparisons of a round at once",
        """\
def speculative_decode(target, draft, prefix, gamma, max_new, rng):
    ids, calls = prefix.clone(), 0
    while len(ids) < len(prefix) + max_new:
        n, size = len(ids), min(gamma, len(prefix) + max_new - len(ids) - 1)
        rows = []
        for _ in range(size):
            rows.append(draft(ids)[-1])
            ids = torch.cat([ids, torch.multinomial(rows[-1], 1, generator=rng)])
        p = target(ids)[n - 1:]
        calls += 1
        kept = 0
        if size:
            q, at = torch.stack(rows), ids[n:, None]
            ratio = (p[:-1].gather(1, at) / q.gather(1, at))[:, 0]
            fine = torch.rand(size, generator=rng) < ratio
            kept = int(fine.long().cumprod(0).sum())
        weights = p[-1] if kept == size else torch.clamp(p[kept] - q[kept], min=0)
        ids = torch.cat([ids[:n + kept], torch.multinomial(weights, 1, generator=rng)])
    return ids, calls
""",
    ),
    Alternative(
        "diversity",
        "counters and last places",
        """\
from collections import Counter


def distinct_n(samples, n):
    counts = Counter()
    for text in samples:
        counts.update(zip(*[text[shift:] for shift in range(n)]))
    return len(counts) / counts.total() if counts else 0.0


def repetition_rate(samples, window):
    repeated = possible = 0
    for text in samples:
        last = {}
        for at, token in enumerate(text):
            if at:
                possible += 1
                repeated += token in last and at - last[token] <= window
            last[token] = at
    return repeated / possible if possible else 0.0
""",
    ),
    Alternative(
        "diversity",
        "tensors that are unfolded",
        """\
def distinct_n(samples, n):
    rows = [torch.tensor(text).unfold(0, n, 1) for text in samples if len(text) >= n]
    if not rows:
        return 0.0
    together = torch.cat(rows)
    return together.unique(dim=0).shape[0] / together.shape[0]


def repetition_rate(samples, window):
    yes = []
    for text in samples:
        for at in range(1, len(text)):
            yes.append(any(text[back] == text[at] for back in range(max(at - window, 0), at)))
    return float(np.mean(yes)) if yes else 0.0
""",
    ),
]

LIBRARY = {
    "generate": "byhand.decoding:generate",
    "top-k": "byhand.decoding:top_k_filter",
    "top-p": "byhand.decoding:top_p_filter",
    "sample": "byhand.decoding:sample",
    "beam": "byhand.decoding:beam_search",
    "ban-repeats": "byhand.decoding:ban_repeats",
    "speculative-step": "byhand.decoding:speculative_step",
    "speculative-loop": "byhand.decoding:speculative_decode",
    "diversity": "byhand.decoding:distinct_n, repetition_rate",
}
"""Where the library answers each exercise: its own functions must get full marks too."""
