"""A drill run with everything in it that a matrix can say, and one of any size."""

from __future__ import annotations

from dataclasses import replace

from tests.telling.telling_samples import AT, HOSTILE
from watchkeeper.recording.proof import CheckProof, DrillRecord, MustRedden, Proof, Reddened

SYSTEM = "media management"
RADARR, SONARR = ("MM-DAY-4", "Radarr"), ("MM-DAY-4", "Sonarr")
DOWN = "Radarr connection of the media manager was down, expected up"


def drill(fault: str, *red: tuple[str, str], **more: object) -> DrillRecord:
    """A drill that ended as told: `red` went red, and is proven."""
    record = DrillRecord(
        system=SYSTEM,
        fault=fault,
        must_redden=tuple(MustRedden(*key, "failed", "was down") for key in red),
        reddened=tuple(Reddened(*key, "failed", DOWN) for key in red),
        ok=True,
        proven=red,
        started=AT,
        duration_s=0.4,
    )
    return replace(record, **more)  # type: ignore[arg-type]


def proof() -> Proof:
    """One drill of each kind: as told, missed, strayed, unsteady, drawn along, silent, unturned."""
    day_1, day_2, day_3 = (("MM-DAY-1", ""), ("MM-DAY-2", ""), ("MM-DAY-3", ""))
    drills = (
        drill("radarr down", RADARR, also=(MustRedden(*day_1, "blocked"),)),
        drill("sonarr down", SONARR, proven=(), reddened=(), ok=False, wrong=(SONARR,),
              complaints=('MM-DAY-4, Sonarr should have become failed, saying "was down"; '
                          "it is passed",)),
        drill("mail down", ok=False, wrong=(day_2,),
              reddened=(Reddened(*day_2, "unknown", "there was no answer"),),
              complaints=("MM-DAY-2 should have stayed passed; it became unknown: there was no "
                          "answer",)),
        drill("lidarr hangs", unsteady=(Reddened(*day_3, "unknown", "the look was disturbed"),),
              hangs=True),
        drill("log is silent"),
        drill("radarr lies", RADARR, proven=(), reddened=(), ok=False,
              complaints=('the replica was told "radarr lies", and does not show it',)),
    )  # fmt: skip
    checks = (
        check(RADARR, "radarr down"),
        check(SONARR),
        *(check(each) for each in (day_1, day_2)),
        check(day_3, *(f"fault {n}" for n in range(9))),
    )
    return Proof("2026-02-18T09-00-00Z", drills, checks, whole=True, expression="--drill -m daily",
                 started=AT, finished=AT)  # fmt: skip


def check(key: tuple[str, str], *faults: str) -> CheckProof:
    red_by = faults[-1] if faults else ""
    return CheckProof(*key, bool(faults), faults, AT if faults else "", red_by, "", SYSTEM, "Title")


def hostile_proof() -> Proof:
    """A drill run in which every text is an attack."""
    key = (HOSTILE, HOSTILE)
    one = Reddened(*key, HOSTILE, HOSTILE)
    bad = DrillRecord(HOSTILE, HOSTILE, (MustRedden(*key, HOSTILE, HOSTILE),), (one,), False, (),
                      (HOSTILE,), (one,), HOSTILE, wrong=(key,))  # fmt: skip
    known = CheckProof(*key, True, (HOSTILE,) * 9, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    return Proof(HOSTILE, (bad,), (known,), expression=HOSTILE, started=HOSTILE)


def many(faults: int, checks: int) -> Proof:
    """Of `faults` drills every twentieth is wrong, and half prove a check."""
    keys = [(f"MM-X-{i}", "Radarr" if i % 3 else "") for i in range(checks)]
    wrong = {"ok": False, "proven": (), "complaints": ("it is passed",)}
    drills = [
        drill(f"fault number {i} of a service", *([keys[i % checks]] if i % 2 else []),
              **({**wrong, "wrong": (keys[i % checks],)} if i % 20 == 1 else {}))
        for i in range(faults)
    ]  # fmt: skip
    proofs = (check(key, f"fault {i}") for i, key in enumerate(keys))
    return Proof("2026-02-18T09-00-00Z", tuple(drills), tuple(proofs), whole=True, started=AT)
