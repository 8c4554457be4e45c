"""Tests of what is done on a page by pressing a button, and of what nobody can say afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from pydantic import ValidationError

from tests.pages import Site, site
from watchkeeper.browser import VARIABLE
from watchkeeper.changing.operator import Done
from watchkeeper.changing.operators.browser import OPERATOR, Order
from watchkeeper.clock import Clock
from watchkeeper.errors import OperationFailed, OperationRefused, OperationUnknown
from watchkeeper.looking.loop import LookingLoop
from watchkeeper.looking.reach import Reach
from watchkeeper.services import Web

ADMIN = """<title>Admin</title>
<label>Reason <input id=reason></label> <label>Password <input type=password></label>
<button id=go>Retrain Model</button> <button disabled>Delete</button>
<button>Twice</button> <button>Twice</button> <button id=ask>Ask first</button>
<button>Nothing</button> <p role=status></p>
<script>
const say = text => { document.querySelector('[role=status]').textContent = text };
const send = path => fetch(path, {method: 'POST', body: document.getElementById('reason').value})
  .then(reply => reply.text()).then(say, () => say('lost'));
document.getElementById('go').onclick = () => send('/retrain');
document.getElementById('ask').onclick = () => { if (confirm('Really?')) send('/retrain') };
fetch('/opened', {method: 'POST'}).catch(() => 0);
</script>"""


class Operator:
    """The browser operator on a loop of its own, in one browser."""

    def __init__(self) -> None:
        self.loop = LookingLoop()
        self.reach = Reach({"web": Web(url="http://127.0.0.1")}, Clock())

    def order(self, app: Site, click: str = "Retrain Model", **order: Any) -> Done:
        data = {"open": "web /", "click": click, "wait for": "[role=status]", **order}
        return self.loop.start(self._operate(app, Order.model_validate(data))).result(90)

    async def _operate(self, app: Site, order: Order) -> Done:
        self.reach.renew("web", Web(url=app.url))
        return await OPERATOR.operate(order, self.reach)

    def close(self) -> None:
        self.loop.start(self.reach.close()).result(5)
        self.loop.close()


@pytest.fixture(scope="module")
def operator() -> Iterator[Operator]:
    opened = Operator()
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("order", "part"),
    [
        ({"open": "web /", "click": "Go"}, "wait for"),
        ({"open": "web /", "wait for": "p"}, "click"),
        ({"open": "web /", "wait for": "p", "click": ""}, "at least 1 character"),
        ({"open": "/", "wait for": "p", "click": "Go"}, 'write for example "api /health"'),
        ({"open": "web /", "wait for": "p", "click": "Go", "role": "image"}, "role"),
    ],
)
def test_orders_that_are_refused(order: dict[str, Any], part: str) -> None:
    """What is not clear, or leaves nothing to see afterwards, is refused with a reason."""
    with pytest.raises(ValidationError) as caught:
        Order.model_validate(order)
    assert part in str(caught.value)


def test_a_button_is_pressed(operator: Operator) -> None:
    """Fields are filled in, the button is pressed once, and what the page then says is the answer;
    what the page wanted to change before was kept back."""
    heard: list[bytes] = []

    def retrain(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "15")
        handler.end_headers()
        handler.wfile.write(b"training queued")
        heard.append(b"")

    with site({"/": ADMIN, "/retrain": retrain}) as app:
        done = operator.order(app, fill={"Reason": "drift", "Password": "secret"})
        assert app.methods("/retrain") == ["POST"]
        assert app.methods("/opened") == []
    value: Any = done.value
    assert value["text"] == done.excerpt == "training queued"
    assert value["title"] == "Admin"
    assert done.source == '"Retrain Model" on page / of web'
    assert done.picture is not None
    assert "secret" not in done.picture.shows
    assert "secret" not in str(done.value)


@pytest.mark.parametrize(
    ("click", "order", "reason"),
    [
        ("Retrain", {}, 'shows no button called "Retrain"'),
        ("Twice", {}, 'more than one button called "Twice" (2)'),
        ("Delete", {}, "nothing was pressed"),
        ("Retrain Model", {"role": "link"}, "shows no link"),
        ("Retrain Model", {"fill": {"Remark": "x"}}, 'no field with the label "Remark"'),
    ],
)
def test_what_can_not_be_pressed(
    operator: Operator, click: str, order: dict[str, Any], reason: str
) -> None:
    """What is not there, is there twice or is disabled is not pressed, and that is said."""
    with site({"/": ADMIN}) as app:
        with pytest.raises(OperationFailed) as caught:
            operator.order(app, click, deadline="6 seconds", **order)
        assert {each.method for each in app.asked} <= {"GET"}
    assert reason in str(caught.value)
    assert "nothing was pressed" in str(caught.value)


@pytest.mark.parametrize(
    ("pages", "error", "reason"),
    [
        ({"/retrain": (403, {}, "no")}, OperationFailed, "/retrain answered 403"),
        ({"/retrain": (500, {}, "oops")}, OperationUnknown, "/retrain answered 500"),
        ({"/retrain": lambda handler: handler.connection.close()}, OperationUnknown, "no answer"),
    ],
)
def test_what_the_service_says(
    operator: Operator, pages: dict[str, object], error: type[Exception], reason: str
) -> None:
    """A no of the service is a failure, even where the page shows something; what broke after it
    was pressed is unknown, and is not pressed again."""
    with site({"/": ADMIN, **pages}) as app:
        with pytest.raises(error) as caught:
            operator.order(app)
        assert app.methods("/retrain") == ["POST"]
    assert reason in str(caught.value)


def test_a_press_that_shows_nothing(operator: Operator) -> None:
    """Where the page shows nothing new, nobody can say whether it took effect."""
    with site({"/": ADMIN}) as app, pytest.raises(OperationUnknown) as caught:
        operator.order(app, "Nothing", deadline="6 seconds")
    assert "nothing new was shown" in str(caught.value)
    assert "may have taken effect" in str(caught.value)


def test_an_old_message_is_no_answer(operator: Operator) -> None:
    """An element that was there before counts only once its text has changed."""
    page = ADMIN.replace("<p role=status></p>", "<p role=status>training queued</p>")
    with site({"/": page, "/retrain": "training queued"}) as app:
        with pytest.raises(OperationUnknown) as caught:
            operator.order(app, deadline="8 seconds")
        assert "nothing new" in str(caught.value)
    with site({"/": page, "/retrain": "training queued again"}) as app:
        assert operator.order(app).excerpt == "training queued again"


def test_a_page_that_asks_back(operator: Operator) -> None:
    """A question is answered yes only where the order says so."""
    with site({"/": ADMIN, "/retrain": "queued"}) as app:
        with pytest.raises(OperationFailed) as caught:
            operator.order(app, "Ask first")
        assert app.methods("/retrain") == []
        assert operator.order(app, "Ask first", confirm=True).excerpt == "queued"
    assert 'asked "Really?"' in str(caught.value)


def test_it_changes_its_own_service_alone(operator: Operator) -> None:
    """What the page wants to change elsewhere is kept back, also after it was pressed."""
    with site({"/retrain": (200, {"Access-Control-Allow-Origin": "*"}, "queued")}) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        page = ADMIN.replace("send('/retrain')", f"send('{elsewhere}/retrain')")
        with site({"/": page}) as app, pytest.raises(OperationUnknown):
            operator.order(app)
        assert other.methods("/retrain") == []


def test_a_form_that_leads_on(operator: Operator) -> None:
    """A form that is sent and leads to another page is done where that shows what came of it."""
    form = "<form method=post action=/save><button>Save</button></form>"
    pages = {
        "/": form,
        "/save": (303, {"Location": "/saved"}, ""),
        "/saved": "<p role=status>saved</p>",
    }
    with site(pages) as app:
        done = operator.order(app, "Save")
        assert app.methods("/save") == ["POST"]
    assert done.excerpt == "saved"


def test_a_page_that_is_not_there(operator: Operator) -> None:
    """Where the page can't be opened, nothing was pressed."""
    with site({}) as app, pytest.raises(OperationFailed) as caught:
        operator.order(app)
    assert "answered 404" in str(caught.value)
    with pytest.raises(OperationFailed) as caught:
        operator.order(app)
    assert "refused the connection" in str(caught.value)


def test_no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a browser the operation is refused, and nothing was tried."""
    monkeypatch.setenv(VARIABLE, "/no/such/browser")
    alone = Operator()
    try:
        with site({"/": ADMIN}) as app, pytest.raises(OperationRefused) as caught:
            alone.order(app)
    finally:
        alone.close()
    assert "make browser" in str(caught.value)
