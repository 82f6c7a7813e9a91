"""OpenAI SDK, Responses API: to an upstream of the same wire, to one that has chat only, to Anthropic."""

import asyncio
import json

import openai
import pytest
from pydantic import BaseModel

from conftest import CLIENT_OPTIONS, prompt, scene
from gateway_config import CLAUDE, OPENAI_ROUTES, RESPONSES_LANES
from pixels import PIXEL, WEB_IMAGE
from tap import COUNTED_TOKENS
from test_errors import OPENAI_CLASSES, STREAMED, skip_foreign, upstream_message

PATHS = {"responses": "/v1/responses", "openai": "/v1/chat/completions", "anthropic": "/v1/messages"}


def tool(name, properties):
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "function", "name": name, "description": name, "parameters": schema, "strict": True}


TOOLS = [tool("get_weather", {"city": {"type": "string"}, "unit": {"type": "string"}}), tool("get_time", {})]


class Country(BaseModel):
    country: str
    capital_city: str
    population: int


def wanted_calls(tag):
    return [(call["name"], json.loads(call["arguments"])) for call in scene(tag)["toolCalls"]]


def calls_of(response):
    return [item for item in response.output if item.type == "function_call"]


def read(calls):
    return [(call.name, json.loads(call.arguments)) for call in calls]


@pytest.mark.parametrize("tag", ["plain", "unicode", "long"])
def test_whole_answer(respond, tap, responses_lane, tag):
    answer = respond(responses_lane, tag)
    assert answer.output_text == scene(tag)["content"]
    assert (answer.object, answer.status) == ("response", "completed")
    assert answer.usage.input_tokens == scene(tag)["usage"]["prompt_tokens"]
    assert answer.usage.output_tokens == scene(tag)["usage"]["completion_tokens"]
    assert answer._request_id
    assert tap.last.path.split("?")[0] == PATHS[responses_lane.wire]


@pytest.mark.parametrize("tag", ["unicode", "long"])
def test_streamed_answer_has_its_events_in_order(respond, responses_lane, tag):
    events = list(respond(responses_lane, tag, stream=True))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert [kind for kind in dict.fromkeys(kinds[2:])] == [
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == scene(tag)["content"] and len(deltas) > 1
    assert events[-1].response.output_text == scene(tag)["content"]
    assert events[-1].response.usage.output_tokens == scene(tag)["usage"]["completion_tokens"]


@pytest.mark.gateway
def test_events_made_here_are_numbered_without_gap(respond, foreign_responses_lane):
    events = list(respond(foreign_responses_lane, "parallel", tools=TOOLS, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert len({event.response.id for event in events if hasattr(event, "response")}) == 1


def test_stream_helper_accumulates(openai_client, clients, responses_lane):
    api = openai_client(responses_lane.route).responses
    with api.stream(model=clients.model(responses_lane.model), input=prompt("unicode")) as stream:
        final = stream.get_final_response()
    assert final.output_text == scene("unicode")["content"]
    assert final.status == "completed"


@pytest.mark.parametrize("tag", ["weather", "parallel", "text-and-tool"])
def test_whole_answer_carries_the_calls(respond, responses_lane, tag):
    answer = respond(responses_lane, tag, tools=TOOLS)
    calls = calls_of(answer)
    assert read(calls) == wanted_calls(tag)
    assert all(call.id and call.id != call.call_id for call in calls)
    assert len({call.call_id for call in calls}) == len(calls)
    assert answer.output_text == scene(tag).get("content", "")
    assert answer.status == "completed"


@pytest.mark.parametrize("tag", ["weather", "parallel", "text-and-tool"])
def test_streamed_arguments_add_up(respond, responses_lane, tag):
    pieces, done = {}, []
    for event in respond(responses_lane, tag, tools=TOOLS, stream=True):
        if event.type == "response.function_call_arguments.delta":
            pieces[event.output_index] = pieces.get(event.output_index, "") + event.delta
        if event.type == "response.output_item.done" and event.item.type == "function_call":
            done.append(event.item)
            # A call without arguments may come without a piece of them.
            assert json.loads(pieces.get(event.output_index) or "{}") == json.loads(event.item.arguments)
    assert read(done) == wanted_calls(tag)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("tag", ["weather", "parallel"])
def test_results_go_back_under_the_upstreams_own_call_ids(respond, tap, openai_client, responses_lane, tag, streamed):
    question = {"role": "user", "content": prompt(tag)}
    if streamed:
        asked = list(respond(responses_lane, tag, input=[question], tools=TOOLS, stream=True))[-1].response
    else:
        asked = respond(responses_lane, tag, input=[question], tools=TOOLS)
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"result {n}"}
        for n, call in enumerate(calls_of(asked))
    ]
    answer = respond(responses_lane, tag, input=[question, *asked.output, *results], tools=TOOLS)
    assert answer.output_text == scene(f"{tag}/result")["content"]
    ids = [call["id"] for call in scene(tag)["toolCalls"]]
    sent = tap.last.json
    if responses_lane.wire == "responses":
        results = [item for item in sent["input"] if item.get("type") == "function_call_output"]
        found = [(item["call_id"], item["output"]) for item in results]
    elif responses_lane.wire == "openai":
        found = [(turn["tool_call_id"], turn["content"]) for turn in sent["messages"] if turn["role"] == "tool"]
    else:
        blocks = [block for turn in sent["messages"] for block in turn["content"] if isinstance(block, dict)]
        results = [block for block in blocks if block["type"] == "tool_result"]
        found = [(block["tool_use_id"], text_of(block["content"])) for block in results]
    assert found == [(call_id, f"result {n}") for n, call_id in enumerate(ids)]


def text_of(content):
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


@pytest.mark.parametrize("url", [f"data:image/png;base64,{PIXEL}", WEB_IMAGE], ids=["base64", "url"])
def test_image_reaches_the_upstream_intact(respond, tap, responses_lane, url):
    parts = [{"type": "input_text", "text": prompt("image")}, {"type": "input_image", "image_url": url, "detail": "low"}]
    answer = respond(responses_lane, "image", input=[{"role": "user", "content": parts}])
    assert answer.output_text == scene("image")["content"]
    sent = tap.last.json
    if responses_lane.wire == "responses":
        assert sent["input"][0]["content"] == parts
    elif responses_lane.wire == "openai":
        assert sent["messages"][-1]["content"][1] == {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
    else:
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        wanted = {"type": "url", "url": url} if url == WEB_IMAGE else source
        assert sent["messages"][-1]["content"][1] == {"type": "image", "source": wanted}


def test_instructions_reach_the_upstream(respond, responses_lane):
    answer = respond(responses_lane, "system", instructions="Speak like a pirate, please.")
    assert answer.output_text == scene("system/system")["content"]


def test_parse_helper_returns_the_model(openai_client, clients, tap, responses_lane):
    api = openai_client(responses_lane.route).responses
    answer = api.parse(model=clients.model(responses_lane.model), input=prompt("json"), text_format=Country)
    assert answer.output_parsed == Country(**json.loads(scene("json")["content"]))
    rest = {name: value for name, value in tap.last.json.items() if name not in ("input", "messages")}
    assert "capital_city" in json.dumps(rest)


def test_reasoning_is_an_item_before_the_answer(respond, responses_lane):
    answer = respond(responses_lane, "think", reasoning={"effort": "low", "summary": "auto"})
    assert answer.output_text == scene("think")["content"]
    assert answer.output[-1].type == "message"
    if responses_lane.wire != "responses":
        assert answer.output[0].type == "reasoning" and scene("think")["reasoning"] in answer.output[0].to_json()


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("lane", [pytest.param(RESPONSES_LANES[5], id="anthropic", marks=pytest.mark.gateway)])
def test_thinking_signature_comes_back_to_anthropic_byte_exact(respond, tap, lane, streamed):
    question = {"role": "user", "content": prompt("think-tool")}
    options = {"tools": TOOLS, "reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"]}
    asked = respond(lane, "think-tool", input=[question], stream=streamed, **options)
    asked = list(asked)[-1].response if streamed else asked
    [call] = calls_of(asked)
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "21"}
    answer = respond(lane, "think-tool", input=[question, *asked.output, result], **options)
    assert answer.output_text == scene("think-tool/result")["content"]
    turn = next(turn for turn in tap.last.json["messages"] if turn["role"] == "assistant")
    wanted = scene("think-tool")
    thinking = {"type": "thinking", "thinking": wanted["reasoning"], "signature": wanted["reasoningSignature"]}
    assert turn["content"][0] == thinking


@pytest.mark.gateway
def test_an_answer_cut_by_its_length_is_incomplete(respond, foreign_responses_lane):
    answer = respond(foreign_responses_lane, "length", max_output_tokens=16)
    assert answer.status == "incomplete" and answer.incomplete_details.reason == "max_output_tokens"
    last = list(respond(foreign_responses_lane, "length", max_output_tokens=16, stream=True))[-1]
    assert last.type == "response.incomplete"
    assert last.response.output_text == scene("length")["content"]


@STREAMED
@pytest.mark.parametrize("status", OPENAI_CLASSES)
@pytest.mark.parametrize("wire", ["openai", "anthropic"])
def test_errors_are_the_sdks_own_class(stack, openai_client, fresh_model, wire, status, streamed):
    skip_foreign(stack, "openai", wire)
    with pytest.raises(OPENAI_CLASSES[status]) as raised:
        openai_client("/openai/v1").responses.create(model=fresh_model(wire, status), input="hi", stream=streamed)
    assert raised.value.status_code == status
    assert upstream_message(wire, status) in raised.value.message


@pytest.mark.gateway
@pytest.mark.parametrize("route", OPENAI_ROUTES)
def test_unknown_model_says_its_name(openai_client, tap, route):
    with pytest.raises((openai.NotFoundError, openai.BadRequestError)) as raised:
        openai_client(route).responses.create(model="no-such-model", input="hi")
    assert "no-such-model" in raised.value.message
    assert not tap.exchanges


def test_calls_at_once_do_not_mix(clients, responses_lane):
    tags = ["plain", "unicode", "long"] * 4

    async def main():
        async with openai.AsyncOpenAI(**clients.options("openai", responses_lane.route), **CLIENT_OPTIONS) as client:

            async def one(tag, streamed):
                options = {"model": clients.model(responses_lane.model), "input": prompt(tag)}
                answer = await client.responses.create(**options, stream=streamed)
                if not streamed:
                    return answer.output_text
                return "".join([e.delta async for e in answer if e.type == "response.output_text.delta"])

            return await asyncio.gather(*(one(tag, streamed) for tag in tags for streamed in (False, True)))

    assert asyncio.run(main()) == [scene(tag)["content"] for tag in tags for _ in range(2)]


def test_input_tokens_are_counted_by_the_upstream_or_estimated(openai_client, clients, tap, responses_lane):
    api = openai_client(responses_lane.route).responses.input_tokens.with_raw_response
    answer = api.count(model=clients.model(responses_lane.model), input="count me " * 200, tools=TOOLS)
    counted = answer.parse()
    assert counted.object == "response.input_tokens"
    if responses_lane.wire == "openai":
        # Chat alone can be had of these.
        assert 400 < counted.input_tokens < 600 and answer.headers["x-bf-estimated"] == "input_tokens"
        assert not tap.exchanges
    else:
        assert counted.input_tokens == COUNTED_TOKENS and "x-bf-estimated" not in answer.headers
        assert "count me" in tap.last.body.decode()


@pytest.mark.gateway
def test_input_tokens_of_a_wrong_input_are_refused_with_its_place(openai_client):
    with pytest.raises(openai.BadRequestError) as raised:
        openai_client("/v1").responses.input_tokens.count(
            model=f"anthropic/{CLAUDE}", input=[{"role": "user", "content": 3}]
        )
    assert raised.value.param == "input[0].content"
