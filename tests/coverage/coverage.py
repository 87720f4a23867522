"""Which code of the disk backend the tests reach, as it runs: compiled to WebAssembly, with counters in it.

    python3 tests/coverage/coverage.py [--lines] [modules...]

Builds and runs the tests of `tests/disk` (the modules that are named, or else those of the storage) with a component
that reports which of its code ran. Prints a table by file, and with --lines every line that did not run. An instance
that is killed inside a call does not report what that call did.

Needs rustup's component llvm-tools, and wasm-tools and wasmtime on the path.
"""

import collections
import glob
import os
import re
import subprocess
import sys
import tempfile

MODULES = ["contract", "file_system", "failing_calls", "damage", "golden", "hostile", "crowded", "crashes",
           "interleavings", "concurrency"]


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, **options)


def tested(modules, env):
    """Runs the tests of these modules. Gives the component, and what its counters counted."""
    command = ["cargo", "test", "--test=disk"]
    run(*command, "--no-run", env=env)
    built = glob.glob("target/debug/build/larder-components-*/out/larder-disk.wasm")
    component = max(built, key=os.path.getmtime)
    counts = collections.Counter()
    # Not captured, as it is the component that writes, and not the test.
    command += ["--"] + [f"{module}::" for module in modules]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=env) as process:
        for line in process.stderr:
            # Tests run at once, so that lines may run into one another.
            for told in re.findall(rb"larder-coverage((?: \d+:\d+)*)\n", line):
                for count in told.split():
                    at, more = count.split(b":")
                    counts[int(at)] += int(more)
    if process.returncode != 0:
        print("some tests failed", file=sys.stderr)
    return component, counts


def profile(component, counts):
    """A raw profile with these counters."""
    with tempfile.TemporaryDirectory() as store:
        told = run("wasmtime", "run", f"--dir={store}::/", "--env=LARDER_COVERAGE_PROFILE=1", "--invoke=list-caches()",
                   component, capture_output=True).stderr
    raw = bytearray.fromhex(re.findall("larder-profile ([0-9a-f]+)", told)[-1])
    word = lambda at: int.from_bytes(raw[8 * at:8 * at + 8], "little")
    header, function = 16 * 8, 48
    first = header + word(3) * function
    for counter in range(word(5)):
        at = first + 8 * counter
        raw[at:at + 8] = counts[counter].to_bytes(8, "little")
    return raw


def main(arguments):
    lines = "--lines" in arguments
    modules = [argument for argument in arguments if argument != "--lines"]
    env = dict(os.environ, LARDER_COVERAGE="1")
    component, counts = tested(modules or MODULES, env)
    sysroot = run("rustc", "--print=sysroot", capture_output=True).stdout.strip()
    tools = glob.glob(f"{sysroot}/lib/rustlib/*/bin/llvm-cov")[0].removesuffix("llvm-cov")
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/raw", "wb") as file:
            file.write(profile(component, counts))
        run(f"{tools}llvm-profdata", "merge", "--sparse", f"{folder}/raw", "-o", f"{folder}/profile")
        run("wasm-tools", "component", "unbundle", component, "--module-dir", folder, "-o", f"{folder}/component.wasm")
        modules = glob.glob(f"{folder}/unbundled-module*.wasm")
        module = max(modules, key=os.path.getsize)
        what = [module, f"--instr-profile={folder}/profile", "--sources"]
        what += sorted(map(os.path.abspath, glob.glob("src/**/*.rs", recursive=True)))
        run(f"{tools}llvm-cov", "report", "--show-branch-summary=false", *what)
        if lines:
            shown = run(f"{tools}llvm-cov", "show", *what, capture_output=True).stdout
            for line in shown.splitlines():
                if line.endswith(".rs:") or re.match(r" *\d+\| +0\|", line):
                    print(line)


main(sys.argv[1:])
