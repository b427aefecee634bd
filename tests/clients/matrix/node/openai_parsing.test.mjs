// openai-node's helpers on what the gateway returns: streams pass as they are, and answers that the gateway has put
// together from a stream are what the SDK itself makes of it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import OpenAI from 'openai';
import { zodFunction, zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';

import { faultyURL, key, script } from './gateway.mjs';
import { chunk, message, outputText, respondWith, stream } from './transcripts.mjs';

const messages = [{ role: 'user', content: 'Hi.' }];
const City = z.object({ city: z.string() });
const format = { response_format: zodResponseFormat(City, 'city') };
const tools = [zodFunction({ name: 'get_weather', parameters: City })];

// client returns one whose requests get these answers.
async function client(...answers) {
  const { headers, model } = await script(...answers);
  const openai = new OpenAI({ baseURL: `${faultyURL}/v1`, apiKey: key, defaultHeaders: headers, maxRetries: 0 });
  return { openai, chat: { model, messages }, ask: { model, input: 'Hi.' } };
}

// own are the members of a message that come from the deployment.
const own = ({ role, content, refusal, tool_calls }) => JSON.parse(JSON.stringify({
  role, content, refusal: refusal ?? null,
  tool_calls: tool_calls?.map(({ id, type, function: f, custom }) => ({ id, type, name: (f ?? custom).name, text: f?.arguments ?? custom.input })),
}));
const ownChoice = ({ index, finish_reason, logprobs, message }) => ({ index, finish_reason, logprobs: logprobs ?? null, message: own(message) });

const start = chunk({ role: 'assistant', content: '' });
const end = [chunk({}, 'stop'), '[DONE]'];
const call = (index, more) => chunk({ tool_calls: [{ index, ...more }] });
const probability = (token, logprob) => ({ token, logprob, bytes: [...Buffer.from(token)], top_logprobs: [] });
const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };

// chats are streams, and the choices that are made of them.
const chats = {
  'text': {
    events: [start, chunk({ content: 'All ' }), chunk({ content: 'well.' }), ...end],
    choices: [{ finish_reason: 'stop', message: { content: 'All well.' } }],
  },
  'text that begins with line ends': {
    events: [start, chunk({ content: '\n\n' }), chunk({ content: '{"city": "Oslo"}' }), ...end],
    choices: [{ finish_reason: 'stop', message: { content: '\n\n{"city": "Oslo"}' } }],
  },
  'line separators, escaped empty lines and other alphabets': {
    events: [start, chunk({ content: 'a\n\nb\r\n\u2028\u2029' }), chunk({ content: 'известни 🐈' }), ...end],
    choices: [{ finish_reason: 'stop', message: { content: 'a\n\nb\r\n\u2028\u2029известни 🐈' } }],
  },
  'logprobs': {
    events: [
      start, chunk({ content: 'All' }, null, { logprobs: { content: [probability('All', -0.1)], refusal: null } }),
      chunk({ content: ' well' }, null, { logprobs: { content: [probability(' well', -0.2)], refusal: null } }), ...end,
    ],
    choices: [{ finish_reason: 'stop', message: { content: 'All well' }, logprobs: ['All', ' well'] }],
  },
  'refusal': {
    events: [
      chunk({ role: 'assistant', content: null, refusal: '' }), chunk({ refusal: 'I cannot ' }), chunk({ refusal: 'help.' }), ...end,
    ],
    choices: [{ finish_reason: 'stop', message: { content: null, refusal: 'I cannot help.' } }],
  },
  "Azure's filter chunks": {
    events: [
      { ...chunk({}), choices: [], prompt_filter_results: [{ prompt_index: 0, content_filter_results: {} }] },
      start, chunk({ content: 'All well.' }),
      // An asynchronous filter reports on offsets, without a delta.
      { ...start, choices: [{ index: 0, finish_reason: null, content_filter_results: {}, content_filter_offsets: { check_offset: 0, start_offset: 0, end_offset: 9 } }] },
      ...end,
    ],
    choices: [{ finish_reason: 'stop', message: { content: 'All well.' } }],
  },
  'two calls': {
    events: [
      chunk({ role: 'assistant', content: null }),
      call(0, { id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '' } }),
      call(0, { function: { arguments: '{"city":' } }), call(0, { function: { arguments: '"Oslo"}' } }),
      call(1, { id: 'call_2', type: 'function', function: { name: 'get_weather', arguments: '' } }),
      call(1, { function: { arguments: '{"city":"Rome"}' } }), chunk({}, 'tool_calls'), '[DONE]',
    ],
    choices: [{ finish_reason: 'tool_calls', message: { content: null, tool_calls: [['call_1', '{"city":"Oslo"}'], ['call_2', '{"city":"Rome"}']] } }],
  },
  'a custom tool': {
    events: [
      chunk({ role: 'assistant', content: null }), call(0, { id: 'call_1', type: 'custom', custom: { name: 'run', input: '' } }),
      call(0, { custom: { input: 'print("a' } }), call(0, { custom: { input: '")\n' } }), chunk({}, 'tool_calls'), '[DONE]',
    ],
    choices: [{ finish_reason: 'tool_calls', message: { content: null, tool_calls: [['call_1', 'print("a")\n']] } }],
  },
  'two choices': {
    events: [
      start, { ...start, choices: [{ ...start.choices[0], index: 1 }] }, chunk({ content: 'one' }),
      { ...start, choices: [{ index: 1, delta: { content: 'two' }, finish_reason: null }] },
      { ...start, choices: [{ index: 1, delta: {}, finish_reason: 'length' }] }, ...end,
    ],
    choices: [{ finish_reason: 'stop', message: { content: 'one' } }, { finish_reason: 'length', message: { content: 'two' } }],
  },
  'obfuscation': {
    events: [start, { ...chunk({ content: 'All well.' }), obfuscation: 'xyz' }, ...end],
    choices: [{ finish_reason: 'stop', message: { content: 'All well.' } }],
  },
};

function checkChoices(choices, wants) {
  assert.equal(choices.length, wants.length);
  for (const [i, want] of wants.entries()) {
    const { finish_reason, logprobs, message } = ownChoice(choices[i]);
    assert.equal(finish_reason, want.finish_reason);
    assert.equal(message.content, want.message.content);
    assert.equal(message.refusal, want.message.refusal ?? null);
    assert.deepEqual(message.tool_calls?.map((c) => [c.id, c.text]), want.message.tool_calls);
    assert.deepEqual(logprobs?.content?.map((p) => p.token), want.logprobs);
  }
}

describe('chat', { concurrency: true }, () => {
  for (const [name, { events, choices }] of Object.entries(chats)) {
    test(name, async () => {
      const { openai, chat } = await client(stream(...events));
      const options = { n: choices.length, logprobs: 'logprobs' in choices[0] };
      const runner = openai.chat.completions.stream({ ...chat, ...options });
      const chunks = [];
      runner.on('chunk', (c) => chunks.push(c));
      const final = await runner.finalChatCompletion();
      checkChoices(final.choices, choices);
      assert.deepEqual(chunks, events.filter((e) => e !== '[DONE]')); // as the deployment sent them

      const whole = await openai.chat.completions.create({ ...chat, ...options });
      checkChoices(whole.choices, choices);
      assert.deepEqual(whole.choices.map(ownChoice), final.choices.map(ownChoice));
      assert.equal(whole.id, final.id);
      assert.equal(whole.object, final.object);
      assert.equal(whole.model, final.model);
    });
  }

  test('events of a structured stream', async () => {
    const { openai, chat } = await client(stream(
      start, chunk({ content: '{"city"' }), chunk({ content: ': "Os' }), chunk({ content: 'lo"}' }), ...end));
    const runner = openai.chat.completions.stream({ ...chat, ...format });
    const partial = [], done = [];
    runner.on('content.delta', (e) => partial.push(e.parsed?.city));
    runner.on('content.done', (e) => done.push(e.parsed));
    const final = await runner.finalChatCompletion();
    assert.deepEqual(final.choices[0].message.parsed, { city: 'Oslo' });
    assert.deepEqual(done, [{ city: 'Oslo' }]);
    assert.deepEqual(partial.filter(Boolean), ['Os', 'Oslo']);
    assert.deepEqual((await openai.chat.completions.parse({ ...chat, ...format })).choices[0].message.parsed, { city: 'Oslo' });
  });

  test('a refusal is not parsed', async () => {
    const { openai, chat } = await client(stream(...chats.refusal.events));
    const runner = openai.chat.completions.stream({ ...chat, ...format });
    const refusals = [];
    runner.on('refusal.done', (e) => refusals.push(e.refusal));
    assert.equal((await runner.finalChatCompletion()).choices[0].message.parsed, null);
    assert.deepEqual(refusals, ['I cannot help.']);
    const { message } = (await openai.chat.completions.parse({ ...chat, ...format })).choices[0];
    assert.deepEqual([message.parsed, message.refusal], [null, 'I cannot help.']);
  });

  test('a structured answer at its limit', async () => {
    const { openai, chat } = await client(stream(start, chunk({ content: '{"city": "Os' }), chunk({}, 'length'), '[DONE]'));
    await assert.rejects(openai.chat.completions.stream({ ...chat, ...format }).finalChatCompletion(), OpenAI.LengthFinishReasonError);
    await assert.rejects(openai.chat.completions.parse({ ...chat, ...format }), OpenAI.LengthFinishReasonError);
  });

  test('an answer that the filter ended', async () => {
    const { openai, chat } = await client(stream(start, chunk({ content: '{' }), chunk({}, 'content_filter'), '[DONE]'));
    await assert.rejects(openai.chat.completions.stream({ ...chat, ...format }).finalChatCompletion(), OpenAI.ContentFilterFinishReasonError);
    await assert.rejects(openai.chat.completions.parse({ ...chat, ...format }), OpenAI.ContentFilterFinishReasonError);
  });

  test('parsed arguments', async () => {
    const { openai, chat } = await client(stream(...chats['two calls'].events));
    const runner = openai.chat.completions.stream({ ...chat, tools });
    const done = [];
    runner.on('tool_calls.function.arguments.done', (e) => done.push([e.name, e.index, e.parsed_arguments]));
    const want = [{ city: 'Oslo' }, { city: 'Rome' }];
    const parsed = (answer) => answer.choices[0].message.tool_calls.map((c) => c.function.parsed_arguments);
    assert.deepEqual(parsed(await runner.finalChatCompletion()), want);
    assert.deepEqual(done, want.map((city, i) => ['get_weather', i, city]));
    assert.deepEqual(parsed(await openai.chat.completions.parse({ ...chat, tools })), want);
  });

  for (const streamed of [false, true]) {
    test(`tools are run, ${streamed ? 'streamed' : 'whole'}`, async () => {
      const { openai, chat } = await client(stream(...chats['two calls'].events), stream(...chats.text.events));
      const asked = [];
      const run = zodFunction({
        name: 'get_weather', parameters: City,
        function: ({ city }) => {
          asked.push(city);
          return 'fine';
        },
      });
      const runner = openai.chat.completions.runTools({ ...chat, tools: [run], stream: streamed });
      assert.equal(await runner.finalContent(), 'All well.');
      assert.deepEqual(asked.sort(), ['Oslo', 'Rome']);
    });
  }

  test('usage, when it is asked for', async () => {
    const last = { ...chunk({}), choices: [], usage };
    const { openai, chat } = await client(stream(start, chunk({ content: 'All well.' }), end[0], last, '[DONE]'));
    const totals = async (more) => {
      const all = [];
      for await (const c of await openai.chat.completions.create({ ...chat, stream: true, ...more })) all.push(c.usage?.total_tokens, c.choices.length);
      return all;
    };
    assert.deepEqual((await totals({ stream_options: { include_usage: true } })).slice(-2), [5, 0]);
    assert.deepEqual(await totals(), [undefined, 1, undefined, 1, undefined, 1]);
    assert.deepEqual((await openai.chat.completions.create(chat)).usage, usage);
  });

  // The deployment's own error. It is an HTTP error if it comes so soon that nothing has gone to the client.
  const failure = { code: 'server_error', message: 'The model failed.', type: 'server_error', param: null };
  for (const [name, event] of Object.entries({
    'an error': `data: ${JSON.stringify({ error: failure })}\n\n`,
    'an error without a frame': `data: ${JSON.stringify({ object: 'error', ...failure })}\n\n`,
    'a named error': `event: error\ndata: ${JSON.stringify(failure)}\n\n`,
  })) {
    test(`${name} after output`, async () => {
      const { headers, body } = stream(start, chunk({ content: 'All ' }));
      const { openai, chat } = await client({ headers, body: body + event, split_at: [body.length] });
      await assert.rejects(openai.chat.completions.stream(chat).finalChatCompletion(),
        (error) => error instanceof OpenAI.APIError && error.code === 'server_error' && /The model failed/.test(error.message));
    });
  }

  test('an error before the first output is an HTTP error', async () => {
    const body = 'event: error\ndata: {"type":"error","code":"invalid_prompt","message":"No.","param":"messages"}\n\n';
    const { openai, chat } = await client({ headers: { 'content-type': 'text/event-stream' }, body });
    await assert.rejects(openai.chat.completions.create({ ...chat, stream: true }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError, String(error));
      assert.deepEqual([error.code, error.param], ['invalid_prompt', 'messages']);
      return true;
    });
  });

  test('a stream without an end', async () => {
    const { openai, chat } = await client(stream(start, chunk({ content: 'All ' })));
    await assert.rejects(openai.chat.completions.stream(chat).finalChatCompletion(), OpenAI.APIError);
  });
});

describe('network packets', { concurrency: true }, () => {
  const { events, choices } = chats['line separators, escaped empty lines and other alphabets'];
  const plain = stream(...events);
  const framings = {
    'CRLF': (body) => body.replaceAll('\n', '\r\n'),
    'CR': (body) => body.replaceAll('\n', '\r'),
    'comments, ids and names': (body) => body.replaceAll('data: ', ': a comment\nid: 1\nevent: message\ndata: '),
    'no space after the colon': (body) => body.replaceAll('data: ', 'data:'),
    'a byte order mark': (body) => `\ufeff${body}`,
  };
  for (const [name, frame] of Object.entries(framings)) {
    test(name, async () => {
      const { openai, chat } = await client({ ...plain, body: frame(plain.body) });
      checkChoices((await openai.chat.completions.stream(chat).finalChatCompletion()).choices, choices);
    });
  }
  test('characters of several bytes in several packets', async () => {
    const bytes = Buffer.from(plain.body);
    const from = bytes.indexOf('известни');
    const split_at = Array.from({ length: 21 }, (_, i) => from + i); // each byte of the word and the cat
    const { openai, chat } = await client({ ...plain, split_at });
    checkChoices((await openai.chat.completions.stream(chat).finalChatCompletion()).choices, choices);
  });
});

// items are the outputs of the Responses API.
const citation = { type: 'url_citation', url: 'https://example.com', title: 'An example', start_index: 0, end_index: 3 };
const weatherCall = { type: 'function_call', id: 'fc_1', call_id: 'call_1', name: 'get_weather', arguments: '{"city":"Oslo"}', status: 'completed' };
const items = {
  'text': [message([outputText('All well.')])],
  'text with an annotation': [message([outputText('All well.', [citation])])],
  'refusal': [message([{ type: 'refusal', refusal: 'I cannot help.' }])],
  'reasoning and text': [
    { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'Think of Oslo.' }] }, message([outputText('{"city":"Oslo"}')]),
  ],
  'call': [weatherCall],
  'shell call': [{ type: 'shell_call', id: 'sh_1', call_id: 'call_1', status: 'completed', action: { commands: ['ls'], timeout_ms: null, max_output_length: null } }],
};

// received are events without what the SDK has added to them.
const received = (list) => list.map(({ snapshot, parsed, ...event }) => event);
// wire is a response without what the SDK has added to it.
const wire = ({ output, output_text, output_parsed, _request_id, ...response }) => ({
  ...response,
  output: output.map(({ parsed_arguments, parsed, ...item }) =>
    item.content ? { ...item, content: item.content.map(({ parsed: _, ...part }) => part) } : item),
});

describe('responses', { concurrency: true }, () => {
  for (const [name, output] of Object.entries(items)) {
    test(name, async () => {
      const { events, answer } = respondWith(output);
      const { openai, ask } = await client(answer);
      const runner = openai.responses.stream(ask);
      const seen = [];
      runner.on('event', (e) => seen.push(e));
      const final = await runner.finalResponse();
      assert.deepEqual(received(seen), events);
      assert.deepEqual(wire(final), events.at(-1).response);
      assert.deepEqual(wire(await openai.responses.create(ask)), events.at(-1).response);
    });
  }

  test('parsed text and arguments', async () => {
    const { openai, ask } = await client(respondWith([message([outputText('{"city":"Oslo"}')]), weatherCall]).answer);
    const more = { ...ask, text: { format: zodTextFormat(City, 'city') } };
    assert.deepEqual((await openai.responses.parse(more)).output_parsed, { city: 'Oslo' });
    assert.deepEqual((await openai.responses.stream(more).finalResponse()).output_parsed, { city: 'Oslo' });
  });

  test('an incomplete response is not parsed', async () => {
    const incomplete = { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } };
    const { openai, ask } = await client(respondWith([{ ...message([outputText('{"city":"Os')]), status: 'incomplete' }], incomplete).answer);
    const more = { ...ask, text: { format: zodTextFormat(City, 'city') } };
    for (const answer of [await openai.responses.parse(more), await openai.responses.stream(more).finalResponse()]) {
      assert.equal(answer.status, 'incomplete');
      assert.equal(answer.incomplete_details.reason, 'max_output_tokens');
      assert.equal(answer.output_parsed, null);
    }
  });

  test('an error after output', async () => {
    const { events } = respondWith(items.text);
    const failure = { type: 'error', sequence_number: 9, code: 'server_error', message: 'The model failed.', param: null };
    const { openai, ask } = await client(stream(...events.slice(0, 5), failure));
    await assert.rejects(openai.responses.stream(ask).finalResponse(),
      (error) => error instanceof OpenAI.APIError && error.code === 'server_error');
  });

  test('an error before the first output is an HTTP error', async () => {
    const failure = { type: 'error', sequence_number: 0, code: 'invalid_prompt', message: 'No.', param: 'input' };
    const { openai, ask } = await client(stream(failure));
    await assert.rejects(openai.responses.stream(ask).finalResponse(), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError, String(error));
      assert.deepEqual([error.code, error.param], ['invalid_prompt', 'input']);
      return true;
    });
  });
});
