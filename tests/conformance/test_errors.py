"""Errors as the SDKs raise them: their own exception class, the upstream's message, a request id, the right shape."""

import anthropic
import httpx
import openai
import pytest

from conftest import prompt, scene
from gateway_config import ANTHROPIC_ROUTES, CLAUDE, GPT, OPENAI_ROUTES

OPENAI_CLASSES = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
}
ANTHROPIC_CLASSES = {
    400: (anthropic.BadRequestError, "invalid_request_error"),
    401: (anthropic.AuthenticationError, "authentication_error"),
    404: (anthropic.NotFoundError, "not_found_error"),
    429: (anthropic.RateLimitError, "rate_limit_error"),
    500: (anthropic.InternalServerError, "api_error"),
}
WIRES = [
    pytest.param("openai", id="upstream-openai"),
    pytest.param("anthropic", id="upstream-anthropic"),
]
STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


def upstream_message(wire, status):
    return scene(f"{'gpt' if wire == 'openai' else 'claude'}-fail-{status}")["error"]["message"]


def turns(text="hi"):
    return [{"role": "user", "content": text}]


def skip_foreign(stack, dialect, wire):
    if stack.direct and dialect != wire:
        pytest.skip("needs a gateway")


@STREAMED
@pytest.mark.parametrize("status", OPENAI_CLASSES)
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("route", OPENAI_ROUTES)
def test_openai_sdk_raises_its_own_class(stack, openai_client, fresh_model, route, wire, status, streamed):
    skip_foreign(stack, "openai", wire)
    with pytest.raises(OPENAI_CLASSES[status]) as raised:
        api = openai_client(route).chat.completions
        api.create(model=fresh_model(wire, status), messages=turns(), stream=streamed)
    error = raised.value
    assert error.status_code == status
    assert upstream_message(wire, status) in error.message
    assert error.request_id
    assert isinstance(error.body["message"], str) and isinstance(error.type, str)
    if status == 429:
        assert error.response.headers["retry-after"] == "7"
    if status == 404:
        assert error.code == "model_not_found"


@STREAMED
@pytest.mark.parametrize("status", ANTHROPIC_CLASSES)
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("route", ANTHROPIC_ROUTES, ids=["anthropic", "root"])
def test_anthropic_sdk_raises_its_own_class(stack, anthropic_client, fresh_model, route, wire, status, streamed):
    skip_foreign(stack, "anthropic", wire)
    error_class, error_type = ANTHROPIC_CLASSES[status]
    with pytest.raises(error_class) as raised:
        api = anthropic_client(route).messages
        api.create(model=fresh_model(wire, status), max_tokens=9, messages=turns(), stream=streamed)
    error = raised.value
    assert error.status_code == status
    assert error.body["type"] == "error" and error.body["error"]["type"] == error_type
    assert upstream_message(wire, status) in error.body["error"]["message"]
    assert error.response.headers["x-request-id"]
    if status == 429:
        assert error.response.headers["retry-after"] == "7"


@pytest.mark.parametrize("route", OPENAI_ROUTES)
def test_rate_limit_headers_of_the_upstream_pass_through(openai_client, fresh_model, route):
    with pytest.raises(openai.RateLimitError) as raised:
        openai_client(route).chat.completions.create(model=fresh_model("openai", 429), messages=turns())
    assert raised.value.response.headers["x-ratelimit-limit-requests"] == "60"


@pytest.mark.gateway
@pytest.mark.parametrize("route", ANTHROPIC_ROUTES, ids=["anthropic", "root"])
def test_anthropic_sdk_finds_the_request_id_where_it_looks(anthropic_client, fresh_model, route):
    answer = anthropic_client(route).messages.create(model=CLAUDE, max_tokens=9, messages=turns(prompt("plain")))
    assert answer._request_id
    with pytest.raises(anthropic.BadRequestError) as raised:
        model = fresh_model("anthropic", 400)
        anthropic_client(route).messages.create(model=model, max_tokens=9, messages=turns())
    assert raised.value.request_id


@pytest.mark.gateway
@STREAMED
@pytest.mark.parametrize("model", ["gpt-4o-mimi", "openai/gpt-4o-mimi"])
@pytest.mark.parametrize("route", OPENAI_ROUTES)
def test_openai_sdk_is_told_of_an_unknown_model(openai_client, tap, route, model, streamed):
    with pytest.raises(openai.NotFoundError) as raised:
        openai_client(route).chat.completions.create(model=model, messages=turns(), stream=streamed)
    assert raised.value.code == "model_not_found"
    assert "gpt-4o-mimi" in raised.value.message and GPT in raised.value.message, "names the model and a near one"
    assert raised.value.request_id
    assert not tap.exchanges, "an unknown model is no upstream's business"


@pytest.mark.gateway
@pytest.mark.parametrize("model", ["claude-sonet-4-6", "anthropic/claude-sonet-4-6"])
@pytest.mark.parametrize("route", ANTHROPIC_ROUTES, ids=["anthropic", "root"])
def test_anthropic_sdk_is_told_of_an_unknown_model(anthropic_client, tap, route, model):
    with pytest.raises(anthropic.NotFoundError) as raised:
        anthropic_client(route).messages.create(model=model, max_tokens=9, messages=turns())
    body = raised.value.body
    assert body["type"] == "error" and body["error"]["type"] == "not_found_error"
    assert "claude-sonet-4-6" in body["error"]["message"] and CLAUDE in body["error"]["message"]
    assert not tap.exchanges, "an unknown model is no upstream's business"


@pytest.mark.gateway
@pytest.mark.parametrize("path", [*(f"{route}/chat/completions" for route in OPENAI_ROUTES), "/v1/embeddings"])
def test_broken_json_is_refused_in_openais_shape(http: httpx.Client, tap, path):
    answer = http.post(path, content=b'{"model": "gpt-4o-mini", "messages": [', headers=JSON)
    assert answer.status_code == 400 and answer.headers["x-request-id"]
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error" and error["message"]
    assert not tap.exchanges


@pytest.mark.gateway
@pytest.mark.parametrize("path", ["/anthropic/v1/messages", "/v1/messages"])
def test_broken_json_is_refused_in_anthropics_shape(http: httpx.Client, tap, path):
    answer = http.post(path, content=b'{"model": "claude-sonnet-4-6", "messages": [', headers=JSON)
    assert answer.status_code == 400 and answer.headers["x-request-id"]
    body = answer.json()
    assert body["type"] == "error" and body["error"]["type"] == "invalid_request_error"
    assert not tap.exchanges


@pytest.mark.gateway
@pytest.mark.parametrize(
    ("path", "near"),
    [("/v1/chat/completion", "/v1/chat/completions"), ("/anthropic/v1/message", "/anthropic/v1/messages")],
)
def test_unknown_path_names_the_nearest(http: httpx.Client, path, near):
    answer = http.post(path, json={})
    assert answer.status_code == 404 and near in answer.text
    assert answer.headers["content-type"].startswith("application/json") and answer.headers["x-request-id"]


JSON = {"content-type": "application/json"}
