"""Heads against what was measured: level and time differences, interpolation, damaged files."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from scipy import fft
from sonic4d.acoustics import hrtf, sphere_table
from sonic4d.acoustics.hrtf import Hrtf, load_hrtf, magnitudes_and_onsets
from sonic4d.acoustics.sofa import HrirSet, read_kemar, read_sofa
from sonic4d.acoustics.triangulation import triangulate
from sonic4d.protocol import Sonic4DError

Array = npt.NDArray[np.float64]
RATE_HZ = 48_000


@pytest.fixture(scope="module")
def measured() -> HrirSet:
    return read_kemar()


@pytest.fixture
def head() -> Hrtf:
    return load_hrtf("kemar", RATE_HZ)


def responses(head: Hrtf, directions: Array, size: int = 4096) -> npt.NDArray[np.complex128]:
    """Spectra (n, 2, bins) of the ears' responses, with their onsets."""
    weights = sphere_table.read_table(head.weights, directions).reshape(-1, 2, hrtf.COMPONENTS)
    onsets_s = sphere_table.read_table(head.onsets_s, directions)
    turn = np.exp(-2j * np.pi * fft.rfftfreq(size, 1 / RATE_HZ) * onsets_s[..., None])
    return fft.rfft(weights @ head.basis, size) * turn


def time_difference_s(spectra: npt.NDArray[np.complex128], rate_hz: float) -> Array:
    """By how much the left ear is later below 1.5 kHz: the lag of the largest cross-correlation."""
    frequencies = fft.rfftfreq(2 * (spectra.shape[-1] - 1), 1 / rate_hz)
    band = np.clip((1800 - frequencies) / 600, 0, 1) * (frequencies > 200)
    heard = band > 0
    lags_s = np.arange(-2000, 2001) * 0.5e-6
    cross = spectra[:, 0, heard] * spectra[:, 1, heard].conj() * band[heard]
    waves = np.exp(2j * np.pi * frequencies[heard, None] * lags_s)
    return lags_s[np.argmax((cross @ waves).real, axis=1)]


def level_difference_db(spectra: npt.NDArray[np.complex128], rate_hz: float) -> Array:
    """Left over right in the octave bands 500 Hz to 8 kHz, (n, 5)."""
    frequencies = fft.rfftfreq(2 * (spectra.shape[-1] - 1), 1 / rate_hz)
    energy = np.abs(spectra) ** 2
    bands = [
        (frequencies >= f / 2**0.5) & (frequencies < f * 2**0.5) for f in 500 * 2.0 ** np.arange(5)
    ]
    sums = np.stack([energy[..., band].sum(axis=-1) for band in bands], axis=-1)
    return 10 * np.log10(sums[:, 0] / sums[:, 1])


def horizontal(measured: HrirSet) -> npt.NDArray[np.bool_]:
    return np.abs(measured.directions[:, 2]) < 0.01


def equaliser(head: Hrtf, measured: HrirSet) -> Array:
    """What a head's responses have in common against the measured ones, (2049,): an equaliser for both ears and all
    directions, the ratio of the mean energies. It takes nothing from one ear's difference to the other."""
    made = (np.abs(responses(head, measured.directions)) ** 2).mean(axis=(0, 1))
    truth = (np.abs(fft.rfft(measured.impulse_responses, 4096)) ** 2).mean(axis=(0, 1))
    frequencies = fft.rfftfreq(4096, 1 / measured.rate_hz)
    return np.sqrt(np.interp(frequencies, fft.rfftfreq(4096, 1 / RATE_HZ), made) / truth)


def errors(
    head: Hrtf, measured: HrirSet, chosen: npt.NDArray[np.int64]
) -> tuple[Array, Array, Array]:
    """Of measured directions: time differences in seconds (n,), level differences in dB (n, octaves), and log-spectral
    distances in dB from 0.2 to 16 kHz (n, 2)."""
    truth = fft.rfft(measured.impulse_responses[chosen], 4096) * equaliser(head, measured)
    made = responses(head, measured.directions[chosen])
    late_s = time_difference_s(made, RATE_HZ) - time_difference_s(truth, measured.rate_hz)
    level_db = level_difference_db(made, RATE_HZ) - level_difference_db(truth, measured.rate_hz)
    logarithms_db = [
        np.apply_along_axis(
            lambda values, rate_hz=rate_hz: np.interp(
                np.linspace(200, 16_000, 400), np.linspace(0, rate_hz / 2, 2049), values
            ),
            -1,
            20 * np.log10(np.abs(spectra) + 1e-9),
        )
        for spectra, rate_hz in ((made, RATE_HZ), (truth, measured.rate_hz))
    ]
    distance_db = np.sqrt(np.square(logarithms_db[0] - logarithms_db[1]).mean(axis=-1))
    return np.abs(late_s), np.abs(level_db), distance_db


def test_measured_directions_keep_their_time_and_level_differences(
    measured: HrirSet, head: Hrtf
) -> None:
    """Every one of the 710, in every octave."""
    late_s, level_db, distance_db = errors(head, measured, np.arange(710))
    assert late_s.max() < 5e-6
    assert np.percentile(late_s, 95) < 2e-6
    print(
        "ILD",
        level_db.max(axis=0),
        np.percentile(level_db, 95, axis=0),
        distance_db.mean(),
        late_s.max(),
    )
    assert level_db.max() < 0.2
    assert np.percentile(level_db, 95, axis=0).max() < 0.1
    assert distance_db.mean() < 1.7


def test_time_differences_do_not_hang_on_the_equaliser(measured: HrirSet, head: Hrtf) -> None:
    """With the loudspeaker's and the ears' common spectrum put back, which weighs low frequencies otherwise."""
    truth = fft.rfft(measured.impulse_responses, 4096)
    common = np.interp(
        fft.rfftfreq(4096, 1 / RATE_HZ),
        fft.rfftfreq(4096, 1 / measured.rate_hz),
        1 / equaliser(head, measured),
    )
    made = responses(head, measured.directions) * common
    late_s = time_difference_s(made, RATE_HZ) - time_difference_s(truth, measured.rate_hz)
    assert np.abs(late_s).mean() < 2.5e-6
    assert np.abs(late_s).max() < 12e-6


def test_directions_left_out_of_the_whole_chain(measured: HrirSet) -> None:
    candidates = np.flatnonzero(measured.directions[:, 2] > np.sin(np.radians(-35)))
    left_out = np.random.default_rng(0).permutation(candidates)[:40]
    kept = np.delete(np.arange(710), left_out)
    rest = HrirSet(
        measured.impulse_responses[kept],
        measured.directions[kept],
        measured.delays_s[kept],
        measured.rate_hz,
    )
    late_s, level_db, distance_db = errors(hrtf.make_hrtf(rest, RATE_HZ), measured, left_out)
    assert late_s.mean() < 4e-6
    assert late_s.max() < 15e-6
    assert distance_db.mean() < 2
    assert level_db.mean(axis=0).max() < 0.6


def test_directions_that_were_not_measured(measured: HrirSet) -> None:
    """Leave one out: log-spectral distance 0.2 to 16 kHz and interaural time difference of the interpolation."""
    frequencies = np.linspace(200, 16_000, 400)
    magnitudes, onsets = magnitudes_and_onsets(measured, frequencies)
    candidates = np.flatnonzero(measured.directions[:, 2] > np.sin(np.radians(-35)))
    distances_db, errors_s = [], []
    for left_out in np.random.default_rng(0).choice(candidates, 40, replace=False):
        kept = np.delete(np.arange(len(onsets)), left_out)
        corners, shares = triangulate(
            measured.directions[kept], measured.directions[left_out : left_out + 1]
        )
        guess = np.einsum("k,kef->ef", shares[0], magnitudes[kept[corners[0]]])
        difference_db = 20 / np.log(10) * (guess - magnitudes[left_out])
        distances_db.append(np.sqrt((difference_db**2).mean()))
        error = shares[0] @ onsets[kept[corners[0]]] - onsets[left_out]
        errors_s.append(abs(error[0] - error[1]))
    assert np.mean(distances_db) < 2.5
    assert np.mean(errors_s) < 10e-6


def test_a_sound_from_the_left_is_earlier_and_louder_at_the_left_ear(head: Hrtf) -> None:
    azimuth = np.radians([30, 90, 150, -30, -90, -150])
    directions = np.stack((np.cos(azimuth), np.sin(azimuth), 0 * azimuth), axis=1)
    spectra = responses(head, directions)
    late_s = time_difference_s(spectra, RATE_HZ)
    louder_db = level_difference_db(spectra, RATE_HZ).mean(axis=1)
    assert (late_s[:3] < -200e-6).all()
    assert (late_s[3:] > 200e-6).all()
    assert (louder_db[:3] > 3).all()
    assert (louder_db[3:] < -3).all()
    assert 600e-6 < -late_s[1] < 800e-6


@pytest.mark.parametrize("plane", [(0, 1), (0, 2), (1, 2)])
def test_nothing_jumps_on_a_way_around_the_head(head: Hrtf, plane: tuple[int, int]) -> None:
    """Also straight overhead and below: neither values nor slopes jump in steps of 0.02 degrees."""
    angle = np.linspace(0, 2 * np.pi, 18_001)
    directions = np.zeros((len(angle), 3))
    directions[:, plane[0]], directions[:, plane[1]] = np.cos(angle), np.sin(angle)
    for table in (head.weights, head.onsets_s):
        values = sphere_table.read_table(table, directions)
        size = np.ptp(sphere_table.read_table(table, sphere_table.grid_directions()), axis=0).max()
        step = np.abs(np.diff(values, axis=0)).max() / size
        bend = np.abs(np.diff(values, 2, axis=0)).max() / size
        assert step < 0.004
        assert bend < 1e-4


@pytest.mark.parametrize("side", [1, -1])
def test_the_place_overhead_is_one_from_all_sides(head: Hrtf, side: int) -> None:
    """And nearly one a hundredth of a degree around it: a sound may pass there at any speed."""
    angle = np.radians(np.arange(0, 360, 5))
    away = np.radians(0.01)
    directions = np.stack(
        (
            np.sin(away) * np.cos(angle),
            np.sin(away) * np.sin(angle),
            0 * angle + side * np.cos(away),
        ),
        axis=1,
    )
    for table in (head.weights, head.onsets_s):
        values = sphere_table.read_table(table, directions)
        size = np.ptp(sphere_table.read_table(table, sphere_table.grid_directions()), axis=0).max()
        assert np.ptp(values, axis=0).max() < 5e-4 * size


def test_diffuse_field_is_flat_and_its_coherence_falls(head: Hrtf) -> None:
    audible = (head.frequencies_hz > 100) & (head.frequencies_hz < 18_000)
    assert np.abs(10 * np.log10(head.diffuse_power[:, audible])).max() < 0.5
    coherence = np.interp([100, 3000, 10_000], head.frequencies_hz, head.diffuse_coherence)
    assert coherence[0] > 0.9
    assert np.abs(coherence[1:]).max() < 0.15


def write_sofa(path: Path, **changes: object) -> Path:
    """A head that is two points 0.3 m apart in the air, 26 directions at 32 kHz; delays tell the time difference."""
    grid = np.array([(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)], float)
    grid = grid[np.abs(grid).sum(axis=1) > 0]
    directions = grid / np.linalg.norm(grid, axis=1, keepdims=True)
    impulses = np.zeros((26, 2, 64))
    impulses[..., 4] = 1
    samples = 32_000 * 0.15 / 343 * directions[:, 1:2] * [-1, 1] + 30
    content = {
        "Data.IR": impulses,
        "Data.SamplingRate": np.array([32_000.0]),
        "Data.Delay": samples,
        "SourcePosition": directions * 2,
        "ReceiverPosition": np.array([[[0], [0.15], [0]], [[0], [-0.15], [0]]]),
        "convention": "SimpleFreeFieldHRIR",
        "Type": "cartesian",
        "Units": None,
    } | changes
    with h5py.File(path, "w") as file:
        convention, *attributes = (content.pop(name) for name in ("convention", "Type", "Units"))
        if convention is not None:
            file.attrs["SOFAConventions"] = convention
        for name, value in content.items():
            if value is not None:
                file[name] = value
        for name, value in zip(("Type", "Units"), attributes, strict=True):
            if "SourcePosition" in file and value is not None:
                file["SourcePosition"].attrs[name] = value
    return path


def test_a_sofa_file_with_delays_at_another_rate(tmp_path: Path) -> None:
    write_sofa(tmp_path / "points.sofa")
    head = load_hrtf("points.sofa", RATE_HZ, tmp_path)
    onsets_s = sphere_table.read_table(head.onsets_s, np.array([[0, 1.0, 0], [1, 0, 0]]))
    np.testing.assert_allclose(onsets_s[0], [-0.15 / 343, 0.15 / 343], atol=2e-5)
    np.testing.assert_allclose(onsets_s[1], [0, 0], atol=2e-5)
    spectra = responses(head, np.array([[0, 1.0, 0]]))
    assert np.abs(20 * np.log10(np.abs(spectra[..., 20:1200]))).max() < 0.5


def test_ears_in_the_other_order_are_exchanged(tmp_path: Path) -> None:
    plain = read_sofa(write_sofa(tmp_path / "a.sofa"))
    ears = np.array([[[0], [-0.15], [0]], [[0], [0.15], [0]]])
    swapped = read_sofa(write_sofa(tmp_path / "b.sofa", ReceiverPosition=ears))
    np.testing.assert_array_equal(swapped.delays_s, plain.delays_s[:, ::-1])


SHORT = np.ones((26, 2, 8))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"convention": "MultiSpeakerBRIR"}, 'convention is "MultiSpeakerBRIR"'),
        ({"convention": None}, "does not say that it is a SOFA file"),
        ({"Data.IR": np.full((26, 2, 64), np.nan)}, "Data.IR holds values that are not numbers"),
        ({"Data.IR": np.zeros((26, 2, 64))}, "responses are empty"),
        ({"Data.IR": np.ones((26, 64))}, r"the shape \(26, 64\)"),
        ({"Data.IR": np.ones((26, 3, 64))}, r"the shape \(26, 3, 64\)"),
        ({"Data.IR": np.ones((26, 2, 4))}, r"the shape \(26, 2, 4\)"),
        ({"Data.IR": SHORT.astype("S1")}, "Data.IR holds no numbers"),
        ({"Data.IR": np.ones((0, 2, 64))}, "has 0 directions"),
        ({"Data.IR": np.ones((1, 2, 64))}, "has 1 directions"),
        ({"Data.IR": None}, "has no Data.IR"),
        ({"Data.SamplingRate": np.array([0.0])}, "sample rate is 0 Hz"),
        ({"Data.SamplingRate": np.array([1e12])}, r"sample rate is 1e\+12 Hz"),
        ({"Data.SamplingRate": np.array([np.nan])}, "Data.SamplingRate holds values that are not"),
        ({"Data.SamplingRate": None}, "has no Data.SamplingRate"),
        ({"Data.Delay": np.full((26, 2), 1e9)}, "longer than 100 ms"),
        ({"Data.Delay": np.full((26, 2), -1e5)}, "longer than 100 ms"),
        ({"Data.Delay": np.zeros((7, 2))}, r"Data.Delay has the shape \(7, 2\), not \(26, 2\)"),
        ({"Data.Delay": np.zeros((2, 2, 2, 2))}, "Data.Delay has the shape"),
        ({"SourcePosition": np.zeros((26, 3))}, "in the middle of the head"),
        ({"SourcePosition": np.ones((3, 3))}, r"SourcePosition has the shape \(3, 3\)"),
        ({"SourcePosition": np.ones((1, 3))}, "from the same direction"),
        ({"SourcePosition": None}, "has no SourcePosition"),
        ({"Type": "hyperbolic"}, '"hyperbolic", neither spherical nor cartesian'),
        ({"Units": "furlong"}, '"furlong", not in metres'),
        ({"Type": "spherical", "Units": "radian, radian, metre"}, "not in degrees"),
        ({"ReceiverPosition": np.zeros(4)}, "ReceiverPosition has the shape"),
    ],
)
def test_files_no_head_can_have(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    path = write_sofa(tmp_path / "bad.sofa", **changes)
    with pytest.raises(Sonic4DError, match=said) as failure:
        load_hrtf(str(path), RATE_HZ)
    assert failure.value.code == "bad_hrtf"
    assert failure.value.message.startswith("bad.sofa can't be used as a head: ")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("Data.IR", (26, 2, 1 << 40)),
        ("Data.IR", (1 << 40, 2, 64)),
        ("Data.Delay", (1 << 40, 2)),
        ("SourcePosition", (1 << 40, 3)),
        ("ReceiverPosition", (2, 3, 1 << 40)),
        ("Data.SamplingRate", (1 << 40,)),
    ],
)
def test_what_claims_to_be_huge_is_not_read(
    tmp_path: Path, name: str, shape: tuple[int, ...]
) -> None:
    """A few kilobytes on the disk that would be terabytes in memory."""
    path = write_sofa(tmp_path / "huge.sofa", **{name: None})
    with h5py.File(path, "a") as file:
        file.create_dataset(name, shape, "f4", chunks=(1,) * len(shape))
    with pytest.raises(Sonic4DError, match="shape|directions|large") as failure:
        read_sofa(path)
    assert failure.value.code == "bad_hrtf"


def test_attributes_that_may_be_missing(tmp_path: Path) -> None:
    """Positions without type and units are spherical degrees."""
    plain = read_sofa(write_sofa(tmp_path / "a.sofa"))
    x, y, z = plain.directions.T
    degrees = np.degrees((np.arctan2(y, x), np.arcsin(z))).T
    places = np.column_stack((degrees, np.full(26, 1.4)))
    found = read_sofa(write_sofa(tmp_path / "b.sofa", SourcePosition=places, Type=None))
    np.testing.assert_allclose(found.directions, plain.directions, atol=1e-12)


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    whole = write_sofa(tmp_path / "whole.sofa").read_bytes()
    (tmp_path / "cut.sofa").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.sofa").write_text("not a head")
    codes = []
    for name in ("cut.sofa", "text.sofa", "absent.sofa"):
        with pytest.raises(Sonic4DError) as failure:
            load_hrtf(name, RATE_HZ, tmp_path)
        codes.append(failure.value.code)
    assert codes == ["bad_hrtf", "bad_hrtf", "missing_file"]


def test_a_head_measured_from_one_side_only(tmp_path: Path) -> None:
    whole = read_sofa(write_sofa(tmp_path / "whole.sofa"))
    front = whole.directions[:, 0] > 0
    half = HrirSet(
        whole.impulse_responses[front], whole.directions[front], whole.delays_s[front], 32_000.0
    )
    with pytest.raises(Sonic4DError) as failure:
        hrtf.make_hrtf(half, RATE_HZ)
    assert failure.value.code == "bad_hrtf"


def test_a_head_measured_in_the_horizontal_plane_only(measured: HrirSet) -> None:
    flat = horizontal(measured)
    ring = HrirSet(
        measured.impulse_responses[flat],
        measured.directions[flat],
        measured.delays_s[flat],
        measured.rate_hz,
    )
    head = hrtf.make_hrtf(ring, RATE_HZ)
    spectra = responses(head, np.array([[0, 1.0, 0], [0, 0, 1.0]]))
    assert level_difference_db(spectra, RATE_HZ)[0].mean() > 5
    assert np.isfinite(spectra).all()


def test_the_cache_is_used_repaired_and_not_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(write_sofa(tmp_path / "points.sofa"))
    folder = tmp_path / "cache"
    monkeypatch.setattr(hrtf, "_cache_folder", lambda: folder)

    def load() -> Hrtf:
        hrtf._load.cache_clear()
        return load_hrtf(path, 16_000)

    fresh = load()
    (cached,) = folder.iterdir()
    with monkeypatch.context() as patched:
        patched.setattr(hrtf, "make_hrtf", lambda *_: pytest.fail("made again"))
        again = load()
    np.testing.assert_array_equal(again.weights, fresh.weights)
    cached.write_bytes(cached.read_bytes()[:1000])
    np.testing.assert_array_equal(load().weights, fresh.weights)
    assert cached.stat().st_size > 1000
    (tmp_path / "file").touch()
    monkeypatch.setattr(hrtf, "_cache_folder", lambda: tmp_path / "file" / "cache")
    np.testing.assert_array_equal(load().weights, fresh.weights)
