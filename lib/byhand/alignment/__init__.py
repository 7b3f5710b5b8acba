"""From a model that goes on with a text to one that answers, and what can go wrong on the way.

- `byhand.alignment.chat`: conversations as text, and examples whose loss is on the answer alone.
- `byhand.alignment.self_instruct`: a pool of instructions that a model enlarges itself.
- `byhand.alignment.preferences`: losses of a reward model, of DPO, and the objective of RLHF.
- `byhand.alignment.risks`: bias of embeddings, membership inference, text repeated word for word.

Leaves out the training loop (chapter 4) and where the texts come from. Built in chapter 11.
"""

from byhand.alignment.chat import chat_template, sft_batch, sft_example
from byhand.alignment.preferences import dpo_loss, reward_loss, rlhf_objective, sequence_logprobs
from byhand.alignment.risks import membership_auc, verbatim_rate, weat
from byhand.alignment.self_instruct import grow_pool, rouge_l, self_instruct_filter

__all__ = [
    "chat_template",
    "dpo_loss",
    "grow_pool",
    "membership_auc",
    "reward_loss",
    "rlhf_objective",
    "rouge_l",
    "self_instruct_filter",
    "sequence_logprobs",
    "sft_batch",
    "sft_example",
    "verbatim_rate",
    "weat",
]
