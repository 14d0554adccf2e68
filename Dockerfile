# One image; web, worker, beat and migrate are commands of deploy/entrypoint.

# ---- build: the environment, from hashes only. A compiler, if a wheel were missing, would be needed here alone.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/accord
# Packages before code: they change less often. --no-deps: the lock is complete.
COPY requirements/runtime.txt /build/runtime.txt
RUN /opt/accord/bin/python -m pip install --no-deps --require-hashes --requirement /build/runtime.txt \
    && /opt/accord/bin/python -m pip uninstall --yes pip setuptools

# ---- run: no compiler, no pip in the environment, code that its own process can not change
FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="Accord" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/accord/bin:$PATH \
    PYTHONPATH=/srv/accord \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=backend.config.settings \
    ACCORD_DATA_DIR=/data
# A fixed number, so that an orchestrator can tell that this is not root without reading /etc/passwd.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin accord \
    && install -d -o accord -g accord -m 0700 /data
COPY --from=build /opt/accord /opt/accord
WORKDIR /srv/accord
COPY . .
# Written as root at build time, so that the root file system can be mounted read-only.
RUN python -m compileall -q backend && ACCORD_DATA_DIR=/tmp/build python manage.py collectstatic --no-input --verbosity 0 \
    && rm -rf /tmp/build
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=40s --retries=3 CMD ["python", "deploy/health.py"]
ENTRYPOINT ["deploy/entrypoint"]
CMD ["web"]
