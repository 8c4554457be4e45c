"""Is a chain of certificates to be trusted, now and for this name?

Imported by the first look that needs it: it reads the system's authorities.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from watchkeeper.errors import ConfigurationError, CouldNotObserve

LONGEST = 10
"""Certificates of a chain that are followed."""


@dataclass(frozen=True)
class Judged:
    """A chain as it was judged. `reason`: the sentence for `state`, or how it is trusted.

    `not_before` and `not_after`: when all of the chain is valid at once.
    """

    state: str
    chain: str
    reason: str
    names: tuple[str, ...]
    name_matches: bool
    not_before: datetime
    not_after: datetime
    subject: str
    issuer: str
    key: str


@dataclass(frozen=True)
class Trusted:
    """The certificates that are trusted as they are: authorities, or a server's own.

    `systems`: this machine's, in DER; only those are read that a chain leads to.
    """

    roots: tuple[x509.Certificate, ...]
    systems: frozenset[bytes]

    @classmethod
    def of(cls, files: Iterable[str]) -> Trusted:
        """Those of `files` and the system's own; raises ConfigurationError for a bad file."""
        return cls(tuple(each for file in files for each in _read(file)), frozenset(_systems()))

    def __contains__(self, certificate: x509.Certificate) -> bool:
        return certificate in self.roots or certificate.public_bytes(Encoding.DER) in self.systems

    def _issuers(self, certificate: x509.Certificate) -> list[x509.Certificate]:
        name = certificate.issuer.public_bytes()
        systems = (x509.load_der_x509_certificate(der) for der in self.systems if name in der)
        return [each for each in (*self.roots, *systems) if _issued(certificate, each)]

    def judged(self, chain: tuple[bytes, ...], name: str, at: datetime) -> Judged:
        """Raises CouldNotObserve, "unreadable", for what is no chain of certificates."""
        try:
            leaf, *others = (x509.load_der_x509_certificate(each) for each in chain)
            names = tuple(_names(leaf))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise CouldNotObserve("unreadable", f"no certificate can be read: {error}") from error
        path = self._path(leaf, others)
        word, why = self._trusts(path, leaf, others, at)
        matches = any(_matches(each, name) for each in names)
        first = min(path, key=lambda each: each.not_valid_after_utc)
        latest = max(path, key=lambda each: each.not_valid_before_utc)
        begins, ends = latest.not_valid_before_utc, first.not_valid_after_utc
        if ends <= at:
            state, why = "expired", f"{_called(first)} expired on {_day(ends)}"
        elif begins > at:
            state, why = "not yet valid", f"{_called(latest)} is valid from {_day(begins)}"
        elif not matches:
            state, why = "wrong name", f"it is for {', '.join(names) or 'nobody'}, not {name}"
        elif word != "trusted":
            state = "untrusted"
        else:
            state, why = "valid", f"{why}, until {_day(ends)}"
        subject, issuer = leaf.subject.rfc4514_string(), leaf.issuer.rfc4514_string()
        return Judged(state, word, why, names, matches, begins, ends, subject, issuer, _key(leaf))

    def _path(
        self, leaf: x509.Certificate, others: list[x509.Certificate]
    ) -> list[x509.Certificate]:
        """The leaf and who issued it, as far as the presented and the trusted ones lead."""
        path = [leaf]
        while path[-1] not in self and len(path) < LONGEST:
            issuers = self._issuers(path[-1]) or [
                c for c in others if c not in path and _issued(path[-1], c)
            ]
            if not issuers:
                break
            path.append(max(issuers, key=lambda each: each.not_valid_after_utc))
        return path

    def _trusts(
        self,
        path: list[x509.Certificate],
        leaf: x509.Certificate,
        others: list[x509.Certificate],
        at: datetime,
    ) -> tuple[str, str]:
        """The word for the chain, and the sentence. Dates and names are judged by themselves."""
        last = path[-1]
        if last in self:
            if leaf is last:
                return "trusted", "it is itself trusted"
            return self._verified(path, leaf, others, at)
        if _issued(leaf, leaf):
            return "self-signed", f"{_called(leaf)} has signed itself, and is not trusted here"
        if _issued(last, last):
            return "untrusted", f"its root {_called(last)} is not trusted here"
        issuer = last.issuer.rfc4514_string()
        if not others:
            return "incomplete", f"it comes without its issuer {issuer}, who is not known here"
        return "untrusted", f"its chain ends with {issuer}, who is not trusted here"

    def _verified(
        self,
        path: list[x509.Certificate],
        leaf: x509.Certificate,
        others: list[x509.Certificate],
        at: datetime,
    ) -> tuple[str, str]:
        # By a name that it has, at an instant at which all are valid, where there is one: names and
        # dates are judged by themselves.
        own_name = next(map(_subject, _names(leaf)), None)
        if own_name is None:
            return "untrusted", f"{_called(leaf)} names nobody whom it is for"
        begins = max(each.not_valid_before_utc for each in path)
        ends = min(each.not_valid_after_utc for each in path)
        verifier = (
            PolicyBuilder()
            .store(Store([path[-1]]))
            .time(min(max(at, begins), ends))
            .extension_policies(ca_policy=_AUTHORITY, ee_policy=_SERVER)
            .build_server_verifier(own_name)
        )
        try:
            verifier.verify(leaf, [*path[1:], *others])
        except VerificationError as error:
            return "untrusted", f"its chain does not hold: {str(error).partition(' (')[0]}"
        return "trusted", f"{_called(path[-1])} vouches for it"


def _refuse_others(policy: Policy, _: x509.Certificate, it: x509.BasicConstraints) -> None:
    if not it.ca:
        raise ValueError("an issuer is no authority")


def _refuse_purposes(policy: Policy, _: x509.Certificate, it: x509.ExtendedKeyUsage | None) -> None:
    fitting = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if it is not None and fitting.isdisjoint(it):
        raise ValueError("it is not for a server")


# What every client asks; private authorities seldom keep to all the rules of the public web.
_AUTHORITY = ExtensionPolicy.permit_all().require_present(
    x509.BasicConstraints, Criticality.AGNOSTIC, _refuse_others
)
_SERVER = (
    ExtensionPolicy.permit_all()
    .require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
    .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _refuse_purposes)
)


def _subject(name: str) -> x509.DNSName | x509.IPAddress:
    if _is_address(name):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name.replace("*", "any"))


def _issued(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    if certificate.issuer != by.subject:
        return False
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _names(leaf: x509.Certificate) -> Iterator[str]:
    """Whom it is for; a common name counts for nobody any more."""
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    yield from found.get_values_for_type(x509.DNSName)
    yield from map(str, found.get_values_for_type(x509.IPAddress))


def _matches(pattern: str, name: str) -> bool:
    """Whether a certificate for `pattern` is one for `name`; a * stands for one whole label."""
    pattern, name = pattern.lower().rstrip("."), _ascii(name)
    if not pattern.startswith("*."):
        return pattern == name
    label, _, rest = name.partition(".")
    return bool(label) and rest == pattern[2:] and "." in rest and not _is_address(name)


def _ascii(name: str) -> str:
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return name.rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        return name.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _key(leaf: x509.Certificate) -> str:
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    return type(key).__name__.removesuffix("PublicKey")


def _called(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "the certificate"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _read(file: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(Path(file).read_bytes())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds none in PEM"
        raise ConfigurationError(f"the certificates in {file} can't be read: {why}") from error


def _systems() -> Iterator[bytes]:
    """What this machine's OpenSSL trusts, as the web client does."""
    loaded = ssl.create_default_context().get_ca_certs(binary_form=True)
    yield from loaded
    folder = ssl.get_default_verify_paths().capath
    if not loaded and folder:  # it opens the files of a folder only while it verifies
        for file in Path(folder).glob("*.[0-9]"):
            yield ssl.PEM_cert_to_DER_cert(file.read_text())
