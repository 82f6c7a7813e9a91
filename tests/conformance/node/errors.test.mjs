// Errors as the Node SDKs throw them: their own class, the upstream's message, a request id.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Anthropic, OPENAI_SDKS, anthropicClient, anthropicLanes, freshModel, openaiClient, openaiLanes, scene,
} from './env.mjs';

const CLASSES = {
  400: 'BadRequestError',
  401: 'AuthenticationError',
  404: 'NotFoundError',
  429: 'RateLimitError',
  500: 'InternalServerError',
};
const TYPES = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
  500: 'api_error',
};
const messages = [{ role: 'user', content: 'hi' }];
const upstreamMessage = (wire, status) => scene(`${wire === 'openai' ? 'gpt' : 'claude'}-fail-${status}`).error.message;

async function failure(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return assert.fail('the call was answered');
}

for (const status of [400, 401, 404, 429, 500]) {
  for (const stream of [false, true]) {
    const how = `${status} ${stream ? 'streamed' : 'whole'}`;
    for (const [name, SDK] of Object.entries(OPENAI_SDKS)) {
      for (const lane of openaiLanes) {
        test(`${name} ${lane}: ${how}`, async () => {
          const model = freshModel(lane.wire, status);
          const api = openaiClient(SDK, lane.route).chat.completions;
          const error = await failure(() => api.create({ model, messages, stream }));
          assert.ok(error instanceof SDK.OpenAI[CLASSES[status]], `${error.constructor.name}: ${error.message}`);
          assert.equal(error.status, status);
          assert.ok(error.message.includes(upstreamMessage(lane.wire, status)), error.message);
          assert.ok(error.requestID);
          if (status === 404) assert.equal(error.code, 'model_not_found');
        });
      }
    }
    for (const lane of anthropicLanes) {
      test(`anthropic ${lane}: ${how}`, async () => {
        const model = freshModel(lane.wire, status);
        const api = anthropicClient(lane.route).messages;
        const error = await failure(() => api.create({ model, max_tokens: 9, messages, stream }));
        assert.ok(error instanceof Anthropic.Anthropic[CLASSES[status]], `${error.constructor.name}: ${error.message}`);
        assert.equal(error.error.type, 'error');
        assert.equal(error.error.error.type, TYPES[status]);
        assert.ok(error.error.error.message.includes(upstreamMessage(lane.wire, status)), error.message);
        if (status === 429) assert.equal(error.headers.get('retry-after'), '7');
      });
    }
  }
}
