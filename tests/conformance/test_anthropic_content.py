"""Anthropic SDK, everything in a message that is not plain text or a tool: images, system, JSON, thinking, counts."""

import base64
import json
from urllib.parse import unquote

import anthropic
import pytest

from conftest import prompt, scene
from gateway_config import ANTHROPIC_ROUTES, BEDROCK_CLAUDE, CLAUDE, COMMAND, GEMINI, GPT, NOVA
from pixels import PICTURE, PIXEL, WEB_IMAGE
from tap import COUNTED_TOKENS
from test_anthropic_tools import TOOLS
from test_openai_content import Country, upstream_part

FOREIGN_COUNTS = {
    f"openai/{GPT}": "/v1/responses/input_tokens",
    f"house-gpt/{GPT}": "/v1/responses/input_tokens",
    f"gemini/{GEMINI}": f"/v1beta/models/{GEMINI}:countTokens",
    f"bedrock/{BEDROCK_CLAUDE}": f"/model/{BEDROCK_CLAUDE}/count-tokens",
    f"house-bedrock/{BEDROCK_CLAUDE}": f"/model/{BEDROCK_CLAUDE}/count-tokens",
}
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4096}


@pytest.mark.parametrize("data", [PIXEL, PICTURE], ids=["pixel", "picture"])
def test_base64_image_reaches_the_upstream_intact(message, tap, anthropic_lane, data):
    source = {"type": "base64", "media_type": "image/png", "data": data}
    answer = message(anthropic_lane, "image", [picture_turn(source)])
    assert answer.content[0].text == scene("image")["content"]
    if anthropic_lane.wire == "anthropic":
        assert upstream_part(tap, "image")["source"] == source
    else:
        assert upstream_part(tap, "image_url")["image_url"]["url"] == f"data:image/png;base64,{data}"


def test_image_url_reaches_the_upstream_intact(message, tap, anthropic_lane):
    source = {"type": "url", "url": WEB_IMAGE}
    answer = message(anthropic_lane, "image", [picture_turn(source)])
    assert answer.content[0].text == scene("image")["content"]
    if anthropic_lane.wire == "anthropic":
        assert upstream_part(tap, "image")["source"] == source
    else:
        assert upstream_part(tap, "image_url")["image_url"]["url"] == WEB_IMAGE


@pytest.mark.parametrize("as_blocks", [False, True], ids=["string", "blocks"])
def test_system_prompt_reaches_the_upstream(message, tap, anthropic_lane, as_blocks):
    rule = "Speak like a pirate, ünïcode included."
    system = [{"type": "text", "text": rule, "cache_control": {"type": "ephemeral"}}] if as_blocks else rule
    answer = message(anthropic_lane, "system", system=system)
    sent = tap.last.json
    if anthropic_lane.wire == "anthropic":
        assert sent["system"] == system
        assert answer.content[0].text == scene("system/system")["content"]
    else:
        first = sent["messages"][0]
        assert first["role"] in ("system", "developer")
        text = first["content"]
        assert (text if isinstance(text, str) else "".join(part["text"] for part in text)) == rule
        assert "system" not in sent


def test_parse_helper_returns_the_model(anthropic_client, clients, tap, anthropic_lane):
    answer = anthropic_client(anthropic_lane.route).messages.parse(
        model=clients.model(anthropic_lane.model),
        max_tokens=512,
        messages=[{"role": "user", "content": prompt("json")}],
        output_format=Country,
    )
    assert answer.parsed_output == Country(**json.loads(scene("json")["content"]))
    sent = tap.last.json
    assert "capital_city" in json.dumps({name: value for name, value in sent.items() if name != "messages"})
    if anthropic_lane.wire == "openai":
        assert sent["response_format"]["type"] == "json_schema"


def test_thinking_comes_before_the_answer(message, anthropic_lane):
    thinking, text = message(anthropic_lane, "think", **THINKING).content
    assert (thinking.type, thinking.thinking) == ("thinking", scene("think")["reasoning"])
    assert (text.type, text.text) == ("text", scene("think")["content"])
    if anthropic_lane.wire == "anthropic":
        assert thinking.signature == scene("think")["reasoningSignature"]


def test_streamed_thinking_accumulates(anthropic_client, clients, anthropic_lane):
    with anthropic_client(anthropic_lane.route).messages.stream(
        model=clients.model(anthropic_lane.model),
        messages=[{"role": "user", "content": prompt("think")}],
        **THINKING,
    ) as stream:
        thinking, text = stream.get_final_message().content
    assert (thinking.type, thinking.thinking) == ("thinking", scene("think")["reasoning"])
    assert text.text == scene("think")["content"]
    if anthropic_lane.wire == "anthropic":
        assert thinking.signature == scene("think")["reasoningSignature"]


def test_thinking_survives_a_tool_turn(message, tap, anthropic_lane):
    question = {"role": "user", "content": prompt("think-tool")}
    asked = message(anthropic_lane, "think-tool", [question], tools=TOOLS, **THINKING)
    call = next(block for block in asked.content if block.type == "tool_use")
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "21"}]}
    turns = [question, {"role": "assistant", "content": asked.content}, result]
    answer = message(anthropic_lane, "think-tool", turns, tools=TOOLS, **THINKING)
    assert answer.content[0].text == scene("think-tool/result")["content"]
    if anthropic_lane.wire == "anthropic":
        block = tap.last.json["messages"][1]["content"][0]
        wanted = scene("think-tool")
        assert (block["thinking"], block["signature"]) == (wanted["reasoning"], wanted["reasoningSignature"])


def test_upstream_of_the_other_wire_gets_what_it_requires(message, tap, foreign_anthropic_lane):
    message(foreign_anthropic_lane, "plain", stop_sequences=["END"], metadata={"user_id": "u-1"})
    assert tap.last.path.split("?")[0] == "/v1/chat/completions"
    assert "anthropic-version" not in tap.last.headers
    sent = tap.last.json
    assert sent.get("max_completion_tokens", sent.get("max_tokens")) == 512
    assert sent["stop"] in ("END", ["END"])
    assert not {"stop_sequences", "metadata"} & set(sent)


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
def test_version_and_beta_headers_reach_the_upstream(message, tap, native_anthropic_lane, version):
    headers = {"anthropic-version": version, "anthropic-beta": "made-up-2026-01-01"}
    message(native_anthropic_lane, "plain", extra_headers=headers)
    assert tap.last.headers["anthropic-version"] == version
    assert tap.last.headers["anthropic-beta"] == "made-up-2026-01-01"


@pytest.mark.parametrize("route", ANTHROPIC_ROUTES, ids=["anthropic", "root"])
def test_count_tokens_asks_the_upstream(anthropic_client, tap, route):
    turns = [{"role": "user", "content": "count me"}]
    counted = anthropic_client(route).messages.count_tokens(model=CLAUDE, messages=turns)
    assert counted.input_tokens == COUNTED_TOKENS
    assert tap.last.json["messages"] == turns and tap.last.json["model"] == CLAUDE


@pytest.mark.gateway
@pytest.mark.parametrize("model, path", FOREIGN_COUNTS.items(), ids=FOREIGN_COUNTS)
@pytest.mark.parametrize("route", ANTHROPIC_ROUTES, ids=["anthropic", "root"])
def test_count_tokens_asks_an_upstream_of_another_wire_in_its_form(anthropic_client, tap, route, model, path):
    api = anthropic_client(route).messages.with_raw_response
    turns = [{"role": "user", "content": "count me"}]
    answer = api.count_tokens(model=model, messages=turns, system="Be brief.", tools=TOOLS)
    assert answer.parse().input_tokens == COUNTED_TOKENS
    assert "x-bf-estimated" not in answer.headers
    assert unquote(tap.last.path) == path
    asked = tap.last.json.get("input")
    invoke = asked.get("invokeModel") if isinstance(asked, dict) else None
    sent = base64.b64decode(invoke["body"]) if invoke else tap.last.body
    assert b"count me" in sent and b"Be brief." in sent and TOOLS[0]["name"].encode() in sent


@pytest.mark.gateway
@pytest.mark.parametrize("model", [f"house-host/{GPT}", f"house-chat/{GPT}", f"cohere/{COMMAND}", f"bedrock/{NOVA}"])
@pytest.mark.parametrize("route", ANTHROPIC_ROUTES, ids=["anthropic", "root"])
def test_count_tokens_where_nobody_counts_is_an_estimate_that_says_so(anthropic_client, tap, route, model):
    turns = [{"role": "user", "content": "count me " * 200}]
    answer = anthropic_client(route).messages.with_raw_response.count_tokens(model=model, messages=turns)
    assert 380 < answer.parse().input_tokens < 430
    assert answer.headers["x-bf-estimated"] == "input_tokens"
    assert not tap.exchanges


@pytest.mark.gateway
def test_count_tokens_of_an_unknown_model_is_not_estimated(anthropic_client):
    turns = [{"role": "user", "content": "x"}]
    with pytest.raises(anthropic.NotFoundError) as raised:
        anthropic_client("/anthropic").messages.count_tokens(model="nobody/x", messages=turns)
    assert "`nobody/x`" in raised.value.message


def picture_turn(source):
    return {"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": prompt("image")}]}
