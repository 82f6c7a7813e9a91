"""mistralai's own SDK, which speaks OpenAI's dialect with words of its own.

Streamed calls are not covered: this SDK wants a function's name in every piece of a call. Mistral sends a call in one
piece; OpenAI and all who speak its wire, the mock too, name it in the first piece only.
"""

import asyncio
import json

import pytest
from mistralai.client import Mistral
from mistralai.client.errors import SDKError

from conftest import prompt, scene
from gateway_config import CALLER_KEY, Lane
from pixels import PIXEL
from test_openai_tools import TOOLS, wanted_calls


def made(stack, route):
    return Mistral(api_key=CALLER_KEY, server_url=stack.url + route.removesuffix("/v1"), timeout_ms=15_000)


@pytest.fixture(scope="session")
def client(stack):
    clients = {}
    return lambda route: clients.setdefault(route, made(stack, route))


def ask(lane, tag, messages=None, **options):
    return {"model": lane.model, "messages": messages or [{"role": "user", "content": prompt(tag)}], **options}


def folded(chunks):
    """Text and finish reason of a stream."""
    text, reason = "", None
    for chunk in chunks:
        for choice in chunk.data.choices:
            text += choice.delta.content or ""
            reason = choice.finish_reason or reason
    return text, reason


def taken(answer):
    return answer.choices[0].message.content, answer.choices[0].finish_reason


@pytest.fixture(params=["whole", "streamed"])
def complete(request, client):
    def call(lane: Lane, tag: str, messages=None, **options):
        api, arguments = client(lane.route).chat, ask(lane, tag, messages, **options)
        if request.param == "whole":
            return taken(api.complete(**arguments))
        with api.stream(**arguments) as stream:
            return folded(list(stream))

    return call


@pytest.mark.parametrize("tag", ["plain", "unicode", "long"])
def test_text_arrives_with_finish_reason(complete, compatible_lane, tag):
    text, reason = complete(compatible_lane, tag)
    assert text == scene(tag)["content"] and reason == "stop"


def test_usage_of_a_whole_answer(client, compatible_lane):
    usage = client(compatible_lane.route).chat.complete(**ask(compatible_lane, "plain")).usage
    wanted = scene("plain")["usage"]
    assert (usage.prompt_tokens, usage.completion_tokens) == (wanted["prompt_tokens"], wanted["completion_tokens"])


@pytest.mark.parametrize("tag", ["weather", "parallel"])
def test_calls_and_their_results(client, complete, compatible_lane, tag):
    api = client(compatible_lane.route).chat
    asked = api.complete(**ask(compatible_lane, tag, tools=TOOLS, tool_choice="any")).choices[0]
    calls = asked.message.tool_calls
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == wanted_calls(tag)
    assert asked.finish_reason == "tool_calls"
    results = [{"role": "tool", "tool_call_id": c.id, "name": c.function.name, "content": "21 ☀"} for c in calls]
    turns = [{"role": "user", "content": prompt(tag)}, asked.message, *results]
    text, reason = complete(compatible_lane, tag, turns, tools=TOOLS)
    assert text == scene(f"{tag}/result")["content"] and reason == "stop"


def test_an_image_given_as_text_reaches_the_upstream(complete, tap, compatible_lane):
    image = {"type": "image_url", "image_url": f"data:image/png;base64,{PIXEL}"}
    turns = [{"role": "user", "content": [{"type": "text", "text": prompt("image")}, image]}]
    text, _ = complete(compatible_lane, "image", turns)
    assert text == scene("image")["content"] and PIXEL in tap.last.body.decode()


def test_structured_output_parses(client, compatible_lane):
    from pydantic import BaseModel

    class Place(BaseModel):
        country: str
        capital_city: str
        population: int

    answer = client(compatible_lane.route).chat.parse(response_format=Place, **ask(compatible_lane, "json"))
    assert answer.choices[0].message.parsed == Place(**json.loads(scene("json")["content"]))


def test_async_calls_run_side_by_side(stack, compatible_lane):
    async def run():
        async with made(stack, compatible_lane.route) as api:

            async def streamed(tag):
                stream = await api.chat.stream_async(**ask(compatible_lane, tag))
                return folded([chunk async for chunk in stream])[0]

            async def whole(tag):
                return taken(await api.chat.complete_async(**ask(compatible_lane, tag)))[0]

            return await asyncio.gather(*(call(tag) for tag in ("plain", "unicode") for call in (streamed, whole)))

    assert asyncio.run(run()) == [scene(tag)["content"] for tag in ("plain", "unicode") for _ in range(2)]


@pytest.mark.gateway
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
@pytest.mark.parametrize("wire", ["openai", "anthropic", "bedrock", "cohere"])
def test_errors_are_the_sdks_own(client, fresh_model, wire, status, streamed):
    model = fresh_model(wire, status)
    api = client("/v1").chat
    call = api.stream if streamed else api.complete
    with pytest.raises(SDKError) as raised:
        call(**ask(Lane("/v1", model, wire), "plain"))
    assert raised.value.status_code == status
    assert scene(model.split("/")[1])["error"]["message"] in raised.value.body


@pytest.mark.gateway
def test_an_unknown_model_is_told(client, tap):
    with pytest.raises(SDKError) as raised:
        client("/v1").chat.complete(**ask(Lane("/v1", "gpt-4o-mimi", "openai"), "plain"))
    assert raised.value.status_code == 404 and "gpt-4o-mimi" in raised.value.body
    assert not tap.exchanges
