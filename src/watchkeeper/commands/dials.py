"""What can a replica be told to do wrong?"""

from __future__ import annotations

from pathlib import Path

from watchkeeper.commands.project import system, systems
from watchkeeper.errors import ConfigurationError
from watchkeeper.proving.replicas import has_replica, start_replica


def run(root: Path, slug: str | None) -> int:
    """Print the dials of one replica, or of all."""
    slugs = [system(root, slug).slug] if slug else list(systems(root))
    with_replica = [each for each in slugs if has_replica(root, each)]
    if not with_replica:
        raise ConfigurationError(f"there is no replica of {', '.join(slugs)}")
    for each in with_replica:
        replica = start_replica(root, each)
        try:
            dials = replica.dials()
        finally:
            replica.close()
        print(f"{each}: {len(dials)} dials, turned by pytest --dial NAME")
        width = max(len(dial.name) for dial in dials)
        for dial in dials:
            print(f"  {dial.name:{width}}  {dial.about}")
    return 0
