"""What the shipped models are trained on: sources of batches that draw every update's text anew.

Each is called with the number of an update, a number of rows and a generator, as `byhand.training.train` does, and
the generator alone decides what is drawn. Belongs to `byhand.training.recipes`. Built in chapter 4.
"""

import random
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from byhand.corpora.operations import sample_rows
from byhand.corpora.operations import vocabulary as operation_vocabulary
from byhand.corpora.python_docs import ready_split
from byhand.corpora.stories import sample_stories, story_ids
from byhand.corpora.tokenizer import load_tokenizer
from byhand.corpora.word_problems import INSTRUCTIONS, Problem, Style, ask, sample_document, sample_problems
from byhand.corpora.word_problems import vocabulary as word_vocabulary
from byhand.packing import IGNORED
from byhand.training.loss import next_token_loss

SHOTS = 8
"""Demonstrations in a row of hidden operations; the query is the ninth."""

STREAM_EVERY = 8
"""Every so many updates stories follow one another in a row."""

LINES = 8
"""Single problems in one row of a batch; the examples of a few-shot text take their place in some updates."""

FEW_SHOT_EVERY = 12
"""Every so many updates a batch of few-shot texts: 2 to 8 problems, all answered in the same style."""

DIRECT = 0.2
"""The share of single problems that are answered without steps."""

Batch = tuple[Int[Tensor, "..."], Int[Tensor, "..."]]


def docs_ids() -> tuple[Int[Tensor, " train"], Int[Tensor, " heldout"]]:
    """Python's documentation as token ids, training and held-out part."""
    tokenizer = load_tokenizer()
    train, heldout = (torch.tensor(tokenizer.encode(text).ids) for text in ready_split())
    return train, heldout


def story_rows(step: int, batch: int, rng: torch.Generator, seq: int = 256) -> Batch:
    """Inputs and next tokens of stories, (batch, at most seq).

    In most updates one story to a row, padded: what it remembers is then found by content alone, and copying is
    learned soon. In every STREAM_EVERY-th, stories one after another: so the latest of several is learned too.

    >>> x, y = story_rows(0, 3, torch.Generator().manual_seed(1))
    >>> len(x), x[:, 0].tolist(), (y == 0).sum(-1).tolist()
    (3, [0, 0, 0], [1, 1, 1])
    """
    stream = step % STREAM_EVERY == STREAM_EVERY - 1
    stories = [sample_stories(seq // 20 + 1 if stream else 1, _seed(rng)) for _ in range(batch)]
    rows = [torch.tensor(story_ids(row)[: seq + 1]) for row in stories]
    x = pad_sequence([row[:-1] for row in rows], batch_first=True)
    return x, pad_sequence([row[1:] for row in rows], batch_first=True, padding_value=IGNORED)


def operation_rows(step: int, batch: int, rng: torch.Generator) -> Batch:
    """Rows of hidden operations; only results are targets, since operands cannot be foreseen.

    >>> x, y = operation_rows(0, 3, torch.Generator().manual_seed(1))
    >>> x.shape, (y != IGNORED).sum(-1).tolist()
    (torch.Size([3, 53]), [9, 9, 9])
    """
    words = operation_vocabulary()
    ids = torch.tensor([[0, *words.encode(row.text)] for row in sample_rows(batch, SHOTS, _seed(rng))])
    x, y = ids[:, :-1], ids[:, 1:]
    return x, y.masked_fill(x != words.encode("=")[0], IGNORED)


def word_problem_lines(step: int, batch: int, rng: torch.Generator) -> Batch:
    """Word problems with their answers, padded: (batch, lines, seq), for `lines_loss`.

    Most updates hold single problems, LINES to a row, where answers are targets and questions are not: numbers and
    names are drawn by chance. The trigger is never a target there, so the model writes steps when asked, not
    of its own accord. Every FEW_SHOT_EVERY-th update holds few-shot texts, one to a row, whose every token is a
    target: so questions are learned too.
    """
    draw = random.Random(_seed(rng))
    if step % FEW_SHOT_EVERY == FEW_SHOT_EVERY - 1:
        return _padded([[_few_shot(draw)] for _ in range(batch)])
    # Four times as many as needed, of which neighbours in length are taken: less padding, every length as often.
    count = LINES * batch
    problems = sorted(sample_problems(4 * count, _seed(rng)), key=lambda problem: len(problem.demonstrate("steps")))
    start = draw.randrange(4) * count
    lines = [_single(draw, problem) for problem in problems[start : start + count]]
    return _padded([lines[row::batch] for row in range(batch)])


def lines_loss(
    model: nn.Module, x: Int[Tensor, "batch lines seq"], y: Int[Tensor, "batch lines seq"]
) -> tuple[Float[Tensor, ""], Int[Tensor, ""]]:
    """`next_token_loss` of rows that hold several lines each."""
    return next_token_loss(model, x.flatten(0, 1), y.flatten(0, 1))


def _seed(rng: torch.Generator) -> int:
    return int(torch.randint(2**48, (), generator=rng))


def _single(draw: random.Random, problem: Problem) -> tuple[list[int], list[int]]:
    """Inputs and targets of one problem; the answer and the end are targets."""
    trigger = draw.random() >= DIRECT
    prompt = ask(problem.question, trigger=trigger, instruction=_instruction(draw))
    shown = word_vocabulary().encode(prompt)
    answer = word_vocabulary().encode(f" {problem.written_out if trigger else problem.direct}\n")
    return [0, *shown, *answer], [*[IGNORED] * len(shown), *answer, 0]


def _few_shot(draw: random.Random) -> tuple[list[int], list[int]]:
    """Inputs and targets of several problems in one style; everything is a target."""
    styles: tuple[Style, ...] = ("direct", "steps", "trigger")
    style = draw.choices(styles, (3, 4, 3))[0]
    text = sample_document(draw, style, draw.randint(2, 8))
    ids = word_vocabulary().encode(f"{_instruction(draw)}\n{text}".lstrip("\n"))
    return [0, *ids], [*ids, 0]


def _instruction(draw: random.Random) -> str:
    return draw.choice(INSTRUCTIONS) if draw.random() < 0.15 else ""


def _padded(rows: Sequence[Sequence[tuple[list[int], list[int]]]]) -> Batch:
    """Rows of lines of inputs and targets, as long as the longest."""
    seq = max(len(x) for row in rows for x, _ in row)
    x = torch.tensor([[ids + [0] * (seq - len(ids)) for ids, _ in row] for row in rows])
    y = torch.tensor([[ids + [IGNORED] * (seq - len(ids)) for _, ids in row] for row in rows])
    return x, y
