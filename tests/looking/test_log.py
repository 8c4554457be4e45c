"""Does the log probe say what the lines say, and never that nothing is there when it can't tell?"""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from watchkeeper.clock import Clock, Window
from watchkeeper.errors import ConfigurationError, CouldNotObserve
from watchkeeper.looking.log_reader import literal_of
from watchkeeper.looking.probes.log import PROBE, Question
from watchkeeper.looking.reach import Reach
from watchkeeper.observation import Answer, Table
from watchkeeper.services import Log

LINE = r"^(?P<at>\S+ \S+) (?P<level>[A-Z]+):? (?P<text>.*)$"
NIGHT = """\
2026-01-02 22:00:00,100 INFO: Classified request 'A' → sonarr (confidence: 0.5)
2026-01-02 23:00:00,100 ERROR: Could not reach Sonarr
Traceback (most recent call last):
  TimeoutError: Sonarr
2026-01-03 01:00:00,100 INFO: Classified request 'B' → radarr (confidence: 0.9)
2026-01-03 02:00:00,100 INFO: Classified request 'C' → radarr (confidence: 0.7)
"""
MIDNIGHT = datetime(2026, 1, 3, tzinfo=UTC)
EVENING = Window(MIDNIGHT - timedelta(hours=1), MIDNIGHT)
MORNING = Window(MIDNIGHT, MIDNIGHT + timedelta(hours=6))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_text(NIGHT)
    return path


def look(path: Path, window: Window | None = None, **options: Any) -> Answer:
    text = {"line": LINE, "instant": "at"}
    service = {"log": str(path), "deadline": "10 seconds", **text, **options.pop("service", {})}

    async def ask() -> Answer:
        reach = Reach({"app": Log.model_validate(service)}, Clock())
        return await PROBE.look(Question(log="app", **options), reach, window)

    return asyncio.run(ask())


def rows(answer: Answer) -> list[dict[str, Any]]:
    assert isinstance(answer.value, Table)
    return [dict(row.cells) for row in answer.value]


def refusal(path: Path, window: Window | None = None, **options: Any) -> CouldNotObserve:
    with pytest.raises(CouldNotObserve) as caught:
        look(path, window, **options)
    return caught.value


def test_entries(log: Path) -> None:
    """A line's named groups, those of `match` and its raw text are the columns of its row."""
    found = rows(look(log, among="^Classified", match=r"→ (?P<service>\w+)", last=1))
    assert found == [
        {
            "at": datetime(2026, 1, 3, 2, 0, 0, 100_000, tzinfo=UTC),
            "level": "INFO",
            "text": "Classified request 'C' → radarr (confidence: 0.7)",
            "service": "radarr",
            "line": NIGHT.splitlines()[-1],
        }
    ]


def test_count_group_and_mean(log: Path) -> None:
    """Lines are counted, counted by a group with the most first, and averaged over a group."""
    assert look(log, among="^Classified request", count="lines").value == 3
    assert look(log, count="lines").value == 6
    grouped = look(log, among="^Classified", match=r"→ (?P<service>\w+)", group_by="service")
    assert rows(grouped) == [{"service": "radarr", "count": 2}, {"service": "sonarr", "count": 1}]
    mean = look(log, match="confidence: (?P<confidence>[0-9.]+)", mean_of="confidence")
    assert mean.value == pytest.approx(0.7)


def test_groups_of_the_line_have_no_continuations(log: Path) -> None:
    """A stack trace is no level of its own."""
    assert rows(look(log, group_by="level")) == [
        {"level": "INFO", "count": 3},
        {"level": "ERROR", "count": 1},
    ]


def test_mean_of_nothing(log: Path) -> None:
    """The mean of no lines is no data, not 0."""
    answer = look(log, match="karma: (?P<karma>[0-9.]+)", mean_of="karma")
    assert (answer.value, answer.kind) == (None, "no data")


def test_mean_of_words(log: Path) -> None:
    """What is no number can't be averaged, and the line is quoted."""
    refused = refusal(log, match=r"→ (?P<service>\w+)", mean_of="service")
    assert (refused.kind, "sonarr" in refused.reason) == ("not a number", True)


def test_window(log: Path) -> None:
    """Only lines of the window count; a stack trace has the time of the entry before it."""
    assert look(log, MORNING, among="Classified", count="lines").value == 2
    assert look(log, EVENING, count="lines").value == 3
    assert look(log, EVENING, among="TimeoutError", count="lines").value == 1
    assert look(log, MORNING, among="TimeoutError", count="lines").value == 0


def test_window_needs_an_instant(log: Path) -> None:
    """A window over a log that does not tell the time is a mistake in the target file."""
    with pytest.raises(ConfigurationError, match="where its lines tell the time"):
        look(log, MORNING, count="lines", service={"instant": None})


def test_last_lines(log: Path) -> None:
    """`last lines` is tail: only those are looked at."""
    assert look(log, last_lines=2, among="Classified", count="lines").value == 2
    assert look(log, last_lines=2, among="Sonarr", count="lines").value == 0
    assert look(log, last_lines=5, among="Sonarr", count="lines").value == 2
    assert look(log, last_lines=100, count="lines").value == 6


def test_silence(log: Path) -> None:
    """A log without a line says 0 and nothing; it is no error."""
    log.write_text("")
    assert look(log, among="x", count="lines").value == 0
    assert look(log, MORNING, count="lines").value == 0
    assert rows(look(log, among="x")) == []


def test_changed_format_is_no_silence(log: Path) -> None:
    """A log whose format changed by one space is unreadable, not without errors."""
    log.write_text(NIGHT.replace(" INFO: ", "  INFO: ").replace(" ERROR: ", "  ERROR: "))
    assert refusal(log, among="Classified", count="lines").kind == "unreadable"
    assert refusal(log, MORNING, among="Classified", count="lines").kind == "unreadable"


def test_instants_in_another_format_are_no_silence(log: Path) -> None:
    """Lines whose instants can't be parsed are unreadable, not outside the window."""
    refused = refusal(log, MORNING, count="lines", service={"instant_format": "%d/%b/%Y"})
    assert refused.kind == "unreadable"


def test_format_changed_this_morning(log: Path) -> None:
    """Lines written in the window and readable by nobody make the window unreadable."""
    log.write_text(NIGHT + "03.01.2026 05:00 !! Everything is on fire\n")
    now = datetime.now(UTC)
    refused = refusal(log, Window(now - timedelta(hours=1), now), among="fire", count="lines")
    assert refused.kind == "unreadable"
    assert "02:00:00Z" in refused.reason


def test_unreadable_lines(log: Path) -> None:
    """Lines that are not as the format says can be listed."""
    assert look(log, unreadable=True, count="lines").value == 2
    assert [row["line"] for row in rows(look(log, unreadable=True))] == NIGHT.splitlines()[2:4]


def test_json(tmp_path: Path) -> None:
    """JSON lines are read by field, nested ones by a dotted path; what is no JSON can be listed."""
    entries = [
        {"at": "2026-01-03T01:00:00Z", "level": "ERROR", "extra": {"code": "E1"}, "ms": 10},
        {"at": "2026-01-03T02:00:00+01:00", "level": "ERROR", "extra": {"code": "E1"}, "ms": 30},
        {"at": 1767402000, "level": "INFO", "extra": {"code": "E2"}},
    ]
    path = tmp_path / "app.log"
    path.write_text("\n".join(map(json.dumps, entries)) + '\n{"cut": \nplain\n')
    service = {"format": "json", "line": None}
    errors = look(path, among='"level": *"ERROR"', group_by="extra.code", service=service)
    assert rows(errors) == [{"extra.code": "E1", "count": 2}]
    assert look(path, mean_of="ms", service=service).value == 20
    assert look(path, unreadable=True, count="lines", service=service).value == 2
    first = rows(look(path, among="E1", service=service))[0]
    assert first["extra.code"] == "E1"
    hour = Window(MIDNIGHT + timedelta(minutes=59), MIDNIGHT + timedelta(hours=1, minutes=1))
    assert look(path, hour, among="E1", count="lines", service=service).value == 2


def test_not_there(tmp_path: Path) -> None:
    """A log that is missing, a folder, or a pipe is told apart, and none of them hangs."""
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "none.log", count="lines").kind == "missing"
    assert refusal(tmp_path, count="lines").kind == "not a file"
    assert refusal(tmp_path / "pipe", count="lines").kind == "not a file"


def test_rotated_before_the_window_ends(log: Path) -> None:
    """A window that reaches back before the first line reads the rotated file too, and says so."""
    log.rename(log.with_name("app.log.1"))
    log.write_text("2026-01-03 03:00:00 INFO: Classified request 'D' → sonarr (confidence: 1)\n")
    answer = look(log, MORNING, among="Classified", count="lines")
    assert answer.value == 3
    assert "app.log.1" in answer.source
    late = Window(MIDNIGHT + timedelta(hours=3), MIDNIGHT + timedelta(hours=6))
    assert "app.log.1" not in look(log, late, count="lines").source


def test_just_rotated(log: Path) -> None:
    """A log that is empty because it was just rotated does not read as silence."""
    log.rename(log.with_name("app.log.1"))
    log.write_text("")
    assert look(log, MORNING, among="Classified", count="lines").value == 2


def test_rotated_while_it_is_read(log: Path) -> None:
    """A log that is written and rotated all the time is read without error or a lost line."""
    stop = threading.Event()
    line = "2026-01-03 01:00:00 INFO: steady\n"

    def rotate() -> None:
        fresh = log.with_name("fresh")  # a log that is half written is another matter
        while not stop.is_set():
            fresh.write_text(line * 1_000)
            log.replace(log.with_name("app.log.1"))
            fresh.replace(log)
            time.sleep(0.01)

    log.write_text(line * 1_000)
    thread = threading.Thread(target=rotate)
    thread.start()
    try:
        for _ in range(10):
            try:
                assert look(log, among="steady", count="lines").value in (0, 1_000)
            except CouldNotObserve as reason:
                assert reason.kind in ("missing", "changed")
    finally:
        stop.set()
        thread.join()


def test_binary_and_controls_are_shown_as_text(log: Path) -> None:
    """Bytes that are no UTF-8 and characters that steer a terminal are shown as �."""
    log.write_bytes(NIGHT.encode() + b"2026-01-03 03:00:00 INFO: odd \xff\x1b[31m\x00 end\n")
    assert rows(look(log, among="odd"))[0]["text"] == "odd \ufffd\ufffd[31m\ufffd end"


def test_hundred_megabyte_line(log: Path) -> None:
    """A line of 100 MB is one line, read in bounded memory, and what follows it is found."""
    with log.open("ab") as file:
        file.write(b"2026-01-03 03:00:00 INFO: " + b"x" * 100_000_000 + b"\n")
        file.write(b"2026-01-03 04:00:00 INFO: behind it\n")
    assert look(log, count="lines").value == 8
    assert look(log, MORNING, count="lines").value == 4
    assert rows(look(log, among="behind it"))[0]["text"] == "behind it"
    assert len(rows(look(log, among="INFO: xxx"))[0]["line"]) == 10_000


def test_catastrophic_regex_ends(log: Path) -> None:
    """A regular expression that never ends is ended at the deadline."""
    log.write_text("2026-01-03 03:00:00 INFO: " + "a" * 60 + "!\n")
    began = time.monotonic()
    refused = refusal(log, among="(a+)+$", count="lines", service={"deadline": "500 ms"})
    assert refused.kind == "timeout"
    assert time.monotonic() - began < 3


def test_window_in_a_large_file(tmp_path: Path) -> None:
    """A window in a large file is found by bisection, with the same count as by reading it all."""
    path = tmp_path / "large.log"
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    with path.open("w") as file:
        for second in range(60_000):
            at = begin + timedelta(seconds=second)
            file.write(f"{at:%Y-%m-%d %H:%M:%S} INFO: tick {second}\n  and its continuation\n")
    window = Window(begin + timedelta(seconds=30_000), begin + timedelta(seconds=30_600))
    assert path.stat().st_size > 2_000_000
    assert look(path, window, count="lines").value == 1_200
    assert look(path, window, among="continuation", count="lines").value == 600
    assert look(path, window, match=r"tick (?P<n>\d+)", mean_of="n").value == 30_299.5
    wrong_clock = path.read_text().replace("08:22:00 INFO: tick 30120", "23:59:00 INFO: tick 30120")
    path.write_text(wrong_clock)
    assert look(path, window, among="tick", count="lines").value == 599


def test_unordered_large_file(tmp_path: Path) -> None:
    """A large file that is not in the order of time is read whole rather than bisected."""
    path = tmp_path / "merged.log"
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    with path.open("w") as file:
        for part in (3, 1, 4, 2):
            for second in range(15_000):
                at = begin + timedelta(days=part, seconds=second)
                file.write(f"{at:%Y-%m-%d %H:%M:%S} INFO: tick {second} of a merged log\n")
    day = Window(begin + timedelta(days=2), begin + timedelta(days=3))
    assert look(path, day, count="lines").value == 15_000


def test_syslog_year(log: Path) -> None:
    """Instants without a year are of the last twelve months."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    log.write_text(f"{yesterday:%b %d %H:%M:%S} INFO done\n")
    line = r"^(?P<at>\w+ \d+ \S+) (?P<level>\w+) (?P<text>.*)$"
    service = {"line": line, "instant_format": "%b %d %H:%M:%S"}
    window = Window(yesterday - timedelta(minutes=1), yesterday + timedelta(minutes=1))
    assert look(log, window, count="lines", service=service).value == 1


def test_questions_are_checked() -> None:
    """A pattern that is none and two results at once are refused when the file is read."""
    for wrong in ({"among": "("}, {"count": "lines", "group by": "x"}, {"lasst": 3}):
        with pytest.raises(ValidationError):
            Question.model_validate({"log": "app", **wrong})
    assert Question.model_validate({"log": "app", "last lines": 200}).last_lines == 200


@settings(max_examples=300, deadline=None)
@given(st.text("abc()|*+?.kK", min_size=1, max_size=8), st.text("abckK\u212a.", max_size=12))
def test_searching_first_misses_nothing(pattern: str, line: str) -> None:
    """What a line must hold to match is held by every line that matches."""
    for each in (pattern, f"(?i){pattern}"):
        try:
            matches = re.search(each, line)
        except re.error:
            return
        literal, any_case = literal_of(each)
        held = literal.encode() in (line.encode().lower() if any_case else line.encode())
        assert held or not matches
