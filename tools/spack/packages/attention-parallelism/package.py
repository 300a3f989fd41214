"""Spack: benchmark_qwen3 with what it needs. README.md two rooms up says how to use it and what was tested."""

from pathlib import Path

from spack.package import *

try:
    # Since Spack 1.0; before, spack.package has it.
    from spack_repo.builtin.build_systems.generic import Package
except ImportError:
    pass

# The source tree that this file is in: it is its own mirror, so that the recipe always fits the source.
TOP = Path(__file__).resolve().parents[4]

# Where the build looks for a library (third_party/system_libraries.bzl).
ROOTS = {
    "boost": "BOOST_ROOT",
    "highway": "HIGHWAY_ROOT",
    "nlohmann-json": "NLOHMANN_JSON_ROOT",
    "xxhash": "XXHASH_ROOT",
    "yaml-cpp": "YAML_CPP_ROOT",
}
# The compiler finds these by itself, and they must not be named: that would change the order of its own headers.
SYSTEM = ("/", "/usr", "/usr/local")


class AttentionParallelism(Package):
    """Attention of Qwen3 shapes, parallelised head-wise and by sequence under MPI and OpenMP, with experiments that compare the
    strategies and an analysis that judges them."""

    homepage = f"file://{TOP}"
    git = f"file://{TOP}"

    license("Apache-2.0", checked_by="the authors")

    version("main", branch="main")
    version("1.0.0", tag="v1.0.0")

    variant("analysis", default=True, description="what the analysis of a run needs")

    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("bazel@4.2", type="build")
    depends_on("git", type="build")
    depends_on("mpi")
    depends_on("highway@1.0.3:")
    depends_on("boost+program_options")
    depends_on("yaml-cpp")
    depends_on("nlohmann-json", type="build")
    depends_on("xxhash", type="build")
    with when("+analysis"):
        depends_on("python@3.11:", type="run")
        depends_on("py-numpy", type="run")
        depends_on("py-scipy", type="run")
        depends_on("py-matplotlib", type="run")
        depends_on("py-pyyaml", type="run")

    conflicts("%gcc@:11", msg="the source is C++20; it is tested with GCC 12 and clang 14")
    conflicts("%clang@:13", msg="the source is C++20; it is tested with GCC 12 and clang 14")
    conflicts("target=aarch64:", msg="kernels are for x86-64")

    sanity_check_is_file = ["bin/benchmark_qwen3"]

    def setup_build_environment(self, env):
        """The compilers themselves: Bazel runs them with an environment of its own, without which Spack's wrappers fail."""
        env.set("CC", self.compiler.cc)
        env.set("CXX", self.compiler.cxx)
        # The build wants a program's name here, and Spack's MPI packages set a path. By default it is the mpicxx that is first on
        # PATH, where Spack puts the spec's.
        env.unset("MPICXX")
        for name, variable in ROOTS.items():
            if str(self.spec[name].prefix) not in SYSTEM:
                env.set(variable, self.spec[name].prefix)

    def install(self, spec, prefix):
        bazel = which("bazel", required=True)
        # A server of its own, with files of its own, that ends with the build.
        startup = [f"--output_user_root={join_path(self.stage.path, 'bazel')}", "--batch"]
        bazel(*startup, "build", f"--jobs={make_jobs}", "//src:benchmark_qwen3")
        mkdirp(prefix.bin)
        install("bazel-bin/src/benchmark_qwen3", prefix.bin)
        shared = prefix.share.join("attention-parallelism")
        for room in ("analysis", "experiments"):
            install_tree(room, shared.join(room))
        install("CITATION.cff", shared)

    def test_list(self):
        """the binary starts and knows the machine"""
        benchmark = which(self.prefix.bin.benchmark_qwen3)
        assert "ISAs of this machine" in benchmark("--list", output=str.split, error=str.split)
