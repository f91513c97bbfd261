"""Links joined into a chain: from the first form's scale to the last one's, with its errors.

A form in the middle takes part in two links, whose errors hang together through its items; the
delta method over the forms has that in it. Source: Battauz (2013), Psychometrika 78, 464–480.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.irt.linking import UNLINKED, LinkingConstants
from calibration_pipeline.irt.linking_errors import LinkingInfluence
from calibration_pipeline.irt.model import FloatArray


@dataclass(frozen=True)
class ChainedLink:
    """One link of a chain.

    Attributes
    ----------
    constants, influence
        From one form to the next.
    new_places, reference_places
        ``(n_common,)`` where the common items stand in either form.
    """

    constants: LinkingConstants
    influence: LinkingInfluence
    new_places: NDArray[np.int64]
    reference_places: NDArray[np.int64]


def join_links(
    links: Sequence[ChainedLink], covariances: Sequence[FloatArray]
) -> tuple[LinkingConstants, FloatArray]:
    """Constants from the first form to the last, and the covariance of (slope, intercept).

    Parameters
    ----------
    links
        In order: the reference of each is the new form of the next.
    covariances
        One per form, ``(3·n_items, 3·n_items)`` of all its φ, item by item.
    """
    joined = UNLINKED
    by_form = [np.zeros((2, len(covariance))) for covariance in covariances]
    for number, link in enumerate(links):
        # x = (A₂·A₁, A₂·B₁ + B₂): how the joined constants follow those before, and this link's.
        slope = link.constants.slope
        by_form = [slope * so_far for so_far in by_form]
        by_link = np.array([[joined.slope, 0.0], [joined.intercept, 1.0]])
        for form, places, influence in (
            (number, link.new_places, link.influence.new),
            (number + 1, link.reference_places, link.influence.reference),
        ):
            columns = (3 * np.asarray(places)[:, None] + np.arange(3)).ravel()
            flat = (by_link @ influence).transpose(1, 0, 2).reshape(2, -1)
            by_form[form][:, columns] += flat
        joined = link.constants.after(joined)
    covariance = sum(
        (own @ of_form @ own.T for own, of_form in zip(by_form, covariances, strict=True)),
        np.zeros((2, 2)),
    )
    return joined, covariance
