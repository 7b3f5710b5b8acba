"""Right answers of chapter 14 written in other ways; each must get full marks."""

from grader.hidden import Alternative

ALTERNATIVES = [
    Alternative(
        "kd-loss",
        "logsumexp, and a cross-entropy minus an entropy",
        """\
def kd_loss(student_logits, teacher_logits, labels, temperature, alpha):
    rows = torch.nonzero(labels + 100).flatten()
    s = student_logits[rows]
    t = teacher_logits[rows].detach() / temperature
    log_p = t - torch.logsumexp(t, 1, keepdim=True)
    warm = s / temperature
    log_q = warm - torch.logsumexp(warm, 1, keepdim=True)
    p = log_p.exp()
    soft = torch.einsum("bv,bv->", p, log_p) - torch.einsum("bv,bv->", p, log_q)
    hard = (torch.logsumexp(s, 1) - s.gather(1, labels[rows, None])[:, 0]).sum()
    return (alpha * soft * temperature * temperature + (1 - alpha) * hard) / len(rows)
""",
    ),
    Alternative(
        "kd-loss",
        "row by row",
        """\
def kd_loss(student_logits, teacher_logits, labels, temperature, alpha):
    losses = []
    for s, t, label in zip(student_logits, teacher_logits, labels.tolist()):
        if label == -100:
            continue
        with torch.no_grad():
            wanted = torch.log_softmax(t / temperature, -1)
            weights = torch.softmax(t / temperature, -1)
        soft = torch.dot(weights, wanted - torch.log_softmax(s / temperature, -1))
        hard = -torch.log_softmax(s, -1)[label]
        losses.append(alpha * temperature**2 * soft + (1 - alpha) * hard)
    return torch.stack(losses).mean()
""",
    ),
    Alternative(
        "quantize-affine",
        "numpy",
        """\
def quantize_affine(weight, bits):
    values = weight.detach().cpu().numpy()
    low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    step = (high - low) / values.dtype.type(2**bits - 1)
    step[high == low] = 1
    codes = np.floor((values - low) / step + values.dtype.type(0.5)).clip(0, 2**bits - 1)
    return torch.from_numpy(codes.astype(np.uint8)), torch.from_numpy(step), torch.from_numpy(low.copy())
""",
    ),
    Alternative(
        "quantize-affine",
        "a row at a time, the nearest of all points",
        """\
@torch.no_grad()
def quantize_affine(weight, bits):
    codes, scales, zeros = [], [], []
    most = 2**bits - 1
    for row in weight:
        low, high = row.min(), row.max()
        scale = (high - low) / most if high > low else torch.ones_like(low)
        points = low + scale * torch.arange(most + 1, dtype=row.dtype)
        codes.append((row[:, None] - points).abs().argmin(1).to(torch.uint8))
        scales.append(scale[None])
        zeros.append(low[None])
    return torch.stack(codes), torch.stack(scales), torch.stack(zeros)
""",
    ),
    Alternative(
        "quantize-groups",
        "the last weight repeated, then reshaped",
        """\
def quantize_groups(weight, bits, group_size):
    rows, columns = weight.shape
    short = -columns % group_size
    filled = torch.cat([weight, weight[:, -1:].expand(rows, short)], dim=1)
    codes, scale, zero = to_rows(filled.reshape(-1, group_size), bits)
    return codes.view(rows, -1)[:, :columns], scale.view(rows, -1), zero.view(rows, -1)


def effective_bits(bits, group_size, meta_bits):
    return (bits * group_size + meta_bits) / group_size
""",
    ),
    Alternative(
        "quantize-groups",
        "loops and no help",
        """\
def quantize_groups(weight, bits, group_size):
    rows, columns = weight.shape
    count = math.ceil(columns / group_size)
    codes = torch.zeros(rows, columns, dtype=torch.uint8)
    scale = torch.ones(rows, count, dtype=weight.dtype)
    zero = torch.zeros(rows, count, dtype=weight.dtype)
    for group in range(count):
        place = slice(group * group_size, min(columns, (group + 1) * group_size))
        for row in range(rows):
            part = weight[row, place].detach()
            zero[row, group] = part.min()
            if part.max() > part.min():
                scale[row, group] = (part.max() - part.min()) / (2**bits - 1)
            codes[row, place] = torch.round((part - zero[row, group]) / scale[row, group]).to(torch.uint8)
    return codes, scale, zero


def effective_bits(bits, group_size, meta_bits):
    return meta_bits / group_size + bits
""",
    ),
    Alternative(
        "pack4",
        "sums and remainders",
        """\
def pack4(codes):
    codes = codes.long()
    if codes.min() < 0 or codes.max() >= 16:
        raise ValueError("four bits")
    if codes.shape[-1] % 2 == 1:
        codes = torch.cat([codes, torch.zeros_like(codes[..., :1])], -1)
    pairs = codes.unflatten(-1, (-1, 2))
    return (pairs * torch.tensor([1, 16])).sum(-1).to(torch.uint8)


def unpack4(packed, n):
    out = torch.empty(*packed.shape[:-1], 2 * packed.shape[-1], dtype=torch.uint8)
    out[..., 0::2] = packed % 16
    out[..., 1::2] = packed // 16
    return out[..., :n]
""",
    ),
    Alternative(
        "pack4",
        "numpy",
        """\
def pack4(codes):
    values = codes.numpy()
    if not np.isin(values, np.arange(16)).all():
        raise ValueError("a code does not fit four bits")
    width = [(0, 0)] * (values.ndim - 1) + [(0, values.shape[-1] % 2)]
    values = np.pad(values.astype(np.uint8), width)
    return torch.from_numpy(values[..., ::2] + np.left_shift(values[..., 1::2], 4))


def unpack4(packed, n):
    low, high = np.bitwise_and(packed.numpy(), 0x0F), np.right_shift(packed.numpy(), 4)
    both = np.stack([low, high], axis=-1).reshape(*packed.shape[:-1], -1)
    return torch.from_numpy(both[..., :n].copy())
""",
    ),
    Alternative(
        "int8-linear",
        "einsum of long integers",
        """\
def int8_linear(x, codes, scale, zero):
    a, s = quantize_tokens(x)
    a, q = a.long(), codes.long()
    products = torch.einsum("bc,rc->br", a, q)
    y = products.to(x.dtype) * scale.squeeze(1) + torch.einsum("b,r->br", a.sum(1).to(x.dtype), zero.squeeze(1))
    return y * s
""",
    ),
    Alternative(
        "int8-linear",
        "codes moved to signed ones, in numpy",
        """\
def int8_linear(x, codes, scale, zero):
    a, s = quantize_tokens(x)
    a = a.numpy().astype(np.int32)
    signed = codes.numpy().astype(np.int32) - 128
    sums = a.sum(axis=1, keepdims=True)
    products = a @ signed.T + 128 * sums
    y = s.numpy() * (products * scale.numpy().T + sums * zero.numpy().T)
    return torch.from_numpy(y).to(x.dtype)
""",
    ),
    Alternative(
        "clip-search",
        "all pairs at once, in numpy",
        """\
def clip_search(weight, bits, group_size, inputs):
    w, x = weight.detach().numpy(), inputs.numpy()
    top = 2**bits - 1
    rows, columns = w.shape
    below, above = (np.array(side, dtype=w.dtype)[:, None] for side in zip(*itertools.product(CUTS, CUTS)))
    chosen, errors, uncut_errors = [], [], []
    for start in range(0, columns, group_size):
        place = slice(start, start + group_size)
        part = w[:, place]
        low, span = part.min(1), np.ptp(part, axis=1)
        zero = low + below * span  # (pairs, rows)
        step = (low + span - above * span - zero) / top
        step[:, span == 0] = 1.0
        codes = np.clip(np.rint((part - zero[..., None]) / step[..., None]), 0, top)
        error = codes * step[..., None] + zero[..., None] - part
        loss = np.square(np.einsum("prc,tc->prt", error, x[:, place])).sum(-1)
        best, every = loss.argmin(0), np.arange(rows)
        chosen.append([step[best, every], zero[best, every], step[0], zero[0]])
        errors.append(error[best, every])
        uncut_errors.append(error[0])
    total, uncut = (np.square(x @ np.concatenate(e, 1).T).sum(0) for e in (errors, uncut_errors))
    step, zero, uncut_step, uncut_zero = np.stack(chosen, axis=-1)
    keep = (total <= uncut)[:, None]
    return torch.from_numpy(np.where(keep, step, uncut_step)), torch.from_numpy(np.where(keep, zero, uncut_zero))
""",
    ),
    Alternative(
        "clip-search",
        "row by row",
        """\
def clip_search(weight, bits, group_size, inputs):
    def grid(part, below, above):
        low, high = part.min(), part.max()
        if low == high:
            return torch.tensor([[1.0]], dtype=part.dtype), low.view(1, 1)
        zero = low + below * (high - low)
        return ((high - above * (high - low) - zero) / (2**bits - 1)).view(1, 1), zero.view(1, 1)

    columns = [slice(at, at + group_size) for at in range(0, weight.shape[1], group_size)]
    found = []
    for row in weight.detach():
        best = []
        for place in columns:
            part, x = row[None, place], inputs[:, place]

            def loss(pair):
                return (x @ moved(part, *grid(part, *pair), bits).T).pow(2).sum().item()

            best.append(grid(part, *min(itertools.product(CUTS, CUTS), key=loss)))
        plain = [grid(row[None, place], 0.0, 0.0) for place in columns]

        def whole(grids):
            change = torch.cat([moved(row[None, place], *g, bits) for place, g in zip(columns, grids)], dim=1)
            return (inputs @ change.T).pow(2).sum()

        found.append(plain if whole(best) > whole(plain) else best)
    return tuple(torch.cat([torch.cat([g[i] for g in row], dim=1) for row in found]) for i in (0, 1))
""",
    ),
    Alternative(
        "quantized-bytes",
        "whole numbers, by kinds",
        """\
def quantized_bytes(model, bits, group_size):
    parameters = list(model.parameters())
    matrices = [p.reshape(p.shape[0], -1) for p in parameters if p.dim() > 1]
    codes = sum(m.shape[0] * ((m.shape[1] * bits + 7) // 8) for m in matrices)
    grids = sum(m.shape[0] * -(-m.shape[1] // group_size) for m in matrices)
    return codes + 2 * 2 * grids + sum(p.nbytes for p in parameters if p.dim() <= 1)
""",
    ),
    Alternative(
        "quantized-bytes",
        "named parameters, recursion over groups",
        """\
def quantized_bytes(model, bits, group_size):
    def row(columns):
        return 0 if columns <= 0 else 4 + row(columns - group_size)

    total = 0
    for _, p in model.named_parameters():
        if len(p.shape) < 2:
            total += p.detach().numpy().nbytes
            continue
        columns = math.prod(p.shape[1:])
        full, rest = divmod(columns * bits, 8)
        total += p.shape[0] * (full + (rest > 0) + row(columns))
    return int(total)
""",
    ),
]

LIBRARY = {
    "kd-loss": "byhand.distillation:kd_loss",
    "quantize-affine": "byhand.quantization:quantize_affine",
    "quantize-groups": "byhand.quantization:quantize_groups, effective_bits",
    "pack4": "byhand.quantization:pack4, unpack4",
    "int8-linear": "byhand.quantization:int8_linear",
    "clip-search": "byhand.quantization:clip_search",
    "quantized-bytes": "byhand.quantization:quantized_bytes",
}
"""Where the library answers each exercise: its own functions must get full marks too."""
