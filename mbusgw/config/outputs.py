"""What can be configured about outputs besides MQTT."""
from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, SecretStr, Tag, model_validator

from mbusgw.config.kinds import FilePath, HeaderText, Name, Period, WebUrl, written_as
from mbusgw.config.section import Section, check_exclusive

Measurement = Annotated[str, BeforeValidator(written_as(
    r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", "1 to 64 letters, digits, and . _ - only, a letter or digit first"
))]
HeaderName = Annotated[str, AfterValidator(written_as(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", "is no name of an HTTP header"))]


class OutputSection(Section):
    """What all outputs have. ``name`` is its type where none is written."""

    name: Name = ""
    url: WebUrl
    token: HeaderText | None = None
    token_file: FilePath | None = None
    timeout: Annotated[Period, Field(le=60)] = 10.0

    @model_validator(mode="before")
    @classmethod
    def _default_name(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("name") is None:
            return {**data, "name": data.get("type")}
        return data

    @model_validator(mode="after")
    def _check_token(self) -> OutputSection:
        check_exclusive(self, "token", "token_file")
        return self


class InfluxConfig(OutputSection):
    """InfluxDB: version 2 and 3 with ``bucket`` and a token, version 1 with ``database``, and ``username`` and
    ``password`` where it asks for them."""

    type: Literal["influx"]
    bucket: Annotated[str, Field(min_length=1)] | None = None
    org: Annotated[str, Field(min_length=1)] | None = None
    database: Annotated[str, Field(min_length=1)] | None = None
    username: str | None = None
    password: SecretStr | None = None
    password_file: FilePath | None = None
    measurement: Measurement = "mbus"
    precision: Literal["s", "ms", "us", "ns"] = "ns"
    units: bool = False

    @model_validator(mode="after")
    def _check_place(self) -> InfluxConfig:
        if (self.bucket is None) == (self.database is None):
            raise ValueError("needs either `bucket` (InfluxDB 2 and 3) or `database` (InfluxDB 1)")
        if self.org is not None and self.bucket is None:
            raise ValueError("`org` belongs to `bucket`")
        if urlsplit(self.url).query:
            raise ValueError("the url ends before the ?: bucket, org and database have keys of their own")
        check_exclusive(self, "password", "password_file")
        if self.username is not None and (self.token is not None or self.token_file is not None):
            raise ValueError("`token` and `username` exclude each other")
        if self.username is None and (self.password is not None or self.password_file is not None):
            raise ValueError("`password` needs `username`")
        return self


class WebhookConfig(OutputSection):
    """A web server that takes a reading as JSON. ``token`` is sent as bearer; ``headers`` are sent besides."""

    type: Literal["webhook"]
    headers: dict[HeaderName, HeaderText] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_headers(self) -> WebhookConfig:
        names = {name.lower() for name in self.headers}
        if len(names) < len(self.headers):
            raise ValueError("a header is named twice")
        if "authorization" in names and (self.token is not None or self.token_file is not None):
            raise ValueError("`token` is sent as header Authorization, which stands in `headers` too")
        return self


OutputConfig = InfluxConfig | WebhookConfig


def _type_of(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"[{kind}]"


#: Tags in brackets: what stands so in the place of an error is no key of the file.
AnyOutput = Annotated[
    Annotated[InfluxConfig, Tag("[influx]")] | Annotated[WebhookConfig, Tag("[webhook]")],
    Discriminator(
        _type_of,
        custom_error_type="output_type",
        custom_error_message="`type` must be influx or webhook",
    ),
]
