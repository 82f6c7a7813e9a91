"""The table a person reads."""

import statistics


def table(head, rows):
    """Columns as wide as needed, the first to the left, the others to the right."""
    rows = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def number(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}"


def pair(figure, digits=0):
    """median (best round)"""
    if not figure or figure["median"] is None:
        return "-"
    return f"{figure['median']:,.{digits}f} ({number(figure['best'], digits)})"


def times(cell):
    return pair(cell.get("ratio"), 2)


def requests_table(summary):
    head = ["whole answers", "p50 us", "added p50", "/ bare", "added p99", "rps @64", "/ bare", "CPU us", "/ bare"]
    rows = []
    for target, row in summary.items():
        rows.append([target, pair(row["p50"]["value"], 1), pair(row["p50"]["added"], 1), times(row["p50"]),
                     pair(row["p99"]["added"], 1), pair(row["rps"]["value"]), times(row["rps"]),
                     pair(row["cpu"]["value"], 1), times(row["cpu"])])
    return table(head, rows)


def streams_table(summary):
    head = ["streams", "TTFT us", "added TTFT", "/ bare", "added p99", "chunk us", "added chunk", "/ bare", "added p99"]
    rows = []
    for target, row in summary.items():
        rows.append([target, pair(row["ttft"]["value"], 1), pair(row["ttft"]["added"], 1), times(row["ttft"]),
                     pair(row["ttft_p99"]["added"], 1), pair(row["chunk"]["value"], 1),
                     pair(row["chunk"]["added"], 1), times(row["chunk"]), pair(row["chunk_p99"]["added"], 1)])
    return table(head, rows)


def gateways_table(memory, starts):
    head = ["gateway", "RSS idle MB", "at 256 conns", "per 1,000 streams", "start ms: /health", "first chat"]
    rows = []
    for gateway, figures in memory.items():
        start = starts.get(gateway)
        rows.append([gateway, number(figures["rss_idle_mb"], 1), number(figures["rss_256_mb"], 1),
                     number(figures["rss_per_1000_streams_mb"], 1), first_and_middle(start and start["health_ms"]),
                     first_and_middle(start and start["chat_ms"])])
    return table(head, rows)


def first_and_middle(values):
    return "-" if not values else f"{statistics.median(values):.1f} ({min(values):.1f})"


def wrk_table(figures):
    rows = [[target, number(row["rps"]), number(row["cpu"], 1), "; ".join(row["complaints"]) or "none"]
            for target, row in figures.items()]
    return table(["wrk -t1 -c64", "rps", "CPU us", "complaints"], rows)


def checks_table(checks):
    word = {True: "met", False: "MISSED", None: "not measured"}
    rows = [[check["name"], f"{number(check['value'], 2)} {check['unit']}", f"{check['limit']:g}",
             word[check["ok"]]] for check in checks]
    return table(["target", "measured", "at most", ""], rows)


def whole(result):
    """Everything, as one text."""
    parts = [requests_table(result["figures"]), streams_table(result["figures"]),
             gateways_table(result["memory"], result["starts"])]
    if result["wrk"]:
        parts.append(wrk_table(result["wrk"]))
    if result["marathon"]:
        run = result["marathon"]
        parts.append(f"{run['asked']:,} requests through bifrost: {run['failed']} failed, {run['seconds']:.0f} s")
    if result["checks"]:
        parts.append(checks_table(result["checks"]))
    for failure in result["failures"]:
        parts.append(f"FAILED {failure['target']} ({failure['mode']}): {failure['failed']} of {failure['of']}: "
                     f"{failure['reasons']}")
    machine = result["machine"]
    parts.append(f"Figures: median (best) of {result['plan']['rounds']} rounds; {machine['cores']} cores, {machine['cpu']}, "
                 f"load average before {machine['load_average'][0]:.1f}, stolen {result['stolen_percent']:.1f} %")
    return "\n\n".join(parts)
