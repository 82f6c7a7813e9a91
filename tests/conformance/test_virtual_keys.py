"""Virtual keys as the official SDKs see them: the key where each SDK puts its own, refusals as the SDK's exceptions."""

import os
import time

import anthropic
import boto3
import cohere
import httpx
import openai
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from google import genai
from google.genai import errors

from conftest import prompt
from gateway_config import CLAUDE, COMMAND, GEMINI, GPT, NOVA, UPSTREAM_KEYS, config

pytestmark = pytest.mark.gateway
MODELS = {
    "openai": f"openai/{GPT}",
    "anthropic": f"anthropic/{CLAUDE}",
    "gemini": f"gemini/{GEMINI}",
    "cohere": f"house-cohere/{COMMAND}",
    "bedrock": f"house-bedrock/{NOVA}",
}
LIMITED_FOR = "3s"


def value(name):
    return f"sk-bf-{name:0>36}"


def governed(upstream):
    """A configuration whose callers must have virtual keys: one key for each way to be refused."""
    full = config(upstream)
    wanted = [model.split("/")[0] for model in MODELS.values()]
    keys = {
        "good": {},
        "blocked": {"is_active": False},
        "narrow": {"provider_configs": [{"provider": name, "allowed_models": ["another"]} for name in wanted]},
        "elsewhere": {"provider_configs": [{"provider": "house-gpt"}]},
        "poor": {"budget": {"max_limit": 0.000000001, "reset_duration": "1d"}},
    }
    for dialect in MODELS:
        once = {"request_max_limit": 1, "request_reset_duration": LIMITED_FOR}
        keys[f"once-{dialect}"] = {"rate_limit": once}
    # Nobody but the provider itself knows the prices of one with a name of its own.
    price = {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6}
    for name in wanted:
        full["providers"][name]["pricing_overrides"] = [{"model_pattern": "*", "match_type": "wildcard", **price}]
    entries = [{"id": name, "name": name, "value": value(name), **rest} for name, rest in keys.items()]
    return {
        "client": {"enforce_auth_on_inference": True},
        "providers": {name: full["providers"][name] for name in [*wanted, "house-gpt"]},
        # Adaptively a first request goes while anything is left.
        "governance": {"reservations": "strict", "virtual_keys": entries},
    }


@pytest.fixture(scope="module")
def governed_url(stack):
    if stack.direct or not os.environ.get("BIFROST_BIN"):
        pytest.skip("needs a gateway of its own")
    if os.environ.get("CONFORMANCE_BASE_URL"):
        return stack.url  # the negative control's
    return stack.start_another("governed", governed(stack.tap.url))


class Caller:
    """Asks in one dialect with one virtual key; `refusal` gives status, headers and text of what was raised."""

    def __init__(self, url, dialect, key, retries=0):
        self.url, self.dialect, self.key, self.retries = url, dialect, value(key) if key else "no-virtual-key", retries

    def ask(self, streamed=False):
        return getattr(self, self.dialect)(prompt("plain"), streamed)

    def openai(self, text, streamed):
        client = openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.key, max_retries=self.retries)
        turns = [{"role": "user", "content": text}]
        return listed(client.chat.completions.create(model=MODELS["openai"], messages=turns, stream=streamed), streamed)

    def anthropic(self, text, streamed):
        client = anthropic.Anthropic(base_url=f"{self.url}/anthropic", api_key=self.key, max_retries=self.retries)
        turns = [{"role": "user", "content": text}]
        ask = {"model": MODELS["anthropic"], "max_tokens": 64, "messages": turns, "stream": streamed}
        return listed(client.messages.create(**ask), streamed)

    def gemini(self, text, streamed):
        options = {"base_url": f"{self.url}/genai", "api_version": "v1beta", "timeout": 15_000}
        # It closes its connections when nobody holds it any more.
        client = genai.Client(api_key=self.key, vertexai=False, http_options=options)
        call = client.models.generate_content_stream if streamed else client.models.generate_content
        return listed(call(model=MODELS["gemini"], contents=text), streamed)

    def cohere(self, text, streamed):
        client = cohere.ClientV2(self.key, base_url=f"{self.url}/cohere")
        call = client.chat_stream if streamed else client.chat
        turns = [{"role": "user", "content": text}]
        options = {"request_options": {"max_retries": self.retries, "timeout_in_seconds": 15}}
        return listed(call(model=MODELS["cohere"], messages=turns, **options), streamed)

    def bedrock(self, text, streamed):
        client = boto3.client(
            "bedrock-runtime",
            region_name="us-west-2",
            endpoint_url=f"{self.url}/bedrock",
            aws_access_key_id="AKIDNOBODY",
            aws_secret_access_key="nobody",
            config=Config(retries={"total_max_attempts": 1 + self.retries}, read_timeout=15),
        )
        # AWS's SDKs sign with a pair of keys; the virtual key stands beside that.
        if self.key.startswith("sk-bf-"):
            beside = lambda request, **_: request.headers.add_header("x-bf-vk", self.key)  # noqa: E731
            client.meta.events.register("before-sign.*", beside)
        ask = {"modelId": MODELS["bedrock"], "messages": [{"role": "user", "content": [{"text": text}]}]}
        return list(client.converse_stream(**ask)["stream"]) if streamed else client.converse(**ask)


def listed(answer, streamed):
    return list(answer) if streamed else answer


def refusal(raised):
    """Status, headers and text of an SDK's exception."""
    error = raised.value
    if isinstance(error, ClientError):
        about = error.response["ResponseMetadata"]
        return about["HTTPStatusCode"], about["HTTPHeaders"], str(error.response)
    if isinstance(error, errors.APIError):
        return error.code, error.response.headers, str(error.details)
    if isinstance(error, cohere.core.api_error.ApiError):
        return error.status_code, error.headers, str(error.body)
    return error.status_code, error.response.headers, error.response.text


CLASSES = {
    "openai": {
        401: openai.AuthenticationError,
        402: openai.APIStatusError,
        403: openai.PermissionDeniedError,
        429: openai.RateLimitError,
    },
    "anthropic": {
        401: anthropic.AuthenticationError,
        402: anthropic.APIStatusError,
        403: anthropic.PermissionDeniedError,
        429: anthropic.RateLimitError,
    },
    "gemini": dict.fromkeys((401, 402, 403, 429), errors.ClientError),
    "cohere": {
        401: cohere.UnauthorizedError,
        402: cohere.core.api_error.ApiError,
        403: cohere.ForbiddenError,
        429: cohere.TooManyRequestsError,
    },
    "bedrock": dict.fromkeys((401, 402, 403, 429), ClientError),
}
STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
DIALECTS = pytest.mark.parametrize("dialect", MODELS)


@STREAMED
@DIALECTS
def test_a_virtual_key_is_taken_where_the_sdk_puts_its_own_and_goes_no_further(governed_url, tap, dialect, streamed):
    assert Caller(governed_url, dialect, "good").ask(streamed)
    [seen] = tap.exchanges
    assert value("good") not in f"{seen.headers} {seen.path} {seen.body}"
    assert UPSTREAM_KEYS[dialect] in str(seen.headers)


@STREAMED
@DIALECTS
@pytest.mark.parametrize(
    ("key", "status"),
    [(None, 401), ("unknown", 403), ("blocked", 403), ("narrow", 403), ("elsewhere", 403), ("poor", 402)],
)
def test_a_refusal_is_the_exception_that_the_sdk_has_for_it(governed_url, tap, dialect, key, status, streamed):
    with pytest.raises(CLASSES[dialect][status]) as raised:
        Caller(governed_url, dialect, key).ask(streamed)
    told, headers, text = refusal(raised)
    assert told == status
    assert headers["x-request-id"] or headers["x-amzn-requestid"]
    # The key itself is told to nobody.
    assert not key or value(key) not in text
    assert not tap.exchanges, "nobody was asked"


@DIALECTS
def test_the_end_of_a_limit_is_told_and_kept(governed_url, dialect):
    caller = Caller(governed_url, dialect, f"once-{dialect}")
    caller.ask()
    with pytest.raises(CLASSES[dialect][429]) as raised:
        caller.ask()
    status, headers, _ = refusal(raised)
    wait = int(headers["retry-after"])
    assert status == 429 and 1 <= wait <= 3
    # As long as it says, by the clock of a caller that polls.
    limited_at = time.monotonic()
    while True:
        try:
            caller.ask()
            break
        except CLASSES[dialect][429]:
            assert time.monotonic() - limited_at < wait + 1
            time.sleep(0.05)


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_an_sdk_that_retries_waits_as_long_as_it_is_told(governed_url, dialect):
    caller = Caller(governed_url, dialect, f"once-{dialect}", retries=1)
    caller_once = Caller(governed_url, dialect, f"once-{dialect}")
    try:
        caller_once.ask()
    except CLASSES[dialect][429]:
        pass  # Used by the test before: as good.
    began = time.monotonic()
    assert caller.ask()
    assert time.monotonic() - began < 4


def test_a_key_sees_the_models_it_may_use(governed_url):
    def names(key):
        answer = httpx.get(f"{governed_url}/v1/models", headers={"authorization": f"Bearer {value(key)}"})
        assert answer.status_code == 200, answer.text
        return {model["id"] for model in answer.json()["data"]}

    assert MODELS["openai"] in names("good") and MODELS["anthropic"] in names("good")
    assert names("elsewhere") and all(name.startswith("house-gpt/") for name in names("elsewhere"))
