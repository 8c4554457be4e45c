"""What has been seen red, when and by which fault: proof.json of a run and of all."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from watchkeeper.proving.checks import Check, Standing
from watchkeeper.proving.drilling import Outcome
from watchkeeper.recording.evidence import Recorder
from watchkeeper.recording.run import instant

SCHEMA = "watchkeeper/proof/1"
NAME = "proof.json"


@dataclass(frozen=True)
class MustRedden:
    """What a fault must redden. `cause`: the part of the sentence that the fault implies."""

    id: str
    row: str
    verdict: str
    cause: str


@dataclass(frozen=True)
class Reddened:
    """How a check stood under a fault."""

    id: str
    row: str
    verdict: str
    sentence: str


@dataclass(frozen=True)
class DrillRecord:
    """One drill as it ended. `started` is ISO 8601 UTC, `duration_s` seconds.

    `proven`: (id, row) of what went red as told. `complaints`: why it is not ok, in sentences.
    `unsteady`: what stood otherwise at first and as told at a second look.
    """

    system: str
    fault: str
    must_redden: tuple[MustRedden, ...]
    reddened: tuple[Reddened, ...]
    ok: bool
    proven: tuple[tuple[str, str], ...] = ()
    complaints: tuple[str, ...] = ()
    unsteady: tuple[Reddened, ...] = ()
    started: str = ""
    duration_s: float = 0.0
    hangs: bool = False


@dataclass(frozen=True)
class CheckProof:
    """Whether a fault has turned a check red, which ones, and when last (ISO 8601 UTC or "")."""

    id: str
    row: str
    proven: bool
    faults: tuple[str, ...] = ()
    last_seen_red: str = ""


@dataclass(frozen=True)
class Proof:
    """proof.json: the drills of a run and what they prove; in reports/, the latest of each."""

    run: str
    drills: tuple[DrillRecord, ...] = ()
    checks: tuple[CheckProof, ...] = ()
    schema: str = SCHEMA

    @property
    def unproven(self) -> tuple[Check, ...]:
        return tuple(Check(each.id, each.row) for each in self.checks if not each.proven)

    def write(self, path: Path) -> None:
        """Whole or not at all; raises OSError."""
        partly = path.with_suffix(f".{os.getpid()}.part")
        partly.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n", "utf-8")
        partly.replace(path)

    @classmethod
    def read(cls, path: Path) -> Proof:
        """Raises OSError, or ValueError where `path` is no proof of this schema."""
        data = json.loads(path.read_text("utf-8"))
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise ValueError(f"{path} is no record of schema {SCHEMA}")
        try:
            return cls(
                data["run"],
                tuple(drill_record(each) for each in data["drills"]),
                tuple(CheckProof(**{**c, "faults": tuple(c["faults"])}) for c in data["checks"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path} is no record of schema {SCHEMA}: {error!r}") from error

    def merged_into(self, earlier: Proof) -> Proof:
        """`earlier` with what this run found out in place of what it said of the same."""
        drills = {(each.system, each.fault): each for each in (*earlier.drills, *self.drills)}
        before = {(each.id, each.row): each for each in earlier.checks}
        now = {(each.id, each.row): _remembering(each, before) for each in self.checks}
        return Proof(self.run, tuple(drills.values()), tuple({**before, **now}.values()))


def _remembering(check: CheckProof, before: Mapping[tuple[str, str], CheckProof]) -> CheckProof:
    """`check` with the day on which it was last red, where this run did not see it so."""
    past = before.get((check.id, check.row))
    if check.last_seen_red or past is None:
        return check
    return CheckProof(check.id, check.row, check.proven, check.faults, past.last_seen_red)


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
        proven=tuple((check.id, check.row) for check in outcome.proven),
        complaints=tuple(recorder.text(each) for each in outcome.complaints),
        unsteady=tuple(reddened(each.check, each.first) for each in outcome.unsteady),
        started=instant(outcome.started),
        duration_s=round(outcome.duration_s, 3),
        hangs=drill.hangs,
    )


def drill_record(data: Mapping[str, Any]) -> DrillRecord:
    """A record out of JSON; raises KeyError or TypeError where it is none."""
    return DrillRecord(
        **{
            **data,
            "must_redden": tuple(MustRedden(**each) for each in data["must_redden"]),
            "reddened": tuple(Reddened(**each) for each in data["reddened"]),
            "unsteady": tuple(Reddened(**each) for each in data["unsteady"]),
            "proven": tuple((each[0], each[1]) for each in data["proven"]),
            "complaints": tuple(data["complaints"]),
        }
    )


def proof_of(
    run: str, drills: Sequence[DrillRecord], checks: Iterable[Check], *, all_faults: bool
) -> Proof:
    """What `drills` prove about `checks`.

    Where only some faults were turned (not `all_faults`), a check that none of them was to redden
    is left out: nothing was found out about it.
    """
    meant = {(each.id, each.row) for drill in drills for each in drill.must_redden}
    proofs = (_proof(check, drills) for check in checks if all_faults or _key(check) in meant)
    return Proof(run, tuple(drills), tuple(proofs))


def _proof(check: Check, drills: Sequence[DrillRecord]) -> CheckProof:
    by = [drill for drill in drills if _key(check) in drill.proven]
    last = max((drill.started for drill in by), default="")
    return CheckProof(check.id, check.row, bool(by), tuple(drill.fault for drill in by), last)


def _key(check: Check) -> tuple[str, str]:
    return (check.id, check.row)


def publish(proof: Proof, folder: Path, reports: Path) -> Proof:
    """Write the run's proof into `folder` and merge it into `reports`; what stands there then.

    Raises OSError. A proof in `reports` that can't be read is replaced, since runs keep their own.
    """
    proof.write(folder / NAME)
    with FileLock(reports / f".{NAME}.lock"):
        try:
            earlier = Proof.read(reports / NAME)
        except (OSError, ValueError):
            earlier = Proof("")
        merged = proof.merged_into(earlier)
        merged.write(reports / NAME)
    return merged


def slowest(drills: Collection[DrillRecord], count: int) -> tuple[DrillRecord, ...]:
    """Where the time went, longest first."""
    return tuple(sorted(drills, key=lambda drill: drill.duration_s, reverse=True)[:count])
