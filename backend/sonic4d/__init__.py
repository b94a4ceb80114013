"""Sonic4D: monocular video to a 4D scene with binaural sound that follows the camera."""

__version__ = "0.1.0"
LICENCE = "GPL-3.0-or-later"
