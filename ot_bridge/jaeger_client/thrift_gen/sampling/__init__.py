"""Sampling strategies, as an agent answered them."""

from ot_bridge.jaeger_client.thrift_gen.sampling import SamplingManager, constants, ttypes

__all__ = ["SamplingManager", "constants", "ttypes"]
