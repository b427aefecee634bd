// What the tests of openai-node share: the gateway's address and one client per path family.

import assert from 'node:assert/strict';
import { describe } from 'node:test';

import OpenAI, { AzureOpenAI } from 'openai';

function required(name) {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
}

const url = required('SPILLWAY_URL');
const key = required('SPILLWAY_KEY');
export const faultyURL = required('SPILLWAY_FAULTY_URL'); // a gateway whose only upstream fails in known ways
export const upstreamURL = required('SPILLWAY_UPSTREAM_URL'); // that upstream

export const model = 'gpt-4o-mini';
export const embedding = 'text-embedding-3-small';

// connect returns a client of one path family: only its address and key are ours.
export function connect(family, { base = url, apiKey = key, ...options } = {}) {
  const settings = { maxRetries: 0, timeout: 60_000, apiKey, ...options };
  switch (family) {
    case 'azure':
      return new AzureOpenAI({ endpoint: base, apiVersion: '2025-04-01-preview', ...settings });
    case 'azure-v1':
      return new OpenAI({ baseURL: `${base}/openai/v1`, ...settings });
    default:
      return new OpenAI({ baseURL: `${base}/v1`, ...settings });
  }
}

// says returns a conversation of one user message.
export const says = (text) => [{ role: 'user', content: text }];

// eachFamily declares the same tests for every path family, run side by side.
export function eachFamily(declare) {
  for (const family of ['azure', 'azure-v1', 'openai']) {
    describe(family, { concurrency: true }, () => declare(family, connect(family)));
  }
}
