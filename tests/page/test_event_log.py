"""Events reach who listens, and who was away for a moment."""

import asyncio

import pytest

from promptlab.page.event_log import EventLog


async def heard(log, last, count):
    """Return the names, ids and data of the first events that a listener hears after the greeting."""
    lines = log.lines(last, first=lambda: ("queue", {}))
    assert (await anext(lines)).endswith(b"event: queue\ndata: {}\n\n")
    return [(await anext(lines)).decode() for _ in range(count)]


def ids(lines):
    return [line.partition("\n")[0].removeprefix("id: ") for line in lines]


def test_events_after_the_last_one_that_was_heard_are_told_again():
    """In order, each once."""
    log = EventLog()
    for at in range(5):
        log.tell("run", {"id": at})
    listening = _first_id(log)
    assert ids(asyncio.run(heard(log, "x-1", 1))) == [f"{listening}-5"]
    told = asyncio.run(heard(log, f"{listening}-2", 3))
    assert [line.split("data: ")[1].strip() for line in told] == ['{"id":2}', '{"id":3}', '{"id":4}']


def _first_id(log):
    return log._origin


def reset(log):
    """Return the line that says to look at everything anew; from its number on everything is heard."""
    return f"id: {_first_id(log)}-{log._number}\nevent: reset\ndata: {{}}\n\n"


def test_greeting_has_the_number_that_is_heard_from():
    """A page that was told nothing but it, and is away for a moment, misses nothing."""
    log = EventLog()
    log.tell("run", {"id": 1})

    async def greeting(last):
        return await anext(log.lines(last, first=lambda: ("queue", {})))

    begun = f"{_first_id(log)}-1"
    assert asyncio.run(greeting(None)) == f"retry: 1000\n\nid: {begun}\nevent: queue\ndata: {{}}\n\n".encode()
    assert b"id: " not in asyncio.run(greeting("another-1"))
    log.tell("run", {"id": 2})
    assert '{"id":2}' in asyncio.run(heard(log, begun, 1))[0]


def test_listener_who_is_too_slow_is_told_so():
    """What it missed meanwhile is not kept any more."""
    log = EventLog()

    async def listen():
        lines = log.lines(None, first=lambda: ("queue", {}))
        await anext(lines)
        for at in range(2001):
            log.tell("run", {"id": at})
        return (await anext(lines)).decode()

    assert asyncio.run(listen()) == reset(log)


@pytest.mark.parametrize("last", ["", "-1", "other-3", "{origin}-99", "{origin}-x", "{origin}", "{origin}-²"])
def test_events_that_are_not_known_any_more_are_told_as_a_reset(last):
    """Another process gave that number, or there is none: everything has to be looked at anew."""
    log = EventLog()
    log.tell("run", {})
    assert asyncio.run(heard(log, last.format(origin=_first_id(log)), 1)) == [reset(log)]


def test_events_too_many_to_keep_are_told_as_a_reset():
    """Whoever heard the last of those that are kept misses nothing."""
    log = EventLog()
    for at in range(2100):
        log.tell("run", {"id": at})
    assert asyncio.run(heard(log, f"{_first_id(log)}-99", 1)) == [reset(log)]
    assert '{"id":100}' in asyncio.run(heard(log, f"{_first_id(log)}-100", 1))[0]


def test_events_that_are_kept_have_bounded_room():
    """Runs of a thousand images each are forgotten sooner, and who was away is told so."""
    log = EventLog()
    for at in range(40):
        log.tell("run", {"id": at, "images": "x" * 2**20})
    assert asyncio.run(heard(log, f"{_first_id(log)}-20", 1)) == [reset(log)]
    assert '{"id":30,' in asyncio.run(heard(log, f"{_first_id(log)}-30", 1))[0]


def test_events_of_progress_are_told_as_the_last_one():
    """Who was away hears where it is now, and not how it came there."""
    log = EventLog()
    log.tell("run", {})
    for at in range(9):
        log.tell("progress", {"step": at})
    log.tell("run", {"id": 2})
    told = asyncio.run(heard(log, f"{_first_id(log)}-1", 2))
    assert [line.split("data: ")[1].strip() for line in told] == ['{"step":8}', '{"id":2}']


def test_listening_ends_when_the_log_is_closed():
    """So that a server that ends waits for nobody."""

    async def listen():
        log = EventLog()
        lines = log.lines(None, first=lambda: ("queue", {}))
        await anext(lines)
        assert log.is_heard
        log.close()
        rest = [line async for line in lines]
        return log.is_heard, rest

    assert asyncio.run(listen()) == (False, [])
