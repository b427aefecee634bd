// Answers of a deployment, for scripts.

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

// message and outputText are an item of the Responses API and its part.
export const message = (content) => ({
  type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content,
});
export const outputText = (t, annotations = []) => ({ type: 'output_text', text: t, annotations, logprobs: [] });

// respondWith is the stream of a response with these items, as events and as an answer.
export function respondWith(output, { status = 'completed', ...more } = {}) {
  const head = {
    id: 'resp_1', object: 'response', created_at: 1, model: 'gpt-5', error: null, incomplete_details: null, instructions: null,
    metadata: {}, parallel_tool_calls: true, temperature: 1, top_p: 1, tool_choice: 'auto', tools: [],
  };
  const list = [{ type: 'response.created', response: { ...head, status: 'in_progress', output: [], usage: null } }];
  const add = (type, at, rest) => list.push({ type: `response.${type}`, ...at, ...rest });
  for (const [output_index, item] of output.entries()) {
    const at = { output_index, item_id: item.id };
    const empty = { message: { content: [] }, reasoning: { summary: [] }, function_call: { arguments: '' } }[item.type];
    add('output_item.added', { output_index }, { item: { ...item, ...empty, status: 'in_progress' } });
    for (const [content_index, part] of (item.content ?? []).entries()) {
      const kind = part.type === 'refusal' ? 'refusal' : 'output_text';
      const value = part.text ?? part.refusal;
      const where = { ...at, content_index };
      add('content_part.added', where, { part: kind === 'refusal' ? { ...part, refusal: '' } : { ...part, text: '', annotations: [] } });
      for (const delta of [value.slice(0, 4), value.slice(4)]) add(`${kind}.delta`, where, { delta });
      for (const [annotation_index, annotation] of (part.annotations ?? []).entries()) {
        add('output_text.annotation.added', where, { annotation_index, annotation });
      }
      add(`${kind}.done`, where, kind === 'refusal' ? { refusal: value } : { text: value });
      add('content_part.done', where, { part });
    }
    for (const [summary_index, part] of (item.summary ?? []).entries()) {
      const where = { ...at, summary_index };
      add('reasoning_summary_part.added', where, { part: { ...part, text: '' } });
      add('reasoning_summary_text.delta', where, { delta: part.text });
      add('reasoning_summary_text.done', where, { text: part.text });
      add('reasoning_summary_part.done', where, { part });
    }
    if (item.arguments) {
      add('function_call_arguments.delta', at, { delta: item.arguments });
      add('function_call_arguments.done', at, { name: item.name, arguments: item.arguments });
    }
    add('output_item.done', { output_index }, { item });
  }
  const tokens = { input_tokens: 3, input_tokens_details: { cached_tokens: 0 }, output_tokens: 2, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 5 };
  list.push({ type: `response.${status}`, response: { ...head, status, output, usage: tokens, ...more } });
  const numbered = list.map((event, sequence_number) => ({ ...event, sequence_number }));
  return {
    events: numbered,
    answer: { headers: events, body: numbered.map((e) => `event: ${e.type}\ndata: ${JSON.stringify(e)}\n\n`).join('') },
  };
}

// respond is the same as say, with the Responses API.
export const respond = () => respondWith([message([outputText('All well.')])]).answer;
