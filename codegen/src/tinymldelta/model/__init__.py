"""Reading `.tflite` files: a bounded walk that makes hostile files harmless, then frozen tables.

Nothing outside this package imports flatbuffers or the TFLite schema.
"""

from tinymldelta.model.reader import read_model, read_model_file
from tinymldelta.model.tables import Model, Node, Operator, Quantisation, Span, Tensor

__all__ = [
    "Model",
    "Node",
    "Operator",
    "Quantisation",
    "Span",
    "Tensor",
    "read_model",
    "read_model_file",
]
