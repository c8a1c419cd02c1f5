"""``GET /openapi.yaml``: the HTTP interface as programs read it."""
from __future__ import annotations

from importlib import resources

from mbusgw.web.message import Request, Response
from mbusgw.web.router import Route


def description_route() -> Route:
    """The document that is shipped."""
    text = resources.files("mbusgw.web").joinpath("openapi.yaml").read_bytes()

    def describe(_request: Request) -> Response:
        return Response(200, text, "application/yaml")

    return Route("GET", "/openapi.yaml", describe, "this interface as an OpenAPI document")
