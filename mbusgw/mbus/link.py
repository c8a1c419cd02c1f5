"""What a master remembers of the meters on a line (EN 13757-2:2018, 5.5.4: the frame count bit)."""
from __future__ import annotations

from dataclasses import dataclass, field

from mbusgw.mbus.decode import decode_frame
from mbusgw.model.address import Address, SecondaryAddress
from mbusgw.model.errors import DecodeError

#: After so many second questions in a row that brought nothing new a meter is believed when it says the same again,
SAME_MAX = 3
#: but for every so manieth time.
SAME_CHECK = 10


#: Where the CI field of a long frame stands, and what comes after the data: checksum and stop byte.
_CI, _END = 6, 2


@dataclass(slots=True)
class Link:
    """What we remember of one meter. **own thread**

    ``fcb`` of the next request; ``reset_due``: it must be initialised first; ``reset_always``: it gives old telegrams
    else; ``unsure`` after an initialisation that nobody confirmed: the meter may take the request for a repeat;
    ``last``: its last telegram; ``same``: how often it said the same again although it was asked anew;
    ``meter``: who must answer, if that is known.
    """

    fcb: bool = True
    reset_due: bool = True
    reset_always: bool = False
    unsure: bool = False
    last: bytes = b""
    same: int = 0
    meter: SecondaryAddress | None = None

    def doubts(self, raw: bytes, before: bytes) -> bool:
        """Whether ``raw`` may be the telegram ``before`` once more: a meter that misses the toggled FCB repeats itself.

        Only a telegram with an access number tells, as that changes from one to the next. Some meters never
        change it, and have nothing new to say: they are found out, and then asked twice only now and then. One that
        announces more records is no repeat of a readout that had come to its end, and asked anew it would go on
        with its second telegram.
        """
        if not same_telegram(raw, before) or not _tells_its_age(raw):
            return False
        return self.same < SAME_MAX or self.same % SAME_CHECK == 0

    def asked_anew(self, raw: bytes, before: bytes) -> None:
        """What came when it was asked once more."""
        self.same = self.same + 1 if same_telegram(raw, before) else 0


@dataclass(slots=True)
class Known:
    """What we know of the meters that live at one speed: ``found`` has the meter behind an address with open places.
    **own thread**"""

    links: dict[Address, Link] = field(default_factory=dict)
    found: dict[SecondaryAddress, SecondaryAddress] = field(default_factory=dict)

    def link(self, address: Address) -> Link:
        """What is known of the meter at ``address``."""
        return self.links.setdefault(address, Link())

    def disturb(self, *, but: Address | None = None) -> None:
        """A request went to many meters: each may be in the middle of a readout now, and all of them count it."""
        for address, link in self.links.items():
            if address != but:
                link.reset_due = True

    def disturb_at(self, primary: int) -> None:
        """A selected meter that has this primary address was read: it has one frame count for both."""
        link = self.links.get(primary)
        if link is not None:
            link.reset_due = True


def same_telegram(raw: bytes, other: bytes) -> bool:
    """Whether two long frames say the same. Any thread.

    A repeat may differ in its control field (access demand and data flow are of the moment), and a selected meter
    may answer under another address field; so only the CI field and the data after it count.
    """
    return raw[_CI:-_END] == other[_CI:-_END] if raw and other else raw == other


def _tells_its_age(raw: bytes) -> bool:
    """Whether a telegram that ends a readout has an access number."""
    try:
        telegram = decode_frame(raw)
    except DecodeError:
        return False
    return telegram.header.access_no is not None and not telegram.more_records_follow
