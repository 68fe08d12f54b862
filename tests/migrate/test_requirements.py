"""Requirements as they are read: names, places and specifications, and which versions these allow."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from ot_bridge.migrate.dependencies import Declared
from ot_bridge.migrate.requirements import Requirement, allows, find, normal, numbers

VERSIONS = ("1.9", "2", "2.0", "2.0.1", "2.1", "2.4", "2.4.0", "2.4.1", "2.10", "3", "3.0.0")
SPECS = (
    *(f"{operator}{version}" for operator in ("==", "!=", ">=", "<=", ">", "<") for version in VERSIONS[:9]),
    *("===2.4", "~=2.0", "~=2.4", "~=2.4.0", "==2.*", "==2.4.*", ">=2.0,<3", ">2,!=2.4,<=2.10"),
    *("", "> 1.9 , < 2.4"),
)


def test_a_specification_allows_the_versions_that_pip_takes() -> None:
    wrong = [
        (spec, version)
        for spec, version in product(SPECS, VERSIONS)
        if spec != "===2.4" and allows(spec, version) is not SpecifierSet(spec).contains(version)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("spec", "allowed"),
    [
        ("===2.4", {"2.4", "2.4.0"}),
        ("^2.4", {"2.4", "2.4.0", "2.4.1", "2.10"}),
        ("~2.4", {"2.4", "2.4.0", "2.4.1"}),
        ("2.4", {"2.4", "2.4.0"}),
        ("<>2.4", {"2.4", "2.4.0"}),
        ("*", {*VERSIONS}),
        ("latest", {*VERSIONS}),
    ],
)
def test_a_specification_of_poetry_or_of_no_known_form_is_read_too(spec: str, allowed: set[str]) -> None:
    assert {version for version in VERSIONS if allows(spec, version)} == allowed


def test_the_numbers_of_a_version_are_its_first_four_without_the_local_part() -> None:
    assert numbers("1.2.3.4.5+6.7") == (1, 2, 3, 4)
    assert numbers("2.0rc1+local.9") == (2, 0, 1)
    assert numbers("latest") == ()


def test_a_name_is_compared_in_lower_case_with_dashes() -> None:
    assert normal("Flask_OpenTracing") == normal("flask--opentracing") == normal("FLASK.opentracing")
    assert normal("Flask_OpenTracing") == "flask-opentracing"


#: File -> its text and what is read: the line, the column, the name and the specification of each.
FILES: dict[str, tuple[str, list[tuple[int, int, str, str]]]] = {
    "requirements.txt": (
        """Flask_A==1.0 --hash=sha256:00
# b
  c>=1,<2 # why
d[x,y] ~= 3.1 ; python_version > '3'
-r other
e (>=1.0)
f==1 \\
[g]
https://h/i.zip
""",
        [
            (1, 1, "flask-a", "==1.0"),
            (3, 3, "c", ">=1,<2"),
            (4, 1, "d", "~= 3.1"),
            (6, 1, "e", ">=1.0"),
            (7, 1, "f", "==1"),
        ],
    ),
    "dev-requirements.in": ("a\n", [(1, 1, "a", "")]),
    "constraints-3.10.txt": ("a<2\n", [(1, 1, "a", "<2")]),
    "requirements/dev.txt": ("a<2\n", [(1, 1, "a", "<2")]),
    "notes/dev.txt": ("a<2\n", []),
    "notes.txt": ("a<2\n", []),
    "setup.py": (
        'setup(install_requires=["a>=1", \'b[x]==2; os == "nt"\'])  # "c"\n',
        [(1, 26, "a", ">=1"), (1, 34, "b", "==2")],
    ),
    "setup.cfg": (
        "[options]\ninstall_requires = a>=1\nextras_require =\n  b==2\n",
        [(2, 20, "a", ">=1"), (4, 3, "b", "==2")],
    ),
    "pyproject.toml": (
        """[project]
name = "x"
version = "1.0"
requires-python = ">=3.10"
description = "2"
license = "3"
readme = "4"
dependencies = ["a>=1", "b"]
[tool.poetry.dependencies]
python = "^3.10"
c = "^4.4"
d = {version = "~5", optional = true}
"e" = "*"
""",
        [
            (8, 18, "a", ">=1"),
            (8, 26, "b", ""),
            (11, 1, "c", "^4.4"),
            (12, 1, "d", "~5"),
            (13, 2, "e", "*"),
        ],
    ),
    "Pipfile": ('[packages]\na = "*"\nb = {version = "==2"}\n', [(2, 1, "a", "*"), (3, 1, "b", "==2")]),
    "Pipfile.lock": (
        '{"default": {\n "a": {\n  "hashes": [],\n  "version": "==1.0"\n }}}\n',
        [(2, 3, "a", "==1.0")],
    ),
    **{
        name: ('[[package]]\nname = "A_b"\nversion = "1.0"\nversion = "2.0"\n', [(2, 9, "a-b", "==1.0")])
        for name in ("poetry.lock", "uv.lock", "pdm.lock", "pylock.toml", "pylock.dev.toml")
    },
}


@pytest.mark.parametrize("name", FILES)
def test_each_requirement_is_read_with_its_place(name: str, tmp_path: Path) -> None:
    text, wanted = FILES[name]
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    assert [tuple(each) for each in find([tmp_path])] == [(path, *each) for each in wanted]


@pytest.mark.parametrize(
    ("spec", "given", "may_be"),
    [
        ("flask>=3", "3.0", True),
        ("flask>=2,<3", "3.0", False),
        ("flask==3.0", "3.0", True),
        ("flask==3.1", "3.0", True),
        ("flask==2.2", "3.0", False),
        ("flask<=3.0", "3.0", True),
        ("flask", "3.0", True),
    ],
)
def test_a_declared_package_may_be_of_a_version_or_newer(spec: str, given: str, may_be: bool) -> None:
    name, rest = spec[:5], spec[5:]
    declared = Declared([Requirement(Path("requirements.txt"), 1, 1, name, rest)])
    assert declared.may_be("flask", given) is may_be


def test_a_package_that_is_not_declared_is_looked_for_among_the_installed() -> None:
    declared = Declared([])
    assert declared.may_be("pytest", "1.0") is True
    assert declared.may_be("pytest", "999") is False
    assert declared.may_be("no-such-package", "1.0") is False
