"""Keeps a lab warm in a process that stays: the server, its queue of jobs, and the thin client.

A command line that makes one image spends ten times as long on imports as on the image. So a server imports once and
keeps the model, and commands send it what they ask for: verbs of :class:`promptlab.lab.Lab`, with specs as arguments.
It answers with events, the last of which is the record, or the error by its facts (:mod:`promptlab.wire`). Pixels never
cross: they are files in the workspace. ::

    RemoteLab ── HTTP, lines of JSON, over a Unix socket ──▶ app ─▶ JobQueue ─▶ LabServer ─▶ Lab
    (remote_lab, job_stream, connection)                    (guard)            (verbs)

The client's side imports the standard library and our own plain rooms; the server's side is the only room that imports
starlette and uvicorn, inside functions.

Invariant: an image that a server makes has the bytes, the rows and the environment that the same command has without
one. ``Lab`` is the one implementation; nothing here decides what an image is.
"""
