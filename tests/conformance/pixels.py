"""Images for the tests: a real one-pixel PNG and one large enough to cross several buffers."""

import base64
import random
import struct
import zlib


def png(width: int, height: int) -> bytes:
    """An RGB picture of seeded noise, so that it does not compress."""
    noise = random.Random(width * height)
    rows = b"".join(b"\0" + noise.randbytes(width * 3) for _ in range(height))

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PIXEL = base64.b64encode(png(1, 1)).decode()
PICTURE = base64.b64encode(png(400, 400)).decode()
WEB_IMAGE = "https://images.example.com/a%20b.png?size=1&x=y#top"
