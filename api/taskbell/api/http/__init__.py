"""What all requests share: observation, body limit, parsing, problem documents. It knows no feature."""
