"""Wrong answers that people really give in chapter 9, each with the words that must catch it.

The `belief` of each is what the page lists under "Common mistakes". For every exercise at least one of them
passes the visible checks: those are examples, and an example cannot show everything.
"""

from grader.hidden import Mistake

VERBALIZE = """\
def verbalize(lm, prompt, labels, null_prompt=None):
    def scores_after(before):
        scores = []
        for own in labels.values():
            logits = lm(torch.tensor([[*before, *own]]))[0, {places}]
            logprobs = torch.log_softmax(logits.double(), dim=-1)
            scores.append({score})
        return torch.stack(scores)

    scores = scores_after(prompt)
    if null_prompt is not None:
        {calibrate}
    return dict(zip(labels, {probs}.tolist()))
"""


def verbalize(
    places: str = "len(before) - 1 : -1",
    score: str = "logprobs[range(len(own)), list(own)].mean()",
    calibrate: str = "scores = scores - scores_after(null_prompt)",
    probs: str = "scores.softmax(dim=0)",
) -> str:
    """The reference with one expression replaced."""
    return VERBALIZE.format(places=places, score=score, calibrate=calibrate, probs=probs)


PROMPT = """\
def few_shot_prompt(instruction, persona, demos, query, budget, count):
    pairs = [f"Q: {{question}}\\nA: {{answer}}" for question, answer in demos]
    for dropped in range(len(pairs) + 1):
        parts = [{head}, *{kept}, f"Q: {{query}}\\nA:{tail}"]
        prompt = {joined}
        if {fits}:
            return prompt
    {otherwise}
"""


def prompt(
    head: str = "persona, instruction",
    kept: str = "pairs[dropped:]",
    tail: str = "",
    joined: str = '"\\n\\n".join(part for part in parts if part)',
    fits: str = "count(prompt) <= budget",
    otherwise: str = 'raise ValueError("too long")',
) -> str:
    """The reference with one expression replaced."""
    return PROMPT.format(head=head, kept=kept, tail=tail, joined=joined, fits=fits, otherwise=otherwise)


BATCH = """\
def icl_batch(vocab_size, n_pairs, pool, batch, rng):
    half = vocab_size // 2
    keys = {keys}
    values = {values}
    drawn = {drawn}
    ids = torch.stack([keys.gather(1, drawn), values.gather(1, drawn)], dim=-1).flatten(1)
    earlier = torch.ones(n_pairs, n_pairs, dtype=torch.bool).tril(-1)
    loss_mask = torch.zeros_like(ids, dtype=torch.bool)
    loss_mask[:, {places}] = {seen}
    return ids, loss_mask
"""


def batch(
    keys: str = "torch.rand(batch, half, generator=rng).argsort(dim=1)[:, :pool]",
    values: str = "half + torch.randint(half, (batch, pool), generator=rng)",
    drawn: str = "torch.randint(pool, (batch, n_pairs), generator=rng)",
    places: str = "1::2",
    seen: str = "((drawn[:, :, None] == drawn[:, None]) & earlier).any(-1)",
) -> str:
    """The reference with one expression replaced."""
    return BATCH.format(keys=keys, values=values, drawn=drawn, places=places, seen=seen)


PARSE = """\
def parse_answer(text):
    found = re.findall(r"{pattern}", text)
    if not found:
        return {nothing}
    number = found[{which}].{tidy}
    return {result}
"""


def parse(
    pattern: str = r"(?<!\d)-?\d[\d,]*(?:\.\d+)?",
    nothing: str = "None",
    which: str = "-1",
    tidy: str = 'replace(",", "")',
    result: str = 'number.rstrip("0").rstrip(".") if "." in number else number',
) -> str:
    """The reference with one expression replaced."""
    return PARSE.format(pattern=pattern, nothing=nothing, which=which, tidy=tidy, result=result)


VOTE = """\
def self_consistency(answers):
    given = [{cleaned} for answer in answers if {counted}]
    if not given:
        return None
    return {winner}
"""


def vote(
    cleaned: str = "answer.strip()", counted: str = "answer is not None", winner: str = "max(given, key=given.count)"
) -> str:
    """The reference with one expression replaced."""
    return VOTE.format(cleaned=cleaned, counted=counted, winner=winner)


KMEANS = """\
def kmeans(points, centroids, iters):
    {begin}

    def squared_distances(centroids):
        return ((points[:, None] - centroids) ** 2).sum(dim=-1)

    assign = squared_distances(centroids).argmin(dim=1)
    for _ in range({rounds}):
        assign = {nearest}
        moved = []
        for number, old in enumerate(centroids):
            group = points[assign == number]
            moved.append({move})
        centroids = torch.stack(moved)
    {fresh}
    distances = squared_distances(centroids)[range(len(points)), assign]
    return assign, centroids, {inertia}.item()
"""


def kmeans(
    begin: str = "centroids = centroids.clone()",
    rounds: str = "iters",
    nearest: str = "squared_distances(centroids).argmin(dim=1)",
    move: str = "group.mean(0) if len(group) else old",
    fresh: str = "assign = squared_distances(centroids).argmin(dim=1)",
    inertia: str = "distances.sum()",
) -> str:
    """The reference with one expression replaced."""
    return KMEANS.format(begin=begin, rounds=rounds, nearest=nearest, move=move, fresh=fresh, inertia=inertia)


AUTO_COT = """\
def auto_cot(questions, embed, k, solve, n_tokens, rng):
    vectors = embed(list(questions))
    assign, centroids = find_clusters(vectors, k, rng)
    distances = {distances}
    demos = []
    for cluster in range(k):
        members = (assign == cluster).nonzero()[:, 0]
        for index in {order}.tolist():
            question = questions[index]
{body}
    return demos
"""
BODY = """\
            if n_tokens(question) > 60:
                continue
            rationale, answer = solve(question)
            if answer is not None and count_steps(rationale) <= 5:
                demos.append(Demo(question, rationale, answer, cluster))
                break"""


def auto_cot(
    distances: str = "(vectors - centroids[assign]).norm(dim=1)",
    order: str = "members[distances[members].argsort()]",
    body: str = BODY,
) -> str:
    """The reference with one piece replaced."""
    return AUTO_COT.format(distances=distances, order=order, body=body)


TREE = """\
def tree_search(expand, value, root, beam, depth):
    values, parents, level = {{root: value(root)}}, {{}}, [root]
    for _ in range(depth):
        found = []
        for state in level:
            for after in expand(state):
                if {fresh}:
                    values[after], parents[after] = value(after), state
                    found.append(after)
        level = {level}
    path = [{best}]
    while path[-1] != root:
        path.append(parents[path[-1]])
    return {result}
"""


def tree(
    fresh: str = "after not in values",
    level: str = "sorted(found, key=values.get, reverse=True)[:beam]",
    best: str = "max(values, key=values.get)",
    result: str = "path[::-1]",
) -> str:
    """The reference with one expression replaced."""
    return TREE.format(fresh=fresh, level=level, best=best, result=result)


CALCULATE = """\
def calculate(expression):
    signs = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}

    def value(node):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return node.value
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -value(node.operand)
        if isinstance(node, ast.BinOp) and type(node.op) in signs:
            return signs[type(node.op)](value(node.left), value(node.right))
        raise ValueError("no arithmetic")

    try:
        result = value(ast.parse(expression.strip(), mode="eval").body)
    except (SyntaxError, ZeroDivisionError):
        raise ValueError("no value") from None
    return str(int(result)) if result == int(result) else str(result)
"""
REACT = """\


def react(policy, tools, question, max_steps):
    transcript = f"Question: {{question}}\\n"
    for _ in range({turns}):
        written = {written}.strip()
        actions = {actions}
        if not actions:
            transcript += f"{{written}}\\nObservation: no line with an Action was found\\n"
            continue
        action = actions[{which}]
        name, given = action.groups()
        transcript += written[: action.end()] + "\\n"
        if name == "finish":
            return given, transcript.strip()
{use}
        transcript += f"Observation: {{seen}}\\n"
    return None, transcript.strip()
"""
USE = """\
        try:
            seen = tools[name](given) if name in tools else f"there is no tool {name}"
        except Exception as error:
            seen = f"{name} failed: {error}\""""


def react(
    calculate: str = CALCULATE,
    turns: str = "max_steps",
    written: str = 're.split(r"^Observation:", policy(transcript), maxsplit=1, flags=re.MULTILINE)[0]',
    actions: str = 'list(re.finditer(r"^Action: (\\w+)\\[(.*)\\]", written, flags=re.MULTILINE))',
    which: str = "0",
    use: str = USE,
) -> str:
    """The reference with one piece replaced."""
    return calculate + REACT.format(turns=turns, written=written, actions=actions, which=which, use=use)


MISTAKES = [
    # ------------------------------------------------------------------------------ 9.1 verbalize
    Mistake(
        "verbalize",
        "first token",
        "A label is known by its first token.",
        "only the first token of a label was scored",
        verbalize(score="logprobs[0, own[0]]"),
    ),
    Mistake(
        "verbalize",
        "sum",
        "The probability of a label is the product of its tokens' probabilities, so their logarithms are added.",
        "were added: a long label loses by its length",
        verbalize(score="logprobs[range(len(own)), list(own)].sum()"),
    ),
    Mistake(
        "verbalize",
        "prompt counts",
        "The text that fits best is the likeliest as a whole, prompt and label together.",
        "the prompt's own tokens were scored with the label's",
        verbalize(places=":-1", score="logprobs[range(len(logprobs)), [*before[1:], *own]].mean()"),
    ),
    Mistake(
        "verbalize",
        "own place",
        "The logits at a token's place say how likely that token is.",
        "read at its own place",
        verbalize(places="len(before) :"),
    ),
    Mistake(
        "verbalize",
        "subtracts probabilities",
        "What the model says anyway is a probability, so it is taken off the probability.",
        "probabilities were subtracted",
        verbalize(calibrate="scores = scores.softmax(0) - scores_after(null_prompt).softmax(0)"),
    ),
    Mistake(
        "verbalize",
        "adds the null score",
        "Two pieces of evidence add up.",
        "after the null prompt was added",
        verbalize(calibrate="scores = scores + scores_after(null_prompt)"),
    ),
    Mistake(
        "verbalize",
        "no softmax",
        "The exponential of a mean log-probability is a probability already.",
        "the softmax goes over the labels",
        verbalize(probs="scores.exp()"),
    ),
    # ------------------------------------------------------------------------ 9.2 few-shot prompt
    Mistake(
        "few-shot-prompt",
        "cuts the text",
        "A text that is too long is cut to its length; the end matters least.",
        "the query was cut",
        prompt(
            kept="pairs",
            fits="True",
            joined='"\\n\\n".join(part for part in parts if part)[: 3 * budget]',
        ),
    ),
    Mistake(
        "few-shot-prompt",
        "drops the newest",
        "The first demonstrations set the pattern, so the last ones go.",
        "an older demonstration was kept where a later one was dropped",
        prompt(kept="pairs[: len(pairs) - dropped]"),
    ),
    Mistake(
        "few-shot-prompt",
        "adds lengths",
        "The tokens of a text are the sum of the tokens of its parts.",
        "count the joined text, separators included",
        prompt(fits="sum(map(count, filter(None, parts))) <= budget"),
    ),
    Mistake(
        "few-shot-prompt",
        "one separator drifts",
        "The query needs no blank line before it; it is no demonstration.",
        "one blank line, everywhere",
        prompt(joined='"\\n\\n".join(part for part in parts[:-1] if part) + "\\n" + parts[-1]'),
    ),
    Mistake(
        "few-shot-prompt",
        "squeezes old ones in",
        "As many demonstrations as possible: what does not fit is passed over, and an older one may fill the gap.",
        "an older demonstration was kept where a later one was dropped",
        """\
def few_shot_prompt(instruction, persona, demos, query, budget, count):
    def write(pairs):
        parts = [persona, instruction, *(f"Q: {q}\\nA: {a}" for q, a in pairs), f"Q: {query}\\nA:"]
        return "\\n\\n".join(part for part in parts if part)

    if count(write([])) > budget:
        raise ValueError("too long")
    kept = []
    for pair in demos[::-1]:
        if count(write([pair, *kept])) <= budget:
            kept.insert(0, pair)
    return write(kept)
""",
    ),
    Mistake(
        "few-shot-prompt",
        "a space behind A:",
        "The answer begins with a space, so the prompt ends with one.",
        "nothing behind it",
        prompt(tail=" "),
    ),
    Mistake(
        "few-shot-prompt",
        "below the budget",
        "A budget of 20 means fewer than 20.",
        "meets the budget exactly",
        prompt(fits="count(prompt) < budget"),
    ),
    Mistake(
        "few-shot-prompt",
        "too long all the same",
        "If even the query is too long, the query alone is the best one can do.",
        "the query alone is over the budget",
        prompt(otherwise="return prompt"),
    ),
    # ------------------------------------------------------------------------------ 9.3 icl batch
    Mistake(
        "icl-batch",
        "one mapping",
        "A batch is one task, so its rows share the mapping.",
        "share one mapping",
        batch(
            keys="torch.rand(1, half, generator=rng).argsort(dim=1)[:, :pool].repeat(batch, 1)",
            values="(half + torch.randint(half, (1, pool), generator=rng)).repeat(batch, 1)",
        ),
    ),
    Mistake(
        "icl-batch",
        "same keys, new values",
        "Only the values must be fresh; the keys are only names.",
        "some sets of keys come more often than others",
        batch(keys="torch.rand(1, half, generator=rng).argsort(dim=1)[:, :pool].repeat(batch, 1)"),
    ),
    Mistake(
        "icl-batch",
        "keys may repeat",
        "Keys are drawn like values.",
        "the pool holds different ones",
        batch(
            keys="torch.arange(pool).expand(batch, pool).clone() if pool == half else "
            "torch.randint(half, (batch, 1), generator=rng) * 0 + torch.randint(half, (batch, pool), generator=rng)",
            values="half + (keys * int(torch.randint(1, half, (), generator=rng)) + "
            "torch.randint(half, (batch, 1), generator=rng)) % half",
        ),
    ),
    Mistake(
        "icl-batch",
        "all values",
        "The loss counts on values, that is on every second token.",
        "counts values of keys that are new",
        batch(
            seen="torch.arange(n_pairs).expand(batch, n_pairs) > 0"
            if False
            else "torch.ones(batch, n_pairs, dtype=torch.bool)"
        ),
    ),
    Mistake(
        "icl-batch",
        "loss on keys",
        "The prediction is made at the key, so the key's place is marked.",
        "the mask is True at a key",
        batch(places="::2"),
    ),
    Mistake(
        "icl-batch",
        "value seen",
        "A value can be copied if it stood there before.",
        "asks whether the value stood there before",
        batch(seen="((ids[:, 1::2, None] == ids[:, None, 1::2]) & earlier).any(-1)"),
    ),
    Mistake(
        "icl-batch",
        "values differ",
        "A mapping gives every key another value.",
        "values are drawn independently",
        batch(values="half + torch.rand(batch, half, generator=rng).argsort(dim=1)[:, :pool]"),
    ),
    Mistake(
        "icl-batch",
        "global draws",
        "Random numbers come from torch.",
        "all draws come from `rng`",
        batch(drawn="torch.randint(pool, (batch, n_pairs))"),
    ),
    Mistake(
        "icl-batch",
        "each key in turn",
        "Every key of the pool should come equally often, so they come in turn.",
        "with replacement, all as likely",
        batch(drawn="(torch.arange(n_pairs) + torch.randint(pool, (batch, 1), generator=rng)) % pool"),
    ),
    # --------------------------------------------------------------------------- 9.4 parse answer
    Mistake(
        "parse-answer",
        "first number",
        "The answer is the number in the text.",
        "was taken: a chain names others on its way",
        parse(which="0"),
    ),
    Mistake(
        "parse-answer",
        "no sign",
        "A number is made of digits.",
        "the sign is lost",
        parse(pattern=r"\d[\d,]*(?:\.\d+)?"),
    ),
    Mistake(
        "parse-answer",
        "every hyphen a sign",
        "A minus before digits is their sign.",
        "stands between two numbers",
        parse(pattern=r"-?\d[\d,]*(?:\.\d+)?"),
    ),
    Mistake(
        "parse-answer",
        "cut at commas",
        "Commas separate numbers.",
        "was cut at a comma between thousands",
        parse(pattern=r"(?<!\d)-?\d+(?:\.\d+)?"),
    ),
    Mistake(
        "parse-answer",
        "empty text",
        "No answer is an empty answer.",
        "so the answer is None",
        parse(nothing='""'),
    ),
    Mistake(
        "parse-answer",
        "zeros stay",
        "1234.50 is what stands there.",
        "zeros that end a decimal part",
        parse(result='number.removesuffix("0") if "." in number else number'),
    ),
    # ------------------------------------------------------------------------------- 9.5 the vote
    Mistake(
        "self-consistency",
        "None votes",
        "No answer is one of the answers.",
        "None was counted as an answer",
        vote(cleaned="answer and answer.strip()", counted="True"),
    ),
    Mistake(
        "self-consistency",
        "spaces count",
        "Equal answers are equal texts.",
        "white space makes no difference",
        vote(cleaned="answer"),
    ),
    Mistake(
        "self-consistency",
        "largest",
        "`max` of the answers is the one with most votes.",
        "the largest answer was taken",
        vote(winner="max(given, key=lambda answer: (len(answer), answer))"),
    ),
    Mistake(
        "self-consistency",
        "last of a tie",
        "A later sample knows no less, so it does not matter which of two equal answers wins.",
        "of equally frequent answers the last was taken",
        vote(winner="max(given[::-1], key=given.count)"),
    ),
    Mistake(
        "self-consistency",
        "ties by the alphabet",
        "Sorting the counts finds the winner.",
        "a tie was decided by the answers' order",
        vote(winner="min(set(given), key=lambda answer: (-given.count(answer), answer))"),
    ),
    Mistake(
        "self-consistency",
        "more than half",
        "A majority is more than half of the votes.",
        "without more than half",
        vote(winner="next((answer for answer in given if 2 * given.count(answer) > len(given)), None)"),
    ),
    # -------------------------------------------------------------------------------- 9.6 k-means
    Mistake(
        "kmeans",
        "stale groups",
        "The last assignment was made in the last round.",
        "belong to the centroids before the last move",
        kmeans(fresh="pass"),
    ),
    Mistake(
        "kmeans",
        "mean of nothing",
        "The mean of a group is the mean of a group.",
        "an empty cluster became nan",
        kmeans(move="group.mean(0)"),
    ),
    Mistake(
        "kmeans",
        "back to zero",
        "A cluster without points starts again at zero.",
        "an empty cluster moved to zero",
        kmeans(move="group.mean(0) if len(group) else torch.zeros_like(old)"),
    ),
    Mistake(
        "kmeans",
        "median",
        "The middle of a group is its median.",
        "centroids are medians",
        kmeans(move="group.quantile(0.5, dim=0) if len(group) else old"),
    ),
    Mistake(
        "kmeans",
        "distances, not squares",
        "Inertia is how far the points are from their centroids, added up.",
        "the inertia adds distances",
        kmeans(inertia="distances.sqrt().sum()"),
    ),
    Mistake(
        "kmeans",
        "mean inertia",
        "A measure of spread is a mean.",
        "the inertia is a mean",
        kmeans(inertia="distances.mean()"),
    ),
    Mistake(
        "kmeans",
        "last of equals",
        "Which of two equally near centroids gets a point makes no difference.",
        "of equally near centroids the last got the point",
        kmeans(
            nearest="len(centroids) - 1 - squared_distances(centroids).flip(1).argmin(dim=1)",
            fresh="assign = len(centroids) - 1 - squared_distances(centroids).flip(1).argmin(dim=1)",
        ),
    ),
    Mistake(
        "kmeans",
        "at least one round",
        "Without a round there is no clustering.",
        "not after 0",
        kmeans(rounds="max(1, iters)"),
    ),
    # ------------------------------------------------------------------------------- 9.7 Auto-CoT
    Mistake(
        "auto-cot",
        "break outside",
        "The search of a cluster ends after its first question.",
        "a cluster was lost",
        auto_cot(
            body="""\
            if n_tokens(question) <= 60:
                rationale, answer = solve(question)
                if answer is not None and count_steps(rationale) <= 5:
                    demos.append(Demo(question, rationale, answer, cluster))
            break"""
        ),
    ),
    Mistake(
        "auto-cot",
        "farthest first",
        "The questions are sorted by distance, and the first is taken.",
        "the farthest question was taken",
        auto_cot(order="members[distances[members].argsort(descending=True)]"),
    ),
    Mistake(
        "auto-cot",
        "characters",
        "The length of a question is `len(question)`.",
        "by n_tokens",
        auto_cot(body=BODY.replace("n_tokens(question) > 60", "len(question) > 60")),
    ),
    Mistake(
        "auto-cot",
        "near the middle of all",
        "The centre is the mean of the questions.",
        "the nearest to its own centroid comes first",
        auto_cot(distances="(vectors - vectors.mean(0)).norm(dim=1)"),
    ),
    Mistake(
        "auto-cot",
        "limits excluded",
        "At most 60 is below 60.",
        "60 tokens and 5 steps are still allowed",
        auto_cot(body=BODY.replace("> 60", ">= 60").replace("<= 5", "< 5")),
    ),
    Mistake(
        "auto-cot",
        "no answer needed",
        "A rationale is a demonstration, with or without an answer.",
        "a question without an answer was taken",
        auto_cot(body=BODY.replace("answer is not None and ", "")),
    ),
    Mistake(
        "auto-cot",
        "asks first",
        "First solve, then look whether question and rationale are short enough.",
        "are enough: not about questions that are too long",
        auto_cot(
            body="""\
            rationale, answer = solve(question)
            if n_tokens(question) > 60:
                continue
            if answer is not None and count_steps(rationale) <= 5:
                demos.append(Demo(question, rationale, answer, cluster))
                break"""
        ),
    ),
    Mistake(
        "auto-cot",
        "all that fit",
        "More demonstrations are better.",
        "demonstrations of one cluster: it gives one",
        auto_cot(body=BODY.replace("\n                break", "")),
    ),
    # ---------------------------------------------------------------------------- 9.8 tree search
    Mistake(
        "tree-search",
        "one beam",
        "The best state of each level goes on.",
        "keep the best `beam`",
        tree(level="sorted(found, key=values.get, reverse=True)[:1]"),
    ),
    Mistake(
        "tree-search",
        "last level",
        "The result is the best of the last level.",
        "the best of the last level was returned",
        tree(
            level="sorted(found, key=values.get, reverse=True)[:beam] or level; last = level",
            best="max(last if depth else [root], key=values.get)",
        ),
    ),
    Mistake(
        "tree-search",
        "no memory",
        "In a tree every state has one way to it.",
        "value was asked",
        """\
def tree_search(expand, value, root, beam, depth):
    best_value, best = value(root), [root]
    level = [(best_value, [root])]
    for _ in range(depth):
        found = [(value(after), [*path, after]) for _, path in level for after in expand(path[-1])]
        level = sorted(found, key=lambda pair: pair[0], reverse=True)[:beam]
        for worth, path in level:
            if worth > best_value:
                best_value, best = worth, path
    return best
""",
    ),
    Mistake(
        "tree-search",
        "a beam for each",
        "Every state keeps its best `beam` children.",
        "the best `beam` of every state went on",
        """\
def tree_search(expand, value, root, beam, depth):
    values, parents, level = {root: value(root)}, {}, [root]
    for _ in range(depth):
        following = []
        for state in level:
            found = []
            for after in expand(state):
                if after not in values:
                    values[after], parents[after] = value(after), state
                    found.append(after)
            following += sorted(found, key=values.get, reverse=True)[:beam]
        level = following
    path = [max(values, key=values.get)]
    while path[-1] != root:
        path.append(parents[path[-1]])
    return path[::-1]
""",
    ),
    Mistake(
        "tree-search",
        "only the kept are remembered",
        "A state that was not kept may be found and tried again.",
        "value was asked",
        tree(
            fresh="after not in parents and after != root",
            level="sorted(found, key=values.get, reverse=True)[:beam]; "
            "[parents.pop(state) for state in found if state not in level and values[state] < max(values.values())]",
        ),
    ),
    Mistake(
        "tree-search",
        "backwards",
        "The path leads from the solution to the root.",
        "the path runs backwards",
        tree(result="path"),
    ),
    # ---------------------------------------------------------------------------------- 9.9 ReAct
    Mistake(
        "react",
        "eval",
        "The expression is checked for its characters, so `eval` is safe.",
        "what a model writes is never run",
        react(
            calculate="""\
def calculate(expression):
    if not re.fullmatch(r"[0-9+\\-*/(). ]+", expression):
        raise ValueError("no arithmetic")
    try:
        result = eval(expression.strip())
    except Exception:
        raise ValueError("no value") from None
    return str(int(result)) if result == int(result) else str(result)
"""
        ),
    ),
    Mistake(
        "react",
        "believes the model",
        "The model's text goes into the transcript as it is.",
        "that the policy invented was kept",
        react(
            written="policy(transcript)",
            actions='list(re.finditer(r"^Action: (\\w+)\\[(.*)\\]", written, flags=re.MULTILINE))',
        ),
    ),
    Mistake(
        "react",
        "the last action",
        "The model's last word counts.",
        "of several actions in one turn the first counts",
        react(which="-1"),
    ),
    Mistake(
        "react",
        "no limit",
        "The loop ends when the model is done.",
        "max_steps ends the loop",
        react(turns="10**6"),
    ),
    Mistake(
        "react",
        "unknown tools crash",
        "A model only names tools that it was given.",
        "a tool that does not exist ended the loop",
        react(use="        seen = tools[name](given)"),
    ),
    Mistake(
        "react",
        "failing tools crash",
        "A tool that fails is the tool's business.",
        "a tool's error ended the loop",
        react(use='        seen = tools[name](given) if name in tools else f"there is no tool {name}"'),
    ),
    Mistake(
        "react",
        "shortest input",
        "The input ends at the next bracket.",
        "f[0",
        react(actions='list(re.finditer(r"^Action: (\\w+)\\[(.*?)\\]", written, flags=re.MULTILINE))'),
    ),
    Mistake(
        "react",
        "decimal points",
        "6 / 2 is 3.0.",
        "a whole result has no decimal point",
        react(calculate=CALCULATE.replace("str(int(result)) if result == int(result) else str(result)", "str(result)")),
    ),
    Mistake(
        "react",
        "division by zero",
        "Whoever divides by zero has himself to blame.",
        "or has no value, is a ValueError",
        react(calculate=CALCULATE.replace("(SyntaxError, ZeroDivisionError)", "SyntaxError")),
    ),
]
