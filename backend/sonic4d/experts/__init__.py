"""Pretrained experts: what they are, where they lie, how they are loaded. Offline: only `download` uses the network."""

from __future__ import annotations

import os

# What the user set, before it is overruled here.
USER_IS_OFFLINE = os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "ON", "YES", "TRUE")

# Read by huggingface_hub, transformers and diffusers while they are imported.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
