"""In charge of the grants that a worker holds: those of the requesters it met last, and none that is out of date."""

from collections import OrderedDict
from collections.abc import Mapping

from tanglai.catalogue.model import Resource
from tanglai.storage.grants import DepartmentGrants


class GrantCache:
    """Grants per requester, at most `max_grants` in all but always those of the newest requester."""

    def __init__(self, max_grants: int) -> None:
        self._max = max_grants
        self._held: OrderedDict[str, DepartmentGrants] = OrderedDict()
        self._read: dict[str, Mapping[str, Resource]] = {}  # resources that those held are known to be read against
        self._size = 0
        self._newest: dict[str, int] = {}  # epoch of the last change that a confirmation told, per requester
        self.past = 0
        """Goes up when the database turns out to have another past; what was being read then is not to be put."""

    def get(self, department: str, resources: Mapping[str, Resource]) -> DepartmentGrants | None:
        """What holds for `department` as far as confirmations told, read against these very `resources`; else None."""
        held = self._held.get(department)
        if held is None or not self.holds(held):
            return None
        if self._read.get(department) is not resources:  # once per requester and catalogue, not once per request
            if any(resources.get(code) is not used for code, used in held.resources.items()):
                return None
            self._read[department] = resources
        self._held.move_to_end(department)
        return held

    def holds(self, grants: DepartmentGrants) -> bool:
        """Whether no confirmation told of a change after `grants` were read.

        INVARIANT: what was read before a change is not used after a confirmation that told of the change, however late
        it arrives here.
        """
        return grants.as_of >= self._newest.get(grants.department, 0)

    def put(self, grants: DepartmentGrants) -> None:
        """Hold `grants`, and let go of those of the requesters not asked for longest, as far as needed."""
        self._drop(grants.department)
        self._held[grants.department] = grants
        self._size += _weight(grants)
        while self._size > self._max and len(self._held) > 1:
            self._drop(next(iter(self._held)))

    def changed(self, departments: Mapping[str, int]) -> None:
        """A confirmation told that the grants of these requesters changed, at these epochs."""
        for department, epoch in departments.items():
            self._newest[department] = epoch
            held = self._held.get(department)
            if held is not None and held.as_of < epoch:
                self._drop(department)

    def forget(self) -> None:
        """Let go of everything."""
        self._held.clear()
        self._read.clear()
        self._newest.clear()
        self._size = 0
        self.past += 1

    def _drop(self, department: str) -> None:
        self._read.pop(department, None)
        held = self._held.pop(department, None)
        if held is not None:
            self._size -= _weight(held)


def _weight(grants: DepartmentGrants) -> int:
    return len(grants.grants) + 1
