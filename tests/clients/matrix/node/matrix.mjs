// The checks that every library passes. A library is an adapter: connect(family, options) returns the operations that
// the library has, of those below.
//
//   chat(model, prompt)      {text, finish, tokens}
//   stream(model, prompt)    {text, pieces, tokens}; tokens are undefined when no usage came
//   streamBare(model, prompt)  the same, without asking for usage
//   tools(prompt), toolsInAStream(prompt)  the calls of get_weather and get_time, [{name, arguments}]
//   structured(prompt), structuredInAStream(prompt)  an invoice, as the library parses it
//   embed(texts)             vectors
//   respond(prompt, previous)  {text, id}, with the Responses API
//
// options are {base, headers, retries, fetch}: the gateway's address, default headers, the number of retries, and what
// the library uses in place of fetch. status(error) is the HTTP status of an error of the library; retriesTimeouts says
// that it asks again after a 408, although x-should-retry is false; refusesCuts is its error for an answer that was cut;
// answers() is what a deployment says to its chats.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { faultyURL, model, script, url } from './gateway.mjs';
import { refusal, say } from './transcripts.mjs';

const long = 'Write a long report. [[tokens=6000]]';
const both = 'Weather and time in Oslo? [[tool=get_weather,get_time]][[tokens=10]]';

// windows are deadlines, all shorter than a long answer takes. On a busy machine there may be no token in time: the
// next is longer.
const windows = [3000, 10_000, 40_000];

const deadline = (ms) => ({ 'x-spillway-deadline-ms': String(ms) });

// counting returns a fetch that counts, and the count.
function counting() {
  const counter = (...args) => {
    counter.count++;
    return fetch(...args);
  };
  counter.count = 0;
  return counter;
}

function checkCalls(calls) {
  assert.deepEqual(calls.map((c) => c.name).sort(), ['get_time', 'get_weather']);
  for (const c of calls) assert.equal(typeof c.arguments.city, 'string', JSON.stringify(c));
}

// matrix declares the tests of a library for each of its path families.
export function matrix(name, { families, connect, status, retriesTimeouts, refusesCuts, answers = say }) {
  describe(name, { concurrency: true }, () => {
    for (const family of families) describe(family, { concurrency: true }, () => checks(family));
  });

  function checks(family) {
    const healthy = connect(family, { base: url, retries: 0 });
    const faulty = connect(family, { base: faultyURL, retries: 0 });
    // check declares a test of an operation that the library has.
    const check = (operation, declare, what = operation) => {
      if (healthy[operation]) test(what, declare);
    };
    const fails = (promise, want) => assert.rejects(promise, (error) => {
      assert.ok(want.includes(status(error)), `status ${status(error)}, want ${want}: ${error}`);
      return true;
    });

    check('chat', async () => {
      const { text, finish, tokens } = await healthy.chat(model, 'Say hello. [[tokens=12]]');
      assert.ok(text);
      assert.equal(finish, 'stop');
      assert.equal(tokens, 12);
    });
    check('stream', async () => {
      const { text, pieces, tokens } = await healthy.stream(model, 'Count. [[tokens=200]]');
      assert.ok(pieces > 3, `${pieces} pieces`); // of 20 tokens on average
      assert.ok(text.length > 200, text);
      assert.equal(tokens, 200);
    });
    check('streamBare', async () => {
      const { text, tokens } = await healthy.streamBare(model, 'Count. [[tokens=20]]');
      assert.ok(text);
      assert.equal(tokens, undefined);
    }, 'stream without usage');
    check('tools', async () => checkCalls(await healthy.tools(both)));
    check('toolsInAStream', async () => checkCalls(await healthy.toolsInAStream(both)), 'tools in a stream');
    for (const operation of ['structured', 'structuredInAStream']) {
      check(operation, async () => {
        const invoice = await healthy[operation]('Extract the invoice.');
        assert.equal(typeof invoice?.number, 'string');
        assert.equal(typeof invoice?.total, 'number');
      });
    }
    check('embed', async () => {
      const vectors = await healthy.embed(['a lock', 'a weir']);
      assert.equal(vectors.length, 2);
      for (const v of vectors) {
        assert.equal(v.length, 1536);
        assert.ok(Math.abs(Math.hypot(...v) - 1) < 1e-3);
      }
    }, 'embeddings');
    check('respond', async () => {
      const first = await healthy.respond('Say hello. [[tokens=12]]');
      const second = await healthy.respond('And again. [[tokens=12]]', first.id);
      assert.ok(first.text && second.text);
      assert.match(first.id, /^resp_/);
      assert.notEqual(first.id, second.id);
      await fails(healthy.respond('And?', 'resp_unknown'), [400]);
    }, 'a chain of responses');

    for (const operation of ['chat', 'stream']) {
      check(operation, () => fails(faulty[operation]('throttled', 'Hi.'), [429]), `throttled ${operation}`);
      check(operation, () => fails(faulty[operation]('broken', 'Hi.'), [500, 502, 503]), `broken ${operation}`);
      check(operation, () => fails(faulty[operation]('filtered', 'Hi.'), [400]), `filtered ${operation}`);
      check(operation, async () => {
        const counter = counting();
        const client = connect(family, { base: url, headers: deadline(20), retries: 1, fetch: counter });
        await fails(client[operation](model, long), [408]);
        assert.equal(counter.count, retriesTimeouts ? 2 : 1, 'requests');
      }, `no token in time, ${operation}`);
    }
    check('chat', async () => {
      // The gateway itself waits for 5 s at most.
      const { headers, model: own, count } = await script(refusal(429, '429', { 'retry-after': '6' }), answers());
      const client = connect(family, { base: faultyURL, headers, retries: 5 });
      assert.equal((await client.chat(own, 'Hi.')).text, 'All well.');
      assert.equal(await count(), 2);
    }, 'its own retry after a 429');
    check('stream', () => assert.rejects(faulty.stream('cut', 'Hi.')), 'a stream that breaks');
    check('stream', async () => {
      const { text } = await faulty.stream('pauses', 'Hi.');
      assert.equal(text.split('word').length - 1, 4);
    }, 'heartbeats');
    for (const operation of ['chat', 'stream']) {
      check(operation, async () => {
        const cut = await inTime((ms) => connect(family, { base: url, headers: deadline(ms), retries: 0 })[operation](model, long));
        if (refusesCuts) return assert.match(String(cut.error), refusesCuts);
        assert.equal(cut.error, undefined);
        assert.ok(cut.text);
        if (operation === 'chat') assert.equal(cut.finish, 'length');
      }, `${operation} cut at the deadline`);
    }
  }

  // inTime runs with the first of the windows in which there is a token.
  async function inTime(run) {
    for (const ms of windows) {
      try {
        return await run(ms);
      } catch (error) {
        if (status(error) !== 408) return { error };
      }
    }
    throw new Error('no token in the longest window');
  }
}
