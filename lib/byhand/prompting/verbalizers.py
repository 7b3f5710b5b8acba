"""Classification by a language model: the label whose words it finds most likely after the prompt.

Holds the scoring of labels of several tokens, with calibration against a prompt without content. Leaves out
learned verbalizers and trained prompts (chapter 7 tunes prompts). Built in chapter 9.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from byhand.probability import log_softmax

CausalLM = Callable[[Int[Tensor, "batch seq"]], Float[Tensor, "batch seq vocab"]]
"""From token ids to the logits of each next token, each given the tokens up to its own place only."""


@torch.no_grad()
def verbalize(
    lm: CausalLM, prompt: Sequence[int], labels: Mapping[str, Sequence[int]], null_prompt: Sequence[int] | None = None
) -> dict[str, float]:
    """The probability of each label, from how likely its tokens are after the prompt; they sum to 1.

    A label's score is the mean log-probability of its tokens, so that a long label does not lose by its
    length; the prompt's own tokens do not count. With a `null_prompt` (the same words around an empty input)
    each label's score after that is subtracted: what the model says whatever it reads is no evidence
    (Zhao et al. 2021, section 4; in this form Holtzman et al. 2021). Softmax over the scores gives the
    probabilities.

    Args:
        lm: a causal model, such as `GPT`.
        prompt: token ids.
        labels: label to its token ids. Ids that belong to the space before a word must be there.
        null_prompt: token ids, or None for no calibration.

    Raises:
        ValueError: when a prompt is empty, there are no labels, or a label has no tokens.

    >>> likes_one = lambda ids: torch.tensor([0.0, 1.0, 0.0]).expand(*ids.shape, 3)
    >>> verbalize(likes_one, [0], {"one": [1], "two": [2]})["one"] > 0.7
    True
    >>> verbalize(likes_one, [0], {"one": [1], "two": [2]}, null_prompt=[2])
    {'one': 0.5, 'two': 0.5}
    """
    if not labels:
        raise ValueError("no labels to choose from: give at least one, as {name: token ids}")
    for name, ids in labels.items():
        if not ids:
            raise ValueError(f"label {name!r} has no tokens, so it has no probability; give its token ids")
    scores = _mean_logprobs(lm, prompt, labels, "prompt")
    if null_prompt is not None:
        scores = scores - _mean_logprobs(lm, null_prompt, labels, "null_prompt")
    return dict(zip(labels, log_softmax(scores).exp().tolist(), strict=True))


def _mean_logprobs(
    lm: CausalLM, prompt: Sequence[int], labels: Mapping[str, Sequence[int]], name: str
) -> Float[Tensor, " labels"]:
    """The mean log-probability of each label's tokens after the prompt, in nats."""
    if not prompt:
        raise ValueError(f"{name} is empty: the first label token needs a token before it, such as a begin token")
    rows = [torch.tensor([*prompt, *ids]) for ids in labels.values()]
    # Padding stands to the right, where a causal model cannot see it.
    batch = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    logprobs = log_softmax(lm(batch[:, :-1])[:, len(prompt) - 1 :].double())  # (labels, longest, vocab)
    targets = batch[:, len(prompt) :].to(logprobs.device)
    of_tokens = logprobs.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return torch.stack([row[: len(ids)].mean() for row, ids in zip(of_tokens, labels.values(), strict=True)])
