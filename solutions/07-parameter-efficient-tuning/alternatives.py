"""Right answers of chapter 7 written in other ways; each must get full marks."""

from grader.hidden import Alternative

ALTERNATIVES = [
    Alternative(
        "lora",
        "einsum, A drawn like torch's own layers",
        """\
class LoRALinear(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        for each in linear.parameters():
            each.requires_grad = False
        self.linear, self.rank, self.alpha = linear, rank, alpha
        like = {"dtype": linear.weight.dtype, "device": linear.weight.device}
        self.A = nn.Parameter(torch.empty(rank, linear.in_features, **like))
        self.B = nn.Parameter(torch.zeros(linear.out_features, rank, **like))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))

    def forward(self, x):
        added = torch.einsum("...i,ri,or->...o", x, self.A, self.B)
        return torch.add(F.linear(x, self.linear.weight, self.linear.bias), added, alpha=self.alpha / self.rank)

    @torch.no_grad()
    def merge(self):
        linear = self.linear
        plain = nn.Linear(linear.in_features, linear.out_features, linear.bias is not None, dtype=linear.weight.dtype)
        plain.weight.copy_(torch.addmm(linear.weight, self.B, self.A, alpha=self.alpha / self.rank))
        if linear.bias is not None:
            plain.bias.copy_(linear.bias)
        return plain
""",
    ),
    Alternative(
        "lora",
        "through the summed matrix",
        """\
class LoRALinear(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.linear = linear
        self.linear.requires_grad_(False)
        self.register_parameter("A", nn.Parameter(torch.rand(rank, linear.in_features).type_as(linear.weight) - 0.5))
        self.register_parameter("B", nn.Parameter(torch.zeros(linear.out_features, rank).type_as(linear.weight)))
        self.scale = alpha / rank

    def matrix(self):
        return self.linear.weight + self.scale * self.B.matmul(self.A)

    def forward(self, x):
        return F.linear(x, self.matrix(), self.linear.bias)

    def merge(self):
        state = {name: each.clone() for name, each in self.linear.state_dict().items()}
        state["weight"] = self.matrix().detach()
        out = copy.copy(self.linear)
        out._parameters = {name: nn.Parameter(each) for name, each in state.items()}
        out._parameters.setdefault("bias", None)
        return out
""",
    ),
    Alternative(
        "inject",
        "from parent to child",
        """\
def inject_lora(model, names, rank, alpha):
    places = []
    def walk(module, path):
        for leaf, child in module.named_children():
            here = path + (leaf,)
            if isinstance(child, (nn.Linear, LowRank)):
                places.append((module, leaf, here, child))
            else:
                walk(child, here)
    walk(model, ())
    chosen = []
    for name in names:
        parts = tuple(name.split("."))
        fits = [place for place in places if place[2][-len(parts):] == parts]
        if len(fits) == 0:
            raise ValueError(f"nothing fits {name}")
        chosen.extend(fits)
    for each in model.parameters():
        each.requires_grad = False
    for parent, leaf, _, child in chosen:
        if isinstance(getattr(parent, leaf), nn.Linear):
            setattr(parent, leaf, LowRank(child, rank, alpha))
    total = 0
    for each in model.modules():
        if isinstance(each, LowRank):
            for factor in (each.A, each.B):
                factor.requires_grad = True
                total += factor.numel()
    return total
""",
    ),
    Alternative(
        "inject",
        "regular expressions",
        """\
def inject_lora(model, names, rank, alpha):
    import re
    modules = {p: m for p, m in model.named_modules() if type(m) is nn.Linear or isinstance(m, LowRank)}
    hits = {name: [p for p in modules if re.search(rf"(^|\\\\.){re.escape(name)}$", p)] for name in names}
    if not all(hits.values()):
        raise ValueError(f"no layer for {[name for name, found in hits.items() if not found]}")
    for p in set(sum(hits.values(), [])):
        if not isinstance(modules[p], LowRank):
            *parents, leaf = p.split(".")
            parent = model.get_submodule(".".join(parents))
            parent._modules[leaf] = LowRank(modules[p], rank, alpha)
    factors = {id(f) for m in model.modules() if isinstance(m, LowRank) for f in (m.A, m.B)}
    for each in model.parameters():
        each.requires_grad_(id(each) in factors)
    return sum(each.numel() for each in model.parameters() if each.requires_grad)
""".replace("\\\\", "\\"),
    ),
    Alternative(
        "prefix",
        "scores side by side",
        """\
class PrefixAttention(nn.Module):
    def __init__(self, layer, n_prefix):
        super().__init__()
        self.layer = layer.requires_grad_(False)
        weight = layer.key.weight
        self.prefix = nn.Parameter(weight.new_empty(2, n_prefix, len(weight)).normal_(0.0, 0.02))

    def forward(self, x, mask=None, causal=False, rotate=None):
        layer, n = self.layer, self.prefix.shape[1]
        turn = rotate if rotate is not None else (lambda each: each)
        query, key = turn(layer.split_heads(layer.query(x))), turn(layer.split_heads(layer.key(x)))
        value = layer.split_heads(layer.value(x))
        prefix_key, prefix_value = layer.split_heads(self.prefix)
        scores = query @ key.transpose(-2, -1)
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        if causal:
            later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
            scores = scores.masked_fill(later, -math.inf)
        weights = (torch.cat([query @ prefix_key.mT, scores], dim=-1) / math.sqrt(query.shape[-1])).softmax(-1)
        mixed = weights[..., :n] @ prefix_value + weights[..., n:] @ value
        return layer.output(mixed.transpose(1, 2).reshape(x.shape))
""",
    ),
    Alternative(
        "prefix",
        "torch's kernel with a mask of numbers",
        """\
class PrefixAttention(nn.Module):
    def __init__(self, layer, n_prefix):
        super().__init__()
        self.layer = layer.requires_grad_(False)
        weight = layer.key.weight
        self.prefix = nn.Parameter(weight.new_empty(2, n_prefix, len(weight)).normal_(0.0, 0.02))

    def forward(self, x, mask=None, causal=False, rotate=None):
        batch, seq, _ = x.shape
        n = self.prefix.size(1)
        q, k, v = (self.layer.split_heads(f(x)) for f in (self.layer.query, self.layer.key, self.layer.value))
        if rotate:
            q, k = rotate(q), rotate(k)
        pk, pv = (self.layer.split_heads(p.unsqueeze(0).repeat(batch, 1, 1)) for p in self.prefix)
        bias = torch.zeros(batch, self.layer.n_heads, seq, n + seq, dtype=x.dtype)
        if mask is not None:
            bias[..., n:].masked_fill_(~mask, -math.inf)
        if causal:
            bias[..., n:].masked_fill_(torch.arange(seq)[:, None] < torch.arange(seq), -math.inf)
        out = F.scaled_dot_product_attention(q, torch.cat((pk, k), -2), torch.cat((pv, v), -2), bias)
        return self.layer.output(out.transpose(1, 2).flatten(2))
""",
    ),
    Alternative(
        "soft-prompt",
        "logits of all places, then split",
        """\
class SoftPrompt(nn.Module):
    def __init__(self, gpt, n_prompt):
        super().__init__()
        for each in gpt.parameters():
            each.requires_grad = False
        self.gpt, self.n_prompt = gpt, n_prompt
        ids = torch.multinomial(torch.ones(gpt.config.vocab_size), n_prompt)
        self.prompt = nn.Parameter(F.embedding(ids, gpt.token_embedding.weight).clone())

    def forward(self, input_ids):
        rows = torch.stack([self.prompt] * input_ids.shape[0])
        logits = self.gpt.head(self.gpt.transform(torch.hstack([rows, self.gpt.embed(input_ids)])))
        return logits.split([self.n_prompt, input_ids.shape[1]], dim=1)[1]
""",
    ),
    Alternative(
        "soft-prompt",
        "row by row",
        """\
class SoftPrompt(nn.Module):
    def __init__(self, gpt, n_prompt):
        super().__init__()
        self.gpt = gpt
        gpt.requires_grad_(False)
        self.prompt = nn.Parameter(gpt.embed(torch.randint(0, gpt.config.vocab_size, (1, n_prompt)))[0].clone())

    def forward(self, input_ids):
        out = []
        for text in input_ids:
            states = self.gpt.transform(torch.cat([self.prompt, self.gpt.token_embedding(text)])[None])
            out.append(self.gpt.head(states)[0, -len(text):])
        return torch.stack(out)
""",
    ),
    Alternative(
        "adapter",
        "biases and weights zeroed by name",
        """\
class Adapter(nn.Module):
    def __init__(self, d_model, bottleneck):
        super().__init__()
        self.down, self.up = nn.Linear(d_model, bottleneck), nn.Linear(bottleneck, d_model)
        for each in self.up.parameters():
            each.data.zero_()

    def forward(self, x):
        return torch.add(self.up(nn.GELU()(self.down(x))), x)
""",
    ),
    Alternative(
        "adapter",
        "the GELU written out",
        """\
class Adapter(nn.Module):
    def __init__(self, d_model, bottleneck):
        super().__init__()
        self.down = nn.Linear(d_model, bottleneck)
        self.up = nn.Linear(bottleneck, d_model)
        nn.init.normal_(self.down.weight, std=0.02)
        nn.init.constant_(self.up.weight, 0)
        nn.init.constant_(self.up.bias, 0)

    def forward(self, x):
        y = F.linear(x, self.down.weight, self.down.bias)
        y = y * (1 + torch.erf(y / math.sqrt(2))) / 2
        return y @ self.up.weight.T + self.up.bias + x
""",
    ),
    Alternative(
        "counts",
        "a match over methods",
        """\
def peft_params(method, d_model, n_layers, **settings):
    match method:
        case "lora":
            each_block = settings.get("matrices", 2) * settings["rank"] * (d_model + d_model)
        case "prefix":
            each_block = settings["n_prefix"] * d_model + settings["n_prefix"] * d_model
        case "prompt":
            return d_model * settings["n_prompt"]
        case "adapters":
            b = settings["bottleneck"]
            each_block = ((d_model + 1) * b + (b + 1) * d_model) * settings.get("per_block", 2)
        case "bitfit":
            each_block = 4 * d_model + settings.get("d_ff", d_model * 4) + d_model + 2 * d_model
        case _:
            raise ValueError(method)
    return each_block * n_layers
""",
    ),
    Alternative(
        "counts",
        "built without memory",
        """\
def peft_params(
    method, d_model, n_layers, rank=0, matrices=2, n_prefix=0, n_prompt=0, bottleneck=0, per_block=2, d_ff=None
):
    size = lambda *modules: sum(each.numel() for module in modules for each in module.parameters())
    with torch.device("meta"):
        linear = lambda d_in, d_out, bias=True: nn.Linear(d_in, d_out, bias)
        if method == "lora":
            block = matrices * size(linear(d_model, rank, False), linear(rank, d_model, False))
        elif method == "prefix":
            block = torch.empty(2, n_prefix, d_model).numel()
        elif method == "prompt":
            return torch.empty(n_prompt, d_model).numel()
        elif method == "adapters":
            block = per_block * size(linear(d_model, bottleneck), linear(bottleneck, d_model))
        elif method == "bitfit":
            layers = [linear(d_model, d_model)] * 4 + [linear(d_model, d_ff or 4 * d_model), linear(d_ff or 1, d_model)]
            block = sum(each.bias.numel() for each in layers + [nn.LayerNorm(d_model)] * 2)
        else:
            raise ValueError(f"unknown method {method}")
    return n_layers * block
""",
    ),
    Alternative(
        "multi-lora",
        "einsum over chosen stacks",
        """\
def multi_lora(x, weight, A, B, task, scale=1.0):
    down, up = A.index_select(0, task), B.index_select(0, task)
    narrow = torch.einsum("btd,brd->btr", x, down)
    return F.linear(x, weight) + torch.einsum("btr,bor->bto", scale * narrow, up)
""",
    ),
    Alternative(
        "multi-lora",
        "baddbmm",
        """\
def multi_lora(x, weight, A, B, task, scale=1.0):
    shared = torch.matmul(x, weight.t())
    return torch.baddbmm(shared, torch.bmm(x, A[task].mT), B[task].mT, alpha=scale)
""",
    ),
]

LIBRARY = {
    "lora": "byhand.peft.lora:LoRALinear",
    "inject": "byhand.peft.lora:inject_lora",
    "prefix": "byhand.peft.prefixes:PrefixAttention",
    "soft-prompt": "byhand.peft.soft_prompt:SoftPrompt",
    "adapter": "byhand.peft.adapters:Adapter",
    "counts": "byhand.peft.counts:peft_params",
    "multi-lora": "byhand.peft.lora:multi_lora",
}
"""Where the library answers each exercise: its own functions must get full marks too."""
