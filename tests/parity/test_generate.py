"""The engine writes what transformers' `generate` writes, token for token: greedy, beams, and with a draft."""

import pytest
import torch
from byhand.decoding import RepetitionPenalty, pad_left
from byhand.gpt import GPT
from byhand.inference import beam_search, generate, prepare, speculate

transformers = pytest.importorskip("transformers")
PAD = 1  # 0 would not do: transformers takes it for "none" after beam search
CONFIGS = {
    "small": {"vocab_size": 53, "n_embd": 24, "n_layer": 2, "n_head": 3},
    "deep and narrow heads": {"vocab_size": 31, "n_embd": 32, "n_layer": 4, "n_head": 8, "n_inner": 40},
    "one head, untied": {"vocab_size": 97, "n_embd": 20, "n_layer": 3, "n_head": 1, "tie_word_embeddings": False},
}


def reference_model(seed=0, **config):
    """A random GPT-2 with weights large enough that it does not repeat itself at once."""
    fixed = {"n_positions": 48, "initializer_range": 0.2, "bos_token_id": None, "eos_token_id": None}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return transformers.GPT2LMHeadModel(transformers.GPT2Config(**fixed, **config)).eval()


@pytest.fixture(scope="module", params=CONFIGS)
def pair(request, tmp_path_factory):
    """A model of transformers, and the same weights read from a folder by ours."""
    theirs = reference_model(**CONFIGS[request.param])
    folder = tmp_path_factory.mktemp("model")
    theirs.save_pretrained(folder)
    return theirs, GPT.from_pretrained(folder)


def prompts(model, *shape, seed=0):
    return torch.randint(1, model.config.vocab_size, shape, generator=torch.Generator().manual_seed(seed))


def written(model, ids, max_new, eos=None, **options):
    options = {"attention_mask": torch.ones_like(ids), "do_sample": False, **options}
    with torch.no_grad():
        return model.generate(ids, max_new_tokens=max_new, eos_token_id=eos, pad_token_id=PAD, **options)


def frequent(model, ids):
    """The token that is written most often: as the end it lets rows end at different places."""
    return int(written(model, ids, 20)[:, ids.shape[1] :].flatten().bincount().argmax())


@pytest.mark.parametrize("weights", ["fp32", "fp16"])
def test_greedy_is_transformers_token_for_token(pair, weights):
    theirs, gpt = pair
    if weights == "fp16":  # stored exactly, when they are of that precision already
        for model in (theirs, gpt):
            for parameter in model.parameters():
                parameter.data = parameter.data.half().float()
    engine = prepare(gpt, weights, batch=4)
    for rows in (1, 4):
        ids = prompts(theirs, rows, 5, seed=rows)
        for eos in (None, frequent(theirs, ids)):
            expected = written(theirs, ids, 30, eos)
            assert generate(engine, ids, 30, eos=eos, pad=PAD).tolist() == expected.tolist()
    assert len(set(expected[0].tolist())) > 3


def test_prompts_of_different_lengths_are_continued_as_by_transformers(pair):
    theirs, gpt = pair
    ids, mask = pad_left([prompts(theirs, size, seed=size).tolist() for size in (3, 9, 1, 6)], PAD)
    rules = [RepetitionPenalty(1.2)]
    expected = written(theirs, ids, 20, attention_mask=mask.long(), repetition_penalty=1.2)
    found = generate(prepare(gpt, batch=4), ids, 20, attention_mask=mask, processors=rules)
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_four_beams_are_transformers_token_for_token(pair, alpha):
    theirs, gpt = pair
    engine = prepare(gpt, batch=12)
    for rows in (1, 3):
        ids = prompts(theirs, rows, 4, seed=rows)
        for eos in (None, frequent(theirs, ids)):
            expected = written(theirs, ids, 20, eos, num_beams=4, length_penalty=alpha)
            found, _ = beam_search(engine, ids, 4, 20, eos, PAD, alpha)
            assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("gamma", [1, 4])
def test_speculation_is_transformers_assisted_and_its_greedy_output(pair, gamma, tmp_path):
    theirs, gpt = pair
    assistant = type(theirs)(theirs.config).eval()
    assistant.load_state_dict(theirs.state_dict())
    generator = torch.Generator().manual_seed(1)
    for parameter in assistant.parameters():  # often right, and often wrong
        parameter.data += 0.04 * torch.randn(parameter.shape, generator=generator)
    assistant.save_pretrained(tmp_path)
    target, draft = prepare(gpt), prepare(GPT.from_pretrained(tmp_path))
    ids = prompts(theirs, 1, 6, seed=gamma)
    for eos in (None, frequent(theirs, ids)):
        found, calls = speculate(target, draft, ids[0], gamma, 25, eos=eos)
        expected = written(theirs, ids, 25, eos, assistant_model=assistant, num_assistant_tokens=gamma)
        assert found.tolist() == expected[0].tolist() == written(theirs, ids, 25, eos)[0].tolist()
        assert eos is not None or 25 / (gamma + 1) < calls < 25
