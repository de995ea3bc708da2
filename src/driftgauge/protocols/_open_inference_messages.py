"""The messages of the Open Inference Protocol's ``ModelInfer``, made when first needed.

Names and numbers of the fields are those of ``open_inference_grpc.proto`` in kserve/open-inference-protocol
(Apache-2.0). They are given to the protobuf runtime as a descriptor, in a pool of our own, and not as a
module that protoc wrote. Such a module is refused by runtimes of other major versions. It would also be
registered in the process's common pool, where MLServer, KServe and Triton's client register an
``inference.ModelInferRequest`` of their own: the second to come would not import.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from driftgauge.errors import MissingExtraError

__all__ = ["infer_messages"]

_PACKAGE: Final = "driftgauge.inference"
_TENSOR: Final = (
    ("name", 1, "string"),
    ("datatype", 2, "string"),
    ("shape", 3, "repeated int64"),
    ("contents", 5, "Contents"),
)
_MESSAGES: Final = {
    "Contents": (
        ("bool_contents", 1, "repeated bool"),
        ("int_contents", 2, "repeated int32"),
        ("int64_contents", 3, "repeated int64"),
        ("uint_contents", 4, "repeated uint32"),
        ("uint64_contents", 5, "repeated uint64"),
        ("fp32_contents", 6, "repeated float"),
        ("fp64_contents", 7, "repeated double"),
        ("bytes_contents", 8, "repeated bytes"),
    ),
    "Tensor": _TENSOR,
    "Request": (
        ("model_name", 1, "string"),
        ("model_version", 2, "string"),
        ("id", 3, "string"),
        ("inputs", 5, "repeated Tensor"),
        ("raw_input_contents", 7, "repeated bytes"),
    ),
    "Response": (
        ("model_name", 1, "string"),
        ("model_version", 2, "string"),
        ("id", 3, "string"),
        ("outputs", 5, "repeated Tensor"),
        ("raw_output_contents", 6, "repeated bytes"),
    ),
}


@cache
def infer_messages() -> tuple[Any, Any]:
    """The classes of ModelInferRequest and of ModelInferResponse. Parameters are not read, and skipped.

    Raises
    ------
    MissingExtraError
        When protobuf is not installed.
    """
    try:
        from google.protobuf import (  # type: ignore[import-untyped]
            descriptor_pb2,
            descriptor_pool,
            message_factory,
        )
    except ImportError as error:  # pragma: no cover - the tests' environment has it
        message = "the protocol 'open_inference_grpc' needs protobuf; pip install driftgauge[sidecar]"
        raise MissingExtraError(message) from error
    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="driftgauge/open_inference.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        made = file.message_type.add(name=name)
        for field, number, described in fields:
            kind = described.removeprefix("repeated ")
            known = kind in _MESSAGES
            made.field.add(
                name=field,
                number=number,
                label=field_type.LABEL_REPEATED if kind != described else field_type.LABEL_OPTIONAL,
                type=field_type.TYPE_MESSAGE if known else field_type.Type.Value(f"TYPE_{kind.upper()}"),
                type_name=f".{_PACKAGE}.{kind}" if known else None,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    request, response = (
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in ("Request", "Response")
    )
    return request, response
