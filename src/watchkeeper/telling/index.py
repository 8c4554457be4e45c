"""Where the reports of all runs are found: the index page, and the one that leads to the latest."""

from __future__ import annotations

from urllib.parse import quote

from watchkeeper.recording.history import History, PastDrill, PastRun
from watchkeeper.telling.html import badge, document, text, when
from watchkeeper.verdicts import Verdict

_KINDS = {"go": Verdict.PASSED, "no-go": Verdict.FAILED, "running": Verdict.NOT_RUN}


def index(history: History, reported: frozenset[str]) -> str:
    """The page of all runs, newest first, beside which runs/ lies.

    `reported`: the folders that have a report; of the others their record is linked.
    """
    rows = "".join(_run(run, reported) for run in history.runs)
    broken = "".join(f"<li>{text(each)}</li>" for each in history.broken)
    older = "".join(f"<li>{_link(each, reported)}</li>" for each in history.older)
    more = f"<h2>Not readable</h2><ul>{broken}</ul>" if broken else ""
    more += f"<h2>Older</h2><ul>{older}</ul>" if older else ""
    more = _drills(history, reported) + more
    table = f"""<div class="wide"><table><thead><tr><th scope="col">Verdict</th>
<th scope="col">Report</th><th scope="col">Began</th><th scope="col">Selected by</th>
<th scope="col">Target</th><th scope="col">Checks</th></tr></thead>
<tbody>{rows}</tbody></table></div>"""
    return document("Runs", f"<h1>Runs</h1>{table if rows else '<p>No run yet.</p>'}{more}")


def latest(folder: str) -> str:
    """A page that leads to the report in runs/`folder`, by itself and by a link."""
    if not folder:
        return document("Latest report", "<h1>There is no report yet.</h1>")
    told = frozenset([folder])
    body = f"<h1>Latest report</h1><p>{_link(folder, told)}</p>"
    refresh = f'<meta http-equiv="refresh" content="0; url={_address(folder, told)}">\n'
    return document("Latest report", body, head=refresh)


def _run(run: PastRun, reported: frozenset[str]) -> str:
    counted = ", ".join(f"{number} {verdict}" for verdict, number in run.counts)
    partial = " (partial)" if run.partial else ""
    cells = (run.expression + partial, run.target, counted or "none")
    return (
        f"<tr><td>{badge(_KINDS.get(run.verdict, Verdict.UNKNOWN), run.verdict)}</td>"
        f"<td>{_link(run.folder, reported)}</td><td>{when(run.started)}</td>"
        + "".join(f"<td>{text(cell)}</td>" for cell in cells)
        + "</tr>"
    )


def _drills(history: History, reported: frozenset[str]) -> str:
    """The drill runs, which turned faults of the replica to see what notices them."""
    rows = "".join(_drill(drill, reported) for drill in history.drills)
    if not rows:
        return ""
    return f"""<h2>Drills</h2><p>Faults were turned on the replica, to see which checks go red.</p>
<div class="wide"><table><thead><tr><th scope="col">Verdict</th><th scope="col">Report</th>
<th scope="col">Began</th><th scope="col">Selected by</th><th scope="col">Checks proven</th>
<th scope="col">Drills as told</th></tr></thead><tbody>{rows}</tbody></table></div>"""


def _drill(drill: PastDrill, reported: frozenset[str]) -> str:
    verdict, word = (Verdict.PASSED, "as told") if drill.ok else (Verdict.FAILED, "not as told")
    page = "report.html" if drill.folder in reported else "proof.json"
    address = f"runs/{quote(drill.folder, safe='')}/{page}"
    return (
        f'<tr><td>{badge(verdict, word)}</td><td><a href="{address}">{text(drill.folder)}</a></td>'
        f"<td>{when(drill.started)}</td><td>{text(drill.expression)}</td>"
        f"<td>{drill.proven:,} of {drill.checks:,}</td>"
        f"<td>{drill.as_told:,} of {drill.drills:,}</td></tr>"
    )


def _link(folder: str, reported: frozenset[str]) -> str:
    return f'<a href="{_address(folder, reported)}">{text(folder)}</a>'


def _address(folder: str, reported: frozenset[str]) -> str:
    page = "report.html" if folder in reported else "run.json"
    return f"runs/{quote(folder, safe='')}/{page}"
