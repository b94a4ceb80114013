"""Make the packaged head set from MIT's measurement: python scripts/make_kemar.py FILE.sofa

FILE.sofa is MIT_KEMAR_normal_pinna.sofa (Debian: package libmysofa1). The result is lossless: the measurement has
16 bits, and its right ear is the mirror image of its left one, so one ear is stored.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "backend"))

from sonic4d.acoustics.sofa import read_sofa  # noqa: E402

RESULT = REPOSITORY / "backend/sonic4d/acoustics/hrtf_data/kemar.npz"


def main(path: Path) -> None:
    measured = read_sofa(path)
    left = measured.impulse_responses[:, 0] * 32768
    if (left != np.round(left)).any():
        raise SystemExit("This file does not hold the 16-bit measurement.")
    mirrored = measured.directions * [1, -1, 1]
    nearest = np.argmax(measured.directions @ mirrored.T, axis=0)
    if (measured.impulse_responses[nearest, 0] != measured.impulse_responses[:, 1]).any():
        raise SystemExit("The ears of this file are not mirror images.")
    np.savez_compressed(
        RESULT,
        left_ear=left.astype(np.int16),
        directions=measured.directions,
        mirror_index=nearest.astype(np.int16),
        rate_hz=measured.rate_hz,
    )
    print(f"{RESULT}: {RESULT.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
