# The API and the `crm` command; MongoDB is a container of its own (docker-compose.yml). The embedded MongoDB is left out.
# `--target backup` is the same with what backups need.
FROM python:3.12-slim-trixie AS build
WORKDIR /src
RUN python -m venv /opt/crm
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# The lock also names what tests need; as constraints it only fixes versions, and the rest is not installed.
COPY requirements-dev.lock pyproject.toml README.md LICENSE NOTICE ./
COPY crm ./crm
COPY indexes ./indexes
RUN /opt/crm/bin/pip install --constraint requirements-dev.lock .

FROM build AS build-backup
RUN /opt/crm/bin/pip install --constraint requirements-dev.lock ".[backup]"

FROM python:3.12-slim-trixie AS backup
# MongoDB's Database Tools as the image of the server has them, from MongoDB's apt repository; they link to Kerberos. That
# image is Ubuntu 24.04, whose C library is older than the one here, so they run; if ever they did not, this would not build.
RUN apt-get update && apt-get install --yes --no-install-recommends libgssapi-krb5-2 && rm -rf /var/lib/apt/lists/*
COPY --from=mongo:8.0.37 /usr/bin/mongodump /usr/bin/mongorestore /usr/local/bin/
RUN mongodump --version && mongorestore --version
COPY --from=build-backup /opt/crm /opt/crm
COPY LICENSE NOTICE /opt/crm/
ENV PATH=/opt/crm/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 CRM_BACKUP_TARGET=/backups
USER 10001:10001
ENTRYPOINT ["crm", "backup"]
CMD ["list"]

# The last one: what is built where no target is named.
FROM python:3.12-slim-trixie
COPY --from=build /opt/crm /opt/crm
COPY LICENSE NOTICE /opt/crm/
ENV PATH=/opt/crm/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# No account is needed: nothing is written, and any other uid works too (compose sets the one that reads ./secrets).
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
CMD ["crm", "serve", "--host", "0.0.0.0", "--port", "8000"]
