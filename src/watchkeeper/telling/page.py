"""What a person sees first: what is wrong, how bad, and what to do, on one page of plain HTML."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from watchkeeper.recording.history import History, counts, key
from watchkeeper.recording.proof import NEVER
from watchkeeper.recording.run import CheckRecord, FindingRecord, RunRecord
from watchkeeper.telling.html import badge, banner, css, document, duration, planted, text, when
from watchkeeper.telling.summary import (
    SIGNS,
    SystemState,
    headline,
    sentence,
    systems,
    telling,
    unproven_of,
    verdict_of,
)
from watchkeeper.telling.summary import worth_telling as _worth_telling
from watchkeeper.verdicts import Verdict

STRIP = 14  # past verdicts shown beside a finding: two weeks of daily runs
MESSAGES = 3  # of the run itself; more would push the systems out of the first view
BARS = 30  # past runs in the trend
NO_PICTURES: Mapping[str, bytes] = {}
_ROOT = "../../../"  # from reports/runs/<stamp>/ to the project, where a runbook's path begins

_ADVICE = {
    Verdict.UNKNOWN: "The check could not look: this is neither good nor bad news. "
    "Find out why it could not, then run it again.",
    Verdict.BLOCKED: "Deal with its cause first, then run it again.",
    Verdict.NOT_RUN: "Find out why it did not run; until then nobody knows.",
    Verdict.UNSIGNED: "Somebody has to look, and to sign it off.",
    Verdict.DEGRADED: "Still within bounds. Look into it in working hours, before it is not.",
    Verdict.WAIVED: "Known and accepted until the waiver ends.",
}


@dataclass(frozen=True)
class Step:
    """A step of a check as the fallback's table shows it."""

    text: str
    status: str
    message: str = ""
    depth: int = 0


@dataclass(frozen=True)
class CheckSteps:
    """A check with its steps, out of the Allure results."""

    name: str
    status: str
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Rest:
    """What follows the health page: Allure's own page, or the steps and why there is none."""

    allure: str = ""
    why: str = ""
    hint: str = ""
    steps: tuple[CheckSteps, ...] = field(default=())


def render(
    run: RunRecord, history: History, rest: Rest, pictures: Mapping[str, bytes] = NO_PICTURES
) -> str:
    """The health page of `run`; every text in it is escaped. `pictures`: PNGs by their names."""
    past = history.before(run)
    told = _worth_telling(run)
    body = "\n".join(
        (
            _top(run),
            _systems(run, {check.system for check in told}),
            _findings(told, run, past, pictures),
            _unproven(run),
            _all_checks(run),
            _trend(run, past),
            _facts(run),
            _steps(rest),
            planted(run.canaries),
        )
    )
    return document(headline(run), body, rest.allure)


_BACK = (
    '<a href="#wk-top" style="position:fixed;z-index:9999;left:50%;bottom:12px;'
    "transform:translateX(-50%);padding:8px 16px;border-radius:20px;background:#1f2937;color:#fff;"
    'font:600 14px/20px system-ui,sans-serif;text-decoration:none">← Health page</a>'
)
_COME_BACK = (
    "addEventListener('hashchange',function(){"
    "if(location.hash.startsWith('#wk-'))location.reload()});"
)


def with_way_back(allure: str) -> str:
    """Allure's page with a link that leads back to the health page of the same file."""
    back = f"{_BACK}<script>{_COME_BACK}</script>"
    head, body, rest = allure.rpartition("</body>")
    return f"{head}{back}{body}{rest}" if body else allure + back


def _top(run: RunRecord) -> str:
    kind = {"go": "passed", "no-go": "failed", "interrupted": "unknown"}.get(run.verdict, "unknown")
    lines = [f'<p class="gate">Gate: {text(run.gate)}</p>'] if run.gate else []
    if run.verdict in ("interrupted", "running"):
        word = "was interrupted" if run.verdict == "interrupted" else "is still running"
        lines.append(banner(f"This run {word}: what it did not reach, nobody knows."))
    if run.partial:
        lines.append(banner(f"Partial: {run.partial}"))
    messages = [f'<p class="message">{text(message)}</p>' for message in run.messages]
    lines += messages[:MESSAGES]
    if more := "".join(messages[MESSAGES:]):
        many = len(messages) - MESSAGES
        lines.append(f"<details><summary>{many:,} more of the run itself</summary>{more}</details>")
    return f"""<header class="top is-{kind}">
<p class="when">{text(run.expression)} on {text(run.target)} · {when(run.started)}</p>
<h1>{text(headline(run))}</h1>
{"".join(lines)}
<nav aria-label="On this page"><a href="#wk-wrong">What is wrong</a>
<a href="#wk-proof">Proof</a> <a href="#wk-all">All the checks</a>
<a href="#wk-every">Every step</a></nav>
</header>"""


def _systems(run: RunRecord, told: Collection[str]) -> str:
    inner = "".join(_system(state, linked=state.name in told) for state in systems(run))
    return f'<section aria-labelledby="wk-systems"><h2 id="wk-systems">Systems</h2>' \
           f'<ul class="systems">{inner}</ul></section>'  # fmt: skip


def _system(state: SystemState, *, linked: bool) -> str:
    """A card that leads to the system's first finding, where it is `linked`."""
    findings = {0: "no findings", 1: "1 finding"}.get(
        state.findings, f"{state.findings:,} findings"
    )
    said = re.sub(r"(?<=\d) ", "&nbsp;", text(state.said))
    name = text(state.name)
    if linked:
        name = f'<a href="#{_anchor(state.name)}">{name}</a>'
    return (
        f'<li class="card is-{css(state.verdict)}"><h3>{name}</h3>'
        f"{badge(state.verdict)} <strong>{findings}</strong><p>{said}</p></li>"
    )


def _anchor(system: str) -> str:
    """What the first finding of a system is addressed by; a name may hold anything."""
    return f"wk-system-{hashlib.sha256(system.encode('utf-8', 'replace')).hexdigest()[:12]}"


def _findings(
    told: Sequence[CheckRecord], run: RunRecord, past: History, pictures: Mapping[str, bytes]
) -> str:
    first = {check.system: check for check in reversed(told)}
    inner = "".join(
        _finding(check, past, pictures, is_first=first[check.system] is check) for check in told
    )
    inner += "".join(_missing(node) for node in run.missing)
    if not run.checks and not run.missing:
        inner = "<p>No check ran, so nobody knows how the systems are.</p>"
    if run.proof_required and run.unproven:
        inner += f"<p>{text(unproven_of(run))}. Proof was required.</p>"
    if not inner:
        inner = "<p>Nothing is wrong.</p>"
    return (
        '<section aria-labelledby="wk-wrong">'
        f'<h2 id="wk-wrong">What is wrong, and what to do</h2>{inner}</section>'
    )


def _missing(node: str) -> str:
    return (
        f'<article class="finding is-not-run"><h3>{badge(Verdict.NOT_RUN)} {text(node)}</h3>'
        f"<p>It was selected and left no verdict. {_ADVICE[Verdict.NOT_RUN]}</p></article>"
    )


def _finding(
    check: CheckRecord, past: History, pictures: Mapping[str, bytes], *, is_first: bool
) -> str:
    verdict = verdict_of(check.verdict)
    found = telling(check)
    anchor = f' id="{_anchor(check.system)}"' if is_first else ""
    return f"""<article class="finding is-{css(verdict)}"{anchor}>
<h3>{badge(verdict)} <span class="level">{text(check.level)}</span> {text(check.title)}</h3>
<p class="said">{text(sentence(check))}</p>
{_todo(check, verdict)}
<p class="where">{_where(check, found)}</p>
{_before(check, past)}
{_evidence(found)}
{_picture(found, pictures)}
</article>"""


def _todo(check: CheckRecord, verdict: Verdict) -> str:
    advice = check.advice or _ADVICE.get(verdict, "")
    link = f" Runbook: {_link(check.runbook)}" if check.runbook else ""
    if not advice and not link:
        return ""
    return f'<p class="todo"><strong>What to do:</strong> {text(advice)}{link}</p>'


def _link(address: str) -> str:
    """A link where `address` is a web address or a relative one, else only its text."""
    if re.fullmatch(r"https?://[^\s\"'<>]+|(?![/\\])[\w./-]+(?:#[\w./-]*)?", address):
        target = address if "://" in address else _ROOT + address
        return f'<a href="{text(target)}" rel="noopener noreferrer">{text(address)}</a>'
    return text(address)


def _where(check: CheckRecord, found: FindingRecord | None) -> str:
    parts = [", ".join(check.ids), check.system, check.feature, check.rule]
    if found:
        parts += [found.step, found.source and f"seen at {found.source}"]
    parts.append(check.place)
    return " · ".join(text(part) for part in parts if part)


def _before(check: CheckRecord, past: History) -> str:
    """Since when, when last red, and the verdicts of the last runs, newest at the right."""
    since = past.since(key(check), check.verdict)
    news = [f"{check.verdict} since {when(since)}" if since else f"newly {check.verdict}"]
    if red := check.last_seen_red or past.red.get(key(check), ""):
        news.append(f"last seen red {when(red)}{_by(check)}")
    if check.unproven:
        news.append(f"unproven: {text(check.unproven)}")
    strip = "".join(
        f'<span class="dot is-{css(verdict_of(verdict))}" title="{text(run.started)}: '
        f'{text(verdict)}"><span aria-hidden="true">{SIGNS[verdict_of(verdict)]}</span></span>'
        for run, verdict in reversed(past.verdicts(key(check))[:STRIP])
    )
    strip = f' <span class="strip" role="img" aria-label="the last runs">{strip}</span>'
    return f'<p class="before">{" · ".join(news)}{strip if "title" in strip else ""}</p>'


def _by(check: CheckRecord) -> str:
    """ " by the fault "radarr down"" where it was a drill that reddened the check."""
    return f" by the fault &quot;{text(check.red_by)}&quot;" if check.red_by else ""


def _evidence(found: FindingRecord | None) -> str:
    if found is None or not (found.parameters or found.table or found.excerpt):
        return ""
    values = "".join(f"<dt>{text(a)}</dt><dd>{text(b)}</dd>" for a, b in found.parameters)
    rows = "".join(
        "<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in row) + "</tr>" for row in found.table
    )
    return (
        "<details><summary>What was seen</summary>"
        + (f"<dl>{values}</dl>" if values else "")
        + (f'<div class="wide"><table>{rows}</table></div>' if rows else "")
        + (f"<pre>{text(found.excerpt)}</pre>" if found.excerpt else "")
        + "</details>"
    )


def _picture(found: FindingRecord | None, pictures: Mapping[str, bytes]) -> str:
    """The page as it was seen: a picture, so nothing on it can act."""
    png = pictures.get(found.picture) if found is not None else None
    if found is None or png is None:
        return ""
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return (
        "<details><summary>How it looked</summary>"
        f'<img src="{source}" alt="{text(f"The page when {found.step}")}" '
        'style="max-width:100%;border:1px solid currentColor"></details>'
    )


def _unproven(run: RunRecord) -> str:
    """The checks that nobody knows to be able to fail, with why."""
    if not run.checks:
        return ""
    unproven = run.unproven
    inner = "".join(
        f"<li><strong>{text(', '.join(check.ids))}</strong> {text(check.title)}: "
        f"{text(check.unproven or NEVER)}</li>"
        for check in unproven
    )
    if not unproven:
        told = "<p>Every check has been seen red by a drill as it is now.</p>"
    else:
        counts_here = "; they count in this run" if run.proof_required else ""
        told = (
            f"<p>{text(unproven_of(run))}{counts_here}. A check that has never failed is a hope: "
            f"<code>pytest --drill</code> turns faults and sees whether it goes red.</p>"
            f"<details><summary>{len(unproven):,} unproven</summary><ul>{inner}</ul></details>"
        )
    return f"""<section aria-labelledby="wk-proof"><h2 id="wk-proof">Proof</h2>{told}</section>"""


def _all_checks(run: RunRecord) -> str:
    rows = "".join(_row(check) for check in run.checks)
    return f"""<section aria-labelledby="wk-all"><h2 id="wk-all">All the checks</h2>
<details><summary>{len(run.checks):,} checks</summary><div class="wide"><table>
<thead><tr><th scope="col">Verdict</th><th scope="col">Level</th><th scope="col">Id</th>
<th scope="col">Check</th><th scope="col">Found</th><th scope="col">Last seen red</th>
<th scope="col">Took</th></tr></thead>
<tbody>{rows}</tbody></table></div></details></section>"""


def _row(check: CheckRecord) -> str:
    cells = (check.level, ", ".join(check.ids), check.title, sentence(check))
    return (
        f"<tr><td>{badge(verdict_of(check.verdict))}</td>"
        + "".join(f"<td>{text(cell)}</td>" for cell in cells)
        + f"<td>{_last_red(check)}</td>"
        + f'<td class="number">{duration(check.duration_s)}</td></tr>'
    )


def _last_red(check: CheckRecord) -> str:
    """When the check was last red and by what; and why it is unproven, where it is."""
    red = f"{when(check.last_seen_red)}{_by(check)}" if check.last_seen_red else "never"
    return f"{red} (unproven: {text(check.unproven)})" if check.unproven else red


_WIDTH, _HEIGHT, _BAR = 620, 90, 20  # of the trend's drawing, in its own units


def _trend(run: RunRecord, past: History) -> str:
    if not past.runs:
        return ""
    shown = list(reversed(past.runs[: BARS - 1]))
    bars = [dict(each.counts) for each in shown] + [dict(counts(run))]
    most = max(sum(each.values()) for each in bars) or 1
    drawn = "".join(_bar(i, each, most) for i, each in enumerate(bars))
    red = sum(bool(each.get(Verdict.FAILED.value)) for each in bars)
    said = f"The last {len(bars)} runs on {run.target}, this one at the right; {red} had failures."
    return f"""<section aria-labelledby="wk-trend"><h2 id="wk-trend">The last runs</h2>
<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{text(said)}">{drawn}</svg>
<figcaption>{text(said)} Bottom up: {_legend(bars)}.</figcaption></figure></section>"""


def _legend(bars: Sequence[dict[str, int]]) -> str:
    met = [each for each in SIGNS if any(each.value in bar for bar in bars)]
    return ", ".join(f'<span class="key is-{css(each)}">{each.value}</span>' for each in met)


def _bar(place: int, found: dict[str, int], most: int) -> str:
    """One run: a pile of its verdicts, the worst at the bottom, where it is seen first."""
    drawn, top = "", float(_HEIGHT)
    for verdict in SIGNS:
        if number := found.get(verdict.value, 0):
            # One failure among a thousand has to be seen: three units at least.
            high = max(3.0, number / most * (_HEIGHT - 3 * len(SIGNS)))
            top -= high
            drawn += (
                f'<rect class="is-{css(verdict)}" x="{place * _BAR + 2}" y="{top:.1f}" '
                f'width="{_BAR - 4}" height="{high:.1f}"><title>{number} {verdict.value}</title>'
                "</rect>"
            )
    return drawn


def _facts(run: RunRecord) -> str:
    facts = (
        ("Run", text(run.run)),
        ("Target", text(run.target)),
        ("Selected by", text(run.expression)),
        ("Started", when(run.started)),
        ("Finished", when(run.finished)),
        ("Took", _took(run)),
        ("Verdict", text(f"{run.verdict} (exit code {run.exit_code})")),
        ("Ledger's head", f"<code>{text(run.ledger_head or 'none')}</code>"),
    )
    inner = "".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in facts)
    return f"""<section aria-labelledby="wk-facts"><h2 id="wk-facts">This run</h2>
<dl class="facts">{inner}</dl></section>"""


def _took(run: RunRecord) -> str:
    try:
        began, ended = map(datetime.fromisoformat, (run.started, run.finished))
    except ValueError:
        return "not known"
    return duration((ended - began).total_seconds())


def _steps(rest: Rest) -> str:
    title = '<section aria-labelledby="wk-every"><h2 id="wk-every">Every step</h2>'
    if rest.allure:
        return f"""{title}
<p><a class="button" id="wk-open" href="#wk-steps">Open the Allure report</a></p>
<p>Every step with its values, its history and its timing. It is in this file.</p></section>"""
    why = banner(f"The Allure report could not be made: {rest.why}.")
    hint = f"<p>What to do: {text(rest.hint)}.</p>" if rest.hint else ""
    inner = "".join(_one_check(check) for check in rest.steps)
    return f"{title}{why}{hint}{inner}</section>"


def _one_check(check: CheckSteps) -> str:
    rows = "".join(
        f'<tr><td>{text(step.status)}</td><td style="padding-left:{step.depth + 1}em">'
        f"{text(step.text)}</td><td>{text(step.message)}</td></tr>"
        for step in check.steps
    )
    return (
        f"<details><summary>{text(check.status)}: {text(check.name)}</summary>"
        f'<div class="wide"><table><tbody>{rows}</tbody></table></div></details>'
    )
