"""The Audio Definition Model of a shot's objects (ITU-R BS.2076-2), as chunks for a broadcast wave file (BS.2088).

One programme holds a content of sound objects, whose directions and distances are those from the listener, and one of
reflections, a bed of loudspeakers that the common definitions (BS.2094) name.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from xml.etree import ElementTree

import numpy as np

from .objects import Trajectory

# BS.2094's pack 4+7+0 and its channels, in the order of `loudspeakers.LAYOUTS`.
_BED_PACK = "AP_00010017"
_BED_CHANNELS = [
    "0001",
    "0002",
    "0003",
    "0004",
    "000a",
    "000b",
    "001c",
    "001d",
    "0022",
    "0023",
    "001e",
    "001f",
]
_TIME_STEPS = 100_000  # per second


def adm_chunks(
    names: Sequence[str],
    trajectories: Sequence[Trajectory],
    has_bed: bool,
    samples: int,
    rate_hz: int,
    bit_depth: int,
    title: str,
) -> dict[bytes, bytes]:
    """The chunks "axml" and "chna" of a file with a channel for each of the objects `names`, then the bed's."""
    root = ElementTree.Element("ebuCoreMain", xmlns="urn:ebu:metadata-schema:ebuCore_2014")
    core = _add(_add(root, "coreMetadata"), "format")
    extended = _add(core, "audioFormatExtended", version="ITU-R_BS.2076-2")
    programme = _add(
        extended,
        "audioProgramme",
        audioProgrammeID="APR_1001",
        audioProgrammeName=_plain(title),
        start=_time(0),
    )
    end = round(samples / rate_hz * _TIME_STEPS)
    tracks: list[tuple[str, str, str]] = []
    content = _content(extended, programme, 1, "Objects")
    for number, (name, trajectory) in enumerate(zip(names, trajectories, strict=True), 1):
        track = _object_format(extended, number, _plain(name), trajectory, end)
        tracks.append((f"ATU_{len(tracks) + 1:08x}", track, f"AP_0003{0x1000 + number:04x}"))
        _object(extended, content, number, _plain(name), [tracks[-1]], end)
    if has_bed:
        content = _content(extended, programme, 2, "Reflections")
        bed = [
            (f"ATU_{len(tracks) + i:08x}", f"AT_0001{channel}_01", _BED_PACK)
            for i, channel in enumerate(_BED_CHANNELS, 1)
        ]
        tracks += bed
        _object(extended, content, len(names) + 1, "Reflections", bed, end)
    for uid, track, pack in tracks:
        element = _add(
            extended, "audioTrackUID", UID=uid, sampleRate=str(rate_hz), bitDepth=str(bit_depth)
        )
        _add(element, "audioTrackFormatIDRef").text = track
        _add(element, "audioPackFormatIDRef").text = pack
    ElementTree.indent(root)
    axml = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    rows = [
        struct.pack("<H12s14s11sx", index, uid.encode(), track.encode(), pack.encode())
        for index, (uid, track, pack) in enumerate(tracks, 1)
    ]
    return {b"chna": struct.pack("<HH", len(rows), len(rows)) + b"".join(rows), b"axml": axml}


def _add(parent: ElementTree.Element, name: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, name, attributes)


def _plain(text: str) -> str:
    """Without characters that XML can't hold."""
    return "".join(c for c in text if c.isprintable()) or "sound"


def _time(steps: int) -> str:
    """hh:mm:ss.zzzzz of a number of `_TIME_STEPS`."""
    seconds, part = divmod(steps, _TIME_STEPS)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{part:05d}"


def _content(
    extended: ElementTree.Element, programme: ElementTree.Element, number: int, name: str
) -> ElementTree.Element:
    identifier = f"ACO_{0x1000 + number:04x}"
    _add(programme, "audioContentIDRef").text = identifier
    return _add(extended, "audioContent", audioContentID=identifier, audioContentName=name)


def _object(
    extended: ElementTree.Element,
    content: ElementTree.Element,
    number: int,
    name: str,
    tracks: Sequence[tuple[str, str, str]],
    end: int,
) -> None:
    identifier = f"AO_{0x1000 + number:04x}"
    _add(content, "audioObjectIDRef").text = identifier
    element = _add(
        extended,
        "audioObject",
        audioObjectID=identifier,
        audioObjectName=name,
        start=_time(0),
        duration=_time(end),
    )
    _add(element, "audioPackFormatIDRef").text = tracks[0][2]
    for uid, _, _ in tracks:
        _add(element, "audioTrackUIDRef").text = uid


def _object_format(
    extended: ElementTree.Element, number: int, name: str, trajectory: Trajectory, end: int
) -> str:
    """Pack, channel, stream and track of an object; returns the track format's ID."""
    code = f"0003{0x1000 + number:04x}"
    kind = {"typeLabel": "0003", "typeDefinition": "Objects"}
    pcm = {"formatLabel": "0001", "formatDefinition": "PCM"}
    farthest_m = max(float(np.linalg.norm(trajectory.places, axis=1).max()), 0.1)
    pack = _add(
        extended,
        "audioPackFormat",
        audioPackFormatID=f"AP_{code}",
        audioPackFormatName=name,
        **kind,
    )
    _add(pack, "audioChannelFormatIDRef").text = f"AC_{code}"
    _add(pack, "absoluteDistance").text = f"{farthest_m:.3f}"
    channel = _add(
        extended,
        "audioChannelFormat",
        audioChannelFormatID=f"AC_{code}",
        audioChannelFormatName=name,
        **kind,
    )
    _add_blocks(channel, code, trajectory, farthest_m, end)
    stream = _add(
        extended,
        "audioStreamFormat",
        audioStreamFormatID=f"AS_{code}",
        audioStreamFormatName=name,
        **pcm,
    )
    _add(stream, "audioChannelFormatIDRef").text = f"AC_{code}"
    _add(stream, "audioTrackFormatIDRef").text = f"AT_{code}_01"
    track = _add(
        extended,
        "audioTrackFormat",
        audioTrackFormatID=f"AT_{code}_01",
        audioTrackFormatName=name,
        **pcm,
    )
    _add(track, "audioStreamFormatIDRef").text = f"AS_{code}"
    return f"AT_{code}_01"


def _add_blocks(
    channel: ElementTree.Element, code: str, trajectory: Trajectory, farthest_m: float, end: int
) -> None:
    starts = np.round(trajectory.times_s * _TIME_STEPS).astype(np.int64)
    lengths = np.diff(np.append(starts, end))
    forward, left, up = trajectory.places.T
    distance = np.linalg.norm(trajectory.places, axis=1)
    azimuth_deg = np.degrees(np.arctan2(left, forward))
    elevation_deg = np.degrees(np.arctan2(up, np.hypot(forward, left)))
    blocks = zip(
        starts, lengths, azimuth_deg, elevation_deg, distance, trajectory.jumps, strict=True
    )
    for number, (start, length, azimuth, elevation, metres, jumps) in enumerate(blocks, 1):
        block = _add(
            channel,
            "audioBlockFormat",
            audioBlockFormatID=f"AB_{code}_{number:08x}",
            rtime=_time(int(start)),
            duration=_time(int(length)),
        )
        for coordinate, value in (
            ("azimuth", f"{azimuth:.3f}"),
            ("elevation", f"{elevation:.3f}"),
            ("distance", f"{min(metres / farthest_m, 1):.5f}"),
        ):
            _add(block, "position", coordinate=coordinate).text = value
        if jumps:
            _add(block, "jumpPosition", interpolationLength="0.00000").text = "1"
