"""The programs measured and the requests sent to them."""

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass

from .processes import Failed, free_port, wait_healthy

OPENAI_MODEL = "gpt-4o-mini"
ANTHROPIC_MODEL = "claude-sonnet-4-20250514"
ASK = ("Explain in one short paragraph what a reverse proxy does, what it costs, and when one would "
       "rather do without it.")


@dataclass(frozen=True)
class Target:
    """One row of the table: a way through a gateway."""
    name: str
    gateway: str
    path: str
    dialect: str
    model: str


DIRECT = Target("direct", "mock", "/v1/chat/completions", "openai", OPENAI_MODEL)
NGINX = Target("nginx", "nginx", "/v1/chat/completions", "openai", OPENAI_MODEL)
BARE = Target("bare pingora", "bare", "/v1/chat/completions", "openai", OPENAI_MODEL)
BIFROST = [
    Target("bifrost same-wire", "bifrost", "/openai/v1/chat/completions", "openai", OPENAI_MODEL),
    Target("bifrost /v1", "bifrost", "/v1/chat/completions", "openai", f"openai/{OPENAI_MODEL}"),
    Target("bifrost openai>anthropic", "bifrost", "/openai/v1/chat/completions", "openai",
           f"anthropic/{ANTHROPIC_MODEL}"),
    Target("bifrost anthropic>openai", "bifrost", "/anthropic/v1/messages", "anthropic", f"openai/{OPENAI_MODEL}"),
]


def request_body(target, stream=None):
    """The JSON body; `stream` = (chunks, interval in µs) asks for a stream of that pace."""
    ask = ASK if stream is None else f"{ASK} chunks={stream[0]} interval_us={stream[1]}"
    system = "You are a helpful assistant. Answer briefly and in plain words."
    body = {"model": target.model}
    if target.dialect == "anthropic":
        body |= {"max_tokens": 256, "system": system, "messages": [{"role": "user", "content": ask}]}
    else:
        body |= {"messages": [{"role": "system", "content": system}, {"role": "user", "content": ask}],
                 "max_tokens": 256}
    body["temperature"] = 0.7
    if stream is not None:
        body["stream"] = True
    return json.dumps(body, separators=(",", ":"))


class Gateways:
    """Knows how to start each gateway before the one mock."""

    def __init__(self, stable, release_dir, bifrost, bifrost_kind):
        self.stable, self.release_dir = stable, release_dir
        self.bifrost, self.bifrost_kind = bifrost, bifrost_kind
        self.here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        self.mock, self.mock_port = self._start_mock()

    def tool(self, name):
        return os.path.join(self.release_dir, name)

    def start(self, gateway, wait=True):
        """Starts a gateway of one worker; returns (program, port)."""
        port = free_port()
        program = getattr(self, f"_start_{gateway}")(port)
        if wait:
            wait_healthy(program, port)
        return program, port

    def _start_mock(self):
        program = self.stable.start("mock", "mock", [self.tool("mock_upstream")], stdout=subprocess.PIPE)
        line = program.stdout.readline()
        if not line:
            raise Failed("the mock upstream did not start")
        port = json.loads(line)["port"]
        wait_healthy(program, port)
        return program, port

    def _start_nginx(self, port):
        folder = self.stable.folder
        with open(os.path.join(self.here, "nginx.conf.in")) as template:
            text = template.read()
        for mark, value in (("@PORT@", port), ("@UPSTREAM@", f"127.0.0.1:{self.mock_port}"), ("@DIR@", folder)):
            text = text.replace(mark, str(value))
        config = os.path.join(folder, f"nginx-{port}.conf")
        with open(config, "w") as file:
            file.write(text.replace("nginx.pid", f"nginx-{port}.pid"))
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        argv = [nginx, "-p", folder, "-e", os.path.join(folder, "nginx-error.log"), "-c", config]
        return self.stable.start("nginx", "gateway", argv)

    def _start_bare(self, port, name="bare", binary=None):
        argv = [binary or self.tool("bare_pingora"), "--listen", f"127.0.0.1:{port}",
                "--upstream", f"127.0.0.1:{self.mock_port}", "--threads", "1"]
        return self.stable.start(name, "gateway", argv)

    def _start_bifrost(self, port):
        if self.bifrost_kind == "bare":
            return self._start_bare(port, "bifrost", self.bifrost)
        # A folder of its own: the gateway watches it, and a log written there would wake it.
        folder = os.path.join(self.stable.folder, "bifrost-config")
        os.makedirs(folder, exist_ok=True)
        config = os.path.join(folder, "config.json")
        if not os.path.exists(config):
            with open(config, "w") as file:
                json.dump(bifrost_config(self.mock_port), file, indent=2)
        # Only this: a provider key in the caller's environment must not change what is measured.
        env = {"PATH": os.environ.get("PATH", ""), "HOME": self.stable.folder, "BIFROST_THREADS": "1",
               "LOG_LEVEL": "info"}
        argv = [self.bifrost, "--config", config, "--host", "127.0.0.1", "--port", str(port)]
        return self.stable.start("bifrost", "gateway", argv, env=env)


def bifrost_config(mock_port):
    """Both providers at the mock, one key each; logging and metrics stay on, as they are by default."""
    network = {"base_url": f"http://127.0.0.1:{mock_port}"}
    return {"providers": {
        name: {"keys": [{"name": f"bench-{name}", "value": f"sk-bench-{name}", "weight": 1.0}],
               "network_config": network}
        for name in ("openai", "anthropic")
    }}


def chat_request(target, port):
    """The whole request as raw bytes, for timing the first chat after a start."""
    body = request_body(target).encode()
    head = (f"POST {target.path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
            f"authorization: Bearer sk-bench\r\nx-api-key: sk-bench\r\nanthropic-version: 2023-06-01\r\n"
            f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n")
    return head.encode() + body


def monotonic_ms():
    return time.monotonic_ns() / 1e6
