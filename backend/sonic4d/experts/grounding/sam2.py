"""SAM 2 (Ravi et al., 2024) and EdgeTAM (Zhou et al., CVPR 2025): following a thing by its mask, with transformers' classes.

Their stock video processor needs torchvision; what it does to pictures and boxes is a few lines, which are here.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional
from transformers import AutoConfig

from ...monitor import Monitor
from ...protocol import Sonic4DError
from ...scene.depth import Frames
from ..loading import load_transformers
from ..machine import Machine
from ..running import stoppable
from ..store import Ready

Array = npt.NDArray[np.float64]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
BOX_CORNERS = [2, 3]  # what a prompt's points are: upper left and lower right of a box
MASK_DETAIL = 4  # masks come at a quarter of the model's picture; finer edges make finer boxes
# Pieces of a mask that are smaller than this share of the largest are specks.
SPECK = 0.1


class MaskTracker:
    """A `TrackingModel`."""

    def __init__(self, model: Any, session_class: Any) -> None:
        self._model = model
        self._session_class = session_class

    @torch.inference_mode()
    def __call__(
        self,
        frames: Frames,
        box: tuple[float, float, float, float],
        frame_index: int,
        monitor: Monitor,
    ) -> tuple[Array, Array]:
        n = len(frames)
        boxes, confidence = np.full((n, 4), np.nan), np.zeros(n)
        session = self._session(frames, box, frame_index)
        outputs = session.output_dict_per_obj[0]["non_cond_frame_outputs"]
        orders = (range(frame_index, n), range(frame_index - 1, -1, -1))
        with stoppable(monitor, self._model):
            for done, (index, reverse) in enumerate(
                (index, order.step < 0) for order in orders for index in order
            ):
                monitor.progress("tracking", done, n)
                output = self._model(session, frame_idx=index, reverse=reverse)
                outputs.get(index, {}).pop("high_res_masks", None)  # large, not needed again
                boxes[index], confidence[index] = seen(
                    output.pred_masks[0, 0], output.object_score_logits
                )
        return boxes, confidence

    def _session(
        self, frames: Frames, box: tuple[float, float, float, float], frame_index: int
    ) -> Any:
        """A session with one prompt, as the stock processor makes it."""
        model = self._model
        session = self._session_class(
            video_height=frames.shape[1],
            video_width=frames.shape[2],
            inference_device=model.device,
            inference_state_device=model.device,
            video_storage_device=model.device,
            dtype=model.dtype,
        )
        size = model.config.image_size
        session.processed_frames = _Pictures(frames, size, model.device, model.dtype)
        corners = torch.tensor(box, dtype=torch.float32).reshape(1, 1, 2, 2) * size
        labels = torch.tensor(BOX_CORNERS, dtype=torch.int32).reshape(1, 1, 2)
        index = session.obj_id_to_idx(1)
        prompt = {"point_coords": corners, "point_labels": labels}
        session.add_point_inputs(index, frame_index, prompt)
        session.obj_with_new_inputs = [1]
        return session


class _Pictures(Mapping[int, torch.Tensor]):
    """The frames as the model takes them, (3, size, size), each made when it is asked for."""

    def __init__(self, frames: Frames, size: int, device: Any, dtype: torch.dtype) -> None:
        self._frames, self._size, self._device, self._dtype = frames, size, device, dtype
        self._mean = torch.tensor(IMAGENET_MEAN, device=device)[:, None, None]
        self._std = torch.tensor(IMAGENET_STD, device=device)[:, None, None]

    def __getitem__(self, index: int) -> torch.Tensor:
        frame = torch.from_numpy(np.ascontiguousarray(self._frames[index])).to(self._device)
        picture = frame.permute(2, 0, 1)[None].float() / 255
        shape = (self._size, self._size)
        resized = functional.interpolate(picture, shape, mode="bilinear", antialias=True)[0]
        return ((resized - self._mean) / self._std).to(self._dtype)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self._frames)))

    def __len__(self) -> int:
        return len(self._frames)


def seen(mask_logits: torch.Tensor, score_logit: torch.Tensor) -> tuple[Array, float]:
    """Box (4,) around a mask (h, w) as fractions of the picture, and confidence; NaN and 0 where the thing isn't seen."""
    absent = np.full(4, np.nan), 0.0
    if float(score_logit) <= 0:
        return absent
    h, w = (MASK_DETAIL * side for side in mask_logits.shape)
    logits = functional.interpolate(mask_logits[None, None].float(), (h, w), mode="bilinear")[0, 0]
    inside = (logits > 0).cpu().numpy()
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8))
    if count < 2:
        return absent
    areas = stats[1:, cv2.CC_STAT_AREA]
    stats = stats[1:][areas >= SPECK * areas.max()]
    corner = stats[:, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP]]
    end = corner + stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    box = np.concatenate([corner.min(axis=0), end.max(axis=0)]) / [w, h, w, h]
    certainty = float(torch.sigmoid(logits[logits > 0]).mean())
    return box, float(torch.sigmoid(score_logit.float())) * certainty


def load(ready: Ready, machine: Machine) -> MaskTracker:
    if AutoConfig.from_pretrained(ready.folder).model_type == "edgetam_video":
        from transformers import EdgeTamVideoInferenceSession as Session
        from transformers import EdgeTamVideoModel as Model

        lacking = [name for name in ("timm", "torchvision") if not importlib.util.find_spec(name)]
        if lacking:
            raise Sonic4DError(
                "missing_library",
                f"{ready.model.name} needs {' and '.join(lacking)}, which Sonic4D doesn't install.",
                f"Run: pip install {' '.join(lacking)}; or use sam2, which doesn't need them.",
            )
    else:
        from transformers import Sam2VideoInferenceSession as Session
        from transformers import Sam2VideoModel as Model
    model = load_transformers(Model, ready, ready.folder, machine, torch.float32)
    return MaskTracker(model, Session)
