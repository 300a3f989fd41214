"""Repository rules that wrap libraries installed on the machine.

Each library is found in its *_ROOT environment variable (a prefix with include/ and lib/), or, when that
is not set, in the compiler's own search path. Nothing is downloaded.
"""

def _offline_rules_impl(ctx):
    ctx.file("WORKSPACE", "workspace(name = \"%s\")" % ctx.name)
    ctx.file("BUILD", """
package(default_visibility = ["//visibility:public"])
filegroup(name = "coverage_report_generator")
filegroup(name = "lcov_merger")
""")
    for language in ["cc", "java"]:
        ctx.file(language + "/BUILD")
    ctx.file("cc/defs.bzl", "\n".join([
        "def %s(**kwargs):\n    native.%s(**kwargs)\n" % (rule, rule)
        for rule in ["cc_binary", "cc_import", "cc_library", "cc_proto_library", "cc_test", "cc_toolchain", "cc_toolchain_suite"]
    ]))
    ctx.file("java/defs.bzl", "\n".join([
        "def %s(**kwargs):\n    native.%s(**kwargs)\n" % (rule, rule)
        for rule in ["java_binary", "java_import", "java_library", "java_package_configuration", "java_plugin", "java_runtime", "java_test", "java_toolchain"]
    ]))

offline_rules = repository_rule(
    implementation = _offline_rules_impl,
    doc = "Stands in for a rules repository that Bazel 4.2 would fetch: passes through to the native rules.",
)

def _library_build(name, linkopts, has_headers, defines = [], includes = ["include"]):
    return """
cc_library(
    name = "{name}",
    hdrs = {hdrs},
    includes = {includes},
    defines = {defines},
    linkopts = {linkopts},
    visibility = ["//visibility:public"],
)
""".format(
        name = name,
        hdrs = "glob([\"include*/**\"])" if has_headers else "[]",
        includes = repr(includes if has_headers else []),
        defines = repr(defines),
        linkopts = repr(linkopts),
    )

def _system_library_impl(ctx):
    root = ctx.os.environ.get(ctx.attr.root_env, "")
    linkopts = []
    includes = []
    if root and not ctx.path(root).exists:
        fail("%s=%s: no such directory; it should hold include/%s" % (ctx.attr.root_env, root, ctx.attr.header))
    if root:
        if not ctx.path(root + "/include/" + ctx.attr.header).exists:
            fail("%s=%s: include/%s is not in it" % (ctx.attr.root_env, root, ctx.attr.header))
        ctx.symlink(root + "/include", "include")
        includes = ["include"] + [
            "include/" + subdir
            for subdir in ctx.attr.include_subdirs
            if ctx.path("%s/include/%s" % (root, subdir)).exists
        ]
        for lib in ["lib", "lib64"]:
            if ctx.path(root + "/" + lib).exists:
                linkopts += ["-L%s/%s" % (root, lib), "-Wl,-rpath,%s/%s" % (root, lib)]
    elif ctx.attr.default_root:
        for index, subdir in enumerate(ctx.attr.include_subdirs):
            path = "%s/include/%s" % (ctx.attr.default_root, subdir)
            if ctx.path(path).exists:
                ctx.symlink(path, "include%d" % index)
                includes.append("include%d" % index)
        for subdir in ctx.attr.lib_subdirs:
            path = "%s/lib/%s" % (ctx.attr.default_root, subdir)
            if ctx.path(path).exists:
                linkopts += ["-L" + path, "-Wl,-rpath," + path]
    linkopts += ["-l" + lib for lib in ctx.attr.libs]
    ctx.file("BUILD", _library_build(ctx.name, linkopts, bool(includes), includes = includes))

_system_library = repository_rule(
    implementation = _system_library_impl,
    attrs = {
        "default_root": attr.string(doc = "prefix of include_subdirs and lib_subdirs; empty: compiler's own search path"),
        "header": attr.string(mandatory = True, doc = "a header that proves the library is there"),
        "include_subdirs": attr.string_list(),
        "lib_subdirs": attr.string_list(),
        "libs": attr.string_list(doc = "names for -l"),
        "root_env": attr.string(mandatory = True, doc = "environment variable that overrides the place"),
    },
    environ = [
        "BENCHMARK_ROOT",
        "BOOST_ROOT",
        "GTEST_ROOT",
        "HIGHWAY_ROOT",
        "NLOHMANN_JSON_ROOT",
        "OPENBLAS_ROOT",
        "SIMGRID_ROOT",
        "XXHASH_ROOT",
        "YAML_CPP_ROOT",
    ],
    local = True,
)

def system_library(name, **kwargs):
    _system_library(name = name, **kwargs)

def _mpi_library_impl(ctx):
    name = ctx.os.environ.get("MPICXX", "mpicxx")
    # A name for PATH, or a path.
    mpicxx = ctx.path(name) if name.startswith("/") else ctx.which(name) if "/" not in name else None
    if not mpicxx or not mpicxx.exists:
        fail("MPI: there is no %s; MPICXX is a name on PATH or an absolute path. Install libopenmpi-dev (./reproduce does) or load your cluster's MPI module" % name)
    compile_flags = ctx.execute([mpicxx, "--showme:compile"])
    link_flags = ctx.execute([mpicxx, "--showme:link"])
    if compile_flags.return_code != 0 or link_flags.return_code != 0:
        # MPICH and its descendants spell it differently.
        compile_flags = ctx.execute([mpicxx, "-compile_info"])
        link_flags = ctx.execute([mpicxx, "-link_info"])
    if compile_flags.return_code != 0 or link_flags.return_code != 0:
        fail("%s answers neither --showme (Open MPI) nor -compile_info (MPICH)" % mpicxx)
    includes = []
    for flag in compile_flags.stdout.split(" "):
        flag = flag.strip()
        if flag.startswith("-I") and ctx.path(flag[2:]).exists:
            ctx.symlink(flag[2:], "include%d" % len(includes))
            includes.append("include%d" % len(includes))
    linkopts = []
    for flag in link_flags.stdout.split(" "):
        flag = flag.strip()
        if flag.startswith("-L"):
            linkopts += [flag, "-Wl,-rpath," + flag[2:]]
        elif flag.startswith("-l") and flag not in ["-lmpi_cxx", "-lmpicxx", "-lmpichcxx"]:
            linkopts.append(flag)
        elif flag.startswith("-Wl,"):
            linkopts.append(flag)
    # In a simulation, every dependence on MPI is one on SimGrid's.
    ctx.file("BUILD", """
alias(
    name = "mpi",
    actual = select({
        "@attention_parallelism//tools/bazel:is_simulation": "@smpi",
        "//conditions:default": ":library",
    }),
    visibility = ["//visibility:public"],
)
""" + _library_build(
        "library",
        linkopts,
        bool(includes),
        # The deprecated C++ bindings would need another library.
        defines = ["OMPI_SKIP_MPICXX=1", "MPICH_SKIP_MPICXX=1"],
        includes = includes,
    ))

mpi_library = repository_rule(
    implementation = _mpi_library_impl,
    environ = [
        "MPICXX",
        "PATH",
    ],
    local = True,
)

def _system_python_impl(ctx):
    ctx.file("BUILD", """
load("@bazel_tools//tools/python:toolchain.bzl", "py_runtime_pair")

# Debian's python3 by its own path: another python3 may come first on PATH and lack numpy, pandas or scipy.
py_runtime(
    name = "python3",
    interpreter_path = "/usr/bin/python3",
    python_version = "PY3",
    stub_shebang = "#!/usr/bin/python3",
)

py_runtime_pair(
    name = "runtime_pair",
    py3_runtime = ":python3",
)

toolchain(
    name = "toolchain",
    toolchain = ":runtime_pair",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
)
""")

system_python = repository_rule(implementation = _system_python_impl, local = True)
