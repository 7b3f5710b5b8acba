"""GPT: a stack of causal Transformer blocks that predicts the next token at every place.

- `byhand.gpt.config`: its settings with presets.
- `byhand.gpt.model`: the model, its initialisation, and loading: GPT-2 checkpoints of the hub, the course's own small
  models, and models that were trained here.

Leaves out training (`byhand.training`), choosing tokens (chapter 8) and the key-value cache (chapter 13). Built in
chapter 4.
"""

from byhand.gpt.config import GPTConfig
from byhand.gpt.model import GPT

__all__ = ["GPT", "GPTConfig"]
