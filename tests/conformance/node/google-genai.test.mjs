// @google/genai, two generations: chat, streams, tools, thinking, JSON, embeddings, counts, lists and errors.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prompt, scene } from './env.mjs';
import {
  GEMINI, GEMINI_EMBEDDER, GENAI_SDKS, failureMessage, freshModels, genaiClient, geminiLanes, modelName, wires,
} from './google-env.mjs';

const weather = {
  name: 'get_weather',
  parameters: { type: 'OBJECT', properties: { city: { type: 'STRING' } }, required: ['city'] },
};
const tools = [{ functionDeclarations: [weather, { name: 'get_time' }] }];
const wantedCalls = (tag) => scene(tag).toolCalls.map((call) => [call.name, JSON.parse(call.arguments)]);
const readCalls = (answer) => (answer.functionCalls ?? []).map((call) => [call.name, call.args]);
const partsOf = (chunk) => chunk.candidates?.[0]?.content?.parts ?? [];
const textOf = (parts, thought) =>
  parts.filter((part) => Boolean(part.thought) === thought).map((part) => part.text ?? '').join('');

async function all(stream) {
  const chunks = [];
  for await (const chunk of await stream) chunks.push(chunk);
  return chunks;
}

for (const [name, SDK] of Object.entries(GENAI_SDKS)) {
  for (const lane of geminiLanes) {
    const { models, chats } = genaiClient(SDK, lane.route);
    const model = modelName(lane.model);
    const ask = (tag, config, contents = prompt(tag)) => ({ model, contents, config });

    for (const tag of ['plain', 'unicode', 'long']) {
      test(`${name} ${lane}: whole answer ${tag}`, async () => {
        const answer = await models.generateContent(ask(tag));
        assert.equal(answer.text, scene(tag).content);
        assert.equal(answer.candidates[0].finishReason, 'STOP');
        assert.equal(answer.usageMetadata.totalTokenCount, scene(tag).usage.total_tokens);
      });

      test(`${name} ${lane}: streamed answer ${tag}`, async () => {
        const chunks = await all(models.generateContentStream(ask(tag)));
        assert.equal(chunks.map((chunk) => chunk.text ?? '').join(''), scene(tag).content);
        assert.equal(chunks.at(-1).usageMetadata.candidatesTokenCount, scene(tag).usage.completion_tokens);
        const reasons = chunks.map((chunk) => chunk.candidates?.[0]?.finishReason).filter(Boolean);
        assert.deepEqual(reasons, ['STOP']);
      });
    }

    test(`${name} ${lane}: chat helper carries the conversation`, async () => {
      const talk = chats.create({ model });
      assert.equal((await talk.sendMessage({ message: prompt('plain') })).text, scene('plain').content);
      const chunks = await all(talk.sendMessageStream({ message: prompt('unicode') }));
      assert.equal(chunks.map((chunk) => chunk.text ?? '').join(''), scene('unicode').content);
      const said = talk.getHistory().filter((turn) => turn.role === 'user');
      assert.equal(said.length, 2);
    });

    for (const tag of ['weather', 'parallel']) {
      test(`${name} ${lane}: tool calls ${tag}`, async () => {
        assert.deepEqual(readCalls(await models.generateContent(ask(tag, { tools }))), wantedCalls(tag));
      });

      test(`${name} ${lane}: streamed tool calls ${tag}`, async () => {
        const chunks = await all(models.generateContentStream(ask(tag, { tools })));
        assert.deepEqual(chunks.flatMap(readCalls), wantedCalls(tag));
      });

      test(`${name} ${lane}: tool result turn ${tag}`, async () => {
        const asked = await models.generateContent(ask(tag, { tools }));
        const results = asked.functionCalls.map(({ id, name: called }) => ({
          functionResponse: { id, name: called, response: { output: '21' } },
        }));
        const contents = [
          { role: 'user', parts: [{ text: prompt(tag) }] },
          asked.candidates[0].content,
          { role: 'user', parts: results },
        ];
        const answer = await models.generateContent(ask(tag, { tools }, contents));
        assert.equal(answer.text, scene(tag, { afterResult: true }).content);
      });
    }

    test(`${name} ${lane}: thoughts are apart from the answer`, async () => {
      const config = { thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } };
      const whole = partsOf(await models.generateContent(ask('think', config)));
      const streamed = (await all(models.generateContentStream(ask('think', config)))).flatMap(partsOf);
      for (const parts of [whole, streamed]) {
        assert.equal(textOf(parts, true), scene('think').reasoning);
        assert.equal(textOf(parts, false), scene('think').content);
      }
    });

    test(`${name} ${lane}: JSON by a schema`, async () => {
      const schema = {
        type: 'OBJECT',
        properties: { country: { type: 'STRING' }, capital_city: { type: 'STRING' } },
        required: ['country', 'capital_city'],
      };
      const config = { responseMimeType: 'application/json', responseSchema: schema };
      const answer = await models.generateContent(ask('json', config));
      assert.equal(JSON.parse(answer.text).capital_city, 'Paris');
    });
  }

  for (const route of ['/genai/v1beta', '/genai/v1', '/v1beta', '/v1']) {
    test(`${name} ${route}: embeddings and counts`, async () => {
      const { models } = genaiClient(SDK, route);
      const answer = await models.embedContent({ model: GEMINI_EMBEDDER, contents: [prompt('vector'), 'second'] });
      assert.equal(answer.embeddings.length, 2);
      assert.deepEqual(answer.embeddings[0].values, scene('vector').embedding);
      const counted = await models.countTokens({ model: GEMINI, contents: prompt('plain') });
      assert.equal(counted.totalTokens, 1234);
    });
  }

  if (wires.length > 1) {
    for (const route of ['/genai/v1beta', '/genai/v1', '/v1beta', '/v1']) {
      test(`${name} ${route}: model list`, async () => {
        const { models } = genaiClient(SDK, route);
        const names = (await all(models.list())).map((model) => model.name);
        assert.ok(names.some((one) => one.endsWith(`/${GEMINI}`)), names.slice(0, 3).join());
      });
    }
  }
}

const freshModel = freshModels(0);
for (const wire of wires) {
  for (const status of [400, 401, 404, 429, 500]) {
    for (const [name, SDK] of Object.entries(GENAI_SDKS)) {
      for (const streamed of [false, true]) {
        test(`${name} upstream ${wire}: ${status} ${streamed ? 'streamed' : 'whole'}`, async () => {
          const { models } = genaiClient(SDK, '/genai/v1beta');
          const ask = { model: freshModel(wire, status), contents: 'hi' };
          const call = () => (streamed ? all(models.generateContentStream(ask)) : models.generateContent(ask));
          await assert.rejects(call, (error) => {
            assert.ok(error instanceof SDK.ApiError, error.constructor.name);
            assert.equal(error.status, status);
            assert.ok(error.message.includes(failureMessage(wire, status)), error.message);
            return true;
          });
        });
      }
    }
  }
}
