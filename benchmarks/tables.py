"""The tables of README.md, written from what was measured; nobody types a figure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

_PART = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_HEAD = (
    "| tool | wall, median | least to most | ratio | CPU | peak memory |\n|---|---|---|---|---|---|"
)


def write(readme: Path, out: Path) -> None:
    """Fill each `<!-- table: NAME -->` of `readme` from out/NAME.json, where there is one."""

    def part(found: re.Match[str]) -> str:
        path = out / f"{found[2]}.json"
        if not path.exists():
            return found[0]
        return f"{found[1]}{_table(json.loads(path.read_text()))}\n{found[3]}"

    readme.write_text(_PART.sub(part, readme.read_text()))


def _table(found: Mapping[str, Any]) -> str:
    machine = found["machine"]
    note = (
        f"{machine['date']}, {machine['cores']} cores, Python {machine['python']}, "
        f"{machine['kernel']}"
    )
    note += f", {found['checks']:,} checks" if found["benchmark"] in ("a", "b") else ""
    note += "; quick: what takes minutes was left out" if found["quick"] else ""
    return "\n".join((f"{note}\n\n{_HEAD}", *_rows(found["samples"])))


def _rows(samples: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    tools = dict.fromkeys(each["tool"] for each in samples)
    first = next(iter(tools))
    floors = [each["wall_s"] for each in samples if each["tool"] == first]
    for tool in tools:
        own = [each for each in samples if each["tool"] == tool]
        walls = [each["wall_s"] for each in own]
        # Rounds are compared within themselves: machines drift from round to round.
        same = len(walls) == len(floors)
        ratio = median(
            wall / (floor if same else median(floors))
            for wall, floor in zip(walls, floors if same else walls, strict=True)
        )
        yield (
            f"| {tool} | {median(walls):.2f} s | {min(walls):.2f} to {max(walls):.2f} s "
            f"| {ratio:.2f} | {median(each['cpu_s'] for each in own):.2f} s "
            f"| {median(each['peak_mb'] for each in own):.0f} MB |"
        )
