"""Templates agree with ``strftime`` in the C locale, at any moment."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from towline.policy.template import DIRECTIVES, resolve_tag

moments = st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


@given(moments, st.sampled_from(sorted(DIRECTIVES - {"n"})))
def test_every_directive_is_that_of_strftime(moment: datetime, directive: str) -> None:
    assert resolve_tag(f"%{directive}", "tag", moment) == moment.strftime(f"%{directive}")


@given(moments, st.text(st.characters(codec="ascii"), max_size=20))
def test_the_source_tag_is_taken_as_it_is(moment: datetime, tag: str) -> None:
    assert resolve_tag("%n", tag, moment) == tag
