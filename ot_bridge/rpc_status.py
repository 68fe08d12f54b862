"""The names of the attribute with the status of an RPC: one list for all code that writes or reads it."""

from __future__ import annotations

from typing import Final

#: The convention since 1.45: the code's name.
NAME: Final = "rpc.status_code"
#: Written by the gRPC interceptors: the code's number (OpenTelemetry's former convention, "gRPC attributes").
NUMBER: Final = "rpc.grpc.status_code"
#: The names that are read, in this order: conventions since 1.45, from 1.38 to 1.44, before, and OpenCensus'
#: exporters.
READ: Final = (NAME, "rpc.response.status_code", NUMBER, "grpc.status_code")
