// Vercel's AI SDK: its OpenAI provider (Responses by default, and chat) and its Anthropic provider.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aiSdk, anthropicLanes, modelName, openaiLanes, prompt, responsesLanes, scene } from './env.mjs';

const { APICallError, Output, generateText, isStepCount, jsonSchema, openai, anthropic, streamText, tool } = await aiSdk();
const stopWhen = isStepCount(3);

const lanes = [
  ...responsesLanes.map((lane) => ['responses', lane, openai(lane.route).responses(modelName(lane.model))]),
  ...openaiLanes.map((lane) => ['chat', lane, openai(lane.route).chat(modelName(lane.model))]),
  ...anthropicLanes.map((lane) => ['messages', lane, anthropic(lane.route)(modelName(lane.model))]),
];

const properties = { city: { type: 'string' }, unit: { type: 'string' } };
const inputSchema = jsonSchema({ type: 'object', properties, required: ['city', 'unit'], additionalProperties: false });

for (const [api, lane, model] of lanes) {
  const ask = (tag, rest = {}) => ({ model, prompt: prompt(tag), maxRetries: 0, ...rest });

  function weather() {
    const asked = [];
    const execute = async (input) => {
      asked.push(input);
      return '21 degrees';
    };
    return { asked, tools: { get_weather: tool({ description: 'Weather of a city', inputSchema, execute }) } };
  }
  const wanted = scene('weather').toolCalls.map((call) => JSON.parse(call.arguments));
  const answer = scene('weather', { afterResult: true }).content;

  test(`ai-sdk ${api} ${lane}: whole and streamed text`, async () => {
    const whole = await generateText(ask('unicode'));
    assert.equal(whole.text, scene('unicode').content);
    assert.equal(whole.finishReason, 'stop');
    assert.equal(whole.usage.outputTokens, scene('unicode').usage.completion_tokens);
    const errors = [];
    const streamed = streamText(ask('unicode', { onError: ({ error }) => errors.push(error) }));
    assert.equal(await streamed.text, scene('unicode').content);
    assert.equal((await streamed.usage).outputTokens, scene('unicode').usage.completion_tokens);
    assert.deepEqual(errors, []);
  });

  test(`ai-sdk ${api} ${lane}: a tool is run and its result answered`, async () => {
    const { asked, tools } = weather();
    const done = await generateText(ask('weather', { tools, stopWhen }));
    assert.deepEqual(asked, wanted);
    assert.equal(done.text, answer);
  });

  test(`ai-sdk ${api} ${lane}: a tool is run in a stream`, async () => {
    const { asked, tools } = weather();
    const done = streamText(ask('weather', { tools, stopWhen, onError: () => {} }));
    assert.equal(await done.text, answer);
    assert.deepEqual(asked, wanted);
    assert.equal(await done.finishReason, 'stop');
  });

  test(`ai-sdk ${api} ${lane}: structured output`, async () => {
    const country = { country: { type: 'string' }, capital_city: { type: 'string' }, population: { type: 'number' } };
    const schema = { type: 'object', properties: country, required: Object.keys(country), additionalProperties: false };
    const done = await generateText(ask('json', { output: Output.object({ schema: jsonSchema(schema) }) }));
    assert.deepEqual(done.output, JSON.parse(scene('json').content));
  });
}

for (const [api, model] of [
  ['responses', openai('/v1').responses('no-such-model')],
  ['chat', openai('/v1').chat('no-such-model')],
  ['messages', anthropic('/anthropic')('no-such-model')],
]) {
  test(`ai-sdk ${api}: an unknown model is its own error and says the name`, async () => {
    await assert.rejects(generateText({ model, prompt: 'hi', maxRetries: 0 }), (error) => {
      assert.ok(APICallError.isInstance(error));
      assert.match(error.message, /no-such-model/);
      return true;
    });
  });
}
