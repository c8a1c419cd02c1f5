"""Finding an adapter again, under whatever name, and never taking another for it."""
from __future__ import annotations

from pathlib import Path

import pytest

from mbusgw.model.errors import AdapterChanged, TransportOpenFailed
from mbusgw.transports.adapter import MOVED_AFTER_S, Adapter
from mbusgw.transports.enumerate import UsbPort
from tests.fakes.adapters import Adapters


class Machine:
    """A machine whose ports are files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.adapters = Adapters()

    def name(self, number: int) -> str:
        return str(self.folder / f"ttyUSB{number}")

    def plug(self, number: int, serial: str = "", *, location: str = "1-1", make: int = 0x6001) -> None:
        Path(self.name(number)).touch()
        self.adapters.plug(self.name(number), serial, location=location, make=make)

    def pull(self, number: int) -> None:
        Path(self.name(number)).unlink()
        self.adapters.pull(self.name(number))

    def opened(self, number: int = 0) -> Adapter:
        """The adapter of a bus that is configured for port ``number`` and has it open."""
        adapter = Adapter(self.name(number), ports=self.adapters)
        assert adapter.find(0) == self.name(number)
        adapter.opened(self.name(number))
        return adapter


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_an_adapter_is_found_under_another_name(machine: Machine) -> None:
    machine.plug(0, "A1")
    adapter = machine.opened()
    machine.pull(0)
    assert adapter.find(1) == machine.name(0), "nobody is there: the opening says so"
    machine.plug(1, "A1", location="2-3")
    assert adapter.find(2) == machine.name(1)
    adapter.opened(machine.name(1))
    machine.pull(1)
    machine.plug(0, "A1", location="1-1")
    assert adapter.find(3) == machine.name(0)


def test_another_adapter_under_the_old_name_is_not_taken(machine: Machine) -> None:
    machine.plug(0, "A1")
    adapter = machine.opened()
    machine.pull(0)
    machine.plug(0, "B2")
    for now in (1, 100, 10_000):
        with pytest.raises(AdapterChanged, match="ttyUSB0 is now .*B2; before it was .*A1") as caught:
            adapter.find(now)
    assert "replaced" in caught.value.hint and caught.value.retryable
    machine.plug(1, "A1", location="1-2")
    assert adapter.find(10_001) == machine.name(1)


def test_two_adapters_that_have_swapped_their_names_are_both_found(machine: Machine) -> None:
    machine.plug(0, "A1", location="1-1")
    machine.plug(1, "B2", location="1-2")
    first, second = machine.opened(0), machine.opened(1)
    machine.pull(0)
    machine.pull(1)
    machine.plug(0, "B2", location="1-2")
    with pytest.raises(AdapterChanged):
        first.find(1)
    assert second.find(1) == machine.name(0)
    machine.plug(1, "A1", location="1-1")
    assert (first.find(2), second.find(2)) == (machine.name(1), machine.name(0))


def test_an_adapter_without_a_number_is_known_by_its_socket(machine: Machine) -> None:
    machine.plug(0, location="1-1")
    machine.plug(1, location="1-2")
    adapter = machine.opened()
    machine.pull(0)
    machine.pull(1)
    machine.plug(0, location="1-2")
    with pytest.raises(AdapterChanged):
        adapter.find(1)
    machine.plug(1, location="1-1")
    assert adapter.find(2) == machine.name(1)


def test_an_adapter_without_a_number_in_another_socket_is_taken_after_a_while(machine: Machine) -> None:
    machine.plug(0, location="1-1")
    adapter = machine.opened()
    machine.pull(0)
    assert adapter.find(1000) == machine.name(0)
    machine.plug(0, location="1-4")
    with pytest.raises(AdapterChanged):
        adapter.find(1001)
    with pytest.raises(AdapterChanged):
        adapter.find(1001 + MOVED_AFTER_S - 0.1)
    assert adapter.find(1001 + MOVED_AFTER_S) == machine.name(0)
    adapter.opened(machine.name(0))
    assert adapter.known is not None and adapter.known.location == "1-4"


@pytest.mark.parametrize(("serial", "make"), [("B2", 0x6001), ("", 0x7523)])
def test_an_adapter_that_is_surely_another_is_never_taken_for_a_moved_one(
    machine: Machine, serial: str, make: int
) -> None:
    machine.plug(0, location="1-1")
    adapter = machine.opened()
    machine.pull(0)
    machine.plug(0, serial, location="1-4", make=make)
    for now in (1, 1 + 2 * MOVED_AFTER_S):
        with pytest.raises(AdapterChanged):
            adapter.find(now)


def test_a_number_that_two_adapters_share_tells_nothing(machine: Machine) -> None:
    machine.plug(0, "0001", location="1-1")
    machine.plug(1, "0001", location="1-2")
    adapter = machine.opened()
    machine.pull(0)
    machine.pull(1)
    machine.plug(0, "0001", location="1-2")
    with pytest.raises(AdapterChanged):
        adapter.find(1)
    machine.plug(1, "0001", location="1-1")
    assert adapter.find(2) == machine.name(1)


def test_a_twin_that_comes_later_is_told_apart_by_the_socket(machine: Machine) -> None:
    machine.plug(0, "0001", location="1-1")
    adapter = machine.opened()
    machine.pull(0)
    machine.plug(0, "0001", location="1-2")
    machine.plug(1, "0001", location="1-1")
    assert adapter.find(1) == machine.name(1)
    machine.pull(1)
    machine.plug(1, "0001", location="1-3")
    with pytest.raises(AdapterChanged):
        adapter.find(2)


def test_a_lasting_name_is_used_as_long_as_it_leads_to_the_adapter(machine: Machine) -> None:
    machine.plug(0, "A1")
    link = machine.folder / "usb-FTDI_A1"
    link.symlink_to(machine.name(0))
    adapter = Adapter(str(link), ports=machine.adapters)
    adapter.opened(adapter.find(0))
    link.unlink()
    machine.pull(0)
    assert adapter.find(1) == str(link)
    machine.plug(1, "A1")
    assert adapter.find(2) == machine.name(1), "the adapter is there before its lasting name"
    link.symlink_to(machine.name(1))
    assert adapter.find(3) == str(link)


def test_a_port_that_became_another_while_it_was_opened_is_refused(machine: Machine) -> None:
    machine.plug(0, "A1")
    adapter = machine.opened()
    assert adapter.find(1) == machine.name(0)
    machine.pull(0)
    machine.plug(0, "B2")
    with pytest.raises(AdapterChanged):
        adapter.opened(machine.name(0))
    assert adapter.known is not None and adapter.known.number == "A1"


def test_a_name_that_leads_to_something_that_is_no_usb_adapter_is_not_taken(machine: Machine) -> None:
    machine.plug(0, "A1")
    adapter = machine.opened()
    machine.adapters.pull(machine.name(0))  # the name stays
    with pytest.raises(AdapterChanged, match="is now another port"):
        adapter.find(1)


@pytest.mark.parametrize("port", ["/dev/ttyAMA0", "socket://127.0.0.1:1", "rfc2217://host:1"])
def test_a_port_that_is_no_usb_adapter_keeps_its_name(port: str) -> None:
    adapters = Adapters()
    adapters.plug("/dev/ttyUSB0", "A1")
    adapter = Adapter(port, ports=adapters)
    adapter.opened(port)
    assert adapter.known is None
    assert adapter.find(1) == port


def test_what_cannot_be_listed_just_now_is_asked_again_and_nothing_is_forgotten(machine: Machine) -> None:
    changing = False

    def ports() -> list[UsbPort]:
        if changing:
            raise TransportOpenFailed("the serial ports are changing just now")
        return machine.adapters()

    machine.plug(0, "A1")
    adapter = Adapter(machine.name(0), ports=ports)
    adapter.opened(adapter.find(0))
    changing = True
    with pytest.raises(TransportOpenFailed):
        adapter.find(1)
    adapter.opened(machine.name(0))
    assert adapter.known is not None and adapter.known.number == "A1"
