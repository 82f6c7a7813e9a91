"""OpenAI SDK, text: whole and streamed answers on every route, to an upstream of the same wire and of the other."""

import pytest

from conftest import prompt, scene
from gateway_config import CLAUDE, GPT, OPENAI_LANES, Lane

TEXTS = ["plain", "long", "unicode"]


def test_whole_answer_has_text_finish_reason_model_and_usage(chat, openai_lane):
    answer = chat(openai_lane, "plain")
    choice = answer.choices[0]
    assert (choice.message.role, choice.message.content) == ("assistant", scene("plain")["content"])
    assert (choice.index, choice.finish_reason, len(answer.choices)) == (0, "stop", 1)
    assert answer.object == "chat.completion" and answer.id and answer.created > 0
    assert openai_lane.model.endswith(answer.model)
    assert_usage(answer.usage, "plain")


@pytest.mark.parametrize("tag", TEXTS)
def test_text_arrives_whole_and_unchanged(chat, openai_lane, tag):
    assert chat(openai_lane, tag).choices[0].message.content == scene(tag)["content"]


@pytest.mark.parametrize("tag", TEXTS)
def test_streamed_text_equals_the_upstreams(chat, openai_lane, tag):
    chunks = list(chat(openai_lane, tag, stream=True))
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert "".join(pieces) == scene(tag)["content"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}


def test_emoji_split_between_two_upstream_chunks_survives(chat, openai_lane):
    chunks = list(chat(openai_lane, "split-surrogates", stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.encode("utf-16", "surrogatepass").decode("utf-16") == scene("split-surrogates")["content"]


def test_stream_ends_with_one_finish_reason_then_usage_when_asked(chat, openai_lane):
    chunks = list(chat(openai_lane, "plain", stream=True, stream_options={"include_usage": True}))
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]
    assert reasons == ["stop"]
    assert chunks[-1].choices == []
    assert_usage(chunks[-1].usage, "plain")
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_stream_carries_no_usage_when_not_asked(chat, openai_lane):
    chunks = list(chat(openai_lane, "plain", stream=True))
    assert all(chunk.usage is None for chunk in chunks)
    assert all(chunk.choices for chunk in chunks), "a usage frame the caller did not ask for leaked"
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_stream_opens_with_the_assistant_role(chat, openai_lane):
    deltas = [chunk.choices[0].delta for chunk in chat(openai_lane, "plain", stream=True) if chunk.choices]
    assert [delta.role for delta in deltas if delta.role] == ["assistant"]
    assert deltas[0].role == "assistant"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("tag", "reason"), [("length", "length"), ("filtered", "content_filter")])
def test_early_ends_are_told(chat, openai_lane, tag, reason, streamed):
    if streamed:
        chunks = list(chat(openai_lane, tag, stream=True))
        assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == [reason]
    else:
        choice = chat(openai_lane, tag).choices[0]
        assert (choice.finish_reason, choice.message.content) == (reason, scene(tag)["content"])


def test_sdk_accumulator_builds_the_final_completion(openai_client, clients, openai_lane):
    client = openai_client(openai_lane.route)
    with client.chat.completions.stream(
        model=clients.model(openai_lane.model),
        messages=[{"role": "user", "content": prompt("plain")}],
        stream_options={"include_usage": True},
    ) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert "".join(deltas) == final.choices[0].message.content == scene("plain")["content"]
    assert final.choices[0].finish_reason == "stop"
    assert_usage(final.usage, "plain")


@pytest.mark.parametrize("lane", [Lane("/openai", GPT, "openai"), Lane("/v1", f"openai/{GPT}", "openai")], ids=str)
def test_chunks_are_passed_on_while_the_upstream_still_writes(chat, tap, lane):
    assert_first_chunk_is_early(chat, tap, lane)


@pytest.mark.gateway
@pytest.mark.parametrize("lane", [Lane("/openai", f"anthropic/{CLAUDE}", "anthropic"), OPENAI_LANES[-1]], ids=str)
def test_translated_chunks_are_passed_on_while_the_upstream_still_writes(chat, tap, lane):
    assert_first_chunk_is_early(chat, tap, lane)


def test_earlier_turns_reach_the_upstream_in_order(chat, tap, openai_lane):
    turns = [
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Hello Ada."},
        {"role": "user", "content": prompt("plain")},
    ]
    assert chat(openai_lane, "plain", turns).choices[0].message.content == scene("plain")["content"]
    sent = tap.last.json["messages"]
    assert [turn["role"] for turn in sent] == ["user", "assistant", "user"]
    assert [plain_text(turn["content"]) for turn in sent] == [turn["content"] for turn in turns]


def assert_first_chunk_is_early(chat, tap, lane):
    stream = iter(chat(lane, "slow", stream=True))
    first = next(chunk for chunk in stream if chunk.choices and chunk.choices[0].delta.content)
    seen = tap.last.answer
    assert b"six" not in seen, "the first chunk came only after the upstream had finished"
    rest = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert first.choices[0].delta.content + rest == scene("slow")["content"]


def assert_usage(usage, tag):
    wanted = scene(tag)["usage"]
    assert usage.prompt_tokens == wanted["prompt_tokens"]
    assert usage.completion_tokens == wanted["completion_tokens"]
    assert usage.total_tokens == wanted["total_tokens"]


def plain_text(content):
    return content if isinstance(content, str) else "".join(part["text"] for part in content)
