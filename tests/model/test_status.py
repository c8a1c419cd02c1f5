"""What a meter says of itself."""
from __future__ import annotations

import pytest

from mbusgw.model.status import status_flags


@pytest.mark.parametrize(
    ("status", "flags"),
    [
        (None, None),
        (0x00, ()),
        (0x01, ("application_busy",)),
        (0x02, ("application_error",)),
        (0x03, ("alarm",)),
        (0x04, ("power_low",)),
        (0x08, ("permanent_error",)),
        (0x10, ("temporary_error",)),
        (0x1E, ("application_error", "power_low", "permanent_error", "temporary_error")),
        (0xE0, ()),
        (0xE4, ("power_low",)),
    ],
)
def test_the_standards_bits_have_names_and_the_manufacturers_have_none(
    status: int | None, flags: tuple[str, ...] | None
) -> None:
    assert status_flags(status) == flags
