# SPDX-License-Identifier: GPL-3.0-or-later
"""Which TCP ports of a machine answer, asked from outside: SYN frames to all of them over QEMU's own cable.

Promises: all 65,535 ports are asked, rootless, and nothing leaves this machine: the cable is a pair of Unix sockets. A port that answers
SYN-ACK is open; one that answers RST or nothing is not. Only the machine's own answers count: QEMU's user network is on the same hub,
and refuses in its name what it sees, at once. Nothing here waits: `step` sends what fits and takes what has come.
Rejected: forwarded ports (`hostfwd`), which accept connections whether or not the machine does, and have to be named beforehand.
Sources: RFC 9293 (TCP header, checksum), RFC 826 (ARP), QEMU's -netdev dgram.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from pathlib import Path

OURS, THEIRS = "cable", "qemu"
GUEST, SCANNER = "10.0.2.15", "10.0.2.99"  # the first address of QEMU's DHCP server, and one that it never gives
SCANNER_MAC = bytes.fromhex("52540a000263")
BROADCAST = b"\xff" * 6
SOURCE_PORT = 61000
PORTS = range(1, 65536)
SYN, RST, SYN_ACK = 0x02, 0x04, 0x12
ETHER_IP, ETHER_ARP = 0x0800, 0x0806
ARP_ASK, ARP_ANSWER = 1, 2
TCP = 6
WINDOW = 256  # frames without an answer yet: the places in a virtio receive queue
IDLE_STEPS_MAX = 20  # steps without any answer, after which those are given up for this time
TRIES_MAX = 3  # for ports without any answer; a firewall that drops gives none
FRAME_BYTES_MAX = 65536
BUFFER_BYTES = 4 << 20


class Cable:
    """Our end of a QEMU network cable, the socket `cable` in a folder; QEMU's end is the socket `qemu` there.

    Names of Unix sockets end at 107 bytes, and folders of images may be longer: so the folder is named by its descriptor.
    """

    def __init__(self, folder: Path) -> None:
        """Raises OSError."""
        self._folder = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        place = f"/proc/self/fd/{self._folder}"
        (folder / OURS).unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self._socket.bind(f"{place}/{OURS}")
        self._socket.settimeout(0)
        self._theirs = f"{place}/{THEIRS}"

    def send(self, frame: bytes) -> bool:
        """Whether the frame was taken; not, where the cable is full or QEMU is not there."""
        try:
            self._socket.sendto(frame, self._theirs)
        except OSError:
            return False
        return True

    def received(self) -> list[bytes]:
        """What has come since."""
        frames: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                frames.append(self._socket.recv(FRAME_BYTES_MAX))
        return frames

    def close(self) -> None:
        """Called once."""
        self._socket.close()
        os.close(self._folder)


class Scan:
    """One look at all ports; `open_ports` is whole once `step` said so."""

    def __init__(self, cable: Cable) -> None:
        self._cable = cable
        self._guest_mac = b""
        self._tries = dict.fromkeys(PORTS, 0)  # port that has not answered -> how often it was asked
        self._next: list[int] = []
        self._in_flight: set[int] = set()
        self._idle_steps = 0
        self.open_ports: set[int] = set()

    def step(self) -> bool:
        """Take answers, ask on; whether every port has answered or was asked often enough."""
        frames = self._cable.received()
        for frame in frames:
            self._take(frame)
        if not self._guest_mac:
            self._cable.send(arp(ARP_ASK, BROADCAST, b"\0" * 6))
            return False
        self._idle_steps = 0 if frames else self._idle_steps + 1
        if self._idle_steps > IDLE_STEPS_MAX:
            self._in_flight.clear()
        if not self._next and not self._in_flight:
            self._next = [port for port, tries in self._tries.items() if tries < TRIES_MAX]
            if not self._next:
                return True
        self._ask()
        return False

    def _ask(self) -> None:
        """As many as the window has room for."""
        while self._next and len(self._in_flight) < WINDOW:
            port = self._next.pop()
            if port not in self._tries:
                continue
            if not self._cable.send(tcp(self._guest_mac, port, SYN)):
                self._next.append(port)
                return
            self._in_flight.add(port)
            self._tries[port] += 1

    def _take(self, frame: bytes) -> None:
        (kind,) = struct.unpack_from("!H", frame, 12) if len(frame) >= 42 else (0,)  # noqa: PLR2004  # Ethernet 14 + ARP 28
        if kind == ETHER_ARP:
            self._take_arp(frame)
        elif kind == ETHER_IP and frame[23] == TCP and frame[30:34] == socket.inet_aton(SCANNER) and frame[6:12] == self._guest_mac:
            header = 14 + (frame[14] & 15) * 4
            if len(frame) < header + 14:
                return
            port, flags = struct.unpack_from("!H", frame, header)[0], frame[header + 13]
            if flags & SYN_ACK == SYN_ACK:
                self.open_ports.add(port)
                self._cable.send(tcp(self._guest_mac, port, RST))
            self._tries.pop(port, None)
            self._in_flight.discard(port)

    def _take_arp(self, frame: bytes) -> None:
        (operation,) = struct.unpack_from("!H", frame, 20)
        sender, asked = frame[28:32], frame[38:42]
        if sender == socket.inet_aton(GUEST):
            self._guest_mac = frame[22:28]
        if operation == ARP_ASK and asked == socket.inet_aton(SCANNER):
            self._cable.send(arp(ARP_ANSWER, frame[22:28], frame[22:28]))


def arp(operation: int, to: bytes, target_mac: bytes) -> bytes:
    """An ARP frame about the guest: who has its address, or that we have ours."""
    body = struct.pack("!HHBBH", 1, ETHER_IP, 6, 4, operation)
    body += SCANNER_MAC + socket.inet_aton(SCANNER) + target_mac + socket.inet_aton(GUEST)
    return _padded(to + SCANNER_MAC + struct.pack("!H", ETHER_ARP) + body)


def tcp(to: bytes, port: int, flags: int) -> bytes:
    """A TCP segment without data to a port of the guest."""
    source, target = socket.inet_aton(SCANNER), socket.inet_aton(GUEST)
    sequence = 1 if flags == RST else 0
    segment = struct.pack("!HHIIBBHHH", SOURCE_PORT, port, sequence, 0, 5 << 4, flags, 64240, 0, 0)
    pseudo = source + target + struct.pack("!BBH", 0, TCP, len(segment))
    segment = segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:]
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 0, 0x4000, 64, TCP, 0, source, target)
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return _padded(to + SCANNER_MAC + struct.pack("!H", ETHER_IP) + header + segment)


def checksum(data: bytes) -> int:
    """The internet checksum, RFC 1071."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))  # what is summed here has an even length
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _padded(frame: bytes) -> bytes:
    """The shortest Ethernet frame has 60 bytes."""
    return frame.ljust(60, b"\0")
