"""Tests of target files: each mistake has its own sentence with file, line and what to write."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from watchkeeper.errors import ConfigurationError
from watchkeeper.kinds import KINDS
from watchkeeper.nouns import Nouns, filled
from watchkeeper.plan import Look
from watchkeeper.services import Web
from watchkeeper.target_file import load_system, load_systems
from watchkeeper.target_secrets import secrets_of
from watchkeeper.targets import System, Target

BAD = sorted((Path(__file__).parent / "bad" / "targets").glob("*.yml"))
SHOP = """\
system: shop
called: the shop
services:
  app: {url: "${env:SHOP_URL}", token: "${env:SHOP_TOKEN}", at once: 2}
  store: {database: "sqlite:///${env:SHOP_DB:-shop.db}"}
each:
  door: {north: {port: 1}, south: {port: 2}}
figures:
  app connection: {http: {get: app /health}, counts as: {200: up, refused: down}}
  orders: {sql: SELECT * FROM orders, in: store, key: id, at: made, columns: {state: status}}
  failed orders: {part of: orders, where: status = 'failed'}
  number of orders: {count of: orders, where: id > 0}
  open failed orders: {part of: failed orders, where: open}
  '{door} door': {http: {get: "app /{door}/{port}"}, pick: .state, values: {true: open, 0: shut}}
  'orders of "{name}"': {sql: "SELECT * FROM orders WHERE name = '{name}'", in: store, key: id}
operations:
  'orders "{title}"': {effect: changes, http: {post: app /order, json: {title: "{title}"}}}
environments:
  replica: {}
  production: {services: {app: {url: "https://shop.example"}}, allows: changes}
"""


def shop(folder: Path, text: str = SHOP) -> System:
    path = folder / "shop.yml"
    path.write_text(text)
    return load_system(path, KINDS)


def target(system: System, environment: str = "replica", **variables: str) -> Target:
    return Target(system, system.environments[environment], variables)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_wrong_target_file_is_refused_in_its_own_words(path: Path) -> None:
    """Each file of bad/targets says in its first line what it must be told."""
    with pytest.raises(ConfigurationError) as caught:
        load_system(path, KINDS)
    error = caught.value
    assert error.place is not None
    assert error.place.path == path
    told = f"{error.place.line or '-'}: {error.problem}" + (f" -> {error.hint}" * bool(error.hint))
    assert f"# expects: {told}" == path.read_text().splitlines()[0]


def test_there_are_bad_target_files() -> None:
    """An empty folder would make the test above green."""
    assert len(BAD) > 30


def test_a_refusal_never_shows_a_value_that_may_be_secret() -> None:
    """The kind of a wrong value is enough to mend it."""
    with pytest.raises(ConfigurationError) as caught:
        load_system(next(path for path in BAD if path.stem == "wrong-type-secret"), KINDS)
    assert "12345" not in str(caught.value)


def test_a_part_of_a_part_keeps_both_conditions(tmp_path: Path) -> None:
    """Where a list is narrowed twice, both hold."""
    figures = shop(tmp_path).figures
    assert figures["failed orders"].options.where == "(status = 'failed')"


def test_a_part_may_be_of_a_part(tmp_path: Path) -> None:
    """Derived figures are found in the order of the file."""
    options = shop(tmp_path).figures["open failed orders"].options
    assert options.where == "((status = 'failed')) AND (open)"


def test_a_count_of_a_list_is_one_value(tmp_path: Path) -> None:
    """It is judged as a number, and counted by the database."""
    figure = shop(tmp_path).figures["number of orders"]
    assert not figure.is_list
    asked = Look("number of orders", figure, ()).question
    assert asked.model_dump()["sql"] == (
        "SELECT COUNT(*) FROM (SELECT * FROM (SELECT * FROM orders) AS part "
        "WHERE ((id > 0))) AS counted"
    )


def test_each_makes_a_figure_for_every_name(tmp_path: Path) -> None:
    """And what the system says as true or 0 has our word."""
    figures = shop(tmp_path).figures
    assert figures["north door"].question.model_dump()["get"] == "app /north/1"
    assert figures["south door"].question.model_dump()["get"] == "app /south/2"
    assert figures["south door"].options.values == {"yes": "open", "0": "shut"}
    assert figures["south door"].words == ("open", "shut")


def test_two_files_of_one_system_are_refused(tmp_path: Path) -> None:
    """A sentence would not know which is meant."""
    for name in ("a.yml", "b.yml"):
        (tmp_path / name).write_text(SHOP)
    with pytest.raises(ConfigurationError, match=r'"the shop" is what a\.yml is called already'):
        load_systems(tmp_path, KINDS)


def test_a_folder_without_target_files_is_refused(tmp_path: Path) -> None:
    """Nothing to look at is no success."""
    with pytest.raises(ConfigurationError, match="there is no target file"):
        load_systems(tmp_path, KINDS)


def test_all_unset_variables_are_named_at_once(tmp_path: Path) -> None:
    """Nobody mends three of them in three runs; one with a default is none of them."""
    system = shop(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        target(system).services(frozenset({"app", "store"}))
    assert str(caught.value) == (
        f"{system.path}:19: the shop at replica needs the environment variables "
        "SHOP_URL, SHOP_TOKEN, which are not set\n"
        "    export SHOP_URL=…, then run again; nothing has been looked at"
    )


def test_only_what_is_looked_at_needs_its_variables(tmp_path: Path) -> None:
    """A run of one service does not ask for the secrets of another."""
    found = target(shop(tmp_path)).services(frozenset({"store"}))
    assert found["store"].model_dump()["database"].get_secret_value() == "sqlite:///shop.db"


def test_an_environment_overrides_key_by_key(tmp_path: Path) -> None:
    """Production has another url and the same token variable."""
    services = target(shop(tmp_path), "production", SHOP_TOKEN="t0p").services(frozenset({"app"}))
    app = services["app"]
    assert isinstance(app, Web)
    assert (app.url, app.at_once) == ("https://shop.example", 2)


def test_secrets_are_known_and_not_shown(tmp_path: Path) -> None:
    """What must be redacted is what services hold as secrets, and repr never shows it."""
    made = target(shop(tmp_path), "production", SHOP_TOKEN="t0p-secret")
    services = made.services(frozenset({"app"}))
    assert secrets_of(made, services).values == ("t0p-secret",)
    assert "t0p-secret" not in repr(services) + repr(made)


LOGINS = """\
system: shop
called: the shop
services:
  app: {url: "http://ann:in-url@127.0.0.1", basic: {user: ann, password: "${env:BASIC}"}}
  json: {url: "http://127.0.0.1", login: {post: /in, user: ben, password: from-json}}
  form: {url: "http://127.0.0.1", login: {form: /in, user: cem, password: from-form}}
  store: {database: "postgresql+psycopg://dan:in%2Fdsn@db/shop"}
  other: {database: "postgresql+psycopg://db/shop?user=eve&password=in-query"}
figures:
  orders:
    command: [shop, orders]
    environment: {SHOP_TOKEN: "${env:TOKEN}", QUEUE: "amqp://fay:in-queue@q"}
environments:
  replica: {}
  production: {}
"""


def test_logins_are_known_wherever_they_stand(tmp_path: Path) -> None:
    """Basic, both ways to log in, addresses of services, databases and programs' variables."""
    path = tmp_path / "shop.yml"
    path.write_text(LOGINS)
    made = target(load_system(path, KINDS), "production", BASIC="from-basic", TOKEN="t0p")
    held = secrets_of(made, made.services(frozenset(made.system.services.keys())))
    assert set(held.logins) == {
        ("ann", "in-url"), ("ann", "from-basic"), ("ben", "from-json"), ("cem", "from-form"),
        ("dan", "in/dsn"), ("eve", "in-query"), ("fay", "in-queue"),
    }  # fmt: skip
    assert ("SHOP_TOKEN", "t0p") in held.named
    assert "from-basic" not in repr(held)


def test_an_unknown_service_names_the_nearest(tmp_path: Path) -> None:
    """The file and what to write."""
    with pytest.raises(ConfigurationError, match=r'has no service "ap"\n +did you mean "app"\?'):
        target(shop(tmp_path)).services(frozenset({"ap"}))


def test_the_replica_allows_everything_and_others_only_what_they_say(tmp_path: Path) -> None:
    """Nothing can be harmed on a replica; elsewhere looking is what is allowed by default."""
    environments = shop(tmp_path).environments
    assert environments["replica"].options.allows == "destroys"
    assert environments["production"].options.allows == "changes"


def test_nouns_are_found_longest_first() -> None:
    """A free text cut "share of files that are lost" at "are"."""
    nouns = Nouns(("files", "files that are lost", 'files of "{name}"'))
    found = nouns.find('files of "a b"')
    assert found is not None
    assert dict(found.arguments) == {"name": "a b"}
    assert nouns.find('files of "a" and "b"') is None
    assert nouns.nearest("file that are lost") == 'did you mean "files that are lost"?'


def test_filling_reaches_keys_and_lists_and_leaves_strangers() -> None:
    """A placeholder that nothing stands for stays, for somebody later to fill."""
    assert filled({"{a}": ["{a} {b}", 5]}, {"a": "x"}) == {"x": ["x {b}", 5]}


def test_the_real_target_file_loads() -> None:
    """The one that the runbook stands on."""
    root = Path(__file__).parent.parent
    system = load_system(root / "targets" / "media-management.yml", KINDS)
    assert re.fullmatch("[a-z -]+", system.slug)
    assert set(system.environments) == {"replica", "production"}
