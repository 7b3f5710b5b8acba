"""The hidden checks of chapter 16: what a right answer must do, and what each wrong one is told.

Expected values are computed here with numpy, patch by patch and pair by pair. Sizes differ in every axis, vectors have
unlike lengths, and the model that a caption's loss asks is a table whose logits at the patches are large.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from grader.comparing import close, name_the_mistake
from grader.hidden import Case, HiddenCheck, Verdict, right, wrong

# --------------------------------------------------------------------------------- 16.1 patches


class Patchify(HiddenCheck):
    """16.1: pictures that are wide or high, in any memory order; patches of one point and of a whole side."""

    exercise = "patchify"
    uses = ("patchify", "unpatchify")
    criteria = {"patches": 1.5, "the way back": 1.0, "sizes that do not fit": 0.5}
    forbids = {
        **dict.fromkeys(
            ("F.unfold", "F.fold", ".unfold", "torch.unfold", "nn.Unfold", "nn.Fold"),
            "cutting the patches is the exercise: reshape and exchange axes",
        ),
        **dict.fromkeys(
            ("rearrange", "einops.rearrange", "F.pixel_unshuffle", "F.pixel_shuffle"),
            "the rearrangement is the exercise: reshape and exchange axes",
        ),
    }

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Every relation of height, width and size; a transposed picture lies in memory column by column."""
        shapes = [(2, 6, 4, 2), (3, 4, 10, 2), (1, 9, 6, 3), (2, 3, 5, 1), (2, 4, 4, 4), (2, 12, 4, 4), (4, 5, 5, 5)]
        for criterion in ("patches", "the way back"):
            for turn, shape in enumerate(shapes):
                yield self._case(criterion, rng, *shape, turned=turn % 2 == 0, whole=False)
            yield self._case(criterion, rng, 2, 4, 6, 2, turned=True, whole=True)
        for height, width, size in [(5, 4, 2), (4, 5, 2), (7, 7, 3), (4, 6, 0), (4, 6, -2), (2, 2, 4)]:
            yield self._case("sizes that do not fit", rng, 2, height, width, size, turned=False, whole=False)

    @staticmethod
    def _case(
        criterion: str,
        rng: np.random.Generator,
        n: int,
        height: int,
        width: int,
        size: int,
        *,
        turned: bool,
        whole: bool,
    ) -> Case:
        images = rng.integers(-50, 50, size=(n, height, width)) if whole else rng.normal(size=(n, height, width))
        back = criterion == "the way back"
        inputs = {"images": None if back else images, "turned": turned, "height": height, "width": width, "size": size}
        if back:
            inputs["patches"] = _cut(images, size)
        return Case(criterion, inputs, {"images": images})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """What came out, its dtype, and whether the input is as it was; or that the sizes were refused."""
        import torch

        def given(array):
            tensor = torch.tensor(array)
            return tensor.transpose(1, 2).contiguous().transpose(1, 2) if inputs["turned"] else tensor

        array = inputs["images"] if inputs["images"] is not None else inputs["patches"]
        tensor = given(array)
        if inputs["images"] is None:
            out = student.unpatchify(tensor, inputs["height"], inputs["width"])
        else:
            try:
                out = student.patchify(tensor, inputs["size"])
            except ValueError as error:
                return {"refused": str(error)[:200]}
        same = out.dtype == tensor.dtype
        return {"out": out, "dtype": same, "intact": bool((tensor == torch.tensor(array)).all())}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Refusals, then the shape, then values against those of each slip."""
        images, size = case.secret["images"], case.inputs["size"]
        n, height, width = images.shape
        given = f"{n} pictures of {height} x {width}, size={size}"
        if case.criterion == "sizes that do not fit":
            if "refused" in answer:
                return right()
            return wrong(f"a ValueError was asked: the patches do not fill the picture; {given}")
        if "refused" in answer:
            return wrong(f"a ValueError although the patches fit: {answer['refused']}; {given}")
        if not answer["intact"]:
            return wrong(f"the input was changed; {given}")
        got = np.asarray(answer["out"], dtype=np.float64)
        want = images if case.criterion == "the way back" else _cut(images, size)
        if got.shape != want.shape:
            return wrong(f"the shape is {got.shape}, {want.shape} was asked; {given}")
        if close(got, want):
            return right() if answer["dtype"] else wrong(f"the dtype is another than that of the input; {given}")
        if case.criterion == "the way back":
            return self._wrong_picture(got, case.inputs["patches"], height, width, size, given)
        suspects = [
            (
                images.reshape(want.shape),
                "a reshape alone gives stretches of whole rows: a patch takes from several rows",
            ),
            (_cut(images, size, down=True), "patches were counted downwards first; left to right was asked"),
            (_cut(images, size, inside=True), "inside a patch the values go down first; row by row was asked"),
            (_cut(images, size, down=True, inside=True), "rows and columns are exchanged: the picture was turned"),
        ]
        return name_the_mistake(got, suspects, f"the patches hold other values than the picture's squares; {given}")

    @staticmethod
    def _wrong_picture(got: np.ndarray, patches: np.ndarray, height: int, width: int, size: int, given: str) -> Verdict:
        grid = patches.reshape(-1, height // size, width // size, size, size)
        turned = grid.transpose(0, 1, 4, 2, 3).reshape(got.shape)
        suspects = [
            (patches.reshape(got.shape), "a reshape alone lays each patch out as a stretch of whole rows"),
            (turned, "each patch was put back turned: its values stand row by row"),
        ]
        return name_the_mistake(got, suspects, f"put together, the picture is another one; {given}")


def _cut(images: np.ndarray, size: int, down: bool = False, inside: bool = False) -> np.ndarray:
    """The squares one by one; `down` and `inside` exchange the two directions of counting."""
    n, height, width = images.shape
    if size < 1 or height % size or width % size:
        return images.reshape(n, -1, 1)
    corners = [(row, column) for row in range(0, height, size) for column in range(0, width, size)]
    if down:
        corners.sort(key=lambda corner: (corner[1], corner[0]))
    squares = [images[:, row : row + size, column : column + size] for row, column in corners]
    return np.stack([(square.swapaxes(1, 2) if inside else square).reshape(n, size * size) for square in squares], 1)


# --------------------------------------------------------------------------------- 16.2 the contrastive loss


class InfoNCE(HiddenCheck):
    """16.2: vectors of unlike length, batches unlike the width, temperatures that count, rows of zeros."""

    exercise = "info-nce"
    uses = ("info_nce",)
    criteria = {"values": 2.0, "small temperatures and zeros": 1.0, "gradient and inputs": 1.0}
    forbids = dict.fromkeys(
        ("F.cross_entropy", "nn.CrossEntropyLoss", "F.nll_loss", "nn.NLLLoss", "F.cosine_similarity"),
        "the loss is the exercise: a product of scaled rows, and the cross_entropy of chapter 1",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Views that agree in part; temperature 1 would hide a factor, so it comes once only."""
        for n, d, temperature in [(5, 3, 0.5), (2, 7, 0.2), (6, 6, 2.5), (4, 9, 1.0), (5, 4, None), (1, 3, 0.4)]:
            yield self._case("values", rng, n, d, temperature)
        for n, d, temperature in [(4, 6, 0.001), (6, 3, 0.002)]:
            yield self._case("small temperatures and zeros", rng, n, d, temperature)
        for which in ("first", "second"):
            case = self._case("small temperatures and zeros", rng, 4, 5, 0.3)
            case.inputs[which][2] = 0.0
            yield case
        for n, d, temperature in [(5, 3, 0.5), (3, 8, 0.3)]:
            yield self._case("gradient and inputs", rng, n, d, temperature)

    @staticmethod
    def _case(criterion: str, rng: np.random.Generator, n: int, d: int, temperature: float | None) -> Case:
        first = rng.normal(size=(n, d)) * np.exp(rng.uniform(-1, 1, size=(n, 1)))
        second = (0.6 * first + rng.normal(size=(n, d))) * np.exp(rng.uniform(-1, 1, size=(n, 1)))
        directions = rng.normal(size=(2, n, d))
        return Case(
            criterion,
            {"first": first, "second": second, "temperature": temperature},
            {"directions": directions},
        )

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The loss, both gradients, and whether the inputs are as they were."""
        import torch

        views = [torch.tensor(inputs[name], requires_grad=True) for name in ("first", "second")]
        if inputs["temperature"] is None:
            out = student.info_nce(*views)
        else:
            out = student.info_nce(*views, inputs["temperature"])
        gradients = [None, None]
        if out.requires_grad and out.ndim == 0:
            gradients = torch.autograd.grad(out, views, allow_unused=True)
        given = [torch.tensor(inputs[name]) for name in ("first", "second")]
        intact = all(torch.equal(view.detach(), before) for view, before in zip(views, given, strict=True))
        return {"out": out.detach(), "gradients": list(gradients), "intact": intact}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The value against those of each slip, then the gradient along a random direction."""
        first, second = case.inputs["first"], case.inputs["second"]
        temperature = 0.1 if case.inputs["temperature"] is None else case.inputs["temperature"]
        asked = "the default temperature" if case.inputs["temperature"] is None else f"temperature {temperature}"
        given = f"{len(first)} pairs of {first.shape[1]} numbers, {asked}"
        got = np.asarray(answer["out"], dtype=np.float64)
        if got.shape != ():
            return wrong(f"the loss is one number, the shape is {got.shape}; {given}")
        if not np.isfinite(got):
            zeros = any((view == 0).all(axis=1).any() for view in (first, second))
            why = "a row of zeros was divided by its length" if zeros else "exp overflows: subtract the largest logit"
            return wrong(f"the loss is {got}: {why}; {given}")
        if not answer["intact"]:
            return wrong(f"a view was changed; {given}")
        if not close(got, _contrast(first, second, temperature)):
            return self._wrong_value(got, first, second, temperature, given)
        if case.criterion != "gradient and inputs":
            return right()
        for name, gradient, direction in zip(
            ("first", "second"), answer["gradients"], case.secret["directions"], strict=True
        ):
            if gradient is None:
                return wrong(f"no gradient reaches the {name} view: both encoders learn; {given}")
            ends = []
            for step in (1e-5, -1e-5):
                moved = {"first": first, "second": second}
                moved[name] = moved[name] + step * direction
                ends.append(_contrast(moved["first"], moved["second"], temperature))
            if not close((np.asarray(gradient) * direction).sum(), (ends[0] - ends[1]) / 2e-5, rtol=1e-5, atol=1e-7):
                return wrong(f"the gradient of the {name} view is not that of the loss: what was detached? {given}")
        return right()

    @staticmethod
    def _wrong_value(got: np.ndarray, first: np.ndarray, second: np.ndarray, temperature: float, given: str) -> Verdict:
        cosines = _unit(first) @ _unit(second).T
        logits = cosines / temperature
        own = np.diag(logits)
        away = logits - np.diag(np.full(len(first), np.inf))
        twice = np.logaddexp(_pooled(logits, 1), own)
        other = [
            np.where(np.eye(len(first)) > 0, -np.inf, _unit(v) @ _unit(v).T / temperature) for v in (first, second)
        ]
        mixed = [
            np.logaddexp(_pooled(logits, 1), _pooled(other[0], 1)) - own,
            np.logaddexp(_pooled(logits, 0), _pooled(other[1], 1)) - own,
        ]
        suspects = [
            (2 * _contrast(first, second, temperature), "the sum of both directions; their mean was asked"),
            (
                len(first) * _contrast(first, second, temperature),
                "a sum over the batch; each direction is a mean over it",
            ),
            ((_pooled(logits, 1) - own).mean(), "one direction only: each of the second view chooses, too"),
            ((_pooled(logits, 0) - own).mean(), "one direction only: each of the first view chooses, too"),
            (
                _symmetric(first @ second.T / temperature),
                "the rows were not scaled to length 1: long vectors count more",
            ),
            (_symmetric(_unit(first) @ second.T / temperature), "only one view was scaled to length 1"),
            (_symmetric(first @ _unit(second).T / temperature), "only one view was scaled to length 1"),
            (_symmetric(cosines * temperature), "the temperature multiplies the cosines; they are divided by it"),
            (_symmetric(cosines), "the temperature is not used"),
            (
                _symmetric((cosines - np.eye(len(first))) / temperature),
                "something was taken off the right pairs' logits",
            ),
            ((twice - own).mean(), "the right pair stands in the denominator twice"),
            (
                (twice + np.logaddexp(_pooled(logits, 0), own) - 2 * own).mean() / 2,
                "the right pair stands in the denominator twice",
            ),
            (np.mean(mixed), "pairs within one view are among the negatives; they come from the other view only"),
        ]
        if len(first) > 1:
            suspects.append(
                (
                    (_pooled(away, 1) + _pooled(away, 0) - 2 * own).mean() / 2,
                    "the right pair is missing in the denominator: all captions of the batch are classes",
                )
            )
        return name_the_mistake(
            got, suspects, f"the loss is {float(got):.6g}, which is not that of these views; {given}"
        )


def _unit(rows: np.ndarray) -> np.ndarray:
    lengths = np.sqrt((rows**2).sum(axis=1, keepdims=True))
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)


def _pooled(logits: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(np.logaddexp.reduce(logits, axis=axis))


def _symmetric(logits: np.ndarray) -> float:
    return float((_pooled(logits, 1) + _pooled(logits, 0) - 2 * np.diag(logits)).mean() / 2)


def _contrast(first: np.ndarray, second: np.ndarray, temperature: float) -> float:
    return _symmetric(_unit(first) @ _unit(second).T / temperature)


# --------------------------------------------------------------------------------- 16.3 the loss of a caption


class CaptionLoss(HiddenCheck):
    """16.3: a model made of tables, which remembers what it was asked; ragged texts, and padding of several kinds."""

    exercise = "caption-loss"
    uses = ("caption_loss",)
    criteria = {"which logits, which targets": 1.5, "padding": 1.0, "what the model reads": 0.5}
    forbids = dict.fromkeys(
        ("F.cross_entropy", "nn.CrossEntropyLoss", "F.nll_loss", "nn.NLLLoss"),
        "the loss is the exercise: use the cross_entropy of chapter 1",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Texts of one length first; then of several, down to one that has nothing to predict."""
        for lengths, n_patches in [([4, 4, 4], 3), ([6, 6], 1), ([2, 2, 2, 2], 5), ([5], 4)]:
            yield self._case("which logits, which targets", rng, lengths, n_patches, None)
        for lengths, pad in [([6, 2, 4], None), ([3, 7], -100), ([2, 5, 3, 5], 12), ([1, 6, 3], -1), ([5, 3], 0)]:
            yield self._case("padding", rng, lengths, 4, pad)
        for lengths, pad in [([5, 3, 2], None), ([4, 4], None), ([2, 6], 12)]:
            yield self._case("what the model reads", rng, lengths, 2, pad)

    @staticmethod
    def _case(criterion: str, rng: np.random.Generator, lengths: list[int], n_patches: int, pad: int | None) -> Case:
        ids = np.full((len(lengths), max(lengths)), -100 if pad is None else pad)
        for row, length in enumerate(lengths):
            ids[row, :length] = rng.integers(1, 12, size=length)
        if pad != 0:
            ids[:, 0] = 0  # a real token like others, as the one that opens the page's captions
        return Case(
            criterion,
            {
                "ids": ids,
                "pad": pad,
                "patches": rng.normal(size=(len(lengths), n_patches, 6)),
                "table": rng.normal(size=(13, 13)),
                "look": rng.normal(size=(6, 13)),
                "front": 3 * rng.normal(size=(n_patches, 13)),
            },
        )

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The loss, whether the model's table has a gradient, and what the model was asked."""
        import torch

        table = torch.tensor(inputs["table"], requires_grad=True)
        look, front = torch.tensor(inputs["look"]), torch.tensor(inputs["front"])
        calls = []

        def model(patches, ids):
            calls.append([patches.tolist(), ids.tolist()])
            if ids.numel() and (int(ids.min()) < 0 or int(ids.max()) > 12):
                raise IndexError(f"the model read the id {int(ids.min())}, which has no embedding")
            seen = patches.sum(1) @ look
            text = table[ids].cumsum(1)
            return torch.cat([front.expand(len(ids), -1, -1) + seen[:, None], text + seen[:, None]], dim=1)

        patches, ids = torch.tensor(inputs["patches"]), torch.tensor(inputs["ids"])
        if inputs["pad"] is None:
            out = student.caption_loss(model, patches, ids)
        else:
            out = student.caption_loss(model, patches, ids, inputs["pad"])
        same = (torch.equal(ids, torch.tensor(inputs["ids"])), torch.equal(patches, torch.tensor(inputs["patches"])))
        return {"out": out.detach(), "gradient": out.requires_grad, "calls": calls, "intact": all(same)}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The value against those of each slip; what was read has a criterion of its own."""
        inputs = case.inputs
        ids, patches = inputs["ids"], inputs["patches"]
        pad = -100 if inputs["pad"] is None else inputs["pad"]
        lengths = [int((row != pad).sum()) for row in ids]
        given = f"texts of {lengths} tokens behind {patches.shape[1]} patches, pad={pad}"
        if case.criterion == "what the model reads":
            return self._judge_reading(answer, patches, ids, pad, given)
        got = np.asarray(answer["out"], dtype=np.float64)
        if got.shape != ():
            return wrong(f"the loss is one number, the shape is {got.shape}; {given}")
        logits = self._logits(inputs, np.where(ids == pad, 0, ids)[:, :-1])
        n_patches, targets = patches.shape[1], ids[:, 1:]
        losses = _surprise(logits[:, n_patches:], targets)
        real = targets != pad
        if close(got, losses[real].mean()):
            return (
                right() if answer["gradient"] else wrong(f"no gradient reaches the model: it could not learn; {given}")
            )
        full = self._logits(inputs, np.where(ids == pad, 0, ids))
        first = _surprise(logits[:, n_patches - 1 :], ids)
        copied = _surprise(logits[:, n_patches:], ids[:, :-1])
        leaked = _surprise(full[:, n_patches:], ids)
        seeing = _surprise(self._logits(inputs, np.where(ids == pad, 0, ids)[:, 1:])[:, n_patches:], targets)
        early = _surprise(logits[:, : targets.shape[1]], targets)
        blind = _surprise(
            self._logits({**inputs, "patches": 0 * patches}, np.where(ids == pad, 0, ids)[:, :-1])[:, n_patches:],
            targets,
        )
        rows = [row[kept].mean() for row, kept in zip(losses, real, strict=True) if kept.any()]
        suspects = [
            (first[ids != pad].mean(), "the last patch is scored, too: the first token is read, not predicted"),
            (
                copied[ids[:, :-1] != pad].mean(),
                "the targets are not shifted: the model is asked for the token it reads",
            ),
            (leaked[ids != pad].mean(), "the targets are not shifted: the model is asked for the token it reads"),
            (
                seeing[real].mean(),
                "the model reads the very token that it is asked for: leave out the last, not the first",
            ),
            (early[real].mean(), "the first logits are the patches'; those of the text begin behind them"),
            (blind[real].mean(), "the text does not see the patches: zeros were given in their place"),
            (np.mean(rows), "a mean of the texts' means: short texts count too much; the mean is over all tokens"),
            (losses[real].sum(), "a sum; the mean over the predicted tokens was asked"),
            (losses[real].sum() / targets.size, "the sum is divided by all places, padding included"),
            (
                _surprise(logits[:, n_patches:], np.where(real, targets, 0)).mean(),
                "padding is scored as if it were id 0",
            ),
            (losses[real].sum() / (n_patches * len(ids) + real.sum()), "patches count in the mean, without a loss"),
        ]
        if pad >= 0:
            read = self._logits(inputs, ids[:, :-1])[:, n_patches:]
            for each in (logits[:, n_patches:], read):
                suspects.append((_surprise(each, targets).mean(), "padding is scored like other tokens"))
        return name_the_mistake(got, suspects, f"the loss is {float(got):.6g}, not that of the texts; {given}")

    @staticmethod
    def _logits(inputs: Mapping[str, Any], ids: np.ndarray) -> np.ndarray:
        seen = inputs["patches"].sum(axis=1) @ inputs["look"]
        text = np.cumsum(inputs["table"][ids], axis=1)
        front = np.broadcast_to(inputs["front"], (len(ids), *inputs["front"].shape))
        return np.concatenate([front, text], axis=1) + seen[:, None]

    @staticmethod
    def _judge_reading(answer: Any, patches: np.ndarray, ids: np.ndarray, pad: int, given: str) -> Verdict:
        if not answer["intact"]:
            return wrong(f"the ids or the patches that were given were changed; {given}")
        if len(answer["calls"]) != 1:
            return wrong(f"the model was called {len(answer['calls'])} times, once was asked; {given}")
        seen, read = (np.asarray(part) for part in answer["calls"][0])
        if not close(seen, patches):
            return wrong(f"the model got other patches than those given: the text must see the picture; {given}")
        if read.shape != (len(ids), ids.shape[1] - 1):
            return wrong(f"the model read ids of shape {read.shape}: all tokens but the last were asked; {given}")
        kept = ids[:, :-1] != pad
        if (read[kept] != ids[:, :-1][kept]).any():
            return wrong(f"the model read other tokens than the text's, all but the last; {given}")
        return right()


def _surprise(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """-log p of each target; a target below 0 counts as id 0, to be left out later."""
    pooled = np.logaddexp.reduce(logits, axis=-1)
    chosen = np.take_along_axis(logits, np.maximum(targets, 0)[..., None], axis=-1)[..., 0]
    return np.asarray(pooled - chosen)
