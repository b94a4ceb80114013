"""Lines of the protocol: what passes, and that nothing else does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sonic4d import protocol
from sonic4d.protocol import Sonic4DError, decode_command, decode_event, encode


def line(**message: object) -> bytes:
    return json.dumps({"v": 1, "id": 7, **message}).encode()


@pytest.mark.parametrize(
    "command",
    [{"command": "run", "job": {"kind": "größe"}}, {"command": "cancel"}, {"command": "quit"}],
)
def test_command_survives_the_way(command: dict[str, Any]) -> None:
    encoded = encode(command, 7)
    assert encoded.endswith(b"\n")
    assert encoded.count(b"\n") == 1
    assert decode_command(encoded) == {"v": 1, "id": 7, **command}


def test_event_survives_the_way() -> None:
    event = {"event": "progress", "stage": "a\nb", "done": 1, "total": 2, "message": "€"}
    assert decode_event(encode(event, None)) == {"v": 1, "id": None, **event}


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "not an object"),
        (b'{"command": "ping", "id": 1}', '"v"'),
        (line(command="format disk"), "unknown command 'format disk'"),
        (line(command=["run"]), "unknown command"),
        (line(job={}), "unknown command None"),
        (line(command="run"), '"job" is missing'),
        (line(command="run", job=[]), '"job" is not'),
        (line(command="cancel", force=True), 'unknown key "force"'),
        (line(command="run", job={}, id=None), "needs the id"),
        (line(command="ping", id="7"), '"id"'),
        (line(command="ping", id=True), '"id"'),
        (line(command="ping").ljust(protocol.MAX_LINE_BYTES + 1), "longer"),
    ],
)
def test_bad_command_is_refused(bad: bytes, words: str) -> None:
    with pytest.raises(Sonic4DError) as caught:
        decode_command(bad)
    assert caught.value.code == "bad_message"
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (line(event="boom"), "unknown event 'boom'"),
        (line(event="log", level="info"), '"message" is missing'),
        (line(event="log", level="info", message=5), '"message" is not'),
        (line(event="progress", stage="", done=True, total=1, message=""), '"done" is not'),
        (line(event="cancelled", why="x"), 'unknown key "why"'),
    ],
)
def test_bad_event_is_refused(bad: bytes, words: str) -> None:
    with pytest.raises(Sonic4DError, match=words):
        decode_event(bad)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_other_version_is_named(version: object) -> None:
    with pytest.raises(Sonic4DError) as caught:
        decode_event(line(v=version, event="cancelled"))
    assert caught.value.code == "protocol_mismatch"
    assert repr(version) in caught.value.message
    assert "Reinstall" in caught.value.hint


@pytest.mark.parametrize("value", [float("nan"), object(), "x" * protocol.MAX_LINE_BYTES])
def test_message_that_cannot_be_a_line_is_refused(value: object) -> None:
    with pytest.raises(Sonic4DError):
        encode({"command": "run", "job": {"value": value}}, 1)


@given(st.binary(max_size=200))
def test_noise_never_gets_another_error(noise: bytes) -> None:
    for decode in (decode_command, decode_event):
        with pytest.raises(Sonic4DError):
            decode(noise)


def test_log_starts_again_when_it_has_grown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path))
    path = protocol.log_file("test.log")
    assert path.is_relative_to(tmp_path)
    path.write_bytes(b"x" * 1000)
    assert protocol.log_file("test.log").stat().st_size == 1000
    path.write_bytes(b"x" * (protocol.MAX_LOG_BYTES + 1))
    assert protocol.log_file("test.log").stat().st_size == 0


def test_log_goes_elsewhere_where_the_home_is_not_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("a file where a folder should be")
    for variable in ("XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "file"))
    monkeypatch.setattr(protocol.tempfile, "gettempdir", lambda: str(tmp_path))
    assert protocol.log_file("test.log") == tmp_path / "sonic4d" / "test.log"
