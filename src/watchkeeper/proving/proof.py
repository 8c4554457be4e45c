"""What do drills prove? Their outcomes as they are written into proof.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from watchkeeper.plan import Scenario
from watchkeeper.proving.checks import Check, Standing, checks_of
from watchkeeper.proving.drilling import Outcome
from watchkeeper.recording.evidence import Recorder
from watchkeeper.recording.fingerprint import fingerprint
from watchkeeper.recording.proof import CheckProof, DrillRecord, Key, MustRedden, Proof, Reddened
from watchkeeper.recording.run import instant


@dataclass(frozen=True)
class About:
    """What is kept of a check beside its proof: see CheckProof."""

    system: str = ""
    title: str = ""
    fingerprint: str = ""


def about(scenarios: Iterable[Scenario]) -> Mapping[Check, About]:
    """The checks of `scenarios`, as they are now."""
    return {
        check: About(each.system.name, each.name, fingerprint(each))
        for each in scenarios
        for check in checks_of(each)
    }


def record(outcome: Outcome, recorder: Recorder) -> DrillRecord:
    """An outcome as it is written: redacted, plain."""

    def reddened(check: Check, standing: Standing) -> Reddened:
        told = recorder.text(standing.sentence)
        return Reddened(check.id, check.row, standing.verdict.value, told)

    drill = outcome.drill
    return DrillRecord(
        system=drill.system,
        fault=drill.fault,
        must_redden=tuple(
            MustRedden(each.check.id, each.check.row, each.verdict.value, each.says)
            for each in drill.red
        ),
        reddened=tuple(reddened(check, found) for check, found in outcome.reddened.items()),
        ok=outcome.ok,
        proven=tuple(map(_key, outcome.proven)),
        complaints=tuple(recorder.text(each) for each in outcome.complaints),
        unsteady=tuple(reddened(each.check, each.first) for each in outcome.unsteady),
        started=instant(outcome.started),
        duration_s=round(outcome.duration_s, 3),
        hangs=drill.hangs,
        also=tuple(MustRedden(c.id, c.row, verdict.value) for c, verdict in drill.also.items()),
        wrong=tuple(map(_key, outcome.wrong)),
    )


def proof_of(
    run: str,
    drills: Sequence[DrillRecord],
    checks: Iterable[Check],
    *,
    all_faults: bool,
    known: Mapping[Check, About] | None = None,
) -> Proof:
    """What `drills` prove about `checks`; `known`: what else is to be kept of them.

    Where only some faults were turned (not `all_faults`), a check that none of them was to redden
    is left out: nothing was found out about it.
    """
    meant = {each.key for drill in drills for each in drill.must_redden}
    proofs = (
        _proof(check, drills, (known or {}).get(check, About()))
        for check in checks
        if all_faults or _key(check) in meant
    )
    return Proof(run, tuple(drills), tuple(proofs), whole=all_faults)


def _proof(check: Check, drills: Sequence[DrillRecord], kept: About) -> CheckProof:
    by = [drill for drill in drills if _key(check) in drill.proven]
    last = max(by, key=lambda drill: drill.started, default=None)
    return CheckProof(
        check.id,
        check.row,
        proven=bool(by),
        faults=tuple(drill.fault for drill in by),
        last_seen_red=last.started if last else "",
        red_by=last.fault if last else "",
        fingerprint=kept.fingerprint,
        system=kept.system,
        title=kept.title,
    )


def _key(check: Check) -> Key:
    return (check.id, check.row)
