"""mpi_test: a gtest binary run under mpirun, one test target per rank count."""

def mpi_test(name, ranks, srcs, deps, copts = [], linkopts = [], size = "medium", args = [], data = [], **kwargs):
    """Makes NAME_binary and, for each count in `ranks`, a test NAME_ranks_<count>, and a suite NAME.

    The binary must have its own main that initialises MPI (//src/mpi:mpi_test_main).
    """
    native.cc_binary(
        name = name + "_binary",
        testonly = True,
        srcs = srcs,
        copts = copts,
        linkopts = linkopts,
        deps = deps,
    )
    tests = []
    for count in ranks:
        test = "%s_ranks_%d" % (name, count)
        tests.append(test)
        native.sh_test(
            name = test,
            size = size,
            srcs = ["//tools/bazel:run_mpi_test.sh"],
            args = [str(count), "$(location :%s_binary)" % name] + args,
            data = [":%s_binary" % name] + data,
            **kwargs
        )
    # A suite of manual tests must be manual itself, or //... would run them through it.
    suite_tags = ["manual"] if "manual" in kwargs.get("tags", []) else []
    native.test_suite(name = name, tests = tests, tags = suite_tags)
