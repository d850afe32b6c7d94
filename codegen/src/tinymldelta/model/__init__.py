"""Reading `.tflite` files: a bounded walk that makes hostile files harmless, then frozen tables.

Nothing outside this package imports flatbuffers or the TFLite schema.
"""

from tinymldelta.model.reader import read_layout, read_model, read_model_file
from tinymldelta.model.tables import Layout, Model, Node, Operator, Quantisation, Span, Tensor

__all__ = [
    "Layout",
    "Model",
    "Node",
    "Operator",
    "Quantisation",
    "Span",
    "Tensor",
    "read_layout",
    "read_model",
    "read_model_file",
]
