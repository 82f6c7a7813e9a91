"""boto3's invoke_model and invoke_model_with_response_stream: Claude's own body through Bedrock's API."""

import json

import pytest
from botocore.exceptions import ClientError

from conftest import prompt, scene
from gateway_config import CLAUDE, Lane
from pixels import PIXEL
from test_boto3 import ERROR_CLASSES, bedrock  # noqa: F401 (a fixture)

TOOLS = [
    {"name": "get_weather", "description": "Weather of a city", "input_schema": {"type": "object", "properties": {}}},
    {"name": "get_time", "description": "The time now", "input_schema": {"type": "object", "properties": {}}},
]


def body(tag, **options):
    messages = [{"role": "user", "content": prompt(tag)}]
    return {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 512, "messages": messages, **options}


def folded(events):
    """The message of Claude's stream events."""
    message = None
    for event in events:
        kind = event["type"]
        if kind == "message_start":
            message = event["message"]
        elif kind == "content_block_start":
            assert event["index"] == len(message["content"]), "blocks open in order"
            message["content"].append({**event["content_block"], "json": ""})
        elif kind == "content_block_delta":
            block, delta = message["content"][event["index"]], event["delta"]
            grown = {
                "text_delta": ("text", "text"),
                "input_json_delta": ("json", "partial_json"),
                "thinking_delta": ("thinking", "thinking"),
                "signature_delta": ("signature", "signature"),
            }
            field, source = grown[delta["type"]]
            block[field] = block.get(field, "") + delta[source]
        elif kind == "message_delta":
            message["stop_reason"] = event["delta"]["stop_reason"]
            message["usage"] |= event["usage"]
    assert events[-1]["type"] == "message_stop"
    for block in message["content"]:
        pieces = block.pop("json")
        if block["type"] == "tool_use":
            block["input"] = json.loads(pieces or "{}")
    return message


@pytest.fixture(params=["whole", "streamed"])
def invoke(request, bedrock):  # noqa: F811
    def call(lane: Lane, tag: str, **options):
        arguments = {"modelId": lane.model, "body": json.dumps(body(tag, **options))}
        if request.param == "whole":
            return json.loads(bedrock.invoke_model(**arguments)["body"].read())
        stream = bedrock.invoke_model_with_response_stream(**arguments)["body"]
        return folded([json.loads(event["chunk"]["bytes"]) for event in stream])

    return call


def text_of(message):
    return "".join(block["text"] for block in message["content"] if block["type"] == "text")


def calls_of(message):
    return [block for block in message["content"] if block["type"] == "tool_use"]


@pytest.mark.parametrize("tag", ["plain", "unicode", "long"])
def test_text_arrives_with_stop_reason_and_usage(request, invoke, invoke_lane, tag):
    message = invoke(invoke_lane, tag)
    assert message["type"] == "message" and message["role"] == "assistant"
    assert text_of(message) == scene(tag)["content"] and message["stop_reason"] == "end_turn"
    # The mock's own Bedrock stream counts no output.
    counted = 0 if invoke_lane.wire == "bedrock" and "streamed" in request.node.name else scene(tag)["usage"]["completion_tokens"]
    assert message["usage"]["output_tokens"] == counted
    assert message["usage"]["input_tokens"] == scene(tag)["usage"]["prompt_tokens"]


@pytest.mark.parametrize("tag", ["weather", "parallel"])
def test_calls_and_their_results(invoke, tap, invoke_lane, tag):
    asked = invoke(invoke_lane, tag, tools=TOOLS)
    wanted = [(call["name"], json.loads(call["arguments"])) for call in scene(tag)["toolCalls"]]
    assert [(call["name"], call["input"]) for call in calls_of(asked)] == wanted
    assert asked["stop_reason"] == "tool_use"
    results = [{"type": "tool_result", "tool_use_id": call["id"], "content": "21 ☀"} for call in calls_of(asked)]
    turns = [
        {"role": "user", "content": prompt(tag)},
        {"role": "assistant", "content": asked["content"]},
        {"role": "user", "content": results},
    ]
    answer = invoke(invoke_lane, tag, tools=TOOLS, messages=turns)
    assert text_of(answer) == scene(f"{tag}/result")["content"]
    ids = [call["id"] for call in scene(tag)["toolCalls"]]
    sent = tap.last.json["messages"]
    if invoke_lane.wire == "openai":
        assert [turn["tool_call_id"] for turn in sent if turn["role"] == "tool"] == ids
    else:
        assert [block["tool_use_id"] for block in sent[-1]["content"]] == ids


def test_system_prompt_and_image_reach_the_upstream(invoke, tap, invoke_lane):
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    content = [{"type": "image", "source": source}, {"type": "text", "text": prompt("image")}]
    message = invoke(invoke_lane, "image", messages=[{"role": "user", "content": content}], system="Look closely")
    assert text_of(message) == scene("image")["content"]
    assert PIXEL in tap.last.body.decode() and "Look closely" in tap.last.body.decode()


def test_the_body_is_what_each_upstream_takes(invoke, tap, invoke_lane):
    assert text_of(invoke(invoke_lane, "plain")) == scene("plain")["content"]
    sent, path = tap.last.json, tap.last.path
    if invoke_lane.wire == "bedrock":
        assert "/invoke" in path and "model" not in sent and "stream" not in sent
        assert sent["anthropic_version"] == "bedrock-2023-05-31"
    else:
        assert sent["model"] == invoke_lane.model.split("/")[1] and "anthropic_version" not in sent


def test_thinking_and_its_signature_make_the_round_trip(invoke, tap):
    lane = Lane("/bedrock", f"house-claude/{CLAUDE}", "anthropic")
    options = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "tools": TOOLS, "max_tokens": 4096}
    message = invoke(lane, "think-tool", **options)
    thought, told = message["content"][0], scene("think-tool")
    assert (thought["thinking"], thought["signature"]) == (told["reasoning"], told["reasoningSignature"])
    assert tap.last.json["thinking"] == options["thinking"]
    result = {"type": "tool_result", "tool_use_id": calls_of(message)[0]["id"], "content": "21"}
    turns = [
        {"role": "user", "content": prompt("think-tool")},
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": [result]},
    ]
    assert text_of(invoke(lane, "think-tool", **{**options, "messages": turns})) == scene("think-tool/result")["content"]
    assert tap.last.json["messages"][1]["content"][0] == thought


@pytest.mark.gateway
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", ERROR_CLASSES)
@pytest.mark.parametrize("wire", ["bedrock", "openai", "anthropic"])
def test_errors_have_the_class_bedrock_gives_them(bedrock, fresh_model, wire, status, streamed):  # noqa: F811
    call = bedrock.invoke_model_with_response_stream if streamed else bedrock.invoke_model
    model = fresh_model(wire, status)
    with pytest.raises(ClientError) as raised:
        call(modelId=model, body=json.dumps(body("plain")))
    error = raised.value.response["Error"]
    assert error["Code"] == ERROR_CLASSES[status]
    assert error["Message"] == scene(model.split("/")[1])["error"]["message"]


@pytest.mark.gateway
def test_an_unknown_model_is_told_in_bedrocks_shape(bedrock, tap):  # noqa: F811
    with pytest.raises(bedrock.exceptions.ResourceNotFoundException):
        bedrock.invoke_model(modelId="anthropic.claude-nothing", body=json.dumps(body("plain")))
    assert not tap.exchanges
