"""What does a target hold that must never be written?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import SecretStr

from watchkeeper.errors import ConfigurationError
from watchkeeper.services import Model, Service
from watchkeeper.targets import Target

Login = tuple[str, str]
"""A user and the password."""


@dataclass(frozen=True)
class Secrets:
    """`values`: tokens, keys, passwords, database addresses. `named`: variables that programs are
    given, by name; one is a secret where its name says so."""

    values: tuple[str, ...] = field(default=(), repr=False)
    logins: tuple[Login, ...] = field(default=(), repr=False)
    named: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def secrets_of(target: Target, services: Mapping[str, Service]) -> Secrets:
    """What `services` hold, and what figures and operations give to programs."""
    named = tuple(_environments(target))
    values = tuple(dict.fromkeys(_values(list(services.values()))))
    addresses = (*_texts(services.values()), *(value for _, value in named))
    found = (*_logins(services.values()), *filter(None, map(_login_in, addresses)))
    return Secrets(values, tuple(dict.fromkeys(found)), named)


def early_secrets(target: Target) -> Iterator[Secrets]:
    """The same before anything is opened: of each service whose variables are set."""
    for name in target.system.services.keys():  # noqa: SIM118 - YamlNode is no mapping
        try:
            yield secrets_of(target, target.services(frozenset({name})))
        except ConfigurationError:
            continue  # opening it says what is wrong


def _values(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        if value.get_secret_value():
            yield value.get_secret_value()
    elif isinstance(value, Model):
        yield from _values([getattr(value, name) for name in type(value).model_fields])
    elif isinstance(value, Mapping):
        yield from _values(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _values(each)


def _environments(target: Target) -> Iterator[tuple[str, str]]:
    """What figures and operations put beside a program's minimal environment."""
    system = target.system
    asked: list[Model] = [figure.question for figure in system.figures.values()]
    asked += [operation.order for operation in system.operations.values()]
    for each in asked:
        environment = vars(each).get("environment")
        for name, value in environment.items() if isinstance(environment, Mapping) else ():
            yield str(name), str(target.fill(value))


def _logins(services: Iterable[Service]) -> Iterator[Login]:
    """Who enters the services by a name and a password."""
    for service in services:
        for way in (getattr(service, "basic", None), getattr(service, "login", None)):
            if way is not None and way.password.get_secret_value():
                yield way.user, way.password.get_secret_value()


def _texts(services: Iterable[Service]) -> Iterator[str]:
    """What services say in texts, their addresses among them."""
    for service in services:
        for value in vars(service).values():
            if isinstance(value, SecretStr):
                yield value.get_secret_value()
            elif isinstance(value, str):
                yield value


def _login_in(address: str) -> Login | None:
    """The login in an address ("postgresql://bob:…@db/shop"); None where it has none."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return None  # who uses it says what is wrong with it
    asked = dict(parse_qsl(parts.query))  # where drivers also take them
    password = unquote(parts.password or "") or asked.get("password", "")
    user = unquote(parts.username or "") or asked.get("user", "")
    return (user, password) if parts.scheme and password else None
