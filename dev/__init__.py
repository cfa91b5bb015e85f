"""Tools for development: the stand-in, the simulation, the benchmark, emulators. Nothing here ships."""
