"""Proves that every test of the suite can fail: runs all of it against a server that answers 404 to everything.

The answers are well-formed, carry a request id and have the shape of both dialects at once, so a test that only looks
at the status class or the envelope is found out. Exit code 1, with names, if any test passes, is skipped, breaks before
it could call the server, or if the server was called less often than there are tests.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import xml.etree.ElementTree as ElementTree
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from stack import CACHE, HERE, NODE_HOME

ANSWER = json.dumps(
    {"type": "error", "error": {"type": "not_found_error", "message": "nothing here", "code": None, "param": None}}
).encode()


class NotFound(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.server.calls += 1
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(404)
        for name, value in (("content-type", "application/json"), ("content-length", str(len(ANSWER)))):
            self.send_header(name, value)
        self.send_header("x-request-id", "req_negative_control")
        self.send_header("request-id", "req_negative_control")
        self.end_headers()
        self.wfile.write(ANSWER)

    do_GET = do_POST

    def send_error(self, *arguments):
        """A caller that opens with HTTP/2 (AWS's SDK) is refused, and counted: its tests also run over HTTP/1.1."""
        self.server.calls += 1
        super().send_error(*arguments)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    calls = 0
    request_queue_size = 256

    def handle_error(self, *_):
        """A client that closes its pooled connection is no news."""


def run_pytest(environment, report: Path, python=sys.executable, folder=HERE) -> tuple[int, list[str]]:
    command = [python, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--tb=no", f"--junitxml={report}", folder]
    subprocess.run([str(part) for part in command], cwd=HERE, env=environment, stdout=subprocess.DEVNULL, check=False)
    return verdicts(report)


def run_group(environment, report: Path) -> tuple[int, list[str]]:
    """The tests of one group of frameworks, named as the report, in its own environment."""
    return run_pytest(environment, report, CACHE / f"frameworks/{report.stem}/bin/python", HERE / "frameworks" / report.stem)


def run_node(environment, report: Path) -> tuple[int, list[str]]:
    files = sorted((HERE / "node").glob("*.test.mjs"))
    options = ["--test", "--test-reporter=junit", f"--test-reporter-destination={report}"]
    command = [sys.executable, HERE / "stack.py", NODE_HOME / "node", *options, *files]
    subprocess.run([str(part) for part in command], cwd=HERE, env=environment, stdout=subprocess.DEVNULL, check=False)
    return verdicts(report)


def verdicts(report: Path) -> tuple[int, list[str]]:
    """How many tests there were, and the names of those that did not fail by an assertion or a raised error."""
    text = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f]", "", report.read_text(encoding="utf-8"))
    cases = list(ElementTree.fromstring(text).iter("testcase"))
    passed = [case for case in cases if case.find("failure") is None]
    return len(cases), [f"{case.get('classname')}::{case.get('name')}" for case in passed]


def main() -> int:
    server = Server(("127.0.0.1", 0), NotFound)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    environment = os.environ | {"CONFORMANCE_BASE_URL": url}
    environment.pop("CONFORMANCE_UPSTREAM_PORT", None)
    guilty = []
    with tempfile.TemporaryDirectory() as scratch:
        groups = [(folder.name, run_group) for folder in sorted((HERE / "frameworks").iterdir())]
        for name, run in (("pytest", run_pytest), *groups, ("node", run_node)):
            server.calls = 0
            ran, passed = run(environment, Path(scratch) / f"{name}.xml")
            print(f"negative control, {name}: {ran - len(passed)} of {ran} tests fail ({server.calls} calls answered 404)")
            guilty += passed
            if not ran or server.calls < ran:
                guilty.append(f"{name}: {ran} tests, but only {server.calls} calls")
    server.shutdown()
    for name in guilty:
        print(f"  DID NOT FAIL: {name}")
    return 1 if guilty else 0


if __name__ == "__main__":
    raise SystemExit(main())
