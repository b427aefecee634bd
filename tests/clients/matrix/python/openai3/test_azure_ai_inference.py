"""Azure AI Inference, with the paths of Azure AI Foundry and of Azure OpenAI."""

import json

from azure.ai.inference import ChatCompletionsClient, EmbeddingsClient
from azure.ai.inference.models import (
    ChatCompletionsToolDefinition,
    FunctionDefinition,
    JsonSchemaFormat,
    UserMessage,
)
from azure.core.credentials import AzureKeyCredential
from checks import FAULTY_URL, Answer, Checks, EmbeddingChecks, Invoice, UsageChecks

VERSIONS = {"foundry": "2024-05-01-preview", "azure": "2024-10-21"}


def function(name):
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return ChatCompletionsToolDefinition(function=FunctionDefinition(name=name, parameters=parameters))


def connect(client, target):
    endpoint = f"{target.url}/models"
    if target.family == "azure":
        endpoint = f"{target.url}/openai/deployments/{target.model}"
    credential = AzureKeyCredential(target.key)
    options = {"retry_total": 0, **target.options(headers="headers", timeout="read_timeout")}
    return client(endpoint, credential, api_version=VERSIONS[target.family], **options)


def ask(target, prompt, **more):
    return connect(ChatCompletionsClient, target).complete(
        messages=[UserMessage(prompt)], model=target.model, **more
    )


class TestAzureAIInference(Checks, UsageChecks, EmbeddingChecks):
    families = ("foundry", "azure")
    timeout_header = (None, None, None)

    def chat(self, target, prompt):
        answer = ask(target, prompt)
        choice = answer.choices[0]
        return Answer(choice.message.content, str(choice.finish_reason.value), answer.usage.completion_tokens)

    def stream(self, target, prompt, usage):
        answer = Answer("")
        asked = {"model_extras": {"stream_options": {"include_usage": True}}} if usage else {}
        for chunk in ask(target, prompt, stream=True, **asked):
            for choice in chunk.choices:
                answer.text += choice.delta.content or ""
                answer.pieces += bool(choice.delta.content)
            if chunk.usage:
                answer.tokens = chunk.usage.completion_tokens
        return answer

    def tools(self, target, prompt, stream):
        tools = [function("get_weather"), function("get_time")]
        if not stream:
            calls = ask(target, prompt, tools=tools).choices[0].message.tool_calls
            return [(c.function.name, json.loads(c.function.arguments)) for c in calls]
        calls = []
        for chunk in ask(target, prompt, tools=tools, stream=True):
            for delta in chunk.choices[0].delta.tool_calls or [] if chunk.choices else []:
                if delta.id:
                    calls.append([delta.function.name, ""])
                calls[-1][1] += delta.function.arguments or ""
        return [(name, json.loads(arguments)) for name, arguments in calls]

    def structured(self, target, prompt):
        schema = {**Invoice.model_json_schema(), "additionalProperties": False}
        answer = ask(target, prompt, response_format=JsonSchemaFormat(name="invoice", schema=schema, strict=True))
        return Invoice.model_validate_json(answer.choices[0].message.content)

    def embed(self, target, texts):
        answer = connect(EmbeddingsClient, target).embed(input=texts, model=target.model)
        return [e.embedding for e in answer.data]

    def test_broken_stream(self, target):
        """It drops the error event, so that a stream that broke off only lacks its finish reason."""
        target.url, target.model = FAULTY_URL, "cut"
        assert "word" in self.stream(target, "Hi.", True).text
