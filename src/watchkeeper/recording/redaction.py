"""What must not be written, and how it is taken out of values before anything is serialised."""

from __future__ import annotations

import base64
import dataclasses
import html
import json
import re
import secrets
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote, quote_plus

from watchkeeper.target_secrets import Secrets

REPLACEMENT = "‹redacted›"
SHORTEST = 4  # a shorter secret would blank out ordinary words, and hides nothing from a guesser
DEEPEST = 100  # nested levels; deeper data is hostile, and would exhaust Python's stack
REMEMBERED = 10_000  # texts that are remembered as clean; about a megabyte
REMEMBERED_LENGTH = 200  # characters of such a text; longer ones seldom come twice
LONGEST_LINE = 4_000  # characters; nobody reads on, and browsers lay out longer lines slowly

_NAMES = (
    r"api[_-]?key|token|password|passwd|passphrase|(?<=[_?&-])pass|pwd|secret|credentials?"
    r"|secret[_-]?key|access[_-]?key(?:[_-]?id)?|private[_-]?key|(?<![a-z])sig|signature"
    r"|session[_-]?id"
)
# A value that says that there is none is news, not a secret.
_NONE = "(?:null|none|true|false|undefined)?"
_NO_SECRET = re.compile(_NONE, re.IGNORECASE)
_NOTHING = rf"""(?!{_NONE}(?:[\s,;)}}\]&]|$)|\\*"{_NONE}\\*"|\\*'{_NONE}\\*')"""
_QUOTED = r""""(?:[^"\\]|\\.)*|'(?:[^'\\]|\\.)*"""
_ESCAPED = r"""\\+["'][^"'\\]*"""
_BARE = r"""[^\s&"'<>\\]*[^\s&"'<>\\),;\]}]"""

_HIDDEN = re.compile(
    rf"""\b(?:name|type|id)\s{{0,4}}=\s{{0,4}}\\*["']?[\w.:-]{{0,40}}(?:{_NAMES}|csrf)""",
    re.IGNORECASE,
)
_SHOWN = re.compile(
    r"""(\b(?:value|content)\s{0,4}=\s{0,4})(?:(\\*")[^"\\<>]+|(\\*')[^'\\<>]+|[^\s"'\\<>]+)""",
    re.IGNORECASE,
)


def _blank_field(found: re.Match[str]) -> str:
    """A field of a page, without its value where its name is telling."""
    if not _HIDDEN.search(found[0]):
        return found[0]
    return _SHOWN.sub(r"\1\2\3‹redacted›", found[0])


def _keep_quote(found: re.Match[str]) -> str:
    """The name as it stood, the opening quote if there was one, and the replacement."""
    rest = found[0][len(found[1]) :]
    quotes = re.match(r"""\\*["']""", rest)
    return found[1] + (quotes[0] if quotes else "") + REPLACEMENT


_SHAPES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), replacement)
    for pattern, replacement in (
        # Every pattern is linear: repeats are bounded, or nothing after them can fail.
        (
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?"
            r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)",
            REPLACEMENT,
        ),
        (r"(authorization\s{0,4}:\s{0,4}(?:digest|aws4[\w-]*|hmac)\b)[^\r\n]+", r"\1 ‹redacted›"),
        (
            r"""(authorization\\*["']?\s{0,4}[=:,]\s{0,4}(?:b(?=["']))?)"""
            rf"""(?:(\\*["'])[^"'\\]*|{_NOTHING}[^\r\n"'\\]+)""",
            r"\1\2‹redacted›",
        ),
        (
            r"""(cookie\\*["']?\s{0,4}[:,]\s{0,4}(?:b(?=["']))?)"""
            r"""(?:(\\+["'])[^"'\\]*|(")(?:[^"\\]|\\.)*|(')(?:[^'\\]|\\.)*|[^\r\n"'\\][^\r\n]*)""",
            r"\1\2\3\4‹redacted›",
        ),
        (
            r"""\b(bearer|basic)(\s{1,4})(?=[^\s"']{0,2000}(?-i:[A-Z0-9=]))[\w.~+/=-]{8,}""",
            r"\1\2‹redacted›",
        ),
        (r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?", REPLACEMENT),
        (
            r"""(://[^\s:/@?#"'<>]{0,256}:)"""
            r"""(?:[^\s"'<>/?#]{1,512}@|(?!\d{1,5}[/?#])[^\s"'<>@]{1,512}@)""",
            r"\1‹redacted›@",
        ),
        (r"""(://)[^\s:/@?#"'<>]{20,512}@""", r"\1‹redacted›@"),
        (
            rf"""((?:{_NAMES})\\*["']?\s{{0,4}}[=:]\s{{0,4}}){_NOTHING}"""
            rf"""(?:(?:{_QUOTED})|(?:{_ESCAPED})|{_BARE})""",
            _keep_quote,
        ),
        (
            rf"""((?<![\w-])--?(?:[a-z]+-){{0,3}}(?:{_NAMES})"""
            r"""(?:\s{1,4}(?!-)|\\*["'],\s{0,4}(?!\\*["']-)))"""
            rf"""(?:(?:{_QUOTED})|(?:{_ESCAPED})|{_BARE})""",
            _keep_quote,
        ),
        (
            r"""((?<![\w-])(?:-u|--user|--proxy-user)[ =]["']?[^\s:"']{1,256}:)[^\s"']+""",
            r"\1‹redacted›",
        ),
        (r"<(?:input|meta)\b[^<>]{0,1000}", _blank_field),
    )
)
# No shape matches a text without one of these; most texts end here.
_SIGNS = (
    "auth", "cookie", "bearer", "basic", "key", "token", "pass", "pwd", "secret", "credential",
    "sig", "session", "csrf", "eyj", "@", "-u", "--user", "--proxy",
)  # fmt: skip
_SENSITIVE = re.compile(
    rf"(?:^|[^a-z]|(?<=[a-z])(?=[A-Z]))(?i:{_NAMES}|authorization|(?:set-?)?cookies?)$"
)
_OPTION = re.compile(rf"--?(?:[a-z]+-){{0,3}}(?:{_NAMES})", re.IGNORECASE)


def _shows_a_sign(text: str) -> bool:
    lowered = text.lower()
    for sign in _SIGNS:  # noqa: SIM110 - any() with a generator takes twice as long
        if sign in lowered:
            return True
    return False


@lru_cache(maxsize=1_024)
def _is_telling(name: str) -> bool:
    """Whether what is called `name` is a secret; remembered, as the names are always the same."""
    return _SENSITIVE.search(name) is not None


class Redactor:
    """Takes known secret values, and what looks like one, out of texts and plain data.

    Ask it before serialising: a replacement inside finished JSON may break it. `too_short` counts
    the values that `add` declined.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        # Looks learn secrets in their own thread while texts are searched in others: what is known
        # is never changed, only replaced.
        self._lock = threading.Lock()
        self._known: frozenset[str] = frozenset()
        self._exact: frozenset[str] = frozenset()
        self._compiled_of: tuple[frozenset[str], re.Pattern[str]] = (self._known, re.compile(""))
        # Each text of a run passes several writers, and labels come with every check: texts known
        # to be clean are looked up, which takes a tenth of the time of searching them again.
        self._clean: set[str] = set()
        self.too_short = 0
        for value in values:
            self.add(value)

    def add(self, value: str) -> bool:
        """Make `value` and its usual spellings known.

        False where it is shorter than `SHORTEST` characters: it is then not looked for, and the
        caller should tell its owner.
        """
        if len(value) < SHORTEST:
            self.too_short += 1
            return False
        self._know({value}, _spellings(value))
        return True

    def add_login(self, user: str, password: str) -> bool:
        """Make a password known, alone and as HTTP's basic authentication sends it."""
        self._know((), base64_spellings(f"{user}:{password}".encode(*_BYTES)))
        return self.add(password)

    def add_secrets(self, secrets: Secrets) -> None:
        """Make known what a target holds."""
        for value in secrets.values:
            self.add(value)
        for user, password in secrets.logins:
            self.add_login(user, password)
        for name, value in secrets.named:
            if _is_telling(name) and not _NO_SECRET.fullmatch(value):
                self.add(value)

    def text(self, text: str) -> str:
        """`text` without secrets; the same object where it held none."""
        clean_texts = self._clean  # before searching: what is learned meanwhile makes it void
        if text in clean_texts:
            return text
        redacted = self._redacted(text)
        if redacted == text and len(text) <= REMEMBERED_LENGTH:
            if len(clean_texts) >= REMEMBERED:
                clean_texts.clear()
            clean_texts.add(text)
        return redacted

    def _know(self, exact: Iterable[str], spellings: Iterable[str]) -> None:
        with self._lock:
            self._exact = self._exact.union(exact)
            self._known = self._known.union(spellings)
            self._clean = set()

    def _redacted(self, text: str) -> str:
        # Most texts hold none, and compiling anew after each secret that is learnt takes longer.
        if any(known in text for known in self._known):
            text = self._compiled().sub(REPLACEMENT, text)
        if not _shows_a_sign(text):
            return text
        for pattern, replacement in _SHAPES:
            text = pattern.sub(replacement, text)
        return text

    def value(self, data: Any) -> Any:
        """`data` without secrets: nested dicts, lists, tuples, sets, texts and dataclasses.

        A value under a telling name ("password") is blanked whatever it is, and so is what follows
        such a name in a pair or such an option ("--password") in a list. Numbers are replaced where
        they are a known secret. Bytes become text. Other objects come back as they are.
        """
        return self._value(data, 0)

    def table(self, rows: Iterable[Iterable[str]]) -> tuple[tuple[str, ...], ...]:
        """The rows of a table without secrets; the first row names the columns.

        What stands under a telling name ("api_key") is blanked, whatever it is.
        """
        texts = [tuple(self.text(cell) for cell in row) for row in rows]
        told = [_is_telling(name) for name in texts[0]] if texts else []
        return (
            *texts[:1],
            *(
                tuple(
                    _blank(cell) if place < len(told) and told[place] else cell
                    for place, cell in enumerate(row)
                )
                for row in texts[1:]
            ),
        )

    def _compiled(self) -> re.Pattern[str]:
        known, pattern = self._compiled_of
        if known is not self._known:
            known = self._known
            longest_first = sorted(known, key=len, reverse=True)
            pattern = re.compile("|".join(map(re.escape, longest_first)))
            self._compiled_of = (known, pattern)
        return pattern

    def _value(self, data: Any, depth: int) -> Any:
        if isinstance(data, str):
            return self.text(data)
        if data is None or isinstance(data, bool | float):
            return data
        if depth > DEEPEST:
            return "‹nested too deeply›"
        if isinstance(data, int):
            return REPLACEMENT if str(data) in self._exact else data
        return self._nested(data, depth + 1)

    def _nested(self, data: Any, depth: int) -> Any:
        if isinstance(data, Mapping):
            return {self._value(name, depth): self._named(name, data[name], depth) for name in data}
        if isinstance(data, list | tuple):
            return _like(data, self._items(data, depth))
        if isinstance(data, set | frozenset):
            return type(data)(self._value(each, depth) for each in data)
        return self._object(data, depth)

    def _object(self, data: Any, depth: int) -> Any:
        if isinstance(data, bytes | bytearray):
            return self.text(bytes(data).decode("utf-8", "replace"))
        if isinstance(data, PurePath):
            return type(data)(self.text(str(data)))
        if dataclasses.is_dataclass(data) and not isinstance(data, type):
            return self._dataclass(data, depth)
        return data

    def _items(self, items: list[Any] | tuple[Any, ...], depth: int) -> Iterator[Any]:
        pair = len(items) == _PAIR
        before: Any = None
        for item in items:
            told = isinstance(before, str) and (
                _OPTION.fullmatch(before) or (pair and _is_telling(before))
            )
            yield _blank(item) if told else self._value(item, depth)
            before = item

    def _named(self, name: Any, data: Any, depth: int) -> Any:
        if isinstance(name, str) and _is_telling(name):
            return _blank(data)
        return self._value(data, depth)

    def _dataclass(self, data: Any, depth: int) -> Any:
        changes = {}
        for each in dataclasses.fields(data):
            old = getattr(data, each.name)
            new = self._named(each.name, old, depth)
            if each.init and new is not old:
                changes[each.name] = new
        return dataclasses.replace(data, **changes) if changes else data


_BYTES = ("utf-8", "surrogatepass")
_PAIR = 2  # a header or a parameter: name and value


def _blank(data: Any) -> Any:
    """`data` with its shape kept and every value in it replaced; none and yes/no are kept."""
    if data is None or isinstance(data, bool) or data == "":
        return data
    if isinstance(data, Mapping):
        return {name: _blank(data[name]) for name in data}
    if isinstance(data, list | tuple):
        return _like(data, (_blank(each) for each in data))
    return REPLACEMENT


def _like(data: list[Any] | tuple[Any, ...], items: Iterable[Any]) -> list[Any] | tuple[Any, ...]:
    if isinstance(data, list):
        return list(items)
    if hasattr(data, "_fields"):  # a named tuple takes its items one by one
        return type(data)(*items)
    return tuple(items)


def _spellings(value: str) -> Iterator[str]:
    """The ways in which a secret is met: plain, quoted for URLs, JSON and HTML, and in base64.

    JSON also within JSON, as a log or an answer that holds another answer shows it.
    """
    raw = value.encode(*_BYTES)
    yield value
    for quoted in (quote(raw), quote(raw, safe=""), quote_plus(raw)):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quoted)
    for ascii_only in (True, False):
        within = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield within
        yield json.dumps(within, ensure_ascii=ascii_only)[1:-1]
    yield html.escape(value, quote=False)
    yield html.escape(value)
    yield html.escape(value).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    yield repr(value)[1:-1]
    yield from base64_spellings(raw)


def base64_spellings(raw: bytes) -> tuple[str, ...]:
    """What base64 makes of `raw`, alone and inside something longer ("user:" before it).

    Three bytes are four letters, so a secret shows in one of three ways; the letters at both ends
    that its neighbours share are left out. Pieces too short to be telling are left out, too.
    """
    telling = 6  # letters: 36 bits, met by chance once in 10^11 places
    found = {base64.b64encode(raw).decode().rstrip("=")}
    for before in range(3):
        letters = base64.b64encode(bytes(before) + raw).decode()
        core = letters[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        if len(core) >= telling:
            found.add(core)
    safe = {core.replace("+", "-").replace("/", "_") for core in found}
    return tuple(sorted(found | safe))


_ANSI = re.compile(
    r"\x1b\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)"  # a title or a link
    r"|(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]"  # colour, cursor
    r"|\x1b[PX^_][^\x1b]{0,2000}\x1b\\"  # device strings
    r"|\x1b[ -/]{0,4}[0-OQ-WYZ\\`-~]"
)
_ODD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff"
    "\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)


def clean(text: str, longest_line: int = LONGEST_LINE) -> str:
    """Hostile text as plain text, fit for a terminal, XML, JSON and HTML writers.

    Terminal escapes are removed, other control, direction and zero-width characters are made
    visible, lone surrogates replaced, and lines over `longest_line` characters cut with a note.
    Tabs and line feeds stay; CR LF becomes LF.
    """
    if _ODD.search(text):
        text = _ODD.sub(_visible, _ANSI.sub("", text.replace("\r\n", "\n")))
    if len(text) > longest_line:
        text = "\n".join(_cut(line, longest_line) for line in text.split("\n"))
    return text


def _visible(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < ord(" "):
        return chr(ord("␀") + code)  # each has a picture of its own
    if unicodedata.category(found[0]) in ("Cs", "Cn"):  # what no UTF-8 or XML can hold
        return "\ufffd"
    return f"\\u{code:04x}"


def _cut(line: str, longest: int) -> str:
    more = len(line) - longest
    return f"{line[:longest]}… ({more:,} more characters)" if more > 0 else line


@dataclasses.dataclass(frozen=True)
class Canary:
    """A secret that nobody needs, planted to see whether any writer lets secrets through.

    `marker` is given to every writer through `feed`, which remembers the writer's name in `fed`: a
    writer that was never fed proves nothing. Afterwards `searches` looks for it in all that was
    written.
    """

    marker: str
    fed: list[str] = dataclasses.field(default_factory=list)

    CHUNK = 1 << 20  # bytes read at once

    @classmethod
    def planted_in(cls, redactor: Redactor) -> Canary:
        """A new canary that `redactor` knows as a secret."""
        canary = cls(f"canary-{secrets.token_hex(12)}")
        redactor.add(canary.marker)
        return canary

    def feed(self, writer: str, through: Callable[[str], object]) -> None:
        """Give the marker to `through`, the entrance of the writer called `writer`."""
        through(f"canary {self.marker} of {writer}")
        self.fed.append(writer)

    def searches(self, folder: Path, *beside: Path) -> list[Path]:
        """The files under `folder`, and of `beside` those that are there, that hold the marker,
        plain or in base64.

        Raises OSError where a file can't be read: what was not searched is not clean.
        """
        needles = [self.marker.encode()]
        needles += [spelling.encode() for spelling in base64_spellings(self.marker.encode())]
        files = sorted(path for path in (*folder.rglob("*"), *beside) if path.is_file())
        return [path for path in files if _holds(path, needles, self.CHUNK)]

    def leak(self, folder: Path, *beside: Path) -> str:
        """Where the marker came through, as a sentence; "" where it did not. As `searches`."""
        names = ", ".join(sorted(path.name for path in self.searches(folder, *beside)))
        return names and f"a planted secret came through into {names}: do not publish this run"


def _holds(path: Path, needles: list[bytes], chunk: int) -> bool:
    overlap = max(map(len, needles)) - 1
    with path.open("rb") as file:
        tail = b""
        while read := file.read(chunk):
            window = tail + read
            if any(needle in window for needle in needles):
                return True
            tail = window[-overlap:]
    return False
