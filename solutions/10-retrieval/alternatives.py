"""Right answers of chapter 10 written in other ways; each must get full marks."""

from grader.hidden import Alternative

ALTERNATIVES = [
    Alternative(
        "chunk-text",
        "starts from a range",
        """\
def chunk_text(ids, size, overlap):
    if size < 1 or overlap < 0 or overlap >= size:
        raise ValueError("windows would not advance")
    if not ids:
        return []
    last = max(len(ids) - overlap, 1)
    return [ids[start : start + size] for start in range(0, last, size - overlap)]
""",
    ),
    Alternative(
        "chunk-text",
        "recursion on what is left",
        """\
def chunk_text(ids, size, overlap):
    if not (0 <= overlap < size):
        raise ValueError(f"overlap {overlap} does not suit size {size}")
    if len(ids) <= size:
        return [[*ids]] if ids else []
    return [[*ids[:size]]] + chunk_text(ids[size - overlap :], size, overlap)
""",
    ),
    Alternative(
        "encode",
        "longest first, einsum, written into a table",
        """\
def encode(texts, tokenizer, model, batch_size):
    found = tokenizer.encode_batch(texts)
    lengths = np.array([len(one.ids) for one in found])
    order = np.argsort(-lengths, kind="stable")
    out = None
    for part in np.split(order, range(batch_size, len(order), batch_size)) if len(order) else []:
        ids = torch.ones(len(part), int(lengths[part].max()), dtype=torch.long)
        mask = torch.zeros_like(ids, dtype=torch.bool)
        for row, place in enumerate(part):
            ids[row, : lengths[place]] = torch.tensor(found[place].ids)
            mask[row, : lengths[place]] = True
        with torch.inference_mode():
            sums = torch.einsum("bsd,bs->bd", model(ids, mask), mask.float())
        if out is None:
            out = torch.empty(len(order), sums.shape[1])
        out[torch.from_numpy(part)] = sums / sums.norm(dim=1, keepdim=True)
    return torch.empty(0, 0) if out is None else out
""",
    ),
    Alternative(
        "encode",
        "sorted back with the inverse order",
        """\
@torch.no_grad()
def encode(texts, tokenizer, model, batch_size):
    if not texts:
        return torch.zeros((0, 1))
    pairs = sorted(enumerate(tokenizer.encode_batch(texts)), key=lambda pair: len(pair[1].ids))
    parts = []
    for at in range(0, len(pairs), batch_size):
        rows = [encoding.ids for _, encoding in pairs[at : at + batch_size]]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        mask = torch.tensor([[True] * len(row) + [False] * (longest - len(row)) for row in rows])
        states = model(ids, mask).masked_fill(~mask.unsqueeze(-1), 0)
        parts.append(F.normalize(states.sum(1), dim=-1))
    back = torch.tensor([place for place, _ in pairs]).argsort()
    return torch.cat(parts)[back]
""",
    ),
    Alternative(
        "dense-index",
        "a dictionary of plain lists",
        """\
class DenseIndex:
    def __init__(self):
        self.rows = {}

    def __len__(self):
        return len(self.rows)

    def add(self, ids, vectors):
        for name, vector in zip(ids, vectors.tolist()):
            size = math.sqrt(sum(x * x for x in vector))
            self.rows[name] = [x / size if size else 0.0 for x in vector]

    def search(self, query, k):
        target = query.tolist()
        size = math.sqrt(sum(x * x for x in target)) or 1.0
        scored = [(-sum(a * b for a, b in zip(row, target)) / size, name) for name, row in self.rows.items()]
        return [(name, -score) for score, name in sorted(scored)[:k]]
""",
    ),
    Alternative(
        "dense-index",
        "numpy rows, scaled when searched",
        """\
class DenseIndex:
    def __init__(self):
        self.place, self.table = {}, None

    def __len__(self):
        return len(self.place)

    def add(self, ids, vectors):
        rows = np.array(vectors.numpy(), dtype=np.float64)
        for name, row in zip(ids, rows):
            if name in self.place:
                self.table[self.place[name]] = row
            else:
                self.place[name] = len(self.place)
                self.table = row[None].copy() if self.table is None else np.vstack([self.table, row])

    def search(self, query, k):
        if self.table is None:
            return []
        q = query.numpy().astype(np.float64)
        sizes = np.linalg.norm(self.table, axis=1) * np.linalg.norm(q)
        scores = np.divide(self.table @ q, sizes, out=np.zeros(len(sizes)), where=sizes > 0)
        names = sorted(self.place)
        order = np.argsort([-scores[self.place[name]] for name in names], kind="stable")[:k]
        return [(names[i], float(scores[self.place[names[i]]])) for i in order]
""",
    ),
    Alternative(
        "bm25",
        "a table of counts",
        """\
def bm25(query, docs, k1=1.2, b=0.75):
    if not docs or not query:
        return np.zeros(len(docs))
    counts = np.array([[doc.count(word) for word in query] for doc in docs], dtype=float)
    lengths = np.array([len(doc) for doc in docs], dtype=float)
    holding = (counts > 0).sum(axis=0)
    weights = np.log1p((len(docs) - holding + 0.5) / (holding + 0.5))
    relative = lengths / lengths.mean() if lengths.any() else lengths
    norms = k1 * (1 - b + b * relative)[:, None]
    bent = np.divide(counts * (k1 + 1), counts + norms, out=np.zeros_like(counts), where=counts > 0)
    return bent @ weights
""",
    ),
    Alternative(
        "bm25",
        "lists of places for each word",
        """\
def bm25(query, docs, k1=1.2, b=0.75):
    places = {word: {} for word in query}
    for at, doc in enumerate(docs):
        for word in doc:
            if word in places:
                places[word][at] = places[word].get(at, 0) + 1
    scores = torch.zeros(len(docs), dtype=torch.float64)
    mean = sum(len(doc) for doc in docs) / max(len(docs), 1)
    for word, times in Counter(query).items():
        n = len(places[word])
        idf = math.log((len(docs) + 1) / (n + 0.5))
        for at, f in places[word].items():
            scores[at] += times * idf * (k1 + 1) / (1 + k1 * (1 - b + b * len(docs[at]) / mean) / f)
    return scores
""",
    ),
    Alternative(
        "rrf",
        "id by id",
        """\
def rrf(rankings, k=60):
    names = sorted({name for ranking in rankings for name in ranking})
    scored = []
    for name in names:
        total = sum(1.0 / (k + 1 + list(ranking).index(name)) for ranking in rankings if name in ranking)
        scored.append((name, total))
    scored.sort(key=lambda pair: pair[1], reverse=True)
    return scored
""",
    ),
    Alternative(
        "rrf",
        "a Counter of shares",
        """\
def rrf(rankings, k=60):
    total = Counter()
    for ranking in rankings:
        total.update({name: 1 / rank for rank, name in enumerate(ranking, k + 1)})
    order = sorted(total, key=lambda name: (-total[name], name))
    return [(name, total[name]) for name in order]
""",
    ),
    Alternative(
        "metrics",
        "a row of gains",
        """\
def retrieval_metrics(ranked, relevant, k):
    gains = np.array([name in relevant for name in ranked[:k]], dtype=float)
    if not gains.any():
        return dict.fromkeys(("recall", "mrr", "ndcg"), 0.0)
    discounts = 1 / np.log2(np.arange(max(len(gains), len(relevant))) + 2)
    ideal = discounts[: min(k, len(relevant))].sum()
    return {
        "recall": gains.sum() / len(relevant),
        "mrr": 1 / (gains.argmax() + 1),
        "ndcg": gains @ discounts[: len(gains)] / ideal,
    }
""",
    ),
    Alternative(
        "metrics",
        "one walk down the ranking",
        """\
def retrieval_metrics(ranked, relevant, k):
    found, first, gain = 0, 0.0, 0.0
    for place in range(min(k, len(ranked))):
        if ranked[place] in relevant:
            found += 1
            first = first or 1 / (place + 1)
            gain += math.log(2) / math.log(place + 2)
    best = sum(math.log(2) / math.log(place + 2) for place in range(min(k, len(relevant))))
    return {"ndcg": gain / best if best else 0.0, "mrr": first, "recall": found / len(relevant) if relevant else 0.0}
""",
    ),
    Alternative(
        "rag-prompt",
        "the prompt grows line by line",
        """\
def rag_prompt(question, passages, budget, count):
    end = f"Question: {question}\\nAnswer:"
    prompt, body, used, seen = f"{INSTRUCTION}\\n\\n{end}", "", [], {""}
    if count(prompt) > budget:
        raise ValueError("the question does not fit")
    for number in range(len(passages)):
        text = re.sub(r"\\s+", " ", passages[number]).strip()
        if text in seen:
            continue
        longer = body + f"[{len(used) + 1}] {text}\\n"
        trial = f"{INSTRUCTION}\\n\\n{longer}\\n{end}"
        if not count(trial) > budget:
            prompt, body = trial, longer
            used.append(number)
            seen.add(text)
    return prompt, used
""",
    ),
    Alternative(
        "rag-prompt",
        "numbers of passages, laid out again each time",
        """\
def rag_prompt(question, passages, budget, count):
    clean = [" ".join(passage.split()) for passage in passages]

    def whole(numbers):
        prompt = INSTRUCTION + "\\n\\n"
        for shown, number in enumerate(numbers):
            prompt += f"[{shown + 1}] {clean[number]}\\n"
        return prompt + ("\\n" if numbers else "") + "Question: " + question + "\\nAnswer:"

    if count(whole([])) > budget:
        raise ValueError(f"{question!r} is longer than {budget}")
    used = []
    for number, text in enumerate(clean):
        repeated = any(clean[other] == text for other in used)
        if text and not repeated and count(whole(used + [number])) <= budget:
            used = used + [number]
    return whole(used), used
""",
    ),
    Alternative(
        "abstain",
        "all scores, then the largest",
        """\
def answer_or_abstain(question, passages, score, threshold):
    sentences = [sentence for passage in passages for sentence in sentences_of(passage)]
    scores = [score(question, sentence) for sentence in sentences]
    if not scores or max(scores) < threshold:
        return None
    return sentences[scores.index(max(scores))]
""",
    ),
    Alternative(
        "abstain",
        "max with a default",
        """\
def answer_or_abstain(question, passages, score, threshold):
    pairs = ((score(question, s), s) for text in passages for s in sentences_of(text))
    best = max(pairs, key=lambda pair: pair[0], default=None)
    if best is None or best[0] < threshold:
        return None
    return best[1]
""",
    ),
]

LIBRARY = {
    "chunk-text": "byhand.retrieval:chunk_text",
    "encode": "byhand.retrieval:encode",
    "dense-index": "byhand.retrieval:DenseIndex",
    "bm25": "byhand.retrieval:bm25",
    "rrf": "byhand.retrieval:rrf",
    "metrics": "byhand.retrieval:retrieval_metrics",
    "rag-prompt": "byhand.retrieval:rag_prompt",
    "abstain": "byhand.retrieval:answer_or_abstain",
}
"""Where the library answers each exercise: its own functions must get full marks too."""
