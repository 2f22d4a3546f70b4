# The attache program alone, for docker-compose.yml and deploy/. Envoy has an
# image of its own.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/attache ./cmd/attache
RUN mkdir -m 0750 /out/run

# Certificate authorities and time zones, and nothing that runs.
FROM gcr.io/distroless/static-debian12
COPY --from=build /out/attache /usr/local/bin/attache
# Where the sockets are that Envoy connects to. A volume that is mounted here for
# the first time takes this owner. 101 is the user of the official Envoy image.
COPY --from=build --chown=101:101 /out/run /run/attache
USER 101:101
ENTRYPOINT ["/usr/local/bin/attache"]
