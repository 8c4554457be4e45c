"""Does a run go on with a key that it has changed, and does no record show it?"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.stage import shop
from watchkeeper.changing.handles import ChangingHandles
from watchkeeper.changing.operators.files import Order
from watchkeeper.clock import Clock
from watchkeeper.errors import (
    CouldNotObserve,
    OperationFailed,
    OperationRefused,
    OperationUnknown,
)
from watchkeeper.looking.handles import Handles
from watchkeeper.looking.reach import Reach
from watchkeeper.services import Service, Web
from watchkeeper.targets import services_in

OLD, NEW = "0123456789abcdef", "fedcba9876543210"


def web(url: str, key: str | None) -> Web:
    way = {"key": {"header": "X-Api-Key", "value": key}} if key else {}
    return Web.model_validate({"url": url, **way})


def test_a_new_key_is_used_from_then_on_and_told_to_nobody() -> None:
    """It is learned as a secret first; a reset brings the given one back."""
    learned: list[str] = []
    services: dict[str, Service] = {"app": web("http://127.0.0.1:9", OLD)}

    async def rekey() -> tuple[str, str, str]:
        reach = Reach(services, Clock(), learned.append)
        handles = ChangingHandles(reach, 5)
        before = handles.key("app")
        handles.use_key("app", NEW)
        await asyncio.sleep(0)
        after = handles.key("app")
        reach.as_given()
        return before, after, handles.key("app")

    assert asyncio.run(rekey()) == (OLD, NEW, OLD)
    assert learned == [NEW]


def test_the_next_request_carries_the_new_key(tmp_path: Path) -> None:
    """An open client is not kept: what was asked with the old key is asked with the new one."""
    from watchkeeper.web import web_client
    from watchkeeper.web_calls import Call

    async def asks(url: str) -> list[object]:
        reach = Reach({"app": web(url, OLD)}, Clock())
        first = await web_client(reach, "app")
        await first.ask(Call("GET", "/stock"))
        handles = ChangingHandles(reach, 5)
        handles.use_key("app", NEW)
        await asyncio.sleep(0)
        second = await web_client(reach, "app")
        await second.ask(Call("GET", "/stock"))
        await reach.close()
        return [first, second]

    with shop(tmp_path) as open_shop:
        first, second = asyncio.run(asks(open_shop.url))
        assert first is not second
        assert open_shop.asked["GET /stock"] == 2


def test_a_service_without_a_key_has_none_to_change() -> None:
    """It is refused, and nothing was tried."""

    async def key() -> str:
        reach = Reach({"app": web("http://127.0.0.1:9", None)}, Clock())
        return ChangingHandles(reach, 5).key("app")

    with pytest.raises(OperationRefused, match="not entered with a key"):
        asyncio.run(key())


def test_a_file_that_is_put_is_no_service() -> None:
    """ "put" is a verb of web services and of files; only the folder is a service."""
    order = Order.model_validate({"put": "{made.aside} x", "in place of": "a.db", "in": "tree"})
    assert services_in(order) == ("tree",)


@pytest.mark.parametrize(
    ("verb", "status", "raised"),
    [
        ("POST", 503, OperationUnknown),
        ("POST", 404, OperationFailed),
        ("GET", 503, OperationFailed),
    ],
)
def test_what_may_have_begun_is_unknown(
    tmp_path: Path, verb: str, status: int, raised: type[Exception]
) -> None:
    """A 5xx to what changes leaves open whether it was done; one to a question changed nothing."""

    async def asks(url: str) -> object:
        reach = Reach({"app": web(url, None)}, Clock())
        try:
            handles = ChangingHandles(reach, 5)
            return await asyncio.to_thread(handles.call, verb, "app /stock", None)
        finally:
            await reach.close()

    with shop(tmp_path, stock=(status, b"{}")) as open_shop, pytest.raises(raised):
        asyncio.run(asks(open_shop.url))


def test_python_looks_at_a_web_service_by_get(tmp_path: Path) -> None:
    """The JSON of a good answer; anything else is what could not be seen, by its status."""

    async def asks(url: str) -> tuple[object, str]:
        reach = Reach({"app": web(url, None)}, Clock())
        try:
            handles = Handles(reach)
            seen = await asyncio.to_thread(handles.get, "app /stock")
            with pytest.raises(CouldNotObserve) as unseen:
                await asyncio.to_thread(handles.get, "app /mood")
            return seen, unseen.value.kind
        finally:
            await reach.close()

    with shop(tmp_path, stock={"count": 5}, mood=(401, b"{}")) as open_shop:
        assert asyncio.run(asks(open_shop.url)) == ({"count": 5}, "401")
        assert open_shop.asked == {"GET /stock": 1, "GET /mood": 1}
