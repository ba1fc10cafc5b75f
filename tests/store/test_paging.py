"""How a page becomes a range scan."""

from __future__ import annotations

import pytest

from holdover.store.paging import HIGHEST, LOWEST, Scan, plan


@pytest.mark.parametrize(
    ("ascending", "after", "before", "expected"),
    [
        (True, None, None, Scan(low=LOWEST, high=HIGHEST, upwards=True, reverse=False)),
        (False, None, None, Scan(low=LOWEST, high=HIGHEST, upwards=False, reverse=False)),
        (True, 5, None, Scan(low=5, high=HIGHEST, upwards=True, reverse=False)),
        (False, 5, None, Scan(low=LOWEST, high=5, upwards=False, reverse=False)),
        (True, None, 5, Scan(low=LOWEST, high=5, upwards=False, reverse=True)),
        (False, None, 5, Scan(low=5, high=HIGHEST, upwards=True, reverse=True)),
        (True, 2, 5, Scan(low=2, high=5, upwards=True, reverse=False)),
        (False, 5, 2, Scan(low=2, high=5, upwards=False, reverse=False)),
    ],
)
def test_a_page_is_read_from_the_end_that_its_cursor_marks(
    ascending: bool, after: int | None, before: int | None, expected: Scan
) -> None:
    assert plan(ascending=ascending, after=after, before=before) == expected
