"""OpenAI SDK, everything in a message that is not plain text or a tool: images, system, JSON, reasoning."""

import json

import pytest
from pydantic import BaseModel

from conftest import prompt, scene
from pixels import PICTURE, PIXEL, WEB_IMAGE
from test_openai_tools import TOOLS


class Country(BaseModel):
    country: str
    capital_city: str
    population: int


@pytest.mark.parametrize("data", [PIXEL, PICTURE], ids=["pixel", "picture"])
def test_base64_image_reaches_the_upstream_intact(chat, tap, openai_lane, data):
    url = f"data:image/png;base64,{data}"
    answer = chat(openai_lane, "image", [picture_turn({"url": url})])
    assert answer.choices[0].message.content == scene("image")["content"]
    if openai_lane.wire == "openai":
        assert upstream_part(tap, "image_url")["image_url"]["url"] == url
    else:
        source = upstream_part(tap, "image")["source"]
        assert source == {"type": "base64", "media_type": "image/png", "data": data}


def test_image_url_reaches_the_upstream_intact(chat, tap, openai_lane):
    answer = chat(openai_lane, "image", [picture_turn({"url": WEB_IMAGE})])
    assert answer.choices[0].message.content == scene("image")["content"]
    if openai_lane.wire == "openai":
        assert upstream_part(tap, "image_url")["image_url"]["url"] == WEB_IMAGE
    else:
        assert upstream_part(tap, "image")["source"] == {"type": "url", "url": WEB_IMAGE}


def test_text_and_images_keep_their_order(chat, tap, openai_lane):
    parts = [
        {"type": "text", "text": "first "},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "text", "text": prompt("image")},
    ]
    chat(openai_lane, "image", [{"role": "user", "content": parts}])
    kinds = [part["type"] for part in tap.last.json["messages"][-1]["content"]]
    assert kinds == ["text", "image_url" if openai_lane.wire == "openai" else "image", "text"]


@pytest.mark.parametrize("role", ["system", "developer"])
def test_system_prompt_reaches_the_upstream(chat, tap, openai_lane, role):
    rule = "Speak like a pirate, ünïcode included."
    turns = [{"role": role, "content": rule}, {"role": "user", "content": prompt("system")}]
    answer = chat(openai_lane, "system", turns)
    sent = tap.last.json
    if openai_lane.wire == "openai":
        assert sent["messages"][0] == turns[0]
    else:
        system = sent["system"]
        assert (system if isinstance(system, str) else "".join(block["text"] for block in system)) == rule
        assert [turn["role"] for turn in sent["messages"]] == ["user"]
    if openai_lane.wire == "anthropic" or role == "system":
        assert answer.choices[0].message.content == scene("system/system")["content"]


def test_parse_helper_returns_the_model(openai_client, clients, tap, openai_lane):
    answer = openai_client(openai_lane.route).chat.completions.parse(
        model=clients.model(openai_lane.model),
        messages=[{"role": "user", "content": prompt("json")}],
        response_format=Country,
    )
    assert answer.choices[0].message.parsed == Country(**json.loads(scene("json")["content"]))
    assert answer.choices[0].finish_reason == "stop"
    assert "capital_city" in json.dumps({k: v for k, v in tap.last.json.items() if k != "messages"})


def test_streamed_structured_output_parses(openai_client, clients, openai_lane):
    with openai_client(openai_lane.route).chat.completions.stream(
        model=clients.model(openai_lane.model),
        messages=[{"role": "user", "content": prompt("json")}],
        response_format=Country,
    ) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed.capital_city == "Paris"


def test_reasoning_is_shown_apart_from_the_answer(chat, openai_lane):
    message = chat(openai_lane, "think", reasoning_effort="low").choices[0].message
    assert message.content == scene("think")["content"]
    assert thoughts(message) == scene("think")["reasoning"]


def test_streamed_reasoning_is_shown_apart_from_the_answer(chat, openai_lane):
    chunks = list(chat(openai_lane, "think", reasoning_effort="low", stream=True))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == scene("think")["content"]
    assert "".join(thoughts(delta) for delta in deltas) == scene("think")["reasoning"]


def test_thinking_signature_comes_back_to_the_upstream_byte_exact(chat, tap, foreign_openai_lane):
    question = {"role": "user", "content": prompt("think-tool")}
    options = {"tools": TOOLS, "reasoning_effort": "low"}
    asked = chat(foreign_openai_lane, "think-tool", [question], **options).choices[0].message
    result = {"role": "tool", "tool_call_id": asked.tool_calls[0].id, "content": "21"}
    answer = chat(foreign_openai_lane, "think-tool", [question, asked, result], **options)
    assert answer.choices[0].message.content == scene("think-tool/result")["content"]
    turn = next(turn for turn in tap.last.json["messages"] if turn["role"] == "assistant")
    wanted = scene("think-tool")
    thinking = {"type": "thinking", "thinking": wanted["reasoning"], "signature": wanted["reasoningSignature"]}
    assert turn["content"][0] == thinking


def test_upstream_of_the_other_wire_gets_what_it_requires(chat, tap, foreign_openai_lane):
    chat(foreign_openai_lane, "plain", temperature=0.5, stop=["END"], user="u-1")
    assert tap.last.path.split("?")[0] == "/v1/messages"
    assert tap.last.headers["anthropic-version"] == "2023-06-01", "later versions refuse `temperature`"
    assert tap.last.headers["content-type"].startswith("application/json")
    sent = tap.last.json
    assert sent["max_tokens"] > 0, "required by the wire although the caller gave none"
    assert sent["stop_sequences"] == ["END"] and sent["temperature"] == 0.5
    assert not {"stop", "user", "n"} & set(sent)


def test_token_limit_reaches_the_upstream(chat, tap, openai_lane):
    chat(openai_lane, "plain", max_completion_tokens=77)
    name = "max_completion_tokens" if openai_lane.wire == "openai" else "max_tokens"
    assert tap.last.json[name] == 77


def picture_turn(image):
    parts = [{"type": "text", "text": prompt("image")}, {"type": "image_url", "image_url": image}]
    return {"role": "user", "content": parts}


def upstream_part(tap, kind):
    parts = tap.last.json["messages"][-1]["content"]
    return next(part for part in parts if part["type"] == kind)


def thoughts(message):
    """Vendors disagree on the field's name; the SDK keeps both as extra attributes."""
    return getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None) or ""
