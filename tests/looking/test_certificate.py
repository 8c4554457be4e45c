"""Tests of what a server's certificate is, told apart from why none could be had."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pydantic import ValidationError

from tests.postgres import running_postgres
from watchkeeper.clock import Clock
from watchkeeper.errors import ConfigurationError, CouldNotObserve
from watchkeeper.kinds import KINDS
from watchkeeper.looking.probes import http
from watchkeeper.looking.probes.certificate import PROBE, Question
from watchkeeper.looking.reach import Reach
from watchkeeper.looking.reading import read
from watchkeeper.observation import Answer, Table
from watchkeeper.services import Web
from watchkeeper.target_file import load_system
from watchkeeper.targets import services_in

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
NAME = "shop.example"
Secured = Callable[[socket.socket], None]


@dataclass(frozen=True)
class Made:
    """A certificate with its key; `chain`: all that is presented, in PEM."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    chain: bytes = b""

    def presented(self, *others: Made) -> Made:
        return Made(self.certificate, self.key, b"".join(pem(each) for each in (self, *others)))


def pem(made: Made) -> bytes:
    return made.certificate.public_bytes(serialization.Encoding.PEM)


def made(
    called: str, by: Made | None = None, *extensions: x509.ExtensionType,
    since: datetime = NOW - 30 * DAY, until: datetime = NOW + 60 * DAY,
) -> Made:  # fmt: skip
    """A certificate as an authority would hardly make it; signed by itself without `by`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called)])
    builder = x509.CertificateBuilder(
        by.certificate.subject if by else subject, subject, key.public_key(),
        x509.random_serial_number(), since, until,
    )  # fmt: skip
    for each in extensions:
        builder = builder.add_extension(each, critical=isinstance(each, x509.BasicConstraints))
    return Made(builder.sign(by.key if by else key, hashes.SHA256()), key).presented()


AUTHORITY = x509.BasicConstraints(ca=True, path_length=None)
FOR_NAME = x509.SubjectAlternativeName([x509.DNSName(NAME)])


def context_of(certificate: Made | trustme.LeafCert, folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if isinstance(certificate, trustme.LeafCert):
        certificate.configure_cert(context)
        return context
    file = folder / f"{certificate.certificate.serial_number}.pem"
    key = certificate.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(key + certificate.chain)
    context.load_cert_chain(file)
    return context


@contextmanager
def listening(handle: Secured) -> Iterator[int]:
    """A server that gives each connection to `handle`; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    handle(connection)
                except OSError:
                    continue  # the client has seen enough

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def tls(context: ssl.SSLContext) -> Secured:
    def handle(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(1)

    return handle


async def _look(asked: Question, services: dict[str, Web], clock: Clock) -> Answer:
    reach = Reach(services, clock)
    try:
        return await PROBE.look(asked, reach, None)
    finally:
        await reach.close()


def looked(clock: Clock | None = None, services: dict[str, Web] | None = None, **asked: Any) -> Any:
    return asyncio.run(_look(Question.model_validate(asked), services or {}, clock or Clock()))


def not_seen(**asked: Any) -> CouldNotObserve:
    with pytest.raises(CouldNotObserve) as caught:
        looked(**asked)
    return caught.value


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def value_of(certificate: Made | trustme.LeafCert, folder: Path, **asked: Any) -> dict[str, Any]:
    with listening(tls(context_of(certificate, folder))) as port:
        value: dict[str, Any] = looked(of=f"127.0.0.1:{port}", **{"name": NAME, **asked}).value
        return value


# What it is ------------------------------------------------------------------------------------


def test_a_valid_certificate(authority: trustme.CA, ca: str, tmp_path: Path) -> None:
    """Whose it is, by whom, for whom and until when."""
    leaf = authority.issue_cert(NAME, "127.0.0.1", not_after=NOW + 25.5 * DAY)
    with listening(tls(context_of(leaf, tmp_path))) as port:
        answer = looked(of=f"127.0.0.1:{port}", ca=ca)
    value = answer.value
    assert (value["state"], value["valid"], value["chain"]) == ("valid", True, "trusted")
    assert (value["names"], value["name_matches"]) == ([NAME, "127.0.0.1"], True)
    assert 25.48 < value["days_left"] < 25.5
    assert value["not_before"] < NOW < value["not_after"]
    assert "trustme" in value["issuer"]
    assert value["key"].startswith(("EC ", "RSA "))
    assert answer.kind == "valid"
    assert answer.source == f"certificate of 127.0.0.1:{port}"
    assert "vouches for it, until" in answer.excerpt


def test_dates_are_judged_by_our_clock(authority: trustme.CA, ca: str, tmp_path: Path) -> None:
    """Over, not begun, and over on a moved clock; the chain is a matter of its own."""
    over = authority.issue_cert(NAME, not_before=NOW - 9 * DAY, not_after=NOW - 2.5 * DAY)
    value = value_of(over, tmp_path, ca=ca)
    assert (value["state"], value["valid"], value["chain"]) == ("expired", False, "trusted")
    assert -2.53 < value["days_left"] < -2.5
    assert "expired on" in value["reason"]
    soon = authority.issue_cert(NAME, not_before=NOW + DAY, not_after=NOW + 9 * DAY)
    assert value_of(soon, tmp_path, ca=ca)["state"] == "not yet valid"
    good = authority.issue_cert(NAME, not_after=NOW + 9 * DAY)
    assert value_of(good, tmp_path, ca=ca)["state"] == "valid"
    assert value_of(good, tmp_path, ca=ca, clock=Clock(10 * DAY))["state"] == "expired"


def test_an_issuer_that_ends_first(tmp_path: Path) -> None:
    """The days left are those of the chain: its end is the server's end."""
    root = made("root", None, AUTHORITY)
    issuer = made("issuer", root, AUTHORITY, until=NOW + 5 * DAY)
    leaf = made(NAME, issuer, FOR_NAME)
    (tmp_path / "root.pem").write_bytes(pem(root))
    trusting = {"ca": str(tmp_path / "root.pem")}
    value = value_of(leaf.presented(issuer), tmp_path, **trusting)
    assert (value["state"], 4.9 < value["days_left"] < 5) == ("valid", True)
    later = value_of(leaf.presented(issuer), tmp_path, clock=Clock(6 * DAY), **trusting)
    assert (later["state"], "CN=issuer expired on" in later["reason"]) == ("expired", True)


@pytest.mark.parametrize(
    ("named", "wanted", "matches"),
    [
        ("*.shop.example", "www.shop.example", True),
        ("*.shop.example", "shop.example", False),
        ("*.shop.example", "a.b.shop.example", False),
        ("*.example", "shop.example", False),
        ("SHOP.example", "shop.EXAMPLE", True),
        ("bücher.example", "bücher.example", True),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("::1", "0:0:0:0:0:0:0:1", True),
    ],
)
def test_names(tmp_path: Path, named: str, wanted: str, matches: bool) -> None:
    """A star is one label below at least two; addresses are compared as addresses."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    leaf = authority.issue_cert(named)
    value = value_of(leaf, tmp_path, ca=str(tmp_path / "ca.pem"), name=wanted)
    assert value["name_matches"] is matches
    assert value["state"] == ("valid" if matches else "wrong name")


def test_a_common_name_is_no_name(tmp_path: Path) -> None:
    """As no browser takes it for one."""
    root = made("root", None, AUTHORITY)
    (tmp_path / "root.pem").write_bytes(pem(root))
    value = value_of(made(NAME, root), tmp_path, ca=str(tmp_path / "root.pem"))
    assert (value["state"], value["reason"]) == ("wrong name", f"it is for nobody, not {NAME}")


def test_chains_that_are_not_trusted(tmp_path: Path) -> None:
    """Each with its own word and reason; the state is "untrusted" for all."""
    root = made("root", None, AUTHORITY)
    issuer = made("issuer", root, AUTHORITY)
    leaf = made(NAME, issuer, FOR_NAME)
    cases = {
        "self-signed": (made(NAME, None, FOR_NAME), "has signed itself"),
        "incomplete": (leaf, "comes without its issuer CN=issuer"),
        "untrusted": (leaf.presented(issuer), "ends with CN=root, who is not trusted"),
    }
    for word, (certificate, reason) in cases.items():
        value = value_of(certificate, tmp_path)
        assert (value["state"], value["chain"]) == ("untrusted", word)
        assert reason in value["reason"]
    value = value_of(leaf.presented(issuer, root), tmp_path)
    assert "its root CN=root is not trusted" in value["reason"]


def test_chains_that_do_not_hold(tmp_path: Path) -> None:
    """A certificate that may not issue, one that is not for servers, and one under another key."""
    root = made("root", None, AUTHORITY)
    (tmp_path / "root.pem").write_bytes(pem(root))
    server = made("server", root, FOR_NAME)
    forged = made(NAME, server, FOR_NAME).presented(server)
    client = made(NAME, root, FOR_NAME, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]))
    impostor = made(NAME, made("root", None, AUTHORITY), FOR_NAME)
    ca = str(tmp_path / "root.pem")
    for certificate, reason in ((forged, "does not hold"), (client, "it is not for a server")):
        value = value_of(certificate, tmp_path, ca=ca)
        assert (value["state"], value["chain"]) == ("untrusted", "untrusted")
        assert reason in value["reason"]
    assert value_of(impostor, tmp_path, ca=ca)["state"] == "untrusted"
    assert value_of(made(NAME, root, FOR_NAME), tmp_path, ca=ca)["state"] == "valid"


def test_what_the_system_trusts(
    authority: trustme.CA, ca: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a `ca` of its own it trusts whom OpenSSL trusts on this machine."""
    leaf = authority.issue_cert(NAME)
    assert value_of(leaf, tmp_path)["state"] == "untrusted"
    monkeypatch.setenv("SSL_CERT_FILE", ca)
    assert value_of(leaf, tmp_path)["state"] == "valid"


def test_a_self_signed_certificate_where_it_is_allowed(tmp_path: Path) -> None:
    """A service whose `ca` is that very certificate is valid here, and answers to http."""
    own = made("dashboard", None, x509.SubjectAlternativeName([x509.DNSName("localhost")]))
    (tmp_path / "own.pem").write_bytes(pem(own))

    def handle(connection: socket.socket) -> None:
        with context_of(own, tmp_path).wrap_socket(connection, server_side=True) as secured:
            secured.recv(4096)
            secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    async def head(**ways: Any) -> Answer:
        reach = Reach({"dashboard": Web(url=f"https://localhost:{port}", **ways)}, Clock())
        try:
            asked = http.Question.model_validate({"head": "dashboard /"})
            return await http.PROBE.look(asked, reach, None)
        finally:
            await reach.close()

    with listening(handle) as port:
        service = Web(url=f"https://localhost:{port}", ca=str(tmp_path / "own.pem"))
        value = looked(of="dashboard", services={"dashboard": service}).value
        assert (value["state"], value["reason"][:21]) == ("valid", "it is itself trusted,")
        assert asyncio.run(head(ca=str(tmp_path / "own.pem"))).kind == "200"
        with pytest.raises(CouldNotObserve) as caught:
            asyncio.run(head())
    assert caught.value.kind == "certificate"


def test_two_names_on_one_port(authority: trustme.CA, ca: str, tmp_path: Path) -> None:
    """The certificate of the name that is asked for is judged, not the first one."""
    shop, forum = (authority.issue_cert(name) for name in (NAME, "forum.example"))
    contexts = {NAME: context_of(shop, tmp_path), "forum.example": context_of(forum, tmp_path)}
    contexts[NAME].sni_callback = lambda it, name, _: setattr(  # type: ignore[assignment]
        it, "context", contexts.get(name, contexts[NAME])
    )
    with listening(tls(contexts[NAME])) as port:
        for name in (NAME, "forum.example"):
            value = looked(of=f"127.0.0.1:{port}", name=name, ca=ca).value
            assert (value["names"], value["state"]) == ([name], "valid")


# What is said before TLS -----------------------------------------------------------------------


def smtp(
    context: ssl.SSLContext, *, offers: str = "STARTTLS", answer: bytes = b"220 go"
) -> Secured:
    def handle(connection: socket.socket) -> None:
        connection.sendall(b"220-mail.example\r\n220 ready\r\n")
        assert connection.recv(100).startswith(b"EHLO ")
        connection.sendall(f"250-mail.example\r\n250-{offers}\r\n250 HELP\r\n".encode())
        assert connection.recv(100) in (b"STARTTLS\r\n", b"")
        connection.sendall(answer + b"\r\n")
        tls(context)(connection)

    return handle


def postgres(context: ssl.SSLContext, answer: bytes = b"S") -> Secured:
    def handle(connection: socket.socket) -> None:
        assert connection.recv(8) == bytes.fromhex("0000000804d2162f")
        connection.sendall(answer)
        tls(context)(connection)

    return handle


@pytest.mark.parametrize(("word", "server"), [("smtp", smtp), ("postgres", postgres)])
def test_tls_that_begins_later(
    authority: trustme.CA, ca: str, tmp_path: Path, word: str, server: Callable[..., Secured]
) -> None:
    """A mail server and a database present theirs after a word in clear."""
    context = context_of(authority.issue_cert(NAME), tmp_path)
    with listening(server(context)) as port:
        value = looked(of=f"127.0.0.1:{port}", name=NAME, ca=ca, starttls=word).value
    assert value["state"] == "valid"


def test_tls_that_does_not_begin(authority: trustme.CA, tmp_path: Path) -> None:
    """A server that has none, or will not now, says so; it presented nothing."""
    context = context_of(authority.issue_cert(NAME), tmp_path)
    cases = [
        (smtp(context, offers="SIZE 5"), "smtp", "does not offer STARTTLS"),
        (smtp(context, answer=b"454 later"), "smtp", 'to STARTTLS it says "454 later"'),
        (lambda it: it.sendall(b"554 go away\r\n"), "smtp", 'to a greeting it says "554 go away"'),
        (lambda it: it.sendall(b"x" * 9_000), "smtp", "is not SMTP"),
        (postgres(context, b"N"), "postgres", "it says that it has none"),
        (postgres(context, b"H"), "postgres", "is not PostgreSQL"),
    ]
    for handle, word, reason in cases:
        with listening(handle) as port:
            refused = not_seen(of=f"127.0.0.1:{port}", starttls=word)
        assert (refused.kind, reason in refused.reason) == ("no TLS", True), refused


def test_a_real_database_without_tls() -> None:
    """PostgreSQL itself understands what it is asked."""
    with running_postgres() as cluster:
        refused = not_seen(of=f"127.0.0.1:{cluster.port}", starttls="postgres")
    assert (refused.kind, "has none" in refused.reason) == ("no TLS", True)


# Nothing presented -----------------------------------------------------------------------------


def test_nothing_presented(authority: trustme.CA, tmp_path: Path) -> None:
    """Each way has its own kind; none of them says anything of a certificate."""
    context = context_of(authority.issue_cert(NAME), tmp_path)
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    cases: list[tuple[Secured, str]] = [
        (tls(context), "handshake"),
        (lambda it: it.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "protocol"),
        (lambda it: None, "closed"),
        (lambda it: it.recv(1) and threading.Event().wait(1), "timeout"),  # type: ignore[func-returns-value]
    ]
    for handle, kind in cases:
        with listening(handle) as port:
            place = f"127.0.0.1:{port}"
            assert not_seen(of=place, name=NAME, deadline="500 ms").kind == kind
    assert not_seen(of=place).kind == "refused"
    assert not_seen(of="nobody.invalid:443").kind == "no such name"


# Several, and in a target file -----------------------------------------------------------------


def test_several(authority: trustme.CA, ca: str, tmp_path: Path) -> None:
    """A row for each; where one presents nothing, the list is unknown and tells of all."""
    with ExitStack() as stack:
        ports = [
            stack.enter_context(listening(tls(context_of(leaf, tmp_path))))
            for leaf in (
                authority.issue_cert("127.0.0.1", not_after=NOW + 30 * DAY),
                authority.issue_cert("127.0.0.1", not_after=NOW + 5 * DAY),
            )
        ]
        shop = {"shop": Web(url=f"https://127.0.0.1:{ports[0]}", ca=ca)}
        other = f"127.0.0.1:{ports[1]}"
        table = looked(of=["shop", other], ca=ca, services=shop).value
        assert isinstance(table, Table)
        assert [(row["name"], row["state"]) for row in table] == [
            ("shop", "valid"),
            (other, "valid"),
        ]
        assert [int(str(row["days left"]).partition(".")[0]) for row in table] == [29, 4]
        refused = not_seen(of=["shop", "127.0.0.1:1"], services=shop)
    assert refused.kind == "refused"
    assert "shop is valid" in refused.reason
    assert "127.0.0.1:1 refused the connection" in refused.reason


TARGET = """\
system: shop
called: the shop
services:
  nginx: {url: "https://127.0.0.1:PORT", ca: "CA"}
  plain: {url: "http://127.0.0.1:9"}
figures:
  certificate:
    certificate: {of: nginx}
    pick: .state
    values: [valid, expired, not yet valid, wrong name, untrusted]
  days left:    {certificate: {of: nginx}, pick: .days_left, unit: days}
  last day:     {certificate: {of: nginx}, pick: .not_after, unit: instant}
  certificates: {certificate: {of: [nginx, "127.0.0.1:PORT"]}, key: name}
environments:
  replica: {}
"""


def test_figures_of_a_target_file(authority: trustme.CA, ca: str, tmp_path: Path) -> None:
    """A word, a number of days, an instant and a list, of the services that they name."""
    leaf = authority.issue_cert("127.0.0.1", not_after=NOW + 30 * DAY)
    with listening(tls(context_of(leaf, tmp_path))) as port:
        text = TARGET.replace("PORT", str(port)).replace("CA", ca)
        (tmp_path / "shop.yml").write_text(text)
        figures = load_system(tmp_path / "shop.yml", KINDS).figures
        services = {"nginx": Web(url=f"https://127.0.0.1:{port}", ca=ca)}

        def value(name: str) -> Any:
            question = figures[name].question
            assert services_in(question) == ("nginx",) == PROBE.services(question)  # type: ignore[arg-type]
            dumped = question.model_dump(by_alias=True)
            return read(figures[name], name, looked(services=services, **dumped)).value

        assert value("certificate") == "valid"
        assert 29 < value("days left") < 30
        assert abs(value("last day") - NOW - 30 * DAY) < timedelta(seconds=2)
        assert figures["certificates"].is_list
    unknown = TARGET.replace("PORT", "443").replace("{of: nginx}", "{of: ngink}", 1)
    (tmp_path / "shop.yml").write_text(unknown)
    with pytest.raises(ConfigurationError, match='there is no service "ngink"'):
        load_system(tmp_path / "shop.yml", KINDS)


def test_questions_that_are_refused(tmp_path: Path) -> None:
    """An address that is none, a service that has no certificate, a file that holds none."""
    for of in ("", [], ":443", "host:https"):
        with pytest.raises(ValidationError):
            Question.model_validate({"of": of})
    Question.model_validate({"of": "${env:DB_HOST}:5432"})
    plain = {"plain": Web(url="http://127.0.0.1:9")}
    with pytest.raises(ConfigurationError, match='"plain" is not https'):
        looked(of="plain", services=plain)
    (tmp_path / "empty.pem").write_text("no certificate")
    for file, reason in (("none.pem", "No such file"), ("empty.pem", "holds none in PEM")):
        with pytest.raises(ConfigurationError, match=reason):
            looked(of="127.0.0.1:9", ca=str(tmp_path / file))
