"""Pictures beside text: patches as tokens, contrastive pairs, and captions.

- `byhand.multimodal.patches`: a picture cut into patches, and put together again.
- `byhand.multimodal.contrastive`: the loss that brings the two views of a pair together.
- `byhand.multimodal.captions`: a small model that reads patches and writes text, and its loss.

Leaves out colour, sound, and pictures as output. Built in chapter 16.
"""

from byhand.multimodal.captions import Captioner, CaptionerConfig, caption_loss
from byhand.multimodal.contrastive import info_nce
from byhand.multimodal.patches import patchify, unpatchify

__all__ = ["Captioner", "CaptionerConfig", "caption_loss", "info_nce", "patchify", "unpatchify"]
