"""Chat completions over plain HTTP, from any server that speaks the OpenAI protocol. Nothing of games."""

import os
import threading

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import DecodeError, MaxRetryError, ProtocolError, ReadTimeoutError
from urllib3.util import Retry


class PatientRetry(Retry):
    """Waits as long as the server asks for, but for a minute at most."""

    def get_retry_after(self, response):
        seconds = super().get_retry_after(response)
        return seconds and min(seconds, 60)


STATUSES = (408, 429, *range(500, 600))  # after which asking again may help; to ask twice does no harm
RETRY = PatientRetry(
    total=8, connect=5, allowed_methods=None, status_forcelist=STATUSES, raise_on_status=False,
    backoff_factor=0.25, backoff_jitter=0.25, backoff_max=20,
)  # fmt: skip


class ServerError(ValueError):
    """The server cannot or will not answer. The message is one line that says what to do."""


class UnusableAnswer(Exception):
    """A try that failed after the status line: asking again may help."""


class Bearer(requests.auth.AuthBase):
    """Sends the key as a bearer token with each request; it is shown nowhere else."""

    def __init__(self, key):
        self._key = key

    def __call__(self, request):
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request

    def hide(self, text):
        """`text` as one short line, without the key, should a server repeat it."""
        return " ".join((str(text).replace(self._key, "[key]") if self._key else str(text)).split())[:300]


class ChatClient:
    """One model on one server; several threads may ask at once, and share its connections.

    base_url: up to and including /v1. The key is the environment's OPENAI_API_KEY. temperature: 0 for the likeliest
    answer. max_tokens: the longest answer. connections: how many are kept open. timeout: seconds to connect, and to
    wait for an answer. retry: a urllib3 Retry. Raises ServerError if the key cannot be one.

    `requests`, `tokens_in`, `tokens_out`: what it has cost so far; the tokens as the server counts them.
    """

    def __init__(
        self, base_url, model, temperature=0.0, max_tokens=2048, connections=10, timeout=(5, 300), retry=RETRY
    ):
        self.base_url, self.model = base_url.rstrip("/"), model
        self.temperature, self.max_tokens = temperature, max_tokens
        self.timeout, self.retry, self.lock = timeout, retry, threading.Lock()
        self.requests = self.tokens_in = self.tokens_out = 0
        key = os.environ.get("OPENAI_API_KEY", "").strip()
        if not key.isascii() or not key.isprintable():
            raise ServerError("OPENAI_API_KEY holds characters that no key has; set it anew")
        self.session = requests.Session()
        self.session.auth = Bearer(key)
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, HTTPAdapter(pool_maxsize=connections, max_retries=retry))

    def ask(self, messages):
        """The text of the model's answer to `messages`, a list of {"role": ..., "content": ...}.

        A failed try is repeated as `retry` says: by urllib3 itself where connection or status show the failure, from
        here where only the body does. Raises ServerError when the tries are used up, and at once after a refusal.
        """
        body = {"model": self.model, "messages": messages}
        body |= {"temperature": self.temperature, "max_tokens": self.max_tokens}
        retry = self.retry
        while True:
            try:
                return self._content(self._send("POST", "/chat/completions", json=body))
            except UnusableAnswer as failure:
                try:
                    retry = retry.increment("POST", self.base_url, error=failure)
                except MaxRetryError:
                    raise ServerError(f"{self.base_url} gives no usable answer: {failure}") from None
                retry.sleep()

    def models(self):
        """The names of the models that the server offers, as far as it says."""
        try:
            return [str(model["id"]) for model in self._send("GET", "/models").json()["data"]]
        except (UnusableAnswer, ValueError, KeyError, TypeError):
            return []

    def _send(self, method, path, **options):
        if not self.base_url.startswith(("http://", "https://")) or "@" in self.base_url:
            raise ServerError("give --base-url a server, such as http://localhost:11434/v1, without a password in it")
        options |= {"timeout": self.timeout, "allow_redirects": False}
        try:
            response = self.session.request(method, self.base_url + path, **options)
        except requests.RequestException as error:
            if error.args and isinstance(error.args[0], (ProtocolError, ReadTimeoutError, DecodeError)):
                raise UnusableAnswer("it breaks off") from None
            reason = getattr(error.args[0] if error.args else error, "reason", error)
            said = self.session.auth.hide(str(reason).rpartition(": ")[2])
            raise ServerError(f"{self.base_url} cannot be reached: {said}; is the server running?") from None
        with self.lock:
            self.requests += 1 + len(response.raw.retries.history)
        return response

    def _content(self, response):
        """The text of a chat completion; raises UnusableAnswer if it holds none, ServerError after a refusal."""
        if response.status_code != 200:
            raise ServerError(self._refusal(response))
        try:
            answer = response.json()
            content = answer["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError):
            raise UnusableAnswer("it is not a chat completion") from None
        usage = answer.get("usage")
        counts = [usage.get(f"{kind}_tokens") if isinstance(usage, dict) else 0 for kind in ("prompt", "completion")]
        tokens_in, tokens_out = (count if isinstance(count, int) else 0 for count in counts)
        with self.lock:
            self.tokens_in, self.tokens_out = self.tokens_in + tokens_in, self.tokens_out + tokens_out
        if not isinstance(content, str) or not content.strip():
            raise UnusableAnswer("it is empty (a model that thinks may need more --max-tokens)")
        return content

    def _refusal(self, response):
        """One line for a status that asking again would not change, or not any more."""
        try:
            reason = response.json()["error"]["message"]
        except (ValueError, KeyError, TypeError):
            reason = response.text
        reason = response.headers.get("Location", reason)  # of a redirect
        said = f"{self.base_url} answers {response.status_code}: {self.session.auth.hide(reason)}"
        if response.status_code in (401, 403):
            return f"{said}; set OPENAI_API_KEY to a key that it accepts"
        if response.status_code in (400, 404) and self.model not in (models := self.models()):
            return f"{said}; " + (f"give --model one of: {', '.join(models)}" if models else "does its URL end in /v1?")
        return said
