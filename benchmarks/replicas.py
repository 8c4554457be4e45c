"""Starts the replicas of all systems side by side, as a run does, and takes them away again."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from watchkeeper.proving.replicas import has_replica, start_replica  # noqa: E402 - see above

SYSTEMS = [path.stem for path in sorted((ROOT / "targets").glob("*.yml"))]


def main() -> None:
    slugs = [slug for slug in SYSTEMS if has_replica(ROOT, slug)]
    with ThreadPoolExecutor(len(slugs)) as starting:
        replicas = list(starting.map(lambda slug: start_replica(ROOT, slug), slugs))
    for replica in replicas:
        replica.close()
    print(f"{len(replicas)} passed")


if __name__ == "__main__":
    main()
