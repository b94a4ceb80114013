"""What a scene is generated from, and how: the same in the scene's settings, in the operator and on the command line."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import EnumProperty, FloatProperty, IntProperty, StringProperty

AUTO = "auto"
TRACK = "track"
# What needs no pretrained model: job -> (name, label, description).
BUILT_IN = {
    "depth": (
        (AUTO, "Automatic", "The best that is installed and fits this machine"),
        ("geometric", "Geometric", "By perspective and motion; approximate, and needs no model"),
    ),
    "grounding": (
        (AUTO, "Automatic", "The best that is installed and fits this machine"),
        ("motion", "Motion", "What moves with the sound; needs no model"),
    ),
    "audio": ((TRACK, "The video's sound track", "The sound that was recorded with the picture"),),
}
# Property -> the part of generating whose model may lie in that folder.
FOLDERS = {f"{job}_folder": job for job in BUILT_IN}
VIEWS = (
    ("picture", "Whole picture", "One sound, of all that is seen"),
    ("source", "Each source", "A sound for each source, of what is seen around it"),
)


def choices(flags: set[str]) -> dict[str, Any]:
    """The properties that the scene's settings and the operator share; `flags` are their options. Named as the backend's."""
    relative = {"PATH_SUPPORTS_BLEND_RELATIVE"} | flags
    return {
        "sound_source": StringProperty(
            name="Sound source",
            description='What makes the sound, in words, such as helicopter, or several: "a dog; a car"; empty to find it by its motion',
            options=flags,
        ),
        "point": StringProperty(
            name="Point",
            description="Where the sounding object is in the picture: X,Y or X,Y@FRAME, in pixels from the upper left",
            options=flags,
        ),
        "audio": StringProperty(
            name="Sound",
            description="Where the sound comes from: track, the name of a model, or a sound file",
            subtype="FILE_PATH",
            options=relative,
            default=TRACK,
        ),
        "audio_prompt": StringProperty(
            name="Sounds like",
            description="What is heard, in words, for a model that makes the sound; empty to go by the picture alone",
            options=flags,
        ),
        "audio_negative_prompt": StringProperty(
            name="Unlike",
            description="What it must not sound like, in words, such as music, for a model that makes the sound",
            options=flags,
        ),
        "audio_view": EnumProperty(
            name="Made for",
            description="What a model that makes the sound looks at",
            items=VIEWS,
            options=flags,
        ),
        "seed": IntProperty(
            name="Seed",
            description="Another number gives another result of the same model",
            min=0,
            default=42,
            options=flags,
        ),
        "depth": StringProperty(
            name="Depth",
            description="What measures the depth: auto, geometric, the name of a model, or the path of depth maps",
            subtype="FILE_PATH",
            options=relative,
            default=AUTO,
        ),
        "grounding": StringProperty(
            name="Finding",
            description="What finds the source if it isn't clicked: auto, motion or the name of a model",
            options=flags,
            default=AUTO,
        ),
        "start_s": FloatProperty(
            name="Begin",
            description="Where in the video the scene begins, in seconds",
            min=0,
            soft_max=600,
            precision=2,
            options=flags,
        ),
        "duration_s": FloatProperty(
            name="Length",
            description="How much of the video is used, in seconds; 0 for all",
            min=0,
            soft_max=60,
            precision=2,
            options=flags,
        ),
        "max_frames": IntProperty(
            name="Most frames",
            description="Use at most so many frames of the video",
            min=1,
            max=100_000,
            default=300,
            options=flags,
        ),
        "height": IntProperty(
            name="Detail",
            description="Height in pixels that the video is worked on with; more is finer and takes longer",
            subtype="PIXEL",
            min=32,
            max=8640,
            default=360,
            options=flags,
        ),
        "depth_folder": model_folder(name="Depth model", options=relative),
        "grounding_folder": model_folder(name="Finding model", options=relative),
        "audio_folder": model_folder(name="Sound model", options=relative),
    }


def model_folder(name: str, options: set[str]) -> Any:
    return StringProperty(
        name=name,
        description="A folder on this machine with the model's files; empty for the model that was downloaded",
        subtype="DIR_PATH",
        options=options,
    )


def for_backend(options: dict[str, Any]) -> dict[str, Any]:
    """Options with the folders of models as the backend's generate job takes them."""
    models = [f"{job}={options[name]}" for name, job in FOLDERS.items() if options.get(name)]
    others = {name: value for name, value in options.items() if name not in FOLDERS}
    return {**others, "model": models} if models else others


class SONIC4D_GenerateSettings(bpy.types.PropertyGroup):
    __annotations__ = {
        "video": StringProperty(
            name="Video",
            description="The video to make a scene of",
            subtype="FILE_PATH",
            options={"PATH_SUPPORTS_BLEND_RELATIVE"},
        ),
        **choices(set()),
    }
