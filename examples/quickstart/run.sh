#!/bin/sh
# Starts the mock model and attache with its Envoy on quickstart/attache.yaml,
# and prints the curl to try. make run calls it.
set -eu
dir=$(dirname "$0")
bin=${ATTACHE:-.bin/attache}
PORT=${PORT:-3000}
MOCK_LLM=${MOCK_LLM:-127.0.0.1:8080}
export PORT MOCK_LLM
# make envoy puts one here unless the machine has its own.
if [ -z "${ENVOY_PATH:-}" ] && [ -x .envoy/envoy ]; then
	export ENVOY_PATH="$PWD/.envoy/envoy"
fi

ready=$(mktemp)
rm "$ready"
mock= hint= gateway=
finish() {
	kill $mock $hint $gateway 2>/dev/null
	wait $gateway
	rm -f "$ready"
}
trap finish EXIT
trap 'exit 0' INT TERM # as it is meant to end
trap 'exit 3' USR1 # without the model

# A failure is mostly a port that somebody has.
elsewhere() { echo "attache: hint: other ports: PORT=3001 MOCK_LLM=127.0.0.1:8081 make run" >&2; }

(
	"$bin" mock-llm --addr "$MOCK_LLM" &
	trap 'kill $!' TERM
	wait $! || [ $? -ne 3 ] || { elsewhere; kill -USR1 $$; }
) &
mock=$!
(
	until [ -e "$ready" ]; do
		kill -0 $$ 2>/dev/null || exit 0
		sleep 0.1
	done
	cat <<EOF

Ready. In another terminal, try

  curl localhost:$PORT/v1/chat/completions -H 'content-type: application/json' \\
    -d '{"model": "any", "messages": [{"role": "user", "content": "Hello!"}]}'

then edit $dir/attache.yaml and try again. Ctrl-C ends it.

EOF
) &
hint=$!

set +e
"$bin" run -f "$dir/attache.yaml" --ready-file "$ready" &
gateway=$!
wait $gateway
status=$?
[ $status -ne 3 ] || elsewhere
exit $status
