"""The viewer's modules: served one by one to the page, and as one script within a report."""

from __future__ import annotations

import re
from collections import Counter

from promptlab.images import viewer

IMPORT = re.compile(r'^import \{ ([^}]*) \} from "\./([a-z_]+\.js)";$', re.MULTILINE)
EXPORT = re.compile(r"^export (?:async )?(?:function|const|let) ([\w$]+)", re.MULTILINE)
TOP = re.compile(r"^(?:export )?(?:async )?(?:function|const|let) ([\w$]+)", re.MULTILINE)


def text(name):
    return viewer.asset(name).decode()


def test_viewer_modules_import_what_earlier_ones_export():
    """So that they can be loaded one by one, and stand below one another in one script."""
    exported: dict[str, set[str]] = {}
    for name in viewer.MODULES:
        imports = IMPORT.findall(text(name))
        assert len(imports) == len(re.findall(r"^import", text(name), re.MULTILINE))
        for names, origin in imports:
            assert set(names.split(", ")) <= exported[origin], (name, origin)
        exported[name] = set(EXPORT.findall(text(name)))


def test_viewer_inlined_is_one_script_in_which_no_name_stands_twice():
    """A report is one file with one scope: a name of two modules would be a syntax error there, and only there."""
    script = viewer.inlined()
    assert re.findall(r"^(?:import|export)\b", script, re.MULTILINE) == []
    assert [name for name, count in Counter(TOP.findall(script)).items() if count > 1] == []


def test_viewer_asset_of_another_name_is_none():
    """Nothing is read but what is listed."""
    assert viewer.asset("viewer.css").startswith(b".cell")
    assert [viewer.asset(name) for name in ("", "__init__.py", "../report/report.css", "/etc/passwd")] == [None] * 4
