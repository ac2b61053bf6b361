"""Portraits, 128 × 128, drawn flat with hard, anti-aliased edges: a function of attributes and a seed, with no data of others.

Every figure is of an invented world. Poses, skins, hair and the light's side come from the seed alone and before anything that an age decides,
so that one seed at five ages is one person at five ages.
"""

from __future__ import annotations

import random

import numpy as np
import skia

from training.attributes import Attributes
from training.drawing.clothes import torso
from training.drawing.face import back_hair, face, head, outline, top_hair
from training.drawing.figure import Figure, figure
from training.drawing.gear import TALL, before, behind
from training.drawing.light import backdrop, compose
from training.drawing.paint import face_paint
from training.drawing.robot import robot_head
from training.frame import SIZE

__all__ = ["render"]


def render(a: Attributes, seed: int) -> np.ndarray:
    """uint8, 128 × 128 × 3."""
    r = random.Random(seed)
    shift, lift, tilt, zoom, side = (
        r.uniform(-3, 3),
        r.uniform(-2, 2),
        r.uniform(-3, 3),
        r.uniform(1.17, 1.27),
        r.choice([-1, 1]),
    )
    back = backdrop(a, r)
    f = figure(a, r)
    surface = skia.Surface(SIZE, SIZE)
    c = surface.getCanvas()
    c.clear(0)
    tall = a.role in TALL
    c.translate(64 + shift, 64 + lift + (8 if tall else 0))
    c.rotate(tilt)
    zoom *= 1.03 if tall else 1.16
    c.scale(-zoom if f.profile and a.side < 0 else zoom, zoom)
    _draw(c, f, r)
    rgba = np.asarray(surface.toarray(colorType=skia.kRGBA_8888_ColorType)).astype(np.float32) / 255
    img = compose(a, rgba[..., :3], rgba[..., 3], back, side)
    return (np.clip(img, 0, 1) * 255 + 0.5).astype(np.uint8)


def _draw(c: skia.Canvas, f: Figure, r: random.Random) -> None:
    behind(c, f)
    back_hair(c, f)
    torso(c, f)
    if f.a.role == "robot":
        robot_head(c, f, r)
        return
    head(c, f)
    face_paint(c, f, outline(f))
    face(c, f)
    top_hair(c, f)
    before(c, f)
