"""The agent's service."""

from ot_bridge.jaeger_client.thrift_gen.agent import Agent, constants, ttypes

__all__ = ["Agent", "constants", "ttypes"]
