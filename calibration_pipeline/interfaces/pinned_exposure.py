"""With what probability a test engine may give each item of the version that a session holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.records import ScaleExposure


@dataclass(frozen=True)
class PinnedExposure:
    """With what probability items of a version are open to a candidate, in memory.

    Attributes
    ----------
    version
        Whose items.
    scales
        Scale → its control: the maximum rate, and whether a simulation reached it.
    """

    version: int
    scales: Mapping[str, ScaleExposure]
    _places: Mapping[str, tuple[ScaleExposure, int]]

    def level(self, item_id: str, theta: float) -> int:
        """Give the level of ability whose probability holds, from 0; reports state it.

        Raises
        ------
        BadInputError
            The version controls no such item.
        """
        control, _ = self._place(item_id)
        return int(np.searchsorted(control.cuts, theta))

    def attempt(self, item_id: str) -> int:
        """Give the number of the control that has the item; reports state it.

        Raises
        ------
        BadInputError
            The version controls no such item.
        """
        control, _ = self._place(item_id)
        return control.attempt

    def probability(self, item_id: str, theta: float) -> float:
        """Give the probability with which an item is open at an ability estimate.

        The engine draws once for a candidate and an item, and asks again only if the estimate has
        come to another level.

        Raises
        ------
        BadInputError
            The version controls no such item: it is retired, or was added later.
        """
        control, place = self._place(item_id)
        return float(control.probability[np.searchsorted(control.cuts, theta), place])

    def _place(self, item_id: str) -> tuple[ScaleExposure, int]:
        found = self._places.get(item_id)
        if found is None:
            raise BadInputError(
                f"the exposure control of version {self.version} has no item {item_id!r}: it is "
                "retired, or not in the version"
            )
        return found


def pinned_exposure(version: int, controls: Sequence[ScaleExposure]) -> PinnedExposure:
    """Put the controls of a version's scales together; each item is in one of them."""
    places = {
        key[0]: (control, place) for control in controls for place, key in enumerate(control.keys)
    }
    scales = {control.scale: control for control in controls}
    return PinnedExposure(version, MappingProxyType(scales), MappingProxyType(places))
