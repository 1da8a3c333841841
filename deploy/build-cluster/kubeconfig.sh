#!/bin/sh
# Print a kubeconfig for one component of prow_async, made of the account that build-cluster/remote gave it.
#   kubeconfig.sh CONTEXT COMPONENT [ALIAS]
# CONTEXT: how your own kubeconfig calls the build cluster. COMPONENT: controller-manager or sinker.
# ALIAS: what jobs call the cluster (`cluster: ALIAS`); CONTEXT by default.
set -eu
[ $# -ge 2 ] || { sed -n '2,5s/^# *//p' "$0" >&2; exit 2; }
context=$1 component=$2 alias=${3:-$1}
at() { kubectl --context "$context" "$@"; }
secret() { at --namespace test-pods get secret "prow-async-$component-token" -o "jsonpath={.data['$1']}"; }
server=$(at config view --minify --raw -o 'jsonpath={.clusters[0].cluster.server}')
token=$(secret token | base64 -d)
[ -n "$token" ] || { echo "Secret prow-async-$component-token has no token yet: try again in a moment" >&2; exit 1; }
cat <<END
apiVersion: v1
kind: Config
current-context: "$alias"
contexts:
- name: "$alias"
  context: {cluster: "$alias", user: "$alias", namespace: test-pods}
clusters:
- name: "$alias"
  cluster: {server: "$server", certificate-authority-data: $(secret 'ca\.crt')}
users:
- name: "$alias"
  user: {token: "$token"}
END
