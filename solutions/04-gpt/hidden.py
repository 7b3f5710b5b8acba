"""The hidden checks of chapter 4: what a right answer must do, and what each wrong one is told.

Expected values are computed here with numpy, in float64, or with plain lists. Streams repeat no token where order
matters, sizes all differ, gradients lie above the limit in one step and below it in another, and the toy models that
the probes build depend on every token before a place, so that a window cut elsewhere shows.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from grader.comparing import close, name_the_mistake
from grader.hidden import Case, HiddenCheck, Verdict, right, wrong

# ----------------------------------------------------------------------------------- 4.1 packing


def stream_of(docs: Sequence[Sequence[int]], eos: int) -> list[int]:
    """The documents in a row, `eos` between neighbours."""
    return [token for place, doc in enumerate(docs) for token in ([eos] if place else []) + list(doc)]


def cut(stream: Sequence[int], width: int, step: int) -> list[list[int]]:
    """All full rows of `width` tokens whose starts are `step` apart."""
    return [list(stream[start : start + width]) for start in range(0, len(stream) - width + 1, step)]


class Chunk(HiddenCheck):
    """4.1: no token occurs twice, so that each row tells where it comes from; ends that fit and ends that do not."""

    exercise = "chunk"
    uses = ("chunk",)
    criteria = {"rows": 1.0, "ends": 0.5, "odd documents": 0.5}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Streams that end on a row's last token, one before and one after it; empty documents; nothing at all."""
        for lengths, seq in (([5, 2, 9], 4), ([1, 7, 1, 3], 3), ([20], 6), ([4, 4, 4], 1)):
            yield Case("rows", self._docs(rng, lengths, seq))
        for extra in (-1, 0, 1):
            yield Case("ends", self._docs(rng, [6, 3, 4 + extra], 7))  # 14, 15 and 16 tokens; rows end at 8 and 15
        yield Case("ends", self._docs(rng, [2, 2], 4))
        yield Case("odd documents", self._docs(rng, [3, 0, 4], 2))
        yield Case("odd documents", self._docs(rng, [0, 3, 0], 2))
        yield Case("odd documents", self._docs(rng, [2, 1], 6))
        yield Case("odd documents", {"docs": [], "eos": 9, "seq": 3})

    @staticmethod
    def _docs(rng: np.random.Generator, lengths: Sequence[int], seq: int) -> dict[str, Any]:
        tokens = (rng.permutation(200)[: sum(lengths)] + 10).tolist()
        docs = [[tokens.pop() for _ in range(length)] for length in lengths]
        return {"docs": docs, "eos": int(rng.integers(0, 10)), "seq": seq}

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The rows, their type, and whether the documents are as they were."""
        docs = [list(doc) for doc in inputs["docs"]]
        rows = student.chunk(docs, inputs["eos"], inputs["seq"])
        intact = docs == inputs["docs"]
        return {"shape": list(rows.shape), "rows": rows.tolist(), "dtype": str(rows.dtype), "intact": intact}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Documents, shape of a row, then the rows against those of each mistake."""
        docs, eos, seq = (case.inputs[name] for name in ("docs", "eos", "seq"))
        given = f"documents of {', '.join(str(len(doc)) for doc in docs) or 'no'} tokens, seq={seq}"
        stream = stream_of(docs, eos)
        want = cut(stream, seq + 1, seq)
        if not answer["intact"]:
            return wrong(f"the documents were changed by the call; {given}")
        if answer["rows"] == want and answer["shape"] == [len(want), seq + 1]:
            if answer["dtype"] != "torch.int64":
                return wrong(f"token ids are torch.long, these are {answer['dtype']}; {given}")
            return right()
        closed = [*stream, eos] if docs else stream
        plain = [token for doc in docs for token in doc]
        filled = [token for doc in docs if doc for token in [eos, *doc]][1:]
        ragged = [stream[start : start + seq + 1] for start in range(0, max(len(stream) - 1, 0), seq)]
        kept = [[*row, *[eos] * (seq + 1 - len(row))] for row in ragged]
        alone = [row for doc in docs for row in cut(doc, seq + 1, seq)]
        suspects = [
            (cut(stream, seq + 1, seq + 1), "a row starts after the last token of the one before: that is no input"),
            (cut(plain, seq + 1, seq), "the documents have no eos between them"),
            (cut(closed, seq + 1, seq), "an eos stands after the last document, where no neighbour follows"),
            (cut([eos, *stream], seq + 1, seq), "an eos stands before the first document"),
            (kept, "the remainder was padded to a row; it is dropped"),
            ([[*row, *[0] * (seq + 1 - len(row))] for row in ragged], "the remainder was padded to a row; drop it"),
            (want[:-1], "the last row is missing although its tokens are there"),
            (cut(stream, seq, seq), "a row has seq tokens; its last input needs a target, so seq + 1"),
            (cut(stream, seq + 1, 1), "the rows start one token apart; they start seq apart"),
            (alone, "each document was cut by itself; rows run over their ends"),
            (cut(filled, seq + 1, seq), "the eos beside an empty document is missing"),
        ]
        for rows, words in suspects:
            if answer["rows"] == rows and rows != want:
                return wrong(f"{words}; {given}")
        if answer["rows"] == want:
            return wrong(f"the shape is {tuple(answer['shape'])}, not {(len(want), seq + 1)}; {given}")
        return wrong(f"these {len(answer['rows'])} rows are not those of the stream; {given}")


# ------------------------------------------------------------------------------------ 4.2 batches

DRAWS = 6000


class GetBatch(HiddenCheck):
    """4.2: a stream in which each token names its place; starts are counted over many draws."""

    exercise = "get-batch"
    uses = ("get_batch",)
    criteria = {"windows": 1.0, "every start": 0.5, "randomness": 0.5}
    forbids = dict.fromkeys(
        ("torch.utils.data.RandomSampler", "RandomSampler"), "draw the starts yourself: whole numbers from rng"
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Sizes that differ, a stream of other tokens than places, one window only, and too few tokens."""
        for length, batch, seq in ((40, 5, 7), (11, 3, 2), (9, 2, 8), (30, 1, 1)):
            ids = (rng.permutation(500)[:length]).tolist()
            yield Case("windows", {"ids": ids, "batch": batch, "seq": seq, "seed": int(rng.integers(1 << 30))})
        narrow = {"ids": rng.permutation(100)[:20].tolist(), "batch": 3, "seq": 4, "seed": 5, "narrow": True}
        yield Case("windows", narrow)
        yield Case("windows", {"ids": [4, 7, 1], "batch": 2, "seq": 3, "seed": 1, "refuse": True})
        for length, seq in ((13, 5), (7, 3)):
            seed = int(rng.integers(1 << 30))
            yield Case(
                "every start", {"ids": list(range(length)), "batch": DRAWS, "seq": seq, "seed": seed, "count": True}
            )
        yield Case(
            "randomness",
            {"ids": list(range(300)), "batch": 4, "seq": 6, "seed": int(rng.integers(1 << 30)), "again": 1},
        )

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """A batch; one from the same state, one after it; the global state before and after."""
        import torch

        ids = torch.tensor(inputs["ids"])
        if inputs.get("narrow"):
            ids = ids.to(torch.int16)
        before, state = ids.clone(), torch.get_rng_state()

        def draw(rng):
            try:
                return student.get_batch(ids, inputs["batch"], inputs["seq"], rng)
            except ValueError as error:
                return str(error)[:200]

        first = torch.Generator().manual_seed(inputs["seed"])
        got = draw(first)
        if isinstance(got, str):
            return {"refused": got}
        x, y = got
        answer = {
            "refused": None,
            "intact": bool((ids == before).all()),
            "dtypes": [str(x.dtype), str(y.dtype)],
            "shapes": [list(x.shape), list(y.shape)],
            "starts": None,
            "x": None,
            "y": None,
        }
        if inputs.get("count"):
            answer["starts"] = x[:, 0].tolist() if x.ndim == 2 else []
            answer["follows"] = bool(x.shape == y.shape and (y == x + 1).all())
        else:
            answer["x"], answer["y"] = x.tolist(), y.tolist()
        if inputs.get("again"):
            answer["same"] = draw(torch.Generator().manual_seed(inputs["seed"]))[0].tolist()
            answer["next"] = draw(first)[0].tolist()
            torch.manual_seed(1)
            answer["third"] = draw(torch.Generator().manual_seed(inputs["seed"] + 1))[0].tolist()
            torch.manual_seed(1)
            answer["fourth"] = draw(torch.Generator().manual_seed(inputs["seed"] + 2))[0].tolist()
            torch.set_rng_state(state)
            draw(torch.Generator().manual_seed(3))
            answer["untouched"] = bool((torch.get_rng_state() == state).all())
        return answer

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Refusal, shapes and types, windows, then the draws."""
        ids, batch, seq = (case.inputs[name] for name in ("ids", "batch", "seq"))
        given = f"{len(ids)} tokens, batch={batch}, seq={seq}"
        if case.inputs.get("refuse"):
            refused = answer["refused"] is not None
            return right() if refused else wrong(f"no window fits, so a ValueError was asked; {given}")
        if answer["refused"] is not None:
            return wrong(f"a ValueError although a window fits: {answer['refused']}; {given}")
        if not answer["intact"]:
            return wrong(f"the stream was changed by the call; {given}")
        if answer["shapes"] != [[batch, seq]] * 2:
            return wrong(f"x and y have shapes {answer['shapes'][0]} and {answer['shapes'][1]}; {given}")
        if answer["dtypes"] != ["torch.int64"] * 2:
            return wrong(
                f"x and y are {answer['dtypes'][0]} and {answer['dtypes'][1]}; an embedding wants torch.long; {given}"
            )
        if case.inputs.get("count"):
            return self._starts(answer, len(ids) - seq, given)
        return self._windows(case, answer, given)

    @staticmethod
    def _windows(case: Case, answer: Any, given: str) -> Verdict:
        place = {token: number for number, token in enumerate(case.inputs["ids"])}
        seq = case.inputs["seq"]
        for inputs, targets in zip(answer["x"], answer["y"], strict=True):
            at = [place.get(token, -9) for token in inputs]
            to = [place.get(token, -9) for token in targets]
            if at != list(range(at[0], at[0] + seq)):
                return wrong(f"a row of x is no window of neighbouring tokens: {inputs}; {given}")
            shift = to[0] - at[0]
            if shift == 0:
                return wrong(f"y is x: the target is the token after each input; {given}")
            if to != list(range(at[0] + 1, at[0] + 1 + seq)):
                words = f"the targets are shifted by {shift}, not by 1" if shift > 1 else "y is not the next token of x"
                return wrong(f"{words}; {given}")
        if case.criterion != "randomness":
            return right()
        if answer["same"] != answer["x"]:
            return wrong(f"the same state of rng gave another batch: is all randomness drawn from it?; {given}")
        if answer["next"] == answer["x"]:
            return wrong(f"the generator was used and gives the same batch again: draw from rng itself; {given}")
        if answer["third"] == answer["fourth"]:
            return wrong(f"two seeds of rng gave one batch: rng has no effect; {given}")
        if not answer["untouched"]:
            return wrong(f"torch's global random state moved on: pass rng to every draw; {given}")
        return right()

    @staticmethod
    def _starts(answer: Any, kinds: int, given: str) -> Verdict:
        if not answer["follows"]:
            return wrong(f"y is not the next token of x; {given}")
        counts = np.bincount(answer["starts"], minlength=kinds)
        if len(counts) > kinds or counts[0] == 0 or counts[-1] == 0:
            which = "first" if counts[0] == 0 else "last"
            return wrong(f"in {DRAWS} windows the {which} possible start never came up; {given}")
        expected = DRAWS / kinds
        score = float(((counts - expected) ** 2 / expected).sum())
        # Chi-square with up to 7 degrees of freedom exceeds 45 with a probability below 1e-6.
        return right() if score < 45 else wrong(f"some starts are drawn more often than others; {given}")


# -------------------------------------------------------------------------------------- 4.3 the model


def normed64(x: np.ndarray) -> np.ndarray:
    """Layer norm with gain 1 and bias 0."""
    return np.asarray((x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5))


def gpt_size(vocab: int, max_seq: int, d_model: int, n_layers: int, tied: bool) -> int:
    """The number of parameters, from the sizes of its parts."""
    block = 4 * (d_model + 1) * d_model + (d_model + 1) * 4 * d_model + (4 * d_model + 1) * d_model + 4 * d_model
    return (vocab * (1 if tied else 2) + max_seq + 2) * d_model + n_layers * block


class Gpt(HiddenCheck):
    """4.3: with known linear maps in place of the blocks, so that the wiring alone decides; then with real blocks."""

    exercise = "gpt"
    uses = ("GPT",)
    criteria = {"wiring": 1.5, "causal": 0.5, "lengths": 0.5, "tied head": 1.0, "first loss": 0.5}
    forbids = dict.fromkeys(
        ("nn.TransformerEncoder", "nn.TransformerEncoderLayer", "nn.TransformerDecoder", "nn.Transformer", "TorchsGPT"),
        "torch's Transformer is what you are compared with: stack the blocks",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Sizes (batch, seq, vocab, max_seq, d_model, n_layers, n_heads), all different."""
        for batch, seq, vocab, max_seq, d_model, n_layers in (
            (2, 4, 11, 7, 6, 3),
            (3, 1, 8, 5, 4, 2),
            (1, 5, 9, 5, 8, 1),
        ):
            yield Case(
                "wiring",
                {
                    "sizes": [vocab, max_seq, d_model, n_layers, 2],
                    "ids": rng.integers(vocab, size=(batch, seq)),
                    "maps": rng.normal(size=(n_layers, d_model, d_model)),
                    "weights": [rng.normal(size=(rows, d_model)) for rows in (vocab, max_seq, vocab)],
                    "tied": bool(seq % 2 == 0),
                },
            )
        yield Case(
            "wiring", {"sizes": [9, 6, 8, 2, 4], "ids": np.zeros((1, 2), dtype=int), "parts": rng.normal(size=8)}
        )
        for sizes in ([13, 9, 8, 2, 4], [7, 6, 12, 3, 3]):
            ids = rng.integers(sizes[0], size=(3, sizes[1] - 1))
            yield Case("causal", {"sizes": sizes, "ids": ids, "change": True})
        for seq in (1, 3, 6, 7):
            sizes = [10, 6, 8, 1, 2]
            yield Case("lengths", {"sizes": sizes, "ids": rng.integers(10, size=(2, seq)), "refuse": seq > 6})
        for tied in (True, False, None):
            yield Case("tied head", {"sizes": [17, 5, 8, 2, 2], "tied": tied, "count": True})
        for sizes in ([40, 8, 64, 1, 2], [300, 8, 96, 2, 3]):
            for tied in (True, False):
                ids = rng.integers(sizes[0], size=(16, 9))
                yield Case(
                    "first loss", {"sizes": sizes, "ids": ids, "tied": tied, "first": int(rng.integers(1 << 30))}
                )

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Logits, parameters, and what a change of the last token does; with replaced blocks where maps are given."""
        import torch

        torch.manual_seed(inputs.get("first", 0))
        settings = {} if inputs.get("tied") is None else {"tied": inputs["tied"]}
        model = student.GPT(*inputs["sizes"], **settings)
        names = ("token_embedding", "position_embedding", "blocks", "final_norm", "head")
        absent = [name for name in names if not isinstance(getattr(model, name, None), torch.nn.Module)]
        if absent:
            return {"absent": absent}
        answer = {"absent": [], "refused": None}
        if "parts" in inputs:
            from byhand.blocks import Block

            given = torch.tensor(inputs["parts"])[None, None]
            same = []
            for block in model.blocks:
                asked = Block(inputs["sizes"][2], inputs["sizes"][4], 4 * inputs["sizes"][2], activation="gelu_tanh")
                shapes = {name: weight.shape for name, weight in asked.named_parameters()}
                if shapes != {name: weight.shape for name, weight in block.named_parameters()}:
                    same.append("sizes")
                    continue
                asked.load_state_dict(block.state_dict())
                for part in (block, asked):
                    part.double()
                    part.feed_forward.up.weight.data.mul_(50.0)
                    part.feed_forward.down.weight.data.mul_(50.0)
                same.append("" if torch.allclose(block(given), asked(given), rtol=0, atol=1e-9) else "values")
            return {**answer, "parts": same}
        if inputs.get("count"):
            head, table = model.head.weight, model.token_embedding.weight
            answer["size"] = sum(weight.numel() for weight in model.parameters())
            answer["equal"] = bool((head == table).all()) if head.shape == table.shape else False
            answer["one"] = head is table
            answer["bias"] = getattr(model.head, "bias", None) is not None
            return answer
        if "maps" in inputs:

            class Map(torch.nn.Module):
                def __init__(self, matrix):
                    super().__init__()
                    self.matrix = matrix

                def forward(self, x, *arguments, **keywords):
                    return x @ self.matrix

            model = model.double()
            answer["blocks"] = len(model.blocks)
            model.blocks = torch.nn.ModuleList(Map(torch.tensor(matrix)) for matrix in inputs["maps"])
            with torch.no_grad():
                table, places, head = (torch.tensor(array) for array in inputs["weights"])
                model.token_embedding.weight.copy_(table)
                model.position_embedding.weight.copy_(places)
                if not inputs["tied"]:
                    model.head.weight.copy_(head)
        ids = torch.tensor(inputs["ids"])
        before = ids.clone()
        try:
            with torch.no_grad():
                if inputs.get("first"):
                    logits = model(ids[:, :-1])
                    losses = torch.nn.functional.cross_entropy(logits.flatten(0, -2), ids[:, 1:].flatten())
                    tables = (model.token_embedding, model.position_embedding, model.head)
                    answer["deviations"] = [float(table.weight.std()) for table in tables]
                    inner = [weight for weight in model.blocks.parameters() if weight.ndim == 2]
                    answer["inner"] = max(float(weight.std()) for weight in inner)
                    return {**answer, "loss": float(losses)}
                logits = model(ids)
        except ValueError as error:
            return {**answer, "refused": str(error)[:200]}
        answer.update(logits=logits, intact=bool((ids == before).all()), follows=model(ids).requires_grad)
        if inputs.get("change"):
            changed = ids.clone()
            changed[:, -1] = (changed[:, -1] + 1) % inputs["sizes"][0]
            with torch.no_grad():
                after = model(changed)
                answer["alone"] = model(ids[:1])
                answer["short"] = model(ids[:, :2])
            answer["past"] = bool((after[:, :-1] == logits[:, :-1]).all()) if logits.ndim == 3 else False
            answer["present"] = bool((after[:, -1] != logits[:, -1]).any())
        return answer

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Names, then what each criterion asks for."""
        sizes = case.inputs["sizes"]
        given = f"GPT({', '.join(map(str, sizes))})"
        if answer["absent"]:
            return wrong(f"the model has no submodule {answer['absent'][0]!r}: five were asked by name; {given}")
        if case.criterion == "tied head":
            return self._tied(case, answer, given)
        if "parts" in case.inputs:
            words = {"sizes": "feed-forward parts are 4 * d_model wide", "values": "their GELU is the tanh formula"}
            odd = [kind for kind in answer["parts"] if kind]
            return wrong(f"the blocks are not those that were asked: {words[odd[0]]}; {given}") if odd else right()
        ids = case.inputs["ids"]
        given = f"{given}, ids of shape {ids.shape}"
        if case.inputs.get("refuse"):
            refused = answer["refused"] is not None
            return right() if refused else wrong(f"more tokens than places: a ValueError was asked; {given}")
        if answer["refused"] is not None:
            return wrong(f"a ValueError although the tokens fit: {answer['refused']}; {given}")
        if case.criterion == "first loss":
            return self._first(case, answer, given)
        if not answer["intact"]:
            return wrong(f"the ids were changed by the call; {given}")
        if answer["logits"].shape != (*ids.shape, sizes[0]):
            words = "logits come back for one place only; every place predicts its next token"
            one_place = answer["logits"].shape in ((len(ids), sizes[0]), (len(ids), 1, sizes[0])) and ids.shape[1] > 1
            shape = f"the logits have shape {answer['logits'].shape}, not (batch, seq, vocab_size)"
            return wrong(f"{words if one_place else shape}; {given}")
        if not answer["follows"]:
            return wrong(f"the graph is cut: the model could not be trained; {given}")
        if case.criterion == "wiring":
            return self._wiring(case, answer, given)
        if case.criterion == "causal":
            if not answer["present"]:
                return wrong(f"the last token has no influence on its own logits; {given}")
            if not answer["past"]:
                return wrong(f"a change of the last token changed earlier logits: call the blocks causally; {given}")
            if not close(answer["alone"], answer["logits"][:1], rtol=1e-4, atol=1e-5):
                return wrong(f"a text gets other logits beside others in a batch; {given}")
            if not close(answer["short"], answer["logits"][:, :2], rtol=1e-4, atol=1e-5):
                return wrong(f"the first places get other logits when less text follows; {given}")
        return right()

    @staticmethod
    def _tied(case: Case, answer: Any, given: str) -> Verdict:
        vocab, max_seq, d_model, n_layers, _ = case.inputs["sizes"]
        tied = case.inputs["tied"]
        words = "by default" if tied is None else f"with tied={tied}"
        if answer["bias"]:
            return wrong(f"the head has a bias; none was asked; {given}")
        if tied is False:
            if answer["one"]:
                return wrong(f"{words} the head must be a matrix of its own; {given}")
        elif not answer["one"]:
            if answer["equal"]:
                return wrong(f"{words} the head is a copy of the embedding, and the two will part in training; {given}")
            return wrong(f"{words} the head is another matrix than the embedding; {given}")
        want = gpt_size(vocab, max_seq, d_model, n_layers, tied is not False)
        if answer["size"] == want:
            return right()
        return wrong(f"{answer['size']} parameters where these sizes make {want}; {given}")

    @staticmethod
    def _first(case: Case, answer: Any, given: str) -> Verdict:
        uniform = math.log(case.inputs["sizes"][0])
        given = f"{given}, tied={case.inputs['tied']}"
        if not abs(answer["loss"] - uniform) < 0.2:
            return wrong(
                f"the first loss is {answer['loss']:.2f} where a uniform guess has {uniform:.2f}: the matrices are "
                f"too large, so an untrained model is sure of nonsense; {given}"
            )
        if not all(0.014 < deviation < 0.026 for deviation in answer["deviations"]) or answer["inner"] > 0.026:
            return wrong(f"some matrices are not drawn with a deviation of 0.02; {given}")
        return right()

    @staticmethod
    def _wiring(case: Case, answer: Any, given: str) -> Verdict:
        ids, maps = case.inputs["ids"], case.inputs["maps"]
        table, places, head = case.inputs["weights"]
        head = table if case.inputs["tied"] else head
        seq = ids.shape[1]
        if answer["blocks"] != len(maps):
            return wrong(f"there are {answer['blocks']} blocks, not {len(maps)}; {given}")

        def logits(start: np.ndarray, order: Iterable[np.ndarray], norm: bool = True) -> np.ndarray:
            for matrix in order:
                start = start @ matrix
            return np.asarray((normed64(start) if norm else start) @ head.T)

        x = table[ids] + places[:seq]
        want = logits(x, maps)
        if close(answer["logits"], want, rtol=1e-7, atol=1e-8):
            return right()
        suspects = [
            (logits(x, maps, norm=False), "the final norm is missing: the head reads what the norm gives"),
            (logits(table[ids], maps), "the places are not added: the model has no sense of order"),
            (logits(table[ids] + places[len(places) - seq :], maps), "the places count from the end; the first is 0"),
            (logits(table[ids] + places[1 : seq + 1], maps) if len(places) > seq else None, "the places begin at 1"),
            (logits(table[ids] + places[seq - 1], maps), "every token got the vector of the last place"),
            (logits(table[ids] + places[0], maps), "every token got the vector of the first place"),
            (logits(x, maps[:1]), "only the first block is used"),
            (logits(x, maps[-1:]), "only the last block is used: each must read what the one before made"),
            (logits(x, maps[::-1]), "the blocks are called in reverse order"),
            (logits(x, []), "the blocks are not used"),
            (logits(normed64(x), maps), "the embeddings are normalised before the blocks; the one norm is after them"),
            (logits(normed64(x), maps, norm=False), "the norm stands before the blocks; it belongs after them"),
            (logits(x + sum((x @ matrix for matrix in maps), np.zeros_like(x)), []), "blocks add their input already"),
        ]
        others = [(value, f"{words}; {given}") for value, words in suspects if value is not None]
        loose = {"rtol": 1e-7, "atol": 1e-8}
        distinct = [(value, words) for value, words in others if not close(value, want, **loose)]
        return name_the_mistake(
            answer["logits"],
            distinct,
            f"these are not the logits of head(norm(blocks(tokens + places))); {given}",
            **loose,
        )


# ---------------------------------------------------------------------------------- 4.4 training step


class Descent:
    """Plain gradient descent on logits = E[x] @ W in numpy, with the slips of common mistakes."""

    def __init__(self, inputs: dict[str, Any], slip: str = "") -> None:
        self.table, self.head = inputs["table"].copy(), inputs["head"].copy()
        self.stale = [inputs["stale"].copy(), np.zeros_like(self.head)]
        self.lr, self.clip, self.slip = inputs["lr"], inputs["clip"], slip

    def loss(self, x: np.ndarray, y: np.ndarray) -> tuple[float, list[np.ndarray]]:
        """Mean loss over scored places and the gradients of both matrices."""
        inside = self.table[x]
        scores = inside @ self.head
        scored = y >= 0
        scores = scores - scores.max(-1, keepdims=True)
        logp = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
        picked = np.take_along_axis(logp, np.where(scored, y, 0)[..., None], -1)[..., 0]
        size = 1.0 if self.slip == "sum" else float(y.size if self.slip == "all places" else scored.sum())
        delta = np.exp(logp)
        np.put_along_axis(delta, np.where(scored, y, 0)[..., None], np.exp(picked)[..., None] - 1, -1)
        delta = np.where(scored[..., None], delta, 0.0) / size
        to_table = np.zeros_like(self.table)
        np.add.at(to_table, x.ravel(), (delta @ self.head.T).reshape(-1, self.table.shape[1]))
        to_head = inside.reshape(-1, inside.shape[-1]).T @ delta.reshape(-1, delta.shape[-1])
        return float(-picked[scored].sum() / size), [to_table, to_head]

    def step(self, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
        """Loss and norm as the slip reports them; moves the matrices."""
        loss, fresh = self.loss(x, y)
        found = [new + old for new, old in zip(fresh, self.stale, strict=True)] if self.slip == "accumulates" else fresh
        norm = math.sqrt(sum(float((part**2).sum()) for part in found))
        clipped = self._clipped(found, norm)
        used = found if self.slip == "clips late" else clipped
        self.stale = clipped if self.slip == "accumulates" else self.stale
        if self.slip != "no step":
            self.table -= self.lr * used[0]
            self.head -= self.lr * used[1]
        reported = math.sqrt(sum(float((part**2).sum()) for part in clipped)) if self.slip == "norm after" else norm
        return (self.loss(x, y)[0] if self.slip == "loss after" else loss), reported

    def _clipped(self, found: list[np.ndarray], norm: float) -> list[np.ndarray]:
        if self.slip == "no clipping":
            return found
        if self.slip == "each alone":
            return [part * min(1.0, self.clip / float(np.sqrt((part**2).sum()))) for part in found]
        if self.slip == "by value":
            return [np.clip(part, -self.clip, self.clip) for part in found]
        if self.slip == "always":
            return [part * self.clip / norm for part in found]
        return [part * min(1.0, self.clip / norm) for part in found]


STEP_SLIPS = {
    "accumulates": "gradients from before the call take part: clear them first",
    "clips late": "clipped after the optimizer has moved, so the step was not clipped",
    "no clipping": "nothing is clipped",
    "each alone": "each parameter is clipped by itself; the norm is that of all gradients together",
    "by value": "single numbers are cut at clip; the norm is scaled, which keeps the direction",
    "always": "gradients below the limit are blown up to it; clipping only makes smaller",
    "no step": "the weights have not moved: the optimizer's step is missing",
    "norm after": "grad_norm is the norm after clipping; the one before was asked",
    "loss after": "loss is that after the step; the one before was asked",
    "sum": "the loss is a sum; the mean over the targets was asked",
    "all places": "places with -100 are counted in the mean",
}


class TrainStep(HiddenCheck):
    """4.4: three steps of plain descent, with old gradients on the model, above and below the limit."""

    exercise = "train-step"
    uses = ("train_step",)
    criteria = {"three steps": 1.0, "old gradients": 0.5, "clipping": 1.0, "what comes back": 0.5}
    forbids = {"torch.autograd.grad": "use the four lines: clear, backward, clip, step"}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """A high limit, old gradients, limits between and below the norms; then the report."""
        yield Case("three steps", self._draw(rng, clip=1e6))
        yield Case("three steps", {**self._draw(rng, clip=1e6), "ignore": True})
        yield Case("three steps", {**self._draw(rng, clip=1e6), "spare": True})
        yield Case("old gradients", {**self._draw(rng, clip=1e6), "stale": rng.normal(size=(7, 4)), "dirty": True})
        for clip in (0.1, 0.02, 3.0):
            yield Case("clipping", self._draw(rng, clip=clip))
        yield Case("clipping", {**self._draw(rng, clip=0.05), "spare": True})
        yield Case("what comes back", {**self._draw(rng, clip=0.1), "report": True})

    @staticmethod
    def _draw(rng: np.random.Generator, clip: float) -> dict[str, Any]:
        y = rng.integers(5, size=(3, 2, 3))
        return {
            "table": rng.normal(size=(7, 4)),
            "head": rng.normal(size=(4, 5)),
            "stale": np.zeros((7, 4)),
            "x": rng.integers(7, size=(3, 2, 3)),
            "y": y,
            "lr": 0.7,
            "clip": clip,
        }

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Reports and weights after each of three steps."""
        import torch

        class Toy(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.table = torch.nn.Parameter(torch.tensor(inputs["table"]))
                if inputs.get("spare"):
                    self.spare = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
                self.head = torch.nn.Parameter(torch.tensor(inputs["head"]))

            def forward(self, ids):
                return self.table[ids] @ self.head

        model = Toy()
        if inputs.get("dirty"):
            model.table.grad = torch.tensor(inputs["stale"])
        optimizer = torch.optim.SGD(model.parameters(), lr=inputs["lr"])
        reports, weights, plain = [], [], True
        for x, y in zip(inputs["x"], inputs["y"], strict=True):
            y = torch.tensor(y)
            if inputs.get("ignore"):
                y[0, 1] = -100
            report = student.train_step(model, torch.tensor(x), y, optimizer, inputs["clip"])
            plain = plain and type(report["loss"]) is float and type(report["grad_norm"]) is float
            reports.append([float(report["loss"]), float(report["grad_norm"])])
            weights.append([model.table.detach().clone(), model.head.detach().clone()])
        still = bool((model.spare == 1).all()) if inputs.get("spare") else True
        return {"reports": reports, "weights": weights, "plain": plain, "still": still, "keys": sorted(report)}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Weights after the first and the last step, reports, types."""
        given = f"three steps with clip={case.inputs['clip']:g}"
        if not answer["still"]:
            return wrong(f"a parameter without a gradient was moved; {given}")
        found = self._observed(answer, case)
        if self._same(found, self._simulate(case)):
            if case.criterion == "what comes back" and answer["keys"] != ["grad_norm", "loss"]:
                return wrong(f"the report has {answer['keys']}; loss and grad_norm were asked; {given}")
            if case.criterion == "what comes back" and not answer["plain"]:
                return wrong(f"loss and grad_norm are Python floats; a tensor keeps its whole graph alive; {given}")
            return right()
        for slip, words in STEP_SLIPS.items():
            other = self._simulate(case, slip)
            if self._same(found, other) and not self._same(other, self._simulate(case)):
                return wrong(f"{words}; {given}")
        if case.criterion != "what comes back" and self._same(found[1:], self._simulate(case)[1:]):
            return wrong(f"the weights move rightly, but loss or grad_norm is not what was asked; {given}")
        return wrong(f"the weights are not those of gradient descent on the mean loss; {given}")

    @staticmethod
    def _observed(answer: Any, case: Case) -> list[np.ndarray]:
        reports = np.array(answer["reports"], dtype=np.float64)
        return [reports, *(np.asarray(part) for step in answer["weights"] for part in step)]

    @staticmethod
    def _simulate(case: Case, slip: str = "") -> list[np.ndarray]:
        descent = Descent(case.inputs, slip)
        reports, weights = [], []
        for x, y in zip(case.inputs["x"], case.inputs["y"], strict=True):
            targets = y.copy()
            if case.inputs.get("ignore"):
                targets[0, 1] = -100
            reports.append(descent.step(x, targets))
            weights += [descent.table.copy(), descent.head.copy()]
        return [np.array(reports), *weights]

    @staticmethod
    def _same(found: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
        # clip_grad_norm_ divides by the norm plus 1e-6.
        return all(close(a, b, rtol=2e-4, atol=1e-7) for a, b in zip(found, other, strict=True))


# ------------------------------------------------------------------------------------- 4.5 schedule


def rate(inputs: dict[str, Any], step: float) -> float:
    """The schedule as a table of two pieces, the cosine as a real part."""
    warmup, total, lr, lr_min = (inputs[name] for name in ("warmup", "total", "lr", "lr_min"))
    if step < warmup:
        return float(np.interp(step, [0, warmup], [0.0, lr]))
    turn = np.exp(1j * math.pi * min(step - warmup, total - warmup) / (total - warmup)).real
    return float((lr + lr_min) / 2 + (lr - lr_min) / 2 * turn)


class Schedule(HiddenCheck):
    """4.5: all steps of several schedules, and some beyond the end."""

    exercise = "schedule"
    uses = ("lr_at",)
    criteria = {"warm-up": 0.5, "cosine": 1.0, "end": 0.5}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Steps of the warm-up, between it and the end, and from the end on; one schedule without a warm-up."""
        for warmup, total, lr, lr_min in ((7, 25, 0.3, 0.02), (0, 11, 2.0, 0.5), (4, 9, 1e-3, 0.0)):
            common = {"warmup": warmup, "total": total, "lr": lr, "lr_min": lr_min}
            if warmup:
                yield Case("warm-up", {**common, "steps": list(range(warmup))})
            yield Case("cosine", {**common, "steps": list(range(warmup, total))})
            yield Case("end", {**common, "steps": [total, total + 1, 2 * total - warmup, 10 * total]})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The rate at each step."""
        sizes = [inputs[name] for name in ("warmup", "total", "lr", "lr_min")]
        return [float(student.lr_at(step, *sizes)) for step in inputs["steps"]]

    def judge(self, case: Case, answer: Any) -> Verdict:
        """All rates against those of each mistake."""
        inputs, steps = case.inputs, case.inputs["steps"]
        warmup, total, lr, lr_min = (inputs[name] for name in ("warmup", "total", "lr", "lr_min"))
        given = f"steps {steps[0]} to {steps[-1]}, warmup={warmup}, total={total}, lr={lr:g}, lr_min={lr_min:g}"
        want = [rate(inputs, step) for step in steps]
        if close(answer, want):
            return right()

        def wave(share: float) -> float:
            return (1 + math.cos(math.pi * share)) / 2

        flat = {**inputs, "warmup": 0}
        linear = [np.interp(step, [warmup, total], [lr, lr_min]) if step >= warmup else 0 for step in steps]
        suspects = [
            (
                [rate(flat, step) for step in steps] if case.criterion == "warm-up" else None,
                "there is no warm-up: the cosine begins at step 0",
            ),
            ([rate(inputs, step + 1) for step in steps] if steps[0] else None, "the fall is one step early"),
            ([rate(inputs, step - 1) for step in steps] if steps[0] else None, "the fall is one step late"),
            ([lr * (step + 1) / warmup for step in steps] if warmup else None, "the rise is one step early"),
            ([lr * (step + 1) / (warmup + 1) for step in steps], "the rise begins above 0 at step 0"),
            (
                [lr_min + (lr - lr_min) * step / (warmup or 1) for step in steps],
                "the rise begins at lr_min; at 0, asked",
            ),
            (
                [lr_min + (lr - lr_min) * wave(min(1.0, step / total)) for step in steps],
                "the cosine counts its share from step 0; it begins where the warm-up ends",
            ),
            (
                [lr_min + (lr - lr_min) * wave(min(1.0, (step - warmup) / total)) for step in steps],
                "the cosine's length is total; it has only total - warmup steps",
            ),
            (
                [lr * wave(min(1.0, (step - warmup) / (total - warmup))) for step in steps],
                "it falls to 0, not to lr_min",
            ),
            (
                [max(lr_min, lr * wave(min(1.0, (step - warmup) / (total - warmup)))) for step in steps],
                "a fall to 0 cut off at lr_min; the wave ends at lr_min, flat",
            ),
            (
                [lr_min + lr * wave(min(1.0, (step - warmup) / (total - warmup))) for step in steps],
                "it begins at lr + lr_min: the wave's height is lr - lr_min",
            ),
            (
                [lr_min + (lr - lr_min) * wave((step - warmup) / (total - warmup)) for step in steps],
                "after the end the rate rises again; it stays at lr_min",
            ),
            (
                [lr_min + (lr - lr_min) * wave(2 * (step - warmup) / (total - warmup)) for step in steps],
                "that is a whole wave; half of one was asked",
            ),
            (linear, "the fall is a straight line"),
            (
                [lr_min + (lr - lr_min) * math.cos(math.pi / 2 * (step - warmup) / (total - warmup)) for step in steps],
                "that is a quarter of a wave, which ends steep",
            ),
        ]
        found = [(value, f"{words}; {given}") for value, words in suspects if value is not None]
        found = [(value, words) for value, words in found if not close(value, want)]
        return name_the_mistake(answer, found, f"these are not the rates of the schedule; {given}")


# ----------------------------------------------------------------------------------- 4.6 held-out loss


def causal_logits(ids: Sequence[int], arrays: dict[str, Any]) -> np.ndarray:
    """The toy model of 4.6 and 4.7: each place reads its window up to itself, older tokens fading."""
    state, found = np.zeros(arrays["table"].shape[1]), []
    for place, token in enumerate(ids):
        state = 0.6 * state + arrays["table"][token] + 0.1 * place
        found.append(np.tanh(state) @ arrays["head"])
    return np.array(found).reshape(len(ids), -1)


def token_nlls(ids: Sequence[int], arrays: dict[str, Any]) -> np.ndarray:
    """The negative log-probability of each token of a text but the first."""
    scores = causal_logits(ids[:-1], arrays)
    top = scores.max(-1, keepdims=True)
    logp = scores - top - np.log(np.exp(scores - top).sum(-1, keepdims=True))
    return np.asarray(-logp[np.arange(len(ids) - 1), list(ids[1:])])


TOY = """
class Toy(torch.nn.Module):
    def __init__(self, table, head, longest):
        super().__init__()
        self.table = torch.nn.Parameter(torch.tensor(table))
        self.head = torch.nn.Parameter(torch.tensor(head))
        self.longest, self.calls = longest, []

    def forward(self, ids):
        self.calls.append([self.training, torch.is_grad_enabled(), list(ids.shape)])
        if ids.ndim != 2:
            raise ValueError(f"the model takes ids of shape (batch, seq), it was given {tuple(ids.shape)}")
        if self.longest and ids.shape[1] > self.longest:
            raise ValueError(f"the model takes {self.longest} tokens, it was given {ids.shape[1]}")
        state, found = torch.zeros(len(ids), self.table.shape[1], dtype=torch.float64), []
        for place in range(ids.shape[1]):
            state = 0.6 * state + self.table[ids[:, place]] + 0.1 * place
            found.append(torch.tanh(state) @ self.head)
        return torch.stack(found, dim=1) * (3.0 if self.training and self.longest else 1.0)
"""
"""The same in torch, for the probes: a place reads only what is before it; in training mode it answers otherwise."""


class Evaluate(HiddenCheck):
    """4.6: a model whose answers depend on where a window begins and on its mode."""

    exercise = "evaluate"
    uses = ("evaluate",)
    criteria = {"sum": 1.0, "last window": 0.5, "mode and gradients": 0.5}
    forbids = {"nn.utils.rnn.pad_sequence": "a loop over windows is enough, and nothing needs padding"}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Streams that fill their windows and streams that do not; one window; two tokens; both modes."""
        for length, seq in ((13, 4), (21, 5), (9, 8)):
            yield Case("sum", self._draw(rng, length, seq))
        for length, seq in ((15, 4), (10, 4), (8, 3), (5, 9), (2, 3), (6, 1)):
            yield Case("last window", self._draw(rng, length, seq))
        for training in (True, False):
            yield Case("mode and gradients", {**self._draw(rng, 13, 4), "training": training, "modes": True})

    @staticmethod
    def _draw(rng: np.random.Generator, length: int, seq: int) -> dict[str, Any]:
        return {
            "ids": rng.integers(6, size=length).tolist(),
            "seq": seq,
            "table": rng.normal(size=(6, 4)),
            "head": rng.normal(size=(4, 6)),
            "training": False,
            "toy": TOY,
        }

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Sum and count, the model's mode before, during and after, and what gradients were left."""
        import torch

        names = {"torch": torch}
        exec(inputs["toy"], names)  # noqa: S102 (our own text, so that two probes share one model)
        model = names["Toy"](inputs["table"], inputs["head"], inputs["seq"])
        model.train(inputs["training"])
        ids = torch.tensor(inputs["ids"])
        before = ids.clone()
        total, count = student.evaluate(model, ids, inputs["seq"])
        return {
            "total": float(total),
            "count": int(count),
            "types": [type(total).__name__, type(count).__name__],
            "tracked": bool(getattr(total, "requires_grad", False)) or any(call[1] for call in model.calls),
            "trained": any(call[0] for call in model.calls),
            "after": model.training,
            "grad": torch.is_grad_enabled(),
            "intact": bool((ids == before).all()),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Count, sum, then mode and gradients where they are asked for."""
        ids, seq = case.inputs["ids"], case.inputs["seq"]
        given = f"{len(ids)} tokens, seq={seq}"
        if not answer["intact"]:
            return wrong(f"the stream was changed by the call; {given}")
        if case.criterion == "mode and gradients":
            if answer["trained"]:
                return wrong(f"the model was asked in training mode: dropout would be on; {given}")
            if answer["tracked"]:
                return wrong(f"gradients were tracked: measure inside torch.no_grad(); {given}")
            if answer["after"] is not case.inputs["training"]:
                now = "training" if answer["after"] else "eval"
                return wrong(f"the model is in {now} mode afterwards, which is not where it was; {given}")
            if not answer["grad"]:
                return wrong(f"gradients are switched off after the call; {given}")
        windows = [ids[start : start + seq + 1] for start in range(0, len(ids) - 1, seq)]
        losses = [token_nlls(window, case.inputs) for window in windows]
        want, count = float(sum(part.sum() for part in losses)), len(ids) - 1
        if close(answer["total"], want, rtol=1e-6) and answer["count"] == count:
            if answer["types"] != ["float", "int"]:
                return wrong(f"a float and an int were asked, these are {' and '.join(answer['types'])}; {given}")
            return right()
        full = [part for part in losses if len(part) == seq]
        apart = [ids[start : start + seq + 1] for start in range(0, len(ids), seq + 1)]
        apart_losses = [token_nlls(window, case.inputs) for window in apart if len(window) > 1]
        short = [ids[start : start + seq] for start in range(0, len(ids), seq)]
        short_losses = [token_nlls(window, case.inputs) for window in short if len(window) > 1]
        suspects = [
            ((sum(part.sum() for part in full), sum(map(len, full))), "the short last window was dropped"),
            (
                (sum(part.sum() for part in apart_losses), sum(map(len, apart_losses))),
                "windows begin after the last token of the one before: some tokens are never predicted",
            ),
            (
                (sum(part.sum() for part in short_losses), sum(map(len, short_losses))),
                "the first token of each window is never predicted",
            ),
            ((want, len(ids)), "the first token is counted although nothing predicts it"),
            ((want, len(losses)), "the count is that of the windows; tokens were asked"),
            ((sum(part.mean() for part in losses), len(losses)), "means of windows were added; add the sums"),
            ((sum(part.mean() for part in losses), count), "means of windows were added; add the sums"),
            ((want / count, count), "the total is a mean; a sum was asked"),
            ((np.mean([part.mean() for part in losses]), count), "a mean of means; a sum was asked"),
            ((want / math.log(2), count), "the total is in bits; nats were asked"),
        ]
        for pair, words in suspects:
            if close([answer["total"], answer["count"]], pair, rtol=1e-6) and not close(pair, [want, count]):
                return wrong(f"{words}; {given}")
        if answer["count"] != count:
            return wrong(f"{answer['count']} tokens are counted; each but the first is predicted once; {given}")
        return wrong(f"the sum is not that of the tokens, each given its window before it; {given}")


# ------------------------------------------------------------------------------------------- 4.7 cloze


def cloze_scores(inputs: dict[str, Any]) -> list[np.ndarray]:
    """For each candidate the losses of all its text's tokens but the first."""
    return [token_nlls([*inputs["left"], *each, *inputs["right"]], inputs) for each in inputs["candidates"]]


def ranked(scores: Sequence[float]) -> list[int]:
    """Numbers by falling score, equals in order."""
    return [int(number) for number in np.argsort([-score for score in scores], kind="stable")]


def cloze_suspects(inputs: dict[str, Any]) -> dict[str, list[int]]:
    """The ranking of each common mistake."""
    start = len(inputs["left"]) - 1
    sizes = [len(each) for each in inputs["candidates"]]
    losses = cloze_scores(inputs)
    return {
        "only the first token of a candidate is scored; all of them count": ranked([-one[start] for one in losses]),
        "what stands after the gap is ignored: the text must go on well after the filling": ranked(
            [-one[start : start + size].sum() for one, size in zip(losses, sizes, strict=True)]
        ),
        "scores are divided by the number of tokens; sums were asked": ranked([-one[start:].mean() for one in losses]),
        "scores are divided by the number of the candidate's tokens; sums were asked": ranked(
            [-one[start:].sum() / size for one, size in zip(losses, sizes, strict=True)]
        ),
        "the mean is taken over the whole text; sums were asked": ranked([-one.mean() for one in losses]),
        "only what stands after the gap is scored": ranked(
            [-one[start + size :].sum() for one, size in zip(losses, sizes, strict=True)]
        ),
        "the candidate's first token is left out": ranked([-one[start + 1 :].sum() for one in losses]),
        "best first was asked; this is the worst first": ranked([one[start:].sum() for one in losses]),
    }


class Cloze(HiddenCheck):
    """4.7: texts drawn until every mistake ranks otherwise than the right answer."""

    exercise = "cloze"
    uses = ("cloze_rank",)
    criteria = {"ranking": 2.0, "ends and ties": 0.5, "inputs and gradients": 0.5}
    forbids = {"nn.CrossEntropyLoss": "score the candidate and what follows, token by token"}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Candidates of unlike length; for each mistake a text that it ranks wrongly."""
        for number in range(len(cloze_suspects(self._draw(rng, 3, 2)))):
            for _ in range(2000):
                inputs = self._draw(rng, int(rng.integers(1, 5)), int(rng.integers(1, 4)))
                slips = list(cloze_suspects(inputs).values())
                want = self._want(inputs)
                if slips[number] != want and sum(slip == slips[number] for slip in slips) == 1:
                    yield Case("ranking", inputs)
                    break
        yield Case("ends and ties", self._draw(rng, 2, 0))
        twice = self._draw(rng, 3, 2)
        twice["candidates"] = [twice["candidates"][number] for number in (2, 0, 1, 0, 2)]
        yield Case("ends and ties", twice)
        one = self._draw(rng, 1, 1)
        one["candidates"] = one["candidates"][:1]
        yield Case("ends and ties", one)
        yield Case("inputs and gradients", {**self._draw(rng, 3, 2), "tidy": True})

    @staticmethod
    def _draw(rng: np.random.Generator, left: int, right_: int) -> dict[str, Any]:
        return {
            "left": rng.integers(7, size=left).tolist(),
            "right": rng.integers(7, size=right_).tolist(),
            "candidates": [rng.integers(7, size=size).tolist() for size in rng.permutation([1, 2, 2, 3])],
            "table": rng.normal(size=(7, 5)),
            "head": rng.normal(size=(5, 7)) * 1.5,
            "toy": TOY,
        }

    @staticmethod
    def _want(inputs: dict[str, Any]) -> list[int]:
        start = len(inputs["left"]) - 1
        return ranked([-one[start:].sum() for one in cloze_scores(inputs)])

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The ranking, the lists afterwards, and gradients left on the model."""
        import torch

        names = {"torch": torch}
        exec(inputs["toy"], names)  # noqa: S102 (our own text, so that two probes share one model)
        model = names["Toy"](inputs["table"], inputs["head"], 0).eval()
        left, right = list(inputs["left"]), list(inputs["right"])
        candidates = [list(each) for each in inputs["candidates"]]
        ranking = student.cloze_rank(model, left, candidates, right)
        lists = [left, candidates, right] == [inputs["left"], inputs["candidates"], inputs["right"]]
        return {
            "ranking": [int(number) for number in ranking],
            "plain": type(ranking) is list and all(type(number) is int for number in ranking),
            "intact": lists,
            "left": any(weight.grad is not None for weight in model.parameters()),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Inputs, then the ranking against those of each mistake."""
        inputs = case.inputs
        sizes = ", ".join(str(len(each)) for each in inputs["candidates"])
        given = f"left of {len(inputs['left'])}, candidates of {sizes}, right of {len(inputs['right'])} tokens"
        if not answer["intact"]:
            return wrong(f"a list of tokens was changed by the call; {given}")
        if answer["left"]:
            return wrong(f"a gradient was left on the model: nothing is trained here; {given}")
        want = self._want(inputs)
        if answer["ranking"] == want:
            return right() if answer["plain"] else wrong(f"a list of ints was asked; {given}")
        if sorted(answer["ranking"]) != list(range(len(inputs["candidates"]))):
            return wrong(f"{answer['ranking']} does not name each candidate once; {given}")
        for words, other in cloze_suspects(inputs).items():
            if answer["ranking"] == other:
                return wrong(f"{words}; {given}")
        scores = [-one[len(inputs["left"]) - 1 :].sum() for one in cloze_scores(inputs)]
        if close([scores[number] for number in answer["ranking"]], [scores[number] for number in want]):
            return wrong(f"equals did not keep their order; {given}")
        return wrong(f"this is not the order of the texts' probabilities; {given}")


# --------------------------------------------------------------------------------------- 4.8 exposure


class Exposure(HiddenCheck):
    """4.8: ranks in the middle and at both ends, equals, and probabilities of zero."""

    exercise = "exposure"
    uses = ("exposure",)
    criteria = {"rank": 1.0, "equals": 0.5, "ends and inputs": 0.5}
    forbids = {"torch.searchsorted": "count who is at least as likely"}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Unsorted values; sizes that are no powers of two."""
        for size in (11, 37, 500):
            others = rng.normal(size=size) * 5 - 20
            place = int(rng.integers(2, size // 2 - 1))
            yield Case("rank", {"canary": float(np.sort(others)[-place] + 1e-6), "others": others})
        several = np.array([-4.0, -7.0, -4.0, -9.0, -4.0, -2.5, -11.0])
        yield Case("equals", {"canary": -4.0, "others": rng.permutation(several)})
        yield Case("equals", {"canary": -5.0, "others": np.full(6, -5.0)})
        yield Case("ends and inputs", {"canary": -1.0, "others": rng.permutation(np.linspace(-9.0, -2.0, 7))})
        yield Case("ends and inputs", {"canary": -30.0, "others": rng.permutation(np.linspace(-9.0, -2.0, 5))})
        yield Case("ends and inputs", {"canary": -3.0, "others": np.array([-np.inf, -2.0, -np.inf])})
        yield Case("ends and inputs", {"canary": -3.0, "others": np.array([-8.0])})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The exposure, its type, and the tensor afterwards."""
        import torch

        others = torch.tensor(inputs["others"])
        got = student.exposure(inputs["canary"], others)
        return {"value": float(got), "type": type(got).__name__, "after": others}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Input, value, type."""
        canary, others = case.inputs["canary"], case.inputs["others"]
        given = f"{len(others)} others, {int((others == canary).sum())} of them as likely as the canary"
        if not np.array_equal(answer["after"], others):
            return wrong(f"the tensor was changed by the call: sort a copy; {given}")
        ahead, equal = sum(value > canary for value in others.tolist()), int((others == canary).sum())
        size, rank = len(others), 1 + ahead + equal
        want = math.log(size / rank, 2)
        if close(answer["value"], want, atol=1e-9):
            if answer["type"] != "float":
                return wrong(f"a float was asked, this is {answer['type']}; {given}")
            return right()
        behind = size - ahead - equal
        suspects = [
            (max(0.0, want), "cut off at 0; below chance it is a little below 0"),
            (math.log(size / rank), "that is in nats; bits were asked"),
            (math.log10(size / rank), "that is the logarithm to base 10; bits were asked"),
            (math.log2(size / (1 + ahead)), "those as likely as the canary stand before it"),
            (math.log2(size / (1 + ahead + equal / 2)), "those as likely as the canary stand before it, all of them"),
            (math.log2(size / (rank - 1)) if rank > 1 else math.inf, "the rank counts from 0; the first has rank 1"),
            (math.log2(size / (1 + behind)), "ranked from the unlikely end: likely codes come first"),
            (math.log2(size / (1 + behind + equal)), "ranked from the unlikely end: likely codes come first"),
            (math.log2((size + 1) / rank), "the canary is counted among the R others"),
            (math.log2(rank), "that is the rank's logarithm; exposure is what is missing to the whole"),
            (-want, "the sign is turned: a high rank number is a low exposure"),
        ]
        found = [(value, f"{words}; {given}") for value, words in suspects if not close(value, want, atol=1e-9)]
        return name_the_mistake(answer["value"], found, f"this is not log2 R - log2 rank; {given}", atol=1e-9)
