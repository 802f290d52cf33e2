"""The API's part in real time: tickets for the gateway. Connections are the gateway's."""
