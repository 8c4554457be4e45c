"""Tests of how YAML files are read: strictly, as they were written, with the place of a mistake."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from watchkeeper.errors import ConfigurationError
from watchkeeper.yaml_file import YamlNode, nearest, read_yaml


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "file.yml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(folder: Path, text: str) -> YamlNode:
    return read_yaml(written(folder, text))


def refusal(folder: Path, text: str | bytes) -> str:
    """The complaint, without the folder in front."""
    with pytest.raises(ConfigurationError) as caught:
        read_yaml(written(folder, text))
    return str(caught.value).removeprefix(f"{folder}/")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("off", "off"),
        ("no", "no"),
        ("yes", "yes"),
        ("y", "y"),
        ("9:30", "9:30"),
        ("2026-03-01", "2026-03-01"),
        ("2026-02-30", "2026-02-30"),
        ("2026-03-01T09:00:00Z", "2026-03-01T09:00:00Z"),
        ("'1.10'", "1.10"),
        ("0o10", 8),
        ("010", 10),
        ("true", True),
        ("~", None),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(tmp_path: Path, text: str, value: object) -> None:
    """No word becomes a truth value, no time of day a number, and no date is read for us."""
    assert read(tmp_path, f"a: {text}\n").plain() == {"a": value}


@pytest.mark.parametrize("key", ["on", "no", "9:30", "2026-03-01"])
def test_keys_stay_texts(tmp_path: Path, key: str) -> None:
    """Under YAML 1.1 `on: store` became {True: "store"}."""
    assert read(tmp_path, f"{key}: store\n").keys() == (key,)


def test_a_number_as_a_key_is_refused_as_it_was_written(tmp_path: Path) -> None:
    """1.10 is not 1.1: whoever means a version says so by quotes."""
    node = read(tmp_path, "a: 1\n1.10: b\n")
    with pytest.raises(ConfigurationError, match=r":2: the key 1\.10 is no text\n +put it in quot"):
        node.keys()


def test_numbers_as_keys_below_keep_their_spelling(tmp_path: Path) -> None:
    """What a system says as 1.10 is found again as "1.10"."""
    plain = read(tmp_path, "values: {1.10: old, 200: up}\n").plain()
    assert list(plain["values"]) == ["1.10", 200]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "file.yml: is empty, expected a mapping"),
        ("# only a comment\n", "file.yml: is empty, expected a mapping"),
        ("- a\n", "file.yml: is a list, expected a mapping"),
        ("just words\n", "file.yml: is a text, expected a mapping"),
        ("a: 1\nb: 2\na: 3\n", 'file.yml:3: the key "a" is there twice\n    keep one of the two'),
        (
            "a:\n  b: 1\n\tc: 2\n",
            "file.yml:3: is no YAML: found character '\\t' that cannot start any token\n"
            "    indent with spaces, YAML allows no tabs",
        ),
        ("a: *b\n", "file.yml:1: is no YAML: found undefined alias"),
        ("a: b: c\n", "file.yml:1: is no YAML: mapping values are not allowed here"),
        (
            b"a: 1\nb: \xff\n",
            "file.yml:2: is not UTF-8\n    save it with the encoding UTF-8",
        ),
        (
            "a: \x01\n",
            "file.yml: is no YAML: unacceptable character #x0001: "
            "special characters are not allowed",
        ),
    ],
)
def test_what_is_no_mapping_is_refused_with_its_place(
    tmp_path: Path, text: str | bytes, complaint: str
) -> None:
    """File, line, what is wrong, and where there is one, what to write."""
    assert refusal(tmp_path, text) == complaint


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """No traceback of a FileNotFoundError."""
    with pytest.raises(ConfigurationError, match=r"none\.yml: there is no such file"):
        read_yaml(tmp_path / "none.yml")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """Whatever the operating system says, it is a sentence."""
    with pytest.raises(ConfigurationError, match="can't be read: Is a directory"):
        read_yaml(tmp_path)


def test_a_place_is_the_innermost_that_is_there(tmp_path: Path) -> None:
    """A missing key is complained about where it should stand."""
    node = read(tmp_path, "a:\n  b:\n    - one\n    - two\n")
    assert [node.place(*keys).line for keys in (("a",), ("a", "b", 1), ("a", "c"), ("x",))] == [
        1,
        4,
        1,
        1,
    ]


def test_nearest_says_nothing_rather_than_nonsense() -> None:
    """A hint that misleads is worse than none."""
    assert nearest("timout", ["timeout", "url"]) == 'did you mean "timeout"?'
    assert nearest("banana", ["timeout", "url"]) == ""


SCALARS = (
    st.none() | st.booleans() | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False, width=32).map(float)
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12)
    | st.sampled_from(("no", "on", "9:30", "1.10", "2026-03-01", "~", "null", "- a", "{a", "a: b"))
)  # fmt: skip
NAMES = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=6)
NESTED = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
QUICK = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@QUICK
@given(st.dictionaries(NAMES, NESTED, max_size=4), st.booleans())
def test_any_nesting_comes_back_as_it_was_written(
    tmp_path: Path, data: dict[str, object], in_a_line: bool
) -> None:
    """Mappings, lists and scalars, in blocks or in one line, are read as they were written."""
    writer = YAML()
    writer.default_flow_style = in_a_line
    out = StringIO()
    writer.dump(data, out)
    assert read(tmp_path, out.getvalue()).plain() == data
    assert read(tmp_path, json.dumps(data, ensure_ascii=False)).plain() == data


PIECES = st.sampled_from(
    ("a: ", "- ", "\n", "  ", "\t", "{", "}", "[", "]", '"', "'", ":", "#", "&a ", "*a", "!!int ",
     "!b ", "|", ">", "%", "@", "`", "? ", "<<: ", "---\n", "...", "1_0", "0x", "1e", ".inf",
     "2026-02-30", "\\x", "\x00", "\ufeff", "ä", "\u2028", "a: 1\n", "!!binary ",
     "!!timestamp ", "!!null ", "!!python/object:os.system "),
)  # fmt: skip


@settings(QUICK, max_examples=300)
@given(st.lists(PIECES | st.text(max_size=3), max_size=10).map("".join) | st.binary(max_size=20))
def test_garbage_is_refused_with_its_place_or_read(tmp_path: Path, text: str | bytes) -> None:
    """No file, whatever stands in it, ends in another exception than a complaint that names it."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    path = written(tmp_path, raw)
    try:
        read_yaml(path).plain()
    except ConfigurationError as refused:
        assert refused.place is not None
        assert refused.place.path == path


@pytest.mark.parametrize("tag", ["!!set", "!!omap", "!!bool"])
def test_a_tag_that_does_not_fit_is_refused(tmp_path: Path, tag: str) -> None:
    """A tag of YAML on what it does not fit is a complaint as well, and no exception of Python."""
    assert "file.yml" in refusal(tmp_path, f"a: {tag} b\n")
