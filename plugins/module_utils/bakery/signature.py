# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of manifests, made and checked by OpenSSH (`ssh-keygen -Y`, since 8.2), which every controller has.

The allowed signers' file says whose key counts, for which namespace and how long (ssh-keygen(1), ALLOWED SIGNERS); a
revoked key is a line less there. Rejected: GPG, whose trust lies in a home folder that a container does not have.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid, Refused

NAMESPACE = "immutable.fleet"  # a signature that was made for something else does not count
SECONDS_MAX = 20  # a key in an agent or a token may ask a person, who is not there
WORDS_MAX = 300


def sign(text: str, key: str) -> str:
    """The signature of a manifest's text, by a private key's file, or a public key's whose private half an agent has.

    Raises `Invalid` whose `where` is `sign_with`.
    """
    if not Path(key).is_file():
        raise Invalid(what=f"there is no key {key}; expected the file of an SSH key", where="sign_with")
    done = _ssh_keygen(["-Y", "sign", "-n", NAMESPACE, "-f", key], text, "sign_with")
    if done.returncode:
        raise Invalid(what=f"the manifest cannot be signed with {key}: {_words(done)}", where="sign_with")
    return done.stdout


def verify(text: str, signature: str, *, signer: str, allowed_signers: str, what: str) -> None:
    """Return where `signer` signed the text, with a key that the file allows him. `what` names the version.

    Raises `Invalid` where there is no such file, `Refused` for all else.
    """
    if not Path(allowed_signers).is_file():
        raise Invalid(
            what=f"there is no file {allowed_signers}; expected allowed signers, as ssh-keygen(1) has it", where="image.allowed_signers"
        )
    if not signature:
        raise _refused(f"{what} is not signed; expected a signature of {signer}")
    with tempfile.NamedTemporaryFile("w", prefix="immutable-fleet-", suffix=".sig", encoding="utf-8") as file:
        file.write(signature)
        file.flush()
        command = ["-Y", "verify", "-f", allowed_signers, "-I", signer, "-n", NAMESPACE, "-s", file.name]
        done = _ssh_keygen(command, text, "image.signed_by")
    if done.returncode:
        raise _refused(f"{what} has no signature that {signer} is allowed to make: {_words(done)}")


def _ssh_keygen(arguments: list[str], text: str, where: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603  # no shell, and the arguments are files and names
            ["ssh-keygen", *arguments],  # noqa: S607  # the user's own, wherever it is
            input=text,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
            start_new_session=True,  # without a terminal nobody is asked for a passphrase
        )
    except FileNotFoundError as exc:
        raise Invalid(what="there is no ssh-keygen; expected OpenSSH 8.2 or later where the module runs", where=where) from exc
    except subprocess.TimeoutExpired as exc:
        raise Invalid(what=f"ssh-keygen did not answer within {SECONDS_MAX} s", where=where) from exc


def _refused(what: str) -> Refused:
    return Refused(
        what=what,
        where="image.signed_by",
        forward="publish the version again with a signature, or name who signed it",
        back="nothing to take back: nothing was changed",
    )


def _words(done: subprocess.CompletedProcess[str]) -> str:
    text = " ".join((done.stderr + done.stdout).split())
    return text[:WORDS_MAX] or f"ssh-keygen ended with {done.returncode}"
