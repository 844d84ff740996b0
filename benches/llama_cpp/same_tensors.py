"""Counts the tensors of two GGUF files that are equal in name, shape, type and bytes; names the others on the error stream.

    same_tensors.py FILE FILE
"""

import sys

import gguf

one, other = ({tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors} for path in sys.argv[1:])
names = sorted(one.keys() | other.keys())


def same(name):
    """Whether both files have it, and alike."""
    if name not in one or name not in other:
        return False
    a, b = one[name], other[name]
    return a.tensor_type == b.tensor_type and list(a.shape) == list(b.shape) and a.data.tobytes() == b.data.tobytes()


equal = [name for name in names if same(name)]
for name in names:
    if name not in equal:
        print("differs:", name, file=sys.stderr)
print(f"{len(equal)} / {len(names)}")
