"""LlamaIndex."""

from checks import (
    API_VERSION,
    MODEL,
    Answer,
    Checks,
    EmbeddingChecks,
    Invoice,
    ResponsesChecks,
    UsageChecks,
    get_time,
    get_weather,
)
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.azure_openai import AzureOpenAIEmbedding
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.azure_openai import AzureOpenAI
from llama_index.llms.openai import OpenAI, OpenAIResponses

TOOLS = [FunctionTool.from_defaults(get_weather), FunctionTool.from_defaults(get_time)]


def options(target):
    return {"max_retries": 0, "api_key": target.key, **target.options(headers="default_headers", timeout="timeout")}


def connect(target, **more):
    if target.family == "azure":
        return AzureOpenAI(
            engine=target.model,
            model=MODEL,
            azure_endpoint=target.base,
            api_version=API_VERSION,
            additional_kwargs=more,
            **options(target),
        )
    # It looks its model up in a table, in which ours are not.
    more["model"] = target.model
    return OpenAI(model=MODEL, api_base=target.base, additional_kwargs=more, **options(target))


def responses(target, **more):
    return OpenAIResponses(model=MODEL, api_base=target.base, **options(target), **more)


def said(prompt):
    return [ChatMessage(role="user", content=prompt)]


class TestLlamaIndex(Checks, UsageChecks, EmbeddingChecks):
    timeout_header = ("x-stainless-read-timeout", 60, 7)

    def chat(self, target, prompt):
        answer = connect(target).chat(said(prompt))
        return Answer(answer.message.content, answer.raw.choices[0].finish_reason, answer.raw.usage.completion_tokens)

    def stream(self, target, prompt, usage):
        answer = Answer("")
        asked = {"stream_options": {"include_usage": True}} if usage else {}
        for chunk in connect(target, **asked).stream_chat(said(prompt)):
            answer.text += chunk.delta or ""
            answer.pieces += bool(chunk.delta)
            if chunk.raw.usage:
                answer.tokens = chunk.raw.usage.completion_tokens
        return answer

    def tools(self, target, prompt, stream):
        llm = connect(target)
        asked = {"user_msg": prompt, "allow_parallel_tool_calls": True}
        if stream:
            *_, answer = llm.stream_chat_with_tools(TOOLS, **asked)
        else:
            answer = llm.chat_with_tools(TOOLS, **asked)
        return [(c.tool_name, c.tool_kwargs) for c in llm.get_tool_calls_from_response(answer)]

    def structured(self, target, prompt):
        return connect(target).as_structured_llm(Invoice).chat(said(prompt)).raw

    def embed(self, target, texts):
        if target.family == "azure":
            model = AzureOpenAIEmbedding(
                model=target.model,
                deployment_name=target.model,
                azure_endpoint=target.base,
                api_version=API_VERSION,
                **options(target),
            )
        else:
            model = OpenAIEmbedding(model=target.model, api_base=target.base, **options(target))
        return model.get_text_embedding_batch(texts)


class TestLlamaIndexResponses(ResponsesChecks):
    families = ("azure-v1", "openai")

    def respond(self, target, prompt, previous):
        answer = responses(target, store=True, previous_response_id=previous).chat(said(prompt))
        return answer.message.content, answer.raw.id

    def respond_stream(self, target, prompt):
        llm = responses(target, additional_kwargs={"model": target.model})
        return "".join(chunk.delta or "" for chunk in llm.stream_chat(said(prompt)))
