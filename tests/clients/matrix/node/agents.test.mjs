// @openai/agents with clients of openai-node.

import { Agent, OpenAIProvider, Runner, setTracingDisabled, tool } from '@openai/agents';
import OpenAI, { AzureOpenAI } from 'openai';
import { z } from 'zod';

import { apiVersion, bases, key, model } from './gateway.mjs';
import { matrix } from './matrix.mjs';
import { respond, say } from './transcripts.mjs';

setTracingDisabled(true); // traces go to OpenAI

const parameters = z.object({ city: z.string() });
const Invoice = z.object({ number: z.string(), total: z.number() });

// connect runs agents with one of the two APIs.
const connect = (useResponses) => (family, { base, headers, retries, fetch }) => {
  const settings = { apiKey: key, defaultHeaders: headers, maxRetries: retries, fetch };
  const openAIClient = family === 'azure'
    ? new AzureOpenAI({ endpoint: base, apiVersion, ...settings })
    : new OpenAI({ baseURL: bases[family](base), ...settings });
  const runner = new Runner({ modelProvider: new OpenAIProvider({ openAIClient, useResponses }) });
  const agent = (name, more) => new Agent({ name: 'tester', model: name, ...more });
  const tokens = (result) => result.rawResponses.at(-1).usage.outputTokens;

  async function stream(agent, prompt) {
    const result = await runner.run(agent, prompt, { stream: true });
    let text = '', pieces = 0;
    for await (const piece of result.toTextStream()) {
      text += piece;
      pieces++;
    }
    await result.completed;
    return { text, pieces, tokens: tokens(result), output: result.finalOutput };
  }
  // withTools runs the tools that the model calls, and returns their calls.
  async function withTools(run) {
    const calls = [];
    const tools = ['get_weather', 'get_time'].map((name) =>
      tool({ name, description: name, parameters, execute: (input) => calls.push({ name, arguments: input }) }));
    await run(agent(model, { tools }));
    return calls;
  }

  return {
    async chat(name, prompt) {
      const result = await runner.run(agent(name), prompt);
      const raw = result.rawResponses[0].providerData;
      const cut = raw?.status === 'incomplete' || raw?.choices?.[0].finish_reason === 'length';
      return { text: result.finalOutput, finish: cut ? 'length' : 'stop', tokens: tokens(result) };
    },
    stream: (name, prompt) => stream(agent(name), prompt),
    tools: (prompt) => withTools((agent) => runner.run(agent, prompt)),
    toolsInAStream: (prompt) => withTools((agent) => stream(agent, prompt)),
    structured: async (prompt) => (await runner.run(agent(model, { outputType: Invoice }), prompt)).finalOutput,
    structuredInAStream: async (prompt) => (await stream(agent(model, { outputType: Invoice }), prompt)).output,
    respond: useResponses && (async (prompt, previousResponseId) => {
      const result = await runner.run(agent(model), prompt, { previousResponseId });
      return { text: result.finalOutput, id: result.lastResponseId };
    }),
  };
};

const shared = { families: ['azure', 'azure-v1', 'openai'], status: (error) => error.status, retriesTimeouts: false };

matrix('@openai/agents, chat', { ...shared, connect: connect(false), answers: say });
matrix('@openai/agents, responses', {
  ...shared, connect: connect(true), answers: respond, refusesCuts: /response\.incomplete/,
});
