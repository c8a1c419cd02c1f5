"""``/v1/admin/keys``: the meters' keys. They go in; what comes out is their fingerprint."""
from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from mbusgw.model.errors import KeyLocked, RequestError
from mbusgw.model.wording import counted
from mbusgw.store.keyring import Changed, Keyring
from mbusgw.store.keys import ANY, MeterKey, StoredKey
from mbusgw.store.vault import fingerprint
from mbusgw.web.admin import NO_STORE, guarded, json_object, known_only, manufacturer, meter_id, problems_response
from mbusgw.web.message import Request, Response, json_response
from mbusgw.web.router import Route

PATH = "/v1/admin/keys"
_KEY_FIELDS = ("key", "key_hex")
_FIELDS = ("meter_id", "manufacturer", *_KEY_FIELDS)


class KeyRoutes:
    """Lists, sets and removes keys for an administrator. **any thread**

    A number may have a key for each manufacturer (``?manufacturer=ELS``); ``*`` with a manufacturer is the
    default of its meters. Setting a key has everything parsed that waited for it.
    """

    def __init__(self, keyring: Keyring, token: str | None) -> None:
        self._keyring = keyring
        self._token = token

    def routes(self) -> list[Route]:
        """The rows for the table."""
        admin = partial(guarded, token=self._token)
        one = f"{PATH}/{{meter_id}}"
        return [
            Route("GET", PATH, admin(self.list), "the meters' keys by fingerprint (admin)"),
            Route("POST", PATH, admin(self.put_many), "set many keys, all or none (admin)"),
            Route("PUT", one, admin(self.put), 'set a key: {"key": "<32 hex digits>"}; ?manufacturer= (admin)'),
            Route("DELETE", one, admin(self.delete), "remove a key; ?manufacturer= (admin)"),
        ]

    def list(self, _request: Request) -> Response:
        """Every key's meter and fingerprint, never the key."""
        return json_response(200, list_document(self._keyring), headers=NO_STORE)

    def put(self, request: Request) -> Response:
        """200 once the key is on disk, with how many telegrams are parsed again."""
        body = json_object(request)
        known_only(body, _FIELDS[1:])
        key = _meter_key({**body, **_from_path(request, body)})
        changed = self._set([key])
        number, maker = key.who
        return json_response(
            200,
            {
                "meter_id": number,
                "manufacturer": maker,
                "fingerprint": fingerprint(key.key),
                "changed": bool(changed.keys),
                "retried": changed.retried,
            },
            headers=NO_STORE,
        )

    def put_many(self, request: Request) -> Response:
        """200 once all keys are on disk; 400 with every wrong one, and then none is stored."""
        items = json_object(request).get("keys")
        if not isinstance(items, list) or not items:
            raise RequestError(400, "bad_type", "keys is a list of {meter_id, manufacturer, key}", field="keys")
        keys, problems = [], []
        for index, item in enumerate(items):
            try:
                if not isinstance(item, dict):
                    raise RequestError(400, "bad_type", "is no JSON object")
                known_only(item, _FIELDS)
                keys.append(_meter_key(item))
            except RequestError as error:
                place = f"keys[{index}]" + (f".{error.field}" if error.field else "")
                problems.append((place, str(error)))
        if problems:
            message = f"{len(problems)} of {counted(len(items), 'key')} cannot be taken"
            return problems_response("bad_keys", message, problems)
        changed = self._set(keys)
        document = {"keys": len(keys), "changed": changed.keys, "retried": changed.retried}
        return json_response(200, document, headers=NO_STORE)

    def delete(self, request: Request) -> Response:
        """200 with what was removed."""
        names = _from_path(request, {})
        stored = self._keyring.remove(_number(names["meter_id"]), manufacturer(names["manufacturer"]))
        return json_response(200, {"removed": _document(stored)}, headers=NO_STORE)

    def _set(self, keys: Sequence[MeterKey]) -> Changed:
        try:
            return self._keyring.set(keys)
        except KeyLocked as error:
            raise RequestError(409, "keys_locked", f"{error}; {error.hint}") from None


def list_document(keyring: Keyring) -> dict[str, Any]:
    """How keys are kept, and each one's meter and fingerprint. Raises ``StoreError``."""
    return {
        "encrypted": keyring.vault.sealing,
        "master_key": keyring.vault.name,
        "locked": keyring.locked,
        "keys": [_document(stored) for stored in keyring.entries()],
    }


def _from_path(request: Request, body: dict[str, Any]) -> dict[str, Any]:
    maker = request.query.get("manufacturer") or body.get("manufacturer")
    return {"meter_id": request.names["meter_id"], "manufacturer": maker}


def _meter_key(item: dict[str, Any]) -> MeterKey:
    number, maker = _number(item.get("meter_id")), manufacturer(item.get("manufacturer"))
    if number == ANY and maker is None:
        raise RequestError(400, "bad_value", "a default key needs its manufacturer", field="manufacturer")
    given = [item[name] for name in _KEY_FIELDS if name in item]
    if len(given) != 1:
        raise RequestError(400, "missing", 'send one key: {"key": "<32 hex digits>"}', field="key")
    return MeterKey(number, maker, _key_bytes(given[0]))


def _number(value: Any) -> str:
    return ANY if value == ANY else meter_id(value)


def _key_bytes(value: Any) -> bytes:
    digits = "".join(value.split()) if isinstance(value, str) else ""
    try:
        key = bytes.fromhex(digits)
    except ValueError:
        key = b""
    if len(key) != 16:  # never say what was sent
        raise RequestError(400, "bad_key", "a key has 32 hexadecimal digits", field="key")
    return key


def _document(stored: StoredKey) -> dict[str, Any]:
    return {
        "meter_id": stored.meter_id,
        "manufacturer": stored.manufacturer,
        "fingerprint": stored.fingerprint,
        "encrypted": stored.sealed,
        "updated_at": stored.updated_at,
    }
