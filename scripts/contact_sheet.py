"""One picture of a finished shot: source frames beside new-view frames, the sound's level and direction below.

    contact_sheet.py --bundle NAME.sonic4d --shot shot.json --video shot.mp4 --audio binaural.wav --output sheet.png

Runs in the backend's environment (with the extra "demo").
"""

from __future__ import annotations

import argparse
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import soundfile
from matplotlib.figure import Figure
from sonic4d.bundle import SOURCE_VIDEO, Bundle, read_bundle
from sonic4d.geometry.cameras import Intrinsics, project
from sonic4d.shot import Shot, read_shot

Image = npt.NDArray[np.uint8]
COLUMNS = 5
WINDOW_S = 0.1
WIDTH_IN, PLOT_IN, TITLE_IN = 16.0, 2.0, 0.3
MARK = (255, 40, 200)


def frames_at(path: Path, indices: list[int]) -> list[Image]:
    """The frames of those numbers (from 0) of a constant-rate video, RGB."""
    with av.open(str(path)) as container:
        wanted = set(indices)
        found = {
            number: frame.to_ndarray(format="rgb24")
            for number, frame in enumerate(container.decode(video=0))
            if number in wanted
        }
    return [found[min(index, max(found))] for index in indices]


def marked(
    image: Image, point: npt.NDArray[np.float64], camera: npt.NDArray[np.float64], k: Intrinsics
) -> Image:
    """The picture with a ring where the world point lies in it."""
    height, width = image.shape[:2]
    u, v, depth = project(point, k.scaled(width, height), camera)
    image = image.copy()
    if depth > 0:
        radius = max(height // 18, 6)
        centre = (int(np.clip(u, -1e4, 1e4)), int(np.clip(v, -1e4, 1e4)))
        cv2.circle(image, centre, radius, MARK, max(height // 160, 2), cv2.LINE_AA)
        cv2.circle(image, centre, max(height // 120, 2), MARK, -1, cv2.LINE_AA)
    return image


def azimuth_deg(shot: Shot) -> npt.NDArray[np.float64]:
    """Direction of the first source seen from the listener per frame: degrees, left positive."""
    poses, positions = shot.listener_poses, shot.sources[0].positions
    local = np.einsum("nij,ni->nj", poses[:, :3, :3], positions - poses[:, :3, 3])
    return np.degrees(np.arctan2(-local[:, 0], -local[:, 2]))


def level_db(
    audio: npt.NDArray[np.float64], rate_hz: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Times in seconds and levels (windows, channels) in dB re full scale."""
    size = round(WINDOW_S * rate_hz)
    count = max(len(audio) // size, 1)
    blocks = audio[: count * size].reshape(count, -1, audio.shape[1])
    power = (blocks**2).mean(axis=1)
    return (np.arange(count) + 0.5) * WINDOW_S, 10 * np.log10(power + 1e-10)


def draw(bundle: Bundle, shot: Shot, video: Path, audio: Path, output: Path) -> None:
    last = shot.frame_count - 1
    indices = [round(last * i / (COLUMNS - 1)) for i in range(COLUMNS)]
    rows = (
        (frames_at(bundle.path(SOURCE_VIDEO), indices), bundle.cameras, "source"),
        (frames_at(video, indices), shot.listener_poses, "new view"),
    )
    width, height = bundle.intrinsics.width, bundle.intrinsics.height
    picture = WIDTH_IN / COLUMNS * height / width + TITLE_IN
    ratios = (picture, picture, PLOT_IN, PLOT_IN)
    figure = Figure((WIDTH_IN, sum(ratios)), facecolor="white", layout="constrained")
    grid = figure.add_gridspec(4, COLUMNS, height_ratios=ratios)
    for row, (images, cameras, label) in enumerate(rows):
        for column, (index, image) in enumerate(zip(indices, images, strict=True)):
            camera = cameras[min(index, len(cameras) - 1)]
            position = shot.sources[0].positions[index]
            axes = figure.add_subplot(grid[row, column])
            axes.imshow(marked(image, position, camera, bundle.intrinsics))
            axes.set_title(f"{label}, {float(index / shot.frame_rate):.2f} s", fontsize=10)
            axes.axis("off")
    samples, rate_hz = soundfile.read(audio, always_2d=True)
    times, levels = level_db(samples, rate_hz)
    axes = figure.add_subplot(grid[2, :])
    for channel, (name, colour) in enumerate((("left", "tab:blue"), ("right", "tab:red"))):
        axes.plot(times, levels[:, channel], colour, label=name)
    axes.set_ylabel("level (dBFS)")
    axes.legend(loc="upper right")
    below = figure.add_subplot(grid[3, :], sharex=axes)
    frame_times = [float(index / shot.frame_rate) for index in range(shot.frame_count)]
    below.plot(frame_times, azimuth_deg(shot), "tab:purple", label="azimuth of the source")
    difference = levels[:, 0] - levels[:, -1]
    heard = levels.max(axis=1) > levels.max() - 40
    twin = below.twinx()
    twin.plot(times, np.where(heard, difference, np.nan), "tab:green", label="left minus right")
    twin.axhline(0, color="0.8", linewidth=0.8)
    twin.set_ylabel("L - R (dB)", color="tab:green")
    below.set_ylabel("azimuth (deg), left +", color="tab:purple")
    below.set_xlabel("time (s)")
    for side in (below, twin):  # the middle of both scales is straight ahead, equally loud
        limit = 1.1 * max(map(abs, side.get_ylim()))
        side.set_ylim(-limit, limit)
    below.set_xlim(0, shot.sample_count / shot.render.sample_rate)
    if bundle.credits:
        figure.supxlabel(bundle.credits, fontsize=8, color="0.4")
    figure.savefig(output, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("bundle", "shot", "video", "audio", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args()
    draw(read_bundle(args.bundle), read_shot(args.shot), args.video, args.audio, args.output)


if __name__ == "__main__":
    main()
