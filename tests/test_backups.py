"""Tests of backups: of their usual size, whole, and restored with nothing lost."""

from __future__ import annotations

import io
import os
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from tests.postgres import PASSWORD, Postgres, programs_folder, running_postgres
from tests.stage import Shop, Stage, stage
from tests.test_performing import ended
from watchkeeper.changing.operate import Hands
from watchkeeper.changing.operators import OPERATORS
from watchkeeper.clock import Clock
from watchkeeper.kinds import KINDS
from watchkeeper.looking.loop import LookingLoop
from watchkeeper.looking.observe import Observer
from watchkeeper.looking.probes import PROBES
from watchkeeper.pytest_plugin.words import DICTIONARY
from watchkeeper.recording.ledger import Ledger
from watchkeeper.recording.redaction import Redactor
from watchkeeper.target_file import load_system
from watchkeeper.targets import Target
from watchkeeper.verdicts import Verdict

PASSED, FAILED, UNKNOWN = Verdict.PASSED, Verdict.FAILED, Verdict.UNKNOWN

# The usual size -------------------------------------------------------------------------------

USUAL = 'Then its size of the latest "db" is within 50% of the median of the five before it'


def backed_up(folder: Path, kind: str, *sizes: int) -> None:
    """Backups of these sizes, night by night, the last one the newest."""
    backups = folder / "shop.db.backups"
    backups.mkdir(exist_ok=True)
    for night, size in enumerate(sizes):
        path = backups / f"{kind}_{night}.dump"
        path.write_bytes(b"x" * size)
        os.utime(path, (1_700_000_000 + night, 1_700_000_000 + night))


def verdict(it: Stage, sentence: str = USUAL) -> tuple[Verdict, str]:
    it.observer.forget()
    (found,) = ended(it.perform(sentence))
    return found


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [
        ((100, 110, 90, 100, 105, 100), PASSED),
        ((100, 110, 90, 100, 105, 150), PASSED),
        ((100, 110, 90, 100, 105, 151), FAILED),
        ((100, 110, 90, 100, 105, 0), FAILED),
        ((9, 9, 9, 100, 110, 90, 100, 105, 100), PASSED),
        ((9, 0, 100, 100, 100, 51), PASSED),
    ],
)
def test_the_five_before_it(tmp_path: Path, sizes: tuple[int, ...], wanted: Verdict) -> None:
    """The newest is compared with the median of five, older ones and itself left out."""
    with stage(tmp_path) as it:
        backed_up(tmp_path, "db", *sizes)
        backed_up(tmp_path, "models", 7, 7, 7, 7, 7, 7)
        assert verdict(it)[0] is wanted


def test_what_a_size_that_is_not_usual_reads_like(tmp_path: Path) -> None:
    """What it is, and what it is usually."""
    with stage(tmp_path) as it:
        backed_up(tmp_path, "db", 4000, 4000, 4200, 3900, 4100, 12)
        found, told = verdict(it)
    assert found is FAILED
    assert told == (
        'size of the latest "db" of the shop was 12 bytes, expected within 50% of the median of '
        "the five before it (4 kB)"
    )


def test_fewer_before_it(tmp_path: Path) -> None:
    """Three are not the five that the sentence speaks of, unless it says "where there is one"."""
    with stage(tmp_path) as it:
        backed_up(tmp_path, "db", 100, 100, 100, 100)
        found, told = verdict(it)
        assert (found, "only 3 of the 5 before it" in told) == (UNKNOWN, True)
        assert verdict(it, f"{USUAL}, where there is one")[0] is PASSED
    alone = tmp_path / "alone"
    alone.mkdir()
    with stage(alone) as it:
        backed_up(alone, "db", 100)
        assert verdict(it)[0] is UNKNOWN
        assert verdict(it, f"{USUAL}, where there is one")[0] is PASSED


def test_a_backup_that_is_missing(tmp_path: Path) -> None:
    """No file is unknown, not a size of none."""
    with stage(tmp_path) as it:
        backed_up(tmp_path, "models", 100)
        assert verdict(it)[0] is UNKNOWN


def test_who_has_no_earlier_ones(tmp_path: Path) -> None:
    """Only a figure of the newest file has some; another is refused before anything runs."""
    with stage(tmp_path) as it:
        complaints = it.planned("Then its stock is within 50% of the median of the five before it")
    assert isinstance(complaints, tuple)
    assert 'only a figure of a file has them that says "newest: 1"' in str(complaints[0])


# Whole, and restored --------------------------------------------------------------------------

TARGET = """\
system: shop
called: the shop
services:
  backups: {folder: "${env:BACKUPS}", deadline: 20 seconds}
  store:   {database: "${env:STORE}"}
  scratch: {database: "${env:SCRATCH}", deadline: 20 seconds}
figures:
  database backup:
    command: ["${env:PG_BIN}/pg_restore", --list, db.dump]
    in: backups
    exit codes: {0: sound, 1: corrupt}
    values: [sound, corrupt]
  tables in the backup:
    command: ["${env:PG_BIN}/pg_restore", --list, db.dump]
    in: backups
    rows: 'split("\\n")[] | select(test(" TABLE DATA ")) | {name: split(" ")[6]}'
    key: name
  model backup:
    file: models_*.tar.gz
    newest: 1
    in: backups
    format: archive
    pick: .state
    values: [sound, corrupt]
  files in the model backup:
    file: models_*.tar.gz
    newest: 1
    in: backups
    format: archive
    rows: ".members[]"
    key: path
  rows in the scratch database: {sql: SELECT count(*) FROM facts, in: scratch}
  rows recorded with the backup: {file: db.rows.json, in: backups, format: json, pick: .facts}
  slow answer:
    command: ["${env:PG_BIN}/psql", -Atc, SELECT 7 FROM pg_sleep(1)]
    database: scratch
  planted:
    command: ["${env:PG_BIN}/psql", -Atc, CREATE TABLE planted ()]
    database: scratch
    exit codes: {0: written, 1: refused}
    values: [written, refused]
operations:
  dumps the database:
    effect: changes
    command: ["${env:PG_BIN}/pg_dump", --format=custom, --file=db.dump]
    in: backups
    database: store
  restores the backup into the scratch database:
    effect: changes
    command:
    - "${env:PG_BIN}/pg_restore"
    - --exit-on-error
    - --single-transaction
    - --dbname=
    - db.dump
    in: backups
    database: scratch
environments:
  replica: {}
"""
RESTORE = """\
When the operator restores the backup into the scratch database
Then its rows in the scratch database is the same as its rows recorded with the backup
"""


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    with running_postgres() as cluster:
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE facts AS SELECT n FROM generate_series(1, 500) n")
            connection.execute("CREATE TABLE models (version text)")
            connection.execute("CREATE DATABASE scratch")
        yield cluster


@contextmanager
def kept(folder: Path, cluster: Postgres, password: str = PASSWORD) -> Iterator[Stage]:
    """The shop's backups, with somebody who looks at them and somebody who restores."""
    (folder / "shop.yml").write_text(TARGET)
    system = load_system(folder / "shop.yml", KINDS)
    DICTIONARY.load([system])
    variables = {
        "BACKUPS": str(folder),
        "STORE": cluster.url(),
        "SCRATCH": cluster.url(password=password, database="scratch"),
        "PG_BIN": str(programs_folder()),
    }
    target = Target(system, system.environments["replica"], variables)
    services = target.services(frozenset({"backups", "store", "scratch"}))
    looking = LookingLoop()
    observer = Observer(target, services, PROBES, looking, Clock())
    ledger = Ledger.open(folder / "ledger.jsonl", Redactor())
    try:
        hands = Hands(target, observer, OPERATORS, ledger, "changes")
        yield Stage(Shop(), system, observer, hands, folder / "ledger.jsonl")
    finally:
        observer.close()
        looking.close()
        ledger.close()


def found(it: Stage, text: str) -> list[tuple[Verdict, str]]:
    return ended(it.perform(text, "changes"))


def dumped(it: Stage, folder: Path, rows: int = 500) -> None:
    text = "When the operator dumps the database\nThen its database backup is sound"
    assert [each for each, _ in found(it, text)] == [PASSED, PASSED]
    (folder / "db.rows.json").write_text(f'{{"facts": {rows}}}')


def test_a_dump_lists_its_tables(postgres: Postgres, tmp_path: Path) -> None:
    """A custom-format dump is opened; each table it must hold is there, and one too many is not."""
    with kept(tmp_path, postgres) as it:
        dumped(it, tmp_path)
        assert verdict(it, "Then its database backup is sound")[0] is PASSED
        text = "Then its tables in the backup include:\n| name |\n| facts |\n| models |"
        assert verdict(it, text)[0] is PASSED
        assert verdict(it, f"{text}\n| orders |")[0] is FAILED


def test_a_dump_that_is_no_dump(postgres: Postgres, tmp_path: Path) -> None:
    """Cut in its table of contents, empty, and plain SQL, which pg_restore can't read."""
    with kept(tmp_path, postgres) as it:
        dumped(it, tmp_path)
        raw = (tmp_path / "db.dump").read_bytes()
        for content in (raw[:300], b"", b"CREATE TABLE facts (n int);\n"):
            (tmp_path / "db.dump").write_bytes(content)
            assert verdict(it, "Then its database backup is sound")[0] is FAILED
        (tmp_path / "db.dump").unlink()
        assert verdict(it, "Then its tables in the backup are none")[0] is UNKNOWN


def test_a_backup_is_restored(postgres: Postgres, tmp_path: Path) -> None:
    """The rows of the restored table are those that were recorded with the backup."""
    with kept(tmp_path, postgres) as it:
        dumped(it, tmp_path)
        assert [each for each, _ in found(it, RESTORE)] == [PASSED, PASSED]


def test_a_restore_that_is_not_whole(postgres: Postgres, tmp_path: Path) -> None:
    """Data that are cut off are an operation that failed and left nothing; other counts are red."""
    with kept(tmp_path, postgres) as it:
        dumped(it, tmp_path, rows=501)
        (tmp_path / "whole.dump").write_bytes((tmp_path / "db.dump").read_bytes())
        (tmp_path / "db.dump").write_bytes((tmp_path / "db.dump").read_bytes()[:-700])
        ((first, told), *_) = found(it, RESTORE)
        assert (first, "pg_restore: exit 1" in told) == (FAILED, True)
        with psycopg.connect(postgres.url(database="scratch")) as scratch:
            assert scratch.execute("SELECT to_regclass('facts')").fetchone() == (None,)
        (tmp_path / "whole.dump").rename(tmp_path / "db.dump")
        (done, counted) = found(it, RESTORE)
        assert (done[0], counted[0]) == (PASSED, FAILED)


def test_a_program_that_looks_writes_nothing(postgres: Postgres, tmp_path: Path) -> None:
    """It enters the database read-only, although its login may write."""
    with kept(tmp_path, postgres) as it:
        assert verdict(it, "Then its planted is refused")[0] is PASSED


def test_no_password_among_the_arguments(postgres: Postgres, tmp_path: Path) -> None:
    """While the program runs nobody sees the password, and neither does the ledger or a refusal."""
    seen: list[str] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for line in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):  # it has ended meanwhile
                    seen.append(line.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
            over.wait(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with kept(tmp_path, postgres) as it:
            dumped(it, tmp_path)
            assert verdict(it, 'Then its slow answer is "7"')[0] is PASSED
        other = tmp_path / "other"
        other.mkdir()
        (tmp_path / "db.dump").rename(other / "db.dump")
        with kept(other, postgres, "wrong-" + PASSWORD) as it:
            ((refused, told), *_) = found(it, RESTORE)
    finally:
        over.set()
        watcher.join()
    assert (refused, "password authentication failed" in told) == (FAILED, True)
    assert any("psql -Atc SELECT 7" in line for line in seen)
    assert PASSWORD not in "".join(seen) + told + it.ledger.read_text()


def test_an_archive_of_models(postgres: Postgres, tmp_path: Path) -> None:
    """It opens to its end and holds what it must; a cut one is corrupt, with what came before."""
    with tarfile.open(tmp_path / "models_1.tar.gz", "w:gz") as made:
        for name in ("manifest.json", "model.bin"):
            member = tarfile.TarInfo(f"default/{name}")
            member.size = 100_000
            made.addfile(member, io.BytesIO(os.urandom(100_000)))
    whole = "Then its model backup is sound"
    holds = (
        "Then its files in the model backup include:\n"
        "| path |\n| default/manifest.json |\n| default/model.bin |"
    )
    with kept(tmp_path, postgres) as it:
        assert [verdict(it, text)[0] for text in (whole, holds)] == [PASSED, PASSED]
        raw = (tmp_path / "models_1.tar.gz").read_bytes()
        (tmp_path / "models_1.tar.gz").write_bytes(raw[:50_000])
        assert [verdict(it, text)[0] for text in (whole, holds)] == [FAILED, FAILED]
