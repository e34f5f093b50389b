# The environment of requirements.lock and the code, for `docker run` and Kubernetes; latentbench.def for Apptainer.
# Not built where this was written, for want of Docker; nor tried with GPUs: docker run --gpus all.
#   docker build --tag latentbench .
#   docker run --rm --volume "$PWD/results:/latentbench/results" latentbench run quick
FROM python:3.11-slim

# KeOps compiles its formulas with g++, git tells a record its commit.
RUN apt-get update && apt-get install --yes --no-install-recommends g++ git && rm -rf /var/lib/apt/lists/*

WORKDIR /latentbench
COPY requirements.lock ./
RUN pip install --no-cache-dir "$(sed -n 's/^\(uv==[0-9.]*\).*/\1/p' requirements.lock)" \
    && uv pip sync --system --no-cache --require-hashes requirements.lock
COPY . .

ENV PYTHONUNBUFFERED=1
ENTRYPOINT ["python", "-m", "bench"]
CMD ["run", "quick"]
