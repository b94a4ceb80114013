"""A shot longer than a model's longest video, in overlapping windows: each begins with what the one before it painted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from ...monitor import Monitor
from ...scene.novel_view import Frame, View
from .framing import Framing

FRAMES_A_LATENT = 4  # the VAEs make one latent of the first frame and of each four that follow

Float32 = npt.NDArray[np.float32]
Paint = Callable[[Float32, Float32, range], Float32]


def windows(count: int, longest: int, overlap: int) -> list[range]:
    """Ranges of at most `longest` frames that cover `count`, each sharing at least `overlap` with the one before it."""
    if count <= longest:
        return [range(count)]
    starts = [*range(0, count - longest, longest - overlap), count - longest]
    return [range(start, start + longest) for start in starts]


def painted(
    view: View, framing: Framing, longest: int, overlap: int, paint: Paint, monitor: Monitor
) -> Iterator[Frame]:
    """The shot's pictures, of its own size.

    paint(render (n, H, W, 3) 0..1, holes (n, H, W) 0 or 1, frames) gives (n, H, W, 3) 0..1 for the frames of a
    window; n is one more than a multiple of FRAMES_A_LATENT, so the last frame may be there several times. Where windows overlap,
    the later one is given what the earlier one painted as if the scene had been seen there, and fades in.
    """
    parts = windows(view.frame_count, longest, overlap)
    before: Float32 | None = None
    for number, frames in enumerate(parts):
        render, holes = _conditions(view, framing, frames, monitor)
        shared = 0 if before is None else parts[number - 1].stop - frames.start
        if before is not None:
            render[:shared], holes[:shared] = before[-shared:], 0
        missing = -(len(frames) - 1) % FRAMES_A_LATENT
        after = paint(_padded(render, missing), _padded(holes, missing), frames)[: len(frames)]
        if before is not None:
            share = (np.arange(1, shared + 1, dtype=np.float32) / (shared + 1))[:, None, None, None]
            after[:shared] = share * after[:shared] + (1 - share) * before[-shared:]
        before = after
        end = parts[number + 1].start if number + 1 < len(parts) else frames.stop
        for picture in after[: end - frames.start]:
            monitor.check()
            yield framing.shot_picture((picture * 255 + 0.5).clip(0, 255).astype(np.uint8))


def _conditions(
    view: View, framing: Framing, frames: range, monitor: Monitor
) -> tuple[Float32, Float32]:
    """Equation 2 for the frames of a window, at the model's size."""
    size = framing.lens.height, framing.lens.width
    render = np.zeros((len(frames), *size, 3), np.float32)
    holes = np.ones((len(frames), *size), np.float32)
    for i, frame in enumerate(frames):
        picture = view.render(frame, framing.lens)
        render[i] = picture.image / np.float32(255)
        holes[i] = ~picture.valid
        monitor.progress("render", i + 1, len(frames))
    return render, holes


def _padded(pictures: Float32, missing: int) -> Float32:
    return np.concatenate([pictures, np.repeat(pictures[-1:], missing, axis=0)])
