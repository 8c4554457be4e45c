"""What a run decided about a deployed version, as a statement that others can verify.

An in-toto test-result statement; with a key it is signed, in a DSSE envelope. The key is read and
used here, and nothing that is written holds it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watchkeeper.errors import ConfigurationError
from watchkeeper.recording.history import key
from watchkeeper.recording.run import CheckRecord, RunRecord
from watchkeeper.verdicts import Verdict

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
PAYLOAD = "application/vnd.in-toto+json"
DIGESTS = {"sha256": (64,), "sha384": (96,), "sha512": (128,), "gitCommit": (40, 64)}
"""How a version may be known, and how many hexadecimal digits that takes."""
_SUBJECT = re.compile(r"(?P<name>[^=@\s][^\s]*?)[=@](?P<algorithm>\w+):(?P<digits>\S+)")
_EXAMPLE = "write for example --subject shop=sha256:9f86d0… or shop=gitCommit:4b825d…"


@dataclass(frozen=True)
class Subject:
    """A deployed version: its name, and the digest of what was deployed."""

    name: str
    algorithm: str
    digest: str

    @classmethod
    def of(cls, text: str) -> Subject:
        """What `--subject` says; raises ConfigurationError."""
        found = _SUBJECT.fullmatch(text)
        if found is None:
            raise ConfigurationError(f'"{text}" names no version by its digest', hint=_EXAMPLE)
        name, algorithm, digits = found["name"], found["algorithm"], found["digits"].lower()
        if algorithm not in DIGESTS:
            raise ConfigurationError(
                f'"{algorithm}" is no digest, expected one of: {", ".join(DIGESTS)}', hint=_EXAMPLE
            )
        lengths = DIGESTS[algorithm]
        if len(digits) not in lengths or re.search("[^0-9a-f]", digits):
            wanted = " or ".join(map(str, lengths))
            raise ConfigurationError(
                f"the {algorithm} of {name} has {wanted} hexadecimal digits, and {len(digits)} "
                "characters were given",
                hint=_EXAMPLE,
            )
        return cls(name, algorithm, digits)


@dataclass(frozen=True)
class Attesting:
    """Where a run's statement goes, about what, and which key signs it (none: unsigned)."""

    path: Path
    subjects: tuple[Subject, ...]
    signer: Signer | None = None

    @classmethod
    def of(cls, path: Path, subjects: Iterable[str], key_file: Path | None) -> Attesting:
        """Raises ConfigurationError where a subject or the key is wrong, before anything runs.

        A statement that is there already is removed: nobody may take it for this run's.
        """
        found = tuple(dict.fromkeys(map(Subject.of, subjects)))
        if not found:
            raise ConfigurationError("--attest has no --subject", hint=_EXAMPLE)
        _digests(found)
        signer = _signer(key_file) if key_file is not None else None
        if path.is_dir() or not path.parent.is_dir():
            where = "is a folder" if path.is_dir() else "lies in no folder that is there"
            raise ConfigurationError(f"--attest {path} {where}", hint="name a file")
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(f"--attest {path}: {error.strerror or error}") from None
        return cls(path, found, signer)

    def write(self, run: RunRecord, configuration: Mapping[str, str], url: str = "") -> None:
        """Whole or not at all; raises OSError. `configuration`: files and their SHA-256."""
        payload = json.dumps(statement(run, self.subjects, configuration, url), ensure_ascii=False)
        if self.signer is not None:
            from securesystemslib.dsse import Envelope  # noqa: PLC0415 - few runs need it

            envelope = Envelope(payload.encode(), PAYLOAD, {})
            envelope.sign(self.signer)
            payload = json.dumps(envelope.to_dict())
        partly = self.path.with_name(f"{self.path.name}.part")
        partly.write_text(payload + "\n", "utf-8")
        partly.replace(self.path)


def statement(
    run: RunRecord, subjects: Iterable[Subject], configuration: Mapping[str, str], url: str = ""
) -> dict[str, Any]:
    """The statement as JSON-like data, checked against in-toto's own definitions."""
    from google.protobuf.json_format import MessageToDict, ParseDict  # noqa: PLC0415 - as above
    from in_toto_attestation.predicates.test_result.v0.test_result_pb2 import (  # noqa: PLC0415
        TestResult,
    )
    from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor  # noqa: PLC0415
    from in_toto_attestation.v1.statement import Statement  # noqa: PLC0415

    results = _results(run)
    predicate: dict[str, Any] = {
        "result": _result(run, results),
        "configuration": [
            {"name": name, "digest": {"sha256": digest}} for name, digest in configuration.items()
        ],
        **({"url": url} if url else {}),
        **results,
    }
    ParseDict(predicate, TestResult())
    named = _digests(subjects).items()
    descriptors = [ResourceDescriptor(name, digest=digest).pb for name, digest in named]
    made = Statement(descriptors, PREDICATE, predicate)
    made.validate()
    return dict(MessageToDict(made.pb))


def _results(run: RunRecord) -> dict[str, list[str]]:
    """The tests by how they ended; one that does not apply here is in none."""
    found: dict[str, list[str]] = {"passedTests": [], "warnedTests": [], "failedTests": []}
    for check in run.checks:
        if where := _ended(check, run):
            found[where].append(key(check))
    found["failedTests"] += run.missing
    return found


def _ended(check: CheckRecord, run: RunRecord) -> str:
    """What could not be looked at, or was not, has failed; what does not count is a warning."""
    if check.verdict == Verdict.NOT_APPLICABLE.value:
        return ""
    counts = check.level <= run.gate and not check.waiver
    lacks_proof = run.proof_required and not check.proven
    if check.verdict == Verdict.PASSED.value and not lacks_proof:
        return "passedTests"
    if check.verdict == Verdict.DEGRADED.value and not lacks_proof:
        return "warnedTests"
    return "failedTests" if counts else "warnedTests"


def _result(run: RunRecord, results: Mapping[str, list[str]]) -> str:
    """PASSED is a whole run that ended with go and has nothing to tell."""
    if run.verdict != "go" or run.exit_code != 0 or results["failedTests"]:
        return "FAILED"
    return "WARNED" if results["warnedTests"] or run.partial else "PASSED"


def _digests(subjects: Iterable[Subject]) -> dict[str, dict[str, str]]:
    """The digests of each name; raises ConfigurationError for two of one kind."""
    found: dict[str, dict[str, str]] = {}
    for each in subjects:
        digests = found.setdefault(each.name, {})
        if digests.setdefault(each.algorithm, each.digest) != each.digest:
            raise ConfigurationError(
                f"{each.name} has two digests {each.algorithm}", hint="give each version a name"
            )
    return found


def _signer(path: Path) -> Signer:
    """The key in `path`; what is said of it names neither its content nor, as it may be given in
    place of its path, the path."""
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - as above
        load_pem_private_key,
    )
    from securesystemslib.signer import CryptoSigner  # noqa: PLC0415

    hint = "give the path of an unencrypted private key in PEM: openssl genpkey -algorithm ed25519"
    try:
        return CryptoSigner(load_pem_private_key(path.read_bytes(), None))
    except OSError as error:
        problem = f"the key to sign with can't be read: {error.strerror or 'no such file'}"
    except TypeError:
        problem = "the key to sign with is encrypted"
    except Exception:  # of several libraries, whose messages may show what they read
        problem = "the key to sign with is no private key that we know: RSA, ECDSA or Ed25519"
    raise ConfigurationError(problem, hint=hint)


def sha256_of(root: Path, paths: Iterable[Path]) -> dict[str, str]:
    """The files by their path below `root`, with their SHA-256; one that is gone is left out."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(paths)
        if path.is_file()
    }
