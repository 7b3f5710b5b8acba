"""Wrong answers that people really give in chapter 16, each with the words that must catch it.

The `belief` of each is what the page lists under "Common mistakes". For every exercise at least one of them
passes the visible checks: those are examples, and an example cannot show everything.
"""

from grader.hidden import Mistake

PATCHES = """\
def patchify(images, size):
    batch, height, width = images.shape
    {refuse}
    return {out}


def unpatchify(patches, height, width):
    batch, count, values = patches.shape
    size = {side}
    return {back}
"""


def patches(
    refuse: str = "if size < 1 or height % size or width % size: raise ValueError('does not fit')",
    out: str = (
        "images.reshape(batch, height // size, size, width // size, size)"
        ".permute(0, 1, 3, 2, 4).reshape(batch, -1, size * size)"
    ),
    side: str = "int(values**0.5 + 0.5)",
    back: str = (
        "patches.reshape(batch, height // size, width // size, size, size)"
        ".permute(0, 1, 3, 2, 4).reshape(batch, height, width)"
    ),
) -> str:
    """The reference with one expression replaced."""
    return PATCHES.format(refuse=refuse, out=out, side=side, back=back)


CONTRAST = """\
def info_nce(first, second, temperature=0.1):
    first, second = {scaled}
    logits = {logits}
    own = torch.arange(len(first))
    return {loss}
"""


def contrast(
    scaled: str = "F.normalize(first, dim=1), F.normalize(second, dim=1)",
    logits: str = "first @ second.T / temperature",
    loss: str = "(cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2",
) -> str:
    """The reference with one expression replaced."""
    return CONTRAST.format(scaled=scaled, logits=logits, loss=loss)


CAPTION = """\
def caption_loss(model, patches, ids, pad=-100):
    logits = model({seen}, {read})[:, {start}]
    targets = {targets}
    return {loss}
"""


def caption(
    seen: str = "patches",
    read: str = "ids[:, :-1].masked_fill(ids[:, :-1] == pad, 0)",
    start: str = "patches.shape[1] :",
    targets: str = "ids[:, 1:]",
    loss: str = "cross_entropy(logits, targets, ignore_index=pad)",
) -> str:
    """The reference with one expression replaced."""
    return CAPTION.format(seen=seen, read=read, start=start, targets=targets, loss=loss)


MISTAKES = [
    Mistake(
        exercise="patchify",
        name="reshape only",
        belief="There are as many numbers before as after, so one reshape cuts the patches.",
        says="a reshape alone gives stretches of whole rows",
        code=patches(out="images.reshape(batch, -1, size * size)"),
    ),
    Mistake(
        exercise="patchify",
        name="turned inside",
        belief="Inside a patch the order does not matter, as long as all its points are there.",
        says="inside a patch the values go down first",
        code=patches(
            out=(
                "images.reshape(batch, height // size, size, width // size, size)"
                ".permute(0, 1, 3, 4, 2).reshape(batch, -1, size * size)"
            )
        ),
    ),
    Mistake(
        exercise="patchify",
        name="downwards first",
        belief="The patches may be counted column by column; a picture has no reading direction.",
        says="patches were counted downwards first",
        code=patches(
            out=(
                "images.reshape(batch, height // size, size, width // size, size)"
                ".permute(0, 3, 1, 2, 4).reshape(batch, -1, size * size)"
            )
        ),
    ),
    Mistake(
        exercise="patchify",
        name="the edge dropped",
        belief="What does not fill a patch at the edge can be left out.",
        says="a ValueError was asked: the patches do not fill the picture",
        code=patches(
            refuse=(
                "if size < 1: raise ValueError('size')\n"
                "    images = images[:, : height // size * size, : width // size * size]\n"
                "    height, width = images.shape[1:]"
            )
        ),
    ),
    Mistake(
        exercise="patchify",
        name="only the height asked",
        belief="If the height divides, the width will.",
        says="a ValueError was asked: the patches do not fill the picture",
        code=patches(
            refuse=(
                "if size < 1 or height % size: raise ValueError('does not fit')\n"
                "    images = images[:, :, : width // size * size]\n"
                "    width = images.shape[2]"
            )
        ),
    ),
    Mistake(
        exercise="patchify",
        name="back by a reshape",
        belief="The way back is a reshape, since the patches hold the picture in order.",
        says="a reshape alone lays each patch out",
        code=patches(back="patches.reshape(batch, height, width)"),
    ),
    Mistake(
        exercise="patchify",
        name="back for squares only",
        belief="As many patches stand side by side as below each other.",
        says="RuntimeError",
        code=patches(
            back=(
                "patches.reshape(batch, int(count**0.5), int(count**0.5), size, size)"
                ".permute(0, 1, 3, 2, 4).reshape(batch, height, width)"
            )
        ),
    ),
    Mistake(
        exercise="info-nce",
        name="one direction",
        belief="If each picture finds its caption, each caption finds its picture.",
        says="one direction only: each of the second view chooses, too",
        code=contrast(loss="cross_entropy(logits, own)"),
    ),
    Mistake(
        exercise="info-nce",
        name="not scaled",
        belief="A scalar product is a similarity; the lengths will settle by themselves.",
        says="the rows were not scaled to length 1",
        code=contrast(scaled="first, second"),
    ),
    Mistake(
        exercise="info-nce",
        name="one view scaled",
        belief="One view at length 1 is enough, since the other only changes the scale.",
        says="only one view was scaled",
        code=contrast(scaled="first, F.normalize(second, dim=1)"),
    ),
    Mistake(
        exercise="info-nce",
        name="temperature multiplied",
        belief="A higher temperature makes the distribution sharper.",
        says="the temperature multiplies the cosines",
        code=contrast(logits="first @ second.T * temperature"),
    ),
    Mistake(
        exercise="info-nce",
        name="summed directions",
        belief="Two losses are added.",
        says="the sum of both directions",
        code=contrast(loss="cross_entropy(logits, own) + cross_entropy(logits.T, own)"),
    ),
    Mistake(
        exercise="info-nce",
        name="right pair left out",
        belief="The denominator holds the negatives, and the right pair is none of them.",
        says="the right pair is missing in the denominator",
        code=contrast(
            loss=(
                "sum((torch.logsumexp(x.masked_fill(torch.eye(len(x), dtype=torch.bool), float('-inf')), 1)"
                " - x.diag()).mean() for x in (logits, logits.T)) / 2 if len(first) > 1 else logits.sum() * 0"
            )
        ),
    ),
    Mistake(
        exercise="info-nce",
        name="right pair twice",
        belief="The denominator is the right pair plus the sum over the batch.",
        says="the right pair stands in the denominator twice",
        code=contrast(
            loss=(
                "sum((torch.logsumexp(torch.cat([x, x.diag()[:, None]], 1), 1) - x.diag()).mean()"
                " for x in (logits, logits.T)) / 2"
            )
        ),
    ),
    Mistake(
        exercise="info-nce",
        name="own view as negatives",
        belief="More negatives are better, so the other pictures count, too.",
        says="pairs within one view are among the negatives",
        code=contrast(
            loss=(
                "sum((torch.logsumexp(torch.cat([x, (v @ v.T / temperature).masked_fill("
                "torch.eye(len(v), dtype=torch.bool), float('-inf'))], 1), 1) - x.diag()).mean()"
                " for x, v in ((logits, first), (logits.T, second))) / 2"
            )
        ),
    ),
    Mistake(
        exercise="info-nce",
        name="naive exponential",
        belief="The formula can be typed as it stands: exp, sum, log.",
        says="exp overflows",
        code=contrast(loss="sum(-(x.exp().diag() / x.exp().sum(1)).log().mean() for x in (logits, logits.T)) / 2"),
    ),
    Mistake(
        exercise="info-nce",
        name="divided by nothing",
        belief="Every vector has a length that one can divide by.",
        says="a row of zeros was divided by its length",
        code=contrast(scaled="first / first.norm(dim=1, keepdim=True), second / second.norm(dim=1, keepdim=True)"),
    ),
    Mistake(
        exercise="info-nce",
        name="one encoder frozen",
        belief="The captions are the targets, and targets carry no gradient.",
        says="no gradient reaches the second view",
        code=contrast(scaled="F.normalize(first, dim=1), F.normalize(second, dim=1).detach()"),
    ),
    Mistake(
        exercise="caption-loss",
        name="the last patch scored",
        belief="The last patch predicts the first token of the text, so its logits belong to the loss.",
        says="the last patch is scored, too",
        code=caption(start="patches.shape[1] - 1 :", targets="ids"),
    ),
    Mistake(
        exercise="caption-loss",
        name="not shifted",
        belief="Each token is compared with the logits at its own place.",
        says="the targets are not shifted",
        code=caption(targets="ids[:, :-1]"),
    ),
    Mistake(
        exercise="caption-loss",
        name="the answer read",
        belief="The model reads the tokens that it should write.",
        says="the very token that it is asked for",
        code=caption(read="ids[:, 1:].masked_fill(ids[:, 1:] == pad, 0)"),
    ),
    Mistake(
        exercise="caption-loss",
        name="logits of patches",
        belief="The logits begin with those of the text.",
        says="the first logits are the patches'",
        code=caption(start=": ids.shape[1] - 1"),
    ),
    Mistake(
        exercise="caption-loss",
        name="blind",
        belief="The loss is on the text, so the picture may stay out of it.",
        says="the text does not see the patches",
        code=caption(seen="torch.zeros_like(patches)"),
    ),
    Mistake(
        exercise="caption-loss",
        name="padding scored",
        belief="Padding is id 0 by the time it reaches the loss, and id 0 is a token like others.",
        says="padding is scored as if it were id 0",
        code=caption(loss="cross_entropy(logits, targets.masked_fill(targets == pad, 0))"),
    ),
    Mistake(
        exercise="caption-loss",
        name="mean of means",
        belief="Each text has a loss, and the batch has their mean.",
        says="a mean of the texts' means",
        code=caption(
            loss=(
                "torch.stack([cross_entropy(x, t, ignore_index=pad)"
                " for x, t in zip(logits, targets) if (t != pad).any()]).mean()"
            )
        ),
    ),
    Mistake(
        exercise="caption-loss",
        name="padding read",
        belief="A model can read any id; -100 is looked at by nobody.",
        says="which has no embedding",
        code=caption(read="ids[:, :-1]"),
    ),
    Mistake(
        exercise="caption-loss",
        name="pad is always -100",
        belief="Padding is -100 by convention.",
        says="padding is scored like other tokens",
        code=caption(
            read="ids[:, :-1].clamp(min=0)",
            loss="cross_entropy(logits, targets.masked_fill(targets < 0, -100), ignore_index=-100)",
        ),
    ),
    Mistake(
        exercise="caption-loss",
        name="mended in place",
        belief="The ids of the batch may be cleaned before use.",
        says="the ids or the patches that were given were changed",
        code="""\
def caption_loss(model, patches, ids, pad=-100):
    real = ids[:, 1:] != pad
    targets = ids[:, 1:].clone()
    ids[ids == pad] = 0
    logits = model(patches, ids[:, :-1])[:, patches.shape[1] :]
    return cross_entropy(logits[real], targets[real])
""",
    ),
]
