"""What a text refers to, found while it comes: paths of files that code made; and finders one behind the other. Pure.

A model links to a file by its path in the sandbox, ``sandbox:/mnt/data/NAME``; only files that are there become
annotations. Citations are found in ``tools/file_search``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from holdover.wire.messages import Annotation, FilePath, FilePathAnnotation

from .turn import References

Piece = tuple[str, Annotation | None]

#: Where the code interpreter keeps files, as messages write it.
FOLDER = "sandbox:/mnt/data/"
#: What must not follow a path: more of another file's name. A full stop that ends a sentence may.
_NOT_LONGER = r"(?![\w-]|\.\w)"


class Paths:
    """Finds the paths of files. See `holdover.engine.turn.References`.

    Args:
        files: Ids of files by their names.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = {f"{FOLDER}{name}": file_id for name, file_id in files.items()}
        # Of two names of which one begins with the other, the longer is meant.
        names = sorted(self._files, key=len, reverse=True)
        self._find = re.compile(f"(?:{'|'.join(map(re.escape, names))}){_NOT_LONGER}")
        self._longest = max(map(len, names)) + 1
        self._held = ""
        self._place = 0

    def feed(self, text: str) -> Sequence[Piece]:
        """Take a piece and return those that are known now."""
        self._held += text
        return self._pieces(self._first_open())

    def skip(self, text: str, annotation: Annotation) -> Sequence[Piece]:
        """Take a piece whose annotation is known already; return what was held back, and it."""
        pieces = self.end()
        self._place += len(text)
        return [*pieces, (text, annotation)]

    def end(self) -> Sequence[Piece]:
        """Return what was held back."""
        return self._pieces(len(self._held))

    def _first_open(self) -> int:
        """Return where the first path could begin that is not whole yet, or may be part of a longer name."""
        held = self._held
        for start in range(max(0, len(held) - self._longest), len(held)):
            rest = held[start:]
            if any(path.startswith(rest) or rest in (path, f"{path}.") for path in self._files):
                return start
        return len(held)

    def _pieces(self, until: int) -> list[Piece]:
        pieces: list[Piece] = []
        at = 0
        for found in self._find.finditer(self._held, 0):
            if found.start() >= until:
                break
            if found.start() > at:
                pieces.append(self._plain(self._held[at : found.start()]))
            pieces.append(self._path(found[0]))
            at = found.end()
        if at < until:
            pieces.append(self._plain(self._held[at:until]))
        self._held = self._held[max(at, until) :]
        return pieces

    def _plain(self, text: str) -> Piece:
        self._place += len(text)
        return text, None

    def _path(self, text: str) -> Piece:
        start = self._place
        self._place += len(text)
        file_path = FilePath(file_id=self._files[text])
        return text, FilePathAnnotation(text=text, start_index=start, end_index=self._place, file_path=file_path)


class Chain:
    """Finders one behind the other: what one leaves plain is looked through by the next. They only cut, never change.

    See `holdover.engine.turn.References`.
    """

    def __init__(self, finders: Sequence[References]) -> None:
        self._finders = finders

    def feed(self, text: str) -> Sequence[Piece]:
        """Take a piece and return those that are known now."""
        return self._through([(text, None)], 0)

    def skip(self, text: str, annotation: Annotation) -> Sequence[Piece]:
        """Take a piece whose annotation is known already; return what was held back, and it."""
        return self._through([(text, annotation)], 0)

    def end(self) -> Sequence[Piece]:
        """Return what was held back."""
        pieces: list[Piece] = []
        for number, finder in enumerate(self._finders):
            pieces += self._through(finder.end(), number + 1)
        return pieces

    def _through(self, pieces: Sequence[Piece], first: int) -> list[Piece]:
        for finder in self._finders[first:]:
            found: list[Piece] = []
            for text, annotation in pieces:
                if annotation is None:
                    found += finder.feed(text)
                else:
                    found += finder.skip(text, annotation)
            pieces = found
        return list(pieces)
