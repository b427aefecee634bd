"""Responses, embeddings, models."""

import math

from pydantic import BaseModel

from conftest import EMBEDDING, MODEL

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Invoice(BaseModel):
    number: str
    total: float


def test_response(client):
    answer = client.responses.create(model=MODEL, input="Say hello. [[tokens=12]]")
    assert answer.status == "completed"
    assert answer.output_text
    assert answer.usage.output_tokens == 12
    assert answer.usage.total_tokens == answer.usage.input_tokens + 12


def test_response_client_cap(client):
    answer = client.responses.create(model=MODEL, input="Say much. [[tokens=80]]", max_output_tokens=16)
    assert answer.status == "incomplete"
    assert answer.incomplete_details.reason == "max_output_tokens"
    assert answer.output_text


def test_response_stream(client):
    kinds, text, final = [], "", None
    with client.responses.create(model=MODEL, input="Count. [[tokens=40]]", stream=True) as stream:
        for event in stream:
            kinds.append(event.type)
            if event.type == "response.output_text.delta":
                text += event.delta
            if event.type == "response.completed":
                final = event.response
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert text and text == final.output_text
    assert final.usage.output_tokens == 40


def test_response_tools(client):
    answer = client.responses.create(model=MODEL, input="Weather in Oslo? [[tool=get_weather]]", tools=[WEATHER])
    calls = [o for o in answer.output if o.type == "function_call"]
    assert [c.name for c in calls] == ["get_weather"]
    assert "city" in calls[0].arguments


def test_response_structured(client):
    answer = client.responses.parse(model=MODEL, input="Extract the invoice.", text_format=Invoice)
    assert isinstance(answer.output_parsed, Invoice)


def test_response_follow_up(client):
    """A stored response lives at one deployment: what refers to it must go there."""
    first = client.responses.create(model=MODEL, input="Say hello. [[tokens=5]]")
    second = client.responses.create(model=MODEL, input="Again. [[tokens=5]]", previous_response_id=first.id)
    assert second.status == "completed"
    assert second.previous_response_id == first.id


def test_embeddings(client):
    """The SDK asks for base64 and decodes it to floats."""
    answer = client.embeddings.create(model=EMBEDDING, input=["a lock", "a weir"])
    assert [e.index for e in answer.data] == [0, 1]
    assert all(len(e.embedding) == 1536 for e in answer.data)
    assert all(math.isclose(math.hypot(*e.embedding), 1, rel_tol=1e-3) for e in answer.data)
    assert answer.usage.prompt_tokens > 0


def test_embeddings_as_floats(client):
    answer = client.embeddings.create(model=EMBEDDING, input="a lock", encoding_format="float", dimensions=256)
    assert len(answer.data[0].embedding) == 256


def test_models(client):
    assert {MODEL, EMBEDDING} <= {m.id for m in client.models.list()}
