"""Wrong answers that people really give in chapter 6, each with the words that must catch it.

The `belief` of each is what the page lists under "Common mistakes". For every exercise at least one of them
passes the visible checks: those are examples, and an example cannot show everything.
"""

from grader.hidden import Mistake

POOL = """\
def mean_pool(hidden, mask):
    kept = {kept}
    return kept.sum(dim=1) / {count}
"""


def pool(
    kept: str = "hidden.masked_fill(~mask.unsqueeze(-1), 0.0)",
    count: str = "mask.sum(dim=1, keepdim=True).clamp(min=1)",
) -> str:
    """The reference with one expression replaced."""
    return POOL.format(kept=kept, count=count)


FREEZE = """\
def freeze(model, trainable):
    named = dict(model.named_parameters())
{refusal}    count = 0
    for name, parameter in named.items():
        learns = {learns}
{flag}
        if learns:
            count += {size}
{gradient}    return count
"""
REFUSAL = """\
    for pattern in trainable:
        if not any(re.search(pattern, name) for name in named):
            raise ValueError(pattern)
"""
FLAG = "        parameter.requires_grad = learns"
GRADIENT = """\
        else:
            parameter.grad = None
"""


def freeze(
    learns: str = "any(re.search(pattern, name) for pattern in trainable)",
    flag: str = FLAG,
    size: str = "parameter.numel()",
    gradient: str = GRADIENT,
    refusal: str = REFUSAL,
) -> str:
    """The reference with one piece replaced."""
    return FREEZE.format(learns=learns, flag=flag, size=size, gradient=gradient, refusal=refusal)


ALIGN = """\
def align_labels(word_ids, labels, all_subwords=False):
    aligned, before = [], None
    for word in word_ids:
        if {known} and word >= len(labels):
            raise ValueError("no label")
        scored = {known} and (all_subwords or {begins})
        aligned.append({label} if scored else {nothing})
        before = word
    return aligned
"""


def align(
    known: str = "word is not None",
    begins: str = "word != before",
    label: str = "labels[word]",
    nothing: str = "-100",
) -> str:
    """The reference with one expression replaced."""
    return ALIGN.format(known=known, begins=begins, label=label, nothing=nothing)


SPAN = """\
def best_span(start, end, max_len, allowed):
    best, score = None, -math.inf
    for first in range(len(start)):
        for last in range({begin}, min(first + {longest}, len(start))):
            if {forbidden}:
                {then}
            if {value} {better} score:
                best, score = (first, last), {value}
    return best
"""


def span(
    begin: str = "first",
    longest: str = "max_len",
    forbidden: str = "not allowed[last]",
    then: str = "break",
    value: str = "start[first] + end[last]",
    better: str = ">",
) -> str:
    """The reference with one expression replaced."""
    return SPAN.format(begin=begin, longest=longest, forbidden=forbidden, then=then, value=value, better=better)


FORMAT = """\
def format_nli(premise, hypothesis, ids):
{refusal}    tokens = {tokens}
    return tokens, {place}
"""
INSIDE = """\
    if set(ids.values()) & {*premise, *hypothesis}:
        raise ValueError("a special token inside")
"""


def formatted(
    tokens: str = '[ids["start"], *premise, ids["delimiter"], *hypothesis, ids["extract"]]',
    place: str = "len(tokens) - 1",
    refusal: str = INSIDE,
) -> str:
    """The reference with one expression replaced."""
    return FORMAT.format(tokens=tokens, place=place, refusal=refusal)


LAST = """\
def last_token(hidden, mask):
{refusal}    last = {last}
    return {chosen}
"""
NO_TOKEN = """\
    if not mask.any(dim=1).all():
        raise ValueError("a row has no token")
"""


def last_of(
    last: str = "(mask * torch.arange(mask.shape[1])).amax(dim=1)",
    chosen: str = "hidden[torch.arange(len(hidden)), last]",
    refusal: str = NO_TOKEN,
) -> str:
    """The reference with one expression replaced."""
    return LAST.format(last=last, chosen=chosen, refusal=refusal)


REHEARSE = """\
def rehearsal(new, old, ratio, batch, rng):
    if {refused}:
        raise ValueError(f"ratio {{ratio}}")
    wanted = {wanted}
    drawn = []
    while len(drawn) < wanted:
        drawn += {draw}
    mixed = {mixed}
    {shuffle}
    return [mixed[i : i + batch] for i in range(0, {end}, batch)]
"""


def rehearse(
    refused: str = "not 0 <= ratio < 1",
    wanted: str = "round(len(new) * ratio / (1 - ratio))",
    draw: str = "rng.sample(old, len(old))",
    mixed: str = "[*new, *drawn[:wanted]]",
    shuffle: str = "rng.shuffle(mixed)",
    end: str = "len(mixed)",
) -> str:
    """The reference with one expression replaced."""
    return REHEARSE.format(refused=refused, wanted=wanted, draw=draw, mixed=mixed, shuffle=shuffle, end=end)


GLUE = """\
def glue_metric(task, predicted, gold):
    if task not in METRICS:
        raise ValueError(task)
    if len(predicted) != len(gold) or not gold:
        raise ValueError("lengths")
    metric = METRICS[task]
    if metric == "accuracy":
        return sum(p == g for p, g in zip(predicted, gold)) / len(gold)
    tp = sum(p == 1 and g == 1 for p, g in zip(predicted, gold))
    tn = sum(p == 0 and g == 0 for p, g in zip(predicted, gold))
    fp = sum(p == 1 and g == 0 for p, g in zip(predicted, gold))
    fn = sum(p == 0 and g == 1 for p, g in zip(predicted, gold))
    if metric == "f1":
        return {f1}
    if metric == "matthews":
        size = math.sqrt((tp + fn) * (tp + fp) * (tn + fp) * (tn + fn))
        return {matthews}

    def rank(values):
        return {rank}

    a, b = ({column} for values in (predicted, gold))
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt((a @ a) * (b @ b))
    return {spearman}
"""


def glue(
    f1: str = "2 * tp / (2 * tp + fp + fn) if tp else 0.0",
    matthews: str = "(tp * tn - fp * fn) / size if size else 0.0",
    rank: str = "np.array([sum(w < v for w in values) + sum(w == v for w in values) / 2 for v in values])",
    column: str = "rank(values)",
    spearman: str = "float(a @ b) / size if size else 0.0",
) -> str:
    """The reference with one expression replaced."""
    return GLUE.format(f1=f1, matthews=matthews, rank=rank, column=column, spearman=spearman)


MISTAKES = [
    # ----------------------------------------------------------------------------- 6.1 mean pooling
    Mistake(
        "mean-pool",
        "a plain mean",
        "Padding has vectors of zeros, so it does no harm in a mean.",
        "the mean is over all places, padding too",
        "def mean_pool(hidden, mask):\n    return hidden.mean(dim=1)\n",
    ),
    Mistake(
        "mean-pool",
        "divides by seq",
        "Once padding is left out of the sum, the mean is right.",
        "the sum leaves padding out, but it is divided by seq",
        pool(count="mask.shape[1]"),
    ),
    Mistake(
        "mean-pool",
        "divides by the longest row",
        "The longest row has no padding, so its length is the number of tokens.",
        "divided by the longest row's number of tokens",
        pool(count="mask.sum(dim=1).max().clamp(min=1)"),
    ),
    Mistake(
        "mean-pool",
        "the first token",
        "The first token stands for the whole text.",
        "this is the first token's vector",
        "def mean_pool(hidden, mask):\n    return hidden[:, 0]\n",
    ),
    Mistake(
        "mean-pool",
        "multiplies by the mask",
        "Whatever is multiplied by 0 is 0.",
        "NaN times 0 is NaN",
        pool(kept="hidden * mask.unsqueeze(-1)"),
    ),
    Mistake(
        "mean-pool",
        "divides by nothing",
        "Every row has a token.",
        "a row without tokens gave NaN",
        pool(count="mask.sum(dim=1, keepdim=True)"),
    ),
    Mistake(
        "mean-pool",
        "comes back as float32",
        "A mask becomes numbers by .float().",
        "float16 came in and float32 came out",
        pool(count="mask.float().sum(dim=1, keepdim=True).clamp(min=1)"),
    ),
    Mistake(
        "mean-pool",
        "fills in place",
        "Padding means nothing, so it can be overwritten.",
        "an input was changed",
        """\
def mean_pool(hidden, mask):
    hidden.data[~mask] = 0.0
    return hidden.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)
""",
    ),
    # --------------------------------------------------------------------------------- 6.2 freezing
    Mistake(
        "freeze",
        "top level only",
        "A model consists of its children, and their names are the names.",
        "looked for anywhere in the whole dotted name",
        freeze(learns='any(re.search(pattern, name.split(".")[0] + ".") for pattern in trainable)', refusal=""),
    ),
    Mistake(
        "freeze",
        "matches at the beginning",
        "re.match finds a pattern in a name.",
        "looked for anywhere in the whole dotted name",
        freeze(learns="any(re.match(pattern, name) for pattern in trainable)"),
    ),
    Mistake(
        "freeze",
        "plain text",
        "A pattern is a part of the name.",
        "looked for anywhere in the whole dotted name",
        freeze(learns="any(pattern.replace('^', '') in name for pattern in trainable)"),
    ),
    Mistake(
        "freeze",
        "keeps old gradients",
        "Without requires_grad nothing moves.",
        "an old gradient, or one of zeros, is still there",
        freeze(gradient=""),
    ),
    Mistake(
        "freeze",
        "gradients of zero",
        "A gradient of 0 moves nothing.",
        "an old gradient, or one of zeros, is still there",
        freeze(gradient=GRADIENT.replace("= None", "= torch.zeros_like(parameter)")),
    ),
    Mistake(
        "freeze",
        "never thaws",
        "Parameters learn unless they are frozen, so only False has to be set.",
        "was frozen by an earlier call",
        freeze(flag="        if not learns:\n            parameter.requires_grad = False"),
    ),
    Mistake(
        "freeze",
        "inverted",
        "freeze gets the names of what is to be frozen.",
        "inverted: the patterns name what learns",
        freeze(flag="        parameter.requires_grad = not learns"),
    ),
    Mistake(
        "freeze",
        "counts tensors",
        "The number of parameters is how many there are in the list.",
        "this is the number of tensors",
        freeze(size="1"),
    ),
    Mistake(
        "freeze",
        "accepts misspelt names",
        "A pattern that is found nowhere trains nothing, and that is that.",
        "nothing was raised: a misspelt name",
        freeze(refusal=""),
    ),
    # ------------------------------------------------------------------------ 6.3 labels for pieces
    Mistake(
        "align-labels",
        "every piece",
        "Each piece of a name is a part of the name and gets its label.",
        "every piece is labelled",
        align(begins="True"),
    ),
    Mistake(
        "align-labels",
        "zero for special tokens",
        "Special tokens belong to the class 'nothing', which is 0.",
        "it belongs to no word",
        align(nothing="(0 if word is None else -100)"),
    ),
    Mistake(
        "align-labels",
        "in turn",
        "The first pieces come in the order of the words, so labels are handed out one by one.",
        "a word without pieces shifts all after it",
        """\
def align_labels(word_ids, labels, all_subwords=False):
    if max((word for word in word_ids if word is not None), default=-1) >= len(labels):
        raise ValueError("no label")
    aligned, before, turn = [], None, -1
    for word in word_ids:
        begins = word is not None and word != before
        turn += begins
        aligned.append(labels[turn] if word is not None and (begins or all_subwords) else -100)
        before = word
    return aligned
""",
    ),
    Mistake(
        "align-labels",
        "word 0 is false",
        "`if word` asks whether there is a word.",
        "word 0 got no label",
        """\
def align_labels(word_ids, labels, all_subwords=False):
    aligned = []
    for place, word in enumerate(word_ids):
        if word and word >= len(labels):
            raise ValueError("no label")
        aligned.append(labels[word] if word and (all_subwords or word != word_ids[place - 1]) else -100)
    return aligned
""",
    ),
    Mistake(
        "align-labels",
        "a new label is a new word",
        "A word begins where the label changes.",
        "two neighbouring words with the same label",
        """\
def align_labels(word_ids, labels, all_subwords=False):
    if max((word for word in word_ids if word is not None), default=-1) >= len(labels):
        raise ValueError("no label")
    whole = [-100 if word is None else labels[word] for word in word_ids]
    if all_subwords:
        return whole
    return [-100 if place and whole[place - 1] == label else label for place, label in enumerate(whole)]
""",
    ),
    Mistake(
        "align-labels",
        "the last piece",
        "A word is known when all of it was read, so its last piece carries the label.",
        "the last piece of each word is labelled",
        """\
def align_labels(word_ids, labels, all_subwords=False):
    if max((word for word in word_ids if word is not None), default=-1) >= len(labels):
        raise ValueError("no label")
    after = [*word_ids[1:], None]
    return [
        -100 if word is None or (word == other and not all_subwords) else labels[word]
        for word, other in zip(word_ids, after)
    ]
""",
    ),
    Mistake(
        "align-labels",
        "no refusal",
        "There is a label for every word.",
        "a ValueError was asked",
        align(label="labels[word]").replace('            raise ValueError("no label")\n', "            word = None\n"),
    ),
    # ---------------------------------------------------------------------------- 6.4 the best span
    Mistake(
        "best-span",
        "two argmaxes",
        "The best answer starts at the best start and ends at the best end.",
        "ends before it starts: both ends were chosen apart",
        """\
def best_span(start, end, max_len, allowed):
    hidden = ~allowed
    return int(start.masked_fill(hidden, -math.inf).argmax()), int(end.masked_fill(hidden, -math.inf).argmax())
""",
    ),
    Mistake(
        "best-span",
        "sorted ends",
        "If the end comes before the start, exchange them.",
        "in exchanged roles: chosen apart, then sorted",
        """\
def best_span(start, end, max_len, allowed):
    hidden = ~allowed
    places = [int(row.masked_fill(hidden, -math.inf).argmax()) for row in (start, end)]
    return min(places), max(places)
""",
    ),
    Mistake(
        "best-span",
        "one token too many",
        "A span of max_len tokens ends max_len places after its start.",
        "has one token too many",
        span(longest="max_len + 1"),
    ),
    Mistake(
        "best-span",
        "no limit",
        "The logits know how long an answer is.",
        "is longer than max_len",
        span(longest="len(start)"),
    ),
    Mistake(
        "best-span",
        "any place",
        "The model has learned not to answer from the question.",
        "begins or ends where nothing is allowed",
        span(forbidden="False"),
    ),
    Mistake(
        "best-span",
        "only the ends",
        "A span is allowed when both of its ends are.",
        "runs across a token that is not allowed",
        span(forbidden="not (allowed[first] and allowed[last])", then="continue"),
    ),
    Mistake(
        "best-span",
        "start first, then end",
        "Choose the best start, then the best end for it.",
        "has the best start, and then the best end for it",
        """\
def best_span(start, end, max_len, allowed):
    first = max((place for place in range(len(start)) if allowed[place]), key=lambda place: float(start[place]))
    last = first
    for place in range(first, min(first + max_len, len(start))):
        if not allowed[place]:
            break
        if end[place] > end[last]:
            last = place
    return first, last
""",
    ),
    Mistake(
        "best-span",
        "a product of logits",
        "Both must be likely, so their values are multiplied.",
        "has the largest product of logits",
        span(value="start[first] * end[last]"),
    ),
    Mistake(
        "best-span",
        "the last of equals",
        "Of equal spans any will do.",
        "ties with another span",
        span(better=">="),
    ),
    # ---------------------------------------------------------------------- 6.5 a decoder's input
    Mistake(
        "format-nli",
        "reads the first place",
        "As with [CLS], the first token stands for the whole.",
        "place 0 is the start token",
        formatted(place="0"),
    ),
    Mistake(
        "format-nli",
        "swapped",
        "The order of two sentences does not matter.",
        "the sentences are swapped",
        formatted(tokens='[ids["start"], *hypothesis, ids["delimiter"], *premise, ids["extract"]]'),
    ),
    Mistake(
        "format-nli",
        "no delimiter",
        "The model sees where a sentence ends.",
        "the delimiter is missing",
        formatted(tokens='[ids["start"], *premise, *hypothesis, ids["extract"]]'),
    ),
    Mistake(
        "format-nli",
        "counts from 1",
        "The place of the last token is the length.",
        "the place is counted from 1",
        formatted(place="len(tokens)"),
    ),
    Mistake(
        "format-nli",
        "from the end",
        "The last place is -1.",
        "counts from the end",
        formatted(place="-1"),
    ),
    Mistake(
        "format-nli",
        "accepts everything",
        "Nobody writes a special token into a sentence.",
        "is special and stands in a sentence",
        formatted(refusal=""),
    ),
    Mistake(
        "format-nli",
        "appends to the premise",
        "A list grows by append.",
        "a sentence was changed",
        """\
def format_nli(premise, hypothesis, ids):
    if set(ids.values()) & {*premise, *hypothesis}:
        raise ValueError("a special token inside")
    premise.insert(0, ids["start"])
    premise.append(ids["delimiter"])
    premise += hypothesis
    premise.append(ids["extract"])
    return premise, len(premise) - 1
""",
    ),
    # ---------------------------------------------------------------------- 6.6 last-token pooling
    Mistake(
        "last-token",
        "the last column",
        "The last token is the last one of the row.",
        "the last column was read",
        last_of(chosen="hidden[:, -1]"),
    ),
    Mistake(
        "last-token",
        "counts tokens",
        "A row of n tokens has its last one at n - 1.",
        "only if all padding stands on the right",
        last_of(last="mask.sum(dim=1) - 1"),
    ),
    Mistake(
        "last-token",
        "before the first padding",
        "The last token stands before the first padding.",
        "the place before the first padding",
        last_of(last="mask.long().argmin(dim=1) - 1"),
    ),
    Mistake(
        "last-token",
        "the mask as an index",
        "The mask picks the tokens, and its last column the last one.",
        "the mask was used as an index",
        last_of(last="mask.long()[:, -1]"),
    ),
    Mistake(
        "last-token",
        "the first token",
        "argmax finds the token that counts.",
        "the first token of each row was read",
        last_of(last="mask.long().argmax(dim=1)"),
    ),
    Mistake(
        "last-token",
        "flipped and not turned back",
        "In the reversed mask the first True is the last token.",
        "counted from the end and read from the front",
        last_of(last="mask.flip(1).long().argmax(dim=1)"),
    ),
    Mistake(
        "last-token",
        "reads empty rows",
        "Every row has a token.",
        "a row has no token and something was read",
        last_of(refusal=""),
    ),
    Mistake(
        "last-token",
        "a copy without gradient",
        "What is read is a value, so take it out of the graph.",
        "the graph was cut",
        last_of(chosen="hidden.detach()[torch.arange(len(hidden)), last]"),
    ),
    # --------------------------------------------------------------------------------- 6.7 rehearsal
    Mistake(
        "rehearsal",
        "a share of the new",
        "A quarter of rehearsal means one old example for four new ones.",
        "ratio was taken of the new ones",
        rehearse(wanted="round(len(new) * ratio)"),
    ),
    Mistake(
        "rehearsal",
        "inverted",
        "ratio is the share of the new examples.",
        "inverted: ratio is the share of the old ones",
        rehearse(wanted="round(len(new) * (1 - ratio) / ratio) if ratio else 0"),
    ),
    Mistake(
        "rehearsal",
        "cuts the number",
        "A number of examples is made whole by int.",
        "the nearest integer is asked",
        rehearse(wanted="int(len(new) * ratio / (1 - ratio))"),
    ),
    Mistake(
        "rehearsal",
        "blocks",
        "First the new examples, then the old ones to refresh the memory.",
        "shuffle old and new together",
        rehearse(shuffle="mixed = [*rng.sample(new, len(new)), *drawn[:wanted]]"),
    ),
    Mistake(
        "rehearsal",
        "only the batches are shuffled",
        "Batches in random order are random batches.",
        "shuffle",
        """\
def rehearsal(new, old, ratio, batch, rng):
    if not 0 <= ratio < 1:
        raise ValueError(ratio)
    wanted = round(len(new) * ratio / (1 - ratio))
    drawn = []
    while len(drawn) < wanted:
        drawn += rng.sample(old, len(old))
    mixed = [*new, *drawn[:wanted]]
    batches = [mixed[i : i + batch] for i in range(0, len(mixed), batch)]
    head = batches[:-1]
    rng.shuffle(head)
    return head + batches[-1:]
""",
    ),
    Mistake(
        "rehearsal",
        "draws with repetition",
        "Random means that anything may come again.",
        "an old example came again before all had come",
        rehearse(draw="rng.choices(old, k=len(old))"),
    ),
    Mistake(
        "rehearsal",
        "always the first ones",
        "Any old examples will do, so take those at the front.",
        "some old examples come more often than others",
        rehearse(draw="old"),
    ),
    Mistake(
        "rehearsal",
        "old ones run out",
        "There are always enough old examples.",
        "they come again, and here they ran out",
        rehearse(
            draw="rng.sample(old, len(old)) + [None] * wanted",
            mixed="[*new, *(x for x in drawn[:wanted] if x is not None)]",
        ),
    ),
    Mistake(
        "rehearsal",
        "drops the rest",
        "A batch that is not full is left out.",
        "new examples are missing",
        rehearse(end="len(mixed) - batch + 1").replace("mixed = [*new", "mixed = [*new"),
    ),
    Mistake(
        "rehearsal",
        "the module's own chance",
        "random.shuffle is as random as rng.shuffle.",
        "all randomness comes from rng",
        rehearse(shuffle="random.shuffle(mixed)"),
    ),
    Mistake(
        "rehearsal",
        "shuffles what it was given",
        "The new examples are mine to shuffle.",
        "new or old was changed",
        rehearse(mixed="new", shuffle="new.extend(drawn[:wanted]); rng.shuffle(new)"),
    ),
    Mistake(
        "rehearsal",
        "accepts any ratio",
        "A negative ratio adds nothing, and that is fine.",
        "was accepted",
        rehearse(refused="not ratio < 1"),
    ),
    # ------------------------------------------------------------------------- 6.8 metrics of GLUE
    Mistake(
        "glue-metric",
        "macro F1",
        "F1 is averaged over the classes.",
        "the mean of F1 over both classes",
        glue(f1="(2 * tp / max(2 * tp + fp + fn, 1) + 2 * tn / max(2 * tn + fp + fn, 1)) / 2"),
    ),
    Mistake(
        "glue-metric",
        "usual mean of precision and recall",
        "F1 is the mean of precision and recall.",
        "a harmonic mean here",
        glue(f1="(tp / max(tp + fp, 1) + tp / max(tp + fn, 1)) / 2"),
    ),
    Mistake(
        "glue-metric",
        "F1 divides by nothing",
        "There is always something to find.",
        "ZeroDivisionError",
        glue(f1="2 * tp / (2 * tp + fp + fn)"),
    ),
    Mistake(
        "glue-metric",
        "nothing to find is perfect",
        "Who finds nothing where nothing is, has made no error.",
        "nothing to find and nothing found is 0.0",
        glue(f1="2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 1.0"),
    ),
    Mistake(
        "glue-metric",
        "Matthews as NaN",
        "0 / 0 is not a number, and the caller will see it.",
        "NaN: 0 was divided by 0",
        glue(matthews="(tp * tn - fp * fn) / size if size else math.nan"),
    ),
    Mistake(
        "glue-metric",
        "Pearson",
        "A correlation of scores is a correlation of scores.",
        "this is Pearson's correlation",
        glue(column="np.array(values, dtype=float)"),
    ),
    Mistake(
        "glue-metric",
        "ranks by a double argsort",
        "The argsort of an argsort is the rank.",
        "equal values share the mean of their ranks",
        glue(rank='np.argsort(np.argsort(values, kind="stable"), kind="stable") + 1.0'),
    ),
    Mistake(
        "glue-metric",
        "the lowest rank of equals",
        "Equal values have the same place, the first one.",
        "equal values share the mean of their ranks",
        glue(rank="np.array([float(sum(w < v for w in values)) for v in values])"),
    ),
    Mistake(
        "glue-metric",
        "Spearman of a constant",
        "Two lists that never disagree agree.",
        "a constant list has no order",
        glue(spearman="float(a @ b) / size if size else 1.0"),
    ),
    Mistake(
        "glue-metric",
        "any task",
        "What is no special metric is accuracy.",
        "there is no such task",
        glue().replace("        raise ValueError(task)\n", '        task = "sst2"\n'),
    ),
]
