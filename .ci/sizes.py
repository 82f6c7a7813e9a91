#!/usr/bin/env python3
"""Production files stop at 500 lines: longer ones have two jobs."""

import pathlib
import subprocess
import sys

LIMIT = 500
files = subprocess.run(["git", "ls-files", "*.rs"], check=True, capture_output=True, text=True).stdout.split()
production = [f for f in files if not any(part in ("tests", "benches", "fuzz", "load-tests") for part in pathlib.Path(f).parts)
              and not f.endswith("tests.rs")]


def lines(path: str) -> int:
    text = pathlib.Path(path).read_text().splitlines()
    # Inline tests at the end do not count; what stands behind a test module of its own file does.
    for number, line in enumerate(text):
        if line.strip() == "#[cfg(test)]":
            items = (after for after in text[number + 1:] if not after.strip().startswith("#["))
            if next(items, "").rstrip().endswith("{"):
                return number
    return len(text)


long = [(lines(f), f) for f in production if lines(f) > LIMIT]
for count, name in sorted(long, reverse=True):
    print(f"{name}: {count} lines, the limit is {LIMIT}: split it by job", file=sys.stderr)
print(f"{len(production)} production files, the longest has {max(lines(f) for f in production)} lines")
sys.exit(bool(long))
