"""The targets that come with driftgauge: kind, and the class as ``module:name``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["BUILT_IN"]

_HERE: Final = "driftgauge.bridge.targets"

BUILT_IN: Final[Mapping[str, str]] = {
    "airflow": f"{_HERE}.airflow:Airflow",
    "airflow2": f"{_HERE}.airflow:Airflow2",
    "argo_events": f"{_HERE}.argo_events:ArgoEvents",
    "argo_workflows": f"{_HERE}.argo_workflows:ArgoWorkflows",
    "command": f"{_HERE}.command:Command",
    "dagster": f"{_HERE}.dagster:Dagster",
    "github_repository": f"{_HERE}.github:GithubRepository",
    "github_workflow": f"{_HERE}.github:GithubWorkflow",
    "gitlab": f"{_HERE}.gitlab:Gitlab",
    "http": f"{_HERE}.http:Http",
    "jenkins": f"{_HERE}.jenkins:Jenkins",
    "kubeflow": f"{_HERE}.kubeflow:Kubeflow",
    "kubernetes": f"{_HERE}.kubernetes:Kubernetes",
    "prefect": f"{_HERE}.prefect:Prefect",
}
