"""Fits the pod parts of job configuration: pod specs, container lists, volumes, resources.

Only what YAML can get wrong is touched: text fields that hold numbers, quantities (canonical, as the API server keeps
them), nulls, key case. Keys unknown here are carried along; the API server knows them.

Source: k8s.io/api/core/v1 PodSpec.
"""

from typing import Any

from prow_async.core import quantity
from prow_async.core.goconvert import Report, Shape, list_of, map_of, object_of, string, text_or_number


def quantity_shape(value: Any, report: Report) -> Any:
    """Take a quantity and return its canonical text."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            return quantity.canonical(value)
        except quantity.QuantityError as error:
            return report.error(str(error))
    return report.error("expected a quantity such as 500m or 2Gi")


def _without_nulls(value: Any, report: Report) -> Any:
    """Carry a free-form part along, without its nulls."""
    if isinstance(value, dict):
        return {key: _without_nulls(part, report) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_without_nulls(part, report) for part in value]
    return value


def _object(**fields: Shape) -> Shape:
    return object_of(fields, keep_unknown=True)


_texts = list_of(string, str)
_text_map = map_of(string, str)
_quantities = map_of(quantity_shape, lambda: "0")

resources = _object(
    limits=_quantities,
    requests=_quantities,
    claims=list_of(_object(name=string, request=string), dict),
)
"""ResourceRequirements."""

_key_ref = _object(name=string, key=string)
env_var = _object(
    name=string,
    value=string,
    valueFrom=_object(
        configMapKeyRef=_key_ref,
        secretKeyRef=_key_ref,
        fieldRef=_object(apiVersion=string, fieldPath=string),
        resourceFieldRef=_object(containerName=string, resource=string, divisor=quantity_shape),
    ),
)
volume_mount = _object(name=string, mountPath=string, subPath=string, subPathExpr=string, mountPropagation=string)

_key_paths = list_of(_object(key=string, path=string), dict)
_field_paths = list_of(_object(path=string), dict)
_metadata = _object(name=string, namespace=string, labels=_text_map, annotations=_text_map)
_claim_spec = _object(
    accessModes=_texts,
    resources=resources,
    storageClassName=string,
    volumeMode=string,
    volumeName=string,
)
volume = _object(
    name=string,
    secret=_object(secretName=string, items=_key_paths),
    configMap=_object(name=string, items=_key_paths),
    hostPath=_object(path=string, type=string),
    emptyDir=_object(medium=string, sizeLimit=quantity_shape),
    persistentVolumeClaim=_object(claimName=string),
    downwardAPI=_object(items=_field_paths),
    csi=_object(driver=string, fsType=string, volumeAttributes=_text_map, nodePublishSecretRef=_object(name=string)),
    nfs=_object(server=string, path=string),
    ephemeral=_object(volumeClaimTemplate=_object(metadata=_metadata, spec=_claim_spec)),
    projected=_object(
        sources=list_of(
            _object(
                secret=_object(name=string, items=_key_paths),
                configMap=_object(name=string, items=_key_paths),
                downwardAPI=_object(items=_field_paths),
                serviceAccountToken=_object(audience=string, path=string),
            ),
            dict,
        )
    ),
)
toleration = _object(key=string, operator=string, value=string, effect=string)

_handler = _object(
    exec=_object(command=_texts),
    httpGet=_object(
        path=string,
        port=text_or_number,
        host=string,
        scheme=string,
        httpHeaders=list_of(_object(name=string, value=string), dict),
    ),
    tcpSocket=_object(port=text_or_number, host=string),
)
container = _object(
    name=string,
    image=string,
    command=_texts,
    args=_texts,
    workingDir=string,
    ports=list_of(_object(name=string, protocol=string, hostIP=string), dict),
    envFrom=list_of(_object(prefix=string, configMapRef=_object(name=string), secretRef=_object(name=string)), dict),
    env=list_of(env_var, dict),
    resources=resources,
    volumeMounts=list_of(volume_mount, dict),
    livenessProbe=_handler,
    readinessProbe=_handler,
    startupProbe=_handler,
    lifecycle=_object(postStart=_handler, preStop=_handler),
    restartPolicy=string,
    terminationMessagePath=string,
    terminationMessagePolicy=string,
    imagePullPolicy=string,
    securityContext=_without_nulls,
)

_expressions = list_of(_object(key=string, operator=string, values=_texts), dict)
_selector = _object(matchLabels=_text_map, matchExpressions=_expressions)
_node_term = _object(matchExpressions=_expressions, matchFields=_expressions)
_pod_term = _object(labelSelector=_selector, namespaces=_texts, topologyKey=string, namespaceSelector=_selector)
_pod_affinity = _object(
    requiredDuringSchedulingIgnoredDuringExecution=list_of(_pod_term, dict),
    preferredDuringSchedulingIgnoredDuringExecution=list_of(_object(podAffinityTerm=_pod_term), dict),
)
affinity = _object(
    nodeAffinity=_object(
        requiredDuringSchedulingIgnoredDuringExecution=_object(nodeSelectorTerms=list_of(_node_term, dict)),
        preferredDuringSchedulingIgnoredDuringExecution=list_of(_object(preference=_node_term), dict),
    ),
    podAffinity=_pod_affinity,
    podAntiAffinity=_pod_affinity,
)

pod_spec = _object(
    volumes=list_of(volume, dict),
    initContainers=list_of(container, dict),
    containers=list_of(container, dict),
    restartPolicy=string,
    dnsPolicy=string,
    nodeSelector=_text_map,
    serviceAccountName=string,
    serviceAccount=string,
    nodeName=string,
    securityContext=_without_nulls,
    imagePullSecrets=list_of(_object(name=string), dict),
    hostname=string,
    subdomain=string,
    affinity=affinity,
    schedulerName=string,
    tolerations=list_of(toleration, dict),
    hostAliases=list_of(_object(ip=string, hostnames=_texts), dict),
    priorityClassName=string,
    dnsConfig=_object(
        nameservers=_texts,
        searches=_texts,
        options=list_of(_object(name=string, value=string), dict),
    ),
    runtimeClassName=string,
    preemptionPolicy=string,
    overhead=_quantities,
    topologySpreadConstraints=list_of(
        _object(topologyKey=string, whenUnsatisfiable=string, labelSelector=_selector), dict
    ),
)
"""PodSpec."""

free_form = _without_nulls
"""Any JSON, nulls left out (a Tekton spec, a plugin's own section)."""
