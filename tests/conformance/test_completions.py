"""OpenAI SDK, legacy completions: relayed to hosts of the OpenAI wire, answered out of chat by others."""

import asyncio

import openai
import pytest

from conftest import CLIENT_OPTIONS, prompt, scene
from test_errors import STREAMED, upstream_message


@pytest.fixture
def complete(openai_client, clients):
    def call(lane, tag, **options):
        return openai_client(lane.route).completions.create(model=clients.model(lane.model), prompt=prompt(tag), **options)

    return call


@pytest.mark.parametrize("tag", ["plain", "unicode", "long"])
def test_whole_completion(complete, tap, openai_lane, tag):
    answer = complete(openai_lane, tag, max_tokens=64)
    assert answer.object == "text_completion"
    assert [choice.text for choice in answer.choices] == [scene(tag)["content"]]
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens == scene(tag)["usage"]["completion_tokens"]
    path = "/v1/completions" if openai_lane.wire == "openai" else "/v1/messages"
    assert tap.last.path.split("?")[0] == path


@pytest.mark.parametrize("tag", ["plain", "unicode", "long"])
def test_streamed_completion(complete, openai_lane, tag):
    chunks = list(complete(openai_lane, tag, stream=True))
    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert {chunk.object for chunk in chunks} == {"text_completion"}
    assert "".join(choice.text for choice in choices) == scene(tag)["content"]
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["stop"]


def test_streamed_usage_when_asked(complete, openai_lane):
    chunks = list(complete(openai_lane, "plain", stream=True, stream_options={"include_usage": True}))
    [usage] = [chunk.usage for chunk in chunks if chunk.usage]
    assert usage.total_tokens == scene("plain")["usage"]["total_tokens"]


def test_async_completion(clients, openai_lane):
    async def main():
        async with openai.AsyncOpenAI(**clients.options("openai", openai_lane.route), **CLIENT_OPTIONS) as client:
            model = clients.model(openai_lane.model)
            return (await client.completions.create(model=model, prompt=prompt("plain"))).choices[0].text

    assert asyncio.run(main()) == scene("plain")["content"]


@STREAMED
@pytest.mark.parametrize("wire", ["openai", "anthropic"])
@pytest.mark.gateway
def test_rate_limit_is_the_sdks_own_class(openai_client, fresh_model, wire, streamed):
    with pytest.raises(openai.RateLimitError) as raised:
        api = openai_client("/openai/v1").completions
        api.create(model=fresh_model(wire, 429), prompt="hi", stream=streamed)
    assert upstream_message(wire, 429) in raised.value.message
    assert raised.value.response.headers["retry-after"] == "7"
