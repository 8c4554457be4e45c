"""Is what a run removes from Docker exactly what somebody has read in its plan?"""

from __future__ import annotations

import re
import sys

import docker

from tests.replicas.replica_process import ROOT, running
from tests.runs.own import TAG, furnished
from tests.runs.runs import FAST, Project

ENGINE = (sys.executable, str(ROOT / "tests" / "replicas" / "engine_replica.py"), "--folder")
TARGET = """\
system: shop
called: the shop
services: {docker: {docker: "${env:RML_DOCKER}", project: "${env:RML_PROJECT}"}}
figures:
  unused volumes: {container: {unused: volumes, in: docker}, key: name}
operations:
  removes the unused volumes: {effect: destroys, container: {remove: unused volumes, in: docker}}
environments: {production: {allows: destroys}}
"""
FEATURE = f"""\
@{TAG} @maintenance
Feature: Tidying up
  Rule: What nobody needs goes

    @SHOP-WKM-1 @P3 @destroys
    Scenario: Unused volumes are removed
      Given the shop
      When the operator removes the unused volumes
      Then it has no unused volumes
"""
RUN = ("--target", "production", "--allow", "destroys", *FAST)


def test_the_plan_names_what_goes_and_the_run_takes_exactly_that(project: Project) -> None:
    """Another system than the one that was read has another digest, and loses nothing."""
    furnished(project, TARGET, FEATURE)
    with running(project.tmp / "engine", ENGINE) as replica:
        client = docker.DockerClient(replica.env["RML_DOCKER"])
        volumes = {each.name for each in client.volumes.list()}
        (nameless,) = [name for name in volumes if len(name) == 64]
        planned = project.pytest(*RUN, "--plan", env=replica.env)
        assert "removes the unused volumes: 1 to be touched" in planned.out, planned.text
        assert nameless in planned.out
        found = re.search(r"digest: (\w+)", planned.out)
        assert found is not None, planned.text
        client.api.create_container_from_config(
            {"Image": "mariadb:11", "HostConfig": {"Binds": [f"{nameless}:/data"]},
             "Labels": {"com.docker.compose.service": "frontend-training"}}, "newcomer",
        )  # fmt: skip
        ended = project.pytest(*RUN, f"--digest={found[1]}", env=replica.env)
        assert ended.status == 4, ended.text
        assert "the system has changed since" in ended.text
        client.api.remove_container("newcomer")
        ended = project.pytest(*RUN, f"--digest={found[1]}", env=replica.env)
        assert ended.status == 0, ended.text
        assert {each.name for each in client.volumes.list()} == volumes - {nameless}
        about = next(each for each in project.last.ledger if each["kind"] == "about to")
        assert nameless in str(about)
        client.close()
