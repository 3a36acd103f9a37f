"""Clips made of other clips, for tests and the benchmark."""

from __future__ import annotations

from pathlib import Path

import av


def repeat(clip: Path, target: Path, seconds: float) -> Path:
    """Write a clip's packets again and again, without encoding, until the film has the length."""
    with av.open(str(clip)) as source, av.open(str(target), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.dts is not None]
        length = max(packet.pts + packet.duration for packet in packets) - min(packet.pts for packet in packets)
        times = [(packet.pts, packet.dts) for packet in packets]
        for turn in range(round(seconds / float(length * packets[0].time_base))):
            for packet, (pts, dts) in zip(packets, times, strict=True):
                packet.pts, packet.dts, packet.stream = pts + turn * length, dts + turn * length, stream
                sink.mux(packet)
                packet.time_base = source.streams.video[0].time_base
    return target
