"""LangChain: langchain-openai."""

from checks import API_VERSION, Answer, Checks, EmbeddingChecks, Invoice, ResponsesChecks, UsageChecks, get_time, get_weather
from langchain_openai import AzureChatOpenAI, AzureOpenAIEmbeddings, ChatOpenAI, OpenAIEmbeddings


class TestLangChain(Checks, UsageChecks, EmbeddingChecks, ResponsesChecks):
    timeout_header = ("x-stainless-read-timeout", None, 7)

    @staticmethod
    def connect(target, **options):
        options = {"max_retries": 0, "api_key": target.key, **target.options(headers="default_headers", timeout="timeout"), **options}
        if target.family == "azure":
            return AzureChatOpenAI(
                azure_endpoint=target.base, azure_deployment=target.model, api_version=API_VERSION, **options
            )
        return ChatOpenAI(base_url=target.base, model=target.model, **options)

    def chat(self, target, prompt):
        message = self.connect(target).invoke(prompt)
        return Answer(
            message.text, message.response_metadata["finish_reason"], message.usage_metadata["output_tokens"]
        )

    def stream(self, target, prompt, usage):
        answer = Answer("")
        for chunk in self.connect(target, stream_usage=usage).stream(prompt):
            answer.text += chunk.text
            answer.pieces += bool(chunk.text)
            if chunk.usage_metadata:
                answer.tokens = chunk.usage_metadata["output_tokens"]
        return answer

    def tools(self, target, prompt, stream):
        bound = self.connect(target).bind_tools([get_weather, get_time])
        if not stream:
            return [(c["name"], c["args"]) for c in bound.invoke(prompt).tool_calls]
        whole = None
        for chunk in bound.stream(prompt):
            whole = chunk if whole is None else whole + chunk
        return [(c["name"], c["args"]) for c in whole.tool_calls]

    def structured(self, target, prompt):
        return self.connect(target).with_structured_output(Invoice).invoke(prompt)

    def embed(self, target, texts):
        options = {"max_retries": 0, "api_key": target.key, "check_embedding_ctx_length": False}
        if target.family == "azure":
            model = AzureOpenAIEmbeddings(
                azure_endpoint=target.base, azure_deployment=target.model, api_version=API_VERSION, **options
            )
        else:
            model = OpenAIEmbeddings(base_url=target.base, model=target.model, **options)
        return model.embed_documents(texts)

    def respond(self, target, prompt, previous):
        message = self.connect(target, use_responses_api=True).invoke(prompt, previous_response_id=previous)
        return message.text, message.response_metadata["id"]

    def respond_stream(self, target, prompt):
        return "".join(chunk.text for chunk in self.connect(target, use_responses_api=True).stream(prompt))
