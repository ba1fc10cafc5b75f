"""What goes into a run's next transaction, and the frames that wait for it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from holdover.store.protocol import Kind, NewObject, RunChange
from holdover.wire.steps import RunStep

from .core import encode


class Draft:
    """Objects that go into the next transaction, and the frames that may be sent when it is made."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        #: Whether there is anything to write.
        self.is_begun = False
        self._added: list[NewObject] = []
        self._replaced: dict[str, tuple[Kind, str, bytes]] = {}
        self._frames: list[bytes] = []
        self._count = 0

    def add(self, added: Sequence[NewObject], replaced: Sequence[tuple[Kind, str, bytes]] = ()) -> None:
        """Take in new objects, and newer documents of others."""
        self.is_begun = True
        self._added += added
        self._replaced |= {each[1]: each for each in replaced}

    def hold(self, frames: bytes, count: int) -> None:
        """Keep frames that hold so many events."""
        self._frames.append(frames)
        self._count += count

    def with_change(self, change: RunChange) -> RunChange:
        """Return a change with the draft in it; of an object that both have, the change's document counts."""
        if not self.is_begun:
            return change
        replaced = self._replaced | {each[1]: each for each in change.replaced}
        added = [
            msgspec.structs.replace(each, document=replaced.pop(each.id)[2]) if each.id in replaced else each
            for each in self._added
        ]
        return msgspec.structs.replace(change, added=[*added, *change.added], replaced=list(replaced.values()))

    def take_frames(self) -> tuple[bytes, int]:
        """Return the frames that were kept and how many events they hold; nothing is left of the draft."""
        frames, count = b"".join(self._frames), self._count
        self._clear()
        return frames, count


def stored_step(step: RunStep) -> NewObject:
    """Return a step as the store takes it."""
    return NewObject(kind="step", id=step.id, created_at=step.created_at, document=encode(step), owner=step.run_id)
