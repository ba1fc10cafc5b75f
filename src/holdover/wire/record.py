"""What all records share. Fields, kinds and limits belong to the records themselves."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

__all__ = ["UNSET", "Metadata", "Record", "UnsetType"]

METADATA_PAIRS = 16
METADATA_KEY_CHARS = 64
METADATA_VALUE_CHARS = 512

#: Up to 16 pairs of strings: keys of up to 64 characters, values of up to 512.
Metadata = Annotated[
    dict[
        Annotated[str, Meta(max_length=METADATA_KEY_CHARS)],
        Annotated[str, Meta(max_length=METADATA_VALUE_CHARS)],
    ],
    Meta(max_length=METADATA_PAIRS),
]


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An immutable object of the wire.

    A field left at ``UNSET`` is absent from the JSON, which is not the same as ``null``.
    Keys that a record does not know are ignored when an answer is decoded, so that a newer service can be
    spoken to; requests are decoded strictly (`holdover.wire.strict`).

    Records are immutable trees, which the collector of cycles need not look through (``gc=False``): that was a
    quarter of the time it takes to decode a list.
    """

    #: The fields that ``repr`` shows; all of them when empty.
    _shown: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        shown = self._shown or self.__struct_fields__
        parts = ((name, getattr(self, name)) for name in shown)
        return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in parts if v is not UNSET)})"

    def to_dict(self) -> dict[str, Any]:
        """Return the record as the wire's JSON object: plain dictionaries, lists and scalars."""
        result: dict[str, Any] = msgspec.to_builtins(self)
        return result
