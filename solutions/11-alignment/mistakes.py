"""Wrong answers that people really give in chapter 11, each with the words that must catch it.

The `belief` of each is what the page lists under "Common mistakes". For every exercise at least one of them
passes the visible checks: those are examples, and an example cannot show everything.
"""

from grader.hidden import Mistake

TEMPLATE = """\
def chat_template(messages, add_generation_prompt=False):
    if {empty}:
        raise ValueError("empty")
    allowed = {{"system", "user"}}
    text = ""
    for message in messages:
        role = message["role"]
        if {refused}:
            raise ValueError(role)
        allowed = {{"assistant"}} if role == "user" else {{"user"}}
        content = message["content"]
        content = {safe}
        {add}
    return text + {prompt}
"""


def template(
    empty: str = "not messages",
    refused: str = "role not in allowed",
    safe: str = 'content.replace("<|", "< |").replace("|>", "| >")',
    add: str = 'text += f"<|{role}|>\\n{content}<|end|>\\n"',
    prompt: str = '("<|assistant|>\\n" if add_generation_prompt else "")',
) -> str:
    """The reference with one expression replaced."""
    return TEMPLATE.format(empty=empty, refused=refused, safe=safe, add=add, prompt=prompt)


LABELS = """\
def sft_example(prompt, response, eos, pad, max_len):
    answer = [*response, eos]
    room = max_len - len(answer)
    if {refused}:
        raise ValueError("does not fit")
    kept = {kept}
    rest = room - len(kept)
    ids = {ids}
    labels = {labels}
    return ids, labels
"""


def labelled(
    refused: str = "not response or room < 0",
    kept: str = "prompt[max(len(prompt) - room, 0) :]",
    ids: str = "kept + answer + [pad] * rest",
    labels: str = "[-100] * len(kept) + answer + [-100] * rest",
) -> str:
    """The reference with one expression replaced."""
    return LABELS.format(refused=refused, kept=kept, ids=ids, labels=labels)


COMMON = """\
def rouge_l(a, b):
    row = [0] * (len(b) + 1)
    best = 0
    for one in a:
        above = row
        row = [0]
        for place, other in enumerate(b):
            row.append({entry})
        best = max(best, *row)
    {empty}
    return {value}
"""


def overlap(
    entry: str = "above[place] + 1 if one == other else max(above[place + 1], row[place])",
    empty: str = "if not a or not b: return 0.0",
    value: str = "2 * row[-1] / (len(a) + len(b))",
) -> str:
    """The reference with one expression replaced."""
    return COMMON.format(entry=entry, empty=empty, value=value)


FILTER = """\
def self_instruct_filter(pool, candidates, threshold=0.7, unfit=UNFIT):
    accepted = []
    seen = []
    for candidate in candidates:
        words = {words}
        if {skip}:
            {skipped}
            continue
        if all(alike(candidate, other) {below} for other in {others}):
            accepted.append(candidate)
        seen.append(candidate)
    return accepted
"""


def filtering(
    words: str = "words_in(candidate)",
    skip: str = "not words or any(word in unfit for word in words)",
    skipped: str = "pass",
    below: str = "< threshold",
    others: str = "[*pool, *accepted]",
) -> str:
    """The reference with one expression replaced."""
    return FILTER.format(words=words, skip=skip, skipped=skipped, below=below, others=others)


REWARD = """\
def reward_loss(chosen, rejected):
    x = {x}
    losses = {losses}
    return {value}
"""


def reward(
    x: str = "rejected - chosen",
    losses: str = "x.clamp(min=0) + torch.log1p(torch.exp(-x.abs()))",
    value: str = "losses.mean()",
) -> str:
    """A loss that is right but where two rewards are equal, with one expression replaced."""
    return REWARD.format(x=x, losses=losses, value=value)


DPO = """\
def dpo_loss(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta=0.1):
    if {refused}:
        raise ValueError("beta")
    gained = {gained}
    lost = {lost}
    x = {x}
    return {value}
"""


def direct(
    refused: str = "not beta > 0",
    gained: str = "policy_chosen - reference_chosen.detach()",
    lost: str = "policy_rejected - reference_rejected.detach()",
    x: str = "beta * (gained - lost)",
    value: str = "torch.logaddexp(-x, torch.zeros_like(x)).mean()",
) -> str:
    """The reference with one expression replaced."""
    return DPO.format(refused=refused, gained=gained, lost=lost, x=x, value=value)


RLHF = """\
def rlhf_objective(reward, logp, logp_ref, mask, beta=0.1, baseline=0.0):
    paid = {paid}
    weight = {weight}
    said = {said}
    return {value}
"""


def objective(
    paid: str = "torch.where(mask, logp - logp_ref, 0.0).sum(dim=1)",
    weight: str = "(reward - beta * paid - baseline).detach()",
    said: str = "torch.where(mask, logp, 0.0).sum(dim=1)",
    value: str = "(weight * said).mean()",
) -> str:
    """The reference with one expression replaced."""
    return RLHF.format(paid=paid, weight=weight, said=said, value=value)


WEAT = """\
def weat(X, Y, A, B):
    words, toward, against = {scaled}
    lean = (words @ toward.T).mean(1) - (words @ against.T).mean(1)
    n = len(X)
    d = {d}
    cuts = torch.tensor(list(itertools.combinations(range(len(lean)), n)))
    inside = lean[cuts].mean(1)
    gaps = inside - (lean.sum() - n * inside) / len(Y)
    p = {p}
    return d.item(), p.item()
"""


def association(
    scaled: str = "(F.normalize(rows.double(), dim=1) for rows in (torch.cat([X, Y]), A, B))",
    d: str = "(lean[:n].mean() - lean[n:].mean()) / lean.std()",
    p: str = "(gaps >= gaps[0] - 1e-9).double().mean()",
) -> str:
    """The reference with one expression replaced."""
    return WEAT.format(scaled=scaled, d=d, p=p)


AUC = """\
def membership_auc(nll_in, nll_out):
    members, others = (torch.as_tensor(side, dtype=torch.float64) for side in (nll_in, nll_out))
    if {empty}:
        raise ValueError("empty")
    lower = (members[:, None] < others).double()
    ties = (members[:, None] == others).double()
    return {value}
"""


def attack(empty: str = "not len(members) or not len(others)", value: str = "(lower + ties / 2).mean().item()") -> str:
    """The reference with one expression replaced."""
    return AUC.format(empty=empty, value=value)


MISTAKES = [
    Mistake(
        exercise="chat-template",
        name="no generation prompt",
        belief="The model sees that it is its turn.",
        says="the generation prompt was asked for and is missing",
        code=template(prompt='""'),
    ),
    Mistake(
        exercise="chat-template",
        name="content as it came",
        belief="Nobody writes such marks into a message.",
        says="what looks like a mark in a content was left",
        code=template(safe="content"),
    ),
    Mistake(
        exercise="chat-template",
        name="drops the system",
        belief="Only user and assistant are part of the talk.",
        says="the system's message is missing",
        code=template(add='text += f"<|{role}|>\\n{content}<|end|>\\n" if role != "system" else ""'),
    ),
    Mistake(
        exercise="chat-template",
        name="only the user is dangerous",
        belief="What the assistant once wrote can be trusted.",
        says="the assistant's content was left as it came",
        code=template(safe='content.replace("<|", "< |").replace("|>", "| >") if role != "assistant" else content'),
    ),
    Mistake(
        exercise="chat-template",
        name="only the end mark",
        belief="It is enough that nobody can end a message.",
        says="only the mark of the end was broken up",
        code=template(safe='content.replace("<|end|>", "< |end| >")'),
    ),
    Mistake(
        exercise="chat-template",
        name="any order of roles",
        belief="Who speaks when is the caller's business.",
        says="a role is unknown or out of turn",
        code=template(refused='role not in ("system", "user", "assistant")'),
    ),
    Mistake(
        exercise="chat-template",
        name="tidied contents",
        belief="Blanks at the ends of a message mean nothing.",
        says="a content lost its blanks at the ends",
        code=template(safe='content.strip().replace("<|", "< |").replace("|>", "| >")'),
    ),
    Mistake(
        exercise="sft-example",
        name="loss on the prompt",
        belief="More tokens to learn from are better.",
        says="the prompt has labels",
        code=labelled(labels="kept + answer + [-100] * rest"),
    ),
    Mistake(
        exercise="sft-example",
        name="no label for the end",
        belief="The end is no part of the answer.",
        says="the end has no label",
        code=labelled(labels="[-100] * len(kept) + list(response) + [-100] * (rest + 1)"),
    ),
    Mistake(
        exercise="sft-example",
        name="cuts the response",
        belief="What is too long is cut at the end.",
        says="the response was cut; the prompt gives way",
        code=labelled(
            kept="list(prompt)",
            ids="(kept + answer + [pad] * max(rest, 0))[:max_len]",
            labels="([-100] * len(kept) + answer + [-100] * max(rest, 0))[:max_len]",
        ),
    ),
    Mistake(
        exercise="sft-example",
        name="cuts the prompt's end",
        belief="A prompt is cut at its end.",
        says="the prompt lost its end; its beginning goes",
        code=labelled(kept="prompt[:room]"),
    ),
    Mistake(
        exercise="sft-example",
        name="hides the id of pad",
        belief="Wherever the padding's id stands, there is padding.",
        says="a token that equals pad lost its label",
        code=labelled(labels="[-100] * len(kept) + [-100 if x == pad else x for x in answer] + [-100] * rest"),
    ),
    Mistake(
        exercise="sft-example",
        name="minus no room",
        belief="The last `room` tokens are prompt[-room:].",
        says="both are to be max_len",
        code=labelled(
            kept="list(prompt)[-room:]",
            ids="(kept + answer + [pad] * rest)",
            labels="[-100] * len(kept) + answer + [-100] * rest",
        ),
    ),
    Mistake(
        exercise="sft-example",
        name="shifted labels",
        belief="The label of a place is the next token.",
        says="the labels are shifted",
        code=labelled(labels="([-100] * len(kept) + answer + [-100] * rest)[1:] + [-100]"),
    ),
    Mistake(
        exercise="sft-example",
        name="an empty answer",
        belief="An empty response teaches to say nothing.",
        says="the response is empty",
        code=labelled(refused="room < 0"),
    ),
    Mistake(
        exercise="rouge-l",
        name="longest piece",
        belief="A common subsequence is a piece that both contain.",
        says="gaps are allowed",
        code=overlap(entry="above[place] + 1 if one == other else 0", value="2 * best / (len(a) + len(b))"),
    ),
    Mistake(
        exercise="rouge-l",
        name="precision",
        belief="The share of the first text that the second confirms.",
        says="precision or recall, not F1",
        code=overlap(value="row[-1] / len(a)"),
    ),
    Mistake(
        exercise="rouge-l",
        name="sets of words",
        belief="How many words do both have?",
        says="the lists were taken for sets",
        code="""\
def rouge_l(a, b):
    both = len(set(a) & set(b))
    return 2 * both / (len(set(a)) + len(set(b))) if a and b else 0.0
""",
    ),
    Mistake(
        exercise="rouge-l",
        name="first match",
        belief="Go through a and take the next match in b each time.",
        says="taking the first match greedily",
        code="""\
def rouge_l(a, b):
    n, at = 0, 0
    for entry in a:
        if entry in b[at:]:
            at, n = b.index(entry, at) + 1, n + 1
    return 2 * n / (len(a) + len(b)) if a and b else 0.0
""",
    ),
    Mistake(
        exercise="rouge-l",
        name="two empty lists",
        belief="Two empty texts are the same, so they are fully alike.",
        says="with an empty list",
        code=overlap(empty="if not a or not b: return float(a == b)"),
    ),
    Mistake(
        exercise="self-instruct",
        name="pool only",
        belief="New is what is not in the pool.",
        says="compared with the pool only",
        code=filtering(others="pool"),
    ),
    Mistake(
        exercise="self-instruct",
        name="upside down",
        belief="Similar ones fit the pool.",
        says="those alike were kept",
        code=filtering(below=">= threshold"),
    ),
    Mistake(
        exercise="self-instruct",
        name="grows the pool",
        belief="Accepted ones go into the pool.",
        says="pool or candidates were changed",
        code="""\
def self_instruct_filter(pool, candidates, threshold=0.7, unfit=UNFIT):
    accepted = []
    for candidate in candidates:
        words = words_in(candidate)
        if not words or any(word in unfit for word in words):
            continue
        if all(alike(candidate, other) < threshold for other in pool):
            pool.append(candidate)
            accepted.append(candidate)
    return accepted
""",
    ),
    Mistake(
        exercise="self-instruct",
        name="exactly at the threshold",
        belief="At the threshold is still different enough.",
        says="exactly at the threshold is too much alike",
        code=filtering(below="<= threshold"),
    ),
    Mistake(
        exercise="self-instruct",
        name="parts of words",
        belief="`word in text` finds a word.",
        says="an unfit word inside a longer word",
        code=filtering(skip="not words or any(word in candidate.lower() for word in unfit)"),
    ),
    Mistake(
        exercise="self-instruct",
        name="remembers the refused",
        belief="What was seen once is not new any more.",
        says="one that had been left out",
        code=filtering(skipped="seen.append(candidate)", others="[*pool, *seen]"),
    ),
    Mistake(
        exercise="reward-loss",
        name="hinge",
        belief="The chosen one shall win by a margin of 1.",
        says="a hinge of margin 1",
        code=reward(losses="(1 + x).clamp(min=0)"),
    ),
    Mistake(
        exercise="reward-loss",
        name="log of the sigmoid",
        belief="The formula can be typed as it stands.",
        says="exp overflowed, or the logarithm got a rounded 0",
        code=reward(losses="-torch.log(torch.sigmoid(-x))"),
    ),
    Mistake(
        exercise="reward-loss",
        name="exchanged",
        belief="The loss is low when the rejected one has the larger reward.",
        says="chosen and rejected are exchanged",
        code=reward(x="chosen - rejected"),
    ),
    Mistake(
        exercise="reward-loss",
        name="log of 1 plus a little",
        belief="log(1 + y) and log1p(y) are the same.",
        says="digits were lost",
        code=reward(losses="x.clamp(min=0) + torch.log(1 + torch.exp(-x.abs()))"),
    ),
    Mistake(
        exercise="reward-loss",
        name="clipped",
        belief="Clipping the difference to 50 keeps the exponential finite.",
        says="digits were lost",
        code=reward(losses="torch.log1p(torch.exp(x.clamp(max=50.0))) + (x - 50).clamp(min=0).detach() * 0"),
    ),
    Mistake(
        exercise="reward-loss",
        name="clamp and abs",
        belief="max(x, 0) + ln(1 + e^-|x|) has the right gradient everywhere.",
        says="where two rewards are equal",
        code=reward(),
    ),
    Mistake(
        exercise="reward-loss",
        name="a sum",
        belief="The loss of a batch is the sum over its pairs.",
        says="a sum over the pairs",
        code=reward(value="losses.sum()"),
    ),
    Mistake(
        exercise="reward-loss",
        name="always double",
        belief="In double precision everything is safe.",
        says="the type of the numbers changed",
        code=reward(x="(rejected - chosen).double()", losses="torch.logaddexp(x, torch.zeros_like(x))"),
    ),
    Mistake(
        exercise="dpo-loss",
        name="no reference",
        belief="The chosen answer shall be more likely than the other.",
        says="the reference is missing",
        code=direct(gained="policy_chosen", lost="policy_rejected"),
    ),
    Mistake(
        exercise="dpo-loss",
        name="exchanged",
        belief="The margin is rejected minus chosen.",
        says="chosen and rejected are exchanged",
        code=direct(x="beta * (lost - gained)"),
    ),
    Mistake(
        exercise="dpo-loss",
        name="beta outside",
        belief="Beta is the weight of the loss.",
        says="it belongs inside the sigmoid",
        code=direct(x="gained - lost", value="beta * torch.logaddexp(-x, torch.zeros_like(x)).mean()"),
    ),
    Mistake(
        exercise="dpo-loss",
        name="overflows",
        belief="Margins of log-probabilities are never large.",
        says="an exponential overflowed, or a logarithm got a rounded 0",
        code=direct(value="torch.log(1 + torch.exp(-x)).mean()"),
    ),
    Mistake(
        exercise="dpo-loss",
        name="the reference learns",
        belief="Nobody asks the reference for a gradient.",
        says="the reference gets a gradient",
        code=direct(gained="policy_chosen - reference_chosen", lost="policy_rejected - reference_rejected"),
    ),
    Mistake(
        exercise="dpo-loss",
        name="relu and abs",
        belief="relu(x) + ln(1 + e^-|x|) has the right gradient everywhere.",
        says="where policy and reference agree, and training begins",
        code=direct(value="(torch.relu(-x) + torch.log1p(torch.exp(-x.abs()))).mean()"),
    ),
    Mistake(
        exercise="dpo-loss",
        name="any beta",
        belief="With beta 0 there is just no hold.",
        says="was to raise a ValueError",
        code=direct(refused="False"),
    ),
    Mistake(
        exercise="rlhf",
        name="the sign of a loss",
        belief="What a training step gets is a loss.",
        says="this objective is maximised",
        code=objective(value="-(weight * said).mean()"),
    ),
    Mistake(
        exercise="rlhf",
        name="through the return",
        belief="The divergence is part of the objective, so it has a gradient.",
        says="a gradient runs through the return",
        code=objective(
            paid="torch.where(mask, logp - logp_ref.detach(), 0.0).sum(1)",
            weight="reward.detach() - beta * paid - torch.as_tensor(baseline).detach()",
        ),
    ),
    Mistake(
        exercise="rlhf",
        name="divergence on padding",
        belief="Padding has probability 1, so it adds nothing.",
        says="masked places count in the divergence",
        code=objective(paid="(logp - logp_ref).nan_to_num(0.0, 0.0, 0.0).sum(dim=1)"),
    ),
    Mistake(
        exercise="rlhf",
        name="mask by multiplying",
        belief="Times 0 is 0.",
        says="must be selected away, not multiplied",
        code=objective(paid="((logp - logp_ref) * mask).sum(dim=1)", said="(logp * mask).sum(dim=1)"),
    ),
    Mistake(
        exercise="rlhf",
        name="mean over tokens",
        belief="A mean over the tokens makes long and short answers comparable.",
        says="an answer's log-probability is their sum",
        code=objective(said="torch.where(mask, logp, 0.0).sum(dim=1) / mask.sum(dim=1)"),
    ),
    Mistake(
        exercise="rlhf",
        name="learned baseline moves",
        belief="The baseline is subtracted, gradient and all.",
        says="the weight is a number, detach it",
        code=objective(weight="(reward - beta * paid).detach() - baseline"),
    ),
    Mistake(
        exercise="rlhf",
        name="divergence as a bonus",
        belief="Beta times the divergence is added.",
        says="the divergence is paid for",
        code=objective(weight="(reward + beta * paid - baseline).detach()"),
    ),
    Mistake(
        exercise="weat",
        name="not divided",
        belief="The effect is the difference of the two means.",
        says="not divided by the standard deviation",
        code=association(d="lean[:n].mean() - lean[n:].mean()"),
    ),
    Mistake(
        exercise="weat",
        name="two-sided",
        belief="A large difference either way counts.",
        says="p is one-sided",
        code=association(p="(gaps.abs() >= gaps[0].abs() - 1e-9).double().mean()"),
    ),
    Mistake(
        exercise="weat",
        name="inner products",
        belief="The product of two vectors is their similarity.",
        says="inner products: the length of a vector counts",
        code=association(scaled="torch.cat([X, Y]).double(), A.double(), B.double()"),
    ),
    Mistake(
        exercise="weat",
        name="within the groups",
        belief="The spread is that within the groups, as in a t-test.",
        says="you take it group by group",
        code=association(d="(lean[:n].mean() - lean[n:].mean()) / ((lean[:n].var() + lean[n:].var()) / 2).sqrt()"),
    ),
    Mistake(
        exercise="weat",
        name="divided by n",
        belief="numpy's std and torch's are the same.",
        says="you divide by n",
        code=association(d="(lean[:n].mean() - lean[n:].mean()) / lean.std(correction=0)"),
    ),
    Mistake(
        exercise="weat",
        name="strictly larger",
        belief="Only cuts that beat the real one count against it.",
        says="the real cut, and those that tie with it, count",
        code=association(p="(gaps > gaps[0] + 1e-9).double().mean()"),
    ),
    Mistake(
        exercise="weat",
        name="the mean vector",
        belief="The cosine with the mean of a group is the mean of the cosines.",
        says="cosines with the mean of a group",
        code=association(
            scaled="(F.normalize(rows.double(), dim=1) for rows in "
            "(torch.cat([X, Y]), A.mean(0, keepdim=True), B.mean(0, keepdim=True)))"
        ),
    ),
    Mistake(
        exercise="weat",
        name="two halves",
        belief="The words are cut into two halves.",
        says="you cut into halves",
        code="""\
def weat(X, Y, A, B):
    words, toward, against = (F.normalize(rows.double(), dim=1) for rows in (torch.cat([X, Y]), A, B))
    lean = (words @ toward.T).mean(1) - (words @ against.T).mean(1)
    n, half = len(X), len(lean) // 2
    d = (lean[:n].mean() - lean[n:].mean()) / lean.std()
    inside = lean[torch.tensor(list(itertools.combinations(range(len(lean)), half)))].mean(1)
    return d.item(), (inside >= inside[0] - 1e-9).double().mean().item()
""",
    ),
    Mistake(
        exercise="membership",
        name="turned round",
        belief="A member has the higher score.",
        says="members have the LOWER loss",
        code=attack(value="1 - (lower + ties / 2).mean().item()"),
    ),
    Mistake(
        exercise="membership",
        name="ties lost",
        belief="A tie is not a win.",
        says="you count them as lost",
        code=attack(value="lower.mean().item()"),
    ),
    Mistake(
        exercise="membership",
        name="one threshold",
        belief="How good an attack is, its best threshold says.",
        says="the accuracy of one threshold",
        code="""\
def membership_auc(nll_in, nll_out):
    a, b = np.asarray(nll_in, dtype=float), np.asarray(nll_out, dtype=float)
    if not len(a) or not len(b):
        raise ValueError("empty")
    return max(float((np.mean(a <= cut) + np.mean(b > cut)) / 2) for cut in [*a, *b])
""",
    ),
    Mistake(
        exercise="membership",
        name="never below a half",
        belief="An AUC below 0.5 means that the guess should be turned round.",
        says="turn an AUC below 0.5 round",
        code=attack(value="0.5 + abs((lower + ties / 2).mean().item() - 0.5) * (1 if len(others) > 1 else -1)"),
    ),
    Mistake(
        exercise="membership",
        name="empty sides",
        belief="Without losses there is nothing to tell: 0.5.",
        says="an empty side was to raise a ValueError",
        code=attack(empty="False", value="(lower + ties / 2).mean().nan_to_num(0.5).item()"),
    ),
]
