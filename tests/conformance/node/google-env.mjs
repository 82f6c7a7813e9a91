// Google's SDKs (two generations of @google/genai, the AI SDK's provider) and their lanes.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { modelName, scene } from './env.mjs';

const env = process.env;
const require = createRequire(`${env.CONFORMANCE_NODE_HOME}/package.json`);
const direct = Boolean(env.CONFORMANCE_DIRECT);

export const GENAI_SDKS = { 'genai 3': require('@google/genai'), 'genai 2': require('@google/genai-2') };
const esModule = (path) => import(pathToFileURL(`${env.CONFORMANCE_NODE_HOME}/node_modules/${path}`));
export const ai = await esModule('ai/dist/index.js');
const { createGoogleGenerativeAI } = await esModule('@ai-sdk/google/dist/index.js');
export const { z } = require('zod');

export const GEMINI = 'gemini-2.5-flash';
export const GEMINI_EMBEDDER = 'gemini-embedding-001';
const lane = (route, model, wire) => ({ route, model, wire, toString: () => `${route}:${model}` });

// The last part of a route is the API version: Google's SDKs take it apart from the base URL.
export const geminiLanes = [
  lane('/genai/v1beta', GEMINI, 'gemini'),
  lane('/genai/v1', `gemini/${GEMINI}`, 'gemini'),
  lane('/v1beta', `house-gemini/${GEMINI}`, 'gemini'),
  lane('/genai/v1beta', 'openai/gpt-4o-mini', 'openai'),
  lane('/v1beta', 'anthropic/claude-sonnet-4-6', 'anthropic'),
].filter((one) => !direct || one.wire === 'gemini');

const UPSTREAM_GEMINI_KEY = 'upstream-key-of-gemini';
const apiKey = direct ? UPSTREAM_GEMINI_KEY : env.CONFORMANCE_CALLER_KEY;

export function genaiClient(SDK, route) {
  const at = direct ? 0 : route.lastIndexOf('/');
  const [base, apiVersion] = direct ? ['', 'v1beta'] : [route.slice(0, at), route.slice(at + 1)];
  const httpOptions = { baseUrl: env.CONFORMANCE_URL + base, apiVersion, timeout: 15_000 };
  return new SDK.GoogleGenAI({ apiKey, vertexai: false, httpOptions });
}

export function aiGoogle(route) {
  return createGoogleGenerativeAI({ apiKey, baseURL: env.CONFORMANCE_URL + (direct ? '/v1beta' : route) });
}

// Each failing call takes a provider of its own, and the files that do this run at once: `from` keeps them apart
// (errors.test.mjs has the first ones of the other wires).
export function freshModels(from) {
  const next = { gemini: from, openai: 90 + from, anthropic: 90 + from };
  const family = { gemini: 'gemini', openai: 'gpt', anthropic: 'claude' };
  return (wire, status) => modelName(`fresh-${wire}-${next[wire]++}/${family[wire]}-fail-${status}`);
}

export const failureMessage = (wire, status) =>
  scene(`${{ gemini: 'gemini', openai: 'gpt', anthropic: 'claude' }[wire]}-fail-${status}`).error.message;
export const wires = direct ? ['gemini'] : ['gemini', 'openai', 'anthropic'];
export { modelName };
