"""Networks from their folders (config.json and safetensors, see `convert`), with no more memory than their weights take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from torch import nn

from ...shot import read_json
from ..loading import bad_model
from ..machine import Machine
from ..store import Ready

Network = TypeVar("Network", bound=nn.Module)


def load_network(
    ready: Ready, part: str, machine: Machine, make: Callable[[dict[str, Any]], Network]
) -> Network:
    """`make` builds the network of a part from its config.json; weights that it has no place for are left out.

    Raises `Sonic4DError` "bad_model" where config or weights don't fit.
    """
    folder = ready.folders[part]
    config = read_json(folder / "config.json", "a model's configuration")
    try:
        with torch.device("meta"):
            network = make({key: value for key, value in config.items() if key[:1] != "_"})
        wanted = network.state_dict()
        weights: dict[str, torch.Tensor] = {}
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, "pt", machine.device) as file:
                # One after the other: never all of them at twice the precision.
                for key in wanted.keys() & file.keys():
                    weights[key] = file.get_tensor(key).to(machine.dtype)
        network.load_state_dict(weights, assign=True)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise bad_model(ready, folder, str(error).splitlines()[0][:200].rstrip(".")) from None
    return network.requires_grad_(False).eval()
