"""Agent frameworks as users point them at the gateway: a base URL, a key and a model name, then a run with a tool."""

import asyncio
import json
from contextlib import asynccontextmanager

import agents
import anthropic
import instructor
import openai
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from conftest import CLIENT_OPTIONS, prompt, scene
from gateway_config import CLAUDE, GPT, UPSTREAM_KEYS

pytestmark = pytest.mark.gateway

MODELS = pytest.mark.parametrize("model", [f"openai/{GPT}", f"house-host/{GPT}", f"anthropic/{CLAUDE}"])
STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
APIS = pytest.mark.parametrize("api", ["chat", "responses"])


class Country(BaseModel):
    country: str
    capital_city: str
    population: int


FRANCE = Country(**json.loads(scene("json")["content"]))
ANSWER = scene("weather/result")["content"]
CALLS = [("Paris", "celsius")]


def get_weather(city: str, unit: str) -> str:
    """Weather of a city."""
    return f"21 degrees {unit} in {city}"


def assert_tool_result_arrived(tap):
    """The second call to the upstream carried what the tool gave, under the upstream's own id."""
    assert len(tap.exchanges) == 2
    assert b"21 degrees celsius in Paris" in tap.last.body and b"call_weather_1" in tap.last.body
    assert all(exchange.status == 200 for exchange in tap.exchanges)


@pytest.fixture
def async_openai(clients):
    """A fresh client each time: an asynchronous pool belongs to one event loop."""
    return lambda route: openai.AsyncOpenAI(**clients.options("openai", route), **CLIENT_OPTIONS)


@pytest.mark.parametrize("prefix", ["/litellm", "/langchain", "/pydanticai", "/cursor"])
@pytest.mark.parametrize("model", [GPT, f"anthropic/{CLAUDE}"])
def test_a_frameworks_own_prefix_serves_the_openai_sdk(openai_client, tap, prefix, model):
    for route in (prefix, f"{prefix}/v1"):
        client = openai_client(route)
        turns = [{"role": "user", "content": prompt("plain")}]
        answer = client.chat.completions.create(model=model, messages=turns)
        assert answer.choices[0].message.content == scene("plain")["content"]
        assert client.responses.create(model=model, input=prompt("plain")).output_text == scene("plain")["content"]
    paths = {exchange.path.split("?")[0] for exchange in tap.exchanges}
    assert paths == ({"/v1/chat/completions", "/v1/responses"} if model == GPT else {"/v1/messages"})


@STREAMED
@APIS
@MODELS
def test_openai_agents_runs_a_tool(async_openai, tap, model, api, streamed):
    tool = agents.function_tool(get_weather)
    agents.set_tracing_disabled(True)

    async def main():
        maker = agents.OpenAIChatCompletionsModel if api == "chat" else agents.OpenAIResponsesModel
        async with async_openai("/openai/v1") as client:
            agent = agents.Agent("helper", model=maker(model, client), tools=[tool], instructions="Be short.")
            if not streamed:
                return (await agents.Runner.run(agent, prompt("weather"))).final_output
            result = agents.Runner.run_streamed(agent, prompt("weather"))
            async for _ in result.stream_events():
                pass
            return result.final_output

    assert asyncio.run(main()) == ANSWER
    assert_tool_result_arrived(tap)


@APIS
@MODELS
def test_openai_agents_reads_structured_output(async_openai, model, api):
    agents.set_tracing_disabled(True)

    async def main():
        maker = agents.OpenAIChatCompletionsModel if api == "chat" else agents.OpenAIResponsesModel
        async with async_openai("/openai/v1") as client:
            agent = agents.Agent("helper", model=maker(model, client), output_type=Country)
            return (await agents.Runner.run(agent, prompt("json"))).final_output

    assert asyncio.run(main()) == FRANCE


@asynccontextmanager
async def pydantic_ai_model(clients, api, model):
    if api == "messages":
        options = clients.options("anthropic", "/pydanticai/anthropic")
        async with anthropic.AsyncAnthropic(**options, **CLIENT_OPTIONS) as client:
            yield AnthropicModel(model, provider=AnthropicProvider(anthropic_client=client))
    else:
        maker = OpenAIChatModel if api == "chat" else OpenAIResponsesModel
        options = clients.options("openai", "/pydanticai/openai/v1")
        async with openai.AsyncOpenAI(**options, **CLIENT_OPTIONS) as client:
            yield maker(model, provider=OpenAIProvider(openai_client=client))


@STREAMED
@pytest.mark.parametrize("api", ["chat", "responses", "messages"])
@MODELS
def test_pydantic_ai_runs_a_tool(clients, tap, model, api, streamed):
    async def main():
        async with pydantic_ai_model(clients, api, model) as llm:
            agent = Agent(llm, tools=[get_weather])
            if not streamed:
                result = await agent.run(prompt("weather"))
                return result.output, result.usage.output_tokens
            async with agent.run_stream(prompt("weather")) as result:
                return await result.get_output(), result.usage.output_tokens

    spent = sum(scene(tag)["usage"]["completion_tokens"] for tag in ("weather", "weather/result"))
    assert asyncio.run(main()) == (ANSWER, spent)
    assert_tool_result_arrived(tap)


@pytest.mark.parametrize("maker", ["openai", "anthropic"])
@MODELS
def test_instructor_reads_structured_output(clients, model, maker):
    ask = {"response_model": Country, "messages": [{"role": "user", "content": prompt("json")}], "max_retries": 0}
    if maker == "openai":
        client = openai.OpenAI(**clients.options("openai", "/openai/v1"), **CLIENT_OPTIONS)
        client = instructor.from_openai(client, mode=instructor.Mode.JSON_SCHEMA)
        found = client.chat.completions.create(model=model, **ask)
    else:
        client = anthropic.Anthropic(**clients.options("anthropic", "/anthropic"), **CLIENT_OPTIONS)
        client = instructor.from_anthropic(client, mode=instructor.Mode.JSON)
        found = client.messages.create(model=model, max_tokens=512, **ask)
    assert found.model_dump() == FRANCE.model_dump()


def langchain_model(clients, api, model):
    if api == "messages":
        options = clients.options("anthropic", "/langchain/anthropic")
        return ChatAnthropic(model=model, max_retries=0, timeout=15, max_tokens=512, **options)
    options = clients.options("openai", "/langchain/openai/v1")
    return ChatOpenAI(model=model, max_retries=0, timeout=15, use_responses_api=api == "responses", **options)


@STREAMED
@pytest.mark.parametrize("api", ["chat", "responses", "messages"])
@MODELS
def test_langchain_runs_a_tool(clients, tap, model, api, streamed):
    llm = langchain_model(clients, api, model).bind_tools([get_weather])

    def ask(turns):
        if not streamed:
            return llm.invoke(turns)
        first, *rest = llm.stream(turns)
        return sum(rest, first)

    question = HumanMessage(prompt("weather"))
    asked = ask([question])
    assert [(call["args"]["city"], call["args"]["unit"]) for call in asked.tool_calls] == CALLS
    results = [ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"]) for call in asked.tool_calls]
    assert ask([question, asked, *results]).text == ANSWER
    assert_tool_result_arrived(tap)


@pytest.mark.parametrize("api", ["chat", "responses"])
@MODELS
def test_langchain_reads_structured_output(clients, model, api):
    llm = langchain_model(clients, api, model).with_structured_output(Country, method="json_schema")
    assert llm.invoke(prompt("json")) == FRANCE


@pytest.mark.parametrize(
    ("api", "error"),
    [("chat", openai.RateLimitError), ("responses", openai.RateLimitError), ("messages", anthropic.RateLimitError)],
)
@pytest.mark.parametrize("wire", list(UPSTREAM_KEYS))
def test_langchain_raises_the_sdks_own_error(clients, fresh_model, wire, api, error):
    with pytest.raises(error) as raised:
        langchain_model(clients, api, fresh_model(wire, 429)).invoke("hi")
    assert "the upstream refuses: rate limit reached" in str(raised.value)
