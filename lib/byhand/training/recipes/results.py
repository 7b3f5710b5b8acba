"""What the shipped models reach on data they were not trained on: the numbers of their cards.

Each function takes a model and returns plain numbers. Answers are written by the simplest loop there is, which
computes every prefix again; chapters 8 and 13 have better ones. Belongs to `byhand.training.recipes`. Built in
chapter 4.
"""

import math
from collections import Counter
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from byhand import checkpoints
from byhand.corpora.operations import UNSEEN, bayes_accuracy, sample_rows
from byhand.corpora.operations import vocabulary as operation_vocabulary
from byhand.corpora.python_docs import ready_split
from byhand.corpora.stories import sample_stories, story_grammar, story_ids
from byhand.corpora.word_problems import Problem, ask, read_answer, sample_problems
from byhand.corpora.word_problems import vocabulary as word_vocabulary
from byhand.gpt import GPT
from byhand.training import evaluate, evaluating
from byhand.training.recipes.batches import docs_ids

HELD_OUT_SEED = 4_000_000
"""Of everything drawn here; the training draws come from a generator's 48 bits."""


def docs_results(model: GPT) -> dict[str, float]:
    """Perplexity and bits per byte on the held-out part of Python's documentation."""
    heldout = docs_ids()[1]
    nats, count = evaluate(model, heldout, model.config.max_seq)
    size = len(ready_split()[1].encode())
    return {"perplexity": _round(math.exp(nats / count)), "bits_per_byte": _round(nats / math.log(2) / size)}


def story_results(model: GPT, count: int = 400) -> dict[str, float]:
    """Nats a token on held-out stories, each from its beginning, beside the exact entropy of the same tokens."""
    stories = sample_stories(count, HELD_OUT_SEED)
    nats = tokens = 0.0
    for story in stories:
        total, length = evaluate(model, torch.tensor(story_ids([story])), model.config.max_seq)
        nats, tokens = nats + total, tokens + length
    truth = -math.fsum(story_grammar().logprob(story) for story in stories) / tokens
    return {"nats_per_token": _round(nats / tokens), "entropy": _round(truth), "excess": _round(nats / tokens - truth)}


def target_results(model: GPT) -> dict[str, float]:
    """`story_results`, and how often it keeps a token of the shipped draft, where there is one."""
    found = story_results(model)
    if "stories-draft" in checkpoints.names():
        found["acceptance"] = acceptance(model, GPT.from_checkpoint("stories-draft"))
    return found


def acceptance(target: GPT, draft: GPT, count: int = 100) -> float:
    """How often the target keeps a token of the draft: the mean of the sum of min(p, q), at temperature 1.

    Taken at the places of held-out stories. Leviathan et al. 2023, theorem 3.5.
    """
    kept: list[Tensor] = []
    with evaluating(target), evaluating(draft):
        for story in sample_stories(count, HELD_OUT_SEED + 1):
            ids = torch.tensor([story_ids([story])[:-1]])
            kept.append(torch.minimum(target(ids).softmax(-1), draft(ids).softmax(-1)).sum(-1)[0])
    return _round(torch.cat(kept).mean().item())


def operation_results(model: GPT, count: int = 1_000) -> dict[str, list[float]]:
    """Accuracy after 0 to 8 demonstrations, beside the best possible; and on operations never trained on."""
    words = operation_vocabulary()
    found: dict[str, list[float]] = {"accuracy": [], "bayes_optimal": [], "unseen_operations": []}
    for shots in range(9):
        for name, rows in (
            ("accuracy", sample_rows(count, shots, HELD_OUT_SEED + shots)),
            ("unseen_operations", sample_rows(count, shots, HELD_OUT_SEED + shots, UNSEEN)),
        ):
            ids = torch.tensor([[0, *words.encode(row.text)] for row in rows])
            with evaluating(model):
                guesses = model.next_logits(ids[:, :-1]).argmax(-1)
            found[name].append(_round((guesses == ids[:, -1]).float().mean().item()))
        found["bayes_optimal"].append(_round(float(bayes_accuracy(shots))))
    return found


def arithmetic_results(model: GPT, count: int = 400) -> dict[str, object]:
    """Exact-match accuracy on held-out word problems: direct, with steps by number of steps, and by majority.

    Written greedily, but for the samples at temperature 0.7 that self-consistency votes over (Wang et al. 2023).
    """
    each = count // 4
    problems = [
        problem
        for steps in (2, 3, 4, 5)
        for problem in sample_problems(each, HELD_OUT_SEED + steps, heldout=True, steps=[steps])
    ]
    shown = [problem.demonstrate("steps") for problem in sample_problems(2, HELD_OUT_SEED, steps=[3])]
    written = answer_problems(model, problems)
    few = problems[::4]
    rng = torch.Generator().manual_seed(HELD_OUT_SEED)
    samples = [answer_problems(model, few, temperature=0.7, rng=rng) for _ in range(8)]
    votes = [Counter(filter(None, answers)).most_common(1) for answers in zip(*samples, strict=True)]
    return {
        "problems": len(problems),
        "direct": exact_match(problems, answer_problems(model, problems, trigger=False)),
        "steps": exact_match(problems, written),
        "steps_by_number": {
            str(n): exact_match(problems[(n - 2) * each : (n - 1) * each], written[(n - 2) * each : (n - 1) * each])
            for n in (2, 3, 4, 5)
        },
        "problems_of_the_rest": len(few),
        "two_demonstrations_no_trigger": exact_match(
            few, answer_problems(model, few, trigger=False, demonstrations=shown)
        ),
        "one_sample": _round(sum(exact_match(few, answers) for answers in samples) / len(samples)),
        "majority_of_8": exact_match(few, [vote[0][0] if vote else None for vote in votes]),
    }


def answer_problems(
    model: GPT,
    problems: Sequence[Problem],
    *,
    trigger: bool = True,
    demonstrations: Sequence[str] = (),
    temperature: float = 0.0,
    rng: torch.Generator | None = None,
) -> list[int | None]:
    """The numbers that a model answers problems with; None where it gives no answer.

    Args:
        model: trained on word problems.
        problems: to ask.
        trigger: whether to ask for steps.
        demonstrations: shown before each question.
        temperature: 0 writes greedily.
        rng: of the draws, where the temperature is above 0.
    """
    words = word_vocabulary()
    prompts = [[0, *words.encode(ask(problem.question, demonstrations, trigger))] for problem in problems]
    texts = write_all(model, prompts, 64, words.encode("\n")[0], temperature, rng)
    return [read_answer(words.decode(ids)) for ids in texts]


def exact_match(problems: Sequence[Problem], answers: Sequence[int | None]) -> float:
    """The share of problems whose answer is right."""
    right = [problem.answer == answer for problem, answer in zip(problems, answers, strict=True)]
    return _round(sum(right) / len(right))


def write_all(
    model: GPT,
    prompts: Sequence[Sequence[int]],
    max_new: int,
    stop: int,
    temperature: float = 0.0,
    rng: torch.Generator | None = None,
    batch: int = 64,
) -> list[list[int]]:
    """What a model writes after each prompt, up to `max_new` tokens or the token `stop`, which is left out."""
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    found: dict[int, list[int]] = {}
    for start in range(0, len(order), batch):
        places = order[start : start + batch]
        lengths = torch.tensor([len(prompts[place]) for place in places])
        ids = torch.zeros(len(places), int(lengths.max()) + max_new, dtype=torch.long)
        for row, place in enumerate(places):
            ids[row, : lengths[row]] = torch.tensor(prompts[place])
        for place, text in zip(places, _write(model, ids, lengths, max_new, stop, temperature, rng), strict=True):
            found[place] = text[: text.index(stop)] if stop in text else text
    return [found[place] for place in range(len(prompts))]


def _write(
    model: GPT,
    ids: Int[Tensor, "batch seq"],
    lengths: Int[Tensor, " batch"],
    max_new: int,
    stop: int,
    temperature: float,
    rng: torch.Generator | None,
) -> list[list[int]]:
    """Fill `ids` behind each row's prompt. What lies behind a row's end is in its future, so needs no mask."""
    rows, done = torch.arange(len(ids)), torch.zeros(len(ids), dtype=torch.bool)
    new = torch.full((len(ids), max_new), stop)
    device = next(model.parameters()).device
    with evaluating(model):
        for step in range(max_new):
            ends = lengths + step
            hidden = model.hidden(ids[~done, : int(ends[~done].max())].to(device)).cpu()
            logits = model.head(hidden[torch.arange(len(hidden)), ends[~done] - 1].to(device)).float().cpu()
            new[~done, step] = _pick(logits, temperature, rng)
            ids[rows, ends] = new[:, step]
            done |= new[:, step] == stop
            if done.all():
                break
    return new.tolist()


def _pick(
    logits: Float[Tensor, "batch vocab"], temperature: float, rng: torch.Generator | None
) -> Int[Tensor, " batch"]:
    if temperature == 0:
        return logits.argmax(-1)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=rng).squeeze(-1)


def _round(value: float) -> float:
    return round(value, 4)
