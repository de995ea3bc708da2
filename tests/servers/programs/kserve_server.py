"""KServe's own server with the small model, on loopback: it has no setting for that."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer, model_server
from kserve.protocol.rest.server import RESTServer


class OnLoopback(RESTServer):
    """Listens where only this machine can reach it."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.config.host = "127.0.0.1"


class Risk(Model):
    """Answers both versions of the protocol."""

    def __init__(self, folder: Path) -> None:
        super().__init__("risk")
        self.model = joblib.load(folder / "model.joblib")
        self.ready = True

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:  # noqa: ARG002
        if not isinstance(payload, InferRequest):
            said = self.model.predict_proba(np.array(payload["instances"]))[:, 1]
            return {"predictions": said.tolist()}
        said = self.model.predict_proba(payload.inputs[0].as_numpy())[:, 1]
        output = InferOutput(name="risk", shape=list(said.shape), datatype="FP64")
        output.set_data_from_numpy(said, binary_data=False)
        return InferResponse(payload.id, self.name, [output])


if __name__ == "__main__":
    model_server.RESTServer = OnLoopback
    ModelServer(http_port=int(sys.argv[2]), enable_grpc=False).start([Risk(Path(sys.argv[1]))])
