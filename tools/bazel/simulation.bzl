"""Programs that run on a simulated machine: all below them is compiled with SimGrid's MPI instead of the machine's own."""

def _flag_impl(_ctx):
    return []

simulation_flag = rule(
    implementation = _flag_impl,
    build_setting = config.bool(flag = True),
    doc = "Whether MPI is a simulator's, and memory and kernels are replaced by what they cost.",
)

def _transition_impl(_settings, _attr):
    return {"//tools/bazel:simulation": True}

_simulation_transition = transition(
    implementation = _transition_impl,
    inputs = [],
    outputs = ["//tools/bazel:simulation"],
)

def _simulated_binary_impl(ctx):
    program = ctx.attr.program[0][DefaultInfo]
    executable = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = executable, target_file = program.files_to_run.executable, is_executable = True)
    return [DefaultInfo(executable = executable, runfiles = program.default_runfiles)]

simulated_binary = rule(
    implementation = _simulated_binary_impl,
    attrs = {
        "program": attr.label(cfg = _simulation_transition, executable = True, mandatory = True),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    },
    executable = True,
    doc = "`program`, a cc_binary tagged manual, built for simulation, so that `bazel build` of this target is all there is to do.",
)
