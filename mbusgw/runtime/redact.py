"""Keeps secrets out of what is written for people."""
from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "***"

#: A configured secret shorter than this is only caught by the patterns: it would blacken ordinary words.
_SHORTEST = 6

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # key=0102..., key_hex: "0102...", 'key': b'...'
    (re.compile(r"(?i)(key(?:_hex)?[\"']?\s*[=:]\s*b?[\"']?)[0-9a-f]{16,}"), rf"\1{HIDDEN}"),
    # token=abc, "password": "abc"
    (re.compile(r"(?i)((?:password|passwd|token|secret)(?:=|[\"']\s*:\s*)[\"']?)[^\s\"'&,;}]+"), rf"\1{HIDDEN}"),
    # Authorization: Bearer abc
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{4,}"), rf"\1 {HIDDEN}"),
    # mqtt://user:abc@host
    (re.compile(r"([a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/]*@"), rf"\1{HIDDEN}@"),
)


class Redactor:
    """Replaces secrets in a text: those it is told, and whatever looks like one. **immutable, any thread**"""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        longest_first = sorted({secret for secret in secrets if len(secret) >= _SHORTEST}, key=len, reverse=True)
        self._known: re.Pattern[str] | None = None
        if longest_first:
            # Whole words only; hex keys are written in either case.
            words = "|".join(re.escape(secret) for secret in longest_first)
            self._known = re.compile(rf"(?i)(?<![A-Za-z0-9])(?:{words})(?![A-Za-z0-9])")

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text
