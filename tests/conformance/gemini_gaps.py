"""What aimock lacks of Gemini's API, filled in by the relay in front of it.

`countTokens` and `batchEmbedContents` are not in the mock; the latter is put together from its `embedContent`. An
answer with calls ends with FUNCTION_CALL, a word the API does not have (it says STOP), and a call made after thinking
carries no `thoughtSignature`.
"""

import base64
import json

COUNTED_TOKENS = 1234
CALL_SIGNATURE = base64.b64encode(b"the signature of a call \xff\xfe").decode()


def is_gemini(path: str) -> bool:
    return path.startswith("/v1beta/models/")


def counted(exchange) -> tuple[dict, int]:
    """The answer to `countTokens` and its status: only `contents`, or a whole request under its right name."""
    asked = exchange.json
    named = exchange.path.removeprefix("/v1beta/").split(":")[0]
    if {"systemInstruction", "tools", "generationConfig"} & set(asked):
        return {"error": {"code": 400, "message": f"Unknown name in {list(asked)}", "status": "INVALID_ARGUMENT"}}, 400
    if asked.get("generateContentRequest", {}).get("model", named) != named:
        return {"error": {"code": 400, "message": "unexpected model name", "status": "INVALID_ARGUMENT"}}, 400
    details = [{"modality": "TEXT", "tokenCount": COUNTED_TOKENS}]
    return {"totalTokens": COUNTED_TOKENS, "promptTokensDetails": details}, 200


class Mender:
    """Mends an answer as it passes: whole lines of a stream at once, a whole body at its end."""

    def __init__(self, request: bytes, stream: bool):
        self.signs = b'"thinkingConfig"' in request or b'"thinking_config"' in request
        self.stream = stream
        self.held = b""

    def feed(self, piece: bytes) -> bytes:
        self.held += piece
        if not self.stream or b"\n" not in self.held:
            return b""
        lines, self.held = self.held.rsplit(b"\n", 1)
        return b"".join(self.mend_line(line) + b"\n" for line in lines.split(b"\n"))

    def finish(self) -> bytes:
        return self.mend_line(self.held) if self.stream else self.mend(self.held)

    def mend_line(self, line: bytes) -> bytes:
        name, colon, content = line.partition(b": ")
        return name + colon + self.mend(content) if name == b"data" else line

    def mend(self, content: bytes) -> bytes:
        if b'"functionCall"' not in content:
            return content
        answer = json.loads(content)
        for candidate in answer["candidates"]:
            if candidate.get("finishReason") == "FUNCTION_CALL":
                candidate["finishReason"] = "STOP"
            calls = [part for part in candidate["content"]["parts"] if "functionCall" in part]
            if calls and self.signs:
                calls[0]["thoughtSignature"] = CALL_SIGNATURE
        return json.dumps(answer, ensure_ascii=False).encode()
