"""Sign-in through OpenID Connect providers, and their access tokens.

`providers` describes them as the settings do, `documents` fetches and keeps what each publishes, and `code_exchange`
asks for tokens. `policy` decides what a token must say. `service` signs people in, `bearer` accepts access tokens.
"""
