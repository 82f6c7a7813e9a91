"""boto3's bedrock-runtime: converse and converse_stream, to Bedrock itself and to other wires.

Every request is signed with the caller's own pair of keys, and the gateway checks the signature.
"""

import base64
import json
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from bedrock_gaps import ACCESS_KEY, COUNTED_TOKENS, REGION
from conftest import prompt, scene
from gateway_config import (
    BEDROCK_CLAUDE,
    CALLER_ACCESS_KEY,
    CALLER_SECRET_KEY,
    CLAUDE,
    GEMINI,
    GPT,
    NOVA,
    UPSTREAM_KEYS,
    Lane,
)
from pixels import PIXEL

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "kelvin"]}},
    "required": ["city", "unit"],
}
TOOLS = [
    {"toolSpec": {"name": "get_weather", "description": "Weather of a city", "inputSchema": {"json": SCHEMA}}},
    {"toolSpec": {"name": "get_time", "description": "The time now", "inputSchema": {"json": {"type": "object"}}}},
]
ERROR_CLASSES = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    500: "InternalServerException",
}


def signing_client(stack, access_key=CALLER_ACCESS_KEY, secret_key=CALLER_SECRET_KEY):
    return boto3.client(
        "bedrock-runtime",
        region_name="us-west-2",
        endpoint_url=f"{stack.url}/bedrock",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=15, max_pool_connections=32),
    )


@pytest.fixture(scope="session")
def bedrock(stack):
    return signing_client(stack)


def ask(tag, **options):
    return {"messages": [user(prompt(tag))], **options}


def user(text, *blocks):
    return {"role": "user", "content": [*blocks, {"text": text}]}


def wanted_calls(tag):
    return [(call["name"], json.loads(call["arguments"])) for call in scene(tag)["toolCalls"]]


def calls_of(message):
    return [block["toolUse"] for block in message["content"] if "toolUse" in block]


def text_of(message):
    return "".join(block.get("text", "") for block in message["content"])


def folded(stream):
    """The message of a stream, its stop reason and usage, put together as Bedrock's own examples do."""
    events = list(stream)
    blocks = {}
    for event in events:
        if "contentBlockStart" in event:
            start = event["contentBlockStart"]
            blocks[start["contentBlockIndex"]] = {"toolUse": {**start["start"]["toolUse"], "input": ""}}
        if "contentBlockDelta" in event:
            index, delta = event["contentBlockDelta"]["contentBlockIndex"], event["contentBlockDelta"]["delta"]
            if "toolUse" in delta:
                blocks[index]["toolUse"]["input"] += delta["toolUse"]["input"]
            elif "text" in delta:
                block = blocks.setdefault(index, {"text": ""})
                block["text"] += delta["text"]
            else:
                block = blocks.setdefault(index, {"reasoningContent": {"reasoningText": {"text": ""}}})
                inner = block["reasoningContent"]["reasoningText"]
                for name, value in delta["reasoningContent"].items():
                    inner[name] = inner.get(name, "") + value
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"] or "{}")
    assert "messageStart" in events[0] and [name for event in events[-2:] for name in event] == ["messageStop", "metadata"]
    message = {"role": events[0]["messageStart"]["role"], "content": [blocks[index] for index in sorted(blocks)]}
    return message, events[-2]["messageStop"]["stopReason"], events[-1]["metadata"]["usage"]


@pytest.fixture(params=["whole", "streamed"])
def converse(request, bedrock):
    """converse(lane, tag, **options) -> message, stop reason, usage, whole or folded from a stream."""

    def call(lane: Lane, tag: str, **options):
        arguments = {"modelId": lane.model, **ask(tag, **options)}
        if request.param == "streamed":
            return folded(bedrock.converse_stream(**arguments)["stream"])
        answer = bedrock.converse(**arguments)
        assert answer["metrics"]["latencyMs"] >= 0
        return answer["output"]["message"], answer["stopReason"], answer["usage"]

    return call


def assert_usage(usage, tag):
    wanted = scene(tag)["usage"]
    assert usage["inputTokens"] == wanted["prompt_tokens"] and usage["outputTokens"] == wanted["completion_tokens"]
    assert usage["totalTokens"] == wanted["total_tokens"]


@pytest.mark.parametrize("tag", ["plain", "unicode", "long"])
def test_text_arrives_with_stop_reason_and_usage(converse, bedrock_lane, tag):
    message, stop, usage = converse(bedrock_lane, tag)
    assert message["role"] == "assistant" and text_of(message) == scene(tag)["content"]
    assert stop == "end_turn"
    assert_usage(usage, tag)


def test_a_cut_answer_says_so(converse, bedrock_lane):
    message, stop, _ = converse(bedrock_lane, "length", inferenceConfig={"maxTokens": 6})
    assert text_of(message) == scene("length")["content"] and stop == "max_tokens"


@pytest.mark.parametrize("tag", ["weather", "parallel"])
def test_tool_calls_arrive_with_arguments(converse, bedrock_lane, tag):
    message, stop, _ = converse(bedrock_lane, tag, toolConfig={"tools": TOOLS})
    calls = calls_of(message)
    assert [(call["name"], call["input"]) for call in calls] == wanted_calls(tag)
    assert len({call["toolUseId"] for call in calls}) == len(calls)
    assert stop == "tool_use"


def test_text_and_a_call_stay_in_order(converse, bedrock_lane):
    message, _, _ = converse(bedrock_lane, "text-and-tool", toolConfig={"tools": TOOLS})
    if bedrock_lane.wire == "cohere":  # its answers hold text and calls apart
        assert text_of(message) and len(calls_of(message)) == 1
    else:
        assert [next(iter(block)) for block in message["content"]] == ["text", "toolUse"]


@pytest.mark.parametrize("tag", ["weather", "parallel"])
def test_results_go_back_under_the_upstreams_own_call_ids(converse, tap, bedrock_lane, tag):
    config = {"tools": TOOLS}
    asked, _, _ = converse(bedrock_lane, tag, toolConfig=config)
    results = [
        {"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": f"result {number} ☀"}], "status": "success"}}
        for number, call in enumerate(calls_of(asked))
    ]
    turns = [user(prompt(tag)), asked, {"role": "user", "content": results}]
    answer, stop, _ = converse(bedrock_lane, tag, messages=turns, toolConfig=config)
    assert text_of(answer) == scene(f"{tag}/result")["content"] and stop == "end_turn"
    wanted = [(call["id"], f"result {number} ☀") for number, call in enumerate(scene(tag)["toolCalls"])]
    assert upstream_results(tap.last.json, bedrock_lane.wire) == wanted


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ({"any": {}}, {"openai": "required", "anthropic": {"type": "any"}, "cohere": "REQUIRED"}),
        ({"auto": {}}, {"openai": "auto", "anthropic": {"type": "auto"}, "cohere": None}),
        (
            {"tool": {"name": "get_time"}},
            {
                "openai": {"type": "function", "function": {"name": "get_time"}},
                "anthropic": {"type": "tool", "name": "get_time"},
                "cohere": "REQUIRED",
            },
        ),
    ],
    ids=["any", "auto", "named"],
)
def test_tool_choice_is_translated(converse, tap, bedrock_lane, choice, wanted):
    converse(bedrock_lane, "weather", toolConfig={"tools": TOOLS, "toolChoice": choice})
    sent = tap.last.json
    if bedrock_lane.wire == "bedrock":
        assert sent["toolConfig"]["toolChoice"] == choice
    else:
        assert sent.get("tool_choice") == wanted[bedrock_lane.wire]


def test_system_prompt_and_parameters_reach_the_upstream(converse, tap, bedrock_lane):
    inference = {"maxTokens": 77, "temperature": 0.25, "topP": 0.5, "stopSequences": ["END"]}
    message, _, _ = converse(
        bedrock_lane, "system", system=[{"text": "Speak like a pirate"}], inferenceConfig=inference
    )
    assert text_of(message) == scene("system/system")["content"]
    sent = tap.last.json
    if bedrock_lane.wire == "bedrock":
        assert sent["inferenceConfig"] == inference
    else:
        limit = sent.get("max_tokens") or sent.get("max_completion_tokens")
        top_p, stop = {
            "openai": ("top_p", "stop"),
            "anthropic": ("top_p", "stop_sequences"),
            "cohere": ("p", "stop_sequences"),
        }[bedrock_lane.wire]
        assert (limit, sent["temperature"], sent[stop]) == (77, 0.25, ["END"])
        # Anthropic's newer models take one of temperature and top_p.
        assert sent.get(top_p, 0.5) == 0.5


def test_an_image_reaches_the_upstream_whole(converse, tap, bedrock_lane):
    image = {"image": {"format": "png", "source": {"bytes": base64.b64decode(PIXEL)}}}
    message, _, _ = converse(bedrock_lane, "image", messages=[user(prompt("image"), image)])
    assert text_of(message) == scene("image")["content"]
    sent = tap.last.json["messages"][0]["content"]
    assert image_in(sent, bedrock_lane.wire) == PIXEL


def test_structured_output_is_asked_of_the_upstream(converse, tap, bedrock_lane):
    schema = {"type": "object", "properties": {"country": {"type": "string"}}, "required": ["country"]}
    spec = {"type": "json_schema", "structure": {"jsonSchema": {"schema": json.dumps(schema), "name": "place"}}}
    message, _, _ = converse(bedrock_lane, "json", outputConfig={"textFormat": spec})
    assert json.loads(text_of(message)) == json.loads(scene("json")["content"])
    sent = tap.last.json
    found = {
        "bedrock": lambda: json.loads(sent["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"]),
        "openai": lambda: sent["response_format"]["json_schema"]["schema"],
        "anthropic": lambda: sent["output_config"]["format"]["schema"],
        "cohere": lambda: sent["response_format"]["json_schema"],
    }[bedrock_lane.wire]()
    assert found["properties"] == schema["properties"] and found["required"] == schema["required"]


def test_thinking_and_its_signature_make_the_round_trip(converse, tap):
    lane = Lane("/bedrock", f"house-claude/{CLAUDE}", "anthropic")
    fields = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    options = {"additionalModelRequestFields": fields, "toolConfig": {"tools": TOOLS}, "inferenceConfig": {"maxTokens": 4096}}
    message, _, _ = converse(lane, "think-tool", **options)
    # A model of efforts gets the budget as an effort.
    assert tap.last.json["thinking"]["type"] == "adaptive" and tap.last.json["output_config"]["effort"] == "low"
    thought = message["content"][0]["reasoningContent"]["reasoningText"]
    told = scene("think-tool")
    assert (thought["text"], thought["signature"]) == (told["reasoning"], told["reasoningSignature"])
    result = {"toolResult": {"toolUseId": calls_of(message)[0]["toolUseId"], "content": [{"text": "21"}]}}
    turns = [user(prompt("think-tool")), message, {"role": "user", "content": [result]}]
    answer, _, _ = converse(lane, "think-tool", messages=turns, **options)
    assert text_of(answer) == scene("think-tool/result")["content"]
    back = tap.last.json["messages"][1]["content"][0]
    assert (back["type"], back["thinking"], back["signature"]) == ("thinking", thought["text"], thought["signature"])


def test_reasoning_of_bedrock_is_relayed(converse, bedrock):
    message, _, _ = converse(Lane("/bedrock", NOVA, "bedrock"), "think")
    assert message["content"][0]["reasoningContent"]["reasoningText"]["text"] == scene("think")["reasoning"]
    assert text_of(message) == scene("think")["content"]


def test_the_first_event_comes_before_the_upstream_is_done(bedrock, tap, bedrock_lane):
    stream = iter(bedrock.converse_stream(modelId=bedrock_lane.model, **ask("slow"))["stream"])
    first = next(event for event in stream if "contentBlockDelta" in event)
    assert b"six" not in tap.last.answer, "the first event came only after the upstream had finished"
    rest = [event["contentBlockDelta"]["delta"]["text"] for event in stream if "contentBlockDelta" in event]
    assert first["contentBlockDelta"]["delta"]["text"] + "".join(rest) == scene("slow")["content"]


def test_calls_share_a_pool(bedrock, bedrock_lane):
    def call(tag):
        return text_of(bedrock.converse(modelId=bedrock_lane.model, **ask(tag))["output"]["message"])

    tags = ["plain", "unicode", "long", "json"] * 5
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(call, tags)) == [scene(tag)["content"] for tag in tags]


def test_the_body_of_a_caller_is_relayed_byte_for_byte(bedrock, tap):
    given = []
    bedrock.meta.events.register("before-send.bedrock-runtime.Converse", keep := lambda request, **_: given.append(request.body))
    try:
        bedrock.converse(modelId=NOVA, **ask("unicode", additionalModelRequestFields={"topK": 7}))
    finally:
        bedrock.meta.events.unregister("before-send.bedrock-runtime.Converse", keep)
    assert tap.last.body == given[0]


def test_the_gateway_signs_with_its_own_key(bedrock, tap):
    """The tap refuses a signature that botocore, with the same secret, does not make as well."""
    bedrock.converse(modelId=NOVA, **ask("plain"))
    authorization = tap.last.headers["authorization"]
    assert authorization.startswith(f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/") and f"/{REGION}/bedrock/" in authorization
    assert tap.last.path == f"/model/{NOVA.replace(':', '%3A')}/converse"
    bedrock.converse(modelId=f"house-bedrock/{NOVA}", **ask("plain"))
    assert tap.last.headers["authorization"] == f"Bearer {UPSTREAM_KEYS['bedrock']}"
    assert "x-amz-date" not in tap.last.headers, "the caller's signature is no upstream's business"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", ERROR_CLASSES)
@pytest.mark.parametrize("wire", ["bedrock", "openai", "anthropic", "cohere"])
@pytest.mark.gateway
def test_errors_have_the_class_bedrock_gives_them(bedrock, fresh_model, wire, status, streamed):
    call = bedrock.converse_stream if streamed else bedrock.converse
    model = fresh_model(wire, status)
    with pytest.raises(ClientError) as raised:
        call(modelId=model, **ask("plain"))
    error = raised.value.response
    assert error["Error"]["Code"] == ERROR_CLASSES[status]
    assert error["Error"]["Message"] == scene(model.split("/")[1])["error"]["message"]
    if ERROR_CLASSES[status] in ("ValidationException", "ThrottlingException", "InternalServerException"):
        assert isinstance(raised.value, getattr(bedrock.exceptions, ERROR_CLASSES[status]))
    assert error["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize("model", ["amazon.nova-prp-v1:0", "openai/gpt-4o-mimi"])
def test_an_unknown_model_is_told_in_bedrocks_shape(bedrock, tap, model):
    with pytest.raises(bedrock.exceptions.ResourceNotFoundException) as raised:
        bedrock.converse(modelId=model, **ask("plain"))
    assert model.split("/")[-1] in raised.value.response["Error"]["Message"]
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert not tap.exchanges


def test_a_request_that_cannot_be_is_refused_with_its_path(bedrock, tap):
    lone = {"toolResult": {"toolUseId": "none", "content": [{"text": "?"}]}}
    with pytest.raises(bedrock.exceptions.ValidationException) as raised:
        bedrock.converse(modelId=f"openai/{GPT}", messages=[{"role": "user", "content": [lone]}])
    assert "messages" in raised.value.response["Error"]["Message"]
    assert not tap.exchanges


def upstream_results(body, wire):
    """(call id, text) of each tool result in the last turn, as the upstream's wire writes them."""
    if wire in ("openai", "cohere"):
        turns = [turn for turn in body["messages"] if turn["role"] == "tool"]
        return [(turn["tool_call_id"], plain(turn["content"])) for turn in turns]
    blocks = body["messages"][-1]["content"]
    if wire == "bedrock":
        results = [block["toolResult"] for block in blocks if "toolResult" in block]
        return [(result["toolUseId"], plain(result["content"])) for result in results]
    results = [block for block in blocks if block["type"] == "tool_result"]
    return [(result["tool_use_id"], plain(result["content"])) for result in results]


def plain(content):
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or part.get("document", {}).get("data", "") for part in content)


def image_in(content, wire):
    for part in content:
        if wire == "bedrock" and "image" in part:
            return part["image"]["source"]["bytes"]
        if wire == "anthropic" and part.get("type") == "image":
            return part["source"]["data"]
        if wire in ("openai", "cohere") and part.get("type") == "image_url":
            return part["image_url"]["url"].removeprefix("data:image/png;base64,")
    return None


@pytest.mark.gateway
@pytest.mark.parametrize("form", ["converse", "invokeModel"])
@pytest.mark.parametrize(
    "model",
    [BEDROCK_CLAUDE, f"house-bedrock/{BEDROCK_CLAUDE}", f"anthropic/{CLAUDE}", f"openai/{GPT}", f"gemini/{GEMINI}"],
)
def test_tokens_are_counted_by_whoever_serves_the_model(bedrock, tap, model, form):
    answer = bedrock.count_tokens(modelId=model, input=counted_as(form, prompt("plain")))
    assert answer["inputTokens"] == COUNTED_TOKENS
    assert "x-bf-estimated" not in answer["ResponseMetadata"]["HTTPHeaders"]
    assert len(tap.exchanges) == 1


@pytest.mark.gateway
@pytest.mark.parametrize("form", ["converse", "invokeModel"])
@pytest.mark.parametrize("model", [NOVA, f"house-host/{GPT}"])
def test_tokens_that_nobody_counts_are_estimated(bedrock, tap, model, form):
    answer = bedrock.count_tokens(modelId=model, input=counted_as(form, "count me " * 200))
    assert not tap.exchanges
    assert 380 < answer["inputTokens"] < 430
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-bf-estimated"] == "input_tokens"


@pytest.mark.gateway
def test_a_count_of_nothing_is_refused_with_its_place(bedrock):
    with pytest.raises(ClientError) as raised:
        bedrock.count_tokens(modelId=f"openai/{GPT}", input={"invokeModel": {"body": b"no JSON"}})
    assert raised.value.response["Error"]["Code"] == "ValidationException"
    assert "input.invokeModel.body" in raised.value.response["Error"]["Message"]


def counted_as(form, text):
    if form == "converse":
        return {"converse": {"messages": [user(text)]}}
    own = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 1, "messages": [{"role": "user", "content": text}]}
    return {"invokeModel": {"body": json.dumps(own)}}


@pytest.mark.gateway
@pytest.mark.parametrize(
    ("access_key", "secret_key", "told"),
    [("AKIDNOBODY", CALLER_SECRET_KEY, "not known"), (CALLER_ACCESS_KEY, "not-the-secret", "does not match")],
)
@pytest.mark.parametrize("model", [NOVA, f"openai/{GPT}"])
def test_a_signature_that_is_not_the_callers_is_refused(stack, tap, model, access_key, secret_key, told):
    with pytest.raises(ClientError) as raised:
        signing_client(stack, access_key, secret_key).converse(modelId=model, **ask("plain"))
    error = raised.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert error["Error"]["Code"] == "UnrecognizedClientException" and told in error["Error"]["Message"]
    assert not tap.exchanges
