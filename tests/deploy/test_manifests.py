"""The manifests hang together: with each other, with the programs they start, with what the programs listen on."""

import itertools
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from prow_async.apps import flag_groups, flags
from tests.deploy import manifests
from tests.e2e import program

TABLES = {
    "hook": flag_groups.HOOK,
    "controller-manager": flag_groups.CONTROLLER_MANAGER,
    "crier": flag_groups.CRIER,
    "horologium": flag_groups.HOROLOGIUM,
    "sinker": flag_groups.SINKER,
    "all-in-one": flag_groups.UP,
}
OVERLAYS = ("overlays/split", "overlays/all-in-one")
EXTRAS = (
    (),
    ("github-token",),
    ("github-app",),
    ("github-token", "remote-clusters", "monitoring"),
    ("github-token", "pod-information"),
)
both = pytest.mark.parametrize("overlay", OVERLAYS)


@pytest.mark.parametrize(("overlay", "extras"), list(itertools.product(OVERLAYS, EXTRAS)), ids=str)
def test_every_combination_starts_what_it_says(overlay: str, extras: tuple[str, ...]) -> None:
    """Each program knows its flags, takes none of them for nothing, and finds every file they name."""
    found = manifests.workloads(manifests.build(overlay, *extras))
    assert set(found) == ({"all-in-one"} if "all" in overlay else set(manifests.COMPONENTS))
    for component, workload in found.items():
        box = manifests.container(workload)
        command, *arguments = box["args"]
        assert command == ("up" if component == "all-in-one" else component)
        parsed = flags.parse(
            command, TABLES[component], [each.replace("$(GITHUB_APP_ID)", "123") for each in arguments]
        )
        assert parsed.warnings == ()
        assert parsed["dry-run"] is False
        ports = {port["name"]: port["containerPort"] for port in box["ports"]}
        assert (ports["metrics"], ports["health"]) == (parsed["metrics-port"], parsed["health-port"])
        assert ports.get("webhooks") == (parsed["port"] if component in {"hook", "all-in-one"} else None)
        assert parsed["listen-host"] == "0.0.0.0"
        assert workload["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > parsed["grace-period"]
        _every_file_is_mounted(workload, arguments)


def _every_file_is_mounted(workload: Mapping[str, Any], arguments: list[str]) -> None:
    pod = workload["spec"]["template"]["spec"]
    mounts = {mount["mountPath"]: mount["name"] for mount in manifests.container(dict(workload))["volumeMounts"]}
    claims = {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", ())}
    assert set(mounts.values()) == {volume["name"] for volume in pod["volumes"]} | claims
    for argument in arguments:
        path = argument.partition("=")[2]
        if path.startswith("/"):
            assert any(Path(path).is_relative_to(place) for place in mounts), f"{argument} is mounted nowhere"


@both
def test_github_is_reached_by_one_way(overlay: str) -> None:
    """Those that speak to GitHub, and no others, get the secret; the App's id comes from it too."""
    speakers = {"hook", "crier", "all-in-one"}
    for extra, flag in (("github-token", "--github-token-path"), ("github-app", "--github-app-private-key-path")):
        for component, workload in manifests.workloads(manifests.build(overlay, extra)).items():
            arguments = manifests.container(workload)["args"]
            assert any(each.startswith(flag) for each in arguments) == (component in speakers)
            secrets = [
                v["secret"]["secretName"] for v in workload["spec"]["template"]["spec"]["volumes"] if "secret" in v
            ]
            assert ("github-token" in secrets) == (component in speakers)


@both
def test_nothing_runs_with_more_than_it_needs(overlay: str) -> None:
    """The namespace lets in only what is restricted; nobody is root; a token is mounted for accounts with rights."""
    objects = manifests.build(overlay, "github-app", "remote-clusters")
    namespace = manifests.one(objects, "Namespace", "prow", "")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for workload in manifests.workloads(objects).values():
        pod = workload["spec"]["template"]["spec"]
        box = manifests.container(workload)
        assert pod["securityContext"]["runAsUser"] >= 1000
        assert box["securityContext"]["readOnlyRootFilesystem"]
        assert box["resources"]["limits"]["memory"]
        assert box["image"] == "registry.example/prow-async:v1"
        assert manifests.granted(objects, pod["serviceAccountName"])


def test_all_in_one_has_the_rights_of_all_and_no_more() -> None:
    split = manifests.build("overlays/split")
    sum_of_all = set().union(*(manifests.granted(split, f"prow-async-{name}") for name in manifests.COMPONENTS))
    assert manifests.granted(manifests.build("overlays/all-in-one"), "prow-async") == sum_of_all


def test_a_remote_cluster_gives_the_rights_over_pods_and_no_more() -> None:
    local, remote = manifests.build("overlays/split"), manifests.build("build-cluster/remote")
    for name in ("controller-manager", "sinker"):
        here = {verb for verb in manifests.granted(local, f"prow-async-{name}") if verb[0] == "test-pods"}
        assert manifests.granted(remote, f"prow-async-{name}", "test-pods") == here != set()


@both
def test_selectors_find_exactly_their_component(overlay: str) -> None:
    """Services, budgets and policies select pods that are there; ports they name are ports of those pods."""
    objects = manifests.build(overlay)
    found = manifests.workloads(objects)
    labels = {name: each["spec"]["template"]["metadata"]["labels"] for name, each in found.items()}
    ports = {name: {port["name"] for port in manifests.container(each)["ports"]} for name, each in found.items()}

    def chosen(selector: Mapping[str, str]) -> list[str]:
        return [name for name, has in labels.items() if selector.items() <= has.items()]

    for name, workload in found.items():
        assert chosen(workload["spec"]["selector"]["matchLabels"]) == [name]
    budgets = [
        chosen(each["spec"]["selector"]["matchLabels"]) for each in manifests.of_kind(objects, "PodDisruptionBudget")
    ]
    assert sorted(budgets) == sorted([name] for name in found)
    scraped = set()
    for service in manifests.of_kind(objects, "Service"):
        (name,) = chosen(service["spec"]["selector"])
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in ports[name]
            scraped |= {name} if port["name"] == "metrics" else set()
    assert scraped == set(found)
    for policy in manifests.of_kind(objects, "NetworkPolicy"):
        here = chosen(policy["spec"]["podSelector"].get("matchLabels", {"none": ""}))
        for rule in policy["spec"].get("ingress", ()):
            assert {port["port"] for port in rule["ports"]} <= set().union(*(ports[name] for name in here))
    sets = manifests.of_kind(objects, "StatefulSet")
    services = {each["metadata"]["name"] for each in manifests.of_kind(objects, "Service")}
    assert {each["spec"]["serviceName"] for each in sets} <= services


def test_pod_information_gives_crier_pods_to_read_and_hold() -> None:
    """Without it crier has nothing to do with pods."""
    account = "prow-async-crier"
    with_it = manifests.granted(manifests.build("overlays/split", "pod-information"), account)
    assert with_it - manifests.granted(manifests.build("overlays/split"), account) == {
        ("test-pods", "pods", "get"),
        ("test-pods", "pods", "patch"),
        ("test-pods", "events", "list"),
    }


def test_replicas() -> None:
    """Two of everything; hook's each with a volume of its own that outlives it."""
    found = manifests.workloads(manifests.build("overlays/split"))
    assert {name: each["spec"]["replicas"] for name, each in found.items()} == dict.fromkeys(manifests.COMPONENTS, 2)
    hook = found["hook"]
    assert hook["kind"] == "StatefulSet"
    assert [each["metadata"]["name"] for each in hook["spec"]["volumeClaimTemplates"]] == ["state"]
    assert hook["spec"]["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}


@pytest.mark.slow
def test_the_configuration_to_begin_with_is_sound(tmp_path: Path) -> None:
    """checkconfig finds nothing to say about it but that its jobs are not decorated; namespaces are those deployed."""
    objects = manifests.build("overlays/split")
    for name in ("config", "job-config", "plugins"):
        for file, content in manifests.one(objects, "ConfigMap", name)["data"].items():
            (tmp_path / file).write_text(content)
    done = program.run(
        "checkconfig",
        f"--config-path={tmp_path}/config.yaml",
        f"--job-config-path={tmp_path}/jobs.yaml",
        f"--plugin-config={tmp_path}/plugins.yaml",
        "--exclude-warning=non-decorated-jobs",
        "--strict",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert (config["prowjob_namespace"], config["pod_namespace"]) == ("prow", "test-pods")


def test_every_kustomization_is_named_here() -> None:
    """No folder is left out of these tests."""
    listed = subprocess.run(
        ["git", "ls-files", "deploy/*kustomization.yaml"],
        cwd=manifests.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    folders = {Path(line).parent.relative_to("deploy").as_posix() for line in listed.stdout.splitlines()}
    extras = {f"components/{name}" for extra in EXTRAS for name in extra}
    extras.add("components/workload")
    parts = {f"parts/{name}" for name in TABLES}
    places = {f"build-cluster/{name}" for name in ("namespace", "roles", "remote")}
    assert folders == {*OVERLAYS, *extras, *parts, *places, "base", "crd"}


def _documented(page: str, title: str) -> list[str]:
    """Return the code blocks of a page that begin with a comment of this title."""
    text = (manifests.ROOT / "docs" / page).read_text()
    return [block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if block.startswith(f"# {title}\n")]


def test_the_installation_of_the_documentation_builds(tmp_path: Path) -> None:
    """With a configuration of one's own beside it, which takes the place of the one to begin with."""
    shutil.copytree(manifests.DEPLOY, tmp_path / "prow_async" / "deploy")
    mine = tmp_path / "mine"
    shutil.copytree(manifests.DEPLOY / "base" / "config", mine)
    (mine / "config.yaml").write_text("prowjob_namespace: prow\n")
    (text,) = _documented("deploy.md", "kustomization.yaml")
    for shape, login in itertools.product(("split", "all-in-one"), ("github-app", "github-token")):
        changed = text.replace("overlays/split ", f"overlays/{shape} ").replace(
            "components/github-app ", f"components/{login} "
        )
        (mine / "kustomization.yaml").write_text(changed)
        objects = list(yaml.safe_load_all(manifests.kustomize(mine)))
        assert manifests.one(objects, "ConfigMap", "config")["data"] == {"config.yaml": "prowjob_namespace: prow\n"}
        images = {manifests.container(each)["image"] for each in manifests.workloads(objects).values()}
        assert images == {"registry.example.com/prow-async:v1"}


def test_parts_move_alone_into_namespaces_of_other_names(tmp_path: Path) -> None:
    """As docs/migrate.md tells it: a copy, one command, a part: what comes out stands in the other namespaces alone."""
    page = (manifests.ROOT / "docs" / "migrate.md").read_text()
    (command,) = re.findall(r"^    cp -r deploy my-deploy\n((?:    .*\n)+)", page, re.MULTILINE)
    (text,) = _documented("migrate.md", "kustomization.yaml")
    shutil.copytree(manifests.DEPLOY, tmp_path / "my-deploy")
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    for part in manifests.COMPONENTS:
        resources = f"- my-deploy/parts/{part}\n- my-deploy/build-cluster/roles"
        changed = text.replace("- deploy/parts/crier", resources).replace("deploy/components", "my-deploy/components")
        (tmp_path / "kustomization.yaml").write_text(changed)
        objects = list(yaml.safe_load_all(manifests.kustomize(tmp_path)))
        assert not manifests.of_kind(objects, "Namespace", "ConfigMap", "CustomResourceDefinition")
        assert {each["metadata"]["namespace"] for each in objects} == {"default", "ci-pods"}
        rights = manifests.granted(objects, f"prow-async-{part}", "default")
        before = manifests.granted(manifests.build("overlays/split"), f"prow-async-{part}")
        other = {"prow": "default", "test-pods": "ci-pods"}
        assert rights == {(other[place], resource, verb) for place, resource, verb in before} != set()
