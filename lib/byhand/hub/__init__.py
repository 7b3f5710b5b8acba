"""Pretrained weights from a folder or the hub: reading them, their names there, and loading them under ours.

Imports no model, so that every model may load through it. Leaves out the checkpoints that the course ships
(`byhand.checkpoints`). Belongs to no chapter.
"""

from byhand.hub.folders import find_folder, load_tokenizer, minilm_folder, read_config, read_weights
from byhand.hub.loading import load_renamed, rename
from byhand.hub.names import BERT, BERT_WITH_HEADS, GPT2, T5, Names

__all__ = [
    "BERT",
    "BERT_WITH_HEADS",
    "GPT2",
    "T5",
    "Names",
    "find_folder",
    "load_renamed",
    "load_tokenizer",
    "minilm_folder",
    "read_config",
    "read_weights",
    "rename",
]
