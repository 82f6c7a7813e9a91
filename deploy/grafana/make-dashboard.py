#!/usr/bin/env python3
"""Writes dashboards/bifrost.json: rows of panels, each a title, a unit and its queries.

The JSON is what Grafana reads; this is where it is changed. `make-dashboard.py --check` says whether the two are one.
"""

import json
import pathlib
import sys

OUT = pathlib.Path(__file__).parent / "dashboards" / "bifrost.json"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

# What every query is narrowed to.
ALL = 'job=~"$job",instance=~"$instance"'
P = ALL + ',provider=~"$provider"'
M = P + ',model=~"$model"'
# Without those who look after the gateway.
CALLED = ALL + ',path!~"/metrics|/health|/livez|/readyz"'


def rate(metric, labels=M):
    return f"rate({metric}{{{labels}}}[$__rate_interval])"


def quantile(q, metric, labels=P, by=""):
    by = f"{by}, " if by else ""
    return f"histogram_quantile({q}, sum by ({by}le) ({rate(metric + '_bucket', labels)}))"


def quantiles(metric, labels=P):
    return [(quantile(q, metric, labels), f"p{name}") for q, name in ((0.5, "50"), (0.95, "95"), (0.99, "99"))]


def over(part, whole):
    """A share that is 0 where there is nothing to share."""
    return f"({part} or vector(0)) / clamp_min({whole} or vector(0), 1e-9)"


REQUESTS = f"sum({rate('bifrost_requests_total')})"
ERRORS = f"sum({rate('bifrost_errors_total', P)})"
INPUT = f"sum({rate('bifrost_input_tokens_total')})"
CACHED = f"sum({rate('bifrost_cached_input_tokens_total')})"
HITS = f"sum({rate('bifrost_cache_hits_total', ALL)})"
MISSES = f"sum({rate('bifrost_cache_misses_total', ALL)})"

STATES = [{"type": "value", "options": {
    "0": {"text": "closed", "color": "green", "index": 0},
    "1": {"text": "OPEN", "color": "red", "index": 1},
    "2": {"text": "half-open", "color": "orange", "index": 2}}}]
HEALTH = [{"type": "value", "options": {
    "0": {"text": "RESTS", "color": "red", "index": 0}, "1": {"text": "serves", "color": "green", "index": 1}}}]
UP = [{"type": "value", "options": {
    "0": {"text": "DOWN", "color": "red", "index": 0}, "1": {"text": "up", "color": "green", "index": 1}}}]

# Each: kind, title, unit, queries (expression, legend), more.
ROWS = [
    ("Overview", [
        ("stat", "Requests per second", "reqps", [(REQUESTS, "requests")]),
        ("stat", "Success", "percentunit", [(f"1 - {over(ERRORS, REQUESTS)}", "success")],
         {"thresholds": [("red", None), ("orange", 0.95), ("green", 0.99)]}),
        ("stat", "Latency p95", "s", [(quantile(0.95, "bifrost_request_duration_seconds"), "p95")]),
        ("stat", "First token p95", "s", [(quantile(0.95, "bifrost_time_to_first_token_seconds"), "p95")]),
        ("stat", "Gateway overhead p99", "s", [(quantile(0.99, "bifrost_gateway_overhead_seconds", ALL), "p99")]),
        ("stat", "Spend per hour", "currencyUSD", [(f"sum({rate('bifrost_cost_total')}) * 3600", "spend")]),
        ("stat", "In flight", "short", [(f"sum(bifrost_in_flight_requests{{{ALL}}})", "requests")]),
        ("stat", "Open circuits", "short", [(f"sum(bifrost_provider_circuit_state{{{P}}} == bool 1)", "open")],
         {"thresholds": [("green", None), ("red", 1)]}),
        ("time", "Requests per second by provider", "reqps",
         [(f"sum by (provider) ({rate('bifrost_requests_total')})", "{{provider}}")], {"stack": True}),
        ("time", "Requests per second by model (10 most)", "reqps",
         [(f"topk(10, sum by (model) ({rate('bifrost_requests_total')}))", "{{model}}")], {"stack": True}),
        ("time", "Answers by status", "reqps",
         [(f"sum by (status) ({rate('http_requests_total', CALLED)})", "{{status}}")],
         {"stack": True}),
        ("time", "Errors by type", "reqps",
         [(f"sum by (type) ({rate('bifrost_errors_total', P)})", "{{type}}")], {"stack": True}),
    ]),
    ("Latency and first token", [
        ("time", "Request duration", "s", quantiles("bifrost_request_duration_seconds"), {"exemplar": True}),
        ("time", "Request duration p95 by provider", "s",
         [(quantile(0.95, "bifrost_request_duration_seconds", by="provider"), "{{provider}}")]),
        ("time", "First token", "s", quantiles("bifrost_time_to_first_token_seconds"), {"exemplar": True}),
        ("time", "First token of streams p95 by model", "s",
         [(quantile(0.95, "bifrost_stream_first_token_latency_seconds", M, "provider, model"), "{{provider}}/{{model}}")]),
        ("time", "Time between pieces of a stream", "s", quantiles("bifrost_stream_inter_token_latency_seconds", M)),
        ("time", "Attempts p95 by provider and model", "s",
         [(quantile(0.95, "bifrost_upstream_latency_seconds", M, "provider, model"), "{{provider}}/{{model}}")]),
        ("time", "Gateway overhead", "s", quantiles("bifrost_gateway_overhead_seconds", ALL), {"exemplar": True}),
        ("time", "Wait for a place at a provider p95", "s",
         [(quantile(0.95, "bifrost_queue_wait_seconds", by="provider"), "{{provider}}")]),
        ("heat", "Request duration", "s", [(f"sum by (le) ({rate('bifrost_request_duration_seconds_bucket', P)})", "{{le}}")]),
        ("time", "HTTP answers p95 by path", "s",
         [(quantile(0.95, "http_request_duration_seconds", ALL, "path"), "{{path}}")]),
    ]),
    ("Cost and tokens", [
        ("stat", "Spend in the range shown", "currencyUSD",
         [(f"sum(increase(bifrost_cost_total{{{M}}}[$__range]))", "spend")]),
        ("stat", "Requests without a price", "short",
         [(f"sum(increase(bifrost_unpriced_requests_total{{{M}}}[$__range]))", "requests")],
         {"thresholds": [("green", None), ("orange", 1)]}),
        ("stat", "Cost of a request", "currencyUSD",
         [(over(f"sum({rate('bifrost_cost_total')})", REQUESTS), "average")]),
        ("stat", "Second attempts that lost, per hour", "currencyUSD",
         [(f"sum({rate('bifrost_hedge_extra_cost_total')}) * 3600", "spend")]),
        ("time", "Spend per hour by provider", "currencyUSD",
         [(f"sum by (provider) ({rate('bifrost_cost_total')}) * 3600", "{{provider}}")], {"stack": True}),
        ("time", "Spend per hour by model (10 most)", "currencyUSD",
         [(f"topk(10, sum by (model) ({rate('bifrost_cost_total')}) * 3600)", "{{model}}")], {"stack": True}),
        ("time", "Spend per hour by team (10 most)", "currencyUSD",
         [(f"topk(10, sum by (team_name) ({rate('bifrost_caller_cost_total', ALL)}) * 3600)", "{{team_name}}")], {"stack": True}),
        ("time", "Tokens per second", "short", [
            (f"sum({rate('bifrost_input_tokens_total')})", "input"),
            (f"sum({rate('bifrost_cached_input_tokens_total')})", "input, cached by providers"),
            (f"sum({rate('bifrost_output_tokens_total')})", "output")]),
    ]),
    ("Errors", [
        ("time", "Errors by provider", "reqps", [(f"sum by (provider) ({rate('bifrost_errors_total', P)})", "{{provider}}")], {"stack": True}),
        ("time", "Attempts by outcome", "reqps", [(f"sum by (outcome) ({rate('bifrost_attempts_total')})", "{{outcome}}")], {"stack": True}),
        ("time", "Failed attempts by the provider's status", "reqps",
         [(f"sum by (provider, status_code) ({rate('bifrost_error_requests_total')})", "{{provider}} {{status_code}}")]),
        ("time", "Fallbacks", "reqps",
         [(f"sum by (from, to, reason) ({rate('bifrost_fallbacks_total', ALL)})", "{{from}} to {{to}}: {{reason}}")]),
        ("time", "Retries", "reqps", [(f"sum by (provider, reason) ({rate('bifrost_retries_total', P)})", "{{provider}}: {{reason}}")]),
        ("time", "Attempts of a request p99", "short", [(quantile(0.99, "bifrost_attempts_per_request", ALL), "p99")]),
        ("time", "Refused by budgets and limits", "reqps",
         [(f"sum by (kind, type) ({rate('bifrost_limit_refused_total', ALL)})", "{{kind}}: {{type}}")]),
        ("time", "Streams that broke", "reqps",
         [(f"sum by (outcome) ({rate('bifrost_stream_recoveries_total', ALL)})", "{{outcome}}")]),
    ]),
    ("Providers, keys and circuits", [
        ("states", "Circuits of providers", "short", [(f"max by (provider) (bifrost_provider_circuit_state{{{P}}})", "{{provider}}")], {"mappings": STATES}),
        ("states", "Keys", "short", [(f"min by (provider, key) (bifrost_key_healthy{{{P}}})", "{{provider}}/{{key}}")], {"mappings": HEALTH}),
        ("time", "Attempts by key", "reqps",
         [(f"sum by (provider, key, outcome) ({rate('bifrost_key_attempts_total', P)})", "{{provider}}/{{key}}: {{outcome}}")]),
        ("states", "Circuits of targets", "short",
         [(f"max by (provider, key, model) (bifrost_circuit_state{{{M}}})", "{{provider}}/{{key}}/{{model}}")], {"mappings": STATES}),
        ("time", "Open requests and those that wait", "short", [
            (f"sum by (provider) (bifrost_open_requests{{{P}}})", "{{provider}} open"),
            (f"sum by (provider) (bifrost_queue_depth{{{P}}})", "{{provider}} wait")]),
        ("time", "Refused for want of a place", "reqps",
         [(f"sum by (provider, reason) ({rate('bifrost_queue_refused_total', P)})", "{{provider}}: {{reason}}")]),
        ("time", "Left of the scarcest rate limit", "percentunit",
         [(f"min by (provider, key, model) (bifrost_target_headroom_ratio{{{M}}})", "{{provider}}/{{key}}/{{model}}")]),
        ("time", "Second attempts", "reqps", [(f"sum by (outcome) ({rate('bifrost_hedges_total', ALL)})", "{{outcome}}")]),
    ]),
    ("Cache", [
        ("stat", "Hit rate", "percentunit", [(over(HITS, f"({HITS} + {MISSES})"), "hits")]),
        ("stat", "Input tokens from providers' prompt caches", "percentunit", [(over(CACHED, INPUT), "cached")]),
        ("time", "Hits and misses", "reqps", [
            (f"sum by (type) ({rate('bifrost_cache_hits_total', ALL)})", "{{type}} hits"), (MISSES, "misses")]),
        ("time", "Input tokens from prompt caches by provider", "percentunit",
         [(f"sum by (provider) ({rate('bifrost_cached_input_tokens_total')}) / clamp_min(sum by (provider) ({rate('bifrost_input_tokens_total')}), 1e-9)", "{{provider}}")]),
    ]),
    ("Virtual keys and budgets", [
        ("bars", "Budgets used (20 fullest)", "percentunit",
         [(f"topk(20, max by (kind, owner, window) (bifrost_budget_used_dollars{{{ALL}}} / bifrost_budget_max_dollars{{{ALL}}}))", "{{kind}} {{owner}} ({{window}})")],
         {"thresholds": [("green", None), ("orange", 0.8), ("red", 1)]}),
        ("bars", "Limits used (20 fullest)", "percentunit",
         [(f"topk(20, max by (kind, owner, measure, window) (bifrost_limit_used{{{ALL}}} / bifrost_limit_max{{{ALL}}}))", "{{kind}} {{owner}}: {{measure}} ({{window}})")],
         {"thresholds": [("green", None), ("orange", 0.8), ("red", 1)]}),
        ("time", "Requests by virtual key (10 most)", "reqps",
         [(f"topk(10, sum by (virtual_key_name) ({rate('bifrost_caller_requests_total', ALL)}))", "{{virtual_key_name}}")], {"stack": True}),
        ("time", "Failed or refused by virtual key (10 most)", "reqps",
         [(f"topk(10, sum by (virtual_key_name) ({rate('bifrost_caller_errors_total', ALL)}))", "{{virtual_key_name}}")], {"stack": True}),
        ("time", "Spend per hour by virtual key (10 most)", "currencyUSD",
         [(f"topk(10, sum by (virtual_key_name) ({rate('bifrost_caller_cost_total', ALL)}) * 3600)", "{{virtual_key_name}}")], {"stack": True}),
        ("time", "Tokens per second by virtual key (10 most)", "short",
         [(f"topk(10, sum by (virtual_key_name) ({rate('bifrost_caller_input_tokens_total', ALL)} + {rate('bifrost_caller_output_tokens_total', ALL)}))", "{{virtual_key_name}}")], {"stack": True}),
    ]),
    ("Runtime and drops", [
        ("states", "Stores", "short", [(f"min by (store) (bifrost_store_up{{{ALL}}})", "{{store}}")], {"mappings": UP}),
        ("stat", "Configuration", "short", [(f"max(bifrost_config_version{{{ALL}}})", "version"),
                                              (f"min(bifrost_config_last_reload_successful{{{ALL}}})", "newest is in force")]),
        ("time", "Memory", "bytes", [(f"process_resident_memory_bytes{{{ALL}}}", "{{instance}}")]),
        ("time", "CPU", "percentunit", [(rate("process_cpu_seconds_total", ALL), "{{instance}}")]),
        ("time", "Open files and sockets", "short", [(f"process_open_fds{{{ALL}}}", "{{instance}}")]),
        ("time", "Lost by observers", "short", [
            (f"sum by (part, reason) ({rate('bifrost_observe_dropped_total', ALL)})", "{{part}}: {{reason}}"),
            (f"sum({rate('bifrost_log_lines_dropped_total', ALL)})", "log lines"),
            (f"sum({rate('bifrost_ledger_dropped_total', ALL)})", "ledger")]),
        ("time", "What waits for observers and for the ledger", "short", [
            (f"sum by (part) (bifrost_observe_waiting{{{ALL}}})", "{{part}}"),
            (f"sum(bifrost_ledger_waiting{{{ALL}}})", "ledger")]),
        ("time", "What happened", "short", [(f"sum by (event) ({rate('bifrost_events_total', ALL)}) * 60", "{{event}} a minute")]),
        ("time", "Label values without room", "short",
         [(f"sum by (label) ({rate('bifrost_metric_label_overflow_total', ALL)})", "{{label}}")]),
        ("table", "Gateways", "short", [(f"max by (instance, version) (bifrost_build_info{{{ALL}}})", "")]),
        ("time", "Gateways in the cluster, and whether Redis answers", "short", [
            (f"max(bifrost_cluster_nodes{{{ALL}}})", "gateways"), (f"min(bifrost_cluster_redis_up{{{ALL}}})", "Redis")]),
    ]),
]

KINDS = {"stat": "stat", "time": "timeseries", "heat": "heatmap", "states": "state-timeline", "bars": "bargauge", "table": "table"}
SIZES = {"stat": (3, 4), "time": (12, 8), "heat": (12, 8), "states": (12, 7), "bars": (12, 8), "table": (12, 8)}


def thresholds(steps):
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in steps]}


def panel(number, kind, title, unit, queries, more):
    defaults = {"unit": unit, "thresholds": thresholds(more.get("thresholds", [("green", None)]))}
    if unit in ("reqps", "s", "short", "bytes", "currencyUSD"):
        defaults["min"] = 0
    if "mappings" in more:
        defaults["mappings"] = more["mappings"]
    if kind == "time":
        stacked = more.get("stack")
        defaults["custom"] = {
            "drawStyle": "line", "lineWidth": 1, "fillOpacity": 20 if stacked else 5, "showPoints": "never",
            "stacking": {"mode": "normal" if stacked else "none"}}
    targets = [{
        "refId": chr(ord("A") + at), "datasource": SOURCE, "expr": expr, "legendFormat": legend,
        "exemplar": bool(more.get("exemplar")), "instant": kind in ("bars", "table"), "range": kind not in ("bars", "table"),
        "format": {"heat": "heatmap", "table": "table"}.get(kind, "time_series"),
    } for at, (expr, legend) in enumerate(queries)]
    options = {
        "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "area", "textMode": "auto"},
        "time": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}},
        "heat": {"calculate": False, "yAxis": {"unit": "s"}},
        "states": {"showValue": "auto", "mergeValues": True},
        "bars": {"orientation": "horizontal", "displayMode": "basic", "reduceOptions": {"calcs": ["lastNotNull"]}},
        "table": {"showHeader": True},
    }[kind]
    return {
        "id": number, "type": KINDS[kind], "title": title, "datasource": SOURCE, "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options,
    }


def laid_out():
    panels, number, y = [], 0, 0
    for row, contents in ROWS:
        number += 1
        panels.append({"id": number, "type": "row", "title": row, "collapsed": False, "panels": [],
                       "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}})
        y += 1
        x, tallest = 0, 0
        for kind, title, unit, queries, *more in contents:
            width, height = SIZES[kind]
            if x + width > 24:
                x, y, tallest = 0, y + tallest, 0
            number += 1
            one = panel(number, kind, title, unit, queries, more[0] if more else {})
            one["gridPos"] = {"h": height, "w": width, "x": x, "y": y}
            panels.append(one)
            x, tallest = x + width, max(tallest, height)
        y += tallest
    return panels


def variable(name, label, query):
    return {"name": name, "label": label, "type": "query", "datasource": SOURCE, "definition": query,
            "query": {"query": query, "refId": name}, "refresh": 2, "sort": 1, "multi": True, "includeAll": True,
            "allValue": ".*", "current": {"selected": True, "text": "All", "value": "$__all"}}


def annotation(name, color, expr, text):
    return {"name": name, "datasource": SOURCE, "enable": True, "iconColor": color, "expr": expr, "titleFormat": name, "textFormat": text}


DASHBOARD = {
    "uid": "bifrost-gateway",
    "title": "Bifrost",
    "description": "Requests, latency, cost, errors, providers, cache, budgets and the gateway itself.",
    "tags": ["bifrost", "llm"],
    "schemaVersion": 39,
    "version": 1,
    "editable": True,
    "graphTooltip": 1,
    "refresh": "30s",
    "time": {"from": "now-1h", "to": "now"},
    "timezone": "browser",
    "annotations": {"list": [
        annotation("New configuration", "blue", f"changes(bifrost_config_version{{{ALL}}}[1m]) > 0", "{{instance}}"),
        annotation("Circuit open", "red", f"changes(bifrost_provider_circuit_state{{{P}}}[1m]) > 0", "{{provider}}"),
    ]},
    "templating": {"list": [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1, "current": {}},
        variable("job", "Job", "label_values(bifrost_build_info, job)"),
        variable("instance", "Gateway", 'label_values(bifrost_build_info{job=~"$job"}, instance)'),
        variable("provider", "Provider", f"label_values(bifrost_requests_total{{{ALL}}}, provider)"),
        variable("model", "Model", f"label_values(bifrost_requests_total{{{P}}}, model)"),
    ]},
    "links": [],
    "panels": laid_out(),
}

text = json.dumps(DASHBOARD, indent=1) + "\n"
if "--check" in sys.argv[1:]:
    if OUT.read_text() != text:
        sys.exit(f"{OUT} is not what this script writes: run it")
else:
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(text)
