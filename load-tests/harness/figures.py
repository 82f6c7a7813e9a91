"""From the rounds to figures. A median ratio is the median of the ratios taken within each round, where
the machine's mood was the same; a best ratio is taken between the best rounds of each."""

import statistics

# Metrics whose cost is what a gateway adds to the direct way, and those that are its own.
ADDED = ("p50", "p90", "p99", "floor", "ttft", "ttft_p99", "chunk", "chunk_p99")
OWN = ("cpu", "rps")
MORE_IS_BETTER = ("rps",)
FLOOR = "bare pingora"


def summarise(samples):
    """`{target: {metric: {"value", "added", "ratio"}}}`, each `{"median", "best"}` or None."""
    return {target: {metric: cell(samples, target, metric) for metric in metrics}
            for target, metrics in samples.items()}


def cell(samples, target, metric):
    mine, floor, direct = (samples[name][metric] for name in (target, FLOOR, "direct"))
    found = {"value": both(median(mine), best(metric, mine))}
    if metric in ADDED:
        rounds = [minus(value, base) for value, base in zip(mine, direct)]
        floor_rounds = [minus(value, base) for value, base in zip(floor, direct)]
        own_best = minus(best(metric, mine), best(metric, direct))
        floor_best = minus(best(metric, floor), best(metric, direct))
        found["added"] = both(median(rounds), own_best)
    elif metric in OWN:
        rounds, floor_rounds, own_best, floor_best = mine, floor, best(metric, mine), best(metric, floor)
    else:
        return found
    if target not in ("direct", FLOOR):
        ratios = [over(value, base) for value, base in zip(rounds, floor_rounds)]
        found["ratio"] = both(median(ratios), over(own_best, floor_best))
    return found


def both(middle, finest):
    return {"median": middle, "best": finest}


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def best(metric, values):
    values = [value for value in values if value is not None]
    if not values:
        return None
    return max(values) if metric in MORE_IS_BETTER else min(values)


def minus(left, right):
    return None if left is None or right is None else left - right


def over(part, whole):
    """A ratio; none where the floor drowned in noise."""
    return None if part is None or not whole or whole <= 0 else part / whole


# (metric of a target, limit as a multiple of bare Pingora) of the project's first baseline.
SAME_WIRE = {"cpu": 1.5, "p50": 1.4, "chunk": 1.5}
CROSS_WIRE = {"cpu": 2.0}
# Which of the two decides, by what a second bare Pingora in bifrost's place showed: p50 alone has a floor
# that some round always reaches; the others wander, and only within a round are two of them alike.
DECIDES = {"p50": "best"}
MEMORY = {"rss_idle_mb": 20.0, "rss_256_mb": 60.0}
START_MS = 50.0


def checks(summary, memory, starts, marathon):
    """The targets, each with what was measured; `ok` is None where nothing was."""
    found = []
    for target, row in summary.items():
        if target.startswith("bifrost"):
            limits = CROSS_WIRE if ">" in target else SAME_WIRE
            for metric, limit in limits.items():
                ratio, name = row[metric]["ratio"], f"{target}: {LABEL[metric]} / bare"
                found.append(check(name, ratio[DECIDES.get(metric, "median")], limit, "x"))
    for metric, limit in MEMORY.items():
        found.append(check(f"bifrost: {LABEL[metric]}", memory.get("bifrost", {}).get(metric), limit, "MB"))
    start = starts.get("bifrost")
    health = start["health_ms"] if start else [None]
    found.append(check("bifrost: start to first 200", min(health), START_MS, "ms"))
    if marathon:
        found.append(check(f"bifrost: failed of {marathon['asked']:,}", marathon["failed"], 0, "requests"))
    return found


LABEL = {"cpu": "CPU per request", "p50": "added p50", "chunk": "added per chunk", "rss_idle_mb": "RSS idle",
         "rss_256_mb": "RSS at 256 connections"}


def check(name, value, limit, unit):
    return {"name": name, "value": value, "limit": limit, "unit": unit,
            "ok": None if value is None else value <= limit}
