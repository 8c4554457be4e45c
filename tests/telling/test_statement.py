"""What a run decided is stated as in-toto wants it, and verified with in-toto's own means."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from google.protobuf.json_format import Parse, ParseDict
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from tests.telling.telling_samples import check, finding
from watchkeeper.errors import ConfigurationError
from watchkeeper.recording.run import CheckRecord, RunRecord
from watchkeeper.telling.statement import PAYLOAD, PREDICATE, Attesting, Subject, statement
from watchkeeper.verdicts import Verdict

SHA = "9f" * 32
COMMIT = "4b" * 20
SUBJECTS = (f"routing-ml=sha256:{SHA}", f"routing-ml=gitCommit:{COMMIT}")
FILES = {"features/routing-ml/deploy.feature": "ab" * 32}


def one(verdict: Verdict, level: str = "P1", ids: str = "RML-DEP-1", **more: str) -> CheckRecord:
    return check(ids, "It runs", level, verdict, finding("its app is up", verdict, "so"), **more)


def run_of(
    *checks: CheckRecord, verdict: str = "go", exit_code: int = 0, **more: object
) -> RunRecord:
    return replace(
        RunRecord("R", "-m deploy", "production", "2026-02-18T09:00:12.345Z", "", verdict,
                  exit_code, checks, gate="P2"),
        **more,
    )  # fmt: skip


def stated(run: RunRecord) -> dict[str, object]:
    made = statement(run, [Subject.of(each) for each in SUBJECTS], FILES, "https://ci.example/1")
    predicate: dict[str, object] = made["predicate"]
    return predicate


def test_it_is_a_statement_that_in_toto_reads() -> None:
    """Type, subject with both digests, predicate type and every field, by in-toto's own parser."""
    made = statement(run_of(one(Verdict.PASSED)), map(Subject.of, SUBJECTS), FILES, "https://x/1")
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    assert made["predicateType"] == PREDICATE
    assert made["subject"] == [
        {"name": "routing-ml", "digest": {"sha256": SHA, "gitCommit": COMMIT}}
    ]
    Statement.copy_from_pb(Parse(json.dumps(made), StatementMessage())).validate()
    result = ParseDict(made["predicate"], test_result_pb2.TestResult())
    assert (result.result, list(result.passed_tests)) == ("PASSED", ["RML-DEP-1"])
    assert {each.name: each.digest["sha256"] for each in result.configuration} == FILES


@pytest.mark.parametrize(
    ("run", "result", "tests"),
    [
        (run_of(one(Verdict.PASSED)), "PASSED", {"passedTests": ["RML-DEP-1"]}),
        (run_of(one(Verdict.DEGRADED)), "WARNED", {"warnedTests": ["RML-DEP-1"]}),
        (run_of(one(Verdict.PASSED), partial="narrowed by -k"), "WARNED",
         {"passedTests": ["RML-DEP-1"]}),
        (run_of(one(Verdict.FAILED, "P3")), "WARNED", {"warnedTests": ["RML-DEP-1"]}),
        (run_of(one(Verdict.FAILED, waiver="W-1")), "WARNED", {"warnedTests": ["RML-DEP-1"]}),
        (run_of(one(Verdict.FAILED, row="api"), verdict="no-go", exit_code=1), "FAILED",
         {"failedTests": ["RML-DEP-1 [api]"]}),
        (run_of(one(Verdict.UNKNOWN), verdict="inconclusive", exit_code=10), "FAILED",
         {"failedTests": ["RML-DEP-1"]}),
        (run_of(one(Verdict.UNSIGNED), verdict="incomplete", exit_code=11), "FAILED",
         {"failedTests": ["RML-DEP-1"]}),
        (run_of(one(Verdict.PASSED), verdict="incomplete", exit_code=11, missing=("x::y",)),
         "FAILED", {"passedTests": ["RML-DEP-1"], "failedTests": ["x::y"]}),
        (run_of(one(Verdict.PASSED), verdict="incomplete", exit_code=11, proof_required=True),
         "FAILED", {"failedTests": ["RML-DEP-1"]}),
        (run_of(one(Verdict.PASSED), verdict="interrupted", exit_code=2), "FAILED",
         {"passedTests": ["RML-DEP-1"]}),
        (run_of(one(Verdict.PASSED), exit_code=3), "FAILED", {"passedTests": ["RML-DEP-1"]}),
        (run_of(one(Verdict.PASSED), one(Verdict.NOT_APPLICABLE, ids="RML-DEP-2")), "PASSED",
         {"passedTests": ["RML-DEP-1"]}),
    ],
)  # fmt: skip
def test_the_result_is_the_gates(run: RunRecord, result: str, tests: dict[str, object]) -> None:
    """PASSED is a whole go and nothing else; what nobody could look at has failed; what does not
    count is a warning."""
    predicate = stated(run)
    assert predicate["result"] == result
    lists = ("passedTests", "warnedTests", "failedTests")
    assert {name: predicate[name] for name in lists if predicate[name]} == tests


def key_file(folder: Path, key: object, password: bytes | None = None) -> Path:
    path = folder / "gate.key"
    locked = (serialization.BestAvailableEncryption(password) if password
              else serialization.NoEncryption())  # fmt: skip
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    )
    return path


KEYS = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
}


@pytest.mark.parametrize("kind", list(KEYS))
def test_a_signed_statement_is_verified_and_a_touched_one_is_not(tmp_path: Path, kind: str) -> None:
    """The public key verifies the envelope; another key, or a changed payload, does not."""
    key = KEYS[kind]()
    out = tmp_path / "statement.json"
    attesting = Attesting.of(out, SUBJECTS, key_file(tmp_path, key))
    attesting.write(run_of(one(Verdict.PASSED)), FILES)
    written = out.read_text()
    envelope = Envelope.from_dict(json.loads(written))
    assert envelope.payload_type == PAYLOAD
    public = SSlibKey.from_crypto(key.public_key())
    assert list(envelope.verify([public], 1)) == [public.keyid]
    assert json.loads(envelope.payload)["predicate"]["result"] == "PASSED"
    envelope.payload = envelope.payload.replace(b"PASSED", b"FAILED")
    with pytest.raises(VerificationError):
        envelope.verify([public], 1)
    pem = (tmp_path / "gate.key").read_text().splitlines()
    assert not [line for line in pem[1:-1] if line in written]


def test_without_a_key_it_is_the_statement_itself(tmp_path: Path) -> None:
    """Unsigned, plain JSON, written whole; what stood there before is gone at once."""
    out = tmp_path / "statement.json"
    out.write_text("the last run's")
    attesting = Attesting.of(out, SUBJECTS, None)
    assert not out.exists()
    attesting.write(run_of(one(Verdict.PASSED)), FILES)
    assert json.loads(out.read_text())["predicateType"] == PREDICATE
    assert [each.name for each in tmp_path.iterdir()] == ["statement.json"]


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("routing-ml", "names no version by its digest"),
        ("=sha256:" + SHA, "names no version"),
        ("routing-ml=md5:" + SHA, '"md5" is no digest, expected one of: sha256'),
        ("routing-ml=sha256:9f86", "has 64 hexadecimal digits, and 4"),
        ("routing-ml=sha256:" + "zz" * 32, "has 64 hexadecimal digits"),
        ("routing-ml=gitCommit:" + SHA[:39], "has 40 or 64 hexadecimal digits"),
    ],
)
def test_a_wrong_subject_is_refused(tmp_path: Path, subject: str, said: str) -> None:
    """With what was found, and what to write."""
    with pytest.raises(ConfigurationError, match=said) as refused:
        Attesting.of(tmp_path / "s.json", [subject], None)
    assert "write for example --subject" in str(refused.value)


def test_an_image_is_a_subject_as_it_is_pulled() -> None:
    """registry/name@sha256:… is what a pipeline has at hand."""
    name = "registry.example:5000/ml/router"
    assert Subject.of(f"{name}@sha256:{SHA}") == Subject(name, "sha256", SHA)


def test_two_versions_under_one_name_are_refused(tmp_path: Path) -> None:
    """Nobody could say which of them was looked at."""
    with pytest.raises(ConfigurationError, match="routing-ml has two digests sha256"):
        Attesting.of(tmp_path / "s", [SUBJECTS[0], f"routing-ml=sha256:{'00' * 32}"], None)


def test_a_wrong_key_is_refused_without_showing_it(tmp_path: Path) -> None:
    """Missing, encrypted, no key, a public one, or the key itself in place of its path."""
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key_file(tmp_path, key).read_text()
    body = pem.splitlines()[1]
    public = tmp_path / "public.pem"
    public.write_bytes(key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))  # fmt: skip
    broken = tmp_path / "broken.pem"
    broken.write_text(pem.replace(body, body[:20]))
    locked = tmp_path / "locked"
    locked.mkdir()
    for path, said in (
        (tmp_path / "none", "can't be read: No such file"),
        (key_file(locked, key, b"pass"), "is encrypted"),
        (public, "is no private key"),
        (broken, "is no private key"),
        (Path(pem), "can't be read"),
    ):
        with pytest.raises(ConfigurationError, match=said) as refused:
            Attesting.of(tmp_path / "s.json", SUBJECTS, path)
        assert body[:20] not in str(refused.value)
        assert refused.value.__cause__ is None
