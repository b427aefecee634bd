"""Every failure comes out as the exception type that callers already catch."""

import uuid

import openai
import pytest

from conftest import FAULTY_URL, MODEL, connect, says


def ask(client, **options):
    return client.chat.completions.create(**{"model": MODEL, "messages": says("Hi. [[tokens=3]]"), **options})


def test_wrong_key(family):
    with connect(family, key="wrong") as client, pytest.raises(openai.AuthenticationError) as caught:
        ask(client)
    assert caught.value.status_code == 401
    assert caught.value.code
    assert caught.value.message


def test_unknown_model(client):
    with pytest.raises(openai.NotFoundError) as caught:
        ask(client, model="no-such-deployment")
    assert caught.value.status_code == 404
    assert caught.value.code in ("DeploymentNotFound", "model_not_found")


@pytest.mark.parametrize(
    "options",
    [
        {"max_tokens": -1},
        {"max_completion_tokens": 0},
        {"max_tokens": 5, "max_completion_tokens": 5},
        {"extra_body": {"max_tokens": "many"}},
        {"messages": "not a list"},
    ],
    ids=["negative", "zero", "both fields", "not a number", "no messages"],
)
def test_invalid(client, options):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, **options)
    assert caught.value.status_code == 400
    assert caught.value.message


def test_error_names_the_request(client):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, max_tokens=-1)
    assert caught.value.response.headers["x-spillway-request-id"]


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("throttled", openai.RateLimitError),
        ("broken", openai.InternalServerError),
        ("filtered", openai.BadRequestError),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["sync", "stream"])
def test_upstream_fails(family, model, kind, stream):
    with connect(family, url=FAULTY_URL) as client, pytest.raises(kind) as caught:
        ask(client, model=model, stream=stream)
    assert caught.value.code


def test_throttled_says_when(family):
    with connect(family, url=FAULTY_URL) as client, pytest.raises(openai.RateLimitError) as caught:
        ask(client, model="throttled")
    assert float(caught.value.response.headers["retry-after"]) > 0


def test_throttled_for_a_moment(family):
    """The gateway waits for a deployment that is soon free; the caller sees an answer."""
    with connect(family, url=FAULTY_URL) as client:
        answer = ask(client, model="recovers", messages=says(uuid.uuid4().hex))
    assert answer.choices[0].message.content


def test_broken_stream(family):
    """A stream that dies after its first tokens is an error to the caller, not a short answer."""
    with connect(family, url=FAULTY_URL) as client, pytest.raises(openai.APIError):
        for _ in ask(client, model="cut", stream=True):
            pass


@pytest.mark.parametrize("model", ["pauses", "numbered"])
def test_heartbeats(family, model):
    """The comments that the gateway sends while a stream pauses are no events."""
    with connect(family, url=FAULTY_URL) as client:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in ask(client, model=model, stream=True))
    assert text.count("word") == 4
