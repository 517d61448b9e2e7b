"""A real HTTP server on loopback that speaks chat completions, and fails in many ways when asked to."""

import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from llm_client import PAUSES, Asking, ChatClient

FAULTS = ("429", "500", "502", "503", "drop", "half", "not json", "no choices", "null", "empty", "a list", "an error",
          "a chunk below 0")  # fmt: skip
NEVER_ENDING = ("gone quiet", "a byte at a time", "chunk after chunk")  # until the client goes away
AT_ONCE = (0,) * len(PAUSES)


def client(server, timeout=60, pauses=AT_ONCE, **options):
    """A ChatClient that asks again without delay. options: the fields of Asking."""
    return ChatClient(Asking(server.url, **{"model": "small", **options}), timeout, pauses)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave together

    def setup(self):
        super().setup()
        with self.server.lock:
            self.server.connections += 1

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send(200, json.dumps({"data": [{"id": "small"}, {"id": "large"}]}))

    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            number = len(server.asked)
            server.asked.append(body)
            server.paths.append(self.path)
            server.keys.append(self.headers.get("Authorization"))
            server.in_flight += 1
            server.peak = max(server.peak, server.in_flight)
        try:
            refusal = server.refuse(body)
            if refusal:
                status, said = refusal
                error = said if isinstance(said, dict) else {"message": said}
                self.send(status, json.dumps({"error": error}), server.headers)
            else:
                self.answer(server.fault(number), body["messages"])
        finally:
            with server.lock:
                server.in_flight -= 1

    def answer(self, fault, messages):
        text = self.server.reply(messages)
        message = {"content": text} if isinstance(text, str) else text
        choice = {"message": message, "finish_reason": self.server.finish_reason}
        good = {"choices": [choice], "usage": self.server.usage}
        bodies = {
            "not json": "Bad gateway",
            "no choices": json.dumps({"choices": []}),
            "null": json.dumps({"choices": [{"message": {"content": None}}]}),
            "empty": json.dumps({"choices": [{"message": {"content": " "}}]}),
            "a list": "[]",
            "an error": json.dumps({"error": {"message": "Provider returned an error", "code": 502}}),
        }
        if fault == "drop":
            self.close_connection = True
        elif fault in NEVER_ENDING:
            self.close_connection = True
            self.never_end(fault)
        elif fault == "a chunk below 0":
            self.close_connection = True
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"-5\r\n{}")
        elif fault == "half":
            self.close_connection = True
            self.send(200, json.dumps(good), missing=10)
        elif fault and fault.isdigit():
            said = f"no: {self.headers.get('Authorization')}"
            self.send(int(fault), json.dumps({"error": {"message": said}}), self.server.headers)
        else:
            self.send(200, bodies.get(fault) or json.dumps(good))

    def never_end(self, fault):
        chunks = fault == "chunk after chunk"
        if fault != "gone quiet":
            self.send_response(200)
            self.send_header(*(("Transfer-Encoding", "chunked") if chunks else ("Content-Length", "1000000")))
            self.end_headers()
        with suppress(OSError):
            while not self.server.ended.wait(0.01):
                self.wfile.write({"gone quiet": b"", "a byte at a time": b" "}.get(fault, b"400\r\n%1024d\r\n" % 0))
                self.wfile.flush()

    def send(self, status, body, headers=(), missing=0):
        body = body.encode()
        self.send_response(status)
        for name, value in {**dict(headers), "Content-Type": "application/json", "Content-Length": len(body)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body[: len(body) - missing])


class ChatServer(ThreadingHTTPServer):
    """Use it in a `with`. reply: messages -> text or message. refuse: a request's body -> (status, its words), or None.

    fault: number of a request -> a status, one of FAULTS or of NEVER_ENDING, or None. headers: those of an answer with
    another status than 200. asked, paths, keys: those of the requests; peak: how many there were at once.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, reply=lambda messages: "0", fault=lambda number: None, headers=(("Retry-After", "0"),)):
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply, self.fault, self.refuse, self.headers = reply, fault, lambda body: None, headers
        self.lock, self.ended = threading.Lock(), threading.Event()
        self.asked, self.paths, self.keys, self.connections, self.in_flight, self.peak = [], [], [], 0, 0, 0
        self.finish_reason = "stop"
        self.usage = {"prompt_tokens": 7, "completion_tokens": 1}
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.005,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_):
        pass  # a client that goes away is part of the tests
