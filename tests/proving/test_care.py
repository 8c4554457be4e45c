"""Does a failed upgrade leave what was before, and does a new key stay among those it is for?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.proving.projects import ROOT, run

FEATURES = "features/media-management"
ALLOWED = "--allow=destroys"
SOURCE, DATABASE, RESTART = (
    "the operator puts the source of before back",
    "the operator puts the database of before the upgrade back",
    "the operator restarts the application",
)
KEYS = """
import os, secrets
made = secrets.token_hex
def token_hex(count=None):
    key = made(count)
    with open(os.environ["KEYS_FILE"], "a") as file:
        file.write(key + "\\n")
    return key
secrets.token_hex = token_hex
"""


def upgraded(folder: Path, *dials: str) -> Mapping[str, Any]:
    """The record of the one check."""
    turned = [part for dial in dials for part in ("--dial", dial)]
    ran = run([ALLOWED, *turned, f"{FEATURES}/upgrade.feature"], ROOT, folder)
    (check,) = ran.run["checks"]
    found: Mapping[str, Any] = check
    return found


@pytest.mark.parametrize(
    ("dials", "said"),
    [
        (["new backups are truncated"], "new backup of the media manager was broken"),
        (["new backups lose rows"], "number of requests in the new backup"),
        (["origin is gone"], "the operator updates the source: git: exit 1"),
        (["a migration fails half-way"], "add_notes.sql failed: store: no such table"),
        (
            ["an upgrade needs what cannot be had"],
            "media-classifier-models>=2 could not be installed",
        ),
        (["an upgrade is waiting", "application dies at its second request"], "app connection"),
        (["migrations are not recorded"], "the number of applied migrations of the answer was 1"),
        (["an upgrade is waiting", "a setting is missing"], "installation of the media manager"),
        (["an upgrade is waiting", "a start loses requests"], "expected no lower than before"),
    ],
)
def test_an_upgrade_that_fails_is_taken_back(tmp_path: Path, dials: list[str], said: str) -> None:
    """Whichever step fails: source, database and application are as before, and verified."""
    check = upgraded(tmp_path, *dials)
    findings = {each["step"]: each for each in check["findings"]}
    assert check["verdict"] == "failed"
    assert [each for each in check["findings"] if said in each["sentence"]], check["findings"]
    undone = {step: findings[f"that on failure {step}"] for step in (DATABASE, SOURCE, RESTART)}
    assert {step: each["verdict"] for step, each in undone.items()} == dict.fromkeys(
        undone, "passed"
    )


def test_what_an_upgrade_had_changed_is_put_back(tmp_path: Path) -> None:
    """Where the new version does not start, the backup and the old source are back all the same."""
    check = upgraded(tmp_path, "an upgrade is waiting", "application does not come back")
    told = {each["step"]: (each["verdict"], each["sentence"]) for each in check["findings"]}
    verdict, sentence = told[f"that on failure {DATABASE}"]
    assert verdict == "passed"
    assert ".backup." in sentence
    assert sentence.partition(" (")[0].endswith(" back")
    assert told[f"that on failure {SOURCE}"][0] == "passed"
    assert told[f"that on failure {RESTART}"][0] == "failed"


def test_an_upgrade_applies_what_waits_once(tmp_path: Path) -> None:
    """The migration that came with it is applied, and a second run applies none."""
    check = upgraded(tmp_path, "an upgrade is waiting")
    told = [each["sentence"] for each in check["findings"]]
    assert check["verdict"] == "passed"
    assert [each for each in told if "applied add_priority.sql" in each]
    assert "the number of applied migrations of the answer was 0" in told[-1]


def test_new_keys_are_in_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the report, the ledger, the results or the terminal, whether it ends well or not."""
    keys = tmp_path / "keys"
    (tmp_path / "remembers_keys.py").write_text(KEYS)
    monkeypatch.setenv("KEYS_FILE", str(keys))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    security = ["-p", "remembers_keys", ALLOWED, "--report=html", f"{FEATURES}/security.feature"]
    for number, dial in enumerate(["", "the application keeps its old keys"]):
        ran = run([*security, *(["--dial", dial] if dial else [])], ROOT, tmp_path / str(number))
        verdicts = {each["verdict"] for each in ran.run["checks"]}
        assert verdicts == {"failed" if dial else "passed"}, ran.told
        made = keys.read_text().split()
        assert len(made) >= 3
        written = {path: path.read_bytes() for path in ran.reports.rglob("*") if path.is_file()}
        shown = [path for path, raw in written.items() for key in made if key.encode() in raw]
        assert shown == []
        assert not [key for key in made if key in ran.told]
