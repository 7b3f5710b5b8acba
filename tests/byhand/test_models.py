"""The models that are asked: a GPT behind text, and a server behind a URL, with every way it can fail."""

import json
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from byhand.corpora.tokenizer import load_tokenizer
from byhand.corpora.word_problems import vocabulary
from byhand.gpt import GPT, GPTConfig
from byhand.prompting import CheckpointModel, EndpointError, EndpointModel, LanguageModel, ScriptedModel

PROMPT = "Q: How many apples"


@pytest.fixture(scope="module")
def words():
    return vocabulary()


@pytest.fixture(scope="module")
def gpt(words):
    config = GPTConfig.tiny(vocab_size=len(words), max_seq=40, dropout=0.5)
    return GPT(config, rng=torch.Generator().manual_seed(0))


@pytest.fixture
def model(gpt, words):
    return CheckpointModel(gpt, words, eos=0)


def test_all_models_are_language_models(model):
    for candidate in (model, ScriptedModel(["a"]), EndpointModel("http://x/v1", "m")):
        assert isinstance(candidate, LanguageModel)


def test_a_greedy_completion_is_the_argmax_token_by_token(model, gpt, words):
    ids = words.encode(PROMPT)
    gpt.eval()
    while len(ids) < 40 and (len(ids) == 5 or ids[-1] != 0):
        ids.append(int(gpt(torch.tensor([ids]))[0, -1].argmax()))
    assert model.complete(PROMPT) == words.decode([i for i in ids[5:] if i != 0])


def test_a_completion_leaves_mode_and_global_random_state_as_they_were(model, gpt):
    state = torch.random.get_rng_state()
    for mode in (True, False):
        gpt.train(mode)
        assert model.complete(PROMPT, max_tokens=5) == model.complete(PROMPT, max_tokens=5), "dropout is off"
        model.complete(PROMPT, max_tokens=5, temperature=1.0)
        assert gpt.training is mode
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_mode_comes_back_after_an_error(model, gpt):
    gpt.train()
    broken = CheckpointModel(gpt, model.tokenizer, step=lambda ids: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        broken.complete(PROMPT)
    assert gpt.training


def test_a_batch_of_samples_is_the_completions_one_by_one(model):
    batch = model.sample(PROMPT, 4, max_tokens=8, temperature=1.5, seed=3)
    assert batch == [model.complete(PROMPT, max_tokens=8, temperature=1.5, seed=3 + number) for number in range(4)]
    assert len(set(batch)) > 1


def test_max_tokens_and_the_models_positions_bound_a_completion(model, words):
    assert len(words.encode(model.complete(PROMPT, max_tokens=3, temperature=1.0, seed=1))) <= 3
    assert model.complete(PROMPT, max_tokens=0) == ""
    long = CheckpointModel(model.model, words).complete(PROMPT, max_tokens=999)
    assert len(words.encode(long)) <= 35


def counting(words, text):
    """A step that spells `text` whatever the prompt, then the end token, for prompts of five tokens."""
    ids = [*words.encode(text), 0, *words.encode("apples apples apples")]

    def step(batch):
        calls.append(batch.shape)
        return torch.nn.functional.one_hot(torch.tensor([ids[batch.shape[1] - 5]] * len(batch)), len(words)).float()

    calls = step.calls = []
    return step


def test_a_completion_ends_at_the_end_token(gpt, words):
    model = CheckpointModel(gpt, words, eos=0, step=counting(words, "The answer is 5."))
    assert model.complete(PROMPT) == "The answer is 5."


@pytest.mark.parametrize(
    ("stop", "expected", "calls"),
    [
        (["\n"], "The answer is 5.", 6),
        (["Q:", "answer"], "The ", 2),
        (["5", "is"], "The answer ", 3),
        ([], "The answer is 5.\nQ:", 9),
    ],
)
def test_a_completion_ends_before_the_first_stop_string_and_computes_no_further(gpt, words, stop, expected, calls):
    step = counting(words, "The answer is 5.\nQ:")
    model = CheckpointModel(gpt, words, eos=0, step=step)
    assert model.complete(PROMPT, stop=stop) == expected
    assert len(step.calls) == calls


def test_what_stands_after_a_rows_end_token_is_no_text(gpt):
    class Letters:
        """Every id is a letter, the end token too."""

        def encode(self, text):
            return [ord(letter) - ord("a") for letter in text]

        def decode(self, ids):
            return "".join(chr(ord("a") + i) for i in ids)

    def step(ids):
        """Spells "ab", then ends the first row at once and the second after three more letters."""
        ends = torch.tensor([ids.shape[1] >= 4, ids.shape[1] >= 7])
        return torch.nn.functional.one_hot(torch.where(ends, 25, ids.shape[1] % 2), 26).float()

    model = CheckpointModel(gpt, Letters(), eos=25, step=step)
    assert model.sample("ab", 2, temperature=0.0) == ["ab", "ababa"]


def test_a_begin_token_stands_before_the_prompt_and_is_no_part_of_the_text(gpt, words):
    seen = []

    def step(ids):
        seen.append(ids[0].tolist())
        return gpt.next_logits(ids)

    CheckpointModel(gpt, words, begin=0, step=step).complete(PROMPT, max_tokens=1)
    CheckpointModel(gpt, words, eos=0, step=step).complete("", max_tokens=1)
    assert seen == [[0, *words.encode(PROMPT)], [0]]


def test_a_tokenizer_of_the_tokenizers_library_serves_as_well():
    tokenizer = load_tokenizer()
    gpt = GPT(GPTConfig.tiny(vocab_size=tokenizer.get_vocab_size()), rng=torch.Generator().manual_seed(0)).eval()
    ids = tokenizer.encode("for item in").ids
    expected = int(gpt(torch.tensor([ids]))[0, -1].argmax())
    assert CheckpointModel(gpt, tokenizer).complete("for item in", max_tokens=1) == tokenizer.decode([expected])


def test_prompts_that_cannot_be_continued_are_named(model, gpt, words):
    with pytest.raises(ValueError, match="prompt is empty and the model has no end token"):
        CheckpointModel(gpt, words).complete("")
    with pytest.raises(ValueError, match=r"has 40 tokens and the model has 40 positions.*smaller budget"):
        model.complete("apples " * 40)


def answer(**changes):
    return {"id": "1", "object": "x", "created": 1, "model": "tiny", "choices": [], **changes}


class Handler(BaseHTTPRequestHandler):
    """OpenAI's protocol, with `server.script` deciding what to say: (status, body), or seconds to wait before."""

    def do_GET(self):
        self.reply(200, {"object": "list", "data": [{"id": "tiny", "object": "model", "created": 1, "owned_by": "us"}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, body, self.headers.get("Authorization")))
        turn = self.server.script[min(len(self.server.seen), len(self.server.script)) - 1]
        if isinstance(turn, float):
            time.sleep(turn)
            turn = (200, answer())
        self.reply(*turn)

    def reply(self, status, body):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("retry-after", "0")
        self.end_headers()
        with suppress(BrokenPipeError):  # the client did not wait
            self.wfile.write(content)

    def log_message(self, *args):
        pass


@contextmanager
def serving(*script):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.script, server.seen = script, []
    server.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


CHAT = answer(choices=[{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Five."}}])
TEXT = answer(choices=[{"index": 0, "finish_reason": "stop", "text": " Six.", "logprobs": None}])


def test_a_chat_endpoint_gets_messages_and_settings():
    with serving((200, CHAT)) as server:
        model = EndpointModel(server.url + "/", "tiny", "secret", system="You are kind.")
        assert model.complete("How many?", max_tokens=9, temperature=0.5, stop=["\n"], seed=4) == "Five."
    path, body, key = server.seen[0]
    assert path == "/v1/chat/completions"
    assert key == "Bearer secret"
    assert body == {
        "model": "tiny",
        "max_tokens": 9,
        "temperature": 0.5,
        "seed": 4,
        "stop": ["\n"],
        "messages": [{"role": "system", "content": "You are kind."}, {"role": "user", "content": "How many?"}],
    }


def test_a_text_endpoint_gets_the_prompt_as_it_stands():
    with serving((200, TEXT)) as server:
        assert EndpointModel(server.url, "tiny", chat=False).complete("Q: 6\nA:") == " Six."
    path, body, _ = server.seen[0]
    assert path == "/v1/completions"
    assert body["prompt"] == "Q: 6\nA:"


def test_a_key_of_the_environment_is_not_sent(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    with serving((200, CHAT)) as server:
        EndpointModel(server.url, "tiny").complete("?")
    assert "secret" not in server.seen[0][2]


def test_a_completion_is_kept_on_disk_and_not_asked_for_again(tmp_path):
    folder = tmp_path / "kept"
    with serving((200, CHAT)) as server:
        model = EndpointModel(server.url, "tiny", "secret", cache=folder)
        assert model.complete("?") == model.complete("?") == "Five."
        assert len(server.seen) == 1
        model.complete("?", seed=1)
        model.complete("!")
        EndpointModel(server.url, "other", "secret", cache=folder).complete("?")
        assert len(server.seen) == 4, "another seed, prompt or model is another request"
    again = EndpointModel(server.url, "tiny", cache=folder)
    assert again.complete("?") == "Five.", "the server is gone, and another key is the same request"
    assert all("secret" not in path.read_text() for path in folder.iterdir())


def test_a_damaged_entry_is_asked_for_again(tmp_path):
    for damage in ("{", "{}", "[]", ""):
        with serving((200, CHAT)) as server:
            model = EndpointModel(server.url, "tiny", cache=tmp_path)
            model.complete("?")
            (kept,) = tmp_path.iterdir()
            kept.write_text(damage)
            assert model.complete("?") == "Five."
            assert len(server.seen) == 2
            assert json.loads(kept.read_text())["completion"] == "Five."
            kept.unlink()


def test_a_busy_server_is_asked_again():
    with serving((503, {}), (429, {}), (200, CHAT)) as server:
        assert EndpointModel(server.url, "tiny", retries=2).complete("?") == "Five."
        assert len(server.seen) == 3


def error(message):
    return {"error": {"message": message, "type": "x", "code": None}}


@pytest.mark.parametrize(
    ("turn", "settings", "words"),
    [
        ((401, error("no")), {}, "the server asks for an API key; give a valid one as api_key"),
        ((401, error("no")), {"api_key": "secret"}, "the API key is not accepted; give a valid one"),
        ((403, error("no")), {"api_key": "secret"}, "the API key is not accepted"),
        ((404, error("no")), {}, "does not know the model 'tiny', or has no such address: it serves 'tiny'"),
        ((429, error("no")), {}, "takes no more requests for now: wait, or raise retries"),
        ((400, error("context is 512 tokens")), {}, "answered with status 400: .*context is 512 tokens"),
        ((500, error("out of memory")), {}, "answered with status 500: .*out of memory"),
        (
            (200, answer()),
            {},
            "answered without a completion: the model 'tiny' may not be made for chats; try chat=False",
        ),
        ((200, answer()), {"chat": False}, "may not be made for plain text; try chat=True"),
        (0.5, {"timeout": 0.1}, "gave no answer within 0.1 seconds: raise timeout"),
        ((200, b"<html>"), {}, "did not answer in OpenAI's protocol"),
        ((200, []), {}, "without a completion"),
        (
            (200, answer(choices=[{"index": 0, "message": {"role": "assistant", "content": None}}])),
            {},
            "without a completion",
        ),
        ((200, answer(choices=[{}])), {}, "without a completion"),
    ],
)
def test_a_server_that_gives_no_completion_is_explained(tmp_path, turn, settings, words):
    with serving(turn) as server:
        model = EndpointModel(server.url, "tiny", retries=0, cache=tmp_path, **settings)
        with pytest.raises(EndpointError, match=words) as caught:
            model.complete("?")
    assert server.url in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(model)
    assert not list(tmp_path.iterdir()), "a failure is not kept"


def test_a_server_that_is_not_there_is_named():
    with serving((200, CHAT)) as server:
        pass
    with pytest.raises(EndpointError, match="cannot be reached: is the server running"):
        EndpointModel(server.url, "tiny", retries=0).complete("?")


def test_settings_that_cannot_work_are_named():
    with pytest.raises(ValueError, match="must begin with http:// or https://, got 'localhost:8000'"):
        EndpointModel("localhost:8000", "tiny")
    with pytest.raises(ValueError, match="system is a message of a chat"):
        EndpointModel("http://localhost:8000", "tiny", chat=False, system="Be kind.")
