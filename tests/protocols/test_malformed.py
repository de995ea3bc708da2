"""What cannot be decoded says why: one reason of a short list, and nothing of what was in it."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from typing import Any

import pytest
from encoders import delimited, json_lines, open_inference, protobuf
from recordings import as_json, rows_of

from driftgauge.errors import ConfigError
from driftgauge.protocols import (
    PROTOCOLS,
    REASONS,
    Exchange,
    Limits,
    Message,
    Names,
    Undecodable,
    decode_exchange,
    decoder,
)

NAMES = Names(("age", "amount"), ("label",), frozenset({"label"}))
GZIP = {"content-encoding": "gzip"}
SMALL = Limits(body_bytes=1_000, decompressed_bytes=2_000, rows=10, columns=5, values=100, depth=4)


def tensor(**changes: Any) -> Message:
    whole = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [33, 12.5]} | changes
    return as_json({"inputs": [{key: value for key, value in whole.items() if value is not None}]})


def binary(length: str, body: bytes) -> Message:
    return Message(body, {"inference-header-content-length": length})


def tensors(size: Any, *, shape: Any = (1, 2), datatype: str = "FP64", rest: bytes = b"\0" * 16) -> Message:
    parameters = {"binary_data_size": size}
    listed = [{"name": "x", "shape": list(shape), "datatype": datatype, "parameters": parameters}]
    text = json.dumps({"inputs": listed}).encode()
    return binary(str(len(text)), text + rest)


def csv(text: str | bytes) -> Message:
    return Message(text if isinstance(text, bytes) else text.encode(), {"content-type": "text/csv"})


def captured(**half: Any) -> Message:
    return as_json({"captureData": {"endpointInput": half}})


ROW = {"age": 33, "amount": 12.5}
REASONED: list[tuple[str, Message, str]] = [
    ("kserve_v1", Message(b""), "empty"),
    ("kserve_v1", Message(b" \n"), "empty"),
    ("kserve_v1", Message(b'{"instances": [[33, 12.5]'), "not_json"),
    ("kserve_v1", Message(b'{"instances": [[33, 12.5]]} and more'), "not_json"),
    ("kserve_v1", Message(b'{"instances": [[33, "\xff"]]}'), "not_utf8"),
    ("kserve_v1", Message(b"\x89PNG", {"content-type": "image/png"}), "unsupported_content_type"),
    ("kserve_v1", as_json([[33, 12.5]]), "wrong_type"),
    ("kserve_v1", as_json({}), "missing_key"),
    ("kserve_v1", as_json({"instances": [], "inputs": []}), "several_keys"),
    ("kserve_v1", as_json({"instances": []}), "empty"),
    ("kserve_v1", as_json({"instances": {"age": [33]}}), "wrong_type"),
    ("kserve_v1", as_json({"instances": [33, 12.5]}), "wrong_shape"),
    ("kserve_v1", as_json({"instances": [[33]]}), "wrong_shape"),
    ("kserve_v1", as_json({"instances": [[33, 12.5], [51]]}), "wrong_shape"),
    ("kserve_v1", as_json({"instances": [[33, 12.5], {"age": 51}]}), "wrong_type"),
    ("kserve_v1", as_json({"instances": [[33, {"amount": 12.5}]]}), "wrong_type"),
    ("kserve_v1", as_json({"instances": [{"age": {"years": 33}}]}), "wrong_type"),
    ("kserve_v1", as_json({"instances": [{"age": [33, 34]}]}), "wrong_shape"),
    ("kserve_v1", as_json({"instances": [{"b64": "?"}, {"b64": "aGk="}]}), "wrong_shape"),
    ("kserve_v1", as_json({"instances": [{"age": {"b64": "?"}}]}), "bad_encoding"),
    ("kserve_v1", as_json({"instances": [{"Age": 33, "Amount": 12.5}]}), "unknown_columns"),
    ("kserve_v1", Message(b'{"instances": ' + b"[" * 100 + b"]" * 100 + b"}"), "too_deep"),
    ("kserve_v1", Message(b"[" * 100_000), "too_deep"),
    ("kserve_v1", Message(b'{"a":' * 100_000), "too_deep"),
    ("tensorflow", as_json({"inputs": {"age": [33, 51], "amount": [12.5]}}), "wrong_length"),
    ("tensorflow", as_json({"inputs": {"age": [33, 51], "amount": 12.5}}), "wrong_length"),
    ("tensorflow", as_json({"inputs": {"age": [[33, 51]], "amount": [12.5]}}), "wrong_shape"),
    ("tensorflow", as_json({"examples": [[33, 12.5], 1], "context": {}}), "wrong_type"),
    ("open_inference", tensor(name=None), "missing_key"),
    ("open_inference", tensor(data=None), "missing_key"),
    ("open_inference", tensor(shape=None), "wrong_shape"),
    ("open_inference", tensor(shape=[-1, 2]), "wrong_shape"),
    ("open_inference", tensor(shape=[True, 2]), "wrong_shape"),
    ("open_inference", tensor(shape=[10**30, 2]), "wrong_shape"),
    ("open_inference", tensor(shape=[2, 2]), "wrong_shape"),
    ("open_inference", tensor(shape=[0, 2], data=[]), "empty"),
    ("open_inference", tensor(shape=[1] * 99 + [2]), "too_deep"),
    ("open_inference", tensor(datatype="FP128"), "unsupported_datatype"),
    ("open_inference", tensor(data=["33", "12.5"]), "wrong_type"),
    ("open_inference", tensor(data=[33, [12.5]]), "wrong_shape"),
    ("open_inference", as_json({"inputs": []}), "empty"),
    ("open_inference", as_json({"inputs": [1]}), "wrong_type"),
    ("open_inference", as_json({"outputs": []}), "missing_key"),
    ("open_inference", tensors(16, rest=b"\0" * 15), "truncated"),
    ("open_inference", tensors(16, rest=b"\0" * 17), "wrong_length"),
    ("open_inference", tensors(8, rest=b"\0" * 8), "wrong_length"),
    ("open_inference", tensors(-1), "wrong_type"),
    ("open_inference", tensors("16"), "wrong_type"),
    ("open_inference", tensors(16, datatype="BYTES"), "wrong_length"),
    ("open_inference", tensors(5, datatype="BYTES", rest=b"\xff\xff\xff\xff."), "truncated"),
    ("open_inference", tensors(9, datatype="BYTES", rest=b"\xff\xff\xff\x7f....."), "truncated"),
    ("open_inference", tensors(9, datatype="BYTES", rest=b"\0" * 9), "wrong_length"),
    ("open_inference", binary("99", b"{}"), "truncated"),
    ("open_inference", binary("two", b"{}"), "wrong_length"),
    ("open_inference", binary("²", b"{}"), "wrong_length"),
    ("open_inference", binary("0", b"\0" * 16), "missing_key"),
    ("open_inference_grpc", Message(b"\xff\xff\xff"), "not_protobuf"),
    ("open_inference_grpc", Message(delimited(1, b"fraud")), "missing_key"),
    ("open_inference_grpc", Message(b"\0\0\0\0\x09\x0a"), "truncated"),
    ("open_inference_grpc", Message(b"\0\0\0\0\0"), "empty"),
    ("open_inference_grpc", Message(delimited(5, delimited(1, b"x"))), "unsupported_datatype"),
    ("open_inference_grpc", Message(delimited(5, delimited(2, b"FP16"))), "unsupported_datatype"),
    (
        "open_inference_grpc",
        Message(delimited(5, delimited(2, b"FP64")) + delimited(7, b"") * 2),
        "wrong_length",
    ),
    ("open_inference_grpc", as_json({"inputs": [{"shape": {}, "datatype": "FP64"}]}), "wrong_type"),
    ("open_inference_grpc", as_json({"inputs": [{"shape": ["--1"], "datatype": "FP64"}]}), "wrong_shape"),
    ("seldon", as_json({"strData": "33"}), "unsupported_datatype"),
    ("seldon", as_json({"data": {"names": ["age"]}}), "missing_key"),
    ("seldon", as_json({"data": {"names": [1], "ndarray": [[1]]}}), "wrong_type"),
    ("seldon", as_json({"data": {"tensor": {"shape": [2, 2], "values": [1]}}}), "wrong_shape"),
    ("seldon", as_json({"data": {"tftensor": {"dtype": "DT_STRING"}}}), "wrong_shape"),
    (
        "seldon",
        as_json({"data": {"tftensor": {"dtype": "DT_STRING", "tensorShape": {"dim": []}}}}),
        "unsupported_datatype",
    ),
    ("mlflow", as_json({"dataframe_records": [ROW], "instances": [ROW]}), "several_keys"),
    ("mlflow", as_json({"dataframe_split": {"columns": ["age"], "data": [[1, 2]]}}), "wrong_length"),
    ("mlflow", as_json({"dataframe_split": {"columns": ["age", "age"], "data": [[1, 2]]}}), "several_keys"),
    ("mlflow", as_json({"dataframe_split": {"columns": [["a"]], "data": [[1]]}}), "wrong_type"),
    ("mlflow", as_json({"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}), "unknown_columns"),
    ("mlflow", as_json({"dataframe_split": [ROW]}), "wrong_type"),
    ("mlflow", csv("age,amount\n"), "empty"),
    ("mlflow", csv("age,amount\n33\n"), "wrong_length"),
    ("mlflow", csv("33,12.5\n51,99\n"), "unknown_columns"),
    ("mlflow", csv("age,age\n33,12.5\n"), "several_keys"),
    ("mlflow", csv(b"age,amount\n33,\xff\n"), "not_utf8"),
    ("mlflow", csv('age,amount\n"33" ,12.5\n'), "not_csv"),
    ("mlflow", csv("age,amount\n33," + "9" * 200_000), "not_csv"),
    ("sagemaker_csv", csv("33\n"), "wrong_shape"),
    ("sagemaker_csv", csv("33,12.5\n51\n"), "wrong_shape"),
    ("sagemaker_csv", csv("\n\n"), "empty"),
    ("sagemaker_csv", Message(b"RIFF", {"content-type": "audio/wav"}), "unsupported_content_type"),
    ("sagemaker_jsonlines", Message(b'{"age": 1}\n{"age":'), "not_json"),
    ("sagemaker_jsonlines", json_lines([ROW, [33, 12.5]]), "wrong_type"),
    ("sagemaker_capture", as_json({"captureData": {}}), "missing_key"),
    ("sagemaker_capture", captured(encoding="CSV"), "missing_key"),
    ("sagemaker_capture", captured(encoding="ZIP", data=""), "unsupported_encoding"),
    ("sagemaker_capture", captured(encoding="BASE64", data="?"), "bad_encoding"),
    ("sagemaker_capture", captured(encoding="CSV", data=""), "empty"),
    ("json", as_json(33), "wrong_shape"),
    ("json", as_json([ROW, 1]), "wrong_type"),
    ("json", as_json(None), "wrong_shape"),
    ("kserve_v1", Message(b"{}", {"content-encoding": "br"}), "unsupported_encoding"),
    ("kserve_v1", Message(b"{}", {"content-encoding": "gzip," * 9}), "unsupported_encoding"),
    ("kserve_v1", Message(b"{}", GZIP), "bad_encoding"),
    ("kserve_v1", Message(b"", GZIP), "empty"),
    ("kserve_v1", Message(gzip.compress(b"{}")[:-1], GZIP), "truncated"),
    ("kserve_v1", Message(gzip.compress(b"{}") + b"junk", GZIP), "bad_encoding"),
    ("kserve_v1", Message(zlib.compress(b"{}")[:-1], {"content-encoding": "deflate"}), "truncated"),
]


@pytest.mark.parametrize(("protocol", "message", "reason"), REASONED)
def test_a_malformed_request_says_why(protocol: str, message: Message, reason: str) -> None:
    found = decoder(protocol).request(message, NAMES)
    assert isinstance(found, Undecodable), found
    assert (found.reason, found.reason in REASONS) == (reason, True), found.detail
    assert found.detail
    assert not found.detail.endswith(".")


LIMITED: list[tuple[str, Message, str]] = [
    ("kserve_v1", Message(b" " * 1_001), "too_large"),
    ("kserve_v1", Message(gzip.compress(b" " * 2_001), GZIP), "too_large"),
    ("kserve_v1", Message(gzip.compress(b" " * 1_500) + gzip.compress(b" " * 1_500), GZIP), "too_large"),
    ("kserve_v1", as_json({"instances": [[1, 2]] * 11}), "too_many_rows"),
    ("kserve_v1", as_json({"instances": [dict.fromkeys("abcdef", 1)]}), "too_many_columns"),
    ("kserve_v1", as_json({"instances": [[1] * 6]}), "too_many_columns"),
    ("kserve_v1", Message(b"[" + b"1," * 100 + b"1]"), "too_many_values"),
    ("kserve_v1", Message(b"[" * 101), "too_many_values"),
    ("kserve_v1", as_json({"instances": [[[[[[33]]]], [[[[12.5]]]]]]}), "too_deep"),
    ("tensorflow", as_json({"inputs": {"age": [1] * 11, "amount": [1] * 11}}), "too_many_rows"),
    ("mlflow", csv("age,amount\n" + "1,2\n" * 11), "too_many_rows"),
    ("sagemaker_csv", csv("1," * 120), "too_many_values"),
    ("mlflow", csv("age,amount,a,b,c,d\n1,2,3,4,5,6\n"), "too_many_columns"),
    ("sagemaker_jsonlines", json_lines([[1, 2]] * 11), "too_many_rows"),
    ("sagemaker_jsonlines", Message(b"[1,1]\n" * 80), "too_many_values"),
    ("open_inference", tensor(shape=[11, 2], data=[1] * 22), "too_many_rows"),
    ("open_inference", tensor(shape=[1, 6], data=[1] * 6), "too_many_columns"),
    ("open_inference", as_json({"inputs": [{}] * 6}), "too_many_columns"),
    ("open_inference_grpc", Message(delimited(5, b"") * 6), "too_many_columns"),
    ("open_inference_grpc", protobuf("inputs", raw=True)(("age", "amount"), [(1, 2)] * 11), "too_many_rows"),
]


@pytest.mark.parametrize(("protocol", "message", "reason"), LIMITED)
def test_a_request_beyond_a_limit_says_which(protocol: str, message: Message, reason: str) -> None:
    found = decoder(protocol, limits=SMALL).request(message, NAMES)
    assert isinstance(found, Undecodable), found
    assert found.reason == reason, found.detail


def test_tensors_without_number_are_refused_before_they_are_parsed() -> None:
    empty = Message(delimited(5, b"") * 40_000)
    found = decoder("open_inference_grpc").request(empty, NAMES)
    assert found == Undecodable("too_many_columns", "more than 21000 fields")


def test_dimensions_without_number_are_refused_at_the_size_that_they_have() -> None:
    """A dimension takes a byte on the wire, 8 in protobuf's array, and took 24 more in a list."""
    import tracemalloc

    endless = delimited(5, delimited(1, b"age") + delimited(2, b"FP32") + delimited(3, b"\1" * 1_000_000))
    tracemalloc.start()
    found = decoder("open_inference_grpc").request(Message(endless), NAMES)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == Undecodable("too_deep", "more than 32 dimensions")
    assert peak < 4_000_000


def test_a_large_tensor_is_no_number_of_tensors() -> None:
    rows = [(float(number), 0.5) for number in range(5_000)]
    for raw in (True, False):
        message = protobuf("inputs", raw=raw)(("age", "amount"), rows)
        assert len(message.body) > 42_000
        assert rows_of(decoder("open_inference_grpc").request(message, NAMES))["age"][-1] == 4_999


def test_a_line_of_csv_ends_where_csv_says_and_nowhere_else() -> None:
    """Python's own idea of a line ends at a form feed and at U+2028 too."""
    text = 'label,age\r\n"a\nb",1\r\nc\x0cd,2\ne\u2028f,3\n'
    found = decoder("mlflow").request(csv(text), Names(("label", "age"), (), frozenset({"label"})))
    assert rows_of(found) == {"label": ["a\nb", "c\x0cd", "e\u2028f"], "age": [1, 2, 3]}


def test_a_request_at_its_limits_is_decoded() -> None:
    rows = [[1.0, 2.0]] * 10
    assert rows_of(decoder("kserve_v1", limits=SMALL).request(as_json({"instances": rows}), NAMES))
    body = json.dumps({"instances": [[1, 2]]}).encode()
    padded = gzip.compress(body + b" " * (2_000 - len(body)))
    assert rows_of(decoder("kserve_v1", limits=SMALL).request(Message(padded, GZIP), NAMES))


def test_a_bomb_is_refused_before_it_is_large() -> None:
    """64 MiB of blanks in 64 KiB; a decoder may hold its limit and some, not all of that."""
    import tracemalloc

    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    blanks = b" " * (1 << 20)
    bomb = b"".join(squeeze.compress(blanks) for _ in range(1 << 6)) + squeeze.flush()
    tracemalloc.start()
    found = decoder("kserve_v1", limits=Limits(decompressed_bytes=1 << 20)).request(
        Message(bomb, GZIP), NAMES
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(found, Undecodable)
    assert found.reason == "too_large"
    assert peak < 3 * (1 << 20)


@pytest.mark.parametrize("protocol", [name for name in PROTOCOLS if name not in ("mapping", "auto")])
def test_no_detail_tells_a_value_or_a_name_of_the_payload(protocol: str) -> None:
    secret = "hunter2"
    rows = [[secret, secret], {secret: secret}, {"age": {secret: secret}}, secret, [secret]]
    keys = ("instances", "inputs", "dataframe_records", "data", "predictions", secret)
    bodies = [as_json(row) for row in rows] + [
        as_json({key: rows[:place]}) for key in keys for place in range(5)
    ]
    bodies += [as_json({"inputs": [{"name": secret, "datatype": secret, "shape": [1], "data": [secret]}]})]
    bodies += [as_json({"data": {"names": [secret], "ndarray": [[1, 2]]}})]
    bodies += [csv(f"{secret},{secret}\n{secret}\n"), Message(secret.encode())]
    bodies += [Message(b"{}", {"content-type": secret, "content-encoding": secret})]
    for body in bodies:
        for found in (
            decoder(protocol).request(body, NAMES),
            decoder(protocol).response(body, NAMES, None),
        ):
            if isinstance(found, Undecodable):
                assert secret not in found.detail


def test_a_protocol_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"protocol must be one of 'auto', .*'tensorflow', got 'kserve'"):
        decoder("kserve")


def test_a_mapping_for_a_protocol_of_its_own_is_refused() -> None:
    with pytest.raises(ConfigError, match="protocol 'mlflow' takes no mapping"):
        decoder("mlflow", mapping={"rows": "x"})


def test_an_error_inside_a_decoder_is_a_reason_and_not_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    made = decoder("kserve_v1")
    monkeypatch.setattr(type(made), "read_request", lambda *_: 1 / 0)
    found = made.request(Message(b"{}"), NAMES)
    assert found == Undecodable("internal_error", "a ZeroDivisionError in the decoder 'kserve_v1'")


def test_a_reference_without_inputs_needs_no_request() -> None:
    names = Names((), ("label",))
    exchange = decode_exchange(decoder("kserve_v1"), Message(b"\0"), as_json({"predictions": [1, 0]}), names)
    assert exchange == Exchange({}, {"label": [1, 0]}, 2)
    missing = decode_exchange(decoder("kserve_v1"), Message(b"\0"), None, names)
    assert isinstance(missing, Undecodable)
    assert missing.reason == "empty"
    broken = decode_exchange(decoder("kserve_v1"), Message(b"\0"), as_json({}), names)
    assert isinstance(broken, Undecodable)
    assert broken.reason == "missing_key"


def test_a_reference_without_outputs_needs_no_response() -> None:
    names = Names(("age", "amount"), ())
    exchange = decode_exchange(decoder("kserve_v1"), as_json({"instances": [ROW]}), Message(b"\0"), names)
    assert (exchange.outputs, exchange.notes) == (None, ())  # type: ignore[union-attr]


def test_binary_tensors_of_every_datatype_are_read() -> None:
    halves = {
        "BOOL": (struct.pack("<2?", True, False), [True, False]),
        "UINT8": (bytes([1, 255]), [1, 255]),
        "INT8": (struct.pack("<2b", -1, 127), [-1, 127]),
        "UINT16": (struct.pack("<2H", 1, 65_535), [1, 65_535]),
        "INT16": (struct.pack("<2h", -1, 300), [-1, 300]),
        "UINT32": (struct.pack("<2I", 1, 2**32 - 1), [1, 2**32 - 1]),
        "INT32": (struct.pack("<2i", -1, 2**31 - 1), [-1, 2**31 - 1]),
        "UINT64": (struct.pack("<2Q", 1, 2**64 - 1), [1, 2**64 - 1]),
        "INT64": (struct.pack("<2q", -1, 2**62), [-1, 2**62]),
        "FP16": (struct.pack("<2e", 0.5, -2.0), [0.5, -2.0]),
        "BF16": (struct.pack("<f", 0.5)[2:] + struct.pack("<f", -2.0)[2:], [0.5, -2.0]),
        "FP32": (struct.pack("<2f", 0.5, -2.0), [0.5, -2.0]),
        "FP64": (struct.pack("<2d", 0.1, -2.0), [0.1, -2.0]),
        "BYTES": (struct.pack("<I", 3) + b"red" + struct.pack("<I", 0), ["red", ""]),
    }
    for datatype, (raw, values) in halves.items():
        message = tensors(len(raw), shape=(2, 1), datatype=datatype, rest=raw)
        assert rows_of(decoder("open_inference").request(message, Names(("age",), ()))) == {"age": values}


def test_decoded_columns_do_not_hold_on_to_the_body() -> None:
    message = open_inference("inputs", binary=True)(("age", "amount"), [(1, 2.5)] * 3)
    found = decoder("open_inference").request(message, NAMES)
    assert not isinstance(found, Undecodable)
    for column in found.columns.values():
        assert column.base is None or column.base.flags.owndata  # type: ignore[union-attr]


def test_members_without_number_do_not_take_quadratic_time() -> None:
    """Each member copies what follows it: 8 MiB of them took hours before there was a limit."""
    message = Message(gzip.compress(b" ") * 400_000, GZIP)
    found = decoder("kserve_v1").request(message, NAMES)
    assert found == Undecodable("bad_encoding", "more than 64 compressed members")
    few = Message(gzip.compress(b" ") * 63 + gzip.compress(json.dumps({"instances": [ROW]}).encode()), GZIP)
    assert rows_of(decoder("kserve_v1").request(few, NAMES)) == {"age": [33], "amount": [12.5]}


def test_a_header_of_very_many_columns_is_read_in_one_pass() -> None:
    names = Names(tuple(f"f{number}" for number in range(10_000)), ())
    text = ",".join(names.inputs) + "\n" + ",".join(["1"] * 10_000) + "\n"
    for protocol in ("mlflow", "sagemaker_csv"):
        assert len(rows_of(decoder(protocol).request(csv(text), names))) == 10_000
