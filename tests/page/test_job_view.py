"""What a page is told of a job."""

from pathlib import Path

import pytest

from promptlab.page.job_view import JobView, failure_of
from promptlab.serving.jobs import Job
from promptlab.serving.messages import JobRequest


@pytest.mark.parametrize(
    ("line", "outcome", "closed", "message"),
    [
        ({"result": {}}, "done", False, None),
        ({"interrupted": True}, "stopped", False, None),
        ({"closed": True}, "stopped", True, None),
        ({"unexpected": {"type": "KeyError", "message": "x", "trace": ""}}, "failed", False, "unexpected KeyError: x"),
    ],
)  # fmt: skip
def test_job_ends_as_its_last_line_says(line, outcome, closed, message):
    """A job that a replaced server never began is told apart: only a command asks the next one for it."""
    view = JobView(Job(JobRequest(verb="run", workspace=Path("/work")), {}, theirs=""), mine=True)
    told = view.ended(line)
    assert (told["outcome"], told["closed"]) == (outcome, closed)
    assert (told["error"] or {}).get("message") == message
    assert str(failure_of(line) or "") == (message or "")


def test_job_that_was_begun_before_it_was_followed_names_its_run():
    """Once it is known; told anew it is not news."""
    view = JobView(Job(JobRequest(verb="run", workspace=Path("/work")), {}, theirs=""), mine=True)
    assert [view.join(3), view.join(3)] == [True, False]
    assert view.run_ids == (3,)
