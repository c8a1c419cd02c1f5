"""``mbusgw read``: one meter, now."""
from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mbusgw.cli.buses import add_bus_options, choose_bus, tool_config
from mbusgw.cli.decode_text import explanation
from mbusgw.cli.direct import asker_for
from mbusgw.cli.options import add_json_option
from mbusgw.cli.remote import Asker, Remote
from mbusgw.config.address import parse_address
from mbusgw.config.models import BusConfig, Config, DeviceConfig
from mbusgw.mbus.answer import Answer
from mbusgw.model.address import Address
from mbusgw.model.document import failure_document
from mbusgw.model.errors import MbusgwError, RequestError
from mbusgw.runtime.exactjson import dumps
from mbusgw.wired.operations import address_text
from mbusgw.wired.readout import decode_answer

NAME = "read"
HELP = "read a wired meter now, through the running gateway or directly"
EXAMPLES = """\
mbusgw read meter_1                       a device of the configuration
mbusgw read 5 --bus /dev/ttyUSB0          no configuration needed
mbusgw read 12345678FFFFFFFF --json       by the number printed on it
mbusgw read --any --bus /dev/ttyUSB0      one that is alone, on the bench
"""

#: What is printed on a meter.
NUMBER_DIGITS = 8
METER_HELP = (
    "a device of the configuration, a primary address (0 to 250), or the 16 hex digits of a secondary one, "
    "in which F stands for any digit"
)


@dataclass(frozen=True, slots=True)
class Target:
    """Who is to be read: on a bus, a configured device, or an address, or (None) whoever is alone there."""

    bus: BusConfig
    address: Address | None = None
    device: DeviceConfig | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument(
        "meter",
        metavar="ADDRESS|DEVICE",
        nargs="?",
        help=METER_HELP,
    )
    parser.add_argument(
        "--any", action="store_true", help="a meter that is alone on its bus, whatever its address (254)"
    )
    add_bus_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """0 when it was read, 1 when not. Raises ``MbusgwError``."""
    config = tool_config(args.config)
    target = find_target(config, args.meter, bus=args.bus, anybody=args.any)
    try:
        with asker_for(config, target.bus, args.baud) as (asker, bus):
            document = asker.run("read", parameters(target, asker, bus, args.baud))
    except MbusgwError as error:
        if not args.json or isinstance(error, RequestError):
            raise
        print(dumps(failure_document(error), indent=2))
        return 1
    print(dumps(document, indent=2) if args.json else _text(document))
    return 0


def find_target(config: Config, text: str | None, *, bus: str | None, anybody: bool) -> Target:
    """What was typed, as something that can be asked. Raises ``RequestError`` 400, 404."""
    if anybody == (text is not None):
        raise RequestError(400, "bad_request", "name an address or a device, or write --any for a meter that is alone")
    if text is None:
        return Target(choose_bus(config, bus))
    device = next((device for device in config.wired_devices if device.id == text), None)
    if device is None:
        address = _address(text)
        return Target(choose_bus(config, bus), address)
    own = config.bus(device.bus)
    if bus is not None and choose_bus(config, bus) != own:
        raise RequestError(400, "bad_request", f"{text} is on bus {own.name}, not on {bus}")
    return Target(own, device.address, device)


def parameters(target: Target, asker: Asker, bus: str, baudrate: int | None) -> dict[str, Any]:
    """The parameters of the command ``read``: a device that the gateway reads is read by its own thread."""
    if target.device is not None and target.device.enabled and baudrate is None and isinstance(asker, Remote):
        return {"device": target.device.id}
    return place(target, bus, baudrate)


def place(target: Target, bus: str, baudrate: int | None) -> dict[str, Any]:
    """Where somebody is: the parameters that most commands have. A meter with a speed of its own is called at it."""
    device = target.device
    if baudrate is None and device is not None:
        baudrate = device.own_baudrate
    where = {"any": True} if target.address is None else {"address": address_text(target.address)}
    return {"bus": bus, **where, **({} if baudrate is None else {"baudrate": baudrate})}


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError as error:
        known = "" if text[:1].isdecimal() else f"there is no device {text!r} in the configuration, and "
        wrong = RequestError(400, "bad_request", f"{known}{text!r} is no address: {error}")
        if len(text) == NUMBER_DIGITS and text.isdecimal():
            wrong.hint = f"a meter is called by its number alone as {text}FFFFFFFF"
        raise wrong from None


def _text(document: Mapping[str, Any]) -> str:
    frames = tuple(bytes.fromhex(frame) for frame in document["frames"])
    telegram = decode_answer(Answer(frames, complete=document["complete"]))
    return explanation(b"".join(frames), telegram, telegrams=len(frames))
