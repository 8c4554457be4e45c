"""How do PostgreSQL's own programs reach a database without its password among their arguments?"""

from __future__ import annotations

from collections.abc import Mapping

from watchkeeper.errors import ConfigurationError

_PASSED_ON = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "options": "PGOPTIONS",
    "connect_timeout": "PGCONNECT_TIMEOUT",
}


def variables_of(url: str, service: str, *, read_only: bool) -> Mapping[str, str]:
    """The variables that libpq enters the database of `url` by; raises ConfigurationError.

    `read_only`: each of the program's transactions is, unless it says otherwise itself.
    """
    from sqlalchemy import make_url  # noqa: PLC0415 - heavy
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        address = make_url(url)
    except ArgumentError:
        address = None
    if address is None or address.get_backend_name() != "postgresql":
        raise ConfigurationError(
            f'the database of "{service}" is none that PostgreSQL\'s programs can enter',
            hint="write postgresql+psycopg://user:password@host/name",
        )
    given = {
        "PGHOST": address.host,
        "PGPORT": str(address.port) if address.port else None,
        "PGUSER": address.username,
        "PGPASSWORD": address.password,
        "PGDATABASE": address.database,
        **{_PASSED_ON[key]: str(v) for key, v in address.query.items() if key in _PASSED_ON},
    }
    variables = {"PGAPPNAME": "watchkeeper"} | {name: v for name, v in given.items() if v}
    if read_only:
        options = (variables.get("PGOPTIONS", ""), "-c default_transaction_read_only=on")
        variables["PGOPTIONS"] = " ".join(options).strip()
    return variables
