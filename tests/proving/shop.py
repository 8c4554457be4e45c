"""A small project with a replica of three dials, so that whole drills take a second or two."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

FEATURE = """\
@shop @daily
Feature: The shop

  @SH-A-1 @P1
  Scenario: The shop is calm
    Given the shop
    Then its mood is calm

  @SH-B-1 @P3
  Scenario Outline: Few <kind> orders wait
    Given the shop
    Then its <kind> orders is below 5

    Examples:
      | kind  |
      | small |
      | large |
"""
TARGET = """\
system: shop
called: the shop
services:
  store: {database: "sqlite:///${env:SHOP_DB}"}
figures:
  mood: {sql: "SELECT mood FROM shop", in: store, values: [calm, busy]}
  small orders: {sql: "SELECT small FROM shop", in: store}
  large orders: {sql: "SELECT large FROM shop", in: store}
environments:
  replica: {}
"""
DRILLS = """\
system: shop
drills:
  - fault: a rush
    red:
      SH-A-1: {verdict: failed, says: busy}
  - fault: small orders wait
    red:
      SH-B-1, small: {verdict: failed, says: was 9}
  - fault: large orders wait
    red:
      SH-B-1, large: {verdict: failed, says: was 9}
"""
REPLICA = '''\
"""The shop, and a control port that spoils it."""
import json, pathlib, sqlite3, sys, threading, urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

folder = pathlib.Path(sys.argv[2])
folder.mkdir(parents=True)
path = folder / "shop.db"
DIALS = {"a rush": ("mood", "busy"), "small orders wait": ("small", 9),
         "large orders wait": ("large", 9)}
FRESH = {"mood": "calm", "small": 1, "large": 1}


def sql(text, *values):
    store = sqlite3.connect(path)
    try:
        rows = store.execute(text, values).fetchall()
        store.commit()
        return rows
    finally:
        store.close()


def put(column, value):
    sql(f"UPDATE shop SET {column} = ?", value)


def on(name):
    column, value = DIALS[name]
    return sql(f"SELECT {column} FROM shop")[0][0] == value


sql("CREATE TABLE shop (mood, small INTEGER, large INTEGER)")
sql("INSERT INTO shop VALUES ('calm', 1, 1)")


class Control(BaseHTTPRequestHandler):
    def answer(self, data):
        body = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def given(self):
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")

    def name(self):
        return urllib.parse.unquote(self.path.removeprefix("/dials/"))

    def do_GET(self):
        if self.path == "/dials":
            return self.answer([{"name": n, "about": n, "on": on(n)} for n in DIALS])
        self.answer({"on": on(self.name())})

    def do_PUT(self):
        given = self.given()
        if self.path.startswith("/dials/"):
            column, value = DIALS[self.name()]
            put(column, value if given["on"] else FRESH[column])
        self.answer({"on": given.get("on")})

    def do_POST(self):
        self.given()
        for column, value in FRESH.items():
            put(column, value)
        self.answer({})

    def log_message(self, *said):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Control)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"control": f"http://127.0.0.1:{server.server_port}",
                  "env": {"SHOP_DB": str(path)}}), flush=True)
sys.stdin.read()
'''


def shop(folder: Path) -> Path:
    """The project in `folder`."""
    written = {
        "features/shop/shop.feature": FEATURE,
        "targets/shop.yml": TARGET,
        "fixtures/drills/shop.yml": DRILLS,
        "fixtures/replicas/shop/__main__.py": REPLICA,
        "conftest.py": (ROOT / "conftest.py").read_text(),
        "pyproject.toml": _configuration(),
    }
    for name, text in written.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for part in ("steps", "fixtures/scenario.py", "fixtures/__init__.py"):
        (folder / part).symlink_to(ROOT / part)
    return folder


def change(path: Path, old: str, new: str) -> None:
    """Edit a file of the project; what was to be edited must be there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def _configuration() -> str:
    """The project's own, with the shop's tags."""
    own = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]
    kept = [each for each in own["markers"] if not each.startswith("media-")]
    return (
        f"[tool.pytest]\nstrict = true\naddopts = {json.dumps(own['addopts'])}\n"
        f"markers = {json.dumps([*kept, 'shop: the shop'])}\n"
        'testpaths = ["features"]\npythonpath = ["."]\nfilterwarnings = ["error"]\n'
    )
