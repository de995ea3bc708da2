"""How columns get their names, which protocol a payload is in, and what windows see of it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import Any
from urllib.parse import quote_plus

import numpy as np
import pytest
from encoders import REQUESTS, csv_text, json_lines
from recordings import as_json, halves, rows_of

from driftgauge.frames import label
from driftgauge.monitor import Monitor
from driftgauge.protocols import Exchange, Limits, Message, Names, Undecodable, decode_exchange, decoder
from driftgauge.reference import Reference
from driftgauge.windows import rows

NAMES = Names(("age", "amount"), ("label",))
WHOLE = {"age": [33, 51], "amount": [12.5, 99.0]}
ROWS = [[33, 12.5], [51, 99.0]]


def asked(protocol: str, body: Any, names: Names = NAMES, **headers: str) -> Any:
    message = body if isinstance(body, Message) else as_json(body, headers)
    return decoder(protocol).request(message, names)


def test_features_that_did_not_come_are_absent_and_others_are_not_looked_at() -> None:
    found = asked("kserve_v1", {"instances": [{"age": 33, "name": {"first": ["x"]}}, {"age": 51}]})
    assert rows_of(found) == {"age": [33, 51]}
    assert found.names_given


def test_a_key_that_one_row_lacks_is_missing_there() -> None:
    found = asked("kserve_v1", {"instances": [{"age": 33}, {"amount": 99.0}]})
    assert rows_of(found) == {"age": [33, None], "amount": [None, 99.0]}


def test_positions_name_what_has_no_names() -> None:
    found = asked("kserve_v1", {"instances": ROWS})
    assert rows_of(found) == WHOLE
    assert not found.names_given


def test_a_row_of_nested_lists_is_read_in_row_major_order() -> None:
    names = Names(("a", "b", "c", "d"), ())
    found = asked("kserve_v1", {"instances": [[[1, 2], [3, 4]]]}, names)
    assert rows_of(found) == {"a": [1], "b": [2], "c": [3], "d": [4]}


def test_a_tensor_with_a_name_of_its_own_is_all_features() -> None:
    for body in ({"instances": [{"dense_input": row} for row in ROWS]}, {"inputs": {"dense_input": ROWS}}):
        assert rows_of(asked("tensorflow", body)) == WHOLE


def test_a_tensor_whose_name_is_a_features_by_accident_is_all_features() -> None:
    body = {"inputs": [{"name": "age", "shape": [2, 2], "datatype": "FP64", "data": ROWS}]}
    assert rows_of(asked("open_inference", body)) == WHOLE


def test_a_vector_is_one_row_of_a_model_without_a_batch_dimension() -> None:
    body = {"inputs": [{"name": "x", "shape": [2], "datatype": "FP64", "data": [33, 12.5]}]}
    assert rows_of(asked("open_inference", body)) == {"age": [33], "amount": [12.5]}


def test_several_tensors_of_unknown_names_are_not_guessed() -> None:
    tensors = [{"name": name, "shape": [1], "datatype": "FP64", "data": [1]} for name in "xy"]
    found = asked("open_inference", {"inputs": tensors})
    assert isinstance(found, Undecodable)
    assert found.reason == "unknown_columns"


def test_names_of_a_data_frame_bind_and_numbers_of_pandas_do_not() -> None:
    unknown = asked("mlflow", {"dataframe_split": {"columns": ["x", "y"], "data": ROWS}})
    assert isinstance(unknown, Undecodable)
    assert rows_of(asked("mlflow", {"dataframe_split": {"columns": [0, 1], "data": ROWS}})) == WHOLE


def test_seldons_names_are_by_the_way_when_the_reference_has_none_of_them() -> None:
    assert rows_of(asked("seldon", {"data": {"names": ["t:0", "t:1"], "ndarray": ROWS}})) == WHOLE


def test_one_flat_answer_to_one_row_is_one_row() -> None:
    names = Names(("age", "amount"), ("ok", "fraud"))
    exchange = decode_exchange(
        decoder("kserve_v1"), as_json({"instances": ROWS[:1]}), as_json({"predictions": [0.9, 0.1]}), names
    )
    assert halves(exchange)[1] == {"ok": [0.9], "fraud": [0.1]}
    two = decode_exchange(
        decoder("kserve_v1"), as_json({"instances": ROWS}), as_json({"predictions": [0.9, 0.1]}), names
    )
    assert two.notes == ("response", "wrong_shape")  # type: ignore[union-attr]


def test_two_scores_are_not_taken_for_one() -> None:
    found = decoder("kserve_v1").response(as_json({"predictions": [[0.9, 0.1]]}), NAMES, None)
    assert found == Undecodable("wrong_shape", "2 values a row without names for 1 features")


def test_sagemakers_wrappers_are_taken_off() -> None:
    for line in ({"features": ROWS[0]}, {"data": {"features": {"values": ROWS[0]}}}, ROWS[0]):
        found = asked("sagemaker", json_lines([line]))
        assert rows_of(found) == {"age": [33], "amount": [12.5]}
        body = {"instances": [line]}
        assert rows_of(asked("sagemaker", body, **{"content-type": "application/json"})) == rows_of(found)


def test_one_line_of_csv_may_answer_several_rows() -> None:
    """XGBoost's container answers a batch so."""
    exchange = decode_exchange(
        decoder("sagemaker_csv"), csv_text(None, ROWS), csv_text(None, [[0.1, 0.9]]), NAMES
    )
    assert halves(exchange) == (WHOLE, {"label": [0.1, 0.9]})


def test_csv_has_no_types_but_those_of_the_reference() -> None:
    names = Names(("age", "plan"), (), frozenset({"plan"}))
    found = rows_of(asked("mlflow", csv_text(names.inputs, [("33", "007"), ("1_0", ""), ("", "NA")]), names))
    assert found == {"age": [33.0, "1_0", None], "plan": ["007", None, None]}


def test_a_text_too_long_for_a_category_is_known_by_its_label() -> None:
    long = "é" * 5_000
    found = rows_of(asked("kserve_v1", {"instances": [{"age": long}, {"age": "x" * 1_000}]}))
    assert found["age"] == [label(long), "x" * 1_000]
    assert label(found["age"][0]) == label(long)


def test_seldons_form_and_structured_events_are_unpacked() -> None:
    inner = {"data": {"ndarray": ROWS}}
    form = Message(
        b"json=" + quote_plus(json.dumps(inner)).encode(),
        {"content-type": "application/x-www-form-urlencoded"},
    )
    assert rows_of(asked("seldon", form)) == WHOLE
    kind = {"content-type": "application/cloudevents+json; charset=utf-8"}
    packed = base64.b64encode(json.dumps({"instances": ROWS}).encode()).decode()
    for event in ({"data": {"instances": ROWS}}, {"data_base64": packed}):
        assert rows_of(asked("kserve_v1", {"specversion": "1.0", "id": "1", **event}, **kind)) == WHOLE


def test_a_tftensor_of_seldon_is_read_from_values_and_from_bytes() -> None:
    shape = {"dim": [{"size": "2"}, {"size": 2}]}
    flat = [value for row in ROWS for value in row]
    packed = base64.b64encode(np.asarray(flat, "<f8").tobytes()).decode()
    for values in ({"doubleVal": flat}, {"tensorContent": packed}):
        tensor = {"dtype": "DT_DOUBLE", "tensorShape": shape, **values}
        assert rows_of(asked("seldon", {"data": {"tftensor": tensor}})) == WHOLE


@pytest.mark.parametrize(
    ("path", "headers", "body", "protocol"),
    [
        ("/inference.GRPCInferenceService/ModelInfer", {}, {}, "open_inference_grpc"),
        ("", {"content-type": "application/grpc+proto"}, {}, "open_inference_grpc"),
        ("/v2/models/m/versions/1/infer", {}, {}, "open_inference"),
        ("", {"inference-header-content-length": "2"}, {}, "open_inference"),
        ("/v1/models/m:predict?x=1", {}, {}, "tensorflow"),
        ("/seldon/ns/d/api/v1.0/predictions", {}, {}, "seldon"),
        ("/invocations", {"content-type": "text/csv"}, {}, "sagemaker"),
        ("/invocations", {}, {"dataframe_records": []}, "mlflow"),
        ("/invocations", {}, {"inputs": {"age": []}}, "tensorflow"),
        ("/anything", {}, {"inputs": [{"datatype": "FP64"}]}, "open_inference"),
        ("/anything", {}, {"data": {"ndarray": []}}, "seldon"),
        ("/anything", {}, {"data": [1]}, "json"),
        ("/anything", {}, {"inputs": 3, "age": 3}, "json"),
        ("/anything", {}, [[1]], "json"),
    ],
)
def test_auto_tells_the_protocol(path: str, headers: dict[str, str], body: Any, protocol: str) -> None:
    auto: Any = decoder("auto")
    chosen, _ = auto._choose(as_json(body, headers, path))
    assert chosen.name == protocol


def test_auto_reads_a_response_by_the_protocol_of_its_request() -> None:
    """A bare list of V1's answers would be told as no protocol of its own."""
    request = as_json({"dataframe_split": {"columns": ["age", "amount"], "data": ROWS}})
    exchange = decode_exchange(decoder("auto"), request, as_json({"predictions": [0, 1]}), NAMES)
    assert halves(exchange) == (WHOLE, {"label": [0, 1]})
    wrong = decode_exchange(decoder("auto"), request, as_json({"outputs": [0, 1]}), NAMES)
    assert wrong.notes == ("response", "missing_key")  # type: ignore[union-attr]


@pytest.mark.parametrize("form", REQUESTS)
def test_windows_count_what_was_decoded_as_they_count_the_rows_themselves(form: str) -> None:
    rng = np.random.default_rng(3)
    ages, amounts = rng.normal(40, 10, 2_000), rng.normal(50, 20, 2_000)
    reference = Reference.fit({"age": ages, "amount": amounts, "label": ages > 50}, outputs=["label"])
    protocol, encode = REQUESTS[form]
    live = np.column_stack([ages[:200] + 5, amounts[:200]]).tolist()
    answers = [[bool(age > 50)] for age, _ in live]
    names = Names.of(reference)
    assert names == Names(("age", "amount"), ("label",), frozenset())
    exchange = decode_exchange(decoder(protocol), encode(names.inputs, live), None, names)
    assert isinstance(exchange, Exchange)
    seen = []
    for inputs in (exchange.inputs, np.asarray(live)):
        with Monitor(reference, windows=[rows(1_000)], budget=None) as monitor:
            monitor.observe(inputs, {"label": [answer for (answer,) in answers]}, now_seconds=1.0)
            snapshot = monitor.snapshot(now_seconds=2.0)
            assert snapshot.rows_sampled == 200
            seen.append([(each.name, each.psi, each.ks) for each in snapshot.windows[0].features])
    assert seen[0] == seen[1]


def test_names_of_a_reference_know_which_features_are_texts() -> None:
    data = {"age": [1.0, 2.0] * 50, "plan": ["a", "b"] * 50, "score": [0.5, 1.0] * 50}
    names = Names.of(Reference.fit(data, outputs=["score"]))
    assert names == Names(("age", "plan"), ("score",), frozenset({"plan"}))


def test_the_package_itself_loads_no_library_of_a_protocol() -> None:
    code = """
import sys, driftgauge.protocols as protocols
print(*({"msgspec", "jmespath", "google.protobuf"} & set(sys.modules)))
protocols.decoder("kserve_v1")
print(*sorted({"msgspec", "jmespath", "google.protobuf"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "\nmsgspec\n"


@pytest.mark.parametrize(
    ("absent", "protocol"),
    [("msgspec", "json"), ("jmespath", "mapping"), ("google.protobuf", "open_inference_grpc")],
)
def test_a_library_that_is_not_installed_is_named_with_the_command(absent: str, protocol: str) -> None:
    mapping = "{'rows': 'x'}" if protocol == "mapping" else "None"
    code = f"""
import sys
sys.modules[{absent!r}] = None
import driftgauge
from driftgauge.protocols import decoder
try:
    decoder({protocol!r}, mapping={mapping})
except driftgauge.MissingExtraError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip().endswith(f"{absent.removeprefix('google.')}; pip install driftgauge[sidecar]")


def test_our_messages_live_beside_those_of_other_packages() -> None:
    """MLServer, KServe and Triton's client each register inference.ModelInferRequest in the common pool."""
    code = """
from google.protobuf import descriptor_pb2, descriptor_pool
from driftgauge.protocols import decoder
decoder("open_inference_grpc")
file = descriptor_pb2.FileDescriptorProto(name="driftgauge/open_inference.proto", package="inference")
file.message_type.add(name="ModelInferRequest")
descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
"""
    subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120, check=True)


def test_limits_are_what_they_say() -> None:
    assert Limits() == Limits(
        body_bytes=16 * 2**20,
        decompressed_bytes=64 * 2**20,
        rows=100_000,
        columns=10_000,
        values=2_000_000,
        depth=32,
        text_chars=1_000,
    )


def test_one_line_may_answer_more_rows_than_there_may_be_columns() -> None:
    request = csv_text(None, [[1, 2]] * 50)
    limits = Limits(columns=10)
    exchange = decode_exchange(
        decoder("sagemaker_csv", limits=limits), request, csv_text(None, [[0.5] * 50]), NAMES
    )
    assert halves(exchange)[1] == {"label": [0.5] * 50}
