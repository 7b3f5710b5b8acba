"""T5: an encoder that reads, a decoder that writes and looks at what was read, every task as text to text.

- `byhand.t5.config`: the settings with their presets, 1.0 and 1.1.
- `byhand.t5.stack`: a block, and the stack of blocks that is the encoder or the decoder.
- `byhand.t5.model`: both together, with loss, initialisation, and loading from the hub's checkpoints.

Leaves out span corruption (`byhand.objectives`) and choosing tokens (chapter 8). Built in chapter 5.
"""

from byhand.t5.config import T5Config
from byhand.t5.model import T5
from byhand.t5.stack import T5Block, T5Stack

__all__ = ["T5", "T5Block", "T5Config", "T5Stack"]
