// Responses, embeddings, models.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';

import { eachFamily, embedding, model } from './clients.mjs';

const Invoice = z.object({ number: z.string(), total: z.number() });
const weather = {
  type: 'function',
  name: 'get_weather',
  strict: true,
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  },
};

eachFamily((family, client) => {
  test('response', async () => {
    const answer = await client.responses.create({ model, input: 'Say hello. [[tokens=12]]' });
    assert.equal(answer.status, 'completed');
    assert.ok(answer.output_text);
    assert.equal(answer.usage.output_tokens, 12);
  });

  test('response stream', async () => {
    const stream = client.responses.stream({ model, input: 'Count. [[tokens=40]]' });
    let text = '';
    stream.on('response.output_text.delta', (event) => (text += event.delta));
    const final = await stream.finalResponse();
    assert.equal(final.status, 'completed');
    assert.ok(text);
    assert.equal(text, final.output_text);
    assert.equal(final.usage.output_tokens, 40);
  });

  test('response tools', async () => {
    const answer = await client.responses.create({
      model, input: 'Weather in Oslo? [[tool=get_weather]]', tools: [weather],
    });
    const calls = answer.output.filter((o) => o.type === 'function_call');
    assert.deepEqual(calls.map((c) => c.name), ['get_weather']);
    assert.equal(typeof JSON.parse(calls[0].arguments).city, 'string');
  });

  test('structured response', async () => {
    const answer = await client.responses.parse({
      model, input: 'Extract the invoice.', text: { format: zodTextFormat(Invoice, 'invoice') },
    });
    assert.ok(Invoice.safeParse(answer.output_parsed).success);
  });

  test('embeddings', async () => {
    const answer = await client.embeddings.create({ model: embedding, input: ['a lock', 'a weir'] });
    assert.deepEqual(answer.data.map((e) => e.index), [0, 1]);
    for (const e of answer.data) {
      assert.equal(e.embedding.length, 1536);
      assert.ok(Math.abs(Math.hypot(...e.embedding) - 1) < 1e-3);
    }
  });

  test('models', async () => {
    const names = [];
    for await (const m of client.models.list()) names.push(m.id);
    assert.ok(names.includes(model) && names.includes(embedding), names.join());
  });
});
