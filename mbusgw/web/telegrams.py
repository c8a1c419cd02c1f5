"""``/v1/telegrams``: where gateways hand in what they heard."""
from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import ceil
from typing import Any, Protocol

from mbusgw.model.errors import MbusgwError, RequestError
from mbusgw.model.submission import Accepted, Submission
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.metrics import Metrics
from mbusgw.runtime.once import Once
from mbusgw.web.auth import GatewayKeys, Permission
from mbusgw.web.bodies import read_body, trusted_time, write_answer
from mbusgw.web.message import Request, Response, error_response, json_response
from mbusgw.web.rates import GatewayRates
from mbusgw.web.router import Route, refusal

log = logging.getLogger(__name__)

PATH = "/v1/telegrams"
#: From so many telegrams on no further request is stored with them: long batches must not add up to a slow commit.
TOGETHER = 1000
#: Of so many who do something wrong at the moment the log is told once, and not with every request.
WRONGS_MAX = 1000
_JSON_TYPES = frozenset({"application/json", "text/json"})


class Accept(Protocol):
    """Takes telegrams; returns when they are durable, in the same order. **any thread**

    Raises ``RequestError`` 503 or 429 (or a ``StoreError``) when it cannot take all of them; then it took none.
    The telegrams of several requests may come in one call.
    """

    def __call__(self, telegrams: Sequence[Submission], /) -> Sequence[Accepted]: ...


class ParseNow(Protocol):
    """The parsed result of an accepted telegram, or None when it is not there within ``timeout_s``. **any thread**"""

    def __call__(self, ingest_id: str, timeout_s: float, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class _Post:
    """What one request hands in, checked. **immutable**"""

    telegrams: Sequence[Submission]
    batch: bool

    def answer(self, accepted: Sequence[Accepted]) -> Response:
        return Response(202, write_answer(accepted, batch=self.batch))


class TelegramRoutes:
    """Checks who posts what, has it stored, and only then says 202. **any thread**

    ``?sync=true`` (debugging) waits for the result; at most ``sync_slots`` requests may, because
    each holds a handler while it does.
    """

    def __init__(
        self,
        keys: GatewayKeys,
        accept: Accept,
        parse_now: ParseNow,
        *,
        clock: Clock,
        metrics: Metrics,
        rates: GatewayRates | None = None,
        sync_slots: int = 2,
        sync_timeout_s: float = 10,
    ) -> None:
        self._keys = keys
        self._accept = accept
        self._parse_now = parse_now
        self._clock = clock
        self._metrics = metrics
        self._rates = rates
        self._sync_slots = threading.BoundedSemaphore(sync_slots)
        self._sync_timeout_s = sync_timeout_s
        self._wrongs = Once(WRONGS_MAX)

    def routes(self) -> list[Route]:
        """The rows for the table."""
        return [
            Route("POST", PATH, self.post, "hand in a telegram, or an array of them (bearer key of the gateway)"),
            Route("HEAD", PATH, self.head, "is the ingress there? (no key needed)"),
        ]

    def head(self, _request: Request) -> Response:
        """Gateways in the field probe with HEAD before they post, and want 2xx."""
        return Response(204)

    def post(self, request: Request) -> Response:
        """202 once everything posted is on disk. Raises ``RequestError``."""
        post = self._read(request)
        if request.flag("sync"):
            return self._post_sync(post)
        return post.answer(self._accept(post.telegrams))

    # -------------------------------------------------- many at once
    def takes(self, request: Request) -> bool:
        """May this request be answered together with others? (see ``answer_together``)"""
        return request.method == "POST" and request.path == PATH and not request.flag("sync")

    def answer_together(self, requests: Sequence[Request]) -> list[Response]:
        """Answers several POSTs with one call of ``accept``, or few: one wait for the disk instead of one each."""
        answers: list[Response] = []
        posts: list[_Post | Response] = []
        count = 0
        for request in requests:
            try:
                post = self._read(request)
                posts.append(post)
                count += len(post.telegrams)
            except RequestError as error:
                posts.append(error_response(error))
            if count >= TOGETHER:
                answers += self._accept_together(posts)
                posts, count = [], 0
        return answers + self._accept_together(posts)

    def _accept_together(self, posts: Sequence[_Post | Response]) -> list[Response]:
        good = [post for post in posts if isinstance(post, _Post)]
        telegrams = [telegram for post in good for telegram in post.telegrams]
        try:
            accepted = iter(self._accept(telegrams) if telegrams else ())
        except MbusgwError as error:
            why = refusal(error, PATH)
            if why.status == 503 or len(good) == 1:  # no room, no disk: that is everybody's answer
                refused = error_response(why)
                return [post if isinstance(post, Response) else refused for post in posts]
            return [self._accept_together([post])[0] for post in posts]  # the fault of one: find out whose
        return [
            post if isinstance(post, Response) else post.answer(list(islice(accepted, len(post.telegrams))))
            for post in posts
        ]

    def _read(self, request: Request) -> _Post:
        permission = self._identified(request)
        try:
            _check_content_type(request)
            telegrams, batch = read_body(request.body)
        except RequestError as error:
            self._metrics.telegram(permission.label, "refused")
            # Once for each kind: of what a gateway hears, this and that may be refused again and again.
            if self._wrongs.begins(error.code, permission.label):
                log.warning("what gateway %s (%s) posts is refused: %s", permission.label, request.peer, error)
            raise
        self._check_names(telegrams, permission, request.peer)
        self._check_rates(telegrams)
        return _Post(tuple(self._with_sane_time(telegram) for telegram in telegrams), batch)

    # -------------------------------------------------- who
    def _identified(self, request: Request) -> Permission:
        try:
            permission = self._keys.permission(request)
        except RequestError as error:
            self._metrics.telegram("unknown", "unauthorized")
            if self._wrongs.begins("key", request.peer):
                log.warning("%s posts without a valid gateway key: %s", request.peer, error)
            raise
        if self._wrongs.ends("key", request.peer):
            log.info("%s posts with a valid gateway key now", request.peer)
        return permission

    def _check_names(self, telegrams: Sequence[Submission], permission: Permission, peer: str) -> None:
        for index, telegram in enumerate(telegrams):
            if permission.allows(telegram.gateway_id):
                continue
            own = permission.label
            self._metrics.telegram(own, "forbidden")
            if self._wrongs.begins("name", own):
                log.warning("gateway %s (%s) posts as %s: refused", own, peer, telegram.gateway_id)
            field = "gateway_id" if len(telegrams) == 1 else f"[{index}].gateway_id"
            keyed = permission.keyed is None
            why = "the key belongs to another gateway" if keyed else "this gateway has to send its key"
            raise RequestError(403, "forbidden", why, field=field)

    def _check_rates(self, telegrams: Sequence[Submission]) -> None:
        if self._rates is None:
            return
        counts = Counter(telegram.gateway_id for telegram in telegrams)
        for gateway_id, wait_s in self._rates.take(counts).items():
            self._metrics.telegram(gateway_id, "limited")
            if self._wrongs.begins("rate", gateway_id):
                log.warning("gateway %s sends more telegrams than ingest.max_rate allows: refused", gateway_id)
            raise RequestError(
                429, "too_many_telegrams", f"gateway {gateway_id} sends too fast", retry_after_s=ceil(wait_s)
            )
        for gateway_id in counts:
            if self._wrongs.ends("rate", gateway_id):
                log.info("gateway %s keeps to ingest.max_rate again", gateway_id)

    # -------------------------------------------------- what
    def _with_sane_time(self, telegram: Submission) -> Submission:
        """A clock that was never set would put the reading decades off: then the time of arrival counts."""
        gateway_id = telegram.gateway_id
        if telegram.rx_time is None or trusted_time(telegram.rx_time, self._clock.now()):
            if telegram.rx_time is not None and self._wrongs.ends("clock", gateway_id):
                log.info("the clock of gateway %s is right again", gateway_id)
            return telegram
        if self._wrongs.begins("clock", gateway_id):
            log.warning(
                "the clock of gateway %s says %s: the time of arrival is used instead", gateway_id, telegram.rx_time
            )
        return replace(telegram, rx_time=None)

    # -------------------------------------------------- answers
    def _post_sync(self, post: _Post) -> Response:
        if not self._sync_slots.acquire(blocking=False):
            raise RequestError(503, "busy", "too many requests with sync=true at once", retry_after_s=2)
        try:
            accepted = self._accept(post.telegrams)
            deadline_mono = self._clock.mono() + self._sync_timeout_s
            results = [
                self._parse_now(one.ingest_id, max(0.0, deadline_mono - self._clock.mono())) for one in accepted
            ]
        finally:
            self._sync_slots.release()
        if any(result is None for result in results):
            return post.answer(accepted)  # not parsed yet, but accepted all the same
        return json_response(200, results if post.batch else results[0])


def _check_content_type(request: Request) -> None:
    if not request.body and request.headers.keys().isdisjoint(("content-length", "transfer-encoding")):
        raise RequestError(411, "length_required", "a telegram is posted with a Content-Length", field="Content-Length")
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in _JSON_TYPES:
        raise RequestError(415, "unsupported_media_type", "send Content-Type: application/json", field="Content-Type")
    coding = request.headers.get("content-encoding", "identity").lower()
    if coding != "identity":
        raise RequestError(415, "unsupported_media_type", f"Content-Encoding {coding[:20]} is not understood")
