#!/bin/sh
# Makes calls that read bundles nobody could know of before, and prints a line of JSON for each. The arguments are the folder of the
# Python environment, PREFIX, and the clients. Nothing here knows of Tollgate.

environment=$1 prefix=$2
shift 2
python=$environment/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

version() { "$python" -c 'import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))' "$1"; }
# Nothing is left of the environment.
bare() { timeout 30 env -i "$@" 2>&1; }
packages=$("$python" -c 'import site; print(site.getsitepackages()[0])')

for client in "$@"; do
    host=$prefix$client.trust.test
    case $client in
        env-i-requests) version=$(version requests) said=$(bare "$python" -c "import requests; requests.get('https://$host/hello', timeout=10)") ;;
        env-i-boto3) version=$(version boto3) said=$(bare "$python" - "$host" <<'END'
import sys, boto3
from botocore.config import Config
patience = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1})
boto3.client("sts", endpoint_url=f"https://{sys.argv[1]}", region_name="eu-central-1", aws_access_key_id="k", aws_secret_access_key="k", config=patience).get_caller_identity()
END
            ) ;;
        env-i-grpcio) version=$(version grpcio) said=$(bare "$python" - "$host" <<'END'
import sys, grpc
channel = grpc.secure_channel(sys.argv[1] + ":443", grpc.ssl_channel_credentials())
try:
    channel.unary_unary("/test.Echo/Say")(b"hello", timeout=5)
except grpc.RpcError as error:
    # It was asked, and answered that it knows no such call.
    if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
        raise
END
            ) ;;
        # As weaviate does: a context with a bundle of its own, which no variable changes.
        explicit-certifi) version=$(version httpx) said=$(timeout 30 "$python" -c "import certifi, httpx, ssl; httpx.get('https://$host/hello', verify=ssl.create_default_context(cafile=certifi.where()), timeout=10)" 2>&1) ;;
        # The bundle is unpacked from the archive each time, under another name.
        zipapp)
            version=$(version requests)
            mkdir app
            for package in requests urllib3 idna charset_normalizer certifi; do cp -r "$packages/$package" app/; done
            echo "import sys, requests; requests.get(f'https://{sys.argv[1]}/hello', timeout=10)" >app/__main__.py
            "$python" -m zipapp app -o app.pyz
            said=$(bare "$python" -I app.pyz "$host") ;;
        # It is made when the launch runs already.
        new-venv-pip)
            "$python" -m venv --without-pip new
            cp -r "$packages/pip" new/lib/python3*/site-packages/
            version=$(new/bin/python -m pip --version | cut -d ' ' -f 2)
            said=$(bare PIP_CONFIG_FILE=/dev/null new/bin/python -m pip download -q --no-cache-dir --retries 0 --index-url "https://$host/simple" none-such) ;;
        env-i-node)
            version=$(node --version | tr -d v)
            said=$(bare "$(command -v node)" -e "fetch('https://$host/hello').catch((e) => { console.error(String(e.cause)); process.exit(1) })") ;;
    esac
    if [ $? -eq 0 ]; then error=null; else error=\"$(printf %s "$said" | tail -n 3 | tr -d '\\"' | tr '\n\t' '  ' | cut -c 1-300)\"; fi
    printf '{"client": "%s", "version": "%s", "error": %s}\n' "$prefix$client" "$version" "$error"
done
