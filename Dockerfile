# syntax=docker/dockerfile:1
# One target per program: docker build --target api .   (also: relay, sweeper, gateway, delivery, operator)
# Everything installed comes from the hashed lock; what a service does not need is not in its image.

FROM docker.io/library/python:3.13.9-slim-bookworm AS wheels
WORKDIR /source
COPY requirements.lock ./
RUN pip wheel --no-cache-dir --require-hashes --no-deps --requirement requirements.lock --wheel-dir /wheels
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY api api
COPY notifier notifier
COPY operator operator
COPY local local
# From here on nothing comes from the network: one version of each package, the one that the lock names.
ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM wheels AS api-environment
RUN python -m venv --without-pip /opt/taskbell && pip --python /opt/taskbell install --no-cache-dir "taskbell[api]"

FROM wheels AS notifier-environment
RUN python -m venv --without-pip /opt/taskbell && pip --python /opt/taskbell install --no-cache-dir "taskbell[notifier]"

FROM wheels AS operator-environment
RUN python -m venv --without-pip /opt/taskbell && pip --python /opt/taskbell install --no-cache-dir "taskbell[operator]"

FROM docker.io/library/python:3.13.9-slim-bookworm AS runtime
RUN groupadd --gid 10001 taskbell && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin taskbell
ENV PATH=/opt/taskbell/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1
WORKDIR /tmp
USER 10001:10001

FROM runtime AS api
COPY --from=api-environment /opt/taskbell /opt/taskbell
EXPOSE 8000
ENTRYPOINT ["taskbell-api"]

FROM runtime AS relay
COPY --from=api-environment /opt/taskbell /opt/taskbell
EXPOSE 8002
ENTRYPOINT ["taskbell-relay"]

FROM runtime AS sweeper
COPY --from=api-environment /opt/taskbell /opt/taskbell
ENTRYPOINT ["taskbell-sweeper"]

FROM runtime AS gateway
COPY --from=notifier-environment /opt/taskbell /opt/taskbell
EXPOSE 8001
ENTRYPOINT ["taskbell-gateway"]

FROM runtime AS delivery
COPY --from=notifier-environment /opt/taskbell /opt/taskbell
EXPOSE 8003
ENTRYPOINT ["taskbell-delivery"]

FROM runtime AS operator
COPY --from=operator-environment /opt/taskbell /opt/taskbell
EXPOSE 8080
ENTRYPOINT ["taskbell-operator"]
