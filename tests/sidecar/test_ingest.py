"""Rows that are posted, over TCP and a Unix socket, in every form."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import json
import random
import threading
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pyarrow as pa
import pytest
from event_models import dropped, listening, models, payloads, reference, snapshot, window
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from driftgauge.protocols import Limits, Names
from driftgauge.protocols._reading import Unfit
from driftgauge.sidecar import ingest
from driftgauge.sidecar.api_description import description
from driftgauge.sidecar.ingest import IngestWay, read_observations
from driftgauge.sidecar.ingest_arrow import read_arrow
from driftgauge.sidecar.ingest_rows import side_of
from driftgauge.sidecar.models import ModelRegistry
from driftgauge.sidecar.settings import IngestSettings, SinkSettings
from driftgauge.sidecar.sink import SinkWay

ROWS = [{"age": 33, "amount": 12.5, "fraud": 0}, {"age": 51, "amount": 99.0, "fraud": 1, "customer": "c-17"}]
COLUMNS = {"age": [33, 51], "amount": [12.5, 99.0], "fraud": [0, 1]}
NAMES = Names(("age", "amount"), ("fraud",))

Answer = tuple[int, Any, dict[str, str]]
Post = Callable[..., Awaitable[Answer]]


def served(
    folder: Path, work: Callable[[Post], Awaitable[None]], *references: Any, **how: Any
) -> ModelRegistry:
    """The registry, closed, after *work* with ingest in front of it."""

    async def all_of_it(registry: ModelRegistry) -> None:
        way = IngestWay(IngestSettings(), registry)
        uds = folder / "driftgauge.sock" if how.get("uds") else None
        async with listening(way.routes(), uds=uds) as url:
            connector = aiohttp.UnixConnector(str(uds)) if uds else None
            async with aiohttp.ClientSession(connector=connector) as session:

                async def post(
                    body: Any, kind: str = "application/json", query: str = "", **more: str
                ) -> Answer:
                    data = body if isinstance(body, bytes) else json.dumps(body).encode()
                    headers = {"Content-Type": kind, **more}
                    place = f"{url}/v1/observations{query}"
                    async with session.post(place, data=data, headers=headers) as answer:
                        return answer.status, await answer.json(content_type=None), dict(answer.headers)

                await work(post)

    with models(folder, *references, settings={"limits": how.get("limits", {})}) as registry:
        asyncio.run(all_of_it(registry))
        return registry


def arrow(columns: Any = COLUMNS, *, file: bool = False, compression: str | None = None) -> bytes:
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    to = io.BytesIO()
    make = pa.ipc.new_file if file else pa.ipc.new_stream
    with make(to, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    return to.getvalue()


LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
FORMS = {
    "rows": (json.dumps({"rows": ROWS}).encode(), "application/json"),
    "columns": (
        json.dumps({"model": "fraud", "columns": COLUMNS}).encode(),
        "application/json; charset=utf-8",
    ),
    "lines": (LINES, "application/x-ndjson"),
    "lines without an end": (b"\n" + LINES.strip(), "application/jsonl"),
    "arrow stream": (arrow(), "application/vnd.apache.arrow.stream"),
    "arrow file": (arrow(file=True), "application/vnd.apache.arrow.file"),
    "arrow in zstd": (arrow(compression="zstd"), "application/vnd.apache.arrow.stream"),
}


@pytest.mark.parametrize("uds", [False, True], ids=["tcp", "unix socket"])
@pytest.mark.parametrize("form", FORMS)
def test_rows_are_counted_in_every_form(tmp_path: Path, form: str, uds: bool) -> None:
    body, kind = FORMS[form]

    async def work(post: Post) -> None:
        status, answer, _ = await post(body, kind)
        assert (status, answer) == (202, {"model": "fraud", "rows": 2, "missing_features": []})

    registry = served(tmp_path, work, uds=uds)
    assert payloads(registry).decoded == 1
    found = window(registry)
    assert found["age"] == (2, pytest.approx(42, abs=0.2), 0)
    assert found["amount"][2] == 0
    assert found["fraud"] == (2, pytest.approx(0.5, abs=0.01), 0)


def test_a_feature_that_did_not_come_is_missing_and_told(tmp_path: Path) -> None:
    async def work(post: Post) -> None:
        _, answer, _ = await post({"rows": [{"age": 33}, {"age": None, "fraud": 1}]})
        assert answer["missing_features"] == ["amount"]

    found = window(served(tmp_path, work))
    assert [found[name][2] for name in ("age", "amount", "fraud")] == [0.5, 1.0, 0.5]


def test_rows_with_outputs_only_are_counted(tmp_path: Path) -> None:
    async def work(post: Post) -> None:
        assert (await post({"columns": {"fraud": [0, 1, 1]}}))[0] == 202

    found = window(served(tmp_path, work))
    assert (found["fraud"][0], found["fraud"][2], found["age"][2]) == (3, 0.0, 1.0)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_bodies_may_be_compressed(tmp_path: Path, encoding: str) -> None:
    press = gzip.compress if encoding == "gzip" else zlib.compress

    async def work(post: Post) -> None:
        assert (await post(press(LINES), "application/x-ndjson", **{"Content-Encoding": encoding}))[0] == 202

    assert snapshot(served(tmp_path, work)).rows == 2


def test_several_models_are_told_apart_by_body_or_query(tmp_path: Path) -> None:
    async def work(post: Post) -> None:
        assert (await post({"model": "churn", "rows": ROWS}))[1]["model"] == "churn"
        assert (await post(LINES, "application/x-ndjson", "?model=churn"))[1]["model"] == "churn"
        status, answer, _ = await post({"rows": ROWS})
        assert status == 404
        assert "'churn', 'fraud'" in answer["detail"]
        assert (await post({"model": "fraud", "rows": ROWS}, query="?model=churn"))[0] == 400
        assert (await post({"model": "x", "rows": ROWS}))[0] == 404

    registry = served(tmp_path, work, reference("fraud"), reference("churn"))
    assert (snapshot(registry, "churn").rows, snapshot(registry, "fraud").rows) == (4, 0)


WRONG: dict[str, tuple[Any, str, int, str]] = {
    "no JSON": (b"{", "application/json", 400, "not_json"),
    "a list": ([1], "application/json", 400, "wrong_type"),
    "both": ({"rows": ROWS, "columns": COLUMNS}, "application/json", 400, "several_keys"),
    "neither": ({"model": "fraud"}, "application/json", 400, "missing_key"),
    "another key": ({"rows": ROWS, "time": 7}, "application/json", 400, "wrong_type"),
    "no rows": ({"rows": []}, "application/json", 400, "empty"),
    "lists as rows": ({"rows": [[33, 12.5]]}, "application/json", 400, "wrong_type"),
    "a list in a cell": ({"rows": [{"age": [33, 34]}]}, "application/json", 400, "wrong_shape"),
    "an object in a cell": ({"rows": [{"age": {"x": 1}}]}, "application/json", 400, "wrong_type"),
    "no known name": ({"rows": [{"Age": 33}]}, "application/json", 400, "unknown_columns"),
    "columns of two lengths": (
        {"columns": {"age": [1, 2], "fraud": [1]}},
        "application/json",
        400,
        "wrong_length",
    ),
    "a broken line": (LINES + b"{\n", "application/x-ndjson", 400, "not_json"),
    "empty": (b"", "application/x-ndjson", 400, "empty"),
    "no Arrow": (b"hello", "application/vnd.apache.arrow.stream", 400, "wrong_type"),
    "half of Arrow": (arrow()[:-200], "application/vnd.apache.arrow.stream", 400, "wrong_type"),
    "lists in Arrow": (
        arrow({"age": [[1], [2]]}),
        "application/vnd.apache.arrow.stream",
        400,
        "unsupported_datatype",
    ),
    "form": (b"age=33", "application/x-www-form-urlencoded", 415, "unsupported_content_type"),
    "too deep": (b'{"rows": ' + b"[" * 100_000, "application/json", 400, "too_deep"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told_and_counted_and_nothing_of_it_is_taken(tmp_path: Path, what: str) -> None:
    body, kind, expected, reason = WRONG[what]

    async def work(post: Post) -> None:
        status, answer, headers = await post(body, kind)
        assert (status, answer["reason"], answer["status"]) == (expected, reason, expected)
        assert headers["Content-Type"].startswith("application/problem+json")
        assert "33" not in answer["detail"]

    registry = served(tmp_path, work)
    assert snapshot(registry).rows == 0
    if expected == 400:
        assert payloads(registry).undecodable == {reason: 1}


def test_the_line_that_is_broken_is_named(tmp_path: Path) -> None:
    async def work(post: Post) -> None:
        _, answer, _ = await post(LINES + b"\n{\n", "application/x-ndjson")
        assert answer["detail"].startswith("line 4:")

    served(tmp_path, work)


def test_a_body_beyond_the_limits_is_refused(tmp_path: Path) -> None:
    many = b'{"age": 33}\n' * 1_000

    async def work(post: Post) -> None:
        assert (await post(many * 2, "application/x-ndjson"))[0] == 413
        status, answer, _ = await post(
            gzip.compress(many * 50), "application/x-ndjson", **{"Content-Encoding": "gzip"}
        )
        assert (status, answer["reason"]) == (413, "too_large")
        status, answer, _ = await post(many, "application/x-ndjson")
        assert (status, answer["reason"]) == (400, "too_many_rows")

    limits = {"body_bytes": 20_000, "decompressed_bytes": 50_000, "rows": 500}
    counts = payloads(served(tmp_path, work, limits=limits))
    assert dropped(counts) == {"too_large": 2}
    assert counts.undecodable == {"too_many_rows": 1}


def test_rows_for_which_there_is_no_room_may_be_posted_again(tmp_path: Path) -> None:
    async def work(post: Post) -> None:
        answers = await asyncio.gather(*(post({"rows": ROWS}) for _ in range(50)))
        full = [headers for status, _, headers in answers if status == 503]
        assert all(headers["Retry-After"] == "1" for headers in full)
        taken.append(sum(status == 202 for status, _, _ in answers))
        assert len(full) + taken[0] == 50

    taken: list[int] = []
    registry = served(tmp_path, work, limits={"queue_bytes": 3_000})
    counts = payloads(registry)
    assert (counts.decoded, snapshot(registry).rows) == (taken[0], 2 * taken[0])
    assert counts.payloads == 50
    assert taken[0] < 50


def test_bodies_that_wait_to_be_parsed_are_bounded_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    parse = ingest._parsed

    def slow(*arguments: Any) -> Any:
        assert go_on.wait(20)
        return parse(*arguments)

    async def work(post: Post) -> None:
        body = json.dumps({"rows": ROWS}).encode() + b" " * 40_000
        waiting = [asyncio.ensure_future(post(body)) for _ in range(9)]
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=20)
        assert done, "all nine are held in memory"
        go_on.set()
        answers = await asyncio.gather(*waiting)
        assert {status for status, _, _ in answers} == {202, 503}

    monkeypatch.setattr(ingest, "_parsed", slow)
    counts = payloads(served(tmp_path, work, limits={"queue_bytes": 100_000}))
    assert counts.payloads == 9
    assert 1 <= counts.decoded <= 2


@pytest.mark.parametrize("form", ["rows", "columns"])
def test_what_is_large_is_not_read_on_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    threads: list[bool] = []

    def read(*arguments: Any) -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        return read_observations(*arguments)

    async def work(post: Post) -> None:
        for rows in (1, 20_000 if form == "columns" else 900):  # few rows, or few columns, may be many bytes
            columns = {name: values[:1] * rows for name, values in COLUMNS.items()}
            wide = [{**dict.fromkeys(map(str, range(10 * (rows > 1))), 0), **ROWS[0]}] * rows
            status, answer, _ = await post({form: columns if form == "columns" else wide})
            assert (status, answer["rows"]) == (202, rows)

    monkeypatch.setattr(ingest, "read_observations", read)
    served(tmp_path, work)
    assert threads == [True, False]


# ------------------------------------------------------------------ Arrow


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, None, 3], pa.int64()),
        pa.array([1.5, None, 3], pa.float32()),
        pa.array([1, 2, 3], pa.uint8()),
        pa.array(["1.5", "2.5", None]).cast(pa.decimal128(5, 2)),
        pa.array([1, 2, 1]).dictionary_encode(),
        pa.nulls(3),
    ],
    ids=lambda values: str(values.type),
)
def test_columns_of_arrow_are_what_pyarrow_says_they_are(values: pa.Array) -> None:
    found = read_arrow(arrow({"age": values}), side_of(NAMES, Limits()))
    expected = [None if value is None else float(value) for value in values.to_pylist()]
    assert [None if value is None else float(value) for value in found.columns["age"]] == expected


def test_texts_of_arrow_are_texts_and_batches_are_put_together() -> None:
    table = pa.concat_tables(pa.table({"plan": [text] * 3}) for text in ("free", "paid"))
    found = read_arrow(arrow(table), side_of(Names(("plan",), ()), Limits()))
    assert list(found.columns["plan"]) == ["free"] * 3 + ["paid"] * 3


def test_a_bomb_of_arrow_is_refused_before_it_is_blown_up() -> None:
    """90,000 rows of 200 columns of zeros are 144 MB; compressed they are 30 KB."""
    zeros = pa.table({"age": np.zeros(90_000)} | {f"c{number}": np.zeros(90_000) for number in range(199)})
    body = arrow(zeros, compression="zstd")
    assert len(body) < 100_000
    before = pa.total_allocated_bytes()
    most = pa.default_memory_pool().max_memory()
    with pytest.raises(Unfit, match="too_large"):
        read_arrow(body, side_of(NAMES, Limits()))
    assert pa.total_allocated_bytes() == before
    assert pa.default_memory_pool().max_memory() == most


def test_rows_without_bytes_are_bounded_too() -> None:
    """A null column needs no buffers, so that a few bytes may claim any number of rows."""
    body = arrow(pa.table({"age": pa.nulls(10_000_000)}))
    assert len(body) < 10_000
    tracemalloc.start()
    with pytest.raises(Unfit, match="too_many_rows"):
        read_arrow(body, side_of(NAMES, Limits()))
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_damaged_arrow_is_refused_and_nothing_else_happens() -> None:
    rng = random.Random(11)
    table = pa.table({"age": [1, 2, None], "plan": pa.array(["a", "b", "a"]).dictionary_encode()})
    side = side_of(Names(("age", "plan"), ()), Limits())
    for compression in (None, "zstd"):
        whole = arrow(table, compression=compression)
        for _ in range(1_500):
            damaged = bytearray(whole)
            for _ in range(rng.randint(1, 4)):
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            body = bytes(damaged[: rng.randrange(len(damaged))] if rng.random() < 0.3 else damaged)
            with contextlib.suppress(Unfit):
                assert read_arrow(body, side).rows > 0


# ------------------------------------------------------------------ laws

CELLS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text()
RECORDS = st.lists(
    st.dictionaries(st.sampled_from(["age", "amount", "fraud", "other"]), CELLS), min_size=1, max_size=5
).filter(lambda rows: any(row.keys() & set(COLUMNS) for row in rows))


@given(RECORDS)
@settings(max_examples=200, deadline=None)
def test_rows_and_columns_of_the_same_values_are_read_alike(rows: list[dict[str, Any]]) -> None:
    names = {name for row in rows for name in row}
    columns = {name: [row.get(name) for row in rows] for name in names}
    one = read_observations(rows, "json", NAMES, Limits())
    other = read_observations(columns, "json", NAMES, Limits())
    assert (one.inputs, one.outputs, one.rows) == (other.inputs, other.outputs, other.rows)
    both = {**one.inputs, **(one.outputs or {})}
    assert both == {name: columns[name] for name in COLUMNS if name in names}


# ------------------------------------------------------------------ the description


def document(tmp_path: Path) -> dict[str, Any]:
    with models(tmp_path) as registry:
        return description(
            [IngestWay(IngestSettings(), registry), SinkWay(SinkSettings(path="/events"), registry)]
        )


def test_the_description_is_openapi_and_names_every_route(tmp_path: Path) -> None:
    found = document(tmp_path)
    OpenAPIV31SpecValidator(found).validate()
    assert {"/v1/observations", "/events", "/events/{model}"} <= set(found["paths"])


def test_the_description_says_of_every_body_what_the_server_says(tmp_path: Path) -> None:
    """What it calls wrong is refused; what is taken and what is answered is as it says."""
    found = document(tmp_path)

    def fits(name: str, value: Any) -> bool:
        schema = {"$ref": f"#/components/schemas/{name}", "components": found["components"]}
        return Draft202012Validator(schema).is_valid(value)

    bodies = [json.loads(body) for body, kind in FORMS.values() if kind.split(";")[0] == "application/json"]
    bodies += [
        body for body, kind, _, _ in WRONG.values() if kind == "application/json" and type(body) is dict
    ]
    operation = found["paths"]["/v1/observations"]["post"]
    told: list[tuple[bool, int]] = []

    async def work(post: Post) -> None:
        for body in bodies:
            status, answer, _ = await post(body)
            told.append((fits("Observations", body), status))
            assert str(status) in operation["responses"]
            assert fits("Taken" if status == 202 else "Problem", answer)

    served(tmp_path, work)
    assert sum(status == 202 for _, status in told) == 2
    assert sum(not valid for valid, _ in told) >= 3
    assert all(status == 400 for valid, status in told if not valid)


def test_every_content_type_of_the_description_is_taken(tmp_path: Path) -> None:
    kinds = document(tmp_path)["paths"]["/v1/observations"]["post"]["requestBody"]["content"]

    async def work(post: Post) -> None:
        for kind in kinds:
            forms = [body for body, form in FORMS.values() if ("arrow" in form) == ("arrow" in kind)]
            body = forms[0] if "arrow" in kind or kind == "application/json" else LINES
            assert (await post(body, kind))[0] == 202

    served(tmp_path, work)
