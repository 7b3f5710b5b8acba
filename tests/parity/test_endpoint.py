"""A model asked over HTTP, through the `openai` client, says what it says when asked in this process."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from byhand.corpora.tokenizer import load_tokenizer
from byhand.gpt import GPT, GPTConfig
from byhand.prompting import CheckpointModel, EndpointModel, sample_and_vote

KEY = "a key"
PROMPT = "for number in range(1, 10):\n    print(number"


class Handler(BaseHTTPRequestHandler):
    """OpenAI's protocol, text and chat, in front of the server's `model`."""

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != f"Bearer {KEY}":
            return self.reply(401, {"error": {"message": "wrong key"}})
        if request["model"] != "tiny":
            return self.reply(404, {"error": {"message": "no such model"}})
        chat = self.path == "/v1/chat/completions"
        text = request["messages"][-1]["content"] if chat else request["prompt"]
        settings = {name: request[name] for name in ("max_tokens", "temperature", "seed")}
        with self.server.lock:
            written = self.server.model.complete(text, **settings, stop=request["stop"] or ())
        said = {"message": {"role": "assistant", "content": written}} if chat else {"text": written, "logprobs": None}
        choice = {"index": 0, "finish_reason": "stop", **said}
        kind = "chat.completion" if chat else "text_completion"
        return self.reply(200, {"id": "1", "object": kind, "created": 1, "model": "tiny", "choices": [choice]})

    def reply(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def model():
    tokenizer = load_tokenizer()
    config = GPTConfig.tiny(vocab_size=tokenizer.get_vocab_size(), max_seq=96)
    return CheckpointModel(GPT(config, rng=torch.Generator().manual_seed(1)), tokenizer, eos=0)


@pytest.fixture(scope="module")
def url(model):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.model, server.lock = model, threading.Lock()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("chat", [True, False])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"max_tokens": 5},
        {"temperature": 1.3, "seed": 7, "max_tokens": 20},
        {"temperature": 1.3, "seed": 8, "max_tokens": 20, "stop": ["e", "\n"]},
    ],
)
def test_a_completion_over_http_is_the_completion_in_this_process(model, url, chat, settings):
    assert EndpointModel(url, "tiny", KEY, chat=chat).complete(PROMPT, **settings) == model.complete(PROMPT, **settings)


def test_a_vote_over_http_is_the_vote_in_this_process(model, url):
    settings = {"samples": 3, "max_tokens": 12, "temperature": 1.0, "seed": 5}
    assert sample_and_vote(EndpointModel(url, "tiny", KEY), PROMPT, **settings) == sample_and_vote(
        model, PROMPT, **settings
    )
