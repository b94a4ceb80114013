"""What gpuRIR is asked for, what becomes of its answers, and what is said where it can't be asked.

gpuRIR itself needs a GPU; its kernels are restated here in double precision.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import math
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sonic4d.acoustics.paper import render_paper
from sonic4d.acoustics.render import render_shot
from sonic4d.geometry.cameras import LOOKING_NORTH
from sonic4d.monitor import SILENT, Monitor
from sonic4d.protocol import Sonic4DError
from sonic4d.shot import Shot, shot_from_json

Array = npt.NDArray[np.float64]
MakeShot = Callable[..., Shot]


def t2n(T: float, rooms_sz: Any, c: float = 343.0) -> list[int]:
    return [int(n) for n in np.ceil(2 * T / (np.array(rooms_sz) / c))]


def kernel(
    size: Array,
    beta: Array,
    source: Array,
    microphone: Array,
    counts: list[int],
    samples: int,
    fs: int,
) -> Array:
    """calcAmpTau_kernel and generateRIR_kernel: every image of the box, through an 8 ms Hann-windowed sinc."""
    gain, square = np.ones(()), np.zeros(())
    for a in range(3):
        k = np.arange(counts[a]) - counts[a] // 2
        cluster, reflected = np.ceil(k / 2), np.abs(k % 2)
        position = 2 * cluster * size[a] + (1 - 2 * reflected) * source[a]
        walls = (-beta[2 * a]) ** np.abs(cluster - reflected) * (-beta[2 * a + 1]) ** np.abs(
            cluster
        )
        gain = np.multiply.outer(gain, walls)
        square = np.add.outer(square, (position - microphone[a]) ** 2)
    distance = np.sqrt(square.ravel())
    amplitude, delay = gain.ravel() / (4 * np.pi * distance), distance / 343 * fs
    width = round(0.008 * fs)
    heard = delay < samples + width / 2
    amplitude, delay = amplitude[heard, None], delay[heard, None]
    sample = np.floor(delay).astype(int) + np.arange(-width // 2, width // 2 + 2)
    t = sample - delay
    tap = amplitude * np.sinc(t) * 0.5 * (1 + np.cos(2 * np.pi * t / width)) * (abs(t) < width / 2)
    inside = (sample >= 0) & (sample < samples)
    return np.bincount(sample[inside], tap[inside], samples)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Stands in for gpuRIR; the calls of simulateRIR."""
    made: list[dict[str, Any]] = []

    def simulate(**asked: Any) -> npt.NDArray[np.float32]:
        made.append(asked)
        size, pairs = np.array(asked["room_sz"]), (asked["pos_src"], asked["pos_rcv"])
        for positions in pairs:
            assert positions.ndim == 2
            assert ((positions > 0) & (positions < size)).all()
        assert isinstance(asked["fs"], int)
        samples = math.ceil(np.float32(asked["Tmax"]) * np.float32(asked["fs"]))
        samples += samples % 2
        beta = np.array(asked["beta"])
        with np.errstate(divide="ignore", invalid="ignore"):
            rirs = [
                [kernel(size, beta, s, m, asked["nb_img"], samples, asked["fs"]) for m in pairs[1]]
                for s in pairs[0]
            ]
        return np.array(rirs, dtype=np.float32)

    fake = SimpleNamespace(t2n=t2n, simulateRIR=simulate, activateMixedPrecision=lambda on: None)
    monkeypatch.setitem(sys.modules, "gpuRIR", fake)
    return made


def noise(shot: Shot) -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(shot.sample_count).astype(np.float32)


def moving(frames: int) -> dict[str, Any]:
    u = np.linspace(0, 1, frames)
    poses = np.tile(LOOKING_NORTH, (frames, 1, 1))
    poses[:, 0, 3] = -0.8 * u
    return {
        "positions": np.stack([1.5 - u, 1.5 + u, 0.3 * u], axis=1),
        "poses": poses,
        "frames": frames,
    }


def both(make_shot: MakeShot, **settings: Any) -> tuple[Array, Array]:
    shot = make_shot(engine="gpurir", **settings)
    sound = noise(shot)
    return render_paper(shot, [sound], SILENT), render_paper(make_shot(**settings), [sound], SILENT)


@pytest.mark.parametrize("rt60_s", [0.13, 0.15013, 0.0])
@pytest.mark.parametrize("segments", ["per_frame", 4])
def test_one_call_of_one_by_two_per_segment_and_the_native_sound(
    make_shot: MakeShot, calls: list[dict[str, Any]], rt60_s: float, segments: str | int
) -> None:
    """Also where the impulse response has an odd number of samples, and without reflections."""
    theirs, ours = both(make_shot, rt60_s=rt60_s, segments=segments, tail=True, **moving(6))
    assert theirs.shape == ours.shape
    assert np.abs(theirs - ours).max() < 1e-4 * np.abs(ours).max()
    assert len(calls) == (6 if segments == "per_frame" else 4)
    assert {(call["pos_src"].shape, call["pos_rcv"].shape) for call in calls} == {((1, 3), (2, 3))}
    assert all(call["Tdiff"] is None for call in calls)


@pytest.mark.parametrize("kind", ["half_space", "free_field"])
def test_open_air_and_the_ground(
    make_shot: MakeShot, calls: list[dict[str, Any]], kind: str
) -> None:
    """The ground reflects without inversion, unlike gpuRIR's own walls; nobody need be inside the room."""
    scene = moving(6)
    scene["positions"] = scene["positions"] + [0, 20, 0]
    theirs, ours = both(make_shot, kind=kind, **scene)
    assert np.abs(theirs - ours).max() < 1e-4 * np.abs(ours).max()
    assert math.prod(calls[0]["nb_img"]) == (2 if kind == "half_space" else 1)


def test_on_the_wall_is_moved_inside(make_shot: MakeShot, calls: list[dict[str, Any]]) -> None:
    theirs, ours = both(make_shot, rt60_s=0.12, positions=(2.0, 1.5, 1.6))
    assert len(calls) == 1
    assert np.abs(theirs - ours).max() < 2e-3 * np.abs(ours).max()


def test_a_source_in_the_microphone_is_told(
    make_shot: MakeShot, calls: list[dict[str, Any]]
) -> None:
    shot = make_shot(engine="gpurir", rt60_s=0, positions=(0.0875, 0, 0))
    with pytest.raises(Sonic4DError, match="through a microphone"):
        render_paper(shot, [noise(shot)], SILENT)


@pytest.mark.parametrize("engine", ["gpurir", "auto"])
def test_more_samples_than_its_kernels_take(
    make_shot: MakeShot, calls: list[dict[str, Any]], engine: str
) -> None:
    shot = make_shot(
        engine=engine, kind="free_field", positions=(0, 600, 0), sample_rate=48000, frames=48
    )
    if engine == "gpurir":
        with pytest.raises(Sonic4DError, match="too much for gpuRIR"):
            render_paper(shot, [noise(shot)], SILENT)
    else:
        assert render_paper(shot, [noise(shot)], SILENT).any()
    assert not calls


def said_with_auto(make_shot: MakeShot) -> tuple[npt.NDArray[np.float32], list[str]]:
    events: list[dict[str, Any]] = []
    shot = make_shot(engine="auto", rt60_s=0.12)
    sound = render_paper(shot, [noise(shot)], Monitor(events.append, lambda: False))
    return sound, [e["message"] for e in events if e["event"] == "log" and e["level"] == "info"]


def test_auto_takes_it_and_says_so(make_shot: MakeShot, calls: list[dict[str, Any]]) -> None:
    messages = said_with_auto(make_shot)[1]
    assert len(calls) == 1
    assert messages == ["gpuRIR computes the impulse responses."]


def test_not_installed(make_shot: MakeShot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "gpuRIR", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    shot = make_shot(engine="gpurir")
    with pytest.raises(Sonic4DError, match="gpuRIR is not installed") as failure:
        render_paper(shot, [noise(shot)], SILENT)
    for word in ("pip install https", "CUDA toolkit", "CMake", "AGPL-3.0", '"native"'):
        assert word in failure.value.hint
    sound, messages = said_with_auto(make_shot)
    native = make_shot(rt60_s=0.12)
    assert sound.tobytes() == render_paper(native, [noise(native)], SILENT).tobytes()
    assert messages == [
        "The native engine computes the impulse responses: gpuRIR is not installed."
    ]


def test_installed_but_no_gpu(make_shot: MakeShot, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would end the process that imports it."""
    monkeypatch.delitem(sys.modules, "gpuRIR", raising=False)
    found = importlib.machinery.ModuleSpec("gpuRIR", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    run, shot = subprocess.run, make_shot(engine="gpurir")

    def start(command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        assert command[-1] == "import gpuRIR"
        dies = "import os; os.write(2, b'GPUassert: no CUDA-capable device is detected'); os._exit(100)"
        return run([*command[:-1], dies], **options)

    monkeypatch.setattr(subprocess, "run", start)
    with pytest.raises(Sonic4DError, match="does not start: GPUassert: no CUDA-capable device"):
        render_paper(shot, [noise(shot)], SILENT)


@pytest.mark.parametrize("mode", ["hifi", "fast"])
def test_only_the_papers_mode_takes_it(make_shot: MakeShot, mode: str) -> None:
    with pytest.raises(Sonic4DError, match='renders only the mode "paper"'):
        render_shot(make_shot(engine="gpurir", mode=mode), SILENT)


@pytest.mark.parametrize("engine", ["native", "gpurir", "auto"])
def test_a_shot_may_ask_for_any_engine(make_shot: MakeShot, engine: str) -> None:
    shot = make_shot(engine=engine)
    assert shot_from_json(shot.to_json(), shot.folder).render.engine == engine
