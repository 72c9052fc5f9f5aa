# One image for everything: `pabal run`, `pabal serve …`. Built by infra/docker-compose.yaml.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p pabal --bin pabal --features tls

FROM debian:bookworm-slim
# What encrypted ways to Kafka and PostgreSQL need.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libssl3 && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --home-dir /data --create-home pabal
COPY --from=build /src/target/release/pabal /usr/local/bin/pabal
USER 10001
WORKDIR /data
CMD ["pabal", "run"]
