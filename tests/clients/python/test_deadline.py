"""Time runs out: in the gateway, in the client, and because the client leaves."""

import asyncio
import urllib.request
import uuid

import openai
import pytest

from conftest import FAMILIES, FAULTY_URL, MODEL, UPSTREAM_URL, connect, says

LONG = says("Write a long report. [[tokens=6000]]")


def window(milliseconds):
    return {"x-spillway-deadline-ms": str(milliseconds)}


def cut(create, **request):
    """What fits into 3 s. On a busy machine there may be no token in time, and more time is given."""
    for milliseconds in (3000, 10_000):
        try:
            return create(**request, extra_headers=window(milliseconds))
        except openai.APIStatusError as error:
            if error.status_code != 408:
                raise
    return create(**request, extra_headers=window(40_000))


def test_headers(client):
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=says("Hi. [[tokens=3]]"), max_tokens=50
    )
    assert raw.parse().choices[0].message.content
    assert raw.headers["x-spillway-request-id"]
    assert raw.headers["x-spillway-deployment"]
    assert raw.headers["x-spillway-attempts"] == "1"
    assert "x-spillway-truncated" not in raw.headers
    assert "ttft" in raw.headers["server-timing"]


def test_cut_at_the_deadline(client):
    """8,000 tokens take a minute and more: in 3 s the answer is what fits, and says so."""
    raw = cut(client.chat.completions.with_raw_response.create, model=MODEL, messages=LONG, max_tokens=8000)
    answer = raw.parse()
    assert raw.headers["x-spillway-truncated"] == "deadline"
    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].message.content
    assert answer.usage.completion_tokens > 10


def test_response_cut_at_the_deadline(client):
    raw = cut(client.responses.with_raw_response.create, model=MODEL, input=LONG[0]["content"])
    answer = raw.parse()
    assert raw.headers["x-spillway-truncated"] == "deadline"
    assert answer.status == "incomplete"
    assert answer.output_text


def test_response_stream_cut_at_the_deadline(client):
    """The SDK's helper delivers the end of a response that is too short. It is an error only to get_final_response."""

    def stream(**request):
        with client.responses.stream(**request) as events:
            return list(events)

    events = cut(stream, model=MODEL, input=LONG[0]["content"])
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.incomplete_details.reason == "max_output_tokens"
    assert events[-1].response.output_text == "".join(e.delta for e in events if e.type == "response.output_text.delta")


def test_client_timeout_is_the_deadline(client):
    """The SDK says how long it waits, so the answer comes before it gives up.

    On a busy machine it can be late, and is tried again.
    """
    patient = client.with_options(timeout=3, max_retries=10)
    answer = patient.chat.completions.create(model=MODEL, messages=LONG)
    assert answer.choices[0].finish_reason == "length"


def test_no_token_in_time(client):
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=MODEL, messages=LONG, extra_headers=window(20))
    assert caught.value.status_code == 408
    assert caught.value.code


def test_client_times_out(client):
    """A client that does not say how long it waits gives up by itself."""
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(
            model=MODEL, messages=LONG, timeout=1, extra_headers={"x-stainless-read-timeout": openai.Omit()}
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_client_leaves(family):
    """What the client no longer reads is no longer generated."""
    mark = uuid.uuid4().hex

    async def leave():
        async with connect(family, url=FAULTY_URL, asynchronous=True) as client:
            stream = await client.chat.completions.create(model="endless", messages=says(mark), stream=True)
            seen = 0
            async for _ in stream:
                seen += 1
                if seen == 10:
                    break
            await stream.close()
            return seen

    assert asyncio.run(leave()) == 10
    # The upstream answers when its own client, the gateway, has left.
    with urllib.request.urlopen(f"{UPSTREAM_URL}/left/{mark}", timeout=600) as page:
        assert page.status == 200
