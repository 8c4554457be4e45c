"""What a sentence of a feature can mean.

A word (a step definition) returns one of these and touches nothing. Nouns and verbs are still text
here; the plan finds them in the target file of the scenario's system.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from watchkeeper.limits import Limit
from watchkeeper.units import duration_s


class Tenses(Enum):
    """When a judgement must hold."""

    WITHIN = "within"
    THROUGHOUT = "throughout the next"
    OVER = "over the last"
    MEANWHILE = "meanwhile"


@dataclass(frozen=True)
class Tense:
    """`kind` and, but for MEANWHILE, `seconds`: how long to wait, to hold or to look back."""

    kind: Tenses
    seconds: float = 0.0
    text: str = ""


def parse_tense(text: str) -> Tense:
    """ "within 2 minutes", "over the last 24 hours", …; raises ValueError for anything else."""
    if text == Tenses.MEANWHILE.value:
        return Tense(Tenses.MEANWHILE, text=text)
    for kind in (Tenses.WITHIN, Tenses.THROUGHOUT, Tenses.OVER):
        if text.startswith(kind.value + " "):
            return Tense(kind, duration_s(text.removeprefix(kind.value + " ")), text)
    raise ValueError(
        f'"{text}" says no time; write "within 2 minutes", "throughout the next 5 minutes", '
        '"over the last 24 hours" or "meanwhile"'
    )


@dataclass(frozen=True)
class Enter:
    """The scenario is about the system called `called`."""

    called: str


@dataclass(frozen=True)
class Subject:
    """A figure of the system, as the sentence names it."""

    noun: str

    def __str__(self) -> str:
        return self.noun


@dataclass(frozen=True)
class Cell:
    """A column of a row: of `that NOUN`, of `the answer`, or of each of a list."""

    column: str
    of: str

    def __str__(self) -> str:
        return f"{self.column} of {self.of}"


@dataclass(frozen=True)
class Reading:
    """A figure or cell is read and judged."""

    subject: Subject | Cell
    limit: Limit
    tense: Tense | None = None


@dataclass(frozen=True)
class Readings:
    """Several readings of one sentence's table."""

    readings: tuple[Reading, ...]


@dataclass(frozen=True)
class Cause:
    """What may have gone wrong: it has where its `sign`, a figure, keeps its limit."""

    name: str
    sign: Reading


@dataclass(frozen=True)
class Diagnosis:
    """A figure is judged; where it is bad, the cause is named whose sign is there."""

    reading: Reading
    causes: tuple[Cause, ...]


@dataclass(frozen=True)
class Contains:
    """A list has the rows of the table: among others, only those, or in this order."""

    noun: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    only: bool = False
    in_order: bool = False
    tense: Tense | None = None


@dataclass(frozen=True)
class OneNew:
    """Exactly one row of a list is new since the scenario began; later it is "that …"."""

    noun: str


@dataclass(frozen=True)
class Pick:
    """One row of a list is picked, where there is any; later it is "that …"."""

    noun: str


class Change(Enum):
    """What became of rows."""

    CHANGED = "changed"
    GONE = "gone"
    NEW = "new"


class Extent(Enum):
    """Which rows a change may have come to."""

    EXACTLY = "exactly"
    ONLY = "only"
    NONE = "none of"


@dataclass(frozen=True)
class Changed:
    """Of a list, exactly, only or none of a selection changed, are gone or are new.

    `selection` is another list of the system ("the failed requests") or a row ("that request").
    """

    noun: str
    extent: Extent
    selection: str
    change: Change


@dataclass(frozen=True)
class Report:
    """Figures are read and shown; passes once they are read.

    `beside_s`: shown beside what they were over the stretch of that many seconds before.
    """

    nouns: tuple[str, ...]
    tense: Tense | None = None
    beside_s: float | None = None


@dataclass(frozen=True)
class Operate:
    """Something is done."""

    verb: str


@dataclass(frozen=True)
class TryInTurn:
    """Operations are done one after another until a judgement holds; each is given its time.

    `attempts`: the verb, and for how many seconds the judgement is waited for after it.
    """

    until: Reading
    attempts: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Undo:
    """Something is done at the end whatever happens, or only where the scenario failed."""

    verb: str
    only_on_failure: bool = False


@dataclass(frozen=True)
class Elapsed:
    """No more than `seconds` have passed since the scenario began."""

    seconds: float
    text: str


def readings_of(meaning: object) -> tuple[Reading, ...]:
    """Everything that a sentence reads and judges by a limit."""
    if isinstance(meaning, Reading):
        return (meaning,)
    if isinstance(meaning, Readings):
        return meaning.readings
    if isinstance(meaning, Diagnosis):
        return (meaning.reading, *(cause.sign for cause in meaning.causes))
    return ()


Meaning: TypeAlias = (
    Enter
    | Reading
    | Readings
    | Diagnosis
    | Contains
    | OneNew
    | Pick
    | Changed
    | Report
    | Operate
    | TryInTurn
    | Undo
    | Elapsed
)

JUDGEMENTS = (Reading, Readings, Diagnosis, Contains, OneNew, Changed, Report, Elapsed)
"""The meanings that give a finding: a scenario without one proves nothing."""
