"""Chat completions: answers, streams, tools, structured output."""

import json

from pydantic import BaseModel

from conftest import MODEL, says

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Returns the {what} of a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
    for name, what in (("get_weather", "weather"), ("get_time", "local time"))
]
CALL_BOTH = says("Weather and time in Oslo? [[tool=get_weather,get_time]][[tokens=10]]")


class Invoice(BaseModel):
    number: str
    total: float
    paid: bool
    lines: list[str]


def test_answer(client):
    answer = client.chat.completions.create(model=MODEL, messages=says("Say hello. [[tokens=12]]"))
    assert answer.object == "chat.completion"
    assert answer.model.startswith(MODEL)
    choice = answer.choices[0]
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason == "stop"
    assert answer.usage.completion_tokens == 12
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 12


def test_client_cap(client):
    answer = client.chat.completions.create(
        model=MODEL, messages=says("Say much. [[tokens=50]]"), max_completion_tokens=8
    )
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 8


def test_choices(client):
    answer = client.chat.completions.create(model=MODEL, messages=says("Say hello. [[tokens=5]]"), n=3)
    assert [c.index for c in answer.choices] == [0, 1, 2]
    assert all(c.message.content and c.finish_reason == "stop" for c in answer.choices)


def test_logprobs(client):
    answer = client.chat.completions.create(
        model=MODEL, messages=says("Say hello. [[tokens=5]]"), logprobs=True, top_logprobs=2
    )
    tokens = answer.choices[0].logprobs.content
    assert "".join(t.token for t in tokens) == answer.choices[0].message.content
    assert all(len(t.top_logprobs) == 2 for t in tokens)


def test_stream(client):
    pieces, text, finishes, usages = 0, "", [], []
    with client.chat.completions.create(
        model=MODEL,
        messages=says("Count. [[tokens=200]]"),
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        for chunk in stream:
            usages += [chunk.usage] if chunk.usage else []
            for choice in chunk.choices:
                finishes += [choice.finish_reason] if choice.finish_reason else []
                if choice.delta.content:
                    pieces += 1
                    text += choice.delta.content
    assert text
    assert finishes == ["stop"]
    assert [u.completion_tokens for u in usages] == [200]
    assert pieces > 3, "the answer came in few pieces"  # of 20 tokens on average


def test_stream_without_usage(client):
    """The gateway asks upstream for usage; a client that did not must not see it."""
    with client.chat.completions.create(model=MODEL, messages=says("Hi. [[tokens=5]]"), stream=True) as stream:
        chunks = list(stream)
    assert all(c.usage is None for c in chunks)
    extra = [c for c in chunks if not c.choices and "prompt_filter_results" not in (c.model_extra or {})]
    assert extra == []


def check_calls(calls):
    assert [c.function.name for c in calls] == ["get_weather", "get_time"]
    assert len({c.id for c in calls}) == 2
    assert all(isinstance(json.loads(c.function.arguments)["city"], str) for c in calls)


def test_tools(client):
    first = client.chat.completions.create(model=MODEL, messages=CALL_BOTH, tools=TOOLS)
    assert first.choices[0].finish_reason == "tool_calls"
    message = first.choices[0].message
    check_calls(message.tool_calls)
    results = [{"role": "tool", "tool_call_id": c.id, "content": "fine"} for c in message.tool_calls]
    second = client.chat.completions.create(
        model=MODEL, messages=[*CALL_BOTH, message.model_dump(exclude_none=True), *results], tools=TOOLS
    )
    assert second.choices[0].finish_reason == "stop"
    assert second.choices[0].message.content


def test_tools_stream(client):
    with client.chat.completions.stream(model=MODEL, messages=CALL_BOTH, tools=TOOLS) as stream:
        for _ in stream:
            pass
        choice = stream.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls"
    check_calls(choice.message.tool_calls)


def test_structured(client):
    answer = client.chat.completions.parse(
        model=MODEL, messages=says("Extract the invoice."), response_format=Invoice
    )
    assert isinstance(answer.choices[0].message.parsed, Invoice)


def test_structured_stream(client):
    with client.chat.completions.stream(
        model=MODEL, messages=says("Extract the invoice."), response_format=Invoice
    ) as stream:
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, Invoice)


def test_refusal(client):
    answer = client.chat.completions.create(model=MODEL, messages=says("No. [[refusal]]"))
    assert answer.choices[0].message.refusal
    assert not answer.choices[0].message.content
