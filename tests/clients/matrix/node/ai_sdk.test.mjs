// Vercel's AI SDK with three of its providers.

import { createAzure } from '@ai-sdk/azure';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, embedMany, generateText, Output, RetryError, streamText, tool } from 'ai';
import { z } from 'zod';

import { apiVersion, bases, embedding, key, model } from './gateway.mjs';
import { matrix } from './matrix.mjs';
import { respond } from './transcripts.mjs';

const inputSchema = z.object({ city: z.string() });
const tools = Object.fromEntries(['get_weather', 'get_time'].map((name) => [name, tool({ description: name, inputSchema })]));
const Invoice = z.object({ number: z.string(), total: z.number() });
const calls = (list) => list.map((c) => ({ name: c.toolName, arguments: c.input }));

// operations returns what the SDK does with a provider's models: chat(name), embeddings(name) and, where it has them,
// responses(name) and bare(name), a chat model that does not ask for usage.
function operations(provider, maxRetries) {
  async function stream(of, prompt) {
    let failure, text = '', pieces = 0;
    const result = streamText({ model: of, prompt, maxRetries, onError: ({ error }) => (failure = error) });
    for await (const piece of result.textStream) {
      text += piece;
      pieces++;
    }
    if (failure) throw failure;
    return { text, pieces, tokens: (await result.usage).outputTokens };
  }
  return {
    async chat(name, prompt) {
      const { text, finishReason, usage } = await generateText({ model: provider.chat(name), prompt, maxRetries });
      return { text, finish: finishReason, tokens: usage.outputTokens };
    },
    stream: (name, prompt) => stream(provider.chat(name), prompt),
    streamBare: provider.bare && ((name, prompt) => stream(provider.bare(name), prompt)),
    tools: async (prompt) => calls((await generateText({ model: provider.chat(model), prompt, tools, maxRetries })).toolCalls),
    toolsInAStream: async (prompt) => calls(await streamText({ model: provider.chat(model), prompt, tools, maxRetries }).toolCalls),
    structured: async (prompt) =>
      (await generateText({ model: provider.chat(model), prompt, output: Output.object({ schema: Invoice }), maxRetries })).output,
    structuredInAStream: async (prompt) =>
      streamText({ model: provider.chat(model), prompt, output: Output.object({ schema: Invoice }), maxRetries }).output,
    embed: async (values) => (await embedMany({ model: provider.embeddings(embedding), values, maxRetries })).embeddings,
    respond: provider.responses && (async (prompt, previousResponseId) => {
      const { text, response } = await generateText({
        model: provider.responses(model), prompt, maxRetries, providerOptions: { openai: { previousResponseId }, azure: { previousResponseId } },
      });
      return { text, id: response.id };
    }),
  };
}

const openai = (family, { base, headers, fetch }) => createOpenAI({ baseURL: bases[family](base), apiKey: key, headers, fetch });
const azure = (family, { base, headers, fetch }) =>
  createAzure({
    apiKey: key, headers, fetch,
    ...(family === 'azure'
      ? { baseURL: `${base}/openai`, apiVersion, useDeploymentBasedUrls: true }
      : { baseURL: bases[family](base) }),
  });

const status = (error) => {
  const last = RetryError.isInstance(error) ? error.lastError : error;
  return APICallError.isInstance(last) ? last.statusCode : undefined;
};
const shared = { status, retriesTimeouts: true };

matrix('@ai-sdk/openai', {
  ...shared,
  families: ['azure-v1', 'openai'],
  connect(family, options) {
    const provider = openai(family, options);
    return operations({ chat: provider.chat, responses: provider.responses, embeddings: provider.embedding }, options.retries);
  },
});

// The provider's default is the Responses API, for everything.
matrix('@ai-sdk/openai, all by the Responses API', {
  ...shared,
  answers: respond,
  families: ['azure-v1', 'openai'],
  connect(family, options) {
    const provider = openai(family, options);
    const { embed, respond, ...operated } = operations({ chat: provider.responses }, options.retries);
    return operated;
  },
});

matrix('@ai-sdk/azure', {
  ...shared,
  families: ['azure', 'azure-v1'],
  connect(family, options) {
    const provider = azure(family, options);
    return operations({ chat: provider.chat, responses: provider.responses, embeddings: provider.embedding }, options.retries);
  },
});

matrix('@ai-sdk/openai-compatible', {
  ...shared,
  families: ['azure-v1', 'openai'],
  connect(family, { base, headers, fetch, retries }) {
    const provider = (includeUsage) =>
      createOpenAICompatible({
        name: 'spillway', baseURL: bases[family](base), apiKey: key, headers, fetch, includeUsage, supportsStructuredOutputs: true,
      });
    const [full, bare] = [provider(true), provider(false)];
    return operations({ chat: full.chatModel, bare: bare.chatModel, embeddings: full.embeddingModel }, retries);
  },
});
