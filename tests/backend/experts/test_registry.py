"""The registry tells the truth about its own form: nothing vague where the design asks for exactness."""

from __future__ import annotations

import re

import pytest
from sonic4d.experts import registry
from sonic4d.experts.model import Model, Part
from sonic4d.protocol import Sonic4DError

PARTS = [(model, part) for model in registry.MODELS.values() for part in model.parts]


def label(value: object) -> str:
    return value.name if isinstance(value, Model) else getattr(value, "repo", "")


@pytest.mark.parametrize(("model", "part"), PARTS, ids=label)
def test_every_part_is_told_in_full(model: Model, part: Part) -> None:
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", part.repo)
    assert part.commit is None or re.fullmatch("[0-9a-f]{40}", part.commit)
    assert part.files
    assert "*" not in part.files, "never a whole repository"
    assert part.size_bytes > 1_000_000
    assert part.licence.id
    assert part.licence.url.startswith("https://")
    assert part.components, "what to find in it is unknown"
    for digest in part.sha256.values():
        assert re.fullmatch("[0-9a-f]{64}", digest)
    if part.checkpoint and part.checkpoint.digest:
        assert re.fullmatch("sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", part.checkpoint.digest)


def test_only_converted_parts_download_pickles() -> None:
    for model, part in PARTS:
        pickles = [name for name in part.files if name.endswith((".bin", ".pth", ".pt"))]
        assert bool(pickles) == (part.checkpoint is not None), model.name


def test_a_local_folder_has_one_place_for_each_part() -> None:
    for model in registry.MODELS.values():
        names = [part.name for part in model.parts]
        assert len(set(names)) == len(names)
        assert ("" in names) == (len(names) == 1)


def test_research_models_are_not_called_commercial() -> None:
    commercial = {name for name, model in registry.MODELS.items() if model.commercial}
    assert {"depth-anything-v2-small", "video-depth-anything-small"} <= commercial
    assert {"grounding-dino-tiny", "qwen-vl-2b", "wan-vace-1.3b"} <= commercial
    research = {"depthcrafter", "depth-pro", "grounding-gpt", "trajectorycrafter"}
    assert not commercial & {*research, *(n for n in registry.MODELS if n.startswith("mmaudio"))}


def test_options_find_their_models() -> None:
    assert registry.by_option("depth", "depth-anything").name == "depth-anything-v2-small"
    assert registry.by_option("depth", "depth-anything-v2-small").option == "depth-anything"
    with pytest.raises(Sonic4DError, match="Known are: .*depthcrafter"):
        registry.by_option("depth", "grounding-dino")
    with pytest.raises(Sonic4DError, match='no model "nothing"'):
        registry.find("nothing")
