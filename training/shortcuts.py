"""Slices with something hidden, to see what a network answers without it.

A network that sorts by the tumor finds none where the tumor is filled in; one that sorts by plane,
sequence, the rest of the head or the skull goes on as before. Slices are (H, W) uint8, and stay so.
"""

import cv2
import numpy as np

from services.spatial.head import Gray, Mask, head_mask, working_raster

# What is filled in beside the outlined tumor, as a share of the slice's longer side: an enhancing
# rim is wider than its outline.
_MARGIN_SHARE = 0.02
# How deep scalp and skull usually lie, as a share of the head's width (`services.spatial.brain`).
_SHELL_SHARE = 0.08
_FILL_RADIUS_PX = 3


def head_of(pixels: Gray) -> Mask:
    """Where the head is in a slice, bool (H, W); everywhere where none is found."""
    head = head_mask(working_raster(pixels).pixels)
    if head is None:
        return np.ones(pixels.shape, dtype=np.bool_)
    size = (pixels.shape[1], pixels.shape[0])
    scaled = cv2.resize(head.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(scaled).astype(np.bool_)


def without_tumor(pixels: Gray, tumor: Mask) -> Gray:
    """The slice with the tumor (H, W) and a margin filled in from what lies around it.

    Source of the filling: Telea, "An image inpainting technique based on the fast marching method",
    2004. What a tumor does to its surroundings (edema, shifted tissue) stays.
    """
    reach = 2 * max(1, round(_MARGIN_SHARE * max(pixels.shape))) + 1
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    hidden = cv2.dilate(tumor.astype(np.uint8), disk)
    filled = cv2.inpaint(pixels, hidden, _FILL_RADIUS_PX, cv2.INPAINT_TELEA)
    return np.asarray(filled, dtype=np.uint8)


def without_shell(pixels: Gray, head: Mask) -> Gray:
    """The slice with all but the head's (H, W) inside black: no background, scalp or skull."""
    return np.where(_inside(head), pixels, np.uint8(0))


def only_shell(pixels: Gray, head: Mask) -> Gray:
    """The slice with the head's (H, W) inside black: scalp, skull and background are left."""
    return np.where(_inside(head), np.uint8(0), pixels)


def _inside(head: Mask) -> Mask:
    columns = np.flatnonzero(head.any(axis=0))
    width = int(columns[-1]) - int(columns[0]) + 1
    # Padded, so that the picture's border counts as the head's where it cuts the head.
    padded = np.pad(head.astype(np.uint8), 1)
    depth = np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5))[1:-1, 1:-1]
    inside: Mask = depth > _SHELL_SHARE * width
    return inside
