"""How text becomes the words by which it is found, the same for both databases.

A word is a run of letters and digits, in lower case, without those that are everywhere; the databases take it to its
stem. Where a script writes no spaces, two neighbours are a word. Before each stands the mark of its vector store, so
that an index of all stores is to the search an index of one. The mark has consonants only: the stemmers look for
vowels, and to them it is the beginning of the word.

What is here decides how an index must be asked and how it is emptied. Whoever changes it builds the indexes again,
with a migration; a test notices.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

#: Longer ones are no words, and a stemmer leaves them alone.
MAX_WORD = 48
#: More words than a question has.
MAX_QUERY_WORDS = 64

#: Postings that a search may rank. A long question in a store of 100,000 chunks has ten times as many.
MAX_POSTINGS = 10_000

#: Words of English that say nothing of what a text is about.
STOP_WORDS = """
    a about above after again all also am an and any are as at be because been before being below between both but by
    can could did do does doing down during each few for from further had has have having he her here hers him his how
    i if in into is it its itself just me more most my no nor not now of off on once only or other our ours out over own
    same she should so some such than that the their theirs them then there these they this those through to too under
    until up very was we were what when where which while who whom why will with would you your yours
"""

_STOPPED = frozenset(STOP_WORDS.split())
_WORD = re.compile(r"[^\W_]+")
#: Chinese and Japanese, whose words follow each other without a space.
_UNSPACED = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+)")
_DIGITS = "bcdfghjklm"


def store_mark(store: int) -> str:
    """Return what stands before the words of a store: its number in consonants, and an ``x`` that ends it."""
    return "".join(_DIGITS[int(digit)] for digit in str(store)) + "x"


def split_words(text: str) -> Iterator[str]:
    """Yield the words of a text, in order, stop words left out."""
    for found in _WORD.findall(unicodedata.normalize("NFKC", text).lower()):
        if found.isascii():
            if found not in _STOPPED:
                yield found[:MAX_WORD]
            continue
        for part in _UNSPACED.split(found):
            if len(part) > 1 and _UNSPACED.match(part):
                yield from (part[at : at + 2] for at in range(len(part) - 1))
            elif part:
                yield part[:MAX_WORD]


def marked_words(text: str, store: int) -> str:
    """Return the words of a text with the mark of a store, as both databases index them."""
    mark = store_mark(store)
    return " ".join(mark + word for word in split_words(text))


def query_words(text: str, store: int) -> list[str]:
    """Return the different words of a question, marked."""
    mark = store_mark(store)
    return [mark + word for word in dict.fromkeys(split_words(text))][:MAX_QUERY_WORDS]


def rarest(counted: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
    """Choose what to search for among words with the number of chunks that have them.

    The rarest come first: all that occur, or as many as have `MAX_POSTINGS` together. Those left out are in so many
    chunks that they weigh next to nothing, and would take nearly all of the time.
    """
    chosen: list[tuple[int, str]] = []
    postings = 0
    for count, word in sorted(counted):
        postings += count
        if chosen and postings > MAX_POSTINGS:
            break
        if count:
            chosen.append((count, word))
    return chosen
