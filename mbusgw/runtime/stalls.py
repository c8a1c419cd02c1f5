"""Where a thread stands that does not go on."""
from __future__ import annotations

import sys
import threading
import traceback


def stack_of(thread_id: int | None) -> str:
    """The stack of a thread as text, innermost call last; a sentence where it has none. **any thread**"""
    frame = sys._current_frames().get(thread_id) if thread_id is not None else None
    if frame is None:
        return "  (the thread does not run)"
    return "".join(traceback.format_stack(frame)).rstrip()


def where_everybody_is() -> str:
    """One line per thread, its innermost call: who a stalled one may be waiting for. **any thread**"""
    frames = sys._current_frames()
    lines = []
    for thread in sorted(threading.enumerate(), key=lambda one: one.name):
        frame = frames.get(thread.ident or 0)
        if frame is not None:
            code = frame.f_code
            lines.append(f"  {thread.name}: {code.co_name} ({code.co_filename}:{frame.f_lineno})")
    return "\n".join(lines)
