# Towline's gateway and workers. Only what constraints.txt locks gets in, checked by hash.
FROM python:3.12-slim AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY constraints.txt ./
# All locked packages are fetched and checked; of these, the install below takes those that Towline needs to run.
RUN pip download --quiet --require-hashes --no-deps --only-binary :all: --requirement constraints.txt --dest /wheels
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY towline towline
COPY streams streams
COPY agents agents
RUN python -m venv /opt/towline \
 && /opt/towline/bin/pip install --quiet --no-index --find-links /wheels .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/towline --create-home towline
COPY --from=build /opt/towline /opt/towline
ENV PATH=/opt/towline/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER towline
WORKDIR /var/lib/towline
VOLUME /var/lib/towline
EXPOSE 8440
ENTRYPOINT ["towline"]
CMD ["--help"]
