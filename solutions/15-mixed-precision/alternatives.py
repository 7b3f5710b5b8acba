"""Right answers of chapter 15 written in other ways; each must get full marks."""

from grader.hidden import Alternative

ALTERNATIVES = [
    Alternative(
        "formats",
        "the largest bit pattern, and a loop over numpy",
        """\
def representable(dtype):
    e, f = {torch.float16: (5, 10), torch.bfloat16: (8, 7)}.get(dtype, (8, 23))
    top = 2 ** (e - 1)
    return {"eps": 1 / 2**f, "tiny": math.ldexp(1, 2 - top), "max": math.ldexp(2 ** (f + 1) - 1, top - 1 - f)}


def underflow_share(grads, scale, dtype):
    some = lost = 0
    for value in grads.flatten().tolist():
        if value != 0:
            some += 1
            lost += torch.tensor(value * scale, dtype=dtype).item() == 0
    return lost / some if some else 0.0
""",
    ),
    Alternative(
        "formats",
        "by the distance to zero",
        """\
def representable(dtype):
    bits = {torch.float32: 23, torch.bfloat16: 7, torch.float16: 10}[dtype]
    bias = 15 if dtype == torch.float16 else 127
    largest = sum(2.0 ** (bias - place) for place in range(bits + 1))
    return dict(max=largest, tiny=2.0**-bias * 2, eps=2.0**-bits)


def underflow_share(grads, scale, dtype):
    limits = representable(dtype)
    zero = limits["tiny"] * limits["eps"] / 2
    sizes = grads.abs().double()
    sizes = sizes[sizes > 0] * scale
    return (sizes <= zero).double().mean().item() if len(sizes) else 0
""",
    ),
    Alternative(
        "scaled-step",
        "the factor goes into the learning rate",
        """\
def scaled_sgd_step(w, g, k, lr):
    wide = g.to(torch.float32)
    if torch.isinf(wide).any() or torch.isnan(wide).any():
        return w, False, 0.5 * k
    return torch.sub(w, wide, alpha=lr / k), True, k
""",
    ),
    Alternative(
        "scaled-step",
        "in float64, and back",
        """\
def scaled_sgd_step(w, g, k, lr):
    wide = g.double() / k
    if not bool(torch.isfinite(wide.sum())):
        return w.detach().clone(), False, k * 0.5
    new = w.double() - lr * wide
    return new.float(), True, k
""",
    ),
    Alternative(
        "loss-scaler",
        "found by a sum, counted down",
        """\
class DynamicLossScaler:
    def __init__(self, init=65536.0, growth=2.0, backoff=0.5, interval=2000):
        self.value, self.settings, self.left = float(init), (growth, backoff, interval), interval
        self.unscaled = False
        self.broken = False

    def get_scale(self):
        return self.value

    def scale(self, loss):
        return self.value * loss

    def unscale_(self, optimizer):
        self.unscaled, self.broken = True, False
        for group in optimizer.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.grad.mul_(1 / self.value)
                    self.broken |= not math.isfinite((weight.grad * 0).sum().item())

    def step(self, optimizer):
        growth, backoff, interval = self.settings
        if not self.unscaled:
            self.unscale_(optimizer)
        self.unscaled = False
        if self.broken:
            self.value *= backoff
            self.left = interval
        else:
            optimizer.step()
            self.left -= 1
            if self.left == 0:
                self.value *= growth
                self.left = interval
        return not self.broken
""",
    ),
    Alternative(
        "loss-scaler",
        "new gradients put in place, a history of good steps",
        """\
class DynamicLossScaler:
    def __init__(self, init=65536.0, growth=2.0, backoff=0.5, interval=2000):
        self.k, self.up, self.down, self.every = init, growth, backoff, interval
        self.row, self.state = [], "scaled"

    def get_scale(self):
        return self.k

    def scale(self, loss):
        return torch.mul(loss, self.k)

    def unscale_(self, optimizer):
        self.state = "good"
        for weight in (w for group in optimizer.param_groups for w in group["params"] if w.grad is not None):
            weight.grad.data = weight.grad.data / self.k
            if torch.isnan(weight.grad).any() or torch.isinf(weight.grad).any():
                self.state = "bad"

    def step(self, optimizer):
        if self.state == "scaled":
            self.unscale_(optimizer)
        good = self.state == "good"
        self.state = "scaled"
        if good:
            optimizer.step()
            self.row.append(self.k)
            if len(self.row) >= self.every:
                self.k, self.row = self.k * self.up, []
        else:
            self.k, self.row = self.k * self.down, []
        return good
""",
    ),
    Alternative(
        "autocast-rules",
        "a table of families, hooks in an ExitStack",
        """\
def dtype_policy(op, inputs=torch.float32, device="cpu"):
    try:
        family = FAMILY[op]
    except KeyError:
        raise ValueError(op) from None
    gpu = device == "cuda"
    table = {
        "product": torch.float16 if gpu else torch.bfloat16,
        "loss": torch.float32,
        "reduction": torch.float32 if gpu else inputs,
        "rest": inputs,
    }
    return inputs if inputs is torch.float64 else table[family]


def autocast_trace(model, x):
    import contextlib

    found = {}
    with contextlib.ExitStack() as stack:
        for name, part in model.named_modules():
            def look(module, args, out, name=name):
                if torch.is_tensor(out):
                    found[name] = out.dtype
            handle = part.register_forward_hook(look)
            stack.callback(handle.remove)
        stack.enter_context(evaluating(model))
        stack.enter_context(torch.autocast(x.device.type, torch.float16 if x.is_cuda else torch.bfloat16))
        model(x)
    return found
""",
    ),
    Alternative(
        "autocast-rules",
        "modes restored by hand",
        """\
def dtype_policy(op, inputs=torch.float32, device="cpu"):
    narrow = {"cpu": torch.bfloat16, "cuda": torch.float16}[device]
    if FAMILY.get(op) is None:
        raise ValueError(f"what is {op}?")
    if inputs == torch.float64:
        return torch.float64
    if FAMILY[op] == "product":
        return narrow
    wide = ("loss", "reduction") if device == "cuda" else ("loss",)
    return torch.float32 if FAMILY[op] in wide else inputs


def autocast_trace(model, x):
    parts = dict(model.named_modules())
    was = {name: part.training for name, part in parts.items()}
    outs, handles = {}, []
    for name in parts:
        keep = lambda name: lambda part, args, out: outs.update({name: out})
        handles.append(parts[name].register_forward_hook(keep(name)))
    try:
        model.eval()
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            model(x)
    finally:
        [handle.remove() for handle in handles]
        for name, part in parts.items():
            part.training = was[name]
    return {name: out.dtype for name, out in outs.items() if isinstance(out, torch.Tensor)}
""",
    ),
    Alternative(
        "amp-step",
        "torch's clipping and cross-entropy, inside autocast",
        """\
def amp_step(model, x, y, optimizer, scaler, clip, device):
    device = torch.device(device)
    narrow = {"cpu": torch.bfloat16, "cuda": torch.float16}[device.type]
    x, y = x.to(device), y.to(device)
    for weight in model.parameters():
        weight.grad = None
    with torch.autocast(device_type=device.type, dtype=narrow):
        logits = model(x)
        loss = F.cross_entropy(logits.float().reshape(-1, logits.shape[-1]), y.reshape(-1))
    result = {"loss": float(loss), "scale": scaler.get_scale()}
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    result["grad_norm"] = float(nn.utils.clip_grad_norm_(model.parameters(), clip if clip else math.inf))
    result["stepped"] = bool(scaler.step(optimizer))
    return result
""",
    ),
    Alternative(
        "amp-step",
        "the norm by hand",
        """\
def amp_step(model, x, y, optimizer, scaler, clip, device):
    kind = device.type if isinstance(device, torch.device) else device.split(":")[0]
    optimizer.zero_grad(set_to_none=False)
    with torch.autocast(kind):
        logits = model(x.to(device))
    target = y.to(device).flatten()
    scored = target != -100
    logprobs = logits.flatten(0, -2).float().log_softmax(-1)[scored]
    loss = -logprobs.gather(1, target[scored, None]).mean()
    used = scaler.get_scale()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    weights = [weight for weight in model.parameters() if weight.grad is not None]
    norm = torch.cat([weight.grad.flatten() for weight in weights]).norm().item()
    if clip and norm > clip:
        for weight in weights:
            weight.grad *= clip / norm
    return {"stepped": scaler.step(optimizer), "loss": loss.item(), "grad_norm": norm, "scale": used}
""",
    ),
    Alternative(
        "mixed-memory",
        "counted from a model that takes no memory",
        """\
def train_memory_mixed(config, batch, seq):
    with torch.device("meta"):
        model = GPT(config)
    sizes = [weight.numel() for weight in model.parameters()]
    def row(weights, master, gradients, moments):
        parts = [sum(size * width for size in sizes) for width in (weights, master, gradients, moments)]
        parts.append(activation_bytes(config, batch, seq, value_bytes=weights))
        names = ["weights", "master", "gradients", "moments", "activations", "total"]
        return dict(zip(names, parts + [sum(parts)]))
    return {"bf16": row(2, 0, 2, 4), "fp16+master": row(2, 4, 2, 8), "fp32": row(4, 0, 4, 8)}
""",
    ),
    Alternative(
        "mixed-memory",
        "from the item sizes of dtypes",
        """\
def train_memory_mixed(config, batch, seq):
    n, out = gpt_parameters(config), {}
    for setting in ("fp32", "fp16+master", "bf16"):
        model = {"fp32": FP32, "fp16+master": FP16, "bf16": BF16}[setting].itemsize
        state = 4 if "master" in setting else model
        out[setting] = {"weights": n * model, "gradients": n * model, "moments": n * (state + state)}
        out[setting]["master"] = n * state if "master" in setting else 0
        out[setting]["activations"] = activation_bytes(config, batch, seq, model, True)
        out[setting]["total"] = sum(out[setting].values())
    return out
""",
    ),
]

LIBRARY = {
    "formats": "byhand.precision:representable, underflow_share",
    "scaled-step": "byhand.precision:scaled_sgd_step",
    "loss-scaler": "byhand.precision:DynamicLossScaler",
    "autocast-rules": "byhand.precision:dtype_policy, autocast_trace",
    "amp-step": "byhand.precision:amp_step",
    "mixed-memory": "byhand.precision:train_memory_mixed",
}
"""Where the library answers each exercise: its own functions must get full marks too."""
