"""google-genai, tools: calls whole and streamed, the result turn, automatic calling, function_calling_config, signatures."""

import base64
import json

import pytest
from google.genai import types

from conftest import prompt, scene
from gemini_gaps import CALL_SIGNATURE

CITY = {
    "type": "OBJECT",
    "properties": {
        "city": {"type": "STRING"},
        "unit": {"type": "STRING", "enum": ["celsius", "kelvin"], "nullable": True},
    },
    "required": ["city"],
}
TIME = {"name": "get_time", "description": "The time now"}
TOOLS = [{"function_declarations": [{"name": "get_weather", "description": "Weather", "parameters": CITY}, TIME]}]
MANUAL = {"tools": TOOLS, "automatic_function_calling": {"disable": True}}


def wanted_calls(tag):
    return [(call["name"], json.loads(call["arguments"])) for call in scene(tag)["toolCalls"]]


def read_calls(answer):
    return [(call.name, call.args) for call in answer.function_calls or []]


@pytest.mark.parametrize("tag", ["weather", "parallel", "text-and-tool"])
def test_whole_answer_carries_the_calls(generate, gemini_lane, tag):
    answer = generate(gemini_lane, tag, **MANUAL)
    assert read_calls(answer) == wanted_calls(tag)
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP, "Gemini has no reason of its own for calls"
    texts = [part.text for part in answer.candidates[0].content.parts if part.text]
    assert texts == ([scene(tag)["content"]] if "content" in scene(tag) else [])


@pytest.mark.parametrize("tag", ["weather", "parallel", "text-and-tool"])
def test_streamed_calls_arrive_whole_and_once(generate, gemini_lane, tag):
    chunks = generate(gemini_lane, tag, stream=True, **MANUAL)
    assert [call for chunk in chunks for call in read_calls(chunk)] == wanted_calls(tag)
    reasons = [c.candidates[0].finish_reason for c in chunks if c.candidates and c.candidates[0].finish_reason]
    assert reasons == [types.FinishReason.STOP]


@pytest.mark.parametrize("tag", ["weather", "parallel"])
def test_result_turn_reaches_the_upstream_under_its_own_ids(generate, tap, gemini_lane, tag):
    asked = generate(gemini_lane, tag, **MANUAL)
    given_ids = [call["id"] for call in scene(tag)["toolCalls"]]
    answer = generate(gemini_lane, tag, contents=[question(tag), asked.candidates[0].content, results(asked)], **MANUAL)
    assert answer.text == scene(f"{tag}/result")["content"]
    sent = tap.last.json
    if gemini_lane.wire == "gemini":
        replies = [part["functionResponse"] for part in sent["contents"][-1]["parts"]]
        assert [(reply["name"], reply["response"]) for reply in replies] == [
            (name, {"result": str(number)}) for number, (name, _) in enumerate(wanted_calls(tag))
        ]
    elif gemini_lane.wire == "openai":
        calls = next(turn for turn in sent["messages"] if turn["role"] == "assistant")["tool_calls"]
        replies = [turn for turn in sent["messages"] if turn["role"] == "tool"]
        assert [call["id"] for call in calls] == [reply["tool_call_id"] for reply in replies] == given_ids
    else:
        calls = [block for block in sent["messages"][1]["content"] if block["type"] == "tool_use"]
        replies = [block for block in sent["messages"][2]["content"] if block["type"] == "tool_result"]
        assert [call["id"] for call in calls] == [reply["tool_use_id"] for reply in replies] == given_ids


def test_results_without_ids_find_their_calls_by_name_and_order(generate, tap, foreign_gemini_lane):
    calls = [types.Part(function_call=types.FunctionCall(name=n, args={})) for n in ("get_weather", "get_time")]
    replies = [types.Part.from_function_response(name=n, response={"result": n}) for n in ("get_weather", "get_time")]
    contents = [question("weather"), types.Content(role="model", parts=calls), types.Content(role="user", parts=replies)]
    assert generate(foreign_gemini_lane, "weather", contents=contents, **MANUAL).text
    turns = tap.last.json["messages"]
    if foreign_gemini_lane.wire == "openai":
        ids = [call["id"] for call in turns[1]["tool_calls"]]
        found = [(turn["tool_call_id"], turn["content"]) for turn in turns[2:]]
    else:
        ids = [block["id"] for block in turns[1]["content"]]
        found = [(block["tool_use_id"], json.dumps(block["content"])) for block in turns[2]["content"]]
    assert len(set(ids)) == 2 and [one for one, _ in found] == ids
    assert "get_weather" in str(found[0][1]) and "get_time" in str(found[1][1])


def test_sdk_calls_the_function_by_itself(generate, tap, gemini_lane):
    seen = []

    def get_weather(city: str, unit: str) -> str:
        """Weather of a city."""
        seen.append((city, unit))
        return "21"

    answer = generate(gemini_lane, "weather", tools=[get_weather])
    assert seen == [("Paris", "celsius")]
    assert answer.text == scene("weather/result")["content"]
    assert len(tap.exchanges) == 2


def test_declarations_reach_the_upstream_in_its_own_spelling(generate, tap, gemini_lane):
    generate(gemini_lane, "weather", **MANUAL)
    sent = tap.last.json["tools"]
    if gemini_lane.wire == "gemini":
        parameters = sent[0]["functionDeclarations"][0]["parameters"]
        assert parameters["properties"]["unit"]["enum"] == ["celsius", "kelvin"]
        return
    tools = [tool.get("function", tool) for tool in sent]
    assert [tool["name"] for tool in tools] == ["get_weather", "get_time"]
    schema = tools[0].get("parameters") or tools[0]["input_schema"]
    assert schema["type"] == "object" and schema["properties"]["city"]["type"] == "string"
    assert "null" in schema["properties"]["unit"]["type"] and "nullable" not in schema["properties"]["unit"]
    assert schema["required"] == ["city"]


@pytest.mark.parametrize(
    ("mode", "names", "openai", "anthropic"),
    [
        ("ANY", None, "required", {"type": "any"}),
        ("NONE", None, "none", {"type": "none"}),
        ("AUTO", None, "auto", {"type": "auto"}),
        (
            "ANY",
            ["get_time"],
            {"type": "function", "function": {"name": "get_time"}},
            {"type": "tool", "name": "get_time"},
        ),
    ],
)
def test_function_calling_config_is_carried(generate, tap, gemini_lane, mode, names, openai, anthropic):
    choice = {"mode": mode, **({"allowed_function_names": names} if names else {})}
    generate(gemini_lane, "weather", tool_config={"function_calling_config": choice}, **MANUAL)
    sent = tap.last.json
    if gemini_lane.wire == "gemini":
        assert sent["toolConfig"]["functionCallingConfig"]["mode"] == mode
    else:
        assert sent["tool_choice"] == {"openai": openai, "anthropic": anthropic}[gemini_lane.wire]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_signature_of_a_call_comes_back_to_gemini_byte_exact(generate, tap, native_gemini_lane, streamed):
    options = {"thinking_config": {"include_thoughts": True, "thinking_budget": 512}, **MANUAL}
    turn, asked = model_turn(generate(native_gemini_lane, "think-tool", stream=streamed, **options))
    assert asked[0].thought_signature == base64.b64decode(CALL_SIGNATURE)
    contents = [question("think-tool"), turn, reply_to(asked)]
    assert generate(native_gemini_lane, "think-tool", contents=contents, **options).text
    sent = [part for part in tap.last.json["contents"][1]["parts"] if "functionCall" in part]
    assert same_bytes(sent[0]["thoughtSignature"], CALL_SIGNATURE)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_signature_of_claudes_thinking_survives_the_turn(generate, tap, foreign_gemini_lane, streamed):
    if foreign_gemini_lane.wire != "anthropic":
        assert generate(foreign_gemini_lane, "think-tool", **MANUAL).function_calls
        return
    options = {"thinking_config": {"include_thoughts": True, "thinking_budget": 1024}, **MANUAL}
    turn, asked = model_turn(generate(foreign_gemini_lane, "think-tool", stream=streamed, **options))
    contents = [question("think-tool"), turn, reply_to(asked)]
    answer = generate(foreign_gemini_lane, "think-tool", contents=contents, **options)
    assert answer.text == scene("think-tool/result")["content"]
    wanted = scene("think-tool")
    sent = next(turn for turn in tap.last.json["messages"] if turn["role"] == "assistant")["content"]
    assert sent[0] == {
        "type": "thinking",
        "thinking": wanted["reasoning"],
        "signature": wanted["reasoningSignature"],
    }


def model_turn(answer):
    """The turn as a caller keeps it (of a stream: all parts in order) and its parts that call."""
    chunks = answer if isinstance(answer, list) else [answer]
    parts = [part for c in chunks for part in (c.candidates[0].content and c.candidates[0].content.parts) or []]
    return types.Content(role="model", parts=parts), [part for part in parts if part.function_call]


def reply_to(asked):
    name, call_id = asked[0].function_call.name, asked[0].function_call.id
    reply = types.FunctionResponse(name=name, id=call_id, response={"result": "21"})
    return types.Content(role="user", parts=[types.Part(function_response=reply)])


def question(tag):
    return types.Content(role="user", parts=[types.Part(text=prompt(tag))])


def results(asked):
    return types.Content(
        role="user",
        parts=[
            types.Part(
                function_response=types.FunctionResponse(name=call.name, id=call.id, response={"result": str(number)})
            )
            for number, call in enumerate(asked.function_calls)
        ],
    )


def same_bytes(ours, theirs):
    """The SDK writes base64 in the alphabet for URLs; the bytes are what counts."""
    return base64.urlsafe_b64decode(ours) == base64.b64decode(theirs) or ours == theirs
