# SPDX-License-Identifier: GPL-3.0-or-later
"""Gets the control plane's binaries: from $KUBEBUILDER_ASSETS, from PATH, or built from their Go modules.

Promises: what is there is neither fetched nor built again; nothing is written outside the lab's directory and Go's own
caches. A binary of $KUBEBUILDER_ASSETS is taken at any version, for somebody put it there on purpose; one on PATH only
when it is of the minor version that the lab was tried with.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from ..processes import LabError, Progress, run
from .site import ETCD_VERSION, KWOK_VERSION, Site

COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
ETCD_MODULES = ("server", "etcdctl", "api", "client", "client/pkg", "pkg")
# the root module's main.go is this one line; that module is not always served by the proxy
ETCD_MAIN = """package main

import "os"
import "go.etcd.io/etcd/server/v3/etcdmain"

func main() { etcdmain.Main(os.Args) }
"""
GO_DIRECTIVE = "go 1.26.0"


def install(site: Site, say: Progress) -> None:
    """Ends with all binaries in place. From nothing: some 9 minutes on 2 cores, 2.5 GB of Go caches and more."""
    for folder in (site.bin, site.kubernetes, site.source):
        folder.mkdir(parents=True, exist_ok=True)
    etcd(site, say)
    kubernetes(site, say)
    if not found(site.bin, "kwok", KWOK_VERSION, say):
        module = f"module lab/kwok\n\n{GO_DIRECTIVE}\n\nrequire sigs.k8s.io/kwok v{KWOK_VERSION}\n"
        build(site.bin / "kwok", sources(site, "kwok", KWOK_VERSION, module), "sigs.k8s.io/kwok/cmd/kwok", say)
    for name in COMPONENTS:  # for people and for KUBEBUILDER_ASSETS: the version installed first
        if not (site.bin / name).exists():
            (site.bin / name).symlink_to(Path("../k8s") / site.version / name)


def etcd(site: Site, say: Progress) -> None:
    missing = [name for name in ("etcd", "etcdctl") if not found(site.bin, name, ETCD_VERSION, say)]
    if missing:
        requirements = "".join(f"\tgo.etcd.io/etcd/{module}/v3 v{ETCD_VERSION}\n" for module in ETCD_MODULES)
        folder = sources(site, "etcd", ETCD_VERSION, f"module lab/etcd\n\n{GO_DIRECTIVE}\n\nrequire (\n{requirements})\n")
        (folder / "main.go").write_text(ETCD_MAIN)
        packages = {"etcd": ".", "etcdctl": "go.etcd.io/etcd/etcdctl/v3"}
        for name in missing:
            build(site.bin / name, folder, packages[name], say)


def kubernetes(site: Site, say: Progress) -> None:
    missing = [name for name in COMPONENTS if not found(site.kubernetes, name, site.version, say)]
    if missing:
        folder = sources(site, "kubernetes", site.version, kubernetes_module(site.version))
        version = "k8s.io/component-base/version.git"
        minor = site.version.split(".")[1]
        values = {"Version": f"v{site.version}", "Major": "1", "Minor": minor, "TreeState": "clean"}
        flags = " ".join(f"-X {version}{key}={value}" for key, value in values.items())
        for name in missing:
            build(site.kubernetes / name, folder, f"k8s.io/kubernetes/cmd/{name}", say, flags)


def kubernetes_module(version: str) -> str:
    """A go.mod with the release's own requirements and its staging directories as modules."""
    answer = go(["mod", "download", "-json", f"k8s.io/kubernetes@v{version}"])
    release = Path(json.loads(answer)["GoMod"]).read_text()
    lines = ["module lab/kubernetes", "", f"require k8s.io/kubernetes v{version}"]
    lines += re.findall(r"^(?:go |godebug default)[^\n]*|^require \([\s\S]*?^\)", release, re.MULTILINE)
    staged = re.findall(r"^\t(\S+) => \./staging/", release, re.MULTILINE)
    lines += [f"replace {module} => {module} v0.{version.removeprefix('1.')}" for module in staged]
    return "\n".join(lines) + "\n"


def sources(site: Site, name: str, version: str, module: str) -> Path:
    folder = site.source / f"{name}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "go.mod").write_text(module)
    return folder


def build(target: Path, folder: Path, package: str, say: Progress, flags: str = "") -> None:
    began = say.seconds()
    say(f"{target.name}: building ...")
    new = target.with_suffix(".new")
    go(["build", "-mod=mod", "-trimpath", "-buildvcs=false", "-ldflags", f"-s -w {flags}", "-o", str(new), package], folder)
    new.rename(target)
    say(f"{target.name}: built in {say.seconds() - began:.0f} s, {target.stat().st_size >> 20} MiB")


def go(words: list[str], cwd: Path | None = None) -> str:
    if not shutil.which("go"):
        raise LabError("no go on PATH, and not all binaries in KUBEBUILDER_ASSETS or on PATH: nothing to build with")
    return run(["go", *words], {"GOWORK": "off", "CGO_ENABLED": "0"}, cwd)


def has_to_build(site: Site) -> bool:
    """Whether one of the binaries is neither there nor anywhere else on this machine."""
    wanted = [(site.bin, name, ETCD_VERSION) for name in ("etcd", "etcdctl")]
    wanted += [(site.kubernetes, name, site.version) for name in COMPONENTS]
    wanted += [(site.bin, "kwok", KWOK_VERSION)]
    return not all((folder / name).exists() or elsewhere(name, version) for folder, name, version in wanted)


def found(folder: Path, name: str, version: str, say: Progress) -> bool:
    """It is there already, or can be linked to."""
    target = folder / name
    if target.exists():
        return True
    taken = elsewhere(name, version)
    if taken is None:
        return False
    target.unlink(missing_ok=True)
    target.symlink_to(taken.resolve())
    say(f"{name}: linked to {taken}")
    return True


def elsewhere(name: str, version: str) -> Path | None:
    """The binary in $KUBEBUILDER_ASSETS, else on PATH where it is of this minor version."""
    assets = Path(os.environ.get("KUBEBUILDER_ASSETS") or "/nonexistent") / name
    if os.access(assets, os.X_OK):
        return assets
    on_path = shutil.which(name)
    return Path(on_path) if on_path and is_version(on_path, version) else None


def is_version(binary: str, version: str) -> bool:
    """The binary says that it is of the same minor version."""
    minor = version.rsplit(".", 1)[0]
    for words in (["--version"], ["version", "--client"], ["version"]):
        done = subprocess.run([binary, *words], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return re.search(rf"\bv?{re.escape(minor)}\.\d", done.stdout) is not None
    return False
