"""Wrong answers that people really give in chapter 5, each with the words that must catch it.

The `belief` of each is what the page lists under "Common mistakes". For every exercise at least one of them
passes the visible checks: those are examples, and an example cannot show everything.
"""

from grader.hidden import Mistake

CORRUPT = """\
def mlm_corrupt(input_ids, p, special, mask_id, vocab_size, rng):
    never = {never}
    ordinary = torch.tensor([i for i in range(vocab_size) if i not in never], dtype=input_ids.dtype)
    chosen = {chosen}
    fate = torch.rand(input_ids.shape{source})
    drawn = {drawn}
    spoiled = {copied}
    spoiled[chosen & (fate < 0.8)] = mask_id
    replaced = chosen & {replaced}
    spoiled[replaced] = drawn[replaced]
    return spoiled, torch.where({labelled}, input_ids, -100)
"""


def corrupt(
    never: str = "{*special, mask_id}",
    chosen: str = "(torch.rand(input_ids.shape, generator=rng) < p) & torch.isin(input_ids, ordinary)",
    source: str = ", generator=rng",
    drawn: str = "ordinary[torch.randint(len(ordinary), input_ids.shape, generator=rng)]",
    copied: str = "input_ids.clone()",
    replaced: str = "(fate >= 0.9)",
    labelled: str = "chosen",
) -> str:
    """The reference with one expression replaced."""
    return CORRUPT.format(
        never=never,
        chosen=chosen,
        source=source,
        drawn=drawn,
        copied=copied,
        replaced=replaced,
        labelled=labelled,
    )


LOGITS = """\
def mlm_logits(hidden, positions, weight, bias):
    states = {states}
    return {product}
"""


def logits(
    states: str = "hidden.gather(1, positions.unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))",
    product: str = "states @ weight.T + bias",
) -> str:
    """The reference with one expression replaced."""
    return LOGITS.format(states=states, product=product)


PAIRS = """\
def nsp_pairs(docs, max_len, rng, *, cls_id=101, sep_id=102):
    filled = [doc for doc in docs if doc]
    pairs = []
    for number, doc in enumerate(filled):
        for place in range(len(doc) - 1):
            is_next = {coin}
            if is_next:
                second = doc[place + 1]
            else:
                {stranger}
            a, b = {copies}
            {cut}
            ids = [cls_id, *a, sep_id, *b, sep_id]{end}
            segments = {segments}
            pairs.append((ids, segments{end}, is_next))
    return pairs
"""
SHORTEN = """\
while len(a) + len(b) > max_len - 3:
                (a if len(a) > len(b) else b).pop()"""
ANOTHER = """\
other = rng.choice([k for k in range(len(filled)) if k != number])
                second = rng.choice(filled[other])"""


def pairs(
    coin: str = "rng.random() < 0.5",
    stranger: str = ANOTHER,
    copies: str = "list(doc[place]), list(second)",
    cut: str = SHORTEN,
    end: str = "",
    segments: str = "[0] * (len(a) + 2) + [1] * (len(b) + 1)",
) -> str:
    """The reference with one piece replaced."""
    return PAIRS.format(coin=coin, stranger=stranger, copies=copies, cut=cut, end=end, segments=segments)


RING = """\
def span_mask(seq, p, mean_len, rng):
    hidden = round(p * seq)
    if hidden in (0, seq):
        return torch.full((seq,), hidden == seq)
    n_spans = max(round(hidden / {mean}), 1)

    def cut(total):
        cuts = sorted((torch.randperm(total - 1, generator=rng)[: n_spans - 1] + 1).tolist())
        return [b - a for a, b in zip([0, *cuts], [*cuts, total])]

    def even(total):
        return [total // n_spans + (k < total % n_spans) for k in range(n_spans)]

    ring = []
    for length, gap in zip({lengths}(hidden), {gaps}(seq - hidden)):
        ring += {order}
    return {turned}
"""


def ring(
    mean: str = "mean_len",
    lengths: str = "cut",
    gaps: str = "cut",
    order: str = "[False] * gap + [True] * length",
    turned: str = "torch.tensor(ring).roll(int(torch.randint(seq, (1,), generator=rng)))",
) -> str:
    """The reference with one expression replaced."""
    return RING.format(mean=mean, lengths=lengths, gaps=gaps, order=order, turned=turned)


SPANS = """\
def span_corrupt(ids, mask, sentinel0, eos):
    inputs, targets, sentinel = [], [], sentinel0
    for place, (token, hidden) in enumerate(zip(ids.tolist(), mask.tolist())):
        if hidden and {begins}:
            inputs.append(sentinel)
            targets.append(sentinel)
            sentinel {step}
        (targets if hidden else inputs).append(token)
    return ids.new_tensor({inputs}), ids.new_tensor({targets})
"""


def spans(
    begins: str = "not (place and mask[place - 1])",
    step: str = "-= 1",
    inputs: str = "[*inputs, eos]",
    targets: str = "[*targets, sentinel, eos]",
) -> str:
    """The reference with one expression replaced."""
    return SPANS.format(begins=begins, step=step, inputs=inputs, targets=targets)


TAUGHT = """\
def seq2seq_loss(model, src, tgt, bos, pad):
    start = torch.full_like(tgt[:, :1], bos)
    read = {read}
    logits = model(src, read, {mask})
    losses = -logits.log_softmax(-1).gather(-1, tgt.unsqueeze(-1)).squeeze(-1)
    real = tgt != pad
    return {mean}
"""


def taught(
    read: str = "torch.cat([start, tgt[:, :-1]], dim=1)",
    mask: str = "src != pad",
    mean: str = "losses[real].mean()",
) -> str:
    """The reference with one expression replaced."""
    return TAUGHT.format(read=read, mask=mask, mean=mean)


def prefix(rule: str) -> str:
    """A mask by comparing the places of rows and columns."""
    return f"""\
def prefix_lm_mask(seq, prefix):
    row, column = torch.arange(seq).unsqueeze(1), torch.arange(seq)
    return {rule}
"""


MISTAKES = [
    # -------------------------------------------------------------------------------- 5.1 masked tokens
    Mistake(
        "mlm-corrupt",
        "ten per cent of the rest",
        "After the masks, 10 % of the rest become random.",
        "10 % of the chosen become random, not 10 % of those left over",
        corrupt(replaced="(fate >= 0.8) & (torch.rand(input_ids.shape, generator=rng) < 0.1)"),
    ),
    Mistake(
        "mlm-corrupt",
        "masks special tokens",
        "Every token may be hidden, [CLS] and padding too.",
        "special tokens were chosen",
        corrupt(chosen="torch.rand(input_ids.shape, generator=rng) < p"),
    ),
    Mistake(
        "mlm-corrupt",
        "forgets the mask itself",
        "The set `special` lists all special ids.",
        "special tokens were chosen",
        corrupt(never="set(special)"),
    ),
    Mistake(
        "mlm-corrupt",
        "labels everywhere",
        "The labels are the original text.",
        "labels stand everywhere",
        corrupt(labelled="torch.ones_like(chosen)"),
    ),
    Mistake(
        "mlm-corrupt",
        "labels what changed",
        "What was not changed need not be predicted.",
        "tokens that were chosen and kept have no label",
        corrupt(labelled="spoiled != input_ids"),
    ),
    Mistake(
        "mlm-corrupt",
        "draws special tokens",
        "A random token is any number below the vocabulary's size.",
        "a random token is a special one",
        corrupt(drawn="torch.randint(vocab_size, input_ids.shape, generator=rng).to(input_ids.dtype)"),
    ),
    Mistake(
        "mlm-corrupt",
        "one random token for all",
        "Draw the random token once.",
        "random tokens are not equally likely",
        corrupt(drawn="ordinary[torch.randint(len(ordinary), (1,), generator=rng)].expand_as(input_ids)"),
    ),
    Mistake(
        "mlm-corrupt",
        "the same places in every row",
        "One mask per batch is enough.",
        "all rows were chosen at the same places",
        corrupt(
            chosen="(torch.rand(input_ids.shape[1], generator=rng) < p).expand_as(input_ids) "
            "& torch.isin(input_ids, ordinary)"
        ),
    ),
    Mistake(
        "mlm-corrupt",
        "torch's own randomness",
        "torch.rand is random enough; rng is for the rest.",
        "the same rng gave two results",
        corrupt(source=""),
    ),
    Mistake(
        "mlm-corrupt",
        "spoils the text itself",
        "The text is drawn anew for every batch, so it may be changed.",
        "an input was changed",
        corrupt(copied="input_ids"),
    ),
    # ------------------------------------------------------------------------------------ 5.2 MLM logits
    Mistake(
        "mlm-logits",
        "everything, then selects",
        "Logits first, selecting afterwards: the result is the same.",
        "places were multiplied with the vocabulary",
        logits(product="(hidden @ weight.T + bias).take_along_dim(positions.unsqueeze(-1), dim=1)"),
    ),
    Mistake(
        "mlm-logits",
        "looks up in the first row",
        "Flatten the batch, then index with the places.",
        "the places of every row were looked up in the first",
        logits(states="hidden.flatten(0, 1)[positions]"),
    ),
    Mistake(
        "mlm-logits",
        "the first row's places for all",
        "All rows are masked at the same places.",
        "the places of the first row were used for all rows",
        logits(states="hidden[:, positions[0]]"),
    ),
    Mistake(
        "mlm-logits",
        "W in place of its transpose",
        "The formula says W times the states.",
        "multiplied with W itself",
        logits(product="(states @ weight if weight.shape[0] == weight.shape[1] else states @ weight.T) + bias"),
    ),
    Mistake(
        "mlm-logits",
        "sorts the places",
        "The order of the places does not matter.",
        "the places were sorted",
        logits(
            states="hidden.gather(1, positions.sort(1).values.unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))",
        ),
    ),
    Mistake(
        "mlm-logits",
        "cut from the graph",
        "Selected states are data.",
        "no gradient reaches",
        logits(product="(states @ weight.T + bias).detach()"),
    ),
    # ------------------------------------------------------------------------------- 5.3 sentence pairs
    Mistake(
        "nsp-pairs",
        "any sentence of all",
        "A random sentence of the whole corpus is no successor.",
        "another document",
        pairs(stranger="second = rng.choice([sentence for other in filled for sentence in other])"),
    ),
    Mistake(
        "nsp-pairs",
        "sentences first",
        "Draw among all sentences of the other documents.",
        "long documents give more strangers",
        pairs(
            stranger="second = rng.choice([x for k, other in enumerate(filled) if k != number for x in other])",
        ),
    ),
    Mistake(
        "nsp-pairs",
        "the document next door",
        "The next document is another one.",
        "the other documents are not equally likely",
        pairs(stranger="second = rng.choice(filled[(number + 1) % len(filled)])"),
    ),
    Mistake(
        "nsp-pairs",
        "cuts the end of the pair",
        "ids[:max_len] makes it fit.",
        "[SEP] stands behind both sentences, also when they are cut",
        pairs(cut="pass", end="[:max_len]"),
    ),
    Mistake(
        "nsp-pairs",
        "cuts the second sentence only",
        "The first sentence is the question; it stays whole.",
        "the second sentence is cut; take from the longer one",
        pairs(cut="a = a[: max_len - 4]\n            b = b[: max(max_len - 3 - len(a), 1)]"),
    ),
    Mistake(
        "nsp-pairs",
        "special tokens not counted",
        "max_len is the length of the two sentences.",
        "are more than max_len",
        pairs(cut=SHORTEN.replace("max_len - 3", "max_len")),
    ),
    Mistake(
        "nsp-pairs",
        "equal lengths: the first loses",
        "Cut the first sentence while it is at least as long.",
        "between sentences of equal length the second one loses",
        pairs(cut=SHORTEN.replace("len(a) > len(b)", "len(a) >= len(b) and len(a) > 1")),
    ),
    Mistake(
        "nsp-pairs",
        "the separator opens segment 1",
        "The first [SEP] separates, so it belongs to what follows.",
        "the first [SEP] belongs to segment 0",
        pairs(segments="[0] * (len(a) + 1) + [1] * (len(b) + 2)"),
    ),
    Mistake(
        "nsp-pairs",
        "true and false in turn",
        "Half of them: every second one.",
        "true and false take turns",
        pairs(coin="len(pairs) % 2 == 0"),
    ),
    Mistake(
        "nsp-pairs",
        "cuts the documents",
        "pop takes the last token from my sentence.",
        "the documents were changed",
        pairs(copies="doc[place], second"),
    ),
    # ----------------------------------------------------------------------------------- 5.4 span masks
    Mistake(
        "span-mask",
        "single tokens",
        "Every token is hidden with probability p.",
        "rounded down or up, not a matter of luck",
        """\
def span_mask(seq, p, mean_len, rng):
    return torch.rand(seq, generator=rng) < p
""",
    ),
    Mistake(
        "span-mask",
        "spans that overlap",
        "As many spans as needed, each at a random start.",
        "too few places: spans overlap",
        """\
def span_mask(seq, p, mean_len, rng):
    mask = torch.zeros(seq, dtype=torch.bool)
    if p == 1:
        return ~mask
    for _ in range(round(p * seq / mean_len)):
        start = int(torch.randint(seq, (1,), generator=rng))
        mask[(start + torch.arange(round(mean_len))) % seq] = True
    return mask
""",
    ),
    Mistake(
        "span-mask",
        "a gap first, a span last",
        "Gaps and spans take turns along the text.",
        "the last place is masked every time",
        ring(turned="torch.tensor(ring)"),
    ),
    Mistake(
        "span-mask",
        "spans that stay inside",
        "A span must not run over the end, so turn only as far as that allows.",
        "places near the ends are masked less often",
        """\
def span_mask(seq, p, mean_len, rng):
    hidden = round(p * seq)
    if hidden in (0, seq):
        return torch.full((seq,), hidden == seq)
    n_spans = max(round(hidden / mean_len), 1)
    cuts = sorted((torch.randperm(hidden - 1, generator=rng)[: n_spans - 1] + 1).tolist())
    lengths = [b - a for a, b in zip([0, *cuts], [*cuts, hidden])]
    free = seq - hidden
    starts = sorted(torch.randperm(free, generator=rng)[:n_spans].tolist())
    mask, before = torch.zeros(seq, dtype=torch.bool), 0
    for start, length in zip(starts, lengths):
        mask[start + before : start + before + length] = True
        before += length
    return mask
""",
    ),
    Mistake(
        "span-mask",
        "equal spans",
        "mean_len is the length of a span.",
        "all spans have the same length",
        ring(lengths="even"),
    ),
    Mistake(
        "span-mask",
        "equal gaps",
        "Spread the spans evenly over the text.",
        "the gaps between spans are always the same",
        ring(gaps="even"),
    ),
    Mistake(
        "span-mask",
        "single tokens of the right number",
        "A random choice of p * seq places is a mask.",
        "places were chosen one by one",
        ring(mean="1"),
    ),
    # ------------------------------------------------------------------------------ 5.5 span corruption
    Mistake(
        "span-corrupt",
        "a sentinel for every token",
        "Each hidden token becomes a sentinel.",
        "every masked token got a sentinel",
        spans(begins="True"),
    ),
    Mistake(
        "span-corrupt",
        "no last sentinel",
        "After the last span comes the end.",
        "the targets lack the last sentinel",
        spans(targets="[*targets, eos]"),
    ),
    Mistake(
        "span-corrupt",
        "one sentinel for all spans",
        "The sentinel is the mask token.",
        "all spans got the same sentinel",
        spans(step="-= 0"),
    ),
    Mistake(
        "span-corrupt",
        "sentinels count up",
        "The next sentinel is one more.",
        "sentinels count down",
        spans(step="+= 1"),
    ),
    Mistake(
        "span-corrupt",
        "inputs without an end",
        "Only what is written needs an end.",
        "inputs and targets both end with eos",
        spans(inputs="inputs"),
    ),
    Mistake(
        "span-corrupt",
        "an end only where something was hidden",
        "Without a span there is nothing to write.",
        "the targets lack the last sentinel",
        spans(targets="[*targets, *([sentinel] if targets else []), eos]"),
    ),
    Mistake(
        "span-corrupt",
        "looks back round the corner",
        "mask[place - 1] is the mask before.",
        "the inputs are not what span corruption makes",
        spans(begins="not mask[place - 1]"),
    ),
    # --------------------------------------------------------------------------------- 5.6 text infilling
    Mistake(
        "text-infill",
        "a mask for every token",
        "Each token of the span becomes a mask.",
        "every token of a span got a mask",
        """\
def text_infill(ids, spans, mask_id):
    covered = {place for start, length in spans for place in range(start, start + length)}
    return [mask_id if place in covered else token for place, token in enumerate(ids)]
""",
    ),
    Mistake(
        "text-infill",
        "spans of length zero skipped",
        "A span of no tokens does nothing.",
        "a span of length zero inserts a mask",
        """\
def text_infill(ids, spans, mask_id):
    out = list(ids)
    for start, length in sorted(spans, reverse=True):
        if length:
            out[start : start + length] = [mask_id]
    return out
""",
    ),
    Mistake(
        "text-infill",
        "in the order given",
        "Replace one span after the other.",
        "the first replacement moved the rest",
        """\
def text_infill(ids, spans, mask_id):
    out = list(ids)
    for start, length in spans:
        out[start : start + length] = [mask_id]
    return out
""",
    ),
    Mistake(
        "text-infill",
        "deletes",
        "What is hidden is left out.",
        "the spans were deleted",
        """\
def text_infill(ids, spans, mask_id):
    covered = {place for start, length in spans for place in range(start, start + length)}
    return [token for place, token in enumerate(ids) if place not in covered]
""",
    ),
    Mistake(
        "text-infill",
        "spans that touch become one",
        "Masks next to each other are one gap.",
        "spans that touch became one mask",
        """\
def text_infill(ids, spans, mask_id):
    out, end = [], 0
    for start, length in sorted(spans):
        out += ids[end:start]
        if not out or out[-1] != mask_id:
            out.append(mask_id)
        end = start + length
    return out + ids[end:]
""",
    ),
    Mistake(
        "text-infill",
        "changes the text",
        "The list is mine to change.",
        "ids or spans were changed",
        """\
def text_infill(ids, spans, mask_id):
    for start, length in sorted(spans, reverse=True):
        ids[start : start + length] = [mask_id]
    return ids
""",
    ),
    # ----------------------------------------------------------------------------------- 5.7 prefix mask
    Mistake(
        "prefix-lm-mask",
        "causal everywhere",
        "A language model never looks ahead.",
        "causal everywhere",
        prefix("column <= row"),
    ),
    Mistake(
        "prefix-lm-mask",
        "the prefix sees everything",
        "The prefix is read in both directions, to the end.",
        "the prefix sees what follows",
        prefix("(row < prefix) | (column <= row)"),
    ),
    Mistake(
        "prefix-lm-mask",
        "both parts in both directions",
        "Each part sees itself, and the second sees the first.",
        "what follows is seen in both directions",
        prefix("(column < prefix) | (row >= prefix)"),
    ),
    Mistake(
        "prefix-lm-mask",
        "one place too many",
        "The prefix goes up to place number prefix.",
        "the prefix has one place too many",
        prefix("(column <= prefix) | (column <= row)"),
    ),
    Mistake(
        "prefix-lm-mask",
        "cut off from the end",
        "Without the last seq − prefix places, the prefix is left.",
        "causal everywhere",
        """\
def prefix_lm_mask(seq, prefix):
    mask = torch.ones(seq, seq, dtype=torch.bool).tril()
    mask[: -(seq - prefix), : -(seq - prefix)] = True
    return mask
""",
    ),
    Mistake(
        "prefix-lm-mask",
        "inverted",
        "The mask marks what is hidden.",
        "inverted: True means that a query may look",
        prefix("(column > row) & (column >= prefix)"),
    ),
    # --------------------------------------------------------------------------------- 5.8 seq2seq loss
    Mistake(
        "seq2seq-loss",
        "not shifted",
        "The decoder reads the target and writes the target.",
        "the decoder reads the very token it shall predict",
        taught(read="tgt"),
    ),
    Mistake(
        "seq2seq-loss",
        "shifted twice",
        "Input one to the right, labels one to the left.",
        "shifted twice",
        taught(mean="losses_of_next(logits, tgt, real)")
        + """

def losses_of_next(logits, tgt, real):
    if tgt.shape[1] == 1:
        return logits.log_softmax(-1).gather(-1, tgt.unsqueeze(-1)).mean().neg()
    ahead = -logits[:, :-1].log_softmax(-1).gather(-1, tgt[:, 1:].unsqueeze(-1)).squeeze(-1)
    return ahead[real[:, 1:]].mean()
""",
    ),
    Mistake(
        "seq2seq-loss",
        "padding is scored",
        "Padding is a token like any other.",
        "padding is scored, too",
        taught(mean="losses.mean()"),
    ),
    Mistake(
        "seq2seq-loss",
        "divides by all places",
        "Zero the padding's loss, then take the mean.",
        "divided by all places, padding included",
        taught(mean="(losses * real).mean()"),
    ),
    Mistake(
        "seq2seq-loss",
        "a mean of means",
        "Each sentence counts the same.",
        "a mean of means",
        taught(mean="((losses * real).sum(1) / real.sum(1)).mean()"),
    ),
    Mistake(
        "seq2seq-loss",
        "the mask hides the text",
        "The mask marks the padding.",
        "the source's mask is inverted",
        taught(mask="src == pad"),
    ),
    Mistake(
        "seq2seq-loss",
        "padding before the targets",
        "The decoder starts from padding, as in T5.",
        "not with bos",
        taught(read="torch.cat([torch.full_like(start, pad), tgt[:, :-1]], dim=1)"),
    ),
    Mistake(
        "seq2seq-loss",
        "start tokens are not scored either",
        "bos is no word, so it is not counted.",
        "this is not the mean",
        taught(mean="losses[real & (tgt != bos)].mean()"),
    ),
]
