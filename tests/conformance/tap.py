"""A recording relay between the gateway and the mock upstream.

The mock's own journal is not enough: it hides credentials, keeps only 64 KB of a body and stores Anthropic requests
in OpenAI's form, images left out. The relay keeps both directions as raw bytes. It fills gaps of the mock and
otherwise changes nothing: it answers `/v1/messages/count_tokens` and `/v1/responses/input_tokens` (refusing what these
refuse), the legacy `/v1/completions` (out of the mock's chat answer) and `/v2/rerank`, which the mock does not have, and writes embeddings as base64 where the request asks for
that, which the mock ignores and OpenAI does not. Of Gemini's and Bedrock's APIs the mock lacks more: see
gemini_gaps.py and bedrock_gaps.py.
"""

import base64
import http.client
import json
import struct
import threading
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import bedrock_gaps
import gemini_gaps
from gateway_config import UPSTREAM_KEYS

COUNTED_TOKENS = 1234
# What the endpoints that count tokens take: both refuse anything else.
COUNTS = {
    "/v1/messages/count_tokens": {
        "cache_control", "context_management", "mcp_servers", "messages", "model", "output_config", "speed", "system",
        "thinking", "tool_choice", "tools",
    },
    "/v1/responses/input_tokens": {
        "conversation", "input", "instructions", "model", "parallel_tool_calls", "previous_response_id", "reasoning",
        "text", "tool_choice", "tools", "truncation",
    },
}
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
        signed = headers.get("authorization", "").startswith("AWS4-")
        fault = bedrock_gaps.signature_fault(exchange) if signed else ""
        if fault:
            self.answer_json(exchange, {"message": fault}, 403, {"x-amzn-errortype": "InvalidSignatureException"})
        elif path == "/v2/rerank":
            self.answer_json(exchange, reranked(exchange.json))
        elif path in COUNTS:
            self.count(exchange, COUNTS[path])
        elif path == "/v1/completions":
            self.complete(exchange)
        elif path == "/v1/embeddings" and exchange.json.get("encoding_format") == "base64":
            self.answer_json(exchange, base64_vectors(self.ask_mock(exchange).read()))
        elif gemini_gaps.is_gemini(path) and path.endswith(":countTokens"):
            self.answer_json(exchange, *gemini_gaps.counted(exchange))
        elif bedrock_gaps.is_bedrock(path) and path.endswith("/count-tokens"):
            self.answer_json(exchange, *bedrock_gaps.counted(exchange))
        elif gemini_gaps.is_gemini(path) and path.endswith(":batchEmbedContents"):
            self.answer_json(exchange, {"embeddings": self.embeddings_one_by_one(exchange)})
        else:
            self.relay(exchange)

    def count(self, exchange, takes):
        extra = set(exchange.json) - takes
        if extra:
            error = {"type": "invalid_request_error", "message": f"{extra}: Extra inputs are not permitted"}
            self.answer_json(exchange, {"type": "error", "error": error}, 400)
            return
        responses = {"object": "response.input_tokens"} if "input" in takes else {}
        self.answer_json(exchange, responses | {"input_tokens": COUNTED_TOKENS})

    def embeddings_one_by_one(self, exchange) -> list:
        single = replace(exchange, path=exchange.path.replace(":batchEmbedContents", ":embedContent"))
        answers = []
        for request in exchange.json["requests"]:
            single.body = json.dumps(request).encode()
            answers.append(json.loads(self.ask_mock(single).read())["embedding"])
        return answers

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

    def answer_json(self, exchange, answer, status=200, headers=None):
        self.answer_bytes(exchange, json.dumps(answer).encode(), "application/json", status, headers)

    def answer_bytes(self, exchange, answer, kind, status=200, headers=None):
        exchange.status, exchange.answer = status, answer
        self.send_response(status)
        for name, value in {"content-type": kind, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(exchange.answer)))
        self.end_headers()
        self.wfile.write(exchange.answer)

    def complete(self, exchange):
        asked = exchange.json
        turns = [{"role": "user", "content": asked["prompt"]}]
        rest = {name: asked[name] for name in ("model", "stream", "stream_options") if name in asked}
        chat = Exchange("POST", "/v1/chat/completions", exchange.headers, json.dumps(rest | {"messages": turns}).encode())
        with self.ask_mock(chat) as answer:
            if answer.status != 200:
                self.relay_answer(exchange, answer)
                return
            if not asked.get("stream"):
                self.answer_json(exchange, text_completion(json.loads(answer.read())))
                return
            lines = [line.removeprefix("data: ") for line in answer.read().decode().split("\n") if line]
        frames = [line if line == "[DONE]" else json.dumps(text_completion(json.loads(line))) for line in lines]
        self.answer_bytes(exchange, "".join(f"data: {frame}\n\n" for frame in frames).encode(), "text/event-stream")

    def ask_mock(self, exchange):
        mock = http.client.HTTPConnection("127.0.0.1", self.upstream_port, timeout=30)
        kept = {name: value for name, value in exchange.headers.items() if name not in HOP_BY_HOP}
        if kept.get("authorization", "").startswith("AWS4-"):
            kept["authorization"] = f"Bearer {UPSTREAM_KEYS['bedrock']}"
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
        if bedrock_gaps.is_bedrock(exchange.path) and answer.status >= 400:
            for name, value in bedrock_gaps.error_headers(answer.status).items():
                exchange.answer_headers[name] = value
                self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in self.pieces(exchange, answer):
            exchange.answer += piece
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def pieces(self, exchange, answer):
        kind = answer.getheader("content-type") or ""
        if bedrock_gaps.is_bedrock(exchange.path) and answer.status >= 400:
            yield bedrock_gaps.error_body(answer.read())
            return
        mender = None
        if "eventstream" in kind:
            mender = bedrock_gaps.Mender(exchange.path)
        elif gemini_gaps.is_gemini(exchange.path) and answer.status == 200:
            mender = gemini_gaps.Mender(exchange.body, "event-stream" in answer.getheader("content-type", ""))
        while piece := answer.read1(65536):
            if piece := mender.feed(piece) if mender else piece:
                yield piece
        if rest := mender.finish() if mender else b"":
            yield rest


def reranked(body: dict) -> dict:
    """The documents in reverse order, as Cohere answers."""
    count = len(body["documents"])
    order = reversed(range(count)[: body.get("top_n") or count])
    results = [{"index": index, "relevance_score": (index + 1) / (count + 1)} for index in order]
    return {"id": "rerank-1", "results": results, "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}}


def base64_vectors(answer: bytes) -> dict:
    """The mock's embeddings answer with each vector as little-endian 32-bit floats in base64."""
    body = json.loads(answer)
    for item in body.get("data", []):
        item["embedding"] = base64.b64encode(struct.pack(f"<{len(item['embedding'])}f", *item["embedding"])).decode()
    return body


def text_completion(body: dict) -> dict:
    """A chat answer, whole or one frame of it, in the form of the legacy API."""
    choices = [
        {
            "index": choice["index"],
            "text": (choice.get("message") or choice.get("delta") or {}).get("content") or "",
            "logprobs": None,
            "finish_reason": choice.get("finish_reason"),
        }
        for choice in body["choices"]
    ]
    return body | {"object": "text_completion", "choices": choices}
