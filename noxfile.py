# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to run, one session each. The sessions use .venv, which `make venv` fills; `compatibility` makes its own.

nox -s quick                    before each commit
nox -s unit -- -k drain         arguments after -- go to the tool behind the session
nox -s simulation -- --seeds 20000
nox -s golden -- --update       rewrites the stories; review the difference like code
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nox

ROOT = Path(__file__).parent
OLDEST_CORE = "2.16"  # meta/runtime.yml
OLDEST_CORE_PYTHONS = ("3.11", "3.12")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
NAME = "immutable.fleet"

SANITY_EVERYWHERE = ("ansible-doc", "compile", "import", "validate-modules")
TEST_TOOLS = ("hypothesis", "jq", "prometheus-client", "pytest", "pytest-xdist")
SDKS = tuple(line for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines() if line and line[0] != "#")
OLDEST_SDKS = tuple(sdk.replace(">=", "==") for sdk in SDKS)
POOLS_ON_OPENSTACK = [
    f"tests/system/test_{name}.py"
    for name in ("bad_days", "boot_volume", "golden_images", "kill_and_rerun", "pool_life", "recreate", "remediation", "steering")
]
OF_THEIR_OWN = ("bake", "load", "pipeline", "vms")  # long sessions, and the marks of the tests that only they run
LABS = ("openstack", "kubernetes", "vsphere", "haproxy", "images")  # of the session `labs`
SAY_VERSIONS = """
import importlib.metadata, platform
found = [f"{name} {importlib.metadata.version(name)}" for name in ("ansible-core", "openstacksdk", "kubernetes", "pyvmomi")]
print(f"Python {platform.python_version()}", *found, sep=", ")
"""

nox.options.default_venv_backend = "none"
nox.options.error_on_external_run = False
nox.options.sessions = ["quick"]

# However nox was called: the tools of .venv come first, and Ansible finds the collection in the checkout.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(ROOT / "build/collections")
os.environ["ANSIBLE_HOME"] = str(ROOT / "build/ansible-home")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # some containers set it; each module of each playbook would be compiled anew


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
    """The unit tests, and the ports' contracts over the simulated adapters."""
    session.run("pytest", "tests/unit", "tests/conformance", "-m", "not lab", "--numprocesses=auto", "--quiet", *session.posargs)


@nox.session
def simulation(session: nox.Session) -> None:
    """Seeded worlds with faults: 1,000 seeds, or `-- --seeds N`, or one of them again with `-- --seed N`."""
    session.run("pytest", "tests/simulation", "--numprocesses=auto", "--quiet", *session.posargs)


@nox.session
def golden(session: nox.Session) -> None:
    """The stories; `-- --update` rewrites them."""
    session.run("pytest", "tests/unit", "tests/simulation", "-m", "golden", *session.posargs)


@nox.session
def playbooks(session: nox.Session) -> None:
    """Real ansible-playbook runs against the simulated provider; a report is opened in a browser."""
    browser(session)
    session.run("pytest", "tests/playbooks", "--numprocesses=auto", "--no-skip", *session.posargs)


def browser(session: nox.Session) -> None:
    """Chromium, from Debian's packages where it is not there yet."""
    if shutil.which("chromium"):
        return
    rights = [] if os.getuid() == 0 else ["sudo"]
    session.log("no chromium, which a report is opened in: installing Debian's package%s", " by sudo" if rights else "")
    apt = [*rights, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-oDPkg::Lock::Timeout=300"]
    session.run(*apt, "update")
    session.run(*apt, "install", "-y", "--no-install-recommends", "chromium")


@nox.session
def lint(session: nox.Session) -> None:
    """Playbooks and roles, documentation, changelog."""
    session.run("ansible-lint")
    session.run("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs=self", ".")
    session.run("antsibull-changelog", "lint")
    session.run("shellcheck", ".ci/run")


@nox.session
def sanity(session: nox.Session) -> None:
    """All of ansible-test sanity, with the newest ansible-core at hand; no ignore entries."""
    session.run("python", "tests/sanity/run.py", *session.posargs)


@nox.session
def importer(session: nox.Session) -> None:
    """What Galaxy and Automation Hub check when the collection is uploaded."""
    bin_folder = environment(session, sys.executable, ROOT / "build/importer", ["galaxy-importer==0.4.44"])
    session.run("ansible-galaxy", "collection", "build", "--force", "--output-path=build/importer", ".")
    archive = max((ROOT / "build/importer").glob("immutable-fleet-*.tar.gz"), key=lambda path: path.stat().st_mtime)
    settings = {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "GALAXY_IMPORTER_RUN_ANSIBLE_LINT": "no"}  # `lint` has run it
    session.run(f"{bin_folder}/python", "-m", "galaxy_importer.main", str(archive), env=settings)


@nox.session
def compatibility(session: nox.Session) -> None:
    """A playbook and part of sanity: all newest on each other Python, all oldest on the oldest. `-- 3.13`: only there.

    "All" is ansible-core and the SDKs. The unit tests run where something is newest or oldest; those marked `once` ask neither
    interpreter nor library, and have run in .venv. No test is skipped for want of an SDK.
    """
    interpreters = {python: found for python in PYTHONS if (found := interpreter(python))}
    cells = [(python, "ansible-core", SDKS) for python in interpreters if python != HERE]
    newest = max(interpreters, key=PYTHONS.index)
    oldest_core = f"ansible-core~={OLDEST_CORE}.0"
    cells += [(python, oldest_core, OLDEST_SDKS) for python in OLDEST_CORE_PYTHONS if python in interpreters][:1]
    tested = [f"{session.run('python', '-c', SAY_VERSIONS, silent=True).strip()}: all sessions"]
    for python, core, sdks in cells:
        if session.posargs and python not in session.posargs:
            continue
        folder = ROOT / f"build/compatibility/{python}-{core}"
        bin_folder = environment(session, interpreters[python], folder, [core, *sdks, *TEST_TOOLS])
        parts = ["playbooks", f"sanity ({', '.join(SANITY_EVERYWHERE)})"]
        if python == newest or core == oldest_core:
            options = ("--quiet", "--numprocesses=auto", "--no-skip", "-m", "not lab and not once")
            session.run(f"{bin_folder}/python", "-m", "pytest", *options, "tests/unit", "tests/conformance")
            parts.insert(0, "unit")
        session.run(f"{bin_folder}/python", "-m", "pytest", "--quiet", "-m", "smoke", "tests/playbooks")
        session.run(f"{bin_folder}/python", "tests/sanity/run.py", *(f"--test={test}" for test in SANITY_EVERYWHERE))
        what = session.run(f"{bin_folder}/python", "-c", SAY_VERSIONS, silent=True).strip()
        tested.append(f"{what}: {', '.join(parts)}")
    tested += [f"Python {python}: not found here, not tested" for python in PYTHONS if python not in interpreters]
    if oldest_core not in [core for _python, core, _sdks in cells]:
        tested.append(f"ansible-core {OLDEST_CORE}: not tested, it needs Python {' or '.join(OLDEST_CORE_PYTHONS)}")
    report = "".join(f"tested: {line}\n" for line in tested)
    (ROOT / "build/compatibility/tested.txt").write_text(report, encoding="utf-8")
    print(report, end="")


def interpreter(python: str) -> str | None:
    """A Python of that minor version which really runs: a pyenv shim of a version that is not activated does not."""
    on_path = [f"{folder}/python{python}" for folder in os.get_exec_path()]
    of_pyenv = map(str, Path.home().glob(f".pyenv/versions/{python}.*/bin/python{python}"))
    for candidate in (*on_path, *of_pyenv):
        try:
            subprocess.run([candidate, "-c", "import ensurepip, venv"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    return None


def environment(session: nox.Session, python: str, folder: Path, requirements: list[str]) -> Path:
    """Make a virtual environment with these requirements, once; the folder with its programs."""
    stamp = folder / "requirements.txt"
    wanted = "\n".join(requirements)
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        session.run(python, "-m", "venv", "--clear", str(folder))
        session.run(f"{folder}/bin/python", "-m", "pip", "install", "--quiet", *requirements)
        stamp.write_text(wanted, encoding="utf-8")
    return folder / "bin"


@nox.session
def labs(session: nox.Session) -> None:
    """The system tests, against the real servers of tests/labs, which are installed, started and stopped.

    In two lanes side by side, for mostly they wait: rollouts of pools on OpenStack, and all else. Within a lane one test follows the other,
    since they stop API servers, count writes and fill quotas; so each lane has a Kubernetes of its own.
    """
    second = {"LAB_CLUSTER": "second", "LAB_KUBERNETES_PORT_BASE": str(int(os.environ.get("LAB_KUBERNETES_PORT_BASE", "18400")) + 30)}
    all_else = ["tests/system", "tests/conformance", *(f"--ignore={file}" for file in POOLS_ON_OPENSTACK)]
    session.run("tests/labs/lab", "up", "--fresh", *LABS)
    session.run("tests/labs/lab", "up", "--fresh", "kubernetes", env=second)
    try:
        with ThreadPoolExecutor() as side_by_side:
            lanes = [side_by_side.submit(lane, session, POOLS_ON_OPENSTACK, {}), side_by_side.submit(lane, session, all_else, second)]
        for ended in lanes:
            ended.result()
    finally:
        session.run("tests/labs/lab", "down", "kubernetes", env=second)
        session.run("tests/labs/lab", "down", *LABS)


def lane(session: nox.Session, tests: list[str], environment: dict[str, str]) -> None:
    """Its output comes in one piece when it ends; arguments after -- may leave nothing of it, which pytest calls 5."""
    wanted = " and not ".join(["lab", *OF_THEIR_OWN])
    patience = "--override-ini=faulthandler_timeout=1200"  # a rollout takes minutes
    options = ["-m", wanted, "--no-skip", "--durations=12", patience]
    ends_well = [0, 5] if session.posargs else [0]
    print(session.run("pytest", *tests, *options, *session.posargs, env=environment, silent=True, success_codes=ends_well))


@nox.session
def bake(session: nox.Session) -> None:
    """Bakes real images and boots them; needs root. Without KVM a boot takes many minutes, hence not in `labs`."""
    session.run("tests/labs/lab", "up", "images")
    tests = ("tests/system/test_golden_image_build.py", "tests/system/test_kubernetes_roles.py")
    session.run("pytest", *tests, "--no-skip", "--override-ini=faulthandler_timeout=3000", *session.posargs)


@nox.session
def vms(session: nox.Session) -> None:
    """A pool of machines that boot in QEMU, one of which is killed; needs neither root nor KVM. It takes minutes, hence not in `labs`."""
    labs = ("openstack", "haproxy", "qemu")
    session.run("tests/labs/lab", "up", *labs)
    try:
        options = ["-m", "vms", "--no-skip", "--override-ini=faulthandler_timeout=1200"]
        session.run("pytest", "tests/system/test_real_vms.py", *options, *session.posargs)
    finally:
        session.run("tests/labs/lab", "down", *labs)


@nox.session
def load(session: nox.Session) -> None:
    """Machines behind HAProxy are rolled under 100,000 requests at 500 a second, and one is killed. Minutes, hence not in `labs`."""
    labs = ("openstack", "haproxy")
    session.run("tests/labs/lab", "up", *labs)
    try:
        options = ["-m", "load", "--no-skip", "-rP", "--override-ini=faulthandler_timeout=1200"]
        session.run("pytest", "tests/system/test_rolls_under_load.py", *options, *session.posargs)
    finally:
        session.run("tests/labs/lab", "down", *labs)


@nox.session
def pipeline(session: nox.Session) -> None:
    """From a commit to a rolled pool, by the collection's own playbooks on OpenStack; needs root. Twenty playbooks, hence not in `labs`."""
    labs = ("openstack", "kubernetes", "images")
    session.run("tests/labs/lab", "up", *labs)
    try:
        patience = "--override-ini=faulthandler_timeout=1200"
        session.run("pytest", "tests/system/test_bake_playbook.py", "--no-skip", "--durations=8", patience, *session.posargs)
    finally:
        session.run("tests/labs/lab", "down", *labs)


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks, or those of them that are named; what needs a lab that is not up is skipped."""
    module = "ansible_collections.immutable.fleet.tests.benchmarks.run"
    if not session.posargs or "vsphere" in session.posargs:
        get_vmware_guest(session)
    session.run("python", "-m", module, *session.posargs, env={"PYTHONPATH": "build/collections"})


def get_vmware_guest(session: nox.Session) -> None:
    """What a pool on vSphere is compared with: two collections out of the package ansible. Nothing is installed."""
    folder = ROOT / "build/vmware_guest"
    if folder.exists():
        return
    wanted = tuple(f"ansible_collections/{name}/" for name in ("community/vmware", "vmware/vmware"))
    with tempfile.TemporaryDirectory() as wheels:
        session.run("python", "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={wheels}", "ansible==11.13.0")
        with zipfile.ZipFile(next(Path(wheels).glob("*.whl"))) as wheel:
            wheel.extractall(folder, [name for name in wheel.namelist() if name.startswith(wanted)])


@nox.session
def docs(session: nox.Session) -> None:
    """Reference pages of modules, plugins and roles, as HTML in build/docs/html; needs no network."""
    pages = ROOT / "build/docs/rst"
    shutil.rmtree(pages, ignore_errors=True)
    pages.mkdir(parents=True, mode=0o755)  # antsibull-docs refuses a folder that others may write to
    session.run("antsibull-docs", "collection", "--use-current", "--squash-hierarchy", "--fail-on-error", f"--dest-dir={pages}", NAME)
    settings = {"extensions": "sphinx_antsibull_ext", "html_theme": "alabaster", "project": NAME, "suppress_warnings": "ref.ref"}
    definitions = [f"--define={name}={value}" for name, value in settings.items()]
    session.run("sphinx-build", "--quiet", "--isolated", "--fail-on-warning", *definitions, str(pages), "build/docs/html")
    session.log("build/docs/html/index.html")
