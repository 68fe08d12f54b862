"""The metadata is in pyproject.toml; this file lets tools that still look for it find it."""

from setuptools import setup

setup()
