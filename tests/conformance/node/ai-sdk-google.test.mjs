// Vercel's AI SDK with @ai-sdk/google: text, streams, tools in a loop, objects, reasoning, embeddings, errors.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prompt, scene } from './env.mjs';
import {
  GEMINI_EMBEDDER, ai, aiGoogle, failureMessage, freshModels, geminiLanes, modelName, wires, z,
} from './google-env.mjs';

const { APICallError, embedMany, generateText, isStepCount, Output, streamText, tool } = ai;
const options = { maxRetries: 0 };
const country = z.object({ country: z.string(), capital_city: z.string(), population: z.number() });
const thinking = { google: { thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } } };

function weatherTools(seen) {
  const run = (name) => async (input) => {
    seen.push([name, input]);
    return { degrees: 21 };
  };
  return {
    get_weather: tool({ inputSchema: z.looseObject({ city: z.string() }), execute: run('get_weather') }),
    get_time: tool({ inputSchema: z.looseObject({}), execute: run('get_time') }),
  };
}

for (const lane of geminiLanes) {
  const model = aiGoogle(lane.route)(modelName(lane.model));
  const ask = (tag, rest = {}) => ({ model, prompt: prompt(tag), ...options, ...rest });

  for (const tag of ['plain', 'unicode', 'long']) {
    test(`${lane}: generateText ${tag}`, async () => {
      const answer = await generateText(ask(tag));
      assert.equal(answer.text, scene(tag).content);
      assert.equal(answer.finishReason, 'stop');
      assert.equal(answer.usage.inputTokens, scene(tag).usage.prompt_tokens);
      assert.equal(answer.usage.outputTokens, scene(tag).usage.completion_tokens);
    });

    test(`${lane}: streamText ${tag}`, async () => {
      const answer = streamText(ask(tag));
      assert.equal(await answer.text, scene(tag).content);
      assert.equal(await answer.finishReason, 'stop');
      assert.equal((await answer.usage).outputTokens, scene(tag).usage.completion_tokens);
    });
  }

  for (const tag of ['weather', 'parallel']) {
    const wanted = scene(tag).toolCalls.map((call) => [call.name, JSON.parse(call.arguments)]);
    for (const [how, run] of Object.entries({ whole: generateText, streamed: streamText })) {
      test(`${lane}: tools run in a loop, ${tag} ${how}`, async () => {
        const seen = [];
        const answer = await run(ask(tag, { tools: weatherTools(seen), stopWhen: isStepCount(3) }));
        assert.equal(await answer.text, scene(tag, { afterResult: true }).content);
        assert.deepEqual(seen, wanted);
        assert.equal((await answer.steps).length, 2);
      });
    }
  }

  test(`${lane}: an object by a schema`, async () => {
    const answer = await generateText(ask('json', { output: Output.object({ schema: country }) }));
    assert.deepEqual(answer.output, JSON.parse(scene('json').content));
  });

  test(`${lane}: reasoning is apart from the text`, async () => {
    const whole = await generateText(ask('think', { providerOptions: thinking }));
    const streamed = streamText(ask('think', { providerOptions: thinking }));
    for (const answer of [whole, streamed]) {
      assert.equal(await answer.reasoningText, scene('think').reasoning);
      assert.equal(await answer.text, scene('think').content);
    }
  });
}

test('embedMany keeps the order', async () => {
  const model = aiGoogle('/genai/v1beta').embeddingModel(GEMINI_EMBEDDER);
  const { embeddings } = await embedMany({ model, values: ['first', prompt('vector')], ...options });
  assert.deepEqual(embeddings[1], scene('vector').embedding);
  assert.notDeepEqual(embeddings[0], embeddings[1]);
});

const freshModel = freshModels(20);
for (const wire of wires) {
  for (const status of [400, 401, 404, 429, 500]) {
    test(`upstream ${wire}: ${status}`, async () => {
      const model = aiGoogle('/genai/v1beta')(freshModel(wire, status));
      await assert.rejects(generateText({ model, prompt: 'hi', ...options }), (error) => {
        assert.ok(APICallError.isInstance(error), error.constructor.name);
        assert.equal(error.statusCode, status);
        assert.ok(error.message.includes(failureMessage(wire, status)), error.message);
        assert.equal(error.isRetryable, status === 429 || status === 500);
        return true;
      });
    });
  }
}
