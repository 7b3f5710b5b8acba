"""What a model is asked to predict, when nobody labelled the text: the pre-training objectives.

- `byhand.objectives.masking`: BERT's masked tokens (80/10/10) and SpanBERT's masked spans.
- `byhand.objectives.sentence_pairs`: BERT's next-sentence pairs.
- `byhand.objectives.spans`: where spans fall, and T5's span corruption with its inverse.
- `byhand.objectives.noise`: BART's five ways to spoil a document.
- `byhand.objectives.prefix`: the mask of a prefix language model.
- `byhand.objectives.batches`: each of them as padded batches, ready for a training loop.

Leaves out the causal objective (chapter 4), replaced-token detection (ELECTRA) and the mixture of UL2. Built in
chapter 5.
"""

from byhand.objectives.batches import (
    Drawn,
    denoising_batch,
    mlm_batch,
    nsp_batch,
    pad_rows,
    prefix_batch,
    span_batch,
    summed_loss,
)
from byhand.objectives.masking import mlm_corrupt, mlm_corrupt_spans
from byhand.objectives.noise import (
    delete_tokens,
    infill_spans,
    mask_tokens,
    permute_sentences,
    rotate_document,
    text_infill,
)
from byhand.objectives.prefix import prefix_lm_mask
from byhand.objectives.sentence_pairs import nsp_pairs
from byhand.objectives.spans import restore_spans, span_corrupt, span_mask

__all__ = [
    "Drawn",
    "delete_tokens",
    "denoising_batch",
    "infill_spans",
    "mask_tokens",
    "mlm_batch",
    "mlm_corrupt",
    "mlm_corrupt_spans",
    "nsp_batch",
    "nsp_pairs",
    "pad_rows",
    "permute_sentences",
    "prefix_batch",
    "prefix_lm_mask",
    "restore_spans",
    "rotate_document",
    "span_batch",
    "span_corrupt",
    "span_mask",
    "summed_loss",
    "text_infill",
]
