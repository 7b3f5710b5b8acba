"""Wrong answers that people really give in chapter 10, each with the words that must catch it.

The `belief` of each is what the page lists under "Common mistakes". For every exercise at least one of them
passes the visible checks: those are examples, and an example cannot show everything.
"""

from grader.hidden import Mistake

CHUNK = """\
def chunk_text(ids, size, overlap):
    {refuse}
    step = size - overlap
    starts = {starts}
    return [list(ids[start : start + size]) for start in starts]
"""


def chunk(
    starts: str = "range(0, max(len(ids) - overlap, 1), step) if ids else ()",
    refuse: str = "if not 0 <= overlap < size: raise ValueError('no')",
) -> str:
    """The reference with one expression replaced."""
    return CHUNK.format(starts=starts, refuse=refuse)


ENCODE = """\
def encode(texts, tokenizer, model, batch_size):
    rows = [torch.tensor(one.ids) for one in tokenizer.encode_batch(list(texts))]
    order = {order}
    vectors = {{}}
    for at in range(0, len(order), batch_size):
        places = order[at : at + batch_size]
        lengths = torch.tensor([len(rows[place]) for place in places])
        ids = nn.utils.rnn.pad_sequence([rows[place] for place in places], batch_first=True)
        mask = {mask}
        {guard}:
            states = model(ids, mask)
        means = {means}
        vectors.update(zip({keys}, {scaled}))
    if not rows:
        return torch.zeros(0, 0)
    return {back}
"""


def encoding(
    order: str = "sorted(range(len(rows)), key=lambda place: len(rows[place]))",
    mask: str = "torch.arange(ids.shape[1]) < lengths[:, None]",
    guard: str = "with torch.no_grad()",
    means: str = "(states * mask[:, :, None]).sum(1) / lengths[:, None]",
    keys: str = "places",
    scaled: str = "F.normalize(means, dim=1)",
    back: str = "torch.stack([vectors[place] for place in range(len(rows))])",
) -> str:
    """The reference with one expression replaced."""
    return ENCODE.format(order=order, mask=mask, guard=guard, means=means, keys=keys, scaled=scaled, back=back)


INDEX = """\
class DenseIndex:
    def __init__(self):
        self.vector_of = {{}}

    def __len__(self):
        return len(self.vector_of)

    def add(self, ids, vectors):
        for name, vector in zip(ids, {stored}):
            {put}

    def search(self, query, k):
        {empty}
        names = list(self.vector_of)
        scores = {scores}
        hits = list(zip(names, scores.tolist()))
        return {found}
"""


def index(
    stored: str = "F.normalize(vectors.double(), dim=1)",
    put: str = "self.vector_of[name] = vector",
    empty: str = "if not self.vector_of: return []",
    scores: str = "torch.stack(list(self.vector_of.values())) @ F.normalize(query.double(), dim=0)",
    found: str = "sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:k]",
) -> str:
    """The reference with one expression replaced."""
    return INDEX.format(stored=stored, put=put, empty=empty, scores=scores, found=found)


WORDS = """\
def bm25(query, docs, k1=1.2, b=0.75):
    scores = [0.0] * len(docs)
    lengths = [len(doc) for doc in docs]
    mean = {mean}
    for word in {words}:
        counts = [doc.count(word) for doc in docs]
        n = {holding}
        weight = {weight}
        for place, f in enumerate(counts):
            if f:
                norm = {norm}
                scores[place] += weight * {bent}
    return scores
"""


def words(
    mean: str = "sum(lengths) / max(len(docs), 1)",
    words: str = "query",
    holding: str = "sum(count > 0 for count in counts)",
    weight: str = "math.log(1 + (len(docs) - n + 0.5) / (n + 0.5))",
    norm: str = "k1 * (1 - b + b * lengths[place] / mean)",
    bent: str = "f * (k1 + 1) / (f + norm)",
) -> str:
    """The reference with one expression replaced."""
    return WORDS.format(mean=mean, words=words, holding=holding, weight=weight, norm=norm, bent=bent)


FUSE = """\
def rrf(rankings, k=60):
    scores = {{}}
    for ranking in rankings:
        for rank, name in enumerate(ranking, start={first}):
            scores[name] = {score}
    return sorted(scores.items(), key={key})
"""


def fuse(
    first: str = "1",
    score: str = "scores.get(name, 0.0) + 1 / (k + rank)",
    key: str = "lambda entry: (-entry[1], entry[0])",
) -> str:
    """The reference with one expression replaced."""
    return FUSE.format(first=first, score=score, key=key)


METRICS = """\
def retrieval_metrics(ranked, relevant, k):
    wanted = set(relevant)
    ranks = [rank for rank, name in enumerate({seen}, start=1) if name in wanted]
    if {nothing}:
        return {{"recall": 0.0, "mrr": 0.0, "ndcg": 0.0}}
    best = {best}
    return {{"recall": {recall}, "mrr": {mrr}, "ndcg": sum({gain} for rank in ranks) / best}}
"""


def metrics(
    seen: str = "ranked[:k]",
    nothing: str = "not ranks",
    best: str = "sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(wanted)) + 1))",
    recall: str = "len(ranks) / len(wanted)",
    mrr: str = "1 / ranks[0]",
    gain: str = "1 / math.log2(rank + 1)",
) -> str:
    """The reference with one expression replaced."""
    return METRICS.format(seen=seen, nothing=nothing, best=best, recall=recall, mrr=mrr, gain=gain)


PROMPT = """\
def rag_prompt(question, passages, budget, count):
    def lay_out(numbers):
        lines = [f"[{label}] {{' '.join(passages[number].split())}}" for at, number in enumerate(numbers, start=1)]
        middle = ["\\n".join(lines)] if lines else []
        return "\\n\\n".join([INSTRUCTION, *middle, f"Question: {{question}}\\nAnswer:"])

    if count(lay_out([])) > budget:
        {refuse}
    used, seen = [], set()
    for number, passage in enumerate(passages):
        text = {text}
        if {skip}:
            continue
        if {fits}:
            used.append(number)
            seen.add(text)
        {otherwise}
    return {result}
"""


def prompt(
    label: str = "{at}",
    refuse: str = "raise ValueError('the question does not fit')",
    text: str = "' '.join(passage.split())",
    skip: str = "not text or text in seen",
    fits: str = "count(lay_out([*used, number])) <= budget",
    otherwise: str = "",
    result: str = "lay_out(used), used",
) -> str:
    """The reference with one expression replaced."""
    return PROMPT.format(
        label=label, refuse=refuse, text=text, skip=skip, fits=fits, otherwise=otherwise, result=result
    )


ABSTAIN = """\
def answer_or_abstain(question, passages, score, threshold):
    best, reached = None, {start}
    for passage in passages:
        for sentence in {sentences}:
            value = {value}
            if value {beats} reached:
                best, reached = sentence, value
    return {result}
"""


def abstain(
    start: str = "-math.inf",
    sentences: str = "sentences_of(passage)",
    value: str = "score(question, sentence)",
    beats: str = ">",
    result: str = "best if best is not None and reached >= threshold else None",
) -> str:
    """The reference with one expression replaced."""
    return ABSTAIN.format(start=start, sentences=sentences, value=value, beats=beats, result=result)


MISTAKES = [
    # --------------------------------------------------------------------------------- 10.1 windows
    Mistake(
        exercise="chunk-text",
        name="drops the tail",
        belief="A window that is not full is no window.",
        says="the tail is in no window",
        code=chunk("range(0, len(ids) - size + 1, step)"),
    ),
    Mistake(
        exercise="chunk-text",
        name="a last window with nothing new",
        belief="Windows start at every multiple of the step that lies inside the text.",
        says="the last window holds nothing new",
        code=chunk("range(0, len(ids), step)"),
    ),
    Mistake(
        exercise="chunk-text",
        name="no overlap",
        belief="The overlap is a matter of the search, not of the cutting.",
        says="the windows do not overlap",
        code=chunk("range(0, len(ids), size)"),
    ),
    Mistake(
        exercise="chunk-text",
        name="the last one moved back",
        belief="All windows should be equally long, so the last one starts a bit earlier.",
        says="the last window was moved back to be full",
        code=chunk("sorted({*range(0, len(ids) - size + 1, step), max(len(ids) - size, 0)}) if ids else ()"),
    ),
    Mistake(
        exercise="chunk-text",
        name="does not refuse",
        belief="Who asks for an overlap above the size gets what he asked for.",
        says="no window gets on",
        code=chunk().replace(
            "if not 0 <= overlap < size: raise ValueError('no')", "overlap = max(min(overlap, size - 1), 0)"
        ),
    ),
    # --------------------------------------------------------------------------------- 10.2 encoding
    Mistake(
        exercise="encode",
        name="padding in the mean",
        belief="Padding is attended to by nobody, so its states do no harm.",
        says="padding is in the mean",
        code=encoding(means="states.mean(1)"),
    ),
    Mistake(
        exercise="encode",
        name="the order is lost",
        belief="The vectors come out in the order in which they were computed.",
        says="the rows stand in another order",
        code=encoding(back="torch.stack(list(vectors.values()))"),
    ),
    Mistake(
        exercise="encode",
        name="not scaled",
        belief="The mean is the embedding; lengths are the business of the search.",
        says="the rows have not length 1",
        code=encoding(scaled="means"),
    ),
    Mistake(
        exercise="encode",
        name="the states scaled, not their mean",
        belief="When every state has length 1, so has their mean.",
        says="before the mean; scale the mean",
        code=encoding(
            means="(F.normalize(states, dim=2) * mask[:, :, None]).sum(1) / lengths[:, None]",
        ),
    ),
    Mistake(
        exercise="encode",
        name="the first token",
        belief="The first token stands for the text.",
        says="only the first token's state",
        code=encoding(means="states[:, 0]"),
    ),
    Mistake(
        exercise="encode",
        name="every place is real",
        belief="The model knows its padding by itself.",
        says="the mask that the model got is True at padding",
        code=encoding(
            mask="torch.ones(ids.shape, dtype=torch.bool)",
            means="(states * (torch.arange(ids.shape[1]) < lengths[:, None])[:, :, None]).sum(1)",
        ),
    ),
    Mistake(
        exercise="encode",
        name="batches as the texts come",
        belief="Sorting is only for looks: the mask takes care of padding.",
        says="batch texts of similar length together",
        code=encoding(order="list(range(len(rows)))"),
    ),
    Mistake(
        exercise="encode",
        name="a call for every text",
        belief="One text at a time needs no padding at all.",
        says="fill every batch but one",
        code=encoding().replace("batch_size", "1").replace("model, 1)", "model, batch_size)"),
    ),
    Mistake(
        exercise="encode",
        name="carries a gradient",
        belief="Nobody calls backward, so nothing is recorded.",
        says="the vectors carry a gradient",
        code=encoding(guard="if True"),
    ),
    # --------------------------------------------------------------------------------- 10.3 the index
    Mistake(
        exercise="dense-index",
        name="inner products",
        belief="The product with the query says how alike two vectors are.",
        says="inner products favour long vectors",
        code=index(stored="vectors.double()"),
    ),
    Mistake(
        exercise="dense-index",
        name="Euclidean distance",
        belief="Near is near: take the distance.",
        says="Euclidean distances of vectors of unlike length",
        code=index(
            stored="vectors.double()",
            scores="-torch.cdist(torch.stack(list(self.vector_of.values())), query.double()[None])[:, 0]",
        ),
    ),
    Mistake(
        exercise="dense-index",
        name="the query is not scaled",
        belief="The length of the query changes no order, so it can stay.",
        says="the scores are not cosines",
        code=index(scores="torch.stack(list(self.vector_of.values())) @ query.double()"),
    ),
    Mistake(
        exercise="dense-index",
        name="keeps the first vector of an id",
        belief="What is there already need not be stored again.",
        says="an id that is there gets the new vector",
        code=index(put="self.vector_of.setdefault(name, vector)"),
    ),
    Mistake(
        exercise="dense-index",
        name="row numbers",
        belief="An index answers with the number of the row.",
        says="no ids that were added",
        code=index().replace("names = list(self.vector_of)", "names = list(range(len(self.vector_of)))"),
    ),
    Mistake(
        exercise="dense-index",
        name="ties by insertion",
        belief="A stable sort leaves ties in a good order.",
        says="of equal scores the smaller id comes first",
        code=index(found="sorted(hits, key=lambda hit: -hit[1])[:k]"),
    ),
    Mistake(
        exercise="dense-index",
        name="as found",
        belief="The k best are returned; whoever wants them sorted can sort them.",
        says="sorted by their score",
        code=index(found="[hit for hit in hits if hit in sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:k]]"),
    ),
    Mistake(
        exercise="dense-index",
        name="nan from a zero vector",
        belief="Dividing by the length brings every vector to length 1.",
        says="a vector of zeros has no direction",
        code=index(stored="vectors.double() / vectors.double().norm(dim=1, keepdim=True)"),
    ),
    Mistake(
        exercise="dense-index",
        name="keeps the caller's tensor",
        belief="Scaling can wait until the search; until then the rows are only noted down.",
        says="the index changes when the caller's tensor does",
        code=index(
            stored="vectors",
            scores="F.normalize(torch.stack(list(self.vector_of.values())).double(), dim=1) "
            "@ F.normalize(query.double(), dim=0)",
        ),
    ),
    # --------------------------------------------------------------------------------- 10.4 BM25
    Mistake(
        exercise="bm25",
        name="a negative weight",
        belief="The weight is the logarithm of the documents without the word over those with it.",
        says="got a weight below 0",
        code=words(weight="math.log((len(docs) - n + 0.5) / (n + 0.5))"),
    ),
    Mistake(
        exercise="bm25",
        name="no length norm",
        belief="A count is a count, however long the document is.",
        says="the length of a document has no effect",
        code=words(norm="k1"),
    ),
    Mistake(
        exercise="bm25",
        name="counts not bent",
        belief="Twice as many occurrences are worth twice as much.",
        says="further occurrences must help less and less",
        code=words(bent="f"),
    ),
    Mistake(
        exercise="bm25",
        name="the query as a set",
        belief="A word is in the query or it is not.",
        says="a word that the query repeats counts again",
        code=words(words="dict.fromkeys(query)"),
    ),
    Mistake(
        exercise="bm25",
        name="occurrences for documents",
        belief="How frequent a word is, is the number of its occurrences.",
        says="n is the number of documents that hold the word",
        code=words(holding="sum(counts)", weight="math.log(1 + (len(docs) - min(n, len(docs)) + 0.5) / (n + 0.5))"),
    ),
    Mistake(
        exercise="bm25",
        name="empty documents left out of the mean",
        belief="A document without words has no length.",
        says="an empty document counts for the mean length",
        code=words(mean="sum(lengths) / max(sum(length > 0 for length in lengths), 1)"),
    ),
    Mistake(
        exercise="bm25",
        name="k1 and b fixed",
        belief="k1 is 1.2 and b is 0.75.",
        says="k1 and b have no effect",
        code=words(norm="1.2 * (0.25 + 0.75 * lengths[place] / mean)", bent="f * 2.2 / (f + norm)"),
    ),
    # --------------------------------------------------------------------------------- 10.5 fusion
    Mistake(
        exercise="rrf",
        name="ranks from 0",
        belief="enumerate counts the ranks.",
        says="the ranks are counted from 0",
        code=fuse(first="0"),
    ),
    Mistake(
        exercise="rrf",
        name="the best rank only",
        belief="A document is as good as its best place.",
        says="only the best rank of an id counts",
        code=fuse(score="max(scores.get(name, 0.0), 1 / (k + rank))"),
    ),
    Mistake(
        exercise="rrf",
        name="sum of ranks",
        belief="The ranks are summed; the smallest sum wins.",
        says="ranks were summed",
        code=fuse(score="scores.get(name, 0.0) + rank", key="lambda entry: (entry[1], entry[0])"),
    ),
    Mistake(
        exercise="rrf",
        name="60 whatever k is",
        belief="The constant of the method is 60.",
        says="k has no effect",
        code=fuse(score="scores.get(name, 0.0) + 1 / (60 + rank)"),
    ),
    Mistake(
        exercise="rrf",
        name="ties as they came",
        belief="Of equal scores the first seen may stay in front.",
        says="of equal scores the smaller id comes first",
        code=fuse(key="lambda entry: -entry[1]"),
    ),
    # --------------------------------------------------------------------------------- 10.6 metrics
    Mistake(
        exercise="metrics",
        name="precision",
        belief="Of k places, how many are right?",
        says="that is precision",
        code=metrics(recall="len(ranks) / k"),
    ),
    Mistake(
        exercise="metrics",
        name="ranks from 0",
        belief="The first place has number 0, so the second is worth 1.",
        says="the ranks are counted from 0",
        code=metrics(mrr="1 / (ranks[0] - 1) if ranks[0] > 1 else 1.0"),
    ),
    Mistake(
        exercise="metrics",
        name="no ideal",
        belief="The discounted sum is the score.",
        says="not divided by what the best order gets",
        code=metrics(best="1"),
    ),
    Mistake(
        exercise="metrics",
        name="an ideal longer than k",
        belief="The best order has all relevant documents in it.",
        says="the best order has no more than k places",
        code=metrics(best="sum(1 / math.log2(rank + 1) for rank in range(1, len(wanted) + 1))"),
    ),
    Mistake(
        exercise="metrics",
        name="an ideal of what was found",
        belief="The best order is the found ones, put in front.",
        says="the best order holds relevant ids that were not found",
        code=metrics(best="sum(1 / math.log2(rank + 1) for rank in range(1, len(ranks) + 1))"),
    ),
    Mistake(
        exercise="metrics",
        name="ranks behind k",
        belief="k is for the recall; a first hit is a first hit.",
        says="nothing relevant is found",
        code=metrics(
            seen="ranked",
            best="sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(wanted)) + 1))",
            recall="sum(rank <= k for rank in ranks) / len(wanted)",
            gain="(rank <= k) / math.log2(rank + 1)",
        ),
    ),
    Mistake(
        exercise="metrics",
        name="the mean reciprocal rank of all",
        belief="The mean in MRR is over the relevant documents.",
        says="a mean over all relevant ids",
        code=metrics(mrr="sum(1 / rank for rank in ranks) / len(ranks)"),
    ),
    # --------------------------------------------------------------------------------- 10.7 the prompt
    Mistake(
        exercise="rag-prompt",
        name="counts the passages only",
        belief="The budget is for the passages.",
        says="more than the budget",
        code=prompt(
            fits="sum(count(passages[other]) for other in [*used, number]) <= budget - count(lay_out([]))",
        ),
    ),
    Mistake(
        exercise="rag-prompt",
        name="cuts the question",
        belief="A prompt that is too long is cut at its end.",
        says="the question was cut",
        code=prompt(refuse="return lay_out([])[: -len(question) // 2], []"),
    ),
    Mistake(
        exercise="rag-prompt",
        name="names dropped passages",
        belief="What was retrieved is what is cited.",
        says="names passages that are not in the prompt",
        code=prompt(
            result="(lay_out(used), [number for number, text in enumerate(passages) if text.strip() and "
            "all(text.split() != other.split() for other in passages[:number])])"
        ),
    ),
    Mistake(
        exercise="rag-prompt",
        name="stops at the first that does not fit",
        belief="Once the budget is reached, it is reached.",
        says="go on behind one that does not fit",
        code=prompt(otherwise="else:\n            break"),
    ),
    Mistake(
        exercise="rag-prompt",
        name="the number of the search",
        belief="A passage keeps the number that it had among the hits.",
        says="a passage keeps the number it had before",
        code=prompt(label="{number + 1}"),
    ),
    Mistake(
        exercise="rag-prompt",
        name="compares texts as they are",
        belief="Two texts are the same when they are equal.",
        says="repeats another, but for white space",
        code=prompt(skip="not text or any(passage == passages[other] for other in used)"),
    ),
    Mistake(
        exercise="rag-prompt",
        name="strictly below the budget",
        belief="A budget must not be used up.",
        says="a prompt of exactly the budget is allowed",
        code=prompt(fits="count(lay_out([*used, number])) < budget"),
    ),
    # --------------------------------------------------------------------------------- 10.8 abstaining
    Mistake(
        exercise="abstain",
        name="never abstains",
        belief="The best answer there is, is the answer.",
        says="an answer below the threshold",
        code=abstain(result="best"),
    ),
    Mistake(
        exercise="abstain",
        name="the best passage",
        belief="The passage that fits best is the answer.",
        says="a whole passage was returned",
        code=abstain(sentences="[passage]"),
    ),
    Mistake(
        exercise="abstain",
        name="the threshold upside down",
        belief="A low score is a safe answer.",
        says="no answer, though one is above",
        code=abstain(result="best if best is not None and reached <= threshold else None"),
    ),
    Mistake(
        exercise="abstain",
        name="above the threshold only",
        belief="A threshold must be crossed.",
        says="a score that equals the threshold",
        code=abstain(result="best if best is not None and reached > threshold else None"),
    ),
    Mistake(
        exercise="abstain",
        name="scores begin at 0",
        belief="No score is below 0.",
        says="no answer, though",
        code=abstain(start="0.0"),
    ),
    Mistake(
        exercise="abstain",
        name="the first that is good enough",
        belief="Good enough is good enough: the first sentence above the threshold is the answer.",
        says="the first sentence that reaches the threshold",
        code="""\
def answer_or_abstain(question, passages, score, threshold):
    for passage in passages:
        for sentence in sentences_of(passage):
            if score(question, sentence) >= threshold:
                return sentence
    return None
""",
    ),
    Mistake(
        exercise="abstain",
        name="the last of equals",
        belief="At least as good is better.",
        says="of equal scores the first wins",
        code=abstain(beats=">="),
    ),
]
