"""Values on their way to and from the Node process: JSON, with bytes as `{"$bytes": base64}`."""

import base64
from typing import Any


def encode(value: Any) -> Any:
    match value:
        case bytes() | bytearray() | memoryview():
            return {"$bytes": base64.b64encode(value).decode()}
        case dict():
            return {key: encode(inner) for key, inner in value.items()}
        case list() | tuple():
            return [encode(inner) for inner in value]
    return value


def decode(value: Any) -> Any:
    match value:
        case {"$bytes": str(encoded)}:
            return base64.b64decode(encoded)
        case dict():
            return {key: decode(inner) for key, inner in value.items()}
        case list():
            return [decode(inner) for inner in value]
    return value
