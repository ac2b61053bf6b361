"""In a folder that was deleted nothing is tried: one line says so, and what to type."""

import pytest

from promptlab import cli
from promptlab.cli.commands import COMMANDS


@pytest.mark.parametrize("words", [[name] for name in sorted(COMMANDS)] + [["--help"]], ids=" ".join)
def test_deleted_folder_is_said_in_one_line_by_every_command(words, tmp_path, monkeypatch, capsys):
    """The nearest folder that is there is named; help is given all the same."""
    gone = tmp_path / "gone" / "further"
    gone.mkdir(parents=True)
    monkeypatch.chdir(gone)
    monkeypatch.setenv("PWD", str(gone))
    gone.rmdir()
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    said = capsys.readouterr().err
    if words == ["--help"]:
        assert (left.value.code, said) == (0, "")
    else:
        assert (left.value.code, said.count("\n")) == (2, 1)
        assert said.endswith(f"; type: cd {gone.parent}\n")
