"""A PostgreSQL server for the tests: Debian's own program, in a temporary folder, behind a socket in that folder.

psycopg is imported where it is used: tests that need no server run where it is not installed.
"""

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path("/usr/lib/postgresql")
PASSWORD = "s3cret/pass@word"
SETTINGS = """
listen_addresses = '127.0.0.1'
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
shared_buffers = '16MB'
max_connections = 40
"""


def programs():
    """The folder of the newest PostgreSQL that is installed, or None."""
    found = [path.parent for path in PROGRAMS.glob("*/bin/postgres")]
    return max(found, key=lambda path: int(path.parent.name), default=None)


@dataclass(frozen=True)
class Running:
    """A server; the user ``promptlab`` owns it, and has a password where it is asked through TCP."""

    folder: Path
    port: int

    def url(self, name):
        """The address of a database, through the socket: no password is asked for."""
        return f"postgresql://promptlab@/{name}?host={self.folder}&port={self.port}"

    def admin(self, statement):
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def create(self, name, template="template0", encoding="UTF8"):
        from psycopg import sql

        given = {"name": sql.Identifier(name), "template": sql.Identifier(template), "encoding": sql.Literal(encoding)}
        self.admin(sql.SQL("CREATE DATABASE {name} TEMPLATE {template} ENCODING {encoding}").format(**given))

    def drop(self, name):
        from psycopg import sql

        self.admin(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def running(port):
    """The server, which ends with the context. Root may not be one: then it is nobody's."""
    folder = Path(tempfile.mkdtemp(prefix="promptlab-pg-"))
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []

    def call(program, *words):
        subprocess.run([*as_nobody, programs() / program, *words], check=True, capture_output=True, cwd=folder)

    try:
        (folder / "password").write_text(PASSWORD)
        if as_nobody:
            shutil.chown(folder, "nobody", "nogroup")
            shutil.chown(folder / "password", "nobody", "nogroup")
        access = ["--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={folder / 'password'}"]
        call("initdb", "-D", folder / "data", "--no-sync", "-U", "promptlab", *access, "--encoding=UTF8", "--locale=C")
        with (folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(f"{SETTINGS}port = {port}\nunix_socket_directories = '{folder}'\n")
        call("pg_ctl", "-D", folder / "data", "-l", folder / "log", "-w", "start")
        try:
            yield Running(folder=folder, port=port)
        finally:
            call("pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
