"""Tests of what the browser probe says about pages, good and hostile, and what it lets out."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import time
from collections.abc import Container, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import trustme
from pydantic import ValidationError

from tests.pages import GOOD, Site, endless, site
from watchkeeper import leftovers
from watchkeeper.browser import VARIABLE
from watchkeeper.clock import Clock
from watchkeeper.errors import CouldNotObserve, CouldNotTry
from watchkeeper.looking.loop import LookingLoop
from watchkeeper.looking.probes.browser import PROBE, Question
from watchkeeper.looking.reach import Reach
from watchkeeper.observation import Answer
from watchkeeper.services import Web

WAIT = "#root > *"
SHORT = "3 seconds"
"""For pages that never show anything."""


class Eyes:
    """A run's reach on a loop of its own, as the observer has it."""

    def __init__(self) -> None:
        self.loop = LookingLoop()
        self.reach = Reach({"app": Web(url="http://127.0.0.1")}, Clock())

    def look(self, app: Site, path: str = "/", **question: Any) -> Answer:
        """The answer about a page of `app`; a key with _ is one with a blank."""
        spoken = {key.rstrip("_").replace("_", " "): value for key, value in question.items()}
        asked = Question.model_validate({"open": f"app {path}", "wait for": WAIT, **spoken})
        return self.loop.start(self._look(app, asked)).result(60)

    def report(self, app: Site, path: str = "/", **question: Any) -> Any:
        return self.look(app, path, **question).value

    def nothing(self, app: Site, path: str = "/", **question: Any) -> CouldNotObserve:
        """Why a page of `app` could not be seen."""
        with pytest.raises(CouldNotObserve) as caught:
            self.look(app, path, within=SHORT, **question)
        return caught.value

    def enter(self, app: Site, **ways: Any) -> None:
        """From now on `app` is entered that way."""
        web = Web.model_validate({"url": app.url, **ways})
        self.loop.loop.call_soon_threadsafe(self.reach.renew, "app", web)

    async def _look(self, app: Site, question: Question) -> Answer:
        if self.reach.service("app", Web).url != app.url:
            self.reach.renew("app", Web(url=app.url))
        return await PROBE.look(question, self.reach, None)

    def close(self) -> None:
        self.loop.start(self.reach.close()).result(5)
        self.loop.close()


@pytest.fixture(scope="module")
def see() -> Iterator[Eyes]:
    """One browser for all tests that need no one of their own."""
    opened = Eyes()
    yield opened
    opened.close()
    _nothing_stays()


@pytest.fixture
def own() -> Iterator[Eyes]:
    """A browser of the test's own."""
    before = {each.pid for each in browsers()}
    opened = Eyes()
    yield opened
    opened.close()
    _nothing_stays(before)


def browsers() -> list[psutil.Process]:
    """The browsers that this process has started, with all that belongs to them."""
    return [each for each in psutil.Process().children(recursive=True) if _is_its(each)]


def _is_its(process: psutil.Process) -> bool:
    """Not the reader of logs, which is kept warm for whoever asks next."""
    command = _command(process)
    return _lives(process) and not any("log_reader" in part for part in command)


def _command(process: psutil.Process) -> list[str]:
    """What it was started with; nothing when it has just ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _nothing_stays(before: Container[int] = ()) -> None:
    """No process of a browser, and no folder of one, is left."""
    until = time.monotonic() + 30  # on a machine that has other work

    def left() -> list[psutil.Process]:
        return [each for each in browsers() if each.pid not in before]

    while left() and time.monotonic() < until:
        time.sleep(0.05)
    assert left() == []
    if not before:
        owners = Path(tempfile.gettempdir()).glob(f"{leftovers.BROWSER}*/{leftovers.OWNER}")
        ours = f'"pid": {psutil.Process().pid},'
        assert not [each for each in owners if ours in each.read_text()]


# Questions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "part"),
    [
        ({}, "open"),
        ({"open": "/"}, 'write for example "api /health"'),
        ({"open": "app /", "safe posts": ["api /x"]}, 'write for example "/api/search"'),
        ({"open": "app /", "within": "soon"}, "soon"),
        ({"open": "app /", "as": "admin"}, "nobody"),
        ({"open": "app /", "click": "Delete"}, "click"),
        ({"open": "app /", "outcomes": {"fine": True}}, '"fine" is no way to answer'),
    ],
)
def test_questions_that_are_refused(question: dict[str, Any], part: str) -> None:
    """A question that could change something, or is not clear, is refused with a reason."""
    with pytest.raises(ValidationError) as caught:
        Question.model_validate(question)
    assert part in str(caught.value)


# What a page is -------------------------------------------------------------------------------


def test_a_page_whose_script_renders(see: Eyes) -> None:
    """A page that renders itself late is "rendered", with its title, text and a picture."""
    with site({"/": GOOD}) as app:
        answer = see.look(app)
    report: Any = answer.value
    assert answer.word == report["page"] == "rendered"
    assert (report["title"], report["text"]) == ("Prediction", "Predict an item")
    assert report["console"] == report["failed_requests"] == report["cors_errors"] == []
    assert [(each["address"], each["status"]) for each in report["requests"]] == [
        (f"{app.url}/", 200)
    ]
    assert (answer.source, answer.kind) == ("page / of app", "200")
    assert 0.1 <= answer.duration_s < 2
    assert answer.picture is not None
    assert answer.picture.png.startswith(b"\x89PNG")
    assert "Predict an item" in answer.picture.shows


@pytest.mark.parametrize(
    "page",
    [
        "<div id=root></div>",
        "<div id=root><p></p></div>",
        "<div id=root><p style='display: none'>hidden</p></div>",
        "<div id=root></div><script>throw new Error('no root')</script>",
    ],
)
def test_blank_pages(page: str, see: Eyes) -> None:
    """A page that has loaded and shows nothing where it should is "blank": a finding."""
    with site({"/": page}) as app:
        assert see.look(app, within=SHORT).word == "blank"


@pytest.mark.parametrize(
    ("page", "word"),
    [
        ("<p>words</p>", "rendered"),
        ("<div style='height: 100vh'></div>", "blank"),
        ("<script>var a = 'only a script'</script><style>p {}</style>", "blank"),
        ("<svg width=20 height=20><rect width=9 height=9 /></svg>", "rendered"),
        ("<p style='visibility: hidden'>words</p>", "blank"),
    ],
)
def test_without_an_element_to_wait_for(page: str, word: str, see: Eyes) -> None:
    """Where the question names no element, anything that people can see makes it rendered."""
    with site({"/": page}) as app:
        assert see.look(app, wait_for=None, within=SHORT).word == word


def test_what_goes_wrong_on_a_page(see: Eyes) -> None:
    """Uncaught errors, console lines and failed requests are told apart, with their sources."""
    page = (
        GOOD + "<script>console.warn('old'); console.error('bad thing');"
        "fetch('/api/none'); fetch('http://127.0.0.1:9/x?token=abcdef').catch(() => 0);"
        "setTimeout(() => { null.x }, 50)</script>"
    )
    with site({"/": page}) as app:
        report = see.report(app)
    assert report["page"] == "rendered"
    told = {(each["level"], each["source"]) for each in report["console"]}
    assert told == {
        ("warning", "console"),
        ("error", "console"),
        ("error", "script"),
        ("error", "network"),
    }
    assert any("TypeError: Cannot read" in each["text"] for each in report["console"])
    failed = {
        (each["address"], each["status"], each["reason"]) for each in report["failed_requests"]
    }
    assert failed == {
        (f"{app.url}/api/none", 404, ""),
        ("http://127.0.0.1:9/x?token=…", None, "net::ERR_UNSAFE_PORT"),
    }


@pytest.mark.parametrize(
    ("allowed", "headers", "reason"),
    [
        ({}, "{}", "MissingAllowOriginHeader"),
        ({}, "{headers: {'X-Version': '1'}}", "PreflightMissingAllowOriginHeader"),
        (
            {"Access-Control-Allow-Origin": "*"},
            "{headers: {'X-Version': '1'}}",
            "HeaderDisallowedByPreflightResponse",
        ),
        ({"Access-Control-Allow-Origin": "*"}, "{}", None),
        (
            {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "X-Version"},
            "{headers: {'X-Version': '1'}}",
            None,
        ),
    ],
)
def test_cors(allowed: dict[str, str], headers: str, reason: str | None, see: Eyes) -> None:
    """What another origin does not allow is a CORS error, also where its preflight forbids it."""
    with site({"/version": (200, allowed, "{}")}) as api:
        page = f"{GOOD}<script>fetch('{api.url}/version', {headers}).catch(() => 0)</script>"
        with site({"/": page}) as app:
            report = see.report(app)
    told = [(each["address"], each["reason"]) for each in report["cors_errors"]]
    assert told == ([] if reason is None else [(f"{api.url}/version", reason)])
    assert report["failed_requests"] == []
    assert report["page"] == "rendered"


def test_a_401_behind_the_page(see: Eyes) -> None:
    """A page whose API asks for a login tells the 401."""
    page = GOOD + "<script>fetch('/api/me')</script>"
    with site({"/": page, "/api/me": (401, {}, "who?")}) as app:
        report = see.report(app)
    assert [(each["address"], each["status"]) for each in report["failed_requests"]] == [
        (f"{app.url}/api/me", 401)
    ]


# What is no page ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((500, {}, GOOD), "500"),
        ((401, {}, GOOD), "401"),
        ((404, {}, GOOD), "404"),
        ((200, {"Content-Type": "application/json"}, "{}"), "not a page"),
        ((302, {"Location": "http://localhost:9/elsewhere"}, ""), "redirect"),
        (
            "<script>location = 'http://localhost:9/elsewhere?token=abcdef'</script>",
            "redirect",
        ),
        ("<meta http-equiv=refresh content='0; url=http://localhost:9/'>", "redirect"),
    ],
)
def test_pages_that_tell_nothing(answer: object, kind: str, see: Eyes) -> None:
    """An error page, no page at all, and a page that leads elsewhere are unknown, not blank."""
    with site({"/": answer}) as app:
        error = see.nothing(app)
    assert error.kind == kind
    assert "abcdef" not in error.reason
    assert error.source in ("GET / of app", "page / of app")


def test_an_error_page_that_is_asked_for(see: Eyes) -> None:
    """An error page is looked at where the figure says so, or a word stands for it."""
    pages = {"/": (500, {}, GOOD), "/gone": (410, {}, "")}
    with site(pages) as app:
        assert see.look(app, outcomes={500: True}).word == "rendered"
        assert see.look(app, "/gone", outcomes={410: "retired"}).word == "retired"


def test_a_redirect_on_the_same_host(see: Eyes) -> None:
    """A redirect within the service is followed."""
    with site({"/": (302, {"Location": "/home"}, ""), "/home": GOOD}) as app:
        assert see.report(app)["address"] == f"{app.url}/home"


def test_a_service_that_is_down(see: Eyes) -> None:
    """A refused connection and a certificate of nobody's are told as the http probe tells them."""
    with site({"/": GOOD}) as app:
        pass
    assert see.nothing(app).kind == "refused"
    with site({"/": GOOD}, tls=_tls(trustme.CA())) as app:
        assert see.nothing(app).kind == "certificate"


def test_a_certificate_of_ones_own(tmp_path: Path, see: Eyes) -> None:
    """A page behind a root of one's own is opened where the target file names the root, and another
    server behind a stranger's certificate is a failed request of it."""
    ours, strangers = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with site({"/x": "{}"}, tls=_tls(strangers)) as other:
        page = f"{GOOD}<script>fetch('{other.url}/x').catch(() => 0)</script>"
        with site({"/": page}, tls=_tls(ours)) as app:
            see.enter(app, ca=str(tmp_path / "ca.pem"))
            report = see.report(app)
    assert report["page"] == "rendered"
    assert [each["reason"] for each in report["failed_requests"]] == [
        "net::ERR_CERT_AUTHORITY_INVALID"
    ]


def _tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


# Hostile pages --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "kinds"),
    [
        (endless, {"timeout"}),
        (GOOD + "<script>setTimeout(() => { while (true); }, 200)</script>", {"timeout"}),
        ("<script>while (true);</script>" + GOOD, {"timeout"}),
        ("<script>while (true) alert('again')</script>" + GOOD, {"timeout"}),
        ((200, {}, "<p>" + "x" * 50_000_000), {"too large"}),
        (
            GOOD + "<script>for (i = 0; i < 40; i++) fetch('/big?' + i)</script>",
            {"too large"},
        ),
        (
            GOOD
            + "<script>a = []; while (true) a.push(new Array(1e6).fill(Math.random()))</script>",
            {"timeout", "crashed"},
        ),
    ],
)
def test_pages_that_never_end(page: object, kinds: set[str], see: Eyes) -> None:
    """A page that eats time, processor, memory or network is given up, in bounds; and the next
    page is seen all the same."""
    pages = {"/": page, "/good": GOOD, "/big": (200, {}, "x" * 1_000_000)}
    with site(pages) as app:
        began = time.monotonic()
        error = see.nothing(app)
        assert time.monotonic() - began < 20
        assert error.kind in kinds, error.reason
        assert see.look(app, "/good").word == "rendered"


def test_a_flood_on_the_console(see: Eyes) -> None:
    """Thousands of lines are cut, and no error is washed away by them."""
    page = GOOD + (
        "<script>for (i = 0; i < 5000; i++) console.log('line ' + i + 'x'.repeat(2000));"
        "console.error('the one that counts')</script>"
    )
    with site({"/": page}) as app:
        report = see.report(app)
    assert len(report["console"]) == 201
    assert [each["text"] for each in report["console"] if each["level"] == "error"] == [
        "the one that counts"
    ]
    assert max(len(each["text"]) for each in report["console"]) == 500


def test_dialogs_downloads_and_windows(see: Eyes) -> None:
    """Dialogs are dismissed, downloads are not taken, and windows that open are closed."""
    page = GOOD + (
        "<script>alert('hello'); confirm('sure?'); window.open('/popup');"
        "a = document.createElement('a'); a.href = '/file'; a.download = 'x'; a.click()</script>"
    )
    file = (200, {"Content-Disposition": "attachment"}, "data")
    with site({"/": page, "/popup": GOOD, "/file": file}) as app:
        assert see.report(app)["page"] == "rendered"


def test_a_download_in_place_of_a_page(see: Eyes) -> None:
    """A file to download is no page."""
    with site({"/": (200, {"Content-Disposition": "attachment"}, GOOD)}) as app:
        assert see.nothing(app).kind == "not a page"


def test_hostile_text_stays_text(see: Eyes) -> None:
    """Tags and escapes in titles and on the console come as they are, cut; scripts that rebuild
    JavaScript's own functions change nothing."""
    page = (
        "<title>&lt;script>alert(1)&lt;/script>" + "t" * 5000 + "</title>" + GOOD[26:] + "<script>"
        "console.log('\\x1b[31mred <img src=x onerror=alert(1)>');"
        "String.prototype.slice = () => 'x'.repeat(1e8); Array.prototype.map = () => 7;"
        "Object.defineProperty(document, 'title', {get: () => 'forged'})</script>"
    )
    with site({"/": page}) as app:
        report = see.report(app)
    assert report["title"].startswith("<script>alert(1)</script>ttt")
    assert len(report["title"]) == 200
    assert report["console"][0]["text"] == "\x1b[31mred <img src=x onerror=alert(1)>"


# Looking changes nothing ----------------------------------------------------------------------

CHANGES = """<script>
const quiet = () => 0;
fetch('/change/fetch', {method: 'POST'}).catch(quiet);
fetch('/change/put', {method: 'PUT'}).catch(quiet);
fetch('/change/delete', {method: 'DELETE'}).catch(quiet);
navigator.sendBeacon('/change/beacon', 'x');
const remote = path => URL.createObjectURL(new Blob(
  [`fetch('${location.origin}${path}', {method: 'POST'}).catch(() => 0)`]));
new Worker(remote('/change/worker'));
new SharedWorker(remote('/change/shared'));
navigator.serviceWorker && navigator.serviceWorker.register('/worker.js').catch(quiet);
addEventListener('pagehide', () => {
  navigator.sendBeacon('/change/hide', 'x');
  fetch('/change/keep', {method: 'POST', keepalive: true}).catch(quiet);
});
document.addEventListener('visibilitychange', () => navigator.sendBeacon('/change/seen', 'x'));
</script>
<iframe src="/frame"></iframe>
<form id=form method=post action="/change/form"></form>
<script>setTimeout(() => document.getElementById('form').submit(), 300)</script>"""
FRAME = "<script>fetch('/change/frame', {method: 'POST'}).catch(() => 0)</script>"


def test_nothing_that_changes_anything_leaves(see: Eyes) -> None:
    """No page, frame, worker, beacon, form or farewell gets more out than GET, HEAD and OPTIONS."""
    with site({"/": GOOD + CHANGES, "/frame": FRAME, "/worker.js": ""}) as app:
        report = see.report(app)
        time.sleep(1)  # what a closed page still tries
        held = {each["address"].rpartition("/")[2] for each in report["kept_back"]}
        assert {each.method for each in app.asked} <= {"GET", "HEAD", "OPTIONS"}
        assert app.methods("/worker.js") == []
        assert report["page"] == "rendered"
    assert {"fetch", "put", "delete", "beacon", "worker", "shared", "frame", "form"} <= held


def test_a_page_that_is_unwell_after_we_kept_something_back(see: Eyes) -> None:
    """Where our own holding back may be why a page is blank, nobody can say how it is."""
    page = (
        "<div id=root></div><script>fetch('/api/predict', {method: 'POST'}).then(r => r.text())"
        ".then(text => { document.getElementById('root').innerHTML = text })</script>"
    )
    with site({"/": page, "/api/predict": "<p>cat</p>"}) as app:
        error = see.nothing(app)
        assert error.kind == "kept back"
        assert 'name its path under "safe posts"' in error.reason
        assert app.methods("/api/predict") == []
        report = see.report(app, safe_posts=["/api/predict"])
        assert (report["text"], app.methods("/api/predict")) == ("cat", ["POST"])


def test_safe_posts_go_where_they_were_declared(see: Eyes) -> None:
    """A safe post leaves to the service and to those that the page talks to, and nowhere else."""
    cors = {"Access-Control-Allow-Origin": "*"}
    with site({"/ask": (200, cors, "yes")}) as api, site({"/ask": (200, cors, "yes")}) as other:
        there, elsewhere = api.url, other.url.replace("127.0.0.1", "localhost")
        page = GOOD + "".join(
            f"<script>fetch('{url}/ask', {{method: 'POST'}}).catch(() => 0)</script>"
            for url in (there, elsewhere)
        )
        with site({"/": page}) as app:
            report = see.report(app, safe_posts=["/ask"])
        assert api.methods("/ask") == ["POST"]
        assert other.methods("/ask") == []
    assert [each["address"] for each in report["kept_back"]] == [f"{elsewhere}/ask"]


# Ways in --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ways", "header", "value"),
    [
        ({"token": "secret-token"}, "authorization", "Bearer secret-token"),
        ({"key": {"header": "X-Key", "value": "secret-token"}}, "x-key", "secret-token"),
        (
            {"basic": {"user": "reader", "password": "secret-token"}},
            "authorization",
            "Basic cmVhZGVyOnNlY3JldC10b2tlbg==",
        ),
    ],
)
def test_credentials_go_to_the_service_alone(
    ways: dict[str, Any], header: str, value: str, see: Eyes
) -> None:
    """What opens the service goes to it, and neither to another origin nor along a redirect."""
    with site({"/x": (200, {"Access-Control-Allow-Origin": "*"}, "")}) as other:
        page = (
            f"{GOOD}<script>fetch('{other.url}/x'); fetch('/away').catch(() => 0);"
            "fetch('/mine')</script>"
        )
        away = (302, {"Location": f"{other.url}/x"}, "")
        with site({"/": page, "/away": away, "/mine": "{}"}) as app:
            see.enter(app, **ways)
            report = see.report(app)
        assert {each.headers.get(header) for each in app.asked} == {value}
        assert len(other.asked) == 2
        assert all("secret" not in str(each.headers) for each in other.asked)
    assert report["page"] == "rendered"
    assert "secret" not in str(report)


def test_a_key_in_the_query(see: Eyes) -> None:
    """A key in the query reaches the service and stands in no address that is told."""
    with site({"/": GOOD + "<script>fetch('/api/none?a=1')</script>"}) as app:
        see.enter(app, key={"query": "apikey", "value": "secret-key"})
        report = see.report(app)
        assert {each.path for each in app.asked} == {
            "/?apikey=secret-key",
            "/api/none?a=1&apikey=secret-key",
        }
    assert "secret-key" not in str(report)


def test_a_login_form(see: Eyes) -> None:
    """A session that a login form gives lets the browser in; `as: nobody` stays outside."""

    def page(handler: Any) -> None:
        let_in = "session=abcdefgh" in handler.headers.get("Cookie", "")
        body = (GOOD if let_in else "<p>who are you?</p>").encode()
        handler.send_response(200 if let_in else 403)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    form = "<form><input name=username><input name=password type=password></form>"

    def login(handler: Any) -> None:
        posted = handler.command == "POST"
        body = b"" if posted else form.encode()
        handler.send_response(302 if posted else 200)
        if posted:
            handler.send_header("Location", "/")
            handler.send_header("Set-Cookie", "session=abcdefgh; HttpOnly; Path=/")
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    entrance = {"form": "/login", "user": "reader", "password": "secret-word"}
    with site({"/": page, "/login": login}) as app:
        see.enter(app, login=entrance)
        assert see.look(app).word == "rendered"
        assert see.nothing(app, as_="nobody").kind == "403"


def test_a_fresh_visitor_each_time(see: Eyes) -> None:
    """No cookie and no storage of one visit is there on the next."""
    page = GOOD + (
        "<script>document.title = `${document.cookie}|${localStorage.length}`;"
        "document.cookie = 'seen=1'; localStorage.setItem('seen', 1)</script>"
    )
    with site({"/": page}) as app:
        titles = [see.look(app).value["title"] for _ in range(2)]  # type: ignore[index]
    assert titles == ["|0", "|0"]


def test_a_picture_with_a_secret_is_not_taken(see: Eyes) -> None:
    """Where the page shows what opens it, in its text or in a field, there is no picture."""
    shown = "<div id=root><input value=secret-token><input type=password value=other></div>"
    with site({"/": shown}) as app:
        see.enter(app, token="secret-token")
        answer = see.look(app)
    assert answer.word == "rendered"
    assert answer.picture is None


# The browser's process ------------------------------------------------------------------------


def test_one_browser_for_a_run(own: Eyes) -> None:
    """Several pages at once share one browser; it is gone when the run is over."""
    before = set(browsers())
    with site({"/": GOOD}) as app:
        question = Question.model_validate({"open": "app /", "wait for": WAIT})

        async def several() -> list[Answer]:
            return await asyncio.gather(*(PROBE.look(question, own.reach, None) for _ in range(4)))

        own.reach.renew("app", Web(url=app.url))
        seen = own.loop.start(several()).result(60)
        told = [" ".join(_command(each)) for each in set(browsers()) - before]
        started = [line for line in told if leftovers.BROWSER in line and "--type=" not in line]
    assert [each.word for each in seen] == ["rendered"] * 4
    assert len(started) == 1


def test_a_browser_that_was_killed(own: Eyes) -> None:
    """Where the browser died, the next look gets a new one."""
    with site({"/": GOOD}) as app:
        assert own.look(app).word == "rendered"
        for process in browsers():
            with suppress(psutil.NoSuchProcess):  # it ended with its parent
                if "chrom" in process.name():
                    process.kill()
        time.sleep(0.5)
        assert own.look(app).word == "rendered"


def test_no_browser(monkeypatch: pytest.MonkeyPatch, own: Eyes) -> None:
    """Without a browser nothing is tried, and the reason says how to install one."""
    monkeypatch.setenv(VARIABLE, "/no/such/browser")
    with site({"/": GOOD}) as app:
        error = own.nothing(app)
    assert isinstance(error, CouldNotTry)
    assert error.kind == "no browser"
    assert "/no/such/browser" in error.reason
    assert "make browser" in error.reason


def test_a_browser_that_does_not_start(monkeypatch: pytest.MonkeyPatch, own: Eyes) -> None:
    """A program that is no browser is unknown, with its name, and leaves nothing behind."""
    monkeypatch.setenv(VARIABLE, "/bin/true")
    with site({"/": GOOD}) as app:
        error = own.nothing(app)
    assert error.kind == "browser ended"
    assert "true did not start" in error.reason
