"""Connections to PostgreSQL: a few that are kept open, their limits, and what goes wrong with them in words.

The rule it keeps: a connection that an error left in doubt is closed, not used again; so a server that was restarted, or that became a reader,
costs one failed call for each connection that was open.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock
from typing import Any, TypeAlias

from mailloom.ports import Transient, UserError

try:
    import psycopg
    from psycopg import errors
    from psycopg.conninfo import conninfo_to_dict, make_conninfo
except ImportError:  # psycopg without libpq raises it too
    raise UserError('PostgreSQL needs the extra "aws": pip install "mailloom[aws]"') from None

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

CONNECT_S = 10
WAIT_S = 60.0  # for a connection that other threads have
STATEMENT_MS = 60_000  # a batch takes some 100 ms; what takes a minute has lost its way, or the server has
LOCK_MS = 10_000  # longer than a batch holds any row
IDLE_MS = 60_000  # a process that was stopped in the middle of a transaction lets go of its rows

_ALIVE = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": STATEMENT_MS + 30_000,
}
"""A server whose machine vanished (a failover, a lost network) sends no end of the connection: without these a call would wait for hours,
as the limits above are kept by the server. Seconds, and ms until what was sent must be acknowledged.
"""

_URI_NAMES = re.compile(r"(?:[^@/]*@)?[^@/?]*")
"""Of a URI: user, password, hosts and ports."""
_ROOTS = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep the certificates that they trust: Debian, Amazon Linux and its kin, SUSE, Alpine."""

_LIMITS = f"""select set_config('statement_timeout', '{STATEMENT_MS}', false), set_config('lock_timeout', '{LOCK_MS}', false),
  set_config('idle_in_transaction_session_timeout', '{IDLE_MS}', false), set_config('plan_cache_mode', 'force_custom_plan', false),
  set_config('default_transaction_read_only', %s, false), set_config('jit', 'off', false)"""
_AGAIN = (
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.LockNotAvailable,
    errors.QueryCanceled,
    errors.ReadOnlySqlTransaction,  # the writer has become a reader: a failover
    errors.IdleInTransactionSessionTimeout,
    errors.CheckViolation,  # no table has checks but for partitions: the row was on its way to the default one when its own was made
)
_AGAIN_CLASSES = (
    "08",
    "53",
    "57",
)  # connection, resources, operator's intervention (Appendix A of PostgreSQL's manual)
# What a server says of a connection that will not be better the next time. It says so as text only, before there is a session.
# The last two are RDS Proxy's ("Troubleshooting for RDS Proxy", Amazon RDS user guide).
_WRONG_PASSWORD = (
    "password authentication failed",
    "the password that was provided for the role",
    "no credentials for the role",
)
_UNTRUSTED = (
    "certificate verify failed",
    "does not match host name",
    "root certificate file",
    "server does not support ssl",
)
_REFUSED = (*_WRONG_PASSWORD, "no pg_hba.conf entry", "no password supplied", '" does not exist')


def _read(dsn: str) -> dict[str, Any]:
    """The parts of a DSN. Raises UserError, without a word of it: what libpq says quotes what it can't read, and that may be the password."""
    wrong = UserError(
        "the DSN of PostgreSQL can't be read: it looks like postgresql://user@host:5432/database, and in a password there "
        "each of @ / : % is written as % and two digits"
    )
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        raise wrong from None
    _, is_uri, rest = dsn.partition("://")
    # A password with such a letter goes on as the host, the port or the database, and these are said in errors.
    names = _URI_NAMES.match(rest) if is_uri else None
    more = rest[names.end() :].partition("?")[0] if names else ""
    ports = str(parts.get("port") or "").split(",")
    if "@" in more or not all(port.isdecimal() for port in ports if port):
        raise wrong
    return parts


class Connections:
    """Up to `size` connections to one server, opened when they are needed. Safe between threads, not across a fork.

    `password` finds the password of a DSN that has none. It may change while this is in use: where the server refuses the one that is
    known, it is asked for again. Raises UserError for a DSN that can't be read, later Transient or UserError as `told` says.
    """

    def __init__(
        self, dsn: str, *, size: int = 4, read_only: bool = False, password: Callable[[], str] | None = None
    ) -> None:
        self.dsn, self.read_only = dsn, read_only
        parts = _read(dsn)
        self.password = Password(password) if password is not None and not parts.get("password") else None
        self.name = f"{parts.get('host') or 'localhost'}:{parts.get('port') or 5432}/{parts.get('dbname') or ''}"
        self.idle: list[Connection] = []
        self.free = BoundedSemaphore(size)
        self.lock = Lock()

    @contextmanager
    def take(self) -> Iterator[Connection]:
        """A connection in autocommit mode for the length of the block; waits while `size` of them are taken, not for ever."""
        if not self.free.acquire(timeout=WAIT_S):
            raise Transient(f"PostgreSQL {self.name}: all connections are taken for {WAIT_S:.0f} s (postgres.pool)")
        try:
            with told(self.name), self._lent() as connection:
                yield connection
        finally:
            self.free.release()

    @contextmanager
    def _lent(self) -> Iterator[Connection]:
        with self.lock:
            connection = self.idle.pop() if self.idle else None
        connection = connection or self._opened()
        try:
            yield connection
        except BaseException as error:
            # A transaction's own block has rolled back; where that failed, or a query is still under way, nobody can go on with it. Nor
            # with one to a server that writes nothing any more: after a failover the name leads to another, the connection never will.
            idle = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
            if not idle or isinstance(error, errors.ReadOnlySqlTransaction):
                connection.close()
            raise
        finally:
            if not connection.closed:
                with self.lock:
                    self.idle.append(connection)

    def _opened(self) -> Connection:
        if self.password is None:
            return self._connected({})
        return self.password.tried(lambda word: self._connected({"password": word}))

    def _connected(self, more: dict[str, str]) -> Connection:
        # Nothing is prepared: a proxy that shares sessions (RDS Proxy, PgBouncer) would have to keep one for each of us.
        connection = psycopg.connect(
            make_conninfo("", **{**_ALIVE, **trusting(conninfo_to_dict(self.dsn), os.environ), **more}),
            autocommit=True, prepare_threshold=None, connect_timeout=CONNECT_S, application_name="mailloom",
        )  # fmt: skip
        connection.execute(_LIMITS, ("on" if self.read_only else "off",))
        return connection

    def close(self) -> None:
        with self.lock:
            for connection in self.idle:
                connection.close()
            self.idle.clear()


class Password:
    """A password that is kept elsewhere and changes there. `find` asks for it.

    A rotation changes the server's before it says so, so for some seconds the one to be had is the old one. Whose password was good before is
    told to come again (Transient); one that never was any good is its owner's fault.
    """

    def __init__(self, find: Callable[[], str]) -> None:
        self.find = find
        self.known: str | None = None
        self.good = False
        self.lock = Lock()

    def tried(self, connect: Callable[[str], Connection]) -> Connection:
        """A connection with the password that is known, else with the one that is found now."""
        word = self._other_than(None)
        for last in (False, True):
            try:
                connection = connect(word)
            except psycopg.OperationalError as error:
                if not _wrong_password(error):
                    raise
                if last:
                    if not self.good:
                        raise
                    raise Transient(f"PostgreSQL refuses the password that was good before: {_words(error)}") from error
                word = self._other_than(word)
            else:
                self.good = True
                return connection
        raise AssertionError("unreachable")

    def _other_than(self, refused: str | None) -> str:
        """What is known, unless it is what was refused: then what is found. Another thread may have found it meanwhile."""
        with self.lock:
            if self.known is None or self.known == refused:
                self.known = self.find()
            return self.known


def trusting(parts: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """The parts of a DSN, with a file for `sslrootcert=system`. The OpenSSL in psycopg's wheels looks below /usr/lib/psycopg-openssl for what the
    system trusts, where no system has it, so every certificate would be refused. What SSL_CERT_FILE or SSL_CERT_DIR say counts.
    """
    known = dict(parts)
    wheel = psycopg.pq.__impl__ == "binary" and not (environ.get("SSL_CERT_FILE") or environ.get("SSL_CERT_DIR"))
    found = next(filter(os.path.isfile, _ROOTS), None) if wheel and known.get("sslrootcert") == "system" else None
    return {**known, "sslrootcert": found, "sslmode": "verify-full"} if found else known


def endpoints(dsn: str, reader_dsn: str = "", *, size: int = 4) -> tuple[Connections, Connections]:
    """The writer, and the reader endpoint for queries: without one of its own, the writer, read only."""
    return Connections(dsn, size=size), Connections(reader_dsn or dsn, size=size, read_only=True)


@contextmanager
def told(name: str) -> Iterator[None]:
    """What psycopg raises, as ports tell it: Transient for what may be better the next time, UserError for what its owner can mend.
    What is left is a bug, and goes up.
    """
    try:
        yield
    except psycopg.Error as error:
        known = _known(error, f"PostgreSQL at {name}")
        if known is None:
            raise
        raise known from error


def _words(error: psycopg.Error) -> str:
    return " ".join(str(error).split())


def _wrong_password(error: psycopg.OperationalError) -> bool:
    """Whether another password might do."""
    text = _words(error).lower()
    return (error.sqlstate or "").startswith("28") or any(one in text for one in _WRONG_PASSWORD)


def _known(error: psycopg.Error, where: str) -> UserError | None:
    text, state = _words(error), error.sqlstate or ""
    if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn | errors.InvalidSchemaName):
        return UserError(f"{where} lacks tables ({text}): run `mailloom migrate`")
    if isinstance(error, errors.InsufficientPrivilege):
        return UserError(f"{where} doesn't let this user do that ({text}): grant it, or use another user")
    if not state and any(one in text.lower() for one in _UNTRUSTED):
        return UserError(
            f"{where} can't be trusted ({text}): check host, sslmode and sslrootcert of the DSN (docs/postgres.md)"
        )
    if (
        state.startswith("28")
        or isinstance(error, errors.InvalidCatalogName)
        or (not state and any(refusal in text.lower() for refusal in _REFUSED))
    ):
        return UserError(f"{where} refuses the connection ({text}): check user, password and database")
    if isinstance(error, _AGAIN) or state[:2] in _AGAIN_CLASSES:
        return Transient(f"{where} can't do it now: {text}")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and not state:
        return Transient(f"{where} does not answer: {text}")
    return None
