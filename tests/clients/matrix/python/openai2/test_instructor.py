"""Instructor: structured output of openai-python's client."""

import instructor
import openai
import pytest
from instructor.core.exceptions import InstructorRetryException
from checks import API_VERSION, FAULTY_URL, MODEL, Invoice, Target

MODES = [instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA]


def connect(target, mode):
    options = {"max_retries": 0, "api_key": target.key}
    if target.family == "azure":
        client = openai.AzureOpenAI(azure_endpoint=target.base, api_version=API_VERSION, **options)
    else:
        client = openai.OpenAI(base_url=target.base, **options)
    return instructor.from_openai(client, mode=mode)


def asked(model):
    return {"model": model, "messages": [{"role": "user", "content": "Extract the invoice."}], "response_model": Invoice}


@pytest.mark.parametrize("mode", MODES)
class TestInstructor:
    families = ("azure", "azure-v1", "openai")

    def test_structured(self, family, mode):
        invoice = connect(Target(family), mode).chat.completions.create(**asked(MODEL))
        assert isinstance(invoice, Invoice)

    def test_partial(self, family, mode):
        *_, last = connect(Target(family), mode).chat.completions.create_partial(**asked(MODEL))
        assert Invoice.model_validate(last.model_dump())

    def test_throttled(self, family, mode):
        client = connect(Target(family, FAULTY_URL), mode)
        with pytest.raises(InstructorRetryException) as caught:
            client.chat.completions.create(**asked("throttled"), max_retries=0)
        assert "429" in str(caught.value)
