"""What Sonic4D stores in a .blend file: settings of a scene and of an object."""

from __future__ import annotations

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from . import live
from .enhance_settings import SONIC4D_EnhanceSettings
from .export.settings import SONIC4D_ExportSettings
from .generate_settings import SONIC4D_GenerateSettings
from .sequencer import take_list
from .take_settings import SONIC4D_Take
from .wall_settings import OBSTACLE_ITEMS, SONIC4D_WallSettings

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
DIRECTIVITIES = (
    ("omni", "All around", "Equally loud in every direction"),
    ("subcardioid", "Subcardioid", "A little quieter behind"),
    ("cardioid", "Cardioid", "Silent behind"),
    ("supercardioid", "Supercardioid", "Mostly forward, a little behind"),
    ("hypercardioid", "Hypercardioid", "Forward, and some behind"),
    ("figure_of_eight", "Figure of eight", "Forward and behind, silent at the sides"),
    ("voice", "Voice", "As a person who speaks: the higher, the more forward"),
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


def _hear_active_take(settings: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    take_list.hear(settings.id_data)


def _show_active_source(settings: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    """Select the object that was clicked in the list of sources."""
    objects = settings.id_data.objects
    layer = context.view_layer
    if settings.active_source < len(objects) and layer is not None:
        chosen = objects[settings.active_source]
        if chosen.name in layer.objects:
            for item in layer.objects:
                item.select_set(item == chosen)
            layer.objects.active = chosen


def _get_scale(settings: bpy.types.PropertyGroup) -> float:
    return settings.id_data.scale[0]


def _set_scale(settings: bpy.types.PropertyGroup, value: float) -> None:
    settings.id_data.scale = (value, value, value)


class SONIC4D_ObjectSettings(bpy.types.PropertyGroup):
    # A source
    is_source: BoolProperty(
        name="Sound source",
        description="The object's sound is heard where the object is",
        update=live.edited,
    )
    audio_path: StringProperty(
        name="Sound",
        description="The sound that the object makes",
        subtype="FILE_PATH",
        options=RELATIVE,
        update=live.edited,
    )
    audio_frame: FloatProperty(
        name="Start frame",
        description="The frame at which the sound begins",
        default=1.0,
        update=live.edited,
    )
    gain_db: FloatProperty(
        name="Level",
        description="Make the sound louder or quieter, in decibels",
        soft_min=-40,
        soft_max=20,
        update=live.edited,
    )
    loop: BoolProperty(name="Loop", description="Repeat the sound without end", update=live.edited)
    directivity: EnumProperty(
        name="Directivity",
        description="Where the sound is radiated to; forward is the object's local -Z, as with Speakers",
        items=DIRECTIVITIES,
        update=live.edited,
    )
    mute: BoolProperty(
        name="Mute", description="Leave this source out of the sound", update=live.edited
    )
    solo: BoolProperty(
        name="Solo", description="Hear only the sources that are soloed", update=live.edited
    )
    hushed: BoolProperty(
        name="In the take",
        description="Blender doesn't play this Speaker: its sound is in the take",
    )
    # An obstacle
    obstacle_material: EnumProperty(
        name="Made of",
        description="What this obstacle is made of: the heavier, the less sound passes through",
        items=OBSTACLE_ITEMS,
        default="brick",
        update=live.edited,
    )
    # How an imported source was found
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
        min=0,
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
    # Listener
    listener: PointerProperty(
        name="Listener",
        description="Who listens; without one, the scene's camera and the cameras of its markers. "
        "Other objects look along their local +Y",
        type=bpy.types.Object,
        update=live.edited,
    )
    head_offset_m: FloatVectorProperty(
        name="Head offset",
        description="How far the head is to the right, up and forward of the camera, in metres",
        soft_min=-2,
        soft_max=2,
        update=live.edited,
    )
    # Sources
    active_source: IntProperty(
        name="Source",
        description="The source shown below the list",
        min=0,
        update=_show_active_source,
    )
    # Room
    room_kind: EnumProperty(
        name="Surroundings",
        description="What reflects the sound",
        items=ROOM_KINDS,
        update=live.edited,
    )
    room: PointerProperty(
        name="Room",
        description="An empty or a box that is the room; without one, a room around camera and sources",
        type=bpy.types.Object,
        poll=_is_box,
        update=live.edited,
    )
    room_size: FloatVectorProperty(
        name="Size",
        description="Width, length and height of the room",
        subtype="TRANSLATION",
        min=0.1,
        max=2000,
        default=(6.0, 8.0, 3.0),
        update=live.edited,
    )
    rt60_s: FloatProperty(
        name="Reverberation time",
        description="Seconds until an echo has fallen by 60 dB; 0 for no echo",
        min=0,
        max=20,
        default=0.4,
        update=live.edited,
    )
    use_materials: BoolProperty(
        name="By materials",
        description="Let what the walls are made of decide how long the room reverberates",
        update=live.edited,
    )
    walls: PointerProperty(
        name="Walls", description="What the walls are made of", type=SONIC4D_WallSettings
    )
    occluders: PointerProperty(
        name="Obstacles",
        description="Meshes in this collection weaken sound that passes through them",
        type=bpy.types.Collection,
        update=live.edited,
    )
    show_overlay: BoolProperty(
        name="Show in the viewport",
        description="Draw the room, the listener's head and the sources into the 3D viewport",
        default=True,
    )
    # Sound
    mode: EnumProperty(
        name="Mode", description="How the sound is computed", items=MODES, update=live.edited
    )
    segments: EnumProperty(
        name="Updates",
        description="How often the sound of the room is updated",
        items=SEGMENTS,
        update=live.edited,
    )
    segment_count: IntProperty(
        name="Parts",
        description="How many parts of constant room sound",
        min=1,
        max=1_000_000,
        default=10,
        update=live.edited,
    )
    mic_spacing_m: FloatProperty(
        name="Microphone spacing",
        description="Distance between the left and the right microphone",
        subtype="DISTANCE",
        min=0,
        max=10,
        default=0.175,
        update=live.edited,
    )
    normalize: EnumProperty(
        name="Level",
        description="How the finished sound is levelled",
        items=NORMALIZE_KINDS,
        default="peak",
        update=live.edited,
    )
    lufs: FloatProperty(
        name="Loudness",
        description="Integrated loudness in LUFS",
        min=-70,
        max=0,
        default=-16,
        update=live.edited,
    )
    true_peak_dbtp: FloatProperty(
        name="True peak",
        description="Highest true peak in dBTP",
        min=-60,
        max=0,
        default=-1,
        update=live.edited,
    )
    tail: BoolProperty(
        name="Let it ring out",
        description="Add the reverberation after the last frame",
        update=live.edited,
    )
    stems: BoolProperty(
        name="Stems",
        description="Also write a file for each source; together they are the whole",
        update=live.edited,
    )
    live_update: BoolProperty(
        name="Live update",
        description="Render the sound again whenever an edit changes it",
        update=live.toggled,
    )
    # Takes
    takes: CollectionProperty(
        name="Takes", description="Sounds of this shot, to compare", type=SONIC4D_Take
    )
    active_take: IntProperty(
        name="Take", description="The take that is heard", min=0, update=_hear_active_take
    )
    heard_take: StringProperty(name="Heard", description="Identifier of the take that is heard")
    compared_take: StringProperty(
        name="Compared", description="Identifier of the take that was heard before"
    )
    take_path: StringProperty(
        name="Sound of the take",
        description="The sound that is heard",
        subtype="FILE_PATH",
        options=RELATIVE,
    )
    export: PointerProperty(
        name="Export",
        description="How the finished shot is exported",
        type=SONIC4D_ExportSettings,
    )
    enhance: PointerProperty(
        name="Enhance",
        description="How the shot's picture is freed of holes",
        type=SONIC4D_EnhanceSettings,
    )
    generate: PointerProperty(
        name="Generate",
        description="What a scene is generated from",
        type=SONIC4D_GenerateSettings,
    )


CLASSES = (
    SONIC4D_ObjectSettings,
    SONIC4D_EnhanceSettings,
    SONIC4D_ExportSettings,
    SONIC4D_GenerateSettings,
    SONIC4D_Take,
    SONIC4D_WallSettings,
    SONIC4D_SceneSettings,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Object.sonic4d = PointerProperty(type=SONIC4D_ObjectSettings)
    bpy.types.Scene.sonic4d = PointerProperty(type=SONIC4D_SceneSettings)
    bpy.types.Strip.sonic4d_source = PointerProperty(
        name="Sounds from",
        description="The object that this sound comes from",
        type=bpy.types.Object,
        update=live.edited,
    )


def unregister() -> None:
    del bpy.types.Strip.sonic4d_source
    del bpy.types.Scene.sonic4d
    del bpy.types.Object.sonic4d
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
