"""How rankings become one; pure. ``docs/explanation/ranking.md`` has the reasons and the measurements."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

#: How little the first places of a ranking are preferred to the next: 1 / (K + place). Tuned on SciFact's train split.
K = 20

_WORD = re.compile(r"[^\W_]+")
#: Letters that two words have to share at the beginning to count as forms of one.
_STEM = 5


def fuse(rankings: Iterable[tuple[float, Sequence[int]]]) -> dict[int, float]:
    """Return the merged score of everything that is in any of the rankings: weighted reciprocal rank fusion.

    Args:
        rankings: Each with its weight, the best first. One of weight 0 counts for nothing, and adds nothing.
    """
    scores: dict[int, float] = {}
    for weight, ranking in rankings:
        if weight > 0:
            for place, each in enumerate(ranking, 1):
                scores[each] = scores.get(each, 0.0) + weight / (K + place)
    return scores


def best_first(scores: dict[int, float]) -> list[int]:
    """Return what has scores, the best first; of equals, the one that was there first."""
    return sorted(scores, key=lambda each: (-scores[each], each))


def words_of(text: str) -> frozenset[str]:
    """Return the beginnings of the words of a text: enough to tell which of a question's it has."""
    return frozenset(word[:_STEM] for word in _WORD.findall(text.lower()))


def share_of_words(query: frozenset[str], passage: frozenset[str]) -> float:
    """Return which part of a question's words a passage has, 0..1."""
    return len(query & passage) / len(query) if query else 0.0


def relevance(*, nearness: float | None, words: float, embedding_weight: float, text_weight: float) -> float:
    """Return the score of a chunk, 0..1: how near it is in meaning and which part of the words it has, by weight.

    Args:
        nearness: The cosine of question and chunk; ``None`` where the chunk has no vector.
        words: From `share_of_words`.
    """
    if nearness is None:
        return words
    return (embedding_weight * min(max(nearness, 0.0), 1.0) + text_weight * words) / (embedding_weight + text_weight)
