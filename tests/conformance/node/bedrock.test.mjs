// @aws-sdk/client-bedrock-runtime: by itself it speaks HTTP/2 without TLS to an http:// endpoint; HTTP/1.1 when told to.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { aws, freshModel, prompt, scene } from './env.mjs';

const { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand, InvokeModelCommand } = aws;
const { InvokeModelWithResponseStreamCommand, ThrottlingException, ValidationException } = aws;
const NOVA = 'amazon.nova-pro-v1:0';
const CLAUDE = 'anthropic.claude-sonnet-4-5-20250929-v1:0';
const models = [NOVA, `house-bedrock/${NOVA}`, 'openai/gpt-4o-mini', 'anthropic/claude-sonnet-4-6', 'cohere/command-a-03-2025'];
const tool = (name) => ({ toolSpec: { name, inputSchema: { json: { type: 'object', properties: {} } } } });
const toolConfig = { tools: [tool('get_weather'), tool('get_time')] };
const ask = (modelId, tag, rest = {}) => ({ modelId, messages: [{ role: 'user', content: [{ text: prompt(tag) }] }], ...rest });
const wantedCalls = (tag) => scene(tag).toolCalls.map((call) => [call.name, JSON.parse(call.arguments)]);
const callsOf = (message) => message.content.filter((block) => block.toolUse).map((block) => block.toolUse);
const readCalls = (message) => callsOf(message).map((call) => [call.name, call.input]);

const settings = {
  region: 'us-west-2',
  endpoint: `${process.env.CONFORMANCE_URL}/bedrock`,
  credentials: { accessKeyId: 'AKIDCALLER', secretAccessKey: 'the-callers-own-secret' },
  maxAttempts: 1,
};
const { NodeHttpHandler } = aws.handlers;
const clients = {
  h2c: new BedrockRuntimeClient(settings),
  'http/1.1': new BedrockRuntimeClient({ ...settings, requestHandler: new NodeHttpHandler() }),
};
after(() => Object.values(clients).forEach((client) => client.destroy()));

async function folded(stream) {
  const blocks = [];
  let end = {};
  for await (const event of stream) {
    const { contentBlockStart: start, contentBlockDelta: piece, messageStop, metadata } = event;
    if (start) blocks[start.contentBlockIndex] = { toolUse: { ...start.start.toolUse, input: '' } };
    if (piece?.delta.text !== undefined) {
      blocks[piece.contentBlockIndex] ??= { text: '' };
      blocks[piece.contentBlockIndex].text += piece.delta.text;
    }
    if (piece?.delta.toolUse) blocks[piece.contentBlockIndex].toolUse.input += piece.delta.toolUse.input;
    end = { ...end, ...messageStop, ...metadata };
  }
  for (const { toolUse } of blocks) if (toolUse) toolUse.input = JSON.parse(toolUse.input);
  return { output: { message: { role: 'assistant', content: blocks } }, ...end };
}

const ways = {
  whole: (client, input) => client.send(new ConverseCommand(input)),
  streamed: async (client, input) => folded((await client.send(new ConverseStreamCommand(input))).stream),
};

for (const [protocol, client] of Object.entries(clients)) {
  for (const [way, converse] of Object.entries(ways)) {
    for (const model of models) {
      for (const tag of ['plain', 'unicode', 'long']) {
        test(`${protocol} ${model}: ${way} text ${tag}`, async () => {
          const answer = await converse(client, ask(model, tag));
          assert.equal(answer.output.message.content.map((block) => block.text).join(''), scene(tag).content);
          assert.equal(answer.stopReason, 'end_turn');
          assert.equal(answer.usage.inputTokens, scene(tag).usage.prompt_tokens);
          assert.equal(answer.usage.outputTokens, scene(tag).usage.completion_tokens);
        });
      }

      test(`${protocol} ${model}: ${way} calls and their results`, async () => {
        const asked = await converse(client, ask(model, 'parallel', { toolConfig }));
        const { message } = asked.output;
        assert.deepEqual(readCalls(message), wantedCalls('parallel'));
        assert.equal(asked.stopReason, 'tool_use');
        const results = callsOf(message).map(({ toolUseId }) => ({ toolResult: { toolUseId, content: [{ text: '21' }] } }));
        const messages = [...ask(model, 'parallel').messages, message, { role: 'user', content: results }];
        const answer = await converse(client, { modelId: model, messages, toolConfig });
        assert.equal(answer.output.message.content[0].text, scene('parallel', { afterResult: true }).content);
      });
    }

    test(`${protocol}: ${way} errors are the SDK's classes`, async () => {
      const wrong = ask(freshModel('openai', 400), 'plain');
      await assert.rejects(converse(client, wrong), (error) => {
        assert.ok(error instanceof ValidationException);
        assert.equal(error.message, scene('gpt-fail-400').error.message);
        return true;
      });
      const limited = ask(freshModel('bedrock', 429), 'plain');
      await assert.rejects(converse(client, limited), (error) => {
        assert.ok(error instanceof ThrottlingException);
        assert.equal(error.$metadata.httpStatusCode, 429);
        return true;
      });
    });
  }

  for (const model of [CLAUDE, 'anthropic/claude-sonnet-4-6', 'openai/gpt-4o-mini']) {
    const claude = (tag) => ({
      modelId: model,
      contentType: 'application/json',
      body: JSON.stringify({
        anthropic_version: 'bedrock-2023-05-31',
        max_tokens: 99,
        messages: [{ role: 'user', content: prompt(tag) }],
      }),
    });

    test(`${protocol} ${model}: invoke`, async () => {
      const answer = await client.send(new InvokeModelCommand(claude('unicode')));
      assert.equal(JSON.parse(answer.body.transformToString()).content[0].text, scene('unicode').content);
    });

    test(`${protocol} ${model}: invoke streamed`, async () => {
      const { body } = await client.send(new InvokeModelWithResponseStreamCommand(claude('unicode')));
      let text = '';
      for await (const { chunk } of body) text += JSON.parse(new TextDecoder().decode(chunk.bytes)).delta?.text ?? '';
      assert.equal(text, scene('unicode').content);
    });
  }
}
