"""Wrong answers that people really give in chapter 4, each with the words that must catch it.

The `belief` of each is what the page lists under "Common mistakes". For every exercise at least one of them
passes the visible checks: those are examples, and an example cannot show everything.
"""

from grader.hidden import Mistake

CHUNK = """\
def chunk(docs, eos, seq):
    stream = []
    for doc in docs:
        stream += [*doc, eos]
    {end}
    rows = [stream[start : start + {width}] for start in range(0, {last}, {step})]
    return torch.tensor(rows, dtype=torch.long).reshape(-1, {width})
"""


def chunk(
    end: str = "stream = stream[:-1]", width: str = "seq + 1", last: str = "len(stream) - seq", step: str = "seq"
) -> str:
    """The reference with one expression replaced."""
    return CHUNK.format(end=end, width=width, last=last, step=step)


BATCH = """\
def get_batch(ids, batch, seq, rng):
    if len(ids) < {least}:
        raise ValueError("the stream is too short")
    starts = {starts}
    x = torch.stack([ids[start : start + seq] for start in starts]){cast}
    y = torch.stack([ids[start + {shift} : start + {shift} + seq] for start in starts]){cast}
    return x, y
"""


def batch(
    least: str = "seq + 1",
    starts: str = "torch.randint(len(ids) - seq, (batch,), generator=rng).tolist()",
    shift: str = "1",
    cast: str = ".long()",
) -> str:
    """The reference with one expression replaced."""
    return BATCH.format(least=least, starts=starts, shift=shift, cast=cast)


GPT = """\
class GPT(nn.Module):
    def __init__(self, vocab_size, max_seq, d_model, n_layers, n_heads, tied=True):
        super().__init__()
        self.token_embedding = nn.Embedding(vocab_size, d_model)
        self.position_embedding = nn.Embedding(max_seq, d_model)
        self.blocks = nn.ModuleList([
            Block(d_model, n_heads, 4 * d_model{activation}) for _ in range(n_layers)
        ])
        self.final_norm = LayerNorm(d_model)
        self.head = nn.Linear(d_model, vocab_size, bias={bias})
        {before}
        for parameter in self.parameters():
            if parameter.ndim == 2:
                {draw}
        {after}

    def forward(self, input_ids):
        seq = input_ids.shape[1]
        {guard}
        x = self.token_embedding(input_ids){places}
        for block in self.blocks:
            x = block(x, causal={causal})
        return {result}
"""
TIE = "if tied: self.head.weight = self.token_embedding.weight"
GUARD = """if seq > self.position_embedding.num_embeddings:
            raise ValueError("too many tokens")"""


def gpt(
    bias: str = "False",
    activation: str = ', activation="gelu_tanh"',
    before: str = TIE,
    draw: str = "nn.init.normal_(parameter, std=0.02)",
    after: str = "self.max_seq = max_seq",
    guard: str = GUARD,
    places: str = " + self.position_embedding(torch.arange(seq))",
    causal: str = "True",
    result: str = "self.head(self.final_norm(x))",
) -> str:
    """The reference with one piece replaced."""
    return GPT.format(
        bias=bias,
        activation=activation,
        before=before,
        draw=draw,
        after=after,
        guard=guard,
        places=places,
        causal=causal,
        result=result,
    )


STEP = """\
def train_step(model, x, y, optimizer, clip):
    {clear}
    loss = {loss}
    loss.backward()
    {clip}
    {report}
"""
CLIP = "norm = nn.utils.clip_grad_norm_(model.parameters(), clip)\n    optimizer.step()"


def step(
    clear: str = "optimizer.zero_grad()",
    loss: str = "F.cross_entropy(model(x).flatten(0, 1), y.flatten())",
    clip: str = CLIP,
    report: str = 'return {"loss": loss.item(), "grad_norm": float(norm)}',
) -> str:
    """The reference with one line replaced."""
    return STEP.format(clear=clear, loss=loss, clip=clip, report=report)


RATE = """\
def lr_at(step, warmup, total, lr, lr_min):
    if step < warmup:
        return {rise}
    {end}
    share = {share}
    return {fall}
"""


def rate(
    rise: str = "lr * step / warmup",
    end: str = "if step >= total: return lr_min",
    share: str = "(step - warmup) / (total - warmup)",
    fall: str = "lr_min + (lr - lr_min) * (1 + math.cos(math.pi * share)) / 2",
) -> str:
    """The reference with one expression replaced."""
    return RATE.format(rise=rise, end=end, share=share, fall=fall)


EVALUATE = """\
def evaluate(model, ids, seq):
    mode = model.training
    {mode}
    total, count = 0.0, 0
    with {context}:
        for start in range(0, {last}, {step}):
            window = ids[start : start + {width}]
            if len(window) < {least}:
                continue
            logits = model(window[None, :-1])[0]
            total += F.cross_entropy(logits, window[1:], reduction="{reduction}").item()
            count += len(window) - 1
    {back}
    return {result}
"""


def evaluate(
    mode: str = "model.eval()",
    context: str = "torch.no_grad()",
    last: str = "len(ids) - 1",
    step: str = "seq",
    width: str = "seq + 1",
    least: str = "2",
    reduction: str = "sum",
    back: str = "model.train(mode)",
    result: str = "total, count",
) -> str:
    """The reference with one expression replaced."""
    return EVALUATE.format(
        mode=mode,
        context=context,
        last=last,
        step=step,
        width=width,
        least=least,
        reduction=reduction,
        back=back,
        result=result,
    )


CLOZE = """\
def cloze_rank(model, left, candidates, right):
    scores = []
    for candidate in candidates:
        text = torch.tensor([{text}])
        with {context}:
            log_probs = F.log_softmax(model(text[:, :-1]), dim=-1)
            each = log_probs.gather(-1, text[:, 1:, None])[0, :, 0]
            scores.append({score})
    return {order}
"""


def cloze(
    text: str = "left + candidate + right",
    context: str = "torch.no_grad()",
    score: str = "float(each[len(left) - 1 :].sum())",
    order: str = "sorted(range(len(scores)), key=lambda i: -scores[i])",
) -> str:
    """The reference with one expression replaced."""
    return CLOZE.format(text=text, context=context, score=score, order=order)


EXPOSURE = """\
def exposure(logp_canary, logp_random):
    rank = {rank}
    return {result}
"""


def exposure(
    rank: str = "1 + (logp_random >= logp_canary).sum().item()", result: str = "math.log2(len(logp_random) / rank)"
) -> str:
    """The reference with one expression replaced."""
    return EXPOSURE.format(rank=rank, result=result)


MISTAKES = [
    # --------------------------------------------------------------------------------- 4.1 packing
    Mistake(
        "chunk",
        "no token between",
        "The model will notice where a document ends.",
        "the documents have no eos between them",
        """\
def chunk(docs, eos, seq):
    stream = sum(docs, [])
    rows = [stream[start : start + seq + 1] for start in range(0, len(stream) - seq, seq)]
    return torch.tensor(rows, dtype=torch.long).reshape(-1, seq + 1)
""",
    ),
    Mistake(
        "chunk",
        "rows without overlap",
        "Rows of seq + 1 tokens are cut seq + 1 tokens apart.",
        "a row starts after the last token of the one before",
        chunk(step="seq + 1"),
    ),
    Mistake(
        "chunk",
        "pads the remainder",
        "The last row is filled up, so that no text is lost.",
        "the remainder was padded",
        """\
def chunk(docs, eos, seq):
    stream = []
    for number, doc in enumerate(docs):
        stream += ([eos] if number else []) + list(doc)
    rows = []
    for start in range(0, max(len(stream) - 1, 0), seq):
        row = stream[start : start + seq + 1]
        rows.append(row + [eos] * (seq + 1 - len(row)))
    return torch.tensor(rows, dtype=torch.long).reshape(-1, seq + 1)
""",
    ),
    Mistake(
        "chunk",
        "an end after the last document",
        "Every document ends with the end token, the last one too.",
        "an eos stands after the last document",
        chunk(end="pass"),
    ),
    Mistake(
        "chunk",
        "the last row is lost",
        "range must stop a whole row before the end.",
        "the last row is missing although its tokens are there",
        chunk(last="len(stream) - seq - 1"),
    ),
    Mistake(
        "chunk",
        "no end beside an empty document",
        "A document without text leaves no trace.",
        "the eos beside an empty document is missing",
        chunk(
            end="stream = []\n    for doc in filter(None, docs):\n"
            "        stream += ([eos] if stream else []) + list(doc)"
        ),
    ),
    Mistake(
        "chunk",
        "writes into the documents",
        "append puts the end token where it belongs.",
        "the documents were changed by the call",
        """\
def chunk(docs, eos, seq):
    for doc in docs[:-1]:
        doc.append(eos)
    stream = [token for doc in docs for token in doc]
    rows = [stream[start : start + seq + 1] for start in range(0, len(stream) - seq, seq)]
    return torch.tensor(rows, dtype=torch.long).reshape(-1, seq + 1)
""",
    ),
    # --------------------------------------------------------------------------------- 4.2 batches
    Mistake(
        "get-batch",
        "the last start is missing",
        "To be safe, stop one window before the end.",
        "the last possible start never came up",
        batch(starts="torch.randint(max(1, len(ids) - seq - 1), (batch,), generator=rng).tolist()"),
    ),
    Mistake(
        "get-batch",
        "the first start is missing",
        "Places are counted from 1.",
        "the first possible start never came up",
        batch(starts="torch.randint(min(1, len(ids) - seq - 1), len(ids) - seq, (batch,), generator=rng).tolist()"),
    ),
    Mistake(
        "get-batch",
        "targets are the inputs",
        "The model shifts the targets itself.",
        "y is x: the target is the token after each input",
        batch(shift="0"),
    ),
    Mistake(
        "get-batch",
        "shifted twice",
        "The targets start one token after the window's second token.",
        "the targets are shifted by 2",
        batch(
            least="seq + 2", starts="torch.randint(len(ids) - seq - 1, (batch,), generator=rng).tolist()", shift="2"
        ).replace('raise ValueError("the stream is too short")', "return ids[None, :seq], ids[None, 1 : seq + 1]"),
    ),
    Mistake(
        "get-batch",
        "global randomness",
        "torch.manual_seed at the top of the notebook makes everything repeatable.",
        "the same state of rng gave another batch",
        batch(starts="torch.randint(len(ids) - seq, (batch,)).tolist()"),
    ),
    Mistake(
        "get-batch",
        "a new generator in each call",
        "A fixed seed inside keeps the batches repeatable.",
        "the generator was used and gives the same batch again",
        batch(
            starts="torch.randint(len(ids) - seq, (batch,), "
            "generator=torch.Generator().manual_seed(rng.initial_seed())).tolist()"
        ),
    ),
    Mistake(
        "get-batch",
        "starts without replacement",
        "A shuffled order sees every window once.",
        "have shapes",
        batch(starts="torch.randperm(len(ids) - seq, generator=rng)[:batch].tolist()"),
    ),
    Mistake(
        "get-batch",
        "keeps the stream's type",
        "Whole numbers are whole numbers.",
        "an embedding wants torch.long",
        batch(cast=""),
    ),
    Mistake(
        "get-batch",
        "starts where a row starts",
        "Windows are the rows of the packed text.",
        "never came up",
        batch(starts="(torch.randint(max(1, (len(ids) - 1) // seq), (batch,), generator=rng) * seq).tolist()"),
    ),
    # ----------------------------------------------------------------------------------- 4.3 model
    Mistake(
        "gpt",
        "a copy in place of a tie",
        "Copying the weights makes them the same.",
        "the head is a copy of the embedding",
        gpt(
            before="pass",
            after="if tied: self.head.weight.data.copy_(self.token_embedding.weight.data)",
        ),
    ),
    Mistake(
        "gpt",
        "always tied",
        "GPT-2 ties, so the head is the embedding.",
        "with tied=False the head must be a matrix of its own",
        gpt(before="self.head.weight = self.token_embedding.weight"),
    ),
    Mistake(
        "gpt",
        "no final norm",
        "Each block has norms of its own, that is enough.",
        "the final norm is missing",
        gpt(result="self.head(x)"),
    ),
    Mistake(
        "gpt",
        "the last place only",
        "The next token is predicted from the last one.",
        "logits come back for one place only",
        gpt(result="self.head(self.final_norm(x))[:, -1]"),
    ),
    Mistake(
        "gpt",
        "not causal",
        "The blocks know that they are in a GPT.",
        "a change of the last token changed earlier logits",
        gpt(causal="False"),
    ),
    Mistake(
        "gpt",
        "torch's own start",
        "Torch draws sensible weights.",
        "sure of nonsense",
        gpt(draw="pass"),
    ),
    Mistake(
        "gpt",
        "only the embedding is drawn",
        "The linear layers' own start is good enough.",
        "not drawn with a deviation of 0.02",
        gpt(draw="if parameter.shape[0] == vocab_size: nn.init.normal_(parameter, std=0.02)"),
    ),
    Mistake(
        "gpt",
        "no places",
        "The causal mask gives a sense of order.",
        "the places are not added",
        gpt(places=""),
    ),
    Mistake(
        "gpt",
        "places from the end",
        "The last token always stands at the last place.",
        "the places count from the end",
        gpt(places=" + self.position_embedding.weight[-seq:]"),
    ),
    Mistake(
        "gpt",
        "another GELU",
        "GELU is GELU, the default will do.",
        "their GELU is the tanh formula",
        gpt(activation=""),
    ),
    Mistake(
        "gpt",
        "a head with a bias",
        "A linear layer has a bias.",
        "the head has a bias",
        gpt(bias="True"),
    ),
    Mistake(
        "gpt",
        "cuts what is too long",
        "Of a longer text the last tokens are used.",
        "more tokens than places",
        gpt(
            guard="input_ids = input_ids[:, -self.position_embedding.num_embeddings :]\n"
            "        seq = input_ids.shape[1]"
        ),
    ),
    # ----------------------------------------------------------------------------------- 4.4 step
    Mistake(
        "train-step",
        "gradients add up",
        "backward computes the gradients, so the old ones are gone.",
        "gradients from before the call take part",
        step(clear="pass"),
    ),
    Mistake(
        "train-step",
        "clears between backward and step",
        "zero_grad belongs before the step.",
        "the optimizer's step is missing",
        step(
            clip="norm = nn.utils.clip_grad_norm_(model.parameters(), clip)\n"
            "    optimizer.zero_grad()\n    optimizer.step()"
        ),
    ),
    Mistake(
        "train-step",
        "clips after the step",
        "Clipping tidies up after the update.",
        "clipped after the optimizer has moved",
        step(clip="optimizer.step()\n    norm = nn.utils.clip_grad_norm_(model.parameters(), clip)"),
    ),
    Mistake(
        "train-step",
        "reports the clipped norm",
        "The norm that matters is the one that was used.",
        "grad_norm is the norm after clipping",
        step(report='return {"loss": loss.item(), "grad_norm": min(float(norm), clip)}'),
    ),
    Mistake(
        "train-step",
        "clips each parameter by itself",
        "Every gradient gets a norm of at most clip.",
        "each parameter is clipped by itself",
        step(
            clip="grads = [w.grad for w in model.parameters() if w.grad is not None]\n"
            "    norm = torch.stack([grad.norm() for grad in grads]).norm()\n"
            "    for w in model.parameters():\n"
            "        nn.utils.clip_grad_norm_([w], clip)\n"
            "    optimizer.step()"
        ),
    ),
    Mistake(
        "train-step",
        "clips single numbers",
        "No number in a gradient may exceed clip.",
        "single numbers are cut at clip",
        step(
            clip="norm = nn.utils.get_total_norm([w.grad for w in model.parameters() if w.grad is not None])\n"
            "    nn.utils.clip_grad_value_(model.parameters(), clip)\n"
            "    optimizer.step()"
        ),
    ),
    Mistake(
        "train-step",
        "always scales to the limit",
        "Clipping makes the norm equal to clip.",
        "gradients below the limit are blown up",
        step(
            clip="grads = [w.grad for w in model.parameters() if w.grad is not None]\n"
            "    norm = torch.stack([grad.norm() for grad in grads]).norm()\n"
            "    for grad in grads:\n"
            "        grad.mul_(clip / norm)\n"
            "    optimizer.step()"
        ),
    ),
    Mistake(
        "train-step",
        "returns tensors",
        "A tensor of one number is a number.",
        "a tensor keeps its whole graph alive",
        step(report='return {"loss": loss, "grad_norm": norm}'),
    ),
    Mistake(
        "train-step",
        "a loss of sums",
        "The loss is the sum over all tokens.",
        "the loss is a sum",
        step(loss='F.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="sum")'),
    ),
    # -------------------------------------------------------------------------------- 4.5 schedule
    Mistake(
        "schedule",
        "no warm-up",
        "A cosine starts flat, that is warm-up enough.",
        "there is no warm-up",
        "def lr_at(step, warmup, total, lr, lr_min):\n"
        "    share = min(1.0, step / total)\n"
        "    return lr_min + (lr - lr_min) * (1 + math.cos(math.pi * share)) / 2\n",
    ),
    Mistake(
        "schedule",
        "one step early",
        "A rate of 0 would waste a step.",
        "the rise is one step early",
        rate(rise="lr * (step + 1) / warmup"),
    ),
    Mistake(
        "schedule",
        "the share counts the warm-up",
        "The cosine covers the whole training.",
        "the cosine counts its share from step 0",
        rate(share="step / total"),
    ),
    Mistake(
        "schedule",
        "a longer cosine",
        "The cosine takes `total` steps.",
        "the cosine's length is total",
        rate(share="(step - warmup) / total"),
    ),
    Mistake(
        "schedule",
        "rises again",
        "Nobody asks for a step after the end.",
        "after the end the rate rises again",
        rate(end="pass"),
    ),
    Mistake(
        "schedule",
        "cut off at the floor",
        "The rate falls to 0, but never below lr_min.",
        "a fall to 0 cut off at lr_min",
        rate(fall="max(lr_min, lr * (1 + math.cos(math.pi * share)) / 2)"),
    ),
    Mistake(
        "schedule",
        "a straight fall",
        "Half-way and both ends fit, the way between hardly matters.",
        "the fall is a straight line",
        rate(fall="lr_min + (lr - lr_min) * (1 - share)"),
    ),
    # -------------------------------------------------------------------------------- 4.6 held-out
    Mistake(
        "evaluate",
        "drops the last window",
        "A window that is not full is no window.",
        "the short last window was dropped",
        evaluate(least="seq + 1"),
    ),
    Mistake(
        "evaluate",
        "means of windows",
        "The mean loss of each window is added.",
        "means of windows were added",
        evaluate(reduction="mean"),
    ),
    Mistake(
        "evaluate",
        "stays in eval mode",
        "After measuring, whoever trains switches back.",
        "afterwards, which is not where it was",
        evaluate(back="pass"),
    ),
    Mistake(
        "evaluate",
        "always trains on",
        "After measuring, training goes on.",
        "the model is in training mode afterwards",
        evaluate(back="model.train()"),
    ),
    Mistake(
        "evaluate",
        "dropout stays on",
        "Without gradients nothing is trained, so the mode does not matter.",
        "the model was asked in training mode",
        evaluate(mode="pass"),
    ),
    Mistake(
        "evaluate",
        "tracks gradients",
        "eval mode switches gradients off.",
        "gradients were tracked",
        evaluate(context="torch.enable_grad()"),
    ),
    Mistake(
        "evaluate",
        "windows side by side without overlap",
        "Windows of seq + 1 tokens, one after the other.",
        "some tokens are never predicted",
        evaluate(step="seq + 1"),
    ),
    Mistake(
        "evaluate",
        "a mean",
        "A loss is a mean.",
        "the total is a mean",
        evaluate(result="total / count, count"),
    ),
    # ----------------------------------------------------------------------------------- 4.7 cloze
    Mistake(
        "cloze",
        "the first token decides",
        "The logits after the left text say how likely each candidate is.",
        "only the first token of a candidate is scored",
        cloze(score="float(each[len(left) - 1])"),
    ),
    Mistake(
        "cloze",
        "ignores what follows",
        "A model that looks left cannot use what stands after the gap.",
        "what stands after the gap is ignored",
        cloze(score="float(each[len(left) - 1 : len(left) - 1 + len(candidate)].sum())"),
    ),
    Mistake(
        "cloze",
        "means in place of sums",
        "Longer candidates must not be at a disadvantage.",
        "sums were asked",
        cloze(score="float(each[len(left) - 1 :].mean())"),
    ),
    Mistake(
        "cloze",
        "divided by the whole text",
        "The loss of a text is a mean over its tokens.",
        "sums were asked",
        cloze(score="float(each.mean())"),
    ),
    Mistake(
        "cloze",
        "one place late",
        "The candidate's tokens start at place len(left).",
        "the candidate's first token is left out",
        cloze(score="float(each[len(left) :].sum())"),
    ),
    Mistake(
        "cloze",
        "worst first",
        "sorted puts the best score first.",
        "this is the worst first",
        cloze(order="sorted(range(len(scores)), key=lambda i: scores[i])"),
    ),
    Mistake(
        "cloze",
        "a reversed sort",
        "Sorting and then turning the list around is the same as sorting downwards.",
        "equals did not keep their order",
        cloze(order="sorted(range(len(scores)), key=lambda i: scores[i])[::-1]"),
    ),
    # -------------------------------------------------------------------------------- 4.8 exposure
    Mistake(
        "exposure",
        "rank from 0",
        "The first has index 0.",
        "the rank counts from 0",
        exposure(
            rank="(logp_random >= logp_canary).sum().item()", result="math.log2(len(logp_random) / max(rank, 1e-300))"
        ),
    ),
    Mistake(
        "exposure",
        "from the unlikely end",
        "Sort upwards and find the place.",
        "ranked from the unlikely end",
        exposure(rank="1 + (logp_random < logp_canary).sum().item()"),
    ),
    Mistake(
        "exposure",
        "natural logarithm",
        "A logarithm is a logarithm.",
        "that is in nats",
        exposure(result="math.log(len(logp_random) / rank)"),
    ),
    Mistake(
        "exposure",
        "equals stand behind",
        "The canary is ahead of those that are just as likely.",
        "those as likely as the canary stand before it",
        exposure(rank="1 + (logp_random > logp_canary).sum().item()"),
    ),
    Mistake(
        "exposure",
        "counts itself",
        "The canary is one of the codes, so there are R + 1.",
        "the canary is counted among the R others",
        exposure(result="math.log2((len(logp_random) + 1) / rank)"),
    ),
    Mistake(
        "exposure",
        "never below zero",
        "Exposure is a number of bits, and bits are not negative.",
        "cut off at 0",
        exposure(result="max(0.0, math.log2(len(logp_random) / rank))"),
    ),
    Mistake(
        "exposure",
        "sorts in place",
        "sort_ with the largest first makes the rank easy to read.",
        "the tensor was changed by the call",
        """\
def exposure(logp_canary, logp_random):
    logp_random[:] = logp_random.sort(descending=True).values
    rank = 1 + int((logp_random >= logp_canary).sum())
    return math.log2(len(logp_random) / rank)
""",
    ),
]
