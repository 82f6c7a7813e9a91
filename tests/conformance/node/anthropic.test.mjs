// @anthropic-ai/sdk: messages, streams and tools, same wire and cross wire.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anthropicClient, anthropicLanes, modelName, prompt, scene } from './env.mjs';

const tool = (name, properties) => ({ name, description: name, input_schema: { type: 'object', properties } });
const tools = [tool('get_weather', { city: { type: 'string' } }), tool('get_time', {})];
const wantedCalls = (tag) => scene(tag).toolCalls.map((call) => [call.name, JSON.parse(call.arguments)]);
const callsOf = (message) => message.content.filter((block) => block.type === 'tool_use');
const readCalls = (message) => callsOf(message).map((call) => [call.name, call.input]);

for (const lane of anthropicLanes) {
  const api = anthropicClient(lane.route).messages;
  const ask = (tag, rest = {}) => ({
    model: modelName(lane.model),
    max_tokens: 512,
    messages: [{ role: 'user', content: prompt(tag) }],
    ...rest,
  });

  for (const tag of ['plain', 'unicode', 'long']) {
    test(`${lane}: whole message ${tag}`, async () => {
      const answer = await api.create(ask(tag));
      assert.equal(answer.content[0].text, scene(tag).content);
      assert.equal(answer.stop_reason, 'end_turn');
      assert.equal(answer.usage.input_tokens, scene(tag).usage.prompt_tokens);
      assert.equal(answer.usage.output_tokens, scene(tag).usage.completion_tokens);
    });

    test(`${lane}: streamed message ${tag}`, async () => {
      let text = '';
      for await (const event of await api.create(ask(tag, { stream: true }))) {
        if (event.type === 'content_block_delta') text += event.delta.text;
      }
      assert.equal(text, scene(tag).content);
    });
  }

  test(`${lane}: stream helper accumulates`, async () => {
    const final = await api.stream(ask('unicode')).finalMessage();
    assert.equal(final.content[0].text, scene('unicode').content);
    assert.equal(final.stop_reason, 'end_turn');
    assert.equal(final.usage.output_tokens, scene('unicode').usage.completion_tokens);
  });

  test(`${lane}: thinking comes before the answer`, async () => {
    const thinking = { type: 'enabled', budget_tokens: 1024 };
    const final = await api.stream(ask('think', { thinking, max_tokens: 4096 })).finalMessage();
    assert.deepEqual(final.content.map((block) => block.type), ['thinking', 'text']);
    assert.equal(final.content[0].thinking, scene('think').reasoning);
    assert.equal(final.content[1].text, scene('think').content);
  });

  for (const tag of ['weather', 'parallel']) {
    test(`${lane}: tool calls ${tag}`, async () => {
      const answer = await api.create(ask(tag, { tools }));
      assert.deepEqual(readCalls(answer), wantedCalls(tag));
      assert.equal(answer.stop_reason, 'tool_use');
    });

    test(`${lane}: streamed tool calls ${tag}`, async () => {
      assert.deepEqual(readCalls(await api.stream(ask(tag, { tools })).finalMessage()), wantedCalls(tag));
    });

    test(`${lane}: tool result turn ${tag}`, async () => {
      const asked = await api.create(ask(tag, { tools }));
      const results = callsOf(asked).map(({ id }) => ({ type: 'tool_result', tool_use_id: id, content: '21' }));
      const messages = [
        { role: 'user', content: prompt(tag) },
        { role: 'assistant', content: asked.content },
        { role: 'user', content: results },
      ];
      const answer = await api.create(ask(tag, { tools, messages }));
      assert.equal(answer.content[0].text, scene(tag, { afterResult: true }).content);
    });
  }
}
