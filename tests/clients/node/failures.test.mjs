// Errors come out as the types that callers catch; time runs out in order.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';

import * as openai from 'openai';

import { connect, eachFamily, faultyURL, model, says, upstreamURL } from './clients.mjs';

const messages = says('Hi. [[tokens=3]]');
const long = says('Write a long report. [[tokens=6000]]');

eachFamily((family, client) => {
  const chat = client.chat.completions;
  const faulty = connect(family, { base: faultyURL }).chat.completions;

  test('wrong key', async () => {
    const stranger = connect(family, { apiKey: 'wrong' });
    await assert.rejects(stranger.chat.completions.create({ model, messages }), openai.AuthenticationError);
  });

  test('unknown model', async () => {
    await assert.rejects(chat.create({ model: 'no-such-deployment', messages }), openai.NotFoundError);
  });

  test('invalid', async () => {
    await assert.rejects(chat.create({ model, messages, max_tokens: -1 }), (error) => {
      assert.ok(error instanceof openai.BadRequestError, String(error));
      assert.ok(error.headers.get('x-spillway-request-id'));
      return true;
    });
  });

  const upstreamFailures = {
    throttled: openai.RateLimitError,
    broken: openai.InternalServerError,
    filtered: openai.BadRequestError,
  };
  for (const [name, kind] of Object.entries(upstreamFailures)) {
    test(name, async () => {
      await assert.rejects(faulty.create({ model: name, messages }), kind);
      await assert.rejects(faulty.create({ model: name, messages, stream: true }), kind);
    });
  }

  test('throttled for a moment', async () => {
    const answer = await faulty.create({ model: 'recovers', messages: says(randomUUID()) });
    assert.ok(answer.choices[0].message.content);
  });

  test('broken stream', async () => {
    await assert.rejects(async () => {
      for await (const chunk of await faulty.create({ model: 'cut', messages, stream: true })) assert.ok(chunk);
    }, openai.APIError);
  });

  for (const name of ['pauses', 'numbered']) {
    test(`heartbeats: ${name}`, async () => {
      let text = '';
      for await (const chunk of await faulty.create({ model: name, messages, stream: true })) {
        text += chunk.choices[0].delta.content ?? '';
      }
      assert.equal(text.split('word').length - 1, 4);
    });
  }

  // The whole answer takes a minute and more. On a busy machine there may be no token in time, and more time is given.
  test('cut at the deadline', async () => {
    const within = (ms) => chat
      .create({ model, messages: long, max_tokens: 8000 }, { headers: { 'x-spillway-deadline-ms': ms } })
      .withResponse();
    const orWithin = (ms) => (error) => {
      if (error.status !== 408) throw error;
      return within(ms);
    };
    const { data, response } = await within('3000').catch(orWithin('10000')).catch(orWithin('40000'));
    assert.equal(response.headers.get('x-spillway-truncated'), 'deadline');
    assert.equal(data.choices[0].finish_reason, 'length');
    assert.ok(data.choices[0].message.content);
  });

  // The SDK says how long it waits, so the answer comes before it gives up. On a busy machine it can be late, and is
  // tried again.
  test('the client timeout is the deadline', async () => {
    const answer = await chat.create({ model, messages: long }, { timeout: 3000, maxRetries: 10 });
    assert.equal(answer.choices[0].finish_reason, 'length');
  });

  test('no token in time', async () => {
    await assert.rejects(
      chat.create({ model, messages: long }, { headers: { 'x-spillway-deadline-ms': '20' } }),
      (error) => error instanceof openai.APIError && error.status === 408,
    );
  });

  test('the client times out', async () => {
    const silent = { timeout: 1000, headers: { 'X-Stainless-Timeout': null } };
    await assert.rejects(chat.create({ model, messages: long }, silent), openai.APIConnectionTimeoutError);
  });

  test('the client leaves', async () => {
    const mark = randomUUID();
    const stream = await faulty.create({ model: 'endless', messages: says(mark), stream: true });
    let seen = 0;
    for await (const chunk of stream) {
      assert.ok(chunk);
      if (++seen === 10) stream.controller.abort();
    }
    assert.ok(seen >= 10);
    // The upstream answers when its own client, the gateway, has left.
    const left = await fetch(`${upstreamURL}/left/${mark}`, { signal: AbortSignal.timeout(600_000) });
    assert.equal(left.status, 200);
  });
});
