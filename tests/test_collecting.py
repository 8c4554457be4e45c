"""Tests of what is refused at collection: each mistake by its sentence, none by a traceback."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.project import BAD, Ended, project, run

FEATURES = sorted((BAD / "features").glob("*.feature"))
EXPECTS = "# expects: "
ASYNC = '''\
from watchkeeper.meaning import Elapsed, Meaning
from watchkeeper.pytest_plugin.words import word


@word("all is well", "then")
async def well() -> Meaning:
    """Nothing would ever await it."""
    return Elapsed(1, "")
'''


def expected(feature: Path) -> list[str]:
    lines = feature.read_bytes().decode(errors="replace").splitlines()
    told = [line.removeprefix(EXPECTS) for line in lines if line.startswith(EXPECTS)]
    return [f"features/{feature.name}:{each}" for each in told]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """One run of all bad features and a good one."""
    folder = project(tmp_path_factory.mktemp("bad"), *FEATURES)
    (folder / "features" / "nothing.feature").write_bytes(b"")
    return run(folder, "--tb=short")


@pytest.mark.parametrize("feature", FEATURES, ids=lambda path: path.stem)
def test_a_wrong_feature_is_refused_in_its_own_words(feature: Path, ended: Ended) -> None:
    """Each file of bad/features says in its first lines all that it must be told."""
    block = re.search(
        rf"^_+ ERROR collecting features/{feature.name} _+\n((?:features/.*\n)*)",
        ended.out,
        re.MULTILINE,
    )
    assert (block[1].splitlines() if block else []) == expected(feature)


def test_there_are_bad_features() -> None:
    """An empty folder would make the test above green."""
    assert sum(bool(expected(feature)) for feature in FEATURES) > 45


def test_a_file_of_no_bytes_is_refused(ended: Ended) -> None:
    """pytest-bdd itself trips over it with a KeyError."""
    assert 'features/nothing.feature:1: there is no "Feature:"' in ended.out


def test_no_mistake_of_a_user_ends_in_a_traceback(ended: Ended) -> None:
    """Whoever writes features reads no Python."""
    assert not re.search(r"Traceback|INTERNALERROR|\.py:\d+|^E  ", ended.out, re.MULTILINE)


def test_one_broken_file_does_not_blind_the_rest(ended: Ended) -> None:
    """The good feature was looked at, and the run ends as a configuration error all the same."""
    assert re.search(r"features/good\.feature \.", ended.out)
    assert ended.code == 4


def test_nothing_but_a_broken_file_is_a_configuration_error(tmp_path: Path) -> None:
    """Also where no scenario is left to run."""
    folder = project(tmp_path, BAD / "features" / "no-id.feature")
    ended = run(folder, "--tb=short", "features/no-id.feature")
    assert "has no id; tag it with its procedure" in ended.out
    assert ended.code == 4


def test_complaints_are_shown_without_any_option(tmp_path: Path) -> None:
    """Plain `pytest` tells what is wrong, also where other scenarios ran."""
    ended = run(project(tmp_path, BAD / "features" / "no-id.feature"))
    assert "features/no-id.feature:6:" in ended.out
    assert ended.code == 4


def test_a_wrong_target_file_is_told_once(tmp_path: Path) -> None:
    """Every feature needs the target files; one complaint is enough."""
    folder = project(tmp_path, BAD / "features" / "no-id.feature")
    (folder / "targets" / "shop.yml").write_text("system: shop\nsytem: shop\n")
    ended = run(folder, "--tb=short")
    assert ended.out.count('unknown key "sytem", expected one of') == 1
    assert "did you mean" in ended.out
    assert "shop.yml:2 is wrong, as told above" in ended.out
    assert "Traceback" not in ended.out
    assert ended.code == 4


def test_an_async_word_is_refused(tmp_path: Path) -> None:
    """pytest-bdd would never await it, and the step would pass."""
    ended = run(project(tmp_path, steps=ASYNC), "--tb=short")
    assert "own_steps.py:5: the word well is async, and nothing would ever await it" in ended.out
    assert not re.search(r"Traceback|INTERNALERROR", ended.out)
    assert ended.code == 4


def test_an_unset_variable_is_named_before_anything_is_looked_at(tmp_path: Path) -> None:
    """No run, no report: only what to set."""
    folder = project(tmp_path)
    target = folder / "targets" / "shop.yml"
    target.write_text(target.read_text().replace("SHOP_DB", "SHOP_STORE"))
    ended = run(folder)
    assert "needs the environment variable SHOP_STORE, which is not set" in ended.out
    assert not re.search(r"Traceback|INTERNALERROR", ended.out)
    assert ended.code == 4


def test_an_unknown_target_names_those_there_are(tmp_path: Path) -> None:
    """A misspelt target must not be taken for another."""
    ended = run(project(tmp_path), "--target", "lve")
    assert "the shop has no target lve; shop.yml has: replica, live" in ended.out
    assert 'did you mean "live"?' in ended.out
    assert ended.code == 4
