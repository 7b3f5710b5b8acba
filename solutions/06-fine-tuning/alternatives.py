"""Right answers of chapter 6 written in other ways; each must get full marks."""

from grader.hidden import Alternative

ALTERNATIVES = [
    Alternative(
        "mean-pool",
        "row by row",
        """\
def mean_pool(hidden, mask):
    empty = hidden.new_zeros(hidden.shape[-1])
    return torch.stack([row[keep].mean(dim=0) if keep.any() else empty for row, keep in zip(hidden, mask)])
""",
    ),
    Alternative(
        "mean-pool",
        "weights and einsum",
        """\
def mean_pool(hidden, mask):
    weights = mask.to(hidden.dtype)
    weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1)
    safe = torch.where(mask[..., None], hidden, torch.zeros_like(hidden))
    return torch.einsum("bt,btd->bd", weights, safe)
""",
    ),
    Alternative(
        "freeze",
        "module by module",
        """\
def freeze(model, trainable):
    names = [name for name, _ in model.named_parameters()]
    for pattern in trainable:
        if not list(filter(re.compile(pattern).search, names)):
            raise ValueError(f"{pattern} is nowhere")
    model.requires_grad_(False)
    model.zero_grad(set_to_none=True)
    chosen = {name for name in names for pattern in trainable if re.search(pattern, name)}
    for name in chosen:
        model.get_parameter(name).requires_grad_(True)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
""",
    ),
    Alternative(
        "freeze",
        "one pattern of all",
        """\
def freeze(model, trainable):
    unused, total = set(trainable), 0
    for name, weight in model.named_parameters():
        found = [p for p in trainable if re.search(p, name) is not None]
        unused.difference_update(found)
        weight.requires_grad_(len(found) > 0)
        if found:
            total += math.prod(weight.shape)
        else:
            weight.grad = None
    if unused:
        raise ValueError(f"not found: {sorted(unused)}")
    return total
""",
    ),
    Alternative(
        "align-labels",
        "grouped by word",
        """\
def align_labels(word_ids, labels, all_subwords=False):
    from itertools import groupby

    aligned = []
    for word, group in groupby(word_ids):
        n = len(list(group))
        if word is None:
            aligned += [-100] * n
        elif word < len(labels):
            aligned += [labels[word]] + [labels[word] if all_subwords else -100] * (n - 1)
        else:
            raise ValueError(f"no label for word {word}")
    return aligned
""",
    ),
    Alternative(
        "align-labels",
        "a set of words seen",
        """\
def align_labels(word_ids, labels, all_subwords=False):
    seen, by_word = {None}, dict(enumerate(labels))

    def label_of(word):
        if word is not None and word not in by_word:
            raise ValueError("a word has no label")
        new = word not in seen
        seen.add(word)
        return by_word[word] if new or (all_subwords and word is not None) else -100

    return [label_of(word) for word in word_ids]
""",
    ),
    Alternative(
        "best-span",
        "all pairs at once",
        """\
def best_span(start, end, max_len, allowed):
    seq = len(start)
    i, j = torch.meshgrid(torch.arange(seq), torch.arange(seq), indexing="ij")
    blocked = torch.cat([torch.zeros(1), (~allowed).cumsum(0)])
    fine = (j >= i) & (j - i < max_len) & (blocked[j + 1] == blocked[i])
    sums = torch.where(fine, start[:, None] + end[None, :], torch.tensor(-math.inf, dtype=start.dtype))
    return tuple(divmod(int((sums == sums.max()).flatten().nonzero()[0]), seq))
""",
    ),
    Alternative(
        "best-span",
        "the largest key",
        """\
def best_span(start, end, max_len, allowed):
    s, e, ok = start.tolist(), end.tolist(), allowed.tolist()
    spans = [(i, j) for i in range(len(s)) for j in range(i, min(i + max_len, len(s))) if all(ok[i : j + 1])]
    return min(spans, key=lambda span: (-(s[span[0]] + e[span[1]]), span))
""",
    ),
    Alternative(
        "format-nli",
        "two parts",
        """\
def format_nli(premise, hypothesis, ids):
    for token in ids.values():
        if token in premise or token in hypothesis:
            raise ValueError(f"{token} is special")
    tokens = [ids["start"]] + list(premise) + [ids["delimiter"]] + list(hypothesis)
    place = len(tokens)
    return tokens + [ids["extract"]], place
""",
    ),
    Alternative(
        "format-nli",
        "counted",
        """\
def format_nli(premise, hypothesis, ids):
    if any(token in (ids["start"], ids["delimiter"], ids["extract"]) for token in [*premise, *hypothesis]):
        raise ValueError("special")
    tokens = []
    for part in ([ids["start"]], premise, [ids["delimiter"]], hypothesis, [ids["extract"]]):
        tokens.extend(part)
    return tokens, len(premise) + len(hypothesis) + 2
""",
    ),
    Alternative(
        "last-token",
        "row by row",
        """\
def last_token(hidden, mask):
    if (mask.sum(dim=1) == 0).any():
        raise ValueError("an empty row")
    return torch.stack([row[keep][-1] for row, keep in zip(hidden, mask)])
""",
    ),
    Alternative(
        "last-token",
        "from the end, and gather",
        """\
def last_token(hidden, mask):
    if not bool(mask.any(1).all()):
        raise ValueError("an empty row")
    from_end = mask.flip(1).int().argmax(dim=1)
    place = mask.shape[1] - 1 - from_end
    return hidden.gather(1, place[:, None, None].expand(-1, 1, hidden.shape[2])).squeeze(1)
""",
    ),
    Alternative(
        "rehearsal",
        "endless epochs of the old",
        """\
def rehearsal(new, old, ratio, batch, rng):
    from itertools import islice

    if ratio < 0 or ratio >= 1:
        raise ValueError("ratio")

    def endless():
        while True:
            row = list(old)
            rng.shuffle(row)
            yield from row

    count = math.floor(len(new) / (1 - ratio) * ratio + 0.5)
    mixed = list(new) + list(islice(endless(), count))
    mixed = rng.sample(mixed, k=len(mixed))
    batches = []
    while mixed:
        batches.append(mixed[:batch])
        mixed = mixed[batch:]
    return batches
""",
    ),
    Alternative(
        "rehearsal",
        "whole rounds and a rest",
        """\
def rehearsal(new, old, ratio, batch, rng):
    if not 0.0 <= ratio < 1.0:
        raise ValueError("ratio must be in [0, 1)")
    wanted = round(ratio * len(new) / (1.0 - ratio))
    rounds, rest = divmod(wanted, len(old)) if wanted else (0, 0)
    both = list(new) + list(old) * rounds + rng.sample(old, rest)
    order = sorted(range(len(both)), key=lambda _: rng.random())
    return [[both[i] for i in order[k : k + batch]] for k in range(0, len(order), batch)]
""",
    ),
    Alternative(
        "glue-metric",
        "a table of counts, ranks by groups",
        """\
def glue_metric(task, predicted, gold):
    if task not in METRICS or len(predicted) != len(gold) or len(gold) == 0:
        raise ValueError("task or lengths")
    metric, pairs = METRICS[task], list(zip(predicted, gold))
    if metric == "spearman":
        def ranked(values):
            order = sorted(values)
            return [(order.index(v) + len(order) - 1 - order[::-1].index(v)) / 2 for v in values]

        x, y = (np.array(ranked(values)) for values in (predicted, gold))
        if np.ptp(x) == 0 or np.ptp(y) == 0:
            return 0.0
        return float(np.corrcoef(x, y)[0, 1])
    if metric == "accuracy":
        return float(np.mean([p == g for p, g in pairs]))
    count = {(p, g): pairs.count((p, g)) for p in (0, 1) for g in (0, 1)}
    tp, fp, fn, tn = count[1, 1], count[1, 0], count[0, 1], count[0, 0]
    if metric == "f1":
        return 0.0 if tp == 0 else 2 / ((tp + fp) / tp + (tp + fn) / tp)
    product = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return 0.0 if product == 0 else (tp * tn - fp * fn) / product**0.5
""",
    ),
    Alternative(
        "glue-metric",
        "with torch",
        """\
def glue_metric(task, predicted, gold):
    if task not in METRICS:
        raise ValueError(task)
    if len(predicted) != len(gold) or not gold:
        raise ValueError("need as many predictions as answers")
    p, g = torch.tensor(predicted, dtype=torch.float64), torch.tensor(gold, dtype=torch.float64)

    def correlation(a, b):
        a, b = a - a.mean(), b - b.mean()
        norm = (a.norm() * b.norm()).item()
        return (a @ b).item() / norm if norm > 0 else 0.0

    def rank(x):
        return (x[None] < x[:, None]).double().sum(1) - (x[None] > x[:, None]).double().sum(1)

    if METRICS[task] == "accuracy":
        return (p == g).double().mean().item()
    if METRICS[task] == "f1":
        return (2 * (p * g).sum() / (p + g).sum().clamp(min=1)).item()
    return correlation(p, g) if METRICS[task] == "matthews" else correlation(rank(p), rank(g))
""",
    ),
]

LIBRARY = {
    "mean-pool": "byhand.finetuning:mean_pool",
    "freeze": "byhand.finetuning:freeze",
    "align-labels": "byhand.finetuning:align_labels",
    "best-span": "byhand.finetuning:best_span",
    "format-nli": "byhand.finetuning:format_nli",
    "last-token": "byhand.finetuning:last_token",
    "rehearsal": "byhand.finetuning:rehearsal",
    "glue-metric": "byhand.finetuning:glue_metric",
}
"""Where the library answers each exercise: its own functions must get full marks too."""
