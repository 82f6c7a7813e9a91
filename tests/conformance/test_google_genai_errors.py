"""google-genai: its own error classes, unknown models and paths, embeddings, token counts, model lists."""

import asyncio
import json
from urllib.parse import unquote

import pytest
from google import genai
from google.genai import errors

from conftest import prompt, scene
from gateway_config import (
    BEDROCK_CLAUDE,
    CLAUDE,
    COMMAND,
    EMBEDDER,
    FAMILY,
    GEMINI,
    GEMINI_EMBEDDER,
    GEMINI_ROUTES,
    GPT,
)
from gemini_gaps import COUNTED_TOKENS

STATUSES = {
    400: (errors.ClientError, "INVALID_ARGUMENT"),
    401: (errors.ClientError, "UNAUTHENTICATED"),
    404: (errors.ClientError, "NOT_FOUND"),
    429: (errors.ClientError, "RESOURCE_EXHAUSTED"),
    500: (errors.ServerError, "INTERNAL"),
}
WIRES = [
    pytest.param(wire, id=f"upstream-{wire}", marks=[] if wire == "gemini" else [pytest.mark.gateway])
    for wire in ("gemini", "openai", "anthropic")
]
VECTOR = scene("vector")["embedding"]
EMBEDDERS = [GEMINI_EMBEDDER, f"house-gemini/{GEMINI_EMBEDDER}", f"openai/{EMBEDDER}"]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("route", ["/genai/v1beta", "/v1"])
def test_sdk_raises_its_own_class(google_client, fresh_model, route, wire, status, streamed):
    error_class, word = STATUSES[status]
    models, model = google_client(route).models, fresh_model(wire, status)
    with pytest.raises(error_class) as raised:
        if streamed:
            list(models.generate_content_stream(model=model, contents="hi"))
        else:
            models.generate_content(model=model, contents="hi")
    error = raised.value
    assert (error.code, error.status) == (status, word)
    assert scene(f"{FAMILY[wire]}-fail-{status}")["error"]["message"] in error.message
    assert error.details["error"]["code"] == status


@pytest.mark.gateway
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", ["gemini-2.5-flush", "gemini/gemini-2.5-flush"])
@pytest.mark.parametrize("route", GEMINI_ROUTES)
def test_sdk_is_told_of_an_unknown_model(google_client, tap, route, model, streamed):
    models = google_client(route).models
    with pytest.raises(errors.ClientError) as raised:
        call = models.generate_content_stream if streamed else models.generate_content
        list(call(model=model, contents="hi"))
    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")
    assert "gemini-2.5-flush" in raised.value.message and GEMINI in raised.value.message
    assert not tap.exchanges, "an unknown model is no upstream's business"


@pytest.mark.gateway
@pytest.mark.parametrize("path", ["/genai/v1beta/models/m:generate", "/v1beta/nothing"])
def test_unknown_path_is_told_in_geminis_shape(http, tap, path):
    answer = http.post(path, json={})
    assert answer.status_code == 404 and answer.headers["x-request-id"]
    assert answer.json()["error"]["status"] == "NOT_FOUND" and answer.json()["error"]["code"] == 404
    assert not tap.exchanges


@pytest.mark.gateway
@pytest.mark.parametrize("prefix", ["/genai/v1beta", "/v1beta"])
def test_broken_json_is_refused_in_geminis_shape(http, tap, prefix):
    answer = http.post(f"{prefix}/models/{GEMINI}:generateContent", content=b'{"contents": [')
    assert answer.status_code == 400
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT" and answer.json()["error"]["message"]
    assert not tap.exchanges


def embedder_marks(model):
    return [] if model == GEMINI_EMBEDDER else [pytest.mark.gateway]


@pytest.mark.parametrize("model", [pytest.param(m, marks=embedder_marks(m)) for m in EMBEDDERS])
@pytest.mark.parametrize("route", GEMINI_ROUTES)
def test_embedding_gives_the_vector(google_client, tap, route, model):
    answer = google_client(route).models.embed_content(model=model, contents=prompt("vector"))
    assert [embedding.values for embedding in answer.embeddings] == [VECTOR]
    wanted = "/v1/embeddings" if model.startswith("openai/") else f"/v1beta/models/{GEMINI_EMBEDDER}:batchEmbedContents"
    assert tap.last.path == wanted


@pytest.mark.parametrize("model", [pytest.param(m, marks=embedder_marks(m)) for m in EMBEDDERS])
@pytest.mark.parametrize("route", ["/genai/v1beta", "/v1"])
def test_embeddings_of_many_texts_keep_their_order(google_client, tap, route, model):
    texts = ["first", prompt("vector"), "日本語 🗾"]
    config = {"output_dimensionality": 6, "task_type": "RETRIEVAL_QUERY"}
    answer = google_client(route).models.embed_content(model=model, contents=texts, config=config)
    assert len(answer.embeddings) == 3
    sent = tap.last.json
    if model.startswith("openai/"):
        assert (sent["input"], sent["dimensions"]) == (texts, 6)
    else:
        assert answer.embeddings[1].values == VECTOR and answer.embeddings[0].values != VECTOR
        assert [one["content"]["parts"][0]["text"] for one in sent["requests"]] == texts
        assert {one["outputDimensionality"] for one in sent["requests"]} == {6}
        assert {one["model"] for one in sent["requests"]} == {f"models/{GEMINI_EMBEDDER}"}


@pytest.mark.parametrize("model", [pytest.param(m, marks=embedder_marks(m)) for m in EMBEDDERS])
@pytest.mark.parametrize("prefix", ["/genai/v1beta", "/v1beta"])
def test_embed_content_answers_with_one_vector(http, stack, tap, prefix, model):
    prefix = "/v1beta" if stack.direct else prefix
    body = {"content": {"parts": [{"text": prompt("vector")}]}}
    answer = http.post(f"{prefix}/models/{model}:embedContent", json=body)
    assert answer.json()["embedding"] == {"values": VECTOR}


@pytest.mark.parametrize("route", GEMINI_ROUTES)
def test_tokens_are_counted_by_the_upstream(google_client, tap, route):
    answer = google_client(route).models.count_tokens(model=GEMINI, contents=prompt("plain"))
    assert answer.total_tokens == COUNTED_TOKENS
    assert tap.last.path == f"/v1beta/models/{GEMINI}:countTokens"
    assert tap.last.json["contents"][0]["parts"] == [{"text": prompt("plain")}]


@pytest.mark.gateway
@pytest.mark.parametrize(
    "model, path",
    [
        (f"openai/{GPT}", "/v1/responses/input_tokens"),
        (f"anthropic/{CLAUDE}", "/v1/messages/count_tokens"),
        (f"bedrock/{BEDROCK_CLAUDE}", f"/model/{BEDROCK_CLAUDE}/count-tokens"),
    ],
)
@pytest.mark.parametrize("route", ["/genai/v1beta", "/v1beta"])
def test_tokens_are_counted_by_an_upstream_of_another_wire(google_client, tap, route, model, path):
    answer = google_client(route).models.count_tokens(model=model, contents=prompt("plain"))
    assert answer.total_tokens == COUNTED_TOKENS
    assert unquote(tap.last.path) == path and prompt("plain") in json.dumps(tap.last.json, ensure_ascii=False)


@pytest.mark.gateway
@pytest.mark.parametrize("model", [f"house-host/{GPT}", f"house-chat/{GPT}", f"cohere/{COMMAND}"])
@pytest.mark.parametrize("route", ["/genai/v1beta", "/v1beta"])
def test_where_nobody_counts_the_sdk_gets_an_estimate_that_says_so(google_client, tap, route, model):
    answer = google_client(route).models.count_tokens(model=model, contents="count me " * 200)
    assert 380 < answer.total_tokens < 430
    assert answer.sdk_http_response.headers["x-bf-estimated"] == "input_tokens"
    assert not tap.exchanges


@pytest.mark.gateway
@pytest.mark.parametrize("route", GEMINI_ROUTES)
def test_models_are_listed_without_asking_the_upstream(google_client, tap, route):
    models = list(google_client(route).models.list())
    names = {model.name for model in models}
    assert all(name.startswith("models/") for name in names)
    bare = {name.rsplit("/", 1)[-1] for name in names}
    assert {GEMINI, GEMINI_EMBEDDER} <= bare
    assert all(model.display_name and model.supported_actions for model in models)
    assert not tap.exchanges


@pytest.mark.gateway
@pytest.mark.parametrize("route", ["/genai/v1beta", "/v1beta"])
def test_a_listed_model_can_be_called_by_its_listed_name(google_client, route):
    client = google_client(route)
    name = next(model.name for model in client.models.list() if model.name.rsplit("/", 1)[-1] == GEMINI)
    assert client.models.generate_content(model=name, contents=prompt("plain")).text == scene("plain")["content"]


@pytest.mark.gateway
def test_async_errors_and_lists(clients, fresh_model):
    model = fresh_model("openai", 429)

    async def main():
        client = genai.Client(**clients.google_options("/genai/v1beta"))
        names = [model.name async for model in await client.aio.models.list()]
        with pytest.raises(errors.ClientError) as raised:
            async for _ in await client.aio.models.generate_content_stream(model=model, contents="hi"):
                pass
        return names, raised.value

    names, error = asyncio.run(main())
    assert any(name.endswith(GEMINI) for name in names)
    assert (error.code, error.status) == (429, "RESOURCE_EXHAUSTED")


@pytest.mark.gateway
@pytest.mark.parametrize("model", [GEMINI, f"openai/{GPT}"])
def test_stream_without_sse_is_one_json_list(http, model):
    body = {"contents": [{"role": "user", "parts": [{"text": prompt("unicode")}]}]}
    answer = http.post(f"/genai/v1beta/models/{model}:streamGenerateContent", json=body)
    assert answer.headers["content-type"].startswith("application/json")
    texts = [part.get("text", "") for c in answer.json() for part in c["candidates"][0].get("content", {}).get("parts", [])]
    assert "".join(texts) == scene("unicode")["content"]
