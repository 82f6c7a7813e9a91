"""Fixtures of the suite: the running stack, clients of the official SDKs, lanes, scenes."""

import json
import os
from collections import defaultdict
from itertools import count

import anthropic
import httpx
import openai
import pytest

from gateway_config import (
    ANTHROPIC_LANES,
    BEDROCK_LANES,
    CALLER_KEY,
    COHERE_LANES,
    COMPATIBLE_LANES,
    FAMILY,
    GEMINI_LANES,
    INVOKE_LANES,
    OPENAI_LANES,
    OPENAI_OUT_LANES,
    RESPONSES_LANES,
    UPSTREAM_KEYS,
    Lane,
)
from stack import HERE, Stack

CLIENT_OPTIONS = {"max_retries": 0, "timeout": 15.0}
LANES = {
    "openai": OPENAI_LANES,
    "anthropic": ANTHROPIC_LANES,
    "gemini": GEMINI_LANES,
    "responses": RESPONSES_LANES,
}
# Lanes that need a gateway whatever their upstream is.
GATEWAY_LANES = {
    "bedrock_lane": BEDROCK_LANES,
    "cohere_lane": COHERE_LANES,
    "compatible_lane": COMPATIBLE_LANES,
    "invoke_lane": INVOKE_LANES,
    "openai_out_lane": OPENAI_OUT_LANES,
}


def pytest_configure(config):
    config.addinivalue_line("markers", "gateway: needs a gateway, cannot be run against the mock itself")


def pytest_generate_tests(metafunc):
    """A test with `openai_lane`, `anthropic_lane`, `gemini_lane` or `responses_lane` runs once on each lane.

    `native_…` and `foreign_…` take those whose upstream speaks the caller's wire, and the others.
    """
    for name, lanes in GATEWAY_LANES.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, [pytest.param(lane, id=str(lane), marks=pytest.mark.gateway) for lane in lanes])
    for dialect, lanes in LANES.items():
        choices = {
            f"{dialect}_lane": lanes,
            f"native_{dialect}_lane": [lane for lane in lanes if lane.wire == dialect],
            f"foreign_{dialect}_lane": [lane for lane in lanes if lane.wire != dialect],
        }
        for name, chosen in choices.items():
            if name in metafunc.fixturenames:
                if dialect != "gemini" and "tap" in metafunc.fixturenames:
                    # What Gemini is sent for these dialects is read in test_gemini_upstream.py.
                    chosen = [lane for lane in chosen if lane.wire != "gemini"]
                params = [
                    pytest.param(lane, id=str(lane), marks=[pytest.mark.gateway] if lane.wire != dialect else [])
                    for lane in chosen
                ]
                metafunc.parametrize(name, params)


@pytest.fixture(scope="session")
def stack(request):
    try:
        stack = Stack()
    except SystemExit as reason:
        pytest.exit(str(reason), returncode=3)
    yield stack
    if request.session.testsfailed and os.environ.get("CONFORMANCE_LOGS"):
        request.config.get_terminal_writer().write(stack.logs())
    stack.close()


@pytest.fixture(autouse=True)
def fresh_tap(request, stack):
    if stack.direct and request.node.get_closest_marker("gateway"):
        pytest.skip("needs a gateway")
    stack.tap.clear()


@pytest.fixture
def tap(stack):
    """What the upstream saw during this test."""
    return stack.tap


class Clients:
    """Makes SDK clients pointed at a route, the way a user would: base URL and key, nothing else."""

    def __init__(self, stack):
        self.stack = stack
        self.made = {}

    def options(self, wire, route):
        url = self.stack.url + ({"openai": "/v1", "anthropic": ""}[wire] if self.stack.direct else route)
        return {"base_url": url, "api_key": UPSTREAM_KEYS[wire] if self.stack.direct else CALLER_KEY}

    def google_options(self, route):
        """As Google's SDKs take it: the base URL and the API version apart, the time in milliseconds."""
        base, version = ("", "v1beta") if self.stack.direct else route.rsplit("/", 1)
        key = UPSTREAM_KEYS["gemini"] if self.stack.direct else CALLER_KEY
        http_options = {"base_url": self.stack.url + base, "api_version": version, "timeout": 15_000}
        return {"api_key": key, "vertexai": False, "http_options": http_options}

    def google(self, route):
        from google import genai  # not in every environment of frameworks/

        if (genai, route) not in self.made:
            self.made[genai, route] = genai.Client(**self.google_options(route))
        return self.made[genai, route]

    def model(self, model):
        """In direct mode there is nobody to take the provider's name off the model."""
        return model.split("/", 1)[-1] if self.stack.direct else model

    def __call__(self, maker, wire, route):
        if (maker, route) not in self.made:
            self.made[maker, route] = maker(**self.options(wire, route), **CLIENT_OPTIONS)
        return self.made[maker, route]


@pytest.fixture(scope="session")
def clients(stack):
    return Clients(stack)


@pytest.fixture
def openai_client(clients):
    return lambda route: clients(openai.OpenAI, "openai", route)


@pytest.fixture
def anthropic_client(clients):
    return lambda route: clients(anthropic.Anthropic, "anthropic", route)


@pytest.fixture
def google_client(clients):
    return clients.google


@pytest.fixture
def chat(openai_client, clients):
    """chat(lane, tag, **options): one OpenAI chat call whose last user message selects the scene `tag`."""

    def call(lane: Lane, tag: str, messages=None, **options):
        messages = messages or [{"role": "user", "content": prompt(tag)}]
        api = openai_client(lane.route).chat.completions
        return api.create(model=clients.model(lane.model), messages=messages, **options)

    return call


@pytest.fixture
def message(anthropic_client, clients):
    """message(lane, tag, **options): one Anthropic message call, like `chat`."""

    def call(lane: Lane, tag: str, messages=None, **options):
        messages = messages or [{"role": "user", "content": prompt(tag)}]
        api = anthropic_client(lane.route).messages
        return api.create(model=clients.model(lane.model), messages=messages, **{"max_tokens": 512, **options})

    return call


@pytest.fixture
def generate(google_client, clients):
    """generate(lane, tag, **config): one Gemini call, like `chat`; with stream=True the list of its chunks."""

    def call(lane: Lane, tag: str, contents=None, stream=False, **config):
        models = google_client(lane.route).models
        ask = {"model": clients.model(lane.model), "contents": contents or prompt(tag), "config": config or None}
        return list(models.generate_content_stream(**ask)) if stream else models.generate_content(**ask)

    return call


@pytest.fixture
def respond(openai_client, clients):
    """respond(lane, tag, **options): one call of the Responses API, like `chat`."""

    def call(lane: Lane, tag: str, **options):
        api = openai_client(lane.route).responses
        return api.create(**{"model": clients.model(lane.model), "input": prompt(tag), **options})

    return call


@pytest.fixture
def http(stack, clients):
    """A plain HTTP client, for what the SDKs hide: raw bytes and headers. Sends the caller's key in both forms."""
    key = clients.options("openai", "")["api_key"]
    headers = {"authorization": f"Bearer {key}", "x-api-key": key, "anthropic-version": "2023-06-01"}
    if stack.direct:
        headers.pop("x-api-key")
    with httpx.Client(base_url=stack.url, headers=headers, timeout=15.0) as client:
        yield client


@pytest.fixture(scope="session")
def numbers():
    return defaultdict(count)


@pytest.fixture
def fresh_model(numbers, clients):
    """fresh_model(wire, status): a model that always fails with `status`, on a provider no other test uses.

    With kind="retry" the provider may try twice; without a status the model fails as its scene says.
    """

    def make(wire: str, status: int | None = None, kind: str = "fresh"):
        name = f"{FAMILY[wire]}-fail-{status}" if status else f"{FAMILY[wire]}-shaky"
        return clients.model(f"{kind}-{wire}-{next(numbers[kind, wire])}/{name}")

    return make


SCENES = {}
for _entry in json.loads((HERE / "fixtures.json").read_text(encoding="utf-8"))["fixtures"]:
    _match = _entry["match"]
    _tag = _match.get("userMessage", _match.get("inputText", _match.get("model", ""))).strip("[]")
    _suffixes = {"hasToolResult": "/result", "systemMessage": "/system", "sequenceIndex": "/first"}
    _condition = next((suffix for name, suffix in _suffixes.items() if name in _match), "")
    SCENES[_tag + _condition] = _entry["response"]


def scene(tag: str) -> dict:
    """The scripted answer of the mock to `[tag]`; `tag/result`, `tag/system`, `tag/first` are its conditional ones."""
    return SCENES[tag]


def prompt(tag: str) -> str:
    return f"[{tag}] Please answer."
