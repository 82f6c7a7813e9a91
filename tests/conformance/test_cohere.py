"""cohere's ClientV2: chat, chat_stream, embed and rerank, to Cohere itself and to other wires."""

import asyncio
import json

import cohere
import pytest

from conftest import prompt, scene
from gateway_config import CALLER_KEY, CLAUDE, COHERE_EMBEDDER, COMMAND, EMBEDDER, RERANKER, Lane
from pixels import PIXEL
from test_openai_tools import TOOLS as OPENAI_TOOLS

TOOLS = [
    {"type": "function", "function": {k: v for k, v in tool["function"].items() if k != "strict"}}
    for tool in OPENAI_TOOLS
]
CLASSES = {
    400: cohere.BadRequestError,
    401: cohere.UnauthorizedError,
    404: cohere.NotFoundError,
    429: cohere.TooManyRequestsError,
    500: cohere.InternalServerError,
}
OPTIONS = {"request_options": {"max_retries": 0, "timeout_in_seconds": 15}}


@pytest.fixture(scope="session")
def client(stack):
    made = {}

    def get(route):
        return made.setdefault(route, cohere.ClientV2(CALLER_KEY, base_url=stack.url + route))

    return get


def ask(lane, tag, messages=None, **options):
    messages = messages or [{"role": "user", "content": prompt(tag)}]
    return {"model": lane.model, "messages": messages, **OPTIONS, **options}


def folded(events):
    """Text, thinking, calls, finish reason and usage of a stream."""
    text, thinking, calls, end = "", "", {}, None
    assert events[0].type == "message-start" and events[0].id
    for event in events:
        if event.type == "content-delta":
            text += event.delta.message.content.text or ""
            thinking += event.delta.message.content.thinking or ""
        elif event.type == "tool-call-start":
            call = event.delta.message.tool_calls
            assert event.index == len(calls), "calls are counted from 0"
            calls[event.index] = [call.id, call.function.name, call.function.arguments or ""]
        elif event.type == "tool-call-delta":
            calls[event.index][2] += event.delta.message.tool_calls.function.arguments
        elif event.type == "message-end":
            end = event.delta
    assert events[-1].type == "message-end"
    return text, thinking, [tuple(call) for call in calls.values()], end.finish_reason, end.usage


def taken(answer):
    content = answer.message.content or []
    text = "".join(part.text for part in content if part.type == "text")
    thinking = "".join(part.thinking for part in content if part.type == "thinking")
    calls = [(call.id, call.function.name, call.function.arguments) for call in answer.message.tool_calls or []]
    return text, thinking, calls, answer.finish_reason, answer.usage


@pytest.fixture(params=["whole", "streamed"])
def complete(request, client):
    def call(lane: Lane, tag: str, messages=None, **options):
        api, arguments = client(lane.route), ask(lane, tag, messages, **options)
        if request.param == "streamed":
            return folded(list(api.chat_stream(**arguments)))
        return taken(api.chat(**arguments))

    return call


@pytest.mark.parametrize("tag", ["plain", "unicode", "long"])
def test_text_arrives_with_finish_reason_and_usage(complete, cohere_lane, tag):
    text, _, _, reason, usage = complete(cohere_lane, tag)
    assert text == scene(tag)["content"] and reason == "COMPLETE"
    wanted = scene(tag)["usage"]
    assert (usage.tokens.input_tokens, usage.tokens.output_tokens) == (wanted["prompt_tokens"], wanted["completion_tokens"])


def test_a_cut_answer_says_so(complete, cohere_lane):
    text, _, _, reason, _ = complete(cohere_lane, "length", max_tokens=6)
    assert text == scene("length")["content"] and reason == "MAX_TOKENS"


@pytest.mark.parametrize("tag", ["weather", "parallel"])
def test_calls_and_their_results(complete, tap, cohere_lane, tag):
    _, _, calls, reason, _ = complete(cohere_lane, tag, tools=TOOLS)
    wanted = [(call["name"], json.loads(call["arguments"])) for call in scene(tag)["toolCalls"]]
    assert [(name, json.loads(arguments)) for _, name, arguments in calls] == wanted and reason == "TOOL_CALL"
    echoed = [{"id": i, "type": "function", "function": {"name": n, "arguments": a}} for i, n, a in calls]
    document = {"type": "document", "document": {"data": json.dumps({"degrees": 21})}}
    turns = [
        {"role": "user", "content": prompt(tag)},
        {"role": "assistant", "tool_calls": echoed, "tool_plan": "I look it up."},
        *({"role": "tool", "tool_call_id": i, "content": [document]} for i, _, _ in calls),
    ]
    text, _, _, reason, _ = complete(cohere_lane, tag, turns, tools=TOOLS)
    assert text == scene(f"{tag}/result")["content"] and reason == "COMPLETE"
    ids = [call["id"] for call in scene(tag)["toolCalls"]]
    sent = tap.last.json["messages"]
    assert "degrees" in json.dumps(sent[-1])
    if cohere_lane.wire in ("cohere", "openai"):
        assert [turn["tool_call_id"] for turn in sent if turn["role"] == "tool"] == ids
    elif cohere_lane.wire == "anthropic":
        assert [block["tool_use_id"] for block in sent[-1]["content"]] == ids
    else:
        assert [block["toolResult"]["toolUseId"] for block in sent[-1]["content"]] == ids


def test_system_prompt_and_parameters_reach_the_upstream(complete, tap, cohere_lane):
    turns = [{"role": "system", "content": "Speak like a pirate"}, {"role": "user", "content": prompt("system")}]
    text, *_ = complete(cohere_lane, "system", turns, max_tokens=77, temperature=0.25, stop_sequences=["END"])
    assert text == scene("system/system")["content"]
    sent = tap.last.json
    if cohere_lane.wire == "bedrock":
        assert sent["inferenceConfig"] == {"maxTokens": 77, "temperature": 0.25, "stopSequences": ["END"]}
    else:
        assert (sent.get("max_tokens") or sent["max_completion_tokens"], sent["temperature"]) == (77, 0.25)
        assert (sent.get("stop_sequences") or sent.get("stop")) == ["END"]


def test_an_image_reaches_the_upstream_whole(complete, tap, cohere_lane):
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    turns = [{"role": "user", "content": [{"type": "text", "text": prompt("image")}, image]}]
    text, *_ = complete(cohere_lane, "image", turns)
    assert text == scene("image")["content"]
    assert PIXEL in tap.last.body.decode()


def test_structured_output_is_asked_of_the_upstream(complete, tap, cohere_lane):
    properties = {"country": {"type": "string"}}
    schema = {"type": "object", "properties": properties, "required": ["country"]}
    text, *_ = complete(cohere_lane, "json", response_format={"type": "json_object", "json_schema": schema})
    assert json.loads(text) == json.loads(scene("json")["content"])
    if cohere_lane.wire != "bedrock":  # there the schema travels as text
        assert json.dumps(properties)[1:-1] in json.dumps(tap.last.json)


def test_thinking_arrives_apart_from_the_answer(complete, tap):
    lane = Lane("/cohere", f"anthropic/{CLAUDE}", "anthropic")
    text, thinking, *_ = complete(lane, "think", thinking={"type": "enabled", "token_budget": 1024}, max_tokens=4096)
    assert (thinking, text) == (scene("think")["reasoning"], scene("think")["content"])
    assert tap.last.json["thinking"]["type"] in ("enabled", "adaptive")


def test_the_first_event_comes_before_the_upstream_is_done(client, tap, cohere_lane):
    stream = iter(client(cohere_lane.route).chat_stream(**ask(cohere_lane, "slow")))
    first = next(event for event in stream if event.type == "content-delta")
    assert b"six" not in tap.last.answer, "the first event came only after the upstream had finished"
    rest = [event.delta.message.content.text for event in stream if event.type == "content-delta"]
    assert first.delta.message.content.text + "".join(rest) == scene("slow")["content"]


def test_async_calls_run_side_by_side(stack, cohere_lane):
    async def run():
        async with cohere.AsyncClientV2(CALLER_KEY, base_url=stack.url + cohere_lane.route) as api:

            async def streamed(tag):
                return folded([event async for event in api.chat_stream(**ask(cohere_lane, tag))])[0]

            async def whole(tag):
                return taken(await api.chat(**ask(cohere_lane, tag)))[0]

            return await asyncio.gather(*(call(tag) for tag in ("plain", "unicode", "long") for call in (streamed, whole)))

    texts = [scene(tag)["content"] for tag in ("plain", "unicode", "long") for _ in range(2)]
    assert asyncio.run(run()) == texts


@pytest.mark.gateway
@pytest.mark.parametrize("route", ["/cohere", ""], ids=["cohere", "root"])
@pytest.mark.parametrize("model", [COHERE_EMBEDDER, f"openai/{EMBEDDER}"])
def test_embeddings(client, tap, route, model):
    answer = client(route).embed(
        model=model, texts=["[vector]"], input_type="search_query", embedding_types=["float"], **OPTIONS
    )
    wanted = scene("vector")["embedding"]
    assert answer.embeddings.float_ == [wanted] and answer.texts == ["[vector]"]
    assert tap.last.path == ("/v1/embeddings" if "openai" in model else "/v2/embed")


@pytest.mark.gateway
@pytest.mark.parametrize("route", ["/cohere", ""], ids=["cohere", "root"])
def test_rerank(client, tap, route):
    answer = client(route).rerank(model=RERANKER, query="which?", documents=["a", "b", "c"], top_n=2, **OPTIONS)
    assert [result.index for result in answer.results] == [1, 0]
    assert answer.results[0].relevance_score > answer.results[1].relevance_score
    assert tap.last.json == {"model": RERANKER, "query": "which?", "documents": ["a", "b", "c"], "top_n": 2}


@pytest.mark.gateway
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", CLASSES)
@pytest.mark.parametrize("wire", ["cohere", "openai", "anthropic", "bedrock"])
def test_errors_have_coheres_class(client, fresh_model, wire, status, streamed):
    model = fresh_model(wire, status)
    api = client("/cohere")
    with pytest.raises(CLASSES[status]) as raised:
        arguments = ask(Lane("/cohere", model, wire), "plain")
        list(api.chat_stream(**arguments)) if streamed else api.chat(**arguments)
    assert scene(model.split("/")[1])["error"]["message"] in raised.value.body["message"]


@pytest.mark.gateway
def test_an_unknown_model_is_told_in_coheres_shape(client, tap):
    with pytest.raises(cohere.NotFoundError) as raised:
        client("/cohere").chat(**ask(Lane("/cohere", "command-a-03-2052", "cohere"), "plain"))
    assert "command-a-03-2052" in raised.value.body["message"] and COMMAND in raised.value.body["message"]
    assert not tap.exchanges
