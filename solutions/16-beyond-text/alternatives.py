"""Right answers of chapter 16 written in other ways; each must get full marks."""

from grader.hidden import Alternative

ALTERNATIVES = [
    Alternative(
        "patchify",
        "slices, one square after the other",
        """\
def patchify(images, size):
    n, height, width = images.shape
    if size <= 0 or height % size != 0 or width % size != 0:
        raise ValueError("the patches do not fill the picture")
    squares = []
    for top in range(0, height, size):
        for left in range(0, width, size):
            squares.append(images[:, top : top + size, left : left + size].reshape(n, size * size))
    return torch.stack(squares, dim=1)


def unpatchify(patches, height, width):
    n, count, values = patches.shape
    size = 1
    while size * size < values:
        size += 1
    out = torch.empty(n, height, width, dtype=patches.dtype)
    for number in range(count):
        top, left = divmod(number, width // size)
        square = patches[:, number].reshape(n, size, size)
        out[:, top * size : (top + 1) * size, left * size : (left + 1) * size] = square
    return out
""",
    ),
    Alternative(
        "patchify",
        "a table of places",
        """\
def places_of(height, width, size):
    numbers = np.arange(height * width).reshape(height, width)
    bands = np.concatenate([band.reshape(size, -1, size).swapaxes(0, 1) for band in np.split(numbers, height // size)])
    return torch.from_numpy(bands.reshape(-1))


def patchify(images, size):
    height, width = images.shape[1:]
    if size < 1 or height % size or width % size:
        raise ValueError(size)
    return images.flatten(1)[:, places_of(height, width, size)].unflatten(1, (height * width // size**2, size**2))


def unpatchify(patches, height, width):
    size = int(np.sqrt(patches.shape[-1]).round())
    return patches.flatten(1)[:, places_of(height, width, size).argsort()].unflatten(1, (height, width))
""",
    ),
    Alternative(
        "patchify",
        "splits and stacks",
        """\
def patchify(images, size):
    if size < 1 or any(side % size for side in images.shape[1:]):
        raise ValueError("a side is no multiple of the size")
    bands = images.split(size, dim=1)
    return torch.cat([torch.stack(band.split(size, dim=2), 1).flatten(2) for band in bands], 1)


def unpatchify(patches, height, width):
    size = round(patches.shape[-1] ** 0.5)
    squares = patches.unflatten(-1, (size, size))
    bands = squares.split(width // size, dim=1)
    return torch.cat([torch.cat(band.unbind(1), dim=2) for band in bands], dim=1)
""",
    ),
    Alternative(
        "info-nce",
        "log-softmax in both directions",
        """\
def info_nce(first, second, temperature=0.1):
    logits = F.normalize(first, dim=-1) @ F.normalize(second, dim=-1).T / temperature
    return -(logits.log_softmax(0).diagonal() + logits.log_softmax(1).diagonal()).mean() / 2
""",
    ),
    Alternative(
        "info-nce",
        "pair by pair, with the largest logit taken off",
        """\
def info_nce(first, second, temperature=0.1):
    def unit(row):
        return row / max(row.norm(), torch.tensor(1e-12, dtype=row.dtype))

    a, b = [unit(row) for row in first], [unit(row) for row in second]
    total = 0.0
    for i in range(len(a)):
        for chooser, others in ((a[i], b), (b[i], a)):
            scores = torch.stack([chooser.dot(other) for other in others]) / temperature
            top = scores.max().detach()
            total = total + (scores - top).exp().sum().log() + top - scores[i]
    return total / (2 * len(a))
""",
    ),
    Alternative(
        "caption-loss",
        "log-probabilities gathered, then a mask",
        """\
def caption_loss(model, patches, ids, pad=-100):
    filled = torch.where(ids == pad, torch.zeros_like(ids), ids)
    logits = model(patches, filled[:, :-1])[:, -(ids.shape[1] - 1) :]
    found = logits.log_softmax(-1).gather(-1, filled[:, 1:, None])[..., 0]
    real = (ids[:, 1:] != pad).to(found.dtype)
    return -(found * real).sum() / real.sum()
""",
    ),
    Alternative(
        "caption-loss",
        "row by row",
        """\
def caption_loss(model, patches, ids, pad=-100):
    inputs = ids[:, :-1].clone()
    inputs[inputs == pad] = 1
    _, text = model(patches, inputs).split([patches.shape[1], inputs.shape[1]], dim=1)
    losses = []
    for row, targets in zip(text, ids[:, 1:].tolist()):
        for scores, token in zip(row, targets):
            if token != pad:
                losses.append(torch.logsumexp(scores, 0) - scores[token])
    return sum(losses) / len(losses)
""",
    ),
    Alternative(
        "caption-loss",
        "the real places selected",
        """\
def caption_loss(model, patches, ids, pad=-100):
    logits = model(patches, ids[:, :-1] * (ids[:, :-1] != pad))
    behind = torch.cat([torch.full(patches.shape[:2], pad), ids[:, 1:]], dim=1)
    kept = behind != pad
    return cross_entropy(logits[kept], behind[kept])
""",
    ),
]

LIBRARY = {
    "patchify": "byhand.multimodal:patchify, unpatchify",
    "info-nce": "byhand.multimodal:info_nce",
    "caption-loss": "byhand.multimodal:caption_loss",
}
"""Where the library answers each exercise: its own functions must get full marks too."""
