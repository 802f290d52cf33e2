"""An OpenID Connect provider in its own process, made of Authlib's provider pieces. It misbehaves on request."""
