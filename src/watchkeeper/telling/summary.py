"""What is wrong, in the terminal: one line, the findings worst first, and where to read on."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from watchkeeper.recording.history import counts
from watchkeeper.recording.proof import named
from watchkeeper.recording.redaction import clean
from watchkeeper.recording.run import CheckRecord, FindingRecord, RunRecord
from watchkeeper.verdicts import Verdict, worst

NARROW = 80  # columns where nobody says how wide the terminal is: a pipe, a CI log
SENTENCE = 400  # characters of a finding's sentence; the report has it whole
NAMED = 5  # unproven checks that a line names; the report has all of them
ROWS = 50  # findings; the report has all of them

SIGNS = {
    Verdict.FAILED: "✖",
    Verdict.BLOCKED: "⊘",
    Verdict.UNKNOWN: "?",
    Verdict.NOT_RUN: "○",
    Verdict.UNSIGNED: "✎",
    Verdict.DEGRADED: "▲",
    Verdict.WAIVED: "⚑",
    Verdict.PASSED: "✔",
    Verdict.NOT_APPLICABLE: "–",
}
_STYLES = {
    Verdict.FAILED: "bold red",
    Verdict.BLOCKED: "magenta",
    Verdict.UNKNOWN: "bold magenta",
    Verdict.NOT_RUN: "cyan",
    Verdict.UNSIGNED: "cyan",
    Verdict.DEGRADED: "yellow",
    Verdict.WAIVED: "blue",
    Verdict.PASSED: "green",
    Verdict.NOT_APPLICABLE: "dim",
}


QUIET = (Verdict.PASSED, Verdict.NOT_APPLICABLE)
"""What nobody needs to read about."""
_NEWS = [each for each in SIGNS if not each.good or each is Verdict.DEGRADED]
_UNSAID = {
    Verdict.NOT_RUN: "it did not run, so nobody knows",
    Verdict.NOT_APPLICABLE: "it does not apply here",
    Verdict.UNKNOWN: "it could not look, and left no reason",
    Verdict.UNSIGNED: "nobody has signed it off",
}


def verdict_of(word: str) -> Verdict:
    """The verdict called `word`; UNKNOWN for a word that this version does not know."""
    return next((verdict for verdict in Verdict if verdict.value == word), Verdict.UNKNOWN)


def telling(check: CheckRecord) -> FindingRecord | None:
    """The finding that tells most about a check: its worst, also under a waiver."""
    return max(check.findings, key=lambda found: verdict_of(found.verdict).badness, default=None)


def sentence(check: CheckRecord) -> str:
    """What to say of a check in one sentence; never empty."""
    found = telling(check)
    said = found.sentence if found else ""
    if check.waiver:
        return f"{said} (waived: {check.waiver})" if said else f"waived: {check.waiver}"
    return said or _UNSAID.get(verdict_of(check.verdict), f"it {check.verdict}")


def worth_telling(run: RunRecord) -> tuple[CheckRecord, ...]:
    """The checks that somebody should read about, worst first, then by level."""
    told = (check for check in run.checks if verdict_of(check.verdict) not in QUIET)
    return tuple(
        sorted(
            told,
            key=lambda check: (-verdict_of(check.verdict).badness, check.level, check.ids),
        )
    )


def headline(run: RunRecord) -> str:
    """What is wrong overall, in one line: "NO-GO: 2 failed, 1 unknown of 43 checks".

    Where nothing is wrong it says what went well instead: "GO: all 43 checks passed".
    """
    found = dict(counts(run))
    if run.missing:
        found["not run"] = found.get("not run", 0) + len(run.missing)
    hopes = len(run.unproven) if run.proof_required else 0
    return f"{run.verdict.upper()}: {_counted(found)}" + (f", {hopes:,} unproven" if hopes else "")


def _counted(found: dict[str, int]) -> str:
    total = sum(found.values())
    if total == 0:
        return "no check ran"
    if set(found) == {Verdict.PASSED.value}:
        return "the only check passed" if total == 1 else f"all {total:,} checks passed"
    news = [each for each in _NEWS if each.value in found] or list(SIGNS)
    said = (f"{found[each.value]:,} {each.value}" for each in news if each.value in found)
    return f"{', '.join(said)} of {total:,} check{'s' * (total != 1)}"


@dataclass(frozen=True)
class SystemState:
    """How one system stands: its worst verdict, how many of its checks need reading, and a line
    that counts them ("2 failed, 1 unknown of 30 checks")."""

    name: str
    verdict: Verdict
    findings: int
    said: str


def systems(run: RunRecord) -> tuple[SystemState, ...]:
    """The systems of a run, the worst first, and of two alike the one with more findings."""
    groups: dict[str, list[Verdict]] = {}
    folders: dict[str, str] = {}
    for check in run.checks:
        groups.setdefault(check.system, []).append(verdict_of(check.verdict))
        folders[_folder(check.node)] = check.system
    for node in run.missing:  # of one that left no verdict only its place is known
        folder = _folder(node)
        groups.setdefault(folders.get(folder, folder), []).append(Verdict.NOT_RUN)
    found = (_state(name, verdicts) for name, verdicts in groups.items())
    return tuple(sorted(found, key=lambda each: (-each.verdict.badness, -each.findings, each.name)))


def _folder(node: str) -> str:
    """The system's folder in features/, of a check's node id; its file where it lies in none."""
    path = PurePosixPath(node.partition("::")[0])
    return path.parent.name or path.name


def _state(name: str, verdicts: Sequence[Verdict]) -> SystemState:
    found = {each.value: verdicts.count(each) for each in SIGNS if each in verdicts}
    findings = sum(verdict not in QUIET for verdict in verdicts)
    return SystemState(name, worst(verdicts), findings, _counted(found))


def unproven_of(run: RunRecord) -> str:
    """ "3 checks are unproven: MM-DAY-1, MM-DAY-2, MM-DAY-4, Radarr", "" where none is."""
    found = [named((" ".join(check.ids), check.row)) for check in run.unproven]
    if not found:
        return ""
    of_them = f"all {len(found):,} checks are" if len(found) == len(run.checks) > 1 else None
    are = of_them or ("1 check is" if len(found) == 1 else f"{len(found):,} checks are")
    more = f" and {len(found) - NAMED:,} more" if len(found) > NAMED else ""
    return f"{are} unproven: {'; '.join(found[:NAMED])}{more}"


def _proof(run: RunRecord) -> str:
    unproven = unproven_of(run)
    return f"{unproven}; run pytest --drill" if unproven else ""


def tell(run: RunRecord, report: Path | None = None, file: IO[str] | None = None) -> None:
    """Print the summary to `file` (standard output where None); colour only on a terminal.

    All of the run's text is taken for text: neither rich's markup nor terminal escapes in it act.
    """
    console = console_of(file or sys.stdout)
    console.print(Text(headline(run), style="bold " + _overall(run)))
    for state in _several(run):
        sign = f"{SIGNS[state.verdict]} {state.verdict.value.upper()}"
        console.print(_text(sign, _STYLES[state.verdict]), _text(f" {state.name}: {state.said}"))
    partial = run.partial and f"partial: {run.partial}"
    for line in (_gate(run), partial, *run.messages):
        if line:
            console.print(_text(line))
    told = worth_telling(run)
    if told or run.missing:
        console.print(_table(told[:ROWS], run.missing))
    if len(told) > ROWS:
        console.print(_text(f"and {len(told) - ROWS:,} more, in the report"))
    if hopes := _proof(run):
        console.print(_text(hopes))
    if report is not None:
        console.print(Text(f"report: {clean(str(report))}"), soft_wrap=True)


def _several(run: RunRecord) -> tuple[SystemState, ...]:
    """The systems, where there are several: of one the headline says all."""
    found = systems(run)
    return found if len(found) > 1 else ()


def _gate(run: RunRecord) -> str:
    return f"gate: {run.gate}" if run.gate else ""


def console_of(file: IO[str]) -> Console:
    coloured = file.isatty() and not os.environ.get("NO_COLOR")
    return Console(
        file=file,
        width=None if file.isatty() else NARROW,
        color_system="auto" if coloured else None,
        no_color=not coloured,
        force_terminal=None if coloured else False,
        legacy_windows=False,
        markup=False,
        highlight=False,
        emoji=False,
    )


def _overall(run: RunRecord) -> str:
    return {"go": "green", "no-go": "red"}.get(run.verdict, "magenta")


def _table(told: Iterable[CheckRecord], missing: Iterable[str]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), expand=True, show_header=False)
    table.add_column(width=2)
    table.add_column(ratio=1, overflow="fold")
    for check in told:
        table.add_row(_text(check.level), _finding(check))
    for node in missing:
        table.add_row("", _text(f"○ not run: {node} was selected and left no verdict"))
    return table


def _finding(check: CheckRecord) -> Text:
    """The verdict with ids and scenario, the sentence, what to do, where to look."""
    verdict = verdict_of(check.verdict)
    found = telling(check)
    text = Text()
    text.append(f"{SIGNS[verdict]} {check.verdict.upper()}", style=_STYLES[verdict])
    text.append(clean(f"  {', '.join(check.ids)}  {check.title}\n"), style="bold")
    text.append(_cut(clean(sentence(check))))
    if todo := " · ".join(filter(None, (check.advice, check.runbook))):
        text.append(_cut(clean(f"\n→ {todo}")))
    if where := " · ".join(filter(None, (_source(found), check.place))):
        text.append(_cut(clean(f"\n{where}")), style="dim")
    return text


def _source(found: FindingRecord | None) -> str:
    """Where was looked, unless the sentence has said it."""
    return found.source if found and found.source not in found.sentence else ""


def _cut(said: str) -> str:
    return said if len(said) <= SENTENCE else said[:SENTENCE] + "…"


def _text(said: str, style: str = "") -> Text:
    return Text(_cut(clean(said)), style=style)


def markdown(run: RunRecord) -> str:
    """The summary as Markdown, for a merge request or a chat; text in it is escaped."""
    lines = [f"**{_escaped(headline(run))}**", ""]
    if several := _several(run):
        lines += ["| system | verdict | found |", "|---|---|---|"]
        for state in several:
            verdict = f"{SIGNS[state.verdict]} {state.verdict.value}"
            lines.append(_row(state.name, verdict, state.said))
        lines.append("")
    facts = (_gate(run), run.partial, *run.messages, _proof(run))
    lines += [f"- {_escaped(line)}" for line in facts if line]
    told = worth_telling(run)
    if told:
        lines += ["", "| level | id | check | verdict | found |", "|---|---|---|---|---|"]
    for check in told[:ROWS]:
        verdict = f"{SIGNS[verdict_of(check.verdict)]} {check.verdict}"
        ids = ", ".join(check.ids)
        lines.append(_row(check.level, ids, check.title, verdict, sentence(check)))
    if len(told) > ROWS:
        lines += ["", f"and {len(told) - ROWS:,} more, in the report"]
    if run.missing:
        lines += ["", *(f"- not run: {_escaped(_cut(node))}" for node in run.missing[:ROWS])]
    if len(run.missing) > ROWS:
        lines += [f"- and {len(run.missing) - ROWS:,} more that did not run"]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(_escaped(_cut(cell)) for cell in cells)} |"


def append_markdown(run: RunRecord, path: Path) -> None:
    """Add the summary to a file that others write to as well; raises OSError."""
    with path.open("a", encoding="utf-8") as file:
        # What stands there may end within a line, which would swallow our first.
        file.write(("\n\n" if path.stat().st_size else "") + markdown(run))


_ACTS = re.compile(r"[\\`*_\[\]()|>#!~$]|(?<=http):(?=//)|(?<=https):(?=//)|(?<=www)\.")
"""What Markdown acts on: marks, formulas, and addresses that it makes links of by itself."""


def _escaped(said: str) -> str:
    """`said` with what Markdown, HTML and tables would act on made harmless."""
    plain = clean(said).replace("\n", " ").replace("&", "&amp;").replace("<", "&lt;")
    # A sign of no width keeps @somebody from being called to read it.
    return _ACTS.sub(lambda found: f"\\{found[0]}", plain).replace("@", "@&#8203;")
