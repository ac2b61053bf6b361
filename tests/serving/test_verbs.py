"""Every verb that may be asked of a server is one of the lab, and its twin offers it in the same words."""

import inspect

import pytest

from promptlab.lab.history.history import History
from promptlab.lab.lab import Lab
from promptlab.lab.maintenance.maintenance import Maintenance
from promptlab.lab.preferences.ratings import Ratings
from promptlab.serving.remote_lab import RemoteLab
from promptlab.serving.remote_services import RemoteHistory, RemoteMaintenance, RemoteRatings
from promptlab.serving.verbs import GENERATING, VERBS

TWINS = {
    "": (Lab, RemoteLab),
    "history": (History, RemoteHistory),
    "maintenance": (Maintenance, RemoteMaintenance),
    "ratings": (Ratings, RemoteRatings),
}


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_verb_has_the_same_arguments_here_and_there(verb):
    """Names, order and defaults: whoever has one lab can have the other."""
    service, _, name = verb.rpartition(".")
    here, there = (
        [(each.name, each.kind, each.default) for each in inspect.signature(getattr(kind, name)).parameters.values()]
        for kind in TWINS[service]
    )
    assert there == here


def test_verbs_that_make_pictures_wait_for_their_turn():
    """All of the lab's own do, and nothing that only looks something up."""
    own = {name for name in vars(RemoteLab) if not name.startswith("_") and inspect.isfunction(vars(RemoteLab)[name])}
    assert own - {"rerun_spec"} == GENERATING
    assert not any("." in verb for verb in GENERATING)
