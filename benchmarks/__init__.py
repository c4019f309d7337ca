"""The benchmarks: workloads, contenders, and the runner that measures them from outside. Start: `__main__`."""
