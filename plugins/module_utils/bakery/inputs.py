# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into an image, each with a digest: equal inputs make no second build.

Promises: the digests depend on contents, names and the executable bit; not on dates, owners, or where the files lie. A role counts
with the roles that it names: its dependencies, and what `include_role` and `import_role` say in plain words. A name that is made at
run time cannot be seen; `extra_inputs` is for that, and for files that a role takes from elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

LAYOUT = "1"  # of what the collection itself does to an image; another one is another input
NOT_CONTENTS = {".git", "__pycache__", ".ansible", ".mypy_cache", ".pytest_cache"}
YAML_SUFFIXES = (".yml", ".yaml")
NAMED_ROLE = re.compile(r"(?:include_role|import_role):\s*\n?\s*(?:name:|\{\s*name:|name=)\s*[\"']?([\w.-]+)")
DEPENDENCIES = re.compile(r"(?ms)^dependencies:[ \t]*\n(.*?)(?=^\S|\Z)")
DEPENDENCY = re.compile(r"(?m)^\s*-\s*(?:\{\s*)?(?:(?:role|name):\s*)?[\"']?([\w.-]+)[\"']?\s*(?:[,}#].*)?$")


def digest_of_file(path: Path, algorithm: str = "sha256") -> str:
    """The file's "sha256:<hex>". Raises OSError."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, algorithm)
    return f"{algorithm}:{digest.hexdigest()}"


def digest_of(value: Any) -> str:
    """The "sha256:<hex>" of something that can be JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def digest_of_files(path: Path) -> str:
    """Of a file, or of all files below a folder by name. Raises OSError."""
    if not path.is_dir():
        return digest_of_file(path)
    return digest_of([_line(path, file) for file in _files_below(path)])


def inputs_of(base: Mapping[str, Any], roles: Mapping[str, Path], variables: Mapping[str, Any], extra: Sequence[Path]) -> dict[str, str]:
    """`{what: digest}`; `base` is described by values, and a value that is a `Path` counts by its contents.

    Raises `Invalid` where a file cannot be read.
    """
    try:
        plain = {key: digest_of_files(value) if isinstance(value, Path) else value for key, value in base.items()}
        found = {"layout": LAYOUT, "base": digest_of(plain)}
        if variables:
            found["variables"] = digest_of(variables)
        found |= {f"role {name}": digest_of_files(folder) for name, folder in sorted(roles.items())}
        found |= {f"file {name}": digest for name, digest in _by_name(extra)}
    except OSError as error:
        raise Invalid(what=f"cannot be read: {error.strerror}: {error.filename}", where="extra_inputs") from error
    return found


def _by_name(extra: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """By their last names, since a checkout lies elsewhere each time; those that share one count together, in the order of their paths."""
    digests: dict[str, list[str]] = {}
    for path in sorted(extra):
        digests.setdefault(path.name, []).append(digest_of_files(path))
    for name, found in digests.items():
        yield name, found[0] if len(found) == 1 else digest_of(found)


def version_of(inputs: Mapping[str, str], parent: str) -> str:
    """The version that an image has where nobody gave it one: twelve digits of its inputs' digest."""
    return digest_of([dict(inputs), parent]).removeprefix("sha256:")[:12]


def roles_of(names: Iterable[str], places: Sequence[Path]) -> dict[str, Path]:
    """`{name: folder}` of these roles and of all that they name. Raises `Invalid` for one that is in none of `places`.

    A name with a slash is a folder itself. One with two dots belongs to a collection, below `ansible_collections` in one of the places.
    """
    found: dict[str, Path] = {}
    left = [(name, "roles") for name in names]
    while left:
        name, where = left.pop()
        if name in found:
            continue
        folder = next((place for place in _candidates(name, places) if place.is_dir()), None)
        if folder is None and where != "roles":
            continue  # named by a role, perhaps of a collection that Ansible finds elsewhere: its run will say so
        if folder is None:
            looked = ", ".join(str(place) for place in places) or "nowhere: roles_path is empty"
            raise Invalid(what=f"role {name!r} is not there; looked in {looked}", where=where)
        found[name] = folder
        left += [(inner, name) for inner in sorted(set(_named_by(folder)))]
    return found


def _candidates(name: str, places: Sequence[Path]) -> Iterator[Path]:
    if "/" in name:
        yield Path(name)
        return
    parts = name.split(".")
    for place in places:
        yield place / name
        if len(parts) == 3:  # noqa: PLR2004  # namespace.collection.role
            yield place / "ansible_collections" / parts[0] / parts[1] / "roles" / parts[2]


def _named_by(folder: Path) -> Iterator[str]:
    for file in _files_below(folder):
        if file.suffix in YAML_SUFFIXES:
            text = file.read_text(encoding="utf-8", errors="replace")
            yield from NAMED_ROLE.findall(text)
            if file.parent == folder / "meta":
                for block in DEPENDENCIES.findall(text):
                    yield from DEPENDENCY.findall(block)


def _files_below(folder: Path) -> list[Path]:
    """Files and links in one order on every machine, without what tools leave behind."""
    inside = (path for path in folder.rglob("*") if not NOT_CONTENTS.intersection(path.relative_to(folder).parts))
    return sorted(path for path in inside if path.is_symlink() or path.is_file())


def _line(folder: Path, file: Path) -> tuple[str, str, bool]:
    content = str(file.readlink()) if file.is_symlink() else digest_of_file(file)
    return str(file.relative_to(folder)), content, not file.is_symlink() and bool(file.stat().st_mode & 0o100)
