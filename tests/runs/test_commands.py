"""The command `watchkeeper`: what it prints, how it exits, and what it says to a mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.runs.runs import FAST, ROOT, SLUG, Project
from watchkeeper.commands import doctor
from watchkeeper.proving.replicas import Replica
from watchkeeper.yaml_file import read_yaml

PROGRAM = Path(sys.executable).with_name("watchkeeper")


def test_look_shows_every_figure_as_a_table_and_as_json(project: Project) -> None:
    """All figures with value, unit and source; nothing is left behind; in a pipe it fits."""
    table = project.watchkeeper("look", SLUG)
    assert table.status == 0, table.text
    assert "Radarr connection" in table.out and "up" in table.out
    assert max(map(len, table.out.splitlines())) <= 120
    assert "\x1b" not in table.text
    told = project.watchkeeper("look", SLUG, "--json", "--over", "1 hour")
    assert told.status == 0, told.text
    data = json.loads(told.out)
    assert data["schema"] == "watchkeeper/look/1"
    figures = {each["figure"]: each for each in data["figures"]}
    assert figures["Radarr connection"]["value"] == "up"
    assert figures["success rate"]["window_s"] == 3600
    assert all(each["source"] and each["at"] for each in figures.values())
    assert project.left_behind() == []


def test_look_names_what_it_could_not_see(project: Project, system: Replica) -> None:
    """An unknown figure says why, the others are shown, and the exit status is 10."""
    system.turn("radarr refuses the key")
    looked = project.watchkeeper("look", SLUG, "--target", "production", env=system.variables)
    assert looked.status == 10, looked.text
    assert "unknown:" in looked.out and "1 unknown" not in looked.out.splitlines()[0]
    assert "Sonarr connection" in looked.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("look", "media-managment"), "media-management"),
        (("look", SLUG, "--target", "prodction"), "production"),
        (("look", SLUG, "--target", "production"), "RADARR_KEY"),
        (("look", SLUG, "--over", "soon"), "soon"),
        (("--project", "/nowhere", "look", SLUG), "/nowhere"),
        (("dials", "nothing"), 'no system "nothing"'),
        (("audit", "verify"), "no run"),
        (("audit", "verify", "/nowhere"), "no ledger"),
        (("--project", "/nowhere", "vocabulary"), "/nowhere"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(
    project: Project, arguments: tuple[str, ...], said: str
) -> None:
    """No traceback, a status that is not 0, and the name of what is wrong."""
    ended = project.watchkeeper(*arguments)
    assert ended.status in (1, 4), ended.text
    assert said in ended.text
    assert "Traceback" not in ended.text


def test_audit_verify_finds_an_edited_ledger(project: Project) -> None:
    """Whole ledgers are 0; one changed word is 1, with the line."""
    assert project.pytest("-k", "Nothing", *FAST).status == 0
    arguments = ("audit", "verify", "--reports", str(project.reports))
    whole = project.watchkeeper(*arguments)
    assert whole.status == 0, whole.text
    assert "ledger.jsonl: whole" in whole.out
    ledger = project.last.folder / "ledger.jsonl"
    ledger.chmod(0o640)
    ledger.write_text(ledger.read_text("utf-8").replace('"passed"', '"failed"'), "utf-8")
    touched = project.watchkeeper(*arguments)
    assert touched.status == 1, touched.text
    assert "not whole" in touched.out and "line " in touched.out


def test_the_page_of_the_vocabulary_is_what_the_command_writes(project: Project) -> None:
    """docs/vocabulary.md is made by `make vocabulary` and was not edited since."""
    written = project.watchkeeper("vocabulary")
    assert written.status == 0, written.text
    assert written.out == (ROOT / "docs" / "vocabulary.md").read_text("utf-8")


def test_output_that_nobody_reads_on_is_no_fault(project: Project) -> None:
    """`watchkeeper … | head -1` ends without a traceback, and dials lists each dial."""
    for command in ("vocabulary", f"dials {SLUG}", f"look {SLUG}", "schema"):
        ended = subprocess.run(
            ["sh", "-c", f"{PROGRAM} {command} | head -1"],
            cwd=project.root,
            env=project.environment({"FORCE_COLOR": "", "NO_COLOR": "1"}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert len(ended.stdout.splitlines()) == 1
        assert "Error" not in ended.stderr and "\x1b" not in ended.stdout, ended.stderr


def test_the_schema_takes_our_target_file_and_refuses_an_unknown_key(project: Project) -> None:
    """What editors complete by is what the loader takes."""
    schema = json.loads(project.watchkeeper("schema").out)
    validator = jsonschema.Draft202012Validator(schema)
    data = read_yaml(ROOT / "targets" / f"{SLUG}.yml").plain()
    assert [error.message for error in validator.iter_errors(data)] == []
    for broken in (
        {**data, "figurs": {}},
        {**data, "services": {**data["services"], "app": {"url": "http://x", "tokn": "x"}}},
        {**data, "environments": {"replica": {"alows": "looking"}}},
    ):
        assert list(validator.iter_errors(broken)), broken


def test_doctor_is_ready_on_a_healthy_machine_and_sees_services(
    project: Project, system: Replica
) -> None:
    """Each service is asked and its clock compared; what is wrong comes with what to do."""
    ended = project.watchkeeper("doctor", "--target", "production", env=system.variables)
    assert ended.status == 0, ended.text
    assert "its clock agrees with ours" in ended.out and ended.out.rstrip().endswith("ready")
    system.turn("radarr down")
    Path(system.variables["MM_LOG"]).rename(Path(system.variables["MM_LOG"]).with_suffix(".x"))
    ended = project.watchkeeper("doctor", "--target", "production", env=system.variables)
    assert ended.status == 1, ended.text
    assert "start it, or check its address" in ended.out
    assert "is not there" in ended.out and "3 to be mended" in ended.out


def test_doctor_names_variables_targets_files_and_secrets(project: Project) -> None:
    """Nothing is set, an environment is not there, a file can be read by all, YAML is wrong."""
    ended = project.watchkeeper("doctor", "--target", "production")
    assert ended.status == 1 and "RADARR_KEY" in ended.out
    ended = project.watchkeeper("doctor", "--target", "prodction")
    assert ended.status == 1 and "no such target" in ended.out
    secrets = project.write(".env", "RADARR_KEY=x\n")
    secrets.chmod(0o644)
    project.write(f"targets/{SLUG}.yml", "system: x\nfigurs: {}\n")
    ended = project.watchkeeper("doctor", env={"DOCKER_HOST": "tcp://127.0.0.1:9"})
    assert ended.status == 1, ended.text
    assert ".env can be read by others" in ended.out and "chmod 600" in ended.out
    assert "figurs" in ended.out
    assert "! Docker: no engine at tcp://127.0.0.1:9" in ended.out
    assert "Traceback" not in ended.text


def test_doctor_tells_clocks_that_are_apart() -> None:
    """A service whose Date is a minute off makes windows and ages read wrong."""
    apart = doctor.clock("app", "Sat, 21 Nov 2020 00:00:00 GMT")
    assert "behind ours" in apart.found and apart.advice
    assert doctor.clock("app", "").advice == ""
    assert doctor.clock("app", "no date at all").advice == ""
