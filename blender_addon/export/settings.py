"""What can be chosen for a finished shot: the same in the scene's settings, in the operator and on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
from bpy.props import (
    BoolProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    IntVectorProperty,
    PointerProperty,
    StringProperty,
)

MAX_SIDE_PX = 16384
PICTURES = (
    ("RENDER", "Render", "Render the scene's frames"),
    ("FILE", "File", "Take a movie or a folder of pictures that are rendered already"),
)
ENGINES = (
    ("SCENE", "The scene's", "Render with the engine and quality that the scene is set to"),
    ("EEVEE", "EEVEE", "Render fast, as in the material preview"),
    ("CYCLES", "Cycles", "Render by tracing rays"),
)
SIZES = (
    ("SCENE", "The scene's", "Render in the resolution that the scene is set to"),
    ("1280x720", "HD", "1280 x 720 pixels"),
    ("1920x1080", "Full HD", "1920 x 1080 pixels"),
    ("3840x2160", "UHD", "3840 x 2160 pixels"),
    ("CUSTOM", "Custom", "Choose width and height"),
)
SOUNDS = (
    ("TAKE", "The take", "The rendered take, sample for sample; other sound strips are left out"),
    ("MIX", "Sequencer mix", "All sound of the sequencer, as Blender mixes it"),
)
CODECS = (
    ("AAC", "AAC 384 kbit/s", "For every player; an .mp4 file"),
    ("FLAC", "FLAC", "Lossless in 24 bits; an .mp4 file"),
    ("PCM", "PCM", "The take's own samples, uncompressed; a .mov file"),
)
SIDECARS = (
    ("WAV", "Binaural WAV", "The sound of the movie as a file of its own"),
    ("STEMS", "Stems", "A binaural WAV for each source; they sum up to the whole"),
    ("AMBIX", "AmbiX", "Third-order Ambisonics, ACN/SN3D"),
    ("SURROUND", "5.1", "A WAV for six loudspeakers"),
    ("IMMERSIVE", "7.1.4", "A WAV for twelve loudspeakers"),
    ("ADM", "ADM", "A broadcast WAV whose sources can be moved in other programs"),
)
LEVELS = (
    ("TAKE", "As the take", "Keep the level that the take was rendered with"),
    ("LOUDNESS", "Loudness", "Bring the sound to a loudness, below a true peak"),
)


@dataclass(frozen=True)
class Options:
    """`camera`: that of the picture; None for the scene's own, with its markers. `size`: in pixels, None for the scene's.
    `samples`: of a pixel, 0 for the scene's. `lufs`: None keeps the take's level. `sidecars`: names of SIDECARS.
    """

    output: Path
    camera: bpy.types.Object | None = None
    picture: Path | None = None
    engine: str = "SCENE"
    samples: int = 0
    size: tuple[int, int] | None = None
    sound: str = "TAKE"
    codec: str = "AAC"
    lufs: float | None = None
    true_peak_dbtp: float = -1.0
    sidecars: frozenset[str] = frozenset()
    overwrite: bool = False


def choices(flags: set[str]) -> dict[str, Any]:
    """The properties that the scene's settings and the operator share; `flags` are their options."""
    return {
        "filepath": StringProperty(
            name="Shot",
            description="The finished movie; its ending follows from the sound's format",
            subtype="FILE_PATH",
            options={"PATH_SUPPORTS_BLEND_RELATIVE"} | flags,
            default="//shot",
        ),
        "picture": EnumProperty(
            name="Picture",
            description="Where the movie's picture comes from",
            items=PICTURES,
            options=flags,
        ),
        "picture_path": StringProperty(
            name="Rendered picture",
            description="A movie, or a folder of numbered PNG, JPEG or TIFF pictures",
            subtype="FILE_PATH",
            options={"PATH_SUPPORTS_BLEND_RELATIVE"} | flags,
        ),
        "engine": EnumProperty(
            name="Engine", description="What renders the picture", items=ENGINES, options=flags
        ),
        "samples": IntProperty(
            name="Samples",
            description="How often each pixel is sampled; 0 for what the scene is set to",
            min=0,
            max=65536,
            options=flags,
        ),
        "size": EnumProperty(
            name="Resolution", description="How large the picture is", items=SIZES, options=flags
        ),
        "custom_size": IntVectorProperty(
            name="Pixels",
            description="Width and height of the picture",
            size=2,
            min=2,
            max=MAX_SIDE_PX,
            default=(1920, 1080),
            options=flags,
        ),
        "sound": EnumProperty(
            name="Sound", description="What is heard", items=SOUNDS, options=flags
        ),
        "codec": EnumProperty(
            name="Format", description="How the sound is stored", items=CODECS, options=flags
        ),
        "level": EnumProperty(
            name="Level", description="How loud the movie is", items=LEVELS, options=flags
        ),
        "lufs": FloatProperty(
            name="Loudness",
            description="Integrated loudness in LUFS",
            min=-70,
            max=0,
            default=-16,
            options=flags,
        ),
        "true_peak_dbtp": FloatProperty(
            name="True peak",
            description="Highest true peak in dBTP",
            min=-60,
            max=0,
            default=-1,
            options=flags,
        ),
        "sidecars": EnumProperty(
            name="Beside it",
            description="More files of the same sound, beside the movie",
            items=SIDECARS,
            options={"ENUM_FLAG"} | flags,
        ),
    }


def _is_camera(_settings: bpy.types.PropertyGroup, candidate: bpy.types.Object) -> bool:
    return candidate.type == "CAMERA"


class SONIC4D_ExportSettings(bpy.types.PropertyGroup):
    __annotations__ = {
        **choices(set()),
        "camera": PointerProperty(
            name="Camera",
            description="What sees the picture; empty for the scene's camera",
            type=bpy.types.Object,
            poll=_is_camera,
        ),
    }


def operator_choices() -> dict[str, Any]:
    """The operator's properties; one that isn't given is taken from the scene's settings."""
    return {
        **choices({"SKIP_SAVE"}),
        "camera": StringProperty(
            name="Camera",
            description="Name of the camera that sees the picture; empty for the scene's",
            options={"SKIP_SAVE"},
        ),
        "overwrite": BoolProperty(
            name="Overwrite", description="Replace files of these names", options={"SKIP_SAVE"}
        ),
    }
