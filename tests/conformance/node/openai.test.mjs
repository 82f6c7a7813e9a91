// openai for Node, two generations: chat, streams, tools and embeddings, same wire and cross wire.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMBEDDER, OPENAI_SDKS, modelName, openaiClient, openaiLanes, prompt, scene } from './env.mjs';

const tool = (name, properties) => ({
  type: 'function',
  function: { name, parameters: { type: 'object', properties, additionalProperties: false } },
});
const tools = [tool('get_weather', { city: { type: 'string' } }), tool('get_time', {})];
const wantedCalls = (tag) => scene(tag).toolCalls.map((call) => [call.name, JSON.parse(call.arguments)]);
const readCalls = (calls) => calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]);

for (const [name, SDK] of Object.entries(OPENAI_SDKS)) {
  for (const lane of openaiLanes) {
    const api = openaiClient(SDK, lane.route).chat.completions;
    const ask = (tag, rest = {}) => ({
      model: modelName(lane.model),
      messages: [{ role: 'user', content: prompt(tag) }],
      ...rest,
    });

    for (const tag of ['plain', 'unicode', 'long']) {
      test(`${name} ${lane}: whole answer ${tag}`, async () => {
        const answer = await api.create(ask(tag));
        assert.equal(answer.choices[0].message.content, scene(tag).content);
        assert.equal(answer.choices[0].finish_reason, 'stop');
        assert.equal(answer.usage.total_tokens, scene(tag).usage.total_tokens);
        assert.ok(answer._request_id);
      });

      test(`${name} ${lane}: streamed answer ${tag}`, async () => {
        let text = '';
        let usage;
        const options = { stream: true, stream_options: { include_usage: true } };
        for await (const chunk of await api.create(ask(tag, options))) {
          text += chunk.choices[0]?.delta.content ?? '';
          usage = chunk.usage ?? usage;
        }
        assert.equal(text, scene(tag).content);
        assert.equal(usage.completion_tokens, scene(tag).usage.completion_tokens);
      });
    }

    test(`${name} ${lane}: stream helper accumulates`, async () => {
      const final = await api.stream(ask('unicode')).finalChatCompletion();
      assert.equal(final.choices[0].message.content, scene('unicode').content);
      assert.equal(final.choices[0].finish_reason, 'stop');
    });

    for (const tag of ['weather', 'parallel']) {
      test(`${name} ${lane}: tool calls ${tag}`, async () => {
        const { message, finish_reason } = (await api.create(ask(tag, { tools }))).choices[0];
        assert.deepEqual(readCalls(message.tool_calls), wantedCalls(tag));
        assert.equal(finish_reason, 'tool_calls');
      });

      test(`${name} ${lane}: streamed tool calls ${tag}`, async () => {
        const { message } = (await api.stream(ask(tag, { tools })).finalChatCompletion()).choices[0];
        assert.deepEqual(readCalls(message.tool_calls), wantedCalls(tag));
      });

      test(`${name} ${lane}: tool result turn ${tag}`, async () => {
        const { message } = (await api.create(ask(tag, { tools }))).choices[0];
        const results = message.tool_calls.map(({ id }) => ({ role: 'tool', tool_call_id: id, content: '21' }));
        const messages = [{ role: 'user', content: prompt(tag) }, message, ...results];
        const answer = await api.create(ask(tag, { tools, messages }));
        assert.equal(answer.choices[0].message.content, scene(tag, { afterResult: true }).content);
      });
    }
  }

  for (const route of ['/openai', '/openai/v1', '/v1']) {
    test(`${name} ${route}: embeddings as the SDK asks for them by default`, async () => {
      const model = modelName(`openai/${EMBEDDER}`);
      const answer = await openaiClient(SDK, route).embeddings.create({ model, input: prompt('vector') });
      assert.deepEqual(Array.from(answer.data[0].embedding), scene('vector').embedding);
    });
  }
}
