"""Files that somebody else has made: what to do about them."""
from __future__ import annotations

import os
import pwd
from pathlib import Path


def advice(path: Path, error: OSError) -> str:
    """How ``path`` becomes ours where ``error`` says that it is not; empty where it is something else.

    **any thread** The usual cause is a gateway that root has run by hand, once.
    """
    if not isinstance(error, PermissionError):
        return ""
    for place in (path, path.parent):
        try:
            owner = place.stat().st_uid
        except OSError:
            continue
        if owner == os.geteuid():
            return ""
        us = _name(os.geteuid())
        return f"{place} belongs to {_name(owner)}, and this is {us}: chown -R {us}: {place}"
    return ""


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
