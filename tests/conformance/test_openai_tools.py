"""OpenAI SDK, tools: single and parallel calls, streamed arguments, the result turn, tool_choice."""

import json

import pytest

from conftest import prompt, scene
from gateway_config import CLAUDE, OPENAI_ROUTES, Lane

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "kelvin"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
TIME = {
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "The time now",
        "strict": True,
        "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
    },
}
TOOLS = [WEATHER, TIME]


def wanted_calls(tag):
    return [(call["name"], json.loads(call["arguments"])) for call in scene(tag)["toolCalls"]]


@pytest.mark.parametrize("tag", ["weather", "parallel", "text-and-tool"])
def test_whole_answer_carries_the_calls(chat, openai_lane, tag):
    choice = chat(openai_lane, tag, tools=TOOLS).choices[0]
    calls = choice.message.tool_calls
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == wanted_calls(tag)
    assert all(call.type == "function" and call.id for call in calls) and len({c.id for c in calls}) == len(calls)
    assert choice.finish_reason == "tool_calls"
    assert (choice.message.content or None) == scene(tag).get("content")


@pytest.mark.parametrize("tag", ["weather", "parallel", "text-and-tool"])
def test_streamed_calls_have_indexes_ids_and_arguments_that_parse(chat, openai_lane, tag):
    calls, reasons = {}, []
    for chunk in chat(openai_lane, tag, tools=TOOLS, stream=True):
        for choice in chunk.choices:
            reasons += [choice.finish_reason] if choice.finish_reason else []
            for piece in choice.delta.tool_calls or []:
                call = calls.setdefault(piece.index, {"ids": [], "names": [], "arguments": ""})
                call["ids"] += [piece.id] if piece.id else []
                call["names"] += [piece.function.name] if piece.function and piece.function.name else []
                call["arguments"] += (piece.function and piece.function.arguments) or ""
    assert list(calls) == list(range(len(wanted_calls(tag)))), "indexes start at 0 and leave no gap"
    assert all(len(call["ids"]) == 1 and len(call["names"]) == 1 for call in calls.values())
    assert [(call["names"][0], json.loads(call["arguments"])) for call in calls.values()] == wanted_calls(tag)
    assert reasons == ["tool_calls"]


def test_sdk_accumulator_builds_the_calls(openai_client, clients, openai_lane):
    api = openai_client(openai_lane.route).chat.completions
    messages = [{"role": "user", "content": prompt("parallel")}]
    with api.stream(model=clients.model(openai_lane.model), messages=messages, tools=TOOLS) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == wanted_calls("parallel")
    assert [event.name for event in done] == [name for name, _ in wanted_calls("parallel")]


@pytest.mark.parametrize("tag", ["weather", "parallel"])
def test_results_go_back_under_the_upstreams_own_call_ids(chat, tap, openai_lane, tag):
    question = {"role": "user", "content": prompt(tag)}
    asked = chat(openai_lane, tag, [question], tools=TOOLS).choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": f"result {number} ☀"}
        for number, call in enumerate(asked.tool_calls)
    ]
    answer = chat(openai_lane, tag, [question, asked, *results], tools=TOOLS)
    assert answer.choices[0].message.content == scene(f"{tag}/result")["content"]
    wanted = [(call["id"], f"result {number} ☀") for number, call in enumerate(scene(tag)["toolCalls"])]
    assert upstream_results(tap.last.json, openai_lane.wire) == wanted


def test_the_definition_reaches_the_upstream_whole(chat, tap, openai_lane):
    assert chat(openai_lane, "weather", tools=TOOLS).choices[0].finish_reason == "tool_calls"
    sent = tap.last.json["tools"]
    if openai_lane.wire == "openai":
        assert sent == TOOLS
    else:
        assert [tool["name"] for tool in sent] == ["get_weather", "get_time"]
        assert sent[0]["description"] == WEATHER["function"]["description"]
        assert sent[0]["input_schema"] == WEATHER["function"]["parameters"]


@pytest.mark.gateway
@pytest.mark.parametrize("route", OPENAI_ROUTES)
@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ("auto", {"type": "auto"}),
        ("required", {"type": "any"}),
        ("none", {"type": "none"}),
        ({"type": "function", "function": {"name": "get_time"}}, {"type": "tool", "name": "get_time"}),
    ],
    ids=["auto", "required", "none", "named"],
)
def test_tool_choice_is_translated(chat, tap, route, choice, wanted):
    chat(Lane(route, f"anthropic/{CLAUDE}", "anthropic"), "weather", tools=TOOLS, tool_choice=choice)
    assert tap.last.json["tool_choice"] == wanted


def test_one_call_at_a_time_is_asked_of_the_upstream(chat, tap, openai_lane):
    chat(openai_lane, "weather", tools=TOOLS, parallel_tool_calls=False)
    sent = tap.last.json
    if openai_lane.wire == "openai":
        assert sent["parallel_tool_calls"] is False
    else:
        assert sent["tool_choice"]["disable_parallel_tool_use"] is True


def upstream_results(body, wire):
    """(call id, text) of each tool result in the last turn, as the upstream's wire writes them."""
    if wire == "openai":
        turns = [turn for turn in body["messages"] if turn["role"] == "tool"]
        return [(turn["tool_call_id"], plain(turn["content"])) for turn in turns]
    last = body["messages"][-1]
    assert last["role"] == "user", "all results of one turn belong into one user message"
    blocks = [block for block in last["content"] if block["type"] == "tool_result"]
    return [(block["tool_use_id"], plain(block["content"])) for block in blocks]


def plain(content):
    return content if isinstance(content, str) else "".join(part["text"] for part in content)
