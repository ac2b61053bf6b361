"""Keeps the module name under which earlier releases registered their ``mlflow.app``; see
:mod:`promptlab.tracking.ui_app`."""

from promptlab.tracking.ui_app import app

__all__ = ["app"]
