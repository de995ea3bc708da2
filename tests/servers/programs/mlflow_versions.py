"""Makes versions of a registered model, each with an alias and, where one is given, the id of a reference."""

from __future__ import annotations

import sys

from mlflow import MlflowClient

server, name, *versions = sys.argv[1:]
client = MlflowClient(tracking_uri=server, registry_uri=server)
client.create_registered_model(name)
for each in versions:
    alias, _, reference_id = each.partition("=")
    tags = {"driftgauge_reference_id": reference_id} if reference_id else {}
    made = client.create_model_version(name, f"s3://models/{alias}", tags=tags)
    client.set_registered_model_alias(name, alias, made.version)
