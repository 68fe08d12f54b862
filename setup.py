"""The metadata is in pyproject.toml; this file makes the description that PyPI shows.

PyPI shows README.md without the files beside it, so that no relative link would lead anywhere. Such a link
becomes plain text that names the file in the source distribution, and an image is left out.
"""

import re
from pathlib import Path

from setuptools import setup

readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
readme = re.sub(r"!\[[^]]*\]\((?!https?:)[^)]*\)\n*", "", readme)
readme = re.sub(
    r"\[([^]]*)\]\((?!https?:|#)([^)]*)\)",
    lambda link: link[1] if link[2] in link[1] else f"{link[1]} ({link[2]})",
    readme,
)

setup(long_description=readme, long_description_content_type="text/markdown")
