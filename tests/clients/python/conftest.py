"""What the tests of openai-python share: the gateway's address and one client per path family."""

import os

import openai
import pytest

URL = os.environ["SPILLWAY_URL"]
KEY = os.environ["SPILLWAY_KEY"]
FAULTY_URL = os.environ["SPILLWAY_FAULTY_URL"]  # a gateway whose only upstream fails in known ways
UPSTREAM_URL = os.environ["SPILLWAY_UPSTREAM_URL"]  # that upstream

MODEL = "gpt-4o-mini"
EMBEDDING = "text-embedding-3-small"

FAMILIES = ("azure", "azure-v1", "openai")


def connect(family, *, url=URL, key=KEY, asynchronous=False, **options):
    """Returns a client of one path family: only its address and key are ours."""
    options = {"max_retries": 0, "timeout": 60, **options}
    if family == "azure":
        make = openai.AsyncAzureOpenAI if asynchronous else openai.AzureOpenAI
        return make(azure_endpoint=url, api_version="2025-04-01-preview", api_key=key, **options)
    make = openai.AsyncOpenAI if asynchronous else openai.OpenAI
    base = {"azure-v1": "/openai/v1", "openai": "/v1"}[family]
    return make(base_url=url + base, api_key=key, **options)


def says(text):
    """Returns a conversation of one user message."""
    return [{"role": "user", "content": text}]


@pytest.fixture(scope="session", params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture(scope="session")
def client(family):
    with connect(family) as c:
        yield c
