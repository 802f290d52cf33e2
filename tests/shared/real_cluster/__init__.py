"""A real cluster for tests: its tools, the release of the chart on it, users inside it, and the report of a run."""
