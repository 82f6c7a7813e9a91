// Addresses given by stack.py, the SDKs from the cache (two generations of openai), and the scripted scenes.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const env = process.env;
const require = createRequire(`${env.CONFORMANCE_NODE_HOME}/package.json`);
const direct = Boolean(env.CONFORMANCE_DIRECT);

export const OPENAI_SDKS = { 'openai 7': require('openai'), 'openai 6': require('openai-6') };
export const Anthropic = require('@anthropic-ai/sdk');

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

// Each failing call takes a provider of its own: a failure cools a key down. Only errors.test.mjs uses them.
const next = { openai: 0, anthropic: 0 };
export function freshModel(wire, status) {
  const family = wire === 'openai' ? 'gpt' : 'claude';
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
