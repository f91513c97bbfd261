"""What the errors of the anchors' references add to every other item's uncertainty.

Anchors are held at values that are estimates themselves. A reference that is off pulls the night's
scale with it, as strongly as the anchor's own answers tell where the scale is. Let the scale be off
by a shift and a stretch s, so that φ moves by D s with D = ∂φ/∂s. Anchors whose references are off
by e, and whose answers have information P, bring the scale to the weighted least squares

    s = (Σ Dᵀ P D)⁻¹ Σ Dᵀ P e,

and with e of covariance V that has the covariance N⁻¹ (Σ Dᵀ P V P D) N⁻¹, N = Σ Dᵀ P D. It is
common to all items: with 288 references that are each off by .1 it is .006, with ten .03.

Answers of anchors are read at the reference's guessing, that of the shadow refit included. What is
off about the scale then is what is off about (log a, b) once guessing is known to be that: the
errors' covariance given guessing.
"""

import numpy as np

from calibration_pipeline.irt.model import to_internal
from calibration_pipeline.records import AnchorSet, BoolArray, CalibrationState, FloatArray

LOGIT_GUESSING = 2


def reference_covariances(state: CalibrationState, anchors: AnchorSet) -> FloatArray:
    """Errors of the references by item, covariances of φ, ``(n_items, 3, 3)``.

    Zeros for what is no anchor, and for references that are taken as known.

    Parameters
    ----------
    state
        Gives the items' order.
    anchors
        The set that the state was computed with.
    """
    covariance = np.zeros((len(state.keys), 3, 3))
    if anchors.covariance is None:
        return covariance
    places = {key: place for place, key in enumerate(anchors.keys)}
    place = np.array([places.get(key, -1) for key in state.keys], np.int64)
    covariance[place >= 0] = anchors.covariance[place[place >= 0]]
    return covariance


def given_guessing(covariance: FloatArray) -> FloatArray:
    """Covariances of φ once guessing is known, ``(n, 3, 3)``; its row and column are zero."""
    variance = covariance[:, LOGIT_GUESSING, LOGIT_GUESSING]
    shared = covariance[:, :, LOGIT_GUESSING]
    known = np.where(variance > 0, variance, 1.0)[:, None, None]
    remaining = covariance - shared[:, :, None] * shared[:, None, :] / known
    remaining[:, LOGIT_GUESSING, :] = remaining[:, :, LOGIT_GUESSING] = 0.0
    return np.asarray(remaining)


def scale_loadings(state: CalibrationState, anchors: AnchorSet, in_scale: BoolArray) -> FloatArray:
    """`reference_loadings` of a stored night in one scale, ``(n_items, 3, 2)``; zeros elsewhere.

    Parameters
    ----------
    state, anchors
        The night, and the set that it was computed with.
    in_scale
        ``(n_items,)`` items of the scale.
    """
    loadings = np.zeros((len(state.keys), 3, 2))
    held = state.is_anchor & in_scale
    has_answers = held & (state.covariance[:, 1, 1] > 0)
    information = np.zeros((len(state.keys), 3, 3))
    # The shadow refit's covariance is the inverse of the answers' information in (log a, b).
    information[has_answers, :2, :2] = np.linalg.inv(state.covariance[has_answers, :2, :2])
    free = (np.diagonal(state.covariance, axis1=1, axis2=2) > 0) & ~held[:, None]
    loadings[in_scale] = reference_loadings(
        state.parameters[in_scale],
        free[in_scale],
        held[in_scale],
        given_guessing(reference_covariances(state, anchors))[in_scale],
        information[in_scale],
    )
    return loadings


def reference_loadings(
    parameters: FloatArray,
    free: BoolArray,
    is_anchor: BoolArray,
    reference_covariance: FloatArray,
    information: FloatArray,
) -> FloatArray:
    """Change of φ per standard deviation of the two errors of the scale, ``(n_items, 3, 2)``.

    An item's covariance grows by ``loadings[j] @ loadings[j].T``. What is fixed has none: an
    anchor's own error is that of its reference.

    Parameters
    ----------
    parameters
        ``(n_items, 3)`` of tonight's fit, anchors at their references.
    free
        ``(n_items, 3)`` coordinates that were estimated.
    is_anchor
        ``(n_items,)``.
    reference_covariance
        ``(n_items, 3, 3)`` of the anchors' φ; zeros where a reference is taken as known.
    information
        ``(n_items, 3, 3)`` of the window's answers about φ.
    """
    nothing = np.zeros((len(parameters), 3, 2))
    if not reference_covariance[is_anchor].any():
        return nothing
    stretches = bool(free[:, 0].any())
    design = _design(parameters, stretches)
    of_anchors = design[is_anchor]
    weighted = information[is_anchor] @ of_anchors
    normal = np.einsum("jks,jkt->st", of_anchors, weighted)
    spread = np.einsum("jks,jkm,jmt->st", weighted, reference_covariance[is_anchor], weighted)
    # Anchors of one difficulty, or one alone, show no stretch: that direction is left out.
    inverse = np.linalg.pinv(normal, rcond=1e-9, hermitian=True)
    scale_covariance = inverse @ spread @ inverse
    values, vectors = np.linalg.eigh(0.5 * (scale_covariance + scale_covariance.T))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    nothing[:, :, : root.shape[1]] = np.where(free[:, :, None], design @ root, 0.0)
    return nothing


def _design(parameters: FloatArray, stretches: bool) -> FloatArray:
    """Derivatives of φ by a shift of the scale and, with free slopes, by the log of its unit."""
    design = np.zeros((len(parameters), 3, 2 if stretches else 1))
    design[:, 1, 0] = 1.0
    if stretches:
        design[:, 0, 1] = -1.0
        design[:, 1, 1] = to_internal(parameters)[:, 1]
    return design
