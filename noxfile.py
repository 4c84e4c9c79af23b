# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to run, one session each. The sessions use .venv, which `make venv` fills; `compatibility` makes its own.

nox -s quick                    before each commit
nox -s unit -- -k drain         arguments after -- go to the tool behind the session
nox -s simulation -- --seeds 20000
nox -s golden -- --update       rewrites the stories; review the difference like code
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).parent
COLLECTION_PATH = "build/collections/ansible_collections/immutable/fleet"

nox.options.default_venv_backend = "none"
nox.options.error_on_external_run = False
nox.options.sessions = ["quick"]

# However nox was called: the tools of .venv come first, and Ansible finds the collection in the checkout.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(ROOT / "build/collections")
os.environ["ANSIBLE_HOME"] = str(ROOT / "build/ansible-home")


@nox.session
def quick(session: nox.Session) -> None:
    """Format, style, types, import contracts, unit tests; under a minute."""
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")
    session.run("lint-imports", "--no-logo", "--cache-dir=build/import-linter", env={"PYTHONPATH": "build/collections"})
    unit(session)


@nox.session
def unit(session: nox.Session) -> None:
    """The unit tests."""
    session.run("pytest", "tests/unit", *session.posargs)


@nox.session
def simulation(session: nox.Session) -> None:
    """Seeded worlds with faults: 1,000 seeds, or `-- --seeds N`, or one of them again with `-- --seed N`."""
    session.run("pytest", "tests/simulation", "--numprocesses=2", "--quiet", *session.posargs)


@nox.session
def golden(session: nox.Session) -> None:
    """The stories; `-- --update` rewrites them."""
    session.run("pytest", "tests/unit", "-m", "golden", *session.posargs)


@nox.session
def playbooks(session: nox.Session) -> None:
    """Real ansible-playbook runs against the simulated provider."""
    session.run("pytest", "tests/playbooks", "--numprocesses=2", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Playbooks and roles, documentation, changelog."""
    session.run("ansible-lint", "--offline", "--profile=production", "--strict")
    session.run("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck", COLLECTION_PATH)
    session.run("antsibull-changelog", "lint")


@nox.session
def sanity(session: nox.Session) -> None:
    """All of ansible-test sanity, with the newest ansible-core at hand; no ignore entries."""
    session.run("python", "tests/sanity/run.py", *session.posargs)


@nox.session
def labs(session: nox.Session) -> None:
    """The system tests, against the real servers of tests/labs."""
    session.run("pytest", "tests/system", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks."""
    session.run("pytest", "tests/benchmarks", *session.posargs)
