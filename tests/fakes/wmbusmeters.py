"""A stand-in for the program wmbusmeters, which is another project's: it only obeys its protocol, ``stdin:jsonl``.

It knows no meter. What it answers, and how it misbehaves, a test says in a file beside it.
"""
from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

_PROGRAM = '''
import json, os, sys, time
here = os.path.dirname(os.path.abspath(__file__))
def said():
    with open(os.path.join(here, "said.json")) as file:
        return json.load(file)
def note(line):
    with open(os.path.join(here, "asked.jsonl"), "a") as file:
        file.write(json.dumps(line) + "\\n")
if "--version" in sys.argv:
    print(said()["version"])
    sys.exit(0)
note({"pid": os.getpid(), "arguments": sys.argv[1:]})
makers = {}
for line in sys.stdin:
    question = json.loads(line)
    note({"pid": os.getpid(), **question})
    raw = bytes.fromhex(question["telegram"])
    number, maker = raw[4:8][::-1].hex().upper(), raw[2:4]
    if makers.setdefault(number, maker) != maker:
        os.abort()  # two manufacturers of one number
    answer = said()["answers"].get(number, "unknown")
    if answer == "crash":
        os.abort()
    if answer == "hang":
        time.sleep(3600)
    if answer == "endless":
        sys.stdout.write("x" * (2 << 20))
        sys.stdout.flush()
        time.sleep(3600)
    if answer == "unknown":
        answer = {"_": "telegram", "id": number, "error": "decoding failed", "telegram": question["telegram"]}
    print("(warning) a line that is no answer", flush=True)
    whole = {"_": "telegram", "media": "water", "name": "", "id": number, **answer}
    if answer.get("error") and "meter" not in answer:  # of what it cannot even take apart
        whole = {"error": answer["error"], "telegram": question["telegram"]}
    print(json.dumps(whole, indent=said().get("indent")), flush=True)
'''


class StandInWmbusmeters:
    """The program in a folder of its own. **own thread**"""

    def __init__(self, folder: Path, *, version: str = "wmbusmeters: 3.0.1\n0123abc") -> None:
        self._folder = folder
        self._said: dict[str, Any] = {"version": version, "answers": {}}
        program = folder / "wmbusmeters"
        # Not `#!{sys.executable}`, whose folder may have a space in its name: a line of sh that is a text to Python.
        program.write_text(f"#!/bin/sh\n\'\'\'exec\' \"{sys.executable}\" -I \"$0\" \"$@\"\n\' \'\'\'\n{_PROGRAM}")
        program.chmod(0o755)
        self.command = str(program)
        self._write()

    def answer(self, number: str, answer: object) -> None:
        """What it says of the meter of this number: fields, or ``crash``, ``hang``, ``endless``."""
        self._said["answers"][number] = answer
        self._write()

    def print_over_lines(self) -> None:
        """From now on an answer is printed over several lines, as for a person."""
        self._said["indent"] = 4
        self._write()

    @property
    def asked(self) -> list[dict[str, Any]]:
        """Every start and every question so far."""
        path = self._folder / "asked.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def starts(self) -> list[int]:
        """The process ids of every start."""
        return [line["pid"] for line in self.asked if "arguments" in line]

    def _write(self) -> None:
        new = self._folder / "said.new"
        new.write_text(json.dumps(self._said))
        new.replace(self._folder / "said.json")
