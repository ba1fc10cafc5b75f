"""How rankings become one; pure. ``docs/explanation/ranking.md`` has the reasons and the measurements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

#: How little the first places of a ranking are preferred to the next: 1 / (K + place). From SciFact's train split.
K = 20


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


def relevance(*, nearness: float | None, words: float, embedding_weight: float, text_weight: float) -> float:
    """Return the score of a chunk, 0..1: how near it is in meaning and how much of the words it has, by weight.

    Args:
        nearness: The cosine of question and chunk; ``None`` where the chunk has no vector.
        words: Which part it has of the most that its words could score.
    """
    if nearness is None:
        return words
    return (embedding_weight * min(max(nearness, 0.0), 1.0) + text_weight * words) / (embedding_weight + text_weight)
