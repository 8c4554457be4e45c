"""The system under watch: answers /page/N with JSON after a delay, and counts what it was asked.

`python server.py DELAY_S` prints its port and serves until its standard input closes.
"""

import asyncio
import sys

from aiohttp import web


class Pages:
    """`asked`: the paths that were asked for since the last GET /count."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._asked: list[str] = []

    async def page(self, request: web.Request) -> web.Response:
        self._asked.append(request.path)
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        return web.json_response({"page": request.match_info["number"], "value": 7})

    async def count(self, request: web.Request) -> web.Response:
        asked, self._asked = self._asked, []
        return web.json_response({"requests": len(asked), "distinct": len(set(asked))})


async def serve(delay_s: float) -> None:
    pages = Pages(delay_s)
    application = web.Application()
    application.router.add_get("/page/{number}", pages.page)
    application.router.add_get("/count", pages.count)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1_024)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
