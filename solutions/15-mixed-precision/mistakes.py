"""Wrong answers that people really give in chapter 15, each with the words that must catch it.

The `belief` of each is what the page lists under "Common mistakes". For every exercise at least one of them
passes the visible checks: those are examples, and an example cannot show everything.
"""

from grader.hidden import Mistake

FORMATS = """\
def representable(dtype):
    e, f = {bits}[dtype]
    b = 2 ** (e - 1) - 1
    return {{"max": {largest}, "tiny": {tiny}, "eps": {eps}}}


def underflow_share(grads, scale, dtype):
    some = {some}
    lost = {lost}
    return {share}
"""


def formats(
    bits: str = "{torch.float16: (5, 10), torch.bfloat16: (8, 7), torch.float32: (8, 23)}",
    largest: str = "(2 - 2.0**-f) * 2.0**b",
    tiny: str = "2.0 ** (1 - b)",
    eps: str = "2.0**-f",
    some: str = "grads[grads != 0].double()",
    lost: str = "((some * scale).to(dtype) == 0).sum().item()",
    share: str = "lost / max(len(some), 1)",
) -> str:
    """The reference with one expression replaced."""
    return FORMATS.format(bits=bits, largest=largest, tiny=tiny, eps=eps, some=some, lost=lost, share=share)


STEP = """\
def scaled_sgd_step(w, g, k, lr):
    if {broken}:
        return {skipped}
    return {new}, True, {kept}
"""


def step(
    broken: str = "not g.isfinite().all()",
    skipped: str = "w.clone(), False, k / 2",
    new: str = "w - lr * (g.float() / k)",
    kept: str = "k",
) -> str:
    """The reference with one expression replaced."""
    return STEP.format(broken=broken, skipped=skipped, new=new, kept=kept)


SCALER = """\
class DynamicLossScaler:
    def __init__(self, init=65536.0, growth=2.0, backoff=0.5, interval=2000):
        self.current = init
        self.growth, self.backoff, self.interval = growth, backoff, interval
        self.good = 0
        self.finite = None

    def get_scale(self):
        return self.current

    def scale(self, loss):
        return {scaled}

    @torch.no_grad()
    def unscale_(self, optimizer):
        weights = {weights}
        grads = [weight.grad for weight in weights if weight.grad is not None]
        self.finite = {finite}
        for grad in grads:
            {divide}

    def step(self, optimizer):
        if {unscale}:
            self.unscale_(optimizer)
        stepped, self.finite = self.finite, None
        if not stepped:
            {overflow}
            return False
        optimizer.step()
        self.good += 1
        if {grow}:
            {growing}
        return True
"""


def scaler(
    scaled: str = "loss * self.current",
    weights: str = "[weight for group in optimizer.param_groups for weight in group['params']]",
    finite: str = "all(bool(grad.isfinite().all()) for grad in grads)",
    divide: str = "grad /= self.current",
    unscale: str = "self.finite is None",
    overflow: str = "self.current, self.good = self.current * self.backoff, 0",
    grow: str = "self.good == self.interval",
    growing: str = "self.current, self.good = self.current * self.growth, 0",
) -> str:
    """The reference with one expression replaced."""
    return SCALER.format(
        scaled=scaled,
        weights=weights,
        finite=finite,
        divide=divide,
        unscale=unscale,
        overflow=overflow,
        grow=grow,
        growing=growing,
    )


RULES = """\
def dtype_policy(op, inputs=torch.float32, device="cpu"):
    if op not in FAMILY:
        raise ValueError(op)
    if {untouched}:
        return inputs
    if FAMILY[op] == "product":
        return {narrow}
    if {wide}:
        return torch.float32
    return inputs


def autocast_trace(model, x):
    seen = {{}}

    def note(name):
        def hook(part, inputs, out):
            if isinstance(out, torch.Tensor):
                seen[name] = {noted}

        return hook

    hooks = [part.register_forward_hook(note(name)) for name, part in {parts}]
    {run}
    return seen
"""

RUN = """try:
        with evaluating(model), torch.autocast("cpu", dtype=torch.bfloat16):
            model(x)
    finally:
        for hook in hooks:
            hook.remove()"""


def rules(
    untouched: str = 'inputs == torch.float64 or FAMILY[op] == "rest"',
    narrow: str = 'torch.float16 if device == "cuda" else torch.bfloat16',
    wide: str = 'FAMILY[op] == "loss" or device == "cuda"',
    noted: str = "out.dtype",
    parts: str = "model.named_modules()",
    run: str = RUN,
) -> str:
    """The reference with one expression replaced."""
    return RULES.format(untouched=untouched, narrow=narrow, wide=wide, noted=noted, parts=parts, run=run)


AMP = """\
def amp_step(model, x, y, optimizer, scaler, clip, device):
    kind = {kind}
    {forget}
    {prepare}
    with torch.autocast(kind, dtype={narrow}):
        logits = model(x.to(device))
    loss = {loss}
    scale = scaler.get_scale()
    scaler.scale(loss).backward()
    {middle}
    stepped = {stepped}
    return {{"loss": loss.item(), "grad_norm": norm.item(), "stepped": stepped, "scale": {scale}}}
"""


def amp(
    kind: str = "torch.device(device).type",
    forget: str = "optimizer.zero_grad()",
    prepare: str = "pass",
    narrow: str = 'torch.float16 if kind == "cuda" else torch.bfloat16',
    loss: str = "cross_entropy(logits.float(), y.to(device))",
    middle: str = "scaler.unscale_(optimizer)\n    norm = clip_gradients(model.parameters(), clip)",
    stepped: str = "scaler.step(optimizer)",
    scale: str = "scale",
) -> str:
    """The reference with one expression replaced."""
    return AMP.format(
        kind=kind,
        forget=forget,
        prepare=prepare,
        narrow=narrow,
        loss=loss,
        middle=middle,
        stepped=stepped,
        scale=scale,
    )


MEMORY = """\
def train_memory_mixed(config, batch, seq):
    n = gpt_parameters(config)
    table = {{}}
    for setting, narrow, master, moment in {settings}:
        parts = {{
            "weights": narrow * n,
            "master": master * n,
            "gradients": {gradients},
            "moments": {moments},
            "activations": {activations},
        }}
        table[setting] = {{**parts, "total": {total}}}
    return table
"""


def memory(
    settings: str = '[("fp32", 4, 0, 4), ("fp16+master", 2, 4, 4), ("bf16", 2, 0, 2)]',
    gradients: str = "narrow * n",
    moments: str = "2 * moment * n",
    activations: str = "activation_bytes(config, batch, seq, narrow)",
    total: str = "sum(parts.values())",
) -> str:
    """The reference with one expression replaced."""
    return MEMORY.format(settings=settings, gradients=gradients, moments=moments, activations=activations, total=total)


MISTAKES = [
    Mistake(
        "formats",
        "swapped",
        "fp16 and bf16 both have 16 bits, so I gave each the other's split between exponent and fraction.",
        "the two 16-bit formats are exchanged",
        formats(bits="{torch.float16: (8, 7), torch.bfloat16: (5, 10), torch.float32: (8, 23)}"),
    ),
    Mistake(
        "formats",
        "smallest subnormal",
        "The smallest number above zero is what tiny means.",
        "this is the smallest subnormal one",
        formats(tiny="2.0 ** (1 - b - f)"),
    ),
    Mistake(
        "formats",
        "no subnormals",
        "What is smaller than tiny is lost.",
        "subnormal numbers are counted as lost",
        formats(lost="((some * scale).abs() < representable(dtype)['tiny']).sum().item()"),
    ),
    Mistake(
        "formats",
        "scale divides",
        "The scale is taken out of the gradients again, so I divide by it.",
        "the scale divides; it multiplies the loss",
        formats(lost="((some / scale).to(dtype) == 0).sum().item()"),
    ),
    Mistake(
        "formats",
        "cast first",
        "The gradients are fp16 anyway; then I multiply them by the scale.",
        "the cast came first",
        formats(lost="(some.to(dtype) * scale == 0).sum().item()"),
    ),
    Mistake(
        "formats",
        "overflow counted",
        "A gradient that becomes infinite is lost as well.",
        "infinite is not zero: that is an overflow",
        formats(lost="((some * scale).to(dtype) == 0).sum().item() + (some * scale).to(dtype).isinf().sum().item()"),
    ),
    Mistake(
        "formats",
        "zeros counted",
        "Share of the gradients means: of all of them.",
        "are counted, and nothing of them can be lost",
        formats(some="grads.double().flatten()"),
    ),
    Mistake(
        "scaled-step",
        "unscaled in fp16",
        "Dividing by k is dividing by k; the dtype can be changed afterwards.",
        "the gradient was divided in fp16",
        step(new="w - lr * (g / k).float()"),
    ),
    Mistake(
        "scaled-step",
        "no unscaling",
        "The optimizer copes with larger gradients.",
        "the gradient is still k times too large",
        step(new="w - lr * g.float()"),
    ),
    Mistake(
        "scaled-step",
        "nan passes",
        "An overflow is an infinite number.",
        "a step was made although a gradient is not finite",
        step(broken="g.isinf().any()"),
    ),
    Mistake(
        "scaled-step",
        "no backoff",
        "The batch was bad, the scale is not to blame.",
        "k stayed after an overflow",
        step(skipped="w.clone(), False, k"),
    ),
    Mistake(
        "scaled-step",
        "fp16 weights",
        "The model computes in fp16, so its weights are fp16 as well.",
        "fp16 on the way",
        step(new="(w.half() - (lr * (g.float() / k)).half()).float()"),
    ),
    Mistake(
        "scaled-step",
        "one finite entry is enough",
        "A step is left out when the gradient is broken, and this one is only broken in one place.",
        "a step was made although a gradient is not finite",
        step(broken="not g.isfinite().any()"),
    ),
    Mistake(
        "loss-scaler",
        "count goes on after an overflow",
        "An overflow is not a good step, so it does not count; the others do.",
        "the scale grew too early",
        scaler(overflow="self.current = self.current * self.backoff"),
    ),
    Mistake(
        "loss-scaler",
        "never grows",
        "Growing comes after more than interval good steps.",
        "that was the interval-th good step since the last change",
        scaler(grow="self.good > self.interval"),
    ),
    Mistake(
        "loss-scaler",
        "steps on nan",
        "Overflow means infinite.",
        "a step with a gradient that is nan was not left out",
        scaler(finite="not any(bool(grad.isinf().any()) for grad in grads)"),
    ),
    Mistake(
        "loss-scaler",
        "unscales twice",
        "step always unscales: that is its job.",
        "the gradients were unscaled twice",
        scaler(unscale="True"),
    ),
    Mistake(
        "loss-scaler",
        "first group only",
        "The optimizer's parameters are those of its first group.",
        "go through all groups",
        scaler(weights="optimizer.param_groups[0]['params']"),
    ),
    Mistake(
        "loss-scaler",
        "zero gradients instead of no step",
        "If the gradients are set to zero, the step does nothing.",
        "the optimizer was asked to step although the step is left out",
        scaler(
            overflow=""
            "[setattr(w, 'grad', torch.zeros_like(w)) for g in optimizer.param_groups for w in g['params']]; "
            "optimizer.step(); self.current, self.good = self.current * self.backoff, 0"
        ),
    ),
    Mistake(
        "loss-scaler",
        "unscaled copies",
        "unscale_ computes the true gradients; step can use them.",
        "divide in place",
        scaler(divide="grad = grad / self.current"),
    ),
    Mistake(
        "loss-scaler",
        "count is never reset",
        "The scale grows every so many good steps, whatever happened before.",
        "the scale must grow",
        scaler(growing="self.current = self.current * self.growth"),
    ),
    Mistake(
        "autocast-rules",
        "everything narrow",
        "Autocast makes the model 16 bits, so every operation is.",
        "a loss is float32 everywhere",
        rules(wide="False", untouched="inputs == torch.float64"),
    ),
    Mistake(
        "autocast-rules",
        "norm in fp16",
        "Losses must be exact; a softmax or a norm can be narrow on a GPU, too.",
        "an exp in fp16 overflows at 12",
        rules(wide='FAMILY[op] == "loss"'),
    ),
    Mistake(
        "autocast-rules",
        "reductions wide on a CPU, too",
        "Softmax and layer norm are float32 under autocast, everywhere.",
        "takes what comes, narrow or wide",
        rules(wide='FAMILY[op] in ("loss", "reduction")'),
    ),
    Mistake(
        "autocast-rules",
        "float64 cast",
        "Under autocast a product is narrow, whatever goes in.",
        "float64 is never cast",
        rules(untouched='FAMILY[op] == "rest"'),
    ),
    Mistake(
        "autocast-rules",
        "fp16 everywhere",
        "Mixed precision means fp16.",
        "the narrow dtype is that of the device",
        rules(narrow="torch.float16"),
    ),
    Mistake(
        "autocast-rules",
        "input dtype",
        "The dtype of a layer is that of what goes in.",
        "note what each part puts out",
        rules(noted="inputs[0].dtype"),
    ),
    Mistake(
        "autocast-rules",
        "only children",
        "The parts of a model are its children.",
        "the names are those of named_modules",
        rules(parts="[('', model), *model.named_children()]"),
    ),
    Mistake(
        "autocast-rules",
        "hooks stay when it fails",
        "Hooks are removed after the call.",
        "hooks are left on the model",
        rules(
            run="""with evaluating(model), torch.autocast("cpu", dtype=torch.bfloat16):
        model(x)
    for hook in hooks:
        hook.remove()"""
        ),
    ),
    Mistake(
        "autocast-rules",
        "all in training mode afterwards",
        "After the measurement the model trains again.",
        "restore each part's own",
        rules(
            run="""try:
        model.eval()
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            model(x)
    finally:
        model.train()
        for hook in hooks:
            hook.remove()"""
        ),
    ),
    Mistake(
        "amp-step",
        "clips scaled gradients",
        "Clipping comes right after backward, as always.",
        "clipped while they were scaled",
        amp(middle="norm = clip_gradients(model.parameters(), clip)\n    scaler.unscale_(optimizer)"),
    ),
    Mistake(
        "amp-step",
        "never unscales",
        "The scaler's step unscales by itself, so I leave that to it.",
        "the gradients were clipped while they were scaled",
        amp(middle="norm = clip_gradients(model.parameters(), clip)"),
    ),
    Mistake(
        "amp-step",
        "the model is cast",
        "For 16 bits I make the whole model 16 bits.",
        "they stay float32, autocast casts copies",
        amp(prepare="model.bfloat16(); x = x.bfloat16()"),
    ),
    Mistake(
        "amp-step",
        "steps on inf",
        "The optimizer steps, and the scaler is told.",
        "scaler.step leaves that step out",
        amp(stepped="optimizer.step() is None and scaler.step(optimizer)"),
    ),
    Mistake(
        "amp-step",
        "narrow loss",
        "The loss is computed from the logits as they come.",
        "the loss is torch.bfloat16",
        amp(loss="F.cross_entropy(logits.flatten(0, -2), y.flatten())"),
    ),
    Mistake(
        "amp-step",
        "scale after the step",
        "The scale is asked for when the answer is put together.",
        "yours was read after the step had changed it",
        amp(scale="scaler.get_scale()"),
    ),
    Mistake(
        "amp-step",
        "always bfloat16",
        "bfloat16 is safe, so I take it on every device.",
        "bfloat16 on a CPU, float16 on a GPU",
        amp(narrow="torch.bfloat16"),
    ),
    Mistake(
        "amp-step",
        "always the CPU",
        "autocast is for the machine that I have.",
        "take the device's type",
        amp(kind='"cpu"', narrow="torch.bfloat16"),
    ),
    Mistake(
        "amp-step",
        "old gradients stay",
        "The optimizer forgets the gradients when it steps.",
        "old gradients are still in the sum",
        amp(forget="pass"),
    ),
    Mistake(
        "mixed-memory",
        "no master",
        "In fp16 training everything is two bytes, except the moments.",
        "no master weights are counted",
        memory(settings='[("fp32", 4, 0, 4), ("fp16+master", 2, 0, 4), ("bf16", 2, 0, 2)]'),
    ),
    Mistake(
        "mixed-memory",
        "fp16 moments",
        "The moments have the dtype of the gradients.",
        "both moments are float32 beside master weights",
        memory(settings='[("fp32", 4, 0, 4), ("fp16+master", 2, 4, 2), ("bf16", 2, 0, 2)]'),
    ),
    Mistake(
        "mixed-memory",
        "halved twice",
        "In 16 bits the activations take half of what the function says.",
        "the activations are halved twice",
        memory(activations="activation_bytes(config, batch, seq, narrow) * narrow // 4"),
    ),
    Mistake(
        "mixed-memory",
        "simply half",
        "In 16 bits the activations take half of those in 32.",
        "the loss stays in float32",
        memory(activations="activation_bytes(config, batch, seq, 4) * narrow // 4"),
    ),
    Mistake(
        "mixed-memory",
        "wide gradients",
        "Gradients are float32, since the optimizer wants them so.",
        "a gradient takes as many bytes as the weight it belongs to",
        memory(gradients="4 * n"),
    ),
    Mistake(
        "mixed-memory",
        "master not in the total",
        "Master weights are the same weights once more and do not count.",
        "total is not the sum of the five parts",
        memory(total='sum(parts.values()) - parts["master"]'),
    ),
]
