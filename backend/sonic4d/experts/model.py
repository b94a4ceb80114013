"""What is known of a pretrained model before it is on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Job = Literal["depth", "grounding", "tracking", "audio", "novel_view"]


@dataclass(frozen=True)
class Licence:
    """id: SPDX where there is one, else the hub's; url: its text; commercial: whether it allows commercial use."""

    id: str
    url: str
    commercial: bool


@dataclass(frozen=True)
class Checkpoint:
    """A pickle that is converted once to safetensors.

    file: in the hub's repository, a pattern where it is in pieces. digest: "sha256:..." or "md5:..." as published, checked
    before the file is opened; None: none was published. convert: "module:function" of this package, called with an
    iterator of the state dicts (one for each file), the downloaded folder and an empty one, into which it writes
    config.json and *.safetensors.
    """

    file: str
    digest: str | None
    convert: str


@dataclass(frozen=True)
class Part:
    """Some files of one hub repository at one commit.

    name: the subfolder of this part in a local folder of the model; "" if it is the only one. commit: full; None: not known
    when this was written, it is looked up by the download, which pins it. files: what is downloaded, as
    patterns. size_bytes: of these, about. components: subfolder ("" for the top) -> the "model_type" or "_class_name" that
    its config.json has to name, as a pattern; weights lie beside it as safetensors. needs: further files that have to be there.
    sha256: of files, as far as it is published.
    """

    repo: str
    commit: str | None
    files: tuple[str, ...]
    size_bytes: int
    licence: Licence
    name: str = ""
    components: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    sha256: Mapping[str, str] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True)
class Preset:
    """A way to run a model and the memory it takes, by the number of its parameters: of the GPU (0: none) and of the computer."""

    title: str
    gpu_gb: float
    computer_gb: float


@dataclass(frozen=True)
class Model:
    """name: for `sonic4d models`. job: what it does. option: what the job's own option calls it, e.g. --depth depth-anything; ""
    for a model that only helps another. module: in this package, with `load(ready, machine)`, which gives the
    job's protocol (see `protocols`). memory_gb: what its smallest setting takes, of the GPU's memory if there is one, else
    of the computer's. needs_gpu: without one it takes hours. needs_words: it finds only what it is told to look for. presets:
    its memory in detail, the least demanding last.
    """

    name: str
    job: Job
    title: str
    parts: tuple[Part, ...]
    memory_gb: float
    module: str = ""
    option: str = ""
    needs_gpu: bool = False
    needs_words: bool = False
    presets: tuple[Preset, ...] = ()

    @property
    def size_bytes(self) -> int:
        return sum(part.size_bytes for part in self.parts)

    @property
    def licences(self) -> tuple[Licence, ...]:
        return tuple(dict.fromkeys(part.licence for part in self.parts))

    @property
    def commercial(self) -> bool:
        return all(licence.commercial for licence in self.licences)

    @property
    def licence_text(self) -> str:
        return " + ".join(licence.id for licence in self.licences)
