"""Same wire on both sides: the gateway relays bytes. Whitespace, key order and unknown fields survive, both ways."""

import json

import pytest

from conftest import prompt
from gateway_config import CLAUDE, EMBEDDER, GEMINI, GPT

# Odd on purpose: spacing, key order, escapes, a long number, fields no schema knows, a duplicate of an unknown one.
ODD_CHAT = (
    '{ "zeta":1.10, "messages" :[{"content":"[plain] \\u0041\\/\\u00e9 \U0001f9ea","role":"user","made_up":{"b":[1,2],"a":null}}],\n'
    '\t"model":"%s" ,"seed":12345678901234567890,"temperature":0.70,"metadata":{"z":"1","a":"2"},"nobody_knows":[1e3,-0.0],'
    '"nobody_knows":2, "max_tokens":64%s}'
)
STREAM_WITH_USAGE = ',"stream" : true,"stream_options":{"x":1,"include_usage":true}'
STREAM = ', "stream":true '
JSON = {"content-type": "application/json"}
CHAT_PATHS = ["/openai/chat/completions", "/openai/v1/chat/completions"]
OPENAI_MODELS = [GPT, f"openai/{GPT}", f"house-gpt/{GPT}"]
CLAUDE_MODELS = [CLAUDE, f"anthropic/{CLAUDE}", f"house-claude/{CLAUDE}"]
TAGS = ["plain", "unicode", "long", "parallel", "think", "split-surrogates", "length"]


def tagged(body, tag):
    return body.replace("[plain]", f"[{tag}]")


def send(http, stack, clients, path, model, rest, tag="plain"):
    path = f"/v1/{path.split('/v1/')[-1].removeprefix('/openai/')}" if stack.direct else path
    body = tagged(ODD_CHAT % (clients.model(model), rest), tag).encode()
    answer = http.post(path, content=body, headers=JSON)
    assert answer.status_code == 200, answer.text
    return body, answer


@pytest.mark.parametrize("rest", ["", STREAM_WITH_USAGE], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", OPENAI_MODELS)
@pytest.mark.parametrize("path", CHAT_PATHS)
def test_openai_request_reaches_the_upstream_byte_for_byte(http, stack, clients, tap, path, model, rest):
    send(http, stack, clients, path, model, rest)
    assert tap.last.body == (ODD_CHAT % (GPT, rest)).encode(), "only the provider's name comes off the model"


@pytest.mark.parametrize("rest", ["", STREAM], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", CLAUDE_MODELS)
def test_anthropic_request_reaches_the_upstream_byte_for_byte(http, stack, clients, tap, model, rest):
    send(http, stack, clients, "/anthropic/v1/messages", model, rest)
    assert tap.last.body == (ODD_CHAT % (CLAUDE, rest)).encode(), "only the provider's name comes off the model"


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("rest", ["", STREAM_WITH_USAGE], ids=["whole", "streamed"])
@pytest.mark.parametrize("path", CHAT_PATHS)
def test_openai_answer_is_the_upstreams_byte_for_byte(http, stack, clients, tap, path, rest, tag):
    _, answer = send(http, stack, clients, path, GPT, rest, tag)
    assert answer.content == tap.last.answer
    kind = "text/event-stream" if rest else "application/json"
    assert answer.headers["content-type"].startswith(kind)


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("rest", ["", STREAM], ids=["whole", "streamed"])
def test_anthropic_answer_is_the_upstreams_byte_for_byte(http, stack, clients, tap, rest, tag):
    _, answer = send(http, stack, clients, "/anthropic/v1/messages", CLAUDE, rest, tag)
    assert answer.content == tap.last.answer
    kind = "text/event-stream" if rest else "application/json"
    assert answer.headers["content-type"].startswith(kind)


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("path", CHAT_PATHS)
def test_usage_frame_only_the_gateway_asked_for_is_withheld(http, stack, clients, tap, path, tag):
    _, answer = send(http, stack, clients, path, GPT, STREAM, tag)
    frames = tap.last.answer.split(b"\n\n")
    kept = [frame for frame in frames if not is_usage_frame(frame)]
    assert answer.content == b"\n\n".join(kept)


@pytest.mark.parametrize("path", ["/openai/embeddings", "/openai/v1/embeddings"])
def test_embeddings_are_relayed_byte_for_byte(http, stack, tap, path):
    body = ('{"input" : ["%s"],"odd":[1, 2],\n"model":"%s"}' % (prompt("vector"), EMBEDDER)).encode()
    answer = http.post("/v1/embeddings" if stack.direct else path, content=body, headers=JSON)
    assert answer.status_code == 200
    assert (tap.last.body, tap.last.answer) == (body, answer.content)


@pytest.mark.parametrize("action", ["generateContent", "streamGenerateContent?alt=sse", "countTokens"])
@pytest.mark.parametrize("prefix", ["/genai/v1beta", "/genai/v1", "/v1beta"])
def test_gemini_is_relayed_byte_for_byte_in_both_directions(http, stack, tap, prefix, action):
    body = ('{"odd" : [1,  2.50, 1e2],\n "contents":[{"parts":[{"text":"%s \\u00fc"}]}] }' % prompt("unicode")).encode()
    path = f"{'/v1beta' if stack.direct else prefix}/models/{GEMINI}:{action}"
    answer = http.post(path, content=body, headers=JSON)
    assert answer.status_code == 200
    assert (tap.last.body, tap.last.answer) == (body, answer.content)


def is_usage_frame(frame):
    if not frame.startswith(b"data: {"):
        return False
    chunk = json.loads(frame.removeprefix(b"data: "))
    return chunk["choices"] == [] and bool(chunk.get("usage"))
