#!/usr/bin/env python3
"""Writes conf/catalog.json: the prices and context windows the gateway ships with.

    python3 -m venv .venv && .venv/bin/pip install genai-prices
    python3 -m pip download --no-deps litellm -d wheels
    .venv/bin/python conf/make-catalog.py --litellm wheels/litellm-*.whl [--date YYYY-MM-DD] [--out conf/catalog.json]

Sources: the price table inside the package litellm (https://github.com/BerriAI/litellm) and the data of
the package genai-prices (https://github.com/pydantic/genai-prices), both MIT; nothing is fetched here. The
same packages and date give the same file. The licence texts are in conf/catalog.LICENSE.

What is kept, and how:
* The fields are LiteLLM's, dollars per unit as decimal numbers. What arithmetic in floats left behind the
  fifteenth place is rounded away: that is the unit in which the gateway counts.
* Where both sources have a model, LiteLLM's row counts: it has the service tiers, lengths of prompt and
  places that the other lacks. genai-prices adds the models and providers that LiteLLM lacks, other names of
  the same model as `aliases`, and, where the two agree on input and output, the price of a class for which
  LiteLLM has none (searches, caches, audio). How often and how far the two differ is printed.
* Of two LiteLLM rows for one model, the one whose key has the provider in it counts; prices of a region go
  under `provider/region`.
* Fields of zero or of things that are no price are left out; `"partial": true` says that there is a further
  price (per second, per character, ...) that the gateway does not count; `"timed": true` that there are
  hours at a lower price.
* Rows of images by size and quality, and of capacity by the month, are left out: nothing here counts them.
* Of dated prices of genai-prices the one valid on the date counts, of prices by time of day the highest.
* Providers stand in order of preference for a bare model name: vendors of models first, then hosts.
  `fallbacks` names the providers whose prices hold where a provider resells their models. `names` are
  LiteLLM's names of our providers, so that a user's own table is read the same way.
"""

import argparse
import datetime
import json
import re
import zipfile
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from importlib.metadata import metadata
from pathlib import Path

from genai_prices import types
from genai_prices.data import providers as GENAI

# (our name, LiteLLM's names of it, genai-prices' name). The order is the order of preference.
PROVIDERS = [
    ("openai", ["openai", "text-completion-openai"], "openai"),
    ("anthropic", ["anthropic"], "anthropic"),
    ("gemini", ["gemini"], "google"),
    ("mistral", ["mistral", "codestral", "text-completion-codestral"], "mistral"),
    ("deepseek", ["deepseek"], "deepseek"),
    ("xai", ["xai"], "x-ai"),
    ("cohere", ["cohere_chat", "cohere"], "cohere"),
    ("perplexity", ["perplexity"], "perplexity"),
    ("moonshot", ["moonshot"], "moonshotai"),
    ("zai", ["zai"], "zai"),
    ("zhipu", ["bigmodel"], "zhipuai"),
    ("minimax", ["minimax"], "minimax"),
    ("voyage", ["voyage"], "voyageai"),
    ("dashscope", ["dashscope"], None),
    ("volcengine", ["volcengine"], None),
    ("ai21", ["ai21"], None),
    ("jina", ["jina_ai"], None),
    ("elevenlabs", ["elevenlabs"], None),
    ("stability", ["stability"], None),
    ("bfl", ["black_forest_labs"], None),
    ("recraft", ["recraft"], None),
    (
        "vertex",
        [
            "vertex_ai", "vertex_ai-language-models", "vertex_ai-anthropic_models", "vertex_ai-mistral_models",
            "vertex_ai-llama_models", "vertex_ai-embedding-models", "vertex_ai-ai21_models",
            "vertex_ai-deepseek_models", "vertex_ai-qwen_models", "vertex_ai-zai_models",
            "vertex_ai-openai_models", "vertex_ai-text-models", "vertex_ai-minimax_models",
            "vertex_ai-moonshot_models", "vertex_ai-video-models",
        ],
        "google",
    ),
    ("azure", ["azure", "azure_ai", "azure_text"], "azure"),
    ("bedrock", ["bedrock_converse", "bedrock", "amazon_nova"], "aws"),
    ("bedrock_mantle", ["bedrock_mantle"], None),
    ("anthropic_aws", [], None),
    ("groq", ["groq"], "groq"),
    ("cerebras", ["cerebras"], "cerebras"),
    ("fireworks", ["fireworks_ai", "fireworks_ai-embedding-models"], "fireworks"),
    ("together", ["together_ai"], "together"),
    ("deepinfra", ["deepinfra"], None),
    ("novita", ["novita"], "novita"),
    ("baseten", ["baseten"], "baseten"),
    ("cloudflare", ["cloudflare"], "cloudflare"),
    ("databricks", ["databricks"], "databricks"),
    ("nebius", ["nebius"], None),
    ("sambanova", ["sambanova"], None),
    ("nscale", ["nscale"], None),
    ("scaleway", ["scaleway"], None),
    ("hyperbolic", ["hyperbolic"], None),
    ("lambda", ["lambda_ai"], None),
    ("friendli", ["friendliai"], None),
    ("featherless", ["featherless_ai"], None),
    ("nvidia_nim", ["nvidia_nim"], None),
    ("wandb", ["wandb"], None),
    ("publicai", ["publicai"], None),
    ("aimlapi", ["aiml"], None),
    ("replicate", ["replicate"], None),
    ("watsonx", ["watsonx"], None),
    ("oci", ["oci"], None),
    ("snowflake", ["snowflake"], None),
    ("ovhcloud", ["ovhcloud"], "ovhcloud"),
    ("github_copilot", ["github_copilot"], "github-copilot"),
    ("vercel", ["vercel_ai_gateway"], None),
    ("openrouter", ["openrouter"], "openrouter"),
]
# Claude on AWS is kept under Bedrock's name there.
MOVED = {"bedrock/claude_platform/": "anthropic_aws"}
FALLBACKS = {
    "vertex": ["gemini", "anthropic"],
    "azure": ["openai", "anthropic", "deepseek", "xai", "moonshot"],
    "anthropic_aws": ["anthropic"],
}
# Their APIs take names with a path only; the bare names the source also has lead nowhere.
PATHS_ONLY = {"openrouter", "fireworks", "together", "baseten", "cloudflare"}
# genai-prices' fields in dollars per million: LiteLLM's.
GENAI_FIELDS = {
    "input_mtok": "input_cost_per_token",
    "output_mtok": "output_cost_per_token",
    "cache_read_mtok": "cache_read_input_token_cost",
    "cache_write_mtok": "cache_creation_input_token_cost",
    "cache_write_1h_mtok": "cache_creation_input_token_cost_above_1hr",
    "input_audio_mtok": "input_cost_per_audio_token",
    "output_audio_mtok": "output_cost_per_audio_token",
    "cache_audio_read_mtok": "cache_read_input_audio_token_cost",
    "input_image_mtok": "input_cost_per_image_token",
    "output_image_mtok": "output_cost_per_image_token",
}
# Prices that no answer of the endpoints here can cause (searches in stored files).
IRRELEVANT = {"storage_searches_kcount"}
CLASSES = (
    "input_cost_per_token|output_cost_per_token|cache_read_input_token_cost|cache_read_input_audio_token_cost"
    "|cache_creation_input_token_cost|cache_creation_input_token_cost_above_1hr|output_cost_per_reasoning_token"
    "|input_cost_per_audio_token|output_cost_per_audio_token|input_cost_per_image_token"
    "|output_cost_per_image_token|input_cost_per_image|output_cost_per_image|input_cost_per_request"
    "|input_cost_per_query"
)
PRICE = re.compile(rf"^({CLASSES})(_above_\d+k_tokens)?(_batches|_flex|_priority|_ultrafast)?$")
UPLIFT = re.compile(r"^regional_(processing_uplift_multiplier_(us|eu)|endpoint_uplift_multiplier)$")
AREAS = {"us", "eu", "ap", "apac", "ca", "sa", "me", "af", "il", "mx", "au", "jp", "in", "uk", "asia", "global"}
SIZES = re.compile(r"(^|/)(\d+-x-\d+|max-x-max|low|medium|high|standard|hd)/|commitment/|/\*$|(^|/)\*")
PLACES = Decimal("1e-15")
OTHER = re.compile(
    r"^(chatgpt|gpt)-image|whisper|transcri|\btts\b|speech|orpheus|rerank|realtime|\blive\b|sonic|\bveo|dall-e"
)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--litellm", type=Path, required=True, help="the wheel")
    options.add_argument("--date", type=datetime.date.fromisoformat, default=datetime.datetime.now(datetime.UTC).date())
    options.add_argument("--out", type=Path, default=Path(__file__).with_name("catalog.json"))
    chosen = options.parse_args()
    version, table = litellm_table(chosen.litellm)
    groups = litellm_groups(table)
    noon = datetime.datetime.combine(chosen.date, datetime.time(12), datetime.UTC)
    by_id = {provider.id: provider for provider in GENAI}
    seen = Counter()
    for name, _, theirs in PROVIDERS:
        if theirs:
            add_genai(groups.setdefault(name, {}), name, by_id[theirs], noon, seen)
    order = [name for name, _, _ in PROVIDERS]
    names = sorted(groups, key=lambda name: (order.index(name.split("/")[0]), name))
    lines = [f"{dump(key)}: {dump(value)}," for key, value in head_of(version, chosen.date).items()]
    blocks, count = [], 0
    for name in names:
        rows = sorted((row for row in groups[name].items() if row[1]), key=lambda pair: pair[0].lower())
        count += len(rows)
        body = ",\n".join(f"{dump(model)}:{dump(row)}" for model, row in rows)
        blocks.append(f"{dump(name)}: {{\n{body}\n}}")
    text = "{\n" + "\n".join(lines) + '\n"providers": {\n' + ",\n".join(blocks) + "\n}\n}\n"
    json.loads(text)
    chosen.out.write_text(text, encoding="utf-8")
    print(f"{chosen.out.name}: {count} models in {len(names)} groups, {len(text.encode())} bytes; {dict(seen)}")


def litellm_table(wheel):
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read("litellm/model_prices_and_context_window_backup.json").decode()
    return wheel.name.split("-")[1], json.loads(text, parse_float=Decimal, parse_int=Decimal)


def head_of(version, date):
    package = metadata("genai-prices")
    return {
        "source": "packages litellm and genai-prices, by conf/make-catalog.py",
        "version": f"litellm {version}, genai-prices {package['Version']}",
        "license": "MIT",
        "copyright": "Copyright (c) 2023 Berri AI; Copyright (c) Pydantic Services Inc. 2025 to present",
        "generated": date.isoformat(),
        "fallbacks": FALLBACKS,
        "names": {theirs: ours for ours, names, _ in PROVIDERS for theirs in names},
    }


class Number(float):
    """A decimal that json writes as it is."""

    def __new__(cls, value):
        made = super().__new__(cls, value)
        made.text = format(value.quantize(PLACES, ROUND_HALF_UP).normalize(), "g").replace("E", "e").replace("e+", "e")
        return made

    def __repr__(self):
        return self.text


def dump(value):
    if isinstance(value, Number):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{dump(k)}:{dump(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(dump(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def litellm_groups(table):
    """Our provider, or provider/region: model: row."""
    ours = {theirs: (name, at) for name, names, _ in PROVIDERS for at, theirs in enumerate(names)}
    found = []
    for at, (key, row) in enumerate(table.items()):
        theirs = row.get("litellm_provider")
        if key == "sample_spec" or theirs not in ours:
            continue
        name, rank = ours[theirs]
        model, prefixed = key, False
        first = key.split("/")[0]
        for prefix, provider in MOVED.items():
            if key.startswith(prefix):
                name, model, prefixed = provider, key.removeprefix(prefix), True
        if model is key and "/" in key and (first == theirs or ours.get(first, ("", 0))[0] == name):
            model, prefixed = key.split("/", 1)[1], True
        if SIZES.search(model):
            continue
        region, _, rest = model.partition("/")
        if rest and is_region(region):
            name, model = f"{name}/{region}", rest
        found.append((name, model, (not prefixed, rank, at), row))
    groups = {}
    for name, model, _, row in sorted(found, key=lambda item: item[2]):
        group = groups.setdefault(name, {})
        if model.lower() in (known.lower() for known in group):
            continue
        group[model] = litellm_row(row)
    return groups


def is_region(text):
    area, *rest = text.split("-")
    return area in AREAS and all(re.fullmatch(r"[a-z0-9]{1,10}", part) for part in rest)


def litellm_row(row):
    """What is kept of a row; None without a price."""
    kept, partial = {}, False
    for name, value in row.items():
        if PRICE.match(name) or UPLIFT.match(name):
            if value is not None:
                kept[name] = Number(Decimal(value))
        elif "cost_per_" in name and "_dbu_" not in name and isinstance(value, Decimal) and value:
            partial = True
    searches = {k: v for k, v in (row.get("search_context_cost_per_query") or {}).items() if v is not None}
    if searches and set(searches.values()) != {0}:
        middle = searches.get("search_context_size_medium")
        sizes = {k: Number(v) for k, v in sorted(searches.items()) if v != middle or k.endswith("medium")}
        kept["search_context_cost_per_query"] = sizes
    extra = row.get("provider_specific_entry") or {}
    factors = {k: Number(v) for k, v in extra.items() if k in ("us", "fast") and isinstance(v, Decimal)}
    if factors:
        kept["provider_specific_entry"] = factors
    tiers = []
    for tier in row.get("tiered_pricing") or []:
        prices = {k: Number(v) for k, v in tier.items() if PRICE.match(k)}
        if prices:
            tiers.append({"range": [int(edge) for edge in tier["range"]], **prices})
    if tiers:
        kept["tiered_pricing"] = tiers
    if not any(PRICE.match(name) for name in kept) and not tiers:
        return None
    for name in ("max_input_tokens", "max_output_tokens"):
        if isinstance(row.get(name), Decimal):
            kept[name] = int(row[name])
    mode = row.get("mode") or "chat"
    if mode not in ("chat", "responses"):
        kept["mode"] = mode
    if "off_peak_pricing" in row:
        kept["timed"] = True
    if partial:
        kept["partial"] = True
    return kept


def add_genai(group, name, provider, noon, seen):
    """Adds what the group lacks, and aliases to what it has."""
    taken = {model.lower(): model for model in group}
    for model in provider.models:
        # Google sells Claude on Vertex only.
        if provider.id == "google" and ("claude" in model.id) != (name == "vertex"):
            continue
        names = names_of(provider, model)
        known = next((taken[n.lower()] for n in names if n.lower() in taken), None)
        row = genai_row(model, names, noon)
        if known is None:
            names = [n for n in names if n.lower() not in taken]
            if not names or row is None:
                continue
            known, group[names[0]] = names[0], row
            seen["added"] += 1
        elif row and group[known]:
            if compare(group[known], row, f"{name}/{known}", seen):
                fill(group[known], row, seen)
        elif group[known] is None:
            group[known] = row
        fresh = [n for n in names if n.lower() not in taken and n != known]
        taken.update({n.lower(): known for n in [known, *fresh]})
        if fresh and group[known]:
            group[known].setdefault("aliases", []).extend(fresh)


def fill(ours, theirs, seen):
    """What ours says nothing of at any length of prompt."""
    for field in [*GENAI_FIELDS.values(), "search_context_cost_per_query"]:
        if field in theirs and not any(own.startswith(field) for own in ours):
            ours[field] = theirs[field]
            seen["filled"] += 1


def compare(ours, theirs, name, seen):
    """Whether they agree on input and output."""
    before = seen["differ"]
    for field in ("input_cost_per_token", "output_cost_per_token"):
        if field in ours and field in theirs:
            differs = ours[field].text != theirs[field].text
            seen["same" if not differs else "differ"] += 1
            if differs:
                print(f"differ: {name} {field}: litellm {ours[field].text}, genai-prices {theirs[field].text}")
    return seen["differ"] == before


def names_of(provider, model):
    """The model's names, the one to call it by first; each resolves to it by the source's own rules."""
    names = []
    for candidate in [model.id.removeprefix("regional."), *texts(model.match)]:
        candidate = candidate.lstrip("/").rstrip("/-@:")
        own_prefix = candidate.lower().startswith((provider.id + "/", provider.id + ":"))
        known = candidate.lower() in (n.lower() for n in names)
        pathless = provider.id in PATHS_ONLY and "/" not in candidate
        if not candidate or own_prefix or known or pathless or provider.find_model(candidate) is not model:
            continue
        names.append(candidate)
    return [n for n in names if not reached_by_rule(n, names)]


def reached_by_rule(name, names):
    """The lookup itself drops dates and `-latest`: an alias it would reach that way is dead weight."""
    short = re.sub(r"(-\d{4}-\d{2}-\d{2}|-\d{8}|-latest)$", "", name)
    return short != name and name != names[0] and short in names


def texts(match):
    """The plain texts of a match, from the exact to the vague."""
    if isinstance(match, types.ClauseOr):
        return [text for part in match.or_ for text in texts(part)]
    for field in ("equals", "starts_with", "contains", "ends_with"):
        if hasattr(match, field):
            return [getattr(match, field)]
    return []


def genai_row(model, names, noon):
    if not names:
        return None
    prices = {k: v for k, v in model.get_prices(noon).__dict__.items() if v is not None and not k.startswith("_")}
    row = {}
    for theirs, ours in GENAI_FIELDS.items():
        if theirs in prices:
            per_token(row, ours, prices.pop(theirs))
    if "requests_kcount" in prices:
        row["input_cost_per_request"] = Number(base_of(prices.pop("requests_kcount")) / 1000)
    if "input_cost_per_token" not in row and "output_cost_per_token" not in row:
        return None
    if "web_searches_kcount" in prices:
        each = Number(base_of(prices.pop("web_searches_kcount")) / 1000)
        row["search_context_cost_per_query"] = {"search_context_size_medium": each}
    if model.context_window:
        row["max_input_tokens"] = model.context_window
    mode = mode_of(names, row)
    if mode != "chat":
        row["mode"] = mode
    if isinstance(model.prices, list) and any(
        isinstance(price.constraint, types.TimeOfDateConstraint) for price in model.prices
    ):
        row["timed"] = True
    if set(prices) - IRRELEVANT:
        row["partial"] = True
    return row


def per_token(row, field, value):
    """A price, or one for each length of prompt: above a threshold it holds for the whole request."""
    million = Decimal(10) ** 6
    row[field] = Number(base_of(value) / million)
    for tier in value.tiers if isinstance(value, types.TieredPrices) else []:
        price, (thousands, rest) = Number(Decimal(tier.price) / million), divmod(tier.start, 1000)
        if rest:
            ranges = row.setdefault("tiered_pricing", [])
            range_ = next((r for r in ranges if r["range"] == [tier.start]), None)
            if range_ is None:
                ranges.append(range_ := {"range": [tier.start]})
            range_[field] = price
        else:
            row[f"{field}_above_{thousands}k_tokens"] = price


def mode_of(names, row):
    name = " ".join(names).lower()
    if "embed" in name or re.search(r"\bbge-(?!rerank)|\bgte-|\be5-|\bvoyage-(?!rerank)", name):
        return "embedding"
    if OTHER.search(name):
        return "other"
    return "chat" if "output_cost_per_token" in row else "other"


def base_of(value):
    return Decimal(value.base if isinstance(value, types.TieredPrices) else value)


if __name__ == "__main__":
    main()
