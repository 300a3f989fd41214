"""A fuzz target: the fuzzer itself, which clang builds, and its corpus as an ordinary test."""

def fuzz_target(name, deps):
    """NAME.cc holds LLVMFuzzerTestOneInput; corpus/NAME its inputs: seeds, and everything that ever broke it.

    Args:
      name: of the target, which ends in _fuzz. The fuzzer is called so (tools/fuzz runs it), the test NAME_test.
      deps: libraries of NAME.cc.
    """
    native.cc_library(
        name = name + "_function",
        testonly = True,
        srcs = [name + ".cc"],
        deps = deps + [":fuzz_input"],
        alwayslink = True,
    )
    native.cc_test(
        name = name + "_test",
        size = "small",
        srcs = ["replay_main.cc"],
        args = ["src/fuzz/corpus/" + name],
        data = native.glob(["corpus/" + name + "/**"]),
        deps = [
            ":" + name + "_function",
            ":fuzz_input",
        ],
    )
    native.cc_binary(
        name = name,
        testonly = True,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = [":" + name + "_function"],
    )
