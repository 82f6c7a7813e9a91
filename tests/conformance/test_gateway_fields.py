"""What the gateway adds: `extra_fields` on the unified routes, request ids everywhere, and never a caller's secret."""

import json

import pytest

from conftest import prompt
from gateway_config import CALLER_KEY, CLAUDE, EMBEDDER, GPT, UPSTREAM_KEYS

pytestmark = pytest.mark.gateway
CHAT, MESSAGES, EMBEDDINGS = "/v1/chat/completions", "/v1/messages", "/v1/embeddings"
MODELS = [(f"openai/{GPT}", "openai"), (f"anthropic/{CLAUDE}", "anthropic"), (f"house-gpt/{GPT}", "house-gpt")]
DROP_IN = ["/openai/chat/completions", "/openai/v1/chat/completions", "/anthropic/v1/messages"]


def body(model, **rest):
    return {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": prompt("plain")}], **rest}


def data_frames(answer):
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def assert_extra_fields(fields, provider, model, attempts=1):
    assert fields["provider"] == provider
    assert fields["model_requested"].endswith(model.split("/", 1)[-1])
    assert isinstance(fields["latency"], (int, float)) and 0 <= fields["latency"] < 15_000
    assert isinstance(fields["attempts"], list) and len(fields["attempts"]) == attempts
    assert isinstance(fields["request_type"], str) and fields["request_type"]


@pytest.mark.parametrize(("model", "provider"), MODELS)
@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_whole_answer_tells_how_it_was_made(http, path, model, provider):
    answer = http.post(path, json=body(model))
    assert answer.status_code == 200, answer.text
    fields = answer.json()["extra_fields"]
    assert_extra_fields(fields, provider, model)
    if path == CHAT:
        assert fields["request_type"] == "chat_completion"


@pytest.mark.parametrize("with_usage", [False, True])
@pytest.mark.parametrize(("model", "provider"), MODELS)
def test_stream_tells_how_it_was_made_on_its_last_data_chunk(http, model, provider, with_usage):
    options = {"stream_options": {"include_usage": True}} if with_usage else {}
    answer = http.post(CHAT, json=body(model, stream=True, **options))
    assert answer.status_code == 200, answer.text
    frames = data_frames(answer)
    assert answer.text.rstrip().endswith("data: [DONE]")
    assert_extra_fields(frames[-1]["extra_fields"], provider, model)
    assert frames[-1]["extra_fields"]["request_type"] == "chat_completion_stream"


@pytest.mark.parametrize(("model", "provider"), MODELS)
def test_message_stream_tells_how_it_was_made_on_its_last_event(http, model, provider):
    answer = http.post(MESSAGES, json=body(model, stream=True))
    assert answer.status_code == 200, answer.text
    frames = data_frames(answer)
    assert frames[-1]["type"] == "message_stop"
    assert_extra_fields(frames[-1]["extra_fields"], provider, model)


def test_embeddings_tell_how_they_were_made(http):
    answer = http.post(EMBEDDINGS, json={"model": f"openai/{EMBEDDER}", "input": prompt("vector")})
    fields = answer.json()["extra_fields"]
    assert_extra_fields(fields, "openai", EMBEDDER)
    assert fields["request_type"] == "embedding"


@pytest.mark.parametrize("model", [f"openai/{GPT}", f"anthropic/{CLAUDE}"])
@pytest.mark.parametrize("path", DROP_IN)
def test_drop_in_routes_add_nothing_to_the_body(http, path, model):
    for streamed in (False, True):
        answer = http.post(path, json=body(model, stream=streamed))
        assert answer.status_code == 200, answer.text
        assert "extra_fields" not in answer.text


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("model", [f"openai/{GPT}", f"anthropic/{CLAUDE}"])
@pytest.mark.parametrize("path", [CHAT, MESSAGES, *DROP_IN])
def test_request_id_is_answered(http, path, model, streamed):
    answer = http.post(path, json=body(model, stream=streamed))
    assert answer.status_code == 200 and answer.headers["x-request-id"]


def test_request_ids_differ_from_call_to_call(http):
    answers = [http.post(CHAT, json=body(f"openai/{GPT}")) for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.headers["x-request-id"] for answer in answers}) == 5


@pytest.mark.parametrize("path", [CHAT, MESSAGES, *DROP_IN])
def test_the_callers_request_id_is_kept(http, path):
    answer = http.post(path, json=body(f"anthropic/{CLAUDE}"), headers={"x-request-id": "conformance-42"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "conformance-42")


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key", "x-goog-api-key"])
@pytest.mark.parametrize(("model", "wire"), [(f"openai/{GPT}", "openai"), (f"anthropic/{CLAUDE}", "anthropic")])
@pytest.mark.parametrize("path", [CHAT, MESSAGES, *DROP_IN])
def test_the_callers_key_never_reaches_the_upstream(http, tap, path, model, wire, header):
    for name in ("authorization", "x-api-key"):
        http.headers.pop(name, None)
    secret = f"Bearer {CALLER_KEY}" if header == "authorization" else CALLER_KEY
    answer = http.post(path, json=body(model), headers={header: secret, "cookie": f"session={CALLER_KEY}"})
    assert answer.status_code == 200, answer.text
    seen = tap.last.headers
    assert not [name for name, value in seen.items() if CALLER_KEY in value]
    names = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
    credentials = {name: seen[name] for name in names if name in seen}
    wanted = {"authorization": f"Bearer {UPSTREAM_KEYS['openai']}"}
    assert credentials == (wanted if wire == "openai" else {"x-api-key": UPSTREAM_KEYS["anthropic"]})


def test_the_provider_key_never_reaches_the_caller(http, fresh_model):
    for wire, path in (("openai", CHAT), ("anthropic", MESSAGES)):
        answer = http.post(path, json=body(fresh_model(wire, 401)))
        assert answer.status_code == 401
        assert UPSTREAM_KEYS[wire] not in answer.text + str(answer.headers)


@pytest.mark.parametrize("path", ["/health", "/livez", "/readyz"])
def test_health_endpoints_answer(http, path):
    assert http.get(path).status_code == 200


def test_metrics_count_what_happened(http):
    assert http.post(CHAT, json=body(f"openai/{GPT}")).status_code == 200
    metrics = http.get("/metrics")
    assert metrics.status_code == 200
    lines = [line for line in metrics.text.splitlines() if line.startswith("bifrost_requests_total{")]
    assert any(GPT in line and float(line.rsplit(" ", 1)[1]) >= 1 for line in lines)
