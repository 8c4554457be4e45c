"""What did a killed run leave behind, and how is it taken away without touching anybody else's?

What a run starts beside itself (a replica, a browser) lives in a folder that says whose it is, and
has that folder on its command line. Only folders of dead owners are touched, and only processes
that were started for such a folder.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

REPLICA, BROWSER = "watchkeeper-replica-", "watchkeeper-browser-"
"""How the names of such folders begin."""
OWNER = "owner.json"
BEING_MADE_S = 30.0
"""How long a folder without a name in it may be one that another run makes just now."""


def own_folder(prefix: str) -> Path:
    """A new folder that this process owns."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    me = psutil.Process()
    (folder / OWNER).write_text(json.dumps({"pid": me.pid, "created": me.create_time()}))
    return folder


def clean_up() -> tuple[str, ...]:
    """Take away what killed runs left: processes and folders. Says what it took."""
    taken = []
    for prefix in (REPLICA, BROWSER):
        for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
            if not _owner_lives(folder):
                taken += [f"process {number}" for number in end_all_of(folder)]
                taken.append(str(folder))
    return tuple(taken)


def end_all_of(folder: Path) -> tuple[int, ...]:
    """Kill what was started for `folder`, wait until it is gone, and remove the folder."""
    killed = []
    for process in _started_for(folder):
        with suppress(psutil.NoSuchProcess):  # it has ended by itself
            process.kill()
            killed.append(process)
    psutil.wait_procs(killed, GONE_S)
    shutil.rmtree(folder, ignore_errors=True)
    return tuple(process.pid for process in killed)


GONE_S = 1.0
"""How long a killed process is waited for."""


def _owner_lives(folder: Path) -> bool:
    try:
        owner = json.loads((folder / OWNER).read_text())
        return bool(psutil.Process(owner["pid"]).create_time() == owner["created"])
    except (psutil.NoSuchProcess, KeyError, TypeError):
        return False
    except (OSError, ValueError, psutil.Error):
        # Being made just now by another run, or not ours to judge.
        return time.time() - _age_of(folder) < BEING_MADE_S


def _age_of(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return time.time()


def _started_for(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if any(str(folder) in argument for argument in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found
