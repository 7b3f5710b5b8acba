"""Wrong answers that people really give in chapter 14, each with the words that must catch it.

The `belief` of each is what the page lists under "Common mistakes". For every exercise at least one of them
passes the visible checks: those are examples, and an example cannot show everything.
"""

from grader.hidden import Mistake

DISTIL = """\
def kd_loss(student_logits, teacher_logits, labels, temperature, alpha):
    counted = {counted}
    s, t, y = student_logits[counted], {teacher}[counted], labels[counted]
    p = {p}
    q = {q}
    soft = {soft}
    hard = {hard}
    return {loss}
"""


def distil(
    counted: str = "labels != -100",
    teacher: str = "teacher_logits.detach()",
    p: str = "F.log_softmax(t / temperature, dim=-1)",
    q: str = "F.log_softmax(s / temperature, dim=-1)",
    soft: str = "(p.exp() * (p - q)).sum(dim=-1).mean()",
    hard: str = "F.cross_entropy(s, y)",
    loss: str = "alpha * temperature**2 * soft + (1 - alpha) * hard",
) -> str:
    """The reference with one expression replaced."""
    return DISTIL.format(counted=counted, teacher=teacher, p=p, q=q, soft=soft, hard=hard, loss=loss)


AFFINE = """\
def quantize_affine(weight, bits):
    weight = {weight}
    low, high = {ends}
    scale = (high - low) / {steps}
    scale = {safe}
    codes = {codes}
    return codes.to(torch.uint8), scale, low
"""


def affine(
    weight: str = "weight.detach()",
    ends: str = "weight.amin(1, keepdim=True), weight.amax(1, keepdim=True)",
    steps: str = "(2**bits - 1)",
    safe: str = "torch.where(scale > 0, scale, torch.ones_like(scale))",
    codes: str = "((weight - low) / scale).round()",
) -> str:
    """The reference with one expression replaced."""
    return AFFINE.format(weight=weight, ends=ends, steps=steps, safe=safe, codes=codes)


GROUPS = """\
def quantize_groups(weight, bits, group_size):
    {groups}


def effective_bits(bits, group_size, meta_bits):
    return {price}
"""


def grouped(
    groups: str = """\
parts = [to_rows(part, bits) for part in weight.split(group_size, dim=1)]
    return tuple(torch.cat(part, dim=1) for part in zip(*parts))""",
    price: str = "bits + meta_bits / group_size",
) -> str:
    """The reference with one expression replaced."""
    return GROUPS.format(groups=groups, price=price)


PACK = """\
def pack4(codes):
    {refuse}
    codes = {filled}
    return {packed}


def unpack4(packed, n):
    return {back}
"""


def packing(
    refuse: str = "if ((codes < 0) | (codes > 15)).any(): raise ValueError('0 to 15')",
    filled: str = "F.pad(codes.to(torch.uint8), (0, codes.shape[-1] % 2))",
    packed: str = "codes[..., 0::2] | codes[..., 1::2] << 4",
    back: str = "torch.stack([packed & 15, packed >> 4], -1).flatten(-2)[..., :n]",
) -> str:
    """The reference with one expression replaced."""
    return PACK.format(refuse=refuse, filled=filled, packed=packed, back=back)


INTEGERS = """\
def int8_linear(x, codes, scale, zero):
    a, s = {rounded}
    products = {products}
    sums = {sums}
    return ({result}).to(x.dtype)
"""


def integers(
    rounded: str = "quantize_tokens(x)",
    products: str = "a.int() @ codes.int().T",
    sums: str = "a.int().sum(dim=1, keepdim=True)",
    result: str = "s * (products * scale.T + sums * zero.T)",
) -> str:
    """The reference with one expression replaced."""
    return INTEGERS.format(rounded=rounded, products=products, sums=sums, result=result)


SEARCH = """\
def clip_search(weight, bits, group_size, inputs):
    parts = weight.split(group_size, dim=1)
    uncut, best = [], []
    for part, x in zip(parts, {seen}):
        low, high = part.amin(dim=1, keepdim=True), part.amax(dim=1, keepdim=True)
        tried = []
        for below, above in {pairs}:
            zero = low + below * (high - low)
            scale = (high - above * (high - low) - zero) / {steps}
            scale = {safe}
            tried.append(({error}, scale, zero))
        uncut.append(tried[0][1:])
        least = {least}
        best.append([torch.stack([t[i] for t in tried])[least, torch.arange(len(part))] for i in (1, 2)])

    def whole(grids):
        return output_change(torch.cat([moved(p, *grid, bits) for p, grid in zip(parts, grids)], dim=1), inputs)

    keep = {keep}
    best, uncut = ([torch.cat(one, dim=1) for one in zip(*grids)] for grids in (best, uncut))
    return torch.where(keep, best[0], uncut[0]), torch.where(keep, best[1], uncut[1])
"""


def search(
    seen: str = "inputs.split(group_size, dim=1)",
    pairs: str = "itertools.product(CUTS, CUTS)",
    steps: str = "(2**bits - 1)",
    safe: str = "torch.where(scale > 0, scale, 1.0)",
    error: str = "output_change(moved(part, scale, zero, bits), x)",
    least: str = "torch.cat([t[0] for t in tried], dim=1).argmin(dim=1)",
    keep: str = "whole(best) <= whole(uncut)",
) -> str:
    """The reference with one expression replaced."""
    return SEARCH.format(seen=seen, pairs=pairs, steps=steps, safe=safe, error=error, least=least, keep=keep)


COUNT = """\
def quantized_bytes(model, bits, group_size):
    total = 0
    for p in {parameters}:
        if {vector}:
            total += {whole}
        else:
            rows, columns = {sizes}
            total += {matrix}
    return total
"""


def count(
    parameters: str = "model.parameters()",
    vector: str = "p.ndim < 2",
    whole: str = "p.numel() * p.element_size()",
    sizes: str = "p.flatten(1).shape",
    matrix: str = "rows * (math.ceil(columns * bits / 8) + 4 * math.ceil(columns / group_size))",
) -> str:
    """The reference with one expression replaced."""
    return COUNT.format(parameters=parameters, vector=vector, whole=whole, sizes=sizes, matrix=matrix)


MISTAKES = [
    # --------------------------------------------------------------------------------- 14.1 distillation
    Mistake(
        exercise="kd-loss",
        name="no square",
        belief="A constant factor before a loss changes nothing.",
        says="the factor temperature² is missing",
        code=distil(loss="alpha * soft + (1 - alpha) * hard"),
    ),
    Mistake(
        exercise="kd-loss",
        name="cross-entropy",
        belief="The distillation loss is −Σ p log q: the teacher's probabilities take the place of the one-hot label.",
        says="it is not 0 when the student is right",
        code=distil(soft="-(p.exp() * q).sum(dim=-1).mean()"),
    ),
    Mistake(
        exercise="kd-loss",
        name="mean over tokens too",
        belief="A mean is a mean: over all elements.",
        says="a mean over rows and tokens",
        code=distil(soft="(p.exp() * (p - q)).mean()"),
    ),
    Mistake(
        exercise="kd-loss",
        name="reverse divergence",
        belief="A divergence is a distance, so the order of the two does not matter.",
        says="the teacher's part comes first",
        code=distil(soft="(q.exp() * (q - p)).sum(dim=-1).mean()"),
    ),
    Mistake(
        exercise="kd-loss",
        name="summed over the rows",
        belief="The divergence of a batch is the sum of its rows' divergences.",
        says="the soft part is summed over the rows",
        code=distil(soft="(p.exp() * (p - q)).sum()"),
    ),
    Mistake(
        exercise="kd-loss",
        name="warm labels",
        belief="The temperature holds for the whole loss.",
        says="the labels' part has no temperature",
        code=distil(hard="F.cross_entropy(s / temperature, y)"),
    ),
    Mistake(
        exercise="kd-loss",
        name="padding counts",
        belief="Labels of −100 take care of padding by themselves.",
        says="does padding enter",
        code=distil(counted="slice(None)"),
    ),
    Mistake(
        exercise="kd-loss",
        name="logarithm of a softmax",
        belief="The logarithm of the softmax is the softmax's logarithm, however it is computed.",
        says="is a logarithm taken of a 0",
        code=distil(p="torch.softmax(t / temperature, dim=-1).log()", q="torch.softmax(s / temperature, dim=-1).log()"),
    ),
    Mistake(
        exercise="kd-loss",
        name="teaches the teacher",
        belief="The teacher is not in the optimizer, so its gradient can be left alone.",
        says="a gradient flows to the teacher",
        code=distil(teacher="teacher_logits"),
    ),
    # --------------------------------------------------------------------------------- 14.2 a grid a row
    Mistake(
        exercise="quantize-affine",
        name="a step too many",
        belief="b bits cut the range into 2^b parts.",
        says="2^bits points have 2^bits - 1 steps",
        code=affine(steps="2**bits", codes="((weight - low) / scale).round().clamp(0, 2**bits - 1)"),
    ),
    Mistake(
        exercise="quantize-affine",
        name="cut off",
        belief="Converting to an integer rounds.",
        says="codes are cut off, not rounded",
        code=affine(codes="(weight - low) / scale"),
    ),
    Mistake(
        exercise="quantize-affine",
        name="one grid for all",
        belief="Smallest and largest are those of the matrix; broadcasting does the rest.",
        says="one range for the whole matrix",
        code=affine(
            ends="weight.amin().expand(len(weight), 1), weight.amax().expand(len(weight), 1)",
        ),
    ),
    Mistake(
        exercise="quantize-affine",
        name="symmetric",
        belief="The grid goes from −max|w| to max|w|.",
        says="a symmetric grid",
        code=affine(ends="-weight.abs().amax(1, keepdim=True), weight.abs().amax(1, keepdim=True)"),
    ),
    Mistake(
        exercise="quantize-affine",
        name="divides by zero",
        belief="A row always has a smallest and a larger weight.",
        says="is a range of 0 divided by",
        code=affine(safe="scale", codes="((weight - low) / scale).round()").replace(
            "return codes.to(torch.uint8), scale, low",
            "return torch.nan_to_num(codes).to(torch.uint8), scale, torch.where(scale > 0, low, low / scale)",
        ),
    ),
    Mistake(
        exercise="quantize-affine",
        name="a step of zero",
        belief="A row without a range has a scale of 0: every code stands for the same weight.",
        says="a scale is not above 0",
        code=affine(safe="scale", codes="torch.nan_to_num((weight - low) / scale).round()"),
    ),
    Mistake(
        exercise="quantize-affine",
        name="carries a gradient",
        belief="The scale is a function of the weights, so gradients may flow through it.",
        says="carries a gradient",
        code=affine(weight="weight"),
    ),
    Mistake(
        exercise="quantize-affine",
        name="in place",
        belief="Subtracting in place saves a copy.",
        says="the weights were changed by the call",
        code=affine(codes="(weight.sub_(low) / scale).round()"),
    ),
    # --------------------------------------------------------------------------------- 14.3 groups
    Mistake(
        exercise="quantize-groups",
        name="across rows",
        belief="Groups are consecutive weights in memory: flatten the matrix and cut it.",
        says="groups reach from one row into the next",
        code=grouped(
            groups="""\
rows, columns = weight.shape
    count = -(-columns // group_size)
    flat = F.pad(weight.reshape(-1), (0, rows * count * group_size - weight.numel()), value=weight[-1, -1].item())
    codes, scale, zero = to_rows(flat.view(-1, group_size), bits)
    return codes.view(-1)[: weight.numel()].view(weight.shape), scale.view(rows, -1), zero.view(rows, -1)"""
        ),
    ),
    Mistake(
        exercise="quantize-groups",
        name="drops the rest",
        belief="Layers are always a multiple of the group wide.",
        says="the rest of each row is lost",
        code=grouped(
            groups="""\
count = weight.shape[1] // group_size
    parts = [to_rows(weight[:, i * group_size : (i + 1) * group_size], bits) for i in range(count)]
    return tuple(torch.cat(part, dim=1) for part in zip(*parts))"""
        ),
    ),
    Mistake(
        exercise="quantize-groups",
        name="zeros in the range",
        belief="The last group is filled up with zeros, which change nothing.",
        says="the zeros that fill up the last group are in its range",
        code=grouped(
            groups="""\
rows, columns = weight.shape
    filled = F.pad(weight, (0, -columns % group_size)).reshape(-1, group_size)
    codes, scale, zero = to_rows(filled, bits)
    return codes.view(rows, -1)[:, :columns], scale.view(rows, -1), zero.view(rows, -1)"""
        ),
    ),
    Mistake(
        exercise="quantize-groups",
        name="every n-th column",
        belief="Any columns can make up a group.",
        says="a group is made of neighbours",
        code=grouped(
            groups="""\
count = -(-weight.shape[1] // group_size)
    codes, scales, zeros = torch.zeros(weight.shape, dtype=torch.uint8), [], []
    for i in range(count):
        codes[:, i::count], scale, zero = to_rows(weight[:, i::count], bits)
        scales.append(scale)
        zeros.append(zero)
    return codes, torch.cat(scales, 1), torch.cat(zeros, 1)"""
        ),
    ),
    Mistake(
        exercise="quantize-groups",
        name="the notes' factor",
        belief="A code of four bits takes four bits.",
        says="scale and zero of the group cost nothing",
        code=grouped(price="bits"),
    ),
    Mistake(
        exercise="quantize-groups",
        name="scale and zero apart",
        belief="meta_bits are those of one number, and a group stores two.",
        says="you count them twice",
        code=grouped(price="bits + 2 * meta_bits / group_size"),
    ),
    Mistake(
        exercise="quantize-groups",
        name="price for one size",
        belief="Scale and zero in fp16 are always one bit more.",
        says="not the bits of a weight with its share",
        code=grouped(price="bits + meta_bits / 32"),
    ),
    # --------------------------------------------------------------------------------- 14.4 packing
    Mistake(
        exercise="pack4",
        name="halves exchanged",
        belief="One writes from left to right, so the first code takes the high half.",
        says="the halves are exchanged",
        code=packing(packed="codes[..., 0::2] << 4 | codes[..., 1::2]"),
    ),
    Mistake(
        exercise="pack4",
        name="odd one lost",
        belief="There is an even number of codes.",
        says="the last code of an odd row is lost",
        code=packing(
            filled="codes.to(torch.uint8)[..., : codes.shape[-1] // 2 * 2]",
        ),
    ),
    Mistake(
        exercise="pack4",
        name="shifts a sign",
        belief="A byte is a byte, signed or not.",
        says="keeps the sign of a byte",
        code=packing(back="torch.stack([packed & 15, (packed.to(torch.int8) >> 4).byte()], -1).flatten(-2)[..., :n]"),
    ),
    Mistake(
        exercise="pack4",
        name="does not refuse",
        belief="Codes of four bits are below 16 because they have four bits.",
        says="a ValueError was asked",
        code=packing(refuse=""),
    ),
    Mistake(
        exercise="pack4",
        name="first half on second",
        belief="It does not matter which two codes share a byte, as long as one knows.",
        says="you put the second half of the row on the first",
        code=packing(
            packed="codes[..., : codes.shape[-1] // 2] | codes[..., codes.shape[-1] // 2 :] << 4",
            back="torch.cat([packed & 15, packed >> 4], -1)[..., :n]",
        ),
    ),
    Mistake(
        exercise="pack4",
        name="keeps the filling",
        belief="What fills up the last byte does no harm.",
        says="the first n codes of each row",
        code=packing(back="torch.stack([packed & 15, packed >> 4], -1).flatten(-2)"),
    ),
    # --------------------------------------------------------------------------------- 14.5 integers
    Mistake(
        exercise="int8-linear",
        name="no zeros",
        belief="A weight is scale times code.",
        says="the zeros of the weights are missing",
        code=integers(result="s * products * scale.T"),
    ),
    Mistake(
        exercise="int8-linear",
        name="eight bits throughout",
        belief="Integers of eight bits are multiplied in eight bits.",
        says="wrap around in 8 bits",
        code=integers(products="a @ codes.to(torch.int8).T"),
    ),
    Mistake(
        exercise="int8-linear",
        name="codes as int8",
        belief="A uint8 and an int8 hold the same numbers.",
        says="codes above 127 do not fit int8",
        code=integers(products="a.int() @ codes.to(torch.int8).int().T"),
    ),
    Mistake(
        exercise="int8-linear",
        name="sums in 16 bits",
        belief="A product of two bytes has 16 bits, so 16 bits are enough.",
        says="the sums wrap around in 16 bits",
        code=integers(products="a.short() @ codes.short().T"),
    ),
    Mistake(
        exercise="int8-linear",
        name="real numbers after all",
        belief="Dequantizing both and multiplying gives the same.",
        says="the sums are not exact",
        code=integers(products="None", sums="None", result="(s * a) @ (codes * scale + zero).T"),
    ),
    Mistake(
        exercise="int8-linear",
        name="activations not rounded",
        belief="Only weights are quantized; x is multiplied as it is.",
        says="the activations are not rounded",
        code=integers(
            products="x @ codes.to(x.dtype).T",
            sums="x.sum(1, keepdim=True)",
            result="products * scale.T + sums * zero.T",
        ),
    ),
    Mistake(
        exercise="int8-linear",
        name="sum of the weights' codes",
        belief="The zero's term needs the sum of the codes.",
        says="not of the weights'",
        code=integers(sums="codes.int().sum(1)[None]"),
    ),
    Mistake(
        exercise="int8-linear",
        name="sums in floats",
        belief="float32 holds any sum of small integers.",
        says="the sums are not exact",
        code=integers(products="(a.float() @ codes.float().T).to(x.dtype)"),
    ),
    # --------------------------------------------------------------------------------- 14.6 clipping
    Mistake(
        exercise="clip-search",
        name="error of the weights",
        belief="The grid that moves the weights least is the best grid.",
        says="the least error of the weights",
        code=search(error="moved(part, scale, zero, bits).square().sum(1, keepdim=True)"),
    ),
    Mistake(
        exercise="clip-search",
        name="both ends alike",
        belief="Weights lie evenly around zero, so the same is cut off at both ends.",
        says="the same cut at both ends",
        code=search(pairs="zip(CUTS, CUTS)"),
    ),
    Mistake(
        exercise="clip-search",
        name="best of each is best",
        belief="If every group has its best grid, the row has its best grids.",
        says="best for each group may be bad for the whole row",
        code=search(keep="torch.ones(len(weight), 1, dtype=torch.bool)"),
    ),
    Mistake(
        exercise="clip-search",
        name="inputs of the first group",
        belief="The inputs of a layer are the inputs of each of its groups.",
        says="you take those of the first",
        code=search(seen="[inputs[:, : part.shape[1]] for part in parts]"),
    ),
    Mistake(
        exercise="clip-search",
        name="one pair for all rows",
        belief="A group of columns has one best pair of cuts.",
        says="each row of a group has its own pair",
        code=search(least="torch.cat([t[0] for t in tried], dim=1).sum(0).argmin().repeat(len(part))"),
    ),
    Mistake(
        exercise="clip-search",
        name="never cuts",
        belief="Nothing beats the grid that holds every weight.",
        says="no cut was taken",
        code=search(pairs="[(0.0, 0.0)]"),
    ),
    Mistake(
        exercise="clip-search",
        name="a step of zero",
        belief="Real weights are never all equal.",
        says="a group of equal weights has no range",
        code=search(safe="scale"),
    ),
    # --------------------------------------------------------------------------------- 14.7 bytes
    Mistake(
        exercise="quantized-bytes",
        name="the notes' factor",
        belief="A model of b bits has b/32 of its size.",
        says="that is the size times bits / 32",
        code=count(vector="True", whole="p.numel() * p.element_size() * bits / 32"),
    ),
    Mistake(
        exercise="quantized-bytes",
        name="no grids",
        belief="The scales are so few that they do not count.",
        says="scales and zeros are missing",
        code=count(matrix="rows * math.ceil(columns * bits / 8)"),
    ),
    Mistake(
        exercise="quantized-bytes",
        name="one pair a row",
        belief="Each row has a scale and a zero.",
        says="you count one pair a row",
        code=count(matrix="rows * (math.ceil(columns * bits / 8) + 4)"),
    ),
    Mistake(
        exercise="quantized-bytes",
        name="linear layers only",
        belief="Quantization is for layers that multiply; an embedding is looked up.",
        says="embeddings are matrices, too",
        code=count(
            parameters="[q for m in model.modules() for q in m.parameters(recurse=False)]",
            vector="p.ndim < 2 or any(m.weight is p for m in model.modules() if isinstance(m, nn.Embedding))",
        ),
    ),
    Mistake(
        exercise="quantized-bytes",
        name="shared matrix twice",
        belief="Going through the layers finds every parameter.",
        says="a shared matrix is stored once",
        code=count(parameters="[q for layer in model.children() for q in layer.parameters()]").replace(
            "def quantized_bytes(model, bits, group_size):",
            "def quantized_bytes(model, bits, group_size):\n"
            "    if not list(model.children()):\n        model = nn.Sequential(model)",
        ),
    ),
    Mistake(
        exercise="quantized-bytes",
        name="rows without borders",
        belief="The codes are one stream, from the first row to the last.",
        says="each row starts with a byte of its own",
        code=count(matrix="math.ceil(rows * columns * bits / 8) + rows * 4 * math.ceil(columns / group_size)"),
    ),
    Mistake(
        exercise="quantized-bytes",
        name="four bytes each",
        belief="What is not quantized has 32 bits.",
        says="the bytes of their own dtype",
        code=count(whole="p.numel() * 4"),
    ),
    Mistake(
        exercise="quantized-bytes",
        name="two axes only",
        belief="A matrix has two axes.",
        says="two or more axes make a matrix",
        code=count(vector="p.ndim != 2"),
    ),
    Mistake(
        exercise="quantized-bytes",
        name="full groups only",
        belief="What is left over at the end of a row goes into the last full group.",
        says="the shorter last group has a scale and a zero",
        code=count(matrix="rows * (math.ceil(columns * bits / 8) + 4 * (columns // group_size))"),
    ),
]
