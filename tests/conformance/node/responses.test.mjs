// openai for Node, two generations, the Responses API and legacy completions: same wire, chat only, Anthropic.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OPENAI_SDKS, modelName, openaiClient, openaiLanes, prompt, responsesLanes, scene } from './env.mjs';

const tool = (name, names) => ({
  type: 'function',
  name,
  strict: true,
  parameters: {
    type: 'object',
    properties: Object.fromEntries(names.map((key) => [key, { type: 'string' }])),
    required: names,
    additionalProperties: false,
  },
});
const tools = [tool('get_weather', ['city', 'unit']), tool('get_time', [])];
const schema = { type: 'object', properties: { country: { type: 'string' } }, required: ['country'], additionalProperties: false };
const wantedCalls = (tag) => scene(tag).toolCalls.map((call) => [call.name, JSON.parse(call.arguments)]);
const callsOf = (response) => response.output.filter((item) => item.type === 'function_call');
const readCalls = (calls) => calls.map((call) => [call.name, JSON.parse(call.arguments)]);

for (const [name, SDK] of Object.entries(OPENAI_SDKS)) {
  for (const lane of responsesLanes) {
    const api = openaiClient(SDK, lane.route).responses;
    const ask = (tag, rest = {}) => ({ model: modelName(lane.model), input: prompt(tag), ...rest });

    for (const tag of ['plain', 'unicode', 'long']) {
      test(`${name} ${lane}: whole response ${tag}`, async () => {
        const answer = await api.create(ask(tag));
        assert.equal(answer.output_text, scene(tag).content);
        assert.equal(answer.status, 'completed');
        assert.equal(answer.usage.total_tokens, scene(tag).usage.total_tokens);
      });

      test(`${name} ${lane}: streamed response ${tag}`, async () => {
        let text = '';
        let last;
        for await (const event of await api.create(ask(tag, { stream: true }))) {
          if (event.type === 'response.output_text.delta') text += event.delta;
          last = event;
        }
        assert.equal(text, scene(tag).content);
        assert.equal(last.type, 'response.completed');
        assert.equal(last.response.usage.output_tokens, scene(tag).usage.completion_tokens);
      });
    }

    for (const tag of ['weather', 'parallel']) {
      test(`${name} ${lane}: stream helper gathers the calls ${tag}`, async () => {
        const final = await api.stream(ask(tag, { tools })).finalResponse();
        assert.deepEqual(readCalls(callsOf(final)), wantedCalls(tag));
      });

      test(`${name} ${lane}: calls and their results ${tag}`, async () => {
        const input = [{ role: 'user', content: prompt(tag) }];
        const asked = await api.create(ask(tag, { tools, input }));
        assert.deepEqual(readCalls(callsOf(asked)), wantedCalls(tag));
        const results = callsOf(asked).map(({ call_id }) => ({ type: 'function_call_output', call_id, output: '21' }));
        const answer = await api.create(ask(tag, { tools, input: [...input, ...asked.output, ...results] }));
        assert.equal(answer.output_text, scene(tag, { afterResult: true }).content);
      });
    }

    test(`${name} ${lane}: parse helper`, async () => {
      const format = { type: 'json_schema', name: 'country', schema, strict: true };
      const answer = await api.parse(ask('json', { text: { format } }));
      assert.deepEqual(answer.output_parsed, JSON.parse(scene('json').content));
    });
  }

  for (const lane of openaiLanes) {
    const api = openaiClient(SDK, lane.route).completions;

    test(`${name} ${lane}: legacy completion, whole and streamed`, async () => {
      const ask = { model: modelName(lane.model), prompt: prompt('unicode') };
      const answer = await api.create(ask);
      assert.equal(answer.choices[0].text, scene('unicode').content);
      assert.equal(answer.choices[0].finish_reason, 'stop');
      let text = '';
      for await (const chunk of await api.create({ ...ask, stream: true })) text += chunk.choices[0]?.text ?? '';
      assert.equal(text, scene('unicode').content);
    });
  }
}
