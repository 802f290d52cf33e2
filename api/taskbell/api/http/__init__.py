"""What every request passes: observation, limits, reading, lists, problem documents. It knows no feature."""
