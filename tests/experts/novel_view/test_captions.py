"""The captioner: a tiny BLIP of random weights, from a folder to a sentence."""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np
import pytest
import tiny_painters as tiny
import torch
from sonic4d.experts.machine import this_machine
from sonic4d.experts.novel_view.captions import caption
from sonic4d.monitor import SILENT, Cancelled, Monitor
from transformers import (
    BertTokenizerFast,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
)

PICTURE = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.ascii_lowercase]
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2}
    text = {"vocab_size": len(words), "bos_token_id": 2, "sep_token_id": 3, "pad_token_id": 0}
    config = BlipConfig(
        text_config={**sizes, **text, "num_attention_heads": 2, "encoder_hidden_size": 32},
        vision_config={**sizes, "num_attention_heads": 2, "image_size": 32, "patch_size": 16},
        projection_dim=16,
    )
    torch.manual_seed(0)
    tiny.with_weights(BlipForConditionalGeneration(config)).save_pretrained(tmp_path)
    vocabulary = {word: number for number, word in enumerate(words)}
    BertTokenizerFast(vocab=vocabulary).save_pretrained(tmp_path)
    BlipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    return tmp_path


def test_a_picture_becomes_a_sentence(folder: Path) -> None:
    models = {"blip-captioning": folder}
    text = caption(PICTURE, models, this_machine(), SILENT)
    assert text
    assert text[0].isupper()
    assert "[" not in text
    assert caption(PICTURE, models, this_machine(), SILENT) == text


def test_without_a_captioner_there_is_none(user_caches: Path) -> None:
    assert caption(PICTURE, {}, this_machine(), SILENT) is None


def test_it_can_be_stopped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sonic4d.experts.running.POLL_S", 0.0)
    stopping = Monitor(lambda event: None, lambda: True)
    with pytest.raises(Cancelled):
        caption(PICTURE, {"blip-captioning": folder}, this_machine(), stopping)
