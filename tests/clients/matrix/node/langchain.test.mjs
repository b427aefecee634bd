// LangChain.js.

import { AIMessageChunk } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { AzureChatOpenAI, AzureOpenAIEmbeddings, ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { z } from 'zod';

import { apiVersion, bases, embedding, key, model } from './gateway.mjs';
import { matrix } from './matrix.mjs';

const City = z.object({ city: z.string() });
const Invoice = z.object({ number: z.string(), total: z.number() });
const tools = ['get_weather', 'get_time'].map((name) =>
  tool(() => 'fine', { name, description: name, schema: City }));
const text = (message) => message.text;

function connect(family, { base, headers, retries, fetch }) {
  const configuration = { baseURL: bases[family](base), defaultHeaders: headers, fetch };
  const azure = (name) => ({
    model: name, azureOpenAIEndpoint: base, azureOpenAIApiKey: key, azureOpenAIApiVersion: apiVersion,
    azureOpenAIApiDeploymentName: name, azureOpenAIApiEmbeddingsDeploymentName: name,
    configuration: { defaultHeaders: headers, fetch }, maxRetries: retries,
  });
  const openai = (name) => ({ model: name, apiKey: key, configuration, maxRetries: retries });
  const chat = (name, more) =>
    family === 'azure' ? new AzureChatOpenAI({ ...azure(name), ...more }) : new ChatOpenAI({ ...openai(name), ...more });

  async function stream(name, prompt, more) {
    let whole, pieces = 0;
    for await (const chunk of await chat(name, more).stream(prompt)) {
      whole = whole ? whole.concat(chunk) : chunk;
      if (text(chunk)) pieces++;
    }
    return { whole, text: text(whole), pieces, tokens: whole.usage_metadata?.output_tokens };
  }
  const calls = (message) => message.tool_calls.map((c) => ({ name: c.name, arguments: c.args }));

  return {
    async chat(name, prompt) {
      const message = await chat(name).invoke(prompt);
      return {
        text: text(message), finish: message.response_metadata.finish_reason, tokens: message.usage_metadata?.output_tokens,
      };
    },
    stream: (name, prompt) => stream(name, prompt, { streamUsage: true }),
    streamBare: (name, prompt) => stream(name, prompt, { streamUsage: false }),
    tools: async (prompt) => calls(await chat(model).bindTools(tools).invoke(prompt)),
    async toolsInAStream(prompt) {
      let whole = new AIMessageChunk('');
      for await (const chunk of await chat(model).bindTools(tools).stream(prompt)) whole = whole.concat(chunk);
      return calls(whole);
    },
    structured: (prompt) => chat(model).withStructuredOutput(Invoice, { method: 'jsonSchema' }).invoke(prompt),
    async structuredInAStream(prompt) {
      let last;
      for await (const part of await chat(model).withStructuredOutput(Invoice, { method: 'jsonSchema' }).stream(prompt)) last = part;
      return last;
    },
    embed: (texts) =>
      (family === 'azure'
        // This class reads no endpoint.
        ? new AzureOpenAIEmbeddings({ ...azure(embedding), azureOpenAIBasePath: `${base}/openai/deployments` })
        : new OpenAIEmbeddings(openai(embedding))
      ).embedDocuments(texts),
    async respond(prompt, previous) {
      const message = await chat(model, { useResponsesApi: true }).invoke(prompt, { previous_response_id: previous });
      return { text: text(message), id: message.response_metadata.id };
    },
  };
}

matrix('LangChain.js', {
  families: ['azure', 'azure-v1', 'openai'],
  connect,
  status: (error) => error.status,
  retriesTimeouts: true,
});
