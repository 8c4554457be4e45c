"""The run for machines that read JUnit's XML: failed is a failure, could not look is an error."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

from watchkeeper.recording.redaction import clean
from watchkeeper.recording.run import CheckRecord, RunRecord
from watchkeeper.telling.summary import headline, sentence, verdict_of
from watchkeeper.verdicts import Verdict

SUITE = "watchkeeper"
BROKEN_OFF = (2, 3, 4)
"""Exit codes of runs that say nothing of their own: interrupted, our own fault, configuration."""
_TAGS = {
    Verdict.FAILED: "failure",
    Verdict.UNKNOWN: "error",
    Verdict.BLOCKED: "error",
    Verdict.NOT_RUN: "skipped",
    Verdict.UNSIGNED: "skipped",
    Verdict.NOT_APPLICABLE: "skipped",
}


def write(run: RunRecord, path: Path) -> None:
    """Write `run` to `path`, whole or not at all; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partly = path.with_name(f"{path.name}.part")
    partly.write_text(xml(run), "utf-8")
    partly.replace(path)


def xml(run: RunRecord) -> str:
    """The run as one test suite; a waived or degraded check passes and says so in a property."""
    told = (_case(each, run.proof_required and not each.proven) for each in run.checks)
    cases = [*told, *map(_missing, run.missing), *_run_itself(run)]
    seconds = sum(check.duration_s for check in run.checks)
    suite = ET.Element("testsuite", name=SUITE, timestamp=run.started, time=f"{seconds:.3f}")
    suite.set("tests", str(len(cases)))
    for plural, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(plural, str(sum(case.find(tag) is not None for case in cases)))
    facts = (("verdict", run.verdict), ("target", run.target), ("partial", run.partial))
    _properties(suite, [*facts, *(("canary", text) for text in run.canaries)])
    suite.extend(cases)
    _text(suite, "system-out", "\n".join((headline(run), *run.messages)))
    whole = ET.Element("testsuites")
    whole.append(suite)
    ET.indent(whole)
    return ET.tostring(whole, encoding="unicode", xml_declaration=True) + "\n"


def _case(check: CheckRecord, lacks_proof: bool) -> ET.Element:
    """A check; one that lacks the proof that was required is no success, however it ended."""
    place = ".".join(part for part in (check.system, check.feature) if part)
    case = _named(f"{' '.join(check.ids)} {check.title}", place, check.duration_s)
    facts = (
        ("level", check.level),
        ("verdict", check.verdict),
        ("waiver", check.waiver),
        ("unproven", check.unproven),
    )
    _properties(case, facts)
    tag = None if check.waiver else _TAGS.get(verdict_of(check.verdict))
    if tag is not None:
        told = "\n".join(f"{each.verdict}: {each.sentence}" for each in check.findings)
        _text(case, tag, told, message=sentence(check), type=check.verdict)
    elif lacks_proof and not check.waiver:
        _text(case, "skipped", sentence(check), message=f"unproven: {check.unproven}")
    elif check.verdict != Verdict.PASSED.value:
        _text(case, "system-out", sentence(check))
    return case


def _missing(node: str) -> ET.Element:
    case = _named(node, SUITE, 0.0)
    _text(case, "error", "", message="was to run and left no verdict", type="missing")
    return case


def _run_itself(run: RunRecord) -> Iterable[ET.Element]:
    """A run that broke off is not green, whatever its checks found until then."""
    if run.exit_code in BROKEN_OFF:
        case = _named("the run itself", SUITE, 0.0)
        _text(case, "error", "\n".join(run.messages), message=headline(run), type=run.verdict)
        yield case


def _named(name: str, place: str, seconds: float) -> ET.Element:
    return ET.Element("testcase", name=clean(name), classname=clean(place), time=f"{seconds:.3f}")


def _properties(parent: ET.Element, facts: Iterable[tuple[str, str]]) -> None:
    properties = ET.SubElement(parent, "properties")
    for name, value in facts:
        if value:
            ET.SubElement(properties, "property", name=name, value=clean(value))


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    told = ET.SubElement(parent, tag, {name: clean(each) for name, each in attributes.items()})
    told.text = clean(text)
