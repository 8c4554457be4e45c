"""Which faults are turned, and which checks must each redden? fixtures/drills/<system>.yml"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from watchkeeper.errors import ConfigurationError, Place
from watchkeeper.plan import Scenario
from watchkeeper.proving.checks import Check, Whose, checks_of, only_reports
from watchkeeper.services import Duration, Model
from watchkeeper.units import duration_s
from watchkeeper.verdicts import Verdict
from watchkeeper.yaml_file import YamlNode, nearest, read_yaml

DEADLINE_S = 0.5
"""When a look at a replica is given up: loopback answers in milliseconds. A drill file may say
another `deadline` for its system, whose programs have more to do.
"""

_TOP = ("system", "deadline", "whose", "drills")


class _Expected(Model):
    """How a check must go red.

    Blocked is no proof, so it is no word for it; unknown is one only for what merely reports, which
    nothing but a failing question can redden.
    """

    verdict: Literal["failed", "degraded", "unknown"]
    says: Annotated[str, Field(min_length=1)]


class _Entry(Model):
    """One entry of `drills:`.

    `fault`: a dial, or several that are turned together. `each of`: dials that are turned one after
    the other, with the same outcome. `red`: what must go red, with a part of its sentence. `also`:
    what cannot stay as it was either, by verdict; it proves nothing. `may`: what stands one way or
    the other by chance. `deadline`: for looks, where half a second would hide what is to be seen.
    `hangs`: its looks wait for their deadlines, so its time is told apart. `compared with`: dials
    under which the checks stand as they do without the fault, where a healthy system gives a check
    nothing to try (a query that runs too long, and then the one that is not ended).
    """

    fault: str | tuple[str, ...] | None = None
    each_of: tuple[str, ...] = ()
    red: dict[str, _Expected] = Field(default_factory=dict)
    also: dict[Literal["failed", "unknown", "blocked", "not run"], tuple[str, ...]] = Field(
        default_factory=dict
    )
    may: tuple[str, ...] = ()
    deadline: Duration | None = None
    hangs: bool = False
    compared_with: tuple[str, ...] = ()
    about: str | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> _Entry:
        if bool(self.fault) == bool(self.each_of):
            raise ValueError('a drill has either a "fault" or "each of" several')
        return self


@dataclass(frozen=True)
class Expected:
    """How a check must go red: the verdict, and a part of the sentence that the fault implies."""

    check: Check
    verdict: Verdict
    says: str


@dataclass(frozen=True)
class Drill:
    """A fault and what must follow from it.

    `turns`: the dials, in this order. `also`: checks that are drawn along, without being proven.
    `may`: checks that stand one way or the other by chance.
    `compared_with`: the dials that are on where the fault is not. `deadline_s`: for looks at web
    services and databases. `place`: where it is written.
    """

    system: str
    turns: tuple[str, ...]
    place: Place
    red: tuple[Expected, ...] = ()
    also: Mapping[Check, Verdict] = field(default_factory=dict)
    may: frozenset[Check] = frozenset()
    deadline_s: float = DEADLINE_S
    hangs: bool = False
    compared_with: tuple[str, ...] = ()

    @property
    def fault(self) -> str:
        """What people call it: "radarr down and sonarr down"."""
        return " and ".join(self.turns)

    @property
    def named(self) -> frozenset[Check]:
        """Every check that it says something about."""
        return frozenset((*(each.check for each in self.red), *self.also, *self.may))

    def among(self, checks: Collection[Check]) -> Drill:
        """The drill as far as it is about `checks`."""
        return replace(
            self,
            red=tuple(each for each in self.red if each.check in checks),
            also={check: verdict for check, verdict in self.also.items() if check in checks},
            may=self.may.intersection(checks),
        )


@dataclass(frozen=True)
class Drills:
    """All drills of one system, and whose sentences are whose in its scenarios."""

    system: str
    path: Path
    whose: Whose
    drills: tuple[Drill, ...]
    deadline_s: float = DEADLINE_S

    def for_dials(self, dials: Collection[str], *, all_there: bool = True) -> Drills:
        """These drills, and for each dial that none names one in which nothing may redden.

        Raises ConfigurationError for a dial that the replica does not have; without `all_there`
        its drills are left away, for another kind of replica has it.
        """
        if not all_there:
            there = frozenset(dials)
            kept = [each for each in self.drills if there.issuperset(each.turns)]
            return replace(self, drills=tuple(kept)).for_dials(dials)
        for drill in self.drills:
            for name in (*drill.turns, *drill.compared_with):
                if name not in dials:
                    raise ConfigurationError(
                        f'no dial is called "{name}"', place=drill.place, hint=nearest(name, dials)
                    )
        named = {drill.turns[0] for drill in self.drills if len(drill.turns) == 1}
        neighbours = (
            Drill(self.system, (name,), Place(self.path), deadline_s=self.deadline_s)
            for name in dials
            if name not in named
        )
        return replace(self, drills=(*self.drills, *neighbours))

    def check_owners(self, scenarios: Iterable[Scenario]) -> None:
        """Raises ConfigurationError where `whose` leaves open which id a sentence proves, and where
        unknown is to prove what judges a limit.
        """
        node = read_yaml(self.path)
        judging: set[Check] = set()
        for scenario in scenarios:
            wrong = self.whose.problem(scenario)
            if wrong is not None:
                raise ConfigurationError(wrong[1], place=node.place("whose", wrong[0]))
            if not only_reports(scenario):
                judging.update(checks_of(scenario))
        for drill in self.drills:
            for each in drill.red:
                if each.verdict is Verdict.UNKNOWN and each.check in judging:
                    raise ConfigurationError(
                        f'"{each.check}" judges a limit, so that it is unknown proves nothing',
                        place=drill.place,
                        hint='write it under "also"',
                    )


def drills_path(root: Path, slug: str) -> Path:
    return root / "fixtures" / "drills" / f"{slug}.yml"


def load_drills(path: Path, system: str, known: Collection[Check]) -> Drills:
    """The drills in `path`; `known` are all checks that the system's features hold.

    Raises ConfigurationError with file, line and the nearest right word.
    """
    node = read_yaml(path)
    node.only(_TOP)
    if node.data.get("system") != system:
        raise ConfigurationError(f'"system" is not "{system}"', place=node.place("system"))
    entries = node.data.get("drills")
    if not isinstance(entries, list) or not entries:
        raise ConfigurationError('"drills" is no list of drills', place=node.place("drills"))
    usual_s = _deadline_s(node)
    drills: list[Drill] = []
    for number, data in enumerate(entries):
        if not isinstance(data, dict):
            raise ConfigurationError(
                "a drill is a mapping with a fault", place=node.place("drills", number)
            )
        drills += _drills(YamlNode(path, data), system, known, usual_s)  # type: ignore[arg-type]
    return Drills(system, path, _whose(node, known), tuple(_merged(drills, usual_s)), usual_s)


def _deadline_s(node: YamlNode) -> float:
    """What the file says for all its drills."""
    if "deadline" not in node.data:
        return DEADLINE_S
    try:
        return duration_s(str(node.data["deadline"]))
    except ValueError as error:
        raise ConfigurationError(str(error), place=node.place("deadline")) from None


def _drills(
    node: YamlNode, system: str, known: Collection[Check], usual_s: float
) -> Iterable[Drill]:
    entry = node.checked(_Entry, node.plain())
    red = tuple(
        Expected(_check(name, known, node.place("red", name)), Verdict(each.verdict), each.says)
        for name, each in entry.red.items()
    )
    also = {
        _check(name, known, node.place("also", verdict, number)): Verdict(verdict)
        for verdict, names in entry.also.items()
        for number, name in enumerate(names)
    }
    may = {_check(n, known, node.place("may", number)) for number, n in enumerate(entry.may)}
    told = [*(each.check for each in red), *also, *may]
    for check in told:
        if told.count(check) > 1:
            raise ConfigurationError(f'"{check}" is expected twice', place=node.place("also"))
    together = (entry.fault,) if isinstance(entry.fault, str) else entry.fault
    for number, turns in enumerate([together] if together else [(one,) for one in entry.each_of]):
        place = node.place("each of", number) if entry.each_of else node.place("fault")
        deadline_s = duration_s(entry.deadline) if entry.deadline else usual_s
        rest = (deadline_s, entry.hangs, entry.compared_with)
        yield Drill(system, turns, place, red, also, frozenset(may), *rest)


def _check(name: str, known: Collection[Check], place: Place) -> Check:
    check = Check.named(name)
    if check in known:
        return check
    rows = [each.row for each in known if each.id == check.id]
    if rows and any(rows):
        problem = f'"{check.id}" has no row "{check.row}"; it has: {", ".join(rows)}'
        raise ConfigurationError(problem, place=place, hint=nearest(check.row, rows))
    raise ConfigurationError(
        f'no scenario carries "{check}"', place=place, hint=nearest(str(check), map(str, known))
    )


def _whose(node: YamlNode, known: Collection[Check]) -> Whose:
    written = node.mapping("whose")
    ids = {check.id for check in known}
    for name in written.keys():  # noqa: SIM118 - YamlNode is no mapping
        parts = written.data[name]
        if name not in ids:
            raise ConfigurationError(
                f'no scenario carries "{name}"', place=written.place(name), hint=nearest(name, ids)
            )
        if not isinstance(parts, list) or not all(isinstance(part, str) and part for part in parts):
            raise ConfigurationError(
                f'"{name}" is no list of parts of sentences', place=written.place(name)
            )
    return Whose({name: tuple(map(str, parts)) for name, parts in written.data.items()})


def _merged(drills: Iterable[Drill], usual_s: float) -> Iterable[Drill]:
    """One drill for each fault: each chapter may say on its own what it does to its checks."""
    found: dict[tuple[str, ...], Drill] = {}
    for drill in drills:
        turns = tuple(sorted(drill.turns))
        found[turns] = _together(found[turns], drill, usual_s) if turns in found else drill
    return found.values()


def _together(one: Drill, other: Drill, usual_s: float) -> Drill:
    for check in one.named & other.named:
        raise ConfigurationError(
            f'"{one.fault}" is drilled twice for {check}',
            place=other.place,
            hint=f"the other one is on line {one.place.line}",
        )
    deadlines = {one.deadline_s, other.deadline_s} - {usual_s}
    if len(deadlines) > 1:
        raise ConfigurationError(
            f'"{one.fault}" has two deadlines',
            place=other.place,
            hint=f"the other one is on line {one.place.line}",
        )
    if one.compared_with != other.compared_with:
        raise ConfigurationError(
            f'"{one.fault}" is compared with two states',
            place=other.place,
            hint=f"the other one is on line {one.place.line}",
        )
    return replace(
        one,
        red=(*one.red, *other.red),
        also={**one.also, **other.also},
        may=one.may | other.may,
        deadline_s=next(iter(deadlines), usual_s),
        hangs=one.hangs or other.hangs,
    )
