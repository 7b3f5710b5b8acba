"""Wrong answers that people really give in chapter 2, each with the words that must catch it.

The `belief` of each is what the page lists under "Common mistakes". For every exercise at least one of them
passes the visible checks: those are examples, and an example cannot show everything.
"""

from grader.hidden import Mistake

TRAIN = """\
def train_bpe(text, vocab_size, specials=()):
    room = vocab_size - 256 - len(specials)
    if room < 0:
        raise ValueError("too small")
    parts = {parts}
    words = Counter()
    for part in parts:
        words.update({words})
    vocab = {{byte: bytes([byte]) for byte in range(256)}}
    merges = []
    while len(merges) < {room} and (counts := count_pairs(words)):
        left, right = {choice}
        new_id = 256 + len(merges)
        merges.append((vocab[left], vocab[right]))
        vocab[new_id] = vocab[left] + vocab[right]
        words = Counter({{tuple(merge_pair(word, (left, right), new_id)): n for word, n in words.items()}})
    for special in specials:
        vocab[len(vocab)] = special.encode()
    return vocab, merges
"""
SPLIT = "re.split('|'.join(map(re.escape, sorted(specials, key=len, reverse=True))), text) if specials else [text]"
CHOICE = "max(counts, key=lambda pair: (counts[pair], vocab[pair[0]], vocab[pair[1]]))"


def trainer(parts: str = SPLIT, words: str = "words_of(part)", room: str = "room", choice: str = CHOICE) -> str:
    """The reference with one decision replaced."""
    return TRAIN.format(parts=parts, words=words, room=room, choice=choice)


MISTAKES = [
    # --------------------------------------------------------------------------------- 2.1 counting pairs
    Mistake(
        exercise="pair-counts",
        name="ignores the count of a word",
        belief="Each word is looked at once, so each of its pairs counts once.",
        says="each word is counted once",
        code="""\
def pair_counts(words):
    return Counter(pair for word in words for pair in zip(word, word[1:]))
""",
    ),
    Mistake(
        exercise="pair-counts",
        name="joins the words",
        belief="A text is one sequence; neighbours are neighbours, whatever word they are in.",
        says="a pair must not reach from one word into another",
        code="""\
def pair_counts(words):
    text = [token for word, count in words.items() for token in word * count]
    return Counter(zip(text, text[1:]))
""",
    ),
    Mistake(
        exercise="pair-counts",
        name="skips overlaps",
        belief="A token that was counted in one pair is used up.",
        says="pairs that overlap are skipped",
        code="""\
def pair_counts(words):
    counts = Counter()
    for word, n in words.items():
        at = 0
        while at + 1 < len(word):
            counts[word[at], word[at + 1]] += n
            at += 2 if word[at] == word[at + 1] else 1
    return counts
""",
    ),
    Mistake(
        exercise="pair-counts",
        name="forgets the order",
        belief="(1, 2) and (2, 1) are the same two neighbours.",
        says="the order is part of a pair",
        code="""\
def pair_counts(words):
    counts = Counter()
    for word, n in words.items():
        for left, right in zip(word, word[1:]):
            counts[min(left, right), max(left, right)] += n
    return counts
""",
    ),
    # ----------------------------------------------------------------------------------- 2.2 merging one pair
    Mistake(
        exercise="bpe-merge",
        name="first occurrence only",
        belief="One merge makes one new token.",
        says="only the first occurrence was merged",
        code="""\
def bpe_merge(ids, pair, new_id):
    for at in range(len(ids) - 1):
        if (ids[at], ids[at + 1]) == tuple(pair):
            return ids[:at] + [new_id] + ids[at + 2 :]
    return list(ids)
""",
    ),
    Mistake(
        exercise="bpe-merge",
        name="drops the last token",
        belief="Look at each token together with its right neighbour; where there is none, one is done.",
        says="the last token is lost",
        code="""\
def bpe_merge(ids, pair, new_id):
    out, at = [], 0
    while at < len(ids) - 1:
        if (ids[at], ids[at + 1]) == tuple(pair):
            out.append(new_id)
            at += 2
        else:
            out.append(ids[at])
            at += 1
    return out
""",
    ),
    Mistake(
        exercise="bpe-merge",
        name="merges from the right",
        belief="It makes no difference from which side one starts.",
        says="of two that overlap the left one is merged",
        code="""\
def bpe_merge(ids, pair, new_id):
    out, at = [], len(ids) - 1
    while at >= 0:
        if at > 0 and (ids[at - 1], ids[at]) == tuple(pair):
            out.append(new_id)
            at -= 2
        else:
            out.append(ids[at])
            at -= 1
    return out[::-1]
""",
    ),
    Mistake(
        exercise="bpe-merge",
        name="merges in place",
        belief="The list is rewritten anyway, so it can be changed where it is.",
        says="the list that was given was changed",
        code="""\
def bpe_merge(ids, pair, new_id):
    at = 0
    while at < len(ids) - 1:
        if (ids[at], ids[at + 1]) == tuple(pair):
            ids[at : at + 2] = [new_id]
        at += 1
    return ids
""",
    ),
    Mistake(
        exercise="bpe-merge",
        name="returns the list itself when there is nothing to merge",
        belief="Where nothing changes, nothing has to be copied.",
        says="a new one was asked, also where nothing is merged",
        code="""\
def bpe_merge(ids, pair, new_id):
    if tuple(pair) not in zip(ids, ids[1:]):
        return ids
    out, at = [], 0
    while at < len(ids):
        if tuple(ids[at : at + 2]) == tuple(pair):
            out.append(new_id)
            at += 2
        else:
            out.append(ids[at])
            at += 1
    return out
""",
    ),
    # --------------------------------------------------------------------------------------- 2.3 training
    Mistake(
        exercise="train-bpe",
        name="takes the first of equals",
        belief="Where pairs are equally frequent, it does not matter which is merged.",
        says="the first one seen was merged",
        code=trainer(choice="max(counts, key=counts.get)"),
    ),
    Mistake(
        exercise="train-bpe",
        name="compares ids instead of bytes",
        belief="The larger pair of ids has the larger bytes.",
        says="was not the most frequent pair there",
        code=trainer(choice="max(counts, key=lambda pair: (counts[pair], pair))"),
    ),
    Mistake(
        exercise="train-bpe",
        name="compares the joined bytes",
        belief="A pair is what it becomes, so compare the bytes of the new token.",
        says="ties were decided by the joined bytes",
        code=trainer(choice="max(counts, key=lambda pair: (counts[pair], vocab[pair[0]] + vocab[pair[1]]))"),
    ),
    Mistake(
        exercise="train-bpe",
        name="does not cut into words",
        belief="A frequent pair is worth a token wherever it stands, also across a space.",
        says="merges cross the border between words",
        code=trainer(words="Counter([tuple(part.encode())])"),
    ),
    Mistake(
        exercise="train-bpe",
        name="the space belongs to the word before it",
        belief="A token must not begin with a space; it may end with one.",
        says="the space after a word was taken into it",
        code=trainer(words=r"Counter(tuple(word.encode()) for word in re.findall(r'\s*\S+\s?|\s+', part))"),
    ),
    Mistake(
        exercise="train-bpe",
        name="counts special tokens as text",
        belief="Special tokens get their own ids at the end; until then they are text like any other.",
        says="its letters were counted",
        code=trainer(parts="[text]"),
    ),
    Mistake(
        exercise="train-bpe",
        name="forgets the room of the special tokens",
        belief="vocab_size counts bytes and merges.",
        says="the special tokens have no place of their own",
        code=trainer(room="vocab_size - 256"),
    ),
    Mistake(
        exercise="train-bpe",
        name="vocab_size merges",
        belief="vocab_size says how many merges to make.",
        says="bytes, merges and special tokens together",
        code=trainer(room="vocab_size"),
    ),
    Mistake(
        exercise="train-bpe",
        name="counts each different word once",
        belief="The words are kept once each, so each counts once.",
        says="each different word was counted once",
        code=trainer(words="Counter(dict.fromkeys(words_of(part), 1))").replace(
            "    vocab = {byte", "    words = Counter(dict.fromkeys(words, 1))\n    vocab = {byte"
        ),
    ),
    Mistake(
        exercise="train-bpe",
        name="special tokens first",
        belief="Special tokens are known before training, so they get the first free ids.",
        says="come after the merges",
        code="""\
def train_bpe(text, vocab_size, specials=()):
    room = vocab_size - 256 - len(specials)
    if room < 0:
        raise ValueError("too small")
    parts = re.split("|".join(map(re.escape, sorted(specials, key=len, reverse=True))), text) if specials else [text]
    words = Counter()
    for part in parts:
        words.update(words_of(part))
    vocab = {byte: bytes([byte]) for byte in range(256)}
    for special in specials:
        vocab[len(vocab)] = special.encode()
    merges = []
    while len(merges) < room and (counts := count_pairs(words)):
        left, right = max(counts, key=lambda pair: (counts[pair], vocab[pair[0]], vocab[pair[1]]))
        new_id = len(vocab)
        merges.append((vocab[left], vocab[right]))
        vocab[new_id] = vocab[left] + vocab[right]
        words = Counter({tuple(merge_pair(word, (left, right), new_id)): n for word, n in words.items()})
    return vocab, merges
""",
    ),
    Mistake(
        exercise="train-bpe",
        name="never says that it does not fit",
        belief="With too small a vocabulary there is simply nothing to merge.",
        says="a ValueError was asked",
        code=trainer().replace('        raise ValueError("too small")', "        room = 0"),
    ),
    # --------------------------------------------------------------------------------------- 2.4 encoding
    Mistake(
        exercise="bpe-encode",
        name="leftmost first",
        belief="A tokenizer reads from left to right and merges what it can.",
        says="the leftmost possible pair was merged",
        code="""\
def bpe_encode(ids, merges):
    tokens, at = list(ids), 0
    while at + 1 < len(tokens):
        pair = (tokens[at], tokens[at + 1])
        if pair in merges:
            tokens[at : at + 2] = [merges[pair]]
            at = 0
        else:
            at += 1
    return tokens
""",
    ),
    Mistake(
        exercise="bpe-encode",
        name="longest token first",
        belief="Take the longest token of the vocabulary that fits, from the left.",
        says="each token is the longest one that fits",
        code="""\
def bpe_encode(ids, merges):
    parts = {new_id: pair for pair, new_id in merges.items()}

    def spell(token):
        return spell(parts[token][0]) + spell(parts[token][1]) if token in parts else (token,)

    known = {spell(token): token for token in parts}
    tokens, at = [], 0
    while at < len(ids):
        size = next((n for n in range(len(ids) - at, 1, -1) if tuple(ids[at : at + n]) in known), 1)
        tokens.append(known.get(tuple(ids[at : at + size]), ids[at]))
        at += size
    return tokens
""",
    ),
    Mistake(
        exercise="bpe-encode",
        name="latest merge first",
        belief="Later merges make longer tokens, so they are tried first.",
        says="the merge learned last was made first",
        code="""\
def bpe_encode(ids, merges):
    tokens = list(ids)
    while possible := [pair for pair in zip(tokens, tokens[1:]) if pair in merges]:
        pair = max(possible, key=merges.get)
        tokens = merge_pair(tokens, pair, merges[pair])
    return tokens
""",
    ),
    Mistake(
        exercise="bpe-encode",
        name="one walk",
        belief="Every pair that is in the table is replaced; then the word is encoded.",
        says="new tokens make new pairs",
        code="""\
def bpe_encode(ids, merges):
    tokens, at = [], 0
    while at < len(ids):
        pair = tuple(ids[at : at + 2])
        tokens.append(merges.get(pair, ids[at]))
        at += 2 if pair in merges else 1
    return tokens
""",
    ),
    Mistake(
        exercise="bpe-encode",
        name="order of the dictionary",
        belief="A dictionary keeps its order, so its order is the order of learning.",
        says="merges were made in the order of the dictionary",
        code="""\
def bpe_encode(ids, merges):
    tokens = list(ids)
    for pair, new_id in merges.items():
        tokens = merge_pair(tokens, pair, new_id)
    return tokens
""",
    ),
    # ------------------------------------------------------------------------------------ 2.5 compression
    Mistake(
        exercise="compression",
        name="characters for bytes",
        belief="A character is a byte.",
        says="characters were counted",
        code="""\
def compression(tokenize, text, specials=(), unknown=()):
    tokens = [token for token in tokenize(text) if token not in specials]
    return {
        "bytes_per_token": len(text) / len(tokens),
        "fertility": len(tokens) / len(text.split()),
        "oov_rate": sum(token in unknown for token in tokens) / len(tokens),
    }
""",
    ),
    Mistake(
        exercise="compression",
        name="upside down",
        belief="The fewer tokens for a byte, the better; so divide tokens by bytes.",
        says="tokens per byte",
        code="""\
def compression(tokenize, text, specials=(), unknown=()):
    tokens = [token for token in tokenize(text) if token not in specials]
    return {
        "bytes_per_token": len(tokens) / len(text.encode()),
        "fertility": len(tokens) / len(text.split()),
        "oov_rate": sum(token in unknown for token in tokens) / len(tokens),
    }
""",
    ),
    Mistake(
        exercise="compression",
        name="counts special tokens",
        belief="What the tokenizer returns is what counts.",
        says="special tokens stand for no text",
        code="""\
def compression(tokenize, text, specials=(), unknown=()):
    tokens = tokenize(text)
    return {
        "bytes_per_token": len(text.encode()) / len(tokens),
        "fertility": len(tokens) / len(text.split()),
        "oov_rate": sum(token in unknown for token in tokens) / len(tokens),
    }
""",
    ),
    Mistake(
        exercise="compression",
        name="splits at single spaces",
        belief="split() and split(' ') do the same.",
        says="makes empty words of double spaces",
        code="""\
def compression(tokenize, text, specials=(), unknown=()):
    tokens = [token for token in tokenize(text) if token not in specials]
    return {
        "bytes_per_token": len(text.encode()) / len(tokens),
        "fertility": len(tokens) / len(text.split(" ")),
        "oov_rate": sum(token in unknown for token in tokens) / len(tokens),
    }
""",
    ),
    Mistake(
        exercise="compression",
        name="different unknown tokens",
        belief="The rate says how many kinds of tokens are unknown.",
        says="every unknown token counts",
        code="""\
def compression(tokenize, text, specials=(), unknown=()):
    tokens = [token for token in tokenize(text) if token not in specials]
    return {
        "bytes_per_token": len(text.encode()) / len(tokens),
        "fertility": len(tokens) / len(text.split()),
        "oov_rate": len(set(tokens) & set(unknown)) / len(tokens),
    }
""",
    ),
    # -------------------------------------------------------------------------------------- 2.6 embedding
    Mistake(
        exercise="embedding",
        name="assigns instead of adding",
        belief="Each token's column gets the gradient of its place.",
        says="assignment forgets",
        code="""\
def embed_onehot(input_ids, weight):
    return torch.eye(weight.shape[1], dtype=weight.dtype)[input_ids] @ weight.T


def embed_gradient(input_ids, upstream, vocab_size):
    gradient = torch.zeros(upstream.shape[-1], vocab_size, dtype=upstream.dtype)
    gradient[:, input_ids.flatten()] = upstream.flatten(0, 1).T
    return gradient
""",
    ),
    Mistake(
        exercise="embedding",
        name="averages over repeats",
        belief="A token that occurs often must not learn faster, so its gradient is the mean.",
        says="a shared parameter gets the sum",
        code="""\
def embed_onehot(input_ids, weight):
    return torch.eye(weight.shape[1], dtype=weight.dtype)[input_ids] @ weight.T


def embed_gradient(input_ids, upstream, vocab_size):
    onehot = torch.eye(vocab_size, dtype=upstream.dtype)[input_ids].flatten(0, 1)
    return upstream.flatten(0, 1).T @ onehot / onehot.sum(0).clamp(min=1)
""",
    ),
    Mistake(
        exercise="embedding",
        name="averages over the batch",
        belief="Gradients are means over the batch.",
        says="divided by the size of the batch",
        code="""\
def embed_onehot(input_ids, weight):
    return torch.eye(weight.shape[1], dtype=weight.dtype)[input_ids] @ weight.T


def embed_gradient(input_ids, upstream, vocab_size):
    onehot = torch.eye(vocab_size, dtype=upstream.dtype)[input_ids]
    return torch.einsum("bsd,bsv->bdv", upstream, onehot).mean(0)
""",
    ),
    Mistake(
        exercise="embedding",
        name="takes rows",
        belief="The table has one row for each token, as nn.Embedding's has.",
        says="rows were taken",
        code="""\
def embed_onehot(input_ids, weight):
    return weight[input_ids]


def embed_gradient(input_ids, upstream, vocab_size):
    onehot = torch.eye(vocab_size, dtype=upstream.dtype)[input_ids]
    return upstream.flatten(0, 1).T @ onehot.flatten(0, 1)
""",
    ),
    Mistake(
        exercise="embedding",
        name="cuts the graph",
        belief="Looking up needs the numbers only, so take them out of the graph.",
        says="the graph was cut",
        code="""\
def embed_onehot(input_ids, weight):
    return torch.tensor(weight.detach().numpy().T[input_ids.numpy()])


def embed_gradient(input_ids, upstream, vocab_size):
    onehot = torch.eye(vocab_size, dtype=upstream.dtype)[input_ids]
    return upstream.flatten(0, 1).T @ onehot.flatten(0, 1)
""",
    ),
    # -------------------------------------------------------------------------------------- 2.7 analogies
    Mistake(
        exercise="analogy",
        name="does not exclude",
        belief="The nearest vector is the answer, whichever word it is.",
        says="a word of the question is among the answers",
        code="""\
def analogy(embeddings, a, b, c, k=5, exclude=True):
    rows = embeddings / embeddings.norm(dim=-1, keepdim=True)
    return (rows @ (rows[b] - rows[a] + rows[c])).argsort(descending=True, stable=True)[:k].tolist()
""",
    ),
    Mistake(
        exercise="analogy",
        name="leaves out c only",
        belief="Only the third word could be its own answer.",
        says="a word of the question is among the answers",
        code="""\
def analogy(embeddings, a, b, c, k=5, exclude=True):
    rows = embeddings / embeddings.norm(dim=-1, keepdim=True)
    order = (rows @ (rows[b] - rows[a] + rows[c])).argsort(descending=True, stable=True).tolist()
    return [token for token in order if not (exclude and token == c)][:k]
""",
    ),
    Mistake(
        exercise="analogy",
        name="dot products",
        belief="A large product means a small angle.",
        says="dot products favour long rows",
        code="""\
def analogy(embeddings, a, b, c, k=5, exclude=True):
    closeness = embeddings @ (embeddings[b] - embeddings[a] + embeddings[c])
    order = closeness.argsort(descending=True, stable=True).tolist()
    return [token for token in order if not (exclude and token in (a, b, c))][:k]
""",
    ),
    Mistake(
        exercise="analogy",
        name="normalises too late",
        belief="A cosine normalises at the end, so the sum can use the vectors as they are.",
        says="rows must have length 1 before they are added",
        code="""\
def analogy(embeddings, a, b, c, k=5, exclude=True):
    target = embeddings[b] - embeddings[a] + embeddings[c]
    cosine = torch.nn.functional.cosine_similarity(embeddings, target[None])
    order = cosine.argsort(descending=True, stable=True).tolist()
    return [token for token in order if not (exclude and token in (a, b, c))][:k]
""",
    ),
    Mistake(
        exercise="analogy",
        name="the sign",
        belief="king - man + woman: the first word minus the second plus the third, so a - b + c.",
        says="the sign: b - a + c is asked, not a - b + c",
        code="""\
def analogy(embeddings, a, b, c, k=5, exclude=True):
    rows = embeddings / embeddings.norm(dim=-1, keepdim=True)
    order = (rows @ (rows[a] - rows[b] + rows[c])).argsort(descending=True, stable=True).tolist()
    return [token for token in order if not (exclude and token in (a, b, c))][:k]
""",
    ),
    Mistake(
        exercise="analogy",
        name="cuts before it excludes",
        belief="Take the k nearest, then drop the words of the question.",
        says="answers came back",
        code="""\
def analogy(embeddings, a, b, c, k=5, exclude=True):
    rows = embeddings / embeddings.norm(dim=-1, keepdim=True)
    order = (rows @ (rows[b] - rows[a] + rows[c])).argsort(descending=True, stable=True)[:k].tolist()
    return [token for token in order if not (exclude and token in (a, b, c))]
""",
    ),
]
