"""sonic4d generate"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .job import job
from .options import Adder, Parser, mark

if TYPE_CHECKING:
    from ..experts.model import Job


def add_options(parser: Parser) -> None:
    from ..settings import AUDIO_VIEWS, DEPTH_KINDS, DEPTH_UNITS, ROOMS, GenerateSettings

    add = Adder(parser, GenerateSettings)
    add("video", "anything that FFmpeg can read", metavar="VIDEO")
    add("output", "the scene bundle to make, a folder NAME.sonic4d", "-o", required=True)
    group = parser.add_argument_group("what of the video")
    add = Adder(group, GenerateSettings)
    add("start_s", "where to begin, in seconds", type=float)
    add("duration_s", "how much to use, in seconds; else all", type=float)
    add("max_frames", "use at most so many frames", type=int)
    add("height", "work on pictures of this height in pixels at most", type=int)
    group = parser.add_argument_group(
        "sound and its source",
        "Pixels are those of the original clip, counted from its upper left corner; frames count from 0 at --start.",
    )
    add = Adder(group, GenerateSettings)
    add(
        "audio",
        "track (the video's own), mmaudio (made from the pictures; or one of its sizes, see: sonic4d models list), or a "
        "sound file that begins with the video",
    )
    add("audio_prompt", "what is to be heard, for mmaudio; else --sound-source", metavar="TEXT")
    add("audio_negative_prompt", "what it must not sound like, e.g. music", metavar="TEXT")
    text = "what mmaudio looks at; source: what is around each source, which gets its own sound"
    add("audio_view", text, choices=AUDIO_VIEWS)
    add("seed", "of the sound that is made; another one makes another sound", type=int)
    add("sound_source", 'what sounds, e.g. helicopter, or several: "a dog; a car"', metavar="TEXT")
    add("grounding", f"how to find it if it isn't marked: auto, motion, {_options('grounding')}")
    add("tracker", f"how to follow it: auto, csrt, {_options('tracking')}")
    text = "ask the grounding model about every N-th frame at least; 1 asks about each, as the paper does"
    add("keyframe_step", text, type=int)
    either = group.add_mutually_exclusive_group()
    add = Adder(either, GenerateSettings)
    add("point", "a point on what sounds", metavar="X,Y[@FRAME]", type=mark(2))
    add("box", "a box around what sounds", metavar="X0,Y0,X1,Y1[@FRAME]", type=mark(4))
    group = parser.add_argument_group("depth and scale")
    add = Adder(group, GenerateSettings)
    add(
        "depth",
        f"auto, geometric, {_options('depth')}, or the path of depth maps (.npz, folder of PNG or EXR)",
    )
    text = "the scale of a depth model that knows no unit; auto: metres if a metric model is here"
    add("depth_units", text, choices=DEPTH_UNITS)
    add("depth_kind", "what given depth maps hold", choices=DEPTH_KINDS)
    add("depth_scale", "integer values a metre in given PNG depth maps", type=float)
    text = "horizontal field of view in degrees; else by the metadata, else 60"
    add("fov_deg", text, type=float)
    add("eye_height_m", "the camera's height over the ground in metres", type=float)
    add("metres_per_unit", "multiply all lengths by this", type=float)
    add("max_points", "points of one frame at most", type=int)
    group = parser.add_argument_group("trajectory and room")
    add = Adder(group, GenerateSettings)
    add("patch", "the depth of the source is the mean of so many pixels squared", type=int)
    add("dbscan_eps", "DBSCAN's neighbourhood in metres; else by the trajectory", type=float)
    add("dbscan_min_samples", "DBSCAN's core size; else by the trajectory", type=int)
    add(
        "room",
        "what surrounds the sound; auto: the ground under open sky, else a room",
        choices=ROOMS,
    )
    add("rt60_s", "reverberation time in seconds", type=float)
    add("name", "the scene's name; else that of the folder")
    add("credits", "whom to credit for the video")
    add(
        "model",
        "take a model from a folder; NAME: a model, or a job such as depth; may be repeated",
        action="append",
        metavar="NAME=PATH",
    )


def _options(job_name: Job) -> str:
    from ..experts.registry import of_job

    return ", ".join(model.option for model in of_job(job_name))


run = job("generate")
