"""A language model behind a URL: any server that speaks OpenAI's protocol, hosted or on this machine.

Holds the client, errors that say the remedy, and a cache on disk, so that a notebook that runs again asks nothing
again. Leaves out serving a model: `transformers serve`, vLLM, llama.cpp and Ollama do. Built in chapter 9.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openai import OpenAI

NO_KEY = "none"
"""Sent where no key is given, so that a key of the environment never goes to a server it is not meant for."""


class EndpointError(RuntimeError):
    """A server gave no completion; the message says why and what to do."""


class EndpointModel:
    """A language model served at a URL.

    Nothing is sent before the first completion. A request that times out, or that the server is too busy for, is
    sent again, later each time.

    Args:
        url: where the protocol begins, such as `http://localhost:8000/v1`.
        model: its name on that server.
        api_key: the key, or None for a server that asks for none. Keys of the environment are not used.
        chat: whether prompts go as chat messages, which instruction-tuned models expect, or as plain text to
            continue.
        system: in a chat, the message that comes first; a persona, say.
        timeout: seconds to wait for one answer.
        retries: how often to send a failed request again.
        cache: a folder to keep completions in, or None. The key is everything that is sent, but never the API key.

    Raises:
        ValueError: when the URL is not one, or `system` is given without `chat`.

    >>> EndpointModel("http://localhost:8000/v1", "tiny")
    EndpointModel(url='http://localhost:8000/v1', model='tiny', chat=True)
    """

    def __init__(
        self,
        url: str,
        model: str,
        api_key: str | None = None,
        *,
        chat: bool = True,
        system: str = "",
        timeout: float = 60.0,
        retries: int = 2,
        cache: Path | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"the URL must begin with http:// or https://, got {url!r}")
        if system and not chat:
            raise ValueError("system is a message of a chat: use chat=True, or put the words into the prompt")
        self.url = url.rstrip("/")
        self.model = model
        self.chat = chat
        self.system = system
        self.timeout = timeout
        self.retries = retries
        self.cache = cache
        self._api_key = api_key
        self._client: OpenAI | None = None

    def __repr__(self) -> str:
        return f"EndpointModel(url={self.url!r}, model={self.model!r}, chat={self.chat})"

    def complete(
        self, text: str, *, max_tokens: int = 256, temperature: float = 0.0, stop: Sequence[str] = (), seed: int = 0
    ) -> str:
        """The text that follows `text`; see `LanguageModel`. Whether temperature and seed are
        obeyed is the server's choice: `transformers serve` samples only where the model's generation config says so.

        Raises:
            EndpointError: when the server cannot be reached, refuses the key, does not know the model, or gives
                no completion.
        """
        request: dict[str, Any] = {
            "model": self.model,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "seed": seed,
            "stop": list(stop) or None,
        }
        if self.chat:
            opening = [{"role": "system", "content": self.system}] if self.system else []
            request["messages"] = [*opening, {"role": "user", "content": text}]
        else:
            request["prompt"] = text
        kept = self._place_of(request)
        if kept and kept.exists():
            try:
                return str(json.loads(kept.read_text(encoding="utf-8"))["completion"])
            except (ValueError, KeyError, TypeError):
                pass  # cut off while it was written, or by another program: ask again and replace it
        completion = self._ask(request)
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            beside = kept.with_suffix(".part")
            beside.write_text(json.dumps({"url": self.url, **request, "completion": completion}), encoding="utf-8")
            beside.replace(kept)
        return completion

    def _place_of(self, request: dict[str, Any]) -> Path | None:
        if self.cache is None:
            return None
        name = json.dumps([self.url, request], sort_keys=True)
        return self.cache / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"

    def _ask(self, request: dict[str, Any]) -> str:
        import openai

        if self._client is None:
            key = self._api_key or NO_KEY
            self._client = openai.OpenAI(base_url=self.url, api_key=key, timeout=self.timeout, max_retries=self.retries)
        create = self._client.chat.completions.create if self.chat else self._client.completions.create
        try:
            answer = create(**request)
        except openai.OpenAIError as error:
            raise EndpointError(self._explain(error)) from error
        except ValueError as error:
            raise EndpointError(f"{self.url} did not answer in OpenAI's protocol: is it the right address?") from error
        try:
            # The client checks no types, so what a server leaves out is missing here.
            written = answer.choices[0].message.content if self.chat else answer.choices[0].text
        except (AttributeError, IndexError, TypeError):
            written = None
        if not isinstance(written, str):
            raise EndpointError(
                f"{self.url} answered without a completion: the model {self.model!r} may not be made for "
                f"{'chats; try chat=False' if self.chat else 'plain text; try chat=True'}"
            )
        return written

    def _explain(self, error: Exception) -> str:
        import openai

        match error:
            case openai.APITimeoutError():
                return f"{self.url} gave no answer within {self.timeout} seconds: raise timeout, or lower max_tokens"
            case openai.APIConnectionError():
                return (
                    f"{self.url} cannot be reached: is the server running, and is this its address? "
                    "Most end in /v1 (transformers serve: http://localhost:8000/v1)"
                )
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                given = "the API key is not accepted" if self._api_key else "the server asks for an API key"
                return f"{self.url}: {given}; give a valid one as api_key, from an environment variable"
            case openai.NotFoundError():
                return (
                    f"{self.url} does not know the model {self.model!r}, or has no such address: {self._names_served()}"
                )
            case openai.RateLimitError():
                return f"{self.url} takes no more requests for now: wait, or raise retries (now {self.retries})"
            case openai.APIStatusError():
                return f"{self.url} answered with status {error.status_code}: {error.message}"
        return f"{self.url} did not answer in OpenAI's protocol: {error}"

    def _names_served(self) -> str:
        import openai

        assert self._client is not None, "a server is asked for its models only after a request"
        try:
            names = [entry.id for entry in self._client.models.list()]
        except openai.OpenAIError:
            return "check that the URL ends in /v1"
        return f"it serves {', '.join(map(repr, names))}" if names else "it serves no model"
