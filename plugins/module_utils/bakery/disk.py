# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages between a root file system and a disk image, both ways: a disk made of a tree, a tree copied out of a disk.

The disk: an MBR table, one ext4 file system, GRUB for BIOS, which OpenStack's and vSphere's machines have by default. It is made
without a loop device or a mount: mke2fs copies the tree, and GRUB's image lies in the gap before the first partition, where boot.img
looks for it (sector 1) as it comes from its package.
Sources: mke2fs(8) (-d, -E offset), grub-mkimage(1), GRUB's manual, "Images" and "BIOS installation"; qemu-img(1).
"""

from __future__ import annotations

import json
import shlex
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.immutable.fleet.plugins.module_utils.bakery.program import Making, Program, ProgramFailed
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.shelf import Shelf, part_of
from ansible_collections.immutable.fleet.plugins.module_utils.model.errors import Invalid

FIRST_SECTOR = 2048  # 1 MiB, where every partitioning tool of today begins
NAMESPACE = uuid.UUID("0d3c5b8e-2f2a-5f0e-8a44-5d1c64cf0c11")  # of file system ids, the same for the same version
CONSOLES = "console=tty0 console=ttyS0,115200"  # clouds show the serial one, and the boot test reads it
CONVERSIONS = {
    "raw": "-O raw",
    "qcow2": "-O qcow2",
    "vmdk": "-O vmdk -o subformat=streamOptimized,adapter_type=lsilogic",  # the form that vSphere imports
}
TAKEN = ("qcow2", "raw", "vdi", "vhdx", "vmdk", "vpc")  # formats that are read; others are seldom tested in QEMU
INFO_SECONDS = 60.0
LOOKED_INTO = ("home", "opt", "root", "srv", "usr", "var")  # folders that the gate judges
OF_NO_DISK = {"cifs", "nfs", "nfs4", "none", "overlay", "swap", "tmpfs"}  # types in fstab that bring nothing of the image
GRUB_MODULES = "biosdisk part_msdos ext2 normal linux configfile search search_fs_uuid echo test minicmd"
SPARE_MIB = 256  # for logs and what cloud-init writes, until the first boot grows the file system
GRUB_FOLDER = "/usr/lib/grub/i386-pc"

# Values come by environment: $tree $disk $mib (0: as large as needed) $fs $core $target $conversion
MAKE = f"""\
set -eu
if [ "$mib" = 0 ]; then
    mib=$(( $(du --apparent-size --block-size=1M --summarize "$tree" | cut -f1) * 5 / 4 + {SPARE_MIB} ))
fi
rm -f "$disk"
truncate --size "${{mib}}M" "$disk"
printf 'label: dos\\nstart={FIRST_SECTOR}, type=83, bootable\\n' | sfdisk --quiet "$disk"
mke2fs -q -F -t ext4 -L root -U "$fs" -E "offset=$(( {FIRST_SECTOR} * 512 )),root_owner=0:0" -d "$tree" "$disk" "$(( mib - 1 ))M"
grub-mkimage --format=i386-pc --output="$core" --prefix='(hd0,msdos1)/boot/grub' {GRUB_MODULES}
dd if={GRUB_FOLDER}/boot.img of="$disk" bs=440 count=1 conv=notrunc status=none
dd if="$core" of="$disk" bs=512 seek=1 conv=notrunc status=none
qemu-img convert -f raw $conversion "$disk" "$target"
rm -f "$disk" "$core"
"""

# The file system with an os-release is the root. What is mounted and the loop device end with the namespace.
# sh has no pipefail, so the first tar leaves a mark.
COPY_OUT = """\
set -eu
qemu-img convert -f "$format" -O raw "$image" "$disk"
mkdir -p "$mount" "$tree"
found=
for offset in $( (sfdisk --dump "$disk" 2>/dev/null || true) | sed -n 's/.*start= *\\([0-9]*\\).*/\\1/p') 0; do
    mount -o "ro,loop,noexec,nodev,nosuid,offset=$(( offset * 512 ))" "$disk" "$mount" 2>/dev/null || continue
    if [ -e "$mount/etc/os-release" ] || [ -L "$mount/etc/os-release" ]; then found=yes; break; fi
    umount "$mount"
done
[ "$found" ] || { echo "no file system with /etc/os-release was found in the image"; exit 1; }
rm -f "$unread"
{ tar --create --one-file-system --directory "$mount" . || touch "$unread"; } | tar --extract --directory "$tree" --numeric-owner
[ ! -e "$unread" ] || { echo "not every file of the image could be read, and so could not be judged"; exit 1; }
umount "$mount"
rm -f "$disk"
"""


def made(shelf: Shelf, size_mib: int) -> Making:
    """The image made of the tree, as a work under way."""
    part = part_of(shelf.image)
    file_system = str(uuid.uuid5(NAMESPACE, f"{shelf.name}@{shelf.version}"))
    make_bootable(shelf.tree, file_system)
    values = {
        "tree": str(shelf.tree),
        "disk": str(shelf.work / "disk.raw"),
        "core": str(shelf.work / "core.img"),
        "mib": str(size_mib),
        "fs": file_system,
        "target": str(part),
        "conversion": CONVERSIONS[shelf.format],
    }
    return Making(Program("the making of the disk", ["sh", "-c", MAKE], shelf.work / "disk.log", values), part, shelf.image)


def taken(shelf: Shelf, image: Path) -> Making:
    """The image as another tool made it, in the format that is asked for, as a work under way."""
    part = part_of(shelf.image)
    image = image.resolve()  # a plain path, never one of QEMU's protocols
    options = ["-f", lone_format(info_of(image), image), *CONVERSIONS[shelf.format].split()]
    program = Program("qemu-img", ["qemu-img", "convert", *options, str(image), str(part)], shelf.work / "disk.log")
    return Making(program, part, shelf.image)


def copied_out(shelf: Shelf) -> Making:
    """The tree of an image from elsewhere, as a work under way. Its look raises `Invalid` for more than a root file system."""
    part = part_of(shelf.tree)
    paths: Mapping[str, Path] = {
        "image": shelf.image,
        "tree": part,
        "disk": shelf.work / "disk.raw",
        "mount": shelf.work / "mount",
        "unread": shelf.work / "copy.unread",
    }
    values = {**{name: str(path) for name, path in paths.items()}, "format": shelf.format}
    program = Program("the copy of the root file system", ["sh", "-c", COPY_OUT], shelf.work / "copy.log", values)
    return Making(program, part, shelf.tree, check=refuse_other_file_systems)


def info_of(image: Path) -> dict[str, Any]:
    """What qemu-img says of an image; it does not look behind it. Raises `ProgramFailed`."""
    argv = ["qemu-img", "info", "--output=json", str(image)]
    try:
        said = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=INFO_SECONDS)  # noqa: S603  # ours
        found: dict[str, Any] = json.loads(said.stdout)
    except subprocess.CalledProcessError as error:
        raise ProgramFailed(what=f"qemu-img ended with {error.returncode}: {error.stderr.strip()}", where=str(image)) from error
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise ProgramFailed(what=f"qemu-img info: {error}", where=str(image)) from error
    return found


def lone_format(info: Mapping[str, Any], image: Path) -> str:
    """The format of an image that is whole in its one file. Raises `Invalid` for one that is not.

    We read as root: an image that names another file would bring any file of this machine along. It would also change without a
    new version, since only its own bytes are an input.
    """
    data = (info.get("format-specific") or {}).get("data") or {}
    named = [info.get("full-backing-filename"), info.get("backing-filename"), data.get("data-file")]
    named += [
        each.get("filename") for each in data.get("extents") or () if Path(each.get("filename") or image).resolve() != image.resolve()
    ]
    others = [str(name) for name in named if name]
    if others:
        flat = f"qemu-img convert -O qcow2 {shlex.quote(str(image))} {shlex.quote(f'{image}.flat')}"
        raise Invalid(
            what=f"{image} takes bytes from another file, {others[0]}; expected an image that is whole", where="file", forward=flat
        )
    if info.get("format") not in TAKEN:
        raise Invalid(what=f"{image} has the format {info.get('format')}; expected one of {', '.join(TAKEN)}", where="file")
    return str(info["format"])


def refuse_other_file_systems(tree: Path) -> None:
    """Raises `Invalid` where fstab mounts what the gate would have to look into: only the root file system is copied."""
    fstab = tree / "etc/fstab"
    is_own = fstab.is_file() and not fstab.is_symlink() and not fstab.parent.is_symlink()  # a link could lead out of the tree
    lines = fstab.read_text(encoding="utf-8", errors="replace").splitlines() if is_own else []
    mounts = [fields for fields in map(str.split, lines) if len(fields) > 2 and not fields[0].startswith("#")]  # noqa: PLR2004  # what, where, type
    apart = [path for _what, path, kind, *_more in mounts if kind not in OF_NO_DISK and path.strip("/").partition("/")[0] in LOOKED_INTO]
    if apart:
        what = f"{', '.join(sorted(apart))} lie on file systems of their own in /etc/fstab, and would not be looked into"
        raise Invalid(what=f"{what}; expected an image with one file system", where="file")


def make_bootable(tree: Path, file_system: str) -> None:
    """Name the root file system in fstab, where nothing is named yet, and the kernel for GRUB. Raises `Invalid` without a kernel."""
    kernel, initrd = _newest(tree, "vmlinuz-*"), _newest(tree, "initrd.img-*", "initramfs-*")
    if kernel is None or initrd is None:
        missing = "a kernel" if kernel is None else "an initrd"
        raise Invalid(
            what=f"there is not {missing} in /boot: add one, as linux-image-cloud-amd64, to the packages", where="chroot.packages"
        )
    fstab = tree / "etc/fstab"
    lines = fstab.read_text(encoding="utf-8").splitlines() if fstab.is_file() else []
    if not any(line.strip() and not line.lstrip().startswith("#") for line in lines):
        fstab.write_text(f"UUID={file_system} / ext4 defaults,errors=remount-ro 0 1\n", encoding="utf-8")
    folder = tree / "boot/grub"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "grub.cfg").write_text(
        "set timeout=0\n"
        f"search --no-floppy --fs-uuid --set=root {file_system}\n"
        'menuentry "Linux" {\n'
        f"    linux /boot/{kernel} root=UUID={file_system} ro {CONSOLES}\n"
        f"    initrd /boot/{initrd}\n"
        "}\n",
        encoding="utf-8",
    )


def _newest(tree: Path, *patterns: str) -> str | None:
    """The last by its version: 6.1.0-10 comes behind 6.1.0-9."""
    names = [path.name for pattern in patterns for path in (tree / "boot").glob(pattern)]
    return max(names, key=_version, default=None)


def _version(name: str) -> list[tuple[int, str]]:
    parts = name.replace("-", ".").split(".")
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
