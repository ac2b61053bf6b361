"""Serves the page of a workspace: where one iterates, and pictures appear while one looks.

The page lies in the process that keeps a model warm. What is asked for in a browser becomes a job of the same queue as
what is typed in a terminal; what happens to any job of the workspace, whoever asked for it, is told to every page that
is open. ::

    browser ── HTTP, events ──▶ Guard ─▶ Gate ─▶ routes ─▶ Lab (lookups, ratings, import)
                                                    └────▶ JobQueue ─▶ Feed ─▶ EventLog ─▶ browser

Every run that is made here is an ordinary run, and the page says the command line that makes it
(:mod:`promptlab.page.typed_command`).

Invariants: nothing is answered to who has not opened the address with the token; nothing changes but by POST and DELETE
with a header that only our own page knows; no file is read but of this package and of pictures of the workspace.
"""
