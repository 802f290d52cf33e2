"""Where deliveries go: the webhooks of workspaces and the e-mail of users. The program `delivery` sends them."""
