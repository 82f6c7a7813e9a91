"""OpenAI's and Anthropic's SDKs with Gemini as the upstream: what is sent there, and what is kept across turns."""

import json

import pytest

from conftest import prompt, scene
from gateway_config import ANTHROPIC_LANES, EMBEDDER, GEMINI, GEMINI_EMBEDDER, OPENAI_LANES
from gemini_gaps import CALL_SIGNATURE
from pixels import PICTURE, PIXEL
from test_anthropic_tools import TOOLS as ANTHROPIC_TOOLS
from test_openai_tools import TOOLS as OPENAI_TOOLS

pytestmark = pytest.mark.gateway
RULE = "Speak like a pirate, ünïcode included."


def lanes(all_lanes):
    return [pytest.param(lane, id=str(lane)) for lane in all_lanes if lane.wire == "gemini"]


OPENAI = pytest.mark.parametrize("lane", lanes(OPENAI_LANES))
ANTHROPIC = pytest.mark.parametrize("lane", lanes(ANTHROPIC_LANES))
IMAGES = pytest.mark.parametrize("data", [PIXEL, PICTURE], ids=["pixel", "picture"])


@OPENAI
def test_openai_request_is_written_in_geminis_words(chat, tap, lane):
    turns = [{"role": "developer", "content": RULE}, {"role": "user", "content": prompt("system")}]
    answer = chat(lane, "system", turns, temperature=0.5, max_completion_tokens=77, stop=["END"], user="u-1")
    assert answer.choices[0].message.content == scene("system/system")["content"]
    assert_asked(tap, {"temperature": 0.5, "maxOutputTokens": 77, "stopSequences": ["END"]}, "generateContent")


@ANTHROPIC
def test_anthropic_request_is_written_in_geminis_words(message, tap, lane):
    answer = message(lane, "system", system=RULE, stop_sequences=["END"], max_tokens=77)
    assert answer.content[0].text == scene("system/system")["content"]
    assert_asked(tap, {"maxOutputTokens": 77, "stopSequences": ["END"]}, "generateContent")


@OPENAI
def test_stream_is_asked_for_as_events(chat, tap, lane):
    chunks = list(chat(lane, "unicode", stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == scene("unicode")["content"]
    assert chunks[-1].usage.total_tokens == scene("unicode")["usage"]["total_tokens"]
    assert tap.last.path == f"/v1beta/models/{GEMINI}:streamGenerateContent?alt=sse"
    assert not {"stream", "stream_options", "model"} & set(tap.last.json)


@IMAGES
@OPENAI
def test_openai_image_reaches_gemini_inline(chat, tap, lane, data):
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    turn = {"role": "user", "content": [{"type": "text", "text": prompt("image")}, image]}
    assert chat(lane, "image", [turn]).choices[0].message.content == scene("image")["content"]
    assert tap.last.json["contents"][0]["parts"][1]["inlineData"] == {"mimeType": "image/png", "data": data}


@IMAGES
@ANTHROPIC
def test_anthropic_image_reaches_gemini_inline(message, tap, lane, data):
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    turn = {"role": "user", "content": [{"type": "text", "text": prompt("image")}, image]}
    assert message(lane, "image", [turn]).content[0].text == scene("image")["content"]
    assert tap.last.json["contents"][0]["parts"][1]["inlineData"] == {"mimeType": "image/png", "data": data}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@OPENAI
def test_signature_of_a_call_survives_the_openai_dialect(openai_client, tap, lane, streamed):
    api = openai_client(lane.route).chat.completions
    question = {"role": "user", "content": prompt("think-tool")}
    options = {"model": lane.model, "tools": OPENAI_TOOLS, "reasoning_effort": "low"}
    if streamed:
        with api.stream(messages=[question], **options) as stream:
            asked = stream.get_final_completion().choices[0].message
    else:
        asked = api.create(messages=[question], **options).choices[0].message
    result = {"role": "tool", "tool_call_id": asked.tool_calls[0].id, "content": "21"}
    turn = asked.model_dump(exclude_none=True, exclude={"tool_calls": {"__all__": {"function": {"parsed_arguments"}}}})
    answer = api.create(messages=[question, turn, result], **options)
    assert answer.choices[0].message.content == scene("think-tool/result")["content"]
    assert_step(tap)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@ANTHROPIC
def test_signature_of_a_call_survives_the_anthropic_dialect(anthropic_client, tap, lane, streamed):
    api = anthropic_client(lane.route).messages
    question = {"role": "user", "content": prompt("think-tool")}
    thinking = {"type": "enabled", "budget_tokens": 1024}
    options = {"model": lane.model, "tools": ANTHROPIC_TOOLS, "thinking": thinking, "max_tokens": 4096}
    if streamed:
        with api.stream(messages=[question], **options) as stream:
            asked = stream.get_final_message()
    else:
        asked = api.create(messages=[question], **options)
    call = next(block for block in asked.content if block.type == "tool_use")
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "21"}]}
    turn = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in asked.content]}
    answer = api.create(messages=[question, turn, result], **options)
    assert answer.content[-1].text == scene("think-tool/result")["content"]
    assert_step(tap)


@OPENAI
def test_tools_and_choice_are_written_in_geminis_words(chat, tap, lane):
    chat(lane, "weather", tools=OPENAI_TOOLS, tool_choice={"type": "function", "function": {"name": "get_time"}})
    sent = tap.last.json
    declared = [one for entry in sent["tools"] for one in entry["functionDeclarations"]]
    assert [one["name"] for one in declared] == ["get_weather", "get_time"]
    assert "celsius" in json.dumps(declared[0])
    config = sent["toolConfig"]["functionCallingConfig"]
    assert (config["mode"], config["allowedFunctionNames"]) == ("ANY", ["get_time"])


@pytest.mark.parametrize("route", ["/openai", "/v1"])
@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_openai_embeddings_are_asked_of_gemini(openai_client, tap, route, many):
    texts = ["first", prompt("vector")] if many else prompt("vector")
    api = openai_client(route).embeddings
    answer = api.create(model=f"gemini/{GEMINI_EMBEDDER}", input=texts, dimensions=6)
    assert answer.data[-1].embedding == scene("vector")["embedding"]
    assert [item.index for item in answer.data] == list(range(len(answer.data)))
    assert tap.last.path == f"/v1beta/models/{GEMINI_EMBEDDER}:batchEmbedContents"
    assert {one["outputDimensionality"] for one in tap.last.json["requests"]} == {6}
    assert EMBEDDER not in tap.last.body.decode()


def assert_asked(tap, settings, action):
    assert tap.last.path == f"/v1beta/models/{GEMINI}:{action}"
    assert tap.last.headers["x-goog-api-key"] == "upstream-key-of-gemini"
    sent = tap.last.json
    assert [part["text"] for part in sent["systemInstruction"]["parts"]] == [RULE]
    assert {name: sent["generationConfig"].get(name) for name in settings} == settings
    assert not {"messages", "system", "max_tokens", "model", "user", "stop"} & set(sent)


def assert_step(tap):
    """The last request holds the call with Gemini's own signature, and its result beside it."""
    turns = tap.last.json["contents"]
    assert [turn["role"] for turn in turns] == ["user", "model", "user"]
    calls = [part for part in turns[1]["parts"] if "functionCall" in part]
    assert [part["thoughtSignature"] for part in calls] == [CALL_SIGNATURE]
    assert calls[0]["functionCall"]["args"] == json.loads(scene("think-tool")["toolCalls"][0]["arguments"])
    reply = next(part["functionResponse"] for part in turns[2]["parts"] if "functionResponse" in part)
    assert reply["name"] == "get_weather" and "21" in json.dumps(reply["response"])
