"""A context creates the parts of a Lab when they are first asked for, and is never changed."""

import dataclasses

import pytest

from promptlab.errors import InputError
from promptlab.lab import Lab
from promptlab.lab.context import LabContext
from promptlab.testing import Painter


def test_context_creation_opens_nothing(tmp_path):
    """No folder, no file and no engine: a Lab costs nothing before it is used."""
    made = []
    context = LabContext.create(tmp_path / "new")
    lazy = dataclasses.replace(context, make_engine=lambda: made.append("engine") or Painter())
    assert (made, list(tmp_path.iterdir())) == ([], [])
    assert lazy.engine is lazy.engine
    assert made == ["engine"]


def test_context_assignment_is_refused(tmp_path):
    """Services share it, so none may exchange a part of it."""
    context = LabContext.create(tmp_path)
    with pytest.raises(dataclasses.FrozenInstanceError):
        context.workspace = None


def test_context_of_a_wrong_address_is_refused(tmp_path):
    """Before anything is written, and by the field's name."""
    with pytest.raises(InputError, match=r"^tracking_uri 'databricks' is no http or https address"):
        Lab(tmp_path / "new", tracking_uri="databricks")
    assert list(tmp_path.iterdir()) == []


def test_services_of_a_lab_share_its_parts(tmp_path):
    """One engine, one database: what one service writes the others read."""
    painter = Painter()
    lab = Lab(tmp_path / "new", engine=painter)
    assert lab.engine is lab.context.engine is painter
    assert (lab.history.list(), lab.history.count(), lab.maintenance.doctor()) == ((), (0, 0), ())
    assert not lab.workspace.root.exists()
