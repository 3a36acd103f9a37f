"""A camera on the network that speaks RTSP: H.264 in RTP, sent through the RTSP connection itself."""

from __future__ import annotations

import re
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep

import av
import numpy as np

RATE, CLOCK, PAYLOAD = 25, 90_000, 1200
NAL = re.compile(rb"\x00\x00\x01")


def encoded(image: np.ndarray, frames: int) -> list[list[bytes]]:
    """The NAL units of each frame of a film that shows one picture; every frame can be decoded by itself."""
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = image.shape[1], image.shape[0], "yuv420p"
    codec.framerate = RATE
    codec.options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "keyint=1:repeat-headers=1"}
    found = []
    for number in range(frames):
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
        frame.pts = number
        found += [[unit.rstrip(b"\0") for unit in NAL.split(bytes(packet)) if unit.strip(b"\0")] for packet in codec.encode(frame)]
    return found


def payloads(unit: bytes) -> Iterator[bytes]:
    """A NAL unit as RTP carries it (RFC 6184): whole, or in fragments."""
    if len(unit) <= PAYLOAD:
        yield unit
        return
    head, body = unit[0], unit[1:]
    parts = [body[at:at + PAYLOAD] for at in range(0, len(body), PAYLOAD)]
    for at, part in enumerate(parts):
        yield bytes([head & 0xE0 | 28, (at == 0) << 7 | (at == len(parts) - 1) << 6 | head & 0x1F]) + part


class Session(socketserver.StreamRequestHandler):
    """One viewer, until the film ends."""

    def handle(self) -> None:
        while request := self._request():
            method, number, address = request
            self.server.asked.append(address)
            self._answer(number, *self._said(method))
            if method == "PLAY":
                return self._play()

    def _request(self) -> tuple[str, str, str] | None:
        lines = []
        while line := self.rfile.readline().decode().strip():
            lines.append(line)
        if not lines:
            return None
        number = next(line.partition(":")[2].strip() for line in lines if line.lower().startswith("cseq:"))
        return lines[0].split()[0], number, lines[0].split()[1]

    def _said(self, method: str) -> tuple[list[str], str]:
        if method == "OPTIONS":
            return ["Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"], ""
        if method == "DESCRIBE":
            return ["Content-Type: application/sdp"], ("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
                                                       "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track\r\n")
        if method == "SETUP":
            return ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1"], ""
        return ["Session: 1"], ""

    def _answer(self, number: str, heads: list[str], body: str) -> None:
        heads = ["RTSP/1.0 200 OK", f"CSeq: {number}", *heads, f"Content-Length: {len(body)}"]
        self.wfile.write(("\r\n".join(heads) + "\r\n\r\n" + body).encode())

    def _play(self) -> None:
        count = 0
        for at, units in enumerate(self.server.frames):
            parts = [part for unit in units for part in payloads(unit)]
            for part in parts:
                mark = 0x80 if part is parts[-1] else 0
                packet = struct.pack(">BBHII", 0x80, mark | 96, count & 0xFFFF, at * CLOCK // RATE, 7) + part
                try:
                    self.wfile.write(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                except OSError:
                    return
                count += 1
            sleep(1 / RATE)


@contextmanager
def rtsp_camera(image: np.ndarray, seconds: float) -> Iterator[tuple[int, list[str]]]:
    """A camera that shows one picture for a while, then hangs up. Yields its port, and the addresses it has been asked for."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        server.frames, server.asked = encoded(image, round(seconds * RATE)), []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1], server.asked
        finally:
            server.shutdown()
            thread.join()
