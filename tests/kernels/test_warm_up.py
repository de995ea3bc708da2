"""Who serves, and when: across imports, threads and forks. Each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest


def run(code: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "NUMBA_DISABLE_JIT": "0", **environ},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_kernels_and_layouts_loads_no_compiler() -> None:
    code = """
        import sys
        import driftgauge.kernels, driftgauge.layout
        print([name for name in ("numba", "scipy", "pandas", "llvmlite") if name in sys.modules])
    """
    assert run(code) == "[]"


def test_twins_serve_until_compiled_kernels_do_and_any_thread_may_warm_up() -> None:
    code = """
        import threading
        import numpy as np
        from driftgauge import kernels
        a, b = np.array([5, 5]), np.array([8, 2])
        before = kernels.psi(a, b)
        said = [kernels.status(), kernels.compiled()]
        threads = [threading.Thread(target=kernels.warm_up) for _ in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        kernels.warm_up()
        said += [kernels.status(), kernels.compiled(), abs(kernels.psi(a, b) - before) < 1e-15]
        print(said)
    """
    assert run(code) == "['numpy', False, 'numba', True, True]"


def test_without_numba_the_twins_serve_for_good() -> None:
    code = """
        import sys
        sys.modules["numba"] = None
        import numpy as np
        from driftgauge import kernels
        kernels.warm_up(); kernels.warm_up()
        served = kernels.total_variation(np.array([1, 1]), np.array([2, 0]))
        print(kernels.status(), kernels.compiled(), served)
    """
    assert run(code) == "unavailable False 0.5"


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@needs_fork
def test_a_child_forked_while_another_thread_compiles_stays_on_twins_and_never_waits() -> None:
    code = """
        import os, threading, warnings
        import numpy as np
        from driftgauge import kernels
        from driftgauge.kernels import _warm_up
        warnings.simplefilter("ignore")   # Python warns of a fork with threads: that is the case here
        thread = threading.Thread(target=kernels.warm_up)
        thread.start()
        while kernels.status() != "compiling":
            pass
        child = os.fork()
        if child == 0:
            kernels.warm_up()             # would wait for ever on a lock whose owner is not here
            served = kernels.status() == "unavailable" and not kernels.compiled()
            right = kernels.total_variation(np.array([1, 1]), np.array([2, 0])) == 0.5
            os._exit(0 if served and right else 3)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        thread.join()
        print(code, kernels.status())
    """
    assert run(code) == "0 numba"


@needs_fork
def test_children_forked_before_and_after_compilation_compute() -> None:
    code = """
        import os
        import numpy as np
        from driftgauge import kernels
        def child(expected_before, expected_after):
            pid = os.fork()
            if pid == 0:
                good = kernels.status() == expected_before
                kernels.warm_up()
                good = good and kernels.status() == expected_after
                good = good and kernels.ks(np.array([1, 1], np.uint32), np.array([2, 0], np.uint32)) == 0.5
                os._exit(0 if good else 3)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        codes = [child("numpy", "numba")]
        kernels.warm_up()
        codes.append(child("numba", "numba"))
        print(codes)
    """
    assert run(code) == "[0, 0]"


def test_compiled_kernels_run_without_compilation_too() -> None:
    code = """
        import numpy as np
        from driftgauge import kernels
        kernels.warm_up()
        out = np.empty(3, np.uint16)
        kernels.index_numeric(np.array([0.0, np.nan, 9.0]), kernels.build_search(np.array([0.0, 1.0])), out)
        print(kernels.status(), out.tolist())
    """
    assert run(code, NUMBA_DISABLE_JIT="1") == "numba [2, 7, 5]"
