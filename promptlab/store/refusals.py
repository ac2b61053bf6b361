"""Why a database server cannot be used, as one line with what to type; no password is in it.

The driver's sentences are recognised by their words, because a connection that never came to be has no error code. What
is not recognised is said in the driver's own words.
"""

from __future__ import annotations

import re
import shlex

from promptlab.errors import WorkspaceError, one_line, ref
from promptlab.store.address import ServerAddress

__all__ = ["connection_refused", "refused", "said"]

_LOGIN = "--database postgresql://USER:PASSWORD@HOST/NAME, or set PGPASSWORD"


def refused(
    address: ServerAddress, problem: str, *, allowed: str | None = None, hint: str | None = None
) -> WorkspaceError:
    """The error that names the address and what is wrong with it."""
    return WorkspaceError("database", address.shown, problem=problem, allowed=allowed, hint=hint)


def connection_refused(address: ServerAddress, error: Exception) -> WorkspaceError:
    """What the driver raised when it could not connect, as a sentence of ours."""
    line, tool = said(address, error), address.client_options
    if found := re.search(r'password authentication failed for user "([^"]*)"', line):
        return refused(address, f"does not know {found[1]} with this password", hint=_LOGIN)
    if "no password supplied" in line:
        return refused(address, "asks for a password", hint=_LOGIN)
    if found := re.search(r'role "([^"]*)" does not exist', line):
        new = f"createuser{tool} {shlex.quote(found[1])}, or another USER in the address"
        return refused(address, f"has no user {found[1]}", hint=new)
    if re.search(r'database "[^"]*" does not exist', line):
        new = f"createdb{tool} --encoding=UTF8 --template=template0 {shlex.quote(address.name)}"
        return refused(address, "is not there, though its server is", hint=new)
    if re.search(r"resolve host|translate host name|Name or service not known", line):
        return refused(
            address,
            f"is on a host that is not known, {address.host}",
            hint=f"{ref('database_url')} with another HOST",
        )
    if re.search(r"Connection refused|No such file or directory|Network is unreachable|No route to host", line):
        return refused(address, f"cannot be reached: nobody listens at {address.place}", hint=f"pg_isready{tool}")
    if "timeout" in line:
        return refused(address, f"cannot be reached: {address.place} does not answer", hint=f"pg_isready{tool}")
    if found := re.search(r'invalid connection option "([^"]*)"', line):
        return refused(address, f"has an option that PostgreSQL does not know, {found[1]}")
    return refused(address, f"cannot be opened: {line}")


def said(address: ServerAddress, error: object) -> str:
    """An error in one line, without the password, and without the address that the sentence begins with already."""
    line = address.without_secrets(one_line(error))
    return re.sub(r"^connection (failed|is bad): (connection to server (at|on) .*? failed: )?(FATAL: )?", "", line)
