"""What differs between two configurations, and what of it a running gateway takes over in place."""
from __future__ import annotations

from mbusgw.config.models import Config
from mbusgw.config.section import Section

#: What changes while everything else goes on; anything else needs a new start.
IN_PLACE = frozenset({"buses", "devices", "logging.level", "outputs"})
#: Files that are read once, at the start; their content may change under the same name.
_READ_ONCE = (("mqtt", "ca_file"), ("mqtt", "cert_file"), ("mqtt", "key_file"), ("storage", "master_key_file"))

#: When a file was written, how long it is, which one it is; None where there is none.
Stamp = tuple[int, int, int] | None


def changed_keys(before: Config, after: Config) -> frozenset[str]:
    """``mqtt.url``, ``devices`` …: no values, some are secret. **any thread**"""
    keys: set[str] = set()
    for name in Config.model_fields:
        old, new = getattr(before, name), getattr(after, name)
        if old == new:
            continue
        if name == "devices":
            keys |= {"devices"} if before.wired_devices != after.wired_devices else set()
            keys |= {"devices (radio)"} if before.radio_devices != after.radio_devices else set()
        elif isinstance(old, Section):
            keys |= {f"{name}.{key}" for key in type(old).model_fields if getattr(old, key) != getattr(new, key)}
        else:
            keys.add(name)
    return frozenset(keys)


def file_stamps(config: Config) -> dict[str, Stamp]:
    """Key → state of the file it names, for those that are read once. **any thread**"""
    stamps: dict[str, Stamp] = {}
    for section, key in _READ_ONCE:
        file = getattr(getattr(config, section), key)
        if file is not None:
            try:
                status = file.stat()
                stamps[f"{section}.{key}"] = (status.st_mtime_ns, status.st_size, status.st_ino)
            except OSError:
                stamps[f"{section}.{key}"] = None
    return stamps
