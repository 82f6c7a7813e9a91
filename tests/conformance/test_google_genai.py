"""google-genai, chat: whole and streamed text, usage, finish reasons, the conversation helper, async calls at once."""

import asyncio
import json

import pytest
from google import genai
from google.genai import types

from conftest import prompt, scene
from gateway_config import GEMINI, GEMINI_LANES

FINISH = {"plain": "STOP", "length": "MAX_TOKENS", "filtered": "SAFETY"}


@pytest.mark.parametrize("tag", ["plain", "unicode", "long", "split-surrogates"])
def test_whole_answer_has_text_and_usage(generate, gemini_lane, tag):
    answer = generate(gemini_lane, tag)
    assert answer.text == scene(tag)["content"]
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.candidates[0].content.role == "model"
    assert_usage(answer.usage_metadata, scene(tag)["usage"])


@pytest.mark.parametrize("tag", ["plain", "unicode", "long"])
def test_streamed_answer_adds_up_and_ends_with_its_usage(generate, gemini_lane, tag):
    chunks = generate(gemini_lane, tag, stream=True)
    assert "".join(chunk.text or "" for chunk in chunks) == scene(tag)["content"]
    reasons = [c.candidates[0].finish_reason for c in chunks if c.candidates and c.candidates[0].finish_reason]
    assert reasons == [types.FinishReason.STOP]
    assert_usage(chunks[-1].usage_metadata, scene(tag)["usage"])
    assert len(chunks) > 1 or len(scene(tag)["content"]) < 30


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("tag", ["length", "filtered"])
def test_finish_reasons_are_geminis_words(generate, gemini_lane, tag, streamed):
    answer = generate(gemini_lane, tag, stream=streamed)
    last = answer[-1] if streamed else answer
    assert last.candidates[0].finish_reason == types.FinishReason[FINISH[tag]]


def test_chunks_arrive_while_the_upstream_still_writes(google_client, clients, tap, gemini_lane):
    models = google_client(gemini_lane.route).models
    stream = models.generate_content_stream(model=clients.model(gemini_lane.model), contents=prompt("slow"))
    next(iter(stream))
    assert b"six" not in tap.last.answer
    assert "".join(chunk.text or "" for chunk in stream)


def test_chat_helper_carries_the_conversation(google_client, clients, tap, gemini_lane):
    talk = google_client(gemini_lane.route).chats.create(model=clients.model(gemini_lane.model))
    assert talk.send_message(prompt("plain")).text == scene("plain")["content"]
    text = "".join(chunk.text or "" for chunk in talk.send_message_stream(prompt("unicode")))
    assert text == scene("unicode")["content"]
    sent = tap.last.json
    turns = sent["contents"] if gemini_lane.wire == "gemini" else sent["messages"]
    assert [turn["role"] for turn in turns] == ["user", "model" if gemini_lane.wire == "gemini" else "assistant", "user"]
    assert scene("plain")["content"] in json.dumps(turns[1], ensure_ascii=False)
    roles = [turn.role for turn in talk.get_history()]
    assert roles[:4] == ["user", "model", "user", "model"] and set(roles[4:]) <= {"model"}, "a turn per chunk"


def test_generation_settings_reach_the_upstream(generate, tap, gemini_lane):
    settings = {"temperature": 0.5, "max_output_tokens": 77, "stop_sequences": ["END"]}
    generate(gemini_lane, "plain", **settings)
    sent = tap.last.json
    if gemini_lane.wire == "gemini":
        wanted = {"temperature": 0.5, "maxOutputTokens": 77, "stopSequences": ["END"]}
        assert {k: v for k, v in sent["generationConfig"].items() if k in wanted} == wanted
    else:
        limit = sent.get("max_tokens") or sent.get("max_completion_tokens")
        stop = sent["stop" if gemini_lane.wire == "openai" else "stop_sequences"]
        assert (sent["temperature"], limit, stop) == (0.5, 77, ["END"])
        assert "generationConfig" not in sent and "contents" not in sent


def test_only_the_provider_key_reaches_the_upstream(generate, clients, stack, tap, gemini_lane):
    caller = clients.google_options(gemini_lane.route)["api_key"]
    generate(gemini_lane, "plain")
    values = [*tap.last.headers.values(), tap.last.path]
    assert stack.direct or not any(caller in value for value in values)
    if gemini_lane.wire == "gemini":
        assert tap.last.headers["x-goog-api-key"] == "upstream-key-of-gemini"
        assert tap.last.path.split("?")[0] == f"/v1beta/models/{GEMINI}:generateContent"


@pytest.mark.parametrize(
    "lane",
    [
        pytest.param(lane, id=str(lane), marks=[] if lane.wire == "gemini" else [pytest.mark.gateway])
        for lane in GEMINI_LANES
    ],
)
def test_async_calls_at_once_do_not_mix(clients, lane):
    tags = ["plain", "unicode", "long", "plain"] * 3

    async def main():
        client = genai.Client(**clients.google_options(lane.route))
        models = client.aio.models  # the second generation closes its connections when `client` is dropped
        name = clients.model(lane.model)

        async def whole(tag):
            return (await models.generate_content(model=name, contents=prompt(tag))).text

        async def streamed(tag):
            stream = await models.generate_content_stream(model=name, contents=prompt(tag))
            return "".join([chunk.text or "" async for chunk in stream])

        return await asyncio.gather(*(call(tag) for tag in tags for call in (whole, streamed)))

    assert asyncio.run(main()) == [scene(tag)["content"] for tag in tags for _ in range(2)]


def assert_usage(usage, wanted):
    counted = (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count)
    assert counted == (wanted["prompt_tokens"], wanted["completion_tokens"], wanted["total_tokens"])
