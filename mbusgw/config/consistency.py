"""What single keys cannot tell: names that occur twice, buses that do not exist."""
from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from mbusgw.config.address import ONLY_METER
from mbusgw.config.lines import KeyPath
from mbusgw.config.models import BusConfig, Config, DeviceConfig, KeyConfig, RadioDeviceConfig
from mbusgw.config.outputs import OutputConfig
from mbusgw.config.records import illegal
from mbusgw.config.section import Section
from mbusgw.config.shape import guess
from mbusgw.model.address import SecondaryAddress

Item = TypeVar("Item", bound=Section)


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two parts of a configuration that do not fit, or perhaps not. **immutable**"""

    path: KeyPath
    message: str
    suggestion: str = ""


def conflicts(
    buses: Mapping[int, BusConfig],
    devices: Mapping[int, DeviceConfig],
    radio: Mapping[int, RadioDeviceConfig],
    keys: Mapping[int, KeyConfig],
    outputs: Mapping[int, OutputConfig],
    *,
    buses_wanted: Mapping[int, str],
    bus_names: Iterable[str],
) -> list[Conflict]:
    """All that does not fit, by the items' numbers; items that are wrong in themselves are left out.

    ``buses_wanted`` (by device) and ``bus_names`` are as written, those of wrong items
    too: a device is not to blame for its bus. **any thread**
    """
    return [
        *_doubles("buses", buses, "name", lambda bus: bus.name),
        *_doubles("buses", buses, "port", lambda bus: bus.port),
        *_doubles("devices", _together(devices, radio), "id", lambda device: device.id),
        *_doubles("devices", radio, "radio", lambda device: device.radio),
        *_doubles("devices", devices, "address", _line_address),
        *_doubles("keys", keys, "meter_id", lambda key: (key.meter_id, key.manufacturer)),
        *_doubles("outputs", outputs, "name", lambda output: output.name),
        *_unknown_buses(buses_wanted, sorted(set(bus_names))),
        *_not_alone(devices),
        *_named_twice(devices),
        *_fixed_speed(buses, devices),
        *_covered(devices),
        *_illegal_classes(_together(devices, radio)),
    ]


def doubts(config: Config) -> list[Conflict]:
    """What is allowed, and probably not meant. **any thread**"""
    return [*_relative_ports(config), *_unknown_gateways(config)]


def _relative_ports(config: Config) -> list[Conflict]:
    return [
        Conflict(
            ("buses", number, "port"),
            f"`{bus.port}` is looked for in the folder that mbusgw is started in",
            f"did you mean `/dev/{bus.port}`?" if "/" not in bus.port else "write the whole path, from / on",
        )
        for number, bus in enumerate(config.buses)
        if not bus.port.startswith("/") and "://" not in bus.port
    ]


def _unknown_gateways(config: Config) -> list[Conflict]:
    known = sorted(config.ingest.keys)
    if not known or config.ingest.trusted_networks:  # gateways have names that nobody told us
        return []
    return [
        Conflict(
            ("devices", number, "gateways", place),
            f"no gateway of ingest.keys is named `{name}`: nothing is heard by it",
            guess(name, known) or f"known: {', '.join(known)}",
        )
        for number, device in enumerate(config.devices)
        if isinstance(device, RadioDeviceConfig)
        for place, name in enumerate(device.gateways or ())
        if name not in known
    ]


def _together(
    devices: Mapping[int, DeviceConfig], radio: Mapping[int, RadioDeviceConfig]
) -> Mapping[int, DeviceConfig | RadioDeviceConfig]:
    both: dict[int, DeviceConfig | RadioDeviceConfig] = {**devices, **radio}
    return dict(sorted(both.items()))


def _line_address(device: DeviceConfig) -> Hashable:
    return (device.bus, device.address) if device.enabled else None


def _doubles(
    section: str, items: Mapping[int, Item], key: str, identity: Callable[[Item], Hashable]
) -> Iterable[Conflict]:
    first: dict[Hashable, int] = {}
    for number, item in items.items():
        mark = identity(item)
        if mark is None:
            continue
        if mark in first:
            yield Conflict((section, number, key), f"is the same as that of {section}[{first[mark]}]; it must differ")
        first.setdefault(mark, number)


def _unknown_buses(wanted: Mapping[int, str], names: list[str]) -> Iterable[Conflict]:
    for number, bus in wanted.items():
        if bus not in names:
            known = f"known: {', '.join(names)}" if names else "there are no buses at all"
            message = f"no bus is named `{bus}`"
            yield Conflict(("devices", number, "bus"), message, guess(bus, names) or known)


def _not_alone(devices: Mapping[int, DeviceConfig]) -> Iterable[Conflict]:
    for number, device in devices.items():
        company = [other for other in devices.values() if other.enabled and other.bus == device.bus]
        if device.enabled and device.address == ONLY_METER and len(company) > 1:
            yield Conflict(
                ("devices", number, "address"),
                f"{ONLY_METER} calls every meter on bus `{device.bus}`, where {len(company)} are configured",
                "give it its own primary address",
            )


def _named_twice(devices: Mapping[int, DeviceConfig]) -> Iterable[Conflict]:
    for number, device in devices.items():
        if device.meter is not None and isinstance(device.address, SecondaryAddress):
            yield Conflict(
                ("devices", number, "meter"),
                "says which meter answers at a primary address; a secondary address says so itself",
                "leave it out",
            )


def _fixed_speed(buses: Mapping[int, BusConfig], devices: Mapping[int, DeviceConfig]) -> Iterable[Conflict]:
    """Meters of another speed behind a port that has only one."""
    on = {bus.name: bus for bus in buses.values()}
    for number, device in devices.items():
        bus = on.get(device.bus)
        if bus is None or device.baudrate in (None, bus.baudrate) or not bus.port.startswith("socket://"):
            continue
        yield Conflict(
            ("devices", number, "baudrate"),
            f"bus `{bus.name}` is a socket://, whose speed is set in the converter and cannot be changed by us",
            "use rfc2217:// if the converter knows it",
        )


def _illegal_classes(devices: Mapping[int, DeviceConfig | RadioDeviceConfig]) -> Iterable[Conflict]:
    for number, device in devices.items():
        for name, key, message in illegal(device):
            yield Conflict(("devices", number, "records", name, key), message)


def _covered(devices: Mapping[int, DeviceConfig]) -> Iterable[Conflict]:
    """A selection with open places that calls another configured meter too: both would answer."""
    for number, device in devices.items():
        for other_number, other in devices.items():
            if number != other_number and _calls(device, other):
                yield Conflict(
                    ("devices", number, "address"),
                    f"with its open places (F) it calls devices[{other_number}] too",
                    "write more of the address",
                )
                break


def _calls(device: DeviceConfig, other: DeviceConfig) -> bool:
    wide, narrow = device.address, other.address
    if not (device.enabled and other.enabled and device.bus == other.bus):
        return False
    if not isinstance(wide, SecondaryAddress) or not isinstance(narrow, SecondaryAddress):
        return False
    return wide != narrow and wide.covers(narrow)
