"""Chat completions, from a real server on loopback: good answers, faults, refusals, keys."""

import pytest
import requests
from chat_server import AT_ONCE, FAULTS, ChatServer, client
from hypothesis import given, settings
from hypothesis import strategies as st

import llm_client
from llm_client import PAUSES, Asking, ChatClient, ServerError

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


@pytest.mark.parametrize("usage", [None, ["odd"], {"prompt_tokens": "7", "completion_tokens": None}, {}])
def test_tokens_that_are_no_numbers_do_no_harm(usage):
    with ChatServer() as server:
        server.usage, one = usage, client(server)
        assert one.ask(HELLO) == "0" and one.costs["tokens_in"] == one.costs["tokens_out"] == 0


def test_a_server_names_its_models():
    with ChatServer() as server:
        assert client(server).models() == ["small", "large"]


def test_every_request_has_a_time_limit(monkeypatch):
    limits, send = [], requests.Session.send

    def watched(self, request, **options):
        limits.append(options["timeout"])
        return send(self, request, **options)

    monkeypatch.setattr(requests.Session, "send", watched)
    with ChatServer() as server:
        one = client(server, (5, 300), PAUSES)
        one.ask(HELLO)
        one.models()
    assert limits == [(5, 300)] * 2


# Faults


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_survived(fault):
    with ChatServer(fault=first(fault)) as server:
        patience = 0.5 if fault == "gone quiet" else 60
        assert client(server, timeout=(60, patience)).ask(HELLO) == "0" and len(server.asked) >= 2


def test_what_was_asked_in_vain_is_counted():
    with ChatServer(fault=lambda number: "500" if number < 3 else None) as server:
        one = client(server)
        one.ask(HELLO)
        assert one.costs["requests"] == len(server.asked) == 4


@settings(max_examples=30)
@given(st.lists(st.sampled_from(FAULTS[:-1]), max_size=len(AT_ONCE)))
def test_any_schedule_of_faults_up_to_the_limit_is_survived(schedule):
    with ChatServer(fault=lambda number: schedule[number] if number < len(schedule) else None) as server:
        assert client(server).ask(HELLO) == "0" and len(server.asked) == len(schedule) + 1


@pytest.mark.parametrize("fault", ["500", "drop", "null", "not json"])
def test_a_server_that_fails_for_good_is_given_up(fault):
    with ChatServer(fault=always(fault)) as server:
        with pytest.raises(ServerError) as error:
            client(server).ask(HELLO)
        assert len(server.asked) == len(AT_ONCE) + 1 and "\n" not in str(error.value)


def test_a_server_that_is_not_there_is_named_soon(waits):
    with ChatServer() as server:
        pass
    with pytest.raises(ServerError, match=r"127\.0\.0\.1.* cannot be reached.*refused.*is the server running\?"):
        client(server, (5, 300), PAUSES).ask(HELLO)
    assert sum(waits) < 6


def test_a_server_that_goes_away_is_waited_for(waits):
    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 8:
            server.fault = lambda number: None

    with ChatServer(fault=lambda number: "drop" if number else None) as server:
        one = client(server, (5, 300), PAUSES)
        one.ask(HELLO)
        llm_client.time.sleep = sleep
        assert one.ask(HELLO) == "0"


@pytest.fixture
def waits(monkeypatch):
    """For how long each pause before another try would have been."""
    waits = []
    monkeypatch.setattr(llm_client.time, "sleep", waits.append)
    return waits


@pytest.mark.parametrize(
    ("asked_for", "waited"),
    [("7", 7), ("60", 60), ("3600", 60), ("9" * 99, 60), *((what, 0) for what in ("1.5", "soon", "-5", "1 Jan 99999"))],
)
def test_a_server_may_ask_for_a_pause_of_a_minute_at_most(waits, asked_for, waited):
    with ChatServer(fault=first("429"), headers={"Retry-After": asked_for}) as server:
        assert client(server, (5, 300), PAUSES).ask(HELLO) == "0" and waits == [waited]


@pytest.mark.parametrize("fault", ["500", "null"])
def test_the_pauses_before_another_try_grow(waits, fault):
    with ChatServer(fault=always(fault), headers={}) as server, pytest.raises(ServerError):
        client(server, (5, 300), PAUSES).ask(HELLO)
    assert len(waits) == len(PAUSES)
    assert all(pause <= wait <= 1.5 * pause for pause, wait in zip(PAUSES, waits))


# Refusals


@pytest.mark.parametrize(
    ("status", "advice"),
    [("400", "one of: small, large"), ("404", "one of: small, large"), ("401", "OPENAI_API"), ("403", "OPENAI_API")],
)
def test_a_refusal_is_final_and_says_what_to_do(status, advice, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ChatServer(fault=always(status)) as server:
        with pytest.raises(ServerError, match=rf"answers {status}: no: Bearer \[key\]; .*{advice}") as error:
            client(server, model="no-such").ask(HELLO)
        assert len(server.asked) == 1 and KEY not in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("url", ["localhost:11434/v1", "", "ftp://host/v1", "http://", "http://no such host/v1"])
def test_what_is_no_url_is_refused(url):
    with pytest.raises(ServerError) as error:
        ChatClient(Asking(url, "small"), pauses=AT_ONCE).ask(HELLO)
    assert "\n" not in str(error.value)


def test_a_password_in_a_url_is_refused_and_not_shown():
    with ChatServer() as server:
        with pytest.raises(ServerError, match="without a password") as error:
            ChatClient(Asking(server.url.replace("//", f"//me:{KEY}@"), "small")).ask(HELLO)
        assert KEY not in str(error.value) and server.connections == 0


def test_a_redirect_is_named_and_not_followed(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ChatServer() as other, ChatServer(fault=always("302"), headers={"Location": other.url}) as server:
        with pytest.raises(ServerError, match=f"answers 302: {other.url}"):
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


def test_without_a_key_none_is_sent(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with ChatServer() as server:
        client(server).ask(HELLO)
        assert server.keys == [None]


@pytest.mark.parametrize("key", ["sk-very\nsecret", "sk-verý-secret"])
def test_a_key_that_cannot_be_one_is_not_shown(monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ServerError, match="OPENAI_API_KEY") as error:
        ChatClient(Asking("http://127.0.0.1:1/v1", "small"))
    assert "secret" not in str(error.value)
