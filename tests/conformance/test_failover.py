"""Retries and fallbacks: the caller gets an answer, the upstream sees exactly the attempts that were configured."""

import json
from itertools import count

import openai
import pytest

from conftest import prompt, scene
from gateway_config import ANTHROPIC_ROUTES, CLAUDE, GPT, OPENAI_ROUTES

pytestmark = pytest.mark.gateway
HEALTHY = {"openai": f"openai/{GPT}", "anthropic": f"anthropic/{CLAUDE}"}
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
CROSSINGS = [("openai", "anthropic"), ("anthropic", "openai"), ("openai", "openai"), ("anthropic", "anthropic")]
RETRY_TAGS = count(1)


def turns(tag="plain"):
    return [{"role": "user", "content": prompt(tag)}]


def upstream_story(tap):
    return [(exchange.path.split("?")[0], exchange.status) for exchange in tap.exchanges]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("broken", "healthy"), CROSSINGS)
@pytest.mark.parametrize("route", OPENAI_ROUTES)
def test_openai_caller_falls_back_to_the_next_model(
    openai_client, fresh_model, tap, route, broken, healthy, streamed
):
    answer = openai_client(route).chat.completions.create(
        model=fresh_model(broken, 500),
        messages=turns("unicode"),
        stream=streamed,
        extra_body={"fallbacks": [HEALTHY[healthy]]},
    )
    if streamed:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)
    else:
        text = answer.choices[0].message.content
    assert text == scene("unicode")["content"]
    assert upstream_story(tap) == [(PATHS[broken], 500), (PATHS[healthy], 200)]
    assert not [exchange for exchange in tap.exchanges if "fallbacks" in exchange.json]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("broken", "healthy"), CROSSINGS)
@pytest.mark.parametrize("route", ANTHROPIC_ROUTES, ids=["anthropic", "root"])
def test_anthropic_caller_falls_back_to_the_next_model(
    anthropic_client, fresh_model, tap, route, broken, healthy, streamed
):
    call = {
        "model": fresh_model(broken, 500),
        "max_tokens": 64,
        "messages": turns("unicode"),
        "extra_body": {"fallbacks": [HEALTHY[healthy]]},
    }
    api = anthropic_client(route).messages
    if streamed:
        with api.stream(**call) as stream:
            answer = stream.get_final_message()
    else:
        answer = api.create(**call)
    assert answer.content[0].text == scene("unicode")["content"]
    assert upstream_story(tap) == [(PATHS[broken], 500), (PATHS[healthy], 200)]
    assert not [exchange for exchange in tap.exchanges if "fallbacks" in exchange.json]


def test_attempts_are_told_in_order(http, fresh_model):
    model = fresh_model("openai", 500)
    body = {"model": model, "messages": turns(), "fallbacks": [HEALTHY["anthropic"]]}
    answer = http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    fields = answer.json()["extra_fields"]
    assert fields["provider"] == "anthropic"
    first, second = (json.dumps(attempt) for attempt in fields["attempts"])
    assert model.split("/")[0] in first and "500" in first
    assert "anthropic" in second


def test_tools_and_images_go_along_to_the_fallback(http, fresh_model, tap):
    tool = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}
    parts = [
        {"type": "image_url", "image_url": {"url": "https://images.example.com/a.png"}},
        {"type": "text", "text": prompt("plain")},
    ]
    body = {"messages": [{"role": "user", "content": parts}], "tools": [tool], "fallbacks": [HEALTHY["anthropic"]]}
    answer = http.post("/v1/chat/completions", json={"model": fresh_model("openai", 500), **body})
    assert answer.status_code == 200, answer.text
    sent = tap.last.json
    assert [tool["name"] for tool in sent["tools"]] == ["get_time"]
    assert sent["messages"][0]["content"][0]["source"]["url"] == "https://images.example.com/a.png"


def test_when_all_fail_the_last_providers_error_is_told(openai_client, fresh_model, tap):
    fallbacks = [fresh_model("anthropic", 429), fresh_model("openai", 500)]
    with pytest.raises(openai.InternalServerError) as raised:
        openai_client("/v1").chat.completions.create(
            model=fresh_model("openai", 500), messages=turns(), extra_body={"fallbacks": fallbacks}
        )
    assert scene("gpt-fail-500")["error"]["message"] in raised.value.message
    assert [status for _, status in upstream_story(tap)] == [500, 429, 500]


def test_a_mistake_of_the_caller_is_not_retried(openai_client, fresh_model, tap):
    with pytest.raises(openai.BadRequestError):
        openai_client("/v1").chat.completions.create(model=fresh_model("openai", 400), messages=turns())
    assert [status for _, status in upstream_story(tap)] == [400]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("wire", ["openai", "anthropic"])
def test_a_failure_before_the_first_byte_is_retried(openai_client, fresh_model, tap, wire, streamed):
    tag = f"retry-{next(RETRY_TAGS)}"
    model = fresh_model(wire, kind="retry")
    answer = openai_client("/v1").chat.completions.create(model=model, messages=turns(tag), stream=streamed)
    if streamed:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)
    else:
        text = answer.choices[0].message.content
    assert text == scene(tag)["content"]
    assert upstream_story(tap) == [(PATHS[wire], 500), (PATHS[wire], 200)]


def test_retries_end_at_the_configured_count(openai_client, fresh_model, tap):
    with pytest.raises(openai.InternalServerError):
        model = fresh_model("openai", 500, kind="retry")
        openai_client("/v1").chat.completions.create(model=model, messages=turns())
    assert [status for _, status in upstream_story(tap)] == [500, 500]
