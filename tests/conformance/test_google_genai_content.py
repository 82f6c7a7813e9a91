"""google-genai, everything in a request that is not plain text or a tool: images, system, JSON, thinking."""

import base64
import json
import re

import pytest
from google.genai import types

from conftest import prompt, scene
from pixels import PICTURE, PIXEL
from test_openai_content import Country


@pytest.mark.parametrize("data", [PIXEL, PICTURE], ids=["pixel", "picture"])
def test_inline_image_reaches_the_upstream_intact(generate, tap, gemini_lane, data):
    picture = types.Part.from_bytes(data=base64.b64decode(data), mime_type="image/png")
    answer = generate(gemini_lane, "image", contents=[prompt("image"), picture])
    assert answer.text == scene("image")["content"]
    sent = tap.last.json
    if gemini_lane.wire == "gemini":
        inline = camel(sent)["contents"][-1]["parts"][-1]["inlineData"]
        assert inline["mimeType"] == "image/png"
        assert base64.b64decode(inline["data"].replace("-", "+").replace("_", "/")) == base64.b64decode(data)
    elif gemini_lane.wire == "openai":
        part = next(part for part in sent["messages"][-1]["content"] if part["type"] == "image_url")
        assert part["image_url"]["url"] == f"data:image/png;base64,{data}"
    else:
        part = next(part for part in sent["messages"][-1]["content"] if part["type"] == "image")
        assert part["source"] == {"type": "base64", "media_type": "image/png", "data": data}


def test_system_instruction_reaches_the_upstream(generate, tap, gemini_lane):
    rule = "Speak like a pirate, ünïcode included."
    answer = generate(gemini_lane, "system", system_instruction=rule)
    assert answer.text == scene("system/system")["content"]
    sent = tap.last.json
    if gemini_lane.wire == "gemini":
        assert sent["systemInstruction"]["parts"] == [{"text": rule}]
    elif gemini_lane.wire == "openai":
        assert sent["messages"][0]["role"] in ("system", "developer") and sent["messages"][0]["content"] == rule
    else:
        system = sent["system"]
        assert (system if isinstance(system, str) else "".join(block["text"] for block in system)) == rule


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_response_schema_gives_the_model(generate, tap, gemini_lane, streamed):
    options = {"response_mime_type": "application/json", "response_schema": Country}
    answer = generate(gemini_lane, "json", stream=streamed, **options)
    text = "".join(chunk.text or "" for chunk in answer) if streamed else answer.text
    assert Country.model_validate_json(text) == Country(**json.loads(scene("json")["content"]))
    assert streamed or answer.parsed == Country(**json.loads(scene("json")["content"]))
    asked = {k: v for k, v in tap.last.json.items() if k not in ("messages", "contents")}
    assert "capital_city" in json.dumps(asked)


@pytest.mark.gateway
def test_json_schema_is_carried_to_other_wires(generate, tap, foreign_gemini_lane):
    schema = {
        "type": "object",
        "properties": {"capital_city": {"type": ["string", "null"]}},
        "required": ["capital_city"],
        "additionalProperties": False,
    }
    answer = generate(
        foreign_gemini_lane, "json", response_mime_type="application/json", response_json_schema=schema
    )
    assert json.loads(answer.text)["capital_city"] == "Paris"
    sent = tap.last.json
    form = sent.get("response_format", {}).get("json_schema") or sent["output_config"]["format"]
    assert form["schema"]["properties"]["capital_city"] == {"type": ["string", "null"]}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_thoughts_are_shown_apart_from_the_answer(generate, gemini_lane, streamed):
    thinking = {"thinking_config": {"include_thoughts": True, "thinking_budget": 1024}}
    answer = generate(gemini_lane, "think", stream=streamed, **thinking)
    chunks = answer if streamed else [answer]
    parts = [part for c in chunks for part in (c.candidates[0].content and c.candidates[0].content.parts) or []]
    assert "".join(part.text or "" for part in parts if part.thought) == scene("think")["reasoning"]
    assert "".join(part.text or "" for part in parts if not part.thought) == scene("think")["content"]


def test_thinking_budget_reaches_the_upstream_as_it_is_asked_there(generate, tap, gemini_lane):
    thinking = {"include_thoughts": True, "thinking_budget": 2048}
    generate(gemini_lane, "think", thinking_config=thinking, max_output_tokens=8192)
    sent = tap.last.json
    if gemini_lane.wire == "gemini":
        assert camel(sent)["generationConfig"]["thinkingConfig"] == {"includeThoughts": True, "thinkingBudget": 2048}
    elif gemini_lane.wire == "openai":
        assert "thinking" not in sent and "generationConfig" not in sent
    else:
        assert sent["thinking"]["type"] == "adaptive" and sent["output_config"]["effort"], "this model sets its own budget"
        assert sent["max_tokens"] == 8192


def camel(value):
    """The SDK's second generation and its third write some names with underscores; Google's API takes both."""
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {re.sub("_([a-z])", lambda found: found[1].upper(), name): camel(item) for name, item in value.items()}
