"""Chat completions over plain HTTP, from any server that speaks the OpenAI protocol. Nothing of games."""

import difflib
import json
import os
import random
import re
import threading
import time
from collections import Counter
from concurrent import futures
from contextlib import suppress
from typing import NamedTuple

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from files import UserError, json_object, need

PAUSES = (0, 0.5, 1, 2, 4, 8, 16, 20)  # seconds before each further try, and up to half as long again
LONGEST_PAUSE = 60  # seconds, that a server may ask for
LARGEST_ANSWER = 1_000_000  # bytes
THIS_MACHINE = r"https?://(localhost|127\.|0\.0\.0\.0|\[::1?\])"  # no proxy stands before its own servers
CUT_OFF = "[cut off]"  # stands at the end of an answer that --max-tokens has ended
REASONING_ALONE = "(It answers nothing, but thinks:)\n"  # stands before what did not become an answer
FILTERED = "(The server's content filter refused the prompt.)"  # is then the answer, so that the work goes on


class Asking(NamedTuple):
    """How a language model is asked; each field is an option."""

    base_url: str | None = None  # of an OpenAI-compatible server, to /v1 (OPENAI_BASE_URL)
    model: str | None = None  # the name of one of its models
    api_key_env: str = "OPENAI_API_KEY"  # the environment variable that holds the key
    temperature: float = 0.0  # 0 for the likeliest answers
    max_tokens: int = 64  # the longest answer; more for --reasoning (2048) and for a model that thinks by itself
    extra: dict | None = None  # a JSON object, merged into each request
    votes: int = 1  # answers to each prompt; the action named most often acts
    concurrency: int = 10  # episodes at once


class UnusableAnswer(Exception):
    """A try that failed in a way that may pass. problem: what the server did. limited: was it asked too often?
    wanted: the pause in seconds that it then asks for, 0 if it does not say."""

    def __init__(self, problem, limited=False, wanted=0):
        self.problem, self.limited, self.wanted = problem, limited, wanted


class ChatClient:
    """One model on one server; several threads may ask at once, and share its connections.

    asking: an Asking. timeout: seconds that a request may take in all. pauses: see PAUSES. Raises UserError if the
    key cannot be one, or if --extra asks for a stream, a model or messages. costs: what it has cost, a Counter of
    requests, and of tokens as far as the server counts them. body: what each request holds beside its messages.
    problem: why it is asked again at the moment, or "". heard: when the server last answered, not_before: until
    when nobody is to ask it, by time.monotonic(). usable: has it ever given an answer of use? doubt: of its URL, in
    words, or ""."""

    def __init__(self, asking, timeout=300, pauses=PAUSES):
        self.asking, self.timeout, self.pauses = asking, timeout, pauses
        self.costs, self.lock, self.problem, self.usable = Counter(), threading.Lock(), "", False
        self.heard = self.not_before = time.monotonic()
        self.body = {"model": asking.model, "temperature": asking.temperature, "max_tokens": asking.max_tokens}
        self.body |= asking.extra or {}
        taken = {"model", "messages", "stream"}.intersection(asking.extra or ())
        need(not taken, f"leave {', '.join(sorted(taken))} out of --extra; the program sees to that itself")
        if asking.api_key_env not in (*os.environ, Asking().api_key_env):  # it may be the key itself: it is not shown
            raise UserError("--api-key-env takes the name of a variable that is set and holds the key; there is none")
        need(self._key.isascii() and self._key.isprintable(), f"{asking.api_key_env} holds characters that no key has")
        self.base_url = (asking.base_url or os.environ.get("OPENAI_BASE_URL", "")).strip().rstrip("/")
        self.base_url = self.base_url.removesuffix("/chat/completions")
        self.doubt = "" if "/v1" in self.base_url else "; does its URL end in /v1?"
        self.session = requests.Session()
        self.session.auth = lambda request: request  # else it looks for a key in .netrc
        self.session.get_redirect_target = lambda response: None  # else it reads all that stands in a redirection
        self.session.headers["Accept-Encoding"] = "identity"  # else a small answer could unfold to a huge one
        self.proxies = dict.fromkeys(("http", "https", "all")) if re.match(THIS_MACHINE, self.base_url, re.I) else None
        self.session.mount(self.base_url, HTTPAdapter(pool_maxsize=asking.concurrency * asking.votes))

    @property
    def repeatable(self):
        """Does the model give equal answers to equal messages?"""
        return self.body.get("temperature") == 0

    def ask(self, messages):
        """The text of the model's answer to `messages`, a list of {"role": ..., "content": ...}.

        A try that failed in a way that may pass is repeated after a pause. Raises UserError when all tries have
        failed or twice the time-out has passed, at once after a refusal, and soon where nothing ever answers. An
        empty answer is asked for again a few times, and then is the answer.

        A server that was asked too often is left alone by all who ask, for as long as it wants or for a pause that
        grows. If it has been of use before, this goes on until the time has passed: its limit may be one a minute."""
        begun, pauses = time.monotonic(), [*self.pauses]
        while True:
            if (rest := self.not_before - time.monotonic()) > 0:
                time.sleep(rest)
            try:
                answer = self._answer(*self._send("POST", "/chat/completions", self.body | {"messages": messages}))
                if not answer and pauses and pauses[0] < 2:  # so long as the pauses are short
                    raise UnusableAnswer("gives an empty answer")
                self.problem, self.usable = "", True
                return answer
            except UnusableAnswer as failure:
                self.problem, failed = failure.problem, failure  # another thread may change self.problem at any time
            late = time.monotonic() - begun > 2 * self.timeout
            if late or not pauses or (pauses[0] > 2 and not self.costs):  # no costs: nothing has ever answered
                raise UserError(f"{self.base_url} {failed.problem}")
            pause = failed.wanted or pauses[0] * random.uniform(1, 1.5)
            if len(pauses) > 1 or not (failed.limited and self.usable):  # else the longest, again and again
                pauses.pop(0)
            if failed.limited:
                self.not_before = max(self.not_before, time.monotonic() + pause)
            else:
                time.sleep(pause)

    def models(self):
        """The names of the models that the server offers, as far as it says. Raises UserError if it cannot be asked."""
        try:
            response, data = self._send("GET", "/models")
            if response.status_code // 100 in (3, 5) or response.status_code in (401, 403, 429):
                self._answer(response, data)  # raises what it says
        except UnusableAnswer as failure:
            raise UserError(f"{self.base_url} {failure.problem}") from None
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            found = json.loads(data)
            models = found["data"] if isinstance(found, dict) else found  # Together's is a mere list
            return [self._shown(model["id"]) for model in models]
        return []

    @property
    def _key(self):
        return os.environ.get(self.asking.api_key_env, "").strip()

    def _shown(self, text):
        """`text` as one short line, without the key."""
        return " ".join(self._without_key(str(text)).split())[:300]

    def _without_key(self, text):
        """`text` without the key, should a server repeat it; shorter ones are no secret, but parts of words."""
        return re.sub(re.escape(self._key), "[key]", text, flags=re.I) if len(self._key) >= 8 else text

    def _send(self, method, path, body=None):
        """(requests.Response, its bytes) of one request, in a thread of its own, which is given up when it is late."""
        url = self.base_url + path  # it is looked at only now, since who asks nothing needs no server
        need(re.match("https?://", url, re.I), "give --base-url a URL such as http://localhost:11434/v1")
        need(not re.search("[@?#]", url), "give --base-url a URL without @, ? or #; the key stands in a variable")
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        limits = 5, 2 * self.timeout  # seconds to connect, and to read: after that long a thread given up ends as well
        options = {"json": body, "headers": headers, "timeout": limits, "proxies": self.proxies}
        done = futures.Future()

        def send():
            try:
                with self.session.request(method, url, **options, allow_redirects=False, stream=True) as response:
                    done.set_result((response, response.raw.read(LARGEST_ANSWER)))
            except Exception as error:
                done.set_exception(error)

        threading.Thread(target=send, daemon=True).start()
        try:
            response, data = done.result(self.timeout)
        except futures.TimeoutError:
            raise UnusableAnswer(f"takes more than {self.timeout} seconds for an answer") from None
        except requests.exceptions.InvalidURL:  # its message may hold the proxy's password
            said = "it, or the proxy of your environment, is no URL; give one such as http://localhost:11434/v1"
            raise UserError(f"--base-url: {said}") from None
        except (requests.RequestException, HTTPError, ValueError) as error:  # ValueError: a chunk of a size below 0
            by = " through the proxy of your environment" if isinstance(error, requests.exceptions.ProxyError) else ""
            while error.__context__:  # to the innermost: the others wrap it
                error = error.__context__
            cure = "check that it runs, and whether its URL begins with http or https"
            raise UnusableAnswer(f"cannot be reached{by}, or breaks off: {self._shown(error)}; {cure}") from None
        with self.lock:
            self.costs["requests"] += 1
            self.heard = time.monotonic()
        return response, data

    def _answer(self, response, data):
        """The text of a chat completion. Raises UnusableAnswer if it holds none, UserError after a refusal."""
        try:
            text = re.sub(rb"^\s*\[(.*)\]\s*$", rb"\1", data, flags=re.S)  # Gemini's errors are in a list
            found = json_object(text)
        except ValueError:
            web_page = response.status_code == 200 and data.lstrip().startswith(b"<")
            need(self.usable or not web_page, f"{self.base_url} answers with a web page{self.doubt}")
            said = data.decode(errors="replace") or "nothing"
            found = {"error": {"message": f"no JSON: {said}", "code": 502}}  # as of a bad gateway
        if found.get("error") or response.status_code // 100 != 2:
            error = found.get("error") or found
            error = error if isinstance(error, dict) else {"message": error}
            if error.get("code") == "content_filter":
                return FILTERED
            raise self._refusal(response, error)
        try:
            choice = found["choices"][0]
            message, finish, broken = choice["message"], choice.get("finish_reason"), choice.get("error")
            said = text_of(message.get("content")) or text_of(message.get("refusal"))
            thought = text_of(message.get("reasoning_content")) or text_of(message.get("reasoning"))
        except (KeyError, IndexError, TypeError, AttributeError):
            raise UnusableAnswer(f"gives no chat completion: {self._shown(found)}") from None
        usage = found["usage"] if isinstance(found.get("usage"), dict) else {}
        with self.lock:
            for kind, name in {"tokens_in": "prompt_tokens", "tokens_out": "completion_tokens"}.items():
                if type(usage.get(name)) is int and 0 <= usage[name] < 1e9:
                    self.costs[kind] += usage[name]
        if broken or finish in ("error", "abort", "insufficient_system_resource"):
            raise UnusableAnswer(f"breaks off its answer: {self._shown(broken or finish)}")
        answer = self._without_key(said or (thought and REASONING_ALONE + thought))
        return f"{answer} {CUT_OFF}" if finish in ("length", "max_tokens", "model_length") else answer

    def _refusal(self, response, error):
        """The exception for an answer that reports an error, a dict: UnusableAnswer where asking again may help."""
        status, advice = response.status_code, ""
        said = " ".join(str(error[name]) for name in ("message", "metadata") if error.get(name)) or error
        said = self._shown(response.headers.get("Location", said))  # of a redirection, where to
        problem = f"answers {status}: {said}"
        if status // 100 == 2 and error.get("code") in range(400, 600):
            status = error["code"]  # OpenRouter's, of the provider behind it
        adapted = status in (400, 422) and self._adapt(json_object(response.request.body), str(error).lower())
        limited = status == 429 and (self.usable or "insufficient_quota" not in str(error))  # OpenAI's: no credit
        may_pass = limited or status // 100 == 5 or status == 408 or (status // 100 == 2 and self.usable)
        if adapted or may_pass:
            asked_for = f"Try again in {response.headers.get('Retry-After')}s. {error}"  # or in words: Gemini's, Groq's
            seconds = re.search(r"try (?:again )?in (\d+(?:\.\d*)?)s", asked_for, re.I)
            wanted = min(float(seconds[1]), LONGEST_PAUSE) if seconds else 0
            return UnusableAnswer(problem, limited or wanted > 0, wanted)
        if status in (401, 403):
            advice = f"; set {self.asking.api_key_env} to a key that it accepts"
        elif status // 100 == 3:
            advice = "; give --base-url the address that it sends you to, as far as /v1"
        elif status // 100 == 2 or status in (404, 405) or (status != 429 and str(self.asking.model) in said):
            models = []
            with suppress(UserError):  # what was refused is told, whatever comes of this
                models = self.models()
            if self.asking.model not in models:
                likely = difflib.get_close_matches(str(self.asking.model), models, n=10, cutoff=0)
                names = ", ".join([*likely, "..."] if models[10:] else likely)
                advice = f"; give --model one of: {names}" if models else self.doubt
        return UserError(f"{self.base_url} {problem}{advice}")

    def _adapt(self, sent, said):
        """Takes out of `body`, or renames, a parameter that was sent and that the server refuses. Is there one?"""
        refused = re.search("support|deprecat|allow|permit|only|unknown|unrecogni|fixed|must be 1\\b", said)
        if "max_tokens" in sent and "max_completion_tokens" in said:
            self.body.setdefault("max_completion_tokens", self.body.pop("max_tokens", sent["max_tokens"]))
        elif "temperature" in sent and refused and "temperature" in said:
            self.body.pop("temperature", None)
        else:
            return False
        return True


def text_of(content):
    """The text of a message's content, which is a text, a list of parts, or null."""
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    parts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return "".join(text for text in parts if isinstance(text, str)).strip()
