"""What YAML should not say about the routing platform's models and dashboards."""

from __future__ import annotations

import json
import math
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from watchkeeper.changing.handles import ChangingHandles
from watchkeeper.errors import CouldNotObserve, OperationRefused
from watchkeeper.looking.handles import Handles

ARTIFACTS = ("model.bin", "encoder.bin", "feature_weights.json")
METRICS = "metrics.json"
SHARES = ("accuracy", "precision_weighted", "recall_weighted", "f1_weighted")


def said(handles: Handles, text: str) -> str:
    """A name that an operation made up, as a figure that others are compared with."""
    return text


# Versions ---------------------------------------------------------------------------------------


def versions_on_disk(handles: Handles) -> list[dict[str, str]]:
    """Every folder with a model's files but the one in use, which holds a copy."""
    folder = handles.folder("models")
    return [
        {"version": path.name}
        for path in sorted(folder.iterdir())
        if path.is_dir()
        and not path.is_symlink()
        and path.name != "default"
        and any(path.iterdir())
    ]


def missing_artifacts(handles: Handles, version: str) -> list[dict[str, str]]:
    """What a version's folder lacks, or holds without anything in it."""
    folder = handles.folder("models") / version
    wanted = ARTIFACTS if version == "default" else (*ARTIFACTS, METRICS)
    return [{"artifact": name, "is": what} for name in wanted if (what := _wrong(folder / name))]


def missing_after_training(handles: Handles) -> list[dict[str, str]]:
    """The same of the version that was trained last, where its training came so far as to have a
    folder; its metrics are not asked for.
    """
    version = _object(handles.get("api /api/trainer/status")).get("version_label")
    if not version:
        return []
    folder = handles.folder("models") / str(version)
    if not folder.is_dir():
        return []
    return [{"artifact": name, "is": what} for name in ARTIFACTS if (what := _wrong(folder / name))]


def _wrong(path: Path) -> str:
    try:
        return "" if path.stat().st_size else "empty"
    except OSError:
        return "missing"


def features_without_weight(handles: Handles) -> list[dict[str, str]]:
    """The features that the active version was trained on or has a weight for, and its copy in
    default/ has no weight for.
    """
    path = handles.folder("models") / "default" / "feature_weights.json"
    weights = _object(_json(path)).get("weights")
    if not isinstance(weights, Mapping):
        raise CouldNotObserve("missing", f"{path} has no weights")
    manifest = _object(_json(handles.folder("models") / "default" / "manifest.json"))
    trained = handles.folder("models") / str(manifest.get("active_version"))
    features = _object(_json(trained / "training_request.json")).get("features")
    if not isinstance(features, list):
        raise CouldNotObserve("missing", f"{trained / 'training_request.json'} has no features")
    own = _object(_object(_json(trained / "feature_weights.json")).get("weights"))
    wanted = dict.fromkeys([*map(str, features), *own])
    return [
        {"feature": name}
        for name in wanted
        if not isinstance(weights.get(name), int | float) or isinstance(weights.get(name), bool)
    ]


# Metrics ----------------------------------------------------------------------------------------


def age_of_metrics(handles: Handles, version: str) -> float:
    """Seconds since a version's metrics were generated, by what they say themselves."""
    found = _object(_json(handles.folder("models") / version / METRICS)).get("generated_at")
    try:
        at = datetime.fromisoformat(str(found))
    except ValueError:
        raise CouldNotObserve("missing", f"generated_at is {found}, no instant") from None
    if at.tzinfo is None:
        raise CouldNotObserve("missing", f"generated_at is {found}, without a time zone")
    return (handles.now - at).total_seconds()


def soundness_of_metrics(handles: Handles, version: str) -> str:
    """ "missing", "valid" where every field is there and in its range, else "invalid"."""
    path = handles.folder("models") / version / METRICS
    if not path.exists():
        return "missing"
    found = _json(path)
    return "valid" if isinstance(found, Mapping) and _in_range(found, version) else "invalid"


def _in_range(found: Mapping[str, Any], version: str) -> bool:
    numbers = [found.get(name) for name in SHARES]
    shares = all(_number(each) and 0 <= each <= 1 for each in numbers)
    samples = found.get("training_samples")
    stats = found.get("dataset_stats")
    return (
        shares
        and found.get("model_version") == version
        and _number(samples)
        and samples >= 1
        and isinstance(stats, Mapping)
        and _number(stats.get("total_samples"))
        and _number(found.get("training_duration_sec"))
        and isinstance(found.get("generated_at"), str)
    )


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


# Training ---------------------------------------------------------------------------------------


def access_to_models(handles: Handles) -> str:
    """Whether the owner of the models' folder may write into it: root could all the same."""
    mode = handles.folder("models").stat().st_mode
    return "granted" if mode & stat.S_IWUSR else "refused"


def training_of(handles: Handles, version: str) -> str:
    """How far the training of this version is: the status may be that of the one before still."""
    told = _object(handles.get("api /api/trainer/status"))
    if told.get("version_label") != version:
        return "not begun"
    status = str(told.get("status"))
    return f"running at {told.get('progress')}%" if status == "running" else status


def timeouts_in_training(handles: Handles) -> int:
    """1 where the last training says that the database did not answer in time, else 0."""
    told = str(_object(handles.get("api /api/trainer/status")).get("error") or "").lower()
    return int("timeout" in told or "timed out" in told)


def start_training(handles: ChangingHandles) -> dict[str, Any]:
    """Start a training under a label of its own, which nobody else can have chosen."""
    version = f"wk-{handles.now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    handles.call("POST", "api /api/trainer/run", {"version_label": version, "dry_run": False})
    return {"made": {"version": version}, "note": f"version {version}"}


def touch_manifest(handles: ChangingHandles) -> dict[str, Any]:
    """Give the manifest a new time of change; what stands in it stays."""
    path = handles.folder("models") / "default" / "manifest.json"
    if not path.is_file():
        raise OperationRefused(f"there is no {path}; nothing was changed")
    at = handles.now.timestamp()
    os.utime(path, (at, at))
    return {"note": f"{path.name} touched"}


def remove_version(handles: ChangingHandles, version: str) -> dict[str, Any]:
    """Remove the folder of a version that was trained for trial, by its name and never in use."""
    if not version.startswith("wk-by-hand"):
        raise OperationRefused(f"{version} is no trial by its name; nothing was removed")
    manifest = _object(_json(handles.folder("models") / "default" / "manifest.json"))
    if manifest.get("active_version") == version:
        raise OperationRefused(f"{version} is in use; nothing was removed")
    folder = handles.folder("models") / version
    if folder.is_symlink() or not folder.is_dir():
        raise OperationRefused(f"{folder} is no folder; nothing was removed")
    shutil.rmtree(folder)
    return {"note": f"{version} removed"}


# Dashboards -------------------------------------------------------------------------------------


def dashboard_panels(handles: Handles) -> list[dict[str, str]]:
    """Every panel of every dashboard, with what its query answers: data "shown" or "none"."""
    found = handles.get("grafana /api/search?type=dash-db")
    if not isinstance(found, list):
        raise CouldNotObserve("unexpected", "the search for dashboards gave no list")
    return [row for each in found for row in _panels(handles, _object(each))]


def _panels(handles: Handles, dashboard: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    whole = _object(handles.get(f"grafana /api/dashboards/uid/{dashboard.get('uid')}"))
    panels = _object(whole.get("dashboard")).get("panels")
    title = dashboard.get("title")
    if not isinstance(panels, list) or not panels:
        yield {"panel": f"{title}: no panels", "data": "none"}
        return
    for panel in panels:
        name = f"{title}: {_object(panel).get('title')}"
        yield {"panel": name, "data": _data(handles, _object(panel))}


def _data(handles: Handles, panel: Mapping[str, Any]) -> str:
    shown = [
        _answered(handles, str(source), quote(str(target.get("expr", "")), safe=""))
        for target in panel.get("targets", [])
        if (source := _object(target.get("datasource") or panel.get("datasource")).get("uid"))
    ]
    return "shown" if shown and all(shown) else "none"


def _answered(handles: Handles, source: str, query: str) -> bool:
    at = f"grafana /api/datasources/proxy/uid/{source}/api/v1/query?query={query}"
    try:
        told = _object(handles.get(at))
    except CouldNotObserve as error:
        if error.kind.startswith("4"):
            return False  # a panel whose query is wrong shows an error
        raise
    result = _object(told.get("data")).get("result")
    if told.get("status") != "success" or not isinstance(result, list):
        raise CouldNotObserve("unexpected", "the answer to a panel's query is not of its kind")
    return bool(result)


# What is read -----------------------------------------------------------------------------------


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CouldNotObserve("missing", f"{path}: {error.strerror}") from None
    except ValueError:
        raise CouldNotObserve("not JSON", f"{path} is no JSON") from None


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise CouldNotObserve("unexpected", "it said no object where one was expected")
    return value
