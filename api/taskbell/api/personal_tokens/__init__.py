"""Personal access tokens: with them programs call the API in the name of a user."""
