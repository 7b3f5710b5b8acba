"""A pretrained model put to a task: heads, what is trained and what is kept, labels, and how to score.

- `byhand.finetuning.pooling`: one vector for a sequence, whatever its padding.
- `byhand.finetuning.heads`: classifiers of texts, tokens and spans, and by the next word.
- `byhand.finetuning.freezing`: which weights learn, and features computed once.
- `byhand.finetuning.labels`: labels of words brought to their pieces; the best span of an answer.
- `byhand.finetuning.inputs`: a task's parts as one sequence for a decoder.
- `byhand.finetuning.rehearsal`: old examples among the new ones, against forgetting.
- `byhand.finetuning.glue`: the metrics of GLUE's tasks.

Leaves out tuning few parameters (chapter 7) and instructions (chapter 11). Built in chapter 6.
"""

from byhand.finetuning.freezing import encode_once, freeze
from byhand.finetuning.glue import glue_metric
from byhand.finetuning.heads import (
    LastTokenClassifier,
    NextWordClassifier,
    SpanPredictor,
    TextClassifier,
    TokenClassifier,
)
from byhand.finetuning.inputs import format_choices, format_nli, format_similarity
from byhand.finetuning.labels import align_labels, best_span
from byhand.finetuning.pooling import last_token, mean_pool
from byhand.finetuning.rehearsal import rehearsal

__all__ = [
    "LastTokenClassifier",
    "NextWordClassifier",
    "SpanPredictor",
    "TextClassifier",
    "TokenClassifier",
    "align_labels",
    "best_span",
    "encode_once",
    "format_choices",
    "format_nli",
    "format_similarity",
    "freeze",
    "glue_metric",
    "last_token",
    "mean_pool",
    "rehearsal",
]
