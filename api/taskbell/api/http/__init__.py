"""What every request passes: observation, body limit, parsing, problem documents. Knows no feature."""
