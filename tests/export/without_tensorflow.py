"""Calls exported functions in a process that cannot import TensorFlow.

Usage: python without_tensorflow.py EXPORT INPUTS.npz OUTPUTS.npz; inputs are named
FUNCTION.ARGUMENT, outputs FUNCTION.OUTPUT.
"""

import sys
from pathlib import Path

import numpy as np


def runner(path, name):
    """A function of named arrays."""
    if path.is_dir():
        import onnxruntime

        session = onnxruntime.InferenceSession(path / f"{name}.onnx")
        (output,) = session.get_outputs()
        assert output.shape[0] == "n"
        return lambda **inputs: {output.name: session.run(None, inputs)[0]}
    from ai_edge_litert.interpreter import Interpreter

    signature = Interpreter(str(path)).get_signature_runner(name)
    return lambda **inputs: signature(**inputs)


def main():
    sys.modules["tensorflow"] = None
    path, inputs, outputs = map(Path, sys.argv[1:])
    by_function = {}
    for key, value in np.load(inputs).items():
        name, argument = key.split(".")
        by_function.setdefault(name, {})[argument] = value
    found = {name: runner(path, name)(**x) for name, x in by_function.items()}
    np.savez(outputs, **{f"{n}.{o}": x for n in found for o, x in found[n].items()})


if __name__ == "__main__":
    main()
