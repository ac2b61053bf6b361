"""Where losses go: one line of JSON per fifty steps, and MLflow in a SQLite file of the work folder (``mlflow ui --backend-store-uri``)."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["LossLog", "read_losses"]


class LossLog:
    """The losses of one stage; a stage that goes on after a stop goes on in its MLflow run.

    Args:
        work: the work folder.
        stage: the run's name.
        parameters: what is shown as the run's parameters.
    """

    def __init__(self, work: Path, stage: str, parameters: dict[str, object]) -> None:
        import mlflow

        home = work / "losses"
        home.mkdir(parents=True, exist_ok=True)
        self._lines = home / f"{stage}.jsonl"
        self._client = mlflow.MlflowClient(f"sqlite:///{(work / 'mlflow.db').resolve()}")
        experiment = self._client.get_experiment_by_name("mini")
        number = (
            experiment.experiment_id
            if experiment
            else self._client.create_experiment("mini", (work / "mlruns").resolve().as_uri())
        )
        found = self._client.search_runs([number], f"attributes.run_name = '{stage}'", max_results=1)
        self._run = (found[0] if found else self._client.create_run(number, run_name=stage)).info.run_id
        if not found:
            for name, value in parameters.items():
                self._client.log_param(self._run, name, value)

    def write(self, step: int, seconds: float, values: dict[str, float]) -> None:
        """One reading."""
        import time

        from mlflow.entities import Metric

        with self._lines.open("a") as lines:
            lines.write(
                json.dumps({"step": step, "seconds": round(seconds, 1), **{k: round(v, 5) for k, v in values.items()}})
                + "\n"
            )
        now = int(time.time() * 1000)
        self._client.log_batch(self._run, metrics=[Metric(name, value, now, step) for name, value in values.items()])

    def close(self) -> None:
        """The run is over."""
        self._client.set_terminated(self._run)


def read_losses(work: Path, stage: str) -> list[dict[str, float]]:
    """All readings of ``stage``, oldest first; none when it has not run."""
    path = work / "losses" / f"{stage}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
