"""One heap for all threads, as glibc itself counts its heaps."""

import subprocess
import sys
from platform import libc_ver

import pytest

_THREADS = """
import ctypes, sys, threading
from slurmwatchd.cli.tuning import tune
if sys.argv[1] == "tuned":
    tune()
hold = threading.Barrier(4)
def work():
    kept = [bytes(700) for _ in range(5000)]
    hold.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
out = libc.fopen(b"/dev/stdout", b"w")
libc.malloc_info(0, ctypes.c_void_p(out))
libc.fclose(ctypes.c_void_p(out))
"""


@pytest.mark.skipif(libc_ver()[0] != "glibc", reason="only glibc has heaps by thread")
@pytest.mark.parametrize(("how", "is_one"), [("tuned", True), ("as it is", False)])
def test_threads_share_one_heap(how: str, is_one: bool) -> None:
    done = subprocess.run([sys.executable, "-c", _THREADS, how], capture_output=True, text=True, check=True)
    assert (done.stdout.count("<heap nr=") == 1) is is_one
