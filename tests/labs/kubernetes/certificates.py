# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys, certificates and kubeconfigs, made with the openssl command so that the lab needs no Python package."""

import base64
import json
import secrets
import tempfile
from pathlib import Path

from ..processes import run
from .site import IP, Site

DAYS = "3650"
MASTERS = "/O=system:masters"
USERS = {  # file name: subject; kwok and the joiner are told apart from an admin in the audit log
    "admin": f"{MASTERS}/CN=admin",
    "controller-manager": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "kwok": f"{MASTERS}/CN=lab:kwok",
    "joiner": f"{MASTERS}/CN=lab:joiner",
}
NAMES = "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"


def make(site: Site) -> None:
    """Makes what is missing below pki/, and the kubeconfigs."""
    if not (site.pki / "sa.key").exists():
        certificate(site.pki, "ca", "/CN=lab-ca", "basicConstraints=critical,CA:TRUE", signer=None)
        server = f"extendedKeyUsage=serverAuth\nsubjectAltName={NAMES},IP:{IP},IP:10.96.0.1"
        certificate(site.pki, "apiserver", "/CN=kube-apiserver", server)
        for name, subject in USERS.items():
            certificate(site.pki, name, subject, "extendedKeyUsage=clientAuth")
        run(["openssl", "genrsa", "-out", site.pki / "sa.key", "2048"])
    write_kubeconfig(site, site.kubeconfig, "admin")
    for name in USERS:
        if name != "admin":
            write_kubeconfig(site, site.etc / f"{name}.kubeconfig", name)


def new_key(path: Path) -> None:
    run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path])


def request(key: Path, subject: str) -> str:
    """A certificate signing request in PEM."""
    return run(["openssl", "req", "-new", "-key", key, "-subj", subject])


def certificate(pki: Path, name: str, subject: str, extensions: str, signer: str | None = "ca") -> None:
    """NAME.key and NAME.crt, signed by another of them or by itself."""
    key = pki / f"{name}.key"
    new_key(key)
    key.chmod(0o600)
    by = ["-CA", pki / f"{signer}.crt", "-CAkey", pki / f"{signer}.key"] if signer else ["-signkey", key]
    with tempfile.TemporaryDirectory() as scratch:
        asked, extra = Path(scratch, "csr"), Path(scratch, "extensions")
        asked.write_text(request(key, subject))
        extra.write_text(extensions)
        serial = f"0x{secrets.token_hex(16)}"
        run(
            [
                *("openssl", "x509", "-req", "-in", asked, *by, "-set_serial", serial, "-sha256"),
                *("-days", DAYS, "-extfile", extra, "-out", pki / f"{name}.crt"),
            ]
        )


def write_kubeconfig(site: Site, path: Path, user: str) -> None:
    files = [site.pki / name for name in ("ca.crt", f"{user}.crt", f"{user}.key")]
    authority, public, private = (base64.b64encode(file.read_bytes()).decode() for file in files)
    cluster = {"server": site.server, "certificate-authority-data": authority}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user}}],
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": user, "user": {"client-certificate-data": public, "client-key-data": private}}],
    }
    path.write_text(json.dumps(config, indent=1) + "\n")
    path.chmod(0o600)
