// Addresses given by stack.py, the SDKs from the cache (two generations of openai), and the scripted scenes.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const env = process.env;
const require = createRequire(`${env.CONFORMANCE_NODE_HOME}/package.json`);
const direct = Boolean(env.CONFORMANCE_DIRECT);

export const OPENAI_SDKS = { 'openai 7': require('openai'), 'openai 6': require('openai-6') };
export const Anthropic = require('@anthropic-ai/sdk');
// The SDK's own handlers are a dependency of it, of no name of ours.
const awsRequire = createRequire(require.resolve('@aws-sdk/client-bedrock-runtime'));
export const aws = {
  ...require('@aws-sdk/client-bedrock-runtime'),
  handlers: awsRequire('@smithy/node-http-handler'),
};

const GPT = 'gpt-4o-mini';
const CLAUDE = 'claude-sonnet-4-6';
export const EMBEDDER = 'text-embedding-3-small';
const lane = (route, model, wire) => ({ route, model, wire, toString: () => `${route || 'root'}:${model}` });
const runnable = (dialect) => (one) => !direct || one.wire === dialect;

export const openaiLanes = [
  lane('/openai', GPT, 'openai'),
  lane('/openai/v1', `openai/${GPT}`, 'openai'),
  lane('/v1', `openai/${GPT}`, 'openai'),
  lane('/openai', `anthropic/${CLAUDE}`, 'anthropic'),
  lane('/v1', `anthropic/${CLAUDE}`, 'anthropic'),
].filter(runnable('openai'));

export const responsesLanes = [
  lane('/openai', GPT, 'openai'),
  lane('/v1', `house-gpt/${GPT}`, 'openai'),
  lane('/openai/v1', `house-host/${GPT}`, 'chat'),
  lane('/v1', `anthropic/${CLAUDE}`, 'anthropic'),
].filter(runnable('openai'));

export const anthropicLanes = [
  lane('/anthropic', CLAUDE, 'anthropic'),
  lane('', `anthropic/${CLAUDE}`, 'anthropic'),
  lane('/anthropic', `openai/${GPT}`, 'openai'),
  lane('', `openai/${GPT}`, 'openai'),
].filter(runnable('anthropic'));

const UPSTREAM_ANTHROPIC_KEY = 'upstream-key-of-anthropic';
const options = { maxRetries: 0, timeout: 15_000 };

export const modelName = (model) => (direct ? model.split('/').at(-1) : model);

export function openaiClient(SDK, route) {
  const baseURL = env.CONFORMANCE_URL + (direct ? '/v1' : route);
  return new SDK.OpenAI({ baseURL, apiKey: env.CONFORMANCE_CALLER_KEY, ...options });
}

export function anthropicClient(route) {
  const baseURL = env.CONFORMANCE_URL + (direct ? '' : route);
  const apiKey = direct ? UPSTREAM_ANTHROPIC_KEY : env.CONFORMANCE_CALLER_KEY;
  return new Anthropic.Anthropic({ baseURL, apiKey, ...options });
}

// The AI SDK is made of ES modules only, and its Anthropic provider wants the version in its base URL.
export async function aiSdk() {
  const load = (name) => import(`${env.CONFORMANCE_NODE_HOME}/node_modules/${name}/dist/index.js`);
  const [ai, openai, anthropic] = await Promise.all(['ai', '@ai-sdk/openai', '@ai-sdk/anthropic'].map((name) => load(name)));
  const given = (path) => ({ baseURL: env.CONFORMANCE_URL + path, apiKey: env.CONFORMANCE_CALLER_KEY });
  return {
    ...ai,
    openai: (route) => openai.createOpenAI(given(direct ? '/v1' : route)),
    anthropic: (route) =>
      anthropic.createAnthropic({
        ...given(direct ? '/v1' : `${route}/v1`),
        ...(direct && { apiKey: UPSTREAM_ANTHROPIC_KEY }),
      }),
  };
}

// Each failing call takes a provider of its own: a failure cools a key down. errors.test.mjs counts from 0 in its own
// process, bedrock.test.mjs from 60 in its.
const FIRST = process.argv[1]?.endsWith('bedrock.test.mjs') ? 60 : 0;
const next = { openai: FIRST, anthropic: FIRST, bedrock: FIRST, cohere: FIRST };
export function freshModel(wire, status) {
  const family = wire === 'openai' || wire === 'cohere' ? 'gpt' : 'claude';
  return modelName(`fresh-${wire}-${next[wire]++}/${family}-fail-${status}`);
}

const { fixtures } = JSON.parse(readFileSync(new URL('../fixtures.json', import.meta.url), 'utf8'));

export function scene(tag, { afterResult = false } = {}) {
  const found = fixtures.find(({ match }) => {
    const name = match.userMessage ?? match.inputText ?? match.model;
    return (name === `[${tag}]` || name === tag) && Boolean(match.hasToolResult) === afterResult;
  });
  return found.response;
}

export const prompt = (tag) => `[${tag}] Please answer.`;
