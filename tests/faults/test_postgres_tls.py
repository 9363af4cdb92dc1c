"""TLS to PostgreSQL: who is to be trusted is, by whatever libpq there is, and nobody else."""

from __future__ import annotations

import shutil
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from mailloom.ports import UserError
from mailloom.stores.postgres import connection as connecting
from mailloom.stores.postgres.connection import Connections, trusting

NAME = "db.example.org"
binary = pytest.mark.skipif(psycopg.pq.__impl__ != "binary", reason="a libpq of the system finds what it trusts")


def certificates(folder: Path) -> None:
    """root.pem, another.pem, and server.crt, server.key of NAME, signed by the first."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here")
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for root in ("root", "another"):
        openssl(*new, "-x509", "-subj", f"/CN={root}", "-days", "2", "-keyout", f"{root}.key", "-out", f"{root}.pem")
    openssl(*new, "-subj", f"/CN={NAME}", "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text(f"subjectAltName=DNS:{NAME}\n")
    signed = ("x509", "-req", "-in", "server.csr", "-CA", "root.pem", "-CAkey", "root.key", "-days", "2")
    openssl(*signed, "-extfile", "names", "-out", "server.crt")


class Terminator:
    """TLS before a server that has none: what asks for it gets the certificate, and what it sends goes on in plain."""

    def __init__(self, port: int, certificate: Path, key: Path) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.to = port
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listening.accept()
                Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self.to)) as server:
            asked = client.recv(8)
            assert asked == struct.pack("!ii", 8, 80877103), (
                asked
            )  # SSLRequest, "Message Formats" in PostgreSQL's manual
            client.sendall(b"S")
            with self.context.wrap_socket(client, server_side=True) as talk:
                Thread(target=self._carry, args=(server, talk), daemon=True).start()
                self._carry(talk, server)

    @staticmethod
    def _carry(source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                to.sendall(data)
        with suppress(OSError):
            to.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def tls(postgres_url: str, tmp_path: Path) -> Iterator[str]:
    """A DSN of a server with a certificate; its roots are in tmp_path."""
    certificates(tmp_path)
    port = int(conninfo_to_dict(postgres_url)["port"] or 0)
    terminator = Terminator(port, tmp_path / "server.crt", tmp_path / "server.key")
    yield make_conninfo(postgres_url, host=NAME, hostaddr="127.0.0.1", port=terminator.port)
    terminator.listening.close()


def encrypted(dsn: str) -> bool:
    connections = Connections(dsn)
    try:
        with connections.take() as connection:
            return connection.execute("select 1").fetchone() == (1,) and connection.pgconn.ssl_in_use
    finally:
        connections.close()


@pytest.mark.servers
def test_a_server_is_trusted_by_its_root_and_its_name(tls: str, tmp_path: Path) -> None:
    assert encrypted(make_conninfo(tls, sslmode="verify-full", sslrootcert=str(tmp_path / "root.pem")))
    for more in (
        {"sslrootcert": str(tmp_path / "another.pem")},
        {"sslrootcert": str(tmp_path / "root.pem"), "host": "other.example.org"},
        {"sslrootcert": str(tmp_path / "none.pem")},
    ):
        with pytest.raises(UserError, match=r"can't be trusted.*sslrootcert"):
            encrypted(make_conninfo(tls, sslmode="verify-full", **more))


@pytest.mark.servers
@binary
def test_what_the_system_trusts_is_found(tls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    system = make_conninfo(tls, sslrootcert="system", sslmode="verify-full")
    monkeypatch.setattr(connecting, "_ROOTS", ())
    with pytest.raises(UserError, match="can't be trusted"):
        encrypted(system)  # what the wheel does by itself
    monkeypatch.setattr(connecting, "_ROOTS", (str(tmp_path / "none.pem"), str(tmp_path / "root.pem")))
    assert encrypted(system)
    monkeypatch.setattr(connecting, "_ROOTS", (str(tmp_path / "another.pem"),))
    with pytest.raises(UserError, match="can't be trusted"):
        encrypted(system)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root.pem"))
    assert encrypted(system)


@binary
def test_only_what_asks_for_the_system_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "roots").write_text("")
    monkeypatch.setattr(connecting, "_ROOTS", (str(tmp_path / "roots"),))
    system = {"host": NAME, "sslrootcert": "system"}
    assert trusting(system, {}) == {"host": NAME, "sslrootcert": str(tmp_path / "roots"), "sslmode": "verify-full"}
    assert trusting(system, {"SSL_CERT_DIR": "/etc/certs"}) == system
    for other in ({"host": NAME}, {"host": NAME, "sslmode": "require"}, {"sslrootcert": "/etc/rds.pem"}):
        assert trusting(other, {}) == other
