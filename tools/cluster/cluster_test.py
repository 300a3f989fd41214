"""The cluster in a box: what programs see in it, that its links are limited, and that it leaves nothing behind."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import unittest

_HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE / "testing")]

from box_fixture import CLUSTER, NO_RIGHTS, BoxTestCase, sleepers, wait_until  # noqa: E402
from box import core_lists  # noqa: E402
from errors import FAILED, UNAVAILABLE, USAGE, ClusterError  # noqa: E402
from box import require_programs  # noqa: E402

_PROBE = pathlib.Path(os.environ.get("LINK_PROBE", _HERE / "testing" / "link_probe")).resolve()


def probe_lines(output: str) -> list[dict[str, str]]:
    """Per rank, what link_probe saw: host, cores, shm."""
    pattern = r"^rank (?P<rank>\d+) host (?P<host>\S+) cores (?P<cores>\S+) shm (?P<shm>\d+)$"
    return [match.groupdict() for match in re.finditer(pattern, output, re.MULTILINE)]


def bandwidth(output: str) -> float:
    """MB/s that link_probe measured."""
    match = re.search(r"^bandwidth_mb_per_s ([0-9.]+)$", output, re.MULTILINE)
    assert match, output
    return float(match.group(1))


class WhatProgramsSee(BoxTestCase):
    """MPI programs across nodes."""

    def check_hosts(self, nodes: int) -> None:
        lines = probe_lines(self.succeed("run", "--nodes", str(nodes), "--", str(_PROBE)))
        self.assertEqual([line["host"] for line in lines], [f"node{i}" for i in range(nodes)])
        self.assertEqual(len({line["shm"] for line in lines}), nodes, "each node has its own /dev/shm")
        cores = sorted(os.sched_getaffinity(0))
        self.assertEqual([line["cores"] for line in lines], core_lists(nodes, cores))

    def test_two_nodes(self) -> None:
        self.check_hosts(2)

    def test_four_nodes(self) -> None:
        self.check_hosts(4)

    def test_ranks_of_one_node_share_it_and_have_own_cores(self) -> None:
        lines = probe_lines(self.succeed("run", "--nodes", "1", "--ranks-per-node", "2", "--", str(_PROBE)))
        self.assertEqual([line["host"] for line in lines], ["node0", "node0"])
        self.assertEqual(len({line["shm"] for line in lines}), 1)
        if len(os.sched_getaffinity(0)) >= 2:
            first, second = (set(line["cores"].split(",")) for line in lines)
            self.assertFalse(first & second, "ranks on the same core")

    def test_nodes_find_each_other_by_name_and_stay_up(self) -> None:
        self.succeed("up", "--nodes", "2")
        self.assertEqual(self.succeed("exec", "--node", "1", "--", "hostname"), "node1\n")
        self.assertIn("10.77.0.2", self.succeed("exec", "--", "getent", "hosts", "node1"))
        self.assertIn("2 nodes, link unshaped", self.succeed("status"))
        self.assertEqual(self.succeed("down"), "default: down\n")
        self.assertEqual(self.succeed("down"), "")
        self.assertEqual(self.succeed("status"), "no cluster is up\n")

    def test_directory_and_arguments_reach_the_program(self) -> None:
        output = self.succeed("exec", "--nodes", "2", "--", "sh", "-c", 'pwd; echo "$1"', "sh", "a  b$HOME'\"")
        self.assertEqual(output, f"{os.getcwd()}\na  b$HOME'\"\n")
        output = self.succeed("run", "--nodes", "2", "--", "sh", "-c", "pwd")
        self.assertEqual(output, f"{os.getcwd()}\n" * 2)

    def test_exit_status_is_the_programs(self) -> None:
        self.assertEqual(self.cluster("exec", "--nodes", "1", "--", "sh", "-c", "exit 7").returncode, 7)
        self.assertEqual(self.cluster("run", "--nodes", "2", "--", "sh", "-c", "exit 5").returncode, 5)

    def test_two_clusters_side_by_side(self) -> None:
        for name in ("left", "right"):
            self.succeed("up", "--name", name, "--nodes", "2")
        running = [self.start("run", "--name", name, "--", str(_PROBE)) for name in ("left", "right")]
        for process in running:
            output, errors = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, errors)
            self.assertEqual([line["host"] for line in probe_lines(output)], ["node0", "node1"])
        self.succeed("down", "--name", "left")
        self.assertEqual(self.succeed("exec", "--name", "right", "--", "hostname"), "node0\n")
        self.assertEqual(self.cluster("exec", "--name", "left", "--", "hostname").returncode, USAGE)


class Links(BoxTestCase):
    """That shaping is in force. Ranges of physics, not of speed: a link of 1 Gbit/s cannot carry more than 125 MB/s."""

    def test_one_gigabit_is_the_limit(self) -> None:
        speed = bandwidth(self.succeed("run", "--nodes", "2", "--link", "1gbit", "--", str(_PROBE)))
        # 1e9 / 8 bytes less 5 % for headers at most; the bucket of 128 kB adds nothing to 100 MB. From below only a
        # link that is broken (lost packets) is caught: a busy machine may well halve the rate.
        self.assertLess(speed, 126.0)
        self.assertGreater(speed, 30.0)

    def test_slower_link_is_slower(self) -> None:
        speed = bandwidth(self.succeed("run", "--nodes", "2", "--link", "200mbit", "--", str(_PROBE)))
        self.assertLess(speed, 25.2)
        self.assertGreater(speed, 6.0)

    def test_congestion_control_is_not_the_machines(self) -> None:
        routes = self.succeed("exec", "--nodes", "2", "--", "ip", "route", "show", "dev", "eth0")
        self.assertRegex(routes, r"(?m)^10\.77\.0\.0/16 .*congctl (cubic|reno)\b")

    def test_unshaped_link_is_not_limited(self) -> None:
        speed = bandwidth(self.succeed("run", "--nodes", "2", "--", str(_PROBE)))
        self.assertGreater(speed, 130.0)


class NothingIsLeft(BoxTestCase):
    """After every kind of end; check_nothing_is_left() of the fixture does the looking."""

    def namespaces_of(self, name: str) -> set[str]:
        """Net namespaces of the cluster's nodes and switch."""
        script = "for p in /proc/[0-9]*; do readlink $p/ns/net; done"
        return set(self.succeed("exec", "--name", name, "--", "sh", "-c", script).split())

    def assert_namespaces_are_gone(self, namespaces: set[str]) -> None:
        self.assertGreaterEqual(len(namespaces), 3)

        def held() -> set[str]:
            links = set()
            for entry in pathlib.Path("/proc").iterdir():
                if entry.name.isdigit():
                    try:
                        links.add(os.readlink(entry / "ns/net"))
                    except OSError:
                        pass
            return links & namespaces

        wait_until(lambda: not held(), "no process holds a net namespace of the cluster")

    def test_kill_9_of_a_run(self) -> None:
        mark = f"31{os.getpid()}"  # an argument of sleep that nobody else uses
        process = self.start("run", "--nodes", "2", "--", "sleep", mark)
        wait_until(lambda: len(sleepers(mark)) == 2, "both ranks run")
        process.kill()
        process.communicate()
        wait_until(lambda: not sleepers(mark), "ranks are gone")
        self.check_nothing_is_left()

    def test_terminating_a_run(self) -> None:
        mark = f"32{os.getpid()}"
        process = self.start("run", "--nodes", "2", "--", "sleep", mark)
        wait_until(lambda: len(sleepers(mark)) == 2, "both ranks run")
        process.terminate()
        process.communicate(timeout=30)
        self.assertGreater(process.returncode, 0)
        self.assertFalse(sleepers(mark))
        self.check_nothing_is_left()

    def test_kill_9_of_a_run_in_a_standing_cluster_ends_its_ranks_only(self) -> None:
        mark = f"33{os.getpid()}"
        self.succeed("up", "--nodes", "2")
        process = self.start("run", "--", "sleep", mark)
        wait_until(lambda: len(sleepers(mark)) == 2, "both ranks run")
        process.kill()
        process.communicate()
        wait_until(lambda: not sleepers(mark), "ranks are gone")
        self.assertEqual(self.succeed("exec", "--", "hostname"), "node0\n")

    def test_kill_9_of_the_daemons(self) -> None:
        for role in ("supervisor", "first"):
            with self.subTest(killed=role):
                self.succeed("up", "--nodes", "2")
                namespaces = self.namespaces_of("default")
                pid = int((self.root / "default" / role).read_text().split()[0])
                os.kill(pid, signal.SIGKILL)
                self.assert_namespaces_are_gone(namespaces)
                wait_until(lambda: self.succeed("status") == "no cluster is up\n", "status knows")
                self.succeed("up", "--nodes", "2")  # the name is free again
                self.succeed("down")

    def test_failure_while_coming_up(self) -> None:
        # tc refuses the rate, after the namespaces of the first node exist.
        result = self.cluster("up", "--nodes", "2", "--link", "99999999999999999999gbit")
        self.assertEqual(result.returncode, FAILED)
        self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
        self.check_nothing_is_left()

    def test_name_in_use(self) -> None:
        self.succeed("up", "--nodes", "2")
        self.assertEqual(self.cluster("up", "--nodes", "2").returncode, USAGE)
        self.assertEqual(self.succeed("exec", "--", "hostname"), "node0\n")  # and the first one is unharmed


class Refusals(BoxTestCase):
    """One line and a status of its own."""

    def test_without_the_rights(self) -> None:
        # In a user namespace that allows no net namespaces even root cannot make one.
        script = f"echo 0 >/proc/sys/user/max_net_namespaces && exec {CLUSTER} run --nodes 2 -- true"
        result = subprocess.run(
            ["unshare", "--user", "--map-root-user", "sh", "-c", script],
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(result.returncode, NO_RIGHTS, result.stderr)
        self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
        self.assertIn("no right to make network namespaces", result.stderr)

    def test_missing_program_is_named_with_its_package(self) -> None:
        with self.assertRaisesRegex(ClusterError, "'no-such-program' is missing .*some-package") as caught:
            require_programs({"no-such-program": "some-package"})
        self.assertEqual(caught.exception.status, UNAVAILABLE)

    def test_bad_usage(self) -> None:
        for arguments in (
            ["run", "--nodes", "2"],  # nothing to run
            ["run", "--nodes", "0", "--", "true"],
            ["run", "--nodes", "2", "--link", "fast", "--", "true"],
            ["run", "--name", "nobody", "--", "true"],  # not up
            ["exec", "--link", "1gbit", "--", "true"],  # a link for a cluster that stands already
            ["exec", "--nodes", "2", "--node", "2", "--", "true"],
            ["up", "--name", "../x"],
            ["sideways"],
        ):
            with self.subTest(arguments=arguments):
                result = self.cluster(*arguments)
                self.assertEqual(result.returncode, USAGE, result.stderr)
                self.assertNotIn("Traceback", result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
