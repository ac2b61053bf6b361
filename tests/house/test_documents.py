"""The documents for contributors show what the code is today, and name what is there."""

import re
import tomllib

import pytest

from tests.house import rooms
from tests.house.source import ROOT

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md", "training/README.md"]
DOCUMENTS += sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
ROOTS = "promptlab|tests|docs|migrations|benchmarks|training|examples"
PATH = re.compile(rf"`((?:{ROOTS})/[\w./-]*|(?:specs|foreign)/[\w./-]+)`")


@pytest.mark.parametrize("package", ["promptlab", "promptlab.engine", "promptlab.lab"])
def test_architecture_rooms_are_drawn_from_the_imports(package):
    """`make docs` draws them anew."""
    assert rooms.diagram(package) in ARCHITECTURE
    assert rooms.table(package) in ARCHITECTURE


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_name_files_that_exist(document):
    """A file that was moved is found where a document says it is."""
    text = (ROOT / document).read_text(encoding="utf-8")
    homes = (ROOT, ROOT / "promptlab", ROOT / "promptlab" / "images")
    assert [path for path in PATH.findall(text) if not any((home / path).exists() for home in homes)] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_link_to_files_that_exist(document):
    """Relative links only; the web is not asked."""
    text = (ROOT / document).read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert [link for link in links if link and not (ROOT / document).parent.joinpath(link).exists()] == []


def test_site_lists_every_page():
    """The navigation of the site names each page of docs/, and no other."""
    site = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))
    named = set(re.findall(r"'([\w/-]+\.md)'", repr(site["project"]["nav"])))
    assert named == {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}


def test_site_pages_link_to_pages_only():
    """A page of the site leads to no file that is not on it: what lies beside docs/ is named, not linked."""
    for path in (ROOT / "docs").rglob("*.md"):
        links = re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
        for link in links:
            if "://" not in link:
                assert (path.parent / link).resolve().is_relative_to(ROOT / "docs"), (path, link)
