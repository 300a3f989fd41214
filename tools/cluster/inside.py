"""Process 1 of a cluster: makes the bridge and the nodes, then reaps orphans until it is killed.

Runs in fresh pid, net, mount, uts and ipc namespaces made by `unshare`; the net namespace it starts in holds the
bridge (the switch). Nothing here has a name outside: when this process dies, the kernel kills every process of
the pid namespace, and with the last of them go the namespaces, the links and the mounts.
"""

import json
import os
import pathlib
import subprocess
import sys

# What a node does before anything runs in it: own host name, loopback, /dev/shm and /etc/hosts, then it sleeps and
# so keeps its namespaces. Reads one line first, because eth0 only arrives after the namespace exists.
#
# Congestion control is set here, else it is whatever the machine outside prefers. Cubic is what Linux clusters run; BBR
# paces each socket by a timer, in small packets: twice the time for the same exchange on an unshaped link, and a
# quarter more of it exposed on 1 Gbit. Without cubic there is always reno. The window is kept between exchanges (a
# computation is longer than what TCP takes for idle), as clusters set it; where /proc is read-only, it stays.
_NODE_SCRIPT = """
set -e
hostname "$1"
mount -t tmpfs -o mode=1777 shm /dev/shm
mount --bind "$2" /etc/hosts
ip link set lo up
echo made
read -r line
ip address add "$3" dev eth0
ip link set eth0 up
ip route change "$4" dev eth0 congctl cubic 2>/dev/null || ip route change "$4" dev eth0 congctl reno
{ echo 0 >/proc/sys/net/ipv4/tcp_slow_start_after_idle; } 2>/dev/null || true
echo ready
exec sleep infinity
"""


def shaping(device: str, link: str) -> list[str] | None:
    """The tc command that limits what leaves `device` to `link`; None for an unshaped link.

    A bucket of 128 kB lets one large segment pass at line rate; a queue of 1 MB is the least that loses no packets
    at 10 Gbit/s (seen with smaller ones: retransmissions, a third of the rate).
    """
    if link == "unshaped":
        return None
    return f"tc qdisc add dev {device} root tbf rate {link} burst 128kb limit 1mb".split()


# The network is closed, so every cluster can use the same addresses.
_NETWORK = "10.77.0.0/16"


def node_address(index: int) -> str:
    """IPv4 address of a node."""
    return f"10.77.{index // 250}.{index % 250 + 1}"


def hosts_file(nodes: int) -> str:
    """The nodes' /etc/hosts."""
    lines = ["127.0.0.1 localhost"] + [f"{node_address(i)} node{i}" for i in range(nodes)]
    return "\n".join(lines) + "\n"


def _command(words: list[str]) -> None:
    subprocess.run(words, check=True)


def _start_node(directory: pathlib.Path, index: int, link: str, cores: str) -> None:
    name = f"node{index}"
    arguments = [name, str(directory / "hosts"), node_address(index) + "/16", _NETWORK]
    node = subprocess.Popen(
        ["unshare", "--net", "--uts", "--ipc", "--mount", "sh", "-c", _NODE_SCRIPT, "node", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert node.stdin is not None and node.stdout is not None

    def expect(word: str) -> None:
        if node.stdout.readline().strip() != word:
            raise RuntimeError(f"{name} did not get {word}; see the lines above")

    expect("made")
    # Both directions of the link are limited, each where packets leave: at the node and at the switch port, so that
    # several senders to one node share that node's link as they would on a real switch.
    port = f"port{index}"
    _command(f"ip link add {port} type veth peer name eth0 netns {node.pid}".split())
    _command(f"ip link set {port} master switch up".split())
    for device, enter in ((port, []), ("eth0", ["nsenter", "--target", str(node.pid), "--net"])):
        limit = shaping(device, link)
        if limit:
            _command(enter + limit)
    node.stdin.write("go\n")
    node.stdin.flush()
    expect("ready")
    (directory / name).mkdir()
    (directory / name / "tmp").mkdir()
    (directory / name / "cores").write_text(cores + "\n")
    (directory / name / "pid").write_text(f"{node.pid}\n")


def main(directory: pathlib.Path) -> None:
    """Builds what DIRECTORY/spec.json asks for; DIRECTORY/ready or DIRECTORY/failed says how it went."""
    spec = json.loads((directory / "spec.json").read_text())
    try:
        (directory / "hosts").write_text(hosts_file(spec["nodes"]))
        _command("ip link set lo up".split())
        _command("ip link add switch type bridge".split())
        _command("ip link set switch up".split())
        for index in range(spec["nodes"]):
            _start_node(directory, index, spec["link"], spec["cores"][index])
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        (directory / "failed").write_text(f"{error}\n")
        sys.exit(1)
    (directory / "ready").touch()
    while True:
        os.waitpid(-1, 0)  # the nodes never end by themselves, so there is always something to wait for


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
