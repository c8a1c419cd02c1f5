"""``/v1/admin/mappings``: which record of a telegram means what to the Lobaro parser."""
from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from mbusgw.model.errors import ConfigError, Problem, RequestError
from mbusgw.model.wording import counted
from mbusgw.parsers.mapping import MappingFile, check_mapping, unknown_categories
from mbusgw.runtime import exactjson
from mbusgw.store.mappings import Mappings, StoredMapping
from mbusgw.web.admin import NO_STORE, guarded, problems_response
from mbusgw.web.message import Request, Response, json_response
from mbusgw.web.router import Route

PATH = "/v1/admin/mappings"
#: What a problem is said to be in; the client knows.
_BODY = "the body"


class MappingRoutes:
    """Shows, replaces and puts back the mapping, for an administrator. **any thread**

    Where the configuration names a file, that file is in force and nothing can be changed here.
    """

    def __init__(self, mappings: Mappings, file: Path | None, token: str | None) -> None:
        self._mappings = mappings
        self._file = file
        self._token = token

    def routes(self) -> list[Route]:
        """The rows for the table."""
        admin = partial(guarded, token=self._token)
        return [
            Route("GET", PATH, admin(self.list), "every version of the mapping (admin)"),
            Route("GET", f"{PATH}/active", admin(self.get_active), "the mapping in force (admin)"),
            Route("PUT", f"{PATH}/active", admin(self.put), 'a new version: {"mappings": [...]} (admin)'),
            Route("GET", f"{PATH}/{{id}}", admin(self.get), "one version (admin)"),
            Route("POST", f"{PATH}/{{id}}/activate", admin(self.activate), "put a version in force again (admin)"),
        ]

    def list(self, _request: Request) -> Response:
        """All versions, the newest first, without their content."""
        versions = [_head(stored) for stored in self._mappings.versions()]
        file = str(self._file) if self._file is not None else None
        return json_response(200, {"file": file, "versions": versions}, headers=NO_STORE)

    def get_active(self, _request: Request) -> Response:
        """The mapping in force and where it is from; ``source`` null: the service's own."""
        if self._file is not None:
            return json_response(200, _file_document(self._file), headers=NO_STORE)
        stored = self._mappings.active()
        if stored is None:
            return json_response(200, {"source": None, "mappings": None}, headers=NO_STORE)
        return json_response(200, _document(stored), headers=NO_STORE)

    def get(self, request: Request) -> Response:
        """One version with its content."""
        return json_response(200, _document(self._mappings.get(_id(request))), headers=NO_STORE)

    def put(self, request: Request) -> Response:
        """200 once the new version is in force; 400 with everything that is wrong with it.

        ``?force=true`` takes categories that we do not know.
        """
        self._check_no_file()
        problems = check_mapping(request.body, _BODY)
        if not problems and not request.flag("force"):
            problems = unknown_categories(request.body, _BODY)
        if problems:
            message = f"the mapping has {counted(len(problems), 'fault')}; nothing changed"
            return problems_response("bad_mapping", message, [(one.key, _sentence(one)) for one in problems])
        text = exactjson.dumps({"mappings": exactjson.loads(request.body)["mappings"]})
        return json_response(200, _head(self._mappings.put(text)), headers=NO_STORE)

    def activate(self, request: Request) -> Response:
        """200 once that version is in force."""
        self._check_no_file()
        return json_response(200, _head(self._mappings.activate(_id(request))), headers=NO_STORE)

    def _check_no_file(self) -> None:
        if self._file is not None:
            message = f"the configuration names a file (lobaro.mapping_file), which is in force: change {self._file}"
            raise RequestError(409, "mapping_file", message)


def _sentence(problem: Problem) -> str:
    return f"{problem.message} ({problem.suggestion})" if problem.suggestion else problem.message


def _id(request: Request) -> int:
    text = request.names["id"]
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise RequestError(404, "not_found", "there is no such mapping")
    return int(text)


def _head(stored: StoredMapping) -> dict[str, Any]:
    return {
        "source": "table",
        "id": stored.id,
        "version": stored.version,
        "active": stored.active,
        "created_at": stored.created_at,
    }


def _document(stored: StoredMapping) -> dict[str, Any]:
    return {**_head(stored), **_content(stored.text)}


def _content(text: str | bytes) -> dict[str, Any]:
    try:
        document = exactjson.loads(text)
    except (ValueError, RecursionError):  # put into the table by others
        return {"mappings": None, "problem": "is not JSON"}
    return {"mappings": document.get("mappings") if isinstance(document, dict) else None}


def _file_document(file: Path) -> dict[str, Any]:
    try:
        return {"source": "file", "file": str(file), **_content(MappingFile(file).load())}
    except ConfigError as error:
        return {"source": "file", "file": str(file), "mappings": None, "problem": str(error)}
