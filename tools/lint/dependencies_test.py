"""What the lint of dependencies sees in a file, and that it fails when a package is taken out of the list."""

from __future__ import annotations

import pathlib
import unittest

from tools.lint import dependencies
from tools.lint.packages import read_provided
from tools.lint.shell_uses import script_uses, shell_uses

_HERE = pathlib.Path("tools")  # of the runfiles
_PACKAGES = (_HERE / "packages.txt").read_text(encoding="utf-8")
_PROVIDES = (_HERE / "lint/provides.txt").read_text(encoding="utf-8")


def complaints(path: str, text: str, without: str = "") -> list[str]:
    """About one file, with a package taken out of tools/packages.txt."""
    packages = "".join(line for line in _PACKAGES.splitlines(keepends=True) if line.split()[0] != without)
    return dependencies.find_complaints({path: text}, read_provided(packages, _PROVIDES))


def commands(script: str) -> set[str]:
    """Programs that a shell script surely runs."""
    return {use.name for use in shell_uses(script) if not use.doubtful}


class ShellTest(unittest.TestCase):
    def test_words_in_command_position(self) -> None:
        self.assertEqual(commands("git log | grep -q x && A=1 sed y || exec awk z\n"), {"git", "grep", "sed", "awk"})
        self.assertEqual(commands('x="$(uname -n) $(echo "$(id -u)")"\ny=${1:-$(nproc)}\n'), {"uname", "id", "nproc"})
        self.assertEqual(commands("while read -r a; do cat; done < <(ls; wc -l)\n"), {"cat", "ls", "wc"})
        self.assertEqual(commands("if ! cmp a b; then :; elif [[ $a =~ ^x$ ]]; then tail; fi\n"), {"cmp", "tail"})
        self.assertEqual(commands("case $1 in\n  rm | mv) cp a b ;;\n  *) sort ;;\nesac\n"), {"cp", "sort"})
        self.assertEqual(commands("command -v shellcheck >/dev/null 2>&1; timeout -k 5 20 mpirun x"), {"shellcheck", "timeout"})

    def test_what_is_no_command(self) -> None:
        self.assertEqual(commands("f() { echo; }\nf\n# git\n'a b'\nx=(tar y)\n((n > 1))\n$program z\n./own w\n"), set())
        self.assertEqual(commands("cat <<'TEXT'\ngit (\n'\nTEXT\nawk '{ print }\nls' <<<\"$x\"\n"), {"cat", "awk"})
        self.assertEqual(commands('grep -q "^a$" b || echo "no $"\nhead c\n'), {"grep", "head"})

    def test_functions_of_a_file_that_is_sourced(self) -> None:
        library = "launch() { git x; }\nreport() { :; }\n"
        for line in (". tools/own.sh", 'source "$top/tools/own.sh"', ". tools/own.sh || exit 2"):
            uses = script_uses(f"{line}\nlaunch\ntail x\n", {"tools/own.sh": library})
            self.assertEqual({use.name for use in uses if not use.doubtful}, {"tail"}, line)
        uses = script_uses(". tools/other.sh\nlaunch\n", {"tools/own.sh": library})
        self.assertEqual({use.name for use in uses if not use.doubtful}, {"launch"})

    def test_lines(self) -> None:
        uses = shell_uses("x=1\n\nif true; then\n  git x \\\n    | tail\nfi\n")
        self.assertEqual({(use.name, use.line) for use in uses if not use.doubtful}, {("git", 4), ("tail", 5)})


class ComplaintTest(unittest.TestCase):
    def assert_names(self, package: str, path: str, text: str) -> None:
        """The file is clean, and is not without the package."""
        self.assertEqual(complaints(path, text), [])
        found = complaints(path, text, without=package)
        self.assertEqual(len(found), 1, found)
        self.assertIn(f"tools/packages.txt does not name {package} under", found[0])

    def test_modules_that_come_with_whoever_loads_the_file(self) -> None:
        self.assertEqual(complaints("tools/reframe/attention_ordering.py", "import reframe as rfm\n"), [])
        self.assertEqual(complaints("tools/spack/packages/a/package.py", "from spack.package import *\n"), [])
        for path, module in (("tools/reframe/readings.py", "reframe"), ("tools/spack/packages/a/package.py", "reframe")):
            (complaint,) = complaints(path, f"import {module}\n")
            self.assertIn(f"module {module}: no package", complaint)

    def test_package_taken_out(self) -> None:
        self.assert_names("python3-pandas", "peers/summary_test.py", "import pandas as pd\n")
        self.assert_names("python3-scipy", "analysis/a.py", "def f():\n    from scipy.stats import binom\n")
        self.assert_names("shellcheck", "tools/lint/run", "#!/bin/bash\nshellcheck a || status=1\n")
        self.assert_names("clang", "check", "#!/bin/bash\nCC=clang bazel test\n")
        self.assert_names("libomp-dev", "check", "#!/bin/bash\nCC=clang bazel test\n")
        self.assert_names("binutils", "src/a_test.sh", "#!/bin/bash\nx=$(objdump -d a)\n")
        self.assert_names("iproute2", "tools/a.py", 'import subprocess\nsubprocess.run(["ip", "link"])\n')
        self.assert_names("openmpi-bin", "src/a_test.py", 'def f(): return ["mpirun", "-np", "2"]\n')
        self.assert_names("iproute2", "tools/a.py", 'x = ["sh", "-c", "set -e; ip link"]\n')
        self.assert_names("libopenmpi-dev", "third_party/a.bzl", 'def f(ctx):\n    ctx.which("mpicxx")\n')
        self.assert_names("libhwy-dev", "WORKSPACE", 'system_library(name = "highway", header = "hwy/highway.h")\n')
        self.assert_names("libyaml-cpp-dev", "src/a.cc", "#include <vector>\n#include <yaml-cpp/yaml.h>\n")

    def test_unknown(self) -> None:
        self.assertIn("module requests: no package", complaints("analysis/a.py", "import requests\n")[0])
        self.assertIn("program jq: no package", complaints("tools/a", "#!/bin/sh\njq . a\n")[0])
        self.assertIn("program jq: no package", complaints("tools/a.py", 'subprocess.check_output(["jq"])\n')[0])
        self.assertIn("header fftw3.h: no package", complaints("src/a.cc", "#include <fftw3.h>\n")[0])

    def test_unreadable_file_is_named(self) -> None:
        self.assertIn("tools/a.py:2: cannot be parsed", complaints("tools/a.py", "x = 1\ndef\n")[0])

    def test_package_of_another_need(self) -> None:
        # ./reproduce installs `build` only, and the analysis belongs to it.
        self.assertIn("under build", complaints("analysis/a.py", "import pandas\n")[0])
        self.assertIn("under build or test", complaints("tools/a.py", "import torch\n")[0])

    def test_own_and_standard_modules(self) -> None:
        files = {"tools/own.py": "", "tools/a.py": "import os.path, own\nfrom tools import own\nfrom . import x\n"}
        self.assertEqual(dependencies.find_complaints(files, read_provided(_PACKAGES, _PROVIDES)), [])


if __name__ == "__main__":
    unittest.main()
