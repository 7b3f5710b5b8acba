"""Right answers of chapter 11 written in other ways; each must get full marks."""

from grader.hidden import Alternative

ALTERNATIVES = [
    Alternative(
        "chat-template",
        "who follows whom in a table, one join",
        """\
def chat_template(messages, add_generation_prompt=False):
    before = {"system": (None,), "user": (None, "system", "assistant"), "assistant": ("user",)}
    last, lines = None, []
    for message in messages:
        role, content = message["role"], message["content"]
        if last not in before.get(role, ()):
            raise ValueError(f"{role} cannot follow {last}")
        last = role
        lines.append(f"<|{role}|>")
        lines.append(re.sub(r"<\\|", "< |", re.sub(r"\\|>", "| >", content)) + "<|end|>")
    if last is None:
        raise ValueError("nobody speaks")
    lines += ["<|assistant|>"] if add_generation_prompt else []
    return "\\n".join(lines) + "\\n"
""",
    ),
    Alternative(
        "chat-template",
        "a pattern over the initials of the roles",
        """\
def chat_template(messages, add_generation_prompt=False):
    initials = {"system": "s", "user": "u", "assistant": "a"}
    order = "".join(initials.get(message["role"], "?") for message in messages)
    if not re.fullmatch(r"s?(ua)*u?", order) or not order:
        raise ValueError(order)
    safe = lambda text: "< |".join("| >".join(text.split("|>")).split("<|"))
    parts = ["<|" + m["role"] + "|>\\n" + safe(m["content"]) + "<|end|>\\n" for m in messages]
    return "".join(parts) + add_generation_prompt * "<|assistant|>\\n"
""",
    ),
    Alternative(
        "sft-example",
        "filled into lists of the right length",
        """\
def sft_example(prompt, response, eos, pad, max_len):
    if len(response) == 0 or len(response) >= max_len:
        raise ValueError("does not fit")
    while_room = max_len - len(response) - 1
    start = 0 if len(prompt) <= while_room else len(prompt) - while_room
    ids, labels = [pad] * max_len, [-100] * max_len
    place = 0
    for token in prompt[start:]:
        ids[place] = token
        place += 1
    for token in list(response) + [eos]:
        ids[place] = labels[place] = token
        place += 1
    return ids, labels
""",
    ),
    Alternative(
        "sft-example",
        "tensors, cut from the left",
        """\
def sft_example(prompt, response, eos, pad, max_len):
    if not response:
        raise ValueError("no response")
    if len(response) + 1 > max_len:
        raise ValueError("too long")
    row = torch.tensor([*prompt, *response, eos])
    learned = torch.arange(len(row)) >= len(prompt)
    row, learned = row[-max_len:], learned[-max_len:]
    space = (0, max_len - len(row))
    ids = F.pad(row, space, value=pad)
    labels = F.pad(torch.where(learned, row, torch.tensor(-100)), space, value=-100)
    return ids.tolist(), labels.tolist()
""",
    ),
    Alternative(
        "rouge-l",
        "a recursion with memory",
        """\
def rouge_l(a, b):
    import functools

    @functools.cache
    def longest(i, j):
        if i == len(a) or j == len(b):
            return 0
        if a[i] == b[j]:
            return 1 + longest(i + 1, j + 1)
        return max(longest(i + 1, j), longest(i, j + 1))

    if not a or not b:
        return 0.0
    n = longest(0, 0)
    precision, recall = n / len(a), n / len(b)
    return 2 * precision * recall / (precision + recall) if n else 0.0
""",
    ),
    Alternative(
        "rouge-l",
        "a numpy table",
        """\
def rouge_l(a, b):
    table = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            table[i, j] = max(table[i - 1, j], table[i, j - 1], table[i - 1, j - 1] + (a[i - 1] == b[j - 1]))
    total = len(a) + len(b)
    return float(2 * table[-1, -1] / total) if total else 0.0
""",
    ),
    Alternative(
        "self-instruct",
        "the nearest one, and sets",
        """\
def self_instruct_filter(pool, candidates, threshold=0.7, unfit=UNFIT):
    banned, known, new = set(unfit), list(pool), []
    for text in candidates:
        words = set(words_in(text))
        if words and words.isdisjoint(banned):
            nearest = max((alike(other, text) for other in known), default=-1)
            if nearest < threshold:
                known.append(text)
                new.append(text)
    return new
""",
    ),
    Alternative(
        "self-instruct",
        "fit ones first, then a loop with else",
        """\
def self_instruct_filter(pool, candidates, threshold=0.7, unfit=UNFIT):
    fit = [t for t in candidates if words_in(t) and not [w for w in words_in(t) if w in unfit]]
    kept = tuple(pool)
    for text in fit:
        for other in kept:
            if alike(text, other) >= threshold:
                break
        else:
            kept += (text,)
    return list(kept[len(pool) :])
""",
    ),
    Alternative(
        "reward-loss",
        "logaddexp",
        """\
def reward_loss(chosen, rejected):
    gap = chosen - rejected
    return torch.logaddexp(torch.zeros_like(gap), -gap).sum() / gap.numel()
""",
    ),
    Alternative(
        "reward-loss",
        "two cases with where, each kept finite",
        """\
def reward_loss(chosen, rejected):
    x = rejected - chosen
    up = x + torch.log1p(torch.exp(-x.clamp(min=0)))
    down = torch.log1p(torch.exp(x.clamp(max=0)))
    return torch.where(x > 0, up, down).mean()
""",
    ),
    Alternative(
        "dpo-loss",
        "two cases with where",
        """\
def dpo_loss(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta=0.1):
    if beta <= 0:
        raise ValueError("beta")
    with torch.no_grad():
        asked = reference_chosen - reference_rejected
    x = beta * (asked - (policy_chosen - policy_rejected))
    up = x + torch.log1p(torch.exp(-x.clamp(min=0)))
    return torch.where(x > 0, up, torch.log1p(torch.exp(x.clamp(max=0)))).mean()
""",
    ),
    Alternative(
        "dpo-loss",
        "with the exercise before, rewards by beta",
        """\
def dpo_loss(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta=0.1):
    if not beta > 0:
        raise ValueError(f"{beta} is not above 0")
    r_c = beta * (policy_chosen - reference_chosen.detach())
    r_r = beta * (policy_rejected - reference_rejected.detach())
    return torch.logaddexp(r_r - r_c, torch.zeros_like(r_c)).mean()
""",
    ),
    Alternative(
        "rlhf",
        "masked_fill and no_grad",
        """\
def rlhf_objective(reward, logp, logp_ref, mask, beta=0.1, baseline=0.0):
    with torch.no_grad():
        paid = (logp - logp_ref).masked_fill(~mask, 0).sum(-1)
        advantage = reward - baseline - beta * paid
    return torch.dot(advantage, logp.masked_fill(~mask, 0).sum(-1)) / len(reward)
""",
    ),
    Alternative(
        "rlhf",
        "a loop over the answers",
        """\
def rlhf_objective(reward, logp, logp_ref, mask, beta=0.1, baseline=0.0):
    total = logp.new_zeros(())
    level = torch.as_tensor(baseline, dtype=reward.dtype).expand(len(reward))
    for row in range(len(reward)):
        said, ref = logp[row][mask[row]], logp_ref[row][mask[row]]
        R = reward[row].item() - beta * (said.detach() - ref.detach()).sum().item() - level[row].item()
        total = total + R * said.sum()
    return total / len(reward)
""",
    ),
    Alternative(
        "weat",
        "numpy, word by word",
        """\
def weat(X, Y, A, B):
    def lean(w):
        cos = lambda v: float(w @ v) / math.sqrt(float(w @ w) * float(v @ v))
        return sum(map(cos, A.double())) / len(A) - sum(map(cos, B.double())) / len(B)

    s = np.array([lean(w) for w in [*X.double(), *Y.double()]])
    n, total = len(X), s.sum()
    gap = lambda inside: inside / n - (total - inside) / len(Y)
    gaps = np.array([gap(sum(cut)) for cut in itertools.combinations(s, n)])
    real = gap(s[:n].sum())
    return real / s.std(ddof=1), np.count_nonzero(gaps > real - 1e-9) / len(gaps)
""",
    ),
    Alternative(
        "weat",
        "a difference of mean vectors first, cuts as masks",
        """\
def weat(X, Y, A, B):
    unit = lambda rows: rows.double() / rows.double().square().sum(1, keepdim=True).sqrt()
    axis = unit(A).mean(0) - unit(B).mean(0)
    s = torch.cat([unit(X) @ axis, unit(Y) @ axis])
    n = len(s)
    numbers = torch.arange(2**n)
    masks = ((numbers[:, None] >> torch.arange(n)) & 1).double()
    masks = masks[masks.sum(1) == len(X)]
    gaps = masks @ s / len(X) - (1 - masks) @ s / len(Y)
    real = s[: len(X)].mean() - s[len(X) :].mean()
    return float(real / s.std()), float((gaps > real - 5e-10).sum()) / len(gaps)
""",
    ),
    Alternative(
        "membership",
        "a sorted side and bisection",
        """\
def membership_auc(nll_in, nll_out):
    import bisect

    a, b = [float(x) for x in nll_in], sorted(float(x) for x in nll_out)
    if not a or not b:
        raise ValueError("empty")
    won = sum((2 * len(b) - bisect.bisect_left(b, x) - bisect.bisect_right(b, x)) / 2 for x in a)
    return won / len(a) / len(b)
""",
    ),
    Alternative(
        "membership",
        "mean ranks",
        """\
def membership_auc(nll_in, nll_out):
    a, b = np.asarray(nll_in, dtype=float), np.asarray(nll_out, dtype=float)
    if len(a) * len(b) == 0:
        raise ValueError("a side is empty")
    _, inverse, counts = np.unique(np.concatenate([a, b]), return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts)[inverse] - (counts[inverse] - 1) / 2
    U = ranks[: len(a)].sum() - len(a) * (len(a) + 1) / 2
    return float(1 - U / (len(a) * len(b)))
""",
    ),
]

LIBRARY = {
    "chat-template": "byhand.alignment:chat_template",
    "sft-example": "byhand.alignment:sft_example",
    "rouge-l": "byhand.alignment:rouge_l",
    "self-instruct": "byhand.alignment:self_instruct_filter",
    "reward-loss": "byhand.alignment:reward_loss",
    "dpo-loss": "byhand.alignment:dpo_loss",
    "rlhf": "byhand.alignment:rlhf_objective",
    "weat": "byhand.alignment:weat",
    "membership": "byhand.alignment:membership_auc",
}
"""Where the library answers each exercise: its own functions must get full marks too."""
