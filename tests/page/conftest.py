"""A page whose pictures are painted."""

import pytest

from promptlab.testing import Painter
from tests.page.serving import page_of
from tests.workspaces import prepared_workspace


@pytest.fixture
def page(workspace, painter, assets):
    """A page of an empty workspace, as a browser sees it that has opened the first address."""
    with page_of(workspace, painter, assets=assets) as opened:
        yield opened


@pytest.fixture(scope="session")
def assets(tmp_path_factory):
    """A folder with a document and a module."""
    folder = tmp_path_factory.mktemp("assets")
    (folder / "index.html").write_text("<!doctype html><title>PromptLab</title>")
    (folder / "page.js").write_text("export {};")
    return folder


@pytest.fixture(scope="module")
def idle_page(tmp_path_factory, our_tables, assets):
    """A page of an empty workspace in which nothing is made."""
    workspace = prepared_workspace(tmp_path_factory.mktemp("idle") / "work", our_tables)
    with page_of(workspace, Painter(), assets=assets) as opened:
        yield opened
