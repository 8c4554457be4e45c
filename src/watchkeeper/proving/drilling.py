"""Did a fault redden what it must, and nothing else?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from watchkeeper.errors import ConfigurationError
from watchkeeper.plan import Scenario
from watchkeeper.proving.checks import Check, Standing, Whose, checks_of, standings
from watchkeeper.proving.drills import DEADLINE_S, Drill, Expected
from watchkeeper.proving.following import NotSo
from watchkeeper.proving.stage import Stage
from watchkeeper.verdicts import Verdict

Stand = Mapping[Check, Standing]


@dataclass(frozen=True)
class Unsteady:
    """A check that stood otherwise at first, and as it should at a second look."""

    check: Check
    first: Standing


@dataclass(frozen=True)
class Outcome:
    """How a drill ended. `started` is UTC.

    `proven`: the checks that went red as told. `reddened`: all that did not stay good, but for
    those that were not before. `complaints`: what should have been otherwise, in sentences;
    `wrong`: the checks that they are about.
    """

    drill: Drill
    proven: tuple[Check, ...]
    reddened: Mapping[Check, Standing]
    complaints: tuple[str, ...]
    unsteady: tuple[Unsteady, ...]
    started: datetime
    duration_s: float
    wrong: tuple[Check, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.complaints


class Drilling:
    """Drills on one stage, each compared with how the checks stand without a fault."""

    def __init__(self, stage: Stage, whose: Whose, deadline_s: float = DEADLINE_S) -> None:
        self._stage = stage
        self._deadline_s = deadline_s
        self._whose = whose
        self._baselines: dict[tuple[str, ...], Stand] = {}
        self.checks = tuple(each for scenario in stage.scenarios for each in checks_of(scenario))

    def run(self, drill: Drill) -> Outcome:
        """Turn the fault on, run everything, turn it off, compare."""
        started, began = datetime.now(UTC), time.monotonic()
        drill = drill.among(self.checks)
        unsteady: tuple[Unsteady, ...] = ()
        wrong: tuple[Check, ...] = ()
        try:
            baseline = self._before(drill.compared_with)
            stand, unsteady = self._settled(drill, baseline)
            complaints = wrong_of(drill, baseline, stand)
            wrong = tuple(each.check for each in _wrong(drill, baseline, stand))
            proven = tuple(e.check for e in drill.red if _reddened(e, baseline, stand))
            reddened = {
                check: standing
                for check, standing in stand.items()
                if not standing.good and standing.verdict is not baseline[check].verdict
            }
        except (NotSo, ConfigurationError) as error:
            proven, reddened, complaints = (), {}, (str(error),)
        took_s = time.monotonic() - began
        return Outcome(drill, proven, reddened, complaints, unsteady, started, took_s, wrong)

    def _before(self, turns: tuple[str, ...]) -> Stand:
        """How the checks stand without the fault, each looked at again where it is not good."""
        if turns not in self._baselines:
            stand = self._stands(turns, self._stage.scenarios, self._deadline_s)
            bad = [s for s in self._stage.scenarios if any(not stand[c].good for c in checks_of(s))]
            if bad:
                stand = {**stand, **self._stands(turns, bad, self._deadline_s)}
            self._baselines[turns] = stand
        return self._baselines[turns]

    def _settled(self, drill: Drill, baseline: Stand) -> tuple[Stand, tuple[Unsteady, ...]]:
        """How the checks stand under the fault; what is not as told is looked at once more.

        This machine's own haste can disturb a look (a measured duration is unknown then), so one
        stray answer does not count; it is told as unsteady, and two of them count.
        """
        first = self._stands(drill.turns, self._stage.scenarios, drill.deadline_s)
        strayed = {wrong.check for wrong in _wrong(drill, baseline, first)}
        if not strayed:
            return first, ()
        again = [s for s in self._stage.scenarios if strayed.intersection(checks_of(s))]
        stand = {**first, **self._stands(drill.turns, again, drill.deadline_s)}
        still = {wrong.check for wrong in _wrong(drill, baseline, stand)}
        return stand, tuple(Unsteady(check, first[check]) for check in sorted(strayed - still))

    def _stands(
        self, turns: Sequence[str], scenarios: Sequence[Scenario], deadline_s: float
    ) -> dict[Check, Standing]:
        found = self._stage.run(turns, scenarios, deadline_s)
        stand: dict[Check, Standing] = {}
        for scenario, findings in found:
            stand.update(standings(scenario, findings, self._whose))
        return stand


@dataclass(frozen=True)
class _Wrong:
    """A check that does not stand as it should. `says`: what its sentence should hold."""

    check: Check
    expected: Verdict
    found: Standing
    says: str = ""
    stays: bool = False


def wrong_of(drill: Drill, baseline: Stand, stand: Stand) -> tuple[str, ...]:
    """What is not as the drill says, one sentence for each check."""
    return tuple(_told(wrong) for wrong in _wrong(drill, baseline, stand))


def _told(wrong: _Wrong) -> str:
    found = wrong.found
    is_now = f"{found.verdict.value}: {found.sentence}" if found.sentence else found.verdict.value
    if wrong.stays:
        return f"{wrong.check} should have stayed {wrong.expected.value}; it became {is_now}"
    saying = f', saying "{wrong.says}"' if wrong.says else ""
    return f"{wrong.check} should have become {wrong.expected.value}{saying}; it is {is_now}"


def _wrong(drill: Drill, baseline: Stand, stand: Stand) -> Iterator[_Wrong]:
    """Every check that does not stand as the drill says."""
    for each in drill.red:
        if not _reddened(each, baseline, stand):
            yield _Wrong(each.check, each.verdict, stand[each.check], each.says)
    for check, verdict in drill.also.items():
        if stand[check].verdict is not verdict:
            yield _Wrong(check, verdict, stand[check])
    told = {*(each.check for each in drill.red), *drill.also, *drill.may}
    stopped = {each.id for each in told}
    for check, standing in stand.items():
        if check in told or standing.verdict is baseline[check].verdict:
            continue
        if not standing.reached and stopped & standing.siblings:
            continue  # the scenario stopped at the sentence of another of its ids, as told
        yield _Wrong(check, baseline[check].verdict, standing, stays=True)


def _reddened(expected: Expected, baseline: Stand, stand: Stand) -> bool:
    """Whether the check was good before, and is red by a sentence of its own that says so."""
    found = stand[expected.check]
    return (
        baseline[expected.check].good
        and found.verdict is expected.verdict
        and any(
            each.verdict is expected.verdict and expected.says in each.sentence
            for each in found.own
        )
    )
