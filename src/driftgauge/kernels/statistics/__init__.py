"""Statistics of two count vectors, compiled. What each means is said in `driftgauge.kernels`."""
