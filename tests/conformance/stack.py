"""Starts the mock upstream, the recording relay and the gateway; ends them by process id.

As a program: `stack.py COMMAND...` runs the command with the addresses in its environment.

What is put under test:
  BIFROST_BIN=path              a gateway started here (the normal case)
  CONFORMANCE_BASE_URL=URL      a server that already runs; `CONFORMANCE_UPSTREAM_PORT` fixes where its upstream listens
  CONFORMANCE_BASE_URL=direct   the mock itself: validates the suite, only for lanes that need no gateway
With CONFORMANCE_LOGS=1 the end of the gateway's and the mock's log is printed after a failed run.
"""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from gateway_config import CALLER_KEY, UPSTREAM_KEYS, config
from tap import Tap

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("CONFORMANCE_CACHE", "/nonexistent"))
NODE_HOME = CACHE / "node"


class Stack:
    """`url` is what the clients talk to, `tap` is what the upstream saw."""

    def __init__(self):
        self.children: list[subprocess.Popen] = []
        self.scratch = Path(tempfile.mkdtemp(prefix="bifrost-conformance-"))
        given = os.environ.get("CONFORMANCE_BASE_URL", "")
        self.direct = given == "direct"
        try:
            self.mock_url = self.start_mock()
            port = int(os.environ.get("CONFORMANCE_UPSTREAM_PORT", "0"))
            self.tap = Tap(int(self.mock_url.rsplit(":", 1)[1]), port)
            self.url = self.tap.url if self.direct else given or self.start_gateway()
        except BaseException:
            self.close()
            raise

    def start_mock(self) -> str:
        cli = NODE_HOME / "node_modules/@copilotkit/aimock/dist/cli.js"
        port = free_port()
        command = [NODE_HOME / "node", cli, "-p", str(port), "-f", HERE / "fixtures.json", "--validate-on-load"]
        # With inbound keys set the mock refuses every credential but the provider keys: a leaked caller key is a 401.
        environment = os.environ | {"AIMOCK_API_KEYS": ",".join(UPSTREAM_KEYS.values())}
        return self.start("mock", [*command, "--log-level", "warn"], port, "/health", environment)

    def start_gateway(self) -> str:
        if not os.environ.get("BIFROST_BIN"):
            raise SystemExit("set BIFROST_BIN to the gateway's binary (or CONFORMANCE_BASE_URL to a running server)")
        return self.start_another("gateway", config(self.tap.url))

    def start_another(self, name, config) -> str:
        """A gateway with a configuration of its own."""
        file = self.scratch / f"{name}.json"
        file.write_text(json.dumps(config, indent=1))
        port = free_port()
        binary, app = os.environ["BIFROST_BIN"], self.scratch / f"{name}-app"
        command = [binary, "--config", file, "--app-dir", app, "--host", "127.0.0.1", "--port", str(port)]
        # No provider key of the machine may slip into the configuration.
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.scratch)}
        return self.start(name, command, port, "/health", environment)

    def start(self, name, command, port, health, environment) -> str:
        log = self.scratch / f"{name}.log"
        with log.open("wb") as sink:
            child = subprocess.Popen([str(part) for part in command], stdout=sink, stderr=sink, env=environment)
        self.children.append(child)
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 20
        while not answers(url + health):
            if child.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the {name} did not become healthy:\n{log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.01)
        return url

    def logs(self) -> str:
        return "".join(f"--- {log.name}\n{log.read_text(errors='replace')[-4000:]}" for log in self.scratch.glob("*.log"))

    def close(self):
        for child in reversed(self.children):
            child.terminate()
        for child in self.children:
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if hasattr(self, "tap"):
            self.tap.close()
        shutil.rmtree(self.scratch, ignore_errors=True)


def free_port() -> int:
    """Below the range outgoing connections draw from, so that none takes the port before its server binds it."""
    while True:
        with socket.socket() as probe:
            try:
                port = random.randrange(20_000, 32_000)
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


def main() -> int:
    stack = Stack()
    try:
        addresses = {
            "CONFORMANCE_URL": stack.url,
            "CONFORMANCE_DIRECT": "1" if stack.direct else "",
            "CONFORMANCE_CALLER_KEY": UPSTREAM_KEYS["openai"] if stack.direct else CALLER_KEY,
            "CONFORMANCE_NODE_HOME": str(NODE_HOME),
        }
        return subprocess.run(sys.argv[1:], env=os.environ | addresses, check=False).returncode
    finally:
        stack.close()


if __name__ == "__main__":
    raise SystemExit(main())
