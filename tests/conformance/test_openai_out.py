"""OpenAI's SDK with Bedrock and Cohere behind the gateway."""

import json

import openai
import pytest

from bedrock_gaps import ACCESS_KEY
from conftest import prompt, scene
from gateway_config import COHERE_EMBEDDER, NOVA, UPSTREAM_KEYS, Lane
from pixels import PIXEL
from test_openai_tools import TOOLS, wanted_calls

CLASSES = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
}


@pytest.fixture(params=["whole", "streamed"])
def complete(request, openai_client):
    """complete(lane, tag, **options): the choice and usage, of a whole answer or as the SDK folds its stream."""

    def call(lane: Lane, tag: str, messages=None, **options):
        api = openai_client(lane.route).chat.completions
        messages = messages or [{"role": "user", "content": prompt(tag)}]
        arguments = {"model": lane.model, "messages": messages, **options}
        if request.param == "whole":
            answer = api.create(**arguments)
        else:
            with api.stream(**arguments, stream_options={"include_usage": True}) as stream:
                answer = stream.get_final_completion()
        return answer.choices[0], answer.usage

    return call


@pytest.mark.parametrize("tag", ["plain", "unicode", "long"])
def test_text_arrives_with_finish_reason_and_usage(complete, openai_out_lane, tag):
    choice, usage = complete(openai_out_lane, tag)
    assert choice.message.content == scene(tag)["content"] and choice.finish_reason == "stop"
    wanted = scene(tag)["usage"]
    assert (usage.prompt_tokens, usage.completion_tokens) == (wanted["prompt_tokens"], wanted["completion_tokens"])


def test_a_cut_answer_says_so(openai_client, openai_out_lane):
    api = openai_client(openai_out_lane.route).chat.completions
    answer = api.create(model=openai_out_lane.model, messages=[{"role": "user", "content": prompt("length")}])
    assert answer.choices[0].finish_reason == "length"


@pytest.mark.parametrize("tag", ["weather", "parallel"])
def test_calls_and_their_results(complete, tap, openai_out_lane, tag):
    asked, _ = complete(openai_out_lane, tag, tools=TOOLS)
    calls = asked.message.tool_calls
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == wanted_calls(tag)
    assert asked.finish_reason == "tool_calls"
    results = [{"role": "tool", "tool_call_id": call.id, "content": "21 ☀"} for call in calls]
    echoed = [{"id": c.id, "type": "function", "function": {"name": c.function.name, "arguments": c.function.arguments}} for c in calls]
    turns = [{"role": "user", "content": prompt(tag)}, {"role": "assistant", "tool_calls": echoed}, *results]
    answer, _ = complete(openai_out_lane, tag, turns, tools=TOOLS)
    assert answer.message.content == scene(f"{tag}/result")["content"]
    ids = [call["id"] for call in scene(tag)["toolCalls"]]
    sent = tap.last.json["messages"]
    if openai_out_lane.wire == "bedrock":
        assert [block["toolResult"]["toolUseId"] for block in sent[-1]["content"]] == ids
    else:
        assert [turn["tool_call_id"] for turn in sent if turn["role"] == "tool"] == ids


def test_system_prompt_and_image_reach_the_upstream(complete, tap, openai_out_lane):
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    turns = [
        {"role": "system", "content": "Look closely"},
        {"role": "user", "content": [{"type": "text", "text": prompt("image")}, image]},
    ]
    choice, _ = complete(openai_out_lane, "image", turns)
    assert choice.message.content == scene("image")["content"]
    sent = tap.last.json
    if openai_out_lane.wire == "bedrock":
        assert sent["system"][0]["text"] == "Look closely"
        assert {"format": "png", "source": {"bytes": PIXEL}} in [part.get("image") for part in sent["messages"][0]["content"]]
    else:
        assert sent["messages"][0] == {"role": "system", "content": "Look closely"}
        assert image in sent["messages"][1]["content"]


def test_structured_output_parses(openai_client, openai_out_lane):
    from pydantic import BaseModel

    class Place(BaseModel):
        country: str
        capital_city: str
        population: int

    api = openai_client(openai_out_lane.route).chat.completions
    messages = [{"role": "user", "content": prompt("json")}]
    answer = api.parse(model=openai_out_lane.model, messages=messages, response_format=Place)
    assert answer.choices[0].message.parsed == Place(**json.loads(scene("json")["content"]))


def test_bedrock_is_reached_with_a_signature_or_an_api_key(openai_client, tap):
    """The tap refuses a signature that botocore, with the same secret, does not make as well."""
    api = openai_client("/v1").chat.completions
    for streamed in (False, True):
        for provider, wanted in (
            ("bedrock", f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/"),
            ("house-bedrock", f"Bearer {UPSTREAM_KEYS['bedrock']}"),
        ):
            messages = [{"role": "user", "content": prompt("unicode")}]
            answer = api.create(model=f"{provider}/{NOVA}", messages=messages, stream=streamed)
            assert (list(answer) if streamed else answer.choices)
            assert tap.last.status == 200 and tap.last.headers["authorization"].startswith(wanted)
            assert tap.last.path == f"/model/{NOVA.replace(':', '%3A')}/converse" + ("-stream" if streamed else "")


def test_embeddings_come_from_cohere(openai_client, tap):
    answer = openai_client("/v1").embeddings.create(model=f"cohere/{COHERE_EMBEDDER}", input=["[vector]"])
    assert len(answer.data) == 1 and answer.data[0].embedding
    assert tap.last.path == "/v2/embed" and tap.last.json["texts"] == ["[vector]"]


@pytest.mark.parametrize("status", CLASSES)
@pytest.mark.parametrize("wire", ["bedrock", "cohere"])
@pytest.mark.gateway
def test_errors_have_openais_class(openai_client, fresh_model, wire, status):
    model = fresh_model(wire, status)
    with pytest.raises(CLASSES[status]) as raised:
        openai_client("/v1").chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])
    assert scene(model.split("/")[1])["error"]["message"] in raised.value.message
