"""KServe's own client asks: version 1 and 2 of the protocol in turn. Writes what it was answered."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from small_model import matrix


async def ask(url: str, protocol: str, requests: list[dict[str, list[float]]]) -> list[list[float]]:
    answers = []
    async with InferenceRESTClient(RESTConfig(protocol=protocol.split()[0], timeout=30)) as client:
        for columns in requests:
            if protocol == "v1":
                asked = {"instances": matrix(columns).tolist()}
                answer = await client.infer(url, asked, model_name="risk")
                answers.append(answer["predictions"])
                continue
            rows = matrix(columns).astype(np.float64)
            tensor = InferInput("rows", list(rows.shape), "FP64")
            tensor.set_data_from_numpy(rows, binary_data=protocol == "v2 binary")
            answer = await client.infer(url, InferRequest("risk", [tensor]), model_name="risk")
            answers.append(answer.outputs[0].as_numpy().tolist())
    return answers


if __name__ == "__main__":
    folder, url, protocol, out = Path(sys.argv[1]), *sys.argv[2:]
    requests = json.loads((folder / "requests.json").read_text())
    Path(out).write_text(json.dumps(asyncio.run(ask(url, protocol, requests))))
