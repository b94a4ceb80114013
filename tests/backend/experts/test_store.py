"""Finding models on this machine, without torch: from a folder, from the hub's cache, and what is wrong with one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sonic4d.experts import registry, store
from sonic4d.experts.model import Part
from sonic4d.protocol import Sonic4DError

NAME = "depth-anything-v2-small"
(PART,) = registry.find(NAME).parts
Hollow = Callable[[Part, Path], None]
IntoCache = Callable[[Part, Callable[[Path], object]], Path]


def refusal(folder: Path, name: str = NAME) -> Sonic4DError:
    with pytest.raises(Sonic4DError) as caught:
        store.locate(name, {name: folder})
    return caught.value


def test_missing_model_tells_size_licence_and_command(user_caches: Path) -> None:
    with pytest.raises(Sonic4DError) as caught:
        store.locate("depthcrafter")
    assert caught.value.code == "missing_model"
    assert "4.5 GB" in caught.value.message
    assert "not for commercial use" in caught.value.message
    assert caught.value.hint.endswith("sonic4d models download depthcrafter")


def test_folder_is_taken_as_it_is(tmp_path: Path, hollow: Hollow) -> None:
    hollow(PART, tmp_path)
    ready = store.locate(NAME, {NAME: tmp_path})
    assert ready.folder == tmp_path
    assert ready.commit == f"folder {tmp_path}"


def test_cache_is_read_at_the_pinned_commit(into_cache: IntoCache, hollow: Hollow) -> None:
    folder = into_cache(PART, lambda place: hollow(PART, place))
    ready = store.locate(NAME)
    assert ready.folder == folder
    assert ready.commit == PART.commit
    assert store.is_cached(ready.model)
    folder.rename(folder.with_name("f" * 40))
    assert not store.is_cached(ready.model)


def test_commit_unknown_to_the_registry_is_pinned_by_the_download(
    into_cache: IntoCache, hollow: Hollow
) -> None:
    model = registry.find("depth-pro")
    (part,) = model.parts
    assert store.commit_of(part) is None
    into_cache(part, lambda place: hollow(part, place))
    assert store.locate("depth-pro").commit == store.commit_of(part)
    pins = store.models_folder() / "commits.json"
    pins.write_text(json.dumps({part.repo: "main"}))
    assert store.commit_of(part) is None
    pins.write_text("[")
    assert not store.is_cached(model)


def test_hub_cache_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert store.hub_cache() == Path("~/.cache/huggingface/hub").expanduser()
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    assert store.hub_cache() == tmp_path / "home" / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    assert store.hub_cache() == tmp_path / "cache"


def test_every_model_is_found_in_a_cache(into_cache: IntoCache, hollow: Hollow) -> None:
    for model in registry.MODELS.values():
        for part in model.parts:
            into_cache(part, lambda place, part=part: hollow(part, place))
        ready = store.locate(model.name)
        assert set(ready.folders) == {part.name for part in model.parts}


def test_model_of_several_parts_has_a_subfolder_for_each(tmp_path: Path, hollow: Hollow) -> None:
    model = registry.find("depthcrafter")
    for part in model.parts:
        hollow(part, tmp_path / part.name)
    ready = store.locate(model.name, {model.name: tmp_path})
    assert ready.folders == {"unet": tmp_path / "unet", "svd": tmp_path / "svd"}
    (tmp_path / "svd" / "scheduler" / "scheduler_config.json").unlink()
    assert "scheduler_config.json is missing" in refusal(tmp_path, model.name).message


def test_bad_folders(tmp_path: Path, hollow: Hollow) -> None:
    folder = tmp_path / "model"
    assert refusal(folder).code == "missing_folder"
    folder.mkdir()
    assert "no config.json" in refusal(folder).message
    hollow(PART, folder)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for damaged in (whole[:-1], whole + b"0", b"", b"\xff" * 64, whole[:20]):
        weights.write_bytes(damaged)
        error = refusal(folder)
        assert error.code == "bad_model"
        assert "model.safetensors is damaged" in error.message
    weights.unlink()
    assert "no weights" in refusal(folder).message
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04K\x01.")
    error = refusal(folder)
    assert error.code == "unsafe_weights"
    assert f"sonic4d models download {NAME}" in error.hint


def test_config_of_another_model(tmp_path: Path, hollow: Hollow) -> None:
    hollow(PART, tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert "another kind of model (bert)" in refusal(tmp_path).message
    for text in ("[]", "{", "null"):
        (tmp_path / "config.json").write_text(text)
        assert "config.json is damaged" in refusal(tmp_path).message


def test_shards_are_all_there(tmp_path: Path, hollow: Hollow) -> None:
    hollow(PART, tmp_path)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model.safetensors", "b": "two.safetensors"}}))
    assert "two.safetensors is missing" in refusal(tmp_path).message
    index.write_text(json.dumps({"weight_map": {"a": "../../elsewhere.safetensors"}}))
    assert "leaves the folder" in refusal(tmp_path).message
    index.write_text('{"weight_map": 5}')
    assert "is damaged" in refusal(tmp_path).message


def test_removing_spares_what_others_need(into_cache: IntoCache, hollow: Hollow) -> None:
    small, large = registry.find("mmaudio-small-44k"), registry.find("mmaudio-large-44k")
    for part in {part.repo + part.files[0]: part for part in (*small.parts, *large.parts)}.values():
        into_cache(part, lambda place, part=part: hollow(part, place))
    assert store.remove(small)
    assert not store.is_cached(small)
    assert store.is_cached(large)
    store.remove(large)
    assert not any((store.models_folder()).rglob("*.safetensors"))


def test_overrides() -> None:
    found = store.parse_overrides(["depth=a/b", "depth-pro=c=d"])
    assert found == {"depth": Path("a/b"), "depth-pro": Path("c=d")}
    with pytest.raises(Sonic4DError, match='"dpeth" is neither'):
        store.parse_overrides(["dpeth=a"])
    for text in ("depth", "=a", "depth="):
        with pytest.raises(Sonic4DError, match="NAME=PATH"):
            store.parse_overrides([text])
