"""What a tracked object looks like: is it in this box, and where else in the picture might it be."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]  # (H, W, 3) RGB
View = npt.NDArray[np.float32]  # (side, side, 3) Lab

SIDE = 32  # of a stored view
SLACK = 4  # how far, in pixels of a view, a tracker's box may sit beside the object
SURROUNDING = (
    16  # width of the ring around the box, in pixels of a view, that shows what the object is not
)
MAX_VIEWS = 12
COLOUR_BINS = (8, 20, 20)
# The object's own colours may fade to this share (turning, shade, a hand before it) before it counts against it.
EXPECTED_PRESENCE = 0.7
# A view with less of them than this may show an occluder and is not stored.
LEARN_PRESENCE = 0.85

_CENTRE_WEIGHT = np.outer(*[np.hanning(SIDE + 2)[1:-1]] * 2)


@dataclass
class Appearance:
    """Stored views of one object, and which colours tell it from its surroundings (fixed at the first view).

    After Kalal, Mikolajczyk and Matas, "Tracking-Learning-Detection", PAMI 2012 (views), and Collins, Liu and Leordeanu,
    "Online selection of discriminative tracking features", PAMI 2005 (colours).
    """

    views: list[View]
    likelihood: npt.NDArray[np.float64] = field(repr=False)
    presence_at_start: float

    @classmethod
    def of(cls, image: Image, box: Array) -> Appearance:
        around = _view(image, box, SURROUNDING)
        view = _inner(around, SURROUNDING)
        outside = np.ones(around.shape[:2])
        _inner(outside, SURROUNDING)[:] = 0
        own, other = _histogram(view, _CENTRE_WEIGHT), _histogram(around, outside)
        unseen = 1e-4  # colours that neither shows tell nothing: one half
        likelihood = (own + unseen) / (own + other + 2 * unseen)
        return cls([view], likelihood, _presence(view, likelihood))

    def presence(self, view: View) -> float:
        """How much of the box has the object's colours, as a share of the first view's."""
        return _presence(view, self.likelihood) / self.presence_at_start

    def similarity(self, image: Image, box: Array) -> float:
        """0..1: the best agreement of the box with a stored view, lower where the object's colours are missing."""
        here = _view(image, box, SLACK)
        inner = _inner(here, SLACK)
        histogram = _histogram(inner, _CENTRE_WEIGHT)
        best = 0.0
        for view in self.views:
            structure = float(cv2.matchTemplate(here, view, cv2.TM_CCOEFF_NORMED).max())
            colour = np.sqrt(histogram * _histogram(view, _CENTRE_WEIGHT)).sum()
            best = max(best, structure * float(colour))
        agreement = min(float(np.sqrt(best)), 1.0)  # rounding carries it a little above 1
        return agreement * min(self.presence(inner) / EXPECTED_PRESENCE, 1.0)

    def learn(self, image: Image, box: Array) -> None:
        """Store one more view, unless too little of it has the object's colours; the first one is kept, the oldest others go."""
        view = _view(image, box)
        if self.presence(view) >= LEARN_PRESENCE:
            self.views[1:] = [*self.views[1:], view][-MAX_VIEWS + 1 :]

    def forget(self, count: int) -> None:
        """Drop the `count` views that were stored last; the first one is kept."""
        self.views[1:] = self.views[1:][:-count]

    def search(self, image: Image, last: Array, reach: Array) -> Array | None:
        """The likeliest place within `reach` (x, y pixels) around the box `last`, at three sizes; None if nothing fits."""
        side = last[2:] - last[:2]
        centre = (last[:2] + last[2:]) / 2
        size = image.shape[1::-1]
        x0, y0 = np.clip(centre - reach - side / 2, 0, size).astype(int)
        x1, y1 = np.clip(centre + reach + side / 2, 0, size).astype(int)
        if x1 <= x0 or y1 <= y0:
            return None
        shrink = min(1.0, 20.0 / float(side.min()))
        small_area = np.maximum(np.round(np.array([x1 - x0, y1 - y0]) * shrink), 1).astype(int)
        area = cv2.resize(_lab(image[y0:y1, x0:x1]), small_area, interpolation=cv2.INTER_AREA)
        best, best_score = None, 0.0
        for scale in (0.8, 1.0, 1.25):
            small = np.maximum(np.round(side * scale * shrink), 4).astype(int)
            if (small[::-1] > area.shape[:2]).any():
                continue
            for view in (self.views[0], *self.views[1:][-2:]):
                template = cv2.resize(view, small, interpolation=cv2.INTER_AREA)
                scores = cv2.matchTemplate(area, template, cv2.TM_CCOEFF_NORMED)
                _, score, _, place = cv2.minMaxLoc(scores)
                if score > best_score:
                    corner = np.array([x0, y0]) + np.array(place) / shrink
                    best, best_score = np.concatenate([corner, corner + small / shrink]), score
        return best


def _lab(image: Image) -> View:
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def _inner(array: npt.NDArray, margin: int) -> npt.NDArray:
    return array[margin:-margin, margin:-margin]


def _view(image: Image, box: Array, margin: int = 0) -> View:
    """The box resampled to SIDE x SIDE Lab pixels, with `margin` more of them on each side; the picture's edge goes on."""
    step = np.maximum((box[2:] - box[:2]) / SIDE, 1e-3)
    side = SIDE + 2 * margin
    centre = (box[:2] + box[2:]) / 2
    x0, y0 = np.floor(centre - step * side / 2 - 2).astype(int)
    x1, y1 = np.ceil(centre + step * side / 2 + 2).astype(int)
    rows = np.clip(np.arange(y0, y1), 0, image.shape[0] - 1)
    columns = np.clip(np.arange(x0, x1), 0, image.shape[1] - 1)
    region = image[np.ix_(rows, columns)]
    coarse = np.ceil(np.array(region.shape[1::-1]) / np.maximum(step, 1.0)).astype(int)
    region = _lab(cv2.resize(region, coarse, interpolation=cv2.INTER_AREA))  # against aliasing
    pixel = np.array([len(columns), len(rows)]) / coarse
    first = (centre - (x0, y0) - step * (side - 1) / 2) / pixel - 0.5
    to_region = np.array([[step[0] / pixel[0], 0, first[0]], [0, step[1] / pixel[1], first[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REPLICATE
    return cv2.warpAffine(region, to_region, (side, side), flags=flags, borderMode=border)


def _colour_index(view: View) -> npt.NDArray[np.intp]:
    bins = np.array(COLOUR_BINS)
    scaled = (view + (0, 100, 100)) / (100, 200, 200) * bins
    index = np.clip(scaled.astype(int), 0, bins - 1)
    return np.ravel_multi_index(tuple(np.moveaxis(index, -1, 0)), COLOUR_BINS).ravel()


def _histogram(view: View, weight: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Colours in Lab, sum 1, softened so that a small change of light doesn't leave a bin empty."""
    counts = np.bincount(_colour_index(view), weight.ravel(), int(np.prod(COLOUR_BINS)))
    cube = counts.reshape(COLOUR_BINS).astype(np.float32)
    # Over lightness and green-red; blue-yellow takes the place of the channels.
    soft = cv2.GaussianBlur(cube, (5, 5), 0.7)
    return (soft / soft.sum()).ravel().astype(np.float64)


def _presence(view: View, likelihood: npt.NDArray[np.float64]) -> float:
    return float(np.average(likelihood[_colour_index(view)], weights=_CENTRE_WEIGHT.ravel()))
