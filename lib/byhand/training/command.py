"""Pre-train a GPT from the command line: `python -m byhand.training FOLDER`.

Holds the command: its options are the fields of `GPTConfig` and `TrainingConfig`, and their documentation is its
help. Belongs to `byhand.training`. Built in chapter 4.
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import torch
from jaxtyping import Int
from torch import Tensor

from byhand import lab
from byhand.gpt import GPT, GPTConfig
from byhand.metrics import bits_per_byte
from byhand.packing import Windows
from byhand.training.config import TrainingConfig, field_docs
from byhand.training.evaluation import evaluate, heldout_loss
from byhand.training.loop import train

PRESETS = {"tiny": GPTConfig.tiny, "small": GPTConfig.small, "gpt2": GPTConfig.gpt2}
LARGEST_COUNTED = 2_000_000
"""Tokens of training text up to which the trigram model of the figure is counted."""


@dataclass
class Corpus:
    """A text as token ids, in two parts.

    Attributes:
        train: what is learned from.
        heldout: what is not.
        vocab_size: number of different tokens.
        text: the held-out part as text, for bits a byte; empty where tokens are words.
        references: losses in nats to compare with.
    """

    train: Int[Tensor, " learned"]
    heldout: Int[Tensor, " kept"]
    vocab_size: int
    text: str
    references: dict[str, float]


def read_corpus(name: str) -> Corpus:
    """The corpus of that name, or the text file at that path.

    Raises:
        ValueError: when there is no such file, or it is no text, or too short.
    """
    if name == "stories":
        return _stories()
    from byhand.corpora.tokenizer import load_tokenizer

    if name == "python-docs":
        from byhand.corpora.python_docs import ready_split

        texts = ready_split()
    else:
        whole = _read_text(Path(name))
        border = len(whole) * 9 // 10
        texts = whole[:border], whole[border:]
    tokenizer = load_tokenizer()
    train, heldout = (torch.tensor(tokenizer.encode(text).ids, dtype=torch.long) for text in texts)
    if len(heldout) < 2:
        raise ValueError(f"{name} is too short to train on: its last tenth, {len(heldout)} tokens, is held out")
    return Corpus(train, heldout, tokenizer.get_vocab_size(), texts[1], {})


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(
            f"cannot read the corpus {path} ({error.strerror}): give python-docs, stories, or a text file's path"
        ) from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}): convert it first") from None


def _stories() -> Corpus:
    from byhand.corpora.stories import sample_stories, story_grammar, story_ids

    train, heldout = (torch.tensor(story_ids(sample_stories(count, seed))) for count, seed in ((20_000, 0), (500, 1)))
    references = {"entropy": story_grammar().entropy_per_token()}
    return Corpus(train, heldout, len(story_grammar().vocabulary), "", references)


def trigram_loss(corpus: Corpus) -> float:
    """The held-out loss of a trigram model, in nats a token: what counting reaches."""
    from byhand.ngram import NGramLM

    counted = NGramLM(3, corpus.vocab_size, smoothing="kneser_ney").fit(corpus.train.numpy())
    return counted.nll(corpus.heldout.numpy()) / len(corpus.heldout)


def make_parser() -> argparse.ArgumentParser:
    """The command's options; the configurations' fields are theirs."""
    parser = argparse.ArgumentParser(
        prog="python -m byhand.training",
        description="Train a GPT to predict the next token of a corpus. Run it again to go on with a run that was "
        "stopped; run it under torchrun to use several processes: torchrun --nproc-per-node 2 -m byhand.training ...",
        epilog="In FOLDER: model.safetensors and config.json for GPT.from_pretrained(FOLDER), history.json, loss.svg, "
        "and checkpoint.pt, from which a stopped run goes on bit for bit. Wrong input ends with status 2.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the run is kept")
    parser.add_argument(
        "--corpus",
        default="python-docs",
        metavar="NAME",
        help="python-docs (Python's own documentation), stories (drawn from a grammar whose entropy is known), or the "
        "path of a UTF-8 text, whose last tenth is held out (default: python-docs)",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    model = parser.add_argument_group("the model")
    model.add_argument("--model", choices=PRESETS, default="tiny", help="sizes to start from (default: tiny)")
    add_fields(model, GPTConfig, leave_out=["vocab_size"])
    add_fields(parser.add_argument_group("training"), TrainingConfig, defaults={"steps": 500, "eval_every": 100})
    return parser


def add_fields(
    group: Any, config: type, *, leave_out: Sequence[str] = (), defaults: dict[str, object] | None = None
) -> None:
    """An option for each field of a configuration, left at None unless given, with the field's documentation."""
    docs = field_docs(config)
    for field in dataclasses.fields(config):
        if field.name in leave_out:
            continue
        default = (defaults or {}).get(field.name, None if config is GPTConfig else field.default)
        said = docs[field.name].replace("`", "").replace("%", "%%").rstrip(".")
        option: dict[str, Any] = {"help": said if default is None else f"{said} (default: {default})"}
        if field.type is bool:
            option["action"] = argparse.BooleanOptionalAction
        elif get_origin(field.type) is Literal:
            option["choices"] = get_args(field.type)
        else:
            option |= {"type": field.type, "metavar": "N" if field.type is int else "X"}
        group.add_argument(f"--{field.name.replace('_', '-')}", default=default, **option)


def chosen(config: type, options: argparse.Namespace) -> dict[str, Any]:
    """The fields of a configuration that the command line sets."""
    fields = ((field.name, getattr(options, field.name, None)) for field in dataclasses.fields(config))
    return {name: value for name, value in fields if value is not None}


def run(options: argparse.Namespace) -> None:
    """Train as the options say, and write what came out into the folder.

    Raises:
        ValueError: when settings contradict each other, the corpus cannot be read, or the folder holds another run.
    """
    corpus = read_corpus(options.corpus)
    config = PRESETS[options.model](**{**chosen(GPTConfig, options), "vocab_size": corpus.vocab_size})
    training = TrainingConfig(**chosen(TrainingConfig, options))
    model = GPT(config, torch.Generator().manual_seed(training.seed)).to(lab.device())
    seq = config.max_seq
    first = os.environ.get("RANK", "0") == "0"
    if first and not options.quiet:
        size = sum(weight.numel() for weight in model.parameters())
        print(  # noqa: T201
            f"{size:,} parameters, {len(corpus.train):,} tokens to learn from, "
            f"{training.steps * training.batch * seq:,} to be seen, on {lab.device()}"
        )
    history = train(
        model,
        Windows(corpus.train, seq),
        training,
        heldout=heldout_loss(corpus.heldout, seq),
        folder=options.folder,
        about={"corpus": options.corpus},
        show=not options.quiet,
    )
    if not first:
        return
    model.save(options.folder)
    references = corpus.references
    if len(corpus.train) <= LARGEST_COUNTED:
        references = {"trigram": trigram_loss(corpus), **references}
    history.plot(references, title=options.corpus).savefig(options.folder / "loss.svg", metadata={"Date": None})
    total, count = evaluate(model, corpus.heldout.to(lab.device()), seq)
    said = [f"held-out {total / count:.3f} nats a token"]
    said += [f"{bits_per_byte(total, corpus.text):.3f} bits a byte"] if corpus.text else []
    said += [f"{name} {loss:.3f}" for name, loss in references.items()]
    print(f"{', '.join(said)}; {options.folder}: model.safetensors, history.json, loss.svg")  # noqa: T201


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 when the run is finished, 2 when the input was wrong."""
    options = make_parser().parse_args(arguments)
    try:
        run(options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        print(f"\nstopped: the same command goes on from {options.folder}", file=sys.stderr)  # noqa: T201
        return 130
    return 0
