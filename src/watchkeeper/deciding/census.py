"""Which checks must run for a profile, and which of them did not?"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One check of the suite: `node` tells it from all others, `tags` are its profiles and more."""

    node: str
    tags: frozenset[str]


@dataclass(frozen=True)
class Census:
    """What a run had to contain, what of it is missing, and why it claims less, if it does.

    `missing` is empty where `partial` says why: such a run claims no profile at all.
    """

    expected: tuple[str, ...]
    missing: tuple[str, ...]
    partial: str = ""


def profile_of(expression: str) -> frozenset[str] | None:
    """The tags of `-m daily` or `-m "routing-ml and deploy"`, none for no expression (everything);
    None for any other expression."""
    tags = re.split(r"\s+and\s+", expression.strip())
    if tags == [""]:
        return frozenset()
    plain = all(re.fullmatch(r"(?!(?:and|or|not)$)[\w-]+", tag) for tag in tags)
    return frozenset(tags) if plain else None


def expected(suite: Iterable[Entry], profile: frozenset[str]) -> tuple[str, ...]:
    """The nodes that must run for `profile`, those with all its tags, in their order."""
    return tuple(entry.node for entry in suite if profile <= entry.tags)


def missing(expected_nodes: Iterable[str], recorded: Collection[str]) -> tuple[str, ...]:
    """Those of the expected nodes that nobody recorded, in their order."""
    there = set(recorded)
    return tuple(node for node in expected_nodes if node not in there)


def partial(expression: str, narrowed_by: Sequence[str] = ()) -> str:
    """Why a run is less than its profile, or "".

    `narrowed_by`: the options that took checks away, as they were typed ("-k radarr", "--lf").
    """
    reasons = list(narrowed_by)
    if profile_of(expression) is None:
        reasons.append(f'-m "{expression.strip()}"')
    return f"narrowed by {', '.join(reasons)}" if reasons else ""


def take(
    suite: Iterable[Entry],
    recorded: Collection[str],
    expression: str = "",
    narrowed_by: Sequence[str] = (),
) -> Census:
    """The census of a run over the whole `suite`, as collected before anything was deselected."""
    why = partial(expression, narrowed_by)
    if why:
        return Census((), (), why)
    nodes = expected(suite, profile_of(expression) or frozenset())
    return Census(nodes, missing(nodes, recorded))
