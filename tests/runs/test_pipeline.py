"""After a deployment, in a pipeline: exit status, JUnit, summary and statement say the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ruamel.yaml import YAML
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from tests.runs.own import Asked, furnished, serving
from tests.runs.runs import FAST, ROOT, Ended, Project, suite_of

SHA = "9f" * 32
TARGET = """\
system: shop
called: the shop
services:
  app: {url: "${env:SHOP_URL}"}
figures:
  stock: {http: {get: app /stock}, pick: .count}
  color: {http: {get: app /colour}, pick: .colour}
environments:
  replica: {}
  live: {}
"""
FEATURE = """\
@shop @deploy
Feature: After a deployment

  @SHOP-DEP-1 @P1
  Scenario: There is stock
    Given the shop
    Then its stock is at least {least}

  @SHOP-DEP-2 @P3
  Scenario: It has its color
    Given the shop
    Then its color is "{color}"

  @SHOP-DAY-1 @P1
  Scenario: Not for a pipeline
    Given the shop
    Then its stock is at least 1
"""
GATE = ("-m", "shop and deploy", "--gate", "P2", "--target", "live", "--junitxml=junit.xml",
        "--attest=statement.json", f"--subject=shop=sha256:{SHA}", *FAST)  # fmt: skip


def _answer(asked: Asked, body: str) -> None:
    if asked.path == "/stock":
        asked.say(200, '{"count": 5}', Content_Type="application/json")
    else:
        asked.say(200, '{"colour": "blue"}', Content_Type="application/json")


@pytest.fixture
def shop(project: Project) -> Iterator[tuple[Project, dict[str, str]]]:
    with serving(_answer) as url:
        yield _with(project), {"SHOP_URL": url, "GITHUB_STEP_SUMMARY": ""}


def _with(project: Project, least: int = 5, color: str = "blue") -> Project:
    return furnished(project, TARGET, FEATURE.format(least=least, color=color))


def _again(project: Project, least: int, color: str = "blue") -> None:
    project.write("features/shop/all.feature", FEATURE.format(least=least, color=color))


def _statement(project: Project) -> dict[str, object]:
    found: dict[str, object] = json.loads((project.root / "statement.json").read_text())
    return found


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_a_gate_that_opens_says_so_everywhere(
    shop: tuple[Project, dict[str, str]], tmp_path: Path, workers: tuple[str, ...]
) -> None:
    """Exit 0, JUnit without failures, a summary for the job and one in the run's folder, and a
    statement about the version with the files that were used."""
    project, env = shop
    summary = tmp_path / "step"
    summary.write_text("before\n")
    ended = project.pytest(*GATE, *workers, env={**env, "GITHUB_STEP_SUMMARY": str(summary)})
    assert ended.status == 0, ended.text
    suite = suite_of(project.root / "junit.xml")
    assert (suite.get("failures"), suite.get("errors"), suite.get("tests")) == ("0", "0", "3")
    own = (project.last.folder / "summary.md").read_text()
    assert own.startswith("**GO: all 3 checks passed**")
    assert summary.read_text() == f"before\n\n\n{own}"
    made = _statement(project)
    assert made["subject"] == [{"name": "shop", "digest": {"sha256": SHA}}]
    predicate = made["predicate"]
    assert predicate["result"] == "PASSED"
    assert sorted(predicate["passedTests"]) == ["SHOP-DAY-1", "SHOP-DEP-1", "SHOP-DEP-2"]
    named = [each["name"] for each in predicate["configuration"]]
    assert named == ["features/shop/all.feature", "targets/shop.yml"]
    assert project.last.record["partial"] == ""
    assert "statement: " in ended.out


def test_what_is_below_the_gate_warns_and_what_is_not_fails(
    shop: tuple[Project, dict[str, str]],
) -> None:
    """A red P3 is shown and lets through; a red P1 does not; what can't be seen has failed."""
    project, env = shop
    _again(project, 5, "red")
    assert project.pytest(*GATE, env=env).status == 0
    predicate = _statement(project)["predicate"]
    assert (predicate["result"], predicate["warnedTests"]) == ("WARNED", ["SHOP-DEP-2"])
    _again(project, 6)
    assert project.pytest(*GATE, env=env).status == 1
    predicate = _statement(project)["predicate"]
    assert (predicate["result"], predicate["failedTests"]) == ("FAILED", ["SHOP-DEP-1"])
    away = {**env, "SHOP_URL": "http://127.0.0.1:9"}
    assert project.pytest(*GATE, env=away).status == 10
    predicate = _statement(project)["predicate"]
    assert predicate["result"] == "FAILED"
    assert "SHOP-DEP-1" in predicate["failedTests"]


def test_a_signed_statement_verifies_and_the_key_is_nowhere(
    shop: tuple[Project, dict[str, str]], tmp_path: Path
) -> None:
    """Key by a variable; the envelope verifies and names the job, and nothing shows the key."""
    project, env = shop
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                            serialization.NoEncryption()).decode()  # fmt: skip
    (tmp_path / "gate.key").write_text(pem)
    given = {"WATCHKEEPER_ATTEST_KEY": str(tmp_path / "gate.key"),
             "CI_JOB_URL": "https://ci.example/jobs/7?private_token=Zq99secret"}  # fmt: skip
    ended = project.pytest(*GATE, "-vv", "--report=html", env={**env, **given})
    assert ended.status == 0, ended.text
    envelope = Envelope.from_dict(_statement(project))
    envelope.verify([SSlibKey.from_crypto(key.public_key())], 1)
    url = json.loads(envelope.payload)["predicate"]["url"]
    assert url.startswith("https://ci.example/jobs/7") and "Zq99secret" not in url
    _shown_nowhere(project, ended, pem.splitlines()[1])


def _shown_nowhere(project: Project, ended: Ended, secret: str) -> None:
    written = [path for top in (project.reports, project.root) for path in top.rglob("*")]
    read = [path for path in written if path.is_file() and not path.is_symlink()]
    assert len(read) > 5
    assert [path for path in read if secret.encode() in path.read_bytes()] == []
    assert secret not in ended.text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--attest=s.json"], "--attest has no --subject"),
        (["--subject=shop=sha256:" + SHA], "--attest FILE"),
        (["--attest=s.json", "--subject=shop=sha256:12"], "has 64 hexadecimal digits"),
        (["--attest=no/s.json", "--subject=shop=sha256:" + SHA], "lies in no folder"),
        (["--attest=s.json", "--subject=shop=sha256:" + SHA, "--attest-key=none"],
         "the key to sign with can't be read"),
        (["--attest=s.json", "--subject=shop=sha256:" + SHA, "--plan"], "--plan decides nothing"),
        (["--attest=s.json", "--subject=shop=sha256:" + SHA, "--drill"], "--drill decides nothing"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_before_anything_runs(
    shop: tuple[Project, dict[str, str]], arguments: list[str], said: str
) -> None:
    """Exit 4 with what to write, no run begun, and no statement of an earlier run left behind."""
    project, env = shop
    ended = project.pytest("-m", "deploy", *FAST, *arguments, env=env)
    assert ended.status == 4, ended.text
    assert said in ended.text
    assert "Traceback" not in ended.text
    assert not project.reports.exists()
    assert not (project.root / "s.json").exists()


def test_a_run_that_is_refused_leaves_no_statement_of_the_one_before(
    shop: tuple[Project, dict[str, str]],
) -> None:
    """Whoever uploads the file after a refusal must not find the last version's PASSED."""
    project, env = shop
    assert project.pytest(*GATE, env=env).status == 0
    project.write("targets/shop.yml", "system: shop\nfigurs: {}\n")
    ended = project.pytest(*GATE, env=env)
    assert ended.status == 4, ended.text
    assert not (project.root / "statement.json").exists()


def test_a_summary_that_cannot_be_written_is_said_and_stated(
    shop: tuple[Project, dict[str, str]],
) -> None:
    """Exit 3, and the statement does not say that it passed."""
    project, env = shop
    ended = project.pytest(*GATE, env={**env, "GITHUB_STEP_SUMMARY": "/nowhere/at/all"})
    assert ended.status == 3, ended.text
    assert "/nowhere/at/all can't be written" in " ".join(ended.out.split())
    assert _statement(project)["predicate"]["result"] == "FAILED"


def _snippets() -> list[str]:
    page = (ROOT / "docs" / "pipelines.md").read_text("utf-8")
    return re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)


def test_the_pages_pipelines_are_yaml_and_use_what_there_is() -> None:
    """Both snippets parse, run on every outcome what they keep, and every option is ours."""
    github, gitlab = (YAML(typ="safe").load(each) for each in _snippets())
    steps = github["jobs"]["gate"]["steps"]
    kept = next(step for step in steps if "upload-artifact" in step.get("uses", ""))
    assert kept["if"] == "always()"
    job = gitlab["gate"]
    assert job["artifacts"]["when"] == "always"
    assert job["artifacts"]["reports"]["junit"] == "out/junit.xml"
    known = (ROOT / "src/watchkeeper/pytest_plugin/options.py").read_text()
    for text in _snippets():
        options = set(re.findall(r"(?<=\s)(--[a-z-]+)", text))
        assert {"--gate", "--target", "--attest", "--subject"} <= options
        for option in options - {"--junitxml"}:
            assert f'"{option}"' in known, option
        for artifact in ("junit.xml", "statement.json", "report.html", "summary.md"):
            assert artifact in text
