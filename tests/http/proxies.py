"""In charge of Debian's nginx before nodes, for tests: docs/deploy/nginx.conf with other addresses and files."""

import datetime
import ipaddress
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CONFIGURATION = Path(__file__).parents[2] / "docs" / "deploy" / "nginx.conf"

_MAIN = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 2;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/tanglai.conf;
}}
"""


@dataclass(frozen=True)
class Proxy:
    """It listens at `url`; `tls` trusts it; `folder` has its logs: tanglai.log and error.log."""

    url: str
    tls: ssl.SSLContext
    folder: Path


@contextmanager
def proxy(folder: Path, replicas: Sequence[str]) -> Iterator[Proxy]:
    """nginx before two replicas, given as `host:port`. Skips the test where it is not installed, unless CI is set."""
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if nginx is None:
        if os.environ.get("CI") == "true":
            pytest.fail("nginx is missing: apt-get install nginx")
        pytest.skip("Debian's package nginx is not installed")
    folder.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    _certificate(folder)
    text = CONFIGURATION.read_text(encoding="utf-8")
    for old, new in (
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{port} ssl http2;"),
        ("server 10.0.0.11:8000 ", f"server {replicas[0]} "),
        ("server 10.0.0.12:8000 ", f"server {replicas[1]} "),
        ("/etc/nginx/tanglai.crt;", f"{folder}/tanglai.crt;"),
        ("/etc/nginx/tanglai.key;", f"{folder}/tanglai.key;"),
        ("/var/log/nginx/tanglai.log ", f"{folder}/tanglai.log "),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "tanglai.conf").write_text(text, encoding="utf-8")
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_MAIN.format(folder=folder, user=user), encoding="utf-8")
    command = [nginx, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(500):
                assert process.poll() is None, (folder / "error.log").read_text()
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=5).close()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.01)
            yield Proxy(f"https://127.0.0.1:{port}", ssl.create_default_context(cafile=folder / "tanglai.crt"), folder)
        finally:
            process.terminate()


def _certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "data.internal")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    (folder / "tanglai.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "tanglai.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
