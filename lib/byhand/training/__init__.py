"""Training a model: one update, the loop around it, and everything a long run needs.

- `byhand.training.step`: one update, the learning rate, clipping.
- `byhand.training.loss`: the loss of the next token, in pieces.
- `byhand.training.evaluation`: the loss on held-out text.
- `byhand.training.optimizers`: AdamW and Muon.
- `byhand.training.config`: the settings of a run.
- `byhand.training.loop`: the loop over the updates, with its progress bar.
- `byhand.training.run`: what an update does: parts of batches, precision, schedule, checkpoints.
- `byhand.training.history`: the record of a run and its curve.
- `byhand.training.saving`: files that are there whole or not at all.
- `byhand.training.distributed`: one process or several under torchrun.
- `byhand.training.command`: pre-training a GPT from the command line, `python -m byhand.training`.
- `byhand.training.recipes`: how the shipped models are made, `python -m byhand.training.recipes`.

Leaves out other objectives than the next token
(chapter 5), loss scaling for fp16 (chapter 15) and models larger than one device. Built in chapter 4.
"""

from byhand.training.config import TrainingConfig
from byhand.training.evaluation import evaluate, evaluating, heldout_loss
from byhand.training.history import History
from byhand.training.loop import train
from byhand.training.loss import linear_cross_entropy, next_token_loss
from byhand.training.optimizers import AdamW, Muon, make_optimizers
from byhand.training.step import clip_gradients, lr_at, train_step

__all__ = [
    "AdamW",
    "History",
    "Muon",
    "TrainingConfig",
    "clip_gradients",
    "evaluate",
    "evaluating",
    "heldout_loss",
    "linear_cross_entropy",
    "lr_at",
    "make_optimizers",
    "next_token_loss",
    "train",
    "train_step",
]
