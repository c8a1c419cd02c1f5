"""What a master remembers of the meters on a line (EN 13757-2:2018, 5.5.4: the frame count bit)."""
from __future__ import annotations

from dataclasses import dataclass, field

from mbusgw.mbus.answer import same_telegram, tells_its_age
from mbusgw.mbus.succession import Succession
from mbusgw.model.address import Address, SecondaryAddress

#: A meter that SND_NKE has freed so often, with no news of its own between, needs one each time.
FREED_MAX = 2
#: A meter that never acknowledges SND_NKE is believed after so many tries.
UNHEARD_MAX = 3
#: A meter that was thought to have nothing new to say counts after all when so many reads in a row were news.
NEWS_MAX = 2


@dataclass(slots=True)
class Way:
    """What was found out about a meter, and stays true when the port is opened anew. **own thread**

    ``constant``: it was initialised and asked with the other FCB, and said the same once more, so that is what it has
    to say. ``succession``: how its telegrams follow each other.
    """

    constant: bool = False
    succession: Succession = field(default_factory=Succession)


#: The ways of meters by speed and address.
Ways = dict[tuple[int, Address], Way]


@dataclass(slots=True)
class Link:
    """What we remember of one meter. **own thread**

    ``fcb`` of the next request; ``reset_due``: it must be initialised first; ``reset_always``: it gives old telegrams
    else; ``unsure`` after an initialisation that nobody confirmed: the meter may take the request for a repeat;
    ``last``: its last telegram; ``repeated``: something had to be asked for again since its readout began; ``meter``:
    who must answer, if that is known. ``freed``: how often in a row an initialisation brought news; ``unheard``: how
    often in a row nobody acknowledged it; ``news``: how many reads in a row brought some of themselves. ``way``: what
    is known of it beyond this port.
    """

    fcb: bool = True
    reset_due: bool = True
    reset_always: bool = False
    unsure: bool = False
    last: bytes = b""
    repeated: bool = False
    meter: SecondaryAddress | None = None
    freed: int = 0
    unheard: int = 0
    news: int = 0
    way: Way = field(default_factory=Way)

    def doubts(self, raw: bytes, before: bytes) -> bool:
        """Whether ``raw`` may be the telegram ``before`` once more: a meter that misses the toggled FCB repeats itself.

        Only a telegram with an access number tells, as that changes from one to the next. Some meters never
        change it, or seldom, and have nothing new to say: they are found out once. One that announces more records is
        no repeat of a readout that had come to its end, and asked anew it would go on with its second telegram.
        """
        if not same_telegram(raw, before):
            self.freed, self.news = 0, self.news + 1
            self.way.constant = self.way.constant and self.news < NEWS_MAX
            return False
        self.news = 0
        return not self.way.constant and tells_its_age(raw)

    def asked_anew(self, raw: bytes, before: bytes, *, freed: bool = False, heard: bool = True) -> None:
        """What came when nothing was left to doubt; ``freed``: after an initialisation for that purpose, ``heard``:
        which was acknowledged."""
        same = same_telegram(raw, before)
        self.unheard = 0 if heard else self.unheard + 1
        self.way.constant = same and (heard or self.unheard >= UNHEARD_MAX)
        self.freed = self.freed + 1 if freed and not same else 0
        self.reset_always = self.reset_always or self.freed >= FREED_MAX


@dataclass(slots=True)
class Known:
    """What we know of the meters that live at one speed. **own thread**

    ``found`` has the meter behind an address with open places; ``ways``, by speed and address, outlive the session.
    """

    baudrate: int
    ways: Ways
    links: dict[Address, Link] = field(default_factory=dict)
    found: dict[SecondaryAddress, SecondaryAddress] = field(default_factory=dict)

    def link(self, address: Address) -> Link:
        """What is known of the meter at ``address``."""
        if address not in self.links:
            self.links[address] = Link(way=self.ways.setdefault((self.baudrate, address), Way()))
        return self.links[address]

    def forget(self, address: Address) -> None:
        """Another meter may be there from now on."""
        self.links.pop(address, None)
        self.ways.pop((self.baudrate, address), None)

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
