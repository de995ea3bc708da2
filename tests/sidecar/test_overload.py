"""Ten times more than can be decoded: answers go out as they were, and what was dropped is counted."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from proxy_world import answer, connect, received, reference, request, world

from driftgauge import Monitor
from driftgauge._payload_intake import Intake
from driftgauge.protocols import Decoded, Message, Names, Undecodable, decoder

CLIENTS = 8
EACH = 250
ROOM = 50


class Slow:
    """A decoder that takes 5 ms a payload: 200 a second, where clients send some thousands."""

    name = "kserve_v1"
    both_halves = False

    def __init__(self) -> None:
        self._decoder = decoder("kserve_v1")

    def request(self, message: Message, names: Names) -> Decoded | Undecodable:
        time.sleep(0.005)
        return self._decoder.request(message, names)

    def response(self, message: Message, names: Names, request: Decoded | None) -> Decoded | Undecodable:
        return self._decoder.response(message, names, request)


async def answering(reader: Any, writer: Any) -> None:
    while True:
        await reader.readexactly(len(request()))
        writer.write(answer())


@pytest.mark.parametrize("sample", [1.0, 0.5])
def test_under_ten_times_the_load_answers_are_whole_and_every_row_is_accounted_for(sample: float) -> None:
    monitor = Monitor(reference(), min_rows=1, budget=None)
    intake = Intake(monitor, Slow(), "proxy", queue_payloads=ROOM, sample=sample)
    wrong: list[bytes] = []
    with world() as at:
        port = at.proxy(at.server(answering), lambda *_: intake)

        def client() -> None:
            with connect(port) as connection:
                for _ in range(EACH):
                    connection.sendall(request())
                    found = received(connection, len(answer()))
                    if found != answer():
                        wrong.append(found)

        threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert intake.drain(60)
        counts = intake.counts()
        offered = CLIENTS * EACH
        assert counts.payloads == offered
        assert counts.decoded + counts.dropped["queue_full"] + counts.dropped["sampled_out"] == offered
        assert counts.dropped["queue_full"] > offered // 4, "it was an overload"
        assert (counts.dropped["sampled_out"] > 0) == (sample < 1)
        found = monitor.snapshot()
        assert found.rows == found.rows_sampled == 2 * counts.decoded
        assert intake._bytes == 0, "what was claimed is given back"
    intake.close()
    monitor.close()
