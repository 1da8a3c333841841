"""The least a start with many ProwJobs can cost: one paged list, its bytes read and decoded once, nothing kept.

Run as its own process: `python -m bench.barelist URL TOKEN`; prints one JSON object. Its time leaves out its own start.
"""

import sys
import time

import msgspec
import uvloop

from bench import wire

PAGE = 500


async def main(url: str, token: str) -> None:
    begin = time.monotonic()
    objects = size_bytes = 0
    more = ""
    async with wire.session(url, token, 1) as client:
        while True:
            params = {"limit": str(PAGE), **({"continue": more} if more else {})}
            async with client.get(wire.JOBS, params=params) as reply:
                reply.raise_for_status()
                raw = await reply.read()
            page = msgspec.json.decode(raw)
            objects += len(page["items"])
            size_bytes += len(raw)
            more = page["metadata"].get("continue", "")
            if not more:
                break
    took = {"took_s": time.monotonic() - begin, "objects": objects, "size_bytes": size_bytes}
    print(msgspec.json.encode(took).decode())


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2]))
