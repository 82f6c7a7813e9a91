#!/usr/bin/env python3
"""Writes conf/catalog.json: the prices and context windows the gateway ships with.

    python3 -m venv .venv && .venv/bin/pip install genai-prices
    .venv/bin/python conf/make-catalog.py [--date YYYY-MM-DD] [--out conf/catalog.json]

Source: the data inside the MIT-licensed package genai-prices (https://github.com/pydantic/genai-prices),
installed beforehand; nothing is fetched here. The same package version and date give the same file.

What is kept, and how:
* Prices are decimal strings, US dollars per million tokens (`web_search`: dollars per search), exactly as
  published. The few that are no whole number of nano-dollars (thirds, twelfths) are rounded to one, and
  named in the output.
* Of tiered prices the lowest tier, with `"tiered": true`; of dated prices the one valid on the date; of
  prices by time of day the one at noon UTC, with `"timed": true`.
* `"partial": true`: the source has a further price (per image, per request, ...) that is not carried.
* The licence text that goes with the data is conf/catalog.LICENSE.
* A model is listed under the name its provider's API takes. Aliases are names the source's own matching
  resolves to the same model; each is checked against it, and one that leads elsewhere is left out.
* The source has no kind of model: `mode` is told from the name and the missing output price.
* Providers stand in order of preference for a bare model name: vendors of models first, then hosts.
  `fallbacks` names the providers whose prices hold where a provider resells their models.
"""

import argparse
import datetime
import json
import re
from decimal import ROUND_HALF_UP, Decimal
from importlib.metadata import metadata
from pathlib import Path

from genai_prices import types
from genai_prices.data import providers as SOURCE

# (our name, theirs). The order is the order of preference.
PROVIDERS = [
    ("openai", "openai"),
    ("anthropic", "anthropic"),
    ("gemini", "google"),
    ("mistral", "mistral"),
    ("deepseek", "deepseek"),
    ("xai", "x-ai"),
    ("cohere", "cohere"),
    ("perplexity", "perplexity"),
    ("moonshot", "moonshotai"),
    ("zai", "zai"),
    ("zhipu", "zhipuai"),
    ("minimax", "minimax"),
    ("voyage", "voyageai"),
    ("vertex", "google"),
    ("azure", "azure"),
    ("bedrock", "aws"),
    ("groq", "groq"),
    ("cerebras", "cerebras"),
    ("fireworks", "fireworks"),
    ("together", "together"),
    ("novita", "novita"),
    ("baseten", "baseten"),
    ("cloudflare", "cloudflare"),
    ("databricks", "databricks"),
    ("ovhcloud", "ovhcloud"),
    ("github-copilot", "github-copilot"),
    ("openrouter", "openrouter"),
]
FALLBACKS = {
    "vertex": ["gemini", "anthropic"],
    "azure": ["openai", "anthropic", "deepseek", "xai", "moonshot"],
}
# Their APIs take names with a path only; the bare names the source also has lead nowhere.
PATHS_ONLY = {"openrouter", "fireworks", "together", "baseten", "cloudflare"}
PRICES = [
    ("input", "input_mtok"),
    ("output", "output_mtok"),
    ("cache_read", "cache_read_mtok"),
    ("cache_write", "cache_write_mtok"),
    ("cache_write_1h", "cache_write_1h_mtok"),
    ("audio_input", "input_audio_mtok"),
    ("audio_output", "output_audio_mtok"),
]
# Prices that no answer of the endpoints here can cause (searches in stored files).
IRRELEVANT = {"storage_searches_kcount"}
NANO = Decimal("1e-9")
# Models that answer neither chat nor embeddings. Guards, OCR and image models that do speak chat stay chat.
OTHER = re.compile(
    r"^(chatgpt|gpt)-image|whisper|transcri|\btts\b|speech|orpheus|rerank|realtime|\blive\b|sonic|\bveo|dall-e"
)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--date", type=datetime.date.fromisoformat, default=datetime.datetime.now(datetime.UTC).date())
    options.add_argument("--out", type=Path, default=Path(__file__).with_name("catalog.json"))
    chosen = options.parse_args()
    noon = datetime.datetime.combine(chosen.date, datetime.time(12), datetime.UTC)
    by_id = {provider.id: provider for provider in SOURCE}
    lines = [f"{dump(key)}: {dump(value)}," for key, value in head_of(chosen.date).items()]
    blocks, count = [], 0
    for name, theirs in PROVIDERS:
        rows = rows_of(name, by_id[theirs], noon)
        count += len(rows)
        body = ",\n".join(f"{dump(model)}:{dump(row)}" for model, row in rows)
        blocks.append(f"{dump(name)}: {{\n{body}\n}}")
    text = "{\n" + "\n".join(lines) + '\n"providers": {\n' + ",\n".join(blocks) + "\n}\n}\n"
    json.loads(text)
    chosen.out.write_text(text, encoding="utf-8")
    print(f"{chosen.out.name}: {count} models of {len(PROVIDERS)} providers, {len(text.encode())} bytes")


def head_of(date):
    package = metadata("genai-prices")
    return {
        "source": "https://github.com/pydantic/genai-prices (package genai-prices), by conf/make-catalog.py",
        "version": package["Version"],
        "license": package["License-Expression"],
        "copyright": "Copyright (c) Pydantic Services Inc. 2025 to present",
        "generated": date.isoformat(),
        "fallbacks": FALLBACKS,
    }


def dump(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def rows_of(name, provider, noon):
    """(model name, row) pairs sorted by name; no name twice, in any case."""
    rows, taken = [], set()
    for model in provider.models:
        # Google sells Claude on Vertex only.
        if provider.id == "google" and ("claude" in model.id) != (name == "vertex"):
            continue
        names = [n for n in names_of(provider, model) if n.lower() not in taken]
        row = row_of(model, names, noon)
        if row is None:
            continue
        taken.update(n.lower() for n in names)
        if len(names) > 1:
            row["aliases"] = names[1:]
        rows.append((names[0], row))
    return sorted(rows, key=lambda pair: pair[0].lower())


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


def row_of(model, names, noon):
    if not names:
        return None
    prices = {k: v for k, v in model.get_prices(noon).__dict__.items() if v is not None and not k.startswith("_")}
    row, tiered = {}, False
    for ours, theirs in PRICES:
        if theirs in prices:
            value = prices.pop(theirs)
            tiered |= isinstance(value, types.TieredPrices)
            row[ours] = exact(base_of(value))
    if "input" not in row and "output" not in row:
        return None
    if "web_searches_kcount" in prices:
        value = prices.pop("web_searches_kcount")
        tiered |= isinstance(value, types.TieredPrices)
        row["web_search"] = exact(base_of(value) / 1000)
    if model.context_window:
        row["context"] = model.context_window
    mode = mode_of(names, row)
    if mode != "chat":
        row["mode"] = mode
    if tiered:
        row["tiered"] = True
    if isinstance(model.prices, list) and any(
        isinstance(price.constraint, types.TimeOfDateConstraint) for price in model.prices
    ):
        row["timed"] = True
    if set(prices) - IRRELEVANT:
        row["partial"] = True
    return row


def mode_of(names, row):
    name = " ".join(names).lower()
    if "embed" in name or re.search(r"\bbge-(?!rerank)|\bgte-|\be5-|\bvoyage-(?!rerank)", name):
        return "embedding"
    if OTHER.search(name):
        return "other"
    return "chat" if "output" in row else "other"


def base_of(value):
    return value.base if isinstance(value, types.TieredPrices) else value


def exact(value):
    value = Decimal(value)
    rounded = value.quantize(NANO, ROUND_HALF_UP)
    if value < 0:
        raise SystemExit(f"negative price {value}")
    if rounded != value:
        print(f"rounded: {value} to {rounded}")
    return format(rounded.normalize(), "f")


if __name__ == "__main__":
    main()
