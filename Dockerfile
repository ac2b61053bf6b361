# PromptLab in a container. A CPU is enough for the bundled model:
#   docker build -t promptlab . && docker run --rm -v "$PWD/work:/work" promptlab run "portrait photo of a king" --seeds 0-3
# On an NVIDIA card, with the container toolkit:
#   docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 -t promptlab:cuda .
#   docker run --rm --gpus all -v "$PWD/work:/work" -v "$HOME/.cache/huggingface:/cache" promptlab:cuda run …
# MLflow's pages from outside:  docker run --rm -p 127.0.0.1:5000:5000 -v "$PWD/work:/work" promptlab ui --host 0.0.0.0
FROM python:3.12-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 HF_HOME=/cache PROMPTLAB_WORKSPACE=/work

COPY . /src
RUN torch=$(grep '^torch==' /src/constraints.txt) \
 && grep -v '^torch==' /src/constraints.txt > /tmp/constraints.txt \
 && pip install "$torch" --index-url "$TORCH_INDEX" --extra-index-url https://pypi.org/simple \
 && pip install -c /tmp/constraints.txt /src \
 && rm -r /src /tmp/constraints.txt

RUN useradd --create-home promptlab && mkdir -p /work /cache && chown promptlab /work /cache
USER promptlab
WORKDIR /work
# a container ends with its command, so nothing is to stay behind it; `server start --host 0.0.0.0` keeps one warm
ENV PROMPTLAB_KEEP_ALIVE=0
ENTRYPOINT ["promptlab"]
CMD ["--help"]
