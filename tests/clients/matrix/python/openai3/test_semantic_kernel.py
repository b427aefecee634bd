"""Semantic Kernel, whose Azure clients take only https."""

import asyncio
import json

import pytest
from checks import (
    API_VERSION,
    EMBEDDING,
    SECURE_URL,
    Answer,
    Checks,
    EmbeddingChecks,
    Invoice,
    Target,
    get_time,
    get_weather,
)
from openai import AsyncAzureOpenAI, AsyncOpenAI
from semantic_kernel import Kernel
from semantic_kernel.connectors.ai import FunctionChoiceBehavior
from semantic_kernel.connectors.ai.open_ai import (
    AzureChatCompletion,
    AzureTextEmbedding,
    OpenAIChatCompletion,
    OpenAIChatPromptExecutionSettings,
    OpenAITextEmbedding,
)
from semantic_kernel.contents import ChatHistory, FunctionCallContent
from semantic_kernel.exceptions import ServiceInitializationError
from semantic_kernel.functions import kernel_function


class Tools:
    get_weather = staticmethod(kernel_function(get_weather))
    get_time = staticmethod(kernel_function(get_time))


def client(target):
    options = {"max_retries": 0, "api_key": target.key, **target.options(headers="default_headers", timeout="timeout")}
    if target.family == "azure":
        return AsyncAzureOpenAI(azure_endpoint=target.base, api_version=API_VERSION, **options)
    return AsyncOpenAI(base_url=target.base, **options)


def service(target):
    if target.family == "azure" and target.url.startswith("https"):
        return AzureChatCompletion(
            deployment_name=target.model,
            endpoint=target.base,
            api_key=target.key,
            api_version=API_VERSION,
            default_headers=target.headers,
        )
    if target.family == "azure":
        return AzureChatCompletion(deployment_name=target.model, async_client=client(target))
    return OpenAIChatCompletion(ai_model_id=target.model, async_client=client(target))


def said(prompt):
    history = ChatHistory()
    history.add_user_message(prompt)
    return history


def ask(target, prompt, **settings):
    async def whole():
        options = OpenAIChatPromptExecutionSettings(**settings)
        return await service(target).get_chat_message_content(said(prompt), options, kernel=kernel())

    return asyncio.run(whole())


def ask_streamed(target, prompt, **settings):
    async def whole():
        options = OpenAIChatPromptExecutionSettings(**settings)
        stream = service(target).get_streaming_chat_message_content(said(prompt), options, kernel=kernel())
        return [piece async for piece in stream]

    return asyncio.run(whole())


def kernel():
    kernel = Kernel()
    kernel.add_plugin(Tools, "tests")
    return kernel


class TestSemanticKernel(Checks, EmbeddingChecks):
    @staticmethod
    def status(error):
        while error is not None and not hasattr(error, "status_code"):
            error = error.__cause__
        return getattr(error, "status_code", None)

    def chat(self, target, prompt):
        message = ask(target, prompt)
        return Answer(message.content, message.finish_reason.value, message.metadata["usage"].completion_tokens)

    def stream(self, target, prompt, usage):
        answer = Answer("")
        for piece in ask_streamed(target, prompt):  # it always asks for the usage
            answer.text += piece.content
            answer.pieces += bool(piece.content)
            if piece.metadata.get("usage"):
                answer.tokens = piece.metadata["usage"].completion_tokens
        return answer

    def tools(self, target, prompt, stream):
        prompt = prompt.replace("get_", "tests-get_")  # the names of functions have that of their plugin
        settings = {"function_choice_behavior": FunctionChoiceBehavior.Auto(auto_invoke=False)}
        if stream:
            first, *rest = ask_streamed(target, prompt, **settings)
            message = sum(rest, first)
        else:
            message = ask(target, prompt, **settings)
        calls = [item for item in message.items if isinstance(item, FunctionCallContent)]
        return [(c.function_name, json.loads(c.arguments)) for c in calls]

    def structured(self, target, prompt):
        return Invoice.model_validate_json(ask(target, prompt, response_format=Invoice).content)

    def embed(self, target, texts):
        if target.family == "azure":
            service = AzureTextEmbedding(deployment_name=EMBEDDING, async_client=client(target))
        else:
            service = OpenAITextEmbedding(ai_model_id=EMBEDDING, async_client=client(target))
        return asyncio.run(service.generate_embeddings(texts)).tolist()

    def test_tls(self):
        assert self.chat(Target("azure", SECURE_URL), "Say hello. [[tokens=12]]").tokens == 12

    def test_http_is_refused(self):
        with pytest.raises(ServiceInitializationError):
            AzureChatCompletion(deployment_name="any", endpoint="http://127.0.0.1:1", api_key="any")
