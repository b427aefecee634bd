// Which libraries say how long they wait. Those that do not need x-spillway-deadline-ms as a default header.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';

import { createAzure } from '@ai-sdk/azure';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { AzureChatOpenAI, ChatOpenAI } from '@langchain/openai';
import { Agent, OpenAIProvider, Runner, setTracingDisabled } from '@openai/agents';
import { generateText } from 'ai';
import OpenAI, { AzureOpenAI } from 'openai';

import { apiVersion } from './gateway.mjs';
import { answer } from './transcripts.mjs';

setTracingDisabled(true);

const seen = []; // headers of the requests
let baseURL, server;

before(async () => {
  server = createServer((request, response) => {
    seen.push(request.headers);
    const { headers, body } = answer({
      id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'm',
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hi.' }, finish_reason: 'stop' }],
    });
    response.writeHead(200, headers).end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  baseURL = `http://127.0.0.1:${server.address().port}`;
});
after(() => server.close());

// timeoutHeaders are those of the last request that tell a timeout.
const timeoutHeaders = () =>
  Object.fromEntries(Object.entries(seen.at(-1)).filter(([name]) => /timeout/.test(name)));

const messages = [{ role: 'user', content: 'Hi.' }];
const apiKey = 'any';
const openai = (timeout) => new OpenAI({ baseURL, apiKey, timeout });
const azure = (timeout) => new AzureOpenAI({ endpoint: baseURL, apiVersion, apiKey, timeout });
const node = (client, timeout) => client.chat.completions.create({ model: 'm', messages }, timeout && { timeout });
const langchain = (timeout) => new ChatOpenAI({ model: 'm', apiKey, timeout, configuration: { baseURL } });
const azureLangchain = (timeout) => new AzureChatOpenAI({
  model: 'm', azureOpenAIEndpoint: baseURL, azureOpenAIApiKey: apiKey, azureOpenAIApiVersion: apiVersion,
  azureOpenAIApiDeploymentName: 'm', timeout,
});
const agents = (openAIClient, timeout) =>
  new Runner({ modelProvider: new OpenAIProvider({ openAIClient, useResponses: false }) }).run(
    new Agent({ name: 'a', model: 'm' }), 'Hi.', { signal: timeout && AbortSignal.timeout(timeout) });
const vercel = (provider) => (timeout) => generateText({ model: provider(), prompt: 'Hi.', timeout });

const none = {};
const seconds = (s) => ({ 'x-stainless-timeout': String(s) });

// sent is what each library sends when the client has a timeout of 7 s, and when a request has one.
const sent = {
  'openai-node': { client: [() => node(openai(7000)), none], request: [() => node(openai(), 7000), seconds(7)] },
  'openai-node, Azure': { client: [() => node(azure(7000)), none], request: [() => node(azure(), 7000), seconds(7)] },
  'LangChain.js': {
    client: [() => langchain(7000).invoke('Hi.'), none],
    request: [() => langchain().invoke('Hi.', { timeout: 7000 }), none],
  },
  'LangChain.js, Azure': {
    client: [() => azureLangchain(7000).invoke('Hi.'), none],
    request: [() => azureLangchain().invoke('Hi.', { timeout: 7000 }), none],
  },
  '@openai/agents': { client: [() => agents(openai(7000)), none], request: [() => agents(openai(), 7000), none] },
};
const vercels = {
  '@ai-sdk/openai': vercel(() => createOpenAI({ baseURL, apiKey }).chat('m')),
  '@ai-sdk/azure': vercel(() => createAzure({ baseURL, apiKey }).chat('m')),
  '@ai-sdk/openai-compatible': vercel(() => createOpenAICompatible({ name: 's', baseURL, apiKey })('m')),
};
for (const [name, run] of Object.entries(vercels)) sent[name] = { request: [() => run(7000), none] };

for (const [name, cases] of Object.entries(sent)) {
  describe(name, () => {
    for (const [where, [run, want]] of Object.entries(cases)) {
      test(`timeout of the ${where}`, async () => {
        await run();
        assert.deepEqual(timeoutHeaders(), want);
      });
    }
  });
}
