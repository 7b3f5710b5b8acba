"""How the shipped models are made: one recipe each, from seeds to a file with its card.

- `byhand.training.recipes`: the recipes, and following one.
- `byhand.training.recipes.batches`: the data they train on.
- `byhand.training.recipes.results`: what the models reach.

`make checkpoints` makes all of them on one core of a laptop in about an hour; `python -m byhand.training.recipes
NAME` makes one, and goes on where it was stopped. Built in chapter 4.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from byhand import checkpoints
from byhand.corpora import operations, word_problems
from byhand.corpora.stories import story_grammar
from byhand.corpora.tokenizer import load_tokenizer
from byhand.gpt import GPT, GPTConfig
from byhand.packing import Windows
from byhand.training import TrainingConfig, next_token_loss, train
from byhand.training.history import running_mean
from byhand.training.recipes import batches, results
from byhand.training.run import Batches, Loss

RUNS = Path("build") / "checkpoints"
"""Where runs under way are kept, from the folder that the command is given in."""


@dataclass(frozen=True)
class Recipe:
    """How one model is made.

    Attributes:
        what: the model in one sentence.
        data: where its text comes from.
        tokens: gives what the ids stand for, in their order.
        model: its sizes.
        training: its training.
        draw: gives the source of batches.
        measure: what the model reaches on data that it was not trained on.
        loss: of a batch.
        start: the shipped model whose weights it begins with, if any.
    """

    what: str
    data: str
    tokens: Callable[[], Iterable[str]]
    model: GPTConfig
    training: TrainingConfig
    draw: Callable[[], Batches]
    measure: Callable[[GPT], dict]
    loss: Loss = next_token_loss
    start: str | None = None


def _plan(**changes: Any) -> TrainingConfig:
    """The training that the recipes share. The rate was chosen by trying 300 updates of word problems at four."""
    shared = {"optimizer": "muon", "precision": "bf16", "lr": 8e-3, "warmup": 50, "save_every": 100}
    return TrainingConfig(**{**shared, **changes})


def _docs() -> Batches:
    return Windows(batches.docs_ids()[0], seq=64)


def _docs_tokens() -> Iterable[str]:
    vocab = load_tokenizer().get_vocab()
    return sorted(vocab, key=lambda token: vocab[token])


def _stories(what: str, training: TrainingConfig, measure: Callable[[GPT], dict], **sizes: Any) -> Recipe:
    """A recipe for a story model of some size."""
    return Recipe(
        what,
        "byhand.corpora.stories, drawn anew for every update",
        lambda: story_grammar().vocabulary,
        GPTConfig(len(story_grammar().vocabulary), 256, **sizes),
        training,
        lambda: batches.story_rows,
        measure,
    )


def _arithmetic(training: str, **plan: Any) -> Recipe:
    """A recipe for a step-by-step model of some training."""
    return Recipe(
        f"Word problems of 2 to 5 steps, answered directly or step by step; {training}.",
        "byhand.corpora.word_problems without its held-out tenth, drawn anew for every update",
        lambda: word_problems.vocabulary().tokens,
        GPTConfig(len(word_problems.vocabulary()), 1024, 128, 4, 4, positions="rotary"),
        _plan(batch=4, **plan),
        lambda: batches.word_problem_lines,
        results.arithmetic_results,
        batches.lines_loss,
    )


def recipes() -> dict[str, Recipe]:
    """Every recipe by the name of its model; a draft comes before its target, a start before what begins with it.

    >>> list(recipes())[:3]
    ['python-docs', 'stories-draft', 'stories']
    """
    return {
        "python-docs": Recipe(
            "Python's documentation in the tokens of the shipped BPE tokenizer.",
            "training part of byhand.corpora.python_docs.ready_split()",
            _docs_tokens,
            GPTConfig(1024, 64, 128, 3, 4, dropout=0.15),
            _plan(steps=1_600, batch=16, lr=4e-3, weight_decay=0.3),
            _docs,
            results.docs_results,
        ),
        "stories-draft": _stories(
            "Stories from a grammar: the small draft of `stories`.",
            _plan(steps=1_200, batch=12),
            results.story_results,
            d_model=64,
            n_layers=1,
            n_heads=2,
        ),
        "stories": _stories(
            "Stories from a grammar whose true entropy is known.",
            _plan(steps=2_000, batch=12, lr=4e-3, weight_decay=0.0),
            results.target_results,
            d_model=192,
            n_layers=6,
            n_heads=6,
            positions="rotary",
        ),
        "operations": Recipe(
            "One of twelve hidden operations, inferred from up to eight demonstrations.",
            "byhand.corpora.operations, drawn anew for every update",
            lambda: operations.vocabulary().tokens,
            GPTConfig(len(operations.vocabulary()), 64, 128, 4, 4),
            _plan(steps=1_700, batch=56),
            lambda: batches.operation_rows,
            results.operation_results,
        ),
        "arithmetic-5": _arithmetic("about five minutes of training: half-trained", steps=1_100),
        "arithmetic-10": _arithmetic("about ten minutes of training", steps=2_200),
        "arithmetic-20": replace(
            _arithmetic("`arithmetic-10`, trained on", steps=1_500, lr=4e-3, seed=1), start="arithmetic-10"
        ),
    }


def follow(
    name: str,
    recipe: Recipe,
    *,
    device: str | torch.device = "cpu",
    runs: Path = RUNS,
    folder: Path = checkpoints.FOLDER,
    show: bool = True,
) -> Path:
    """Train a recipe's model, measure it as it will be read again, and store it with its card.

    A run that was stopped goes on from the last hundred updates; its folder is deleted when the model is stored.

    Args:
        name: of the checkpoint.
        recipe: how to make it.
        device: where to train.
        runs: folder for runs that are under way.
        folder: for the two files.
        show: whether to show a progress bar.

    Returns:
        The path of the weights.

    Raises:
        ValueError: as `byhand.training.train`; and as `byhand.checkpoints.read` where a start is needed.
    """
    training, run = recipe.training, runs / name
    resumed, started = run.exists(), time.process_time()
    model = GPT(recipe.model, torch.Generator().manual_seed(training.seed))
    if recipe.start is not None:
        model.load_weights(checkpoints.read(recipe.start, folder).weights)
    model.to(device)
    about = describe(recipe)
    history = train(model, recipe.draw(), training, loss=recipe.loss, folder=run, about=about["data"], show=show)
    cost = {"minutes": round(history.seconds / 60, 1), "updates": history.steps, "targets": history.targets}
    if torch.device(device).type == "cpu" and not resumed:
        cost["cpu_minutes"] = round((time.process_time() - started) / 60, 1)
    weights = {key: weight.detach().cpu().half() for key, weight in model.weights().items()}
    read_again = GPT(recipe.model).load_weights(weights)
    card = {
        **about,
        "parameters": sum(weight.numel() for weight in weights.values()),
        "cost": cost,
        "loss": [round(loss, 3) for loss in running_mean(history.loss)[:: -(-history.steps // 20)]],
        "results": recipe.measure(read_again),
        "made": {
            "by": f"python -m byhand.training.recipes {name} --steps {training.steps}",
            "on": str(device),
            "date": datetime.now(UTC).date().isoformat(),
            "torch": torch.__version__,
        },
    }
    path = checkpoints.write(name, weights, card, folder)
    shutil.rmtree(run)
    return path


def describe(recipe: Recipe) -> dict[str, Any]:
    """What a card says before any training: the model, its data by fingerprints, and every setting.

    The fingerprints are of the tokens in the order of their ids, and of the first batch.
    """
    training = recipe.training
    first = recipe.draw()(0, training.batch, torch.Generator().manual_seed(training.seed))
    return {
        "what": recipe.what,
        "data": {
            "text": recipe.data,
            "tokens": _fingerprint("\0".join(recipe.tokens()).encode()),
            "first_batch": _fingerprint(b"".join(part.numpy().tobytes() for part in first)),
        },
        "config": asdict(recipe.model),
        "start": recipe.start,
        "recipe": asdict(training),
    }


def lengthen(recipe: Recipe, steps: int) -> Recipe:
    """The recipe with another number of updates."""
    warmup = min(recipe.training.warmup, steps // 2)
    return replace(recipe, training=replace(recipe.training, steps=steps, warmup=warmup))


def _fingerprint(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
