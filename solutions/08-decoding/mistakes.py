"""Wrong answers that people really give in chapter 8, each with the words that must catch it.

The `belief` of each is what the page lists under "Common mistakes". For every exercise at least one of them
passes the visible checks: those are examples, and an example cannot show everything.
"""

from grader.hidden import Mistake

LOOP = """\
def generate(step, prefix, max_new, pick, eos=None, pad=0, max_seq=None):
    ids = prefix
    done = {done}
    for _ in range(max_new):
        if {stop}:
            break
        {guard}:
            tokens = pick(step({seen}))
        tokens = {filled}
        ids = torch.cat([ids, tokens[:, None]], dim=1)
        if eos is not None:
            done = done | (tokens == eos)
    return ids
"""


def loop(
    done: str = "torch.zeros(len(prefix), dtype=torch.bool)",
    stop: str = "done.all()",
    guard: str = "with torch.no_grad()",
    seen: str = "ids if max_seq is None else ids[:, -max_seq:]",
    filled: str = "tokens.masked_fill(done, pad)",
) -> str:
    """The reference with one expression replaced."""
    return LOOP.format(done=done, stop=stop, guard=guard, seen=seen, filled=filled)


TOP_P = """\
def top_p_filter(logits, top_p):
    if {everything}:
        return logits.clone()
    ordered, order = logits{wide}.sort(dim=-1, descending=True, stable=True)
    probs = ordered.softmax(dim=-1)
    drop = {drop}
    drop[..., 0] = False
    return logits.masked_fill({back}, -math.inf)
"""


def mass(
    everything: str = "top_p == 1",
    wide: str = ".double()",
    drop: str = "probs.cumsum(dim=-1) - probs >= top_p - 1e-9",
    back: str = "torch.zeros_like(drop).scatter(-1, order, drop)",
) -> str:
    """The reference with one expression replaced."""
    return TOP_P.format(everything=everything, wide=wide, drop=drop, back=back)


SAMPLE = """\
def sample(logits, temperature, top_k, top_p, rng):
    if temperature == 0:
        return logits.argmax(dim=-1)
{steps}
    return torch.multinomial(kept.softmax(dim=-1), 1{generator})[:, 0]
"""
HEAT = "    kept = logits / temperature"
WARM = "    kept = kept / temperature"
CUT_K = "    if top_k is not None:\n        kept = keep_k(kept, top_k)"
CUT_P = "    if top_p is not None:\n        kept = keep_p(kept, top_p)"


def sampling(*steps: str, generator: str = ", generator=rng") -> str:
    """The reference with its steps as given."""
    return SAMPLE.format(steps="\n".join(steps or (HEAT, CUT_K, CUT_P)), generator=generator)


BEAM = """\
def beam_search(logp, n_beams, max_len, eos, alpha):
    running, finished = [((), 0.0)], []
    for length in range(1, max_len + 1):
        candidates = []
        for ids, total in running:
            for token, gain in enumerate(logp(ids).tolist()):
                if gain > -math.inf:
                    candidates.append(((*ids, token), {grown}))
        candidates.sort(key=lambda candidate: -candidate[1])
        running = []
        for rank, (ids, total) in enumerate(candidates{considered}):
            if {goes_on}:
                running.append((ids, total))
            elif {finishes}:
                finished.append((ids, {score}))
        running = running[:n_beams]
{stop}    return max(finished, key=lambda hypothesis: hypothesis[1])
"""


def beam(
    grown: str = "total + gain",
    considered: str = "",
    goes_on: str = "ids[-1] != eos and length < max_len",
    finishes: str = "rank < n_beams",
    score: str = "total / length**alpha",
    stop: str = "",
) -> str:
    """The reference with one expression replaced."""
    return BEAM.format(grown=grown, considered=considered, goes_on=goes_on, finishes=finishes, score=score, stop=stop)


BAN = """\
def ban_repeats(ids, logits, n):
    banned, text = {out}, ids.tolist()
    places = len(text) - n + 1
    for at in range({places}):
        if {match}:
            banned[{token}] = {low}
    return banned
"""


def ban(
    out: str = "logits.clone()",
    places: str = "places",
    match: str = "text[at : at + n - 1] == text[places:]",
    token: str = "text[at + n - 1]",
    low: str = "-math.inf",
) -> str:
    """The reference with one expression replaced."""
    return BAN.format(out=out, places=places, match=match, token=token, low=low)


STEP = """\
def speculative_step(p, q, rng):
    guess = int(torch.multinomial(q, 1, generator=rng))
    if float(torch.rand((){coin})) < {kept}:
        return guess, True
    missing = {missing}
    return int(torch.multinomial(missing, 1, generator=rng)), False
"""


def step(
    kept: str = "float(p[guess] / q[guess])", missing: str = "(p - q).clamp(min=0)", coin: str = ", generator=rng"
) -> str:
    """The reference with one expression replaced."""
    return STEP.format(kept=kept, missing=missing, coin=coin)


ROUNDS = """\
def speculative_decode(target, draft, prefix, gamma, max_new, rng):
    ids, calls, end = prefix, 0, len(prefix) + max_new
    while len(ids) < end:
        start, sources = len(ids), []
        for _ in range({guesses}):
            sources.append({source})
            ids = torch.cat([ids, torch.multinomial(sources[-1], 1, generator=rng)])
        rows = target(ids)[{rows}]
        calls += 1
        last = rows[-1]
        for place, q in enumerate(sources):
            p, guess = rows[place], ids[start + place]
            if float(torch.rand((), generator=rng)) * float(q[guess]) >= float(p[guess]):
                {rejected}
                break
        ids = torch.cat([ids, torch.multinomial(last, 1, generator=rng)])
    return {result}, calls
"""


def rounds(
    guesses: str = "min(gamma, end - start - 1)",
    source: str = "draft(ids)[-1]",
    rows: str = "start - 1 :",
    rejected: str = "ids, last = ids[: start + place], (p - q).clamp(min=0)",
    result: str = "ids",
) -> str:
    """The reference with one expression replaced."""
    return ROUNDS.format(guesses=guesses, source=source, rows=rows, rejected=rejected, result=result)


COUNTS = """\
def distinct_n(samples, n):
    grams = {grams}
    return {distinct}


def repetition_rate(samples, window):
    seen = {seen}
    return {rate}
"""


def counts(
    grams: str = "[tuple(text[at : at + n]) for text in samples for at in range(len(text) - n + 1)]",
    distinct: str = "len(set(grams)) / len(grams) if grams else 0.0",
    seen: str = "[text[at] in text[max(0, at - window) : at] for text in samples for at in range(1, len(text))]",
    rate: str = "sum(seen) / len(seen) if seen else 0.0",
) -> str:
    """The reference with one expression replaced."""
    return COUNTS.format(grams=grams, distinct=distinct, seen=seen, rate=rate)


MISTAKES = [
    # --------------------------------------------------------------------------------- 8.1 the loop
    Mistake(
        "generate",
        "stops at the first end",
        "When a text ends, the loop is over.",
        "the batch stopped when its first row had ended",
        loop(stop="done.any()"),
    ),
    Mistake(
        "generate",
        "goes on behind the end",
        "What comes after EOS can be cut off later by whoever prints it.",
        "a row went on behind its eos",
        loop(filled="tokens"),
    ),
    Mistake(
        "generate",
        "feeds the last token",
        "The model gets the token that it has just written.",
        "the model was shown the last token only",
        loop(seen="ids[:, -1:]"),
    ),
    Mistake(
        "generate",
        "never shortens what the model sees",
        "The model takes care of its context by itself.",
        "the model saw more than max_seq tokens",
        loop(seen="ids"),
    ),
    Mistake(
        "generate",
        "an end in the prompt counts",
        "A row that holds an EOS has ended.",
        "a row whose prefix holds an eos was not continued",
        loop(done="(prefix == eos).any(dim=1) if eos is not None else torch.zeros(len(prefix), dtype=torch.bool)"),
    ),
    Mistake(
        "generate",
        "always the full length",
        "Padding fills the rows up to max_new.",
        "the result is longer than its longest row",
        loop(stop="False"),
    ),
    Mistake(
        "generate",
        "records gradients",
        "Without a backward pass there are no gradients.",
        "while gradients were recorded",
        loop(guard="if True"),
    ),
    # ------------------------------------------------------------------------------------ 8.2 top-k
    Mistake(
        "top-k",
        "a threshold",
        "Whatever is as large as the k-th may stay.",
        "a threshold keeps all that are tied with the k-th",
        """\
def top_k_filter(logits, top_k):
    kth = logits.topk(min(top_k, logits.shape[-1]), dim=-1).values[..., -1:]
    return logits.masked_fill(logits < kth, -math.inf)
""",
    ),
    Mistake(
        "top-k",
        "one too many",
        "Positions are counted from 0, so k is the last one.",
        "logits of a row stay, not",
        """\
def top_k_filter(logits, top_k):
    order = logits.argsort(dim=-1, descending=True, stable=True)[..., : top_k + 1]
    return torch.full_like(logits, -math.inf).scatter(-1, order, logits.gather(-1, order))
""",
    ),
    Mistake(
        "top-k",
        "sorted",
        "Sort, and set everything behind the k-th to minus infinity.",
        "the logits came back sorted",
        """\
def top_k_filter(logits, top_k):
    ordered = logits.sort(dim=-1, descending=True, stable=True).values
    ordered[..., top_k:] = -math.inf
    return ordered
""",
    ),
    Mistake(
        "top-k",
        "filled with zero",
        "A logit of 0 means that the token is out.",
        "must become minus infinity",
        """\
def top_k_filter(logits, top_k):
    order = logits.argsort(dim=-1, descending=True, stable=True)[..., :top_k]
    return torch.zeros_like(logits).scatter(-1, order, logits.gather(-1, order))
""",
    ),
    Mistake(
        "top-k",
        "ties from the right",
        "Which of two equal logits stays is a matter of taste: the last ones come first when I sort upwards.",
        "of tied logits others stay",
        """\
def top_k_filter(logits, top_k):
    order = logits.argsort(dim=-1, stable=True)[..., -min(top_k, logits.shape[-1]) :]
    return torch.full_like(logits, -math.inf).scatter(-1, order, logits.gather(-1, order))
""",
    ),
    Mistake(
        "top-k",
        "in place",
        "The logits are not needed any more, so fill them.",
        "the logits were changed by the call",
        """\
def top_k_filter(logits, top_k):
    rank = logits.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
    return logits.masked_fill_(rank >= top_k, -math.inf)
""",
    ),
    # ------------------------------------------------------------------------------------ 8.3 top-p
    Mistake(
        "top-p",
        "drops the one that crosses",
        "Keep tokens as long as their mass stays below p.",
        "the token that crosses the threshold was dropped",
        mass(drop="probs.cumsum(dim=-1) > top_p + 1e-9"),
    ),
    Mistake(
        "top-p",
        "one more where the mass meets p",
        "The mass must be more than p.",
        "one token more than needed is kept",
        mass(drop="probs.cumsum(dim=-1) - probs > top_p + 1e-9"),
    ),
    Mistake(
        "top-p",
        "trusts sums of floats",
        "Three times 0.1 is 0.3.",
        "one token more than needed is kept",
        mass(drop="probs.cumsum(dim=-1) - probs >= top_p"),
    ),
    Mistake(
        "top-p",
        "not put back",
        "The flags of the sorted row fit the row.",
        "kept by place, not by probability",
        mass(back="drop"),
    ),
    Mistake(
        "top-p",
        "unsorted",
        "Add up the probabilities from left to right until p is reached.",
        "kept by place, not by probability",
        """\
def top_p_filter(logits, top_p):
    if top_p == 1:
        return logits.clone()
    probs = logits.double().softmax(dim=-1)
    drop = probs.cumsum(dim=-1) - probs >= top_p - 1e-9
    return logits.masked_fill(drop, -math.inf)
""",
    ),
    Mistake(
        "top-p",
        "a percentage",
        "p = 0.9 means nine tenths of the tokens.",
        "the",
        """\
def top_p_filter(logits, top_p):
    keep = max(1, round(top_p * logits.shape[-1]))
    order = logits.argsort(dim=-1, descending=True, stable=True)[..., :keep]
    return torch.full_like(logits, -math.inf).scatter(-1, order, logits.gather(-1, order))
""",
    ),
    Mistake(
        "top-p",
        "may keep nothing",
        "With p = 0 nothing is needed.",
        "nothing is left",
        mass().replace("    drop[..., 0] = False\n", ""),
    ),
    # ---------------------------------------------------------------------------------- 8.4 drawing
    Mistake(
        "sample",
        "temperature last",
        "The filters decide who takes part, and the temperature how wild the draw is.",
        "the temperature must come before the filters",
        sampling("    kept = logits", CUT_K, CUT_P, WARM),
    ),
    Mistake(
        "sample",
        "top-p before top-k",
        "The order of two filters does not matter.",
        "top-p saw the whole distribution",
        sampling(HEAT, CUT_P, CUT_K),
    ),
    Mistake(
        "sample",
        "mass of the whole distribution",
        "Both filters look at the model's distribution, and a token must pass both.",
        "it must look at what top-k left",
        sampling(
            HEAT,
            "    whole = kept",
            CUT_K,
            "    if top_p is not None:\n        kept = kept.masked_fill(keep_p(whole, top_p) == -math.inf, -math.inf)",
        ),
    ),
    Mistake(
        "sample",
        "multiplies",
        "Heat makes everything larger.",
        "multiplied by the temperature",
        sampling("    kept = logits * temperature", CUT_K, CUT_P),
    ),
    Mistake(
        "sample",
        "the global generator",
        "torch.manual_seed makes draws repeatable.",
        "a global random state was used",
        sampling(generator=""),
    ),
    Mistake(
        "sample",
        "divides by a small number",
        "Temperature 0 is a very small temperature.",
        "temperature 0 takes the likeliest, of tied ones the lowest id",
        """\
def sample(logits, temperature, top_k, top_p, rng):
    kept = logits / max(temperature, 1e-6)
    if top_k is not None:
        kept = keep_k(kept, top_k)
    if top_p is not None:
        kept = keep_p(kept, top_p)
    return torch.multinomial(kept.softmax(dim=-1), 1, generator=rng)[:, 0]
""",
    ),
    # ------------------------------------------------------------------------------ 8.5 beam search
    Mistake(
        "beam",
        "no sum",
        "The best next tokens are the best texts.",
        "the last token alone is compared",
        beam(grown="gain"),
    ),
    Mistake(
        "beam",
        "extends what has ended",
        "An end token is a token like any other.",
        "a finished hypothesis was extended behind its eos",
        beam(goes_on="length < max_len"),
    ),
    Mistake(
        "beam",
        "stops at the first end",
        "The best beam has ended: that is the result.",
        "the search stopped at the first text that ended",
        beam(stop="        if finished:\n            break\n"),
    ),
    Mistake(
        "beam",
        "ignores alpha",
        "The likeliest text has the highest sum.",
        "is not divided by length ** alpha",
        beam(score="total"),
    ),
    Mistake(
        "beam",
        "divides by the length",
        "The length penalty is a mean.",
        "alpha is its power",
        beam(score="total / length if alpha else total"),
    ),
    Mistake(
        "beam",
        "eos is not counted",
        "The end token is no word, so it has no length.",
        "the length is one short",
        beam(score="total / (max(1, length - (ids[-1] == eos))) ** alpha"),
    ),
    Mistake(
        "beam",
        "a text that ends takes a place",
        "Keep the n_beams best candidates; those that end are finished.",
        "took the place of one that goes on",
        beam(considered="[:n_beams]"),
    ),
    # ----------------------------------------------------------------------- 8.6 no n-gram twice
    Mistake(
        "ban-repeats",
        "every token of the text",
        "What was said must not be said again.",
        "every token of the text is forbidden",
        """\
def ban_repeats(ids, logits, n):
    banned = logits.clone()
    if len(ids) >= n:
        banned[ids] = -math.inf
    return banned
""",
    ),
    Mistake(
        "ban-repeats",
        "n tokens and one more",
        "Where did the last n tokens stand before?",
        "n + 1 tokens are compared",
        """\
def ban_repeats(ids, logits, n):
    banned, text = logits.clone(), ids.tolist()
    for at in range(len(text) - n):
        if text[at : at + n] == text[len(text) - n :]:
            banned[text[at + n]] = -math.inf
    return banned
""",
    ),
    Mistake(
        "ban-repeats",
        "counts from the end",
        "The last n - 1 tokens are text[-(n - 1):].",
        "completion of a seen n-gram is still allowed",
        ban(match="text[at : at + n - 1] == text[-(n - 1) :]"),
    ),
    Mistake(
        "ban-repeats",
        "only the first occurrence",
        "An n-gram that was found need not be looked for again.",
        "completion of a seen n-gram is still allowed",
        """\
def ban_repeats(ids, logits, n):
    banned, text = logits.clone(), ids.tolist()
    places = len(text) - n + 1
    for at in range(places):
        if text[at : at + n - 1] == text[places:]:
            banned[text[at + n - 1]] = -math.inf
            break
    return banned
""",
    ),
    Mistake(
        "ban-repeats",
        "in place",
        "The logits are mine to change.",
        "an input was changed",
        ban(out="logits"),
    ),
    # ------------------------------------------------------------------- 8.7 one speculative step
    Mistake(
        "speculative-step",
        "draws from p after a rejection",
        "When a guess is rejected, the target takes over and draws its own token.",
        "a rejected guess was replaced by a draw from p",
        step(missing="p"),
    ),
    Mistake(
        "speculative-step",
        "the absolute difference",
        "What is left is the difference of the two distributions.",
        "the residual is max(0, p - q), not |p - q|",
        step(missing="(p - q).abs()"),
    ),
    Mistake(
        "speculative-step",
        "the ratio upside down",
        "A guess that the draft likes is a good one.",
        "the ratio is upside down",
        step(kept="float(q[guess] / p[guess])"),
    ),
    Mistake(
        "speculative-step",
        "keeps with p",
        "The target keeps a guess with its own probability.",
        "divide by q(x)",
        step(kept="float(p[guess])"),
    ),
    Mistake(
        "speculative-step",
        "compares draws",
        "A guess is right if the target would have said the same.",
        "a guess is kept only where a draw from p says the same",
        """\
def speculative_step(p, q, rng):
    guess = int(torch.multinomial(q, 1, generator=rng))
    token = int(torch.multinomial(p, 1, generator=rng))
    return token, token == guess
""",
    ),
    Mistake(
        "speculative-step",
        "a coin of its own",
        "Only the tokens need the generator.",
        "randomness came from elsewhere than rng",
        step(coin=""),
    ),
    # ----------------------------------------------------------------------- 8.8 the speculative loop
    Mistake(
        "speculative-loop",
        "no bonus",
        "A round writes the guesses that were kept.",
        "the last row gives a bonus token",
        """\
def speculative_decode(target, draft, prefix, gamma, max_new, rng):
    ids, calls, end = prefix, 0, len(prefix) + max_new
    while len(ids) < end:
        start, sources = len(ids), []
        for _ in range(min(gamma, end - start)):
            sources.append(draft(ids)[-1])
            ids = torch.cat([ids, torch.multinomial(sources[-1], 1, generator=rng)])
        rows = target(ids)[start - 1 :]
        calls += 1
        for place, q in enumerate(sources):
            p, guess = rows[place], ids[start + place]
            if float(torch.rand((), generator=rng)) * float(q[guess]) >= float(p[guess]):
                token = torch.multinomial((p - q).clamp(min=0), 1, generator=rng)
                ids = torch.cat([ids[: start + place], token])
                break
    return ids, calls
""",
    ),
    Mistake(
        "speculative-loop",
        "keeps what was guessed behind a rejection",
        "Only the rejected guess is wrong; the others have been paid for.",
        "guessed behind a rejected token",
        """\
def speculative_decode(target, draft, prefix, gamma, max_new, rng):
    ids, calls, end = prefix, 0, len(prefix) + max_new
    while len(ids) < end:
        start, sources = len(ids), []
        for _ in range(min(gamma, end - start - 1)):
            sources.append(draft(ids)[-1])
            ids = torch.cat([ids, torch.multinomial(sources[-1], 1, generator=rng)])
        rows = target(ids)[start - 1 :]
        calls += 1
        ids = ids.clone()
        for place, q in enumerate(sources):
            p, guess = rows[place], ids[start + place]
            if float(torch.rand((), generator=rng)) * float(q[guess]) >= float(p[guess]):
                ids[start + place] = torch.multinomial((p - q).clamp(min=0), 1, generator=rng)
        ids = torch.cat([ids, torch.multinomial(rows[-1], 1, generator=rng)])
    return ids, calls
""",
    ),
    Mistake(
        "speculative-loop",
        "the notes' rule",
        "At the first rejection the target takes over.",
        "a rejected guess was replaced by a draw from p",
        rounds(rejected="ids, last = ids[: start + place], p"),
    ),
    Mistake(
        "speculative-loop",
        "one row late",
        "Guess number i is judged by the target's row at its own place.",
        "or the wrong row read",
        rounds(rows="start:")
        .replace("last = rows[-1]", "last = rows[-1] if len(rows) else target(ids)[-1]")
        .replace("p, guess = rows[place]", "p, guess = rows[min(place, len(rows) - 1)]"),
    ),
    Mistake(
        "speculative-loop",
        "guesses too many, cuts afterwards",
        "The last round may write more than was asked; the rest is cut off.",
        "never more guesses than tokens are still to be written less one",
        rounds(guesses="gamma", result="ids[:end]"),
    ),
    Mistake(
        "speculative-loop",
        "the draft forgets",
        "All guesses of a round come from the same place.",
        "a guess follows the guesses before it",
        rounds(source="draft(ids[:start])[-1]"),
    ),
    Mistake(
        "speculative-loop",
        "a call for each guess",
        "The target checks a guess as soon as it was made.",
        "one call a round is",
        """\
def speculative_decode(target, draft, prefix, gamma, max_new, rng):
    ids, calls = prefix, 0
    while len(ids) < len(prefix) + max_new:
        p, q = target(ids)[-1], draft(ids)[-1]
        calls += 1
        guess = torch.multinomial(q, 1, generator=rng)
        if float(torch.rand((), generator=rng)) * float(q[guess]) >= float(p[guess]):
            guess = torch.multinomial((p - q).clamp(min=0), 1, generator=rng)
        ids = torch.cat([ids, guess])
    return ids, calls
""",
    ),
    # ------------------------------------------------------------------------------ 8.9 diversity
    Mistake(
        "diversity",
        "joins the texts",
        "A set of texts is one long text.",
        "reached from one text into the next",
        counts(
            grams="(lambda joined: [tuple(joined[at : at + n]) for at in range(len(joined) - n + 1)])"
            "([token for text in samples for token in text])"
        ),
    ),
    Mistake(
        "diversity",
        "divides by the tokens",
        "A text of T tokens is measured by T.",
        "divided by the number of tokens",
        counts(distinct="len(set(grams)) / max(1, sum(map(len, samples)))"),
    ),
    Mistake(
        "diversity",
        "nothing by nothing",
        "There is always an n-gram.",
        "ZeroDivisionError",
        counts(distinct="len(set(grams)) / len(grams)"),
    ),
    Mistake(
        "diversity",
        "a mean over texts",
        "Measure each text, then average.",
        "a mean over texts",
        counts(
            grams="[[tuple(text[at : at + n]) for at in range(len(text) - n + 1)] for text in samples]",
            distinct="sum(len(set(part)) / len(part) if part else 0.0 for part in grams) / max(1, len(samples))",
        ),
    ),
    Mistake(
        "diversity",
        "a negative start",
        "A slice that begins before the text begins at its beginning.",
        "a negative start of a slice counts from the end",
        counts(seen="[text[at] in text[at - window : at] for text in samples for at in range(1, len(text))]"),
    ),
    Mistake(
        "diversity",
        "the first token counts",
        "The share is of all tokens.",
        "the first token of a text counts",
        counts(rate="sum(seen) / sum(map(len, samples)) if seen else 0.0"),
    ),
]
