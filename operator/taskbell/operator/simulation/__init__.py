"""`taskbell-operator simulate`: how a WorkerPool would size its Deployment under a load, without a cluster.

`loads` reads or makes the arrivals, `manifest` reads the pool, `model` runs both through the operator's own decisions
(`plan.need`, `plan.scaling`), `page` draws the result, `command` is the command line.
"""
