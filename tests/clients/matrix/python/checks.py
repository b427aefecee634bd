"""The checks that every framework passes. A test class inherits those of what its framework has, and says how to do it:

    chat(target, prompt)                an Answer
    stream(target, prompt, usage)       an Answer; with usage, its tokens are requested
    tools(target, prompt, stream)       the calls of get_weather and get_time, [(name, arguments)]
    structured(target, prompt)          an Invoice, as the framework parses it
    embed(target, texts)                vectors
    respond(target, prompt, previous)   (text, id of the response), with the Responses API
    respond_stream(target, prompt)      text, with the Responses API
    status(error)                       the HTTP status of an error
"""

import contextlib
import dataclasses
import http.server
import json
import math
import os
import threading
import urllib.request
import uuid

import pytest
from pydantic import BaseModel

URL = os.environ["SPILLWAY_URL"]
FAULTY_URL = os.environ["SPILLWAY_FAULTY_URL"]  # a gateway whose only upstream fails in known ways
SECURE_URL = os.environ["SPILLWAY_SECURE_URL"]  # a gateway with TLS, before an emulator and recordings
RECORDINGS_URL = os.environ["SPILLWAY_RECORDINGS_URL"]
KEY = os.environ["SPILLWAY_KEY"]

# Only the gateway's certificate is trusted, by every library that follows OpenSSL's settings.
os.environ["SSL_CERT_FILE"] = os.environ["SPILLWAY_CERTIFICATE"]

MODEL = "gpt-4o-mini"
EMBEDDING = "text-embedding-3-small"
API_VERSION = "2025-04-01-preview"
LONG = "Write a long report. [[tokens=6000]]"
CALL_BOTH = "Weather and time in Oslo? [[tool=get_weather,get_time]][[tokens=10]]"


class Invoice(BaseModel):
    """An invoice."""

    number: str
    total: float
    paid: bool


def get_weather(city: str) -> str:
    """Returns the weather of a city."""
    return f"fine in {city}"


def get_time(city: str) -> str:
    """Returns the local time of a city."""
    return f"noon in {city}"


@dataclasses.dataclass
class Target:
    """Where a request goes, and with which headers by default."""

    family: str = "openai"
    url: str = URL
    model: str = MODEL
    key: str = KEY
    headers: dict = dataclasses.field(default_factory=dict)
    timeout: float | None = None  # None leaves it to the framework

    @property
    def base(self):
        """The base URL that a client of the family is given."""
        return self.url + {"azure": "", "azure-v1": "/openai/v1", "openai": "/v1"}[self.family]

    def options(self, **names):
        """Arguments for a client, under its names of them, without those that are not set."""
        values = {"headers": self.headers, "timeout": self.timeout}
        return {names[name]: value for name, value in values.items() if value}


@dataclasses.dataclass
class Answer:
    text: str
    finish: str | None = None
    tokens: int | None = None
    pieces: int = 0


def deadline(milliseconds):
    return {"x-spillway-deadline-ms": str(milliseconds)}


class Framework:
    """What all checks need: the path families that a framework has, and the status of its errors."""

    families = ("azure", "azure-v1", "openai")

    @pytest.fixture
    def target(self, family):
        return Target(family)

    @staticmethod
    def status(error):
        return getattr(error, "status_code", None)


class Checks(Framework):
    """The checks of chat, which every framework has."""

    finishes = True  # whether the framework tells the finish reason

    # The header that tells the timeout of a request, and its value by default and with a timeout of 7 s.
    timeout_header = ("x-stainless-read-timeout", 600, 7)

    def fails(self, call, *statuses):
        with pytest.raises(Exception) as caught:
            call()
        assert self.status(caught.value) in statuses, repr(caught.value)
        return caught.value

    def test_chat(self, target):
        answer = self.chat(target, "Say hello. [[tokens=12]]")
        assert answer.text
        assert answer.tokens == 12
        assert answer.finish == "stop" or not self.finishes

    def test_stream(self, target):
        answer = self.stream(target, "Count. [[tokens=200]]", True)
        assert answer.pieces > 3, "the answer came in few pieces"  # of 20 tokens on average
        assert len(answer.text) > 200
        assert answer.tokens == 200

    def test_stream_equals_chat(self, target):
        """The emulator answers a prompt in the same words each time."""
        prompt = f"Say {uuid.uuid4().hex}. [[tokens=30]]"
        assert self.stream(target, prompt, True).text == self.chat(target, prompt).text

    def test_tools(self, target):
        check_calls(self.tools(target, CALL_BOTH, False))

    def test_tools_in_a_stream(self, target):
        check_calls(self.tools(target, CALL_BOTH, True))

    def test_structured(self, target):
        invoice = self.structured(target, "Extract the invoice.")
        assert isinstance(invoice, Invoice)

    def test_cut_at_the_deadline(self, target):
        """6,000 tokens take a minute. On a busy machine there may be no token in time, and more time is given."""
        for milliseconds in (3000, 10_000, 40_000):
            target.headers = deadline(milliseconds)
            try:
                answer = self.chat(target, LONG)
                break
            except Exception as error:
                if self.status(error) != 408:
                    raise
        assert answer.text
        assert answer.finish == "length" or not self.finishes
        assert 0 < answer.tokens < 6000

    def test_no_token_in_time(self, target):
        target.headers = deadline(20)
        self.fails(lambda: self.chat(target, LONG), 408)

    def test_wrong_key(self, target):
        target.key = "wrong"
        self.fails(lambda: self.chat(target, "Hi."), 401)

    @pytest.mark.parametrize(("model", "status"), [("throttled", 429), ("broken", 500), ("filtered", 400)])
    def test_upstream_fails(self, target, model, status):
        target.url, target.model = FAULTY_URL, model
        self.fails(lambda: self.chat(target, "Hi."), status)
        self.fails(lambda: self.stream(target, "Hi.", True).text, status)

    def test_throttled_for_a_moment(self, target):
        """The gateway waits for a deployment that is soon free."""
        target.url, target.model = FAULTY_URL, "recovers"
        assert self.chat(target, uuid.uuid4().hex).text.startswith("word word")

    def test_broken_stream(self, target):
        """A stream that dies after its first tokens is an error, not a short answer."""
        target.url, target.model = FAULTY_URL, "cut"
        with pytest.raises(Exception) as caught:
            self.stream(target, "Hi.", True)
        assert not isinstance(caught.value, AssertionError)

    def test_heartbeats(self, target):
        """The comments that the gateway sends while a stream pauses are no events."""
        target.url, target.model = FAULTY_URL, "pauses"
        assert self.stream(target, "Hi.", True).text.count("word") == 4

    def test_timeout_header(self, family):
        """What the framework says of its timeout: the deadline of a request without x-spillway-deadline-ms."""
        name, default, seven = self.timeout_header
        for timeout, value in ((None, default), (7, seven)):
            with server_of_headers() as (url, headers):
                with contextlib.suppress(Exception):
                    self.chat(Target(family, url, timeout=timeout), "Hi.")
            sent = {k: float(v) for k, v in headers[0].items() if "timeout" in k}
            assert sent == ({name: value} if value else {})


class UsageChecks(Framework):
    """For frameworks that do not always ask for a stream's usage."""

    def test_stream_without_usage(self, target):
        answer = self.stream(target, "Hi. [[tokens=5]]", False)
        assert answer.text
        assert not answer.tokens


class EmbeddingChecks(Framework):
    dimensions = 1536

    def test_embeddings(self, target):
        target.model = EMBEDDING
        vectors = self.embed(target, ["a lock", "a weir"])
        assert [len(v) for v in vectors] == [self.dimensions] * 2
        assert all(math.isclose(math.hypot(*v), 1, rel_tol=1e-3) for v in vectors)


class ResponsesChecks(Framework):
    """The Responses API."""

    def test_response_chain(self, target):
        text, first = self.respond(target, "Say hello. [[tokens=5]]", None)
        assert text
        text, second = self.respond(target, "Again. [[tokens=5]]", first)
        assert text
        assert second != first

    def test_response_stream(self, target):
        assert self.respond_stream(target, "Count. [[tokens=40]]")

    def test_response_stream_cut_at_the_deadline(self, target):
        """A stream that ends at the deadline is a short answer, and no error."""
        target.headers = deadline(3000)
        assert self.respond_stream(target, LONG)

    def test_response_stream_broken(self, target):
        target.url, target.model = SECURE_URL, "recorded"
        target.headers = {"x-recording": record(BROKEN_RESPONSE, "text/event-stream", cut=True)}
        with pytest.raises(Exception) as caught:
            self.respond_stream(target, "Hi.")
        assert not isinstance(caught.value, AssertionError)


def check_calls(calls):
    assert sorted(name for name, _ in calls) == ["get_time", "get_weather"]
    assert all(isinstance(arguments["city"], str) for _, arguments in calls)


def events(*list_of_events):
    return "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in list_of_events)


_response = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "in_progress",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "model": "gpt-4o",
    "output": [],
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "usage": None,
}
_part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
_item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
_place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}

# A stream of the Responses API without its end.
BROKEN_RESPONSE = events(
    {"type": "response.created", "sequence_number": 0, "response": _response},
    {"type": "response.in_progress", "sequence_number": 1, "response": _response},
    {"type": "response.output_item.added", "sequence_number": 2, "output_index": 0, "item": _item},
    {"type": "response.content_part.added", "sequence_number": 3, **_place, "part": _part},
    {"type": "response.output_text.delta", "sequence_number": 4, **_place, "delta": "Hello", "logprobs": []},
)


def record(body, content_type, cut=False):
    """Puts an answer at the upstream; its id, in the header x-recording, selects it."""
    recording = uuid.uuid4().hex
    headers = {"content-type": content_type, **({"x-cut": "1"} if cut else {})}
    put = urllib.request.Request(f"{RECORDINGS_URL}/recordings/{recording}", body.encode(), headers, method="PUT")
    with urllib.request.urlopen(put, timeout=60):
        return recording


@contextlib.contextmanager
def server_of_headers():
    """A server that refuses every request, and the list of the headers of each, in lower case."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append({k.lower(): v for k, v in self.headers.items()})
            self.rfile.read(int(self.headers.get("content-length", 0)))
            body = b'{"error":{"message":"no","code":"no","type":"no","param":null}}'
            self.send_response(400)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
