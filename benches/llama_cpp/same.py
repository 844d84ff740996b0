"""Compares two GGUF files key for key and tensor for tensor, and prints every difference.

    same.py LEFT RIGHT
"""

import sys

import gguf
import numpy


def load(path):
    reader = gguf.GGUFReader(path)
    keys = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    tensors = {tensor.name: ([int(size) for size in tensor.shape], tensor.tensor_type.name, tensor.data) for tensor in reader.tensors}
    return keys, tensors


def main():
    (left_keys, left), (right_keys, right) = map(load, sys.argv[1:3])
    for name in sorted(left_keys | right_keys):
        one, other = (str(keys.get(name, "-"))[:60] for keys in (left_keys, right_keys))
        if left_keys.get(name) != right_keys.get(name):
            print(f"  {name}: {one} | {other}")
    same = 0
    for name in sorted(left | right):
        if name not in left or name not in right or left[name][:2] != right[name][:2]:
            print(f"  {name}: {left.get(name, '-')[:2]} | {right.get(name, '-')[:2]}")
            continue
        difference = numpy.abs(left[name][2].astype(numpy.float64) - right[name][2].astype(numpy.float64)).max()
        if difference > 0:
            print(f"  {name}: values differ by up to {difference:.3g}")
        same += difference == 0
    print(f"  {same} tensors of {len(left | right)} are equal")


main()
