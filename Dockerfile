# One target per program: docker build --target api .   (also: relay, sweeper, gateway, delivery, operator, loadtest, pgbouncer)
# An image contains what its hashed lock in images/ names, and the project; nothing else is fetched, except PgBouncer. From the bottom:
# the base, byte code of its standard library, packages, the project. A change of the project renews the last layer.

# The first process of a container ignores SIGTERM until it handles it. So `env` blocks the signal before Python starts,
# and `taskbell.start` lets it through: one that comes in between waits.
#
# docker-bake.json names the base by its digest, too, and builds all targets.

FROM docker.io/library/python:3.13.15-slim-trixie AS building
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONHASHSEED=0 \
    SOURCE_DATE_EPOCH=315532800
WORKDIR /build
COPY images/prepare.py ./

FROM building AS library
RUN python prepare.py library /layer

FROM building AS api-packages
COPY images/api.lock ./
RUN python -m venv --without-pip /opt/taskbell \
    && pip --python /opt/taskbell install --no-compile --require-hashes --no-deps --only-binary :all: --requirement api.lock \
    && python prepare.py environment /opt/taskbell

FROM building AS notifier-packages
COPY images/notifier.lock ./
RUN python -m venv --without-pip /opt/taskbell \
    && pip --python /opt/taskbell install --no-compile --require-hashes --no-deps --only-binary :all: --requirement notifier.lock \
    && python prepare.py environment /opt/taskbell

FROM building AS operator-packages
COPY images/operator.lock ./
RUN python -m venv --without-pip /opt/taskbell \
    && pip --python /opt/taskbell install --no-compile --require-hashes --no-deps --only-binary :all: --requirement operator.lock \
    && python prepare.py environment /opt/taskbell

FROM building AS loadtest-packages
COPY images/loadtest.lock ./
RUN python -m venv --without-pip /opt/taskbell \
    && pip --python /opt/taskbell install --no-compile --require-hashes --no-deps --only-binary :all: --requirement loadtest.lock \
    && python prepare.py environment /opt/taskbell

FROM building AS project
COPY images/build.lock ./
RUN python -m venv --without-pip /builder \
    && pip --python /builder install --no-compile --require-hashes --no-deps --only-binary :all: --requirement build.lock
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY api api
COPY notifier notifier
COPY operator operator
COPY local local
COPY loadtests/taskbell loadtests/taskbell
RUN python -m venv --without-pip /opt/taskbell \
    && pip --python /builder wheel --no-index --no-deps --no-build-isolation --wheel-dir /wheels . \
    && pip --python /opt/taskbell install --no-compile --no-index --no-deps /wheels/*.whl \
    && python prepare.py environment /opt/taskbell

FROM project AS api-project
RUN python prepare.py only /opt/taskbell api relay sweeper store local contract kit start

FROM project AS notifier-project
RUN python prepare.py only /opt/taskbell gateway delivery local contract kit start

FROM project AS operator-project
RUN python prepare.py only /opt/taskbell operator contract kit start

FROM project AS loadtest-project
RUN python prepare.py only /opt/taskbell capacity client contract kit start

FROM docker.io/library/python:3.13.15-slim-trixie AS runtime
COPY --from=library /layer /
ENV HOME=/tmp \
    PATH=/opt/taskbell/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1
WORKDIR /tmp
USER 10001:10001
LABEL org.opencontainers.image.source="https://github.com/taskbell/taskbell" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="0.1.0"

FROM runtime AS api
COPY --from=api-packages /opt/taskbell /opt/taskbell
COPY --from=api-project /opt/taskbell /opt/taskbell
EXPOSE 8000
ENTRYPOINT ["env", "--block-signal=TERM", "taskbell-api"]
ARG REVISION=""
LABEL org.opencontainers.image.title="Taskbell API" org.opencontainers.image.revision="$REVISION"

FROM runtime AS relay
COPY --from=api-packages /opt/taskbell /opt/taskbell
COPY --from=api-project /opt/taskbell /opt/taskbell
EXPOSE 8002
ENTRYPOINT ["env", "--block-signal=TERM", "taskbell-relay"]
ARG REVISION=""
LABEL org.opencontainers.image.title="Taskbell relay" org.opencontainers.image.revision="$REVISION"

FROM runtime AS sweeper
COPY --from=api-packages /opt/taskbell /opt/taskbell
COPY --from=api-project /opt/taskbell /opt/taskbell
ENTRYPOINT ["env", "--block-signal=TERM", "taskbell-sweeper"]
ARG REVISION=""
LABEL org.opencontainers.image.title="Taskbell sweeper" org.opencontainers.image.revision="$REVISION"

FROM runtime AS gateway
COPY --from=notifier-packages /opt/taskbell /opt/taskbell
COPY --from=notifier-project /opt/taskbell /opt/taskbell
EXPOSE 8001
ENTRYPOINT ["env", "--block-signal=TERM", "taskbell-gateway"]
ARG REVISION=""
LABEL org.opencontainers.image.title="Taskbell gateway" org.opencontainers.image.revision="$REVISION"

FROM runtime AS delivery
COPY --from=notifier-packages /opt/taskbell /opt/taskbell
COPY --from=notifier-project /opt/taskbell /opt/taskbell
EXPOSE 8003
ENTRYPOINT ["env", "--block-signal=TERM", "taskbell-delivery"]
ARG REVISION=""
LABEL org.opencontainers.image.title="Taskbell delivery" org.opencontainers.image.revision="$REVISION"

FROM runtime AS operator
COPY --from=operator-packages /opt/taskbell /opt/taskbell
COPY --from=operator-project /opt/taskbell /opt/taskbell
EXPOSE 8080
ENTRYPOINT ["env", "--block-signal=TERM", "taskbell-operator"]
ARG REVISION=""
LABEL org.opencontainers.image.title="Taskbell operator" org.opencontainers.image.revision="$REVISION"

FROM runtime AS loadtest
COPY --from=loadtest-packages /opt/taskbell /opt/taskbell
COPY --from=loadtest-project /opt/taskbell /opt/taskbell
ENTRYPOINT ["env", "--block-signal=TERM", "python", "-m", "taskbell.capacity"]
ARG REVISION=""
LABEL org.opencontainers.image.title="Taskbell capacity check" org.opencontainers.image.revision="$REVISION"

# PgBouncer of the distribution, alone: its package brings the tools of a PostgreSQL server. Libraries that are there stay.
FROM building AS pgbouncer-package
RUN apt-get update \
    && apt-get download pgbouncer \
    && dpkg --extract pgbouncer_1.24.*.deb /package

FROM docker.io/library/python:3.13.15-slim-trixie AS pgbouncer
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libcares2 libevent-2.1-7t64 libpam0g libssl3t64 libsystemd0 \
    && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log
COPY --from=pgbouncer-package /package/usr/sbin/pgbouncer /usr/sbin/pgbouncer
USER 10001:10001
EXPOSE 6432
ENTRYPOINT ["pgbouncer"]
ARG REVISION=""
LABEL org.opencontainers.image.source="https://github.com/taskbell/taskbell" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.title="Taskbell PgBouncer" org.opencontainers.image.revision="$REVISION"
