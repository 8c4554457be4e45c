"""The floor: the same checks as a bare asyncio loop over aiohttp. `python floor.py URL CHECKS`."""

import asyncio
import sys

import aiohttp

AT_ONCE = 100


async def check(session: aiohttp.ClientSession, url: str) -> bool:
    async with session.get(url) as response:
        return bool((await response.json())["value"] < 10)


async def main(base: str, checks: int) -> None:
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(connector=connector) as session:
        found = await asyncio.gather(
            *(check(session, f"{base}/page/{number}") for number in range(checks))
        )
    print(f"{sum(found)} passed")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
