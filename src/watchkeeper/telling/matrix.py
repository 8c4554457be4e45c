"""Which fault reddened which check, and was it as told? The page of a drill run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchkeeper.recording.proof import CheckProof, DrillRecord, Key, MustRedden, Proof, named
from watchkeeper.telling.drilled import headline, partial, why_unproven
from watchkeeper.telling.html import badge, banner, document, duration, planted, text, when
from watchkeeper.telling.summary import verdict_of
from watchkeeper.verdicts import Verdict

FEW = 4  # faults that are named beside a check before the rest is folded away
SHORT = 12  # proven checks that are all shown; more are counted and folded
_STYLE = Path(__file__).with_name("matrix.css").read_text("utf-8")


@dataclass(frozen=True)
class Kind:
    """What a cell of the matrix can say: its sign, its name in CSS, and what it means."""

    sign: str
    css: str
    means: str


TOLD = Kind("✔", "told", "went red as told: this proves the check")
MISSED = Kind("✖", "missed", "should have gone red, and did not, or otherwise")
STRAYED = Kind("!", "strayed", "should have stayed as it was")
UNSTEADY = Kind("~", "unsteady", "stood otherwise at first, and as told at a second look")
DRAWN = Kind("·", "drawn", "drawn along, or by chance; proves nothing")
UNJUDGED = Kind("?", "unjudged", "should go red, but the fault could not be turned")
_LETTERED = (Verdict.FAILED, Verdict.DEGRADED, Verdict.UNKNOWN, Verdict.BLOCKED)
KINDS = (TOLD, MISSED, STRAYED, UNSTEADY, DRAWN, UNJUDGED)


def render(proof: Proof) -> str:
    """The page of a drill run; every text in it is escaped, and no script is needed."""
    names = (*(each.system for each in proof.drills), *(each.system for each in proof.checks))
    systems = (_System(name, proof).section() for name in dict.fromkeys(names))
    body = "\n".join((_top(proof), *systems, planted(proof.canaries)))
    return document(headline(proof), body, head=f"<style>{_STYLE}</style>\n")


def _top(proof: Proof) -> str:
    kind = "passed" if proof.ok else "failed"
    said = partial(proof)
    keys = "".join(
        f'<li><b class="sign is-{each.css}">{each.sign}</b><span>{text(each.means)}</span></li>'
        for each in KINDS
    )
    letters = ", ".join(f"{each.letter} {each.value}" for each in _LETTERED)
    keys += f'<li><b class="sign">F</b><span>beside a sign: which verdict: {letters}</span></li>'
    return f"""<header class="top is-{kind}">
<p class="when">Drill: {text(proof.expression)} on the replica · {when(proof.started)}</p>
<h1>{text(headline(proof))}</h1>
{banner(f"Partial: {said}") if said else ""}
<p>Each drill turns one fault of the replica on. The checks that it names must go red, by the right
sentence; every other check must stay as it was.</p>
<ul class="legend" aria-label="What the signs mean">{keys}</ul>
</header>"""


class _System:
    """One system's part of the page."""

    def __init__(self, name: str, proof: Proof) -> None:
        self._name = name
        self._proof = proof
        self._drills = [each for each in proof.drills if each.system == name]
        self._checks = [each for each in proof.checks if each.system == name]
        self._columns = self._all_columns()

    def _all_columns(self) -> list[Key]:
        """The checks, and those that a drill speaks of though nothing was found out about them."""
        columns = dict.fromkeys(check.key for check in self._checks)
        for drill in self._drills:
            columns.update(dict.fromkeys(drill.speaks_of))
        return sorted(columns)

    def section(self) -> str:
        return (
            f"<section><h2>{text(self._name)}</h2>"
            f"{self._news()}{self._proofs()}{self._matrix()}</section>"
        )

    def _news(self) -> str:
        """The drills that did not end as told, and the unsteady ones, in sentences."""
        told = "".join(_article(each) for each in self._drills if not each.ok or each.unsteady)
        return told or "<p>Every drill ended as told, at the first look.</p>"

    def _proofs(self) -> str:
        unproven = [each for each in self._checks if not each.proven]
        proven = [each for each in self._checks if each.proven]
        if len(proven) <= SHORT:
            return f"<h3>Checks</h3>{self._proof_table([*unproven, *proven])}"
        folded = _folded("check", "proven", len(proven), self._proof_table(proven))
        return f"<h3>Checks</h3>{self._proof_table(unproven)}{folded}"

    def _proof_table(self, checks: Sequence[CheckProof]) -> str:
        if not checks:
            return ""
        rows = "".join(self._proof_of(each) for each in checks)
        return f"""<div class="wide"><table>
<thead><tr><th scope="col">Proven</th><th scope="col">Check</th><th scope="col">Proven by</th>
<th scope="col">Last seen red</th></tr></thead><tbody>{rows}</tbody></table></div>"""

    def _proof_of(self, check: CheckProof) -> str:
        if check.proven:
            word = badge(Verdict.PASSED, "proven")
            by = _listed(check.faults)
        else:
            word = badge(Verdict.FAILED, "unproven")
            by = text(why_unproven(check, self._proof))
        return (
            f"<tr><td>{word}</td><td><strong>{text(str(check))}</strong> {text(check.title)}</td>"
            f"<td>{by}</td><td>{when(check.last_seen_red) if check.last_seen_red else 'never'}</td>"
            "</tr>"
        )

    def _matrix(self) -> str:
        """Rows with something to tell are open, the others counted and folded."""
        news = [each for each in self._drills if not each.ok or each.unsteady]
        rest = [each for each in self._drills if each not in news]
        red = [each for each in rest if each.must_redden]
        along = [each for each in rest if not each.must_redden and _speaks(each)]
        silent = [each for each in rest if not each.must_redden and not _speaks(each)]
        return "".join(
            (
                "<h3>Faults × checks</h3>",
                self._table(news),
                _folded("fault", "noticed as told", len(red), self._table(red)),
                _folded("fault", "without proof, as told", len(along), self._table(along)),
                _folded("fault", "with nothing to redden, as told", len(silent), _names(silent)),
            )
        )

    def _table(self, drills: Sequence[DrillRecord]) -> str:
        if not drills:
            return ""
        heads = "".join(f'<th scope="col"><span>{text(named(key))}</span></th>'
                        for key in self._columns)  # fmt: skip
        rows = "".join(self._row(each) for each in drills)
        return f"""<div class="matrix" tabindex="0" role="region"
aria-label="Faults and checks of {text(self._name)}"><table><thead><tr>
<th scope="col" class="corner">Fault</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"""

    def _row(self, drill: DrillRecord) -> str:
        said = _cells(drill)
        inner = "".join(_cell(said.get(key), key, drill) for key in self._columns)
        return f'<tr><th scope="row">{text(drill.fault)}</th>{inner}</tr>'


@dataclass(frozen=True)
class _Cell:
    """What one fault did to one check; `verdict` is the word, `says` a sentence."""

    kind: Kind
    verdict: str
    says: str


def _cells(drill: DrillRecord) -> dict[Key, _Cell]:
    """What is to be said of each check; those that stayed as they were are left out."""
    stood = {each.key: each.verdict for each in drill.reddened}
    cells: dict[Key, _Cell] = {}
    for each in drill.reddened:
        kind = STRAYED if each.key in drill.wrong else DRAWN
        cells[each.key] = _Cell(kind, each.verdict, f"{each.verdict}: {each.sentence}")
    for must in (*drill.also, *drill.must_redden):
        kind, says = _expected(drill, must)
        if kind is MISSED:
            says += f"; it is {stood.get(must.key, 'still good')}"
        cells[must.key] = _Cell(kind, must.verdict, says)
    for each in drill.unsteady:
        cells[each.key] = _Cell(UNSTEADY, each.verdict, f"first {each.verdict}: {each.sentence}")
    return cells


def _expected(drill: DrillRecord, must: MustRedden) -> tuple[Kind, str]:
    """How a check stood that was not to stay as it was, and how it should."""
    should = f'{must.verdict}, saying "{must.cause}"' if must.cause else must.verdict
    if not drill.judged:
        return UNJUDGED, f"should become {should}"
    if must.key in drill.proven:
        return TOLD, f"{should}, as told"
    if must.key in drill.wrong or must.cause:
        return MISSED, f"should become {should}"
    return DRAWN, f"{should}, as told"


def _cell(cell: _Cell | None, key: Key, drill: DrillRecord) -> str:
    if cell is None:
        return "<td></td>"
    says = f"{named(key)} under {drill.fault}: {cell.says}"
    return (
        f'<td class="is-{cell.kind.css}" title="{text(says)}"><span aria-hidden="true">'
        f"{cell.kind.sign}{verdict_of(cell.verdict).letter}</span>"
        f'<span class="unseen">{text(cell.kind.means)}</span></td>'
    )


def _article(drill: DrillRecord) -> str:
    """A drill that somebody should read about."""
    verdict, word = (Verdict.DEGRADED, "unsteady") if drill.ok else (Verdict.FAILED, "not as told")
    told = "".join(f"<li>{text(each)}</li>" for each in (*drill.complaints, *_shaky(drill)))
    return (
        f'<article class="finding is-{verdict.value}"><h3>{badge(verdict, word)} '
        f"{text(drill.fault)}</h3><ul>{told}</ul>"
        f'<p class="where">{when(drill.started)} · {duration(drill.duration_s)}</p></article>'
    )


def _shaky(drill: DrillRecord) -> Iterator[str]:
    for each in drill.unsteady:
        first = f"{each.verdict}: {each.sentence}" if each.sentence else each.verdict
        yield f"{named(each.key)} was as told at a second look; at first it was {first}"


def _speaks(drill: DrillRecord) -> bool:
    return bool(drill.also or drill.reddened)


def _listed(faults: Sequence[str]) -> str:
    """The first faults, and the others folded."""
    first = text("; ".join(faults[:FEW]))
    rest = faults[FEW:]
    if not rest:
        return first
    return (
        f"{first} <details><summary>and {len(rest):,} more</summary>"
        f"{text('; '.join(rest))}</details>"
    )


def _names(drills: Iterable[DrillRecord]) -> str:
    return f"<p>{text('; '.join(each.fault for each in drills))}</p>"


def _folded(one: str, what: str, number: int, inner: str) -> str:
    if not number:
        return ""
    several = one if number == 1 else f"{one}s"
    summary = f"<summary>{number:,} {several} {text(what)}</summary>"
    return f"<details>{summary}{inner}</details>"
