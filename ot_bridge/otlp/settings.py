"""The settings of an exporter, from its arguments and from `OTEL_EXPORTER_OTLP_*`, as one frozen value.

An argument that cannot be used raises ConfigurationError. A variable that cannot be used is logged once and
counts as unset. If the variable is that of the endpoint, nothing is exported, because spans must not be sent
to an address that no setting names. The variable for traces (`OTEL_EXPORTER_OTLP_TRACES_*`) takes precedence
over the general one, and an empty one counts as unset.
Source: the OpenTelemetry specification, "OpenTelemetry Protocol Exporter".
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import unquote_to_bytes

from ot_bridge.errors import ConfigurationError, bad_variable, log_once
from ot_bridge.sending.url import Url, parse, without_secrets

T = TypeVar("T")
_log = logging.getLogger("ot_bridge.otlp")

DEFAULT_TIMEOUT: Final = 10.0  # seconds
_LONGEST_TIMEOUT: Final = 86_400.0  # seconds; a socket does not accept every number
_DEFAULT_BASE: Final = "http://localhost:4318"
_PATH: Final = "v1/traces"
_NOTHING: Final = "nothing is exported, and every span counts as lost"
#: The headers that the exporter sets. A user cannot replace them.
_OWN_HEADERS: Final = {"host", "content-length", "content-type", "content-encoding", "accept-encoding"} | {
    "transfer-encoding",
    "connection",
    "expect",
    "te",
    "upgrade",
    "proxy-authorization",
}


class Settings:
    """The settings of an exporter. If an argument is None, the setting comes from its variable.

    Raises ConfigurationError for a bad argument.

    url: None if it cannot be used. target: the URL without secrets, for messages. timeout: seconds for one
    export. compression: `gzip`, `deflate` or `none`. certificate, client_certificate, client_key: paths.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        timeout: float | None = None,
        compression: Any = None,
        certificate_file: str | os.PathLike[str] | None = None,
        client_certificate_file: str | os.PathLike[str] | None = None,
        client_key_file: str | os.PathLike[str] | None = None,
    ) -> None:
        self.url, self.target = url, target = _url_of(endpoint)
        secure = url is not None and url.scheme == "https"
        self.client_key = _file("client_key_file", client_key_file, "CLIENT_KEY", secure)
        self.client_certificate = _file(
            "client_certificate_file", client_certificate_file, "CLIENT_CERTIFICATE", secure
        )
        if self.client_key and not self.client_certificate:
            missing = "a client's key is configured without a certificate; no client certificate is sent"
            log_once(_log, logging.ERROR, f"{target}: {missing}")
        authorities = _file("certificate_file", certificate_file, "CERTIFICATE", secure)
        # The same order as in OpenTelemetry's exporter.
        self.certificate = authorities or os.environ.get("REQUESTS_CA_BUNDLE") or None
        self.headers = _headers(headers, url.authorization if url else None)
        self.timeout = _setting("timeout", timeout, "TIMEOUT", _seconds, DEFAULT_TIMEOUT)
        self.compression = _setting("compression", compression, "COMPRESSION", _compression, "none")


def _variable(name: str) -> tuple[str, str | None]:
    """The name and the stripped value of the variable that counts; None for the value if none is set."""
    for full in (f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}"):
        value = os.environ.get(full, "").strip()
        if value:
            return full, value
    return "", None


def _setting(option: str, given: Any, name: str, read: Callable[[Any], T], default: T) -> T:
    """The argument or the variable, converted by `read`, which raises ValueError if it cannot be used."""
    if given is not None:
        try:
            return read(given)
        except (TypeError, ValueError) as problem:
            raise ConfigurationError(option, given, str(problem)) from None
    variable, value = _variable(name)
    if value is None:
        return default
    try:
        return read(value)
    except ValueError as problem:
        bad_variable(variable, value, str(problem), f"{default} is taken")
        return default


def _seconds(value: Any) -> float:
    """A timeout in seconds. The specification has milliseconds, but OpenTelemetry's Python reads seconds.

    A number from 1,000 on means milliseconds, since no useful timeout is 1,000 s, nor less than 1 s.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < math.inf:
        raise ValueError("expected a number of seconds above 0")
    return min(number / 1000 if number >= 1000 else number, _LONGEST_TIMEOUT)


def _one_of(known: tuple[str, ...], value: object) -> str:
    text = str(value).strip().lower()
    if text not in known:
        raise ValueError(f"expected one of {', '.join(known)}")
    return text


def _compression(value: object) -> str:
    return _one_of(("gzip", "deflate", "none"), getattr(value, "value", value))  # OpenTelemetry's are enums


def _file(option: str, given: str | os.PathLike[str] | None, name: str, used: bool) -> str | None:
    """The path of a file. If a variable names a file that does not exist, every export fails."""
    if given is not None:
        if not isinstance(given, str | os.PathLike) or (used and not os.path.exists(given)):
            raise ConfigurationError(option, given, "expected the path of a file")
        return os.fspath(given)
    variable, value = _variable(name)
    if value is None or not used or os.path.exists(value):
        return value
    bad_variable(variable, value, "there is no such file", "every export fails until there is")
    return value


def _url_of(endpoint: str | None) -> tuple[Url | None, str]:
    """The URL, and its text for messages. A URL in a variable that cannot be used is logged."""
    if endpoint is not None:
        try:
            url = _whole("endpoint", str(endpoint))
        except ValueError as problem:
            raise ConfigurationError("endpoint", without_secrets(str(endpoint)), str(problem)) from None
        return url, str(url)
    variable, value = _variable("ENDPOINT")
    try:
        url = _whole(variable, value) if "TRACES" in variable and value else _base(variable, value)
    except ValueError as problem:
        safe = without_secrets(value or "")
        bad_variable(variable, safe, str(problem), _NOTHING)
        return None, f"{variable}={safe!r}"
    return url, str(url)


def _whole(source: str, value: str) -> Url:
    """A URL that is used as it is."""
    url = parse(value)
    if not url.path:
        url = url._replace(path="/")
        _log_doubt(source, url, f"it has no path, and most collectors take spans at /{_PATH} only")
    if url.port == 4317:
        _log_doubt(source, url, "4317 is the port of OTLP over gRPC; OTLP over HTTP has 4318")
    return url


def _base(source: str, value: str | None) -> Url:
    """A base URL, with the path of traces added."""
    url = parse(value or _DEFAULT_BASE)
    base = url.path.rstrip("/")
    url = url._replace(path=f"{base}/{_PATH}")
    if base.endswith(_PATH):
        _log_doubt(
            source, url, f"{_PATH} is added to it; OTEL_EXPORTER_OTLP_TRACES_ENDPOINT takes a whole URL"
        )
    if url.port == 4317:
        _log_doubt(source, url, "4317 is the port of OTLP over gRPC; OTLP over HTTP has 4318")
    return url


def _log_doubt(source: str, url: Url, problem: str) -> None:
    log_once(_log, logging.ERROR, f"{source}: {problem}; spans are sent to {url} nevertheless")


_TOKEN: Final = frozenset(  # RFC 9110, 5.6.2
    "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)


def _headers(given: Any, authorization: str | None) -> tuple[tuple[str, str], ...]:
    """The headers of the URL's user, of the variable and of the argument. Later ones replace earlier ones."""
    headers = {"authorization": ("Authorization", authorization)} if authorization else {}
    variable, value = _variable("HEADERS")
    for number, pair in enumerate((value or "").split(","), 1):
        if pair.strip():
            try:
                name, text = _pair(pair)
            except ValueError as problem:  # a header may be a secret, even if it is malformed
                bad_variable(variable, None, f"pair {number} {problem}", "that pair is left out")
            else:
                headers[name.lower()] = name, text
    for name, text in _given(given):
        headers[name.lower()] = name, text
    return tuple(pair for key, pair in headers.items() if key not in _OWN_HEADERS)


def _pair(text: str) -> tuple[str, str]:
    """Decodes one `key=value` of the variable. The message of its ValueError does not contain the value."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError("has no '='")
    try:
        return _checked(unquote_to_bytes(name.strip()).decode(), unquote_to_bytes(value.strip()).decode())
    except UnicodeError:
        raise ValueError("is not UTF-8") from None


def _given(headers: Any) -> list[tuple[str, str]]:
    try:
        pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
        return [_checked(name, value) for name, value in pairs]
    except (TypeError, ValueError) as problem:
        raise ConfigurationError(
            "headers", "…", f"expected pairs of names and values: one {problem}"
        ) from None


def _checked(name: str, value: str) -> tuple[str, str]:
    if not isinstance(name, str) or not isinstance(value, str):
        raise ValueError("is no text")
    name, value = name.strip(), value.strip()
    if not name or not _TOKEN.issuperset(name):
        raise ValueError("has a name that no header can have")
    if any((char < " " and char != "\t") or char == "\x7f" or "\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("has a line break or another character in its value that no header can have")
    return name, value
