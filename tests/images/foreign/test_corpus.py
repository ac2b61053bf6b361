"""What people met elsewhere: every entry of the corpus is read as its line says, and what is lost is said."""

import pytest

from promptlab.images.foreign import read_foreign, recognise
from promptlab.images.foreign.texts import texts_of
from tests.images.foreign import corpus, corpus_comfyui
from tests.images.foreign.corpus import READ

CASES = corpus.corpus.cases + corpus_comfyui.corpus.cases


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.source)
def test_corpus_case_is_read_as_its_line_says(case, tmp_path):
    """Words, numbers and program; each loss is one that the line names, and each that it names is said."""
    if case.file:
        path = tmp_path / "picture"
        path.write_bytes(case.file)
        found = read_foreign(path)
    else:
        found = recognise(case.texts)
    assert found is not None, texts_of(path) if case.file else case.texts
    (words,) = found.spec.variants
    assert (found.program, words.prompt, words.negative_prompt) == (case.program, case.prompt, case.negative)
    assert {name: READ[name](found.spec) for name in case.numbers} == case.numbers
    said = [f"{loss.name}: {loss.value}" for loss in found.lost]
    unsaid = [named for named in case.lost if not any(one.startswith(named) for one in said)]
    extra = [one for one in said if not any(one.startswith(named) for named in case.lost)]
    assert (unsaid, extra) == ([], []), "\n".join(str(loss) for loss in found.lost)
