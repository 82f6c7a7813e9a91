"""Anthropic SDK, tools: single and parallel calls, streamed arguments, the result turn, tool_choice."""

import json

import pytest

from conftest import prompt, scene
from gateway_config import ANTHROPIC_ROUTES, GPT, Lane
from test_openai_tools import upstream_results, wanted_calls

WEATHER = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "kelvin"]}},
        "required": ["city", "unit"],
    },
}
TIME = {"name": "get_time", "description": "The time now", "input_schema": {"type": "object", "properties": {}}}
TOOLS = [WEATHER, TIME]


@pytest.mark.parametrize("tag", ["weather", "parallel", "text-and-tool"])
def test_whole_message_carries_the_calls(message, anthropic_lane, tag):
    answer = message(anthropic_lane, tag, tools=TOOLS)
    calls = [block for block in answer.content if block.type == "tool_use"]
    assert [(call.name, call.input) for call in calls] == wanted_calls(tag)
    assert all(call.id for call in calls) and len({call.id for call in calls}) == len(calls)
    assert answer.stop_reason == "tool_use"
    text = "".join(block.text for block in answer.content if block.type == "text")
    assert text == scene(tag).get("content", "")


@pytest.mark.parametrize("tag", ["weather", "parallel", "text-and-tool"])
def test_streamed_calls_have_ids_and_arguments_that_parse(message, anthropic_lane, tag):
    calls, reasons = {}, []
    for event in message(anthropic_lane, tag, tools=TOOLS, stream=True):
        if event.type == "content_block_start" and event.content_block.type == "tool_use":
            assert event.content_block.id and event.content_block.input == {}
            calls[event.index] = [event.content_block.name, ""]
        elif event.type == "content_block_delta" and event.delta.type == "input_json_delta":
            calls[event.index][1] += event.delta.partial_json
        elif event.type == "message_delta":
            reasons.append(event.delta.stop_reason)
    assert [(name, json.loads(arguments or "{}")) for name, arguments in calls.values()] == wanted_calls(tag)
    assert reasons == ["tool_use"]


def test_sdk_accumulator_builds_the_calls(anthropic_client, clients, anthropic_lane):
    with anthropic_client(anthropic_lane.route).messages.stream(
        model=clients.model(anthropic_lane.model),
        max_tokens=512,
        messages=[{"role": "user", "content": prompt("parallel")}],
        tools=TOOLS,
    ) as stream:
        final = stream.get_final_message()
    assert [(block.name, block.input) for block in final.content] == wanted_calls("parallel")
    assert final.stop_reason == "tool_use"


@pytest.mark.parametrize("tag", ["weather", "parallel"])
def test_results_go_back_under_the_upstreams_own_call_ids(message, tap, anthropic_lane, tag):
    question = {"role": "user", "content": prompt(tag)}
    asked = message(anthropic_lane, tag, [question], tools=TOOLS)
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": f"result {number} ☀"}
        for number, call in enumerate(block for block in asked.content if block.type == "tool_use")
    ]
    turns = [question, {"role": "assistant", "content": asked.content}, {"role": "user", "content": results}]
    answer = message(anthropic_lane, tag, turns, tools=TOOLS)
    assert answer.content[0].text == scene(f"{tag}/result")["content"]
    wanted = [(call["id"], f"result {number} ☀") for number, call in enumerate(scene(tag)["toolCalls"])]
    assert upstream_results(tap.last.json, anthropic_lane.wire) == wanted


def test_text_after_results_follows_them_to_the_upstream(message, tap, anthropic_lane):
    question = {"role": "user", "content": prompt("weather")}
    asked = message(anthropic_lane, "weather", [question], tools=TOOLS)
    result = {"type": "tool_result", "tool_use_id": asked.content[0].id, "content": [{"type": "text", "text": "21"}]}
    last = {"role": "user", "content": [result, {"type": "text", "text": prompt("plain")}]}
    turns = [question, {"role": "assistant", "content": asked.content}, last]
    message(anthropic_lane, "weather", turns, tools=TOOLS)
    sent = tap.last.json["messages"]
    if anthropic_lane.wire == "openai":
        assert [turn["role"] for turn in sent] == ["user", "assistant", "tool", "user"]
    else:
        assert [block["type"] for block in sent[-1]["content"]] == ["tool_result", "text"]


def test_the_definition_reaches_the_upstream_whole(message, tap, anthropic_lane):
    assert message(anthropic_lane, "weather", tools=TOOLS).stop_reason == "tool_use"
    sent = tap.last.json["tools"]
    if anthropic_lane.wire == "anthropic":
        assert sent == TOOLS
    else:
        assert [(tool["type"], tool["function"]["name"]) for tool in sent] == [
            ("function", "get_weather"),
            ("function", "get_time"),
        ]
        assert sent[0]["function"]["description"] == WEATHER["description"]
        assert sent[0]["function"]["parameters"] == WEATHER["input_schema"]


@pytest.mark.gateway
@pytest.mark.parametrize("route", ANTHROPIC_ROUTES)
@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "get_time"}, {"type": "function", "function": {"name": "get_time"}}),
    ],
    ids=["auto", "any", "none", "named"],
)
def test_tool_choice_is_translated(message, tap, route, choice, wanted):
    message(Lane(route, f"openai/{GPT}", "openai"), "weather", tools=TOOLS, tool_choice=choice)
    assert tap.last.json["tool_choice"] == wanted


def test_one_call_at_a_time_is_asked_of_the_upstream(message, tap, anthropic_lane):
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    message(anthropic_lane, "weather", tools=TOOLS, tool_choice=choice)
    if anthropic_lane.wire == "anthropic":
        assert tap.last.json["tool_choice"] == choice
    else:
        assert tap.last.json["parallel_tool_calls"] is False
