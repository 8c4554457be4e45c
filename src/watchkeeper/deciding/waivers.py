"""Whose finding is let through, by whom, why and until when?"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap

from watchkeeper.errors import ConfigurationError, Place
from watchkeeper.verdicts import Verdict
from watchkeeper.yaml_file import YamlNode, read_yaml

_NEEDED = ("id", "owner", "reason", "ticket", "last day")
_KEYS = (*_NEEDED, "row")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_EXAMPLE = (
    "{id: MM-DAY-4, row: Radarr, owner: Ann, reason: moved on Monday, ticket: OPS-7, "
    "last day: 2026-03-01}"
)


@dataclass(frozen=True)
class Waiver:
    """One finding that has no vote for a while: its last day is included.

    `row` is "" where all rows of an outline are meant.
    """

    id: str
    row: str
    owner: str
    reason: str
    ticket: str
    last_day: date
    place: Place

    def covers(self, check_id: str, row: str) -> bool:
        return self.id == check_id and self.row in ("", row)

    def expired(self, today: date) -> bool:
        return today > self.last_day

    @property
    def named(self) -> str:
        return f"{self.id}, {self.row}" if self.row else self.id

    def __str__(self) -> str:
        return f"until {self.last_day} by {self.owner}, {self.ticket}: {self.reason}"


@dataclass(frozen=True)
class Applied:
    """What waivers did to one check.

    `verdict` is its true colour, `vote` what the gate gets; `sentence` the waiver's, "" where it
    has none; `waivers` all that name the check, also those that no longer help.
    """

    verdict: Verdict
    vote: Verdict
    sentence: str = ""
    waivers: tuple[Waiver, ...] = ()


@dataclass(frozen=True)
class Waivers:
    """The waivers of a file."""

    waivers: tuple[Waiver, ...] = ()

    def apply(self, ids: Sequence[str], row: str, verdict: Verdict, today: date) -> Applied:
        """What becomes of a check's vote.

        A check with several ids keeps its vote until each of them is waived: nobody can say whose
        finding it was. A good verdict needs no waiver, and keeps its vote.
        """
        naming = tuple(each for each in self.waivers if any(each.covers(id_, row) for id_ in ids))
        alive = [each for each in naming if not each.expired(today)]
        waived = bool(ids) and all(any(each.covers(id_, row) for each in alive) for id_ in ids)
        if verdict.good or not waived:
            return Applied(verdict, verdict, waivers=naming)
        return Applied(verdict, Verdict.WAIVED, "; ".join(map(str, alive)), naming)

    def messages(
        self, known: Iterable[tuple[str, str]], applied: Iterable[Applied], today: date
    ) -> tuple[str, ...]:
        """What the run has to say about its waivers: expired, naming no check, no longer needed.

        `known`: id and row of every check of the suite, also of those that this run left out.
        """
        checks = tuple(known)
        outcomes = tuple(applied)
        said = (self._message(each, checks, outcomes, today) for each in self.waivers)
        return tuple(filter(None, said))

    def _message(
        self,
        waiver: Waiver,
        known: Collection[tuple[str, str]],
        applied: Sequence[Applied],
        today: date,
    ) -> str:
        head = f"{waiver.place}: the waiver of {waiver.named}"
        if not any(waiver.covers(id_, row) for id_, row in known):
            return f"{head} is unused: no check is called that"
        if waiver.expired(today):
            return f"{head} expired after {waiver.last_day}, the check counts again"
        touched = [each for each in applied if waiver in each.waivers]
        if touched and all(each.verdict.good for each in touched):
            return f"{head} is unused: the check is fine without it"
        if any(each.vote is not Verdict.WAIVED and not each.verdict.good for each in touched):
            return f"{head} does not help: the check has further ids, waive each of them"
        return ""


def load(path: Path) -> Waivers:
    """The waivers in a YAML file: a list under `waivers`.

    Raises ConfigurationError with file, line and what to write instead; a waiver that cannot be
    read waives nothing.
    """
    node = read_yaml(path)
    node.only(["waivers"])
    listed = node.data.get("waivers")
    if not isinstance(listed, list):
        problem = '"waivers" is no list' if "waivers" in node.data else '"waivers" is missing'
        hint = f"write waivers: and below it, for example - {_EXAMPLE}"
        raise ConfigurationError(problem, place=node.place("waivers"), hint=hint)
    waivers = tuple(_waiver(node, index, each) for index, each in enumerate(listed))
    _refuse_twins(waivers)
    return Waivers(waivers)


_DATE_HINT = "write the last day on which it holds, for example 2026-03-01"


def _waiver(file: YamlNode, index: int, data: Any) -> Waiver:
    place = file.place("waivers", index)
    if not isinstance(data, CommentedMap):
        raise ConfigurationError(f"{data!r} is no waiver", place=place, hint=f"write {_EXAMPLE}")
    node = YamlNode(file.path, data)
    node.only(_KEYS)
    for key in _NEEDED:
        if key not in data:
            hint = f"write for example {_EXAMPLE}"
            raise ConfigurationError(f'the waiver has no "{key}"', place=place, hint=hint)
    return Waiver(
        _text(node, "id"),
        _text(node, "row") if "row" in data else "",
        _text(node, "owner"),
        _text(node, "reason"),
        _text(node, "ticket"),
        _day(node),
        place,
    )


def _text(node: YamlNode, key: str) -> str:
    value = node.data[key]
    if isinstance(value, str) and value.strip():
        return str(value)
    problem = f'"{key}" is {"empty" if value is None or value == "" else repr(value)}'
    hint = "write a text" if value is None or isinstance(value, str) else "put it in quotes"
    raise ConfigurationError(f"{problem}, expected a text", place=node.place(key), hint=hint)


def _day(node: YamlNode) -> date:
    value = node.data["last day"]
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass  # it looks like a date and is none: the same complaint
    problem = f'"last day" is {value!s}, expected a date'
    raise ConfigurationError(problem, place=node.place("last day"), hint=_DATE_HINT)


def _refuse_twins(waivers: Sequence[Waiver]) -> None:
    first: dict[tuple[str, str], Waiver] = {}
    for waiver in waivers:
        twin = first.setdefault((waiver.id, waiver.row), waiver)
        if twin is not waiver:
            raise ConfigurationError(
                f"{waiver.named} is waived twice, also on line {twin.place.line}",
                place=waiver.place,
                hint="keep one of the two",
            )
