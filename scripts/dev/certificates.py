"""Certificates for one TLS instance: an authority, a broker certificate for `localhost`, a client certificate.

Keys are made anew for every data directory and never leave it; nothing here is fit for production.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from .instance import ServerFailed

_DAYS = "3650"
_NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def make(folder: Path) -> None:
    """Writes `ca.pem`, `broker.pem` (key and certificate: Kafka's PEM key store), `client.pem`, `client.key`."""
    folder.mkdir(parents=True, mode=0o700)
    _openssl(
        folder,
        ["req", "-x509", *_NEW_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-days", _DAYS]
        + ["-subj", "/CN=Millstream development authority"],
    )
    _signed(folder, "broker", "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
    _signed(folder, "client", "extendedKeyUsage=clientAuth\n")
    certificate, key = (folder / "broker.pem").read_text(), (folder / "broker.key").read_text()
    (folder / "broker.pem").write_text(key + certificate)


def _signed(folder: Path, name: str, extensions: str) -> None:
    (folder / f"{name}.ext").write_text(extensions)
    _openssl(folder, ["req", *_NEW_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"])
    _openssl(
        folder,
        ["x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
        + ["-out", f"{name}.pem", "-days", _DAYS, "-extfile", f"{name}.ext"],
    )


def _openssl(folder: Path, arguments: list[str]) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServerFailed(f"openssl {' '.join(arguments)} failed in {folder}:\n{done.stderr}")
