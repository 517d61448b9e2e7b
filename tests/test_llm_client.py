"""Chat completions, from a real server on loopback: good answers, faults, refusals, keys."""

import gc
import gzip
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace

import pytest
from chat_server import AT_ONCE, FAULTS, NEVER_ENDING, ChatServer, Handler, client
from hypothesis import given, settings
from hypothesis import strategies as st

import llm_client
from files import UserError
from llm_client import CUT_OFF, LARGEST_ANSWER, PAUSES, REASONING_ALONE, Asking, ChatClient

HELLO = [{"role": "user", "content": "hello"}]
KEY = "sk-very-secret"


def always(fault):
    return lambda number: fault


def first(fault):
    return lambda number: None if number else fault


# Good answers


def test_an_answer_and_what_it_costs():
    with ChatServer(lambda messages: f"<{messages[0]['content']}>") as server:
        one = client(server, temperature=0.5, max_tokens=9)
        assert one.ask(HELLO) == "<hello>" and one.costs == {"requests": 1, "tokens_in": 7, "tokens_out": 1}
        assert server.asked == [{"model": "small", "messages": HELLO, "temperature": 0.5, "max_tokens": 9}]


def test_one_connection_serves_many_questions():
    with ChatServer() as server:
        one = client(server)
        assert [one.ask(HELLO) for _ in range(5)] == ["0"] * 5 and server.connections == 1


def test_as_many_connections_are_kept_as_may_ask_at_once():
    together = threading.Barrier(12)
    with ChatServer(fault=lambda number: together.wait(60) and None) as server, ThreadPoolExecutor(12) as pool:
        one = client(server, concurrency=6, votes=2)
        for _ in range(3):
            assert list(pool.map(one.ask, [HELLO] * 12)) == ["0"] * 12
        assert server.connections == 12


@pytest.mark.parametrize("usage", [None, ["odd"], {"prompt_tokens": "7", "completion_tokens": -1}, {}])
def test_tokens_that_are_no_numbers_do_no_harm(usage):
    with ChatServer() as server:
        server.usage, one = usage, client(server)
        assert one.ask(HELLO) == "0" and one.costs == {"requests": 1}  # how many is unknown


def test_a_server_names_its_models():
    with ChatServer() as server:
        assert client(server).models() == ["small", "large"]


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        ({"data": [{"id": "a"}, {"id": 5}]}, ["a", "5"]),
        ([{"id": "a"}, {"id": "b"}], ["a", "b"]),
        ({"data": [{"id": "a"}, {"name": "odd"}]}, []),
        ({"data": ["a"]}, []),
        ({"data": None}, []),
        ({"models": []}, []),
        (3, []),
    ],
)
def test_a_list_of_models_gives_their_names_or_none(monkeypatch, listed, names):
    monkeypatch.setattr(Handler, "do_GET", lambda self: self.send(200, json.dumps(listed)))
    with ChatServer() as server:
        assert client(server).models() == names


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ({"content": [{"type": "thinking", "thinking": "3?"}, {"type": "text", "text": "1"}, {"type": "text"}]}, "1"),
        ({"content": [{"type": "reasoning", "text": "3?"}, {"type": "text", "text": "1"}]}, "1"),
        ({"content": [{"type": "text", "text": "Action: "}, "odd", {"type": "text", "text": "1"}]}, "Action: 1"),
        ({"content": "1", "reasoning_content": "3"}, "1"),
        ({"content": None, "reasoning_content": "So Action: 1"}, REASONING_ALONE + "So Action: 1"),
        ({"content": "", "reasoning": "So Action: 1"}, REASONING_ALONE + "So Action: 1"),
        ({"content": None, "refusal": "I cannot play."}, "I cannot play."),
    ],
)
def test_an_answer_may_stand_in_many_places(message, answer):
    with ChatServer(lambda messages: message) as server:
        assert client(server).ask(HELLO) == answer


@pytest.mark.parametrize("message", ["2\n\nSince", {"content": None, "reasoning_content": "Hm"}, {"content": ""}])
@pytest.mark.parametrize("why", ["length", "max_tokens", "model_length"])
def test_an_answer_that_was_cut_off_says_so(message, why):
    with ChatServer(lambda messages: message) as server:
        server.finish_reason = why
        assert client(server).ask(HELLO).endswith(CUT_OFF) and len(server.asked) == 1


# What each request holds


def refuses(name, said, status=400):
    """A server's answer to whoever names that parameter."""
    return lambda body: (status, said) if name in body else None


NO_MAX_TOKENS = "Unsupported parameter: 'max_tokens' is not supported with this model. "
NO_MAX_TOKENS += "Use 'max_completion_tokens' instead."
NO_TEMPERATURE = [
    "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.",
    "`temperature` is deprecated for this model.",
    "invalid temperature: only 1 is allowed for this model",
    "This model does not support the parameter temperature.",
    "Temperature other than 1 is not supported.",
    "Unknown parameter: 'temperature'.",
    "Unrecognized request argument supplied: temperature",
    "temperature is fixed at 1 for this model",
    "invalid temperature: must be 1",
    {"message": "This value is not supported.", "param": "temperature"},
    {"message": "Provider returned error", "metadata": {"raw": "temperature is deprecated"}},
    {"message": "Provider returned error", "metadata": {"headers": "x" * 400, "raw": "Not Supported: Temperature"}},
]


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_may_want_the_new_name_of_max_tokens(status):
    with ChatServer() as server:
        server.refuse, one = refuses("max_tokens", NO_MAX_TOKENS, status), client(server)
        assert [one.ask(HELLO), one.ask(HELLO)] == ["0", "0"] and len(server.asked) == 3 and one.repeatable
        assert server.asked[-1] == {
            "model": "small", "messages": HELLO, "temperature": 0.0, "max_completion_tokens": 64
        }  # fmt: skip


def test_the_new_name_with_a_number_of_ones_own_keeps_that_number():
    with ChatServer() as server:
        server.refuse, one = refuses("max_tokens", NO_MAX_TOKENS), client(server, extra={"max_completion_tokens": 4000})
        assert one.ask(HELLO) == "0" and server.asked[-1]["max_completion_tokens"] == 4000
        assert "max_tokens" not in server.asked[-1]


@pytest.mark.parametrize("said", NO_TEMPERATURE)
def test_a_server_may_want_no_temperature(said):
    with ChatServer() as server:
        server.refuse, one = refuses("temperature", said), client(server)
        assert one.repeatable and [one.ask(HELLO), one.ask(HELLO)] == ["0", "0"] and len(server.asked) == 3
        assert server.asked[-1] == {"model": "small", "messages": HELLO, "max_tokens": 64} and not one.repeatable


def test_a_server_that_goes_on_refusing_is_not_asked_again():
    with ChatServer() as server:
        server.refuse, one = lambda body: (400, NO_MAX_TOKENS + NO_TEMPERATURE[0]), client(server, model="small")
        with pytest.raises(UserError, match="answers 400: Unsupported parameter"):
            one.ask(HELLO)
        assert len(server.asked) == 3


def test_a_temperature_out_of_range_is_the_users_to_change():
    with ChatServer() as server:
        server.refuse = refuses("temperature", "temperature must be from 0 to 2")
        with pytest.raises(UserError, match="from 0 to 2"):
            client(server, temperature=3.0).ask(HELLO)


def test_all_who_ask_at_once_may_be_told_what_fits():
    def refuse(body):
        if "max_tokens" in body:
            together.wait(60)
        return refuses("max_tokens", NO_MAX_TOKENS)(body)

    together = threading.Barrier(4)
    with ChatServer() as server, ThreadPoolExecutor(4) as pool:
        server.refuse, one = refuse, client(server)
        assert list(pool.map(one.ask, [HELLO] * 4)) == ["0"] * 4 and len(server.asked) == 8


def test_more_can_be_put_into_each_request():
    with ChatServer() as server:
        extra = {"top_p": 0.9, "temperature": 0.5, "chat_template_kwargs": {"enable_thinking": False}}
        one = client(server, extra=extra)
        one.ask(HELLO)
        assert server.asked[0] == {"messages": HELLO, **one.body} and server.asked[0]["max_tokens"] == 64
        assert server.asked[0] | one.asking.extra == server.asked[0] and not one.repeatable


# Faults


@pytest.mark.parametrize("extra", [{"stream": True}, {"model": "other"}, {"model": None}, {"messages": []}])
def test_neither_a_stream_nor_another_model_or_prompt_is_asked_for(extra):
    with pytest.raises(UserError, match=f"leave {', '.join(extra)} out of --extra"):
        ChatClient(Asking("http://host/v1", "small", extra=extra))


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_survived(fault):
    with ChatServer(fault=first(fault)) as server:
        assert client(server).ask(HELLO) == "0" and len(server.asked) == 2


@pytest.mark.parametrize("fault", NEVER_ENDING)
def test_a_server_that_never_ends_is_left_after_the_time_limit(fault):
    before = set(threading.enumerate())
    with ChatServer(fault=first(fault)) as server:
        one = client(server, timeout=2)
        assert one.ask(HELLO) == "0" and len(server.asked) == 2
        assert all(each.daemon for each in set(threading.enumerate()) - before)  # none keeps Python from ending
        one.timeout, server.fault = 0.2, always(fault)
        with pytest.raises(UserError, match=r"takes more than 0\.2 seconds|no JSON"):
            one.ask(HELLO)
        assert len(server.asked) <= 2 + 9


def test_a_server_is_not_waited_for_beyond_twice_the_time_limit():
    with ChatServer(fault=always("gone quiet")) as server:
        with pytest.raises(UserError, match=r"takes more than 0\.2 seconds"):
            client(server, timeout=0.2).ask(HELLO)
        assert len(server.asked) <= 3


@pytest.mark.parametrize(("status", "zipped"), [(200, True), (200, False), (302, False)])
def test_an_answer_of_any_size_takes_no_more_memory_than_it_may(monkeypatch, status, zipped):
    def answer(self, fault, messages):
        body = gzip.compress(bytes(20 * LARGEST_ANSWER)) if zipped else bytes(3 * LARGEST_ANSWER)
        self.send_response(status)
        self.send_header("Location", "http://[no address")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Encoding", "gzip" if zipped else "identity")
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)

    def kept(self, *request):
        sizes.append(len((answered := send(self, *request))[1]))
        return answered

    sizes, send = [], ChatClient._send
    monkeypatch.setattr(Handler, "answer", answer)
    monkeypatch.setattr(ChatClient, "_send", kept)
    with ChatServer() as server, pytest.raises(UserError, match=f"answers {status}: .*no "):
        client(server).ask(HELLO)
    assert len(sizes) == (9 if status == 200 else 1) and 0 < max(sizes) <= LARGEST_ANSWER


def test_deep_nesting_is_no_answer(monkeypatch):
    monkeypatch.setattr(Handler, "answer", lambda self, fault, messages: self.send(200, '{"a":' * 100_000))
    gc.collect()  # what other tests left is not to be collected in that depth
    with ChatServer() as server, pytest.raises(UserError, match="no JSON"):
        client(server).ask(HELLO)


def test_what_some_servers_add_to_json_is_no_fault(monkeypatch):
    def answer(self, fault, messages):
        self.send(200, '\ufeff{"choices": [{"message": {"content": "2"}, "logprobs": {"token": -Infinity}}]}')

    monkeypatch.setattr(Handler, "answer", answer)
    with ChatServer() as server:
        assert client(server).ask(HELLO) == "2"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda self, *_: setattr(self, "close_connection", True), "off: Remote end closed connection without resp"),
        (lambda self, *_: self.send(500, "Internal Server Error"), "answers 500: no JSON: Internal Server Error$"),
        (lambda self, *_: self.send(502, ""), "answers 502: no JSON: nothing$"),
        (lambda self, *_: self.send(200, "Hello"), "answers 200: no JSON: Hello$"),
        (lambda self, *_: self.send(200, '{"detail": "no credit"}'), "gives no chat completion: .*no credit"),
        (lambda self, *_: self.send(201, '{"error": "no credit"}'), "answers 201: no credit$"),
    ],
)
def test_what_happened_is_said_in_few_words(monkeypatch, answer, said):
    monkeypatch.setattr(Handler, "answer", answer)
    with ChatServer() as server, pytest.raises(UserError, match=said):
        client(server).ask(HELLO)


def test_a_web_page_in_place_of_the_first_answer_ends_the_work_at_once_and_a_later_one_does_not(monkeypatch):
    def page(self, *_):
        self.send(200, "\n<!doctype html>")

    def busy(self, *_):
        self.send(502, "<html>")

    with ChatServer() as server:
        one, answers = client(server), iter([page, busy, Handler.answer, page, page, Handler.answer])
        monkeypatch.setattr(Handler, "answer", lambda self, *rest: next(answers)(self, *rest))
        with pytest.raises(UserError, match=r"answers with a web page$"):
            one.ask(HELLO)
        assert one.costs["requests"] == 1
        assert one.ask(HELLO) == "0" and one.costs["requests"] == 3
        assert one.ask(HELLO) == "0" and one.costs["requests"] == 6


@pytest.mark.parametrize("kind", [{"code": "insufficient_quota"}, {"type": "insufficient_quota", "code": None}])
def test_who_has_no_credit_is_told_at_once_unless_it_is_a_limit_to_the_speed(monkeypatch, waits, kind):
    def refusal(self, *_):
        self.send(429, json.dumps({"error": {"message": "You exceeded your current quota", **kind}}))

    with ChatServer() as server:
        one, answers = client(server), iter([refusal, Handler.answer, refusal, Handler.answer])
        monkeypatch.setattr(Handler, "answer", lambda self, *rest: next(answers)(self, *rest))
        with pytest.raises(UserError, match="answers 429: You exceeded your current quota"):
            one.ask(HELLO)
        assert one.costs["requests"] == 1
        assert one.ask(HELLO) == "0" == one.ask(HELLO) and one.costs["requests"] == 4


def test_who_has_no_credit_for_a_model_is_not_asked_for_its_name_again_and_again(monkeypatch):
    def refusal(self):
        self.send(429, json.dumps({"error": {"message": "no credit for small", "code": "insufficient_quota"}}))

    with ChatServer() as server:
        monkeypatch.setattr(Handler, "do_GET", refusal)
        monkeypatch.setattr(Handler, "answer", lambda self, *_: refusal(self))
        with pytest.raises(UserError, match=r"answers 429: no credit for small$"):
            client(server).ask(HELLO)
        with pytest.raises(UserError, match=r"answers 429: no credit for small$"):
            client(server).models()


@pytest.mark.parametrize("ending", ["", "/", "/chat/completions", "/chat/completions/"])
def test_the_base_url_may_go_on_to_where_it_is_asked(ending):
    with ChatServer() as server:
        assert ChatClient(Asking(server.url + ending, "small")).ask(HELLO) == "0"
        assert server.paths == ["/v1/chat/completions"]


def test_what_is_wrong_at_the_moment_can_be_seen(waits):
    with ChatServer(fault=first("an error")) as server:
        one = client(server)
        server.reply = lambda messages: seen.append((one.problem, one.heard)) or "0"
        seen = []
        one.ask(HELLO)
    assert seen[1][0] == "answers 200: Provider returned an error" and one.problem == ""
    assert seen[0][1] < seen[1][1] < one.heard


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize("error", [None, False, "", {}])
def test_an_answer_is_one_whatever_says_that_nothing_is_wrong(monkeypatch, status, error):
    said = {"choices": [{"message": {"content": "2"}, "error": error}], "error": error}
    monkeypatch.setattr(Handler, "answer", lambda self, fault, messages: self.send(status, json.dumps(said)))
    with ChatServer() as server:
        assert client(server).ask(HELLO) == "2" and len(server.asked) == 1


BROKEN = [{"finish_reason": each} for each in ("error", "abort", "insufficient_system_resource")]
BROKEN += [{"error": {"message": "Overloaded", "code": 502}}]


@pytest.mark.parametrize("choice", BROKEN)
@pytest.mark.parametrize("content", ["Action: 1 is", ""])
def test_an_answer_that_breaks_off_is_none(monkeypatch, choice, content):
    def answer(self, fault, messages):
        broken = {"choices": [{"message": {"content": content}, "finish_reason": "stop", **choice}]}
        broken["usage"] = {"prompt_tokens": 500, "completion_tokens": 64}
        real(self, fault, messages) if fault is None else self.send(200, json.dumps(broken))

    real = Handler.answer
    monkeypatch.setattr(Handler, "answer", answer)
    with ChatServer(fault=first("broken")) as server:
        one = client(server)
        assert one.ask(HELLO) == "0" and one.costs == {"requests": 2, "tokens_in": 507, "tokens_out": 65}
        server.fault = always("broken")
        with pytest.raises(UserError, match=r"breaks off its answer: (error|abort|insuff.*|.*Overloaded)"):
            client(server).ask(HELLO)


def test_an_error_may_stand_in_a_list(monkeypatch):
    said = [{"error": {"code": 400, "message": "No such model"}}]
    monkeypatch.setattr(Handler, "answer", lambda self, fault, messages: self.send(400, json.dumps(said)))
    with ChatServer() as server, pytest.raises(UserError, match=r"answers 400: No such model$"):
        client(server).ask(HELLO)


def test_what_was_asked_in_vain_is_counted():
    with ChatServer(fault=lambda number: "500" if number < 3 else None) as server:
        one = client(server)
        one.ask(HELLO)
        assert one.costs["requests"] == len(server.asked) == 4


@settings(max_examples=30)
@given(st.lists(st.sampled_from(FAULTS), max_size=len(AT_ONCE)))
def test_any_schedule_of_faults_up_to_the_limit_is_survived(schedule):
    with ChatServer(fault=lambda number: schedule[number] if number < len(schedule) else None) as server:
        assert client(server).ask(HELLO) == "0" and len(server.asked) == len(schedule) + 1


@pytest.mark.parametrize("fault", ["500", "drop", "no choices", "not json"])
def test_a_server_that_fails_for_good_is_given_up(fault):
    with ChatServer(fault=always(fault)) as server:
        with pytest.raises(UserError) as error:
            client(server).ask(HELLO)
        assert len(server.asked) == len(AT_ONCE) + 1 and "\n" not in str(error.value)


def test_a_server_that_speaks_no_https_is_told_of():
    with ChatServer() as server:
        asked = ChatClient(Asking(server.url.replace("http:", "https:"), "small"), pauses=())
        with pytest.raises(UserError, match=r"cannot be reached, .*: \[SSL.*; check .* with http or https"):
            asked.ask([{"role": "user", "content": "Hi"}])


def test_a_server_that_is_not_there_is_named_soon(waits):
    with ChatServer() as server:
        pass
    with pytest.raises(UserError, match=r"127\.0\.0\.1.* cannot be reached.*refused; check that it runs"):
        client(server, 300, PAUSES).ask(HELLO)
    assert sum(waits) < 6 and len(waits) == 4  # the pauses up to two seconds


def test_a_server_that_goes_away_is_waited_for(waits):
    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 8:
            server.fault = lambda number: None

    with ChatServer(fault=lambda number: "drop" if number else None) as server:
        one = client(server, 300, PAUSES)
        one.ask(HELLO)
        llm_client.time.sleep = sleep
        assert one.ask(HELLO) == "0"


@pytest.fixture
def waits(monkeypatch):
    """For how long each pause before another try would have been."""
    waits = []
    monkeypatch.setattr(llm_client.time, "sleep", waits.append)
    return waits


@pytest.fixture
def now(monkeypatch):
    """[the time], which goes on only while somebody sleeps."""
    now = [0.0]
    monkeypatch.setattr(llm_client.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(llm_client.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


@pytest.mark.parametrize(
    ("asked_for", "waited"),
    [("7", 7), ("36.41", 36.41), ("60", 60), ("3600", 60), ("9" * 999, 60)]
    + [(what, 0) for what in ("soon", "-5", "1.2.3", "nan", "1 Jan 99999")],
)
@pytest.mark.parametrize("status", ["429", "503"])
def test_a_server_may_ask_for_a_pause_of_a_minute_at_most(waits, monkeypatch, status, asked_for, waited):
    monkeypatch.setattr(llm_client.time, "monotonic", lambda: 0.0)
    with ChatServer(fault=first(status), headers={"Retry-After": asked_for}) as server:
        assert client(server, 300, PAUSES).ask(HELLO) == "0" and sum(waits) == waited and len(waits) <= 1


@pytest.mark.parametrize(
    ("said", "waited"),
    [(f"{'See your quota. ' * 30}Please retry in 34.07s.", 34.07), ("Try again in 2s. Visit", 2)]
    + [("Try again in 7m12s", 0), ("Try again in .s", 0)],
)
def test_a_pause_may_be_asked_for_in_words(waits, monkeypatch, said, waited):
    refusals = iter([(429, said), None])
    monkeypatch.setattr(llm_client.time, "monotonic", lambda: 0.0)
    with ChatServer(headers={}) as server:
        server.refuse = lambda body: next(refusals)
        assert client(server, 300, PAUSES).ask(HELLO) == "0" and sum(waits) == waited


@pytest.mark.parametrize(("status", "asked_for"), [("429", None), ("429", "20"), ("503", "20")])
def test_a_limit_of_requests_a_minute_is_waited_for_by_all(waits, status, asked_for):
    headers = {"Retry-After": asked_for} if asked_for else {}
    with ChatServer(fault=lambda number: status if 1 <= number <= 30 else None, headers=headers) as server:
        one = client(server, 300, PAUSES)
        assert [one.ask(HELLO), one.ask(HELLO)] == ["0", "0"] and len(server.asked) == 32
        waits.clear()
        assert one.ask(HELLO) == "0" and 15 < waits[0] <= 30  # no time has passed: the next one waits as well


def test_the_longest_pause_that_anybody_was_told_holds_for_all(now):
    def fault(number):
        one.not_before = now[0] + 30 * (number == 0)  # as another thread, which has just been told so, leaves it
        return None if number else "429"

    with ChatServer(fault=fault, headers={"Retry-After": "1"}) as server:
        one = client(server, 300, PAUSES)
        assert one.ask(HELLO) == "0" and now[0] == pytest.approx(30)


def test_a_server_that_has_never_been_of_use_is_given_up_though_it_speaks_of_a_limit(now):
    with ChatServer(fault=always("429"), headers={}) as server:
        with pytest.raises(UserError, match="answers 429"):
            client(server, 300, PAUSES).ask(HELLO)
        assert len(server.asked) == 9


def test_a_limit_is_not_waited_for_beyond_twice_the_time_limit(now):
    with ChatServer(fault=lambda number: "429" if number else None, headers={"Retry-After": "60"}) as server:
        one = client(server, 300, PAUSES)
        one.ask(HELLO)
        with pytest.raises(UserError, match="answers 429"):
            one.ask(HELLO)
        assert 600 < now[0] <= 660


@pytest.mark.parametrize("fault", ["null", "empty"])
def test_an_empty_answer_is_one_after_a_few_tries(waits, fault):
    with ChatServer(fault=always(fault)) as server:
        one = client(server, 300, PAUSES)
        assert one.ask(HELLO) == "" == one.problem and len(server.asked) == 4 and sum(waits) < 3


@pytest.mark.parametrize("fault", ["500", "not json"])
def test_the_pauses_before_another_try_grow(waits, fault):
    with ChatServer(fault=always(fault), headers={}) as server, pytest.raises(UserError):
        client(server, 300, PAUSES).ask(HELLO)
    assert len(waits) == len(PAUSES)
    assert all(pause <= wait <= 1.5 * pause for pause, wait in zip(PAUSES, waits))


def test_who_failed_at_the_same_instant_does_not_ask_again_at_the_same_instant(waits):
    with ChatServer(fault=always("500"), headers={}) as server, pytest.raises(UserError):
        client(server, 300, (1,) * 20).ask(HELLO)
    assert len(set(waits)) == 20


# Refusals


@pytest.mark.parametrize(
    ("status", "advice"),
    [("404", "one of: small, large"), ("401", "OPENAI_API"), ("403", "OPENAI_API")],
)
def test_a_refusal_is_final_and_says_what_to_do(status, advice, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ChatServer(fault=always(status)) as server:
        with pytest.raises(UserError, match=rf"answers {status}: no: Bearer \[key\]; .*{advice}") as error:
            client(server, model="no-such").ask(HELLO)
        assert len(server.asked) == 1 and KEY not in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("said", "end"), [("There is no no-such", "no-such; give --model one of: small, large"), ("Too long", "Too long")]
)
def test_a_bad_request_is_the_models_fault_if_it_is_named(said, end):
    with ChatServer() as server, pytest.raises(UserError, match=f"{end}$"):
        server.refuse = lambda body: (400, said)
        client(server, model="no-such").ask(HELLO)


@pytest.mark.parametrize(
    ("status", "problem"),
    [(401, "answers 401: no key; set OPENAI_API_KEY"), (403, "answers 403: no key; set OPENAI_API_KEY")]
    + [(status, f"answers {status}: no key$") for status in (429, 500)]
    + [(301, "answers 301: no key; give --base-url the address that it sends you to")]
    + [(None, "cannot be reached")],
)
def test_a_server_that_names_no_models_says_why(monkeypatch, status, problem):
    monkeypatch.setattr(Handler, "do_GET", lambda self: self.send(status, '{"error": {"message": "no key"}}'))
    with ChatServer() as server:
        one = client(server)
        if status:
            with pytest.raises(UserError, match=problem):
                one.models()
    if not status:
        with pytest.raises(UserError, match=problem):
            one.models()


def test_a_server_need_not_name_its_models(monkeypatch):
    monkeypatch.setattr(Handler, "do_GET", lambda self: self.send(404, "no"))
    with ChatServer() as server:
        assert client(server).models() == []


@pytest.mark.parametrize("fault", ["403", "drop"])
def test_a_refusal_is_told_though_the_server_names_no_models(monkeypatch, fault):
    def names(self):
        self.close_connection = True
        if fault == "403":
            self.send(403, "no")

    monkeypatch.setattr(Handler, "do_GET", names)
    for end, doubt in ("/v1", ""), ("/api", r"; does its URL end in /v1\?"):
        with ChatServer(fault=always("404")) as server:
            server.url = server.url.replace("/v1", end)
            with pytest.raises(UserError, match=f"{end} answers 404: no: None{doubt}$"):
                client(server).ask(HELLO)


def test_an_error_in_an_answer_of_status_200_is_one_of_its_own_code(monkeypatch):
    def says(error):
        return lambda self, *_: self.send(200, json.dumps({"error": error}))

    no_credit, busy = says({"message": "No credits", "code": 402}), says({"message": "Upstream", "code": 502})
    nowhere, own, good = says("Unexpected endpoint"), says({"message": "Busy", "code": 1302}), Handler.answer
    answers = iter([nowhere, no_credit, busy, good, nowhere, own, busy, good, no_credit])
    monkeypatch.setattr(Handler, "answer", lambda self, *rest: next(answers)(self, *rest))
    monkeypatch.setattr(Handler, "do_GET", lambda self: self.send(200, "{}"))
    with ChatServer() as server:
        server.url = server.url.removesuffix("/v1")
        one = client(server)
        with pytest.raises(UserError, match=r"answers 200: Unexpected endpoint; does its URL end in /v1\?$"):
            one.ask(HELLO)
        with pytest.raises(UserError, match=r"answers 200: No credits$"):
            one.ask(HELLO)
        assert one.ask(HELLO) == "0" == one.ask(HELLO)  # of a server that has been of use a fault is survived
        with pytest.raises(UserError, match=r"answers 200: No credits$"):
            one.ask(HELLO)


def test_of_many_models_the_ten_most_like_the_one_that_is_asked_for_are_named(monkeypatch):
    names = [f"a/model-{i}" for i in range(300)] + ["qwen/qwen-2.5-7b-instruct"]
    monkeypatch.setattr(Handler, "do_GET", lambda self: self.send(200, json.dumps([{"id": name} for name in names])))
    with ChatServer(fault=always("404")) as server:
        with pytest.raises(UserError, match=r"give --model one of: qwen/qwen-2\.5-7b-instruct, (a/\S+, ){9}\.\.\.$"):
            client(server, model="qwen2.5:7b").ask(HELLO)
        assert client(server, model=None).models() == names
        del names[9:-1]
        with pytest.raises(UserError, match=r"give --model one of: qwen/qwen-2\.5-7b-instruct(, a/model-\d){9}$"):
            client(server, model="qwen2.5:7b").ask(HELLO)


@pytest.mark.parametrize("url", ["localhost:11434/v1", "", "ftp://host/v1", "http://", "http://no such host/v1"])
def test_what_is_no_url_is_refused(url):
    for request in (lambda client: client.ask(HELLO)), ChatClient.models:
        with pytest.raises(UserError, match="--base-url") as error:
            request(ChatClient(Asking(url, "small"), pauses=AT_ONCE))
        assert "\n" not in str(error.value)


def test_a_url_may_be_written_in_capitals_and_stand_in_white_space(monkeypatch):
    with ChatServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f" {server.url.replace('http', 'HTTP')}/\n")
        assert ChatClient(Asking(None, "small")).ask(HELLO) == "0"


@pytest.mark.parametrize("url", ["http://localhost:abc/v1", "http://a b/v1", "http://localhost:99999/v1", "http:///v1"])
def test_a_url_that_is_none_is_refused_at_once(url):
    with pytest.raises(UserError, match=r"--base-url: .*; give one such as http://localhost:11434/v1"):
        ChatClient(Asking(url, "model"), pauses=[60]).ask(HELLO)


@pytest.mark.parametrize("url", ["http://me:{key}@{host}/v1", "http://{host}/v1?key={key}", "http://{host}/v1#{key}"])
def test_a_secret_in_a_url_is_refused_and_not_shown(url):
    with ChatServer() as server:
        with pytest.raises(UserError, match=r"a URL without @, \? or #; the key stands in a variable") as error:
            ChatClient(Asking(url.format(key=KEY, host=f"127.0.0.1:{server.server_port}"), "small")).ask(HELLO)
        assert KEY not in str(error.value) and server.connections == 0


def test_a_redirect_is_named_and_not_followed(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ChatServer() as other, ChatServer(fault=always("302"), headers={"Location": other.url}) as server:
        with pytest.raises(UserError, match=f"answers 302: {other.url}; give --base-url the address"):
            client(server).ask(HELLO)
        assert len(server.asked) == 1 and other.connections == 0


# The key


def test_the_key_goes_to_the_server_alone(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    with ChatServer() as server:
        one = client(server)
        one.ask(HELLO)
        assert server.keys == [f"Bearer {KEY}"]
        assert KEY not in f"{one!r} {vars(one)!r} {one.session!r} {one.session.auth!r} {one.session.headers!r}"


@pytest.mark.parametrize("before", [0, 100, 200, 290])
def test_a_server_that_repeats_the_key_does_not_show_it(monkeypatch, before):
    """Whole or in part: what is long is cut after the key has gone."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY * 10)
    with ChatServer(lambda messages: f"{'x' * before}Bearer {KEY * 10}") as server:
        assert client(server).ask(HELLO) == f"{'x' * before}Bearer [key]"
    response = SimpleNamespace(status_code=401, headers={}, request=SimpleNamespace(body=b"{}"))
    with pytest.raises(UserError) as error:
        ChatClient(Asking("http://127.0.0.1:1/v1", "small"))._answer(response, f"{'x' * before}{KEY * 10}".encode())
    assert KEY[:9] not in str(error.value)


def test_a_server_that_repeats_the_key_in_capitals_does_not_show_it(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ChatServer(lambda messages: KEY.upper()) as server:
        assert client(server).ask(HELLO) == "[key]"


def test_a_short_key_does_not_take_letters_out_of_words(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "l")
    with ChatServer() as server:
        assert client(server).models() == ["small", "large"]


@pytest.mark.parametrize(("key", "shown"), [("abcdefg", "abcdefg"), ("abcdefgh", "[key]")])
def test_a_key_is_a_secret_from_eight_characters_on(monkeypatch, key, shown):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with ChatServer(lambda messages: key) as server:
        assert client(server).ask(HELLO) == shown


def test_without_a_key_none_is_sent(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with ChatServer() as server:
        client(server).ask(HELLO)
        assert server.keys == [None]


def test_another_variable_may_hold_the_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another")
    monkeypatch.setenv("MY_KEY", KEY)
    with ChatServer() as server:
        client(server, api_key_env="MY_KEY").ask(HELLO)
        assert server.keys == [f"Bearer {KEY}"]
        server.fault = always("401")
        with pytest.raises(UserError, match="set MY_KEY to a key"):
            client(server, api_key_env="MY_KEY").ask(HELLO)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost", "0.0.0.0"])
def test_no_proxy_stands_before_this_machine(monkeypatch, host):
    with ChatServer(lambda messages: "by proxy") as proxy, ChatServer() as server:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        server.url = server.url.replace("127.0.0.1", host)
        assert client(server).ask(HELLO) == "0"
        server.url = server.url.replace("http:", "https:")  # which it does not speak
        with pytest.raises(UserError, match="cannot be reached, or breaks off"):
            client(server).ask(HELLO)
        assert not proxy.connections


@pytest.mark.parametrize(("key", "sent"), [("", None), (KEY, f"Bearer {KEY}")])
def test_no_password_is_taken_from_a_netrc(monkeypatch, tmp_path, key, sent):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with ChatServer() as server:
        client(server).ask(HELLO)
        assert server.keys == [sent]


def test_the_users_certificates_count_for_this_machine_too(monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such.pem")
    with ChatServer() as server, pytest.raises(OSError, match=r"/no/such\.pem"):
        ChatClient(Asking(server.url.replace("http", "https"), "small")).ask(HELLO)


def test_a_proxy_that_fails_is_named(monkeypatch):
    with ChatServer() as gone:
        pass
    monkeypatch.setenv("http_proxy", gone.url.removesuffix("/v1"))
    with pytest.raises(UserError, match="through the proxy of your environment"):
        ChatClient(Asking("http://somewhere.invalid/v1", "small"), pauses=AT_ONCE).ask(HELLO)


@pytest.mark.parametrize("proxy", ["http://me:secret@here:80800", "http://me:secret/pw@here:9", "me:secret@here", "x://s"])
def test_a_proxy_that_is_none_is_named_without_its_password(monkeypatch, proxy):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(UserError, match="it, or the proxy of your environment, is no URL") as error:
        ChatClient(Asking("http://somewhere.invalid/v1", "small"), pauses=AT_ONCE).ask(HELLO)
    assert "secret" not in str(error.value)


def test_a_key_in_place_of_its_variables_name_is_refused_and_not_shown():
    with pytest.raises(UserError, match="takes the name of a variable that is set") as error:
        ChatClient(Asking("http://host/v1", "small", api_key_env=KEY))
    assert KEY not in str(error.value)


@pytest.mark.parametrize("key", ["sk-very\nsecret", "sk-verý-secret"])
def test_a_key_that_cannot_be_one_is_not_shown(monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(UserError, match="OPENAI_API_KEY") as error:
        ChatClient(Asking("http://127.0.0.1:1/v1", "small"))
    assert "secret" not in str(error.value)


def test_a_request_that_is_given_up_ends_though_its_server_never_does():
    before = set(threading.enumerate())
    with ChatServer(fault=always("gone quiet")) as server:
        with pytest.raises(UserError, match=r"takes more than 0\.1 seconds"):
            client(server, timeout=0.1, pauses=()).ask(HELLO)
        (given_up,) = [each for each in set(threading.enumerate()) - before if each.name.endswith("(send)")]
        given_up.join(10)
        assert not given_up.is_alive()


def test_a_server_that_zips_for_who_takes_it_is_understood(monkeypatch):
    plain = Handler.send

    def send(self, status, body, headers=(), missing=0):
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            zipped = gzip.compress(body.encode())
            self.send_response(status)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(zipped)))
            self.end_headers()
            self.wfile.write(zipped)
        else:
            plain(self, status, body, headers, missing)

    monkeypatch.setattr(Handler, "send", send)
    with ChatServer() as server:
        assert client(server).ask(HELLO) == "0"
