"""Pydantic AI: pydantic-ai-slim."""

import asyncio

from checks import API_VERSION, Answer, Checks, EmbeddingChecks, Invoice, ResponsesChecks, get_time, get_weather
from openai import AsyncAzureOpenAI, AsyncOpenAI
from pydantic_ai import Agent, Embedder, NativeOutput
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.exceptions import ContentFilterError
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.azure import AzureProvider
from pydantic_ai.providers.openai import OpenAIProvider


def provider(target):
    options = {"max_retries": 0, "api_key": target.key, **target.options(headers="default_headers", timeout="timeout")}
    if target.family == "azure":
        client = AsyncAzureOpenAI(azure_endpoint=target.base, api_version=API_VERSION, **options)
        return AzureProvider(openai_client=client)
    return OpenAIProvider(openai_client=AsyncOpenAI(base_url=target.base, **options))


def run(target, prompt, model=OpenAIChatModel, settings=None, **agent):
    async def whole():
        return await Agent(model(target.model, provider=provider(target)), **agent).run(prompt, model_settings=settings)

    return asyncio.run(whole())


def run_streamed(target, prompt, model=OpenAIChatModel, **agent):
    async def whole():
        asked = Agent(model(target.model, provider=provider(target)), **agent)
        async with asked.run_stream(prompt) as result:
            pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
            return result, pieces

    return asyncio.run(whole())


def calls(result):
    parts = [part for message in result.all_messages() for part in message.parts]
    return [(part.tool_name, part.args_as_dict()) for part in parts if isinstance(part, ToolCallPart)]


class TestPydanticAI(Checks, EmbeddingChecks, ResponsesChecks):
    @staticmethod
    def status(error):
        return 400 if isinstance(error, ContentFilterError) else Checks.status(error)

    def chat(self, target, prompt):
        result = run(target, prompt)
        return Answer(result.output, result.response.finish_reason, result.usage.output_tokens)

    def stream(self, target, prompt, usage):
        result, pieces = run_streamed(target, prompt)  # it always asks for the usage
        return Answer("".join(pieces), tokens=result.usage.output_tokens, pieces=len(pieces))

    def tools(self, target, prompt, stream):
        agent = {"tools": [get_weather, get_time]}
        return calls(run_streamed(target, prompt, **agent)[0] if stream else run(target, prompt, **agent))

    def structured(self, target, prompt):
        return run(target, prompt, output_type=NativeOutput(Invoice)).output

    def embed(self, target, texts):
        embedder = Embedder(OpenAIEmbeddingModel(target.model, provider=provider(target)))
        return asyncio.run(embedder.embed_documents(texts)).embeddings

    def respond(self, target, prompt, previous):
        settings = {"openai_previous_response_id": previous} if previous else None
        result = run(target, prompt, OpenAIResponsesModel, settings)
        return result.output, result.response.provider_response_id

    def respond_stream(self, target, prompt):
        return "".join(run_streamed(target, prompt, OpenAIResponsesModel)[1])
