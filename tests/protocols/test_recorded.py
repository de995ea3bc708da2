"""Every recorded payload decodes to the right columns."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import text_format
from recordings import (
    INPUTS,
    LABEL_AND_PARTS,
    ONE_LABEL,
    PAYLOADS,
    ROWS,
    SCORES,
    TWO_SCORES,
    as_json,
    event,
    halves,
    head,
    recorded,
)

from driftgauge.protocols import Exchange, Message, Names, Undecodable, decode_exchange, decoder
from driftgauge.protocols._open_inference_messages import infer_messages

LABELS = {"label": [0, 1]}
BOTH_SCORES = {"ok": SCORES[0::2], "fraud": SCORES[1::2]}
PARTS = {"proba_0": SCORES[0::2], "proba_1": SCORES[1::2]}
JSON = {"content-type": "application/json"}
CSV = {"content-type": "text/csv"}
BINARY = {"content-type": "application/octet-stream"}


def with_length(name: str, length: int) -> Message:
    return recorded(name, BINARY | {"inference-header-content-length": str(length)})


RECORDED: dict[str, tuple[str, Message, Message, Names, Any]] = {
    "KServe V1": (
        "kserve_v1",
        recorded("kserve/v1_req.json", JSON),
        recorded("kserve/v1_resp.json", head("kserve/v1_hdr.txt")),
        ONE_LABEL,
        LABELS,
    ),
    "KServe's logger": (
        "kserve_v1",
        event("kserve/ce_logger_request.http"),
        event("kserve/ce_logger_response.http"),
        ONE_LABEL,
        LABELS,
    ),
    "KServe V2": (
        "open_inference",
        recorded("kserve/v2_req.json", JSON),
        recorded("kserve/v2_resp.json", head("kserve/v2_hdr.txt")),
        ONE_LABEL,
        LABELS,
    ),
    "KServe V2, binary": (
        "open_inference",
        with_length(
            "kserve/v2_binary_req.bin", int((PAYLOADS / "kserve/v2_binary_req.header-length").read_text())
        ),
        recorded("kserve/v2_binary_resp.bin", JSON),
        ONE_LABEL,
        LABELS,
    ),
    "KServe V2, binary, header lost by the logger": (
        "open_inference",
        recorded("kserve/v2_binary_req.bin", BINARY),
        recorded("kserve/v2_binary_resp.bin", BINARY),  # the request's content type, as the logger has it
        ONE_LABEL,
        LABELS,
    ),
    "MLServer": (
        "open_inference",
        recorded("mlserver/req.json", JSON),
        recorded("mlserver/resp.json", head("mlserver/hdr.txt")),
        ONE_LABEL,
        LABELS,
    ),
    "MLServer, one tensor a column": (
        "open_inference",
        recorded("mlserver/req2.json", JSON),
        recorded("mlserver/resp2.json", JSON),
        TWO_SCORES,
        BOTH_SCORES,
    ),
    "MLServer, parts of an output": (
        "open_inference",
        recorded("mlserver/req_binary.bin"),
        recorded("mlserver/resp2.json", JSON),
        Names(INPUTS, ("predict_proba_0", "predict_proba_1")),
        {"predict_proba_0": SCORES[0::2], "predict_proba_1": SCORES[1::2]},
    ),
    "MLServer, gRPC as JSON": (
        "open_inference_grpc",
        recorded("mlserver/grpc_req.json"),
        recorded("mlserver/grpc_resp.json"),
        ONE_LABEL,
        LABELS,
    ),
    "Triton": (
        "open_inference",
        recorded("triton/req.json", JSON),
        recorded("triton/resp.json", JSON),
        LABEL_AND_PARTS,
        LABELS | PARTS,
    ),
    "Triton, binary": (
        "open_inference",
        with_length("triton/req_binary.bin", 167),
        recorded(
            "triton/resp_binary.bin",
            {
                name.lower(): value
                for name, value in json.loads(
                    (PAYLOADS / "triton/resp_binary.headers.json").read_text()
                ).items()
            },
        ),
        LABEL_AND_PARTS,
        LABELS | PARTS,
    ),
    "Seldon, ndarray": (
        "seldon",
        recorded("seldon/req_ndarray.json", JSON),
        recorded("seldon/resp_ndarray.json", head("seldon/hdr.txt")),
        TWO_SCORES,
        BOTH_SCORES,
    ),
    "Seldon, tensor": (
        "seldon",
        recorded("seldon/req_tensor.json", JSON),
        recorded("seldon/resp_tensor.json", JSON),
        TWO_SCORES,
        BOTH_SCORES,
    ),
    **{
        f"MLflow, {form}": (
            "mlflow",
            recorded(f"mlflow/req-{form}.txt", CSV if form == "csv" else JSON, "/invocations"),
            recorded(f"mlflow/resp-{form}.txt", head(f"mlflow/hdr-{form}.txt"), "/invocations"),
            ONE_LABEL,
            LABELS,
        )
        for form in ("dataframe_split", "dataframe_records", "instances_rec", "inputs_dict", "csv")
    },
}


@pytest.mark.parametrize("case", RECORDED)
def test_a_recorded_exchange_gives_its_rows(case: str) -> None:
    protocol, request, response, names, outputs = RECORDED[case]
    assert halves(decode_exchange(decoder(protocol), request, response, names)) == (ROWS, outputs)


@pytest.mark.parametrize("case", RECORDED)
def test_the_protocol_of_a_recorded_exchange_is_told_without_its_name(case: str) -> None:
    _, request, response, names, outputs = RECORDED[case]
    if "gRPC" in case:  # a message of gRPC is told by its path only
        request = Message(request.body, {}, "/inference.GRPCInferenceService/ModelInfer")
    assert halves(decode_exchange(decoder("auto"), request, response, names)) == (ROWS, outputs)


def test_one_row_of_mlflow_with_parameters_is_one_row() -> None:
    exchange = decode_exchange(
        decoder("mlflow"), recorded("mlflow/req-params.txt"), recorded("mlflow/resp-params.txt"), ONE_LABEL
    )
    assert halves(exchange) == ({"age": [33], "amount": [12.5]}, {"label": [0]})


@pytest.mark.parametrize(
    ("name", "reason"),
    [("bad", "missing_key"), ("inputs_tensor", "missing_key"), ("csv_ts", "not_json")],
)
def test_mlflows_refusals_are_no_responses(name: str, reason: str) -> None:
    response = recorded(f"mlflow/resp-{name}.txt", head(f"mlflow/hdr-{name}.txt"))
    found = decoder("mlflow").response(response, ONE_LABEL, None)
    assert isinstance(found, Undecodable)
    assert found.reason == reason


def test_a_request_that_mlflow_refused_is_not_decoded() -> None:
    found = decoder("mlflow").request(recorded("mlflow/req-bad.txt"), ONE_LABEL)
    assert isinstance(found, Undecodable)
    assert found.reason == "missing_key"


def test_tritons_grpc_answer_gives_its_raw_tensors() -> None:
    _, response = infer_messages()
    logged = text_format.Parse((PAYLOADS / "triton/grpc_resp.txt").read_text(), response())
    found = decoder("open_inference_grpc").response(
        Message(logged.SerializeToString()), LABEL_AND_PARTS, None
    )
    assert halves(Exchange({}, found.columns, 2)) == ({}, LABELS | PARTS)  # type: ignore[union-attr]


def tensorflow(number: int, names: Names) -> Any:
    example = json.loads((PAYLOADS / "tfserving/examples.json").read_text())[number]
    request, response = as_json(example["request"], JSON), as_json(example["response"], JSON)
    path = example["path"]
    named = decode_exchange(decoder("tensorflow"), request, response, names)
    told = decode_exchange(
        decoder("auto"), Message(request.body, JSON, path), Message(response.body, JSON, path), names
    )
    assert halves(told) == halves(named)
    return halves(named)


@pytest.mark.parametrize(
    ("number", "names", "expected"),
    [
        (0, TWO_SCORES, (ROWS, {"ok": [0.99, 0.0], "fraud": [0.01, 1.0]})),
        (1, Names(INPUTS, ("label", "score")), (ROWS, {"label": [0, 1], "score": [0.1, 0.9]})),
        (2, TWO_SCORES, (ROWS, {"ok": [0.99, 0.0], "fraud": [0.01, 1.0]})),
        (
            3,
            Names(INPUTS, ("label", "score")),
            ({"age": [33.0], "amount": [12.5]}, {"label": [0], "score": [0.1]}),
        ),
        (4, Names(("image",), ("score",)), ({"image": ["hello"]}, {"score": [0.5]})),
        (5, Names(INPUTS, ("0", "1")), ({"age": [33], "amount": [12.5]}, {"0": [0.9], "1": [0.1]})),
        (6, Names(INPUTS, ("score",)), ({"age": [33], "amount": [12.5]}, {"score": [0.5]})),
    ],
)
def test_an_example_of_tensorflow_serving_gives_its_rows(number: int, names: Names, expected: Any) -> None:
    assert tensorflow(number, names) == expected


@pytest.mark.parametrize(
    ("number", "protocol", "mapping"),
    [(0, "mapping", {"rows": "data"}), (1, "kserve_v1", None), (2, "open_inference", None)],
)
def test_an_example_of_torchserve_gives_its_row(number: int, protocol: str, mapping: Any) -> None:
    example = json.loads((PAYLOADS / "torchserve/examples.json").read_text())[number]
    if mapping:
        mapping = mapping | {"outputs": "@"}
    exchange = decode_exchange(
        decoder(protocol, mapping=mapping),
        as_json(example["request"]),
        as_json(example["response"]),
        ONE_LABEL,
    )
    assert halves(exchange) == ({"age": [33.0], "amount": [12.5]}, {"label": [0]})


def captured(number: int) -> Message:
    return Message((PAYLOADS / "sagemaker/datacapture.jsonl").read_bytes().splitlines()[number])


def test_a_line_of_csv_that_sagemaker_captured_gives_both_halves_and_the_time() -> None:
    names = Names(("a", "b", "c", "d", "e", "f"), ("score",))
    exchange = decode_exchange(decoder("sagemaker_capture"), captured(0), None, names)
    inputs, outputs = halves(exchange)
    assert inputs is not None
    assert [values[0] for values in inputs.values()] == [69, 0, 153.7, 109, 194.0, 105]
    assert outputs == {"score": [0.0254181120544672]}
    assert isinstance(exchange, Exchange)
    assert exchange.seconds == 1_644_859_549  # date -u -d 2022-02-14T17:25:49Z +%s


def test_a_line_of_json_that_sagemaker_captured_gives_both_halves() -> None:
    exchange = decode_exchange(decoder("sagemaker_capture"), captured(1), None, ONE_LABEL)
    assert halves(exchange) == ({"age": [33.0], "amount": [12.5]}, {"label": [0]})


def test_parquet_that_sagemaker_captured_is_not_decoded() -> None:
    found = decode_exchange(decoder("sagemaker_capture"), captured(2), None, ONE_LABEL)
    assert isinstance(found, Undecodable)
    assert found.reason == "unsupported_content_type"


def test_the_metadata_of_servers_are_no_payloads() -> None:
    for name in ("triton/meta.json", "mlserver/meta.json"):
        assert isinstance(decoder("open_inference").request(recorded(name), ONE_LABEL), Undecodable)
