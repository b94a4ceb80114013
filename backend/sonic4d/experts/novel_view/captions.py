"""A sentence that says what a picture shows, by BLIP (Li et al., ICML 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ...monitor import Monitor
from ...protocol import Sonic4DError
from ...scene.novel_view import Frame
from ..loading import load_transformers
from ..machine import Machine
from ..running import stoppable
from ..store import locate

CAPTIONER = "blip-captioning"
MAX_TOKENS = 40


def caption(
    picture: Frame, overrides: Mapping[str, Path], machine: Machine, monitor: Monitor
) -> str | None:
    """None where the captioner is not on this machine."""
    try:
        ready = locate(CAPTIONER, overrides)
    except Sonic4DError as error:
        if error.code == "missing_model":
            return None
        raise
    from transformers import AutoTokenizer, BlipForConditionalGeneration, BlipImageProcessor

    # It is small, and the device's memory is for the sampler.
    computer = replace(machine, device="cpu")
    model = load_transformers(
        BlipForConditionalGeneration, ready, ready.folder, computer, dtype="float32"
    )
    tokenizer = AutoTokenizer.from_pretrained(str(ready.folder), local_files_only=True)
    processor = BlipImageProcessor.from_pretrained(str(ready.folder), local_files_only=True)
    pixels = processor(images=picture, return_tensors="pt").pixel_values
    with stoppable(monitor, model):
        tokens = model.generate(pixel_values=pixels, max_new_tokens=MAX_TOKENS, do_sample=False)
    text = tokenizer.decode(tokens[0], skip_special_tokens=True).strip()
    return text[:1].upper() + text[1:] or None
