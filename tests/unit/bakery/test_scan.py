# SPDX-License-Identifier: GPL-3.0-or-later
"""The look at all ports from outside, with a machine of this process at the other end of the cable."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest

from ansible_collections.immutable.fleet.plugins.module_utils.bakery import scan
from ansible_collections.immutable.fleet.plugins.module_utils.bakery.scan import GUEST, SCANNER, SCANNER_MAC, Cable, Scan

GUEST_MAC = bytes.fromhex("525400123456")
NETWORK_MAC = bytes.fromhex("52550a000202")
STEPS_MAX = 20000


class Machine:
    """Answers as Linux does: SYN-ACK where somebody listens, RST elsewhere, nothing where a firewall drops.

    Of a frame that it loses another on the same cable says that the port is closed, as QEMU's own network does.
    """

    def __init__(self, path: Path, to: Path, *, listens: set[int], drops: set[int], loses: int = 0) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(0)
        self.to, self.listens, self.drops = str(to), listens, drops
        self.loses = loses  # each n-th frame; 0: none
        self.taken = 0
        self.resets: list[int] = []

    def turn(self) -> None:
        while True:
            try:
                frame = self.socket.recv(2048)
            except BlockingIOError:
                return
            self.taken += 1
            is_lost = bool(self.loses) and self.taken % self.loses == 0
            answer = self.answer(frame)
            if is_lost:
                answer = refusal(answer)
            if answer:
                self.socket.sendto(answer, self.to)

    def answer(self, frame: bytes) -> bytes:
        if frame[12:14] == b"\x08\x06":
            body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + GUEST_MAC + socket.inet_aton(GUEST) + frame[22:28] + frame[28:32]
            return frame[6:12] + GUEST_MAC + b"\x08\x06" + body
        assert scan.checksum(frame[14:34]) == 0
        pseudo = frame[26:34] + struct.pack("!BBH", 0, 6, 20)
        assert scan.checksum(pseudo + frame[34:54]) == 0
        port, flags = struct.unpack_from("!H", frame, 36)[0], frame[47]
        if flags == scan.RST:
            self.resets.append(port)
            return b""
        if port in self.drops:
            return b""
        segment = struct.pack("!HHIIBBHHH", port, scan.SOURCE_PORT, 7, 1, 5 << 4, scan.SYN_ACK if port in self.listens else 0x14, 0, 0, 0)
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, 6, 0, socket.inet_aton(GUEST), socket.inet_aton(SCANNER))
        return SCANNER_MAC + GUEST_MAC + b"\x08\x00" + header + segment


def refusal(answer: bytes) -> bytes:
    """RST in the machine's name; nothing for what is no segment."""
    return answer[:6] + NETWORK_MAC + answer[12:47] + b"\x14" + answer[48:] if answer[12:14] == b"\x08\x00" else b""


def ports_of(machine: Machine, cable: Cable) -> set[int]:
    look = Scan(cable)
    for _step in range(STEPS_MAX):
        if look.step():
            return look.open_ports
        machine.turn()
    raise AssertionError("it does not end")


@pytest.mark.parametrize(
    ("listens", "drops", "loses"),
    [
        pytest.param({22, 80, 65535}, set(), 0, id="three servers"),
        pytest.param(set(), set(), 0, id="nothing listens"),
        pytest.param({1, 443}, set(range(1000, 2000)), 0, id="a firewall that drops"),
        pytest.param({80, 81, 82}, set(), 1000, id="a machine that loses frames"),
        pytest.param({80, 81, 82}, set(), 5, id="a machine that loses many"),
    ],
)
def test_the_ports_that_listen(listens: set[int], drops: set[int], loses: int, tmp_path: Path) -> None:
    """All of them and no others; the connections that were begun are ended."""
    cable = Cable(tmp_path)
    machine = Machine(tmp_path / scan.THEIRS, tmp_path / scan.OURS, listens=listens, drops=drops, loses=loses)
    try:
        assert ports_of(machine, cable) == listens
        machine.turn()
        assert set(machine.resets) == listens
    finally:
        cable.close()
        machine.socket.close()


def test_a_machine_that_is_not_there_yet(tmp_path: Path) -> None:
    """Its address is asked for until somebody has it."""
    folder = tmp_path / ("a" * 100)  # a socket there would have too long a name
    folder.mkdir()
    cable = Cable(folder)
    try:
        look = Scan(cable)
        assert [look.step() for _step in range(3)] == [False, False, False]
        assert look.open_ports == set()
    finally:
        cable.close()
