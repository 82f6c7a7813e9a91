"""Embeddings and model lists, as the SDKs read them."""

import pytest

from conftest import prompt, scene
from gateway_config import CLAUDE, EMBEDDER, GPT, OPENAI_ROUTES

VECTOR = scene("vector")["embedding"]
EMBEDDERS = [
    (route, model)
    for route in OPENAI_ROUTES
    for model in (EMBEDDER, f"openai/{EMBEDDER}", f"house-gpt/{EMBEDDER}")
]


@pytest.mark.parametrize(("route", "model"), EMBEDDERS)
def test_sdk_default_base64_request_gives_the_vector(openai_client, clients, tap, route, model):
    answer = openai_client(route).embeddings.create(model=clients.model(model), input=prompt("vector"))
    assert answer.data[0].embedding == VECTOR
    assert answer.object == "list" and answer.model == EMBEDDER
    assert tap.last.path == "/v1/embeddings"
    assert tap.last.json["encoding_format"] == "base64" and tap.last.json["model"] == EMBEDDER


@pytest.mark.parametrize(("route", "model"), EMBEDDERS)
def test_float_request_of_many_inputs_keeps_their_order(openai_client, clients, tap, route, model):
    inputs = [prompt("vector"), "日本語 🗾", ""]
    answer = openai_client(route).embeddings.create(
        model=clients.model(model), input=inputs, encoding_format="float", dimensions=6
    )
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert all(item.embedding == VECTOR for item in answer.data)
    assert tap.last.json["input"] == inputs
    assert (tap.last.json["encoding_format"], tap.last.json["dimensions"]) == ("float", 6)


@pytest.mark.gateway
@pytest.mark.parametrize("route", OPENAI_ROUTES)
def test_openai_sdk_lists_models_without_asking_the_upstream(openai_client, tap, route):
    page = openai_client(route).models.list()
    assert page.object == "list"
    assert all(model.object == "model" and model.id and model.owned_by for model in page.data)
    assert isinstance(page.data[0].created, int)
    bare = {model.id.split("/", 1)[-1] for model in page.data}
    assert {GPT, EMBEDDER} <= bare
    assert not tap.exchanges


@pytest.mark.gateway
def test_the_unified_list_names_the_models_of_every_provider(openai_client):
    ids = {model.id for model in openai_client("/v1").models.list().data}
    wanted = {f"openai/{GPT}", f"anthropic/{CLAUDE}", f"house-gpt/{GPT}", f"house-claude/{CLAUDE}"}
    assert wanted <= ids


@pytest.mark.gateway
@pytest.mark.parametrize("route", OPENAI_ROUTES)
def test_a_listed_model_can_be_called_by_its_listed_name(openai_client, route):
    client = openai_client(route)
    name = next(model.id for model in client.models.list().data if model.id.split("/", 1)[-1] == GPT)
    answer = client.chat.completions.create(model=name, messages=[{"role": "user", "content": prompt("plain")}])
    assert answer.choices[0].message.content == scene("plain")["content"]


@pytest.mark.gateway
def test_anthropic_sdk_lists_models_without_asking_the_upstream(anthropic_client, tap):
    page = anthropic_client("/anthropic").models.list()
    models = list(page.data)
    assert all(model.type == "model" and model.display_name and model.created_at for model in models)
    assert CLAUDE in {model.id.split("/", 1)[-1] for model in models}
    assert page.has_more in (False, None) and page.first_id == models[0].id and page.last_id == models[-1].id
    assert not tap.exchanges
