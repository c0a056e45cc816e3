# One image for everything that is ours: HOUFU_SERVICE says which service it is, another command makes it an adapter or
# the command line. It writes nothing but to /tmp, so its root file system may be read-only.

FROM python:3.11-slim AS build
COPY requirements.txt /build/
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --disable-pip-version-check --root-user-action=ignore \
    --no-deps --require-hashes --prefix=/build/python -r /build/requirements.txt
COPY LICENSE /build/houfu/
COPY services /build/houfu/services
COPY shared /build/houfu/shared
RUN python -m compileall -q --invalidation-mode unchecked-hash /build/houfu \
    && mkdir -p /build/python/bin \
    && printf '#!/bin/sh\nexec python -m shared.cli.main "$@"\n' > /build/python/bin/houfu \
    && chmod 755 /build/python/bin/houfu

FROM python:3.11-slim
LABEL org.opencontainers.image.title="Houfu" \
      org.opencontainers.image.description="Pay-later commerce backbone on Kafka and PostgreSQL" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin houfu
COPY --from=build /build/python /usr/local
COPY --from=build /build/houfu /houfu
ENV PYTHONPATH=/houfu PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /houfu
USER 10001
EXPOSE 8000
# A proxy of the surroundings must not come between a container and itself.
HEALTHCHECK --interval=5s --timeout=4s --start-period=60s --retries=3 CMD ["python", "-c", "\
from urllib.request import ProxyHandler, build_opener; \
build_opener(ProxyHandler({})).open('http://127.0.0.1:8000/health/ready', timeout=3)"]
CMD ["sh", "-c", "exec python -m uvicorn \
\"services.${HOUFU_SERVICE:?is not set: the service to run, such as billing}.app:app\" \
--host 0.0.0.0 --port 8000 --log-level warning --no-access-log"]
