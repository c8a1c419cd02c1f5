"""A foreign library is imported in its home only."""
from __future__ import annotations

import sys

import pytest

from tests.packaging.source import attributes, imports, modules

#: Library → the modules (or packages) that may import it. One that is not here may not be imported at all.
HOMES: dict[str, tuple[str, ...]] = {
    "serial": ("mbusgw.transports.serialport", "mbusgw.transports.enumerate"),
    "paho": ("mbusgw.mqtt.client", "mbusgw.mqtt.terms"),
    "requests": ("mbusgw.runtime.http",),
    "urllib3": ("mbusgw.runtime.http",),
    "yaml": ("mbusgw.config",),
    "pydantic": ("mbusgw.config", "mbusgw.web"),
    "pydantic_core": ("mbusgw.config", "mbusgw.web"),
    "sqlite3": ("mbusgw.store",),
    "cryptography": ("mbusgw.wmbus.security", "mbusgw.store.vault"),
    "prometheus_client": ("mbusgw.runtime.metrics",),
    "sdnotify": ("mbusgw.runtime.notify",),
    "simplejson": ("mbusgw.runtime.exactjson",),
    "meterbus": ("mbusgw.mbus.oracle",),
    "rich": ("mbusgw.cli",),
}


#: What may be spoken of elsewhere: the store hands its connection to whoever writes in its transaction.
HANDED_OUT = {"sqlite3": {"sqlite3.Connection"}}


def is_at_home(module: str, library: str) -> bool:
    homes = HOMES.get(library, ())
    return any(module == home or module.startswith(f"{home}.") for home in homes)


@pytest.mark.parametrize("module", list(modules()))
def test_a_module_imports_only_libraries_whose_home_it_is(module: str) -> None:
    strangers = {
        f"line {line}: {name}"
        for name, line in imports(modules()[module])
        if (library := name.partition(".")[0]) not in ("mbusgw", "__future__")
        and (library in HOMES or library not in sys.stdlib_module_names)
        and not is_at_home(module, library)
        and name not in HANDED_OUT.get(library, set()) | HANDED_OUT.keys()
    }
    assert strangers == set()


@pytest.mark.parametrize("library", list(HANDED_OUT))
@pytest.mark.parametrize("module", list(modules()))
def test_of_a_library_handed_out_only_that_is_used(module: str, library: str) -> None:
    if is_at_home(module, library):
        return
    used = {name for name, _ in attributes(modules()[module]) if name.partition(".")[0] == library}
    used |= {name for name, _ in imports(modules()[module]) if name.startswith(f"{library}.")}
    assert used - HANDED_OUT[library] == set()
