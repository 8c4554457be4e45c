"""Is the replica of the routing platform a system that can be run, broken and mended?"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from tests.replicas.replica_process import (
    HTTP,
    ROOT,
    Replica,
    nothing_is_left,
    running,
    start,
    stranger,
)

ROUTING_ML = (sys.executable, str(ROOT / "fixtures" / "replicas" / "routing-ml"), "--folder")
PROCEDURES = {
    "HLT": (2, 7), "DAY": (2, 3, 4, 5), "MET": range(1, 6), "BAK": range(1, 4),
    "ALT": range(1, 6), "INC": range(1, 6), "MOD": range(1, 7), "LOG": range(1, 3), "ENV": (1,),
    "TRB": range(1, 5), "SEV": range(1, 3), "WKM": (1, 2, 4), "MON": range(2, 4),
}  # fmt: skip
ACTIVE, NEWEST = "production-v3", "production-v4"
VERSIONS = {"old-version-1", "old-version-2", "production-v1", "production-v2", ACTIVE, NEWEST}
SERVICES = (
    "nginx", "backend", "frontend-home", "frontend-training", "prometheus", "grafana", "database",
)  # fmt: skip
ROWS = {"routing_data": 3000, "predictions": 400, "training_runs": 6, "users": 4}
DAY_S = 86400


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    with running(tmp_path_factory.mktemp("replica") / "one", ROUTING_ML) as replica:
        yield replica


@pytest.fixture
def replica(shared: Replica) -> Iterator[Replica]:
    yield shared
    shared.reset()


@contextmanager
def api(replica: Replica) -> Iterator[httpx.Client]:
    """Somebody who has logged in at the back end."""
    with stranger(replica.env["RML_URL"]) as client:
        client.headers["Authorization"] = f"Bearer {token(replica)}"
        yield client


def token(replica: Replica) -> str:
    sent = {"username": replica.env["RML_USER"], "password": replica.env["RML_PASSWORD"]}
    answer = HTTP.post(replica.env["RML_URL"] + "/api/auth/login", json=sent)
    return str(answer.json()["access_token"])


def sql(replica: Replica, statement: str, role: str = "READER") -> list[tuple[Any, ...]]:
    name = f"RML_DB_{role}_URL" if role else "RML_DB_URL"
    with psycopg.connect(libpq(replica.env[name]), autocommit=True) as db:
        cursor = db.execute(statement)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


def libpq(url: str) -> str:
    """The address as PostgreSQL's own programs understand it."""
    return url.replace("+psycopg", "")


def here(replica: Replica, *command: str) -> subprocess.CompletedProcess[str]:
    """A command in the platform's folder, as `docker exec` in its container."""
    return subprocess.run(
        command,
        cwd=replica.env["RML_HOME"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def activate(replica: Replica, version: str) -> subprocess.CompletedProcess[str]:
    python = replica.env["RML_PYTHON"]
    return here(replica, python, "-m", "backend.maintenance.model_registry", "set_active", version)


def health(replica: Replica) -> int:
    try:
        return HTTP.get(replica.env["RML_URL"] + "/health", timeout=3).status_code
    except httpx.HTTPError:
        return 0


def status(replica: Replica) -> dict[str, Any]:
    with api(replica) as client:
        found: dict[str, Any] = client.get("/api/trainer/status").json()
    return found


def predict(replica: Replica, **more: object) -> dict[str, Any]:
    with api(replica) as client:
        sent = {"item_code": "TEST_ITEM", "context": {}, **more}
        found: dict[str, Any] = client.post("/api/routing/predict", json=sent).json()
    return found


def train(replica: Replica, version: str) -> str:
    """Train to the end; the last status."""
    with api(replica) as client:
        sent = {"version_label": version, "dry_run": False}
        client.post("/api/trainer/run", json=sent)
        wait_for(lambda: client.get("/api/trainer/status").json()["status"] != "running")
        return str(client.get("/api/trainer/status").json()["status"])


def log(replica: Replica) -> list[str]:
    return (Path(replica.env["RML_LOGS"]) / "backend.log").read_text().splitlines()


def metrics(replica: Replica, back_s: float = 0) -> dict[str, float]:
    at = f"?at={time.time() - back_s}" if back_s else ""
    text = HTTP.get(replica.env["RML_URL"] + "/metrics" + at).text
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def rise(replica: Replica, mark: str, over_s: float = 300) -> float:
    """By how much the counters with this in their names have risen."""
    now, then = metrics(replica), metrics(replica, over_s)
    return sum(v for n, v in now.items() if mark in n) - sum(
        v for n, v in then.items() if mark in n
    )


def wait_for(true: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def port(replica: Replica, name: str = "RML_DB_URL") -> int:
    return int(re.findall(r":(\d+)", replica.env[name])[-1])


def newest(replica: Replica, pattern: str) -> Path:
    return max(Path(replica.env["RML_BACKUPS"]).glob(pattern))


def pg(replica: Replica, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return here(replica, str(Path(replica.env["RML_PG_BIN"]) / program), *arguments)


def restore_into(replica: Replica, url: str) -> subprocess.CompletedProcess[str]:
    """As an operator restores last night's backup."""
    return pg(
        replica, "pg_restore", "--clean", "--if-exists", "--no-owner", "--exit-on-error",
        f"--dbname={libpq(replica.env[url])}", str(newest(replica, "db_*.sql")),
    )  # fmt: skip


def make_scratch(replica: Replica) -> None:
    sql(replica, "CREATE DATABASE routing_ml_scratch", "ADMIN")


def counts(replica: Replica, url: str) -> dict[str, int]:
    with psycopg.connect(libpq(replica.env[url])) as db:
        found = {}
        for table in ROWS:
            row = db.execute(f"SELECT count(*) FROM {table}").fetchone()  # type: ignore[arg-type]
            assert row is not None
            found[table] = row[0]
    return found


# The start and the end


def test_it_starts_and_resets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It starts, resets, and leaves nothing behind; how long that takes is printed."""
    with running(tmp_path / "r", ROUTING_ML) as replica:
        resets = sorted(replica.reset() for _ in range(5))
    with capsys.disabled():
        started, reset = f"{replica.started_in_s:.2f} s", f"{resets[0] * 1000:.0f} ms"
        print(f"\nrouting-ml: start {started}, best reset {reset}")
    assert nothing_is_left(tmp_path) == []
    assert not (tmp_path / "r").exists()


def test_the_line_says_where_everything_is(shared: Replica) -> None:
    """The one line has the promised fields, and what it names exists."""
    assert shared.line["system"] == "routing platform"
    env = shared.env
    for name in ("HOME", "BACKUPS", "MODELS", "LOGS", "ENV_FILE", "UPDATES", "PG_BIN", "PYTHON"):
        assert Path(env[f"RML_{name}"]).exists(), name
    for name in ("BACKEND", "DATABASE"):
        assert psutil.pid_exists(shared.pid(name))
        assert Path(env[f"{name}_FOLDER"]).is_dir()
    for name in ("RML_URL", "RML_DB_URL", "RML_DB_READER_URL", "RML_DB_ADMIN_URL"):
        assert is_open(port(shared, name)), name


def test_two_replicas_do_not_meet(shared: Replica, tmp_path: Path) -> None:
    """Another replica has other ports and passwords, although both have the same rows."""
    with running(tmp_path / "other", ROUTING_ML) as other:
        for name in ("RML_URL", "RML_DB_URL", "RML_DB_READER_URL", "RML_PASSWORD"):
            assert other.env[name] != shared.env[name]
        with pytest.raises(psycopg.OperationalError, match="authentication"):
            own = libpq(shared.env["RML_DB_READER_URL"])
            psycopg.connect(own.replace(str(port(shared)), str(port(other))))
        assert counts(other, "RML_DB_READER_URL") == ROWS


def test_a_killed_supervisor_takes_all_with_it(tmp_path: Path) -> None:
    """Also the database's processes end, whoever started it, and with queries that run."""
    replica = start(tmp_path / "r", ROUTING_ML)
    os.kill(replica.pid("DATABASE"), signal.SIGKILL)
    wait_for(lambda: not is_open(port(replica)))
    replica.start_by_command("DATABASE")
    wait_for(lambda: is_open(port(replica)))
    wait_for(lambda: health(replica) == httpx.codes.OK)
    replica.turn("a query runs too long")
    server = psutil.Process(replica.pid("DATABASE")).children(recursive=True)
    assert len(server) > 5
    replica.process.kill()
    replica.process.wait()
    replica.close()
    psutil.wait_procs(server, timeout=5)
    assert [p for p in server if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
    assert nothing_is_left(tmp_path) == []
    assert not is_open(port(replica))


def test_a_signal_ends_it(tmp_path: Path) -> None:
    """SIGTERM ends it as the end of standard input does."""
    replica = start(tmp_path / "r", ROUTING_ML)
    replica.process.send_signal(signal.SIGTERM)
    assert replica.process.wait(10) == 0
    replica.close()
    assert nothing_is_left(tmp_path) == []
    assert not (tmp_path / "r").exists()


# The healthy day


def test_the_database_trusts_nobody(replica: Replica) -> None:
    """The reader may look and nothing else; a wrong password is refused."""
    assert counts(replica, "RML_DB_READER_URL") == ROWS
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        sql(replica, "DELETE FROM routing_data")
    with pytest.raises(psycopg.OperationalError, match="authentication"):
        password = libpq(replica.env["RML_DB_READER_URL"])
        psycopg.connect(re.sub(r":[^:@/]+@", ":wrong@", password))


def test_the_api_wants_a_token(replica: Replica) -> None:
    """401 without one and with a wrong password; a token lives as long as .env says."""
    url = replica.env["RML_URL"]
    assert HTTP.get(url + "/api/trainer/status").status_code == httpx.codes.UNAUTHORIZED
    wrong = {"username": replica.env["RML_USER"], "password": "wrong"}
    assert HTTP.post(url + "/api/auth/login", json=wrong).status_code == httpx.codes.UNAUTHORIZED
    assert lifetime_s(replica) == 60 * 60
    assert "JWT_ACCESS_TOKEN_EXPIRE_MINUTES=60" in Path(replica.env["RML_ENV_FILE"]).read_text()


def lifetime_s(replica: Replica) -> int:
    claims = json.loads(base64.urlsafe_b64decode(token(replica).split(".")[1] + "=="))
    return int(claims["exp"] - claims["iat"])


def test_a_model_goes_into_use(replica: Replica) -> None:
    """Trained with progress, tried by name, activated, and used after a logged reload."""
    with api(replica) as client:
        sent = {"version_label": "production-v5", "dry_run": False}
        assert client.post("/api/trainer/run", json=sent).status_code == httpx.codes.ACCEPTED
        assert client.post("/api/trainer/run", json=sent).status_code == httpx.codes.CONFLICT
        seen = set()
        while (now := client.get("/api/trainer/status").json())["status"] == "running":
            seen.add(now["progress"])
            time.sleep(0.05)
    assert now["status"] == "completed"
    assert len(seen) > 3
    made = Path(replica.env["RML_MODELS"]) / "production-v5"
    told = json.loads((made / "metrics.json").read_text())
    assert told["model_version"] == "production-v5"
    assert told["training_samples"] == told["dataset_stats"]["total_samples"] == 3000
    assert all(0.9 < told[f"{name}_weighted"] < 1 for name in ("precision", "recall", "f1"))
    assert predict(replica, model_version="production-v5")["model_version"] == "production-v5"
    assert predict(replica)["model_version"] == ACTIVE
    assert activate(replica, "production-v5").returncode == 0
    assert status(replica)["latest_version"] == "production-v5"
    assert predict(replica)["model_version"] == "production-v5"
    assert any("model cache reloaded: version production-v5" in line for line in log(replica))


def test_a_training_follows_the_clock(replica: Replica) -> None:
    """With the clock moved on, a training that has begun is at its end."""
    with api(replica) as client:
        client.post("/api/trainer/run", json={"version_label": "v", "dry_run": False})
        began = time.monotonic()
        replica.control("PUT", "/clock", {"offset_s": 60})
        wait_for(lambda: client.get("/api/trainer/status").json()["status"] == "completed")
    assert time.monotonic() - began < 1


def test_touching_the_manifest_reloads_the_model(replica: Replica) -> None:
    """The next request reloads it and says so; without a request nothing happens."""
    before = len([line for line in log(replica) if "reloaded" in line])
    (Path(replica.env["RML_MODELS"]) / "default" / "manifest.json").touch()
    time.sleep(0.2)
    assert len([line for line in log(replica) if "reloaded" in line]) == before
    predict(replica)
    assert len([line for line in log(replica) if "reloaded" in line]) == before + 1


def test_the_history_has_every_model_on_disk(replica: Replica) -> None:
    """Six versions with metrics; the registry, the manifest and the API agree on the active one."""
    with api(replica) as client:
        found = client.get("/api/trainer/history").json()["models"]
    folder = Path(replica.env["RML_MODELS"])
    assert {one["version"] for one in found} == VERSIONS
    assert {p.name for p in folder.iterdir() if p.is_dir()} == VERSIONS | {"default"}
    assert all(one["metrics"]["accuracy"] > 0.9 for one in found)
    with closing(sqlite3.connect(folder / "registry.db")) as db:
        active = db.execute("SELECT version FROM models WHERE active").fetchall()
    assert active == [(ACTIVE,)]
    assert json.loads((folder / "default/manifest.json").read_text())["active_version"] == ACTIVE
    assert status(replica)["latest_version"] == ACTIVE


def test_training_by_hand_leaves_no_metrics(replica: Replica) -> None:
    """As the runbook warns; and they can be generated afterwards."""
    python, made = replica.env["RML_PYTHON"], Path(replica.env["RML_MODELS"]) / "by-hand"
    assert here(replica, python, "-m", "backend.training", "by-hand").returncode == 0
    assert json.loads((made / "training_request.json").read_text())["trained_by"] == "cli"
    assert not (made / "metrics.json").exists()
    generate = (python, "-m", "backend.api.services.model_metrics", "by-hand")
    assert here(replica, *generate).returncode == 0
    assert json.loads((made / "metrics.json").read_text())["accuracy"] > 0.9


def test_the_runbooks_own_commands_work(replica: Replica) -> None:
    """Pool statistics and settings by python -c; disk and memory by commands."""
    python = replica.env["RML_PYTHON"]
    pool = "from backend.database import get_connection_pool_stats as g; print(g()['size'])"
    assert here(replica, python, "-c", pool).stdout == "20\n"
    expiry = (
        "from backend.api.config import get_settings as g; "
        "print(g().jwt_access_token_expire_minutes)"
    )
    assert here(replica, python, "-c", expiry).stdout == "60.0\n"
    assert 50 < disk_percent(replica) < 65
    assert re.search(r"Mem: +16777216 +\d+", here(replica, "bin/free", "-k").stdout)


def disk_percent(replica: Replica) -> int:
    line = here(replica, "bin/df", "-P", "/opt").stdout.splitlines()[1]
    return int(line.split()[4].rstrip("%"))


def test_the_measures_are_a_good_days(replica: Replica) -> None:
    """Under 200 ms at the 95th percentile, under 1 % errors, over 90 % accuracy, a free pool."""
    total = rise(replica, "http_requests_total")
    assert total == pytest.approx(300 * 4, rel=0.05)
    assert rise(replica, 'status="500"') / total < 0.01
    within = rise(replica, 'bucket{le="0.1"}')
    assert within / rise(replica, "duration_seconds_count") > 0.95
    now = metrics(replica)
    assert now[f'routing_ml_prediction_accuracy{{version="{ACTIVE}"}}'] == pytest.approx(0.95)
    assert now["db_pool_active"] / now["db_pool_size"] < 0.3
    assert now["process_cpu_ratio"] < 0.5


def test_seven_nights_of_backups_are_real(replica: Replica) -> None:
    """pg_restore lists each, sizes are alike and not the same, and tar opens the models."""
    dumps = sorted(Path(replica.env["RML_BACKUPS"]).glob("db_*.sql"))
    assert len(dumps) == 7
    for path in dumps:
        listed = pg(replica, "pg_restore", "--list", str(path)).stdout
        assert all(f"TABLE DATA public {table}" in listed for table in ROWS)
    for pattern in ("db_*.sql", "models_*.tar.gz"):
        sizes = [path.stat().st_size for path in Path(replica.env["RML_BACKUPS"]).glob(pattern)]
        assert len(set(sizes)) > 4
        assert max(sizes) / min(sizes) < 1.3
    assert time.time() - newest(replica, "db_*.sql").stat().st_mtime < DAY_S
    with tarfile.open(newest(replica, "models_*.tar.gz")) as tar:
        assert f"models/{ACTIVE}/model.bin" in tar.getnames()


def test_a_backup_restores_to_its_counts(replica: Replica) -> None:
    """Into a scratch database, by the administrator; a reset drops it."""
    make_scratch(replica)
    done = restore_into(replica, "RML_SCRATCH_DB_URL")
    assert done.returncode == 0, done.stderr
    told = json.loads(newest(replica, "db_*.rows.json").read_text())
    assert counts(replica, "RML_SCRATCH_DB_URL") == told == ROWS
    replica.reset()
    assert sql(replica, "SELECT 1 FROM pg_database WHERE datname LIKE '%scratch'") == []


def test_forty_days_of_logs_lie_about(replica: Replica) -> None:
    """Daily copies, compressed but for the last; each as old as its name says."""
    found = sorted(Path(replica.env["RML_LOGS"]).glob("backend-*.log*"))
    assert len(found) == 40
    assert [path.suffix for path in found] == [".gz"] * 39 + [".log"]
    assert "INFO" in gzip.decompress(found[0].read_bytes()).decode()
    old = [path for path in found if time.time() - path.stat().st_mtime > 30 * DAY_S]
    assert 9 <= len(old) <= 10


def test_only_containers_have_a_containers_log(replica: Replica) -> None:
    """The chat is somebody else's: a reset takes its folder away, and it would end with that."""
    folder = Path(replica.env["RML_CONTAINERS"])
    replica.reset()
    assert sorted(each.name for each in folder.iterdir()) == sorted(SERVICES)


def test_the_log_is_the_containers_log(replica: Replica) -> None:
    """What the back end writes stands in both, in the container's as Docker writes it."""
    predict(replica)
    folder = Path(replica.env["RML_HOME"]) / "containers" / "backend"
    (kept,) = folder.glob("*-json.log")
    last = json.loads(kept.read_text().splitlines()[-1])
    assert last["log"].rstrip("\n") == log(replica)[-1]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", last["time"])
    assert not [line for line in log(replica) if re.search(r" (CRITICAL) ", line)]


def test_the_tree_is_deployed_and_can_go_back(replica: Replica) -> None:
    """The stable tag is an earlier release, and its back end works."""
    assert here(replica, "git", "status", "--porcelain").stdout == ""
    assert here(replica, "git", "describe", "--tags").stdout.startswith("v1.0-stable-1-")
    assert release(replica) == "1.1.0"
    here(replica, "git", "checkout", "--quiet", "tags/v1.0-stable")
    os.kill(replica.pid("BACKEND"), signal.SIGTERM)
    wait_for(lambda: health(replica) == 0)
    replica.start_by_command("BACKEND")
    wait_for(lambda: health(replica) == httpx.codes.OK)
    assert release(replica) == "1.0.0"
    replica.reset()
    assert release(replica) == "1.1.0"


def release(replica: Replica) -> str:
    return str(HTTP.get(replica.env["RML_URL"] + "/").json()["release"])


def test_a_setting_is_in_force_after_a_restart(replica: Replica) -> None:
    """Not before; and a reset takes the setting and the process back."""
    path = Path(replica.env["RML_ENV_FILE"])
    path.write_text(path.read_text().replace("MINUTES=60", "MINUTES=120"))
    assert lifetime_s(replica) == 60 * 60
    os.kill(replica.pid("BACKEND"), signal.SIGTERM)
    wait_for(lambda: health(replica) == 0)
    replica.start_by_command("BACKEND")
    wait_for(lambda: health(replica) == httpx.codes.OK)
    assert lifetime_s(replica) == 120 * 60
    replica.reset()
    assert lifetime_s(replica) == 60 * 60


def test_vacuum_moves_the_last_analysis(replica: Replica) -> None:
    """By the administrator, who owns the tables."""
    last = "SELECT last_analyze FROM pg_stat_user_tables WHERE relname = 'routing_data'"
    sql(replica, "VACUUM ANALYZE", "ADMIN")
    first = sql(replica, last)[0][0]
    assert first is not None
    sql(replica, "VACUUM ANALYZE", "ADMIN")
    assert sql(replica, last)[0][0] > first


# The dials


def test_every_dial_is_seen_on_and_off(replica: Replica) -> None:
    """Each dial measures off, then on when it is turned on, then off when it is turned off."""
    wrong = []
    for dial in replica.dials():
        name = dial["name"]
        if name.startswith("prometheus"):
            replica.reset()  # what was really asked before would count in its rates
        before = replica.is_on(name)
        on = replica.turn(name)
        during = replica.is_on(name)
        off = replica.turn(name, on=False)
        after = replica.is_on(name)
        if (before, during, after) != (False, True, False) or not on.is_success:
            wrong.append((name, before, on.json(), during, off.json(), after))
    assert wrong == []


def test_after_every_dial_a_reset_brings_the_healthy_day_back(replica: Replica) -> None:
    """Turned on and never off: after the reset it measures off, and the back end is healthy."""
    wrong = []
    for dial in replica.dials():
        replica.turn(dial["name"])
        replica.reset()
        is_on, answered = replica.is_on(dial["name"]), health(replica)
        if is_on or answered != httpx.codes.OK:
            wrong.append(f"{dial['name']}: {is_on=}, the back end {answered=}")
    assert wrong == []
    assert counts(replica, "RML_DB_READER_URL") == ROWS
    assert here(replica, "git", "status", "--porcelain").stdout == ""


def test_every_procedure_has_a_dial(shared: Replica) -> None:
    """Each procedure that the platform answers for can be reddened."""
    known = {f"RML-{area}-{n}" for area, numbers in PROCEDURES.items() for n in numbers}
    red = {named.split(" ")[0] for dial in shared.dials() for named in dial["red"]}
    assert known - red == set()


def recent(replica: Replica, level: str) -> int:
    """Lines of this level in the containers' logs, of the last hour."""
    found = 0
    for path in (Path(replica.env["RML_HOME"]) / "containers").glob("*/*-json.log"):
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            age_s = time.time() - time.mktime(
                time.strptime(entry["time"][:19], "%Y-%m-%dT%H:%M:%S")
            )
            found += f" {level} " in entry["log"] and age_s + time.timezone < 3600
    return found


def reader_enters(replica: Replica) -> bool:
    try:
        psycopg.connect(libpq(replica.env["RML_DB_READER_URL"]), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def long_queries(replica: Replica, over_s: int) -> int:
    found = sql(
        replica,
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%' "
        f"AND pid <> pg_backend_pid() AND now() - query_start > interval '{over_s} seconds'",
    )
    return int(found[0][0])


def model_file(replica: Replica, name: str) -> Path:
    return Path(replica.env["RML_MODELS"]) / name


def listed(replica: Replica) -> str:
    return pg(replica, "pg_restore", "--list", str(newest(replica, "db_*.sql"))).stdout


def pool_share(replica: Replica) -> float:
    return float(HTTP.get(replica.env["RML_URL"] + "/api/database/pool").json()["utilization"])


# What each of these dials says, looked at from outside and without the replica's own eyes.
OUTSIDE: dict[str, Callable[[Replica], bool]] = {
    "back end down": lambda r: not is_open(port(r, "RML_URL")),
    "database down": lambda r: not is_open(port(r)) and health(r) == 503,
    "health is degraded": lambda r: (
        HTTP.get(r.env["RML_URL"] + "/health").json()["status"] == "degraded"
    ),
    "health lies": lambda r: (
        health(r) == 200 and sql(r, "SELECT to_regclass('public.routing_data')") == [(None,)]
    ),
    "routing_data is lost": lambda r: health(r) == 503,
    "logins to the database hang": lambda r: not reader_enters(r),
    "the reader's password is wrong": lambda r: not reader_enters(r),
    "the back end's password is wrong": lambda r: reader_enters(r) and health(r) == 503,
    "a training failed: there is no data": lambda r: (
        status(r)["status"] == "failed" and "no training data" in status(r)["error"]
    ),
    "a training failed: the database was too slow": lambda r: (
        "statement timeout" in str(status(r)["error"])
    ),
    "another version answers": lambda r: (
        predict(r, model_version=NEWEST)["model_version"] == ACTIVE
    ),
    "the history omits a version": lambda r: (
        "production-v2" not in HTTP.get(
            r.env["RML_URL"] + "/api/trainer/history",
            headers={"Authorization": f"Bearer {token(r)}"},
        ).text
    ),
    "responses are slow": lambda r: (
        rise(r, 'bucket{le="0.25"}') / rise(r, "duration_seconds_count") < 0.95
        <= rise(r, 'bucket{le="0.5"}') / rise(r, "duration_seconds_count")
    ),
    "3 percent of the requests fail": lambda r: (
        rise(r, 'status="500"') / rise(r, "http_requests_total") == pytest.approx(0.03, abs=0.004)
    ),
    "predictions are often wrong": lambda r: (
        metrics(r)[f'routing_ml_prediction_accuracy{{version="{ACTIVE}"}}'] == pytest.approx(0.85)
    ),
    "the pool is at 95 percent": lambda r: pool_share(r) >= 0.95,
    "a query runs too long": lambda r: (
        long_queries(r, 30) == 1 and long_queries(r, 10) == 2 and pool_share(r) > 0.9
    ),
    "the database backup is missing": lambda r: (
        time.time() - newest(r, "db_*.sql").stat().st_mtime > DAY_S
    ),
    "the database backup is corrupt": lambda r: listed(r) == "",
    "the database backup is plain sql": lambda r: listed(r) == "",
    "the database backup lacks a table": lambda r: (
        "TABLE DATA public users" in listed(r) and "routing_data" not in listed(r)
    ),
    "a critical line is logged": lambda r: recent(r, "CRITICAL") == 1,
    "many errors are logged": lambda r: recent(r, "ERROR") > 20,
    "a critical line was logged yesterday": lambda r: (
        recent(r, "CRITICAL") == 0 and any(" CRITICAL " in line for line in log(r))
    ),
    "the log is silent": lambda r: log(r) == [],
    "the log has one space more": lambda r: "  INFO  " in log(r)[-1],
    "the disk is at 85 percent": lambda r: disk_percent(r) == 85,
    "another disk is full": lambda r: "97% /" in here(r, "bin/df").stdout and disk_percent(r) < 65,
    "the disk is full of old models": lambda r: disk_percent(r) > 85,
    "memory is at 95 percent": lambda r: " 838860\n" in here(r, "bin/free").stdout,
    "an active artifact is empty": lambda r: model_file(r, "default/model.bin").stat().st_size == 0,
    "weights lack a feature": lambda r: (
        "tolerance" not in model_file(r, "default/feature_weights.json").read_text()
    ),
    "the manifest names another version": lambda r: (
        "production-v2" in model_file(r, "default/manifest.json").read_text()
    ),
    "the release is broken": lambda r: health(r) == 0 and here(r, "git", "status").returncode == 0,
    "nobody can log in": lambda r: (
        HTTP.post(
            r.env["RML_URL"] + "/api/auth/login",
            json={"username": r.env["RML_USER"], "password": r.env["RML_PASSWORD"]},
        ).status_code == httpx.codes.UNAUTHORIZED
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_dial_does_what_it_says(replica: Replica, name: str) -> None:
    """It is not so before, it is so while the dial is on, and a reset mends it."""
    seen = OUTSIDE[name]
    assert not seen(replica)
    assert replica.turn(name).json() == {"name": name, "on": True}
    assert seen(replica)
    replica.reset()
    assert not seen(replica)
    assert not replica.is_on(name)


# What can be done, and what comes of it: well without the dial, ill with it


def trained(replica: Replica) -> object:
    how = train(replica, "trial")
    path = model_file(replica, "trial/metrics.json")
    return how, json.loads(path.read_text()).get("accuracy", 0) <= 1 if path.exists() else None


def activated(replica: Replica) -> object:
    """What the API says, and who answers."""
    activate(replica, NEWEST)
    return status(replica)["latest_version"], predict(replica)["model_version"]


def reloaded(replica: Replica) -> object:
    """Who answers, and whether a line says that the model was reloaded."""
    activate(replica, NEWEST)
    version = predict(replica)["model_version"]
    return version, any(f"reloaded: version {NEWEST}" in line for line in log(replica))


def rotated(replica: Replica) -> object:
    """Lines before and in the copy, and whether the live log is written on as text."""
    path = Path(replica.env["RML_LOGS"]) / "backend.log"
    for _ in range(5):
        predict(replica)
    before = len(log(replica))
    copy = path.with_name("backend-now.log")
    copy.write_bytes(path.read_bytes())
    os.truncate(path, 0)
    assert replica.control("GET", "/dials/rotations%20lose%20lines").is_success
    predict(replica)
    live = path.read_bytes()
    return len(copy.read_text().splitlines()) - before, bool(live), b"\0" in live


def cleaned(replica: Replica) -> object:
    """Removes logs of more than thirty days; what else is gone then."""
    folders = [Path(replica.env[f"RML_{name}"]) for name in ("LOGS", "MODELS", "BACKUPS")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    limit = time.time() - 30 * DAY_S
    old = [p for p in files if p.stat().st_mtime < limit and p.parent == folders[0]]
    for path in old:
        path.unlink()
    replica.control("GET", "/dials/cleaning%20takes%20the%20active%20model")
    time.sleep(0.05)
    left = [p for folder in folders for p in folder.rglob("*") if p.is_file()]
    return len(set(files) - set(old) - set(left)), len(set(left) & set(old))


def end_long_query(replica: Replica) -> None:
    sql(
        replica,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%monthly report%'"
        " AND state = 'active' AND pid <> pg_backend_pid()",
        "ADMIN",
    )


def sessions(replica: Replica) -> tuple[int, bool]:
    """How many queries run for long, and whether the pool is nearly used up."""
    return long_queries(replica, 10), pool_share(replica) > 0.8


def set_to_120(replica: Replica) -> object:
    path = Path(replica.env["RML_ENV_FILE"])
    path.write_text(path.read_text().replace("MINUTES=60", "MINUTES=120"))
    os.kill(replica.pid("BACKEND"), signal.SIGTERM)
    wait_for(lambda: health(replica) == 0)
    replica.start_by_command("BACKEND")
    wait_for(lambda: health(replica) == httpx.codes.OK)
    return lifetime_s(replica)


def vacuumed(replica: Replica) -> object:
    last = "SELECT last_vacuum FROM pg_stat_user_tables WHERE relname = 'routing_data'"
    sql(replica, "VACUUM ANALYZE", "ADMIN")
    return sql(replica, last)[0][0] is not None


def generated(replica: Replica) -> object:
    model_file(replica, f"{NEWEST}/metrics.json").unlink()
    here(replica, replica.env["RML_PYTHON"], "-m", "backend.api.services.model_metrics", NEWEST)
    return model_file(replica, f"{NEWEST}/metrics.json").exists()


def upgraded(replica: Replica) -> object:
    here(replica, "bin/apt-get", "upgrade", "-y")
    return json.loads(Path(replica.env["RML_UPDATES"]).read_text()) == []


def restored(replica: Replica) -> object:
    make_scratch(replica)
    restore_into(replica, "RML_SCRATCH_DB_URL")
    try:
        found = counts(replica, "RML_SCRATCH_DB_URL")
    except psycopg.Error:
        return False
    return found == json.loads(newest(replica, "db_*.rows.json").read_text())


DONE: list[tuple[str, Callable[[Replica], object], object, object]] = [
    ("trainings fail", trained, ("completed", True), ("failed", None)),
    ("new metrics are not written", trained, ("completed", True), ("completed", None)),
    ("new accuracy is 1.7", trained, ("completed", True), ("completed", False)),
    ("a training answers 500 though it began", trained, ("completed", True), ("completed", True)),
    ("activation does nothing", activated, (NEWEST, NEWEST), (ACTIVE, ACTIVE)),
    ("activation does not reach the files", activated, (NEWEST, NEWEST), (NEWEST, ACTIVE)),
    ("activation does not reach the registry", activated, (NEWEST, NEWEST), (ACTIVE, NEWEST)),
    ("the model cache is kept", reloaded, (NEWEST, True), (ACTIVE, False)),
    ("reloads are not logged", reloaded, (NEWEST, True), (NEWEST, False)),
    ("a reload is logged and not done", reloaded, (NEWEST, True), (ACTIVE, True)),
    ("rotations lose lines", rotated, (0, True, False), (-3, True, False)),
    ("nothing is written after a rotation", rotated, (0, True, False), (0, False, False)),
    ("the log is written on at its old place", rotated, (0, True, False), (0, True, True)),
    ("cleaning takes the active model", cleaned, (0, 0), (1, 0)),
    ("cleaning takes a younger log", cleaned, (0, 0), (1, 0)),
    ("cleaning takes a younger backup", cleaned, (0, 0), (1, 0)),
    ("an old log comes back", cleaned, (0, 0), (0, 1)),
    ("the old token lifetime is kept", set_to_120, 7200, 3600),
    ("the token lifetime is taken for seconds", set_to_120, 7200, 120),
    ("vacuum skips the tables", vacuumed, True, False),
    ("metrics are not generated", generated, True, False),
    ("packages are kept back", upgraded, True, False),
    ("the database backup is cut", restored, True, False),
    ("the database backup lost rows", restored, True, False),
]


@pytest.mark.parametrize(("name", "do", "well", "ill"), DONE, ids=[name for name, *_ in DONE])
def test_a_dial_spoils_what_is_done(
    replica: Replica, name: str, do: Callable[[Replica], object], well: object, ill: object
) -> None:
    """What is done comes out well without the dial, and wrong with it."""
    assert do(replica) == well
    replica.reset()
    assert replica.turn(name).is_success
    assert do(replica) == ill


ENDED = [
    ("a query runs too long", (1, False)),
    ("a query runs too long and takes another with it", (0, False)),
    ("a query runs too long and the pool stays exhausted", (1, True)),
]


@pytest.mark.parametrize(("name", "then"), ENDED, ids=[name for name, _ in ENDED])
def test_ending_the_long_query(
    replica: Replica, name: str, then: tuple[int, bool]
) -> None:
    """One is left and the pool recovers, unless the dial has it otherwise."""
    assert replica.turn(name).is_success
    assert sessions(replica) == (2, True)
    end_long_query(replica)
    replica.is_on(name)  # what follows has followed at the latest when the dial is measured
    wait_for(lambda: sessions(replica) == then)
    time.sleep(0.5)  # in which a pool that recovers would have done so
    assert sessions(replica) == then


def test_only_a_rollback_mends_a_broken_release(replica: Replica) -> None:
    """A restart ends with the reason; the stable release starts."""
    replica.turn("the release is broken")
    restarted = subprocess.run(
        shlex.split(replica.env["BACKEND_START"]), capture_output=True, text=True, check=False
    )
    assert restarted.returncode == 1
    assert "feature_store" in restarted.stderr
    assert any(" CRITICAL " in line for line in log(replica)[-3:])
    here(replica, "git", "checkout", "--quiet", "tags/v1.0-stable")
    replica.start_by_command("BACKEND")
    wait_for(lambda: health(replica) == httpx.codes.OK)
    assert not replica.is_on("the release is broken")


def test_only_a_restore_mends_a_damaged_database(replica: Replica) -> None:
    """Neither a restart nor the stable release helps; last night's backup does."""
    replica.turn("routing_data is lost")
    here(replica, "git", "checkout", "--quiet", "tags/v1.0-stable")
    os.kill(replica.pid("BACKEND"), signal.SIGTERM)
    wait_for(lambda: health(replica) == 0)
    replica.start_by_command("BACKEND")
    wait_for(lambda: health(replica) == httpx.codes.SERVICE_UNAVAILABLE)
    done = restore_into(replica, "RML_DB_ADMIN_URL")
    assert done.returncode == 0, done.stderr
    assert health(replica) == httpx.codes.OK
    assert counts(replica, "RML_DB_READER_URL") == ROWS


def test_only_a_restart_mends_a_stuck_process(replica: Replica) -> None:
    """It accepts and does not answer; the next process does."""
    replica.turn("back end hangs until it is restarted")
    with pytest.raises(httpx.ReadTimeout):
        HTTP.get(replica.env["RML_URL"] + "/health", timeout=0.3)
    os.kill(replica.pid("BACKEND"), signal.SIGTERM)
    wait_for(lambda: not Path(replica.env["BACKEND_PIDFILE"]).exists())
    replica.start_by_command("BACKEND")
    wait_for(lambda: health(replica) == httpx.codes.OK)


def test_the_engine_tells_of_a_fault_and_of_a_reset_at_once(replica: Replica) -> None:
    """A container's health is of now: it is known for a moment, and not beyond a change."""
    seen = []
    for _ in range(3):
        seen.append(told_health(replica))
        replica.turn("back end answers 503")
        seen.append(told_health(replica))
        replica.reset()
    assert seen == ["healthy", "unhealthy"] * 3


def told_health(replica: Replica) -> str:
    engine = replica.env["RML_DOCKER"].replace("tcp", "http", 1)
    state = HTTP.get(f"{engine}/containers/routing-ml-backend/json").json()["State"]
    return str(state["Health"]["Status"])


def test_a_reset_ends_logins_that_hang(replica: Replica) -> None:
    """Sessions that never became ready take nobody's place after it."""
    replica.turn("logins to the database hang")
    url, many = libpq(replica.env["RML_DB_URL"]), 10

    def log_in(_: int) -> None:
        with pytest.raises(psycopg.errors.ConnectionTimeout):
            psycopg.connect(url, connect_timeout=2)  # seconds, the least that libpq takes

    with ThreadPoolExecutor(many) as pool:
        list(pool.map(log_in, range(many)))
    replica.reset()
    stuck = (
        "SELECT pid FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend' "
        "AND (state IS NULL OR state = 'starting') AND pid <> pg_backend_pid()"
    )
    wait_for(lambda: sql(replica, stuck, "ADMIN") == [])
    assert health(replica) == httpx.codes.OK


def test_a_reset_leaves_an_unchanged_database_alone(replica: Replica) -> None:
    """Nobody who looks meanwhile finds a table gone; what was changed is written anew."""
    table = "SELECT 'public.routing_data'::regclass::oid::int"
    replica.reset()
    before = sql(replica, table)
    predict(replica)
    replica.reset()
    assert sql(replica, table) == before
    sql(replica, "UPDATE users SET role = 'admin'", "ADMIN")
    replica.reset()
    assert sql(replica, table) != before
    assert sql(replica, "SELECT count(*) FROM users WHERE role = 'admin'") == [(1,)]


def test_a_reset_ends_what_others_left_in_the_database(replica: Replica) -> None:
    """Sessions, locks, tables and rows of others are gone; the server was not restarted."""
    before = replica.pid("DATABASE")
    with psycopg.connect(libpq(replica.env["RML_DB_ADMIN_URL"])) as stray:
        stray.execute("CREATE TABLE public.left_behind (id integer)")
        stray.execute("DELETE FROM routing_data WHERE id % 2 = 0")
        stray.execute("LOCK TABLE predictions")
        replica.reset()
        with pytest.raises(psycopg.OperationalError):
            stray.execute("SELECT 1")
    assert counts(replica, "RML_DB_READER_URL") == ROWS
    assert sql(replica, "SELECT to_regclass('public.left_behind')") == [(None,)]
    assert replica.pid("DATABASE") == before
