# A small image that runs as nobody in particular:
#   docker build -t fluxbatch .
#   docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" fluxbatch run jobs/demo.yaml
# The key comes in as a file, never as an argument or a layer:
#   docker run ... --mount type=bind,src=/path/key,dst=/run/key,ro -e FLUXBATCH_API_KEY_FILE=/run/key fluxbatch run ...
FROM python:3.13-slim AS build
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY pipeline ./pipeline
RUN python -m venv /opt/fluxbatch \
    && /opt/fluxbatch/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt '.[fast,fleet]'

FROM python:3.13-slim
COPY --from=build /opt/fluxbatch /opt/fluxbatch
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin fluxbatch \
    && mkdir /work \
    && chown fluxbatch:fluxbatch /work
ENV PATH=/opt/fluxbatch/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /work
VOLUME ["/work"]
# A run that is asked to stop still fetches what is paid: give it time (docker stop --time 660).
STOPSIGNAL SIGTERM
ENTRYPOINT ["fluxbatch"]
CMD ["--help"]
