"""Anthropic SDK, text: whole and streamed messages on both routes, to an upstream of the same wire and of the other."""

import pytest

from conftest import prompt, scene
from gateway_config import ANTHROPIC_LANES, CLAUDE, Lane

TEXTS = ["plain", "long", "unicode"]


def test_whole_message_has_text_stop_reason_model_and_usage(message, anthropic_lane):
    answer = message(anthropic_lane, "plain")
    assert (answer.type, answer.role, answer.stop_reason) == ("message", "assistant", "end_turn")
    assert [(block.type, block.text) for block in answer.content] == [("text", scene("plain")["content"])]
    assert answer.id and anthropic_lane.model.endswith(answer.model)
    assert_usage(answer.usage, "plain")


@pytest.mark.parametrize("tag", TEXTS)
def test_text_arrives_whole_and_unchanged(message, anthropic_lane, tag):
    assert "".join(block.text for block in message(anthropic_lane, tag).content) == scene(tag)["content"]


@pytest.mark.parametrize("tag", TEXTS)
def test_streamed_text_equals_the_upstreams(message, anthropic_lane, tag):
    events = list(message(anthropic_lane, tag, stream=True))
    pieces = [event.delta.text for event in events if event.type == "content_block_delta"]
    assert "".join(pieces) == scene(tag)["content"]


def test_emoji_split_between_two_upstream_chunks_survives(message, anthropic_lane):
    events = message(anthropic_lane, "split-surrogates", stream=True)
    text = "".join(event.delta.text for event in events if event.type == "content_block_delta")
    assert text.encode("utf-16", "surrogatepass").decode("utf-16") == scene("split-surrogates")["content"]


@pytest.mark.parametrize("tag", ["plain", "parallel", "think", "text-and-tool"])
def test_stream_events_come_in_the_order_the_wire_prescribes(message, anthropic_lane, tag):
    events = [event for event in message(anthropic_lane, tag, stream=True) if event.type != "ping"]
    assert events[0].type == "message_start" and events[0].message.content == []
    assert [event.type for event in events[-2:]] == ["message_delta", "message_stop"]
    open_block, next_block = None, 0
    for event in events[1:-2]:
        if event.type == "content_block_start":
            assert open_block is None and event.index == next_block, "one block at a time, numbered without a gap"
            open_block, next_block = event.index, next_block + 1
        else:
            assert event.type in ("content_block_delta", "content_block_stop") and event.index == open_block
            open_block = None if event.type == "content_block_stop" else open_block
    assert open_block is None and next_block == expected_blocks(tag)


def test_stream_ends_with_stop_reason_and_usage(message, anthropic_lane):
    events = list(message(anthropic_lane, "plain", stream=True))
    last = next(event for event in events if event.type == "message_delta")
    assert last.delta.stop_reason == "end_turn"
    assert last.usage.output_tokens == scene("plain")["usage"]["completion_tokens"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("tag", "reason"), [("length", "max_tokens"), ("filtered", "refusal")])
def test_early_ends_are_told(message, anthropic_lane, tag, reason, streamed):
    if streamed:
        events = list(message(anthropic_lane, tag, stream=True))
        assert [event.delta.stop_reason for event in events if event.type == "message_delta"] == [reason]
    else:
        assert message(anthropic_lane, tag).stop_reason == reason


def test_sdk_accumulator_builds_the_final_message(anthropic_client, clients, anthropic_lane):
    with anthropic_client(anthropic_lane.route).messages.stream(
        model=clients.model(anthropic_lane.model),
        max_tokens=512,
        messages=[{"role": "user", "content": prompt("unicode")}],
    ) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text == scene("unicode")["content"]
    assert final.stop_reason == "end_turn"
    assert_usage(final.usage, "unicode")


def test_beta_namespace_answers(anthropic_client, clients, anthropic_lane):
    answer = anthropic_client(anthropic_lane.route).beta.messages.create(
        model=clients.model(anthropic_lane.model),
        max_tokens=64,
        messages=[{"role": "user", "content": prompt("plain")}],
    )
    assert answer.content[0].text == scene("plain")["content"]


@pytest.mark.parametrize("lane", [Lane("/anthropic", CLAUDE, "anthropic")], ids=str)
def test_chunks_are_passed_on_while_the_upstream_still_writes(message, tap, lane):
    assert_first_chunk_is_early(message, tap, lane)


@pytest.mark.gateway
@pytest.mark.parametrize("lane", [ANTHROPIC_LANES[4], ANTHROPIC_LANES[-1]], ids=str)
def test_translated_chunks_are_passed_on_while_the_upstream_still_writes(message, tap, lane):
    assert_first_chunk_is_early(message, tap, lane)


def test_earlier_turns_reach_the_upstream_in_order(message, tap, anthropic_lane):
    turns = [
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": [{"type": "text", "text": "Hello Ada."}]},
        {"role": "user", "content": [{"type": "text", "text": prompt("plain")}]},
    ]
    assert message(anthropic_lane, "plain", turns).content[0].text == scene("plain")["content"]
    sent = tap.last.json["messages"]
    assert [turn["role"] for turn in sent] == ["user", "assistant", "user"]
    assert [plain_text(turn["content"]) for turn in sent] == ["My name is Ada.", "Hello Ada.", prompt("plain")]


def assert_first_chunk_is_early(message, tap, lane):
    stream = iter(message(lane, "slow", stream=True))
    first = next(event for event in stream if event.type == "content_block_delta")
    seen = tap.last.answer
    assert b"six" not in seen, "the first chunk came only after the upstream had finished"
    rest = "".join(event.delta.text for event in stream if event.type == "content_block_delta")
    assert first.delta.text + rest == scene("slow")["content"]


def expected_blocks(tag):
    answer = scene(tag)
    return sum(name in answer for name in ("content", "reasoning")) + len(answer.get("toolCalls", []))


def assert_usage(usage, tag):
    wanted = scene(tag)["usage"]
    assert (usage.input_tokens, usage.output_tokens) == (wanted["prompt_tokens"], wanted["completion_tokens"])


def plain_text(content):
    return content if isinstance(content, str) else "".join(block["text"] for block in content)
