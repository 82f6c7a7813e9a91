"""langchain-google-genai: chat, streams, tools and their results, structured output, images, embeddings, errors, async."""

import asyncio
import json

import pytest
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI, GoogleGenerativeAIEmbeddings
from langchain_google_genai.chat_models import ChatGoogleGenerativeAIError, GoogleAPIError
from pydantic import BaseModel

from conftest import prompt, scene
from gateway_config import FAMILY, GEMINI, GEMINI_EMBEDDER, Lane
from pixels import PIXEL

STATUSES = [400, 401, 404, 429, 500]
VECTOR = scene("vector")["embedding"]


class Country(BaseModel):
    """A country."""

    country: str
    capital_city: str
    population: int


@tool
def get_weather(city: str, unit: str, options: dict | None = None) -> str:
    """Weather of a city."""
    return "21"


@tool
def get_time() -> str:
    """The time now."""
    return "noon"


def base_url(stack, lane):
    """The client adds the API version by itself."""
    return stack.url if stack.direct else stack.url + lane.route.rsplit("/", 1)[0]


@pytest.fixture
def model(stack, clients):
    def make(lane, name=None, **options):
        return ChatGoogleGenerativeAI(
            model=name or clients.model(lane.model),
            base_url=base_url(stack, lane),
            api_key=clients.google_options(lane.route)["api_key"],
            max_retries=1,
            timeout=15.0,
            **options,
        )

    return make


@pytest.mark.parametrize("tag", ["plain", "unicode", "long"])
def test_invoke_gives_text_and_usage(model, gemini_lane, tag):
    answer = model(gemini_lane).invoke(prompt(tag))
    assert answer.text == scene(tag)["content"]
    usage = scene(tag)["usage"]
    counted = answer.usage_metadata["input_tokens"], answer.usage_metadata["output_tokens"]
    assert counted == (usage["prompt_tokens"], usage["completion_tokens"])
    assert answer.response_metadata["finish_reason"] == "STOP"


@pytest.mark.parametrize("tag", ["plain", "unicode", "long"])
def test_stream_adds_up(model, gemini_lane, tag):
    chunks = list(model(gemini_lane).stream(prompt(tag)))
    assert "".join(chunk.text for chunk in chunks) == scene(tag)["content"]
    whole = sum(chunks[1:], start=chunks[0])
    assert whole.usage_metadata["output_tokens"] == scene(tag)["usage"]["completion_tokens"]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("tag", ["weather", "parallel"])
def test_tool_calls_and_their_results(model, gemini_lane, tag, streamed):
    bound = model(gemini_lane).bind_tools([get_weather, get_time])
    question = HumanMessage(prompt(tag))
    if streamed:
        chunks = list(bound.stream([question]))
        asked = sum(chunks[1:], start=chunks[0])
    else:
        asked = bound.invoke([question])
    wanted = [(call["name"], json.loads(call["arguments"])) for call in scene(tag)["toolCalls"]]
    assert [(call["name"], call["args"]) for call in asked.tool_calls] == wanted
    assert all(call["id"] for call in asked.tool_calls)
    results = [ToolMessage("21", tool_call_id=call["id"], name=call["name"]) for call in asked.tool_calls]
    assert bound.invoke([question, asked, *results]).text == scene(f"{tag}/result")["content"]


@pytest.mark.parametrize("method", ["json_schema", "json_mode"])
def test_structured_output(model, gemini_lane, method):
    answer = model(gemini_lane).with_structured_output(Country, method=method).invoke(prompt("json"))
    assert answer == Country(**json.loads(scene("json")["content"]))


def test_system_message_and_image_reach_the_upstream(model, tap, gemini_lane):
    picture = {"type": "image", "base64": PIXEL, "mime_type": "image/png"}
    turns = [
        SystemMessage("Speak like a pirate."),
        HumanMessage([{"type": "text", "text": prompt("image")}, picture]),
    ]
    assert model(gemini_lane).invoke(turns).text == scene("image")["content"]
    sent = tap.last.body.decode()
    assert "Speak like a pirate." in sent and PIXEL in sent


def test_thoughts_are_apart_from_the_answer(model, gemini_lane):
    answer = model(gemini_lane, include_thoughts=True, thinking_budget=1024).invoke(prompt("think"))
    assert answer.text == scene("think")["content"]
    thoughts = [block["reasoning"] for block in answer.content_blocks if block["type"] == "reasoning"]
    assert "".join(thoughts) == scene("think")["reasoning"]


def test_async_calls_at_once_do_not_mix(model, gemini_lane):
    tags = ["plain", "unicode", "long"] * 2

    async def main():
        chat = model(gemini_lane)

        async def streamed(tag):
            return "".join([chunk.text async for chunk in chat.astream(prompt(tag))])

        whole = [chat.ainvoke(prompt(tag)) for tag in tags]
        answers = await asyncio.gather(*whole, *(streamed(tag) for tag in tags))
        return [one if isinstance(one, str) else one.text for one in answers]

    assert asyncio.run(main()) == [scene(tag)["content"] for tag in tags] * 2


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(
    "wire",
    [pytest.param(w, marks=[] if w == "gemini" else [pytest.mark.gateway]) for w in ("gemini", "openai", "anthropic")],
)
def test_errors_carry_the_upstreams_message(model, fresh_model, wire, status):
    chat = model(Lane("/genai/v1beta", GEMINI, "gemini"), fresh_model(wire, status))
    with pytest.raises(GoogleAPIError if status == 500 else ChatGoogleGenerativeAIError) as raised:
        chat.invoke("hi")
    assert scene(f"{FAMILY[wire]}-fail-{status}")["error"]["message"] in str(raised.value)


@pytest.mark.parametrize("route", ["/genai/v1beta", "/v1beta"])
def test_embeddings_keep_their_order(stack, clients, route):
    embedder = GoogleGenerativeAIEmbeddings(
        model=GEMINI_EMBEDDER,
        base_url=base_url(stack, Lane(route, GEMINI_EMBEDDER, "gemini")),
        api_key=clients.google_options(route)["api_key"],
    )
    vectors = embedder.embed_documents(["first", prompt("vector")])
    assert len(vectors) == 2 and vectors[1] == VECTOR and vectors[0] != VECTOR
    assert embedder.embed_query(prompt("vector")) == VECTOR
