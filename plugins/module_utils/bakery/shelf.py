# SPDX-License-Identifier: GPL-3.0-or-later
"""Where images lie on this machine, and what of them is there: the facts that a bake is decided by.

    <folder>/base-<digest>.tar                    a base, for all images with the same
    <folder>/<name>/<version>/image.qcow2         and manifest.json, bill.cdx.json: a finished version
    <folder>/<name>/<version>/work/               what is needed on the way, removed at the end

Promises: whatever has its final name is whole; what is being made is called `*.part`. One bake at a time works on a version.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.decide import baking
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid, LockHeld

LOCK = ".lock"
SUFFIXES = {"qcow2": ".qcow2", "raw": ".raw", "vmdk": ".vmdk"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """The place of one version. `base_digest` is "" for an image that has no base of ours."""

    folder: Path
    name: str
    version: str
    format: str
    base_digest: str = ""

    @property
    def home(self) -> Path:
        """The version's own folder."""
        return self.folder / self.name / self.version

    @property
    def work(self) -> Path:
        """What is needed on the way."""
        return self.home / "work"

    @property
    def base(self) -> Path:
        """The base's archive."""
        return self.folder / f"base-{self.base_digest.removeprefix('sha256:')[:24]}.tar"

    @property
    def tree(self) -> Path:
        """The root file system."""
        return self.work / "tree"

    @property
    def image(self) -> Path:
        """The image."""
        return self.home / f"image{SUFFIXES[self.format]}"

    @property
    def bill(self) -> Path:
        """The bill of materials."""
        return self.home / "bill.cdx.json"

    @property
    def manifest(self) -> Path:
        """What the image is and comes from; written last."""
        return self.home / "manifest.json"

    def passed(self, stage: str) -> Path:
        """The note that a check has passed."""
        return self.work / f"{stage}.passed"

    def made(self) -> dict[str, bool]:
        """Which stages are finished."""
        return {
            baking.BASE: self.base.exists(),
            baking.TREE: self.tree.is_dir(),
            baking.HYGIENE: self.passed(baking.HYGIENE).exists(),
            baking.BILL: self.bill.exists(),
            baking.DISK: self.image.exists(),
            baking.BOOT: self.passed(baking.BOOT).exists(),
            baking.MANIFEST: self.manifest.exists(),
        }

    def begin(self, inputs: Mapping[str, str]) -> None:
        """What a killed bake of other inputs left under this version is gone; what one of the same left stays."""
        note, text = self.work / "inputs.json", json.dumps(dict(inputs), sort_keys=True)
        if _text_of(note) != text:
            shutil.rmtree(self.work)
            self._make_work()
            for product in (self.image, self.bill):
                product.unlink(missing_ok=True)
            write(note, text)

    def finish(self) -> None:
        """Only the version stays."""
        shutil.rmtree(self.work, ignore_errors=True)

    def read_manifest(self) -> dict[str, Any] | None:
        """The manifest of a finished version. Raises `Invalid` for one that cannot be read."""
        try:
            read: dict[str, Any] = json.loads(self.manifest.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise Invalid(what=f"{self.manifest} is no manifest", where="path", forward=f"rm -r {self.home}") from error
        return read

    def image_is_there(self) -> None:
        """Raises `Invalid` for a version whose manifest is there and whose image is not."""
        if not self.image.is_file():
            raise Invalid(what=f"{self.manifest} is there, {self.image.name} is not", where="path", forward=f"rm -r {self.home}")

    def clear_unfinished(self) -> None:
        """What bakes of other versions left that were killed or refused; one that is under way is left alone."""
        for home in self.home.parent.iterdir():
            if home != self.home and not (home / "manifest.json").exists() and _is_free(home):
                shutil.rmtree(home)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Only we work on the version meanwhile. Raises `LockHeld`, `Invalid` where the folder cannot be written."""
        try:
            self._make_work()
            descriptor = os.open(self.home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Invalid(what=f"cannot be written: {error.strerror}: {error.filename}", where="path") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LockHeld(what=f"another run bakes {self.name}@{self.version}", where=str(self.home)) from error
        try:
            yield
        finally:
            os.close(descriptor)

    def _make_work(self) -> None:
        """Only root may look in, whatever the umask: programs that run as their owner and devices lie there."""
        self.work.mkdir(parents=True, exist_ok=True)
        self.work.chmod(0o700)


def part_of(path: Path) -> Path:
    """What `path` is called while it is being made; whatever a killed bake left there is gone."""
    part = path.with_name(f"{path.name}.part")
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part)
    else:
        part.unlink(missing_ok=True)
    return part


def emptied(folder: Path) -> Path:
    """`folder`, there and with nothing in it."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def write(path: Path, text: str) -> None:
    """`path` with this text, wholly or not at all."""
    part = part_of(path)
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _is_free(home: Path) -> bool:
    """Whether a bake was begun there and nobody works on it."""
    try:
        with (home / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
