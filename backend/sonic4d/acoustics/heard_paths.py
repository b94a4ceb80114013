"""Every path of one source, at every knot of a piece: what `delay_lines` solves, other effects change, and it then renders.

Directivity, obstacles and nearness all enter here, between `delay_lines.solve_paths` and `delay_lines.add_paths`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class HeardPaths:
    """A knot stands at every bound of a block, and one before and after the piece; path 0 is the direct one.

    times_s (knots,) of the shot; listener (knots, 3) and axes (knots, 3, 3), rows forward, left, up of the head, in the
    room's coordinates. away (knots, paths, 3), in metres, from the listener to the image where it was when it sent
    what is heard now, travel_s (knots, paths) before.

    An effect may change, in place: delay (knots, paths, ears) in samples; share (knots, paths, 1 or ears, spectral buses),
    how much each ear gets of each of them, which are the octaves of `OCTAVES_HZ` for a source that
    `Scene.coloured` names; weight (knots, paths, buses), see `Receiver.weights`, with 1 / (4 pi d) in it.
    """

    times_s: Array
    listener: Array
    axes: Array
    away: Array
    travel_s: Array
    delay: Array
    share: Float32
    weight: Float32
