"""Camera moves in one line of text: "orbit:30 & turn:20". Standard library only (see `protocol`).

A move is one or more terms joined by "&", carried out together over the shot, starting and ending softly:

    static          the starting view, unmoved
    x+1, y-0.2, z+1 metres to the right, up, forward, along the starting camera's axes
    phi+5, theta-3  degrees around the pivot, to the right and up, with the pivot held in its place in the picture
    r+2             metres away from the pivot
    orbit:30        30 degrees around the pivot, from 15 on the left to 15 on the right
    turn:20         the camera turns about itself, from 10 degrees to the left to 10 to the right
    pan:1.5         the camera travels 1.5 metres to the right
    push-in:2       2 metres towards the pivot
    pull-out:2      2 metres away from it
    look            the camera is turned sideways so that the pivot stands in the middle, before everything else

With "offset:" in front the camera stands at the move's end for the whole shot: "offset: x+1.5 & phi+5".
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from .protocol import Sonic4DError

Vector = tuple[float, float, float]
Matrix = list[list[float]]

_OFFSETS = ("x", "y", "z", "phi", "theta", "r")
_NAMED = ("orbit", "turn", "pan", "push-in", "pull-out")
_OFFSET_TERM = re.compile(r"(x|y|z|phi|theta|r)\s*([+-]\s*\d+(?:\.\d+)?)")
_NAMED_TERM = re.compile(r"(orbit|turn|pan|push-in|pull-out)\s*:\s*([+-]?\d+(?:\.\d+)?)")
_LIMIT = {"phi": 180.0, "theta": 85.0, "orbit": 360.0, "turn": 360.0}
_LIMIT_M = 1000.0
_NEAREST_M = 0.3  # r and push-in stop this far from the pivot
_KEYS = 9


@dataclass(frozen=True)
class Move:
    """`terms`: (name, value) in degrees or metres; `held`: stand at the end of it for the whole shot; `look`: begin with
    the pivot in the middle."""

    terms: tuple[tuple[str, float], ...]
    held: bool = False
    look: bool = False

    def around_pivot_deg(self) -> float:
        """The farthest the camera gets from its start around the pivot, sideways or upwards, in degrees."""
        sideways = sum(v if n == "phi" else v / 2 for n, v in self.terms if n in ("phi", "orbit"))
        upwards = sum(v for n, v in self.terms if n == "theta")
        return max(abs(sideways), abs(upwards))


def parse_move(text: str) -> Move:
    """Read a move. Raises `Sonic4DError` ("bad_move") that names the part that isn't understood."""
    body = text.strip().lower()
    held = body.startswith("offset:")
    parts = [part.strip() for part in body.removeprefix("offset:").split("&")]
    if parts == ["static"]:
        return Move(())
    look = "look" in parts
    terms = tuple(_parse_term(part) for part in parts if part != "look")
    return Move(terms, held, look)


def _parse_term(part: str) -> tuple[str, float]:
    match = _OFFSET_TERM.fullmatch(part) or _NAMED_TERM.fullmatch(part)
    if match is None:
        raise Sonic4DError(
            "bad_move",
            f'The camera move "{part}" is not understood.',
            'Join terms by "&". Examples: "static", "orbit:30", "pan:1.5", "pull-out:2", "x+1.5 & phi+5".',
        )
    name, value = match[1], float(match[2].replace(" ", ""))
    limit = _LIMIT.get(name, _LIMIT_M)
    if abs(value) > limit:
        raise Sonic4DError("bad_move", f'"{part}" is more than {limit:g}.', "Give a smaller value.")
    return name, value


def move_poses(move: Move, start: Matrix, pivot: Vector, frame_count: int) -> list[Matrix]:
    """Camera-to-world 4x4 of every frame, for a camera that starts at the pose `start`."""
    start = _facing(start, pivot) if move.look else start
    last = max(frame_count - 1, 1)
    return [_pose(move, start, pivot, frame / last) for frame in range(frame_count)]


def move_keys(
    move: Move, start: Matrix, pivot: Vector, frame_count: int
) -> list[tuple[int, Matrix]]:
    """A few (frame counted from 0, camera-to-world 4x4), enough for keyframes; a single one if the camera stands."""
    start = _facing(start, pivot) if move.look else start
    if move.held or not move.terms or frame_count == 1:
        return [(0, _pose(move, start, pivot, 1.0))]
    count = min(_KEYS, frame_count)
    frames = [round(i * (frame_count - 1) / (count - 1)) for i in range(count)]
    return [(frame, _pose(move, start, pivot, frame / (frame_count - 1))) for frame in frames]


def _pose(move: Move, start: Matrix, pivot: Vector, time: float) -> Matrix:
    """`time` runs from 0 to 1 over the shot."""
    eased = 1.0 if move.held else time * time * (3 - 2 * time)
    at = dict.fromkeys((*_OFFSETS, *_NAMED), 0.0)
    for name, value in move.terms:
        from_middle = name in ("orbit", "turn") and not move.held
        at[name] += value * (eased - 0.5 if from_middle else eased)
    if move.held:
        at["orbit"], at["turn"] = at["orbit"] / 2, at["turn"] / 2

    right, up, back = (_column(start, i) for i in range(3))
    position = _column(start, 3)
    around = _rotation((0.0, 0.0, 1.0), at["phi"] + at["orbit"])
    level_right = _apply(around, _unit((right[0], right[1], 0.0)))
    tilt = _rotation(level_right, -at["theta"])
    arm = _apply(tilt, _apply(around, _minus(position, pivot)))
    distance = math.hypot(*arm)
    if distance > 0:
        away = at["r"] + at["pull-out"] - at["push-in"]
        nearest = min(_NEAREST_M, distance)
        scale = max(distance + away, nearest) / distance
        arm = (arm[0] * scale, arm[1] * scale, arm[2] * scale)
    steps = ((right, at["x"] + at["pan"]), (up, at["y"]), (back, -at["z"]))
    place = [pivot[i] + arm[i] + sum(axis[i] * step for axis, step in steps) for i in range(3)]

    turn = _rotation((0.0, 0.0, 1.0), -at["turn"])
    axes = [_apply(turn, _apply(tilt, _apply(around, axis))) for axis in (right, up, back)]
    rows = [[axes[0][i], axes[1][i], axes[2][i], place[i]] for i in range(3)]
    return [*rows, [0.0, 0.0, 0.0, 1.0]]


def _facing(pose: Matrix, pivot: Vector) -> Matrix:
    """The pose turned about the vertical so that it heads for the pivot."""
    arm = _minus(pivot, _column(pose, 3))
    heading = (-pose[0][2], -pose[1][2])
    angle = math.atan2(arm[1], arm[0]) - math.atan2(heading[1], heading[0])
    turn = _rotation((0.0, 0.0, 1.0), math.degrees(angle))
    axes = [_apply(turn, _column(pose, i)) for i in range(3)]
    rows = [[axes[0][i], axes[1][i], axes[2][i], pose[i][3]] for i in range(3)]
    return [*rows, [0.0, 0.0, 0.0, 1.0]]


def _column(matrix: Matrix, index: int) -> Vector:
    return matrix[0][index], matrix[1][index], matrix[2][index]


def _minus(a: Vector, b: Vector) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def _unit(v: Vector) -> Vector:
    length = math.hypot(*v)
    return (v[0] / length, v[1] / length, v[2] / length) if length else (1.0, 0.0, 0.0)


def _rotation(axis: Vector, angle_deg: float) -> tuple[Vector, Vector, Vector]:
    """Rotation about a unit axis (Rodrigues' formula), as rows."""
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    x, y, z = axis
    k = 1 - c
    return (
        (c + x * x * k, x * y * k - z * s, x * z * k + y * s),
        (y * x * k + z * s, c + y * y * k, y * z * k - x * s),
        (z * x * k - y * s, z * y * k + x * s, c + z * z * k),
    )


def _apply(rotation: tuple[Vector, Vector, Vector], v: Vector) -> Vector:
    a, b, c = (row[0] * v[0] + row[1] * v[1] + row[2] * v[2] for row in rotation)
    return a, b, c
