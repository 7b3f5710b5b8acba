"""Right answers of chapter 5 written in other ways; each must get full marks."""

from grader.hidden import Alternative

ALTERNATIVES = [
    Alternative(
        "mlm-corrupt",
        "token by token",
        """\
def mlm_corrupt(input_ids, p, special, mask_id, vocab_size, rng):
    ordinary = [i for i in range(vocab_size) if i not in special and i != mask_id]
    spoiled, labels = input_ids.clone(), torch.full_like(input_ids, -100)
    draws = torch.rand(2, *input_ids.shape, generator=rng).tolist()
    for row, ids in enumerate(input_ids.tolist()):
        for place, token in enumerate(ids):
            if token in ordinary and draws[0][row][place] < p:
                labels[row, place] = token
                fate = draws[1][row][place]
                if fate < 0.1:
                    spoiled[row, place] = ordinary[int(torch.randint(len(ordinary), (), generator=rng))]
                elif fate < 0.9:
                    spoiled[row, place] = mask_id
    return spoiled, labels
""",
    ),
    Alternative(
        "mlm-corrupt",
        "one draw, two coins, in place on copies",
        """\
def mlm_corrupt(input_ids, p, special, mask_id, vocab_size, rng):
    weights = torch.ones(vocab_size)
    weights[list({*special, mask_id})] = 0.0
    chance = torch.full(input_ids.shape, float(p)).masked_fill_(weights[input_ids] == 0, 0.0)
    chosen = torch.bernoulli(chance, generator=rng).bool()
    labels = input_ids.masked_fill(~chosen, -100)
    masked = torch.bernoulli(torch.full(input_ids.shape, 0.8), generator=rng).bool() & chosen
    replaced = torch.bernoulli(torch.full(input_ids.shape, 0.5), generator=rng).bool() & chosen & ~masked
    spoiled = input_ids.masked_fill(masked, mask_id)
    count = int(replaced.sum())
    if count:
        spoiled[replaced] = torch.multinomial(weights, count, replacement=True, generator=rng).to(spoiled.dtype)
    return spoiled, labels
""",
    ),
    Alternative(
        "mlm-logits",
        "gather and a linear layer",
        """\
def mlm_logits(hidden, positions, weight, bias):
    places = positions.unsqueeze(-1).expand(-1, -1, hidden.shape[-1])
    return F.linear(torch.gather(hidden, 1, places), weight, bias)
""",
    ),
    Alternative(
        "mlm-logits",
        "row by row",
        """\
def mlm_logits(hidden, positions, weight, bias):
    rows = []
    for states, places in zip(hidden, positions):
        rows.append(torch.einsum("md,vd->mv", states.index_select(0, places), weight) + bias)
    return torch.stack(rows)
""",
    ),
    Alternative(
        "nsp-pairs",
        "indices drawn first, lengths computed",
        """\
def nsp_pairs(docs, max_len, rng, *, cls_id=101, sep_id=102):
    full = [k for k, doc in enumerate(docs) if len(doc) > 0]
    out = []
    for k in full:
        for place in range(len(docs[k]) - 1):
            a, room = docs[k][place], max_len - 3
            follows = rng.choice([True, False])
            if follows:
                b = docs[k][place + 1]
            else:
                other = k
                while other == k:
                    other = full[int(rng.random() * len(full))]
                b = docs[other][rng.randint(0, len(docs[other]) - 1)]
            if len(a) + len(b) > room:
                keep_a = max(min(len(a), -(-room // 2)), room - len(b))
                keep_b = room - keep_a
            else:
                keep_a, keep_b = len(a), len(b)
            ids = [cls_id] + a[:keep_a] + [sep_id] + b[:keep_b] + [sep_id]
            out.append((ids, [int(i > keep_a + 1) for i in range(len(ids))], follows))
    return out
""",
    ),
    Alternative(
        "nsp-pairs",
        "a helper that cuts, pairs in a generator",
        """\
def nsp_pairs(docs, max_len, rng, *, cls_id=101, sep_id=102):
    def fit(a, b):
        if len(a) + len(b) <= max_len - 3:
            return a, b
        return fit(a[:-1], b) if len(a) > len(b) else fit(a, b[:-1])

    def make():
        for k, doc in enumerate(docs):
            others = [other for j, other in enumerate(docs) if j != k and other]
            for first, successor in zip(doc[:-1], doc[1:]):
                stranger = rng.getrandbits(1)
                a, b = fit(first, rng.choice(rng.choice(others)) if stranger else successor)
                left, right = [cls_id, *a, sep_id], [*b, sep_id]
                yield left + right, [0 for _ in left] + [1 for _ in right], not stranger

    return list(make())
""",
    ),
    Alternative(
        "span-mask",
        "rounded at random, from a shuffled list of signs",
        """\
def span_mask(seq, p, mean_len, rng):
    draw = lambda n: int(torch.randint(n, (1,), generator=rng))
    hidden = int(p * seq + torch.rand(1, generator=rng, dtype=torch.float64).item())
    free = seq - hidden
    mask = torch.zeros(seq, dtype=torch.bool)
    if not hidden or not free:
        return mask | (hidden > 0)
    spans = max(int(hidden / mean_len + torch.rand(1, generator=rng).item()), 1)
    lengths, gaps = [1] * spans, [1] * spans
    for _ in range(hidden - spans):
        lengths[draw(spans)] += 1
    for _ in range(free - spans):
        gaps[draw(spans)] += 1
    place = draw(seq)
    for length, gap in zip(lengths, gaps):
        for _ in range(length):
            mask[place % seq] = True
            place += 1
        place += gap
    return mask
""",
    ),
    Alternative(
        "span-mask",
        "borders drawn on the ring",
        """\
def span_mask(seq, p, mean_len, rng):
    hidden = math.ceil(p * seq - 1e-9)
    if hidden == 0 or hidden == seq:
        return torch.full((seq,), bool(hidden))
    n = max(1, math.floor(hidden / mean_len))
    free = seq - hidden
    after = torch.randperm(free, generator=rng)[:n].sort().values.tolist()
    borders = torch.randperm(hidden - 1, generator=rng)[: n - 1].sort().values.tolist()
    sizes = [b - a for a, b in zip([-1, *borders], [*borders, hidden - 1])]
    flags = []
    for k in range(free):
        flags.append(False)
        if k in after:
            flags += [True] * sizes[after.index(k)]
    turn = int(torch.randint(seq, (), generator=rng))
    return torch.tensor(flags[turn:] + flags[:turn])
""",
    ),
    Alternative(
        "span-corrupt",
        "by the borders of the mask",
        """\
def span_corrupt(ids, mask, sentinel0, eos):
    before = torch.cat([mask.new_zeros(1), mask[:-1]]) if len(mask) else mask
    starts = mask & ~before
    number = sentinel0 + 1 - starts.long().cumsum(0)
    inputs = torch.where(starts, number, ids)[~mask | starts]
    pieces = []
    for place in range(len(ids)):
        if starts[place]:
            pieces.append(number[place])
        if mask[place]:
            pieces.append(ids[place])
    last = sentinel0 - int(starts.sum())
    return (
        torch.cat([inputs, ids.new_tensor([eos])]),
        torch.cat([torch.stack(pieces) if pieces else ids[:0], ids.new_tensor([last, eos])]),
    )
""",
    ),
    Alternative(
        "span-corrupt",
        "two pointers",
        """\
def span_corrupt(ids, mask, sentinel0, eos):
    read, write, place, spans = [], [], 0, 0
    while place < len(ids):
        end = place
        while end < len(ids) and bool(mask[end]) == bool(mask[place]):
            end += 1
        piece = ids[place:end].tolist()
        if mask[place]:
            read.append(sentinel0 - spans)
            write.extend([sentinel0 - spans] + piece)
            spans += 1
        else:
            read.extend(piece)
        place = end
    return torch.tensor(read + [eos]), torch.tensor(write + [sentinel0 - spans, eos])
""",
    ),
    Alternative(
        "text-infill",
        "from the left",
        """\
def text_infill(ids, spans, mask_id):
    out, done = [], 0
    for start, length in sorted(spans):
        out.extend(ids[done:start])
        out.append(mask_id)
        done = start + length
    return out + list(ids[done:])
""",
    ),
    Alternative(
        "text-infill",
        "place by place",
        """\
def text_infill(ids, spans, mask_id):
    skip = {place for start, length in spans for place in range(start, start + length)}
    out = []
    for place in range(len(ids) + 1):
        out.extend(mask_id for start, _ in spans if start == place)
        if place < len(ids) and place not in skip:
            out.append(ids[place])
    return out
""",
    ),
    Alternative(
        "prefix-lm-mask",
        "a triangle with filled columns",
        """\
def prefix_lm_mask(seq, prefix):
    mask = torch.ones(seq, seq).tril().bool()
    mask[:, :prefix] = True
    return mask
""",
    ),
    Alternative(
        "prefix-lm-mask",
        "pair by pair",
        """\
def prefix_lm_mask(seq, prefix):
    return torch.tensor([[k <= max(q, prefix - 1) for k in range(seq)] for q in range(seq)])
""",
    ),
    Alternative(
        "seq2seq-loss",
        "rolled, with ignore_index",
        """\
def seq2seq_loss(model, src, tgt, bos, pad):
    read = tgt.roll(1, dims=1)
    read[:, 0] = bos
    logits = model(src, read, src.ne(pad))
    return F.cross_entropy(logits.flatten(0, 1), tgt.flatten(), ignore_index=pad)
""",
    ),
    Alternative(
        "seq2seq-loss",
        "a weighted sum of log-probabilities",
        """\
def seq2seq_loss(model, src, tgt, bos, pad):
    read = F.pad(tgt, (1, 0), value=bos)[:, :-1]
    logs = torch.log_softmax(model(src, read, ~(src == pad)), dim=-1)
    kept = (tgt != pad).to(logs.dtype)
    picked = torch.take_along_dim(logs, tgt[..., None], dim=-1)[..., 0]
    return -(picked * kept).sum() / kept.sum()
""",
    ),
]

LIBRARY = {
    "mlm-corrupt": "byhand.objectives:mlm_corrupt",
    "mlm-logits": "byhand.bert:mlm_logits",
    "nsp-pairs": "byhand.objectives:nsp_pairs",
    "span-mask": "byhand.objectives:span_mask",
    "span-corrupt": "byhand.objectives:span_corrupt",
    "text-infill": "byhand.objectives:text_infill",
    "prefix-lm-mask": "byhand.objectives:prefix_lm_mask",
    "seq2seq-loss": "byhand.seq2seq:seq2seq_loss",
}
"""Where the library answers each exercise: its own functions must get full marks too."""
