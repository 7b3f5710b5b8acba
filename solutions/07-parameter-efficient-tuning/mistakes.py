"""Wrong answers that people really give in chapter 7, each with the words that must catch it.

The `belief` of each is what the page lists under "Common mistakes". For every exercise at least one of them passes the
visible checks: those are examples, and an example cannot show everything.
"""

from grader.hidden import Mistake

LORA = """\
class LoRALinear(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.linear = {linear}
        self.scale = {scale}
        self.A = nn.Parameter({A})
        self.B = nn.Parameter({B})

    def forward(self, x):
        return {forward}

    def merge(self):
{merge}
"""
COPY = """\
        plain = copy.deepcopy(self.linear)
        with torch.no_grad():
            plain.weight += self.scale * (self.B @ self.A)
        return plain"""


def lora(
    linear: str = "linear.requires_grad_(False)",
    scale: str = "alpha / rank",
    A: str = "torch.randn(rank, linear.in_features).to(linear.weight) * 0.1",
    B: str = "torch.zeros(linear.out_features, rank).to(linear.weight)",
    forward: str = "self.linear(x) + self.scale * F.linear(F.linear(x, self.A), self.B)",
    merge: str = COPY,
) -> str:
    """The reference with one expression replaced."""
    return LORA.format(linear=linear, scale=scale, A=A, B=B, forward=forward, merge=merge)


INJECT = """\
def inject_lora(model, names, rank, alpha):
    paths = [path for path, each in model.named_modules() if isinstance(each, ({kinds}))]
    found = [path for path in paths if any({fits} for name in names)]
    if not {all_found}:
        raise ValueError("a name fits no linear layer")
    {freeze}
    for path in found:
        layer = model.get_submodule(path)
        if {plain}:
            parent, _, leaf = path.rpartition(".")
            setattr(model.get_submodule(parent), leaf, LowRank(layer, {settings}))
    for update in [each for each in model.modules() if isinstance(each, LowRank)]:
        update.A.requires_grad_(True), update.B.requires_grad_(True)
    return {count}
"""


def inject(
    kinds: str = "nn.Linear, LowRank",
    fits: str = "('.' + path).endswith('.' + name)",
    all_found: str = "all(any(('.' + path).endswith('.' + name) for path in paths) for name in names)",
    freeze: str = "model.requires_grad_(False)",
    plain: str = "isinstance(layer, nn.Linear)",
    settings: str = "rank, alpha",
    count: str = "sum(each.numel() for each in model.parameters() if each.requires_grad)",
) -> str:
    """The reference with one expression replaced."""
    return INJECT.format(
        kinds=kinds, fits=fits, all_found=all_found, freeze=freeze, plain=plain, settings=settings, count=count
    )


PREFIX = """\
class PrefixAttention(nn.Module):
    def __init__(self, layer, n_prefix):
        super().__init__()
        self.layer = layer.requires_grad_(False)
        weight = layer.key.weight
        self.prefix = nn.Parameter(weight.new_empty(2, n_prefix, len(weight)).normal_(0.0, 0.02))

    def forward(self, x, mask=None, causal=False, rotate=None):
        layer, n_prefix = self.layer, self.prefix.shape[1]
        query, key, value = (layer.split_heads(part(x)) for part in (layer.query, layer.key, layer.value))
        first, second = {prefix}
        first, second = (layer.split_heads(part.expand(len(x), -1, -1)) for part in (first, second))
        {turn}
        {join}
        seen = torch.ones(1, 1, x.shape[1], x.shape[1], dtype=torch.bool)
        {masks}
        seen = {seen}
        gathered, _ = attention(query, key, value, seen)
        return layer.output(gathered.transpose(1, 2).flatten(2))
"""


def prefix(
    prefix: str = "self.prefix",
    turn: str = "query, key = (query, key) if rotate is None else (rotate(query), rotate(key))",
    join: str = "key, value = torch.cat([first, key], dim=2), torch.cat([second, value], dim=2)",
    masks: str = "seen = (seen.tril() if causal else seen) & (seen if mask is None else mask)",
    seen: str = "F.pad(seen, (n_prefix, 0), value=True)",
) -> str:
    """The reference with one line replaced."""
    return PREFIX.format(prefix=prefix, turn=turn, join=join, masks=masks, seen=seen)


SOFT = """\
class SoftPrompt(nn.Module):
    def __init__(self, gpt, n_prompt):
        super().__init__()
        self.gpt = {gpt}
        self.prompt = nn.Parameter({start})

    def forward(self, input_ids):
        n_prompt, text = len(self.prompt), self.gpt.embed(input_ids)
        prompt = self.prompt.expand(len(input_ids), -1, -1)
        states = self.gpt.transform(torch.cat({order}, dim=1))
        return self.gpt.head(states[:, {places}])
"""


def soft(
    gpt: str = "gpt.requires_grad_(False)",
    start: str = "gpt.token_embedding.weight[torch.randint(gpt.config.vocab_size, (n_prompt,))].detach()",
    order: str = "[prompt, text]",
    places: str = "n_prompt:",
) -> str:
    """The reference with one expression replaced."""
    return SOFT.format(gpt=gpt, start=start, order=order, places=places)


ADAPTER = """\
class Adapter(nn.Module):
    def __init__(self, d_model, bottleneck):
        super().__init__()
        self.down = nn.Linear(d_model, bottleneck{bias})
        self.up = nn.Linear(bottleneck, d_model{bias})
        with torch.no_grad():
            {start}

    def forward(self, x):
        return {forward}
"""


def adapter(
    bias: str = "",
    start: str = "self.up.weight.zero_(), self.up.bias.zero_()",
    forward: str = "x + self.up(F.gelu(self.down(x)))",
) -> str:
    """The reference with one expression replaced."""
    return ADAPTER.format(bias=bias, start=start, forward=forward)


COUNTS = """\
def peft_params(
    method, d_model, n_layers, rank=0, matrices=2, n_prefix=0, n_prompt=0, bottleneck=0, per_block=2, d_ff=None
):
    d_ff = {d_ff}
    counts = {{
        "lora": {lora},
        "prefix": {prefix},
        "prompt": {prompt},
        "adapters": {adapters},
        "bitfit": {bitfit},
    }}
    {refuse}
    return counts[method]
"""


def counts(
    d_ff: str = "4 * d_model if d_ff is None else d_ff",
    lora: str = "n_layers * matrices * 2 * d_model * rank",
    prefix: str = "n_layers * 2 * n_prefix * d_model",
    prompt: str = "n_prompt * d_model",
    adapters: str = "n_layers * per_block * (2 * d_model * bottleneck + bottleneck + d_model)",
    bitfit: str = "n_layers * (7 * d_model + d_ff)",
    refuse: str = 'if method not in counts:\n        raise ValueError("no such method")',
) -> str:
    """The reference with one expression replaced."""
    return COUNTS.format(
        d_ff=d_ff, lora=lora, prefix=prefix, prompt=prompt, adapters=adapters, bitfit=bitfit, refuse=refuse
    )


MANY = """\
def multi_lora(x, weight, A, B, task, scale=1.0):
    {before}
    return {result}
"""


def many(
    before: str = "narrow = x @ A[task].transpose(1, 2)",
    result: str = "x @ weight.T + scale * (narrow @ B[task].transpose(1, 2))",
) -> str:
    """The reference with one line replaced."""
    return MANY.format(before=before, result=result)


MISTAKES = [
    # -------------------------------------------------------------------------------- 7.1 the LoRA layer
    Mistake(
        "lora",
        "alpha without the rank",
        "Alpha is the weight of the update.",
        "multiplied by alpha and not divided by the rank",
        lora(scale="alpha"),
    ),
    Mistake(
        "lora",
        "both zero",
        "Nothing may change at the start, so both begin at zero.",
        "A and B are both zero",
        lora(A="torch.zeros(rank, linear.in_features).to(linear.weight)"),
    ),
    Mistake(
        "lora",
        "both random",
        "Weights begin at random.",
        "B must start at zero",
        lora(B="torch.randn(linear.out_features, rank).to(linear.weight) * 0.1"),
    ),
    Mistake(
        "lora",
        "A all alike",
        "A must only not be zero: ones will do.",
        "the rows of A start alike",
        lora(A="torch.ones(rank, linear.in_features).to(linear.weight)"),
    ),
    Mistake(
        "lora",
        "the old bias learns",
        "Freezing the weight freezes the layer.",
        "the old layer learns, too",
        """\
class LoRALinear(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.linear = linear
        linear.weight.requires_grad_(False)
        self.scale = alpha / rank
        self.A = nn.Parameter(torch.randn(rank, linear.in_features).to(linear.weight))
        self.B = nn.Parameter(torch.zeros(linear.out_features, rank).to(linear.weight))

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        plain = copy.deepcopy(self.linear)
        plain.weight.data += self.scale * (self.B @ self.A).detach()
        return plain
""",
    ),
    Mistake(
        "lora",
        "merges into the old layer",
        "Merging adds the update to the weight.",
        "merging twice adds the update twice",
        lora(
            merge="""\
        with torch.no_grad():
            self.linear.weight += self.scale * (self.B @ self.A)
        return copy.deepcopy(self.linear)"""
        ),
    ),
    Mistake(
        "lora",
        "merges without the scale",
        "The update is B times A.",
        "the merged update is not scaled",
        lora(merge=COPY.replace("self.scale * (self.B @ self.A)", "self.B @ self.A")),
    ),
    Mistake(
        "lora",
        "loses the bias when merging",
        "A new linear layer needs the new weight.",
        "the merged layer has lost the bias",
        lora(
            merge="""\
        plain = nn.Linear(self.linear.in_features, self.linear.out_features, bias=False)
        plain.weight = nn.Parameter((self.linear.weight + self.scale * (self.B @ self.A)).detach())
        return plain"""
        ),
    ),
    Mistake(
        "lora",
        "float32 whatever comes",
        "A parameter is float32.",
        "the layer's weight is float64",
        lora(
            A="torch.randn(rank, linear.in_features)",
            B="torch.zeros(linear.out_features, rank)",
            forward="self.linear(x) + self.scale * F.linear(F.linear(x, self.A.to(x.dtype)), self.B.to(x.dtype))",
        ),
    ),
    # --------------------------------------------------------------------------------- 7.2 putting it in
    Mistake(
        "inject",
        "every linear layer",
        "More updates cannot do harm.",
        "every linear layer was replaced",
        inject(fits="True"),
    ),
    Mistake(
        "inject",
        "a name that ends alike",
        "A path that ends with the name fits.",
        "subquery is not query",
        inject(
            fits="path.endswith(name)", all_found="all(any(path.endswith(name) for path in paths) for name in names)"
        ),
    ),
    Mistake(
        "inject",
        "needs a dot",
        "A layer's path has a dot before its name.",
        "a path need not have a dot",
        inject(fits="path.endswith('.' + name) or path == name and '.' in name"),
    ),
    Mistake(
        "inject",
        "leaves the rest learning",
        "LowRank freezes what it wraps, and that is all there is to freeze.",
        "still learns: all that is not an update is frozen",
        inject(
            freeze="pass",
            count="sum(each.A.numel() + each.B.numel() for each in model.modules() if isinstance(each, LowRank))",
        ),
    ),
    Mistake(
        "inject",
        "wraps twice",
        "What has the name gets an update.",
        "wrapped twice",
        inject(
            kinds="nn.Linear",
            fits="f'.{name}.' in f'.{path}.'",
            all_found="all(any(f'.{name}.' in f'.{path}.' for path in paths) for name in names)",
        ),
    ),
    Mistake(
        "inject",
        "new updates for old",
        "Calling again starts again.",
        "what they learned is lost",
        inject(plain="True").replace("LowRank(layer, ", "LowRank(getattr(layer, 'linear', layer), "),
    ),
    Mistake(
        "inject",
        "counts what it put in",
        "It returns how many numbers this call added.",
        "count all numbers that learn",
        inject(count="added")
        .replace("    for path in found:", "    added = 0\n    for path in found:")
        .replace("leaf, LowRank(layer, rank, alpha))", "leaf, (new := LowRank(layer, rank, alpha)))")
        .replace("    for update", "            added += new.A.numel() + new.B.numel()\n    for update"),
    ),
    Mistake(
        "inject",
        "one name will do",
        "As long as something was found, all is well.",
        "no ValueError came",
        inject(all_found="found"),
    ),
    Mistake(
        "inject",
        "freezes, then looks",
        "The order of the steps does not matter.",
        "the model was changed before it",
        """\
def inject_lora(model, names, rank, alpha):
    model.requires_grad_(False)
    for name in names:
        paths = [path for path, each in model.named_modules() if isinstance(each, (nn.Linear, LowRank))]
        fitting = [path for path in paths if ("." + path).endswith("." + name)]
        if not fitting:
            raise ValueError(name)
        for path in fitting:
            layer = model.get_submodule(path)
            if isinstance(layer, nn.Linear):
                parent, _, leaf = path.rpartition(".")
                setattr(model.get_submodule(parent), leaf, LowRank(layer, rank, alpha))
    for each in model.modules():
        if isinstance(each, LowRank):
            each.A.requires_grad_(True), each.B.requires_grad_(True)
    return sum(each.numel() for each in model.parameters() if each.requires_grad)
""",
    ),
    # ------------------------------------------------------------------------------------ 7.3 the prefix
    Mistake(
        "prefix",
        "causal hides the prefix",
        "The lower triangle of the longer table is the causal mask.",
        "the causal mask hides the prefix",
        prefix(
            seen="F.pad(seen, (n_prefix, 0), value=True)"
            " & (torch.ones(x.shape[1], key.shape[2], dtype=torch.bool).tril() if causal else True)"
        ),
    ),
    Mistake(
        "prefix",
        "queries for the prefix, too",
        "The prefix is put before the tokens, and everything is computed from that.",
        "the prefix got queries",
        """\
class PrefixAttention(nn.Module):
    def __init__(self, layer, n_prefix):
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.prefix = nn.Parameter(0.02 * torch.randn(2, n_prefix, len(layer.key.weight)))

    def forward(self, x, mask=None, causal=False, rotate=None):
        return self.layer(torch.cat([self.prefix[0].expand(len(x), -1, -1), x], dim=1), causal=causal)
""",
    ),
    Mistake(
        "prefix",
        "projects the prefix",
        "The prefix passes through the key and value projections like everything else.",
        "the prefix was projected",
        prefix(prefix="layer.key(self.prefix[0]), layer.value(self.prefix[1])"),
    ),
    Mistake(
        "prefix",
        "values before keys",
        "The order of the two does not matter, both are learned.",
        "the prefix's values were taken as keys",
        prefix(prefix="self.prefix.flip(0)"),
    ),
    Mistake(
        "prefix",
        "turns the prefix",
        "What stands before the text takes the first positions.",
        "the prefix was turned",
        prefix(
            turn="key, value = torch.cat([first, key], dim=2), torch.cat([second, value], dim=2)",
            join="query, key = (query, key) if rotate is None else (rotate(query), rotate(key))",
        ),
    ),
    Mistake(
        "prefix",
        "mask replaces causal",
        "A mask that is given is the mask.",
        "with causal, the given mask is forgotten",
        prefix(masks="seen = seen.tril() if causal else seen if mask is None else seen & mask"),
    ),
    Mistake(
        "prefix",
        "new columns on the right",
        "The mask becomes longer by the prefix.",
        "the mask's new columns stand on the right",
        prefix(seen="F.pad(seen, (0, n_prefix), value=True)"),
    ),
    Mistake(
        "prefix",
        "forgets to turn",
        "Positions are none of the prefix's business.",
        "rotate has no effect",
        prefix(turn="pass"),
    ),
    # ------------------------------------------------------------------------------------ 7.4 soft prompts
    Mistake(
        "soft-prompt",
        "all places",
        "The model returns a prediction for every vector.",
        "logits of the prompt's places are returned",
        soft(places=":"),
    ),
    Mistake(
        "soft-prompt",
        "cuts the end",
        "The result is as long as the text: take so many.",
        "the last places were cut off",
        soft(places=": input_ids.shape[1]"),
    ),
    Mistake(
        "soft-prompt",
        "shifted labels",
        "The last vector of the prompt predicts the first token.",
        "shifted by one",
        soft(places="n_prompt - 1 : -1"),
    ),
    Mistake(
        "soft-prompt",
        "prompt behind the text",
        "Order does not matter to attention.",
        "the prompt stands behind the text",
        soft(order="[text, prompt]", places=": input_ids.shape[1]"),
    ),
    Mistake(
        "soft-prompt",
        "a window into the table",
        "The first rows of the table will do as a start.",
        "it is a view",
        soft(start="gpt.token_embedding.weight[:n_prompt].detach()"),
    ),
    Mistake(
        "soft-prompt",
        "the same tokens always",
        "The first rows, copied, will do as a start.",
        "two soft prompts start with the same tokens",
        soft(start="gpt.token_embedding.weight[:n_prompt].detach().clone()"),
    ),
    Mistake(
        "soft-prompt",
        "starts at random",
        "Parameters begin as small random numbers.",
        "does not start as embeddings",
        soft(start="0.02 * torch.randn(n_prompt, gpt.config.d_model)"),
    ),
    Mistake(
        "soft-prompt",
        "the embeddings learn",
        "Only the blocks need freezing: the prompt belongs to the embeddings.",
        "learns, too",
        soft(gpt="gpt").replace(
            "        self.prompt",
            "        gpt.blocks.requires_grad_(False), gpt.final_norm.requires_grad_(False)\n        self.prompt",
        ),
    ),
    # ---------------------------------------------------------------------------------------- 7.5 adapters
    Mistake(
        "adapter",
        "nothing is added to",
        "A new layer goes between the old ones.",
        "x itself is not added",
        adapter(forward="self.up(F.gelu(self.down(x)))"),
    ),
    Mistake(
        "adapter",
        "starts at random",
        "Small random weights change little.",
        "a new adapter changes its input",
        adapter(start="self.up.weight.mul_(0.01)"),
    ),
    Mistake(
        "adapter",
        "forgets the bias",
        "With a weight of zero nothing comes out.",
        "weight and bias of up must start at zero",
        adapter(start="self.up.weight.zero_()"),
    ),
    Mistake(
        "adapter",
        "both zero",
        "To add nothing, everything starts at zero.",
        "with down at zero, too, nothing ever learns",
        adapter(start="[each.zero_() for each in self.parameters()]"),
    ),
    Mistake(
        "adapter",
        "no nonlinearity",
        "Down and up is what makes it small.",
        "there is no nonlinearity",
        adapter(forward="x + self.up(self.down(x))"),
    ),
    Mistake(
        "adapter",
        "no biases",
        "As in LoRA, two matrices.",
        "both layers have a bias",
        adapter(bias=", bias=False", start="self.up.weight.zero_()"),
    ),
    Mistake(
        "adapter",
        "adds in place",
        "x is mine to change.",
        "x was changed by the call",
        adapter().replace(
            "return x + self.up(F.gelu(self.down(x)))", "x += self.up(F.gelu(self.down(x)))\n        return x"
        ),
    ),
    # ---------------------------------------------------------------------------------------- 7.6 counting
    Mistake(
        "counts",
        "one block",
        "The method adds so many.",
        "n_layers has no effect",
        counts(lora="matrices * 2 * d_model * rank"),
    ),
    Mistake(
        "counts",
        "only B",
        "Only B learns at first.",
        "A and B both learn",
        counts(lora="n_layers * matrices * d_model * rank"),
    ),
    Mistake(
        "counts",
        "always two matrices",
        "LoRA is for query and value.",
        "matrices has no effect",
        counts(lora="n_layers * 4 * d_model * rank"),
    ),
    Mistake(
        "counts",
        "counts the base",
        "The layer has W, A and B.",
        "the frozen matrix was counted",
        counts(lora="n_layers * matrices * (2 * d_model * rank + d_model**2)"),
    ),
    Mistake(
        "counts",
        "keys only",
        "A prefix is a few keys.",
        "keys and values; one of them",
        counts(prefix="n_layers * n_prefix * d_model"),
    ),
    Mistake(
        "counts",
        "a prompt in every block",
        "A soft prompt is a short prefix.",
        "before the first block only",
        counts(prompt="n_layers * n_prompt * d_model"),
    ),
    Mistake(
        "counts",
        "adapters without biases",
        "An adapter is two matrices.",
        "the adapters' biases are missing",
        counts(adapters="n_layers * per_block * 2 * d_model * bottleneck"),
    ),
    Mistake(
        "counts",
        "norms without biases",
        "Linear layers have biases.",
        "the norms have biases, too",
        counts(bitfit="n_layers * (5 * d_model + d_ff)"),
    ),
    Mistake(
        "counts",
        "d_ff is always four times",
        "d_ff is four times the width.",
        "d_ff has no effect",
        counts(d_ff="4 * d_model"),
    ),
    Mistake(
        "counts",
        "zero for what it does not know",
        "An unknown method learns nothing.",
        "and no ValueError",
        counts(refuse="counts.setdefault(method, 0)"),
    ),
    # ------------------------------------------------------------------------------ 7.7 many tasks in a batch
    Mistake(
        "multi-lora",
        "the first task for all",
        "A batch belongs to one task.",
        "update of the first row's task",
        many("first = task[0]\n    narrow = x @ A[first].T", "x @ weight.T + scale * (narrow @ B[first].T)"),
    ),
    Mistake(
        "multi-lora",
        "writes into the matrix",
        "Merge, multiply, and take it off again.",
        "an input was changed",
        """\
def multi_lora(x, weight, A, B, task, scale=1.0):
    rows = []
    for row, number in zip(x, task):
        weight.data += scale * (B[number] @ A[number]).detach()
        rows.append(row @ weight.T)
        weight.data -= scale * (B[number] @ A[number]).detach()
    return torch.stack(rows)
""",
    ),
    Mistake(
        "multi-lora",
        "a loop over rows",
        "Each row has its own update, so each row is computed by itself.",
        "the number of operations grows with the rows",
        """\
def multi_lora(x, weight, A, B, task, scale=1.0):
    rows = [x[i] @ weight.T + scale * (x[i] @ A[task[i]].T @ B[task[i]].T) for i in range(len(x))]
    return torch.stack(rows)
""",
    ),
    Mistake(
        "multi-lora",
        "a loop over tasks",
        "There are fewer tasks than rows.",
        "a loop over the tasks",
        """\
def multi_lora(x, weight, A, B, task, scale=1.0):
    out = x @ weight.T
    for number in range(len(A)):
        own = (task == number).to(x.dtype)[:, None, None]
        out = out + own * scale * (x @ A[number].T @ B[number].T)
    return out
""",
    ),
    Mistake(
        "multi-lora",
        "a matrix for each row",
        "Summed matrices need one product.",
        "made for each row",
        many("merged = weight + scale * (B[task] @ A[task])", "x @ merged.transpose(1, 2)"),
    ),
    Mistake(
        "multi-lora",
        "all updates, then choose",
        "Compute everything, then pick.",
        "work was done for updates that no row uses",
        many(
            "rows = torch.arange(len(x))\n    narrow = torch.einsum('btd,nrd->nbtr', x, A)[task, rows]",
            "x @ weight.T + scale * (narrow @ B[task].transpose(1, 2))",
        ),
    ),
    Mistake(
        "multi-lora",
        "forgets the scale",
        "A and B hold everything that was learned.",
        "scale has no effect",
        many(result="x @ weight.T + narrow @ B[task].transpose(1, 2)"),
    ),
    Mistake(
        "multi-lora",
        "scales everything",
        "The scale multiplies the result.",
        "scale multiplies the shared part",
        many(result="scale * (x @ weight.T + narrow @ B[task].transpose(1, 2))"),
    ),
]
