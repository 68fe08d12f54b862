"""The gateway of examples/gateway on AWS X-Ray, with a sampler for each of its ways in."""
