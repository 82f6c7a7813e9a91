"""litellm as a library, its `api_base` at the gateway: the prefixes openai/, anthropic/ and gemini/.

Errors are not covered under gemini/: litellm picks their class by searching the text of the answer, and wraps those of
streams in a class of its own.
"""

import asyncio
import json
import os

import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm  # noqa: E402

from conftest import prompt, scene  # noqa: E402
from gateway_config import CALLER_KEY, CLAUDE, COMMAND, GPT, NOVA  # noqa: E402
from pixels import PIXEL  # noqa: E402
from test_openai_tools import TOOLS, wanted_calls  # noqa: E402

# (litellm's model, path of api_base): the prefix picks the dialect, what follows it the gateway's target.
LANES = [
    (f"openai/{GPT}", "/openai"),
    (f"openai/{GPT}", "/litellm"),
    (f"openai/anthropic/{CLAUDE}", "/v1"),
    (f"openai/bedrock/{NOVA}", "/v1"),
    (f"openai/cohere/{COMMAND}", "/litellm/v1"),
    (f"anthropic/{CLAUDE}", "/anthropic"),
    (f"anthropic/{CLAUDE}", "/litellm"),
    (f"anthropic/openai/{GPT}", "/anthropic"),
    (f"anthropic/cohere/{COMMAND}", "/anthropic"),
    (f"gemini/openai/{GPT}", "/genai/v1beta"),
    (f"gemini/anthropic/{CLAUDE}", "/genai/v1beta"),
]
CLASSES = {
    400: litellm.BadRequestError,
    401: litellm.AuthenticationError,
    404: litellm.NotFoundError,
    429: litellm.RateLimitError,
    500: litellm.InternalServerError,
}


@pytest.fixture(params=LANES, ids=lambda lane: f"{lane[1]}:{lane[0]}")
def lane(request):
    return request.param


def arguments(stack, lane, tag, messages=None, **options):
    model, path = lane
    messages = messages or [{"role": "user", "content": prompt(tag)}]
    given = {"model": model, "api_base": stack.url + path, "api_key": CALLER_KEY, "messages": messages}
    return {**given, "max_retries": 0, "num_retries": 0, "timeout": 15, **options}


@pytest.fixture(params=["whole", "streamed"])
def complete(request, stack):
    def call(lane, tag, messages=None, **options):
        given = arguments(stack, lane, tag, messages, **options)
        if request.param == "whole":
            return litellm.completion(**given)
        chunks = list(litellm.completion(**given, stream=True, stream_options={"include_usage": True}))
        return litellm.stream_chunk_builder(chunks)

    return call


@pytest.mark.parametrize("tag", ["plain", "unicode", "long"])
def test_text_arrives_with_finish_reason_and_usage(complete, lane, tag):
    answer = complete(lane, tag)
    assert answer.choices[0].message.content == scene(tag)["content"] and answer.choices[0].finish_reason == "stop"
    wanted = scene(tag)["usage"]
    used = answer.usage
    assert (used.prompt_tokens, used.completion_tokens) == (wanted["prompt_tokens"], wanted["completion_tokens"])


@pytest.mark.parametrize("tag", ["weather", "parallel"])
def test_calls_and_their_results(complete, lane, tag):
    asked = complete(lane, tag, tools=TOOLS).choices[0]
    calls = asked.message.tool_calls
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == wanted_calls(tag)
    assert asked.finish_reason == "tool_calls"
    results = [{"role": "tool", "tool_call_id": c.id, "name": c.function.name, "content": "21 ☀"} for c in calls]
    turns = [{"role": "user", "content": prompt(tag)}, asked.message, *results]
    answer = complete(lane, tag, turns, tools=TOOLS)
    assert answer.choices[0].message.content == scene(f"{tag}/result")["content"]


def test_an_image_and_a_system_prompt_reach_the_upstream(complete, tap, lane):
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    turns = [
        {"role": "system", "content": "Look closely"},
        {"role": "user", "content": [{"type": "text", "text": prompt("image")}, image]},
    ]
    assert complete(lane, "image", turns).choices[0].message.content == scene("image")["content"]
    assert PIXEL in tap.last.body.decode() and "Look closely" in tap.last.body.decode()


def test_async_calls_run_side_by_side(stack, lane):
    async def run():
        async def whole(tag):
            return (await litellm.acompletion(**arguments(stack, lane, tag))).choices[0].message.content

        async def streamed(tag):
            stream = await litellm.acompletion(**arguments(stack, lane, tag), stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        return await asyncio.gather(*(call(tag) for tag in ("plain", "unicode") for call in (whole, streamed)))

    assert asyncio.run(run()) == [scene(tag)["content"] for tag in ("plain", "unicode") for _ in range(2)]


@pytest.mark.gateway
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", CLASSES)
@pytest.mark.parametrize("wire", ["openai", "anthropic", "bedrock", "cohere"])
@pytest.mark.parametrize(("prefix", "path"), [("openai", "/v1"), ("anthropic", "/anthropic")])
def test_errors_have_litellms_class(stack, fresh_model, prefix, path, wire, status, streamed):
    model = fresh_model(wire, status)
    with pytest.raises(CLASSES[status]) as raised:
        given = arguments(stack, (f"{prefix}/{model}", path), "plain", stream=streamed)
        list(litellm.completion(**given))
    assert scene(model.split("/")[1])["error"]["message"] in str(raised.value)


@pytest.mark.gateway
def test_an_unknown_model_is_told(stack, tap):
    with pytest.raises(litellm.NotFoundError) as raised:
        litellm.completion(**arguments(stack, ("openai/gpt-4o-mimi", "/v1"), "plain"))
    assert "gpt-4o-mimi" in str(raised.value) and not tap.exchanges
