"""TLS to a receiver. It has a file of its own because the module ssl takes 10 ms to load."""

from __future__ import annotations

import os
import socket
import ssl

from ot_bridge.sending.trouble import CannotConnect


class TLS:
    """The TLS settings for a receiver. Certificates are always verified; changed files are read again.

    authorities: a file, a directory, or None for the system's.
    """

    def __init__(
        self, authorities: str | None, certificate: str | None = None, key: str | None = None
    ) -> None:
        self._files = (authorities, certificate, key)
        self._made: tuple[object, ssl.SSLContext] | None = None

    def wrapped(self, sock: socket.socket, host: str) -> ssl.SSLSocket:
        """The socket with TLS, before its handshake. Raises CannotConnect for files that cannot be read."""
        return self._context().wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)

    def _context(self) -> ssl.SSLContext:
        try:
            stamp = [os.stat(path).st_mtime_ns for path in self._files if path]
            if self._made is None or self._made[0] != stamp:
                self._made = stamp, self._make()
            return self._made[1]
        except (OSError, ValueError) as error:
            named = ", ".join(path for path in self._files if path) or "the system's certificates"
            raise CannotConnect(f"TLS cannot be set up with {named}: {error}") from error

    def _make(self) -> ssl.SSLContext:
        authorities, certificate, key = self._files
        if authorities is None:
            context = ssl.create_default_context()
        elif os.path.isdir(authorities):
            context = ssl.create_default_context(capath=authorities)
        else:
            context = ssl.create_default_context(cafile=authorities)
        if certificate:
            # A key with a passphrase fails; without `password` OpenSSL would ask for it on the terminal.
            context.load_cert_chain(certificate, key, password="")
        return context
