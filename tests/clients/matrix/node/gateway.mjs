// What the tests of all libraries share: the gateways' addresses, prompts, and answers that a test writes itself.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

function required(name) {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
}

export const url = required('SPILLWAY_URL'); // a gateway with its demonstration fleet
export const faultyURL = required('SPILLWAY_FAULTY_URL'); // a gateway whose only upstream fails in known ways
const upstreamURL = required('SPILLWAY_UPSTREAM_URL'); // that upstream
export const key = required('SPILLWAY_KEY');

export const model = 'gpt-4o-mini';
export const embedding = 'text-embedding-3-small';
export const apiVersion = '2025-04-01-preview';

// The path families: the base URL that a client is given.
export const bases = {
  azure: (base) => base, // the client adds /openai/deployments/{model}
  'azure-v1': (base) => `${base}/openai/v1`,
  openai: (base) => `${base}/v1`,
};

// script puts answers at the upstream, for requests with the headers that it returns to the model "scripted", or to the
// model that it returns, which no other test has. count() is the number of requests.
export async function script(...answers) {
  const mark = randomUUID();
  const at = `${upstreamURL}/scripts/${mark}`;
  const put = await fetch(at, { method: 'PUT', body: JSON.stringify(answers) });
  const own = await put.text();
  assert.equal(put.status, 200, own);
  return { headers: { 'x-script': mark }, model: own, count: async () => Number(await (await fetch(at)).text()) };
}

const json = { 'content-type': 'application/json' };
const events = { 'content-type': 'text/event-stream' };

// answer is a complete JSON answer.
export const answer = (body) => ({ headers: json, body: JSON.stringify(body) });

// refusal is an error in JSON.
export const refusal = (status, code, headers) => ({
  status,
  headers: { ...json, ...headers },
  body: JSON.stringify({ error: { code, message: 'The deployment refuses.', type: code, param: null } }),
});

// stream is a stream of these events, which are objects or text.
export function stream(...list) {
  const data = list.map((e) => `data: ${typeof e === 'string' ? e : JSON.stringify(e)}\n\n`);
  return { headers: events, body: data.join('') };
}

// chunk is a chat chunk of one choice.
export const chunk = (delta, finish_reason = null, more = {}) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'gpt-4o-mini-2024-07-18',
  choices: [{ index: 0, delta, finish_reason, logprobs: null, ...more }],
});

// say is a chat stream of a few words.
export const say = () =>
  stream(chunk({ role: 'assistant', content: '' }), chunk({ content: 'All ' }), chunk({ content: 'well.' }), chunk({}, 'stop'), '[DONE]');

// respond is the same as a stream of the Responses API.
export function respond() {
  const head = { id: 'resp_1', object: 'response', created_at: 1, model: 'gpt-4o-mini', error: null, incomplete_details: null, tools: [] };
  const part = { type: 'output_text', text: 'All well.', annotations: [], logprobs: [] };
  const item = { type: 'message', id: 'msg_1', role: 'assistant' };
  const at = { item_id: item.id, output_index: 0, content_index: 0 };
  const done = { ...item, status: 'completed', content: [part] };
  const usage = { input_tokens: 1, output_tokens: 2, total_tokens: 3, input_tokens_details: { cached_tokens: 0 }, output_tokens_details: { reasoning_tokens: 0 } };
  const list = [
    { type: 'response.created', response: { ...head, status: 'in_progress', output: [], usage: null } },
    { type: 'response.output_item.added', output_index: 0, item: { ...item, status: 'in_progress', content: [] } },
    { type: 'response.content_part.added', ...at, part: { ...part, text: '' } },
    { type: 'response.output_text.delta', ...at, delta: 'All well.', logprobs: [] },
    { type: 'response.output_text.done', ...at, text: 'All well.', logprobs: [] },
    { type: 'response.content_part.done', ...at, part },
    { type: 'response.output_item.done', output_index: 0, item: done },
    { type: 'response.completed', response: { ...head, status: 'completed', output: [done], usage } },
  ];
  return stream(...list.map((event, sequence_number) => ({ ...event, sequence_number })));
}
