"""Right answers of chapter 9 written in other ways; each must get full marks."""

from grader.hidden import Alternative

ALTERNATIVES = [
    Alternative(
        "verbalize",
        "one batch, padded on the right",
        """\
@torch.no_grad()
def verbalize(lm, prompt, labels, null_prompt=None):
    longest = max(map(len, labels.values()))

    def scores(before):
        rows = torch.tensor([[*before, *own, *[0] * (longest - len(own))] for own in labels.values()])
        logprobs = lm(rows).double().log_softmax(-1)[:, len(before) - 1 : -1]
        picked = logprobs.gather(-1, rows[:, len(before) :, None])[..., 0]
        return torch.stack([row[: len(own)].mean() for row, own in zip(picked, labels.values())])

    total = scores(prompt) - (0 if null_prompt is None else scores(null_prompt))
    return {name: float(prob) for name, prob in zip(labels, torch.exp(total - total.logsumexp(0)))}
""",
    ),
    Alternative(
        "verbalize",
        "token by token, in numpy",
        """\
def verbalize(lm, prompt, labels, null_prompt=None):
    def score(before, own):
        ids, total = list(before), 0.0
        for token in own:
            row = lm(torch.tensor([ids]))[0, -1].detach().numpy().astype(np.float64)
            total += row[token] - np.logaddexp.reduce(row)
            ids.append(token)
        return total / len(own)

    scores = {name: score(prompt, own) for name, own in labels.items()}
    if null_prompt is not None:
        scores = {name: value - score(null_prompt, labels[name]) for name, value in scores.items()}
    powers = {name: np.exp(value) for name, value in scores.items()}
    return {name: power / sum(powers.values()) for name, power in powers.items()}
""",
    ),
    Alternative(
        "few-shot-prompt",
        "from the newest backwards",
        """\
def few_shot_prompt(instruction, persona, demos, query, budget, count):
    head = "".join(part + "\\n\\n" for part in (persona, instruction) if part)
    body = "Q: " + query + "\\nA:"
    if count(head + body) > budget:
        raise ValueError("the query does not fit")
    lengths = [body]
    for question, answer in reversed(demos):
        lengths.append(f"Q: {question}\\nA: {answer}\\n\\n" + lengths[-1])
    return next(head + text for text in reversed(lengths) if count(head + text) <= budget)
""",
    ),
    Alternative(
        "few-shot-prompt",
        "recursion",
        """\
def few_shot_prompt(instruction, persona, demos, query, budget, count):
    parts = [persona] * bool(persona) + [instruction] * bool(instruction)
    parts += ["Q: " + question + "\\nA: " + answer for question, answer in demos] + ["Q: " + query + "\\nA:"]
    text = "\\n\\n".join(parts)
    if count(text) <= budget:
        return text
    if len(demos) == 0:
        raise ValueError("over the budget")
    return few_shot_prompt(instruction, persona, demos[1:], query, budget, count)
""",
    ),
    Alternative(
        "icl-batch",
        "row by row, permutations and sets",
        """\
def icl_batch(vocab_size, n_pairs, pool, batch, rng):
    half = vocab_size // 2
    rows, masks = [], []
    for _ in range(batch):
        keys = torch.randperm(half, generator=rng)[:pool].tolist()
        value_of = {key: half + int(torch.randint(half, (1,), generator=rng)) for key in keys}
        row, mask, met = [], [], set()
        for _ in range(n_pairs):
            key = keys[int(torch.randint(pool, (1,), generator=rng))]
            row += [key, value_of[key]]
            mask += [False, key in met]
            met.add(key)
        rows.append(row)
        masks.append(mask)
    return torch.tensor(rows), torch.tensor(masks)
""",
    ),
    Alternative(
        "icl-batch",
        "weights and one-hot counts",
        """\
def icl_batch(vocab_size, n_pairs, pool, batch, rng):
    half = vocab_size // 2
    allowed = torch.zeros(batch, half)
    allowed.scatter_(1, torch.multinomial(torch.ones(batch, half), pool, generator=rng), 1.0)
    table = torch.randint(half, vocab_size, (batch, half), generator=rng)
    keys = torch.multinomial(allowed, n_pairs, replacement=True, generator=rng)
    ids = torch.empty(batch, 2 * n_pairs, dtype=torch.long)
    ids[:, 0::2], ids[:, 1::2] = keys, torch.gather(table, 1, keys)
    hot = F.one_hot(keys, half)
    before = (hot.cumsum(1) - hot).gather(2, keys[..., None])[..., 0] > 0
    return ids, torch.stack([torch.zeros_like(before), before], -1).reshape(batch, -1)
""",
    ),
    Alternative(
        "parse-answer",
        "characters from the end",
        """\
def parse_answer(text):
    end = max((at for at, sign in enumerate(text) if sign.isdigit()), default=None)
    if end is None:
        return None
    start = end
    while text[start - 1 : start].isdigit() or re.fullmatch("[0-9][,.]", text[max(0, start - 2) : start]):
        start -= 1
    minus = text[start - 1 : start] == "-" and not text[max(0, start - 2) : start - 1].isdigit()
    whole, point, part = text[start : end + 1].replace(",", "").partition(".")
    part = part.rstrip("0")
    return "-" * minus + whole + ("." + part if part else "")
""",
    ),
    Alternative(
        "parse-answer",
        "search and Decimal",
        """\
def parse_answer(text):
    from decimal import Decimal

    last = None
    for last in re.finditer(r"(?:(?<![0-9])-)?[0-9]+(?:,[0-9]{3})*(?:[.][0-9]+)?", text):
        pass
    if last is None:
        return None
    number = Decimal(last.group().replace(",", ""))
    return format(number.quantize(1) if number == number.to_integral_value() else number.normalize(), "f")
""",
    ),
    Alternative(
        "self-consistency",
        "a loop with a dictionary",
        """\
def self_consistency(answers):
    votes, best = {}, None
    for answer in answers:
        if answer is None:
            continue
        votes[answer.strip()] = votes.get(answer.strip(), 0) + 1
    for answer, count in votes.items():
        if best is None or count > votes[best]:
            best = answer
    return best
""",
    ),
    Alternative(
        "self-consistency",
        "a counter's most common",
        """\
def self_consistency(answers):
    common = Counter(map(str.strip, filter(lambda answer: answer is not None, answers))).most_common(1)
    return common[0][0] if common else None
""",
    ),
    Alternative(
        "kmeans",
        "one-hot sums, stops early",
        """\
def kmeans(points, centroids, iters):
    def nearest(centres):
        return torch.stack([(points - centre).square().sum(1) for centre in centres]).min(0)

    for _ in range(iters):
        hot = F.one_hot(nearest(centroids).indices, len(centroids)).to(points.dtype)
        sizes = hot.sum(0)[:, None]
        moved = torch.where(sizes > 0, hot.T @ points / sizes.clamp(min=1), centroids)
        if torch.equal(moved, centroids):
            break
        centroids = moved
    distances, assign = nearest(centroids)
    return assign, centroids.clone(), float(distances.sum())
""",
    ),
    Alternative(
        "kmeans",
        "numpy",
        """\
def kmeans(points, centroids, iters):
    data, centres = points.numpy(), centroids.numpy().copy()

    def assign_all():
        return np.array([np.argmin(((row - centres) ** 2).sum(1)) for row in data])

    for _ in range(iters):
        assign = assign_all()
        for number in set(assign.tolist()):
            centres[number] = data[assign == number].mean(axis=0)
    assign = assign_all()
    return torch.from_numpy(assign), torch.from_numpy(centres), ((data - centres[assign]) ** 2).sum().item()
""",
    ),
    Alternative(
        "auto-cot",
        "sorted once, a dictionary of what is found",
        """\
def auto_cot(questions, embed, k, solve, n_tokens, rng):
    vectors = embed(questions)
    assign, centroids = find_clusters(vectors, k, rng)
    found = {}
    ranked = sorted(
        (torch.dist(vector, centroids[cluster]).item(), cluster, question)
        for vector, cluster, question in zip(vectors, assign.tolist(), questions)
    )
    for _, cluster, question in ranked:
        if cluster in found or n_tokens(question) > 60:
            continue
        rationale, answer = solve(question)
        if count_steps(rationale) > 5 or answer is None:
            continue
        found[cluster] = Demo(question, rationale, answer, cluster)
    return [found[cluster] for cluster in sorted(found)]
""",
    ),
    Alternative(
        "auto-cot",
        "a generator for each cluster",
        """\
def auto_cot(questions, embed, k, solve, n_tokens, rng):
    vectors = embed(list(questions))
    assign, centroids = find_clusters(vectors, k, rng)

    def candidates(cluster):
        near = ((vectors - centroids[cluster]) ** 2).sum(1)
        for row in near.argsort().tolist():
            if assign[row] == cluster and n_tokens(questions[row]) <= 60:
                rationale, answer = solve(questions[row])
                if count_steps(rationale) <= 5 and answer is not None:
                    yield Demo(questions[row], rationale, answer, cluster)

    firsts = [next(candidates(cluster), None) for cluster in range(k)]
    return [demo for demo in firsts if demo is not None]
""",
    ),
    # The library's auto_cot clusters by its own k-means and counts steps by its own rule: both agree with the page's.
    Alternative(
        "tree-search",
        "paths carried along",
        """\
def tree_search(expand, value, root, beam, depth):
    met = {root}
    best = (value(root), [root])
    level = [best]
    for _ in range(depth):
        following = []
        for _, path in level:
            for state in expand(path[-1]):
                if state in met:
                    continue
                met.add(state)
                following.append((value(state), [*path, state]))
        following.sort(key=lambda pair: -pair[0])
        level = following[:beam]
        if level and level[0][0] > best[0]:
            best = level[0]
    return best[1]
""",
    ),
    Alternative(
        "tree-search",
        "recursion over levels, largest by heapq",
        """\
def tree_search(expand, value, root, beam, depth):
    came_from, worth = {root: None}, {root: value(root)}

    def deeper(level, left):
        if not level or not left:
            return
        new = []
        for state in level:
            for after in expand(state):
                if after not in came_from:
                    came_from[after], worth[after] = state, value(after)
                    new.append(after)
        deeper(heapq.nlargest(beam, new, key=worth.get), left - 1)

    deeper([root], depth)
    state, path = max(worth, key=worth.get), []
    while state is not None:
        path.insert(0, state)
        state = came_from[state]
    return path
""",
    ),
    Alternative(
        "react",
        "line by line, and a parser of its own",
        """\
def calculate(expression):
    tokens = re.findall(r"[0-9]+(?:[.][0-9]+)?|[-+*/()]", expression)
    if "".join(tokens) != re.sub(r"\\s", "", expression) or re.search(r"[0-9]\\s+[0-9]", expression):
        raise ValueError("strange signs")
    tokens.append("end")

    def atom():
        token = tokens.pop(0)
        if token == "-":
            return -atom()
        if token == "(":
            inside = total()
            if tokens.pop(0) != ")":
                raise ValueError("a parenthesis is open")
            return inside
        if not token[0].isdigit():
            raise ValueError(f"a number was expected, not {token}")
        return float(token) if "." in token else int(token)

    def product():
        value = atom()
        while tokens[0] in ("*", "/"):
            sign, right = tokens.pop(0), atom()
            if sign == "/" and right == 0:
                raise ValueError("division by zero")
            value = value * right if sign == "*" else value / right
        return value

    def total():
        value = product()
        while tokens[0] in ("+", "-"):
            sign, right = tokens.pop(0), product()
            value = value + right if sign == "+" else value - right
        return value

    value = total()
    if tokens != ["end"]:
        raise ValueError("something is left over")
    return str(int(value)) if float(value).is_integer() else str(value)


def react(policy, tools, question, max_steps):
    lines = [f"Question: {question}"]
    while max_steps > 0:
        max_steps -= 1
        written = []
        for line in policy("\\n".join(lines) + "\\n").split("\\n"):
            if line.startswith("Observation:"):
                break
            written.append(line)
        written = "\\n".join(written).strip().split("\\n")
        for line in written:
            lines.append(line)
            name, _, rest = line.removeprefix("Action: ").partition("[")
            if line.startswith("Action: ") and "]" in rest:
                given = rest[: rest.rindex("]")]
                if name == "finish":
                    return given, "\\n".join(lines)
                if name not in tools:
                    lines.append(f"Observation: {name} is not a tool; there are {', '.join(tools)}")
                    break
                try:
                    lines.append(f"Observation: {tools[name](given)}")
                except Exception as error:
                    lines.append(f"Observation: error: {error}")
                break
        else:
            lines.append("Observation: write a line that begins with Action")
    return None, "\\n".join(lines)
""",
    ),
    Alternative(
        "react",
        "recursion, match on nodes",
        """\
def calculate(expression):
    def walk(node):
        match node:
            case ast.Constant(value=bool()):
                pass
            case ast.Constant(value=int() | float() as number):
                return number
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return 0 - walk(inner)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return walk(left) + walk(right)
            case ast.BinOp(left=left, op=ast.Sub(), right=right):
                return walk(left) - walk(right)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return walk(left) * walk(right)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return walk(left) / walk(right)
        raise ValueError("only numbers and + - * /")

    try:
        tree = ast.parse(expression.strip(), mode="eval")
        return f"{walk(tree.body):.12g}"
    except (SyntaxError, ArithmeticError) as error:
        raise ValueError("no value") from error


def react(policy, tools, question, max_steps):
    def observe(name, given):
        if name not in tools:
            return "unknown tool: " + name
        try:
            return tools[name](given)
        except Exception as error:
            return "error: " + str(error)

    def go_on(text, left):
        if left == 0:
            return None, text[:-1]
        said = re.sub(r"(?ms)^Observation:.*", "", policy(text)).strip()
        found = re.search(r"(?m)^Action: (\\w+)\\[(.*)\\]", said)
        if not found:
            return go_on(text + said + "\\nObservation: I see no Action\\n", left - 1)
        text += said[: found.end()]
        if found[1] == "finish":
            return found[2], text
        return go_on(f"{text}\\nObservation: {observe(found[1], found[2])}\\n", left - 1)

    return go_on(f"Question: {question}\\n", max_steps)
""",
    ),
]

LIBRARY = {
    "verbalize": "byhand.prompting:verbalize",
    "few-shot-prompt": "byhand.prompting:few_shot_prompt",
    "icl-batch": "byhand.prompting:icl_batch",
    "parse-answer": "byhand.prompting:parse_answer",
    "self-consistency": "byhand.prompting:self_consistency",
    "kmeans": "byhand.prompting:kmeans",
    "auto-cot": "byhand.prompting:auto_cot",
    "tree-search": "byhand.prompting:tree_search",
    "react": "byhand.prompting:calculate, react",
}
"""Where the library answers each exercise: its own functions must get full marks too."""
