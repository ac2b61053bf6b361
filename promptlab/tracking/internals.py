"""Names what PromptLab uses of MLflow's inside, and tells what the installed MLflow lacks of it.

Everything else goes through ``MlflowClient`` and the options of ``mlflow server``, which are documented. What stands
here is not: it was read from MLflow 3.17, and any release may change it. :func:`unrecognised` looks for signs of each
part in the files of the installed package, without importing it; where they are gone, MLflow's plain pages open and its
plain ways are gone, which show and keep the same runs.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

__all__ = [
    "EXPERIMENT_IDS_TAG",
    "FIXED_COLUMNS",
    "IMAGES_TAG",
    "LINK_TAG",
    "Part",
    "close_stores",
    "image_stem",
    "import_own_stores",
    "open_store",
    "package_folder",
    "recognises",
    "requests_entrance",
    "revisions",
    "server_app",
    "shared_view",
    "unrecognised",
    "unrecognised_lines",
    "upgrade_tables",
    "view_chart",
    "view_path",
    "view_section",
    "view_state",
]

IMAGES_TAG: Final = "mlflow.loggedImages"
"""Of a run: that its page and charts look for images."""

LINK_TAG: Final = "mlflow.linkedPrompts"
"""The tag in which MLflow's pages look for the prompts of a run."""

EXPERIMENT_IDS_TAG: Final = "_mlflow_experiment_ids"
"""Of a prompt: the experiments under which MLflow's pages list it."""

FIXED_COLUMNS: Final = {"1": 73, "attributes.`Run Name`": 190, "runDateAndNestInfo": 130, "duration": 75}
"""MLflow's own columns by its own names; an order that leaves them out puts them last."""

_VIEW_TAG: Final = "mlflow.sharedViewState."
_ENTRANCE: Final = "_get_http_response_with_retries"
"""MLflow's function through which all of its requests go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Describes one part of MLflow's inside, by what shows that it is still there.

    Args:
        name: for people.
        files: patterns of the files to look in, relative to the package.
        signs: texts that all have to stand in them.
        instead: what happens where it is gone.
    """

    name: str
    files: tuple[str, ...]
    signs: tuple[str, ...]
    instead: str


VIEWS: Final = Part(
    name="saved views",
    files=("server/js/build/static/js/main.*.js", "server/js/build/static/js/*.js"),
    signs=(
        _VIEW_TAG, "viewStateShareKey", "deflate;", "compareRunsMode", "compareRunCharts", "compareRunSections",
        "metricSectionId", "runsCountToCompare", "imageKeys", "selectedColumns", "columnOrder", "runDateAndNestInfo",
        "runsHiddenMode", "FIRST_10_RUNS", "orderByKey",
    ),
    instead="experiments open in MLflow's own list of runs",
)  # fmt: skip
IMAGES: Final = Part(
    name="names of logged images",
    files=("tracking/client.py", "utils/mlflow_tags.py"),
    signs=("+step+", "+timestamp+", "+compressed", IMAGES_TAG),
    instead="the pictures are among the artifacts of each run, and may be missing from its charts",
)
TABLES: Final = Part(
    name="tables",
    files=("store/db/utils.py", "store/tracking/sqlalchemy_store.py", "store/db_migrations/versions/*.py"),
    signs=(
        "def _upgrade_db(", "def create_sqlalchemy_engine_with_retry(", "class SqlAlchemyStore(", "down_revision",
    ),
    instead="MLflow makes them itself",
)  # fmt: skip
PAGE: Final = Part(
    name="server's page",
    files=("server/fastapi_app.py", "cli/__init__.py", "server/js/build/index.html"),
    signs=("app = create_fastapi_app(", "app-name", "</head>"),
    instead="its pages look as they always do",
)
REQUESTS: Final = Part(
    name="requests to a server elsewhere",
    files=("utils/rest_utils.py",),
    signs=(_ENTRANCE,),
    instead="MLflow's own deadlines hold",
)
PARTS: Final = (VIEWS, IMAGES, TABLES, PAGE, REQUESTS)


@cache
def package_folder() -> Path | None:
    """Return the folder of the installed MLflow, which is not imported."""
    found = find_spec("mlflow")
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0])


def recognises(part: Part) -> bool:
    """Return whether the installed MLflow has all signs of ``part``. Some 10 ms the first time."""
    folder = package_folder()
    return folder is not None and not _missing(folder, part)


def unrecognised() -> tuple[Part, ...]:
    """Return the parts that the installed MLflow does not have, or has otherwise."""
    return tuple(part for part in PARTS if not recognises(part))


def unrecognised_lines() -> tuple[str, ...]:
    """Return a line for each of :func:`unrecognised`: what it is, and what happens instead."""
    try:
        installed = version("mlflow")
    except PackageNotFoundError:
        installed = "of an unknown version"
    return tuple(
        f"MLflow {installed} is not one whose {part.name} PromptLab knows: {part.instead}" for part in unrecognised()
    )


@cache
def _missing(folder: Path, part: Part) -> frozenset[str]:
    missing = {sign.encode() for sign in part.signs}
    for path in (path for pattern in part.files for path in sorted(folder.glob(pattern))):
        if not missing:
            break
        text = path.read_bytes()
        missing = {sign for sign in missing if sign not in text}
    return frozenset(sign.decode() for sign in missing)


# What an experiment's page keeps of how it is looked at.


def view_path(experiment_id: str, key: str) -> str:
    """Return what follows the server's address to open an experiment with the view ``key``.

    Of an MLflow that has no such views, its list of runs.
    """
    query = f"workflowType=machine_learning&viewStateShareKey={key}&compareRunsMode=CHART"
    return f"/#/experiments/{experiment_id}/runs" + (f"?{query}" if recognises(VIEWS) else "")


def shared_view(key: str, name: str, state: Mapping[str, Any], now_ms: int) -> tuple[str, str]:
    """Return the experiment tag, key and value, as which MLflow keeps a view that others open by its key."""
    packed = "deflate;" + base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    value = {"name": name, "createdAt": now_ms, "updatedAt": now_ms, "state": packed}
    return _VIEW_TAG + key, json.dumps(value)


def view_state(columns: Mapping[str, int], *, order_by: str, shown: str) -> dict[str, Any]:
    """Return a view of every run, the greatest ``order_by`` first.

    Args:
        columns: of the table, by MLflow's names, with their widths in pixels.
        order_by: a metric.
        shown: MLflow's name for which runs the charts show.
    """
    return {
        "searchFilter": "",
        "orderByKey": f"metrics.`{order_by}`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(columns),
        "columnOrder": [*FIXED_COLUMNS, *columns],
        "columnWidths": {**FIXED_COLUMNS, **columns},
        "runsHiddenMode": shown,
        "isAccordionReordered": True,  # sections in our order; else MLflow sorts them by name
    }


def view_section(uid: str, name: str, *, height: int, columns: int = 1) -> dict[str, Any]:
    """Return a section of charts; ``height`` of each in pixels."""
    return {
        "uuid": uid,
        "name": name,
        "display": True,
        "isReordered": True,
        "deleted": False,
        "isGenerated": False,
        "columns": columns,
        "cardHeight": height,
    }


def view_chart(uid: str, section: Mapping[str, Any], *, runs: int) -> dict[str, Any]:
    """Return what every chart of a section has."""
    return {
        "uuid": uid,
        "metricSectionId": section["uuid"],
        "deleted": False,
        "isGenerated": False,
        "runsCountToCompare": runs,
    }


def image_stem(key: str, timestamp: int, uid: str) -> str:
    """Return the path, without its ending, under which ``log_image`` puts the image ``key`` of step 0."""
    return f"images/{key.replace('/', '~')}+step+0+timestamp+{timestamp}+{uid}"


# The database, the server and its requests.


def import_own_stores() -> None:
    """Import MLflow's stores in a database where they are known; else they come when needed."""
    if recognises(TABLES):
        import mlflow.store.model_registry.sqlalchemy_store
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401 - for its effect


def open_store(uri: str) -> None:
    """Open MLflow's store, which makes what it misses, its first experiment last, and close it.

    The store and not the client, because only it lets one say where MLflow's own "Default" experiment keeps its files:
    otherwise that is the absolute path of the current folder, and a workspace could not be moved.
    """
    if not recognises(TABLES):
        from mlflow import MlflowClient

        MlflowClient(tracking_uri=uri, registry_uri=uri).search_experiments(max_results=1)
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(uri, "mlflow-artifacts:/")  # type: ignore[no-untyped-call]
    store.engine.dispose()


def close_stores(uri: str) -> None:
    """Close the file at ``uri``, which MLflow's stores keep open.

    MLflow has one database engine for each address, which its clients share and which opens the file again when it is
    asked for something.
    """
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(uri, "mlflow-artifacts:/").engine.dispose()  # type: ignore[no-untyped-call]
    RegistryStore(uri).engine.dispose()  # type: ignore[no-untyped-call]


def upgrade_tables(uri: str) -> None:
    """Upgrade the tables at ``uri`` by MLflow's own migrations, as ``mlflow db upgrade`` does."""
    from mlflow.store.db.utils import _upgrade_db, create_sqlalchemy_engine_with_retry

    engine = create_sqlalchemy_engine_with_retry(uri)  # type: ignore[no-untyped-call]
    try:
        _upgrade_db(engine)  # type: ignore[no-untyped-call]
    finally:
        engine.dispose()


@cache
def revisions() -> tuple[frozenset[str], str | None]:
    """Return the installed MLflow's migrations, and the newest, which no other comes after."""
    folder = package_folder()
    if folder is None:
        return frozenset(), None
    found: set[str] = set()
    before: set[str] = set()
    for path in folder.joinpath("store", "db_migrations", "versions").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        found.update(re.findall(r"""^revision\b[^=]*=\s*["'](\w+)""", text, re.MULTILINE))
        for line in re.findall(r"^down_revision\b[^=]*=(.*)", text, re.MULTILINE):
            before.update(re.findall(r"""["'](\w+)""", line))
    heads = found - before
    return frozenset(found), heads.pop() if len(heads) == 1 else None


def server_app() -> Callable[..., Any]:
    """Return the ASGI app of MLflow's server."""
    from mlflow.server.fastapi_app import app

    found: Callable[..., Any] = app
    return found


def requests_entrance() -> tuple[object, str] | None:
    """Return module and name of the function through which MLflow's requests go, or None."""
    from mlflow.utils import rest_utils

    return (rest_utils, _ENTRANCE) if hasattr(rest_utils, _ENTRANCE) else None
