"""What walls and obstacles are made of: octave-band absorption, and the mass that keeps sound from passing through.
Standard library only: Blender reads it, too.

Absorption coefficients of 125 Hz to 8 kHz are measured ones (ISO 354, reverberation room) as tabulated by M. Vorländer,
Auralization (Springer 2008), Annex; where that ends at 4 kHz, and for 16 kHz, the last value is repeated. Exceptions
are named in `source`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

OCTAVES_HZ = tuple(125.0 * 2.0**octave for octave in range(8))  # to 16 kHz
WALLS = ("left", "right", "back", "front", "floor", "ceiling")
_VORLAENDER = "Vorländer 2008, Annex"
_MOST_TRANSMISSION_LOSS_DB = 60.0  # more goes around by other ways
_OCTAVE_1_KHZ = 3
_DECAY_60_DB = 6 * math.log(10)
_SPEED_OF_SOUND_M_S = 343.0
_AIR_1_KHZ_PER_M = 0.00107  # ISO 9613-1, 20 degrees Celsius, 50 per cent humidity


@dataclass(frozen=True)
class Material:
    """`absorption` (8,) in `OCTAVES_HZ`, 0 to 1, of random incidence; `surface_mass_kg_m2` of a typical layer, None for
    what is never an obstacle."""

    absorption: tuple[float, ...]
    surface_mass_kg_m2: float | None
    source: str

    @property
    def transmission_loss_db(self) -> tuple[float, ...] | None:
        """Sound reduction (8,) by the field-incidence mass law, R = 20 log10(f m) - 47 dB, 0 to 60 dB (Vigran, Building
        Acoustics, 2008, 6.5). Without coincidence and resonances."""
        if self.surface_mass_kg_m2 is None:
            return None
        return tuple(
            min(
                max(20 * math.log10(hz * self.surface_mass_kg_m2) - 47, 0),
                _MOST_TRANSMISSION_LOSS_DB,
            )
            for hz in OCTAVES_HZ
        )


def _measured(*absorption: float, mass: float | None = None, source: str = _VORLAENDER) -> Material:
    extended = absorption + absorption[-1:] * (len(OCTAVES_HZ) - len(absorption))
    return Material(extended, mass, source)


MATERIALS: dict[str, Material] = {
    "rigid": _measured(0.0, source="definition"),
    "open": _measured(1.0, source="definition: an open window, nothing comes back"),
    "concrete": _measured(0.01, 0.01, 0.02, 0.02, 0.02, 0.05, 0.05, mass=230),
    "rough_concrete": _measured(0.02, 0.03, 0.03, 0.03, 0.04, 0.07, 0.07, mass=230),
    "brick": _measured(0.03, 0.03, 0.03, 0.04, 0.05, 0.07, 0.07, mass=190),
    "plastered_brick": _measured(0.01, 0.02, 0.02, 0.03, 0.03, 0.04, 0.04, mass=210),
    "limestone": _measured(0.02, 0.02, 0.03, 0.04, 0.05, 0.05, 0.05, mass=400),
    "marble": _measured(0.01, 0.01, 0.01, 0.02, 0.02, 0.02, 0.02, mass=54),
    "ceramic_tiles": _measured(0.01, 0.01, 0.01, 0.02, 0.02, 0.02, 0.02, mass=20),
    "plasterboard": _measured(0.15, 0.10, 0.06, 0.04, 0.04, 0.05, 0.05, mass=20),
    "wood_panelling": _measured(0.18, 0.12, 0.10, 0.09, 0.08, 0.07, 0.07, mass=10),
    "wooden_door": _measured(0.14, 0.10, 0.06, 0.08, 0.10, 0.10, 0.10, mass=25),
    "wooden_floor": _measured(0.10, 0.07, 0.06, 0.06, 0.06, 0.06, mass=16),
    "linoleum": _measured(0.02, 0.03, 0.03, 0.03, 0.03, 0.02, mass=4),
    "glass": _measured(0.10, 0.05, 0.04, 0.03, 0.03, 0.03, 0.03, mass=15),
    "thin_carpet": _measured(0.02, 0.04, 0.08, 0.20, 0.35, 0.40),
    "thick_carpet": _measured(0.08, 0.24, 0.57, 0.69, 0.71, 0.73),
    "curtain": _measured(0.05, 0.06, 0.39, 0.63, 0.70, 0.73, 0.73, mass=0.2),
    "heavy_curtain": _measured(0.30, 0.45, 0.65, 0.56, 0.59, 0.71, 0.71, mass=0.5),
    "acoustic_tile": _measured(0.49, 0.53, 0.53, 0.75, 0.92, 0.99),
    "mineral_wool": _measured(0.22, 0.60, 0.92, 0.90, 0.88, 0.88, 0.88, mass=4),
    "upholstered_seats": _measured(0.44, 0.60, 0.77, 0.89, 0.82, 0.70, 0.70),
    "audience": _measured(0.24, 0.40, 0.78, 0.98, 0.96, 0.87, 0.87, mass=70),
    "grass": _measured(
        0.11, 0.26, 0.60, 0.69, 0.92, 0.99, source="Beranek, Noise and Vibration Control (1971)"
    ),
    "gravel": _measured(
        0.25, 0.60, 0.65, 0.70, 0.75, 0.80, source="Egan, Architectural Acoustics (1988)"
    ),
    "snow": _measured(
        0.45, 0.75, 0.90, 0.95, 0.95, 0.95, source="Egan, Architectural Acoustics (1988)"
    ),
    "water": _measured(
        0.01, 0.01, 0.01, 0.015, 0.02, 0.025, source="Egan, Architectural Acoustics (1988)"
    ),
    "asphalt": _measured(
        0.02, 0.03, 0.03, 0.03, 0.04, 0.05, 0.05, source=f"{_VORLAENDER}, hard surfaces"
    ),
    "steel": _measured(0.01, mass=16, source="stiff and airtight: as smooth concrete at least"),
}


def reverberation_time_s(size_m: Sequence[float], walls: Mapping[str, str]) -> float:
    """RT60 at 1 kHz of a box (width, length, height) whose `WALLS` are made of these materials: Eyring (1930), with the
    air's absorption. 0 where nothing comes back."""
    x, y, z = size_m
    areas_m2 = dict(zip(WALLS, (y * z, y * z, z * x, z * x, x * y, x * y), strict=True))
    surface_m2 = sum(areas_m2.values())
    absorbed_m2 = sum(
        area * MATERIALS[walls[wall]].absorption[_OCTAVE_1_KHZ] for wall, area in areas_m2.items()
    )
    if absorbed_m2 >= surface_m2:
        return 0.0
    lost_per_m = -math.log1p(-absorbed_m2 / surface_m2) * surface_m2 / (4 * x * y * z)
    return _DECAY_60_DB / (_SPEED_OF_SOUND_M_S * (lost_per_m + _AIR_1_KHZ_PER_M))
