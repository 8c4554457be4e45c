"""What did the drills come to, in the terminal: one line, what is not as told, where to read on."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from rich.text import Text

from watchkeeper.recording.proof import (
    CheckProof,
    DrillRecord,
    MustRedden,
    Proof,
    named,
    slowest,
)
from watchkeeper.recording.redaction import clean
from watchkeeper.telling.summary import console_of

ROWS = 20  # drills, checks and unsteady ones each; the report has all of them
SENTENCE = 240  # characters of a complaint: three lines
LONGEST = 3  # drills whose time is named


def headline(proof: Proof) -> str:
    """What was proven, in one line: "22 of 24 checks proven, 148 of 150 drills as told"."""
    checks, drills = len(proof.checks), len(proof.drills)
    proven = f"{checks - len(proof.unproven):,} of {checks:,} checks proven"
    return f"{proven}, {drills - len(proof.wrong):,} of {drills:,} drills as told"


def partial(proof: Proof) -> str:
    """Why the run claims less than a matrix, "" where it does not."""
    if proof.whole:
        return ""
    return "only some faults were turned; of checks that these are not about nothing was found out"


def why_unproven(check: CheckProof, proof: Proof) -> str:
    """Why no fault proved the check: none is meant to, or those that are did not."""
    meant = [d.fault for d in proof.drills if any(_about(each, check) for each in d.must_redden)]
    if not meant:
        return "no drill says which fault must turn it red"
    return f"{' and '.join(meant[:LONGEST])} should have turned it red"


def _about(must: MustRedden, check: CheckProof) -> bool:
    return must.key == check.key


def tell(proof: Proof, report: Path | None = None, messages: Sequence[str] = (),
         file: IO[str] | None = None) -> None:  # fmt: skip
    """Print the summary to `file` (standard output where None); all of its text is plain text."""
    console = console_of(file or sys.stdout)
    console.print(Text(headline(proof), style="bold " + ("green" if proof.ok else "red")))
    for line in filter(None, (*messages, partial(proof))):
        console.print(Text(clean(line)))
    for lines in (_wrong(proof), _unproven(proof), _unsteady(proof)):
        told = list(lines)
        for line in told[:ROWS]:
            console.print(Text(_cut(clean(line))))
        if len(told) > ROWS:
            console.print(Text(f"  and {len(told) - ROWS:,} more such, in the report"))
    for line in _times(proof):
        console.print(Text(clean(line), style="dim"))
    if report is not None:
        console.print(Text(f"report: {clean(str(report))}"), soft_wrap=True)


def _wrong(proof: Proof) -> Iterator[str]:
    for drill in proof.wrong:
        first, *rest = drill.complaints or ("it gave no reason",)
        more = f" (and {len(rest)} more)" if rest else ""
        yield f"✖ {drill.fault}: {first}{more}"


def _unproven(proof: Proof) -> Iterator[str]:
    for check in proof.unproven:
        yield f"○ unproven: {check}: {why_unproven(check, proof)}"


def _unsteady(proof: Proof) -> Iterator[str]:
    for drill in proof.drills:
        for each in drill.unsteady:
            first = f"{each.verdict}, {each.sentence}" if each.sentence else each.verdict
            yield f"~ unsteady: {named(each.key)} under {drill.fault}: first {first}"


def _times(proof: Proof) -> Iterator[str]:
    waiting = [drill for drill in proof.drills if drill.hangs]
    yield _time("", [drill for drill in proof.drills if not drill.hangs])
    if waiting:
        yield _time("hanging ", waiting)


def _time(what: str, drills: Sequence[DrillRecord]) -> str:
    took = sum(drill.duration_s for drill in drills)
    longest = ", ".join(f"{d.fault} {d.duration_s:.1f} s" for d in slowest(drills, LONGEST))
    what += "drill" if len(drills) == 1 else "drills"
    return f"time: {len(drills):,} {what}: {took:.1f} s" + (f" ({longest})" if longest else "")


def _cut(said: str) -> str:
    return said if len(said) <= SENTENCE else said[:SENTENCE] + "…"
