// What the tests of all libraries share: the gateways' addresses, and answers that a test writes itself.

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

// script puts answers at the upstream, for requests with the headers and the model that it returns, which no other test
// has. count() is the number of requests.
export async function script(...answers) {
  const mark = randomUUID();
  const at = `${upstreamURL}/scripts/${mark}`;
  const put = await fetch(at, { method: 'PUT', body: JSON.stringify(answers) });
  const own = await put.text();
  assert.equal(put.status, 200, own);
  return { headers: { 'x-script': mark }, model: own, count: async () => Number(await (await fetch(at)).text()) };
}
