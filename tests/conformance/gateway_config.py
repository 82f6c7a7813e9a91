"""The configuration the gateway runs with, and the models and routes the tests walk through."""

from dataclasses import dataclass

UPSTREAM_KEYS = {"openai": "upstream-key-of-openai", "anthropic": "upstream-key-of-anthropic"}
CALLER_KEY = "the-callers-own-key"
GPT, CLAUDE, EMBEDDER = "gpt-4o-mini", "claude-sonnet-4-6", "text-embedding-3-small"
FAMILY = {"openai": "gpt", "anthropic": "claude"}
FAILURES = (400, 401, 404, 429, 500)
MODELS = {"openai": [GPT, EMBEDDER], "anthropic": [CLAUDE]}
# A failing upstream leaves its mark on a provider (cool-down of its key), so each failing test takes a fresh one.
FRESH_PROVIDERS, RETRY_PROVIDERS = 120, 20


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
]


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


def config(upstream: str) -> dict:
    """Config for a gateway whose every provider is the mock at `upstream`."""
    providers = {wire: provider(wire, upstream, MODELS[wire], custom=False) for wire in UPSTREAM_KEYS}
    providers["house-gpt"] = provider("openai", upstream, MODELS["openai"])
    providers["house-claude"] = provider("anthropic", upstream, MODELS["anthropic"])
    for wire, family in FAMILY.items():
        broken = [f"{family}-fail-{status}" for status in FAILURES]
        for number in range(FRESH_PROVIDERS):
            providers[f"fresh-{wire}-{number}"] = provider(wire, upstream, broken)
        for number in range(RETRY_PROVIDERS):
            models = [f"{family}-shaky", *broken]
            providers[f"retry-{wire}-{number}"] = provider(wire, upstream, models, max_retries=1)
    return {"providers": providers}
