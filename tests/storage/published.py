"""What stands in a log's files, read with `json` and nothing of the product's: for tests that judge what it published."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BASE = "https://retention.example/"
BEGAN, WITHOUT, CERTIFIED = "case-started", "nothing-destroyed", "certificate-of-destruction"


def statements(log: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Kind and statement of each entry, in order, as far as the published checkpoint goes."""
    checkpoint = log / "checkpoint"
    if not checkpoint.is_file():
        return
    size = int(checkpoint.read_text().splitlines()[1])
    for index in range((size + 255) // 256):
        width = min(256, size - index * 256)
        name = f"{index:03}" + (f".p/{width}" if width < 256 else "")
        data = (log / "tile" / "entries" / name).read_bytes()
        while data:
            length = int.from_bytes(data[:2], "big")
            entry, data = json.loads(data[2 : 2 + length]), data[2 + length :]
            statement = json.loads(base64.b64decode(entry["payload"]))
            yield str(statement["predicateType"]).split("/")[-2], statement


def begun(log: Path) -> dict[str, str]:
    """Record type of each case that began, by case."""
    return {
        told["predicate"]["case"]: told["predicate"]["recordType"]
        for kind, told in statements(log)
        if kind == BEGAN
    }


def ended(log: Path) -> set[str]:
    """The cases with a certificate, or a record that they destroyed nothing."""
    return {told["subject"][0]["name"] for kind, told in statements(log) if kind in (WITHOUT, CERTIFIED)}
