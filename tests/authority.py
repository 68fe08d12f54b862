"""A certificate authority of a test's own, made by `openssl`, for servers on 127.0.0.1 and localhost."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]


class Authority:
    """certificate: its own, which clients trust. client, client_key: what it has signed for a client."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.certificate = directory / "ca.pem"
        self._key = directory / "ca.key"
        self._openssl(
            "req", "-x509", *_KEY, "-keyout", self._key, "-out", self.certificate, "-subj", "/CN=Test CA",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip
        self.server, self.server_key = self._signed("server", "IP:127.0.0.1,DNS:localhost")
        self.client, self.client_key = self._signed("client", "DNS:client")

    def context(self, *, client: bool = False, expired: bool = False) -> ssl.SSLContext:
        """A server's. client: it asks its clients for a certificate. expired: its own is out of date."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._expired() if expired else self.server, self.server_key)
        if client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.certificate)
        return context

    def _signed(self, name: str, names: str) -> tuple[Path, Path]:
        certificate, key = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        self._openssl(
            "req", "-x509", *_KEY, "-keyout", key, "-out", certificate, "-subj", f"/CN={name}",
            "-addext", f"subjectAltName={names}", "-addext", "basicConstraints=critical,CA:FALSE",
            "-CA", self.certificate, "-CAkey", self._key,
        )  # fmt: skip
        return certificate, key

    def _expired(self) -> Path:
        """The server's certificate, signed to end yesterday."""
        request, certificate = self._directory / "server.csr", self._directory / "expired.pem"
        with_names = "-copy_extensions", "copy"
        self._openssl(
            *("x509", "-x509toreq", *with_names, "-in", self.server),
            *("-signkey", self.server_key, "-out", request),
        )
        self._openssl(
            *("x509", "-req", *with_names, "-in", request, "-CA", self.certificate, "-CAkey", self._key),
            *("-CAcreateserial", "-days", "-1", "-out", certificate),
        )
        return certificate

    def _openssl(self, *arguments: object) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
