"""A million tasks through the whole platform, each of them counted at every place: `taskbell capacity million`.

`plan` decides, `judging` judges, both without I/O; `creator` and `listeners` make the load; `public` reads what
arrived; `store` keeps everything on disk, so that a run goes on after Ctrl-C or SIGKILL; `run` leads through the
stages.
"""
