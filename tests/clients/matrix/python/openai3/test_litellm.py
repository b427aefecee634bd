"""LiteLLM's SDK."""

import json
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it fetches prices from the network otherwise

import litellm
from checks import API_VERSION, Answer, Checks, EmbeddingChecks, Invoice, ResponsesChecks, UsageChecks

litellm.suppress_debug_info = True


def function(name):
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": parameters}}


TOOLS = [function("get_weather"), function("get_time")]


def options(target):
    provider = {"model": f"openai/{target.model}", "api_base": target.base}
    if target.family == "azure":
        provider = {"model": f"azure/{target.model}", "api_base": target.base, "api_version": API_VERSION}
    return {**provider, "api_key": target.key, **target.options(headers="extra_headers", timeout="timeout")}


def ask(target, prompt, **more):
    messages = [{"role": "user", "content": prompt}]
    return litellm.completion(messages=messages, max_retries=0, **options(target), **more)


class TestLiteLLM(Checks, UsageChecks, EmbeddingChecks, ResponsesChecks):
    def chat(self, target, prompt):
        answer = ask(target, prompt)
        choice = answer.choices[0]
        return Answer(choice.message.content, choice.finish_reason, answer.usage.completion_tokens)

    def stream(self, target, prompt, usage):
        answer = Answer("")
        asked = {"stream_options": {"include_usage": True}} if usage else {}
        for chunk in ask(target, prompt, stream=True, **asked):
            for choice in chunk.choices:
                answer.text += choice.delta.content or ""
                answer.pieces += bool(choice.delta.content)
            if getattr(chunk, "usage", None):
                answer.tokens = chunk.usage.completion_tokens
        return answer

    def tools(self, target, prompt, stream):
        answer = ask(target, prompt, tools=TOOLS, stream=stream)
        if stream:
            answer = litellm.stream_chunk_builder(list(answer))
        calls = answer.choices[0].message.tool_calls
        return [(c.function.name, json.loads(c.function.arguments)) for c in calls]

    def structured(self, target, prompt):
        answer = ask(target, prompt, response_format=Invoice)
        return Invoice.model_validate_json(answer.choices[0].message.content)

    def embed(self, target, texts):
        answer = litellm.embedding(input=texts, encoding_format="float", **options(target))
        return [e["embedding"] for e in answer.data]

    def respond(self, target, prompt, previous):
        answer = litellm.responses(input=prompt, previous_response_id=previous, **options(target))
        return answer.output[0].content[0].text, answer.id

    def respond_stream(self, target, prompt):
        text = ""
        for event in litellm.responses(input=prompt, stream=True, **options(target)):
            if event.type == "error":
                raise RuntimeError(event)
            if event.type == "response.output_text.delta":
                text += event.delta
        return text
