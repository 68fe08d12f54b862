"""Reads AWS's configuration: the region, the credentials to sign with, and the certificates to trust.

Credentials are looked up for the first attempt, not when an exporter is made. They are looked up again after
an attempt without credentials or with expired ones. If their source fails, the attempt fails.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import partial
from typing import Any, TypeAlias

import botocore.config
import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, NoCredentialsError
from botocore.httpsession import get_cert_path

from ot_bridge.errors import ConfigurationError
from ot_bridge.sending.clock import Clock
from ot_bridge.sending.line import Line, lines
from ot_bridge.sending.responses import Response
from ot_bridge.sending.tls import TLS
from ot_bridge.sending.trouble import trouble
from ot_bridge.sending.url import Url, parse, without_secrets
from ot_bridge.xray.base import Failure, TryAgain

Session: TypeAlias = Any  # botocore's, which has no types
#: The codes of errors after which new credentials are looked up.
EXPIRED = {"ExpiredToken", "ExpiredTokenException"}
ATTEMPT_SECONDS = 10.0
_REGION = re.compile(r"(?![0-9]+$)(?!-)[a-zA-Z0-9-]{1,63}(?<!-)")
# A source of credentials may be a service, which must not take longer than an attempt.
_PATIENCE = botocore.config.Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 1})


class Access:
    """Access to AWS for one process.

    given: the program's botocore session. None: a session is made here, anew for each look-up.
    """

    def __init__(self, given: Session | None, region: str) -> None:
        self._given = given
        self._region = region
        self._credentials: Any = None
        self._chain = False
        self.session = given or _new_session()
        self._line = Line(partial(_tls, self.session))  # a method would make a reference cycle

    def post(self, url: Url, headers: Mapping[str, str], body: bytes, clock: Clock) -> Response:
        """Signs and sends a request. Raises TryAgain, or Failure."""
        request = AWSRequest("POST", url.text, headers, body)
        try:
            credentials = self._found_credentials().get_frozen_credentials()
        except BotoCoreError as error:
            self.look_up_anew()
            raise TryAgain("other", error) from error
        SigV4Auth(credentials, "xray", self._region).add_auth(request)
        signed = {name.lower(): (name, value) for name, value in request.headers.items()}
        own = ("host", "content-length")  # the connection's
        try:
            sent = lines([pair for name, pair in signed.items() if name not in own])
            return self._line.post(url, sent, body, clock.within(ATTEMPT_SECONDS))
        except Exception as error:
            reason, text, again = trouble(error)
            raise (TryAgain if again else Failure)(reason, text) from error

    def look_up_anew(self) -> None:
        """Forgets the credentials, after they have expired or where there were none."""
        self._credentials = None
        if self._given is None:
            self.session = _new_session()
        self._chain = True

    def close(self) -> None:
        self._line.close()

    def _found_credentials(self) -> Any:
        if self._credentials is None:
            found = self.session.get_credentials()
            if self._chain and _is_copy(found):
                # The session caches the first result of its source.
                found = self.session.get_component("credential_provider").load_credentials()
            if found is None:
                raise NoCredentialsError()
            self._credentials = found
        return self._credentials


def _tls(session: Session) -> TLS:
    return TLS(get_cert_path(session.get_config_variable("ca_bundle") or True))


def _new_session() -> Session:
    session = botocore.session.Session()
    session.set_default_client_config(_PATIENCE)
    return session


def _is_copy(credentials: Any) -> bool:
    """Whether credentials were read once, from a file or a process, and have to be read again here.

    Others belong to the program, or renew themselves.
    """
    return type(credentials) is Credentials and credentials.method != "explicit"


def checked(endpoint: str) -> Url:
    """The endpoint's URL. Raises ConfigurationError if it is none."""
    try:
        return parse(endpoint)
    except (ValueError, TypeError, AttributeError) as problem:
        raise ConfigurationError(
            "endpoint", without_secrets(f"{endpoint}"), f"{problem}; expected a URL with http:// or https://"
        ) from None


def error_code(response: Response) -> str:
    """The code of AWS's error, such as `ExpiredTokenException`, or ""."""
    code = response.headers.get("x-amzn-errortype") or _in_json(response.body) or ""
    return code.split(":")[0].rpartition("#")[2].strip()


def _in_json(body: bytes) -> str:
    try:
        found = json.loads(body)
        return str(found.get("__type") or found.get("code") or "")
    except (ValueError, AttributeError, RecursionError):
        return ""


def region_of(region: str | None, session: Session | None) -> str:
    """The region that is given, or that of the environment or the session. Raises ConfigurationError."""
    found = (
        region
        or os.environ.get("AWS_REGION")
        or os.environ.get("AWS_DEFAULT_REGION")
        or (session or botocore.session.Session()).get_config_variable("region")
    )
    if not found:
        raise ConfigurationError(
            "region", region, "expected a name such as eu-west-1; pass one or set AWS_REGION"
        )
    if not isinstance(found, str) or not _REGION.fullmatch(found):
        raise ConfigurationError("region", found, "expected a name such as eu-west-1")
    return found
