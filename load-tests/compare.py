#!/usr/bin/env python3
"""Compares two results of bench.py: `compare.py OLD NEW`. Exit 1 when something got more than 15 % worse.

Times are compared as multiples of the bare Pingora of the same run, which makes results of different
days and machines comparable; memory is compared as it is. The p99 figures are shown but never flagged.
"""

import json
import sys

from harness.figures import DECIDES
from harness.report import table

TOLERANCE = 0.15
# metric -> (label, whether more is better, whether a change can be flagged)
RATIOS = {"cpu": ("CPU / bare", False, True), "p50": ("added p50 / bare", False, True),
          "p99": ("added p99 / bare", False, False), "rps": ("rps / bare", True, True),
          "ttft": ("added TTFT / bare", False, True), "chunk": ("added per chunk / bare", False, True),
          "chunk_p99": ("added per chunk p99 / bare", False, False)}
MEMORY = {"rss_idle_mb": "RSS idle MB", "rss_256_mb": "RSS at 256 MB",
          "rss_per_1000_streams_mb": "RSS per 1,000 streams MB"}


def comparison(old, new):
    """Rows `(name, old, new, change, regressed)`; change is positive when it got worse."""
    rows = []
    for target in old["figures"]:
        if not target.startswith("bifrost") or target not in new["figures"]:
            continue
        for metric, (label, more_is_better, counts) in RATIOS.items():
            pair = [ratio_of(result["figures"][target], metric) for result in (old, new)]
            rows.append(row(f"{target}: {label}", *pair, more_is_better, counts))
    for metric, label in MEMORY.items():
        pair = [result["memory"].get("bifrost", {}).get(metric) for result in (old, new)]
        rows.append(row(f"bifrost: {label}", *pair, False, True))
    return [line for line in rows if line]


def ratio_of(figures, metric):
    ratio = figures.get(metric, {}).get("ratio")
    return ratio[DECIDES.get(metric, "median")] if ratio else None


def row(name, old, new, more_is_better, counts):
    if not old or new is None or new <= 0:
        return None
    change = (old / new if more_is_better else new / old) - 1
    return name, old, new, change, counts and change > TOLERANCE


def print_comparison(old, new):
    """Prints the table; returns the names that regressed."""
    rows = comparison(old, new)
    if not rows:
        print("nothing to compare: one of the results has no bifrost in it")
        return []
    lines = [[name, f"{before:.2f}", f"{after:.2f}", f"{change:+.0%}", "REGRESSED" if worse else ""]
             for name, before, after, change, worse in rows]
    print(table(["worse is +", old["name"], new["name"], "change", ""], lines))
    if old["machine"]["cpu"] != new["machine"]["cpu"] or old["machine"]["cores"] != new["machine"]["cores"]:
        print("the machines differ: trust the multiples, not the memory")
    if old["quick"] != new["quick"] or old["pin"] != new["pin"]:
        print("the runs differ in length or pinning: repeat the new one as the old one was made")
    print()
    return [name for name, *_, worse in rows if worse]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    results = []
    for path in sys.argv[1:]:
        with open(path) as file:
            results.append(json.load(file))
    return 1 if print_comparison(*results) else 0


if __name__ == "__main__":
    sys.exit(main())
