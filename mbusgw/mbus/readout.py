"""Readouts: the telegrams of one meter from the first to the last (EN 13757-2:2018, 5.5.4 and 5.7)."""
from __future__ import annotations

from mbusgw.mbus.answer import Answer, breaks_off, more_records_follow, parse_long, same_telegram
from mbusgw.mbus.decode import is_application_error
from mbusgw.mbus.link import Link
from mbusgw.mbus.selection import sender
from mbusgw.mbus.service import EVERYBODY, LinkServices
from mbusgw.mbus.succession import DOUBTS_MAX
from mbusgw.model.address import Address, SecondaryAddress
from mbusgw.model.errors import Collision, FrameDamaged, FrameUnexpected, LinkError, NoAnswer

MAX_TELEGRAMS = 16
GAP_HINT = "is the line disturbed, or does the meter answer too late?"


class Readouts:
    """Reads one meter at a time, by ``services``. **own thread**"""

    def __init__(self, services: LinkServices) -> None:
        self._services = services

    def read_open(self, address: SecondaryAddress, repeats: int, *, reset: bool, max_telegrams: int) -> Answer:
        """Finds out who fits ``address``, then reads that meter by all of its address.

        Answers of several meters at once may by chance look like a whole frame, so none that
        open places have called forth is taken for more than a name.
        """
        known = self._services.known.found.pop(address, None)
        found = known or self._find(address)
        try:
            answer = self.read(found, repeats, reset=reset, max_telegrams=max_telegrams)
        except NoAnswer as error:
            if known is None:
                signs = f"one seemed to be {found}, but there is no such meter"
                raise self._services.collision(address, signs) from error
            raise  # it may have been replaced: the next read looks anew
        self._services.known.found[address] = found
        return answer

    def _find(self, address: SecondaryAddress) -> SecondaryAddress:
        """The whole address of the meter that fits. Raises ``Collision`` where several do."""
        link = self._services.known.link(address)
        self._services.select(address, link)
        try:
            raw = self._services.next_telegram(address, link, 0)
        except FrameDamaged as error:
            self._services.known.disturb()
            raise self._services.collision(address, str(error)) from error
        if more := self._services.exchange.await_idle():
            self._services.known.disturb()
            raise self._services.collision(address, f"after the answer came {more[:12].hex(' ')}")
        return sender(parse_long(raw), address)

    def read(self, address: Address, repeats: int, *, reset: bool, max_telegrams: int) -> Answer:
        """Reads the meter at ``address``; as ``Session.read_user_data``.

        A readout that telegrams seem to be missing from is begun anew (``Succession``).
        """
        link = self._services.known.link(address)
        why = ""
        for _ in range(DOUBTS_MAX):
            if why:
                self._services.repeating(address, link)
            link.repeated = False
            answer = self._read_once(address, link, repeats, reset=reset or bool(why), max_telegrams=max_telegrams)
            why = link.way.succession.gap(answer.frames, complete=answer.complete, disturbed=link.repeated)
            if not why:
                return answer
        raise FrameUnexpected(f"telegrams of address {address} seem to be missing: {why}", hint=GAP_HINT)

    def _read_once(
        self, address: Address, link: Link, repeats: int, *, reset: bool, max_telegrams: int
    ) -> Answer:
        """All telegrams from the first one on, as they come."""
        if address in EVERYBODY:
            self._services.known.disturb(but=address)
        reset, link.reset_due = reset or link.reset_due, False
        frames: list[bytes] = []
        try:
            raw = self._first_telegram(address, link, repeats, reset=reset)
            while not any(same_telegram(raw, frame) for frame in frames):
                frames.append(raw)
                if not more_records_follow(raw):
                    return Answer(tuple(frames))
                if len(frames) == max_telegrams:
                    break
                raw = self._services.next_telegram(address, link, repeats, started=True)
            return Answer(tuple(frames), complete=False)  # too long, or it goes round in circles
        finally:
            # In the middle of a readout only SND_NKE leads back to the first telegram. And a selected meter whose
            # answer was lost might send the same one as it was then, if it remembers the FCB of its last selection.
            lost = isinstance(address, SecondaryAddress) and not frames
            if isinstance(address, SecondaryAddress) and frames:
                self._services.known.disturb_at(parse_long(frames[-1]).address)
            link.reset_due = lost or bool(frames) and breaks_off(frames[-1])

    # -------------------------------------------------- the first telegram
    def _first_telegram(self, address: Address, link: Link, repeats: int, *, reset: bool) -> bytes:
        if isinstance(address, SecondaryAddress):
            return self._first_of_selected(address, link, repeats, reset=reset)
        reset, due = reset or link.reset_always, link.fcb
        if reset:
            self._services.initialise(address, link, repeats)
            reset = not link.unsure
        before = link.last
        raw = self._first_sure_telegram(address, link, repeats)
        if link.doubts(raw, before):
            raw = self._undoubted_telegram(address, link, repeats, reset=reset, toggled=due)
        return raw

    def _undoubted_telegram(self, address: int, link: Link, repeats: int, *, reset: bool, toggled: bool) -> bytes:
        """A meter said its last telegram again: it missed the toggled FCB, is stuck in it, or has nothing else to say.

        It is known when it was initialised since (``reset``: before it said so) and asked with another FCB than that
        time (``toggled``). The first request after SND_NKE has FCB 1, so that with FCB 0 is sent before, if it is due.
        """
        raw = before = link.last
        if not link.fcb and not (reset and toggled):
            raw = self._services.next_telegram(address, link, repeats)
        freed, heard = not reset and same_telegram(raw, before), True
        if freed:
            try:
                self._services.initialise(address, link, repeats)
            except LinkError:  # it may have heard it all the same; the FCB that is due tells
                link.unsure = heard = False
            raw = self._services.next_telegram(address, link, repeats)
        link.asked_anew(raw, before, freed=freed, heard=heard)
        return raw

    def _first_of_selected(self, address: SecondaryAddress, link: Link, repeats: int, *, reset: bool) -> bytes:
        """Selects and asks; where that is disturbed, all selections are ended and it begins anew.

        Some meters do not notice that another one was selected, and disturb it until SND_NKE.
        """
        for repeat in range(repeats + 1):
            try:
                self._services.select(address, link)
                if reset:  # only a selected meter hears SND_NKE, and is not selected any more then
                    link.unsure = not self._services.deselect(address)
                    self._services.select(address, link)
                    reset = False
                before = link.last
                raw = self._first_sure_telegram(address, link, 0)
                if link.doubts(raw, before):  # some meters remember the FCB of their last selection
                    raw = self._services.next_telegram(address, link, 0)
                    link.asked_anew(raw, before)
                return raw
            except (FrameDamaged, FrameUnexpected, Collision):
                if repeat == repeats:
                    raise
                self._services.repeating(address, link)
                # A meter that ignores that goes on in the middle of its readout.
                link.unsure = not self._services.deselect(address) or link.unsure
        raise AssertionError("the last try returns or raises")

    def _first_sure_telegram(self, address: Address, link: Link, repeats: int) -> bytes:
        """What comes first after an unconfirmed initialisation may be a repeat of a telegram long past."""
        if link.unsure:
            old = b""
            for _ in range(MAX_TELEGRAMS):  # and may stand in the middle of a readout, which must be ended first
                before, old = old, self._services.next_telegram(address, link, repeats, started=bool(old))
                if is_application_error(parse_long(old)):
                    return old  # it says what is wrong, and still not where it stands
                if same_telegram(old, before) or not more_records_follow(old):
                    break
            link.unsure = False
            return self._services.next_telegram(address, link, repeats, started=True)
        return self._services.next_telegram(address, link, repeats)
