"""How does text become a page of plain HTML that asks no network and runs nothing it was told?"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from pathlib import Path

from watchkeeper.recording.redaction import clean
from watchkeeper.telling.summary import SIGNS
from watchkeeper.verdicts import Verdict

STYLE = Path(__file__).with_name("page.css").read_text("utf-8")
_OPEN_ALLURE = "\n" + Path(__file__).with_name("page.js").read_text("utf-8")


def text(said: str) -> str:
    """`said` as HTML text or a quoted attribute's value."""
    return escape(clean(said), quote=True)


def planted(canaries: Sequence[str]) -> str:
    """What came out of the writers that were given a planted secret, for whoever wants to see."""
    said = "; ".join(dict.fromkeys(canaries))
    return f'<p class="where">Planted secrets, as written: {text(said)}</p>' if said else ""


def document(title: str, body: str, allure: str = "", head: str = "") -> str:
    """A whole page; `head` are further elements of its head, `allure` the page that it opens."""
    script = f"<script>{_OPEN_ALLURE}</script>" if allure else ""
    data = f'<script type="application/json" id="wk-allure">{_packed(allure)}</script>'
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy((_OPEN_ALLURE, *_scripts(allure)))}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{text(title)}</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
{head}</head>
<body>
<main id="wk-top">
{body}
</main>
{data if allure else ""}
{script}
</body>
</html>
"""


def policy(scripts: Iterable[str]) -> str:
    """A content policy that asks no network and runs no script but these.

    Scripts are named by their hashes, so that no event handler and no javascript: address in any
    text runs, ours or Allure's. Allure reads its embedded data by fetch from data: addresses.
    """
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in dict.fromkeys(scripts))
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; media-src data: blob:; connect-src data: blob:; "
        "frame-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _scripts(page: str) -> list[str]:
    return [part.partition("</script>")[0] for part in page.split("<script>")[1:]]


def _packed(page: str) -> str:
    """`page` as a JSON string in which no HTML parser sees a tag."""
    return json.dumps(page, ensure_ascii=False).replace("<", "\\u003c")


def banner(said: str) -> str:
    return f'<p class="banner" role="note"><strong>!</strong> {text(said)}</p>'


def badge(verdict: Verdict, word: str = "") -> str:
    """A verdict by colour, sign and word."""
    sign = f'<span aria-hidden="true">{SIGNS[verdict]}</span>'
    return f'<span class="badge is-{css(verdict)}">{sign} {text(word or verdict.value)}</span>'


def css(verdict: Verdict) -> str:
    return verdict.value.replace(" ", "-")


def duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f}&nbsp;ms"
    return f"{seconds:.1f}&nbsp;s"


def when(instant: str) -> str:
    """`instant` (ISO 8601 UTC) as people read it; the text itself where it is none."""
    try:
        shown = datetime.fromisoformat(instant).strftime("%Y-%m-%d %H:%M:%S UTC")
    except ValueError:
        return text(instant or "not known")
    return f'<time datetime="{text(instant)}">{shown}</time>'
