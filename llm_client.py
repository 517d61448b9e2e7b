"""Chat completions over plain HTTP, from any server that speaks the OpenAI protocol. Nothing of games."""

import os
import random
import threading
import time
from collections import Counter
from typing import NamedTuple

import requests
from requests.adapters import HTTPAdapter

from files import parse_json

PAUSES = (0, 0.5, 1, 2, 4, 8, 16, 20)  # seconds before each further try, and up to half as long again
LONGEST_PAUSE = 60  # that a server may ask for


class Asking(NamedTuple):
    """How a language model is asked; each field is an option."""

    base_url: str | None = None  # of an OpenAI-compatible server, to /v1 (OPENAI_BASE_URL)
    model: str | None = None  # the name of one of its models
    temperature: float = 0.0  # 0 for the likeliest answers
    max_tokens: int = 2048  # the longest answer
    votes: int = 1  # answers to each prompt, of which the majority acts
    concurrency: int = 10  # episodes at once


class ServerError(ValueError):
    """The server cannot or will not answer. The message is one line that says what to do."""


class UnusableAnswer(Exception):
    """A try that failed in a way that may pass: what the server did, and the pause in seconds that it asks for."""


class ChatClient:
    """One model on one server; several threads may ask at once, and share its connections.

    asking: an Asking. timeout: seconds to connect, and to wait for an answer. pauses: see PAUSES. Raises ServerError if
    the key cannot be one. costs: what it has cost, a Counter of requests, and of tokens as the server counts them.
    """

    def __init__(self, asking, timeout=(5, 300), pauses=PAUSES):
        self.asking, self.timeout, self.pauses = asking, timeout, pauses
        self.costs, self.lock = Counter(requests=0, tokens_in=0, tokens_out=0), threading.Lock()
        if not self._key.isascii() or not self._key.isprintable():
            raise ServerError("OPENAI_API_KEY holds characters that no key has; set it anew")
        self.base_url = (asking.base_url or os.environ.get("OPENAI_BASE_URL", "")).rstrip("/")
        self.session = requests.Session()
        self.session.auth = self._sign
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, HTTPAdapter(pool_maxsize=asking.concurrency))

    def ask(self, messages):
        """The text of the model's answer to `messages`, a list of {"role": ..., "content": ...}.

        A try that failed in a way that may pass is repeated after a pause. Raises ServerError when all tries have
        failed, at once after a refusal, and soon where nothing ever answers.
        """
        body = {name: getattr(self.asking, name) for name in ("model", "temperature", "max_tokens")}
        for pause in (*self.pauses, None):
            try:
                return self._content(self._send("POST", "/chat/completions", json={**body, "messages": messages}))
            except UnusableAnswer as failure:
                problem, wanted = failure.args
            if pause is None or (pause > 2 and not self.costs["requests"]):
                raise ServerError(f"{self.base_url} {problem}")
            time.sleep(min(wanted, LONGEST_PAUSE) or pause * random.uniform(1, 1.5))

    def models(self):
        """The names of the models that the server offers, as far as it says."""
        try:
            return [self._shown(model["id"]) for model in parse_json(self._send("GET", "/models").content)["data"]]
        except (UnusableAnswer, ValueError, KeyError, TypeError):
            return []

    @property
    def _key(self):
        return os.environ.get("OPENAI_API_KEY", "").strip()

    def _sign(self, request):
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request

    def _shown(self, text):
        """`text` as one short line, without the key, should a server repeat it."""
        return " ".join((str(text).replace(self._key, "[key]") if self._key else str(text)).split())[:300]

    def _send(self, method, path, **options):
        if not self.base_url.startswith(("http://", "https://")) or "@" in self.base_url:
            raise ServerError("give --base-url a server, such as http://localhost:11434/v1, without a password in it")
        options |= {"timeout": self.timeout, "allow_redirects": False}
        try:
            response = self.session.request(method, self.base_url + path, **options)
        except requests.RequestException as error:
            said = self._shown(str(error).rpartition(": ")[2])
            raise UnusableAnswer(f"cannot be reached, or breaks off: {said}; is the server running?", 0) from None
        with self.lock:
            self.costs["requests"] += 1
        return response

    def _content(self, response):
        """The text of a chat completion. Raises UnusableAnswer if it holds none, ServerError after a refusal."""
        try:
            answer = parse_json(response.content)
        except ValueError:
            answer = {"error": response.text}
        if response.status_code != 200:
            raise self._refusal(response, answer.get("error"))
        try:
            content = answer["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError):
            raise UnusableAnswer("gives no chat completion", 0) from None
        usage = answer.get("usage")
        with self.lock:
            for kind, name in {"tokens_in": "prompt_tokens", "tokens_out": "completion_tokens"}.items():
                count = usage.get(name) if isinstance(usage, dict) else 0
                self.costs[kind] += count if isinstance(count, int) else 0
        if not isinstance(content, str) or not content.strip():
            raise UnusableAnswer("gives an empty answer (a model that thinks may need more --max-tokens)", 0)
        return content

    def _refusal(self, response, error):
        """The exception for a status other than 200: UnusableAnswer where asking again may help, else ServerError."""
        status, retry_after = response.status_code, response.headers.get("Retry-After", "")
        said = response.headers.get("Location", error.get("message") if isinstance(error, dict) else error)
        problem, advice = f"answers {status}: {self._shown(said)}", ""
        if status in (408, 429) or status >= 500:
            return UnusableAnswer(problem, int(retry_after[:9]) if retry_after.isdecimal() else 0)
        if status in (401, 403):
            advice = "; set OPENAI_API_KEY to a key that it accepts"
        elif status in (400, 404) and self.asking.model not in (models := self.models()):
            advice = f"; give --model one of: {', '.join(models)}" if models else "; does its URL end in /v1?"
        return ServerError(f"{self.base_url} {problem}{advice}")
