"""A recording relay between the gateway and the mock upstream.

The mock's own journal is not enough: it hides credentials, keeps only 64 KB of a body and stores Anthropic requests
in OpenAI's form, images left out. The relay keeps both directions as raw bytes. It fills two gaps of the mock and
otherwise changes nothing: it answers `/v1/messages/count_tokens`, which the mock does not have, and it writes
embeddings as base64 where the request asks for that, which the mock ignores and OpenAI does not.
"""

import base64
import http.client
import json
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COUNTED_TOKENS = 1234
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "expect"}


@dataclass
class Exchange:
    """One request that reached the upstream and the answer it got. Header names are lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int = 0
    answer: bytes = b""
    answer_headers: dict[str, str] = field(default_factory=dict)

    @property
    def json(self):
        return json.loads(self.body)


class Tap:
    """Listens on a free port of the loopback address and relays to `upstream_port`."""

    def __init__(self, upstream_port: int, port: int = 0):
        self.exchanges: list[Exchange] = []
        handler = type("BoundRelay", (Relay,), {"tap": self, "upstream_port": upstream_port})
        self.server = QuietServer(("127.0.0.1", port), handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def clear(self):
        self.exchanges.clear()

    @property
    def last(self) -> Exchange:
        assert self.exchanges, "no request reached the upstream"
        return self.exchanges[-1]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):
        """A peer that closes its pooled connection is no news."""


class Relay(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    tap: Tap
    upstream_port: int

    def log_message(self, *_):
        pass

    def do_POST(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        exchange = Exchange(self.command, self.path, headers, self.read_body(headers))
        self.tap.exchanges.append(exchange)
        path = self.path.split("?")[0]
        if path == "/v1/messages/count_tokens":
            self.answer_json(exchange, {"input_tokens": COUNTED_TOKENS})
        elif path == "/v1/embeddings" and exchange.json.get("encoding_format") == "base64":
            self.answer_json(exchange, base64_vectors(self.ask_mock(exchange).read()))
        else:
            self.relay(exchange)

    do_GET = do_POST

    def read_body(self, headers) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def answer_json(self, exchange, answer):
        exchange.status, exchange.answer = 200, json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(exchange.answer)))
        self.end_headers()
        self.wfile.write(exchange.answer)

    def ask_mock(self, exchange):
        mock = http.client.HTTPConnection("127.0.0.1", self.upstream_port, timeout=30)
        kept = {name: value for name, value in exchange.headers.items() if name not in HOP_BY_HOP}
        # "close" lets the connection end with its answer, which then owns the socket.
        mock.request(exchange.method, exchange.path, exchange.body, kept | {"connection": "close"})
        return mock.getresponse()

    def relay(self, exchange):
        try:
            with self.ask_mock(exchange) as answer:
                self.relay_answer(exchange, answer)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def relay_answer(self, exchange, answer):
        exchange.status = answer.status
        exchange.answer_headers = {name.lower(): value for name, value in answer.getheaders()}
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        while piece := answer.read1(65536):
            exchange.answer += piece
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")


def base64_vectors(answer: bytes) -> dict:
    """The mock's embeddings answer with each vector as little-endian 32-bit floats in base64."""
    body = json.loads(answer)
    for item in body.get("data", []):
        item["embedding"] = base64.b64encode(struct.pack(f"<{len(item['embedding'])}f", *item["embedding"])).decode()
    return body
