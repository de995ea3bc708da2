"""Whatever the bytes are, a decoder gives rows or a reason of the list, and raises nothing."""

from __future__ import annotations

import pytest
from fuzzing import MAPPING, NAMES, fuzz
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.protocols import PROTOCOLS, REASONS, Limits, Message, Undecodable, decoder


def test_damaged_payloads_give_rows_or_a_reason() -> None:
    outcomes = fuzz(30_000, seed=5)
    for protocol, counted in outcomes.items():
        assert counted["decoded"] > 0, f"no payload of {protocol} was whole: nothing was tried"
        assert len(counted) > 5, f"{protocol} was given too little variety"
    assert {reason for counted in outcomes.values() for reason in counted} - {"decoded"} <= set(REASONS)


@pytest.mark.slow
def test_a_million_damaged_payloads_give_rows_or_a_reason() -> None:
    outcomes = fuzz(1_000_000, seed=6)
    assert sum(counted.total() for counted in outcomes.values()) >= 1_000_000
    never = set(REASONS) - {reason for counted in outcomes.values() for reason in counted}
    assert never == {"internal_error"}, "every reason but that one is reached"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(
    body=st.binary(max_size=200),
    kind=st.sampled_from(["", "text/csv", "application/json", "application/grpc"]),
)
def test_random_bytes_give_rows_or_a_reason(protocol: str, body: bytes, kind: str) -> None:
    made = decoder(protocol, limits=Limits(), mapping=MAPPING if protocol == "mapping" else None)
    message = Message(body, {"content-type": kind})
    for found in (made.request(message, NAMES), made.response(message, NAMES, None)):
        assert not isinstance(found, Undecodable) or found.reason in set(REASONS) - {"internal_error"}
