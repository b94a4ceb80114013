"""What Sonic4D stores in a .blend file: settings of a scene and of an object."""

from __future__ import annotations

import bpy
from bpy.props import (
    BoolProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from .export.settings import SONIC4D_ExportSettings
from .generate_settings import SONIC4D_GenerateSettings

# Lets "//" stand for the folder of the .blend file.
RELATIVE = {"PATH_SUPPORTS_BLEND_RELATIVE"}

MODES = (
    ("hifi", "Head", "What a human head at the camera hears, with smooth motion and Doppler shift"),
    ("paper", "Two microphones", "Room sound for two microphones left and right of the camera"),
    ("fast", "Fast", "Two microphones left and right of the camera, without clicks in motion"),
)
SEGMENTS = (
    ("per_frame", "Every frame", "Update the sound of the room at every frame"),
    ("number", "Number", "Divide the shot into this many parts of constant room sound"),
)
ROOM_KINDS = (
    ("shoebox", "Room", "Four walls, floor and ceiling"),
    ("half_space", "Ground", "Open air above a reflecting ground"),
    ("free_field", "Open air", "No reflections"),
)
NORMALIZE_KINDS = (
    ("loudness", "Loudness", "Bring the shot to a loudness, below a true peak"),
    ("peak", "Peak", "Bring the loudest sample to full scale"),
    ("none", "Off", "Keep the level that the distances give"),
)
MOVES = (
    ("static", "Static", "Stay at the source camera"),
    ("offset", "Offset", "Stand beside the source camera"),
    ("orbit", "Arc", "Swing around the source"),
    ("turn", "Turn", "Stay in place and turn"),
    ("pan", "Pan", "Travel sideways"),
    ("push-in", "Push in", "Travel towards the source"),
    ("pull-out", "Pull out", "Travel away from the source"),
    ("text", "Text", 'Write the move, such as "x+1.5 & phi+5"'),
)


def _is_bundle(_settings: bpy.types.PropertyGroup, candidate: bpy.types.Object) -> bool:
    return bool(candidate.sonic4d.bundle_path)


def _is_camera(_settings: bpy.types.PropertyGroup, candidate: bpy.types.Object) -> bool:
    return candidate.type == "CAMERA"


def _is_box(_settings: bpy.types.PropertyGroup, candidate: bpy.types.Object) -> bool:
    return candidate.type in {"EMPTY", "MESH"}


def _get_scale(settings: bpy.types.PropertyGroup) -> float:
    return settings.id_data.scale[0]


def _set_scale(settings: bpy.types.PropertyGroup, value: float) -> None:
    settings.id_data.scale = (value, value, value)


class SONIC4D_ObjectSettings(bpy.types.PropertyGroup):
    # A source
    is_source: BoolProperty(
        name="Sound source", description="The object's sound is heard where the object is"
    )
    audio_path: StringProperty(
        name="Sound",
        description="The sound that the object makes",
        subtype="FILE_PATH",
        options=RELATIVE,
    )
    audio_frame: FloatProperty(
        name="Start frame", description="The frame at which the sound begins", default=1.0
    )
    gain_db: FloatProperty(
        name="Level",
        description="Make the sound louder or quieter, in decibels",
        soft_min=-40,
        soft_max=20,
    )
    found_by: StringProperty(name="Found by", description="How the source was found in the video")
    confidence: FloatProperty(
        name="Confidence",
        description="How sure its position is at this frame",
        min=0,
        max=1,
        default=1,
    )
    path: PointerProperty(
        name="Path", description="The curve that shows where it goes", type=bpy.types.Object
    )
    # A point cloud
    is_cloud: BoolProperty(name="Point cloud", description="The points of an imported scene")
    # The empty that carries an imported scene
    bundle_path: StringProperty(
        name="Scene bundle",
        description="The folder that the scene was imported from",
        subtype="DIR_PATH",
        options=RELATIVE,
    )
    scene_scale: FloatProperty(
        name="Scale",
        description="Rescales points, sources, cameras and room together, where the depth is not to scale",
        get=_get_scale,
        set=_set_scale,
        min=1e-6,
        soft_min=0.01,
        soft_max=100,
    )
    source_camera: PointerProperty(
        name="Source camera", description="The camera of the video", type=bpy.types.Object
    )
    clip_start: FloatProperty(
        name="First frame", description="The scene's frame at which the video begins", default=1.0
    )
    clip_step: FloatProperty(
        name="Frame step",
        description="Frames of the scene that one of the video takes",
        default=1.0,
    )
    approximate: BoolProperty(
        name="Approximate depth", description="The depth is an estimate, shapes are not exact"
    )
    move_limit_deg: FloatProperty(
        name="Move limit",
        description="How far a camera can swing before the picture falls apart, in degrees; 0 if unknown",
    )
    warnings: StringProperty(name="Notes", description="What to know about this scene")
    credits: StringProperty(name="Credits", description="Whose video this is")


class SONIC4D_SceneSettings(bpy.types.PropertyGroup):
    bundle: PointerProperty(
        name="Scene",
        description="The imported scene to work with",
        type=bpy.types.Object,
        poll=_is_bundle,
    )
    # Camera
    shot_camera: PointerProperty(
        name="Shot camera",
        description="The camera that moves through the scene",
        type=bpy.types.Object,
        poll=_is_camera,
    )
    move: EnumProperty(name="Move", description="How the shot camera moves", items=MOVES)
    move_offset_m: FloatVectorProperty(
        name="Offset",
        description="How far to the right, up and forward of the source camera",
        subtype="TRANSLATION",
        default=(0.5, 0.0, 0.0),
    )
    move_angle: FloatProperty(
        name="Angle",
        description="How far in all, half of it to either side",
        subtype="ANGLE",
        default=0.2617994,
    )
    move_distance_m: FloatProperty(
        name="Distance", description="How far to travel", subtype="DISTANCE", default=1.0
    )
    move_text: StringProperty(
        name="Text", description='A move such as "x+1.5 & phi+5"', default="x+1.5 & phi+5"
    )
    # Room
    room_kind: EnumProperty(
        name="Surroundings", description="What reflects the sound", items=ROOM_KINDS
    )
    room: PointerProperty(
        name="Room",
        description="An empty or a box that is the room; without one, a room around camera and sources",
        type=bpy.types.Object,
        poll=_is_box,
    )
    room_size: FloatVectorProperty(
        name="Size",
        description="Width, length and height of the room",
        subtype="TRANSLATION",
        min=0.1,
        max=2000,
        default=(6.0, 8.0, 3.0),
    )
    rt60_s: FloatProperty(
        name="Reverberation time",
        description="Seconds until an echo has fallen by 60 dB; 0 for no echo",
        min=0,
        max=20,
        default=0.4,
    )
    # Sound
    mode: EnumProperty(name="Mode", description="How the sound is computed", items=MODES)
    segments: EnumProperty(
        name="Updates", description="How often the sound of the room is updated", items=SEGMENTS
    )
    segment_count: IntProperty(
        name="Parts",
        description="How many parts of constant room sound",
        min=1,
        max=1_000_000,
        default=10,
    )
    mic_spacing_m: FloatProperty(
        name="Microphone spacing",
        description="Distance between the left and the right microphone",
        subtype="DISTANCE",
        min=0,
        max=10,
        default=0.175,
    )
    normalize: EnumProperty(
        name="Level",
        description="How the finished sound is levelled",
        items=NORMALIZE_KINDS,
        default="peak",
    )
    lufs: FloatProperty(
        name="Loudness", description="Integrated loudness in LUFS", min=-70, max=0, default=-16
    )
    true_peak_dbtp: FloatProperty(
        name="True peak", description="Highest true peak in dBTP", min=-60, max=0, default=-1
    )
    tail: BoolProperty(
        name="Let it ring out", description="Add the reverberation after the last frame"
    )
    # The newest take
    take_path: StringProperty(
        name="Take", description="The sound rendered last", subtype="FILE_PATH", options=RELATIVE
    )
    export: PointerProperty(
        name="Export",
        description="How the finished shot is exported",
        type=SONIC4D_ExportSettings,
    )
    generate: PointerProperty(
        name="Generate",
        description="What a scene is generated from",
        type=SONIC4D_GenerateSettings,
    )


CLASSES = (
    SONIC4D_ObjectSettings,
    SONIC4D_ExportSettings,
    SONIC4D_GenerateSettings,
    SONIC4D_SceneSettings,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Object.sonic4d = PointerProperty(type=SONIC4D_ObjectSettings)
    bpy.types.Scene.sonic4d = PointerProperty(type=SONIC4D_SceneSettings)


def unregister() -> None:
    del bpy.types.Scene.sonic4d
    del bpy.types.Object.sonic4d
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
