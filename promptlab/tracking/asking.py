"""Asks an MLflow server by REST where it shows something, without importing MLflow."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any, Final

from promptlab.errors import TrackerError, one_line
from promptlab.tracking.view import address_path

__all__ = ["DIRECT", "MlflowPages"]

DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks this machine itself, whatever proxy the environment names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowPages:
    """Finds the addresses of MLflow's pages.

    Args:
        url: of the server, without a slash at the end.
        cookie: what it asks for, ``NAME=VALUE``; ``None`` where it asks for nothing.
    """

    url: str
    cookie: str | None = field(default=None, repr=False)

    def view(self, experiment: str | None = None) -> str:
        """Return the address that shows an experiment's images at once.

        Args:
            experiment: by name; ``None`` takes the one with the newest run. The list of experiments when there is none.

        Raises:
            TrackerError: when the server does not answer.
        """
        experiment_id = self._newest() if experiment is None else self._named(experiment)
        return self.url + ("/#/experiments" if experiment_id is None else address_path(experiment_id))

    def run(self, mlflow_run_id: str) -> str | None:
        """Return the address that shows a run; ``None`` where the server knows none.

        Raises:
            TrackerError: when it does not answer.
        """
        found = self._ask(f"runs/get?{urllib.parse.urlencode({'run_id': mlflow_run_id})}")
        if found is None:
            return None
        return f"{self.url}/#/experiments/{found['run']['info']['experiment_id']}/runs/{mlflow_run_id}"

    def _named(self, experiment: str) -> str | None:
        query = urllib.parse.urlencode({"experiment_name": experiment})
        found = self._ask(f"experiments/get-by-name?{query}")
        return None if found is None else str(found["experiment"]["experiment_id"])

    def _newest(self) -> str | None:
        experiments = self._ask("experiments/search", {"max_results": 1000}) or {}
        ids = [one["experiment_id"] for one in experiments.get("experiments", ())]
        query = {"experiment_ids": ids, "max_results": 1, "order_by": ["attributes.start_time DESC"]}
        runs = (self._ask("runs/search", query) or {}).get("runs", ()) if ids else ()
        return str(runs[0]["info"]["experiment_id"]) if runs else None

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """Return MLflow's answer to one REST call; None when what it asks for does not exist."""
        cookie = {} if self.cookie is None else {"Cookie": self.cookie}
        request = urllib.request.Request(  # noqa: S310 - our own server's address
            f"{self.url}/api/2.0/mlflow/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **cookie},
        )
        try:
            with DIRECT.open(request, timeout=30) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise TrackerError(f"MLflow's server at {self.url} answered {error.code}") from error
        except (OSError, ValueError) as error:
            raise TrackerError(f"MLflow's server at {self.url} does not answer: {one_line(error)}") from error
