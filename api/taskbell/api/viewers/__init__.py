"""The viewers of the OpenAPI document, for browsers: `/docs` (Swagger UI) and `/redoc`, without any other host."""
