"""Where a system lives: its services, and how each is entered.

These are the shapes of `services:` in targets/<system>.yml. Strings may hold `${env:NAME}` and
`${env:NAME:-default}`; they are filled in before a probe or an operator sees them.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    field_validator,
    model_validator,
)

from watchkeeper.errors import ConfigurationError
from watchkeeper.units import duration_s
from watchkeeper.yaml_file import YamlNode, nearest


def spaced(name: str) -> str:
    """A field's name as people write it in YAML: `at_once` is "at once"."""
    return name.rstrip("_").replace("_", " ")


class Model(BaseModel):
    """What stands in a target file: unknown keys are refused, nothing changes after loading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=spaced, populate_by_name=True
    )


def _duration(text: str) -> str:
    duration_s(text)
    return text


Duration = Annotated[str, AfterValidator(_duration)]
"""A duration as people write it ("5 seconds"); `units.duration_s` gives its seconds."""


class Key(Model):
    """An API key, sent in a header, in the query, or as the address's path (a chat's webhook)."""

    header: str | None = None
    query: str | None = None
    path: Literal[True] | None = None
    value: SecretStr

    @model_validator(mode="after")
    def _one_place(self) -> Key:
        if sum(place is not None for place in (self.header, self.query, self.path)) != 1:
            raise ValueError('a key goes into a "header" or the "query", or it is the "path"')
        return self


class Basic(Model):
    """HTTP basic authentication."""

    user: str
    password: SecretStr


class TokenLogin(Model):
    """A login by JSON that returns a bearer token.

    `post`: the path. `token`: where it stands in the answer, as jq (".access_token").
    """

    post: str
    user: str
    password: SecretStr
    token: str = ".access_token"  # noqa: S105 - where the token stands, no token
    user_field: str = "username"
    password_field: str = "password"  # noqa: S105 - the name of a field
    format: Literal["json", "form"] = "json"


class FormLogin(Model):
    """A login form with a session cookie, and a hidden CSRF field where `csrf` names one."""

    form: str
    user: str
    password: SecretStr
    user_field: str = "username"
    password_field: str = "password"  # noqa: S105 - the name of a field
    csrf: str | None = None


def _kind_of_login(login: object) -> str:
    """Which shape a login is checked against: a complaint is about the one that was meant."""
    if isinstance(login, Mapping):
        return "token login" if "post" in login else "form login"
    return "token login" if isinstance(login, TokenLogin) else "form login"


Login = Annotated[
    Annotated[TokenLogin, Tag("token login")] | Annotated[FormLogin, Tag("form login")],
    Discriminator(_kind_of_login),
]


class Service(Model):
    """What all services have.

    `at_once`: how many looks it may get at the same time. `deadline`: when a look is given up.
    """

    at_once: int = Field(default=8, ge=1, le=1_000)
    deadline: Duration = "5 seconds"

    @property
    def deadline_s(self) -> float:
        return duration_s(self.deadline)


class Web(Service):
    """An HTTP service. At most one of `token`, `key`, `basic` and `login`; none: it has no door.

    `ca`: a file of certificates to trust besides the system's own.
    """

    url: str
    token: SecretStr | None = None
    key: Key | None = None
    basic: Basic | None = None
    login: Login | None = None
    ca: str | None = None

    @field_validator("url")
    @classmethod
    def _web(cls, url: str) -> str:
        if not url.startswith(("http://", "https://", "${")):
            raise ValueError('a url starts with "http://" or "https://"')
        return url.rstrip("/")

    @model_validator(mode="after")
    def _one_way_in(self) -> Web:
        ways = [way for way in ("token", "key", "basic", "login") if getattr(self, way) is not None]
        if len(ways) > 1:
            raise ValueError(f"one way in is enough; there are: {', '.join(ways)}")
        return self


class Database(Service):
    """A database by its SQLAlchemy URL (sqlite:///…, postgresql+psycopg://…)."""

    database: SecretStr


class Log(Service):
    """A log file.

    `format`: "text" (one line, one entry) or "json" (one JSON object a line).
    `line`: for text, a regular expression with named groups. `instant`: the group or field that
    tells when; `instant_format` as datetime.strptime wants it, ISO 8601 where it is left out.
    Instants without a zone are UTC.
    """

    log: str
    format: Literal["text", "json"] = "text"
    line: str | None = None
    instant: str | None = None
    instant_format: str | None = None


class Folder(Service):
    """A folder on this machine."""

    folder: str


class Process(Service):
    """Exactly one process on this machine: the one whose number stands in `pid_file`.

    `command`: a part of its command line, by which it is recognised; a process that has another is
    never touched. `start`: the argument list that starts it (no shell), or one text that a shell
    would split into it, so that one variable can hold it; in the folder `in`, with the variables
    `environment` and its output appended to `output`.
    """

    pid_file: str
    command: str = Field(min_length=1)
    start: tuple[str, ...] = Field(min_length=1)
    in_: str
    environment: dict[str, SecretStr] = Field(default_factory=dict)
    output: str | None = None

    @field_validator("start", mode="before", json_schema_input_type=str | tuple[str, ...])
    @classmethod
    def _split(cls, start: Any) -> Any:
        return shlex.split(start) if isinstance(start, str) else start


class Docker(Service):
    """A Docker Engine (`docker`: tcp://HOST:PORT, unix:///PATH, "" for what DOCKER_HOST says).

    `project`: the compose project that is meant. Without it every container of the Engine is
    looked at, and none is changed.
    """

    docker: str
    project: str | None = None

    @field_validator("docker")
    @classmethod
    def _engine(cls, address: str) -> str:
        if address and not address.startswith(("tcp://", "unix:///", "http://", "https://", "${")):
            raise ValueError(
                'a Docker Engine\'s address starts with "tcp://" or "unix:///", or is "" for what '
                "DOCKER_HOST says"
            )
        return address


SERVICE_KINDS: dict[str, type[Service]] = {
    "url": Web,
    "database": Database,
    "log": Log,
    "folder": Folder,
    "pid file": Process,
    "docker": Docker,
}
"""The key that tells a service's kind, to its shape."""


def service_of(services: YamlNode, name: str, override: Mapping[str, Any]) -> Service:
    """The service `name` of a target file, with what an environment overrides."""
    data = {**services.mapping(name).plain(), **override}
    kind = next((key for key in SERVICE_KINDS if key in data), None)
    if kind is None:
        raise ConfigurationError(
            f'the service "{name}" does not say what it is, expected one of the keys: '
            f"{', '.join(SERVICE_KINDS)}",
            place=services.place(name),
            hint=next((near for key in data if (near := nearest(key, SERVICE_KINDS))), ""),
        )
    return services.mapping(name).checked(SERVICE_KINDS[kind], data)
