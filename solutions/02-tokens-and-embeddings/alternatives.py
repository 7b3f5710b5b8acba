"""Right answers of chapter 2 written in other ways; each must get full marks."""

from grader.hidden import Alternative

ALTERNATIVES = [
    Alternative(
        "pair-counts",
        "by index, into a plain dictionary",
        """\
def pair_counts(words):
    counts = {}
    for word in words:
        for at in range(1, len(word)):
            pair = (word[at - 1], word[at])
            counts[pair] = counts.get(pair, 0) + words[word]
    return Counter(counts)
""",
    ),
    Alternative(
        "pair-counts",
        "numpy: codes of pairs, weighted bincount",
        """\
def pair_counts(words):
    rows = [(left, right, count) for word, count in words.items() for left, right in zip(word[:-1], word[1:])]
    if not rows:
        return Counter()
    table = np.array(rows)
    pairs, place = np.unique(table[:, :2], axis=0, return_inverse=True)
    totals = np.bincount(place.ravel(), weights=table[:, 2])
    return Counter({(int(left), int(right)): int(total) for (left, right), total in zip(pairs, totals)})
""",
    ),
    Alternative(
        "bpe-merge",
        "looks back at what was written",
        """\
def bpe_merge(ids, pair, new_id):
    out, fresh = [], False
    for token in ids:
        if out and not fresh and (out[-1], token) == tuple(pair):
            out[-1] = new_id
            fresh = True
        else:
            out.append(token)
            fresh = False
    return out
""",
    ),
    Alternative(
        "bpe-merge",
        "an iterator that is asked for one more",
        """\
def bpe_merge(ids, pair, new_id):
    left, right = pair
    out, rest = [], iter(ids)
    held = next(rest, None)
    while held is not None:
        following = next(rest, None)
        if held == left and following == right:
            out.append(new_id)
            held = next(rest, None)
        else:
            out.append(held)
            held = following
    return out
""",
    ),
    Alternative(
        "train-bpe",
        "counts are updated where a word changed",
        """\
def train_bpe(text, vocab_size, specials=()):
    if vocab_size < 256 + len(specials):
        raise ValueError("vocab_size is too small")
    pieces = [text]
    for special in sorted(specials, key=lambda word: -len(word)):
        pieces = [part for piece in pieces for part in piece.split(special)]
    tally = Counter(word for piece in pieces for word in cut_words(piece))
    words = [([bytes([byte]) for byte in word.encode()], n) for word, n in tally.items()]
    counts = Counter()
    for tokens, n in words:
        for pair in zip(tokens, tokens[1:]):
            counts[pair] += n
    merges = []
    while len(merges) + 256 + len(specials) < vocab_size:
        counts = +counts
        if not counts:
            break
        best = max(counts.values())
        pair = max(pair for pair, n in counts.items() if n == best)
        merges.append(pair)
        for at, (tokens, n) in enumerate(words):
            if pair not in zip(tokens, tokens[1:]):
                continue
            for old in zip(tokens, tokens[1:]):
                counts[old] -= n
            new, place = [], 0
            while place < len(tokens):
                if tuple(tokens[place : place + 2]) == pair:
                    new.append(pair[0] + pair[1])
                    place += 2
                else:
                    new.append(tokens[place])
                    place += 1
            words[at] = (new, n)
            for made in zip(new, new[1:]):
                counts[made] += n
    table = [bytes([byte]) for byte in range(256)] + [left + right for left, right in merges]
    return dict(enumerate(table + [special.encode() for special in specials])), merges
""",
    ),
    Alternative(
        "train-bpe",
        "ids in a sorted list of candidates, a function for each step",
        """\
def train_bpe(text, vocab_size, specials=()):
    number_of_merges = vocab_size - 256 - len(specials)
    if number_of_merges < 0:
        raise ValueError(f"{vocab_size} tokens are fewer than bytes and special tokens")
    if specials:
        pattern = "(?:" + "|".join(re.escape(s) for s in sorted(specials, key=len)[::-1]) + ")"
        pieces = re.split(pattern, text)
    else:
        pieces = [text]
    words = sum((words_of(piece) for piece in pieces), Counter())
    vocab = {n: bytes((n,)) for n in range(256)}
    merges = []

    def count_all():
        found = {}
        for word, n in words.items():
            for at in range(len(word) - 1):
                found[word[at : at + 2]] = found.get(word[at : at + 2], 0) + n
        return found

    for _ in range(number_of_merges):
        found = count_all()
        if not found:
            break
        chosen = sorted(found, key=lambda pair: (found[pair], (vocab[pair[0]], vocab[pair[1]])))[-1]
        new_id = 256 + len(merges)
        vocab[new_id] = b"".join(vocab[side] for side in chosen)
        merges.append(tuple(vocab[side] for side in chosen))
        changed = Counter()
        for word, n in words.items():
            changed[tuple(merge_pair(list(word), chosen, new_id))] += n
        words = changed
    for special in specials:
        vocab[max(vocab) + 1] = special.encode("utf-8")
    return vocab, merges
""",
    ),
    Alternative(
        "bpe-encode",
        "each merge once, in the order of learning",
        """\
def bpe_encode(ids, merges):
    tokens = list(ids)
    for pair, new_id in sorted(merges.items(), key=lambda item: item[1]):
        at = 0
        while at < len(tokens) - 1:
            if (tokens[at], tokens[at + 1]) == pair:
                tokens[at : at + 2] = [new_id]
            at += 1
    return tokens
""",
    ),
    Alternative(
        "bpe-encode",
        "one place at a time",
        """\
def bpe_encode(ids, merges):
    tokens = [*ids]
    while len(tokens) > 1:
        ranked = [(merges.get(pair, math.inf), at) for at, pair in enumerate(zip(tokens, tokens[1:]))]
        new_id, at = min(ranked)
        if new_id == math.inf:
            break
        tokens = tokens[:at] + [new_id] + tokens[at + 2 :]
    return tokens


import math
""",
    ),
    Alternative(
        "compression",
        "counters",
        """\
def compression(tokenize, text, specials=(), unknown=()):
    tally = Counter(tokenize(text))
    for special in set(specials):
        tally.pop(special, None)
    total = sum(tally.values())
    return dict(
        bytes_per_token=len(bytes(text, "utf-8")) / total,
        fertility=total / len(re.findall(r"\\S+", text)),
        oov_rate=sum(tally[token] for token in set(unknown)) / total,
    )
""",
    ),
    Alternative(
        "compression",
        "a loop",
        """\
def compression(tokenize, text, specials=(), unknown=()):
    n = lost = 0
    for token in tokenize(text):
        if token in specials:
            continue
        n += 1
        lost += token in unknown
    words = [word for word in text.split() if word]
    size = sum(len(letter.encode("utf-8")) for letter in text)
    return {"oov_rate": lost / n, "fertility": n / len(words), "bytes_per_token": size / n}
""",
    ),
    Alternative(
        "embedding",
        "indexing and index_add",
        """\
def embed_onehot(input_ids, weight):
    return weight.T[input_ids]


def embed_gradient(input_ids, upstream, vocab_size):
    rows = torch.zeros(vocab_size, upstream.shape[-1], dtype=upstream.dtype)
    return rows.index_add(0, input_ids.flatten(), upstream.flatten(0, 1)).T
""",
    ),
    Alternative(
        "embedding",
        "comparison and einsum",
        """\
def embed_onehot(input_ids, weight):
    onehot = (input_ids[..., None] == torch.arange(weight.shape[1])).to(weight.dtype)
    return torch.einsum("bsv,dv->bsd", onehot, weight)


def embed_gradient(input_ids, upstream, vocab_size):
    onehot = torch.nn.functional.one_hot(input_ids, vocab_size).to(upstream.dtype)
    return torch.einsum("bsd,bsv->dv", upstream, onehot)
""",
    ),
    Alternative(
        "embedding",
        "loops over the places",
        """\
def embed_onehot(input_ids, weight):
    return torch.stack([torch.stack([weight[:, int(token)] for token in row]) for row in input_ids])


def embed_gradient(input_ids, upstream, vocab_size):
    gradient = torch.zeros(upstream.shape[2], vocab_size, dtype=upstream.dtype)
    for row in range(input_ids.shape[0]):
        for place in range(input_ids.shape[1]):
            gradient[:, int(input_ids[row, place])] += upstream[row, place]
    return gradient
""",
    ),
    Alternative(
        "analogy",
        "numpy, lexsort",
        """\
def analogy(embeddings, a, b, c, k=5, exclude=True):
    rows = np.array(embeddings, dtype=np.float64)
    rows = rows / np.sqrt((rows**2).sum(axis=1))[:, None]
    closeness = (rows * (rows[b] - rows[a] + rows[c])).sum(axis=1)
    order = np.lexsort((np.arange(len(rows)), -closeness))
    blocked = {a, b, c} if exclude else set()
    return [int(token) for token in order if int(token) not in blocked][:k]
""",
    ),
    Alternative(
        "analogy",
        "the true cosine, masked",
        """\
def analogy(embeddings, a, b, c, k=5, exclude=True):
    rows = torch.nn.functional.normalize(embeddings.double(), dim=-1)
    target = rows[[b]] - rows[[a]] + rows[[c]]
    cosine = torch.nn.functional.cosine_similarity(rows, target)
    found = sorted(range(len(rows)), key=lambda token: (-float(cosine[token]), token))
    if exclude:
        found = [token for token in found if token not in (a, b, c)]
    return found[:k]
""",
    ),
]

LIBRARY = {
    "train-bpe": "byhand.bpe.training:train_bpe",
    "compression": "byhand.compression:compression",
    "analogy": "byhand.embedding:analogy",
}
"""Where the library answers an exercise: its own functions must get full marks too."""
