"""Wire names that upstream Prow fixed, and our own few under our prefix.

Source: upstream pkg/kube/prowjob.go, pkg/github/types.go, cmd/*/main.go (LeaderElectionID).
"""

GROUP = "prow.k8s.io"
VERSION = "v1"
API_VERSION = "prow.k8s.io/v1"
PLURAL = "prowjobs"

CREATED_BY_PROW = "created-by-prow"
CREATED_BY_TIDE = "created-by-tide"
TYPE_LABEL = "prow.k8s.io/type"
JOB = "prow.k8s.io/job"
"""Label (cut at 63 bytes) and annotation (in full)."""
CONTEXT = "prow.k8s.io/context"
"""Label (cut at 63 bytes) and annotation (in full)."""
ID_LABEL = "prow.k8s.io/id"
BUILD_ID_LABEL = "prow.k8s.io/build-id"
PLANK_VERSION_LABEL = "prow.k8s.io/plank-version"
"""On a pod: the version of the controller that made it."""
ORG_LABEL = "prow.k8s.io/refs.org"
REPO_LABEL = "prow.k8s.io/refs.repo"
BASE_REF_LABEL = "prow.k8s.io/refs.base_ref"
PULL_LABEL = "prow.k8s.io/refs.pull"
IS_OPTIONAL_LABEL = "prow.k8s.io/is-optional"
RETEST_LABEL = "prow.k8s.io/retest"
RERUN_LABEL = "prow.k8s.io/re-run"
EVENT_GUID = "event-GUID"
GERRIT_REPORT_LABEL = "prow.k8s.io/gerrit-report-label"
PUBSUB_PROJECT = "prow.k8s.io/pubsub.project"
PUBSUB_TOPIC = "prow.k8s.io/pubsub.topic"
PUBSUB_RUN_ID = "prow.k8s.io/pubsub.runID"
"""These three are annotations, or labels on older jobs."""
GCS_K8S_FINALIZER = "prow.x-k8s.io/gcsk8sreporter"

# Marks of our own. Annotations but for one, so that selectors written for upstream keep their meaning.
OUR_PREFIX = "prow-async.dev/"
"""Begins every mark that only we write."""
OWNER_UID = "prow-async.dev/owner-uid"
"""On a pod: the UID of the ProwJob it was made for."""
ATTEMPT = "prow-async.dev/attempt"
"""On a pod: the number of pods made for that ProwJob before this one."""
DIGEST = "prow-async.dev/digest"
"""On a pod and a ProwJob: the digest of what its creator sent (see core/identity)."""
CAUSE = "prow-async.dev/cause"
"""On a ProwJob: what made it exist, in words a person can follow."""
FAILURE_CLASS = "prow-async.dev/failure-class"
"""Label of a ProwJob that did not end well, unless somebody aborted it: an api.views.FailureClass."""
SLOT = "prow-async.dev/slot"
"""On a ProwJob: the slot of its periodic's cron that it runs for, RFC 3339 in UTC."""
MISSED_SLOTS = "prow-async.dev/missed-slots"
"""On a periodic: what becomes of cron slots that nobody looked at in time: skip, latest or all."""
MISSED_SLOTS_WINDOW = "prow-async.dev/missed-slots-window"
"""On a periodic: slots missed longer ago are lost; a Go duration."""
JITTER = "prow-async.dev/jitter"
"""On a periodic: it runs up to so much later than its cron slots; a Go duration."""
UPDATED_KEYS = "prow-async.dev/updated-keys"
"""On a ConfigMap that config-updater writes: of which merge each key is; see core/config_maps."""

# Keys of reporters in status.prev_report_states.
GITHUB_REPORTER = "github-reporter"
BLOB_REPORTER = "gcsreporter"
POD_REPORTER = "gcsk8sreporter"
SLACK_REPORTER = "slackreporter"
PUBSUB_REPORTER = "pubsub-reporter"

LEASES = {
    "plank": "prow-controller-manager-leader-lock",
    "sinker": "prow-sinker-leaderlock",
    "crier": "prow-crier-leaderlock",
    "horologium": "prow-horologium-leaderlock",
}
"""Names of the Leases, in the namespace of ProwJobs, by component. The first two are upstream's: old and new exclude
each other. Upstream's crier and horologium take none."""
