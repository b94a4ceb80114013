"""Sound absorption by the air (ISO 9613-1:1993)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

TEMPERATURE_C = 20.0
HUMIDITY_PERCENT = 50.0
PRESSURE_KPA = 101.325


def air_attenuation_db_per_m(
    frequency_hz: npt.ArrayLike,
    temperature_c: float = TEMPERATURE_C,
    humidity_percent: float = HUMIDITY_PERCENT,
    pressure_kpa: float = PRESSURE_KPA,
) -> Array:
    """Attenuation coefficient of pure tones in dB/m, ISO 9613-1 equations 3 to 5 and B.2, B.3."""
    kelvin = temperature_c + 273.15
    relative = kelvin / 293.15
    pressure = pressure_kpa / 101.325
    saturation = 10 ** (-6.8346 * (273.16 / kelvin) ** 1.261 + 4.6151)
    humidity = humidity_percent * saturation / pressure
    oxygen_hz = pressure * (24 + 4.04e4 * humidity * (0.02 + humidity) / (0.391 + humidity))
    nitrogen_hz = (
        pressure
        * relative**-0.5
        * (9 + 280 * humidity * np.exp(-4.170 * (relative ** (-1 / 3) - 1)))
    )
    squared = np.square(frequency_hz)
    classical = 1.84e-11 / pressure * relative**0.5
    oxygen = 0.01275 * np.exp(-2239.1 / kelvin) / (oxygen_hz + squared / oxygen_hz)
    nitrogen = 0.1068 * np.exp(-3352.0 / kelvin) / (nitrogen_hz + squared / nitrogen_hz)
    return 8.686 * squared * (classical + relative**-2.5 * (oxygen + nitrogen))


def air_absorption_per_m(frequency_hz: npt.ArrayLike) -> Array:
    """Energy attenuation coefficient m in 1/m of the standard air: energy falls as exp(-m d)."""
    return air_attenuation_db_per_m(frequency_hz) * np.log(10) / 10
