"""A shop to look at and to change: a real web server, a real database, a target file over both."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers import Answering, served
from watchkeeper.changing.operate import Hands
from watchkeeper.changing.operators import OPERATORS
from watchkeeper.clock import Clock
from watchkeeper.kinds import KINDS
from watchkeeper.looking.loop import LookingLoop
from watchkeeper.looking.observe import Observer
from watchkeeper.looking.probes import PROBES
from watchkeeper.performing import Account, Performance, Stopped
from watchkeeper.plan import Complaint, Heading, Scenario, Written, plan
from watchkeeper.pytest_plugin.words import DICTIONARY, meaning_of
from watchkeeper.recording.ledger import Ledger
from watchkeeper.recording.redaction import Redactor
from watchkeeper.target_file import load_system
from watchkeeper.targets import Permission, System, Target

FIGURES = """\
system: shop
called: the shop
services:
  app: {url: "${env:URL}", at once: 4, deadline: 1 second}
  store: {database: "sqlite:///${env:DB}", deadline: 1 second}
figures:
  app connection: {http: {get: app /health}, counts as: {200: up, refused: down, 503: down}}
  stock: {http: {get: app /stock}, pick: .count}
  other stock: {http: {get: app /stock}, pick: .other}
  error rate: {http: {get: app /stats, params: {hours: "{window.hours}"}}, pick: .rate, unit: ratio}
  mood: {http: {get: app /mood}, pick: .mood, values: {ok: calm, bad: busy}}
  time to answer: {http: {get: app /stock}, measures: duration}
  lone stock: {http: {get: app /stock}, pick: .count, alone: true}
  goods: {http: {get: app /goods}, rows: ".[]", key: id, columns: {name: name, price: price}}
  'goods called "{name}"':
    http: {get: app /goods}
    pick: '[.[] | select(.name == "{name}")] | length'
  orders:
    sql: SELECT * FROM orders
    in: store
    key: id
    at: made
    columns: {state: status, name: name}
  failed orders: {part of: orders, where: status = 'failed'}
  'orders of "{name}"': {sql: "SELECT * FROM orders WHERE name = '{name}'", in: store, key: id}
  number of orders: {count of: orders}
  mean price: {sql: SELECT AVG(id) FROM orders WHERE status = 'sold', in: store}
  'size of the latest "{kind}"':
    file: "${env:DB}.backups/{kind}_*"
    newest: 1
    pick: .size
    unit: bytes
  highest order: {sql: SELECT MAX(id) FROM orders, in: store}
  name of that order: {sql: "SELECT name FROM orders WHERE id = '{that.id}'", in: store}
operations:
  orders something:
    effect: changes
    http: {post: app /order}
    answer: {state: .state, number: .id}
  orders and breaks: {effect: changes, http: {post: app /refused}}
  takes it back: {effect: changes, http: {post: app /back}}
  orders with care:
    effect: changes
    http: {post: app /order}
    leaves: {number of orders: 1 higher than before, mood: calm}
  orders with patience:
    effect: changes
    http: {post: app /order}
    leaves: {stock: exactly 6 within 5 seconds, mood: the same as before}
  resets the failed orders:
    effect: changes
    sql: UPDATE orders SET status = 'new' WHERE id IN (SELECT id FROM ({touches}))
    in: store
    touches: failed orders
  resets all orders:
    effect: changes
    sql: UPDATE orders SET status = 'new'
    in: store
    touches: failed orders
  'renames that order to "{name}"':
    effect: changes
    sql: "UPDATE orders SET name = '{name}' WHERE id = '{that.id}'"
    in: store
    touches: that order
  wakes it up: {effect: changes, http: {post: app /wake}}
  calls for help: {effect: changes, http: {post: app /help}}
  tells everybody: {effect: changes, http: {post: app /told}, nothing rests on it: true}
  removes the new ones: {effect: destroys, http: {post: "app /remove/{before.highest order}"}}
  removes that one: {effect: changes, http: {post: "app /remove/{that.id}"}}
environments:
  replica: {}
  careful: {allows: looking}
"""

PATIENCE = "1 second"
DEADLINE = f"deadline: {PATIENCE}"
GOODS = [{"id": 1, "name": "tea", "price": 3}, {"id": 2, "name": "milk", "price": None}]


@dataclass
class Shop:
    """What the web server answers, by path, and what it was asked."""

    url: str = ""
    database: Path = Path()
    answers: dict[str, object] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    wait_s: float = 0.0
    at_once: int = 0
    most_at_once: int = 0
    lone: list[int] = field(default_factory=list)

    def answer(self, verb: str, path: str) -> tuple[int, bytes]:
        self.asked[f"{verb} {path}"] += 1
        said = self.answers.get(path, {"count": 5, "mood": "ok", "rate": 0.02})
        if callable(said):
            said = said(self)
        if isinstance(said, tuple):
            return int(said[0]), bytes(said[1])
        return 200, said if isinstance(said, bytes) else json.dumps(said).encode()

    def sql(self, statement: str) -> list[Any]:
        with closing(sqlite3.connect(self.database)) as store, store:
            return store.execute(statement).fetchall()


@contextmanager
def shop(folder: Path, **answers: object) -> Iterator[Shop]:
    """An open shop; `answers` by the first part of a path ("stock" is /stock)."""
    lock = threading.Lock()
    open_shop = Shop(database=folder / "shop.db")
    open_shop.answers = {"/goods": GOODS, **{f"/{name}": said for name, said in answers.items()}}
    open_shop.sql("CREATE TABLE orders (id INTEGER PRIMARY KEY, name, status, made)")

    class Answers(Answering):
        def answer(self) -> None:
            with lock:
                open_shop.at_once += 1
                open_shop.most_at_once = max(open_shop.most_at_once, open_shop.at_once)
            self.heard()
            time.sleep(open_shop.wait_s)
            status, body = open_shop.answer(self.command, self.path.partition("?")[0])
            with lock:
                open_shop.at_once -= 1
            self.send(status, body, {"Content-Type": "application/json"})

        do_GET = do_POST = answer

    with served(Answers) as open_shop.url:
        yield open_shop


@dataclass
class Stage:
    """A shop with somebody who looks at it and somebody who changes it."""

    shop: Shop
    system: System
    observer: Observer
    hands: Hands
    ledger: Path

    def planned(
        self, text: str, permission: Permission = "looking"
    ) -> Scenario | tuple[Complaint, ...]:
        return planned(self.system, text, permission)

    def ready(self, text: str, permission: Permission = "looking") -> Performance:
        scenario = self.planned(text, permission)
        assert isinstance(scenario, Scenario), scenario
        return Performance(scenario, self.observer, self.hands)

    def perform(self, text: str, permission: Permission = "looking") -> Performance:
        """The scenario of these sentences, to its end."""
        performance = self.ready(text, permission)
        try:
            for step in performance.scenario.steps:
                performance.perform(step)
        except Stopped:
            pass  # as pytest does: what stopped it is among the accounts
        finally:
            performance.finish()
        return performance

    def found(self, text: str, permission: Permission = "looking") -> Account:
        """The one account of these sentences."""
        (account,) = self.perform(text, permission).accounts
        return account


@contextmanager
def stage(
    folder: Path,
    *,
    allowed: Permission = "destroys",
    environment: str = "replica",
    clock: Clock | None = None,
    patience: str = PATIENCE,
    **answers: object,
) -> Iterator[Stage]:
    with shop(folder, **answers) as open_shop:
        system = system_in(folder, patience)
        variables = {"URL": open_shop.url, "DB": str(open_shop.database)}
        target = Target(system, system.environments[environment], variables)
        looking = LookingLoop()
        services = target.services(frozenset({"app", "store"}))
        observer = Observer(target, services, PROBES, looking, clock or Clock())
        path = folder / "ledger.jsonl"
        ledger = Ledger.open(path, Redactor())
        try:
            hands = Hands(target, observer, OPERATORS, ledger, allowed)
            yield Stage(open_shop, system, observer, hands, path)
        finally:
            observer.close()
            looking.close()
            ledger.close()


def system_in(folder: Path, patience: str = PATIENCE) -> System:
    path = folder / "shop.yml"
    path.write_text(FIGURES.replace(DEADLINE, f"deadline: {patience}"))
    system = load_system(path, KINDS)
    DICTIONARY.load([system])
    return system


def planned(
    system: System, text: str, permission: Permission = "looking"
) -> Scenario | tuple[Complaint, ...]:
    """The scenario "Given the shop" and these sentences, as the collector would plan it."""
    heading = Heading(
        ids=("T-A-1",), level="P2", name="It works", row="", permission=permission,
        feature="F", rule="", path=Path("f.feature"), line=1,
    )  # fmt: skip
    written = list(_written(["Given the shop", *text.strip().splitlines()]))
    return plan(heading, written, {system.called: system})


def _written(lines: list[str]) -> Iterator[Written]:
    kind = "given"
    steps: list[tuple[int, str, list[tuple[str, ...]]]] = []
    for number, line in enumerate(lines, 1):
        if line.strip().startswith("|"):
            steps[-1][2].append(tuple(cell.strip() for cell in line.strip().strip("|").split("|")))
        else:
            steps.append((number, line.strip(), []))
    for number, line, table in steps:
        keyword, _, sentence = line.partition(" ")
        kind = kind if keyword == "And" else keyword.lower()
        meaning = meaning_of(kind, sentence, tuple(table) or None)
        yield Written(kind.title(), sentence, number, meaning)
