"""Thirty-nine secrets, planted wherever a system may show one, are in nothing that a run leaves."""

from __future__ import annotations

import base64
import html
import json
import re
import sqlite3
import sys
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.runs.own import Asked, furnished, serving
from tests.runs.runs import FAST, Ended, Project
from watchkeeper.errors import ConfigurationError
from watchkeeper.kinds import KINDS
from watchkeeper.target_file import load_system

LOUD = ("-vv", "--tb=long", "-l", "-rA", "--junitxml=j.xml", "--durations=0")

KNOWN = (
    "bearer token", "key in a header", "key in the query", "basic password", "password of a login",
    "token of a login", "password of a form", "csrf value", "session cookie", "dsn password",
    "dsn of a program", "password in an address", "environment of a command",
)  # fmt: skip
"""What a target file or a login makes known: found however it is written, bare or encoded."""

SHAPED = (
    "token in json", "nested token in json", "csrf in a page", "token in a page", "set-cookie",
    "redirect", "question parameter", "question header",
    "argument of a command", "error of a command", "curl login", "log line", "basic in a log",
    "dsn in a log", "jwt in a log", "encoded in a log", "cell of a row", "literal in sql",
    "file content", "private key", "exception text", "yaml error", "sentence", "table cell",
    "answer of an operation", "outline row", "outline name",
)  # fmt: skip
"""What nobody made known: recognised by what stands before it or by how it is built."""

HIDDEN = {
    name: f"Zq{number:02}x{base64.b32encode(name.encode() * 2)[:12].decode().lower()}"
    for number, name in enumerate((*KNOWN, *SHAPED))
}
HIDDEN["bearer token"] += "+/bearer=="
HIDDEN["basic password"] += "/ü&pass+"
HIDDEN["password of a form"] += '"&<form>'
HIDDEN["encoded in a log"] += "/+end"

OPEN: set[str] = set()
"""What still comes through; empty is as it should be."""


def _jwt() -> str:
    def part(data: dict[str, str]) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256'})}.{part({'sub': 'somebody'})}.{HIDDEN['jwt in a log']}"


PEM = f"-----BEGIN PRIVATE KEY-----\n{HIDDEN['private key']}\n-----END PRIVATE KEY-----\n"
PAGE = (
    '<form action="/enter" method="post"><input type="hidden" name="csrf" value="{csrf}">'
    '<input name="username"><input type="password" name="password"></form>'
)

FIGURES = """\
system: shop
called: the shop
services:
  open: {url: "${env:SHOP_URL}"}
  bearer: {url: "${env:SHOP_URL}", token: "${env:SHOP_BEARER}"}
  header: {url: "${env:SHOP_URL}", key: {header: X-Api-Key, value: "${env:SHOP_KEY}"}}
  query: {url: "${env:SHOP_URL}", key: {query: k, value: "${env:SHOP_QUERY}"}}
  basic: {url: "${env:SHOP_URL}", basic: {user: bob, password: "${env:SHOP_BASIC}"}}
  login: {url: "${env:SHOP_URL}", login: {post: /login, user: bob, password: "${env:SHOP_LOGIN}"}}
  form:
    url: "${env:SHOP_URL}"
    login: {form: /form, user: bob, password: "${env:SHOP_FORM}", csrf: csrf}
  far: {database: "postgresql+psycopg://bob:${env:SHOP_DSN}@127.0.0.1:1/far", deadline: 1 second}
  store: {database: "sqlite:///${env:SHOP_STORE}"}
  inner: {url: "${env:SHOP_INNER}", deadline: 1 second}
  log: {log: "${env:SHOP_LOG}", line: '^(?P<at>\\S+) (?P<text>.*)$', instant: at}
  files: {folder: "${env:SHOP_FILES}"}
figures:
  what the bearer sent: {http: {get: bearer /echo}, pick: .seen}
  what the header sent: {http: {get: header /echo}, pick: .seen}
  what the query sent: {http: {get: query /echo}, pick: .seen}
  what basic sent: {http: {get: basic /echo}, pick: .seen}
  what the login sent: {http: {get: login /echo}, pick: .seen}
  what the form sent: {http: {get: form /echo}, pick: .seen}
  what is refused to the bearer: {http: {get: bearer /refused}, pick: .seen}
  what is refused to the query: {http: {get: query /refused}, pick: .seen}
  what the far one holds: {sql: SELECT 1, in: far}
  tree: {http: {get: open /json}, pick: tostring}
  body: {http: {get: open /json, format: text}}
  broken body: {http: {get: open /half}, pick: .seen}
  page: {http: {get: open /page, format: text}}
  page for json: {http: {get: open /page}, pick: .seen}
  cookies: {http: {get: open /cookies, format: text}}
  head: {http: {head: open /cookies}, pick: tostring}
  redirect: {http: {get: open /away}, pick: .seen}
  asked with a parameter: {http: {get: open /refused, params: {sig: "PARAMETER"}}, pick: .seen}
  asked with a header: {http: {get: open /echo, headers: {X-Auth-Token: "HEADER"}}, pick: .seen}
  environment:
    command: ["PYTHON", -c, "import os; print(os.environ)"]
    in: files
    environment: {SHOP_API_TOKEN: "ENVIRONMENT"}
  bare environment:
    command: ["PYTHON", -c, "import os; print(os.environ['SHOP_API_TOKEN'], os.environ['AT'][15:])"]
    in: files
    environment: {SHOP_API_TOKEN: "ENVIRONMENT", AT: "redis://worker:PROGRAM@queue/0"}
  bare logins: {file: logins, in: files, format: text}
  inner: {http: {get: inner /}, pick: .seen}
  arguments:
    command: ["PYTHON", -c, "import sys; print(sys.argv)", --db-password, "ARGUMENT"]
    in: files
  failing arguments:
    command: ["PYTHON", -c, "import sys; sys.exit(str(sys.argv))", --db-password, "ARGUMENT"]
    in: files
  failing command:
    command: ["PYTHON", -c, "import sys; sys.exit('curl -u bob:CURL failed: password=ERROR')"]
    in: files
  log lines: {log: log, last lines: 100, among: .}
  texts of the log: {log: log, among: ., columns: {text: text}}
  logins:
    sql: "SELECT id, name, api_key FROM logins WHERE note <> 'password=SQL'"
    in: store
    key: id
  notes: {sql: "SELECT id, note FROM logins", in: store, key: id}
  key of bob: {sql: "SELECT note FROM logins WHERE id = 1", in: store}
  broken query: {sql: "SELECT nothing FROM logins WHERE note = 'password=SQL'", in: store}
  settings: {file: settings.conf, in: files, format: text}
  key file: {file: key.pem, in: files, format: text}
  'logins of "{text}"': {sql: "SELECT COUNT(*) FROM logins WHERE name = '{text}'", in: store}
  raised: {python: "targets.shop:raised", services: [store]}
operations:
  orders: {effect: changes, http: {post: open /order}}
environments:
  replica: {}
  live: {allows: changes}
"""

BARE = (
    HIDDEN["dsn password"], HIDDEN["password in an address"], HIDDEN["basic password"],
    HIDDEN["password of a login"], HIDDEN["password of a form"],
    *(base64.b64encode(f"bob:{HIDDEN[name]}".encode()).decode() for name in (
        "dsn password", "basic password", "password of a login", "password of a form")),
)  # fmt: skip
"""Passwords with nothing before them that would betray them, alone and as a login is sent."""

LISTS = ("log lines", "texts of the log", "logins", "notes")
RAISED = f"""
def raised(*_, **__):
    secret = "{HIDDEN["exception text"]}"
    raise RuntimeError(f"no connection to postgresql://bob:{{secret}}@h/x, password={{secret}}")
"""


def _target() -> str:
    text = FIGURES.replace("PYTHON", sys.executable)
    for word, name in {
        "PARAMETER": "question parameter", "HEADER": "question header", "CURL": "curl login",
        "ENVIRONMENT": "environment of a command", "PROGRAM": "dsn of a program",
        "ARGUMENT": "argument of a command", "ERROR": "error of a command", "SQL": "literal in sql",
    }.items():  # fmt: skip
        text = text.replace(word, HIDDEN[name])
    return text


def _feature() -> str:
    """Each figure in a passing check, in a failing one and in a list; then sentences and rows."""
    figures = FIGURES.partition("figures:\n")[2].partition("operations:")[0]
    nouns = [noun for noun in re.findall(r"(?m)^  (\S[^:]*):", figures) if "{text}" not in noun]
    scenarios = ["@shop @daily", "Feature: Secrets"]
    rows: list[str] = []
    number = 0

    def scenario(tags: str, *steps: str) -> None:
        nonlocal number
        number += 1
        scenarios.append(f"\n  @SHOP-S-{number} @P2{tags}\n  Scenario: Number {number}\n"
                         "    Given the shop")  # fmt: skip
        scenarios.extend(f"    {step}" for step in steps)

    for noun in nouns:
        scenario("", f"Then the report lists its {noun}")
        if noun in LISTS:
            scenario("", f"Then it has no {noun}")
        else:
            scenario("", f"Then its {noun} is known")
            scenario("", f'Then its {noun} is "another"')
    said = HIDDEN["sentence"]
    scenario("", f'Then its logins of "token={said}" is exactly 3')
    scenario("", f'Then its logins of "password={said}" is exactly 0')
    cell = HIDDEN["table cell"]
    scenario("", "Then its logins include:", "  | name |", f"  | password={cell} |")
    for secret in (HIDDEN["outline row"], HIDDEN["outline row"] + "2", HIDDEN["basic password"]):
        rows.append(f"        | password={secret} |")
    scenarios.append("\n  @SHOP-R-1 @P2\n  Scenario Outline: With <what>\n    Given the shop\n"
                     "    Then its tree is known\n\n    Examples:\n        | what |")  # fmt: skip
    scenarios.extend(rows)
    scenarios.append(f"\n  @SHOP-R-2 @P2\n  Scenario: Named token={HIDDEN['outline name']}\n"
                     "    Given the shop\n    Then its tree is known")  # fmt: skip
    scenario(" @changes", "When the operator orders", "Then its tree is known")
    return "\n".join(scenarios) + "\n"


def _answer(asked: Asked, body: str) -> None:
    path = asked.path.partition("?")[0]
    seen = {
        "path": asked.path,
        "headers": dict(asked.headers),
        "authorization": asked.headers.get("Authorization", ""),
        "plainly": asked.headers.get("Authorization", "").partition(" ")[2],
        "cookie value": asked.headers.get("Cookie", "").partition("=")[2],
        "key": asked.headers.get("X-Api-Key", ""),
        "login": HIDDEN["password of a login"],
        "form": [HIDDEN["password of a form"], urllib.parse.quote(HIDDEN["password of a form"])],
        # It is known once somebody has logged in; nobody else is shown it.
        "field": HIDDEN["csrf value"] if "Cookie" in asked.headers else "",
    }
    as_json = {"Content_Type": "application/json"}
    if path == "/echo":
        asked.say(200, json.dumps({"seen": json.dumps(seen, ensure_ascii=False)}), **as_json)
    elif path == "/refused":
        asked.say(403, json.dumps(seen), **as_json)
    elif path == "/login":
        asked.say(200, json.dumps({"access_token": HIDDEN["token of a login"]}), **as_json)
    elif path in ("/form", "/enter"):
        if body:
            cookie = f"sid={HIDDEN['session cookie']}; Path=/"
            asked.say(302, "", Location="/home", Set_Cookie=cookie)
        else:
            asked.say(200, PAGE.format(csrf=HIDDEN["csrf value"]), Content_Type="text/html")
    else:
        asked.say(*_told(path))


def _told(path: str) -> tuple[int, str]:
    tree = {
        "token": HIDDEN["token in json"],
        "user": {"name": "bob", "logins": [{"refresh_token": HIDDEN["nested token in json"]}]},
    }
    if path == "/json":
        return 200, json.dumps(tree)
    if path == "/half":
        return 200, json.dumps(tree)[:-4]
    if path == "/page":
        return 200, (
            f'<html><input type="hidden" name="csrf_token" value="{HIDDEN["csrf in a page"]}">'
            f"<p>access_token: {HIDDEN['token in a page']}</p></html>"
        )
    if path == "/order":
        return 500, json.dumps({"error": "no", "client_secret": HIDDEN["answer of an operation"]})
    return 200, f"Set-Cookie: sid={HIDDEN['set-cookie']}; HttpOnly"


@pytest.fixture
def planted(project: Project, tmp_path: Path) -> Iterator[tuple[Project, dict[str, str]]]:
    """A shop whose every part shows secrets, and the variables of its target file."""
    files = tmp_path / "files"
    files.mkdir()
    (files / "settings.conf").write_text(f"db_password: {HIDDEN['file content']}\n")
    (files / "key.pem").write_text(PEM)
    (files / "logins").write_text("\n".join(BARE))
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    pair = base64.b64encode(f"bob:{HIDDEN['basic in a log']}".encode()).decode()
    lines = (
        f"login with password={HIDDEN['log line']}", f"sent Authorization: Basic {pair}",
        f"cannot reach postgresql://bob:{HIDDEN['dsn in a log']}@db:5432/x", f"got {_jwt()}",
        f"GET /x?token={urllib.parse.quote(HIDDEN['encoded in a log'], safe='')}&a=1",
    )  # fmt: skip
    (files / "shop.log").write_text("".join(f"{now} {line}\n" for line in lines))
    with closing(sqlite3.connect(files / "store.db")) as store, store:
        store.execute("CREATE TABLE logins (id INTEGER PRIMARY KEY, name, api_key, note)")
        key = HIDDEN["cell of a row"]
        store.execute("INSERT INTO logins VALUES (1, 'bob', ?, ?)", (key, f"api_key={key}"))

    def answer(asked: Asked, body: str) -> None:
        if asked.path.startswith("/away"):
            aim = f"http://127.0.0.1:9/in?token={HIDDEN['redirect']}"
            asked.say(302, "", Location=aim)
        elif asked.path.startswith("/cookies"):
            cookie = f"sid={HIDDEN['set-cookie']}"
            asked.say(*_told("/cookies"), Set_Cookie=cookie)
        else:
            _answer(asked, body)

    with serving(answer) as url:
        furnished(project, _target(), _feature())
        (project.root / "targets" / "shop.py").write_text(RAISED)
        yield project, {
            "SHOP_URL": url, "SHOP_BEARER": HIDDEN["bearer token"],
            "SHOP_KEY": HIDDEN["key in a header"], "SHOP_QUERY": HIDDEN["key in the query"],
            "SHOP_BASIC": HIDDEN["basic password"], "SHOP_LOGIN": HIDDEN["password of a login"],
            "SHOP_FORM": HIDDEN["password of a form"], "SHOP_DSN": HIDDEN["dsn password"],
            "SHOP_STORE": str(files / "store.db"), "SHOP_LOG": str(files / "shop.log"),
            "SHOP_FILES": str(files),
            "SHOP_INNER": f"http://bob:{HIDDEN['password in an address']}@127.0.0.1:1",
        }  # fmt: skip


def _needles(secret: str) -> list[bytes]:
    """Plain, for URLs, for JSON and HTML, and the three ways in which base64 shows it."""
    raw = secret.encode()
    found = {secret, urllib.parse.quote(secret), urllib.parse.quote(secret, safe=""),
             urllib.parse.quote_plus(secret), json.dumps(secret)[1:-1],
             html.escape(secret)}  # fmt: skip
    for before in range(3):
        letters = base64.b64encode(bytes(before) + raw).decode()
        core = letters[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        found |= {core, core.replace("+", "-").replace("/", "_")}
    return [each.encode() for each in found]


def _leaks(project: Project, ended: Ended, names: Mapping[str, str]) -> dict[str, list[str]]:
    """Where each secret came through: the terminal, or files that the run wrote."""
    own = [path for path in project.reports.rglob("*") if path.is_file()]
    own += [path for path in project.root.iterdir() if path.is_file() and not path.is_symlink()]
    texts = {path.name: path.read_bytes() for path in own}
    assert not project.reports.exists() or len(own) > 2
    texts["the terminal"] = ended.text.encode()
    found = {}
    for name, secret in names.items():
        needles = _needles(secret)
        places = [place for place, text in texts.items() if any(n in text for n in needles)]
        if places:
            found[name] = sorted(places)
    return found


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_no_planted_secret_is_written_or_printed(
    planted: tuple[Project, dict[str, str]], workers: tuple[str, ...]
) -> None:
    """Thirteen known values (a target file's tokens, keys, passwords and addresses, what a login
    gave, what a program is given) and twenty-six that only their shape betrays, shown by a server,
    database, log, files, commands, Python code and rows of an outline in passing, failing and
    unknowable checks: none is in the record, ledger, Allure's files, report, JUnit's file or
    terminal, plain, for URLs, for JSON, for HTML or in base64, with the loudest options.
    """
    project, env = planted
    more = ("--report=results", *workers) if workers else ("--allow", "changes")
    ended = project.pytest("--target", "live", "-p", "no:cacheprovider", *LOUD, *more, env=env)
    assert ended.status == 1, ended.text
    verdicts = set(project.last.verdicts.values())
    assert {"passed", "failed", "unknown"} <= verdicts
    assert "‹redacted›" in ended.out
    assert (project.root / "j.xml").exists()
    assert workers or (project.last.folder / "report.html").exists()
    rows = {key for key in project.last.verdicts if key.startswith("SHOP-R-1")}
    hidden = "SHOP-R-1 password=‹redacted›"
    assert rows == {hidden, f"{hidden}-2", f"{hidden}-3"}
    names = {name: secret for name, secret in HIDDEN.items() if name != "yaml error"}
    leaks = _leaks(project, ended, names)
    assert set(leaks) == OPEN, leaks


@pytest.mark.parametrize("command", [("look", "shop"), ("look", "shop", "--json"), ("doctor",)])
def test_no_planted_secret_is_printed_by_a_command(
    planted: tuple[Project, dict[str, str]], command: tuple[str, ...]
) -> None:
    """What looks without a run knows the same logins, tokens and addresses."""
    project, env = planted
    ended = project.watchkeeper(*command, "--target", "live", env={**env, "COLUMNS": "9999"})
    assert ended.status in (1, 10), ended.text
    assert "127.0.0.1" in ended.text
    assert _leaks(project, ended, HIDDEN) == {}


@pytest.mark.parametrize(
    "broken",
    ['  token: "{secret}\n', "services: {{a: {{token: {secret}, token: {secret}}}}}\n",
     "system: [token: {secret}\n", "password: {secret}: {secret}\n", "services: {{a: {secret}}}\n",
     "token: !{secret} x\n",
     "token: *{secret}\n", "a: &{secret} 1\nb: *{secret}x\n"],
)  # fmt: skip
def test_a_mistake_in_a_target_file_does_not_show_the_secret_in_it(
    tmp_path: Path, broken: str
) -> None:
    """What is said of a file that can't be read names file and line, and not what stands there."""
    secret = HIDDEN["yaml error"]
    path = tmp_path / "broken.yml"
    path.write_text("system: broken\ncalled: it\n" + broken.format(secret=secret))
    with pytest.raises(ConfigurationError, match=r"broken\.yml") as refused:
        load_system(path, KINDS)
    assert secret not in str(refused.value)


def test_a_refused_run_does_not_show_a_secret_of_the_file_it_refuses(project: Project) -> None:
    """Not with the loudest options, neither on the terminal nor in pytest's own JUnit file."""
    secret = HIDDEN["yaml error"]
    furnished(project, _target(), _feature())
    project.write("targets/broken.yml", f"system: broken\ncalled: it\ntoken: {secret}: {secret}\n")
    ended = project.pytest("--target", "live", *LOUD, *FAST)
    assert ended.status == 4, ended.text
    assert "broken.yml" in ended.text
    assert _leaks(project, ended, {"yaml error": secret}) == {}
