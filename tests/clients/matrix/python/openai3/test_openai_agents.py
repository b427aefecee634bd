"""OpenAI's agents: openai-agents."""

import asyncio
import json

import pytest
from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from agents.exceptions import ModelBehaviorError
from checks import API_VERSION, LONG, Answer, Checks, Invoice, ResponsesChecks, UsageChecks, deadline, get_time, get_weather
from openai import AsyncAzureOpenAI, AsyncOpenAI

set_tracing_disabled(True)


def run(target, prompt, model=OpenAIChatCompletionsModel, previous=None, **agent):
    """Runs an agent, whose client is that of its event loop, to its end."""

    async def whole():
        async with connect(target) as client:
            asked = Agent(name="tests", model=model(target.model, client), **agent)
            return await Runner.run(asked, prompt, previous_response_id=previous)

    return asyncio.run(whole())


def run_streamed(target, prompt, model=OpenAIChatCompletionsModel, **agent):
    """The same with a stream; returns its pieces of text too."""

    async def whole():
        pieces = []
        async with connect(target) as client:
            asked = Agent(name="tests", model=model(target.model, client), **agent)
            result = Runner.run_streamed(asked, prompt)
            async for event in result.stream_events():
                if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                    pieces.append(event.data.delta)
        return result, pieces

    return asyncio.run(whole())


def connect(target):
    options = {"max_retries": 0, "api_key": target.key, **target.options(headers="default_headers", timeout="timeout")}
    if target.family == "azure":
        return AsyncAzureOpenAI(azure_endpoint=target.base, api_version=API_VERSION, **options)
    return AsyncOpenAI(base_url=target.base, **options)


class TestOpenAIAgents(Checks, UsageChecks, ResponsesChecks):
    finishes = False

    def chat(self, target, prompt):
        result = run(target, prompt)
        return Answer(result.final_output, tokens=result.context_wrapper.usage.output_tokens)

    def stream(self, target, prompt, usage):
        result, pieces = run_streamed(target, prompt, model_settings=ModelSettings(include_usage=usage))
        tokens = result.context_wrapper.usage.output_tokens
        return Answer("".join(pieces), tokens=tokens, pieces=len(pieces))

    def tools(self, target, prompt, stream):
        agent = {"tools": [function_tool(get_weather), function_tool(get_time)]}
        agent["tool_use_behavior"] = "stop_on_first_tool"
        result = run_streamed(target, prompt, **agent)[0] if stream else run(target, prompt, **agent)
        calls = [item.raw_item for item in result.new_items if item.type == "tool_call_item"]
        return [(c.name, json.loads(c.arguments)) for c in calls]

    def structured(self, target, prompt):
        return run(target, prompt, output_type=Invoice).final_output

    def respond(self, target, prompt, previous):
        result = run(target, prompt, OpenAIResponsesModel, previous)
        return result.final_output, result.last_response_id

    def respond_stream(self, target, prompt):
        result, pieces = run_streamed(target, prompt, OpenAIResponsesModel)
        assert result.final_output == "".join(pieces)
        return result.final_output

    def test_response_stream_cut_at_the_deadline(self, target):
        """The end of a response that is too short, response.incomplete, raises here, at OpenAI too."""
        target.headers = deadline(3000)
        with pytest.raises(ModelBehaviorError, match="response.incomplete"):
            self.respond_stream(target, LONG)
