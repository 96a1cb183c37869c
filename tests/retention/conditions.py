"""Strategies for conditions as `retention.expression` can write them, and for the fields they ask."""

from datetime import date, datetime

from hypothesis import strategies as st

from retention.condition import And, Compare, Condition, In, IsNull, Not, Or
from retention.records import Value

NAMES = ("status", "amount", "closed_on", "opted_in", "kind")

names = st.sampled_from(NAMES)
texts = st.text(
    st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"]), max_size=12
) | st.sampled_from(["it's", "a''b", "\\", "' or 1=1 --", "%", "/* x */", ";"])
numbers = st.integers(-(10**12), 10**12) | st.decimals(-(10**6), 10**6, places=2)
days = st.dates(date(1900, 1, 1), date(2100, 1, 1))
ordered: st.SearchStrategy[Value] = numbers | days
equal: st.SearchStrategy[Value] = ordered | texts | st.booleans()

fields = st.dictionaries(
    names,
    st.none() | equal | st.datetimes(datetime(1990, 1, 1), datetime(2050, 1, 1)) | st.floats(allow_nan=True),  # noqa: DTZ001  # columns without a zone
)

leaves: st.SearchStrategy[Condition] = (
    st.builds(Compare, names, st.sampled_from(["=", "<>"]), equal)
    | st.builds(Compare, names, st.sampled_from(["<", "<=", ">", ">="]), ordered)
    | st.builds(In, names, st.lists(equal, min_size=1, max_size=4).map(tuple), st.booleans())
    | st.builds(IsNull, names, st.booleans())
)


def _flat(kind: type[And] | type[Or], parts: list[Condition]) -> Condition:
    flat: list[Condition] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, And | Or) and isinstance(part, kind) else (part,))
    return kind(tuple(flat))


def _compound(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(inner, min_size=2, max_size=4)
    return (
        inner.map(Not)
        | several.map(lambda parts: _flat(And, parts))
        | several.map(lambda parts: _flat(Or, parts))
    )


conditions = st.recursive(leaves, _compound, max_leaves=8)
