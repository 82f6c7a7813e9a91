"""The SDKs' asynchronous clients: many calls at once on one connection pool, and an early goodbye."""

import asyncio

import anthropic
import openai
import pytest

from conftest import CLIENT_OPTIONS, prompt, scene
from gateway_config import ANTHROPIC_LANES, OPENAI_LANES

TAGS = ["plain", "unicode", "long", "plain"] * 4


def lanes_of(lanes, wire):
    return [
        pytest.param(lane, id=str(lane), marks=[] if lane.wire == wire else [pytest.mark.gateway]) for lane in lanes
    ]


@pytest.mark.parametrize("lane", lanes_of(OPENAI_LANES, "openai"))
def test_openai_calls_at_once_do_not_mix(clients, lane):
    async def main():
        async with openai.AsyncOpenAI(**clients.options("openai", lane.route), **CLIENT_OPTIONS) as client:

            async def whole(tag):
                answer = await client.chat.completions.create(model=clients.model(lane.model), messages=turns(tag))
                return answer.choices[0].message.content

            async def streamed(tag):
                stream = await client.chat.completions.create(
                    model=clients.model(lane.model), messages=turns(tag), stream=True
                )
                return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

            return await asyncio.gather(*(call(tag) for tag in TAGS for call in (whole, streamed)))

    assert asyncio.run(main()) == [scene(tag)["content"] for tag in TAGS for _ in range(2)]


@pytest.mark.parametrize("lane", lanes_of(ANTHROPIC_LANES, "anthropic"))
def test_anthropic_calls_at_once_do_not_mix(clients, lane):
    async def main():
        async with anthropic.AsyncAnthropic(**clients.options("anthropic", lane.route), **CLIENT_OPTIONS) as client:

            async def whole(tag):
                answer = await client.messages.create(
                    model=clients.model(lane.model), max_tokens=512, messages=turns(tag)
                )
                return answer.content[0].text

            async def streamed(tag):
                async with client.messages.stream(
                    model=clients.model(lane.model), max_tokens=512, messages=turns(tag)
                ) as stream:
                    return (await stream.get_final_message()).content[0].text

            return await asyncio.gather(*(call(tag) for tag in TAGS for call in (whole, streamed)))

    assert asyncio.run(main()) == [scene(tag)["content"] for tag in TAGS for _ in range(2)]


@pytest.mark.parametrize("lane", lanes_of(OPENAI_LANES, "openai"))
def test_a_caller_that_leaves_mid_stream_harms_nobody(clients, lane):
    async def main():
        async with openai.AsyncOpenAI(**clients.options("openai", lane.route), **CLIENT_OPTIONS) as client:
            api = client.chat.completions
            stream = await api.create(model=clients.model(lane.model), messages=turns("long"), stream=True)
            await anext(aiter(stream))
            await stream.close()
            answer = await api.create(model=clients.model(lane.model), messages=turns("plain"))
            return answer.choices[0].message.content

    assert asyncio.run(main()) == scene("plain")["content"]


def turns(tag):
    return [{"role": "user", "content": prompt(tag)}]
