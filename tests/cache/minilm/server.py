"""An OpenAI-compatible server of embeddings over a real model: POST /v1/embeddings. Says its port on its first line."""

import http.server
import json
import os
import sys
import threading

from model import Model

MODEL = Model()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path != "/v1/embeddings" or not body.get("model"):
            return self.answer(404, {"error": {"message": f"no such path: {self.path}", "type": "invalid_request_error"}})
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        data, tokens = [], 0
        for index, text in enumerate(texts):
            vector, count = MODEL.embed(text)
            data.append({"object": "embedding", "index": index, "embedding": [float(value) for value in vector]})
            tokens += count
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        self.answer(200, {"object": "list", "data": data, "model": body["model"], "usage": usage})

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Handler)
server.daemon_threads = True


def leave_with_parent():
    sys.stdin.read()
    os._exit(0)


if not sys.stdin.isatty():
    threading.Thread(target=leave_with_parent, daemon=True).start()
print(server.server_port, flush=True)
server.serve_forever()
