"""The configuration the gateway runs with, and the models and routes the tests walk through."""

from dataclasses import dataclass

from bedrock_gaps import ACCESS_KEY, REGION, SECRET_KEY

UPSTREAM_KEYS = {
    "openai": "upstream-key-of-openai",
    "anthropic": "upstream-key-of-anthropic",
    "gemini": "upstream-key-of-gemini",
    "bedrock": "upstream-key-of-bedrock",
    "cohere": "upstream-key-of-cohere",
}
CALLER_KEY = "the-callers-own-key"
# What AWS's SDKs sign with: the gateway checks each of their requests.
CALLER_ACCESS_KEY, CALLER_SECRET_KEY = "AKIDCALLER", "the-callers-own-secret"
GPT, CLAUDE, EMBEDDER = "gpt-4o-mini", "claude-sonnet-4-6", "text-embedding-3-small"
GEMINI, GEMINI_EMBEDDER = "gemini-2.5-flash", "gemini-embedding-001"
NOVA, BEDROCK_CLAUDE = "amazon.nova-pro-v1:0", "anthropic.claude-sonnet-4-5-20250929-v1:0"
COMMAND, COHERE_EMBEDDER, RERANKER = "command-a-03-2025", "embed-v4.0", "rerank-v3.5"
FAMILY = {"openai": "gpt", "anthropic": "claude", "gemini": "gemini", "bedrock": "claude", "cohere": "gpt"}
FAILURES = (400, 401, 404, 429, 500)
MODELS = {
    "openai": [GPT, EMBEDDER],
    "anthropic": [CLAUDE],
    "gemini": [GEMINI, GEMINI_EMBEDDER],
    "bedrock": [NOVA, BEDROCK_CLAUDE],
    "cohere": [COMMAND, COHERE_EMBEDDER, RERANKER],
}
# A failing upstream leaves its mark on a provider (cool-down of its key), so each failing test takes a fresh one.
FRESH_PROVIDERS, RETRY_PROVIDERS = 200, 20


@dataclass(frozen=True)
class Lane:
    """One way to a model: the path a client is pointed at, the model it names, the wire of the upstream it means."""

    route: str
    model: str
    wire: str

    def __str__(self):
        return f"{self.route or 'root'}:{self.model}"


OPENAI_ROUTES = ["/openai", "/openai/v1", "/v1"]
OPENAI_LANES = [
    Lane("/openai", GPT, "openai"),
    Lane("/openai/v1", f"openai/{GPT}", "openai"),
    Lane("/v1", GPT, "openai"),
    Lane("/v1", f"openai/{GPT}", "openai"),
    Lane("/v1", f"house-gpt/{GPT}", "openai"),
    Lane("/openai", f"anthropic/{CLAUDE}", "anthropic"),
    Lane("/openai/v1", f"house-claude/{CLAUDE}", "anthropic"),
    Lane("/v1", f"anthropic/{CLAUDE}", "anthropic"),
    Lane("/openai", f"gemini/{GEMINI}", "gemini"),
    Lane("/v1", GEMINI, "gemini"),
]
# The Responses dialect: `wire` is that of the upstream. Of `house-chat` and `house-host` only chat can be had: the one
# is allowed no more, the other is of a kind that has no more.
RESPONSES_LANES = [
    Lane("/openai", GPT, "responses"),
    Lane("/openai/v1", f"openai/{GPT}", "responses"),
    Lane("/v1", f"house-gpt/{GPT}", "responses"),
    Lane("/openai/v1", f"house-host/{GPT}", "openai"),
    Lane("/v1", f"house-chat/{GPT}", "openai"),
    Lane("/openai/v1", f"anthropic/{CLAUDE}", "anthropic"),
    Lane("/v1", f"house-claude/{CLAUDE}", "anthropic"),
]
ANTHROPIC_ROUTES = ["/anthropic", ""]
ANTHROPIC_LANES = [
    Lane("/anthropic", CLAUDE, "anthropic"),
    Lane("/anthropic", f"house-claude/{CLAUDE}", "anthropic"),
    Lane("", CLAUDE, "anthropic"),
    Lane("", f"anthropic/{CLAUDE}", "anthropic"),
    Lane("/anthropic", f"openai/{GPT}", "openai"),
    Lane("/anthropic", f"house-gpt/{GPT}", "openai"),
    Lane("", f"openai/{GPT}", "openai"),
    Lane("/anthropic", f"gemini/{GEMINI}", "gemini"),
]
# The last part is the API version: Google's SDKs take it apart from the base URL.
GEMINI_ROUTES = ["/genai/v1beta", "/genai/v1", "/v1beta", "/v1"]
GEMINI_LANES = [
    Lane("/genai/v1beta", GEMINI, "gemini"),
    Lane("/genai/v1", f"gemini/{GEMINI}", "gemini"),
    Lane("/v1beta", GEMINI, "gemini"),
    Lane("/v1", f"house-gemini/{GEMINI}", "gemini"),
    Lane("/genai/v1beta", f"openai/{GPT}", "openai"),
    Lane("/v1beta", f"house-gpt/{GPT}", "openai"),
    Lane("/genai/v1", f"anthropic/{CLAUDE}", "anthropic"),
    Lane("/v1beta", f"house-claude/{CLAUDE}", "anthropic"),
]
# `bedrock` is signed for with SigV4, `house-bedrock` with a Bedrock API key.
BEDROCK_LANES = [
    Lane("/bedrock", NOVA, "bedrock"),
    Lane("/bedrock", f"house-bedrock/{NOVA}", "bedrock"),
    Lane("/bedrock", f"openai/{GPT}", "openai"),
    Lane("/bedrock", f"house-claude/{CLAUDE}", "anthropic"),
    Lane("/bedrock", f"cohere/{COMMAND}", "cohere"),
]
INVOKE_LANES = [
    Lane("/bedrock", BEDROCK_CLAUDE, "bedrock"),
    Lane("/bedrock", f"house-bedrock/{BEDROCK_CLAUDE}", "bedrock"),
    Lane("/bedrock", f"house-claude/{CLAUDE}", "anthropic"),
    Lane("/bedrock", f"openai/{GPT}", "openai"),
]
COHERE_LANES = [
    Lane("/cohere", COMMAND, "cohere"),
    Lane("", f"house-cohere/{COMMAND}", "cohere"),
    Lane("/cohere", f"openai/{GPT}", "openai"),
    Lane("/cohere", f"anthropic/{CLAUDE}", "anthropic"),
    Lane("/cohere", f"bedrock/{NOVA}", "bedrock"),
]
# OpenAI callers of the two wires above.
OPENAI_OUT_LANES = [
    Lane("/openai", f"bedrock/{NOVA}", "bedrock"),
    Lane("/v1", f"house-bedrock/{NOVA}", "bedrock"),
    Lane("/openai/v1", f"cohere/{COMMAND}", "cohere"),
    Lane("/v1", f"house-cohere/{COMMAND}", "cohere"),
]
# Clients of OpenAI's dialect that are not OpenAI's own.
COMPATIBLE_LANES = [lane for lane in OPENAI_LANES if lane.route == "/v1"] + OPENAI_OUT_LANES


def provider(wire: str, upstream: str, models: list[str], custom: bool = True, max_retries: int = 0) -> dict:
    entry = {
        "keys": [{"name": "main", "value": UPSTREAM_KEYS[wire], "weight": 1.0, "models": models}],
        "network_config": {
            "base_url": upstream,
            "max_retries": max_retries,
            "retry_backoff_initial": 10,
            "retry_backoff_max": 50,
            "default_request_timeout_in_seconds": 10,
        },
    }
    if custom:
        entry["custom_provider_config"] = {"base_provider_type": wire}
    return entry


def signed_bedrock(upstream: str) -> dict:
    entry = provider("bedrock", upstream, MODELS["bedrock"], custom=False)
    settings = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY, "region": REGION}
    entry["keys"] = [{"name": "main", "weight": 1.0, "models": MODELS["bedrock"], "bedrock_key_config": settings}]
    return entry


def config(upstream: str) -> dict:
    """Config for a gateway whose every provider is the mock at `upstream`."""
    providers = {wire: provider(wire, upstream, MODELS[wire], custom=False) for wire in UPSTREAM_KEYS}
    providers["bedrock"] = signed_bedrock(upstream)
    providers["house-bedrock"] = provider("bedrock", upstream, MODELS["bedrock"])
    providers["house-cohere"] = provider("cohere", upstream, MODELS["cohere"])
    providers["house-gpt"] = provider("openai", upstream, MODELS["openai"])
    chat_only = providers["house-chat"] = provider("openai", upstream, MODELS["openai"])
    chat_only["custom_provider_config"]["allowed_requests"] = {"chat_completion": True, "chat_completion_stream": True}
    host = providers["house-host"] = provider("openai", upstream, MODELS["openai"])
    host["custom_provider_config"]["base_provider_type"] = "hyperbolic"
    providers["house-claude"] = provider("anthropic", upstream, MODELS["anthropic"])
    providers["house-gemini"] = provider("gemini", upstream, MODELS["gemini"])
    for wire, family in FAMILY.items():
        broken = [f"{family}-fail-{status}" for status in FAILURES]
        for number in range(FRESH_PROVIDERS):
            providers[f"fresh-{wire}-{number}"] = provider(wire, upstream, broken)
        for number in range(RETRY_PROVIDERS):
            models = [f"{family}-shaky", *broken]
            providers[f"retry-{wire}-{number}"] = provider(wire, upstream, models, max_retries=1)
    callers = [{"access_key": CALLER_ACCESS_KEY, "secret_key": CALLER_SECRET_KEY}]
    # The administration answers whoever is on this machine.
    governance = {"auth_config": {"is_enabled": False}}
    return {"client": {"aws_access_keys": callers}, "providers": providers, "governance": governance}
