"""Redaction: no secret is written, and what is no secret stays."""

from __future__ import annotations

import base64
import html
import json
import string
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchkeeper.recording.redaction import REPLACEMENT, Canary, Redactor, clean
from watchkeeper.target_secrets import Secrets

LETTERS = string.ascii_letters + string.digits + "!$%&/()=?+ \"'\\@:;,<>|äß"
SECRETS = st.text(LETTERS, min_size=4).filter(
    lambda secret: secret not in REPLACEMENT
)  # fmt: skip
SPELLINGS = (
    str,
    lambda secret: quote(secret, safe=""),
    lambda secret: quote(secret, safe="").lower() if secret.islower() else secret,
    lambda secret: json.dumps(secret)[1:-1],
    lambda secret: json.dumps(json.dumps({"body": secret})),
    html.escape,
    lambda secret: base64.b64encode(secret.encode()).decode(),
    lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
)


@given(SECRETS, st.text(), st.text(), st.sampled_from(SPELLINGS))
def test_a_known_secret_is_found_in_any_text_and_spelling(secret, before, after, spell) -> None:
    """Whatever stands around a known secret, it is gone in each of its usual spellings."""
    written = Redactor([secret]).text(before + spell(secret) + after)
    assert secret not in written.replace(REPLACEMENT, "\0")


@given(SECRETS.filter(lambda secret: len(secret.encode()) >= 8), st.text(max_size=9))
def test_a_known_password_is_found_inside_basic_authentication(password, user) -> None:
    """A password is found in the base64 of user:password, also where the user is not known."""
    sent = base64.b64encode(f"{user}:{password}".encode("utf-8", "replace")).decode()
    assert Redactor([password]).text(sent) != sent


@given(st.text(LETTERS, min_size=1), st.text(LETTERS, max_size=9), st.integers(0, 2))
def test_a_known_login_is_found_as_it_is_sent(password, user, before) -> None:
    """Also of a password too short to be looked for by itself, and inside something longer."""
    redactor = Redactor()
    redactor.add_login(user, password)
    pair = f"{user}:{password}"
    assert base64.b64encode(pair.encode()).decode() not in redactor.text(
        f"sent {base64.b64encode(pair.encode()).decode()}"
    ).replace(REPLACEMENT, "\0")
    longer = base64.b64encode(b"x" * before + pair.encode()).decode()
    assert len(pair) < 8 or redactor.text(longer) != longer


def test_variables_of_programs_are_secret_where_their_names_say_so() -> None:
    """A telling name makes a value known; "none" is none, and other names are left alone."""
    redactor = Redactor()
    named = (("API_TOKEN", "Zq77opq"), ("LANG", "C.UTF-8"), ("DB_PASSWORD", "none"))
    redactor.add_secrets(Secrets(named=named))
    assert redactor.text("Zq77opq, C.UTF-8, none") == "‹redacted›, C.UTF-8, none"


LEAVES = st.none() | st.booleans() | st.integers() | st.text()
DATA = st.recursive(
    LEAVES | st.just("SECRET"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # of a busy machine
@given(DATA, SECRETS.filter(lambda secret: not secret.isdigit()))
def test_a_known_secret_is_found_in_nested_data_which_stays_json(data, secret) -> None:
    """However deep a secret lies, it is gone, and what is left can be serialised."""
    placed = json.loads(json.dumps(data))
    planted = _planted(placed, f"x{secret}y")
    written = json.dumps(Redactor([secret]).value(planted), ensure_ascii=False)
    assert f"x{secret}y" not in written
    json.loads(written)


def _planted(data, secret):
    if isinstance(data, list):
        return [_planted(each, secret) for each in data]
    if isinstance(data, dict):
        return {name: _planted(each, secret) for name, each in data.items()}
    return secret if data == "SECRET" else data


@given(st.text())
def test_redacting_twice_changes_nothing(text: str) -> None:
    """Redaction is stable, so several writers may each apply it."""
    once = Redactor().text(text)
    assert Redactor().text(once) == once


SHAPES = (
    "Authorization: Bearer hunter22",
    "Authorization: hunter22",
    'Authorization: Digest username="u", response="hunter22"',
    '{"Authorization": "Basic hunter22="}',
    "{'authorization': b'Bearer hunter22'}",
    "curl -H 'Authorization: Bearer hunter22' http://h/",
    "401 for Bearer hunter22",
    'Cookie: session="hunter22"; b=c',
    "Set-Cookie: sid=hunter22; Path=/",
    "[('cookie', 'sid=hunter22')]",
    "GET /api?apikey=hunter22&hours=24",
    "GET /api?api_key=hunter22",
    "POST token=hunter22&x=1",
    "password=hunter22",
    "client_secret=hunter22",
    "?pass=hunter22",
    "MEDIA_PIPELINE_TOKEN=hunter22",
    "X-Api-Key: hunter22",
    "postgresql://bob:hunter22@db:5432/x",
    "redis://:hunter22@h:6379",
    "https://u:p@hunter22@h/",
    "https://hunter22hunter22hunter22@github.example/x",
    '{"access_token": "hunter22", "expires": 3}',
    '{"access_token":" hunter22"}',
    '{"password":"a\\"hunter22"}',
    r"{\"refresh_token\": \"hunter22\"}",
    "{'api_key': 'hunter22'}",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJodW50ZXIyMiJ9.hunter22",
    "-----BEGIN RSA PRIVATE KEY-----\nhunter22\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\nhunter22 and cut off",
    "backup --password hunter22 --out f",
    "backup --db-password=hunter22",
    "curl -u bob:hunter22 http://h",
    '"token": "hunter22',
    "['backup', '--password', 'hunter22', 'x']",
    '["backup","--db-password","hunter22"]',
    r"[\"--token\", \"hunter22\"]",
    '<input type="hidden" name="csrf_token" value="hunter22">',
    "<input value='hunter22' name='csrf' type='hidden'/>",
    r'{"page": "<meta name=\"csrf-token\" content=\"hunter22\">"}',
    '<input type="password" value="hunter22',
)


@pytest.mark.parametrize("text", SHAPES)
def test_what_looks_like_a_secret_is_replaced(text: str) -> None:
    """A secret that nobody made known is recognised by what stands before it."""
    written = Redactor().text(text)
    assert "hunter22" not in written
    assert REPLACEMENT in written


HARMLESS = (
    "error rate was 12.3%, expected below 10% (GET /api/v1/stats?hours=24 at 09:00:12Z, 41 ms)",
    "the token is expired",
    '{"token": null, "password": "", "token_type": "bearer"}',
    "basic authentication failed",
    "5 passed: 3 now",
    "author: bob, design: round, bypass: no, tokens: 7",
    "http://127.0.0.1:8000/users/@me",
    "mail ops@example.org",
    "session: 5 active",
    '<input type="hidden" name="page" value="7"><meta name="viewport" content="width=1">',
    "['--password', '--help']",
)


WITH_SECRETS = st.lists(st.sampled_from(SHAPES) | st.text(max_size=12), max_size=6).map("".join)


@given(WITH_SECRETS, st.lists(SECRETS, max_size=3))
def test_redaction_is_stable_and_bounded(text: str, known: list[str]) -> None:
    """However shapes and known secrets are mixed, redacting again changes nothing, and a text grows
    by one replacement for each of its characters at most.
    """
    redactor = Redactor(known)
    once = redactor.text(text + "".join(known))
    assert redactor.text(once) == once
    assert len(once) <= (len(text) + sum(map(len, known))) * (len(REPLACEMENT) + 1)


ENCODINGS = (
    str,
    lambda text: quote(text, safe=""),
    lambda text: json.dumps(text)[1:-1],
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    html.escape,
)
LONG_SECRETS = st.text(string.ascii_letters + string.digits + '+/"&ä', min_size=12, max_size=40)


@given(LONG_SECRETS, st.text(max_size=9), st.text(max_size=9), st.sampled_from(ENCODINGS))
def test_a_secret_does_not_survive_an_encoding_of_what_it_stands_in(
    secret: str, before: str, after: str, encode
) -> None:
    """A text with a secret in it may be encoded as a whole: less than a third of the secret, the
    letters that base64 shares with its neighbours, is left.
    """
    whole = encode(f"{before}{secret}{after}")
    left = Redactor([secret]).text(whole)
    assert secret not in left
    assert len(left.replace(REPLACEMENT, "")) <= len(whole) - len(encode(secret)) * 2 // 3


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    """Redaction does not eat the evidence."""
    assert Redactor().text(text) == text


@dataclass(frozen=True)
class Login:
    user: str
    password: str
    tries: int = 3


def test_values_are_blanked_by_their_names() -> None:
    """A value under a telling name is a secret whatever it looks like; none and yes/no are not."""
    redactor = Redactor()
    assert redactor.value({"apiKey": 5, "password": None, "n": {"token": ["a"]}, "x": "y"}) == {
        "apiKey": REPLACEMENT,
        "password": None,
        "n": {"token": [REPLACEMENT]},
        "x": "y",
    }
    assert redactor.value(["--password", "a", "b"]) == ["--password", REPLACEMENT, "b"]
    assert redactor.value([("X-Api-Key", "a")]) == [("X-Api-Key", REPLACEMENT)]
    assert redactor.value(Login("bob", "a")) == Login("bob", REPLACEMENT)
    unchanged = Login("bob", "")
    assert redactor.value(unchanged) is unchanged


def test_a_table_is_blanked_by_its_columns() -> None:
    """What stands under a telling name is blanked in every row, and an empty cell stays empty."""
    rows = [("id", "api_key"), ("1", "a"), ("password=hunter22", ""), ("2", "b", "more")]
    assert Redactor().table(rows) == (
        ("id", "api_key"),
        ("1", REPLACEMENT),
        (f"password={REPLACEMENT}", ""),
        ("2", REPLACEMENT, "more"),
    )
    assert Redactor().table([]) == ()


def test_a_numeric_secret_is_replaced_as_a_number_too() -> None:
    """A PIN is a secret also where it was parsed as a number."""
    assert Redactor(["123456"]).value({"n": 123456, "m": 12}) == {"n": REPLACEMENT, "m": 12}


def test_too_short_a_secret_is_declined_and_counted() -> None:
    """Three characters would blank ordinary words; the caller is told."""
    redactor = Redactor()
    assert redactor.add("abc") is False
    assert redactor.too_short == 1
    assert redactor.text("abc") == "abc"


def test_nested_too_deeply_is_cut_and_not_a_crash() -> None:
    """Hostile nesting ends in a text."""
    data: list[object] = []
    for _ in range(5_000):
        data = [data]
    assert "nested too deeply" in str(Redactor().value(data))


@pytest.mark.parametrize(
    "part",
    ["token=", "eyJ", "://a", '"token": "', "basic ", "a", "authorization:", "cookie:", "--a-",
     "-----BEGIN PRIVATE KEY-----", "://a:", "<input ", "<input name=csrf value=", "--token',",
     "password\\", "token    ", "-u a", "\x1b]", "\x1b["],
)  # fmt: skip
def test_hostile_texts_take_linear_time(part: str) -> None:
    """A megabyte of any beginning of a shape takes no more than two seconds."""
    began = time.process_time()
    Redactor(["hunter22"]).text(clean(part * (1_000_000 // len(part))))
    assert time.process_time() - began < 2


@given(st.text(st.characters(), max_size=300))
def test_clean_text_is_plain(text: str) -> None:
    """No control character but tab and line feed is left, and any encoder takes the text."""
    plain = clean(text)
    plain.encode("utf-8")
    assert all(char in "\t\n" or char.isprintable() or not _acts(char) for char in plain)
    assert clean(plain) == plain


def _acts(char: str) -> bool:
    return ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 or 0x2028 <= ord(char) <= 0x202E


def test_terminal_escapes_go_and_what_they_wrapped_stays() -> None:
    """Colours, titles and links are removed; an escape that never ends hides nothing."""
    assert clean("\x1b[31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07") == "red link"
    assert clean("\x1b]0;never ends: error") == "␛]0;never ends: error"
    assert clean("a\u202eb\x00") == "a\\u202eb␀"
    assert clean("\ud800") == "\ufffd"


def test_long_lines_are_cut_with_a_note() -> None:
    """The reader learns how much is missing."""
    assert clean("x" * 5_000) == "x" * 4_000 + "… (1,000 more characters)"


def test_the_canary_is_found_in_what_leaks_only(tmp_path: Path) -> None:
    """Plain, in base64 and across the edge of a chunk: the canary is found, and nothing else."""
    redactor = Redactor()
    canary = Canary.planted_in(redactor)
    (tmp_path / "deep").mkdir()
    canary.feed("redacted", lambda text: (tmp_path / "kept").write_text(redactor.text(text)))
    canary.feed("leaks", (tmp_path / "deep" / "leaks").write_text)
    packed = base64.b64encode(f"xy{canary.marker}z".encode())
    (tmp_path / "packed").write_bytes(packed)
    (tmp_path / "edge").write_bytes(b"x" * (Canary.CHUNK - 5) + canary.marker.encode())
    found = {path.name for path in canary.searches(tmp_path)}
    assert found == {"leaks", "packed", "edge"}
    assert canary.fed == ["redacted", "leaks"]


def test_redaction_is_fast() -> None:
    """Ten thousand ordinary sentences take well under a second."""
    redactor = Redactor([f"secret-number-{i}" for i in range(20)])
    began = time.process_time()
    for _ in range(10_000):
        redactor.text(HARMLESS[0])
    assert time.process_time() - began < 1
