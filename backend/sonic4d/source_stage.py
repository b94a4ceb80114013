"""Stage II of `generate`: the sources of a shot, found by the experts chosen and placed in the world."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import LICENCE, __version__
from .bundle import Expert, SourceTrack
from .experts.grounding.choice import Chosen, choose_experts
from .experts.store import Ready, parse_overrides
from .geometry.cameras import Intrinsics
from .kept_stages import Contents, kept_stage
from .media.video import Clip
from .monitor import Monitor
from .scene.depth import DepthResult
from .scene.motion import MotionAnalysis
from .settings import GenerateSettings, Mark
from .sources.find import Finders, Finding, SourceSettings, find_sources
from .sources.grounding import split_words
from .sources.tracking import track_box
from .sources.trajectory import trajectory

Array = npt.NDArray[np.float64]

_ARRAYS = ("boxes", "confidence")  # of a `Finding`
SHARED_SOUND = (
    "There is one sound for several sources: each plays all of it, softer, so that its power stays. "
    "Give each its own sound in Blender, in shot.json, or with --audio mmaudio --audio-view source."
)


@dataclass(frozen=True)
class Sources:
    """What Stage II makes: tracks of the bundle, one at least, who found them, and warnings for the user."""

    tracks: tuple[SourceTrack, ...]
    provenance: tuple[Expert, ...]
    warnings: tuple[str, ...]

    @property
    def positions(self) -> Array:
        """(sources, n, 3)"""
        return np.stack([track.positions for track in self.tracks])


def choose_source_experts(settings: GenerateSettings) -> Chosen:
    """Which models find and follow the sources. Raises `Sonic4DError`."""
    return choose_experts(
        settings.grounding,
        settings.tracker,
        bool(split_words(settings.sound_source)),
        settings.point is not None or settings.box is not None,
        parse_overrides(settings.model),
    )


def source_settings_of(clip: Clip, first: int, settings: GenerateSettings) -> SourceSettings:
    """Marks as fractions of the picture, on a frame of the shot."""
    size = np.array(clip.source_size, dtype=np.float64)

    def relative(mark: Mark | None) -> tuple[float, ...] | None:
        if mark is None:
            return None
        places = np.array(mark.pixels).reshape(-1, 2) / size
        return (*places.ravel().tolist(), mark.frame - first)

    return SourceSettings(
        point=relative(settings.point),
        box=relative(settings.box),
        words=split_words(settings.sound_source),
        keyframe_step=settings.keyframe_step,
    )


def sources_of_shot(
    shot: Clip,
    mono: npt.NDArray[np.floating],
    motion: MotionAnalysis,
    depth: DepthResult,
    k: Intrinsics,
    wanted: SourceSettings,
    experts: Chosen,
    own_sounds: bool,
    settings: GenerateSettings,
    kept: Path,
    monitor: Monitor,
) -> Sources:
    """Find the sources in the picture (`sources.find`) and in the world (`sources.trajectory`). Raises `Sonic4DError`.

    own_sounds: each source gets a sound file of its own. `kept`: the folder of what an interrupted generation had finished.
    """
    monitor.progress("source", 0, 1)
    models = [
        (ready.model.name, ready.commits, ready.folders) if ready else None
        for ready in (experts.grounding, experts.tracking)
    ]
    key = (shot.frames, mono, shot.frame_rate, wanted, models, sorted(experts.required))
    contents = kept_stage(
        kept,
        "source",
        key,
        lambda: _packed(*_found(shot, mono, motion, wanted, experts, monitor)),
        monitor,
    )
    findings, provenance, warned = _unpacked(*contents)
    names = _names(findings)
    files = _audio_files(names) if own_sounds else _audio_files(names[:1]) * len(names)
    tracks = []
    for finding, name, file in zip(findings, names, files, strict=True):
        path = trajectory(
            finding.boxes,
            depth.depth_m,
            k,
            depth.camera_to_world,
            settings.patch,
            settings.dbscan_eps,
            settings.dbscan_min_samples,
        )
        tracks.append(
            SourceTrack(
                name,
                file,
                path.positions,
                path.raw_positions,
                finding.boxes,
                finding.confidence,
                path.filled,
                finding.found_by,
            )
        )
    monitor.progress("source", 1, 1)
    warnings = [*warned, *(warning for finding in findings for warning in finding.warnings)]
    if len(tracks) > 1 and not own_sounds:
        warnings.append(SHARED_SOUND)
    return Sources(tuple(tracks), provenance, tuple(warnings))


def _found(
    shot: Clip,
    mono: npt.NDArray[np.floating],
    motion: MotionAnalysis,
    wanted: SourceSettings,
    experts: Chosen,
    monitor: Monitor,
) -> tuple[tuple[Finding, ...], tuple[Expert, ...], tuple[str, ...]]:
    """The sources in the picture, whom they are from, and warnings of the experts' choice."""
    loaded = experts.load()
    chosen = loaded.chosen
    required = "grounding" in chosen.required
    finders = Finders(loaded.model, required, chosen.why, loaded.track or track_box)
    findings = find_sources(shot.frames, mono, shot.frame_rate, motion, wanted, finders, monitor)
    return findings, tuple(_provenance(findings, chosen)), chosen.warnings


def _packed(
    findings: Sequence[Finding], provenance: Sequence[Expert], warnings: Sequence[str]
) -> Contents:
    arrays = {
        f"{name}_{number}": getattr(finding, name)
        for number, finding in enumerate(findings)
        for name in _ARRAYS
    }
    plain = [{**vars(finding), **dict.fromkeys(_ARRAYS)} for finding in findings]
    experts = [asdict(expert) for expert in provenance]
    return arrays, {"findings": plain, "experts": experts, "warnings": [*warnings]}


def _unpacked(
    arrays: Mapping[str, Array], info: Mapping[str, Any]
) -> tuple[tuple[Finding, ...], tuple[Expert, ...], tuple[str, ...]]:
    findings = tuple(
        Finding(
            **{
                **plain,
                **{name: arrays[f"{name}_{number}"] for name in _ARRAYS},
                "warnings": tuple(plain["warnings"]),
            }
        )
        for number, plain in enumerate(info["findings"])
    )
    return findings, tuple(Expert(**each) for each in info["experts"]), tuple(info["warnings"])


def _names(findings: Sequence[Finding]) -> list[str]:
    """Each name once: "dog", "dog" -> "dog", "dog 2"."""
    names = [finding.name or "source" for finding in findings]
    earlier = [names[:i].count(name) for i, name in enumerate(names)]
    return [
        f"{name} {count + 1}" if count else name for name, count in zip(names, earlier, strict=True)
    ]


def _audio_files(names: Sequence[str]) -> list[str]:
    stems = [re.sub(r"[^A-Za-z0-9-]+", "_", name).strip("_")[:60] or "source" for name in names]
    earlier = [stems[:i].count(stem) for i, stem in enumerate(stems)]
    return [
        f"audio/{stem}{f'__{count + 1}' if count else ''}.wav"
        for stem, count in zip(stems, earlier, strict=True)
    ]


def _provenance(findings: Sequence[Finding], experts: Chosen) -> list[Expert]:
    entries = []
    for finding in findings:
        by_model = finding.found_by == "words"
        reason = f"{experts.why} {finding.reason}" if by_model else finding.reason
        model = experts.grounding if by_model else None
        entries.append(_expert("source", finding.found_by, model, reason))
    if experts.tracking is not None:
        entries.append(_expert("tracking", "", experts.tracking, "Followed what was found."))
    return entries


def _expert(stage: str, name: str, ready: Ready | None, reason: str) -> Expert:
    """Provenance: a model, or what Sonic4D does itself."""
    if ready is None:
        return Expert(stage, name, __version__, LICENCE, reason)
    model = ready.model
    return Expert(stage, model.name, ready.commit, model.licence_text, reason)
