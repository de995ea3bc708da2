"""Drift metrics for the monitoring you already run."""
