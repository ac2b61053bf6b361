"""Keeps the name under which earlier releases registered ``mlflow.app``.

The app itself is :mod:`promptlab.tracking.ui_app`.
"""

from promptlab.tracking.ui_app import app

__all__ = ["app"]
