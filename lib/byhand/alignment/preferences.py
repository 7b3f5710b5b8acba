"""Learning from which of two answers people prefer: a reward model, RLHF's objective, and DPO.

Leaves out sampling the answers and PPO's clipped steps. Built in chapter 11.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from byhand.probability import log_softmax


def reward_loss(chosen: Float[Tensor, " batch"], rejected: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
    """The mean of -log P(the chosen answer wins), where P is the logistic of the difference of rewards.

    Bradley and Terry's model (Ouyang et al. 2022, equation 1). Only differences count; the loss is computed as
    log(1 + exp(rejected - chosen)) without overflow.

    >>> reward_loss(torch.tensor([1e5]), torch.tensor([0.0])).item()
    0.0
    """
    return _softplus(rejected - chosen).mean()


def dpo_loss(
    policy_chosen: Float[Tensor, " batch"],
    policy_rejected: Float[Tensor, " batch"],
    reference_chosen: Float[Tensor, " batch"],
    reference_rejected: Float[Tensor, " batch"],
    beta: float = 0.1,
) -> Float[Tensor, ""]:
    """Preference learning without a reward model: the policy's own log-ratio to the reference is the reward.

    Rafailov et al. 2023, equation 7. ln 2 where the policy is the reference.

    Args:
        policy_chosen: log-probability of each preferred answer under the model that is trained, summed over its
            tokens, in nats.
        policy_rejected: of the other answers.
        reference_chosen: the same under the frozen reference; gets no gradient.
        reference_rejected: of the other answers.
        beta: how strongly the policy is held to the reference.

    Raises:
        ValueError: when beta is not positive.

    >>> same = torch.tensor([-3.0, -5.0])
    >>> round(dpo_loss(same, same - 1, same, same - 1).item(), 6)
    0.693147
    """
    if not beta > 0:
        raise ValueError(f"beta must be above 0, got {beta}: with 0 no preference would be learned")
    chosen = policy_chosen - reference_chosen.detach()
    rejected = policy_rejected - reference_rejected.detach()
    return _softplus(-beta * (chosen - rejected)).mean()


def rlhf_objective(
    reward: Float[Tensor, " batch"],
    logp: Float[Tensor, "batch seq"],
    logp_ref: Float[Tensor, "batch seq"],
    mask: Bool[Tensor, "batch seq"],
    beta: float = 0.1,
    baseline: Float[Tensor, " batch"] | float = 0.0,
) -> Float[Tensor, ""]:
    """What is to be maximised: its gradient is REINFORCE's for reward minus beta times the divergence.

    Each answer's return is its reward minus beta times the sum over its tokens of log(policy / reference); it says how
    much more or less likely the answer shall become, so no gradient runs through it. Ouyang et al. 2022, equation 2,
    without its pre-training term; Williams 1992 for the gradient.

    Args:
        reward: of each sampled answer.
        logp: log-probability of each sampled token under the policy, in nats.
        logp_ref: under the reference.
        mask: True at the answer's tokens, False at the prompt and at padding.
        beta: price of a nat of divergence.
        baseline: subtracted from the return; it lowers the variance and does not move the mean gradient.

    >>> logp = torch.tensor([[-1.0, -2.0]], requires_grad=True)
    >>> mask = torch.tensor([[True, False]])
    >>> rlhf_objective(torch.tensor([3.0]), logp, logp.detach(), mask).backward()
    >>> logp.grad.tolist()
    [[3.0, 0.0]]
    """
    divergence = (logp - logp_ref).masked_fill(~mask, 0.0).sum(dim=-1)
    advantage = (reward - beta * divergence - baseline).detach()
    return (advantage * logp.masked_fill(~mask, 0.0).sum(dim=-1)).mean()


def sequence_logprobs(
    logits: Float[Tensor, "batch seq vocab"], targets: Int[Tensor, "batch seq"], ignore_index: int = -100
) -> Float[Tensor, " batch"]:
    """The log-probability of each row's targets, summed over those that count, in nats: what DPO compares.

    >>> logits = torch.zeros(1, 3, 2)
    >>> round(sequence_logprobs(logits, torch.tensor([[0, 1, -100]])).item(), 4)
    -1.3863
    """
    counted = targets != ignore_index
    found = log_softmax(logits).gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return found.masked_fill(~counted, 0.0).sum(dim=-1)


def _softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)) for any x. Its slope at 0 is 1/2, which a sum of clamp and abs would miss: DPO begins there."""
    return torch.logaddexp(x, torch.zeros_like(x))
