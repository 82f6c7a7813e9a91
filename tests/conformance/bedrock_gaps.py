"""What the mock lacks of Bedrock, filled in at the tap.

The mock takes bearer keys only: here a SigV4 signature is recomputed with botocore's own signer, under the secret the
gateway was configured with, and only a right one is exchanged for the mock's key. The mock opens text and reasoning
blocks with an empty `contentBlockStart`, which Bedrock does not send and boto3 refuses: such frames are taken out. It
writes Claude's events bare into the frames of `invoke-with-response-stream`; Bedrock wraps them in base64 as `bytes`.
It counts no tokens: `count-tokens` is answered here, for Claude alone, as Bedrock does. Its errors have Anthropic's shape; Bedrock's have a `message` and the header `x-amzn-errortype`.
"""

import base64
import json
import re
from datetime import datetime
from struct import pack, unpack
from urllib.parse import unquote
from zlib import crc32

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.eventstream import EventStreamBuffer

COUNTED_TOKENS = 1234
REGION = "eu-central-1"
ACCESS_KEY, SECRET_KEY = "AKIDUPSTREAM", "the-upstream-secret-of-bedrock"
PARTS = re.compile(r"AWS4-HMAC-SHA256 Credential=([^,]+), *SignedHeaders=([^,]+), *Signature=([0-9a-f]{64})$")
ERROR_TYPES = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}


def is_bedrock(path: str) -> bool:
    return path.startswith("/model/")


def counted(exchange) -> tuple[dict, int, dict]:
    """The answer to `count-tokens`, its status and headers."""
    model = unquote(exchange.path.split("/")[2])
    asked = exchange.json["input"]
    fault = ""
    if not model.startswith("anthropic."):
        fault = "The provided model doesn't support counting tokens."
    elif list(asked) == ["converse"]:
        extra = set(asked["converse"]) - {"messages", "system", "toolConfig", "additionalModelRequestFields"}
        fault = f"Unexpected field {extra}" if extra else ""
    elif list(asked) == ["invokeModel"]:
        missing = {"anthropic_version", "max_tokens", "messages"} - set(json.loads(base64.b64decode(asked["invokeModel"]["body"])))
        fault = f"Field required: {missing}" if missing else ""
    else:
        fault = f"Not a union: {list(asked)}"
    return ({"message": fault}, 400, error_headers(400)) if fault else ({"inputTokens": COUNTED_TOKENS}, 200, {})


def signature_fault(exchange) -> str:
    """What is wrong with a signed request; empty when botocore, given the same secret, signs it the same."""
    parts = PARTS.match(exchange.headers["authorization"])
    if not parts:
        return "the authorization header has no SigV4 form"
    scope, names, signature = parts.groups()
    amz_date = exchange.headers.get("x-amz-date", "")
    if scope != f"{ACCESS_KEY}/{amz_date[:8]}/{REGION}/bedrock/aws4_request":
        return f"wrong scope {scope}"
    names = names.split(";")
    if missing := {"host", "x-amz-date"} - set(names):
        return f"not signed: {missing}"
    signed = {name: exchange.headers[name] for name in names if name in exchange.headers}
    host = exchange.headers["host"]
    request = AWSRequest(exchange.method, f"http://{host}{exchange.path}", signed, exchange.body)
    request.context["timestamp"] = datetime.strptime(amz_date, "%Y%m%dT%H%M%SZ").strftime("%Y%m%dT%H%M%SZ")
    signer = SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "bedrock", REGION)
    wanted = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    return "" if wanted == signature else f"the signature does not match; canonical: {signer.canonical_request(request)}"


def error_headers(status: int) -> dict[str, str]:
    return {"x-amzn-errortype": ERROR_TYPES.get(status, "InternalServerException")}


def error_body(answer: bytes) -> bytes:
    error = json.loads(answer).get("error", {})
    return json.dumps({"message": error.get("message", "")}).encode()


class Mender:
    """Mends the frames of a stream as they pass."""

    def __init__(self, path: str):
        self.wraps = path.endswith("/invoke-with-response-stream")
        self.rest = b""

    def feed(self, piece: bytes) -> bytes:
        self.rest += piece
        out = b""
        while len(self.rest) >= 4 and len(self.rest) >= (size := unpack(">I", self.rest[:4])[0]):
            frame, self.rest = self.rest[:size], self.rest[size:]
            out += self.mended(frame)
        return out

    def finish(self) -> bytes:
        return self.rest

    def mended(self, frame: bytes) -> bytes:
        buffer = EventStreamBuffer()
        buffer.add_data(frame)
        event = next(iter(buffer))
        kind, payload = event.headers.get(":event-type"), event.payload
        if kind == "contentBlockStart" and "toolUse" not in json.loads(payload).get("start", {}):
            return b""
        if kind == "chunk" and self.wraps and b'"bytes"' not in payload:
            return encoded(event.headers, json.dumps({"bytes": base64.b64encode(payload).decode()}).encode())
        return frame


def encoded(headers: dict[str, str], payload: bytes) -> bytes:
    block = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = pack(">II", 16 + len(block) + len(payload), len(block))
    frame = prelude + pack(">I", crc32(prelude)) + block + payload
    return frame + pack(">I", crc32(frame))
