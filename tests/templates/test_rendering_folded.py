"""Texts are folded piece by piece; what comes out is what folding the whole text gives."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.smpp.text import fold
from gateway.templates.registry import Registry
from gateway.templates.rendering import _fill, _fold, _one_line
from gateway.templates.schema import PLACEHOLDER

TEMPLATES = list(Registry.load())
VALUES = st.text(
    alphabet=st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("ăâđêôơưỘế\u0301\u0338{}`"))
)


@given(template=st.sampled_from(TEMPLATES), value=VALUES)
@example(TEMPLATES[0], "\u0338 Thẩm định hồ sơ")
def test_piece_by_piece_is_as_the_whole(template, value: str) -> None:  # type: ignore[no-untyped-def]
    value = _one_line(value)
    wanted = dict.fromkeys(template.names, value)
    whole = PLACEHOLDER.sub(lambda found: wanted[found[1]], template.text)
    assert _fill(template, wanted, "fold") == fold(whole)
    assert _fold(value) == fold(value)
