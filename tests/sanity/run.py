# SPDX-License-Identifier: GPL-3.0-or-later
"""Run `ansible-test sanity` of the ansible-core that this interpreter has, over a copy of the checkout.

python tests/sanity/run.py                      all tests
python tests/sanity/run.py --test validate-modules --test import

ansible-test wants a real directory .../ansible_collections/immutable/fleet: links are not followed. And it makes
an environment for each test with a pip that it fetches from its makers' host; where that is out of reach, a script in
its cache installs the same version from the package index. There is no PowerShell here, so `pslint` finds nothing to do.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PIP_VERSIONS = {"23.1.2": "ansible-core 2.16, 2.17", "24.2": "2.18, 2.19", "25.2": "2.20, 2.21"}
GET_PIP = '''\
"""Install pip {version} from the package index, as get-pip.py of that version would."""
import subprocess
import sys

pip = [{python!r}, "-m", "pip", "--python", sys.executable, "--quiet", "--disable-pip-version-check"]
sys.exit(subprocess.call([*pip, "install", "pip=={version}"]))
'''


def files_of_checkout() -> list[str]:
    """What git knows or would add; a file that is only deleted so far is left out."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted({name for name in listed.split("\0") if name and (ROOT / name).is_file()})


def digest_of(names: list[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        content = (ROOT / name).read_bytes()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def copy_checkout(names: list[str], target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name)
    # In a repository of its own: else ansible-test finds that of the checkout, which ignores build/.
    subprocess.run(["git", "init", "--quiet"], cwd=target, check=True)
    subprocess.run(["git", "add", "--all"], cwd=target, check=True)


def make_home(home: Path) -> None:
    """A home for ansible-test, which passes no PIP_* variable on: pip's settings become a file, and its pips are there."""
    cache = home / ".ansible/test/cache"
    cache.mkdir(parents=True, exist_ok=True)
    for pip in PIP_VERSIONS:
        (cache / f"get_pip_{pip.replace('.', '_')}.py").write_text(GET_PIP.format(version=pip, python=sys.executable), encoding="utf-8")

    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    cache_folder = subprocess.run([*pip, "cache", "dir"], check=True, capture_output=True, text=True).stdout.strip()
    listed = subprocess.run([*pip, "config", "list"], check=True, capture_output=True, text=True).stdout
    settings = {"cache-dir": cache_folder}
    for line in listed.splitlines():  # global.cert='/etc/...' or :env:.cert='/etc/...'
        name, value = line.split("=", maxsplit=1)
        settings[name.rpartition(".")[2]] = ast.literal_eval(value)
    config = home / ".config/pip/pip.conf"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--test", action="append", default=[], help="only this test; may be given more than once")
    wanted = parser.parse_args().test

    core = version("ansible-core")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    what = f"ansible-test sanity, ansible-core {core}, Python {python}"
    folder = ROOT / f"build/sanity/{core}-{python}"
    names = files_of_checkout()

    # The answer depends on the files alone: the same files need not be asked again.
    stamp = folder / "passed" / f"{digest_of(names)}-{'-'.join(wanted) or 'all'}"
    if stamp.exists():
        print(f"tested: {what}: passed, unchanged since")
        return 0

    copy, home = folder / "ansible_collections/immutable/fleet", folder / "home"
    copy_checkout(names, copy)
    make_home(home)
    selection = [f"--test={test}" for test in wanted]
    command = [str(Path(sys.executable).parent / "ansible-test"), "sanity", "--color=no", "--requirements", f"--python={python}"]
    status = subprocess.call([*command, *selection], cwd=copy, env=os.environ | {"HOME": str(home), "LC_ALL": "C.UTF-8"})
    print(f"tested: {what}: {'failed' if status else 'passed'}")
    if status == 0:
        stamp.parent.mkdir(exist_ok=True)
        stamp.touch()
    return status


if __name__ == "__main__":
    sys.exit(main())
