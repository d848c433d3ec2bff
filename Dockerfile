# A static binary in an empty image: no shell, no package manager, non-root.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download && go mod verify
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/chokepoint . \
 && mkdir -p /out/data

FROM scratch
# CA roots for TLS; time zones are inside the binary.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/chokepoint /chokepoint
# The one folder that is written: mount a volume here. 65532 is "nonroot".
COPY --from=build --chown=65532:65532 /out/data /data
COPY LICENSE NOTICE /
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8080
# The address inside the container; publish the port only where it should be seen.
ENV CHOKEPOINT_LISTEN=0.0.0.0:8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 CMD ["/chokepoint", "healthcheck"]
ENTRYPOINT ["/chokepoint"]
CMD ["run"]
