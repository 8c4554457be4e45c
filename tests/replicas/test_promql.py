"""Does the stand-in for Prometheus compute what Prometheus computes?

promql_answers.json holds what the real one (2.42) said about promql_samples, recorded by feeding it
`promql_samples.exposition()` through promtool and asking each query at three and a half seconds
before the last sample.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.replicas import promql_samples

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE.parents[1] / "fixtures" / "replicas" / "routing-ml" / "programs"
sys.path.append(str(PROGRAMS))  # last: no program there may hide a package

import promql  # noqa: E402  it is found through the line above

ANSWERS: dict[str, Any] = json.loads((HERE / "promql_answers.json").read_text())
AT = promql_samples.END - 3.5
SERIES = promql_samples.series()
CLOSE = 1e-9  # sums are formed in another order


def value_of(query: str) -> Any:
    return promql.Query(query).at(AT, lambda wanted: [one for one in SERIES if wanted(one.labels)])


def lines(query: str) -> list[tuple[dict[str, str], list[float]]]:
    """Labels and numbers (values; of a range also the instants), in the order of the labels."""
    value = value_of(query)
    if promql.Query(query).gives_matrix:
        found = [(dict(labels), [n for s in samples for n in s]) for labels, samples, *_ in value]
    else:
        found = [(dict(e.labels), [e.value]) for e in value]
    return sorted(found, key=lambda line: sorted(line[0].items()))


def recorded(result: list[Any]) -> list[tuple[dict[str, str], list[float]]]:
    found = []
    for one in result:
        values = [n for s in one["values"] for n in s] if "values" in one else one["value"][1:]
        found.append((one["metric"], [float(n) for n in values]))
    return sorted(found, key=lambda line: sorted(line[0].items()))


def same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=CLOSE) or (math.isnan(one) and math.isnan(other))


def test_there_is_something_to_compare() -> None:
    """More than a hundred answers, of which most hold numbers."""
    assert len(ANSWERS) > 130
    assert sum(bool(a) and "error" not in a for a in ANSWERS.values()) > 100


@pytest.mark.parametrize("query", ANSWERS)
def test_the_value_is_the_real_one(query: str) -> None:
    """The same series with the same numbers, or the same kind of refusal."""
    answer = ANSWERS[query]
    if isinstance(answer, dict):
        refusal = {"bad_data": promql.BadQuery, "execution": promql.CannotEvaluate}
        with pytest.raises(refusal[answer["error"]]):
            value_of(query)
    elif answer and not isinstance(answer[0], dict):
        assert str(value_of(query)) == answer[1] or same(value_of(query), float(answer[1]))
    else:
        ours, theirs = lines(query), recorded(answer)
        assert [labels for labels, _ in ours] == [labels for labels, _ in theirs]
        pairs = zip(ours, theirs, strict=True)
        assert all(same(*n) for (_, a), (_, b) in pairs for n in zip(a, b, strict=True)), ours


def test_what_is_not_known_is_refused() -> None:
    """A function that the grammar knows and the stand-in does not is named, not guessed."""
    with pytest.raises(promql.CannotEvaluate, match="predict_linear is not known here"):
        value_of("predict_linear(up[5m], 60)")
