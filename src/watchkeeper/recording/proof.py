"""What has been seen red, when and by which fault? proof.json of a drill run, and of all."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from watchkeeper.recording.run import CheckRecord
from watchkeeper.verdicts import Verdict

SCHEMA = "watchkeeper/proof/1"
NAME = "proof.json"
LARGEST = 64 << 20  # bytes of a proof.json worth reading; 200 faults and 40 checks take 0.2 MB

NEVER = "no fault has turned it red"
CHANGED = "changed since it was proven"

Key = tuple[str, str]
"""What a check is known by: its id, and its row ("" outside outlines)."""


def named(key: Key) -> str:
    """The check as people write it: "MM-DAY-4, Radarr"."""
    return ", ".join(filter(None, key))


@dataclass(frozen=True)
class MustRedden:
    """What a fault must do to a check. `cause`: the part of the sentence that the fault implies,
    "" for what is only drawn along."""

    id: str
    row: str
    verdict: str
    cause: str = ""

    @property
    def key(self) -> Key:
        return (self.id, self.row)


@dataclass(frozen=True)
class Reddened:
    """How a check stood under a fault."""

    id: str
    row: str
    verdict: str
    sentence: str

    @property
    def key(self) -> Key:
        return (self.id, self.row)


@dataclass(frozen=True)
class DrillRecord:
    """One drill as it ended. `started` is ISO 8601 UTC, `duration_s` seconds.

    `proven`: what went red as told. `also`: what had to be drawn along; it proves nothing.
    `complaints`: why it is not ok, in sentences; `wrong`: the checks that they are about, none
    where nothing could be judged. `unsteady`: what stood otherwise at first and as told at a second
    look.
    """

    system: str
    fault: str
    must_redden: tuple[MustRedden, ...]
    reddened: tuple[Reddened, ...]
    ok: bool
    proven: tuple[Key, ...] = ()
    complaints: tuple[str, ...] = ()
    unsteady: tuple[Reddened, ...] = ()
    started: str = ""
    duration_s: float = 0.0
    hangs: bool = False
    also: tuple[MustRedden, ...] = ()
    wrong: tuple[Key, ...] = ()

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> DrillRecord:
        """A record out of plain data, as a worker sends it; raises ValueError where it is none."""
        return _drill_reader().validate_python(data)

    @property
    def speaks_of(self) -> tuple[Key, ...]:
        """The checks that it is about, and those that did not stay as they were."""
        expected = (*(each.key for each in self.must_redden), *(each.key for each in self.also))
        stood = (*(each.key for each in self.reddened), *(each.key for each in self.unsteady))
        return (*expected, *stood)

    @property
    def judged(self) -> bool:
        """Whether the checks were compared at all: the fault showed, and the replica answered."""
        return self.ok or bool(self.wrong)


@dataclass(frozen=True)
class CheckProof:
    """Whether a fault has turned a check red, which ones, and when last (ISO 8601 UTC or "").

    `red_by`: the fault by which it was last red. `fingerprint`: of its sentences and looks when it
    was drilled. `title`: its scenario's name.
    """

    id: str
    row: str
    proven: bool
    faults: tuple[str, ...] = ()
    last_seen_red: str = ""
    red_by: str = ""
    fingerprint: str = ""
    system: str = ""
    title: str = ""

    @property
    def key(self) -> Key:
        return (self.id, self.row)

    def __str__(self) -> str:
        return named(self.key)


@dataclass(frozen=True)
class Proof:
    """proof.json: the drills of a run and what they prove; in reports/, the latest of each.

    `whole`: every fault was turned. `expression`: the command line; `started` and `finished` are
    ISO 8601 UTC. `canaries` are the planted secrets as they came out of each writer: redacted, or
    the run says so.
    """

    run: str
    drills: tuple[DrillRecord, ...] = ()
    checks: tuple[CheckProof, ...] = ()
    schema: str = SCHEMA
    whole: bool = False
    expression: str = ""
    started: str = ""
    finished: str = ""
    canaries: tuple[str, ...] = ()

    @property
    def unproven(self) -> tuple[CheckProof, ...]:
        return tuple(each for each in self.checks if not each.proven)

    @property
    def wrong(self) -> tuple[DrillRecord, ...]:
        """The drills that did not end as told."""
        return tuple(each for each in self.drills if not each.ok)

    @property
    def ok(self) -> bool:
        """Whether all is as told, and no check is unproven."""
        return not self.wrong and not self.unproven

    def write(self, path: Path) -> None:
        """Whole or not at all; raises OSError."""
        partly = path.with_suffix(f".{os.getpid()}.part")
        partly.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n", "utf-8")
        partly.replace(path)

    @classmethod
    def read(cls, path: Path) -> Proof:
        """Raises OSError, or ValueError in one line where `path` is no proof of this schema."""
        if path.stat().st_size > LARGEST:
            raise ValueError(f"{path.name} has over {LARGEST:,} bytes")
        try:
            proof = _reader().validate_json(path.read_bytes(), strict=True)
        except ValueError as error:
            raise ValueError(f"{path.name} is no {SCHEMA}: {_first(error)}") from None
        if proof.schema != SCHEMA:
            raise ValueError(f"{path.name} is no {SCHEMA}")
        return proof

    def merged_into(self, earlier: Proof) -> Proof:
        """`earlier` with what this run found out in place of what it said of the same."""
        drills = {(each.system, each.fault): each for each in (*earlier.drills, *self.drills)}
        before = {each.key: each for each in earlier.checks}
        now = {each.key: self._remembering(each, before.get(each.key)) for each in self.checks}
        return replace(self, drills=tuple(drills.values()), checks=(*{**before, **now}.values(),))

    def _remembering(self, check: CheckProof, past: CheckProof | None) -> CheckProof:
        """`check` with what is still true of it that this run did not find out.

        That is when it was last red; and, unless every fault was turned, those others that turned
        it red while it was as it is now.
        """
        if past is None:
            return check
        if not check.last_seen_red:
            check = replace(check, last_seen_red=past.last_seen_red, red_by=past.red_by)
        if self.whole or past.fingerprint != check.fingerprint:
            return check
        turned = {each.fault for each in self.drills}
        faults = (*check.faults, *(each for each in past.faults if each not in turned))
        return replace(check, faults=faults, proven=bool(faults))


@cache
def _reader() -> TypeAdapter[Proof]:
    return TypeAdapter(Proof)


@cache
def _drill_reader() -> TypeAdapter[DrillRecord]:
    return TypeAdapter(DrillRecord)


def _first(error: ValueError) -> str:
    """The first complaint of pydantic's: "checks.0.proven: Input should be a valid boolean"."""
    if not isinstance(error, ValidationError):
        return str(error).splitlines()[0]
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"]


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


_NOTHING = CheckProof("", "", proven=False)


@dataclass(frozen=True)
class Known:
    """What drills have proven so far, by check. `problem` says why nothing is known, or is ""."""

    checks: Mapping[Key, CheckProof] = field(default_factory=dict)
    problem: str = ""

    @classmethod
    def of(cls, reports: Path) -> Known:
        """What `reports`/proof.json says; where it can't be read nothing is proven."""
        path = reports / NAME
        nothing = "so nothing counts as proven; run pytest --drill"
        try:
            proof = Proof.read(path)
        except FileNotFoundError:
            return cls(problem=f"there is no {reports.name}/{NAME}, {nothing}")
        except OSError as error:
            return cls(problem=f"{path} can't be read ({error.strerror or error}), {nothing}")
        except ValueError as error:
            return cls(problem=f"{reports.name}/{error}, {nothing}")
        return cls({each.key: each for each in proof.checks})

    def told_of(self, check: CheckRecord, last_failed: str) -> CheckRecord:
        """`check` with when it was last red, by what, and whether all its ids are proven.

        `last_failed`: the instant at which a run before saw it failed, or "".
        """
        if check.verdict == Verdict.FAILED.value:
            last_failed = check.started
        keys = [(each, check.row) for each in check.ids]
        proofs = [self.checks[key] for key in keys if key in self.checks]
        drilled = max(proofs, key=lambda each: each.last_seen_red, default=_NOTHING)
        by_fault = drilled.last_seen_red > last_failed
        why = self._why(check, keys)
        return replace(
            check,
            last_seen_red=drilled.last_seen_red if by_fault else last_failed,
            red_by=drilled.red_by if by_fault else "",
            proven=not why,
            unproven=why,
        )

    def _why(self, check: CheckRecord, keys: list[Key]) -> str:
        """Why the check is unproven, "" where it is proven; of several ids it names those."""
        lacking: dict[str, list[str]] = {}
        for key in keys:
            proof = self.checks.get(key)
            if proof is None or not proof.proven:
                lacking.setdefault(NEVER, []).append(key[0])
            elif proof.fingerprint != check.fingerprint:
                lacking.setdefault(CHANGED, []).append(key[0])
        if not keys:
            return NEVER
        if len(keys) == 1:
            return next(iter(lacking), "")
        return "; ".join(f"{', '.join(ids)}: {why}" for why, ids in lacking.items())
