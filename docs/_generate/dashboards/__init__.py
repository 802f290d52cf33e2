"""Grafana's dashboards as code.

`plan` says what a dashboard is made of, `boards` what each of them shows, `build` makes Grafana's JSON of it with
Grafana's own builder library, and `page` the reference. The chart brings the JSON as it is.
"""
