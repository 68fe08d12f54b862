"""The gateway of ot_bridge/cli/gateway on AWS X-Ray, with a sampler for each entry point."""
