// Chat completions: answers, streams, tools, structured output.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';

import { eachFamily, model, says } from './clients.mjs';

const tools = ['get_weather', 'get_time'].map((name) => ({
  type: 'function',
  function: {
    name,
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' } },
      required: ['city'],
      additionalProperties: false,
    },
  },
}));
const callBoth = says('Weather and time in Oslo? [[tool=get_weather,get_time]][[tokens=10]]');

const Invoice = z.object({ number: z.string(), total: z.number(), paid: z.boolean(), lines: z.array(z.string()) });

function checkCalls(calls) {
  assert.deepEqual(calls.map((c) => c.function.name), ['get_weather', 'get_time']);
  assert.equal(new Set(calls.map((c) => c.id)).size, 2);
  for (const c of calls) assert.equal(typeof JSON.parse(c.function.arguments).city, 'string');
}

eachFamily((family, client) => {
  const chat = client.chat.completions;

  test('answer', async () => {
    const answer = await chat.create({ model, messages: says('Say hello. [[tokens=12]]') });
    assert.ok(answer.choices[0].message.content);
    assert.equal(answer.choices[0].finish_reason, 'stop');
    assert.equal(answer.usage.completion_tokens, 12);
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + 12);
  });

  test('client cap', async () => {
    const answer = await chat.create({ model, messages: says('Say much. [[tokens=50]]'), max_tokens: 8 });
    assert.equal(answer.choices[0].finish_reason, 'length');
    assert.equal(answer.usage.completion_tokens, 8);
  });

  test('stream', async () => {
    const stream = await chat.create({
      model, messages: says('Count. [[tokens=200]]'), stream: true, stream_options: { include_usage: true },
    });
    let pieces = 0;
    const finishes = [], usages = [];
    for await (const chunk of stream) {
      if (chunk.usage) usages.push(chunk.usage.completion_tokens);
      for (const choice of chunk.choices) {
        if (choice.finish_reason) finishes.push(choice.finish_reason);
        if (choice.delta.content) pieces++;
      }
    }
    assert.deepEqual(finishes, ['stop']);
    assert.deepEqual(usages, [200]);
    assert.ok(pieces > 3, 'the answer came in few pieces'); // of 20 tokens on average
  });

  test('stream without usage', async () => {
    const stream = await chat.create({ model, messages: says('Hi. [[tokens=5]]'), stream: true });
    for await (const chunk of stream) {
      assert.ok(!chunk.usage);
      assert.ok(chunk.choices.length > 0 || chunk.prompt_filter_results, 'a chunk that was not asked for');
    }
  });

  test('tools', async () => {
    const first = await chat.create({ model, messages: callBoth, tools });
    assert.equal(first.choices[0].finish_reason, 'tool_calls');
    const message = first.choices[0].message;
    checkCalls(message.tool_calls);
    const results = message.tool_calls.map((c) => ({ role: 'tool', tool_call_id: c.id, content: 'fine' }));
    const second = await chat.create({ model, messages: [...callBoth, message, ...results], tools });
    assert.equal(second.choices[0].finish_reason, 'stop');
  });

  test('tools in a stream', async () => {
    const final = await chat.stream({ model, messages: callBoth, tools }).finalChatCompletion();
    assert.equal(final.choices[0].finish_reason, 'tool_calls');
    checkCalls(final.choices[0].message.tool_calls);
  });

  test('structured', async () => {
    const answer = await chat.parse({
      model, messages: says('Extract the invoice.'), response_format: zodResponseFormat(Invoice, 'invoice'),
    });
    assert.ok(Invoice.safeParse(answer.choices[0].message.parsed).success);
  });
});
