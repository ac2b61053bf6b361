"""Jobs wait in order, see their place, and leave it when they are cancelled."""

from pathlib import Path

import pytest

from promptlab.errors import ServerError
from promptlab.serving.jobs import Job, JobQueue, QueueClosed
from promptlab.serving.messages import JobRequest


class Heard:
    """Keeps the lines of a job."""

    def __init__(self, queue, verb="run"):
        self.job = Job(JobRequest(verb=verb, workspace=Path("/w")), {}, theirs="0")
        self.lines = []
        self.job.listen(lambda _job, line: self.lines.append(line))
        queue.submit(self.job)

    @property
    def places(self):
        return [line["event"].get("ahead") for line in self.lines if "event" in line]


def test_jobs_are_taken_in_order_and_see_their_place():
    """One is under way; each of the others is told how many are before it, whenever that changes."""
    queue = JobQueue()
    first, second, third = Heard(queue), Heard(queue), Heard(queue)
    assert queue.take() is first.job
    assert [one.ahead for one in queue.jobs] == [0, 1, 2]
    queue.finished()
    assert queue.take() is second.job
    queue.finished()
    assert queue.take() is third.job
    queue.finished()
    assert first.places == []
    assert second.places[0] == 1
    assert third.places[0] == 2
    assert sorted(third.places, reverse=True) == third.places
    assert queue.done == 3


def test_job_that_waits_is_cancelled_out_of_the_line():
    """It ends as interrupted, and those behind it move up; one that is under way is handed back instead."""
    queue = JobQueue()
    first, second, third = Heard(queue), Heard(queue), Heard(queue)
    queue.take()
    assert queue.cancel(second.job.id) is None
    assert second.lines[-1] == {"interrupted": True}
    assert third.places[-1] == 1
    assert queue.cancel(first.job.id) is first.job
    assert queue.cancel("nobody") is None


def test_queue_that_is_waited_for_tells_whether_something_came():
    """A job, or its end; where neither came in time, it is as open as before."""
    queue = JobQueue()
    assert queue.wait(0) is False
    Heard(queue)
    assert queue.wait(0) is True
    queue.close()
    assert queue.wait(0) is True


def test_queue_that_was_idle_is_closed_and_loses_no_job():
    """Whoever comes a moment too late is told so, and asks another server."""
    queue = JobQueue()
    assert queue.take() is None
    with pytest.raises(QueueClosed):
        Heard(queue)


def test_queue_that_is_closed_hands_back_what_waited():
    """The one under way is not among them."""
    queue = JobQueue()
    first, second = Heard(queue), Heard(queue)
    queue.take()
    assert queue.close() == (second.job,)
    assert queue.take() is None
    assert first.job.state == "running"


def test_queue_takes_a_flood_and_refuses_what_no_user_types():
    """Two hundred are many, a thousand are a loop that runs wild."""
    queue = JobQueue()
    heard = [Heard(queue) for _ in range(1000)]
    assert heard[199].places == [199]
    with pytest.raises(ServerError, match="1000 jobs are waiting already"):
        Heard(queue)


def test_job_ends_once():
    """What comes after the end is not heard."""
    heard = Heard(JobQueue())
    heard.job.end({"result": 1})
    heard.job.end({"interrupted": True})
    assert heard.lines == [{"result": 1}]
