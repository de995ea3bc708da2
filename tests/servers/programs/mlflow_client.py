"""MLflow's own client asks, with data frames. Writes what it was answered."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

if __name__ == "__main__":
    folder, url, out = Path(sys.argv[1]), urlsplit(sys.argv[2]), Path(sys.argv[3])
    client = ScoringServerClient(url.hostname, url.port)
    client.ping()
    requests = json.loads((folder / "requests.json").read_text())
    answers = [client.invoke(pd.DataFrame(columns)).get_predictions() for columns in requests]
    out.write_text(json.dumps([[float(each) for each in answer.iloc[:, 0]] for answer in answers]))
