"""Decoding: the engine against transformers and CTranslate2, same weights, same tokens.

The model is a random GPT-2 whose weights are float16 numbers, as those of shipped checkpoints are, so that storing
them as float16 changes nothing. 6 layers of width 384 and 8,192 tokens; with BENCH_LARGE=1, GPT-2's 124 M parameters.
"""

import functools
import os
import tempfile
from pathlib import Path

from measure import Contenders, row

LARGE = bool(os.environ.get("BENCH_LARGE"))
SHAPE = (
    {"vocab_size": 50257, "n_embd": 768, "n_layer": 12, "n_head": 12}
    if LARGE
    else {"vocab_size": 8192, "n_embd": 384, "n_layer": 6, "n_head": 6}
)
NAME = "124 M" if LARGE else "14 M"
NEW = 32 if LARGE else 128
PROMPT = 16
GAMMA = 4
BAND = "reading the weights from memory"
TRANSFORMERS, ASSISTED = "transformers generate", "transformers assisted generation"


@functools.cache
def models():
    """The model of transformers, the same as a GPT, and the folder that both come from."""
    import torch
    import transformers

    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    config = transformers.GPT2Config(n_positions=512, initializer_range=0.04, bos_token_id=0, eos_token_id=0, **SHAPE)
    return as_pair(transformers.GPT2LMHeadModel(config).half().float().eval(), "model")


@functools.cache
def scratch():
    return tempfile.TemporaryDirectory()


def as_pair(model, name):
    from byhand.gpt import GPT

    folder = Path(scratch().name) / name
    model.save_pretrained(folder)
    return model, GPT.from_pretrained(folder), folder


@functools.cache
def prompt():
    import torch

    return torch.randint(1, SHAPE["vocab_size"], (1, PROMPT), generator=torch.Generator().manual_seed(1))


def by_transformers(model, **options):
    """A call of `generate` that writes exactly NEW tokens."""
    import torch

    def write():
        ids = prompt()
        return model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=NEW,
            do_sample=False,
            pad_token_id=1,
            eos_token_id=None,
            **options,
        )

    return write


@functools.cache
def tokens():
    """Names for the ids, since CTranslate2 speaks in words."""
    return [f"t{number}" for number in range(SHAPE["vocab_size"])]


@functools.cache
def ctranslate2_generator(compute_type):
    import ctranslate2
    import transformers
    from ctranslate2.converters import TransformersConverter
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    _, _, folder = models()
    words = Tokenizer(WordLevel({token: number for number, token in enumerate(tokens())}, unk_token="t0"))
    named = dict.fromkeys(("unk_token", "bos_token", "eos_token"), "t0")
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, **named).save_pretrained(folder)
    out = folder.with_name(f"ct2-{compute_type}")
    TransformersConverter(str(folder)).convert(str(out), quantization=compute_type, force=True)
    return ctranslate2.Generator(str(out), device="cpu", compute_type=compute_type, inter_threads=1, intra_threads=1)


def by_ctranslate2(compute_type):
    generator = ctranslate2_generator(compute_type)
    start = [[tokens()[number] for number in prompt()[0].tolist()]]

    def write():
        return generator.generate_batch(
            start, max_length=NEW, min_length=NEW, beam_size=1, sampling_topk=1, include_prompt_in_result=False
        )[0].sequences_ids[0]

    return write


def greedy(weights):
    from byhand.inference import generate, prepare

    engine = prepare(models()[1], weights, max_seq=PROMPT + NEW)
    return lambda: generate(engine, prompt(), NEW)


@row(f"greedy decode, batch 1, fp32, {NAME}", {TRANSFORMERS: 1.6, "CTranslate2 float32": 1.0}, limit=BAND)
def greedy_fp32():
    run = {
        "byhand": greedy("fp32"),
        TRANSFORMERS: by_transformers(models()[0]),
        "CTranslate2 float32": by_ctranslate2("float32"),
    }
    mine = run["byhand"]().tolist()
    assert mine == run[TRANSFORMERS]().tolist()
    assert mine[0][PROMPT:] == run["CTranslate2 float32"]()
    return Contenders(run, dict.fromkeys(run, "same tokens"))


@row(f"greedy decode, batch 1, stored fp16, fp32 maths, {NAME}", {f"{TRANSFORMERS} fp32": 3.5}, limit=BAND)
def greedy_fp16():
    run = {"byhand": greedy("fp16"), f"{TRANSFORMERS} fp32": by_transformers(models()[0])}
    assert run["byhand"]().tolist() == run[f"{TRANSFORMERS} fp32"]().tolist()
    return Contenders(run, dict.fromkeys(run, "same tokens"))


@row(f"greedy decode, batch 1, int8, {NAME}", {"CTranslate2 int8": 1.0}, limit="170 small calls a token")
def greedy_int8():
    mine, theirs = distance_from_fp32()
    assert mine <= theirs, f"mean KL from fp32: {mine:.2e} against {theirs:.2e}"
    run = {"byhand": greedy("int8"), "CTranslate2 int8": by_ctranslate2("int8")}
    note = f"mean KL of the next token from fp32: {mine:.1e}, theirs {theirs:.1e}"
    return Contenders(run, {"CTranslate2 int8": note})


def distance_from_fp32():
    """How far int8 moves the next token's distribution, ours and CTranslate2's: mean KL over random texts, in nats."""
    import ctranslate2
    import numpy as np
    import torch
    from byhand.inference import prepare

    _, gpt, _ = models()
    ids = torch.randint(1, SHAPE["vocab_size"], (4, 24), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        exact = gpt(ids).log_softmax(-1)
    engine = prepare(gpt, "int8", max_seq=24)
    mine = []
    for line in ids:
        engine.reset()
        mine.append(torch.cat([engine.decode(token.view(1, 1)) for token in line]))
    words = [[tokens()[number] for number in line] for line in ids.tolist()]
    theirs = ctranslate2_generator("int8").forward_batch(words, return_log_probs=True)
    theirs = torch.from_numpy(np.array(theirs.to_device(ctranslate2.Device.cpu)))
    found = (torch.stack(mine).log_softmax(-1), theirs)
    return [float((exact.exp() * (exact - each)).sum(-1).mean()) for each in found]


def beams(weights):
    from byhand.inference import beam_search, prepare

    model, gpt, _ = models()
    engine = prepare(gpt, weights, batch=4, max_seq=PROMPT + NEW)
    run = {
        "byhand": lambda: beam_search(engine, prompt(), 4, NEW)[0],
        TRANSFORMERS: by_transformers(model, num_beams=4),
    }
    assert run["byhand"]().tolist() == run[TRANSFORMERS]().tolist()
    return Contenders(run, {TRANSFORMERS: "same tokens"})


@row(f"beam search, 4 beams, fp32, {NAME}", {TRANSFORMERS: 1.3}, rounds=5, limit="products with 4 rows")
def beams_fp32():
    return beams("fp32")


@row(f"beam search, 4 beams, stored fp16, fp32 maths, {NAME}", {TRANSFORMERS: 3.0}, rounds=5, limit=BAND)
def beams_fp16():
    return beams("fp16")


@functools.cache
def draft_pair():
    """A target and a draft of the same random family.

    The draft is the target's first layer with its embeddings; the target's other layers add little, so that the
    draft is right about as often as a trained one.
    """
    import copy

    import torch
    import transformers

    model, _, _ = models()
    target = copy.deepcopy(model)
    with torch.no_grad():
        for block in target.transformer.h[1:]:
            for projection in (block.attn.c_proj, block.mlp.c_proj):
                projection.weight.copy_((projection.weight * 0.25).half().float())
    config = transformers.GPT2Config.from_dict({**model.config.to_dict(), "n_layer": 1})
    draft = transformers.GPT2LMHeadModel(config).eval()
    draft.load_state_dict(target.state_dict(), strict=False)
    return as_pair(target, "target"), as_pair(draft, "draft")


def speculation(weights):
    from byhand.inference import prepare, speculate, speculate_rounds

    (their_target, target, _), (their_draft, draft, _) = draft_pair()
    their_draft.generation_config.num_assistant_tokens = GAMMA
    their_draft.generation_config.num_assistant_tokens_schedule = "constant"
    their_draft.generation_config.assistant_confidence_threshold = 0.0
    pair = [prepare(each, weights, max_seq=PROMPT + NEW) for each in (target, draft)]
    run = {
        "byhand": lambda: speculate(*pair, prompt()[0], GAMMA, NEW)[0],
        ASSISTED: by_transformers(their_target, assistant_model=their_draft),
    }
    mine = run["byhand"]().tolist()
    assert mine == run[ASSISTED]()[0].tolist() == by_transformers(their_target)()[0].tolist()
    rounds = list(speculate_rounds(*pair, prompt()[0], GAMMA, NEW))
    kept = sum(each.accepted for each in rounds) / sum(each.drafted for each in rounds)
    return Contenders(run, {ASSISTED: f"same tokens; {GAMMA} guesses a round, {kept:.0%} kept"})


@row(f"speculative decode, fp32, {NAME}", {ASSISTED: 1.2}, rounds=5, limit="the target's products with 5 rows")
def speculation_fp32():
    return speculation("fp32")


@row(f"speculative decode, stored fp16, fp32 maths, {NAME}", {ASSISTED: 3.5}, rounds=5, limit=BAND)
def speculation_fp16():
    return speculation("fp16")


@row(f"cache against none, 256 tokens, fp32, {NAME}", {"own loop without a cache": 9.0}, rounds=3)
def with_a_cache():
    import torch
    from byhand import decoding
    from byhand.inference import generate, prepare

    _, gpt, _ = models()
    engine = prepare(gpt, max_seq=256)
    run = {
        "byhand": lambda: generate(engine, prompt(), 256 - PROMPT),
        "own loop without a cache": lambda: decoding.generate(gpt.next_logits, prompt(), 256 - PROMPT),
    }
    assert torch.equal(run["byhand"](), run["own loop without a cache"]())
    return Contenders(run, {"own loop without a cache": "same tokens; the head for the last place only in both"})


@row(f"prefill into the cache, 256 tokens, fp32, {NAME}", {"transformers": 1.1}, limit="the matrix product's peak")
def prefill():
    import torch
    from byhand.inference import prepare

    model, gpt, _ = models()
    engine = prepare(gpt, max_seq=256)
    ids = torch.randint(1, SHAPE["vocab_size"], (1, 256), generator=torch.Generator().manual_seed(3))

    @torch.inference_mode()
    def by_peer():
        return model(ids, use_cache=True, logits_to_keep=1).logits[:, -1]

    torch.testing.assert_close(engine.prefill(ids), by_peer(), rtol=1e-4, atol=1e-4)
    return {"byhand": lambda: engine.prefill(ids), "transformers": by_peer}
